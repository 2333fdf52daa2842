// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a request costs a back end as things grow: queues, queues of which one is at work, depth,
 * segments of a chain, regions of memory. Both ends live in this thread: the driver publishes and
 * kicks, then the back end's loop is stepped until it has nothing left to do, and only that is
 * measured. All rigs of a device touch the same bytes of data in the same order, so what differs is
 * what grows. Runs of a rig and of the smallest alternate; a run is the median of its rounds.
 *
 *   growth [-q] [-r RUNS] [-j FILE] [SERIES]
 *
 * SERIES: those only whose names contain this.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <linux/virtio_blk.h>

#include <vhostkit/backend.h>
#include <vhostkit/blk.h>
#include <vhostkit/ctl.h>
#include <vhostkit/net.h>

#include "mem.h"
#include "t.h"

#define QUEUES_MAX 256
#define RING 256
#define RUNS_MAX 31
#define ROUNDS_MAX 4096
#define SLOTS 508
#define SLOT_SIZE 8192u
#define HEAD_AT 4096u
#define BLOCK (64u << 10)
#define RINGS_GPA 0x10000000000ull
#define IMAGE_SECTORS 2048
#define SEGS_MAX 64

enum kind { DISK, NIC };

struct shape {
	enum kind kind;
	unsigned int queues, active, depth, segs, regions;
};

struct rig {
	struct shape s;
	struct vhk_loop *loop;
	struct vhk_device *dev;
	struct vhk_backend *be;
	struct vhk_ctl *ctl;
	struct vhk_mem *mem;
	struct vhk_vq *vq[QUEUES_MAX];
	unsigned char *slot[SLOTS];
	unsigned int next;
	int done, ret;
};

struct series {
	const char *name, *unit;
	double goal;
	struct shape base;
	size_t member;
	unsigned int at[8]; /* 0 behind the last */
};

#define AT(m) offsetof(struct shape, m)
static const struct series table[] = {
	{ "disk, queues", "queues", 1.10, { DISK, 1, 1, 16, 1, 1 }, AT(queues),
	  { 4, 16, 64, 128, 256 } },
	{ "disk, one of so many queues at work", "queues", 1.05, { DISK, 1, 1, 16, 1, 1 },
	  AT(queues), { 4, 16, 64, 128, 256 } },
	{ "disk, regions of memory", "regions", 1.10, { DISK, 1, 1, 16, 1, 1 }, AT(regions),
	  { 2, 8, 32, 128, 508 } },
	{ "disk, depth", "requests", 0, { DISK, 1, 1, 1, 1, 1 }, AT(depth),
	  { 2, 4, 8, 16, 32, 64 } },
	{ "disk, segments of 4 KiB", "segments", 0, { DISK, 1, 1, 4, 1, 1 }, AT(segs),
	  { 2, 4, 8, 16, 32 } },
	{ "network card, pairs of queues", "pairs", 1.30, { NIC, 1, 1, 64, 1, 1 }, AT(queues),
	  { 2, 4, 16, 32, 64 } },
	{ "network card, one of so many pairs at work", "pairs", 1.05, { NIC, 1, 1, 64, 1, 1 },
	  AT(queues), { 4, 16, 64 } },
	{ "network card, regions of memory", "regions", 1.30, { NIC, 1, 1, 64, 1, 1 },
	  AT(regions), { 2, 8, 32, 128, 508 } },
};

static uint64_t run_ns = 20000000;
static int data_fd;

static unsigned int member_of(const struct shape *s, size_t member)
{
	return *(const unsigned int *)(const void *)((const char *)s + member);
}

static void set_done(void *arg, int ret)
{
	struct rig *r = arg;

	r->ret = ret;
	r->done = 1;
}

/* Both ends take their turns until the front end's job is done. */
static void finish(struct rig *r)
{
	const uint64_t end = t_now_ns() + 20000000000ull;

	while (!r->done) {
		T_MUST(vhk_loop_step(r->loop, 0) >= 0);
		vhk_ctl_process(r->ctl);
		T_MUST(t_now_ns() < end);
	}
	T_MUST(!r->ret);
	r->done = 0;
}

