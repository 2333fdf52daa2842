// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device's state on its way through a pipe. The other end is the peer's: it may be slow, stop, or
 * hang up at any byte, and what it sends goes to the device as it comes.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "base.h"
#include "state.h"
#include "state_fd.h"

#define PIECE 65536u
/* Pieces moved in one go, before others have their turn. */
#define BUDGET 16
#define STALL_NS 10000000000u

struct vhk_state {
	struct vhk_loop *loop;
	struct vhk_device *dev;
	struct vhk_state_fd io; /* none: over */
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
	if (t->io.fd < 0)
		return;
	vhk_loop_del_fd(t->loop, t->io.fd);
	vhk_state_fd_fini(&t->io);
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
	n = vhk_state_fd_write(&t->io, t->buf + t->at, t->n - t->at);
	if (n < 0)
		return (int)n;
	t->at += (size_t)n;
	t->moved += (uint64_t)n;
	return 0;
}

static int load_piece(struct vhk_state *t)
{
	ssize_t n = vhk_state_fd_read(&t->io, t->buf, sizeof(t->buf));
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
	ret = vhk_state_fd_init_take_fd(&t->io, fd, save);
	if (!ret)
		ret = vhk_loop_add_fd(loop, t->io.fd, save ? EPOLLOUT : EPOLLIN, state_event,
				      t);
	if (ret) {
		vhk_state_fd_fini(&t->io);
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
