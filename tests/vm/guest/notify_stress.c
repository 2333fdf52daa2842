// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: multiplexers under load, for so many seconds.
 *
 *   notify_stress SECONDS
 *
 * Threads kick rings, and each kick has to be seen: by the bit, by the poll, or, after the ring was
 * unbound, by the eventfd. Meanwhile the rings are bound and unbound, others call, fork children
 * that kick and are killed, make and close multiplexers, and end io_urings that poll. Prints what
 * was done, or what was lost.
 */
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "notify.h"

#define RINGS 128
#define KICKERS 2
#define DEADLINE 20 /* seconds that a kick may take to be seen on a busy machine */

static struct mux mux;
static int kick[RINGS], call[RINGS];
static atomic_uint asked[RINGS], seen[RINGS]; /* kicks sent, and what the loop knew as it looked */
static atomic_bool stop;
static atomic_ulong n_kicks, n_takes, n_binds, n_calls, n_forks, n_files, n_rings;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t next(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Asks, kicks, and now and then waits for the answer, as a driver does. */
static void *kicker(void *arg)
{
	const uint32_t me = (uint32_t)(uintptr_t)arg;
	uint32_t x = 7 + me, i;
	unsigned int want;
	double end;

	while (!atomic_load(&stop)) {
		i = next(&x) % (RINGS / KICKERS) * KICKERS + me;
		want = atomic_fetch_add(&asked[i], 1) + 1;
		efd_add(kick[i], 1);
		atomic_fetch_add(&n_kicks, 1);
		if (next(&x) % 8)
			continue;
		end = now() + DEADLINE;
		while ((int)(atomic_load(&seen[i]) - want) < 0) {
			usleep(100);
			if (now() < end)
				continue;
			printf("ring %u: a kick was lost: %u of %u seen, bit %d, eventfd %d\n", i,
			       atomic_load(&seen[i]), want, (int)(mux.kicks[i / 64] >> i % 64 & 1),
			       readable(kick[i]));
			fflush(stdout);
			_exit(1);
		}
	}
	return NULL;
}

static void look_at(uint32_t i)
{
	atomic_store(&seen[i], atomic_load(&asked[i]));
}

static void take_all(void)
{
	uint64_t bits;
	uint32_t w;

	for (w = 0; w < RINGS / 64; w++)
		for (bits = mux_take(&mux, w); bits; bits &= bits - 1) {
			look_at(w * 64 + (uint32_t)__builtin_ctzll(bits));
			atomic_fetch_add(&n_takes, 1);
		}
}

static void arm(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	SURE(sqe);
	io_uring_prep_poll_multishot(sqe, mux.fd, POLLIN);
	sqe->user_data = 1;
}

/*
 * The loop: sleeps in turns in io_uring, whose queue is so short that polls end, in epoll and in
 * poll, without a limit of time: what is lost is lost.
 */
static void sleep_in_ring(struct io_uring *ring, bool *armed)
{
	struct __kernel_timespec ts = { .tv_sec = 2 * DEADLINE };
	struct io_uring_cqe *cqe;

	if (!*armed)
		arm(ring);
	*armed = true;
	io_uring_submit_and_wait_timeout(ring, &cqe, 1, &ts, NULL);
	while (!io_uring_peek_cqe(ring, &cqe)) {
		*armed &= cqe->user_data != 1 || (cqe->flags & IORING_CQE_F_MORE);
		io_uring_cqe_seen(ring, cqe);
	}
}

static void *loop(void *arg)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct io_uring ring;
	uint32_t x = 3;
	bool armed = false;

	(void)arg;
	SURE(!io_uring_queue_init(1, &ring, 0));
	SURE(!epoll_ctl(ep, EPOLL_CTL_ADD, mux.fd, &ev));
	while (!atomic_load(&stop)) {
		switch (next(&x) % 4) {
		case 0:
			epoll_wait(ep, &ev, 1, 2000 * DEADLINE);
			break;
		case 1:
			readable_within(mux.fd, 2000 * DEADLINE);
			break;
		default:
			sleep_in_ring(&ring, &armed);
		}
		take_all();
	}
	io_uring_queue_exit(&ring);
	close(ep);
	return NULL;
}

/* Takes rings away and gives them back: what came in between is in the eventfd. */
static void *binder(void *arg)
{
	uint32_t x = 11, i;
	int ret;

	(void)arg;
	while (!atomic_load(&stop)) {
		i = next(&x) % RINGS;
		SURE(!mux_unbind(&mux, i, KICK | (next(&x) % 2 ? CALL : 0)));
		if (next(&x) % 2)
			usleep(next(&x) % 64);
		ret = mux_bind(&mux, i, kick[i], -1);
		SURE(ret >= 0);
		/* The caller is told, and looks. */
		if (ret)
			look_at(i);
		ret = mux_bind(&mux, i, -1, call[i]);
		SURE(!ret || ret == -EBUSY);
		atomic_fetch_add(&n_binds, 1);
	}
	return NULL;
}

