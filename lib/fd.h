/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * File descriptors that may be absent: -1.
 */
#ifndef VHK_LIB_FD_H
#define VHK_LIB_FD_H

#include <unistd.h>

static inline void vhk_fd_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

#endif
