// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Calls that leave with the loop's entry into the kernel: many by one system call, none lost or
 * doubled, none to a file that has got the number of one that was closed, and none that a peer can
 * stop the loop with, which fills its eventfd and takes O_NONBLOCK away.
 */
#include <fcntl.h>
#include <poll.h>

#include "loop_t.h"

#define N_RINGS 40
#define FULL (UINT64_MAX - 1)
#define DEADLINE_MS 10000

static struct t_ring ring[N_RINGS];
static int call[N_RINGS];

static struct vhk_loop *loop_new(const struct t_mode *m)
{
	struct vhk_loop_opts o = { .sz = sizeof(o),
				   .engine = m->engine,
				   .flags = m->flags,
				   .poll_ns = UINT64_MAX,
				   .notify = VHK_LOOP_NOTIFY_POLL };
	struct vhk_loop *l = NULL;

	T_MUST(!vhk_loop_new(&l, &o));
	return l;
}

static uint64_t take(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static bool staged_now(struct t_ring *r)
{
	return vhk_loop_stage_call(r->loop, &r->s);
}

static void flush_calls(struct vhk_source *s)
{
	struct t_ring *r = t_ring_of(s);

	r->n_flushes++;
	if (!staged_now(r))
		t_write_kick(call[r - ring]);
}

static const struct vhk_source_ops *calling_ops(void (*flush)(struct vhk_source *s))
{
	static struct vhk_source_ops ops;

	ops = t_ring_ops;
	ops.flush = flush;
	return &ops;
}

static void start(struct vhk_loop *l, unsigned int n, const struct vhk_source_ops *ops)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		t_ring_init(&ring[i], l, -2);
		ring[i].s.ops = ops;
		call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		T_EQ(vhk_loop_add_source(l, &ring[i].s), 0);
		vhk_loop_set_call(l, &ring[i].s, call[i]);
	}
	t_settle(l);
}

static void finish(struct vhk_loop *l, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		vhk_loop_del_source(l, &ring[i].s);
		t_ring_fini(&ring[i]);
		close(call[i]);
	}
	vhk_loop_free(l);
}

static uint64_t syscalls(const struct vhk_loop *l)
{
	struct vhk_loop_stats s;

	vhk_loop_stats(l, &s);
	return s.syscalls;
}

/* All calls of a round take no more system calls than a quarter of their number. */
static void many_go_together(void)
{
	const struct t_mode *m;
	struct vhk_loop *l;
	unsigned int i, round;
	uint64_t before;

	T_EACH_MODE(m) {
		l = loop_new(m);
		start(l, N_RINGS, calling_ops(flush_calls));
		for (round = 0; round < 10; round++) {
			for (i = 0; i < N_RINGS; i++)
				t_ring_add(&ring[i]);
			before = syscalls(l);
			T_EQ(vhk_loop_step(l, DEADLINE_MS * T_MS) > 0, 1);
			if (m->engine == VHK_LOOP_IO_URING)
				T_OK(syscalls(l) - before <= N_RINGS / 4);
			t_settle(l);
			for (i = 0; i < N_RINGS; i++)
				T_EQ(take(call[i]), 1);
		}
		finish(l, N_RINGS);
	}
}

static int stranger;

/* A call that is staged goes to the file that it was staged for. */
static void flush_and_replace(struct vhk_source *s)
{
	struct t_ring *r = t_ring_of(s);
	const unsigned int i = (unsigned int)(r - ring);
	int old = call[i];

	r->n_flushes++;
	if (!staged_now(r)) {
		t_write_kick(old);
		return;
	}
	call[i] = fcntl(old, F_DUPFD_CLOEXEC, 100);
	vhk_loop_set_call(r->loop, s, -1);
	T_EQ(dup2(stranger, old), old);
	close(old);
	vhk_loop_set_call(r->loop, s, call[i]);
}

static void numbers_are_used_again(void)
{
	const struct t_mode *m;
	struct vhk_loop *l;
	unsigned int i;

	stranger = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_EACH_MODE(m) {
		l = loop_new(m);
		start(l, N_RINGS, calling_ops(flush_and_replace));
		for (i = 0; i < N_RINGS; i++)
			t_ring_add(&ring[i]);
		t_settle(l);
		for (i = 0; i < N_RINGS; i++)
			T_EQ(take(call[i]), 1);
		T_EQ(take(stranger), 0);
		finish(l, N_RINGS);
	}
	close(stranger);
}

