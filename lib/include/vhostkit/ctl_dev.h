/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What both ends settle on, the device's status, configuration and state, and what means something
 * to some types of devices only. Level 1: one function for each message. "A code as above" is one
 * of those that open vhostkit/ctl.h, which includes this.
 */
#ifndef VHOSTKIT_CTL_DEV_H
#define VHOSTKIT_CTL_DEV_H

#include <vhostkit/ctl_msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * vhk_ctl_get_features() - GET_FEATURES: what the back end offers
 * @c:   the front end
 * @out: feature bits, a mask: VHK_F_* and those of the device; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_features(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_set_features() - SET_FEATURES: what the driver took
 * @c:        the front end
 * @features: a mask, out of what was offered
 *
 * Return: 0; -EINVAL a bit was not offered; or a code as above.
 */
VHK_API int vhk_ctl_set_features(struct vhk_ctl *c, uint64_t features);

/**
 * vhk_ctl_get_protocol_features() - GET_PROTOCOL_FEATURES: what of the protocol the back end knows
 * @c:   the front end
 * @out: VHK_PF_*, a mask
 *
 * Return: 0; -EOPNOTSUPP VHK_F_PROTOCOL_FEATURES was not offered; or a code as above.
 */
VHK_API int vhk_ctl_get_protocol_features(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_set_protocol_features() - SET_PROTOCOL_FEATURES: what of the protocol will be used
 * @c:        the front end
 * @features: VHK_PF_*, a mask, out of what was offered
 *
 * Return: 0; -EINVAL a bit was not offered, or lacks another one that it needs; -EOPNOTSUPP as for
 * the question; or a code as above.
 */
VHK_API int vhk_ctl_set_protocol_features(struct vhk_ctl *c, uint64_t features);

/**
 * vhk_ctl_set_owner() - SET_OWNER: claim the back end
 * @c: the front end
 *
 * Return: 0; -EBUSY it is ours already (vhk_ctl_setup() claims it, too); or a code as above.
 */
VHK_API int vhk_ctl_set_owner(struct vhk_ctl *c);

/**
 * vhk_ctl_reset_owner() - RESET_OWNER: deprecated by the specification, which has RESET_DEVICE
 * instead
 * @c: the front end
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_reset_owner(struct vhk_ctl *c);

/**
 * vhk_ctl_reset_device() - RESET_DEVICE: stop all rings and forget their state
 * @c: the front end
 *
 * Needs VHK_PF_RESET_DEVICE.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_reset_device(struct vhk_ctl *c);

/**
 * vhk_ctl_get_status() - GET_STATUS: the device status (virtio 1.3, 2.1)
 * @c:   the front end
 * @out: VIRTIO_CONFIG_S_*, a mask
 *
 * Needs VHK_PF_STATUS, or vDPA.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_status(struct vhk_ctl *c, uint8_t *out);

/**
 * vhk_ctl_set_status() - SET_STATUS: the device status (virtio 1.3, 2.1)
 * @c:      the front end
 * @status: VIRTIO_CONFIG_S_*, a mask; 0 resets the device
 *
 * Needs VHK_PF_STATUS, or vDPA.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_status(struct vhk_ctl *c, uint8_t status);

/**
 * vhk_ctl_get_queue_num() - GET_QUEUE_NUM: how many queues there are
 * @c:   the front end
 * @out: their number, as the back end says it
 *
 * Needs VHK_PF_MQ, or vDPA.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_queue_num(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_get_config() - GET_CONFIG: read the configuration space (virtio 1.3, 2.5)
 * @c:   the front end
 * @off: bytes from its start
 * @buf: @len bytes, the caller's; filled in on success only
 * @len: bytes, not 0. vhost-user: @off + @len is at most 256
 *
 * Needs VHK_PF_CONFIG, or vDPA. What lies beyond the end of the device's space is for the back end
 * to decide: ours answers zeros where @off is inside, and refuses otherwise; others refuse both.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_config(struct vhk_ctl *c, uint32_t off, void *buf, uint32_t len);

/**
 * vhk_ctl_set_config() - SET_CONFIG: write the configuration space (virtio 1.3, 2.5)
 * @c:     the front end
 * @off:   bytes from its start
 * @buf:   @len bytes; borrowed for the call
 * @len:   bytes, not 0. vhost-user: @off + @len is at most 256
 * @flags: VHK_CTL_CONFIG_F_*; 0 for vDPA
 *
 * Needs VHK_PF_CONFIG, or vDPA. All of it has to be inside the device's space.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_config(struct vhk_ctl *c, uint32_t off, const void *buf, uint32_t len,
			       uint32_t flags);

/**
 * vhk_ctl_set_backend_req_fd() - SET_BACKEND_REQ_FD: let the back end ask, too
 * @c: the front end
 *
 * Makes a pair of sockets and keeps one; requests are answered by vhk_ctl_process() and by whatever
 * waits. Needs VHK_PF_BACKEND_REQ.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_backend_req_fd(struct vhk_ctl *c);

/**
 * vhk_ctl_set_device_state_fd() - SET_DEVICE_STATE_FD: begin to move the device's own state
 * @c:   the front end
 * @way: which way it goes
 * @fd:  a pipe's end: for writing to save, for reading to load; borrowed for the call. The state
 *       ends where the pipe is closed, so no other copy of that end may stay open
 * @own: an fd of the back end's to use in place of the pipe's other end, the caller's to close; -1:
 *       none
 *
 * All rings are stopped. Needs VHK_PF_DEVICE_STATE. vhk_ctl_save_state() and vhk_ctl_load_state()
 * do all of it.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_device_state_fd(struct vhk_ctl *c, enum vhk_ctl_state way, int fd,
					int *own);

/**
 * vhk_ctl_check_device_state() - CHECK_DEVICE_STATE: whether all of the state has arrived
 * @c: the front end
 *
 * After the end of the pipe was read, or it was closed. Needs VHK_PF_DEVICE_STATE.
 * Return: 0; -EREMOTEIO: the state is not to be used; or a code as above.
 */
VHK_API int vhk_ctl_check_device_state(struct vhk_ctl *c);

/**
 * vhk_ctl_send_rarp() - SEND_RARP: have the back end tell the network where the guest is
 * @c:   the front end
 * @mac: 6 bytes, the guest's address; borrowed for the call
 *
 * Needs VHK_PF_RARP. For guests that cannot announce themselves after a migration.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_send_rarp(struct vhk_ctl *c, const uint8_t mac[6]);

/**
 * vhk_ctl_net_set_mtu() - NET_SET_MTU: the host's MTU, as the guest is told
 * @c:   the front end
 * @mtu: bytes
 *
 * Needs VHK_PF_MTU.
 * Return: 0; -EREMOTEIO the back end cannot work with it, told with VHK_PF_REPLY_ACK only; or a
 * code as above.
 */
VHK_API int vhk_ctl_net_set_mtu(struct vhk_ctl *c, uint16_t mtu);

/**
 * vhk_ctl_create_crypto_session() - CREATE_CRYPTO_SESSION
 * @c:    the front end
 * @data: @len bytes that describe it, in the layout that both ends agreed on; replaced by the
 *        answer, which has the same length
 * @len:  bytes, 1 to 4096
 *
 * Needs VHK_PF_CRYPTO_SESSION. Whether the session was made, and its id, is in the answer.
 * Return: 0; -EPROTO the answer has another length; or a code as above.
 */
VHK_API int vhk_ctl_create_crypto_session(struct vhk_ctl *c, void *data, uint32_t len);

/**
 * vhk_ctl_close_crypto_session() - CLOSE_CRYPTO_SESSION
 * @c:  the front end
 * @id: of the session
 *
 * Needs VHK_PF_CRYPTO_SESSION.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_close_crypto_session(struct vhk_ctl *c, uint64_t id);

/**
 * vhk_ctl_gpu_set_socket() - GPU_SET_SOCKET: where a graphics device sends what it draws
 * @c:  the front end
 * @fd: a connected stream socket, borrowed for the call; its other end is for vhostkit/gpu.h
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_gpu_set_socket(struct vhk_ctl *c, int fd);

/**
 * vhk_ctl_get_shared_object() - GET_SHARED_OBJECT: the file of an object that the back end offers
 * @c:  the front end
 * @id: its name; borrowed for the call
 * @fd: the file, the caller's to close; -1 on failure
 *
 * Needs VHK_PF_SHARED_OBJECT.
 * Return: 0; -EREMOTEIO the back end has no such object; or a code as above.
 */
VHK_API int vhk_ctl_get_shared_object(struct vhk_ctl *c, const struct vhk_uuid *id, int *fd);

#ifdef __cplusplus
}
#endif

#endif
