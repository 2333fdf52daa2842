/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only door to VDUSE: /dev/vduse/control, /dev/vduse/NAME, their ioctls and their messages.
 * Everything returns 0 or -errno unless it says so.
 */
#ifndef VHK_LIB_VDUSE_KERNEL_H
#define VHK_LIB_VDUSE_KERNEL_H

#include <linux/vduse.h>
#include <stddef.h>
#include <stdint.h>

/* The newest API spoken here. The kernel's header may be older: what it lacks has names of our own,
 * and stands where newer ones have it. */
#define VHK_VDUSE_API 1

/* What a newer kernel is asked for; each adds a request. */
#define VHK_VDUSE_F_QUEUE_READY (1ull << 0)
#define VHK_VDUSE_F_SUSPEND (1ull << 1)

#define VHK_VDUSE_SET_GROUP_ASID 3u
#define VHK_VDUSE_SET_QUEUE_READY 4u
#define VHK_VDUSE_SUSPEND 5u

/* Where a request has its numbers (struct vduse_dev_request, padding). */
#define VHK_VDUSE_ASID_GROUP 0
#define VHK_VDUSE_ASID_ASID 1
#define VHK_VDUSE_READY_QUEUE 0
#define VHK_VDUSE_READY_ON 1
#define VHK_VDUSE_IOTLB_ASID 4

/* Descriptors, or -errno. -ENOENT: there is no such device, or no VDUSE. */
int vhk_vduse_open_control(void);
/* -EBUSY: another file of it is open. Not blocking. */
int vhk_vduse_open_device(const char *name);

/* What both speak: at most VHK_VDUSE_API, and of @features (in and out) what the kernel has. */
int vhk_vduse_negotiate(int control, uint64_t *api, uint64_t *features);
/* @c with its configuration space behind it. -EEXIST: the name is taken. */
int vhk_vduse_create(int control, const struct vduse_dev_config *c);
/* -EBUSY: it is attached, or open; -EINVAL: there is none. */
int vhk_vduse_destroy_device(int control, const char *name);

int vhk_vduse_setup_queue(int fd, uint32_t idx, uint16_t max_size);
/* @info->index says which. */
int vhk_vduse_queue_info(int fd, struct vduse_vq_info *info);
/* @kick -1: none. */
int vhk_vduse_set_kick(int fd, uint32_t idx, int kick);
int vhk_vduse_features(int fd, uint64_t *features);
int vhk_vduse_set_config(int fd, uint32_t off, const void *buf, uint32_t len);
/* Interrupts; -EINVAL: the driver has not set DRIVER_OK. Any thread. */
int vhk_vduse_inject_config(int fd);
int vhk_vduse_inject(int fd, uint32_t idx);
/*
 * The first region that overlaps [e->start, e->last], and the file it is mapped from: the
 * descriptor, CLOEXEC. -ENOENT: there is none.
 */
int vhk_vduse_find_region(int fd, struct vduse_iotlb_entry *e);

/* -EAGAIN: no request. */
int vhk_vduse_read(int fd, struct vduse_dev_request *req);
/* -ENOENT: nobody waits for it any more. */
int vhk_vduse_write(int fd, const struct vduse_dev_response *resp);

/* A fresh eventfd for kicks. */
int vhk_vduse_new_kick(void);
/* Takes what was signalled; whether anything was. */
int vhk_vduse_take_kick(int kick);

#endif
