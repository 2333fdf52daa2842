// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a trace passes on between two sockets: every byte and every file descriptor, where it came;
 * the back end's channel; half-closed ends; what is no message; peers that do not read, that hang
 * up, that send more fds than any message has. Both ends are here, and the loop is stepped.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vhostkit/trace.h>

#include "t_peer.h"

#define DEADLINE_NS 20000000000ull
#define LOG_MAX 4096

struct bed {
	struct vhk_loop *loop;
	struct vhk_trace *trace;
	int front, back; /* our ends */
	unsigned int n_msgs, n_raw, n_ends, n_wrong, n_fds, n_back;
	uint32_t last;
	enum vhk_trace_fd_kind kind[VHK_TRACE_FDS_MAX];
	uint64_t size[VHK_TRACE_FDS_MAX];
	char wrong[256];
	struct vhk_trace_end end;
	int n_open; /* before */
};

static void on_message(void *arg, const struct vhk_trace_msg *m)
{
	struct bed *b = arg;
	unsigned int i;

	b->n_msgs++;
	b->n_back += m->back_channel;
	b->last = m->request;
	b->n_wrong += m->n_wrong;
	b->n_fds = m->n_fds;
	for (i = 0; i < m->n_fds && i < VHK_TRACE_FDS_MAX; i++) {
		b->kind[i] = m->fd[i].kind;
		b->size[i] = m->fd[i].size;
	}
	if (m->n_wrong)
		snprintf(b->wrong, sizeof(b->wrong), "%s", m->wrong[0]);
}

static void on_raw(void *arg, uint64_t session, enum vhk_trace_side from, bool back_channel,
		   const char *why)
{
	struct bed *b = arg;

	(void)session;
	(void)from;
	(void)back_channel;
	T_OK(*why);
	b->n_raw++;
}

static void on_end(void *arg, const struct vhk_trace_end *e)
{
	struct bed *b = arg;

	b->n_ends++;
	b->end = *e;
	b->end.left_alone = NULL;
}

static const struct vhk_trace_ops ops = {
	.sz = sizeof(ops), .message = on_message, .raw = on_raw, .end = on_end
};

static const struct vhk_loop_opts engines[] = {
	{ .sz = sizeof(engines[0]), .engine = VHK_LOOP_EPOLL },
	{ .sz = sizeof(engines[0]), .engine = VHK_LOOP_AUTO },
};
static unsigned int engine;

static void set_up(struct bed *b)
{
	char front[32], back[32];
	int f[2], k[2];

	memset(b, 0, sizeof(*b));
	b->n_open = t_count_fds();
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, k));
	snprintf(front, sizeof(front), "fd:%d", f[1]);
	snprintf(back, sizeof(back), "fd:%d", k[1]);
	T_MUST(!vhk_loop_new(&b->loop, &engines[engine]));
	T_MUST(!vhk_trace_open(&b->trace, b->loop, front, back, &ops, b, NULL));
	b->front = f[0];
	b->back = k[0];
}

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What was open before is open afterwards, and nothing else. */
static void tear_down(struct bed *b)
{
	vhk_trace_close(b->trace);
	vhk_loop_free(b->loop);
	hang_up(&b->front);
	hang_up(&b->back);
	T_EQ(b->n_ends, 1);
	T_EQ(t_count_fds(), b->n_open);
}

