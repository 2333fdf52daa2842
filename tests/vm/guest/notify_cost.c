// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: what it costs a back end to learn of one kick of each of
 * so many rings and to call each of them, and what a kick costs the driver. In ticks of the
 * processor's counter, which are instructions under QEMU's -icount shift=0; medians, since a round
 * in which the timer interrupts is no measure of either.
 *
 *   notify_cost             prints lines: WAY RINGS BACK_END KICK, each for one ring
 */
#include <liburing.h>
#include <sys/epoll.h>
#include <x86intrin.h>

#include "notify.h"

#define MAX 256
#define ROUNDS 64 /* of which the first half warms up */

static struct mux mux;
static int kick[MAX], call[MAX], ep;
static struct io_uring ring;
static unsigned int n_rings;

static void call_by_write(unsigned int i)
{
	const uint64_t one = 1;

	SURE(write(call[i], &one, sizeof(one)) == sizeof(one));
}

/* Level-triggered, each eventfd is read. */
static void by_epoll(void)
{
	struct epoll_event ev[MAX];
	int n = epoll_wait(ep, ev, MAX, -1), i;
	uint64_t count;

	SURE(n == (int)n_rings);
	for (i = 0; i < n; i++) {
		SURE(read(kick[ev[i].data.u32], &count, sizeof(count)) == sizeof(count));
		call_by_write(ev[i].data.u32);
	}
}

/* A multishot poll of each eventfd, never read. */
static void by_poll(void)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_get_events(&ring);
	io_uring_for_each_cqe(&ring, head, cqe) {
		call_by_write((unsigned int)cqe->user_data);
		n++;
	}
	io_uring_cq_advance(&ring, n);
	SURE(n == n_rings);
}

static unsigned int stage_all(void)
{
	unsigned int w, n = 0;
	uint64_t bits;

	for (w = 0; w < (n_rings + 63) / 64; w++) {
		bits = mux_take(&mux, w);
		/* A ring at a time, as they are served. */
		for (; bits; bits &= bits - 1, n++)
			mux.calls[w] |= bits & -bits;
	}
	return n;
}

static void wait_for_mux(void)
{
	struct io_uring_cqe *cqe;

	io_uring_get_events(&ring);
	SURE(!io_uring_peek_cqe(&ring, &cqe));
	io_uring_cqe_seen(&ring, cqe);
}

static void call_all(void)
{
	SURE(ioctl(mux.fd, VHOSTKIT_NOTIFY_CALL, 0) == (int)n_rings);
}

/* One multishot poll for all of them, one ioctl. */
static void by_mux(void)
{
	wait_for_mux();
	SURE(stage_all() == n_rings);
	call_all();
}

/* The same with epoll. */
static void by_mux_epoll(void)
{
	struct epoll_event ev;

	SURE(epoll_wait(ep, &ev, 1, -1) == 1);
	SURE(stage_all() == n_rings);
	call_all();
}

/* A loop that spins reads the bitmap. */
static void by_bitmap(void)
{
	SURE(stage_all() == n_rings);
	call_all();
}

/* The command by io_uring, in the same call that looks for completions of the next round. */
static void by_mux_uring(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;

	wait_for_mux();
	SURE(stage_all() == n_rings);
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, mux.fd, NULL, 0, 0);
	sqe->cmd_op = VHOSTKIT_NOTIFY_CALL;
	memset((char *)sqe + 48, 0, 16);
	sqe->user_data = 1;
	SURE(io_uring_submit(&ring) == 1);
	SURE(!io_uring_peek_cqe(&ring, &cqe) && cqe->res == (int)n_rings);
	io_uring_cqe_seen(&ring, cqe);
}

static void watch_each_by_epoll(void)
{
	unsigned int i;

	for (i = 0; i < n_rings; i++) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };

		SURE(!epoll_ctl(ep, EPOLL_CTL_ADD, kick[i], &ev));
	}
}

static void poll_multishot(int fd, uint64_t data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	sqe->user_data = data;
	SURE(io_uring_submit(&ring) == 1);
}

static void watch_each_by_poll(void)
{
	unsigned int i;

	for (i = 0; i < n_rings; i++)
		poll_multishot(kick[i], i);
}

static void bind_all(void)
{
	unsigned int i;

	for (i = 0; i < n_rings; i++)
		SURE(!mux_bind(&mux, i, kick[i], call[i]));
}

static void bind_and_poll(void)
{
	bind_all();
	poll_multishot(mux.fd, 0);
}

static void bind_and_epoll(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };

	bind_all();
	SURE(!epoll_ctl(ep, EPOLL_CTL_ADD, mux.fd, &ev));
}

static const struct {
	const char *name;
	void (*start)(void);
	void (*serve)(void);
} ways[] = {
	{ "epoll", watch_each_by_epoll, by_epoll },
	{ "poll", watch_each_by_poll, by_poll },
	{ "mux", bind_and_poll, by_mux },
	{ "mux-uring", bind_and_poll, by_mux_uring },
	{ "mux-epoll", bind_and_epoll, by_mux_epoll },
	{ "mux-bitmap", bind_all, by_bitmap },
};

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(uint64_t *ticks)
{
	qsort(ticks, ROUNDS / 2, sizeof(*ticks), by_value);
	return (double)ticks[ROUNDS / 4];
}

static void measure(size_t way, unsigned int n)
{
	uint64_t start, kicks[ROUNDS / 2], serves[ROUNDS / 2];
	unsigned int i, round;

	n_rings = n;
	mux = mux_open(n);
	ep = epoll_create1(EPOLL_CLOEXEC);
	SURE(!io_uring_queue_init(1024, &ring,
				  IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN));
	for (i = 0; i < n; i++) {
		kick[i] = efd_new(0);
		call[i] = efd_new(0);
	}
	ways[way].start();
	for (round = 0; round < ROUNDS; round++) {
		start = __rdtsc();
		for (i = 0; i < n; i++)
			efd_add(kick[i], 1);
		kicks[round % (ROUNDS / 2)] = __rdtsc() - start;
		start = __rdtsc();
		ways[way].serve();
		serves[round % (ROUNDS / 2)] = __rdtsc() - start;
	}
	for (i = 0; i < n; i++) {
		SURE(efd_take(call[i]) == ROUNDS);
		close(kick[i]);
		close(call[i]);
	}
	io_uring_queue_exit(&ring);
	close(ep);
	mux_close(&mux);
	printf("%s %u %.0f %.0f\n", ways[way].name, n, median(serves) / n, median(kicks) / n);
}

int main(void)
{
	static const unsigned int counts[] = { 1, 8, 64, 256 };
	size_t way, i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
			measure(way, counts[i]);
	return 0;
}
