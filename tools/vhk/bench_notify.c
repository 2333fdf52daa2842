// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk bench notify: what it costs a back end to learn of requests and to tell of answers, for few
 * and for many queues, beside an epoll as other libraries use it.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "commands.h"
#include "hist.h"
#include "notify.h"
#include "say.h"

#define RUNS_MAX 31
#define COUNTS_MAX 16
#define EVENTS_MAX 64
#define WAIT_MS 5000
/* Between an answer and the next request, where latencies are measured: both sides are idle. */
#define THINK_NS 100000u
#define N_LATENCIES 1000

static const char *const way_names[] = {
	[NOTIFY_EPOLL] = "epoll, read, write",
	[NOTIFY_SLEEP] = "vhostkit, no spinning",
	[NOTIFY_SPIN] = "vhostkit",
	[NOTIFY_MUX] = "vhostkit, /dev/vhostkit",
};

/* What a run measures. */
enum figure {
	ONE_RATE,	/* one kick and one call a request: requests/s */
	ONE_CPU,	/* back end's, ns per request */
	ONE_SYSCALLS,	/* per request */
	LOAD_RATE,	/* requests of EVENT_IDX's choice */
	LOAD_CPU,
	LOAD_SYSCALLS,
	LOAD_KICKS,
	WAKE_P50,	/* kick to work, one request at a time, ns */
	WAKE_P99,
	N_FIGURES,
};

static const char *const figure_names[] = {
	[ONE_RATE] = "kick_each_requests_per_second",
	[ONE_CPU] = "kick_each_cpu_ns",
	[ONE_SYSCALLS] = "kick_each_syscalls",
	[LOAD_RATE] = "requests_per_second",
	[LOAD_CPU] = "cpu_ns",
	[LOAD_SYSCALLS] = "syscalls",
	[LOAD_KICKS] = "kicks",
	[WAKE_P50] = "wake_p50_ns",
	[WAKE_P99] = "wake_p99_ns",
};

struct args {
	unsigned int count[COUNTS_MAX], n_counts;
	unsigned int depth, runs;
	uint64_t time_ns;
	bool packed, json;
	int cpu[2];
};

/* One run of one way. */
struct run {
	struct notify *n;
	unsigned int depth;
	bool each; /* every request is kicked for */
	uint64_t answered, kicks, end;
};

static int run_kick(struct run *r, unsigned int ring, bool wanted)
{
	if (!wanted && !r->each)
		return 0;
	r->kicks++;
	return notify_kick(r->n, ring);
}

/* As many as are missing; nothing once the time is over. */
static int run_fill(struct run *r, unsigned int ring)
{
	struct vhk_vq *q = r->n->ring[ring].vq;
	unsigned int n = 0;
	int ret = 0;

	if (now_ns() >= r->end)
		return 0;
	for (; vhk_vq_in_flight(q) < r->depth && !ret; n++)
		ret = notify_add(r->n, ring);
	if (ret)
		return ret;
	ret = vhk_vq_publish(q);
	return ret < 0 || !n ? ret : run_kick(r, ring, ret > 0);
}

/* Until the ring has no answer and has asked for a call. */
static int run_ring(struct run *r, unsigned int ring)
{
	struct vhk_vq *q = r->n->ring[ring].vq;
	struct vhk_done done[NOTIFY_DEPTH_MAX];
	int n, ret = 0;

	do {
		n = vhk_vq_get(q, done, NOTIFY_DEPTH_MAX);
		if (n < 0)
			return n;
		r->answered += (unsigned int)n;
		if (n)
			ret = run_fill(r, ring);
	} while (!ret && vhk_vq_arm(q));
	return ret;
}

static bool run_outstanding(const struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->n->o.n_rings; i++)
		if (vhk_vq_in_flight(r->n->ring[i].vq))
			return true;
	return false;
}

/* A closed loop; it ends when what was under way at the end of the time has been answered. */
static int run_drive(struct run *r)
{
	struct epoll_event ev[EVENTS_MAX];
	unsigned int i;
	int n, ret = 0;

	for (i = 0; i < r->n->o.n_rings && !ret; i++) {
		vhk_vq_arm(r->n->ring[i].vq);
		ret = run_fill(r, i);
	}
	while (!ret && (now_ns() < r->end || run_outstanding(r))) {
		n = epoll_wait(r->n->calls, ev, EVENTS_MAX, WAIT_MS);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n) {
			ret = atomic_load(&r->n->err);
			return ret ? ret : -ETIMEDOUT;
		}
		for (i = 0; (int)i < n && !ret; i++)
			ret = run_ring(r, ev[i].data.u32);
	}
	return ret ? ret : atomic_load(&r->n->err);
}

