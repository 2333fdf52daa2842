// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a kick costs, and how long it is on its way: the loop on both engines, beside an epoll that
 * is level-triggered and reads, as most back ends do it. Medians of alternating runs.
 *   loop [runs]
 */
#include <pthread.h>
#include <sched.h>

#include "loop_t.h"

#define RINGS_MAX 256
#define N_KICKS 40000u
#define N_LATENCIES 2000u
#define RUNS_MAX 31

enum way {
	WAY_URING,
	WAY_EPOLL,
	WAY_PLAIN,
	N_WAYS,
};

static const char *const way_name[] = { "vhk io_uring", "vhk epoll", "plain epoll, read" };

/* One back end of any way. */
struct bed {
	enum way way;
	unsigned int n;
	struct vhk_loop *loop;
	struct t_ring r[RINGS_MAX];
	int ep;
	/* latency */
	pthread_t thread;
	atomic_bool over;
	atomic_uint answered;
	uint64_t came;
};

static void plain_turn(struct bed *b, int ms)
{
	struct epoll_event ev[64];
	int i, n = epoll_wait(b->ep, ev, 64, ms);
	struct t_ring *r;
	uint64_t count;

	for (i = 0; i < n; i++) {
		r = ev[i].data.ptr;
		if (read(r->s.kick_fd, &count, sizeof(count)) == sizeof(count))
			r->s.ops->work(&r->s, 32);
	}
}

static void turn(struct bed *b, int ms)
{
	if (b->way == WAY_PLAIN)
		plain_turn(b, ms);
	else
		vhk_loop_step(b->loop, ms * T_MS);
}

static void setup(struct bed *b, enum way way, unsigned int n, uint64_t poll_ns,
		  const struct vhk_source_ops *ops)
{
	static const struct t_mode modes[] = { { VHK_LOOP_IO_URING, 0 }, { VHK_LOOP_EPOLL, 0 } };
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->way = way;
	b->n = n;
	b->ep = epoll_create1(EPOLL_CLOEXEC);
	b->loop = t_loop_opts(&modes[way == WAY_EPOLL], 0, poll_ns);
	for (i = 0; i < n; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &b->r[i] };

		t_ring_init(&b->r[i], b->loop, -2);
		b->r[i].s.ops = ops;
		if (way == WAY_PLAIN)
			T_MUST(!epoll_ctl(b->ep, EPOLL_CTL_ADD, b->r[i].s.kick_fd, &ev));
	}
}

/* In the thread that runs it. */
static void begin(struct bed *b)
{
	unsigned int i;

	if (b->way == WAY_PLAIN)
		return;
	for (i = 0; i < b->n; i++)
		T_MUST(!vhk_loop_add_source(b->loop, &b->r[i].s));
	t_settle(b->loop);
}

static void end(struct bed *b)
{
	unsigned int i;

	for (i = 0; i < b->n; i++) {
		if (b->way != WAY_PLAIN)
			vhk_loop_del_source(b->loop, &b->r[i].s);
		t_ring_fini(&b->r[i]);
	}
	close(b->ep);
}

static unsigned int seen_work(struct vhk_source *s, unsigned int quantum)
{
	struct t_ring *r = t_ring_of(s);
	unsigned int n = atomic_load_explicit(&r->avail, memory_order_acquire) - r->seen;

	(void)quantum;
	r->seen += n;
	return n;
}

/* Every ring is kicked, then all are served: ns for each kick, its write(2) included. */
static double kick_cost(enum way way, unsigned int n)
{
	static struct vhk_source_ops ops;
	static struct bed b;
	unsigned int i, k, turns = N_KICKS / n;
	uint64_t from;
	double ns;

	ops = t_ring_ops;
	ops.work = seen_work;
	setup(&b, way, n, UINT64_MAX, &ops);
	begin(&b);
	from = t_now_ns();
	for (k = 1; k <= turns; k++) {
		for (i = 0; i < n; i++) {
			atomic_fetch_add_explicit(&b.r[i].avail, 1, memory_order_release);
			t_write_kick(b.r[i].s.kick_fd);
		}
		for (i = 0; i < n; i++)
			while (b.r[i].seen != k)
				turn(&b, 0);
	}
	ns = (double)(t_now_ns() - from) / (turns * n);
	end(&b);
	vhk_loop_free(b.loop);
	return ns;
}

