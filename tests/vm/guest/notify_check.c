// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: what a multiplexer of notifications does, case by case.
 *
 *   notify_check            all cases; prints those that went wrong
 */
#include <liburing.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "notify.h"

#define QUOTA "/sys/module/vhostkit/parameters/max_rings_per_user"
#define NOBODY 65534

static const char *subject;
static unsigned int n_tried, n_bad;

#define CHECK_EQ(got, want) check_eq(__LINE__, #got, (long long)(got), (long long)(want))
#define CHECK(x) CHECK_EQ(!!(x), 1)

static void check_eq(int line, const char *what, long long got, long long want)
{
	n_tried++;
	if (got == want)
		return;
	n_bad++;
	printf("%s, line %d: %s: %lld, want %lld\n", subject, line, what, got, want);
}

static void kick_sets_a_bit(void)
{
	struct mux m = mux_open(64);
	int kick = efd_new(0);

	CHECK_EQ(mux_bind(&m, 5, kick, -1), 0);
	CHECK(!readable(m.fd));
	efd_add(kick, 1);
	CHECK(readable(m.fd));
	efd_add(kick, 7);
	CHECK_EQ(m.kicks[0], 1ull << 5);
	CHECK_EQ(mux_take(&m, 0), 1ull << 5);
	CHECK(!readable(m.fd));
	CHECK_EQ(efd_take(kick), 8);
	efd_add(kick, 1);
	CHECK(readable(m.fd));
	mux_close(&m);
	close(kick);
}

static void kick_before_bind_is_told(void)
{
	struct mux m = mux_open(8);
	int kick = efd_new(0);

	efd_add(kick, 1);
	CHECK_EQ(mux_bind(&m, 0, kick, -1), 1);
	/* Nobody else is told: a bit that woke nobody would keep the next kick from doing it. */
	CHECK(!readable(m.fd));
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 1);
	mux_close(&m);
	close(kick);
}

static void kick_after_unbind_stays_in_the_eventfd(void)
{
	struct mux m = mux_open(8);
	int kick = efd_new(0), other = efd_new(0);

	CHECK_EQ(mux_bind(&m, 0, kick, -1), 0);
	efd_add(kick, 1);
	CHECK_EQ(mux_unbind(&m, 0, KICK), 0);
	CHECK_EQ(mux_take(&m, 0), 1);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 0);
	CHECK(readable(kick));
	/* The place is free for another one. */
	CHECK_EQ(mux_bind(&m, 0, other, -1), 0);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 0);
	efd_add(other, 1);
	CHECK_EQ(mux_take(&m, 0), 1);
	CHECK_EQ(efd_take(kick), 3);
	mux_close(&m);
	close(kick);
	close(other);
}

static void calls_are_made_at_once(void)
{
	struct mux m = mux_open(200);
	int call[200], i;

	for (i = 0; i < 200; i++) {
		call[i] = efd_new(0);
		CHECK_EQ(mux_bind(&m, (uint32_t)i, -1, call[i]), 0);
	}
	CHECK_EQ(mux_call(&m), 0);
	for (i = 0; i < 200; i += 3)
		mux_stage(&m, (uint32_t)i);
	CHECK_EQ(mux_call(&m), 67);
	CHECK_EQ(mux_call(&m), 0);
	for (i = 0; i < 200; i++)
		CHECK_EQ(efd_take(call[i]), i % 3 ? 0 : 1);
	/* What has no eventfd is taken all the same. */
	CHECK_EQ(mux_unbind(&m, 9, CALL), 0);
	mux_stage(&m, 9);
	mux_stage(&m, 10);
	CHECK_EQ(mux_call(&m), 1);
	CHECK_EQ(m.calls[0], 0);
	CHECK_EQ(efd_take(call[9]), 0);
	CHECK_EQ(efd_take(call[10]), 1);
	mux_close(&m);
	for (i = 0; i < 200; i++)
		close(call[i]);
}