static void make_device(struct rig *r, const char *image)
{
	const struct vhk_blk_opts disk = { .sz = sizeof(disk),
					   .path = image,
					   .flags = VHK_BLK_F_READ_ONLY,
					   .num_queues = (uint16_t)r->s.queues };
	const struct vhk_net_opts nic = { .sz = sizeof(nic),
					  .port = VHK_NET_RXONLY,
					  .num_pairs = (uint16_t)r->s.queues };

	if (r->s.kind == DISK)
		T_MUST(!vhk_blk_new(&r->dev, &disk));
	else
		T_MUST(!vhk_net_new(&r->dev, &nic));
}

/* Regions that do not touch each other, of the same pages whatever their number: which lie in whose
 * way in the caches is then the same for all rigs. */
static void make_memory(struct rig *r)
{
	const unsigned int each = (SLOTS + r->s.regions - 1) / r->s.regions;
	struct iovec seg = { 0 };
	unsigned int i;

	T_MUST(!vhk_mem_new(&r->mem));
	for (i = 0; i < SLOTS; i++) {
		const uint64_t at = (1 + (uint64_t)i) << 24;
		const unsigned int left = SLOTS - i < each ? SLOTS - i : each;
		const struct vhk_region region = { { at }, { at }, (uint64_t)left * SLOT_SIZE,
						   (uint64_t)i * SLOT_SIZE };

		if (i % each == 0) {
			T_MUST(!vhk_mem_add_keep_take_fd(r->mem, &region, dup(data_fd)));
			T_MUST(vhk_mem_find(r->mem, region.gpa, region.size, &seg, 1) == 1);
		}
		r->slot[i] = (unsigned char *)seg.iov_base + (size_t)(i % each) * SLOT_SIZE;
		memset(r->slot[i], 0, SLOT_SIZE);
	}
}

static unsigned int rings_of(const struct rig *r)
{
	return r->s.kind == DISK ? r->s.queues : 2 * r->s.queues;
}

static void make_queues(struct rig *r)
{
	struct vhk_vq_opts o = { .sz = sizeof(o),
				 .size = RING,
				 .features = vhk_ctl_features(r->ctl) };
	const unsigned int n = rings_of(r);
	unsigned char *rings;
	unsigned int i;

	T_MUST(vhk_vq_bytes(&o) && vhk_vq_bytes(&o) <= BLOCK);
	T_MUST(!vhk_mem_alloc(r->mem, (struct vhk_gpa){ RINGS_GPA }, (size_t)n * BLOCK,
			      (void **)&rings));
	for (i = 0; i < n; i++) {
		o.block = rings + (size_t)i * BLOCK;
		T_MUST(!vhk_vq_new(&r->vq[i], r->mem, &o));
	}
}

static void open_rig(struct rig *r, const struct shape *s, const char *image)
{
	const struct vhk_loop_opts lo = { .sz = sizeof(lo), .poll_ns = UINT64_MAX };
	const struct vhk_ctl_opts co = { .sz = sizeof(co),
					 .timeout_ms = 20000,
					 .n_queues = (uint16_t)(s->queues * (1 + s->kind)),
					 .queue_size = RING };
	const uint64_t want = VHK_F_VERSION_1 | VHK_F_EVENT_IDX;
	char uri[32];
	int fd[2];

	*r = (struct rig){ .s = *s };
	make_device(r, image);
	make_memory(r);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_loop_new(&r->loop, &lo));
	T_MUST(!vhk_backend_take_fd(&r->be, r->loop, r->dev, fd[1], NULL));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	T_MUST(!vhk_ctl_open(&r->ctl, uri, &co));
	T_MUST(!vhk_ctl_setup_async(r->ctl, want, want, r->mem, set_done, r));
	finish(r);
	make_queues(r);
	T_MUST(!vhk_ctl_start_async(r->ctl, 0, r->vq, rings_of(r), set_done, r));
	finish(r);
}

