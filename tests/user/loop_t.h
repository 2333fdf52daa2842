/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the loop's tests share: loops of every engine and mode, and a ring that is a counter, with
 * kicks suppressed the way EVENT_IDX does it.
 */
#ifndef VHK_TESTS_LOOP_T_H
#define VHK_TESTS_LOOP_T_H

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "loop.h"
#include "t.h"

#define T_MS 1000000ll /* in ns */

static const struct t_mode {
	enum vhk_loop_engine engine;
	uint32_t flags;
} t_modes[] = {
	{ VHK_LOOP_IO_URING, 0 },
	{ VHK_LOOP_IO_URING, VHK_LOOP_F_EMBED },
	{ VHK_LOOP_EPOLL, 0 },
	{ VHK_LOOP_EPOLL, VHK_LOOP_F_EMBED },
};

#define T_EACH_MODE(m) for (m = t_modes; m < t_modes + sizeof(t_modes) / sizeof(t_modes[0]); m++)

static inline struct vhk_loop *t_loop_opts(const struct t_mode *m, uint32_t entries,
					   uint64_t poll_ns)
{
	struct vhk_loop_opts o = { .sz = sizeof(o),
				   .engine = m->engine,
				   .flags = m->flags,
				   .entries = entries,
				   .poll_ns = poll_ns,
				   .notify = getenv("T_NOTIFY_MUX") ? VHK_LOOP_NOTIFY_MUX : 0 };
	struct vhk_loop *l = NULL;
	int ret = vhk_loop_new(&l, &o);

	if (ret)
		printf("# loop of engine %d, flags %u: %s\n", m->engine, m->flags, strerror(-ret));
	T_MUST(!ret);
	return l;
}

static inline struct vhk_loop *t_loop(const struct t_mode *m)
{
	return t_loop_opts(m, 0, 0);
}

struct t_ring {
	struct vhk_source s;
	atomic_uint avail;
	atomic_bool armed;
	unsigned int seen;
	unsigned int n_kicks, n_flushes, n_gone;
	struct vhk_loop *loop;
	unsigned int stop_at; /* ends the loop when so many were seen */
};

static inline struct t_ring *t_ring_of(const struct vhk_source *s)
{
	return (struct t_ring *)(uintptr_t)s;
}

static inline bool t_ring_ready(const struct vhk_source *s)
{
	struct t_ring *r = t_ring_of(s);

	return atomic_load_explicit(&r->avail, memory_order_relaxed) != r->seen;
}

static inline unsigned int t_ring_work(struct vhk_source *s, unsigned int quantum)
{
	struct t_ring *r = t_ring_of(s);
	unsigned int n = atomic_load_explicit(&r->avail, memory_order_acquire) - r->seen;

	if (n > quantum)
		n = quantum;
	r->seen += n;
	if (n)
		vhk_loop_staged(r->loop, s);
	if (n && r->seen == r->stop_at)
		vhk_loop_stop(r->loop);
	return n;
}

static inline bool t_ring_arm(struct vhk_source *s)
{
	struct t_ring *r = t_ring_of(s);

	atomic_store(&r->armed, true);
	return atomic_load(&r->avail) != r->seen;
}

static inline void t_ring_disarm(struct vhk_source *s)
{
	atomic_store_explicit(&t_ring_of(s)->armed, false, memory_order_relaxed);
}

static inline void t_ring_flush(struct vhk_source *s)
{
	t_ring_of(s)->n_flushes++;
}

static inline void t_ring_kicked(struct vhk_source *s)
{
	t_ring_of(s)->n_kicks++;
}

static inline void t_ring_gone(struct vhk_source *s)
{
	t_ring_of(s)->n_gone++;
}

static const struct vhk_source_ops t_ring_ops = {
	.work = t_ring_work,
	.ready = t_ring_ready,
	.arm = t_ring_arm,
	.disarm = t_ring_disarm,
	.flush = t_ring_flush,
	.kicked = t_ring_kicked,
	.gone = t_ring_gone,
};

/* A ring with an eventfd of its own (@kick_fd -2), or with that one. */
static inline void t_ring_init(struct t_ring *r, struct vhk_loop *l, int kick_fd)
{
	memset(r, 0, sizeof(*r));
	r->loop = l;
	r->s.ops = &t_ring_ops;
	r->s.kick_fd = kick_fd == -2 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : kick_fd;
	T_MUST(kick_fd == -1 || r->s.kick_fd >= 0);
}

static inline void t_ring_fini(struct t_ring *r)
{
	if (r->s.kick_fd >= 0)
		close(r->s.kick_fd);
}

static inline void t_write_kick(int fd)
{
	uint64_t one = 1;

	T_MUST(write(fd, &one, sizeof(one)) == sizeof(one));
}

/* What a driver does: publish, then kick if asked to. */
static inline bool t_ring_add(struct t_ring *r)
{
	atomic_fetch_add(&r->avail, 1);
	if (!atomic_exchange(&r->armed, false))
		return false;
	t_write_kick(r->s.kick_fd);
	return true;
}

/* Steps until nothing is left to do, so that all sources are parked or asleep. */
static inline void t_settle(struct vhk_loop *l)
{
	int i, quiet = 0;

	/* On a busy machine one step may be out of time before it has put them to sleep. */
	for (i = 0; i < 100000 && quiet < 3; i++)
		quiet = vhk_loop_step(l, 2 * T_MS) > 0 ? 0 : quiet + 1;
}

/* One turn of a foreign event loop: false when our fd stayed silent. */
static inline bool t_foreign_turn(struct vhk_loop *l, int ms)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC), n;
	uint64_t until = t_now_ns() + (uint64_t)ms * 1000000;

	T_MUST(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, vhk_loop_fd(l), &ev));
	do {
		n = epoll_wait(ep, &ev, 1, ms);
	} while (n < 0 && errno == EINTR && t_now_ns() < until);
	close(ep);
	if (n == 1)
		T_OK(vhk_loop_step(l, 0) >= 0);
	return n == 1;
}

#endif
