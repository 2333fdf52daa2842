// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The front end's messages of a migration, byte by byte, and what it makes of the answers that back
 * ends give to them.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "t_peer.h"

#define ALWAYS (VHK_PF_REPLY_ACK | VHK_PF_INFLIGHT_SHMFD | VHK_PF_GET_VRING_BASE_INFLIGHT |      \
		VHK_PF_GET_VRING_BASE_SKIP_DRAIN | VHK_PF_DEVICE_STATE)

/* Where somebody is to run out of time, and where not. */
#define SHORT_MS 500
#define LONG_MS 10000

static int begin_ms(struct vhk_ctl **c, uint64_t protocol, uint32_t ms)
{
	int sock = t_peer_open(c, &(struct vhk_ctl_opts){ .sz = sizeof(struct vhk_ctl_opts),
							  .timeout_ms = ms });

	t_peer_negotiate(*c, sock, VHK_F_VERSION_1, protocol);
	return sock;
}

static int begin(struct vhk_ctl **c, uint64_t protocol)
{
	return begin_ms(c, protocol, LONG_MS);
}

static void end(struct vhk_ctl *c, int sock)
{
	vhk_ctl_close(c);
	close(sock);
}

/* What may stand in the answer to SET_LOG_BASE is not specified; each of these is some back
 * end's. */
static void a_log_by_fd(void)
{
	static const struct {
		uint64_t answer[2];
		uint32_t size;
		int want;
	} cases[] = {
		{ { 0 }, 0, 0 },
		{ { 0 }, 8, 0 },
		{ { 8192 }, 8, 0 },
		{ { 8192, 64 }, 16, 0 },
		{ { 22 }, 8, -EREMOTEIO },
		{ { 0 }, 24, -EPROTO },
	};
	const struct vhk_ctl_log log = { .size = 8192, .offset = 64 };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock, fd = memfd_create("log", MFD_CLOEXEC);
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t answer[3] = { cases[i].answer[0], cases[i].answer[1] };

		sock = begin(&c, ALWAYS | VHK_PF_LOG_SHMFD);
		t_peer_send(sock, VHK_CTL_SET_LOG_BASE, T_PEER_REPLY, answer, cases[i].size, NULL,
			    0);
		T_EQ(vhk_ctl_set_log_base(c, &log, fd), cases[i].want);
		T_MUST(t_peer_recv(sock, &m));
		T_EQ(m.request, 6);
		T_EQ(m.flags, T_PEER_ASK);
		T_EQ(m.size, 16);
		T_EQ(m.w[0], 8192);
		T_EQ(m.w[1], 64);
		T_EQ(m.n_fds, 1);
		t_peer_close_fds(&m);
		end(c, sock);
	}
	/* it is waited for */
	sock = begin_ms(&c, ALWAYS | VHK_PF_LOG_SHMFD, SHORT_MS);
	T_EQ(vhk_ctl_set_log_base(c, &log, fd), -ETIMEDOUT);
	end(c, sock);
	close(fd);
}

static void a_log_by_address(void)
{
	const struct vhk_ctl_log log = { .at = { 0x7f0000001000 } };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock = begin(&c, ALWAYS), fd = memfd_create("log", MFD_CLOEXEC);

	t_peer_reply_u64(sock, VHK_CTL_SET_LOG_BASE, 0);
	T_EQ(vhk_ctl_set_log_base(c, &log, -1), 0);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.flags, T_PEER_ASK_ACK);
	T_EQ(m.size, 8);
	T_EQ(m.u64, 0x7f0000001000);
	T_EQ(m.n_fds, 0);
	t_peer_reply_u64(sock, VHK_CTL_SET_LOG_BASE, 14);
	T_EQ(vhk_ctl_set_log_base(c, &log, -1), -EREMOTEIO);
	t_peer_drain(sock);
	end(c, sock);
	/* nobody acknowledges */
	sock = begin(&c, VHK_PF_MQ);
	T_EQ(vhk_ctl_set_log_base(c, &log, -1), 0);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.flags, T_PEER_ASK);
	end(c, sock);
	close(fd);
}

