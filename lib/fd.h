/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * File descriptors that may be absent: -1.
 */
#ifndef VHK_LIB_FD_H
#define VHK_LIB_FD_H

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static inline void vhk_fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Another one for the same file, or -1 for -1, into *out. 0 or -errno. */
static inline int vhk_fd_duplicate(int *out, int fd)
{
	*out = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd >= 0 && *out < 0 ? -errno : 0;
}

#endif
