// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Kicks and calls through a multiplexer: that the calls of a round go out together and none is lost
 * when a source or its eventfd goes, and what a loop does where there is no /dev/vhostkit.
 * T_NOTIFY_MUX in the environment says that there is one.
 */
#include <fcntl.h>

#include "loop_t.h"

#define N_RINGS 40

static struct t_ring ring[N_RINGS];
static int call[N_RINGS];

static bool have_device(void)
{
	return getenv("T_NOTIFY_MUX") != NULL;
}

static struct vhk_loop *loop_of(const struct t_mode *m, enum vhk_loop_notify how)
{
	struct vhk_loop_opts o = { .sz = sizeof(o),
				   .engine = m->engine,
				   .flags = m->flags,
				   .poll_ns = UINT64_MAX,
				   .notify = how };
	struct vhk_loop *l = NULL;

	T_MUST(!vhk_loop_new(&l, &o));
	return l;
}

static bool staged_now(struct t_ring *r)
{
	return vhk_loop_stage_call(r->loop, &r->s);
}

static uint64_t calls(unsigned int i)
{
	uint64_t n = 0;

	return read(call[i], &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* Calls as a queue does. */
static void calling_flush(struct vhk_source *s)
{
	struct t_ring *r = t_ring_of(s);

	r->n_flushes++;
	if (!staged_now(r))
		t_write_kick(call[r - ring]);
}

static void start(struct vhk_loop *l, const struct vhk_source_ops *ops)
{
	unsigned int i;

	for (i = 0; i < N_RINGS; i++) {
		t_ring_init(&ring[i], l, -2);
		ring[i].s.ops = ops;
		call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		T_EQ(vhk_loop_add_source(l, &ring[i].s), 0);
		vhk_loop_set_call(l, &ring[i].s, call[i]);
	}
}

static void finish(struct vhk_loop *l)
{
	unsigned int i;

	for (i = 0; i < N_RINGS; i++) {
		vhk_loop_del_source(l, &ring[i].s);
		T_EQ(ring[i].n_gone, 1);
		t_ring_fini(&ring[i]);
		close(call[i]);
	}
	vhk_loop_free(l);
}

static void settle(struct vhk_loop *l)
{
	while (vhk_loop_step(l, 20 * T_MS) > 0)
		;
}

/* Each kick is answered by one call, whatever the way. */
static void every_kick_is_answered(void)
{
	static const enum vhk_loop_notify ways[] = { VHK_LOOP_NOTIFY_AUTO, VHK_LOOP_NOTIFY_POLL,
						     VHK_LOOP_NOTIFY_MUX };
	struct vhk_source_ops ops = t_ring_ops;
	const struct t_mode *m;
	struct vhk_loop *l;
	unsigned int i, way, round;

	ops.flush = calling_flush;
	T_EACH_MODE(m) {
		for (way = 0; way < (have_device() ? 3 : 2); way++) {
			l = loop_of(m, ways[way]);
			start(l, &ops);
			settle(l);
			for (round = 1; round <= 20; round++) {
				for (i = 0; i < N_RINGS; i += 1 + round % 3)
					t_ring_add(&ring[i]);
				settle(l);
				for (i = 0; i < N_RINGS; i++) {
					T_EQ(ring[i].seen, atomic_load(&ring[i].avail));
					T_EQ(calls(i), i % (1 + round % 3) ? 0 : 1);
				}
			}
			T_OK(ring[0].n_kicks >= 20);
			finish(l);
		}
	}
}

static unsigned int n_staged, n_plain;

/* What is staged is out when the eventfd is another one, or the source is gone. */
static void flush_then_change(struct vhk_source *s)
{
	struct t_ring *r = t_ring_of(s);
	unsigned int i = (unsigned int)(r - ring);

	r->n_flushes++;
	if (!staged_now(r)) {
		t_write_kick(call[i]);
		n_plain++;
		return;
	}
	n_staged++;
	vhk_loop_set_call(r->loop, s, i % 2 ? -1 : call[i]);
	T_EQ(calls(i), 1);
	t_write_kick(call[i]);
}

static void changes_lose_no_call(void)
{
	struct vhk_source_ops ops = t_ring_ops;
	const struct t_mode *m;
	struct vhk_loop *l;
	unsigned int i;

	ops.flush = flush_then_change;
	T_EACH_MODE(m) {
		l = loop_of(m, have_device() ? VHK_LOOP_NOTIFY_MUX : VHK_LOOP_NOTIFY_AUTO);
		start(l, &ops);
		settle(l);
		n_staged = n_plain = 0;
		for (i = 0; i < N_RINGS; i++)
			t_ring_add(&ring[i]);
		settle(l);
		for (i = 0; i < N_RINGS; i++)
			T_EQ(calls(i), 1);
		T_EQ(n_staged + n_plain, N_RINGS);
		T_EQ(n_staged > 0, have_device() || m->engine == VHK_LOOP_IO_URING);
		finish(l);
	}
}

/* Another kick fd, the same one again, and none. */
static void kick_fds_change(void)
{
	struct vhk_source_ops ops = t_ring_ops;
	const struct t_mode *m;
	struct vhk_loop *l;
	unsigned int i;
	int old, fresh;

	ops.flush = calling_flush;
	T_EACH_MODE(m) {
		l = loop_of(m, have_device() ? VHK_LOOP_NOTIFY_MUX : VHK_LOOP_NOTIFY_AUTO);
		start(l, &ops);
		settle(l);
		for (i = 0; i < N_RINGS; i++) {
			old = ring[i].s.kick_fd;
			T_EQ(vhk_loop_set_kick(l, &ring[i].s, old), 0);
			if (i % 2)
				T_EQ(vhk_loop_set_kick(l, &ring[i].s, -1), 0);
			fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			T_EQ(vhk_loop_set_kick(l, &ring[i].s, fresh), 0);
			close(old);
		}
		settle(l);
		for (i = 0; i < N_RINGS; i++)
			t_ring_add(&ring[i]);
		settle(l);
		for (i = 0; i < N_RINGS; i++) {
			T_EQ(ring[i].seen, 1);
			T_EQ(calls(i), 1);
		}
		finish(l);
	}
}

/* Pipes and sockets are no eventfds: the engine has them. */
static void other_kicks_are_polled(void)
{
	const struct t_mode *m;
	struct vhk_loop *l;
	struct t_ring r;
	int fds[2];

	T_EACH_MODE(m) {
		l = loop_of(m, have_device() ? VHK_LOOP_NOTIFY_MUX : VHK_LOOP_NOTIFY_AUTO);
		T_MUST(!pipe2(fds, O_CLOEXEC | O_NONBLOCK));
		t_ring_init(&r, l, fds[0]);
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		settle(l);
		atomic_fetch_add(&r.avail, 1);
		T_MUST(write(fds[1], "k", 1) == 1);
		settle(l);
		T_EQ(r.seen, 1);
		vhk_loop_del_source(l, &r.s);
		close(fds[0]);
		close(fds[1]);
		vhk_loop_free(l);
	}
}

static void options_are_checked(void)
{
	struct vhk_loop_opts o = { .sz = sizeof(o), .notify = VHK_LOOP_NOTIFY_POLL + 1 };
	struct vhk_loop *l = NULL;

	T_EQ(vhk_loop_new(&l, &o), -EINVAL);
	o.notify = VHK_LOOP_NOTIFY_AUTO;
	o.notify_fd = -1;
	T_EQ(vhk_loop_new(&l, &o), -EINVAL);
	o.notify = VHK_LOOP_NOTIFY_MUX;
	o.notify_fd = eventfd(0, EFD_CLOEXEC);
	T_EQ(vhk_loop_new(&l, &o), -ENOTTY);
	close(o.notify_fd);
	o.notify_fd = 0;
	if (!have_device() && access("/dev/vhostkit", F_OK))
		T_EQ(vhk_loop_new(&l, &o), -ENOENT);
	T_OK(!l);
}

int main(void)
{
	T_RUN(every_kick_is_answered);
	T_RUN(changes_lose_no_call);
	T_RUN(kick_fds_change);
	T_RUN(other_kicks_are_polled);
	T_RUN(options_are_checked);
	return t_end();
}