static void close_rig(struct rig *r)
{
	unsigned int i;

	T_MUST(!vhk_ctl_stop_async(r->ctl, 0, rings_of(r), set_done, r));
	finish(r);
	vhk_ctl_close(r->ctl);
	while (vhk_loop_step(r->loop, 0) > 0)
		;
	vhk_backend_close(r->be);
	vhk_device_free(r->dev);
	vhk_loop_free(r->loop);
	for (i = 0; i < rings_of(r); i++)
		vhk_vq_free(r->vq[i]);
	vhk_mem_free(r->mem);
}

static unsigned int queue_of(const struct rig *r, unsigned int i)
{
	/* The last one, where one of many is at work: searches go to the end. */
	const unsigned int q = r->s.active == 1 ? r->s.queues - 1 : i;

	return r->s.kind == DISK ? q : 2 * q + 1;
}

/* Neighbours in time are none in memory: what was found last is never what is looked for next. */
static unsigned char *next_slot(struct rig *r)
{
	r->next = (r->next + 37) % SLOTS;
	return r->slot[r->next];
}

static void add(struct rig *r, struct vhk_vq *q)
{
	struct iovec seg[SEGS_MAX + 2];
	unsigned char *at = next_slot(r);
	const size_t len = 4096 / r->s.segs;
	unsigned int i;

	if (r->s.kind == NIC) {
		seg[0] = (struct iovec){ at, 12 + 60 };
		T_MUST(!vhk_vq_add(q, seg, 1, 0, r));
		return;
	}
	*(struct virtio_blk_outhdr *)(void *)(at + HEAD_AT) = (struct virtio_blk_outhdr){
		.type = VIRTIO_BLK_T_IN, .sector = r->next * 8 % IMAGE_SECTORS
	};
	seg[0] = (struct iovec){ at + HEAD_AT, sizeof(struct virtio_blk_outhdr) };
	for (i = 0; i < r->s.segs; i++)
		seg[1 + i] = (struct iovec){ at + i * len, len };
	at[HEAD_AT + 64] = 0xff;
	seg[1 + i] = (struct iovec){ at + HEAD_AT + 64, 1 };
	T_MUST(!vhk_vq_add(q, seg, 1, 1 + r->s.segs, at));
}

static void collect(struct rig *r)
{
	struct vhk_done done[RING];
	unsigned int i;
	int k, n;

	for (i = 0; i < r->s.active; i++) {
		n = vhk_vq_get(r->vq[queue_of(r, i)], done, RING);
		T_MUST(n == (int)r->s.depth);
		for (k = 0; k < n && r->s.kind == DISK; k++)
			T_MUST(((unsigned char *)done[k].token)[HEAD_AT + 64] == VIRTIO_BLK_S_OK);
	}
}

