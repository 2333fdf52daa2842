// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Rings: nanoseconds a request takes from vhk_vq_add() to vhk_vq_get(), between two threads that
 * poll on two cores, with everything checked and translated. Beside it what one round trip of a
 * cache line costs on these cores.
 *
 *	ring [-j] [-n REQUESTS] [-r ROUNDS] [-c DRIVER,DEVICE] [CASE...]
 *
 * CASE: packed-one, packed-burst, split-one, split-burst, pingpong. Default: all.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vhostkit/ring.h>
#include <vhostkit/vq.h>

#include "barrier.h"

#define SIZE 256
#define BURST 32
#define DATA_GPA 0x100000
#define RING_GPA 0x10000000
#define ROUNDS_MAX 101
#define LOOK_NS 50.0 /* as vhk_vq_ready() advises */

struct run {
	struct vhk_mem *mem;
	struct vhk_vq *vq;
	struct vhk_ring *ring;
	unsigned char *data;
	unsigned int under_way; /* requests outstanding at most */
	unsigned int burst;	/* moved at once at most */
	uint64_t n;
	int cpu;		/* of the device */
	atomic_bool failed;
	pthread_barrier_t start;
	_Alignas(128) atomic_uint_fast64_t line; /* pingpong */
};

struct bench_case {
	const char *name;
	uint64_t layout;
	unsigned int under_way, burst;
	uint64_t n;
};

static const struct bench_case cases[] = {
	{ "packed-one", VHK_F_RING_PACKED, 1, 1, 2000000 },
	{ "packed-burst", VHK_F_RING_PACKED, SIZE, BURST, 20000000 },
	{ "split-one", 0, 1, 1, 2000000 },
	{ "split-burst", 0, SIZE, BURST, 20000000 },
	{ "pingpong", 0, 0, 0, 2000000 },
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		fprintf(stderr, "ring: cannot run on core %d\n", cpu);
		exit(1);
	}
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* As many as take LOOK_NS here: a pause is 15 ns long on some processors, 50 on others. */
static unsigned int n_pauses = 1;

static void measure_pause(void)
{
	double best = 1e9, begin, ns;
	unsigned int i, k;

	for (k = 0; k < 100; k++) {
		begin = now_ns();
		for (i = 0; i < 1000; i++)
			vhk_pause();
		ns = (now_ns() - begin) / 1000;
		best = ns < best ? ns : best;
	}
	n_pauses = best < LOOK_NS ? (unsigned int)(LOOK_NS / best + 0.5) : 1;
}

/*
 * Between two looks at a line that the other side is about to write. A look takes the line away
 * from it; if that happens between its reading and its writing, the line crosses twice more.
 */
static void pause_look(void)
{
	unsigned int i;

	for (i = 0; i < n_pauses; i++)
		vhk_pause();
}

static void *device(void *arg)
{
	struct run *r = arg;
	struct vhk_chain *c[BURST];
	uint64_t done = 0;

	pin(r->cpu);
	vhk_ring_disarm(r->ring);
	pthread_barrier_wait(&r->start);
	while (done < r->n) {
		int i, n;

		while (!vhk_ring_ready(r->ring))
			pause_look();
		n = vhk_ring_pop(r->ring, c, r->burst);
		if (n < 0) {
			r->failed = true;
			break;
		}
		for (i = 0; i < n; i++) {
			c[i]->written = c[i]->in_len;
			vhk_ring_push(r->ring, c[i]);
		}
		if (n)
			vhk_ring_publish(r->ring);
		done += (unsigned int)n;
	}
	return NULL;
}

static int driver_add(struct run *r, uint64_t left, unsigned int busy)
{
	unsigned int room = r->under_way - busy, n = left < room ? (unsigned int)left : room, i;

	if (n > r->burst)
		n = r->burst;
	else if (n < r->burst && left > n)
		return 0;
	for (i = 0; i < n; i++) {
		struct iovec seg = { r->data + 64 * ((busy + i) % SIZE), 64 };

		if (vhk_vq_add(r->vq, &seg, 0, 1, r))
			return -1;
	}
	if (n)
		vhk_vq_publish(r->vq);
	return (int)n;
}

static void driver(struct run *r)
{
	struct vhk_done done[BURST];
	uint64_t added = 0, got = 0;

	while (got < r->n && !r->failed) {
		int n = driver_add(r, r->n - added, (unsigned int)(added - got));

		if (n >= 0) {
			added += (unsigned int)n;
			while (!n && !vhk_vq_ready(r->vq))
				pause_look();
			n = vhk_vq_get(r->vq, done, r->burst);
		}
		if (n < 0)
			r->failed = true;
		else
			got += (unsigned int)n;
	}
}

static void *pong(void *arg)
{
	struct run *r = arg;
	uint64_t i;

	pin(r->cpu);
	pthread_barrier_wait(&r->start);
	for (i = 0; i < r->n; i++) {
		while (atomic_load_explicit(&r->line, memory_order_acquire) != 2 * i + 1)
			;
		atomic_store_explicit(&r->line, 2 * i + 2, memory_order_release);
	}
	return NULL;
}

