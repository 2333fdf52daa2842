/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a device asks of the front end (vhost-user, "Back-end message types"). The front end must
 * have opened the back-end channel, and the protocol feature that belongs to the question must be
 * negotiated. All of it is the control thread's.
 *
 * Codes that each function here may return, beside those of its own:
 *   -ENOTCONN    nobody serves the device, or there is no back-end channel
 *   -EOPNOTSUPP  not negotiated, or the door does not know it
 *   -EINVAL      an argument is out of range; nothing was sent
 *   -ENOBUFS     the front end has not answered too many questions
 *   -ENOMEM
 */
#ifndef VHOSTKIT_DEVICE_ASK_H
#define VHOSTKIT_DEVICE_ASK_H

#include <vhostkit/device.h>
#include <vhostkit/share.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef vhk_asked_fn - the front end's answer
 * @arg: the asker's own
 * @ret: 0; -EREMOTEIO: it refuses; -EPROTO: the answer makes no sense; -ENOTCONN: it is gone
 * @fd:  vhk_device_lookup_object(): the callee's; -1 otherwise
 *
 * Control thread; once, and perhaps before the question's function returns: where nothing is
 * acknowledged (REPLY_ACK was not negotiated) a question that was sent counts as granted.
 */
typedef void vhk_asked_fn(void *arg, int ret, int fd);

/**
 * vhk_device_lend_notifier() - let the guest's kicks of a queue go straight to a page of ours
 * (VHOST_USER_BACKEND_VRING_HOST_NOTIFIER_MSG)
 * @d:      the device; its info has VHK_DEVICE_F_NOTIFIER
 * @queue:  0 to n_queues - 1
 * @fd:     the file of the page, borrowed for the call; -1: take the page back
 * @offset: where it starts in the file, bytes
 * @size:   bytes, the host's page size as a rule
 * @done:   hears the answer; NULL: none is asked for
 * @arg:    handed to @done
 *
 * Return: 0: @done will be called or was; or a code as above.
 */
VHK_API int vhk_device_lend_notifier(struct vhk_device *d, unsigned int queue, int fd,
				     uint64_t offset, uint64_t size, vhk_asked_fn *done, void *arg);

/**
 * vhk_device_map_shmem() - show the guest a piece of a file (VHOST_USER_BACKEND_SHMEM_MAP)
 * @d:    the device; it has ops.get_shmem
 * @m:    which piece, and where; borrowed for the call
 * @fd:   the file, borrowed for the call
 * @done: hears the answer; NULL: none is asked for
 * @arg:  handed to @done
 *
 * The front end refuses a piece that overlaps another one. All are gone after a reset and when the
 * session ends.
 *
 * Return: 0: @done will be called or was; or a code as above.
 */
VHK_API int vhk_device_map_shmem(struct vhk_device *d, const struct vhk_shmem_map *m, int fd,
				 vhk_asked_fn *done, void *arg);

/**
 * vhk_device_unmap_shmem() - take a piece away (VHOST_USER_BACKEND_SHMEM_UNMAP)
 * @d:    the device
 * @m:    the whole of what was mapped; fd_offset is 0. Borrowed for the call
 * @done: hears the answer; NULL: none is asked for
 * @arg:  handed to @done
 *
 * Return: 0: @done will be called or was; or a code as above.
 */
VHK_API int vhk_device_unmap_shmem(struct vhk_device *d, const struct vhk_shmem_map *m,
				   vhk_asked_fn *done, void *arg);

/**
 * vhk_device_add_object() - others may ask for an object of ours
 * (VHOST_USER_BACKEND_SHARED_OBJECT_ADD)
 * @d:    the device; it has ops.get_object, which is asked for the file
 * @id:   its name; borrowed for the call
 * @done: hears the answer; NULL: none is asked for
 * @arg:  handed to @done
 *
 * Return: 0: @done will be called or was; or a code as above.
 */
VHK_API int vhk_device_add_object(struct vhk_device *d, const struct vhk_uuid *id,
				  vhk_asked_fn *done, void *arg);

/**
 * vhk_device_remove_object() - an object of ours is gone (VHOST_USER_BACKEND_SHARED_OBJECT_REMOVE)
 * @d:    the device that added it
 * @id:   its name; borrowed for the call
 * @done: hears the answer; NULL: none is asked for
 * @arg:  handed to @done
 *
 * Return: 0: @done will be called or was; or a code as above.
 */
VHK_API int vhk_device_remove_object(struct vhk_device *d, const struct vhk_uuid *id,
				     vhk_asked_fn *done, void *arg);

/**
 * vhk_device_lookup_object() - get the file of somebody's object
 * (VHOST_USER_BACKEND_SHARED_OBJECT_LOOKUP)
 * @d:    the device; it has ops.get_object
 * @id:   its name; borrowed for the call
 * @done: gets the file; needed
 * @arg:  handed to @done
 *
 * Return: 0: @done will be called; or a code as above.
 */
VHK_API int vhk_device_lookup_object(struct vhk_device *d, const struct vhk_uuid *id,
				     vhk_asked_fn *done, void *arg);

#ifdef __cplusplus
}
#endif

#endif
