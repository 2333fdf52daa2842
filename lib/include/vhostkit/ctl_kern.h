/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Level 1 of the front end, the part that only the kernel's devices have: vhost-net, vhost-vsock,
 * vhost-scsi and vhost-vDPA. One function per ioctl of <linux/vhost.h>; each returns at once with 0
 * or a code ("a code as above" is one of those that open vhostkit/ctl.h), -EOPNOTSUPP where the
 * kind of device or the kernel lacks it: vhk_ctl_can() says so beforehand.
 */
#ifndef VHOSTKIT_CTL_KERN_H
#define VHOSTKIT_CTL_KERN_H

#include <vhostkit/ctl_msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum vhk_ctl_kind - what stands behind a door
 * @VHK_CTL_KIND_USER:  another process, by vhost-user
 * @VHK_CTL_KIND_NET:   vhost-net
 * @VHK_CTL_KIND_VSOCK: vhost-vsock
 * @VHK_CTL_KIND_SCSI:  vhost-scsi
 * @VHK_CTL_KIND_VDPA:  a vDPA device, by vhost-vDPA
 */
enum vhk_ctl_kind {
	VHK_CTL_KIND_USER,
	VHK_CTL_KIND_NET,
	VHK_CTL_KIND_VSOCK,
	VHK_CTL_KIND_SCSI,
	VHK_CTL_KIND_VDPA,
};

/**
 * vhk_ctl_kind() - what stands behind a door
 * @c: the front end
 *
 * Return: VHK_CTL_KIND_*.
 */
VHK_API enum vhk_ctl_kind vhk_ctl_kind(const struct vhk_ctl *c);

/* Backend features (<linux/vhost_types.h>, VHOST_BACKEND_F_*), masks. */
#define VHK_BF_IOTLB_MSG_V2 (1ULL << 1)
#define VHK_BF_IOTLB_BATCH (1ULL << 2)
#define VHK_BF_IOTLB_ASID (1ULL << 3)
#define VHK_BF_SUSPEND (1ULL << 4)
#define VHK_BF_RESUME (1ULL << 5)
#define VHK_BF_ENABLE_AFTER_DRIVER_OK (1ULL << 6)
#define VHK_BF_DESC_ASID (1ULL << 7)
#define VHK_BF_IOTLB_PERSIST (1ULL << 8)

/**
 * vhk_ctl_get_backend_features() - GET_BACKEND_FEATURES: what vhost itself offers
 * @c:   the front end
 * @out: VHK_BF_*, a mask; 0 on failure
 *
 * vhost-scsi has none.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_backend_features(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_set_backend_features() - SET_BACKEND_FEATURES: what of vhost will be used
 * @c:        the front end
 * @features: VHK_BF_*, a mask, out of what was offered
 *
 * Before any IOTLB message. vhk_ctl_setup() takes all that is offered.
 * Return: 0; -EINVAL a bit was not offered, or lacks another one that it needs; or a code as above.
 */
VHK_API int vhk_ctl_set_backend_features(struct vhk_ctl *c, uint64_t features);

/**
 * vhk_ctl_get_features_array() - GET_FEATURES_ARRAY: features beyond bit 63
 * @c:    the front end
 * @word: filled with @n words, those that the device does not know of with 0
 * @n:    words, 1 to 16
 *
 * vhost-net, since Linux 6.17.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_features_array(struct vhk_ctl *c, uint64_t *word, unsigned int n);

/**
 * vhk_ctl_set_features_array() - SET_FEATURES_ARRAY: features beyond bit 63
 * @c:    the front end
 * @word: @n words; borrowed for the call
 * @n:    words, 1 to 16
 *
 * vhost-net, since Linux 6.17.
 * Return: 0; -EINVAL a bit is not offered; or a code as above.
 */
VHK_API int vhk_ctl_set_features_array(struct vhk_ctl *c, const uint64_t *word, unsigned int n);

