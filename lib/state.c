// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device's state on its way through a pipe. The other end is the peer's: it may be slow, stop, or
 * hang up at any byte, and what it sends goes to the device as it comes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base.h"
#include "fd.h"
#include "notify.h"
#include "state.h"

#define PIECE 65536u
/* Pieces moved in one go, before others have their turn. */
#define BUDGET 16
#define STALL_NS 10000000000u

struct vhk_state {
	struct vhk_loop *loop;
	struct vhk_device *dev;
	int fd; /* -1: over */
	bool sock;
	int rwf; /* of a pipe: what keeps it from waiting, where its flags cannot */
	bool save;
	bool ended; /* the device has no more to save */
	uint64_t off; /* bytes that the device made or took */
	uint64_t moved; /* bytes through the fd */
	uint64_t seen; /* @moved when the timer was set */
	int timer;
	size_t at, n; /* what of buf is still to be written */
	vhk_state_fn *done;
	void *arg;
	unsigned char buf[PIECE];
};

static void state_stop(struct vhk_state *t)
{
	if (t->fd < 0)
		return;
	vhk_loop_del_fd(t->loop, t->fd);
	close(t->fd);
	t->fd = -1;
	if (t->timer > 0)
		vhk_loop_del_timer(t->loop, t->timer);
	t->timer = 0;
}

/* @t may be gone afterwards. */
static void state_end(struct vhk_state *t, int ret)
{
	state_stop(t);
	t->done(t->arg, ret);
}

static ssize_t fd_read(struct vhk_state *t)
{
	const struct iovec iov = { t->buf, sizeof(t->buf) };
	ssize_t n = t->sock ? recv(t->fd, t->buf, sizeof(t->buf), MSG_DONTWAIT)
			    : preadv2(t->fd, &iov, 1, -1, t->rwf);

	return n < 0 ? -errno : n;
}

static ssize_t fd_write(struct vhk_state *t)
{
	ssize_t n;

	if (!t->sock)
		return vhk_notify_write_pipe(t->fd, t->buf + t->at, t->n - t->at, t->rwf);
	n = send(t->fd, t->buf + t->at, t->n - t->at, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static int save_refill(struct vhk_state *t)
{
	ssize_t n = vhk_device_save(t->dev, t->off, t->buf, sizeof(t->buf));

	if (n < 0)
		return (int)n;
	if ((size_t)n > sizeof(t->buf))
		return -EINVAL;
	t->at = 0;
	t->n = (size_t)n;
	t->off += (uint64_t)n;
	t->ended = !n;
	return 0;
}

/* 1: that was all. */
static int save_piece(struct vhk_state *t)
{
	ssize_t n;
	int ret = t->at == t->n ? save_refill(t) : 0;

	if (ret || t->ended)
		return ret ? ret : 1;
	n = fd_write(t);
	if (n < 0)
		return (int)n;
	t->at += (size_t)n;
	t->moved += (uint64_t)n;
	return 0;
}

static int load_piece(struct vhk_state *t)
{
	ssize_t n = fd_read(t);
	int ret;

	if (n < 0)
		return (int)n;
	ret = vhk_device_load(t->dev, t->off, t->buf, (size_t)n);
	t->off += (uint64_t)n;
	t->moved += (uint64_t)n;
	return ret < 0 ? ret : !n;
}

static void state_event(void *arg, uint32_t events)
{
	struct vhk_state *t = arg;
	unsigned int i;
	int ret = 0;

	(void)events;
	for (i = 0; i < BUDGET && !ret; i++)
		ret = t->save ? save_piece(t) : load_piece(t);
	if (ret && ret != -EAGAIN && ret != -EINTR)
		state_end(t, vhk_min(ret, 0));
}

static void state_time(struct vhk_state *t);

static void state_stalled(void *arg)
{
	struct vhk_state *t = arg;

	t->timer = 0;
	if (t->moved == t->seen)
		state_end(t, -ETIMEDOUT);
	else
		state_time(t);
}

static void state_time(struct vhk_state *t)
{
	t->seen = t->moved;
	t->timer = vhk_loop_add_timer(t->loop, STALL_NS, state_stalled, t);
}

/* O_NONBLOCK belongs to the open file, which the peer shares, and may take away again: a pipe is
 * opened once more where that can be done, else each call says that it must not wait. */
static int own_pipe(struct vhk_state *t, int fd, int access)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, access | O_NONBLOCK | O_CLOEXEC);
	if (own < 0) {
		t->rwf = RWF_NOWAIT;
		return fd;
	}
	close(fd);
	return own;
}

/* Owns @fd. Return: one that can be moved through without waiting, or -EINVAL. */
static int look_at_fd(struct vhk_state *t, int fd)
{
	const int access = t->save ? O_WRONLY : O_RDONLY, flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)) ||
	    ((flags & O_ACCMODE) != access && (flags & O_ACCMODE) != O_RDWR)) {
		close(fd);
		return -EINVAL;
	}
	t->sock = S_ISSOCK(st.st_mode);
	return t->sock ? fd : own_pipe(t, fd, access);
}

int vhk_state_new_take_fd(struct vhk_state **out, struct vhk_loop *loop, struct vhk_device *d,
			  int fd, bool save, vhk_state_fn *done, void *arg)
{
	struct vhk_state *t = calloc(1, sizeof(*t));
	int ret;

	*out = NULL;
	if (!t) {
		close(fd);
		return -ENOMEM;
	}
	t->loop = loop;
	t->dev = d;
	t->save = save;
	t->done = done;
	t->arg = arg;
	t->fd = look_at_fd(t, fd);
	ret = vhk_min(t->fd, 0);
	if (!ret)
		ret = vhk_loop_add_fd(loop, t->fd, save ? EPOLLOUT : EPOLLIN, state_event, t);
	if (ret) {
		vhk_fd_close(t->fd);
		free(t);
		return ret;
	}
	state_time(t);
	*out = t;
	return 0;
}

void vhk_state_free(struct vhk_state *t)
{
	if (!t)
		return;
	state_stop(t);
	free(t);
}
