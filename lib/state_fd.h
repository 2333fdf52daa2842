/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One end of the pipe, or socket, that a device's state goes through. The peer made it or has the
 * other end, and may share the open file: no call waits, whatever is done to its flags.
 */
#ifndef VHK_LIB_STATE_FD_H
#define VHK_LIB_STATE_FD_H

#include <stdbool.h>
#include <sys/types.h>

struct vhk_state_fd {
	int fd; /* -1: none */
	bool sock;
	int rwf; /* of a pipe: what keeps it from waiting, where its flags cannot */
};

/* Owns @fd, closed on failure. @writes: bytes go into it. -EINVAL: nothing that state can be moved
 * through in that direction. */
int vhk_state_fd_init_take_fd(struct vhk_state_fd *s, int fd, bool writes);
void vhk_state_fd_fini(struct vhk_state_fd *s);
/* Bytes, 0 at the end, -EAGAIN, -EINTR, or -errno. */
ssize_t vhk_state_fd_read(const struct vhk_state_fd *s, void *buf, size_t len);
/* Bytes, -EAGAIN, -EINTR, -EPIPE, or -errno. Raises no signal. */
ssize_t vhk_state_fd_write(const struct vhk_state_fd *s, const void *buf, size_t len);

#endif
