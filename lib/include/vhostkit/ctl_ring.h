/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Rings over the front end: what is said of one before it starts, its start and stop, how it is
 * notified, and where what is in flight is noted. Level 1: one function for each message. "A code
 * as above" is one of those that open vhostkit/ctl.h, which includes this.
 */
#ifndef VHOSTKIT_CTL_RING_H
#define VHOSTKIT_CTL_RING_H

#include <vhostkit/ctl_msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * vhk_ctl_set_vring_num() - SET_VRING_NUM: size of a ring that is stopped
 * @c:   the front end
 * @idx: ring, 0 to 65,535
 * @num: descriptors, 1 to 32768; a power of two for a split ring
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_num(struct vhk_ctl *c, unsigned int idx, uint32_t num);

/**
 * vhk_ctl_set_vring_addr() - SET_VRING_ADDR: where a ring lies
 * @c: the front end
 * @a: which ring, and its parts by front-end address; borrowed for the call
 *
 * For rings that no IOMMU stands before. Kernel vhost: the addresses are those of this process.
 * vhost-user with VHK_PF_GPA_ADDRESSES: the three parts are guest addresses, which the caller puts
 * in the place of front-end addresses (vhk_mem_gpa()); regions are converted by the functions that
 * share them, and vhk_ctl_start() does all of it.
 * Return: 0; -EOPNOTSUPP it is a vDPA device, or VHK_F_ACCESS_PLATFORM was negotiated:
 * vhk_ctl_set_vring_addr_iova() is the way; or a code as above.
 */
VHK_API int vhk_ctl_set_vring_addr(struct vhk_ctl *c, const struct vhk_ctl_vring_addr *a);

/**
 * vhk_ctl_set_vring_addr_iova() - SET_VRING_ADDR: where a ring lies, behind an IOMMU
 * @c: the front end
 * @a: which ring, and its parts by IOVA; borrowed for the call
 *
 * vDPA, always; kernel vhost and vhost-user, with VHK_F_ACCESS_PLATFORM.
 * Return: 0; -EOPNOTSUPP there is no IOMMU: vhk_ctl_set_vring_addr() is the way; or a code as
 * above.
 */
VHK_API int vhk_ctl_set_vring_addr_iova(struct vhk_ctl *c,
					const struct vhk_ctl_vring_addr_iova *a);

/**
 * vhk_ctl_set_vring_base() - SET_VRING_BASE: where a ring that is stopped goes on
 * @c:    the front end
 * @idx:  ring, 0 to 65,535
 * @base: as in struct vhk_ring_opts (ring.h). Split: index in the available ring, 16 bits; packed:
 *        available slot in bits 0-14, its wrap counter in bit 15, used slot in bits 16-30, its wrap
 *        counter in bit 31
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_base(struct vhk_ctl *c, unsigned int idx, uint32_t base);

/**
 * vhk_ctl_get_vring_base() - GET_VRING_BASE: stop a ring
 * @c:    the front end
 * @idx:  ring, 0 to 65,535
 * @base: where it would go on, as for vhk_ctl_set_vring_base()
 *
 * vhost-user: the answer comes after the last request in flight is answered. A kernel device only
 * tells: what stops it is vhk_ctl_net_set_backend() with -1, vhk_ctl_vsock_set_running(),
 * vhk_ctl_scsi_clear_endpoint(), vhk_ctl_suspend().
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_base(struct vhk_ctl *c, unsigned int idx, uint32_t *base);

/**
 * vhk_ctl_set_vring_kick() - SET_VRING_KICK: what the back end is woken by; starts the ring
 * @c:   the front end
 * @idx: ring, 0 to 255
 * @fd:  eventfd, borrowed for the call; -1: none, the back end polls
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_kick(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_set_vring_call() - SET_VRING_CALL: what the driver is woken by
 * @c:   the front end
 * @idx: ring, 0 to 255
 * @fd:  eventfd, borrowed for the call; -1: none, the driver polls
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_call(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_set_vring_err() - SET_VRING_ERR: what tells that a ring broke
 * @c:   the front end
 * @idx: ring, 0 to 255
 * @fd:  eventfd, borrowed for the call; -1: none
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_err(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_set_vring_enable() - SET_VRING_ENABLE: let a ring work, or pause it
 * @c:   the front end
 * @idx: ring, 0 to 65,535
 * @on:  true: it works
 *
 * Needs VHK_F_PROTOCOL_FEATURES, or vDPA.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_enable(struct vhk_ctl *c, unsigned int idx, bool on);

/**
 * vhk_ctl_set_vring_endian() - SET_VRING_ENDIAN: byte order of a legacy ring
 * @c:   the front end
 * @idx: ring, 0 to 65,535
 * @big: true: big endian
 *
 * vhost-user: needs VHK_PF_CROSS_ENDIAN. Kernel vhost: where the kernel was built for it.
 * Return: 0; -EBUSY the ring runs; or a code as above.
 */
VHK_API int vhk_ctl_set_vring_endian(struct vhk_ctl *c, unsigned int idx, bool big);

/**
 * vhk_ctl_get_inflight_fd() - GET_INFLIGHT_FD: have a region made that survives the back end
 * @c:  the front end
 * @i:  n_queues and queue_size are arguments, size and offset answers
 * @fd: its file, the caller's to close; -1 on failure
 *
 * Needs VHK_PF_INFLIGHT_SHMFD.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_inflight_fd(struct vhk_ctl *c, struct vhk_ctl_inflight *i, int *fd);

/**
 * vhk_ctl_set_inflight_fd() - SET_INFLIGHT_FD: hand such a region to a back end, before any ring
 * starts
 * @c:  the front end
 * @i:  as vhk_ctl_get_inflight_fd() left it; borrowed for the call
 * @fd: its file; borrowed for the call
 *
 * Needs VHK_PF_INFLIGHT_SHMFD.
 * Return: 0; -EINVAL the region is of size 0 or wraps around; or a code as above.
 */
VHK_API int vhk_ctl_set_inflight_fd(struct vhk_ctl *c, const struct vhk_ctl_inflight *i, int fd);

/**
 * vhk_ctl_get_vring_base_skip_drain() - GET_VRING_BASE_SKIP_DRAIN: stop a ring without waiting for
 * its requests
 * @c:    the front end
 * @idx:  ring, 0 to 255
 * @base: as from vhk_ctl_get_vring_base()
 *
 * What was not answered is in the inflight region, for whichever back end goes on with it. Needs
 * VHK_PF_GET_VRING_BASE_SKIP_DRAIN.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_base_skip_drain(struct vhk_ctl *c, unsigned int idx, uint32_t *base);

/**
 * vhk_ctl_vring_kick() - VRING_KICK: tell the back end of work by a message; starts the ring
 * @c:   the front end
 * @idx: ring, 0 to 65,535
 *
 * Needs VHK_PF_INBAND_NOTIFICATIONS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_vring_kick(struct vhk_ctl *c, unsigned int idx);

#ifdef __cplusplus
}
#endif

#endif
