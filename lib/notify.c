// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Signalling a peer's file descriptor, whatever it turns out to be.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base.h"
#include "fd.h"
#include "notify.h"
#include "vduse_kernel.h"

static enum vhk_notify_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return VHK_NOTIFY_NONE;
	switch (st.st_mode & S_IFMT) {
	case 0: /* an anonymous inode: what is not an eventfd refuses the write by itself */
		return VHK_NOTIFY_EVENTFD;
	case S_IFSOCK:
		return VHK_NOTIFY_SOCKET;
	case S_IFIFO:
		return VHK_NOTIFY_PIPE;
	default:
		return VHK_NOTIFY_NONE;
	}
}

int vhk_notify_init_take_fd(struct vhk_notify *n, int fd)
{
	int flags;

	n->fd = -1;
	n->kind = VHK_NOTIFY_NONE;
	if (fd < 0)
		return 0;
	n->kind = kind_of(fd);
	flags = fcntl(fd, F_GETFL);
	if (n->kind == VHK_NOTIFY_NONE || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		close(fd);
		return -EINVAL;
	}
	n->fd = fd;
	return 0;
}

void vhk_notify_init_vduse_take_fd(struct vhk_notify *n, int fd, uint32_t queue)
{
	*n = (struct vhk_notify){ .fd = fd, .kind = VHK_NOTIFY_VDUSE, .queue = queue };
}

void vhk_notify_fini(struct vhk_notify *n)
{
	vhk_fd_close(n->fd);
	n->fd = -1;
	n->kind = VHK_NOTIFY_NONE;
}

/* Static, since a pipe may keep a reference to its page. */
static const uint64_t one = 1;

/*
 * O_NONBLOCK belongs to the open file, which the peer shares: it may have taken the flag away and
 * filled the counter. Only a peer that does so between the two calls stops the thread that serves
 * it.
 */
static unsigned int send_eventfd(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t ignored;

	/* a counter at its end is a signal that is pending */
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return 1;
	ignored = write(fd, &one, sizeof(one));
	(void)ignored;
	return 2;
}

/*
 * A pipe that nobody reads raises SIGPIPE in the thread that writes: held back here, and taken
 * away.
 */
static void hold_sigpipe(sigset_t *pipe_set, sigset_t *old)
{
	sigemptyset(pipe_set);
	sigaddset(pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, pipe_set, old);
}

static void release_sigpipe(const sigset_t *pipe_set, const sigset_t *old, bool raised)
{
	static const struct timespec at_once;

	if (raised && !sigismember(old, SIGPIPE))
		sigtimedwait(pipe_set, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

static unsigned int send_pipe(int fd)
{
	struct iovec iov = { (void *)&one, sizeof(one) };
	sigset_t pipe_set, old;
	ssize_t n;

	hold_sigpipe(&pipe_set, &old);
	n = vmsplice(fd, &iov, 1, SPLICE_F_NONBLOCK);
	release_sigpipe(&pipe_set, &old, n < 0 && errno == EPIPE);
	return 3;
}

ssize_t vhk_notify_write_pipe(int fd, const void *buf, size_t len, int rwf)
{
	const struct iovec iov = { (void *)buf, len };
	sigset_t pipe_set, old;
	ssize_t n;

	hold_sigpipe(&pipe_set, &old);
	n = pwritev2(fd, &iov, 1, -1, rwf);
	n = n < 0 ? -errno : n;
	release_sigpipe(&pipe_set, &old, n == -EPIPE);
	return n;
}

unsigned int vhk_notify_send(const struct vhk_notify *n)
{
	ssize_t ignored;

	switch (n->kind) {
	case VHK_NOTIFY_EVENTFD:
		return send_eventfd(n->fd);
	case VHK_NOTIFY_SOCKET:
		ignored = send(n->fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)ignored;
		return 1;
	case VHK_NOTIFY_PIPE:
		return send_pipe(n->fd);
	case VHK_NOTIFY_VDUSE:
		vhk_vduse_inject(n->fd, n->queue);
		return 1;
	case VHK_NOTIFY_NONE:
		break;
	}
	return 0;
}