/* ns for each request of one round. */
static double one_round(struct rig *r)
{
	const unsigned int total = r->s.active * r->s.depth;
	unsigned int i, k;
	uint64_t t;

	for (i = 0; i < r->s.active; i++) {
		const unsigned int q = queue_of(r, i);

		for (k = 0; k < r->s.depth; k++)
			add(r, r->vq[q]);
		if (vhk_vq_publish(r->vq[q]) > 0)
			T_MUST(!vhk_ctl_kick(r->ctl, q));
	}
	t = t_now_ns();
	while (vhk_loop_step(r->loop, 0) > 0)
		;
	t = t_now_ns() - t;
	collect(r);
	return (double)t / total;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static double one_run(struct rig *r)
{
	static double ns[ROUNDS_MAX];
	const uint64_t end = t_now_ns() + run_ns;
	unsigned int n = 0;

	do
		ns[n++] = one_round(r);
	while (n < ROUNDS_MAX && (n < 3 || t_now_ns() < end));
	return median(ns, n);
}

static struct shape shape_at(const struct series *s, unsigned int at)
{
	struct shape x = s->base;

	*(unsigned int *)(void *)((char *)&x + s->member) = at;
	if (s->member == AT(queues) && !strstr(s->name, "one of"))
		x.active = at;
	return x;
}

/* One point of a series beside its smallest. */
static void compare(const struct series *s, unsigned int at, unsigned int runs, const char *image,
		    FILE *json)
{
	const struct shape shape = shape_at(s, at);
	double ns[RUNS_MAX], base_ns[RUNS_MAX], times[RUNS_MAX];
	static struct rig base, grown;
	unsigned int i;
	double m;

	open_rig(&base, &s->base, image);
	open_rig(&grown, &shape, image);
	one_run(&base);
	one_run(&grown);
	for (i = 0; i < runs; i++) {
		if (i % 2)
			ns[i] = one_run(&grown);
		base_ns[i] = one_run(&base);
		if (i % 2 == 0)
			ns[i] = one_run(&grown);
		times[i] = ns[i] / base_ns[i];
	}
	close_rig(&grown);
	close_rig(&base);
	m = median(times, runs);
	printf("%-44s %4u %9.1f %9.1f %7.2f  %.2f-%.2f", s->name, at, median(base_ns, runs),
	       median(ns, runs), m, times[0], times[runs - 1]);
	if (s->goal > 0)
		printf("  %.2f", s->goal);
	printf("\n");
	if (!json)
		return;
	fprintf(json, "    { \"series\": \"%s\", \"unit\": \"%s\", \"from\": %u, \"at\": %u, ",
		s->name, s->unit, member_of(&s->base, s->member), at);
	fprintf(json, "\"base_ns\": %.2f, \"ns\": %.2f, \"times\": %.4f, ", median(base_ns, runs),
		median(ns, runs), m);
	fprintf(json, "\"least\": %.4f, \"most\": %.4f, \"goal\": ", times[0], times[runs - 1]);
	fprintf(json, s->goal > 0 ? "%.2f },\n" : "null },\n", s->goal);
}

static void make_image(char *path)
{
	int fd = mkstemp(path);

	T_MUST(fd >= 0 && !posix_fallocate(fd, 0, IMAGE_SECTORS * 512));
	close(fd);
}

int main(int argc, char **argv)
{
	char image[] = "/dev/shm/vhk-bench-growth-XXXXXX";
	struct rlimit files;
	unsigned int runs = 9, i, k, quick = 0;
	FILE *json = NULL;
	int c;

	while ((c = getopt(argc, argv, "qr:j:")) != -1) {
		switch (c) {
		case 'q':
			quick = 1;
			runs = 1;
			run_ns = 1000000;
			break;
		case 'r':
			runs = (unsigned int)atoi(optarg);
			break;
		case 'j':
			json = fopen(optarg, "we");
			T_MUST(json);
			break;
		default:
			return 2;
		}
	}
	T_MUST(runs > 0 && runs <= RUNS_MAX);
	/* both ends of two rigs are in this process, with three files for each ring at each end */
	T_MUST(!getrlimit(RLIMIT_NOFILE, &files));
	files.rlim_cur = files.rlim_max;
	T_MUST(!setrlimit(RLIMIT_NOFILE, &files));
	make_image(image);
	data_fd = memfd_create("growth", MFD_CLOEXEC);
	T_MUST(data_fd >= 0 && !ftruncate(data_fd, SLOTS * SLOT_SIZE));
	printf("Growth: ns per request of the smallest and of so many, times, least and most of %u "
	       "runs, goal\n", runs);
	if (json)
		fprintf(json, "{\n  \"runs\": %u,\n  \"points\": [\n", runs);
	for (i = 0; i < sizeof(table) / sizeof(*table); i++)
		for (k = 0; table[i].at[k]; k++)
			if ((!quick || !table[i].at[k + 1]) &&
			    strstr(table[i].name, optind < argc ? argv[optind] : ""))
				compare(&table[i], table[i].at[k], runs, image, json);
	unlink(image);
	if (json) {
		/* a last one that is none: the list has a comma behind each */
		fprintf(json, "    null\n  ]\n}\n");
		T_MUST(!fclose(json));
	}
	return 0;
}