static void full_counter_blocks_nobody(void)
{
	struct mux m = mux_open(1);
	int call = eventfd(0, EFD_CLOEXEC);

	CHECK_EQ(mux_bind(&m, 0, -1, call), 0);
	efd_add(call, UINT64_MAX - 1);
	mux_stage(&m, 0);
	CHECK_EQ(mux_call(&m), 1);
	mux_stage(&m, 0);
	CHECK_EQ(mux_call(&m), 1);
	CHECK(readable(call));
	mux_close(&m);
	close(call);
}

static int uring_cmd(struct io_uring *ring, int fd, uint32_t op, uint64_t payload)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int ret;

	SURE(sqe);
	io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, 0);
	sqe->cmd_op = op;
	memcpy((char *)sqe + offsetof(struct io_uring_sqe, cmd), &payload, sizeof(payload));
	memset((char *)sqe + offsetof(struct io_uring_sqe, cmd) + 8, 0, 8);
	SURE(io_uring_submit(ring) == 1);
	/* It is done by now: nothing is waited for, but by rings that poll. */
	ret = io_uring_peek_cqe(ring, &cqe);
	if (ret == -EAGAIN && (ring->flags & IORING_SETUP_IOPOLL))
		ret = io_uring_wait_cqe(ring, &cqe);
	SURE(!ret);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static void io_uring_calls(void)
{
	struct mux m = mux_open(64);
	int call = efd_new(0);
	struct io_uring ring;

	SURE(!io_uring_queue_init(8, &ring, 0));
	CHECK_EQ(mux_bind(&m, 1, -1, call), 0);
	mux_stage(&m, 1);
	CHECK_EQ(uring_cmd(&ring, m.fd, VHOSTKIT_NOTIFY_CALL, 0), 1);
	CHECK_EQ(efd_take(call), 1);
	mux_stage(&m, 1);
	CHECK_EQ(uring_cmd(&ring, m.fd, VHOSTKIT_NOTIFY_CALL, 1), -EINVAL);
	CHECK_EQ(uring_cmd(&ring, m.fd, VHOSTKIT_NOTIFY_BIND, 0), -ENOTTY);
	CHECK_EQ(uring_cmd(&ring, m.fd, VHOSTKIT_NOTIFY_UNBIND, 0), -ENOTTY);
	CHECK_EQ(uring_cmd(&ring, m.fd, 0, 0), -ENOTTY);
	CHECK_EQ(efd_take(call), 0);
	io_uring_queue_exit(&ring);
	SURE(!io_uring_queue_init(8, &ring, IORING_SETUP_IOPOLL));
	CHECK_EQ(uring_cmd(&ring, m.fd, VHOSTKIT_NOTIFY_CALL, 0), -EOPNOTSUPP);
	CHECK_EQ(efd_take(call), 0);
	io_uring_queue_exit(&ring);
	CHECK_EQ(mux_call(&m), 1);
	mux_close(&m);
	close(call);
}

static void poll_multishot(struct io_uring *ring, int fd)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	SURE(sqe);
	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	SURE(io_uring_submit(ring) == 1);
}

/* How many completions there are after a look; *more: the last one's poll goes on. */
static unsigned int reap(struct io_uring *ring, bool *more)
{
	struct io_uring_cqe *cqe;
	unsigned int n = 0;

	io_uring_get_events(ring);
	while (!io_uring_peek_cqe(ring, &cqe)) {
		n++;
		*more = cqe->flags & IORING_CQE_F_MORE;
		io_uring_cqe_seen(ring, cqe);
	}
	return n;
}

