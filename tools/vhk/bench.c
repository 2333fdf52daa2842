// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk blk bench: keeps a number of requests outstanding on each queue and measures what that costs
 * on both sides.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "blk.h"
#include "commands.h"
#include "hist.h"
#include "say.h"
#include "uri.h"

#define REAP_MAX 64
#define SPINS_PER_LOOK 4096 /* polling: how often the control socket and the clock are looked at */
#define VERIFY_DEFAULT (64ull << 20)

static const char *const load_names[] = { "randread", "randwrite", "read", "write", "verify" };

struct bench {
	const struct blk_args *a;
	struct disk *d;
	struct disk_verify *v;
	struct progress bar;
	struct hist hist;
	uint64_t n_blocks, next, random;
	uint64_t begun, end, now; /* ns */
	uint64_t submitted, answered;
	uint64_t cpu_self, cpu_peer; /* at the beginning, then spent; ns */
	clockid_t peer_clock;
	bool has_peer, final, warm, differs;
	unsigned int reconnects;
};

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static bool bench_over(const struct bench *b)
{
	if (b->a->count)
		return b->submitted >= b->a->count;
	return b->now >= b->end;
}

static bool bench_prepare(struct bench *b, struct disk_req *r)
{
	bool random = b->a->load == BLK_RANDREAD || b->a->load == BLK_RANDWRITE;

	if (b->final)
		return verify_prepare_final(b->v, r);
	if (bench_over(b))
		return false;
	if (b->v)
		return verify_prepare(b->v, r);
	r->type = b->a->load == BLK_RANDWRITE || b->a->load == BLK_WRITE ? VIRTIO_BLK_T_OUT :
									   VIRTIO_BLK_T_IN;
	r->at = b->a->offset + (random ? next_random(b) % b->n_blocks : b->next++ % b->n_blocks) *
		b->a->disk.block;
	r->len = b->a->disk.block;
	return true;
}

/* Keeps queue @q full. */
static int bench_fill(struct bench *b, unsigned int q)
{
	struct disk_req *r;
	int ret;

	while ((r = disk_get(b->d, q))) {
		if (!bench_prepare(b, r)) {
			disk_put(b->d, r);
			break;
		}
		r->begun = b->now;
		b->submitted++;
		ret = disk_submit(b->d, r);
		if (ret)
			return say_error(ret, "%s: request at %llu", b->d->uri,
					 (unsigned long long)r->at);
	}
	ret = disk_publish(b->d, q);
	return ret < 0 ? say_error(ret, "%s", b->d->uri) : 0;
}

static int bench_answered(struct bench *b, struct disk_req *r)
{
	int ret = disk_result(r);

	if (ret)
		return say_error(ret, "%s: %s at %llu", b->d->uri,
				 r->type == VIRTIO_BLK_T_OUT ? "write" : "read",
				 (unsigned long long)r->at);
	b->answered++;
	hist_add(&b->hist, b->now - r->begun);
	ret = b->v ? verify_check(b->v, r) : 0;
	b->differs |= ret;
	return ret;
}

/* Takes what queue @q has; how many, or -1 after saying why. */
static int bench_reap(struct bench *b, unsigned int q)
{
	struct disk_req *done[REAP_MAX];
	int i, n;

	n = disk_reap(b->d, q, done, REAP_MAX);
	if (n < 0) {
		say_error(n, "%s: queue %u", b->d->uri, q);
		return -1;
	}
	if (n)
		b->now = now_ns();
	for (i = 0; i < n; i++) {
		if (bench_answered(b, done[i]))
			return -1;
		disk_put(b->d, done[i]);
	}
	return n;
}

static int bench_round(struct bench *b)
{
	unsigned int q;
	int n, some = 0;

	for (q = 0; q < b->d->n_queues; q++) {
		n = bench_reap(b, q);
		if (n < 0)
			return -1;
		if (n && bench_fill(b, q))
			return -1;
		some |= n;
	}
	return some;
}

static int bench_spin(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < SPINS_PER_LOOK; i++) {
		if (disk_ready(b->d))
			return 0;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
	b->now = now_ns();
	vhk_ctl_process(b->d->ctl);
	return disk_fault(b->d);
}

