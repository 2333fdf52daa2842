// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a trace passes on between two sockets: every byte and every file descriptor, where it came,
 * and the back end's channel.
 */
#include "t_trace.h"

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

int main(void)
{
	RUN(messages_pass_as_they_are);
	RUN(fds_pass_with_their_message);
	RUN(fds_are_told_by_kind);
	RUN(pieces_make_whole_messages);
	RUN(late_fds_stay_late);
	RUN(the_back_channel_passes_here);
	RUN(channels_are_bounded);
	return t_end();
}