static void multishot_poll_tells_of_each(void)
{
	struct mux m = mux_open(64);
	int kick = efd_new(0), i;
	struct io_uring ring;
	bool more = false;

	SURE(!io_uring_queue_init(8, &ring,
				  IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN));
	CHECK_EQ(mux_bind(&m, 63, kick, -1), 0);
	poll_multishot(&ring, m.fd);
	CHECK_EQ(reap(&ring, &more), 0);
	for (i = 0; i < 100; i++) {
		efd_add(kick, 1);
		efd_add(kick, 1);
		CHECK_EQ(reap(&ring, &more), 1);
		CHECK(more);
		CHECK_EQ(mux_take(&m, 0), 1ull << 63);
	}
	/* Taken before it was told of: no news, or in vain, as the kernel likes. */
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 1ull << 63);
	CHECK(reap(&ring, &more) <= 1);
	/* What is not taken is not told again, and a poll that begins sees it. */
	efd_add(kick, 1);
	CHECK_EQ(reap(&ring, &more), 1);
	efd_add(kick, 1);
	CHECK_EQ(reap(&ring, &more), 0);
	poll_multishot(&ring, m.fd);
	CHECK_EQ(reap(&ring, &more), 1);
	io_uring_queue_exit(&ring);
	mux_close(&m);
	close(kick);
}

/* With no room for completions the poll ends, and says so. */
static void multishot_poll_that_ends_loses_nothing(void)
{
	struct mux m = mux_open(64);
	int kick = efd_new(0), i, ended = 0;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	bool more = true;

	SURE(!io_uring_queue_init(1, &ring, 0));
	CHECK_EQ(mux_bind(&m, 0, kick, -1), 0);
	poll_multishot(&ring, m.fd);
	for (i = 0; i < 8; i++) {
		efd_add(kick, 1);
		io_uring_get_events(&ring);
		mux_take(&m, 0);
	}
	while (!io_uring_peek_cqe(&ring, &cqe)) {
		ended += !(cqe->flags & IORING_CQE_F_MORE);
		io_uring_cqe_seen(&ring, cqe);
	}
	CHECK_EQ(ended, 1);
	efd_add(kick, 1);
	CHECK_EQ(reap(&ring, &more), 0);
	poll_multishot(&ring, m.fd);
	CHECK_EQ(reap(&ring, &more), 1);
	CHECK_EQ(mux_take(&m, 0), 1);
	io_uring_queue_exit(&ring);
	mux_close(&m);
	close(kick);
}

/*
 * A ring that signals an eventfd at each completion, which is bound as a kick, and polls the
 * multiplexer itself: it stops.
 */
static void own_completions_do_not_go_round(unsigned int flags)
{
	struct mux m = mux_open(64);
	int own = efd_new(0), kick = efd_new(0);
	unsigned int i, n = 0;
	struct io_uring ring;
	bool more = true;

	SURE(!io_uring_queue_init(64, &ring, flags));
	SURE(!io_uring_register_eventfd(&ring, own));
	CHECK_EQ(mux_bind(&m, 0, own, -1), 0);
	CHECK_EQ(mux_bind(&m, 1, kick, -1), 0);
	poll_multishot(&ring, m.fd);
	efd_add(kick, 1);
	for (i = 0; i < 1000; i++) {
		n += reap(&ring, &more);
		mux_take(&m, 0);
	}
	CHECK(n >= 1 && n <= 4);
	/* The ring's own eventfd, signalled by somebody else, is a kick like others. */
	if (!more)
		poll_multishot(&ring, m.fd);
	efd_add(own, 1);
	usleep(1000);
	CHECK(reap(&ring, &more) >= 1);
	io_uring_queue_exit(&ring);
	mux_close(&m);
	close(own);
	close(kick);
}

static void own_completions_stop(void)
{
	own_completions_do_not_go_round(0);
	own_completions_do_not_go_round(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	own_completions_do_not_go_round(IORING_SETUP_COOP_TASKRUN);
}

/*
 * The kernel's own poll of asynchronous I/O completes where it is woken, and signals an eventfd
 * there. When that one's last fd is closed its waiters are woken below its lock, which the signal
 * would wait for.
 */
static void own_completion_at_a_close(void)
{
	struct mux m = mux_open(64);
	int own = efd_new(0);
	struct iocb poll = {
		.aio_fildes = (uint32_t)m.fd,
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_buf = POLLIN,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)own,
	};
	struct timespec limit = { .tv_sec = 10 };
	struct iocb *polls[] = { &poll };
	aio_context_t aio = 0;
	struct io_event done;

	SURE(!syscall(SYS_io_setup, 4, &aio));
	CHECK_EQ(mux_bind(&m, 0, own, -1), 0);
	SURE(syscall(SYS_io_submit, aio, 1, polls) == 1);
	close(own);
	CHECK_EQ(syscall(SYS_io_getevents, aio, 1, 1, &done, &limit), 1);
	CHECK_EQ(done.res & POLLIN, POLLIN);
	CHECK_EQ(mux_take(&m, 0), 1);
	SURE(!syscall(SYS_io_destroy, aio));
	mux_close(&m);
}