static void refused_before_they_are_sent(void)
{
	struct vhk_ctl_log log = { .size = 4096 };
	struct vhk_ctl *c;
	uint32_t base;
	int own, sock = begin(&c, ALWAYS | VHK_PF_LOG_SHMFD), fd = memfd_create("x", MFD_CLOEXEC);

	T_EQ(vhk_ctl_set_log_base(c, &log, -1), -EINVAL);
	log.size = 0;
	T_EQ(vhk_ctl_set_log_base(c, &log, fd), -EINVAL);
	log = (struct vhk_ctl_log){ .size = 2, .offset = UINT64_MAX };
	T_EQ(vhk_ctl_set_log_base(c, &log, fd), -EINVAL);
	T_EQ(vhk_ctl_set_log_fd(c, -1), -EINVAL);
	T_EQ(vhk_ctl_set_device_state_fd(c, VHK_CTL_STATE_SAVE, -1, &own), -EINVAL);
	T_EQ(vhk_ctl_set_device_state_fd(c, (enum vhk_ctl_state)2, fd, &own), -EINVAL);
	T_EQ(own, -1);
	T_EQ(t_peer_drain(sock), 0);
	end(c, sock);
	sock = begin(&c, VHK_PF_REPLY_ACK);
	T_EQ(vhk_ctl_get_vring_base_skip_drain(c, 0, &base), -EOPNOTSUPP);
	T_EQ(vhk_ctl_set_device_state_fd(c, VHK_CTL_STATE_SAVE, fd, &own), -EOPNOTSUPP);
	T_EQ(vhk_ctl_check_device_state(c), -EOPNOTSUPP);
	T_EQ(t_peer_drain(sock), 0);
	end(c, sock);
	close(fd);
}

static void the_log_fd(void)
{
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock = begin(&c, ALWAYS), fd = memfd_create("x", MFD_CLOEXEC);

	t_peer_reply_u64(sock, VHK_CTL_SET_LOG_FD, 0);
	T_EQ(vhk_ctl_set_log_fd(c, fd), 0);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 7);
	T_EQ(m.size, 0);
	T_EQ(m.n_fds, 1);
	t_peer_close_fds(&m);
	end(c, sock);
	close(fd);
}

static void stops_without_waiting(void)
{
	uint32_t answer[2] = { 3, 77 }, base;
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock = begin(&c, ALWAYS);

	t_peer_send(sock, VHK_CTL_GET_VRING_BASE_SKIP_DRAIN, T_PEER_REPLY, answer, 8, NULL, 0);
	T_EQ(vhk_ctl_get_vring_base_skip_drain(c, 3, &base), 0);
	T_EQ(base, 77);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 45);
	T_EQ(m.size, 8);
	T_EQ(m.u64, 3);
	/* the answer is about another ring */
	t_peer_send(sock, VHK_CTL_GET_VRING_BASE_SKIP_DRAIN, T_PEER_REPLY, answer, 8, NULL, 0);
	T_EQ(vhk_ctl_get_vring_base_skip_drain(c, 2, &base), -EPROTO);
	end(c, sock);
}

