// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: a load on a disk that knows what every sector must hold.
 *
 *   verify load DEV SECONDS THREADS [discard] [gone] random O_DIRECT reads, writes, flushes (and
 *   discards), each
 *           read checked; until SECONDS have passed (0: until SIGTERM), then everything is read
 *           once more. gone: the disk may vanish, which ends the load and is no error
 *   verify fill DEV SEED            every sector gets a content that SEED determines
 *   verify check DEV SEED           every sector still has it
 *   verify sound DEV                every sector holds some content of its own, whole
 *   verify keep DEV                 takes lines: "read" reads all of it into memory that nobody
 *           else writes, "back" the same from the end to the beginning, block by block, "write"
 *           writes it to the disk that way, "check SEED" wants to find there what SEED determines;
 *           answers each by a line
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512u
#define BLOCK 4096u
#define SPAN 16u /* blocks per request at most */
#define WORDS (SECTOR / sizeof(uint64_t))
#define ANYTHING UINT64_MAX

struct worker {
	pthread_t thread;
	const char *dev;
	int fd;
	uint64_t first; /* block */
	uint64_t n_blocks;
	uint64_t *seq; /* what each block was last written with; ANYTHING: not known */
	uint64_t next_seq;
	uint64_t rnd;
	uint64_t *buf;
	uint64_t n_op[4];
	bool discard, gone, failed;
};

enum { OP_READ, OP_WRITE, OP_FLUSH, OP_DISCARD };

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void stamp(uint64_t *w, uint64_t sector, uint64_t seq)
{
	unsigned int i;

	w[0] = sector;
	w[1] = seq;
	for (i = 2; i < WORDS; i++)
		w[i] = mix(sector * WORDS + i + (seq << 40));
}

/* The first wrong word is told; a whole sector of somebody else's shows by its number and
 * sequence. */
static bool is_stamped(const uint64_t *w, uint64_t sector, uint64_t seq)
{
	uint64_t want[WORDS];
	unsigned int i;

	stamp(want, sector, seq);
	if (!memcmp(w, want, SECTOR))
		return true;
	for (i = 0; w[i] == want[i]; i++)
		;
	fprintf(stderr,
		"sector %" PRIu64 ": word %u is %" PRIx64 ", want %" PRIx64 " (sector of %" PRIu64
		", sequence %" PRIu64 ", want %" PRIu64 ")\n",
		sector, i, w[i], want[i], w[0], w[1], seq);
	return false;
}