static void epoll_is_edge_and_level_triggered(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC), outer = epoll_create1(EPOLL_CLOEXEC);
	struct mux m = mux_open(64);
	int kick = efd_new(0);

	CHECK_EQ(mux_bind(&m, 2, kick, -1), 0);
	SURE(!epoll_ctl(ep, EPOLL_CTL_ADD, m.fd, &ev));
	ev.events = EPOLLIN;
	SURE(!epoll_ctl(outer, EPOLL_CTL_ADD, ep, &ev));
	efd_add(kick, 1);
	CHECK_EQ(epoll_wait(outer, &got, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	mux_take(&m, 0);
	efd_add(kick, 1);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	SURE(!epoll_ctl(ep, EPOLL_CTL_MOD, m.fd, &ev));
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	mux_take(&m, 0);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	/* The eventfd has others who wait for it, too. */
	SURE(!epoll_ctl(ep, EPOLL_CTL_ADD, kick, &ev));
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 1);
	CHECK_EQ(efd_take(kick), 2);
	CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 4);
	mux_close(&m);
	close(kick);
	close(ep);
	close(outer);
}

static void semaphores_count(void)
{
	int kick = efd_new(EFD_SEMAPHORE), call = efd_new(EFD_SEMAPHORE), i;
	struct mux m = mux_open(64);

	efd_add(kick, 2);
	CHECK_EQ(mux_bind(&m, 0, kick, call), 1);
	for (i = 0; i < 3; i++) {
		mux_stage(&m, 0);
		CHECK_EQ(mux_call(&m), 1);
	}
	CHECK_EQ(mux_take(&m, 0), 0);
	/* A read of a semaphore leaves it readable, and that is no kick. */
	CHECK_EQ(efd_take(kick), 1);
	CHECK_EQ(mux_take(&m, 0), 0);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 1);
	CHECK_EQ(efd_take(kick), 1);
	CHECK_EQ(efd_take(kick), 1);
	CHECK_EQ(efd_take(kick), 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(efd_take(call), 1);
	CHECK_EQ(efd_take(call), 0);
	mux_close(&m);
	close(kick);
	close(call);
}

static void one_eventfd_in_many_places(void)
{
	struct mux a = mux_open(64), b = mux_open(64);
	int fd = efd_new(0);

	CHECK_EQ(mux_bind(&a, 0, fd, fd), 0);
	CHECK_EQ(mux_bind(&a, 1, fd, fd), 0);
	CHECK_EQ(mux_bind(&b, 2, fd, -1), 0);
	efd_add(fd, 1);
	CHECK_EQ(mux_take(&a, 0), 3);
	CHECK_EQ(mux_take(&b, 0), 4);
	/* Calls that are kicks. */
	mux_stage(&a, 0);
	mux_stage(&a, 1);
	CHECK_EQ(mux_call(&a), 2);
	CHECK_EQ(efd_take(fd), 3);
	CHECK_EQ(mux_take(&a, 0), 3);
	CHECK_EQ(mux_take(&b, 0), 4);
	CHECK_EQ(mux_unbind(&a, 0, KICK), 0);
	efd_add(fd, 1);
	CHECK_EQ(mux_take(&a, 0), 2);
	CHECK_EQ(mux_take(&b, 0), 4);
	mux_close(&a);
	efd_add(fd, 1);
	CHECK_EQ(mux_take(&b, 0), 4);
	mux_close(&b);
	efd_add(fd, 1);
	close(fd);
}

