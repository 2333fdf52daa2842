/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a file descriptor of somebody else's is, for showing.
 */
#ifndef VHK_LIB_FD_KIND_H
#define VHK_LIB_FD_KIND_H

#include <vhostkit/trace.h>

struct vhk_trace_fd vhk_fd_kind(int fd);

#endif
