// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Moving a device's state through an fd of the peer's without waiting.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base.h"
#include "fd.h"
#include "notify.h"
#include "state_fd.h"

/* O_NONBLOCK belongs to the open file, which the peer shares, and may take away again: a pipe is
 * opened once more where that can be done, else each call says that it must not wait. */
static int own_pipe(struct vhk_state_fd *s, int fd, int access)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, access | O_NONBLOCK | O_CLOEXEC);
	if (own < 0) {
		s->rwf = RWF_NOWAIT;
		return fd;
	}
	close(fd);
	return own;
}

int vhk_state_fd_init_take_fd(struct vhk_state_fd *s, int fd, bool writes)
{
	const int access = writes ? O_WRONLY : O_RDONLY, flags = fcntl(fd, F_GETFL);
	struct stat st;

	*s = (struct vhk_state_fd){ .fd = -1 };
	if (flags < 0 || fstat(fd, &st) || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)) ||
	    ((flags & O_ACCMODE) != access && (flags & O_ACCMODE) != O_RDWR)) {
		close(fd);
		return -EINVAL;
	}
	s->sock = S_ISSOCK(st.st_mode);
	s->fd = s->sock ? fd : own_pipe(s, fd, access);
	return 0;
}

void vhk_state_fd_fini(struct vhk_state_fd *s)
{
	vhk_fd_close(s->fd);
	s->fd = -1;
}

ssize_t vhk_state_fd_read(const struct vhk_state_fd *s, void *buf, size_t len)
{
	const struct iovec iov = { buf, len };
	ssize_t n = s->sock ? recv(s->fd, buf, len, MSG_DONTWAIT)
			    : preadv2(s->fd, &iov, 1, -1, s->rwf);

	return n < 0 ? -errno : n;
}

ssize_t vhk_state_fd_write(const struct vhk_state_fd *s, const void *buf, size_t len)
{
	ssize_t n;

	if (!s->sock)
		return vhk_notify_write_pipe(s->fd, buf, len, s->rwf);
	n = send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}