static void fill_new(int fd)
{
	const uint64_t full = FULL;

	T_MUST(write(fd, &full, sizeof(full)) == sizeof(full));
}

static void fill(int fd)
{
	take(fd);
	fill_new(fd);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void rounds_go_on(struct vhk_loop *l)
{
	unsigned int round;

	for (round = 1; round <= 30; round++) {
		t_ring_add(&ring[0]);
		t_ring_add(&ring[1]);
		T_OK(vhk_loop_step(l, DEADLINE_MS * T_MS) > 0);
		t_settle(l);
		T_EQ(ring[0].seen, round);
		T_EQ(take(call[1]), 1);
	}
}

/*
 * The loop goes on while the counter is at its end, however often it calls, and calls whoever has
 * emptied the counter.
 */
static void full_counters_stop_nothing(bool nonblock)
{
	const struct t_mode *m;
	struct vhk_loop *l;
	int flags;

	T_EACH_MODE(m) {
		/* a write would wait in the loop's thread: others than io_uring look first */
		if (m->engine != VHK_LOOP_IO_URING)
			continue;
		l = loop_new(m);
		start(l, 2, calling_ops(flush_calls));
		flags = fcntl(call[0], F_GETFL);
		fill(call[0]);
		if (!nonblock)
			T_MUST(!fcntl(call[0], F_SETFL, flags & ~O_NONBLOCK));
		rounds_go_on(l);
		T_EQ(take(call[0]), FULL);
		t_settle(l);
		T_OK(!is_readable(call[0]));
		t_ring_add(&ring[0]);
		t_settle(l);
		T_OK(is_readable(call[0]));
		T_EQ(take(call[0]), 1);
		finish(l, 2);
	}
}

static void full(void)
{
	full_counters_stop_nothing(true);
}

static void full_and_blocking(void)
{
	full_counters_stop_nothing(false);
}

static int io_result;

static void note_result(struct vhk_io *io, int res)
{
	(void)io;
	io_result = res;
}

/* Nothing is left of the calls of a peer that went with its counter at the end: I/O has room. */
static void full_counters_keep_no_room(void)
{
	char bytes[512] = { 0 };
	struct iovec iov = { bytes, sizeof(bytes) };
	int file, fd = open(t_dir(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct vhk_io io = { .op = VHK_IO_WRITE, .iov = &iov, .n_iov = 1, .done = note_result };
	struct vhk_loop *l = loop_new(&t_modes[0]);
	unsigned int peer, i;

	T_MUST(fd >= 0);
	file = vhk_loop_add_file(l, fd, 0);
	for (peer = 0; peer < 250 && !t_bad; peer++) {
		t_ring_init(&ring[0], l, -2);
		ring[0].s.ops = calling_ops(flush_calls);
		call[0] = eventfd(0, EFD_CLOEXEC | (peer & 1 ? EFD_NONBLOCK : 0));
		fill_new(call[0]);
		T_EQ(vhk_loop_add_source(l, &ring[0].s), 0);
		vhk_loop_set_call(l, &ring[0].s, call[0]);
		for (i = 0; i < 8; i++) {
			t_ring_add(&ring[0]);
			T_OK(vhk_loop_step(l, 0) >= 0);
		}
		T_EQ(ring[0].n_flushes, 8);
		vhk_loop_del_source(l, &ring[0].s);
		t_ring_fini(&ring[0]);
		close(call[0]);
		io_result = 1;
		io.file = file;
		vhk_loop_submit(l, &io);
		for (i = 0; i < 5000 && io_result == 1; i++)
			vhk_loop_step(l, T_MS);
		T_EQ(io_result, 512);
	}
	vhk_loop_del_file(l, file);
	vhk_loop_free(l);
	close(fd);
}

int main(void)
{
	T_RUN(many_go_together);
	T_RUN(numbers_are_used_again);
	T_RUN(full);
	T_RUN(full_and_blocking);
	T_RUN(full_counters_keep_no_room);
	return t_end();
}