static void *caller(void *arg)
{
	uint32_t x = 13, i;
	int n;

	(void)arg;
	while (!atomic_load(&stop)) {
		for (i = 0; i < 16; i++)
			mux_stage(&mux, next(&x) % RINGS);
		n = mux_call(&mux);
		SURE(n >= 0);
		atomic_fetch_add(&n_calls, (unsigned long)n);
		if (next(&x) % 4 == 0)
			efd_take(call[next(&x) % RINGS]);
		/* Nobody looks at what lies beyond. */
		__atomic_fetch_or(&mux.calls[2 + next(&x) % 62], next(&x), __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Children that have everything open and are killed at any moment. */
static void *forker(void *arg)
{
	const pid_t parent = getpid();
	uint32_t x = 17;
	pid_t pid;

	(void)arg;
	while (!atomic_load(&stop)) {
		pid = fork();
		SURE(pid >= 0);
		if (!pid) {
			/* Whoever kills all of this means the children, too. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			while (getppid() == parent) {
				const uint64_t one = 1;

				if (write(kick[next(&x) % RINGS], &one, sizeof(one)) < 0)
					_exit(1);
				mux_stage(&mux, next(&x) % RINGS);
				mux_call(&mux);
			}
			_exit(0);
		}
		usleep(next(&x) % 3000);
		kill(pid, SIGKILL);
		SURE(waitpid(pid, NULL, 0) == pid);
		next(&x);
		atomic_fetch_add(&n_forks, 1);
	}
	return NULL;
}

/* Multiplexers that come and go with the same eventfds, and rings that end while they poll them. */
static void *opener(void *arg)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	uint32_t x = 19, i;
	struct mux m;

	(void)arg;
	while (!atomic_load(&stop)) {
		m = mux_open(1 + next(&x) % 300);
		SURE(!io_uring_queue_init(4, &ring, 0));
		sqe = io_uring_get_sqe(&ring);
		io_uring_prep_poll_multishot(sqe, m.fd, POLLIN);
		SURE(io_uring_submit(&ring) == 1);
		for (i = 0; i < 8; i++)
			mux_bind(&m, i, kick[next(&x) % RINGS], call[next(&x) % RINGS]);
		m.calls[0] = ~0ull;
		mux_call(&m);
		if (next(&x) % 2) {
			mux_close(&m);
			io_uring_queue_exit(&ring);
		} else {
			io_uring_queue_exit(&ring);
			mux_close(&m);
		}
		atomic_fetch_add(&n_files, 1);
	}
	return NULL;
}

/* Kicks of all rings at once, by their eventfd's own ring: interrupts do such things, too. */
static void *flooder(void *arg)
{
	static const uint64_t one = 1;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint32_t i;

	(void)arg;
	SURE(!io_uring_queue_init(RINGS, &ring, 0));
	SURE(!io_uring_register_eventfd(&ring, kick[1]));
	while (!atomic_load(&stop)) {
		for (i = 0; i < 32; i++)
			io_uring_prep_write(io_uring_get_sqe(&ring), kick[i], &one, sizeof(one), 0);
		SURE(io_uring_submit_and_wait(&ring, 32) == 32);
		for (i = 0; i < 32; i++) {
			SURE(!io_uring_wait_cqe(&ring, &cqe));
			SURE(cqe->res == 8);
			io_uring_cqe_seen(&ring, cqe);
		}
		atomic_fetch_add(&n_rings, 1);
		usleep(500);
	}
	io_uring_queue_exit(&ring);
	return NULL;
}

int main(int argc, char **argv)
{
	void *(*const roles[])(void *) = { loop, binder, caller, forker, opener, flooder };
	enum { ROLES = sizeof(roles) / sizeof(roles[0]) };
	double end = now() + (argc > 1 ? strtod(argv[1], NULL) : 5);
	pthread_t t[ROLES + KICKERS];
	uint32_t i;

	mux = mux_open(RINGS);
	for (i = 0; i < RINGS; i++) {
		kick[i] = efd_new(i % 3 ? 0 : EFD_SEMAPHORE);
		call[i] = efd_new(0);
		SURE(!mux_bind(&mux, i, kick[i], call[i]));
	}
	for (i = 0; i < ROLES; i++)
		SURE(!pthread_create(&t[i], NULL, roles[i], NULL));
	for (i = 0; i < KICKERS; i++)
		SURE(!pthread_create(&t[ROLES + i], NULL, kicker, (void *)(uintptr_t)i));
	while (now() < end)
		usleep(20000);
	atomic_store(&stop, true);
	/* The kickers' last wait is for the loop. */
	for (i = ROLES + KICKERS; i-- > 1;)
		SURE(!pthread_join(t[i], NULL));
	efd_add(kick[0], 1);
	SURE(!pthread_join(t[0], NULL));
	mux_close(&mux);
	printf("%lu kicks, %lu bits taken, %lu binds, %lu calls, "
	       "%lu forks, %lu files, %lu floods\n",
	       n_kicks, n_takes, n_binds, n_calls, n_forks, n_files, n_rings);
	return !(n_kicks && n_takes && n_binds && n_calls && n_forks && n_files && n_rings);
}