static void ping(struct run *r)
{
	uint64_t i;

	for (i = 0; i < r->n; i++) {
		atomic_store_explicit(&r->line, 2 * i + 1, memory_order_release);
		while (atomic_load_explicit(&r->line, memory_order_acquire) != 2 * i + 2)
			;
	}
}

static int run_open(struct run *r, const struct bench_case *c)
{
	struct vhk_vq_opts vo = { .sz = sizeof(vo),
				  .size = SIZE,
				  .features = c->layout | VHK_F_VERSION_1 | VHK_F_EVENT_IDX,
				  .gpa = { RING_GPA } };
	struct vhk_ring_opts ro = { .sz = sizeof(ro), .features = vo.features };
	struct vhk_vq_addr at;
	void *data;
	int ret;

	ret = vhk_mem_new(&r->mem);
	if (!ret)
		ret = vhk_mem_alloc(r->mem, (struct vhk_gpa){ DATA_GPA }, SIZE * 64, &data);
	if (!ret)
		ret = vhk_vq_new(&r->vq, r->mem, &vo);
	if (ret)
		return ret;
	r->data = data;
	vhk_vq_addr(r->vq, &at);
	ro.size = at.size;
	ro.base = at.base;
	ro.desc = at.desc;
	ro.driver = at.driver;
	ro.device = at.device;
	return vhk_ring_new(&r->ring, r->mem, &ro);
}

static void run_close(struct run *r)
{
	vhk_ring_free(r->ring);
	vhk_vq_free(r->vq);
	vhk_mem_free(r->mem);
}

/* Nanoseconds a request; ends the program where that cannot be measured. */
static double run_case(const struct bench_case *c, uint64_t n, const int cpu[2])
{
	struct run r = { .under_way = c->under_way, .burst = c->burst, .n = n, .cpu = cpu[1] };
	pthread_t other;
	double begin;

	if (c->burst && run_open(&r, c)) {
		fprintf(stderr, "ring: %s: cannot set up\n", c->name);
		exit(1);
	}
	pthread_barrier_init(&r.start, NULL, 2);
	pin(cpu[0]);
	if (pthread_create(&other, NULL, c->burst ? device : pong, &r)) {
		fprintf(stderr, "ring: no thread\n");
		exit(1);
	}
	pthread_barrier_wait(&r.start);
	begin = now_ns();
	if (c->burst)
		driver(&r);
	else
		ping(&r);
	begin = now_ns() - begin;
	if (r.failed) {
		fprintf(stderr, "ring: %s: broken ring\n", c->name);
		exit(1);
	}
	pthread_join(other, NULL);
	pthread_barrier_destroy(&r.start);
	run_close(&r);
	return begin / (double)n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static bool wanted(const char *name, char **names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return n == 0;
}

static void known(char **names, int n)
{
	unsigned int k;
	int i;

	for (i = 0; i < n; i++) {
		for (k = 0; k < CASES && strcmp(names[i], cases[k].name); k++)
			;
		if (k == CASES) {
			fprintf(stderr, "ring: no case %s\n", names[i]);
			exit(2);
		}
	}
}

static void report(bool json, bool *first, const char *name, double *ns, unsigned int rounds)
{
	qsort(ns, rounds, sizeof(*ns), by_value);
	if (json)
		printf("%s{\"case\": \"%s\", \"ns\": %.2f, \"min\": %.2f, \"max\": %.2f}",
		       *first ? "" : ", ", name, ns[rounds / 2], ns[0], ns[rounds - 1]);
	else
		printf("%-14s %8.2f ns a request   (%.2f to %.2f, %u rounds)\n", name,
		       ns[rounds / 2], ns[0], ns[rounds - 1], rounds);
	*first = false;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: ring [-j] [-n REQUESTS] [-r ROUNDS] [-c DRIVER,DEVICE] [CASE...]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static double ns[CASES][ROUNDS_MAX];
	unsigned int rounds = 5, i, k;
	bool json = false, first = true;
	int cpu[2] = { 0, 1 }, opt;
	uint64_t n = 0;

	while ((opt = getopt(argc, argv, "jn:r:c:")) != -1) {
		if (opt == 'j')
			json = true;
		else if (opt == 'n')
			n = strtoull(optarg, NULL, 0);
		else if (opt == 'r')
			rounds = (unsigned int)strtoul(optarg, NULL, 0);
		else if (opt != 'c' || sscanf(optarg, "%d,%d", &cpu[0], &cpu[1]) != 2)
			return usage();
	}
	if (!rounds || rounds > ROUNDS_MAX || cpu[0] == cpu[1])
		return usage();
	known(argv + optind, argc - optind);
	measure_pause();
	/* Both sides spin: a stall ends here. */
	alarm(600);
	for (i = 0; i < rounds; i++)
		for (k = 0; k < CASES; k++)
			if (wanted(cases[k].name, argv + optind, argc - optind))
				ns[k][i] = run_case(&cases[k], n ? n : cases[k].n, cpu);
	if (json)
		printf("[");
	for (k = 0; k < CASES; k++)
		if (wanted(cases[k].name, argv + optind, argc - optind))
			report(json, &first, cases[k].name, ns[k], rounds);
	if (json)
		printf("]\n");
	return 0;
}