static bool waits(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Steps until @fd can be read. */
static void wait_for(struct bed *b, int fd)
{
	uint64_t end = t_now_ns() + DEADLINE_NS;

	while (!waits(fd) && t_now_ns() < end)
		T_MUST(vhk_loop_step(b->loop, 1000000) >= 0);
	T_MUST(waits(fd));
}

/* Steps until nothing more happens at once. */
static void settle(struct bed *b)
{
	unsigned int quiet = 0;

	while (quiet < 3)
		quiet = vhk_loop_step(b->loop, 0) ? 0 : quiet + 1;
}

static void recv_msg(struct bed *b, int fd, struct t_peer_msg *m)
{
	wait_for(b, fd);
	T_MUST(t_peer_recv(fd, m));
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int memfd_of(off_t size)
{
	int fd = memfd_create("t", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

/* Every number from 0 to beyond what there is, known or not, with a payload of each length. */
static void messages_pass_as_they_are(void)
{
	unsigned char payload[4096];
	struct t_peer_msg m;
	struct bed b;
	uint32_t i, size;

	set_up(&b);
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i * 7);
	for (i = 0; i < 300; i++) {
		size = i * 13;
		t_peer_send(b.front, i, i & 8 ? 9 : 1, payload, size, NULL, 0);
		recv_msg(&b, b.back, &m);
		T_EQ(m.request, i);
		T_EQ(m.flags, i & 8 ? 9 : 1);
		T_EQ(m.size, size);
		T_OK(!memcmp(m.bytes, payload, size));
		T_EQ(b.n_msgs, i + 1);
		T_EQ(b.last, i);
	}
	t_peer_send(b.back, 1, 5, payload, 8, NULL, 0);
	recv_msg(&b, b.front, &m);
	T_EQ(m.request, 1);
	T_EQ(m.flags, 5);
	T_OK(!memcmp(m.bytes, payload, 8));
	tear_down(&b);
}

static void fds_pass_with_their_message(void)
{
	int fd[40], i, n, eventfds = eventfd(0, EFD_CLOEXEC), pipes[2];
	struct t_peer_msg m;
	struct bed b;

	T_MUST(eventfds >= 0 && !pipe2(pipes, O_CLOEXEC));
	set_up(&b);
	for (n = 0; n <= 40; n++) {
		for (i = 0; i < n; i++)
			fd[i] = i % 3 == 0 ? eventfds : pipes[i % 3 - 1];
		t_peer_send(b.front, 5, 1, "12345678", 8, fd, (unsigned int)n);
		/* one without in between keeps its own */
		t_peer_send(b.front, 3, 1, NULL, 0, NULL, 0);
		recv_msg(&b, b.back, &m);
		T_EQ(m.n_fds, n);
		for (i = 0; i < n; i++)
			T_OK(same_file(m.fd[i], fd[i]));
		t_peer_close_fds(&m);
		recv_msg(&b, b.back, &m);
		T_EQ(m.request, 3);
		T_EQ(m.n_fds, 0);
	}
	tear_down(&b);
	close(eventfds);
	close(pipes[0]);
	close(pipes[1]);
}

static void fds_are_told_by_kind(void)
{
	int fd[6], pipes[2], sock[2], i;
	static const enum vhk_trace_fd_kind want[6] = {
		VHK_TRACE_FD_EVENTFD, VHK_TRACE_FD_MEMFD, VHK_TRACE_FD_PIPE,
		VHK_TRACE_FD_SOCKET,  VHK_TRACE_FD_FILE,  VHK_TRACE_FD_DEVICE,
	};
	char path[100];
	struct t_peer_msg m;
	struct bed b;

	T_MUST(!pipe2(pipes, O_CLOEXEC) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	snprintf(path, sizeof(path), "%s/file", t_dir());
	fd[0] = eventfd(0, EFD_CLOEXEC);
	fd[1] = memfd_of(12345);
	fd[2] = pipes[0];
	fd[3] = sock[0];
	fd[4] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fd[5] = open("/dev/null", O_RDWR | O_CLOEXEC);
	T_MUST(fd[4] >= 0 && !ftruncate(fd[4], 777) && fd[5] >= 0);
	set_up(&b);
	t_peer_send(b.front, 5, 1, NULL, 0, fd, 6);
	recv_msg(&b, b.back, &m);
	settle(&b);
	T_EQ(b.n_fds, 6);
	for (i = 0; i < 6; i++)
		T_EQ(b.kind[i], want[i]);
	T_EQ(b.size[1], 12345);
	T_EQ(b.size[4], 777);
	t_peer_close_fds(&m);
	tear_down(&b);
	for (i = 0; i < 6; i++)
		close(fd[i]);
	close(pipes[1]);
	close(sock[1]);
}

/* A byte at a time, in both directions at once. */
static void pieces_make_whole_messages(void)
{
	unsigned char bytes[12 + 40];
	const uint32_t hdr[3] = { 9, 1, 40 };
	struct t_peer_msg m;
	struct bed b;
	size_t i;

	set_up(&b);
	memcpy(bytes, hdr, 12);
	for (i = 12; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	for (i = 0; i < sizeof(bytes); i++) {
		T_MUST(write(b.front, bytes + i, 1) == 1);
		settle(&b);
		T_EQ(b.n_msgs, i + 1 == sizeof(bytes));
		/* what is no header yet waits; a payload does not */
		T_EQ(waits(b.back), i >= 11);
	}
	recv_msg(&b, b.back, &m);
	T_EQ(m.request, 9);
	T_OK(!memcmp(m.bytes, bytes + 12, 40));
	tear_down(&b);
}

/* fds behind the first byte stay behind it, so that the receiver can refuse them as ever. */
static void late_fds_stay_late(void)
{
	const uint32_t hdr[3] = { 8, 1, 8 };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "12345678", 8 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	unsigned char got[12];
	struct bed b;
	int fd;

	set_up(&b);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &b.front, sizeof(int));
	T_MUST(write(b.front, hdr, 12) == 12);
	T_MUST(sendmsg(b.front, &msg, 0) == 8);
	wait_for(&b, b.back);
	settle(&b);
	T_EQ(b.n_msgs, 1);
	T_STR(b.wrong, "fds behind its first byte");
	msg.msg_controllen = sizeof(control);
	iov = (struct iovec){ got, 12 };
	T_EQ(recvmsg(b.back, &msg, MSG_DONTWAIT), 12);
	T_EQ(msg.msg_controllen, 0);
	msg.msg_controllen = sizeof(control);
	T_EQ(recvmsg(b.back, &msg, MSG_DONTWAIT), 8);
	c = CMSG_FIRSTHDR(&msg);
	T_MUST(c);
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	T_OK(same_file(fd, b.front));
	close(fd);
	tear_down(&b);
}

static void the_back_channel_passes_here(void)
{
	struct t_peer_msg m;
	int pair[2], channel;
	struct bed b;

	set_up(&b);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	t_peer_send(b.front, 21, 1, NULL, 0, &pair[1], 1);
	close(pair[1]);
	recv_msg(&b, b.back, &m);
	T_EQ(m.n_fds, 1);
	channel = m.fd[0];
	t_peer_send(channel, 2, 9, NULL, 0, NULL, 0);
	recv_msg(&b, pair[0], &m);
	T_EQ(m.request, 2);
	T_EQ(m.flags, 9);
	t_peer_send(pair[0], 2, 5, "\0\0\0\0\0\0\0\0", 8, NULL, 0);
	recv_msg(&b, channel, &m);
	T_EQ(m.flags, 5);
	T_EQ(m.size, 8);
	settle(&b);
	T_EQ(b.n_msgs, 3);
	T_EQ(b.n_back, 2);
	/* hung up there, hung up here */
	close(channel);
	wait_for(&b, pair[0]);
	T_EQ(read(pair[0], &m, 1), 0);
	close(pair[0]);
	tear_down(&b);
}

/* More channels than are kept pass as they are; a socket that is none is left alone. */
static void channels_are_bounded(void)
{
	struct t_peer_msg m[20];
	int pair[20][2], i;
	struct bed b;

	set_up(&b);
	for (i = 0; i < 20; i++) {
		T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair[i]));
		t_peer_send(b.front, 21, 1, NULL, 0, &pair[i][1], 1);
		recv_msg(&b, b.back, &m[i]);
		T_EQ(m[i].n_fds, 1);
		T_EQ(same_file(m[i].fd[0], pair[i][1]), i >= 8);
		t_peer_send(m[i].fd[0], 2, 1, NULL, 0, NULL, 0);
		wait_for(&b, pair[i][0]);
	}
	T_OK(t_count_fds() - b.n_open < 100);
	for (i = 0; i < 20; i++) {
		t_peer_close_fds(&m[i]);
		close(pair[i][0]);
		close(pair[i][1]);
	}
	tear_down(&b);
}

static void halves_close_one_by_one(void)
{
	struct t_peer_msg m;
	struct bed b;
	char c;

	set_up(&b);
	t_peer_send(b.front, 3, 1, NULL, 0, NULL, 0);
	T_MUST(!shutdown(b.front, SHUT_WR));
	recv_msg(&b, b.back, &m);
	wait_for(&b, b.back);
	T_EQ(read(b.back, &c, 1), 0);
	/* the other half still passes */
	t_peer_send(b.back, 3, 5, "\0\0\0\0\0\0\0\0", 8, NULL, 0);
	recv_msg(&b, b.front, &m);
	T_EQ(m.flags, 5);
	T_EQ(b.n_ends, 0);
	hang_up(&b.back);
	wait_for(&b, b.front);
	T_EQ(read(b.front, &c, 1), 0);
	settle(&b);
	T_EQ(b.n_ends, 1);
	T_EQ(b.end.first, VHK_TRACE_FRONT);
	tear_down(&b);
}

static void what_was_said_before_hanging_up_arrives(void)
{
	struct t_peer_msg m;
	struct bed b;
	int i;
	char c;

	for (i = 0; i < 2; i++) {
		set_up(&b);
		t_peer_send(i ? b.back : b.front, 1, i ? 5 : 1, NULL, 0, NULL, 0);
		hang_up(i ? &b.back : &b.front);
		recv_msg(&b, i ? b.front : b.back, &m);
		T_EQ(m.request, 1);
		wait_for(&b, i ? b.front : b.back);
		T_EQ(read(i ? b.front : b.back, &c, 1), 0);
		/* who is left cannot send any more either */
		settle(&b);
		T_EQ(send(i ? b.front : b.back, "x", 1, MSG_NOSIGNAL), -1);
		T_EQ(errno, EPIPE);
		T_EQ(b.n_ends, 1);
		T_EQ(b.end.first, i ? VHK_TRACE_BACK : VHK_TRACE_FRONT);
		tear_down(&b);
	}
}

/* An unfinished message arrives as unfinished as it came. */
static void torn_messages_arrive_torn(void)
{
	static const size_t lengths[] = { 1, 11, 12, 13, 19 };
	uint32_t bytes[8] = { 8, 1, 8, 0, 0 };
	unsigned char got[32];
	struct bed b;
	size_t i, n;
	ssize_t r;

	for (i = 0; i < 5; i++) {
		set_up(&b);
		T_MUST(write(b.front, bytes, lengths[i]) == (ssize_t)lengths[i]);
		hang_up(&b.front);
		for (n = 0;; n += (size_t)r) {
			wait_for(&b, b.back);
			r = read(b.back, got + n, sizeof(got) - n);
			T_MUST(r >= 0);
			if (!r)
				break;
		}
		T_EQ(n, lengths[i]);
		T_OK(!memcmp(got, bytes, n));
		T_EQ(b.n_msgs, 0);
		tear_down(&b);
	}
}

static void what_is_no_message_passes_unseen(void)
{
	static const uint32_t heads[][3] = { { 1, 0, 0 }, { 1, 2, 8 }, { 1, 1, UINT32_MAX },
					     { 0x20544547, 0x2f, 0x20 } };
	unsigned char out[100000], in[sizeof(out)];
	struct bed b;
	size_t i, n;
	ssize_t r;

	for (i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 31 >> 3);
	for (i = 0; i < 4; i++) {
		set_up(&b);
		memcpy(out, heads[i], 12);
		T_MUST(write(b.front, out, sizeof(out)) == (ssize_t)sizeof(out));
		for (n = 0; n < sizeof(out); n += (size_t)r) {
			wait_for(&b, b.back);
			r = read(b.back, in + n, sizeof(in) - n);
			T_MUST(r > 0);
		}
		T_OK(!memcmp(in, out, sizeof(out)));
		/* the other way, too, and with fds */
		t_peer_send(b.back, 99, 77, NULL, 0, &b.back, 1);
		wait_for(&b, b.front);
		T_EQ(recv(b.front, in, sizeof(in), 0), 12);
		T_EQ(b.n_raw, 1);
		T_EQ(b.n_msgs, 0);
		tear_down(&b);
	}
}

/* Longer than any message that there is. */
static void long_messages_pass(void)
{
	static unsigned char out[12 + 300000], in[sizeof(out)];
	const uint32_t hdr[3] = { 60, 1, 300000 };
	size_t sent = 0, n = 0, i;
	struct bed b;
	ssize_t r;

	set_up(&b);
	for (i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 31 >> 3);
	memcpy(out, hdr, 12);
	while (n < sizeof(out)) {
		r = send(b.front, out + sent, sizeof(out) - sent, MSG_DONTWAIT);
		sent += r > 0 ? (size_t)r : 0;
		vhk_loop_step(b.loop, 0);
		r = recv(b.back, in + n, sizeof(in) - n, MSG_DONTWAIT);
		n += r > 0 ? (size_t)r : 0;
	}
	T_OK(!memcmp(in, out, sizeof(out)));
	settle(&b);
	T_EQ(b.n_msgs, 1);
	T_EQ(b.n_raw, 0);
	tear_down(&b);
}

static long resident_kb(void)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/self/status", "r");

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmRSS:", 6))
			kb = atol(line + 6);
	fclose(f);
	return kb;
}

/* One side never reads: then the other cannot write for ever, and nobody spins. */
static void who_does_not_read_is_not_written_to_for_ever(void)
{
	const uint32_t hdr[3] = { 3, 1, 0 };
	unsigned int sent = 0, idle = 0, i, got = 0;
	uint64_t steps = 0;
	struct t_peer_msg m;
	struct bed b;
	long before;

	set_up(&b);
	settle(&b);
	before = resident_kb();
	while (idle < 20) {
		if (send(b.front, hdr, 12, MSG_DONTWAIT) == 12) {
			sent++;
			idle = 0;
		} else {
			idle++;
		}
		T_MUST(sent < 1000000);
		vhk_loop_step(b.loop, 0);
	}
	T_OK(sent > 2);
	T_OK(resident_kb() - before < 8192);
	/* nothing to do means nothing done */
	for (i = 0; i < 100; i++)
		steps += (uint64_t)vhk_loop_step(b.loop, 0);
	T_EQ(steps, 0);
	/* all of it is there when it is read after all */
	while (got < sent) {
		recv_msg(&b, b.back, &m);
		T_EQ(m.request, 3);
		got++;
	}
	T_EQ(b.n_msgs, sent);
	tear_down(&b);
}

/* One side does not read and the other has hung up: still nobody spins. */
static void a_dead_peer_of_a_deaf_one_costs_nothing(void)
{
	uint64_t steps = 0;
	unsigned int i, sent = 0;
	struct bed b;

	set_up(&b);
	while (t_now_ns() && sent < 100000) {
		const uint32_t hdr[3] = { 3, 1, 0 };

		if (send(b.front, hdr, 12, MSG_DONTWAIT) != 12 && !vhk_loop_step(b.loop, 0))
			break;
		sent++;
		vhk_loop_step(b.loop, 0);
	}
	hang_up(&b.front);
	settle(&b);
	for (i = 0; i < 100; i++)
		steps += (uint64_t)vhk_loop_step(b.loop, 0);
	T_EQ(steps, 0);
	T_EQ(b.n_ends, 0);
	hang_up(&b.back);
	settle(&b);
	T_EQ(b.n_ends, 1);
	tear_down(&b);
}

/* As many as the kernel lets pass at once, and none stays here. */
static void fds_do_not_pile_up(void)
{
	int fd[253], i, k, file = memfd_of(4096), before;
	char control[CMSG_SPACE(sizeof(fd))];
	uint32_t hdr[3] = { 5, 1, 0 };
	struct iovec iov = { hdr, 12 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *c;
	struct bed b;

	for (i = 0; i < 253; i++)
		fd[i] = file;
	set_up(&b);
	before = t_count_fds();
	for (k = 0; k < 50; k++) {
		memset(control, 0, sizeof(control));
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), fd, sizeof(fd));
		T_MUST(sendmsg(b.front, &msg, 0) == 12);
		wait_for(&b, b.back);
		msg.msg_controllen = sizeof(control);
		T_EQ(recvmsg(b.back, &msg, MSG_CMSG_CLOEXEC), 12);
		c = CMSG_FIRSTHDR(&msg);
		T_MUST(c);
		T_EQ(c->cmsg_len, CMSG_LEN(sizeof(fd)));
		for (i = 0; i < 253; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + (size_t)i * sizeof(int), sizeof(int));
			close(got);
		}
		settle(&b);
		T_EQ(t_count_fds(), before);
		T_EQ(b.n_fds, 253);
	}
	tear_down(&b);
	close(file);
}