static void closed_eventfds_stay_bound(void)
{
	struct mux m = mux_open(64);
	int kick = efd_new(0), call = efd_new(0), other = dup(call);

	CHECK_EQ(mux_bind(&m, 0, kick, call), 0);
	close(kick);
	CHECK_EQ(mux_take(&m, 0), 1);
	close(call);
	mux_stage(&m, 0);
	CHECK_EQ(mux_call(&m), 1);
	CHECK_EQ(efd_take(other), 1);
	close(other);
	mux_stage(&m, 0);
	CHECK_EQ(mux_call(&m), 1);
	CHECK_EQ(mux_unbind(&m, 0, KICK | CALL), 0);
	mux_close(&m);
}

static void last_ring_of_4096(void)
{
	struct mux m = mux_open(4096);
	int kick = efd_new(0), call = efd_new(0);

	CHECK_EQ(mux_bind(&m, 4095, kick, call), 0);
	efd_add(kick, 1);
	CHECK(readable(m.fd));
	CHECK_EQ(m.kicks[63], 1ull << 63);
	mux_stage(&m, 4095);
	CHECK_EQ(mux_call(&m), 1);
	CHECK_EQ(efd_take(call), 1);
	mux_close(&m);
	close(kick);
	close(call);
}

static void scribbling_misleads_the_scribbler_only(void)
{
	struct mux m = mux_open(70);
	int kick = efd_new(0), call = efd_new(0);

	CHECK_EQ(mux_bind(&m, 69, kick, call), 0);
	memset(m.kicks, 0xff, (size_t)getpagesize());
	CHECK(readable(m.fd));
	CHECK_EQ(mux_call(&m), 1);
	CHECK_EQ(m.calls[0] | m.calls[1], 0);
	CHECK_EQ(efd_take(call), 1);
	efd_add(kick, 1);
	memset(m.kicks, 0, (size_t)getpagesize());
	/* Beyond the words that are in use nobody looks. */
	m.kicks[2] = m.calls[2] = 1;
	CHECK(!readable(m.fd));
	CHECK_EQ(mux_call(&m), 0);
	CHECK_EQ(m.calls[2], 1);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 1), 1 << 5);
	mux_close(&m);
	close(kick);
	close(call);
}

