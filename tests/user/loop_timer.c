// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Timers: once, in the order of their times, not early, deleted ones never; also through a foreign
 * loop.
 */
#include "loop_t.h"

#define N 50

static int order[N], n_order;

struct shot {
	int id;
	struct vhk_loop *loop;
	uint64_t due;
	bool early;
	int victim, again;
};

static void shoot(void *arg)
{
	struct shot *s = arg;

	s->early = t_now_ns() < s->due;
	order[n_order++] = s->id;
	if (s->victim)
		T_EQ(vhk_loop_del_timer(s->loop, s->victim), 0);
	if (s->again && s->again--)
		T_OK(vhk_loop_add_timer(s->loop, 0, shoot, s) > 0);
}

static int aim(struct shot *s, struct vhk_loop *l, int id, uint64_t ns)
{
	*s = (struct shot){ .id = id, .loop = l, .due = t_now_ns() + ns };
	return vhk_loop_add_timer(l, ns, shoot, s);
}

static void in_order_and_not_early(void)
{
	const struct t_mode *m;
	struct shot s[N];
	int i, handle;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		n_order = 0;
		for (i = 0; i < N; i++) {
			/* 0, 7, 14, ... 49, 6, 13, ...: 7 and 50 have no common divisor. */
			handle = aim(&s[i * 7 % N], l, i * 7 % N, (uint64_t)(i * 7 % N) * 200000);
			T_OK(handle > 0);
			if (i * 7 % N % 5 == 3)
				T_EQ(vhk_loop_del_timer(l, handle), 0);
		}
		while (n_order < N * 4 / 5 && vhk_loop_step(l, 1000 * T_MS) > 0)
			;
		T_EQ(n_order, N * 4 / 5);
		for (i = 0; i < n_order; i++) {
			T_OK(i == 0 || order[i - 1] < order[i]);
			T_OK(order[i] % 5 != 3);
			T_OK(!s[order[i]].early);
		}
		T_EQ(vhk_loop_step(l, T_MS), 0);
		vhk_loop_free(l);
	}
}

static void deleted_and_added_in_callbacks(void)
{
	const struct t_mode *m;
	struct shot a, b;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int i, victim;

		n_order = 0;
		aim(&a, l, 1, 0);
		victim = aim(&b, l, 2, 1000);
		a.victim = victim;
		for (i = 0; i < 5; i++)
			T_OK(vhk_loop_step(l, 2 * T_MS) >= 0);
		T_EQ(n_order, 1);
		T_EQ(vhk_loop_del_timer(l, victim), -EINVAL);
		aim(&a, l, 1, 0);
		a.again = 9;
		for (i = 0; i < 30 && n_order < 11; i++)
			T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(n_order, 11);
		vhk_loop_free(l);
	}
}

static void wakes_foreign_loop(void)
{
	const struct t_mode *m;
	struct shot a, b;

	T_EACH_MODE(m) {
		struct vhk_loop *l;
		int handle;

		if (!(m->flags & VHK_LOOP_F_EMBED))
			continue;
		l = t_loop(m);
		n_order = 0;
		aim(&a, l, 1, 3000000);
		aim(&b, l, 2, 1000000);
		while (n_order < 2 && t_foreign_turn(l, 1000))
			;
		T_EQ(n_order, 2);
		T_EQ(order[0], 2);
		T_OK(!a.early && !b.early);
		/* And not for one that is gone. */
		while (t_foreign_turn(l, 2))
			;
		handle = aim(&a, l, 1, 2000000);
		T_EQ(vhk_loop_del_timer(l, handle), 0);
		T_OK(!t_foreign_turn(l, 5));
		vhk_loop_free(l);
	}
}

static void bad_arguments(void)
{
	struct vhk_loop *l = t_loop(&t_modes[0]);
	struct shot s;
	int handle;

	T_EQ(vhk_loop_add_timer(l, 0, NULL, NULL), -EINVAL);
	T_EQ(vhk_loop_del_timer(l, 0), -EINVAL);
	T_EQ(vhk_loop_del_timer(l, -1), -EINVAL);
	T_EQ(vhk_loop_del_timer(l, 5), -EINVAL);
	handle = aim(&s, l, 0, UINT64_MAX);
	T_OK(handle > 0);
	T_EQ(vhk_loop_step(l, T_MS), 0);
	T_EQ(vhk_loop_del_timer(l, handle), 0);
	vhk_loop_free(l);
}

int main(void)
{
	T_RUN(in_order_and_not_early);
	T_RUN(deleted_and_added_in_callbacks);
	T_RUN(wakes_foreign_loop);
	T_RUN(bad_arguments);
	return t_end();
}