/* Nothing is left to close by mistake. */
static void what_cannot_be_opened_is_null(void)
{
	static const struct vhk_trace_opts unknown = { .sz = sizeof(unknown), .flags = 0x80 };
	static const struct {
		const char *front, *back;
		const struct vhk_trace_opts *o;
		int want;
	} cases[] = {
		{ "unix:/x", "unix:/x", &unknown, -EOPNOTSUPP },
		{ "nowhere", "unix:/x", NULL, -EINVAL },
		{ "unix:/x", "unix:", NULL, -EINVAL },
	};
	struct vhk_trace *t;
	struct vhk_loop *l;
	unsigned int i;

	T_MUST(!vhk_loop_new(&l, &engines[engine]));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = (struct vhk_trace *)&ops;
		T_EQ(vhk_trace_open(&t, l, cases[i].front, cases[i].back, &ops, NULL, cases[i].o),
		     cases[i].want);
		T_OK(!t);
	}
	vhk_loop_free(l);
}

static void on_both_engines(void (*fn)(void), const char *name)
{
	char called[128];

	for (engine = 0; engine < 2; engine++) {
		snprintf(called, sizeof(called), "%s (%s)", name, engine ? "default" : "epoll");
		t_run(called, fn);
	}
}

#define RUN(fn) on_both_engines(fn, #fn)

int main(void)
{
	RUN(messages_pass_as_they_are);
	RUN(fds_pass_with_their_message);
	RUN(fds_are_told_by_kind);
	RUN(pieces_make_whole_messages);
	RUN(late_fds_stay_late);
	RUN(the_back_channel_passes_here);
	RUN(channels_are_bounded);
	RUN(halves_close_one_by_one);
	RUN(what_was_said_before_hanging_up_arrives);
	RUN(torn_messages_arrive_torn);
	RUN(what_is_no_message_passes_unseen);
	RUN(long_messages_pass);
	RUN(who_does_not_read_is_not_written_to_for_ever);
	RUN(a_dead_peer_of_a_deaf_one_costs_nothing);
	RUN(fds_do_not_pile_up);
	RUN(what_cannot_be_opened_is_null);
	return t_end();
}