static int bench_lost(struct bench *b, int ret)
{
	if ((ret != -ENOTCONN && ret != -EPROTO) || !b->a->reconnect)
		return say_error(ret, "%s", b->d->uri);
	ret = disk_reconnect(b->d);
	if (ret)
		return say_error(ret, "%s: reconnect", b->d->uri);
	b->reconnects++;
	return 0;
}

static int bench_idle(struct bench *b)
{
	uint32_t timeout = b->a->disk.timeout_ms ? b->a->disk.timeout_ms : 5000;
	int ret = b->a->poll ? bench_spin(b) : disk_wait(b->d, (int)timeout);

	b->now = now_ns();
	if (b->warm)
		progress_set(&b->bar, b->a->count ? b->answered : b->now - b->begun);
	return ret ? bench_lost(b, ret) : 0;
}

/* From full queues until nothing is outstanding. */
static int bench_drive(struct bench *b)
{
	unsigned int q;
	int ret = 0;

	b->now = now_ns();
	for (q = 0; q < b->d->n_queues && !ret; q++)
		ret = bench_fill(b, q);
	while (!ret && disk_outstanding(b->d)) {
		ret = bench_round(b);
		if (ret >= 0)
			ret = ret ? 0 : bench_idle(b);
	}
	return ret ? EXIT_FAILED : 0;
}

static void bench_begin(struct bench *b)
{
	memset(&b->hist, 0, sizeof(b->hist));
	b->submitted = b->answered = 0;
	b->begun = b->now = now_ns();
	b->end = b->begun + b->a->time_ns;
	b->warm = true;
	b->cpu_self = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (b->has_peer)
		b->cpu_peer = cpu_ns(b->peer_clock);
	progress_begin(&b->bar, load_names[b->a->load], b->a->count ? b->a->count : b->a->time_ns);
	if (b->a->quiet)
		b->bar.on = false;
}

static void bench_end(struct bench *b)
{
	const uint64_t peer = b->has_peer ? cpu_ns(b->peer_clock) : 0;

	b->end = now_ns();
	b->cpu_self = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - b->cpu_self;
	/* The clock went with the first process where another one has taken over. */
	b->has_peer &= !b->reconnects && peer >= b->cpu_peer;
	b->cpu_peer = peer - b->cpu_peer;
	progress_end(&b->bar);
}

/* A tenth of the time, uncounted: caches, the back end's learning, the first page faults. */
static int bench_warm_up(struct bench *b)
{
	if (b->a->count || b->v)
		return 0;
	b->end = now_ns() + b->a->time_ns / 10;
	return bench_drive(b);
}

static int bench_final(struct bench *b)
{
	struct hist kept = b->hist;
	uint64_t answered = b->answered;
	int ret;

	b->final = true;
	ret = bench_drive(b);
	b->hist = kept;
	b->answered = answered;
	return ret;
}

static double per_request(const struct bench *b, uint64_t ns)
{
	return b->answered ? (double)ns / (double)b->answered : 0;
}

static double per_second(const struct bench *b)
{
	uint64_t ns = b->end - b->begun;

	return ns ? (double)b->answered * 1e9 / (double)ns : 0;
}

static void bench_text(const struct bench *b)
{
	const struct hist *h = &b->hist;

	printf("%s, %u bytes, depth %u on %u queue%s, %.2f s\n", load_names[b->a->load],
	       b->a->disk.block, b->d->depth, b->d->n_queues, b->d->n_queues > 1 ? "s" : "",
	       (double)(b->end - b->begun) / 1e9);
	printf("requests/s     %.0f (%.1f MiB/s)\n", per_second(b),
	       per_second(b) * b->a->disk.block / (1 << 20));
	printf("latency us     p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n",
	       (double)hist_quantile(h, 0.5) / 1e3, (double)hist_quantile(h, 0.99) / 1e3,
	       (double)hist_quantile(h, 0.999) / 1e3, (double)h->max / 1e3);
	printf("CPU ns/request driver %.0f", per_request(b, b->cpu_self));
	if (b->has_peer)
		printf("  back end %.0f", per_request(b, b->cpu_peer));
	printf("\n");
	if (b->v)
		printf("verified       %llu requests, %u reconnects: nothing lost\n",
		       (unsigned long long)b->answered, b->reconnects);
	hist_print(h, stdout);
}

