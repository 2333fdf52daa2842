// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A driver that shares the loop's only processor has it before the loop goes to sleep: its next
 * request is found without a kick. It is of a kind that never takes the processor from others by
 * waking up, so that the loop has to give it.
 */
#include <pthread.h>
#include <sched.h>

#include "loop_t.h"

#define N 5000u
#define DEADLINE_NS 20000000000ull

struct driver {
	struct t_ring ring;
	int call;
	unsigned int kicks;
};

static void call_driver(struct vhk_source *s)
{
	struct driver *d = (struct driver *)(uintptr_t)s;

	t_write_kick(d->call);
}

static struct vhk_source_ops ops;
static bool alone; /* nobody else has the processor: both threads are of a real-time class */

static void *drive(void *arg)
{
	const struct sched_param none = { 0 };
	struct driver *d = arg;
	unsigned int i;
	uint64_t v;

	if (!alone)
		T_EQ(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	for (i = 0; i < N; i++) {
		d->kicks += t_ring_add(&d->ring);
		if (i + 1 < N)
			T_MUST(read(d->call, &v, sizeof(v)) == sizeof(v));
	}
	return NULL;
}

static unsigned int kicks_of(const struct t_mode *m)
{
	struct vhk_loop *l = t_loop_opts(m, 0, UINT64_MAX);
	struct driver d = { .call = eventfd(0, EFD_CLOEXEC) };
	pthread_t t;

	T_MUST(d.call >= 0);
	t_ring_init(&d.ring, l, -2);
	d.ring.s.ops = &ops;
	d.ring.stop_at = N;
	T_EQ(vhk_loop_add_source(l, &d.ring.s), 0);
	T_MUST(!pthread_create(&t, NULL, drive, &d));
	T_EQ(vhk_loop_run(l), 0);
	pthread_join(t, NULL);
	T_EQ(d.ring.seen, N);
	vhk_loop_del_source(l, &d.ring.s);
	t_ring_fini(&d.ring);
	close(d.call);
	vhk_loop_free(l);
	return d.kicks;
}

/* Others that get the processor make it give way more seldom; once it has to be seen. */
static void finds_requests_without_kicks(void)
{
	const uint64_t until = t_now_ns() + DEADLINE_NS;
	const struct t_mode *m;
	unsigned int kicks;

	T_EACH_MODE(m) {
		if (m->flags & VHK_LOOP_F_EMBED)
			continue;
		do
			kicks = kicks_of(m);
		while (kicks > N / 2 && t_now_ns() < until);
		if (kicks > N / 2)
			printf("# engine %d: %u kicks for %u requests\n", m->engine, kicks, N);
		T_OK(kicks <= N / 2);
	}
}

int main(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	cpu_set_t cpus;
	int cpu = 0;

	ops = t_ring_ops;
	ops.flush = call_driver;
	T_MUST(!sched_getaffinity(0, sizeof(cpus), &cpus));
	while (!CPU_ISSET(cpu, &cpus))
		cpu++;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	T_MUST(!sched_setaffinity(0, sizeof(cpus), &cpus));
	alone = !sched_setscheduler(0, SCHED_FIFO, &first);
	T_RUN(finds_requests_without_kicks);
	return t_end();
}
