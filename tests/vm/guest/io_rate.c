// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: random requests of 4 KiB on a disk, past the page cache,
 * and what they cost a process that serves it.
 *
 *   io_rate DISK read|write DEPTH SECONDS PID
 *
 * Prints requests a second, and the processor time of PID per request, ns: of all its threads,
 * those that io_uring has made for it included.
 *
 *   io_rate FILE pwrite 1 SECONDS PID
 *
 * What the file system itself takes for random writes of 4 KiB through the page cache, by this
 * program's own system calls: writes a second, and its processor time for each, ns.
 */
#include <dirent.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define DEPTH_MAX 128u

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static double seconds_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double now(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

/* Of all its threads, as the scheduler has it. */
static double cpu_ns(const char *pid)
{
	char path[600];
	struct dirent *e;
	double sum = 0, ns;
	DIR *d;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		/* the entry .. has the first thread's once more */
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, e->d_name);
		f = fopen(path, "r");
		if (f && fscanf(f, "%lf", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

struct load {
	struct io_uring ring;
	int fd;
	int write;
	uint64_t blocks, next;
	char *buf;
};

static void put(struct load *l, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&l->ring);
	char *at = l->buf + slot * BLOCK;
	const uint64_t off = mix(l->next++) % l->blocks * BLOCK;

	if (l->write)
		io_uring_prep_write(sqe, l->fd, at, BLOCK, off);
	else
		io_uring_prep_read(sqe, l->fd, at, BLOCK, off);
	io_uring_sqe_set_data64(sqe, slot);
}

/* Requests completed until @end, of which none is left under way; -1: one failed. */
static long run(struct load *l, unsigned int depth, double end)
{
	struct io_uring_cqe *cqe;
	unsigned int i, out = depth;
	long n = 0;

	for (i = 0; i < depth; i++)
		put(l, i);
	while (out) {
		io_uring_submit_and_wait(&l->ring, 1);
		while (!io_uring_peek_cqe(&l->ring, &cqe)) {
			if (cqe->res != BLOCK)
				return -1;
			n++;
			if (now() < end)
				put(l, cqe->user_data);
			else
				out--;
			io_uring_cqe_seen(&l->ring, cqe);
		}
	}
	return n;
}

static int floor_of_writes(const char *file, double seconds)
{
	static char block[BLOCK];
	const int fd = open(file, O_RDWR);
	const uint64_t blocks = fd < 0 ? 0 : (uint64_t)lseek(fd, 0, SEEK_END) / BLOCK;
	double begin = now(), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t n;

	if (!blocks)
		return fail(file);
	for (n = 0; now() - begin < seconds; n++)
		if (pwrite(fd, block, BLOCK, (off_t)(mix(n) % blocks * BLOCK)) != BLOCK)
			return fail("pwrite");
	printf("%.0f %.0f\n", (double)n / (now() - begin),
	       (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e9 / (double)n);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int depth;
	struct load l = { 0 };
	double begin, seconds, cpu;
	long n;

	if (argc != 6)
		return 2;
	depth = (unsigned int)atoi(argv[3]);
	seconds = atof(argv[4]);
	if (!strcmp(argv[2], "pwrite"))
		return floor_of_writes(argv[1], seconds);
	l.write = !strcmp(argv[2], "write");
	l.fd = open(argv[1], O_RDWR | O_DIRECT);
	if (l.fd < 0 || !depth || depth > DEPTH_MAX)
		return fail(argv[1]);
	l.blocks = (uint64_t)lseek(l.fd, 0, SEEK_END) / BLOCK;
	l.buf = aligned_alloc(BLOCK, depth * BLOCK);
	if (!l.buf || !l.blocks || io_uring_queue_init(DEPTH_MAX, &l.ring, 0) < 0)
		return fail("io_uring");
	memset(l.buf, 0x5a, depth * BLOCK);
	if (run(&l, depth, now() + seconds / 4) < 0)
		return fail("a request");
	begin = now();
	cpu = cpu_ns(argv[5]);
	n = run(&l, depth, begin + seconds);
	if (n < 0)
		return fail("a request");
	printf("%.0f %.0f\n", (double)n / (now() - begin), (cpu_ns(argv[5]) - cpu) / (double)n);
	return 0;
}
