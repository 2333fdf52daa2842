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
#include "state_fd.h"

#define PIECE 65536u

/*
 * Our end of a pipe. Ends are open files of their own: this one never waits, and the back end's is
 * as a pipe is, since one that simply reads takes -EAGAIN for a failure.
 */
static int own_end(struct vhk_state_fd *out, int fd)
{
	const int ret = fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;

	*out = (struct vhk_state_fd){ .fd = fd };
	if (ret)
		vhk_state_fd_fini(out);
	return ret;
}

/* The back end's own fd in the place of the pipe. Owns @fd. */
static int lent_end(struct vhk_ctl *c, struct vhk_state_fd *out, int fd, bool writes)
{
	if (!vhk_state_fd_init_take_fd(out, fd, writes))
		return 0;
	vhk_log(&c->log, VHK_LOG_WARN, "SET_DEVICE_STATE_FD: the back end's fd is no pipe to %s",
		writes ? "write to" : "read from");
	return -EPROTO;
}

static int state_open(struct vhk_ctl *c, enum vhk_ctl_state way, struct vhk_state_fd *out)
{
	const bool writes = way == VHK_CTL_STATE_LOAD;
	int fd[2], lent, ret;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	ret = vhk_ctl_set_device_state_fd(c, way, fd[!writes], &lent);
	close(fd[!writes]);
	if (!ret && lent < 0)
		return own_end(out, fd[writes]);
	close(fd[writes]);
	return ret ? ret : lent_end(c, out, lent, writes);
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

/* @ret of moving, and what the back end says of it. Owns @io. */
static int state_close(struct vhk_ctl *c, struct vhk_state_fd *io, int ret)
{
	int verdict;

	vhk_state_fd_fini(io);
	if (ret == -ENOTCONN || ret == -EPROTO)
		return ret;
	/* asked in any case: the transfer is over for the back end, too, when it has answered */
	verdict = vhk_ctl_check_device_state(c);
	return ret ? ret : verdict;
}

/* Through a pipe whose other end, or the whole of it, is the back end's: what goes wrong is its. */
static int move_failed(struct vhk_ctl *c, const char *what, ssize_t err)
{
	vhk_log(&c->log, VHK_LOG_WARN, "the back end's state cannot be %s: %s", what,
		strerror((int)-err));
	return -EREMOTEIO;
}

static int save_bytes(struct vhk_ctl *c, const struct vhk_state_fd *io, vhk_ctl_put_fn *put,
		      void *arg)
{
	unsigned char buf[PIECE];
	ssize_t n;
	int ret;

	for (;;) {
		n = vhk_state_fd_read(io, buf, sizeof(buf));
		if (!n)
			return 0;
		ret = n > 0 ? put(arg, buf, (size_t)n) : 0;
		if (n == -EAGAIN)
			ret = state_wait(c, io->fd, POLLIN);
		else if (n < 0 && n != -EINTR)
			ret = move_failed(c, "read", n);
		if (ret < 0)
			return ret;
	}
}

/* 1: it reads no further. */
static int write_all(struct vhk_ctl *c, const struct vhk_state_fd *io, const unsigned char *buf,
		     size_t len)
{
	ssize_t n;
	int ret;

	while (len) {
		n = vhk_state_fd_write(io, buf, len);
		ret = n == -EAGAIN ? state_wait(c, io->fd, POLLOUT) : n == -EPIPE;
		if (n < 0 && n != -EAGAIN && n != -EINTR && n != -EPIPE)
			ret = move_failed(c, "written", n);
		if (ret)
			return ret;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int load_bytes(struct vhk_ctl *c, const struct vhk_state_fd *io, vhk_ctl_get_fn *get,
		      void *arg)
{
	unsigned char buf[PIECE];
	ssize_t n;
	int ret;

	for (;;) {
		n = get(arg, buf, sizeof(buf));
		if (n <= 0)
			return (int)n;
		ret = (size_t)n > sizeof(buf) ? -EINVAL : write_all(c, io, buf, (size_t)n);
		/* a back end that closes the pipe says why when it is asked */
		if (ret)
			return vhk_min(ret, 0);
	}
}

int vhk_ctl_save_state(struct vhk_ctl *c, vhk_ctl_put_fn *put, void *arg)
{
	struct vhk_state_fd io;
	int ret;

	if (c->busy || c->job)
		return -EBUSY;
	ret = state_open(c, VHK_CTL_STATE_SAVE, &io);
	return ret ? ret : state_close(c, &io, save_bytes(c, &io, put, arg));
}

int vhk_ctl_load_state(struct vhk_ctl *c, vhk_ctl_get_fn *get, void *arg)
{
	struct vhk_state_fd io;
	int ret;

	if (c->busy || c->job)
		return -EBUSY;
	ret = state_open(c, VHK_CTL_STATE_LOAD, &io);
	return ret ? ret : state_close(c, &io, load_bytes(c, &io, get, arg));
}
