// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A driver in a thread of its own, kicks suppressed and asked for again: every request is seen,
 * whatever the instant.
 */
#include <pthread.h>
#include <unistd.h>

#include "loop_t.h"

#define N_REQUESTS 50000u

struct bed {
	struct t_ring r;
	atomic_uint seen; /* as the driver may know it */
	bool late;
	atomic_bool over; /* the loop gave up */
};

static void publish(struct vhk_source *s)
{
	struct bed *b = (struct bed *)(uintptr_t)s;

	b->r.n_flushes++;
	atomic_store(&b->seen, b->r.seen);
}

static void *drive(void *arg)
{
	struct bed *b = arg;
	unsigned int i, n = 0, seed = 7;

	while (n < N_REQUESTS) {
		seed = seed * 1103515245u + 12345u;
		for (i = 0; i <= (seed >> 16) % 32 && n < N_REQUESTS; i++, n++)
			t_ring_add(&b->r);
		/* Now and then the loop gets time to fall asleep, or to be about to. */
		while (seed & 0x100000 && atomic_load(&b->seen) != n && !atomic_load(&b->over))
			;
		for (i = 0; i < (seed >> 8) % 1024; i++)
			__asm__ volatile("" ::: "memory");
		/* Longer than it ever spins: some requests need a kick. */
		if (!((seed >> 4) % 64))
			usleep(300);
	}
	return NULL;
}

static void too_late(void *arg)
{
	struct bed *b = arg;

	b->late = true;
	vhk_loop_stop(b->r.loop);
}

static void one(const struct t_mode *m, uint64_t poll_ns, bool foreign)
{
	struct vhk_source_ops ops = t_ring_ops;
	struct vhk_loop *l = t_loop_opts(m, 0, poll_ns);
	struct bed b = { 0 };
	pthread_t t;

	ops.flush = publish;
	t_ring_init(&b.r, l, -2);
	b.r.s.ops = &ops;
	b.r.stop_at = foreign ? 0 : N_REQUESTS;
	T_EQ(vhk_loop_add_source(l, &b.r.s), 0);
	T_OK(vhk_loop_add_timer(l, 30000 * T_MS, too_late, &b) > 0);
	T_MUST(!pthread_create(&t, NULL, drive, &b));
	if (foreign)
		while (b.r.seen != N_REQUESTS && t_foreign_turn(l, 5000))
			;
	else
		T_EQ(vhk_loop_run(l), 0);
	T_EQ(b.r.seen, N_REQUESTS);
	T_OK(!b.late);
	atomic_store(&b.over, true);
	pthread_join(t, NULL);
	T_OK(b.r.n_kicks > 0);
	T_OK(b.r.n_kicks < N_REQUESTS);
	vhk_loop_del_source(l, &b.r.s);
	vhk_loop_free(l);
	t_ring_fini(&b.r);
}

static void while_sleeping(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m)
		one(m, UINT64_MAX, false);
}

static void while_spinning(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m)
		one(m, 20000, false);
}

static void in_a_foreign_loop(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m)
		if (m->flags & VHK_LOOP_F_EMBED)
			one(m, 0, true);
}

int main(void)
{
	T_RUN(while_sleeping);
	T_RUN(while_spinning);
	T_RUN(in_a_foreign_loop);
	return t_end();
}