static void bench_json(const struct bench *b)
{
	const struct hist *h = &b->hist;
	struct json j;

	json_begin(&j, stdout);
	json_text(&j, "load", load_names[b->a->load]);
	json_u64(&j, "block_size", b->a->disk.block);
	json_u64(&j, "depth", b->d->depth);
	json_u64(&j, "queues", b->d->n_queues);
	json_bool(&j, "packed", b->a->disk.packed);
	json_bool(&j, "event_idx", vhk_ctl_features(b->d->ctl) & VHK_F_EVENT_IDX);
	json_bool(&j, "indirect", b->a->disk.indirect);
	json_bool(&j, "in_order", b->a->disk.in_order);
	json_bool(&j, "poll", b->a->poll);
	json_real(&j, "seconds", (double)(b->end - b->begun) / 1e9);
	json_u64(&j, "requests", b->answered);
	json_real(&j, "requests_per_second", per_second(b));
	json_u64(&j, "p50_ns", hist_quantile(h, 0.5));
	json_u64(&j, "p99_ns", hist_quantile(h, 0.99));
	json_u64(&j, "p999_ns", hist_quantile(h, 0.999));
	json_u64(&j, "max_ns", h->max);
	json_real(&j, "driver_cpu_ns", per_request(b, b->cpu_self));
	if (b->has_peer)
		json_real(&j, "backend_cpu_ns", per_request(b, b->cpu_peer));
	json_u64(&j, "reconnects", b->reconnects);
	if (b->v)
		json_bool(&j, "verified", !b->differs);
	hist_json(h, &j);
	json_end(&j);
}

static int bench_run(struct bench *b)
{
	int ret = bench_warm_up(b);

	if (ret)
		return ret;
	bench_begin(b);
	ret = bench_drive(b);
	bench_end(b);
	if (!ret && b->v)
		ret = bench_final(b);
	if (b->a->json && (!ret || b->differs))
		bench_json(b);
	else if (!ret)
		bench_text(b);
	return ret;
}

static int bench_init(struct bench *b)
{
	uint64_t size = b->a->size, offset = b->a->offset;
	uint64_t have = offset < b->d->size ? b->d->size - offset : 0;
	int pid, ret;

	if (!size)
		size = b->a->load == BLK_VERIFY && have > VERIFY_DEFAULT ? VERIFY_DEFAULT : have;
	b->n_blocks = size / b->a->disk.block;
	b->random = b->a->seed | 1;
	if (size > have || !b->n_blocks) {
		say("%s: has %llu bytes, too few for this", b->d->uri,
		    (unsigned long long)b->d->size);
		return EXIT_FAILED;
	}
	if (b->a->disk.block % b->d->sector || offset % b->d->sector) {
		say("%s: --bs and --offset have to be multiples of its block size %u", b->d->uri,
		    b->d->sector);
		return EXIT_FAILED;
	}
	if (b->d->read_only && b->a->load != BLK_READ && b->a->load != BLK_RANDREAD) {
		say("%s: is read-only", b->d->uri);
		return EXIT_FAILED;
	}
	pid = vhk_ctl_peer_pid(b->d->ctl);
	b->has_peer = pid > 0 && !clock_getcpuclockid(pid, &b->peer_clock);
	if (b->a->load != BLK_VERIFY)
		return 0;
	ret = verify_new(&b->v, b->d, b->a, size);
	return ret ? say_error(ret, "verify") : 0;
}

static int pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return 0;
	if (errno == EINVAL)
		return say_usage("--cpu %d: there is no such processor for us", cpu);
	return say_error(-errno, "--cpu %d", cpu);
}

int blk_bench(int argc, char **argv)
{
	struct blk_args a = { .disk = { .queues = 1, .depth = 32, .block = 4096 },
			      .time_ns = 5000000000u,
			      .seed = 1,
			      .cpu = -1 };
	struct bench *b;
	int ret = blk_parse(&a, argc, argv, 1, 1);

	if (ret)
		return ret;
	a.disk.uri = argv[optind];
	ret = uri_check_door(a.disk.uri);
	if (ret)
		return ret;
	b = calloc(1, sizeof(*b));
	if (!b)
		return say_error(-ENOMEM, "bench");
	b->a = &a;
	ret = pin(a.cpu);
	if (!ret)
		ret = disk_open(&b->d, &a.disk);
	if (!ret)
		ret = bench_init(b);
	if (!ret)
		ret = bench_run(b);
	disk_close(b->d);
	verify_free(b->v);
	free(b);
	return ret;
}
