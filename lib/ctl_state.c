// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Level 2 of the front end, for migration: the device's state out of a back end, or into one,
 * through a pipe that is made for it. Waits for whichever of pipe and connection has news, never
 * longer than the front end's deadline without any.
 */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "ctl_impl.h"
#include "fd.h"
#include "notify.h"

#define PIECE 65536u

/* The pipe's own end that this side uses; the peer has the other one. */
static int state_open(struct vhk_ctl *c, enum vhk_ctl_state way, int *out)
{
	int fd[2], ours, theirs, own, ret;

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	ours = way == VHK_CTL_STATE_SAVE ? fd[0] : fd[1];
	theirs = way == VHK_CTL_STATE_SAVE ? fd[1] : fd[0];
	ret = vhk_ctl_set_device_state_fd(c, way, theirs, &own);
	close(theirs);
	if (!ret && own >= 0) {
		close(ours);
		ours = own;
		if (fcntl(own, F_SETFL, O_NONBLOCK))
			ret = -errno;
	}
	if (ret) {
		close(ours);
		return ret;
	}
	*out = ours;
	return 0;
}

/* 0: the pipe has news. */
static int state_wait(struct vhk_ctl *c, int fd, short events)
{
	uint64_t now, end = vhk_ctl_deadline(c, 0);
	struct pollfd p[2] = { { .fd = fd, .events = events },
			       { .fd = vhk_ctl_fd(c), .events = POLLIN } };
	int ret;

	while ((now = vhk_now_ns()) < end) {
		ret = poll(p, 2, (int)((end - now) / 1000000) + 1);
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (ret > 0 && p[0].revents)
			return 0;
		if (ret > 0) {
			ret = vhk_ctl_process(c);
			if (ret)
				return ret;
		}
	}
	return -ETIMEDOUT;
}

/* @ret of moving, and what the back end says of it. Owns @fd. */
static int state_close(struct vhk_ctl *c, int fd, int ret)
{
	close(fd);
	if (ret == -ENOTCONN || ret == -EPROTO)
		return ret;
	/* asked in any case: the transfer is over for the back end, too, when it has answered */
	fd = vhk_ctl_check_device_state(c);
	return ret ? ret : fd;
}

static int save_bytes(struct vhk_ctl *c, int fd, vhk_ctl_put_fn *put, void *arg)
{
	unsigned char buf[PIECE];
	ssize_t n;
	int ret;

	for (;;) {
		n = read(fd, buf, sizeof(buf));
		if (!n)
			return 0;
		ret = n > 0 ? put(arg, buf, (size_t)n) : 0;
		if (n < 0 && errno == EAGAIN)
			ret = state_wait(c, fd, POLLIN);
		else if (n < 0 && errno != EINTR)
			ret = -errno;
		if (ret < 0)
			return ret;
	}
}

static int write_all(struct vhk_ctl *c, int fd, const unsigned char *buf, size_t len)
{
	ssize_t n;
	int ret;

	while (len) {
		n = vhk_notify_write_pipe(fd, buf, len, 0);
		ret = n == -EAGAIN ? state_wait(c, fd, POLLOUT) : 0;
		if (n < 0 && n != -EAGAIN && n != -EINTR)
			ret = (int)n;
		if (ret)
			return ret;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int load_bytes(struct vhk_ctl *c, int fd, vhk_ctl_get_fn *get, void *arg)
{
	unsigned char buf[PIECE];
	ssize_t n;
	int ret;

	for (;;) {
		n = get(arg, buf, sizeof(buf));
		if (n <= 0)
			return (int)n;
		ret = (size_t)n > sizeof(buf) ? -EINVAL : write_all(c, fd, buf, (size_t)n);
		/* a back end that closes the pipe says why when it is asked */
		if (ret)
			return ret == -EPIPE ? 0 : ret;
	}
}

int vhk_ctl_save_state(struct vhk_ctl *c, vhk_ctl_put_fn *put, void *arg)
{
	int fd, ret;

	if (c->busy || c->job)
		return -EBUSY;
	ret = state_open(c, VHK_CTL_STATE_SAVE, &fd);
	return ret ? ret : state_close(c, fd, save_bytes(c, fd, put, arg));
}

int vhk_ctl_load_state(struct vhk_ctl *c, vhk_ctl_get_fn *get, void *arg)
{
	int fd, ret;

	if (c->busy || c->job)
		return -EBUSY;
	ret = state_open(c, VHK_CTL_STATE_LOAD, &fd);
	return ret ? ret : state_close(c, fd, load_bytes(c, fd, get, arg));
}
