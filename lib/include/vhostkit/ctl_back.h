/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a back end asks of the front end (vhost-user, "Back-end message types"), as functions of the
 * application. They run from within whatever talks to the back end (vhk_ctl_process(), any function
 * that waits), may submit requests, and may neither wait nor close. A request whose function is
 * absent is refused. What a back end was granted is taken back, by the same functions, when its
 * channel is gone.
 */
#ifndef VHOSTKIT_CTL_BACK_H
#define VHOSTKIT_CTL_BACK_H

#include <vhostkit/share.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct vhk_ctl_back - how the back end's requests are served
 * @sz:            sizeof(struct vhk_ctl_back)
 * @call:          BACKEND_VRING_CALL: the device used buffers of ring @idx. Queues that
 *                 vhk_ctl_start() knows are woken without it
 * @error:         BACKEND_VRING_ERR: the device gave ring @idx up; likewise
 * @host_notifier: BACKEND_VRING_HOST_NOTIFIER_MSG: kicks of ring @idx go to the page at @offset of
 *                 @fd, of @size bytes, from here on; @fd is the callee's, -1: to the kick fd again.
 *                 Both are multiples of 4096, @size is not 0, and that piece of @fd can be mapped
 *                 to be written
 * @object_add:    BACKEND_SHARED_OBJECT_ADD: the back end has object @id to offer. Not twice
 *                 without @object_remove between; more than 1,024 at a time are refused
 * @object_remove: BACKEND_SHARED_OBJECT_REMOVE: it offers @id no more; it did
 * @object_lookup: BACKEND_SHARED_OBJECT_LOOKUP: the file of object @id, whoever offers it, into
 *                 *@fd: the caller's from then on
 * @shmem_map:     BACKEND_SHMEM_MAP: show the guest a piece of @fd, which is the callee's. It
 *                 overlaps no other, and is inside the region as vhk_ctl_get_shmem_config() said;
 *                 @fd is as long as that asks for, where it is a file. More than 1,024 pieces at a
 *                 time are refused
 * @shmem_unmap:   BACKEND_SHMEM_UNMAP: the guest sees that piece no more; it did. Also after a
 *                 reset
 *
 * @idx is a ring that there is: below what vhk_ctl_get_queue_num() told, or, where that was not
 * asked, no higher than any ring that a request of the front end was about. Others are refused.
 * What is mapped of a file of the back end's is so only until the back end makes it shorter, or is
 * a file system of its own that fails: whoever reads or writes there has a SIGBUS to handle.
 * @arg is that of struct vhk_ctl_opts. Those that return something: 0, or a negative code, which
 * refuses.
 */
struct vhk_ctl_back {
	size_t sz;
	void (*call)(void *arg, unsigned int idx);
	void (*error)(void *arg, unsigned int idx);
	int (*host_notifier)(void *arg, unsigned int idx, int fd, uint64_t offset, uint64_t size);
	int (*object_add)(void *arg, const struct vhk_uuid *id);
	void (*object_remove)(void *arg, const struct vhk_uuid *id);
	int (*object_lookup)(void *arg, const struct vhk_uuid *id, int *fd);
	int (*shmem_map)(void *arg, const struct vhk_shmem_map *m, int fd);
	void (*shmem_unmap)(void *arg, const struct vhk_shmem_map *m);
};

#ifdef __cplusplus
}
#endif

#endif
