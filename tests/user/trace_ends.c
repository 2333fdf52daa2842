// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A trace between peers that do not keep to the rules: half-closed ends, what is no message, who
 * does not read, who hangs up, who sends more fds than any message has.
 */
#include "t_trace.h"

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

/* Sends until nothing more fits anywhere. */
static unsigned int fill(struct bed *b, int fd)
{
	const uint32_t hdr[3] = { 3, 1, 0 };
	unsigned int sent = 0, idle = 0;

	while (idle < 20) {
		T_MUST(sent < 1000000);
		if (send(fd, hdr, 12, MSG_DONTWAIT) == 12) {
			sent++;
			idle = 0;
		} else {
			idle++;
		}
		vhk_loop_step(b->loop, 0);
	}
	return sent;
}

/* One side never reads: then the other cannot write for ever, and nobody spins. */
static void who_does_not_read_is_not_written_to_for_ever(void)
{
	unsigned int sent, i, got = 0;
	uint64_t steps = 0;
	struct t_peer_msg m;
	struct bed b;
	long before;

	set_up(&b);
	settle(&b);
	before = resident_kb();
	sent = fill(&b, b.front);
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

/*
 * One side does not read and the other has hung up: nobody spins, and nobody waits for ever. What
 * fitted into the socket is there, then its end.
 */
static void a_dead_peer_of_a_deaf_one_is_let_go(void)
{
	const unsigned int side = engine; /* each of them is the dead one once */
	unsigned int sent, got, steps, i;
	struct t_peer_msg m;
	uint64_t until;
	struct bed b;
	int *dead, *deaf;

	set_up(&b);
	dead = side ? &b.back : &b.front;
	deaf = side ? &b.front : &b.back;
	sent = fill(&b, *dead);
	hang_up(dead);
	settle(&b);
	/* at most the end of the wait */
	for (i = steps = 0; i < 100; i++)
		steps += (unsigned int)vhk_loop_step(b.loop, 0);
	T_OK(steps <= 2);
	until = t_now_ns() + DEADLINE_NS;
	while (!b.n_ends && t_now_ns() < until)
		T_MUST(vhk_loop_step(b.loop, 1000000) >= 0);
	T_EQ(b.n_ends, 1);
	T_EQ(b.end.first, side ? VHK_TRACE_BACK : VHK_TRACE_FRONT);
	T_EQ(b.end.undelivered, 1);
	for (got = 0; waits(*deaf) && t_peer_recv(*deaf, &m); got++)
		T_EQ(m.request, 3);
	T_OK(got && got < sent);
	T_OK(waits(*deaf));
	tear_down(&b);
}

/* Who reads now and then gets all of it, even what is too little to make a socket writable. */
static void what_a_dead_peer_left_is_read_slowly(void)
{
	unsigned int sent, got = 0;
	struct t_peer_msg m;
	struct bed b;
	uint64_t until;

	set_up(&b);
	sent = fill(&b, b.front);
	hang_up(&b.front);
	while (got < sent) {
		recv_msg(&b, b.back, &m);
		T_EQ(m.request, 3);
		if (++got % 3 || got > 30)
			continue;
		until = t_now_ns() + 300000000;
		while (t_now_ns() < until)
			T_MUST(vhk_loop_step(b.loop, 1000000) >= 0);
	}
	settle(&b);
	T_EQ(b.n_ends, 1);
	T_EQ(b.end.undelivered, 0);
	T_EQ(b.n_msgs, sent);
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

int main(void)
{
	RUN(halves_close_one_by_one);
	RUN(what_was_said_before_hanging_up_arrives);
	RUN(torn_messages_arrive_torn);
	RUN(what_is_no_message_passes_unseen);
	RUN(long_messages_pass);
	RUN(who_does_not_read_is_not_written_to_for_ever);
	RUN(a_dead_peer_of_a_deaf_one_is_let_go);
	RUN(fds_do_not_pile_up);
	RUN(what_cannot_be_opened_is_null);
	engine = 0; /* takes its time */
	T_RUN(what_a_dead_peer_left_is_read_slowly);
	return t_end();
}
