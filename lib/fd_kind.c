// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Asks the kernel what a file descriptor is: the type of its inode, and for those that share a type
 * the name under /proc.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"
#include "fd_kind.h"

static const struct {
	const char *start;
	enum vhk_trace_fd_kind kind;
} names[] = {
	{ "anon_inode:[eventfd]", VHK_TRACE_FD_EVENTFD },
	{ "anon_inode:[userfaultfd]", VHK_TRACE_FD_UFFD },
	{ "/memfd:", VHK_TRACE_FD_MEMFD },
};

static enum vhk_trace_fd_kind kind_by_name(int fd, enum vhk_trace_fd_kind otherwise)
{
	char path[32], name[64] = "";
	size_t i;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, name, sizeof(name) - 1) < 0)
		return otherwise;
	for (i = 0; i < vhk_array_size(names); i++)
		if (!strncmp(name, names[i].start, strlen(names[i].start)))
			return names[i].kind;
	return otherwise;
}

struct vhk_trace_fd vhk_fd_kind(int fd)
{
	struct vhk_trace_fd out = { .kind = VHK_TRACE_FD_OTHER };
	struct stat st;

	if (fstat(fd, &st))
		return out;
	switch (st.st_mode & S_IFMT) {
	case 0: /* an anonymous inode */
		out.kind = kind_by_name(fd, VHK_TRACE_FD_OTHER);
		break;
	case S_IFREG:
		out.kind = kind_by_name(fd, VHK_TRACE_FD_FILE);
		out.size = (uint64_t)st.st_size;
		break;
	case S_IFSOCK:
		out.kind = VHK_TRACE_FD_SOCKET;
		break;
	case S_IFIFO:
		out.kind = VHK_TRACE_FD_PIPE;
		break;
	case S_IFCHR:
	case S_IFBLK:
		out.kind = VHK_TRACE_FD_DEVICE;
		break;
	}
	return out;
}