static int transfer(int fd, bool write, void *buf, size_t len, uint64_t at)
{
	ssize_t n = write ? pwrite(fd, buf, len, (off_t)at) : pread(fd, buf, len, (off_t)at);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

static bool io_ok(struct worker *w, const char *what, uint64_t block, int ret)
{
	if (!ret)
		return true;
	if (w->gone) {
		stop = 1;
		return false;
	}
	fprintf(stderr, "%s of block %" PRIu64 ": %s\n", what, block, strerror(-ret));
	w->failed = true;
	return false;
}

static void do_write(struct worker *w, uint64_t at, unsigned int n)
{
	uint64_t seq = w->next_seq++, first = (w->first + at) * (BLOCK / SECTOR);
	unsigned int i;
	int ret;

	for (i = 0; i < n * (BLOCK / SECTOR); i++)
		stamp(w->buf + i * WORDS, first + i, seq);
	for (i = 0; i < n; i++)
		w->seq[at + i] = ANYTHING;
	ret = transfer(w->fd, true, w->buf, (size_t)n * BLOCK, (w->first + at) * BLOCK);
	if (!io_ok(w, "write", w->first + at, ret))
		return;
	for (i = 0; i < n; i++)
		w->seq[at + i] = seq;
}

static void do_read(struct worker *w, uint64_t at, unsigned int n)
{
	uint64_t first = (w->first + at) * (BLOCK / SECTOR);
	unsigned int i;
	int ret;

	memset(w->buf, 0xee, (size_t)n * BLOCK);
	ret = transfer(w->fd, false, w->buf, (size_t)n * BLOCK, (w->first + at) * BLOCK);
	if (!io_ok(w, "read", w->first + at, ret))
		return;
	for (i = 0; i < n * (BLOCK / SECTOR) && !w->failed; i++) {
		uint64_t seq = w->seq[at + i / (BLOCK / SECTOR)];

		if (seq != ANYTHING && !is_stamped(w->buf + i * WORDS, first + i, seq))
			w->failed = true;
	}
}

static void do_flush(struct worker *w)
{
	io_ok(w, "flush", w->first, fdatasync(w->fd) ? -errno : 0);
}

static void do_discard(struct worker *w, uint64_t at, unsigned int n)
{
	uint64_t range[2] = { (w->first + at) * BLOCK, (uint64_t)n * BLOCK };
	unsigned int i;

	for (i = 0; i < n; i++)
		w->seq[at + i] = ANYTHING;
	io_ok(w, "discard", w->first + at, ioctl(w->fd, BLKDISCARD, range) ? -errno : 0);
}

static void one_op(struct worker *w)
{
	uint64_t r = w->rnd = mix(w->rnd + 0x9e3779b97f4a7c15u);
	unsigned int n = 1 + (r & 1 ? 0 : (r >> 8) % SPAN), kind = (r >> 16) % 100;
	uint64_t at = (r >> 32) % (w->n_blocks - n + 1);

	if (kind < 50) {
		do_write(w, at, n);
		w->n_op[OP_WRITE]++;
	} else if (kind < 95 || (kind >= 98 && !w->discard)) {
		do_read(w, at, n);
		w->n_op[OP_READ]++;
	} else if (kind < 98) {
		do_flush(w);
		w->n_op[OP_FLUSH]++;
	} else {
		do_discard(w, at, n);
		w->n_op[OP_DISCARD]++;
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t at;

	while (!stop && !w->failed)
		one_op(w);
	for (at = 0; at + SPAN <= w->n_blocks && !w->failed && !(w->gone && stop); at += SPAN)
		do_read(w, at, SPAN);
	if (w->failed)
		stop = 1;
	return NULL;
}

static int open_disk(const char *dev, uint64_t *size)
{
	int fd = open(dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		fd = open(dev, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, size))) {
		perror(dev);
		exit(1);
	}
	if (!S_ISBLK(st.st_mode))
		*size = (uint64_t)st.st_size;
	return fd;
}

static void *aligned(size_t len)
{
	void *p = aligned_alloc(BLOCK, len);

	if (!p)
		exit(1);
	return p;
}

/* Each worker has a part of the disk to itself, so that it knows what it must read; all of them
 * share the queues. */
static void start(struct worker *w, unsigned int i, unsigned int n, uint64_t blocks)
{
	uint64_t b;

	w->n_blocks = blocks / n < 256 ? blocks / n : 256;
	w->first = i * (blocks / n);
	w->seq = aligned(256 * sizeof(*w->seq));
	for (b = 0; b < w->n_blocks; b++)
		w->seq[b] = ANYTHING;
	w->next_seq = 1;
	w->rnd = mix(i + 1);
	w->buf = aligned(SPAN * BLOCK);
	if (pthread_create(&w->thread, NULL, work, w))
		exit(1);
}

static int load(int argc, char **argv)
{
	unsigned int i, n = (unsigned int)atoi(argv[4]), seconds = (unsigned int)atoi(argv[3]);
	uint64_t size, sum[4] = { 0 };
	struct worker w[64] = { { .fd = open_disk(argv[2], &size) } };
	bool failed = false;
	int j;

	if (!n || n > 64 || size / BLOCK / n < SPAN)
		return 2;
	signal(SIGTERM, on_signal);
	signal(SIGALRM, on_signal);
	alarm(seconds);
	for (i = 0; i < n; i++) {
		w[i].fd = w[0].fd;
		for (j = 5; j < argc; j++) {
			w[i].discard |= !strcmp(argv[j], "discard");
			w[i].gone |= !strcmp(argv[j], "gone");
		}
		start(&w[i], i, n, size / BLOCK);
	}
	for (i = 0; i < n; i++) {
		pthread_join(w[i].thread, NULL);
		failed |= w[i].failed;
		for (j = 0; j < 4; j++)
			sum[j] += w[i].n_op[j];
	}
	printf("%s: %" PRIu64 " reads, %" PRIu64 " writes, %" PRIu64 " flushes, %" PRIu64
	       " discards\n",
	       failed ? "failed" : "verified", sum[OP_READ], sum[OP_WRITE], sum[OP_FLUSH],
	       sum[OP_DISCARD]);
	return failed;
}

static int fill_or_check(const char *dev, uint64_t seed, bool fill)
{
	const unsigned int step = 256 * 1024;
	uint64_t size, at, i, *buf = aligned(step);
	int ret, fd = open_disk(dev, &size);

	for (at = 0; at < size; at += step) {
		size_t len = size - at < step ? (size_t)(size - at) : step;

		for (i = 0; fill && i < len / SECTOR; i++)
			stamp(buf + i * WORDS, at / SECTOR + i, seed);
		ret = transfer(fd, fill, buf, len, at);
		if (ret) {
			fprintf(stderr, "%s at %" PRIu64 ": %s\n", dev, at, strerror(-ret));
			return 1;
		}
		for (i = 0; !fill && i < len / SECTOR; i++)
			if (!is_stamped(buf + i * WORDS, at / SECTOR + i, seed))
				return 1;
	}
	if (fill && fsync(fd)) {
		perror(dev);
		return 1;
	}
	printf("%s %" PRIu64 " bytes\n", fill ? "filled" : "checked", size);
	return 0;
}

static int sound(const char *dev)
{
	uint64_t size, at, *buf = aligned(BLOCK);
	int fd = open_disk(dev, &size);

	for (at = 0; at < size; at += SECTOR) {
		uint64_t *w = buf + at % BLOCK / sizeof(*buf);

		if (at % BLOCK == 0 && transfer(fd, false, buf, BLOCK, at)) {
			perror(dev);
			return 1;
		}
		if (!is_stamped(w, at / SECTOR, w[1]))
			return 1;
	}
	printf("sound: %" PRIu64 " bytes\n", size);
	return 0;
}

static bool keep_read(int fd, uint64_t *buf, uint64_t size)
{
	const size_t step = 256 * 1024;
	uint64_t at;

	for (at = 0; at < size; at += step) {
		size_t len = size - at < step ? (size_t)(size - at) : step;

		if (transfer(fd, false, buf + at / sizeof(*buf), len, at))
			return false;
	}
	return true;
}

static bool keep_move_back(int fd, uint64_t *buf, uint64_t size, bool write)
{
	uint64_t at;

	for (at = size / BLOCK * BLOCK; at; at -= BLOCK)
		if (transfer(fd, write, buf + (at - BLOCK) / sizeof(*buf), BLOCK, at - BLOCK))
			return false;
	return true;
}

/* The memory is written by the disk alone once it is there. */
static int keep(const char *dev)
{
	uint64_t size, at, *buf;
	char line[64];
	int fd = open_disk(dev, &size);

	buf = aligned(size);
	memset(buf, 0, size);
	while (fgets(line, sizeof(line), stdin)) {
		bool ok = true;

		if (!strcmp(line, "read\n")) {
			ok = keep_read(fd, buf, size);
		} else if (!strcmp(line, "back\n") || !strcmp(line, "write\n")) {
			ok = keep_move_back(fd, buf, size, *line == 'w');
		} else if (!strncmp(line, "check ", 6)) {
			for (at = 0; at < size / SECTOR && ok; at++)
				ok = is_stamped(buf + at * WORDS, at, strtoull(line + 6, NULL, 0));
		}
		printf("%s\n", ok ? "right" : "wrong");
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 5 && !strcmp(argv[1], "load"))
		return load(argc, argv);
	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill_or_check(argv[2], strtoull(argv[3], NULL, 0), true);
	if (argc == 4 && !strcmp(argv[1], "check"))
		return fill_or_check(argv[2], strtoull(argv[3], NULL, 0), false);
	if (argc == 3 && !strcmp(argv[1], "sound"))
		return sound(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "keep"))
		return keep(argv[2]);
	fprintf(stderr, "usage: verify load DEV SECONDS THREADS [discard] [gone]\n"
			"       verify fill|check DEV SEED\n"
			"       verify sound|keep DEV\n");
	return 2;
}