/**
 * vhk_ctl_set_fork_from_owner() - SET_FORK_FROM_OWNER: whose the worker threads are
 * @c:  the front end
 * @on: true: they are threads of the owner's, with its limits; false: kernel threads
 *
 * Before vhk_ctl_set_owner(). Since Linux 6.17, and where the kernel was built for it.
 * Return: 0; -EBUSY there is an owner; or a code as above.
 */
VHK_API int vhk_ctl_set_fork_from_owner(struct vhk_ctl *c, bool on);

/**
 * vhk_ctl_get_fork_from_owner() - GET_FORK_FROM_OWNER: whose the worker threads will be
 * @c:   the front end
 * @out: as in vhk_ctl_set_fork_from_owner(); false on failure
 *
 * Since Linux 6.17, and where the kernel was built for it.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_fork_from_owner(struct vhk_ctl *c, bool *out);

/**
 * vhk_ctl_set_log_base_uva() - SET_LOG_BASE: where writes into guest memory are logged
 * @c:    the front end
 * @base: bitmap in this process, one bit for each 4 KiB of guest memory; stays until the log is
 *        moved or the features without VHK_F_LOG_ALL are set
 *
 * Kernel vhost only: vhost-user hands over a file.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_log_base_uva(struct vhk_ctl *c, struct vhk_uva base);

/**
 * vhk_ctl_new_worker() - NEW_WORKER: one more thread for the rings
 * @c:  the front end
 * @id: the thread; 0 on failure
 *
 * After vhk_ctl_set_owner(). vhost-scsi since Linux 6.5; other kinds may follow.
 * Return: 0; -EINVAL not the owner; or a code as above.
 */
VHK_API int vhk_ctl_new_worker(struct vhk_ctl *c, uint32_t *id);

/**
 * vhk_ctl_free_worker() - FREE_WORKER: end a thread that no ring is attached to
 * @c:  the front end
 * @id: as from vhk_ctl_new_worker()
 *
 * Return: 0; -ENOENT no such worker; -EBUSY a ring is attached; or a code as above.
 */
VHK_API int vhk_ctl_free_worker(struct vhk_ctl *c, uint32_t id);

/**
 * vhk_ctl_attach_vring_worker() - ATTACH_VRING_WORKER: which thread serves a ring
 * @c:   the front end
 * @idx: ring
 * @id:  as from vhk_ctl_new_worker()
 *
 * Return: 0; -ENOENT no such worker; or a code as above.
 */
VHK_API int vhk_ctl_attach_vring_worker(struct vhk_ctl *c, unsigned int idx, uint32_t id);

/**
 * vhk_ctl_get_vring_worker() - GET_VRING_WORKER: which thread serves a ring
 * @c:   the front end
 * @idx: ring
 * @id:  the thread; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_worker(struct vhk_ctl *c, unsigned int idx, uint32_t *id);

/**
 * vhk_ctl_get_vring_endian() - GET_VRING_ENDIAN: byte order of a legacy ring
 * @c:   the front end
 * @idx: ring
 * @big: true: big endian; false on failure
 *
 * Kernel vhost, where the kernel was built for it.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_endian(struct vhk_ctl *c, unsigned int idx, bool *big);

/**
 * vhk_ctl_set_vring_busyloop_timeout() - SET_VRING_BUSYLOOP_TIMEOUT: how long a ring is polled
 * @c:   the front end
 * @idx: ring
 * @us:  microseconds after the last work; 0: not at all
 *
 * vhost-net acts on it; the other kinds keep it.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_busyloop_timeout(struct vhk_ctl *c, unsigned int idx, uint32_t us);

/**
 * vhk_ctl_get_vring_busyloop_timeout() - GET_VRING_BUSYLOOP_TIMEOUT: how long a ring is polled
 * @c:   the front end
 * @idx: ring
 * @us:  as in vhk_ctl_set_vring_busyloop_timeout(); 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_busyloop_timeout(struct vhk_ctl *c, unsigned int idx, uint32_t *us);

/**
 * vhk_ctl_net_set_backend() - NET_SET_BACKEND: the tap or socket of a ring, which starts it
 * @c:   the front end
 * @idx: 0: receives, 1: sends
 * @fd:  tap, macvtap or packet socket; borrowed for the call. -1: none, which stops the ring
 *
 * Needed after vhk_ctl_start(), for each ring; vhk_ctl_stop() takes it away.
 * Return: 0; -EFAULT the ring does not lie in the memory; -ENOTSOCK @fd is none of these; or a code
 * as above.
 */
