// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A kick wakes the loop, however it is driven: by run, by step, and by a foreign epoll.
 */
#include <pthread.h>

#include "loop_t.h"

static void *run_loop(void *arg)
{
	return (void *)(intptr_t)vhk_loop_run(arg);
}

static void kick_wakes_run(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct t_ring r;
		pthread_t t;
		void *ret;
		int i;

		t_ring_init(&r, l, -2);
		r.stop_at = 100;
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		T_MUST(!pthread_create(&t, NULL, run_loop, l));
		for (i = 0; i < 100; i++)
			t_ring_add(&r);
		pthread_join(t, &ret);
		T_EQ((intptr_t)ret, 0);
		T_EQ(r.seen, 100);
		T_OK(r.n_flushes > 0);
		vhk_loop_del_source(l, &r.s);
		T_EQ(r.n_gone, 1);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

static void kick_wakes_step(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct t_ring r;
		unsigned int i;

		t_ring_init(&r, l, -2);
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		t_settle(l);
		for (i = 1; i < 20; i++) {
			T_OK(t_ring_add(&r));
			while (r.seen != i && vhk_loop_step(l, 1000 * T_MS) > 0)
				;
			T_EQ(r.seen, i);
			T_EQ(r.n_kicks, i);
			t_settle(l);
		}
		T_EQ(r.n_flushes, 19);
		T_EQ(vhk_loop_step(l, T_MS), 0);
		vhk_loop_del_source(l, &r.s);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

static void kick_wakes_foreign_epoll(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l;
		struct t_ring r;
		unsigned int i;

		if (!(m->flags & VHK_LOOP_F_EMBED))
			continue;
		l = t_loop(m);
		t_ring_init(&r, l, -2);
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		/* The source is new: it asks to be looked at. */
		T_OK(t_foreign_turn(l, 1000));
		while (t_foreign_turn(l, 2))
			;
		for (i = 1; i < 20; i++) {
			T_OK(t_ring_add(&r));
			while (r.seen != i && t_foreign_turn(l, 1000))
				;
			T_EQ(r.seen, i);
			T_EQ(r.n_flushes, i);
			while (t_foreign_turn(l, 2))
				;
		}
		vhk_loop_del_source(l, &r.s);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

static void fd_of_own_thread_loop_is_refused(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		T_EQ(vhk_loop_fd(l) >= 0, m->flags == VHK_LOOP_F_EMBED);
		vhk_loop_free(l);
	}
}

int main(void)
{
	T_RUN(kick_wakes_run);
	T_RUN(kick_wakes_step);
	T_RUN(kick_wakes_foreign_epoll);
	T_RUN(fd_of_own_thread_loop_is_refused);
	return t_end();
}