static int measure_load(struct notify *n, const struct args *a, bool each, double *out)
{
	struct run r = { .n = n, .depth = each ? 1 : a->depth, .each = each };
	uint64_t begun = now_ns(), cpu = notify_cpu_ns(n), syscalls = notify_syscalls(n);
	double answered;
	int ret;

	r.end = begun + a->time_ns;
	ret = run_drive(&r);
	if (ret || !r.answered)
		return ret ? ret : -ETIMEDOUT;
	answered = (double)r.answered;
	out[0] = answered * 1e9 / (double)(now_ns() - begun);
	out[1] = (double)(notify_cpu_ns(n) - cpu) / answered;
	out[2] = (double)(notify_syscalls(n) - syscalls) / answered;
	if (!each)
		out[3] = (double)r.kicks / answered;
	return 0;
}

static void think(void)
{
	const uint64_t end = now_ns() + THINK_NS;

	while (now_ns() < end)
		;
}

/* One request, from its kick to the back end's look at it. */
static int wake_once(struct notify *n, unsigned int ring, struct hist *h)
{
	struct vhk_vq *q = n->ring[ring].vq;
	struct vhk_done done;
	uint64_t from, until;
	int ret = notify_add(n, ring);

	from = now_ns();
	if (!ret)
		ret = vhk_vq_publish(q);
	if (ret > 0)
		ret = notify_kick(n, ring);
	until = from + WAIT_MS * 1000000ull;
	while (ret >= 0 && !vhk_vq_ready(q))
		if (now_ns() > until)
			ret = -ETIMEDOUT;
	if (ret >= 0)
		ret = vhk_vq_get(q, &done, 1);
	if (ret >= 0)
		hist_add(h, atomic_load(&n->came) - from);
	return ret < 0 ? ret : 0;
}

static int measure_wake(struct notify *n, double *out)
{
	struct hist *h = calloc(1, sizeof(*h));
	unsigned int i, ring = 0;
	int ret = h ? 0 : -ENOMEM;

	for (i = 0; i < n->o.n_rings; i++)
		vhk_vq_disarm(n->ring[i].vq);
	for (i = 0; i < N_LATENCIES && !ret; i++) {
		think();
		ret = wake_once(n, ring, h);
		if (++ring == n->o.n_rings)
			ring = 0;
	}
	if (!ret) {
		out[0] = (double)hist_quantile(h, 0.5);
		out[1] = (double)hist_quantile(h, 0.99);
	}
	free(h);
	return ret;
}

