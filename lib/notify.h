/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Signalling a file descriptor that a peer handed over: an eventfd, or a pipe or socket in its
 * place. The peer is hostile, so the signal neither waits, nor raises SIGPIPE, nor writes into a
 * file.
 */
#ifndef VHK_LIB_NOTIFY_H
#define VHK_LIB_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum vhk_notify_kind {
	VHK_NOTIFY_NONE,
	VHK_NOTIFY_EVENTFD,
	VHK_NOTIFY_SOCKET,
	VHK_NOTIFY_PIPE,
	VHK_NOTIFY_VDUSE, /* an interrupt of a queue, through the device's file */
};

struct vhk_notify {
	int fd; /* -1: none */
	enum vhk_notify_kind kind;
	uint32_t queue; /* VHK_NOTIFY_VDUSE */
};

/*
 * Looks at what @fd is and makes it non-blocking. Owns @fd, closed on failure. -1: none. -EINVAL:
 * not a thing to signal.
 */
int vhk_notify_init_take_fd(struct vhk_notify *n, int fd);
/* Interrupts of @queue of the VDUSE device that @fd is; owns @fd. */
void vhk_notify_init_vduse_take_fd(struct vhk_notify *n, int fd, uint32_t queue);
void vhk_notify_fini(struct vhk_notify *n);
/*
 * Signals; what cannot be delivered because a signal is pending already is delivered. How many
 * system calls that took.
 */
unsigned int vhk_notify_send(const struct vhk_notify *n);
/* pwritev2(2) without the signal of a pipe that has no reader; @rwf: RWF_*. Bytes or -errno. */
ssize_t vhk_notify_write_pipe(int fd, const void *buf, size_t len, int rwf);

#endif
