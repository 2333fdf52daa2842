// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Idle rings cost nothing: a loop with 256 of them sleeps, and wakes up for nobody.
 */
#include <sys/resource.h>

#include "loop_t.h"

#define N_RINGS 256
#define SLEEP_MS 300

static void nap(void *arg)
{
	*(bool *)arg = true;
}

static uint64_t us(const struct rusage *u)
{
	return (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void one(const struct t_mode *m, struct t_ring *r)
{
	struct vhk_loop *l = t_loop(m);
	struct rusage before, after;
	bool woke = false;
	int i, n = 0;

	for (i = 0; i < N_RINGS; i++) {
		t_ring_init(&r[i], l, -2);
		T_EQ(vhk_loop_add_source(l, &r[i].s), 0);
	}
	t_settle(l);
	T_OK(vhk_loop_add_timer(l, SLEEP_MS * T_MS, nap, &woke) > 0);
	getrusage(RUSAGE_THREAD, &before);
	while (!woke && n++ < 1000)
		T_OK(vhk_loop_step(l, 1000 * T_MS) >= 0);
	getrusage(RUSAGE_THREAD, &after);
	T_OK(woke);
	/* One step for the timer; one per cent of the time. */
	T_OK(n <= 2);
	T_OK(after.ru_nvcsw - before.ru_nvcsw <= 3);
	T_OK(us(&after) - us(&before) < SLEEP_MS * 10);
	/* And they are all awake at the first kick. */
	for (i = 0; i < N_RINGS; i++)
		T_OK(t_ring_add(&r[i]));
	t_settle(l);
	for (i = 0; i < N_RINGS; i++) {
		T_EQ(r[i].seen, 1);
		vhk_loop_del_source(l, &r[i].s);
		t_ring_fini(&r[i]);
	}
	vhk_loop_free(l);
}

static void idle_rings_cost_nothing(void)
{
	struct t_ring *r = calloc(N_RINGS, sizeof(*r));
	const struct t_mode *m;

	T_MUST(r);
	T_EACH_MODE(m)
		one(m, r);
	free(r);
}

int main(void)
{
	T_RUN(idle_rings_cost_nothing);
	return t_end();
}