VHK_API int vhk_ctl_net_set_backend(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_vsock_set_guest_cid() - VSOCK_SET_GUEST_CID: the address of the guest
 * @c:   the front end
 * @cid: 3 to 2^32 - 2
 *
 * Return: 0; -EADDRINUSE another device has it; -EINVAL it is reserved; or a code as above.
 */
VHK_API int vhk_ctl_vsock_set_guest_cid(struct vhk_ctl *c, uint64_t cid);

/**
 * vhk_ctl_vsock_set_running() - VSOCK_SET_RUNNING: start or stop both rings
 * @c:  the front end
 * @on: true: start
 *
 * Needed after vhk_ctl_start(), once both rings are started; vhk_ctl_stop() stops both.
 * Return: 0; -EFAULT a ring does not lie in the memory; or a code as above.
 */
VHK_API int vhk_ctl_vsock_set_running(struct vhk_ctl *c, bool on);

/**
 * vhk_ctl_scsi_set_endpoint() - SCSI_SET_ENDPOINT: the target, which starts all rings
 * @c:    the front end
 * @wwpn: its name, up to 223 bytes; borrowed for the call
 * @tpgt: its portal group
 *
 * Needed after vhk_ctl_start(), once all rings are started; vhk_ctl_stop() takes it away.
 * Return: 0; -ENOENT there is no such target, or it has no nexus, or another device has it; -EEXIST
 * the device has one; -EFAULT a ring does not lie in the memory; -EINVAL the name is empty or too
 * long; or a code as above.
 */
VHK_API int vhk_ctl_scsi_set_endpoint(struct vhk_ctl *c, const char *wwpn, uint16_t tpgt);

/**
 * vhk_ctl_scsi_clear_endpoint() - SCSI_CLEAR_ENDPOINT: stop all rings and let the target go
 * @c:    the front end
 * @wwpn: as in vhk_ctl_scsi_set_endpoint()
 * @tpgt: as there
 *
 * Return: 0; -EINVAL it is another target; or a code as above.
 */
VHK_API int vhk_ctl_scsi_clear_endpoint(struct vhk_ctl *c, const char *wwpn, uint16_t tpgt);

/**
 * vhk_ctl_scsi_get_abi_version() - SCSI_GET_ABI_VERSION: what the kernel speaks
 * @c:   the front end
 * @out: version; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_scsi_get_abi_version(struct vhk_ctl *c, int *out);

/**
 * vhk_ctl_scsi_set_events_missed() - SCSI_SET_EVENTS_MISSED: restore the flag
 * @c:      the front end
 * @missed: not 0: events were lost
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_scsi_set_events_missed(struct vhk_ctl *c, uint32_t missed);

/**
 * vhk_ctl_scsi_get_events_missed() - SCSI_GET_EVENTS_MISSED: save the flag
 * @c:   the front end
 * @out: not 0: events were lost; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_scsi_get_events_missed(struct vhk_ctl *c, uint32_t *out);

/**
 * vhk_ctl_get_device_id() - VDPA_GET_DEVICE_ID: what device it is (virtio 1.3, 5)
 * @c:   the front end
 * @out: 1: network card, 2: disk, ...; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_device_id(struct vhk_ctl *c, uint32_t *out);

/**
 * vhk_ctl_get_config_size() - VDPA_GET_CONFIG_SIZE: the configuration space
 * @c:   the front end
 * @out: bytes; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_config_size(struct vhk_ctl *c, uint32_t *out);

/**
 * vhk_ctl_set_config_call() - VDPA_SET_CONFIG_CALL: what tells of changes of the configuration
 * @c:  the front end
 * @fd: eventfd, borrowed for the call; -1: none
 *
 * Takes the place of the one behind opts.on_config.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_config_call(struct vhk_ctl *c, int fd);

/**
 * vhk_ctl_get_vring_num() - VDPA_GET_VRING_NUM: the largest ring
 * @c:   the front end
 * @out: descriptors; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_num(struct vhk_ctl *c, uint16_t *out);

/**
 * vhk_ctl_get_vring_size() - VDPA_GET_VRING_SIZE: the size of one ring
 * @c:   the front end
 * @idx: ring
 * @out: descriptors; 0 on failure
 *
 * Since Linux 6.11.
 * Return: 0; -EOPNOTSUPP the device does not say; or a code as above.
 */
VHK_API int vhk_ctl_get_vring_size(struct vhk_ctl *c, unsigned int idx, uint32_t *out);

/**
 * vhk_ctl_get_iova_range() - VDPA_GET_IOVA_RANGE: what the device can address
 * @c:   the front end
 * @out: first and last address; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_iova_range(struct vhk_ctl *c, struct vhk_ctl_iova_range *out);

/**
 * vhk_ctl_get_group_num() - VDPA_GET_GROUP_NUM: groups of rings
 * @c:   the front end
 * @out: their number; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_group_num(struct vhk_ctl *c, uint32_t *out);

/**
 * vhk_ctl_get_as_num() - VDPA_GET_AS_NUM: address spaces
 * @c:   the front end
 * @out: their number; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_as_num(struct vhk_ctl *c, uint32_t *out);

/**
 * vhk_ctl_get_vring_group() - VDPA_GET_VRING_GROUP: the group of a ring
 * @c:   the front end
 * @idx: ring
 * @out: group; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_group(struct vhk_ctl *c, unsigned int idx, uint32_t *out);

/**
 * vhk_ctl_get_vring_desc_group() - VDPA_GET_VRING_DESC_GROUP: the group of its descriptors
 * @c:   the front end
 * @idx: ring
 * @out: group; 0 on failure
 *
 * Needs VHK_BF_DESC_ASID.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_desc_group(struct vhk_ctl *c, unsigned int idx, uint32_t *out);

/**
 * vhk_ctl_set_group_asid() - VDPA_SET_GROUP_ASID: in which address space a group lives
 * @c:     the front end
 * @group: 0 to what vhk_ctl_get_group_num() says, less 1
 * @asid:  0 to what vhk_ctl_get_as_num() says, less 1
 *
 * Needs VHK_BF_IOTLB_ASID. Before DRIVER_OK.
 * Return: 0; -EINVAL there is no such group or address space; or a code as above.
 */
VHK_API int vhk_ctl_set_group_asid(struct vhk_ctl *c, uint32_t group, uint32_t asid);

/**
 * vhk_ctl_suspend() - VDPA_SUSPEND: stop all rings, keep their state
 * @c: the front end
 *
 * Needs VHK_BF_SUSPEND.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_suspend(struct vhk_ctl *c);

/**
 * vhk_ctl_resume() - VDPA_RESUME: go on after vhk_ctl_suspend()
 * @c: the front end
 *
 * Needs VHK_BF_RESUME.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_resume(struct vhk_ctl *c);

/**
 * vhk_ctl_map_doorbell() - have the device kicked by a write of ours, without a system call
 * @c:   the front end
 * @idx: ring
 * @out: a page, to be written to only; unmapped by vhk_ctl_unmap_doorbell(). NULL on failure
 *
 * vDPA, where the device has a page for each ring. What to write: the index of the ring, 16 bits,
 * or
 * with VHK_F_NOTIFICATION_DATA vhk_vq_notification_data(), 32 bits, at the start of the page.
 * Return: 0; -EOPNOTSUPP the device has none for this ring; or a code as above.
 */
VHK_API int vhk_ctl_map_doorbell(struct vhk_ctl *c, unsigned int idx, volatile void **out);

/**
 * vhk_ctl_unmap_doorbell() - give it back
 * @doorbell: as from vhk_ctl_map_doorbell(); NULL is accepted
 */
VHK_API void vhk_ctl_unmap_doorbell(volatile void *doorbell);

#ifdef __cplusplus
}
#endif

#endif