static struct bed *the_bed;

static unsigned int answer_work(struct vhk_source *s, unsigned int quantum)
{
	unsigned int n = seen_work(s, quantum);

	if (n) {
		the_bed->came = t_now_ns();
		atomic_fetch_add(&the_bed->answered, 1);
	}
	return n;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* on one core it stays where it is */
}

static void *serve(void *arg)
{
	struct bed *b = arg;

	pin(1);
	begin(b);
	atomic_store(&b->answered, 1);
	while (!atomic_load(&b->over))
		turn(b, 100);
	end(b);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* One ring of @n kicked at a time: ns until its work begins in the other thread. */
static double kick_latency(enum way way, unsigned int n, uint64_t poll_ns)
{
	static double ns[N_LATENCIES];
	static struct vhk_source_ops ops;
	static struct bed b;
	unsigned int i;
	uint64_t from, until;

	ops = t_ring_ops;
	ops.work = answer_work;
	the_bed = &b;
	setup(&b, way, n, poll_ns, &ops);
	if (way == WAY_PLAIN)
		for (i = 0; i < n; i++)
			atomic_store(&b.r[i].armed, true);
	pin(0);
	T_MUST(!pthread_create(&b.thread, NULL, serve, &b));
	while (!atomic_load(&b.answered))
		;
	for (i = 0; i < N_LATENCIES; i++) {
		struct t_ring *r = &b.r[i * 7 % n];

		/* Time to think, so that the other side has nothing to do. */
		for (until = t_now_ns() + 10000; t_now_ns() < until;)
			;
		from = t_now_ns();
		t_ring_add(r);
		while (atomic_load(&b.answered) != i + 2)
			;
		ns[i] = (double)(b.came - from);
		if (way == WAY_PLAIN)
			atomic_store(&r->armed, true);
	}
	atomic_store(&b.over, true);
	pthread_join(b.thread, NULL);
	vhk_loop_free(b.loop);
	return median(ns, N_LATENCIES);
}

static void table(const char *title, unsigned int runs, double (*fn)(enum way, unsigned int))
{
	static const unsigned int sizes[] = { 1, 8, 64, 256 };
	double v[N_WAYS][RUNS_MAX];
	unsigned int i, k, way;

	printf("%s\n%8s", title, "rings");
	for (way = 0; way < N_WAYS; way++)
		printf(" %18s", way_name[way]);
	printf("\n");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (k = 0; k < runs; k++)
			for (way = 0; way < N_WAYS; way++)
				v[way][k] = fn((enum way)way, sizes[i]);
		printf("%8u", sizes[i]);
		for (way = 0; way < N_WAYS; way++)
			printf(" %18.0f", median(v[way], runs));
		printf("\n");
		fflush(stdout);
	}
}

static double asleep(enum way way, unsigned int n)
{
	return kick_latency(way, n, UINT64_MAX);
}

static double awake(enum way way, unsigned int n)
{
	return kick_latency(way, n, 0);
}

int main(int argc, char **argv)
{
	unsigned int runs = argc > 1 ? (unsigned int)atoi(argv[1]) : 5;

	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: loop [runs, 1 to %d]\n", RUNS_MAX);
		return 2;
	}
	table("cost of a kick, one thread, ns", runs, kick_cost);
	table("kick to work, two cores, the loop sleeps, ns", runs, asleep);
	table("kick to work, two cores, the loop polls what it learnt, ns", runs, awake);
	return 0;
}