static int child_ends(pid_t pid)
{
	int status = -1;

	SURE(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static pid_t fork_or_die(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	SURE(pid >= 0);
	return pid;
}

static void bindings_belong_to_the_file(void)
{
	struct mux m = mux_open(64);
	int kick = efd_new(0), call = efd_new(0);
	pid_t pid = fork_or_die();

	/* What a child binds stays when it is gone; its page is ours. */
	if (!pid) {
		if (mux_bind(&m, 3, kick, call))
			_exit(1);
		mux_stage(&m, 3);
		mux_close(&m);
		_exit(0);
	}
	CHECK_EQ(child_ends(pid), 0);
	CHECK_EQ(mux_call(&m), 1);
	CHECK_EQ(efd_take(call), 1);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 8);
	CHECK_EQ(fdinfo(m.fd, "vhostkit-rings"), 64);
	CHECK_EQ(fdinfo(m.fd, "vhostkit-kicks"), 1);
	CHECK_EQ(fdinfo(m.fd, "vhostkit-calls"), 1);
	CHECK(fcntl(m.fd, F_GETFD) & FD_CLOEXEC);
	/* And a mapping is a reference. */
	close(m.fd);
	efd_add(kick, 1);
	CHECK_EQ(mux_take(&m, 0), 8);
	SURE(!munmap(m.kicks, (size_t)getpagesize()));
	efd_add(kick, 1);
	close(kick);
	close(call);
}

static void ring_may_end_while_it_polls(void)
{
	struct mux m = mux_open(64);
	int kick = efd_new(0), i;
	struct io_uring ring;

	CHECK_EQ(mux_bind(&m, 0, kick, -1), 0);
	for (i = 0; i < 50; i++) {
		SURE(!io_uring_queue_init(8, &ring, 0));
		poll_multishot(&ring, m.fd);
		efd_add(kick, 1);
		io_uring_queue_exit(&ring);
		efd_add(kick, 1);
		CHECK_EQ(mux_take(&m, 0), 1);
	}
	/* The multiplexer's fd goes first. */
	SURE(!io_uring_queue_init(8, &ring, 0));
	poll_multishot(&ring, m.fd);
	mux_close(&m);
	efd_add(kick, 1);
	io_uring_queue_exit(&ring);
	efd_add(kick, 1);
	close(kick);
}

static void maps_one_page_shared(void)
{
	const size_t page = (size_t)getpagesize();
	struct mux m = mux_open(64);
	char *more;
	pid_t pid;

	CHECK(mmap(NULL, page, PROT_READ, MAP_PRIVATE, m.fd, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, m.fd, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK(mmap(NULL, page, PROT_READ, MAP_SHARED, m.fd, (off_t)page) == MAP_FAILED &&
	      errno == EINVAL);
	pid = fork_or_die();
	if (!pid) {
		more = mremap(m.kicks, page, 2 * page, MREMAP_MAYMOVE);
		if (more == MAP_FAILED)
			_exit(SIGBUS);
		more[0] = 1;
		more[page] = 1;
		_exit(0);
	}
	/* Longer, it ends where it ended before; or it cannot be made longer. */
	pid = child_ends(pid);
	CHECK(pid == 1000 + SIGBUS || pid == SIGBUS);
	mux_close(&m);
}

static void set_quota(unsigned int n)
{
	FILE *f = fopen(QUOTA, "w");

	SURE(f);
	fprintf(f, "%u\n", n);
	SURE(!fclose(f));
}

static void users_have_a_quota(void)
{
	int ctl = ctl_open(), a, b;

	set_quota(100);
	a = mux_new(ctl, 64);
	CHECK(a >= 0);
	CHECK(mux_new(ctl, 37) == -1 && errno == EDQUOT);
	b = mux_new(ctl, 36);
	CHECK(b >= 0);
	CHECK(mux_new(ctl, 1) == -1 && errno == EDQUOT);
	close(a);
	a = mux_new(ctl, 64);
	CHECK(a >= 0);
	set_quota(10);
	CHECK(mux_new(ctl, 1) == -1 && errno == EDQUOT);
	close(a);
	close(b);
	CHECK(mux_new(ctl, 11) == -1 && errno == EDQUOT);
	set_quota(65536);
	close(ctl);
}

/* An io_uring's exit puts its files from a worker. */
static int mux_new_patiently(int ctl)
{
	int i, fd = -1;

	for (i = 0; i < 3000 && (fd = mux_new(ctl, 4096)) < 0; i++)
		usleep(10000);
	return fd;
}

/* Killed as it stands, with all there is: rings are given back, so that the next one has them. */
static void killed_owners_hold_nothing(void)
{
	int ctl = ctl_open(), i, fd;
	pid_t pid;

	set_quota(4096);
	for (i = 0; i < 20; i++) {
		pid = fork_or_die();
		if (!pid) {
			struct mux m = { .fd = mux_new_patiently(ctl) };
			struct io_uring ring;
			uint32_t k;

			SURE(m.fd >= 0);
			mux_map(&m);
			SURE(!io_uring_queue_init(8, &ring, 0));
			poll_multishot(&ring, m.fd);
			fd = efd_new(0);
			for (k = 0; k < 4096; k += 16)
				SURE(mux_bind(&m, k, fd, fd) == 0);
			efd_add(fd, 1);
			raise(SIGKILL);
		}
		CHECK_EQ(child_ends(pid), 1000 + SIGKILL);
	}
	fd = mux_new_patiently(ctl);
	CHECK(fd >= 0);
	close(fd);
	set_quota(65536);
	close(ctl);
}

/* The node is root's, and a multiplexer may be given away: here to a child. */
static void works_without_privileges(void)
{
	struct mux m = mux_open(64);
	pid_t pid = fork_or_die();

	if (!pid) {
		int kick, call;

		SURE(!setgid(NOBODY) && !setuid(NOBODY));
		SURE(open("/dev/vhostkit", O_RDWR) == -1 && errno == EACCES);
		kick = efd_new(0);
		call = efd_new(0);
		SURE(mux_bind(&m, 0, kick, call) == 0);
		efd_add(kick, 1);
		mux_stage(&m, 0);
		SURE(mux_call(&m) == 1 && efd_take(call) == 1 && mux_take(&m, 0) == 1);
		_exit(7);
	}
	CHECK_EQ(child_ends(pid), 7);
	mux_close(&m);
}

/*
 * The entry of 32-bit programs, with the same structures below 4 GiB.
 */
#ifdef __x86_64__
static long ioctl32(int fd, unsigned int cmd, const void *arg)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(54L), "b"((long)fd), "c"((long)cmd), "d"(arg)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

static void serves_32_bit_callers(void)
{
	struct vhostkit_notify_bind *bind;
	struct vhostkit_notify_unbind *unbind;
	struct mux m = mux_open(64);
	int call = efd_new(0);
	char *low = mmap(NULL, (size_t)getpagesize(), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	SURE(low != MAP_FAILED);
	bind = (void *)low;
	*bind = (struct vhostkit_notify_bind){
		.size = sizeof(*bind), .flags = CALL, .kick_fd = -1, .call_fd = call
	};
	CHECK_EQ(ioctl32(m.fd, VHOSTKIT_NOTIFY_BIND, bind), 0);
	mux_stage(&m, 0);
	CHECK_EQ(ioctl32(m.fd, VHOSTKIT_NOTIFY_CALL, NULL), 1);
	CHECK_EQ(efd_take(call), 1);
	unbind = (void *)low;
	*unbind = (struct vhostkit_notify_unbind){ .size = sizeof(*unbind), .flags = CALL };
	CHECK_EQ(ioctl32(m.fd, VHOSTKIT_NOTIFY_UNBIND, unbind), 0);
	CHECK_EQ(ioctl32(m.fd, VHOSTKIT_NOTIFY_UNBIND, unbind), -ENOENT);
	munmap(low, (size_t)getpagesize());
	mux_close(&m);
	close(call);
}
#else
static void serves_32_bit_callers(void)
{
}
#endif

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "a kick sets a bit", kick_sets_a_bit },
	{ "a kick before bind is told", kick_before_bind_is_told },
	{ "a kick after unbind stays in the eventfd", kick_after_unbind_stays_in_the_eventfd },
	{ "calls are made at once", calls_are_made_at_once },
	{ "a full counter blocks nobody", full_counter_blocks_nobody },
	{ "io_uring calls", io_uring_calls },
	{ "multishot poll", multishot_poll_tells_of_each },
	{ "multishot poll that ends", multishot_poll_that_ends_loses_nothing },
	{ "a ring's own completions stop", own_completions_stop },
	{ "a ring's own completion at a close", own_completion_at_a_close },
	{ "epoll", epoll_is_edge_and_level_triggered },
	{ "semaphores", semaphores_count },
	{ "one eventfd in many places", one_eventfd_in_many_places },
	{ "closed eventfds", closed_eventfds_stay_bound },
	{ "the last ring of 4096", last_ring_of_4096 },
	{ "scribbling", scribbling_misleads_the_scribbler_only },
	{ "bindings belong to the file", bindings_belong_to_the_file },
	{ "a ring may end while it polls", ring_may_end_while_it_polls },
	{ "maps one page", maps_one_page_shared },
	{ "quota", users_have_a_quota },
	{ "killed owners", killed_owners_hold_nothing },
	{ "without privileges", works_without_privileges },
	{ "32-bit callers", serves_32_bit_callers },
};

int main(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		subject = cases[i].name;
		cases[i].run();
	}
	if (!n_bad)
		printf("%zu cases, %u checks\n", i, n_tried);
	return n_bad != 0;
}
