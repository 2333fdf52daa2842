// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Whose loop it is: made in one thread and run in another, stopped from anywhere, by signals too;
 * and what it leaves behind.
 */
#include <pthread.h>
#include <signal.h>

#include "loop_t.h"

struct run {
	struct vhk_loop *loop;
	struct vhk_work w;
	int ret;
	atomic_bool began;
	bool mine;
};

static void *run(void *arg)
{
	struct run *r = arg;

	r->ret = vhk_loop_run(r->loop);
	return NULL;
}

static void began(struct vhk_work *w)
{
	struct run *r = (struct run *)((char *)w - offsetof(struct run, w));

	r->mine = vhk_loop_is_mine(r->loop);
	atomic_store(&r->began, true);
}

static void made_here_run_there(void)
{
	const struct t_mode *m;
	uint64_t until;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		struct run r = { .loop = l, .w.fn = began };
		struct t_ring ring;
		pthread_t t;

		t_ring_init(&ring, l, -2);
		T_EQ(vhk_loop_add_source(l, &ring.s), 0);
		T_OK(vhk_loop_is_mine(l));
		T_MUST(!pthread_create(&t, NULL, run, &r));
		vhk_loop_post(l, &r.w);
		until = t_now_ns() + 5000 * T_MS;
		while (!atomic_load(&r.began) && t_now_ns() < until)
			usleep(100);
		T_OK(atomic_load(&r.began));
		T_OK(!vhk_loop_is_mine(l));
		vhk_loop_stop(l);
		pthread_join(t, NULL);
		T_EQ(r.ret, 0);
		T_OK(r.mine);
		T_OK(vhk_loop_is_mine(l));
		/* A ring of one issuer stays with its thread. */
		if (m->engine == VHK_LOOP_IO_URING && !(m->flags & VHK_LOOP_F_EMBED))
			T_EQ(vhk_loop_run(l), -EBUSY);
		vhk_loop_del_source(l, &ring.s);
		T_EQ(ring.n_gone, 1);
		vhk_loop_free(l);
		t_ring_fini(&ring);
	}
}

static void stop_before_run_counts(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		vhk_loop_stop(l);
		T_EQ(vhk_loop_run(l), 0);
		/* Once. */
		vhk_loop_step(l, 0);
		T_EQ(vhk_loop_step(l, T_MS), 0);
		vhk_loop_free(l);
	}
}

static void step_in_step(void *arg)
{
	T_EQ(vhk_loop_step(arg, 0), -EBUSY);
	T_EQ(vhk_loop_run(arg), -EBUSY);
}

static void not_from_within(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);

		vhk_loop_add_timer(l, 0, step_in_step, l);
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		vhk_loop_free(l);
	}
}

static void count_signal(void *arg)
{
	(*(int *)arg)++;
}

static void stopped_by_signal(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int n = 0;

		T_EQ(vhk_loop_stop_on_signal(l, SIGTERM), 0);
		T_EQ(vhk_loop_add_signal(l, SIGUSR1, count_signal, &n), 0);
		T_EQ(vhk_loop_add_signal(l, 4711, count_signal, &n), -EINVAL);
		T_EQ(vhk_loop_add_signal(l, SIGUSR1, NULL, &n), -EINVAL);
		kill(getpid(), SIGUSR1);
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(n, 1);
		kill(getpid(), SIGUSR1);
		kill(getpid(), SIGTERM);
		T_EQ(vhk_loop_run(l), 0);
		vhk_loop_free(l);
	}
}

static struct vhk_loop *to_stop;

static void handler(int signo)
{
	(void)signo;
	vhk_loop_stop(to_stop);
}

/* From a handler that interrupts the wait itself. */
static void stopped_by_handler(void)
{
	struct sigaction sa = { .sa_handler = handler };
	const struct t_mode *m;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	sigaction(SIGALRM, &sa, NULL);
	T_EACH_MODE(m) {
		struct itimerspec when = { .it_value.tv_nsec = 5 * T_MS };
		struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
		timer_t timer;

		to_stop = t_loop(m);
		T_MUST(!timer_create(CLOCK_MONOTONIC, &ev, &timer));
		T_MUST(!timer_settime(timer, 0, &when, NULL));
		T_EQ(vhk_loop_run(to_stop), 0);
		timer_delete(timer);
		vhk_loop_free(to_stop);
	}
}

/* Two loops in one thread and one freed far from its own: neither disturbs the other's ring. */
static void *run_and_leave(void *arg)
{
	struct vhk_loop *l = arg;

	vhk_loop_step(l, 0);
	return NULL;
}

static void freed_in_another_thread(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m), *other = t_loop(m);
		struct t_ring r;
		pthread_t t;

		t_ring_init(&r, l, -2);
		T_EQ(vhk_loop_add_source(l, &r.s), 0);
		t_settle(l);
		T_MUST(!pthread_create(&t, NULL, run_and_leave, other));
		pthread_join(t, NULL);
		vhk_loop_free(other);
		T_OK(t_ring_add(&r));
		t_settle(l);
		T_EQ(r.seen, 1);
		vhk_loop_del_source(l, &r.s);
		vhk_loop_free(l);
		t_ring_fini(&r);
	}
}

static void options(void)
{
	static const struct {
		enum vhk_loop_engine engine;
		uint32_t flags;
		int want;
	} cases[] = {
		{ VHK_LOOP_AUTO, 0, 0 },
		{ VHK_LOOP_AUTO, VHK_LOOP_F_EMBED, 0 },
		{ VHK_LOOP_AUTO, VHK_LOOP_F_ALL + 1, -EOPNOTSUPP },
		{ 17, 0, -EINVAL },
	};
	int before = t_count_fds();
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhk_loop_opts o = { .sz = sizeof(o),
					   .engine = cases[i].engine,
					   .flags = cases[i].flags };
		struct vhk_loop *l = NULL;

		T_EQ(vhk_loop_new(&l, &o), cases[i].want);
		T_EQ(!l, cases[i].want != 0);
		vhk_loop_free(l);
	}
	T_EQ(t_count_fds(), before);
}

int main(void)
{
	T_RUN(made_here_run_there);
	T_RUN(stop_before_run_counts);
	T_RUN(not_from_within);
	T_RUN(stopped_by_signal);
	T_RUN(stopped_by_handler);
	T_RUN(freed_in_another_thread);
	T_RUN(options);
	return t_end();
}
