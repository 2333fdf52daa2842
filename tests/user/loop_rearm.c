// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * More kicks than completion queue: polls that the kernel gave up are armed again, and nothing is
 * lost in between. (Class: a completion queue overflow ends a multishot poll.)
 */
#include "loop_t.h"

#define N_RINGS 64u
#define N_TURNS 50u

static void one(const struct t_mode *m)
{
	struct vhk_loop *l = t_loop_opts(m, 1, UINT64_MAX);
	static struct t_ring r[N_RINGS];
	unsigned int i, turn, sum = 0, want = 0;

	for (i = 0; i < N_RINGS; i++) {
		t_ring_init(&r[i], l, -2);
		T_EQ(vhk_loop_add_source(l, &r[i].s), 0);
	}
	for (turn = 0; turn < N_TURNS; turn++) {
		t_settle(l);
		for (i = 0; i < N_RINGS; i++) {
			T_OK(t_ring_add(&r[i]));
			/* Kicks of no need, as a driver without EVENT_IDX sends. */
			t_write_kick(r[i].s.kick_fd);
			t_write_kick(r[i].s.kick_fd);
		}
		want += N_RINGS;
		while (sum < want && vhk_loop_step(l, 1000 * T_MS) > 0)
			for (i = 0, sum = 0; i < N_RINGS; i++)
				sum += r[i].seen;
		T_EQ(sum, want);
	}
	for (i = 0; i < N_RINGS; i++) {
		T_EQ(r[i].seen, N_TURNS);
		T_OK(r[i].n_kicks >= N_TURNS);
		vhk_loop_del_source(l, &r[i].s);
	}
	vhk_loop_free(l);
	for (i = 0; i < N_RINGS; i++)
		t_ring_fini(&r[i]);
}

static void rearmed_after_overflow(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m)
		one(m);
}

int main(void)
{
	T_RUN(rearmed_after_overflow);
	return t_end();
}