/* Bits 0 to 7 are an error, bit 8 says that there is no fd: never both an error and an fd. */
static void answers_to_a_state_fd(void)
{
	static const struct {
		uint64_t v;
		unsigned int n_fds;
		int want;
	} cases[] = {
		{ 0x100, 0, 0 },	  { 0, 1, 0 },	       { 0x105, 0, -EREMOTEIO },
		{ 0x100, 1, -EPROTO },	  { 0, 0, -EPROTO },   { 5, 1, -EPROTO },
		{ 0x105, 1, -EPROTO },	  { 5, 0, -EPROTO },
	};
	int sock, own, pipe_fd[2], fds;
	struct t_peer_msg m;
	struct vhk_ctl *c;
	size_t i;

	T_MUST(!pipe(pipe_fd));
	fds = t_count_fds();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sock = begin(&c, ALWAYS);
		t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &cases[i].v, 8,
			    pipe_fd, cases[i].n_fds);
		T_EQ(vhk_ctl_set_device_state_fd(c, VHK_CTL_STATE_LOAD, pipe_fd[0], &own),
		     cases[i].want);
		T_EQ(own >= 0, !cases[i].want && cases[i].n_fds);
		if (own >= 0)
			close(own);
		T_MUST(t_peer_recv(sock, &m));
		T_EQ(m.request, 42);
		T_EQ(m.size, 8);
		T_EQ(m.u32[0], 1);
		T_EQ(m.u32[1], 0);
		T_EQ(m.n_fds, 1);
		t_peer_close_fds(&m);
		end(c, sock);
		T_EQ(t_count_fds(), fds);
	}
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

struct mover {
	int sock;
	size_t n;
};

/* The back end's verdict is there when it is asked for, and not before. */
static int put(void *arg, const void *buf, size_t len)
{
	struct mover *m = arg;

	(void)buf;
	m->n += len;
	t_peer_reply_u64(m->sock, VHK_CTL_CHECK_DEVICE_STATE, m->n > 5);
	return 0;
}

static ssize_t get(void *arg, void *buf, size_t len)
{
	struct mover *m = arg;
	size_t n = len < m->n ? len : m->n;

	memset(buf, 0, n);
	m->n -= n;
	return (ssize_t)n;
}

static void lend_pipe(int sock)
{
	const uint64_t with_fd = 0;
	int p[2];

	T_MUST(!pipe(p) && write(p[1], "12345", 5) == 5);
	t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &with_fd, 8, p, 1);
	close(p[0]);
	close(p[1]);
}

/* The back end's own fd takes the pipe's place; it refuses what was moved, stops, or hangs up. */
static void ends_of_a_transfer(void)
{
	const uint64_t without = 0x100;
	struct mover mover = { 0 };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock, fds = t_count_fds();

	sock = mover.sock = begin(&c, ALWAYS);
	lend_pipe(sock);
	T_EQ(vhk_ctl_save_state(c, put, &mover), 0);
	T_EQ(mover.n, 5);
	lend_pipe(sock);
	T_EQ(vhk_ctl_save_state(c, put, &mover), -EREMOTEIO);
	end(c, sock);
	sock = begin_ms(&c, ALWAYS, SHORT_MS);
	t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &without, 8, NULL, 0);
	T_EQ(vhk_ctl_save_state(c, put, &mover), -ETIMEDOUT);
	end(c, sock);
	/* nobody reads: the pipe fills up */
	sock = begin_ms(&c, ALWAYS, SHORT_MS);
	mover.n = 4 << 20;
	t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &without, 8, NULL, 0);
	T_EQ(vhk_ctl_load_state(c, get, &mover), -ETIMEDOUT);
	T_OK(mover.n > 0);
	t_peer_drain(sock);
	end(c, sock);
	/* gone, with the pipe in its hands */
	sock = begin(&c, ALWAYS);
	t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &without, 8, NULL, 0);
	T_MUST(!shutdown(sock, SHUT_WR));
	T_EQ(vhk_ctl_save_state(c, put, &mover), -ENOTCONN);
	T_MUST(t_peer_recv(sock, &m));
	t_peer_close_fds(&m);
	end(c, sock);
	T_EQ(t_count_fds(), fds);
}