/* All figures of one way and one number of queues, once. */
static int measure(const struct args *a, enum notify_way way, unsigned int n_rings, double *out)
{
	struct notify_opts o = { .way = way,
				 .n_rings = n_rings,
				 .packed = a->packed,
				 .driver_cpu = a->cpu[0],
				 .back_cpu = a->cpu[1] };
	struct notify *n;
	int ret = notify_open(&n, &o);

	if (ret)
		return ret;
	ret = measure_load(n, a, true, &out[ONE_RATE]);
	notify_close(n);
	o.event_idx = true;
	if (!ret) {
		ret = notify_open(&n, &o);
		if (ret)
			return ret;
		ret = measure_load(n, a, false, &out[LOAD_RATE]);
		if (!ret)
			ret = measure_wake(n, &out[WAKE_P50]);
		notify_close(n);
	}
	return ret ? say_error(ret, "bench notify: %s, %u queues", way_names[way], n_rings) : 0;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Runs of all ways take turns. @has: the ways that there are here. */
static int measure_count(const struct args *a, unsigned int n_rings, bool *has,
			 double out[NOTIFY_WAYS][N_FIGURES])
{
	static double v[NOTIFY_WAYS][N_FIGURES][RUNS_MAX];
	double once[N_FIGURES] = { 0 };
	unsigned int run, way, i;
	int ret;

	for (run = 0; run < a->runs; run++) {
		for (way = 0; way < NOTIFY_WAYS; way++) {
			if (!has[way])
				continue;
			ret = measure(a, (enum notify_way)way, n_rings, once);
			if (ret == -ENODEV) {
				has[way] = false;
				continue;
			}
			if (ret)
				return ret;
			for (i = 0; i < N_FIGURES; i++)
				v[way][i][run] = once[i];
		}
	}
	for (way = 0; way < NOTIFY_WAYS; way++) {
		for (i = 0; i < N_FIGURES; i++) {
			qsort(v[way][i], a->runs, sizeof(double), by_value);
			out[way][i] = v[way][i][a->runs / 2];
		}
	}
	return 0;
}

static void print_head(const struct args *a)
{
	printf("Notifications, medians of %u runs of %.2f s; a back end's processor time and\n"
	       "system calls per request, %s rings. Left: one request a queue, each kicked and\n"
	       "called for; middle: %u requests a queue, EVENT_IDX; right: a request every\n"
	       "%u us, from its kick to the back end's work, us\n\n",
	       a->runs, (double)a->time_ns / 1e9, a->packed ? "packed" : "split", a->depth,
	       THINK_NS / 1000);
	printf("%6s %-24s %10s %8s %8s | %10s %8s %8s %7s | %7s %7s\n", "queues", "back end",
	       "req/s", "CPU ns", "syscalls", "req/s", "CPU ns", "syscalls", "kicks", "p50", "p99");
}

static void print_way(unsigned int n_rings, const char *name, const double *v)
{
	printf("%6u %-24s %10.0f %8.0f %8.2f | %10.0f %8.0f %8.3f %7.3f | %7.1f %7.1f\n", n_rings,
	       name, v[ONE_RATE], v[ONE_CPU], v[ONE_SYSCALLS], v[LOAD_RATE], v[LOAD_CPU],
	       v[LOAD_SYSCALLS], v[LOAD_KICKS], v[WAKE_P50] / 1e3, v[WAKE_P99] / 1e3);
	fflush(stdout);
}

static void json_way(struct json *j, unsigned int n_rings, const char *name, const double *v)
{
	unsigned int i;

	json_open(j, NULL, '{');
	json_u64(j, "queues", n_rings);
	json_text(j, "back_end", name);
	for (i = 0; i < N_FIGURES; i++)
		json_real(j, figure_names[i], v[i]);
	json_close(j, '}');
}

static int bench(const struct args *a)
{
	bool has[NOTIFY_WAYS] = { true, true, true, true };
	double v[NOTIFY_WAYS][N_FIGURES];
	unsigned int i, way;
	struct json j;
	int ret = 0;

	if (a->json) {
		json_begin(&j, stdout);
		json_u64(&j, "runs", a->runs);
		json_u64(&j, "depth", a->depth);
		json_bool(&j, "packed", a->packed);
		json_open(&j, "results", '[');
	} else {
		print_head(a);
	}
	for (i = 0; i < a->n_counts && !ret; i++) {
		ret = measure_count(a, a->count[i], has, v);
		for (way = 0; way < NOTIFY_WAYS && !ret; way++) {
			if (!has[way])
				continue;
			if (a->json)
				json_way(&j, a->count[i], way_names[way], v[way]);
			else
				print_way(a->count[i], way_names[way], v[way]);
		}
	}
	if (a->json) {
		json_close(&j, ']');
		json_end(&j);
	} else if (!ret && !has[NOTIFY_MUX]) {
		printf("\nNot measured: /dev/vhostkit, which cannot be opened here.\n");
	}
	return ret;
}

/* The first two processors that we may run on; one alone is for both ends. */
static void find_cpus(int *cpu)
{
	cpu_set_t set;
	int i, n = 0;

	cpu[0] = cpu[1] = -1;
	if (sched_getaffinity(0, sizeof(set), &set))
		return;
	for (i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	if (n < 2)
		cpu[1] = cpu[0];
}

static bool parse_counts(struct args *a, const char *text)
{
	char copy[COUNTS_MAX * 4], *word, *rest;
	uint64_t v;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return false;
	a->n_counts = 0;
	for (word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		if (a->n_counts == COUNTS_MAX || !parse_size(word, 1, NOTIFY_RINGS_MAX, &v))
			return false;
		a->count[a->n_counts++] = (unsigned int)v;
	}
	return a->n_counts;
}

static bool parse_number(const char *text, unsigned int max, unsigned int *out)
{
	uint64_t v;

	if (!parse_size(text, 1, max, &v))
		return false;
	*out = (unsigned int)v;
	return true;
}

static bool parse_value(struct args *a, int opt, const char *text)
{
	switch (opt) {
	case 'Q':
		return parse_counts(a, text);
	case 'd':
		return parse_number(text, NOTIFY_DEPTH_MAX, &a->depth);
	case 'r':
		return parse_number(text, RUNS_MAX, &a->runs);
	default:
		return parse_seconds(text, &a->time_ns);
	}
}

static int parse(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "queues", required_argument, NULL, 'Q' },
		{ "depth", required_argument, NULL, 'd' },
		{ "runs", required_argument, NULL, 'r' },
		{ "time", required_argument, NULL, 'T' },
		{ "packed", no_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int opt;

	while ((opt = say_getopt(argc, argv, "j", options, NULL)) >= 0) {
		if (opt == '?')
			return EXIT_USAGE;
		if (opt == 'p')
			a->packed = true;
		else if (opt == 'j')
			a->json = true;
		else if (!parse_value(a, opt, optarg))
			return say_usage("bench notify: bad value: %s", optarg);
	}
	return optind == argc ? 0 : say_usage("bench notify: takes no arguments");
}

int bench_notify(int argc, char **argv)
{
	struct args a = { .count = { 1, 8, 64, 256 },
			  .n_counts = 4,
			  .depth = 16,
			  .runs = 3,
			  .time_ns = 300000000u };
	int ret = parse(&a, argc, argv);

	if (ret)
		return ret;
	find_cpus(a.cpu);
	return bench(&a);
}