/* What is no pipe, or one from the wrong end, is the back end's mistake, not the caller's. */
static void useless_fds(void)
{
	const uint64_t with_fd = 0;
	struct mover mover = { .n = 5 };
	int i, sock, p[2], fds = t_count_fds();
	int fd[6], way;
	struct vhk_ctl *c;

	T_MUST(!pipe(p));
	fd[0] = open("/", O_RDONLY | O_CLOEXEC);
	fd[1] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	fd[2] = open("/dev/full", O_RDWR | O_CLOEXEC);
	fd[3] = memfd_create("state", MFD_CLOEXEC);
	fd[4] = eventfd(1, EFD_CLOEXEC);
	for (way = 0; way < 2; way++) {
		fd[5] = p[!way];
		for (i = 0; i < 6; i++) {
			sock = begin(&c, ALWAYS);
			t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &with_fd, 8,
				    &fd[i], 1);
			T_EQ(way ? vhk_ctl_load_state(c, get, &mover)
				 : vhk_ctl_save_state(c, put, &mover), -EPROTO);
			T_EQ(mover.n, 5);
			t_peer_drain(sock);
			end(c, sock);
		}
	}
	for (i = 0; i < 5; i++)
		close(fd[i]);
	close(p[0]);
	close(p[1]);
	T_EQ(t_count_fds(), fds);
}

/* The back end has a hand on the open file of the pipe that it lent, and makes that wait. */
static int held;

static int put_and_clear(void *arg, const void *buf, size_t len)
{
	(void)buf;
	((struct mover *)arg)->n += len;
	return fcntl(held, F_SETFL, 0);
}

static ssize_t get_and_clear(void *arg, void *buf, size_t len)
{
	T_MUST(!fcntl(held, F_SETFL, 0));
	return get(arg, buf, len);
}

static void flags_taken_back(void)
{
	const uint64_t with_fd = 0;
	struct mover mover = { 0 };
	struct vhk_ctl *c;
	int sock, p[2];

	T_MUST(!pipe(p) && write(p[1], "12345", 5) == 5);
	sock = begin_ms(&c, ALWAYS, SHORT_MS);
	held = p[0];
	t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &with_fd, 8, &p[0], 1);
	T_EQ(vhk_ctl_save_state(c, put_and_clear, &mover), -ETIMEDOUT);
	T_EQ(mover.n, 5);
	t_peer_drain(sock);
	end(c, sock);
	sock = begin_ms(&c, ALWAYS, SHORT_MS);
	held = p[1];
	mover.n = 4 << 20;
	t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &with_fd, 8, &p[1], 1);
	T_EQ(vhk_ctl_load_state(c, get_and_clear, &mover), -ETIMEDOUT);
	T_OK(mover.n > 0);
	t_peer_drain(sock);
	end(c, sock);
	close(p[0]);
	close(p[1]);
}

/* A back end that simply reads or writes takes -EAGAIN for a failure. */
static void its_end_waits_as_pipes_do(void)
{
	const uint64_t without = 0x100;
	struct mover mover = { 0 };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int way, sock;

	for (way = 0; way < 2; way++) {
		sock = begin(&c, ALWAYS);
		mover.n = 4 << 20;
		t_peer_send(sock, VHK_CTL_SET_DEVICE_STATE_FD, T_PEER_REPLY, &without, 8, NULL, 0);
		T_MUST(!shutdown(sock, SHUT_WR));
		T_EQ(way ? vhk_ctl_load_state(c, get, &mover)
			 : vhk_ctl_save_state(c, put, &mover), -ENOTCONN);
		T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
		T_EQ(fcntl(m.fd[0], F_GETFL) & O_NONBLOCK, 0);
		t_peer_close_fds(&m);
		end(c, sock);
	}
}

int main(void)
{
	T_RUN(a_log_by_fd);
	T_RUN(a_log_by_address);
	T_RUN(refused_before_they_are_sent);
	T_RUN(the_log_fd);
	T_RUN(stops_without_waiting);
	T_RUN(answers_to_a_state_fd);
	T_RUN(ends_of_a_transfer);
	T_RUN(useless_fds);
	T_RUN(flags_taken_back);
	T_RUN(its_end_waits_as_pipes_do);
	return t_end();
}
