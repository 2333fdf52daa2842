// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages come whole or not at all: in pieces, cut off, with fds that are too many, late or
 * unexpected.
 */
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sock.h"
#include "t.h"

static struct vhk_sock here;
static int there;

static void connect_pair(void)
{
	int fd[2];

	T_MUST(!vhk_sock_pair(fd));
	vhk_sock_init_take_fd(&here, fd[0]);
	there = fd[1];
}

static void disconnect(void)
{
	vhk_sock_fini(&here);
	if (there >= 0)
		close(there);
}

static int new_fd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	T_MUST(fd >= 0);
	return fd;
}

/* Sends raw bytes with @n copies of one fd. */
static void put(const void *bytes, size_t len, unsigned int n)
{
	char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int i;
	int fd = new_fd();

	if (n) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	T_MUST(sendmsg(there, &msg, MSG_NOSIGNAL) == (ssize_t)len);
	close(fd);
}

struct wire {
	uint32_t request, flags, size;
	unsigned char payload[5000];
};

static const struct wire num = { 8, VHK_MSG_VERSION, 8, { 1, 0, 0, 0, 0, 1 } };
#define NUM_LEN 20

static void reads_a_message_byte_by_byte(void)
{
	struct vhk_msg m;
	int i;

	connect_pair();
	for (i = 0; i < NUM_LEN; i++) {
		T_EQ(vhk_sock_recv(&here, &m), -EAGAIN);
		put((const char *)&num + i, 1, i ? 0 : 2);
	}
	T_EQ(vhk_sock_recv(&here, &m), 0);
	T_EQ(m.hdr.request, 8);
	T_EQ(m.u64, 0x10000000001);
	T_EQ(m.n_fds, 2);
	T_EQ(vhk_sock_recv(&here, &m), -EAGAIN);
	vhk_msg_fini(&m);
	disconnect();
}

static void keeps_neighbours_apart(void)
{
	struct vhk_msg m;
	int i;

	connect_pair();
	put(&num, NUM_LEN, 1);
	put(&num, NUM_LEN, 0);
	put(&num, NUM_LEN, 3);
	for (i = 0; i < 3; i++) {
		T_EQ(vhk_sock_recv(&here, &m), 0);
		T_EQ(m.n_fds, i == 0 ? 1 : i == 1 ? 0 : 3);
		T_EQ(m.hdr.size, 8);
		vhk_msg_fini(&m);
	}
	disconnect();
}

static void fills_with_zeros_behind_the_payload(void)
{
	struct wire full = { 26, VHK_MSG_VERSION, VHK_MSG_PAYLOAD_MAX, { 0 } };
	struct vhk_msg m;
	size_t i;

	connect_pair();
	memset(full.payload, 0xa5, sizeof(full.payload));
	put(&full, 12 + VHK_MSG_PAYLOAD_MAX, 0);
	T_EQ(vhk_sock_recv(&here, &m), 0);
	T_EQ(m.bytes[VHK_MSG_PAYLOAD_MAX - 1], 0xa5);
	put(&num, NUM_LEN, 0);
	T_EQ(vhk_sock_recv(&here, &m), 0);
	for (i = 8; i < VHK_MSG_PAYLOAD_MAX; i++)
		T_OK(!m.bytes[i]);
	disconnect();
}

static void gives_fds_away_once(void)
{
	struct vhk_msg m;
	int fd, before = t_count_fds();

	connect_pair();
	put(&num, NUM_LEN, 2);
	T_EQ(vhk_sock_recv(&here, &m), 0);
	fd = vhk_msg_take_fd(&m, 1);
	T_OK(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	T_EQ(vhk_msg_take_fd(&m, 1), -1);
	T_EQ(vhk_msg_take_fd(&m, 2), -1);
	vhk_msg_fini(&m);
	T_OK(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	disconnect();
	T_EQ(t_count_fds(), before);
}

static void takes_32_fds_and_refuses_more(void)
{
	static const unsigned int n[] = { 31, 32, 33, 64, 253 };
	int before = t_count_fds();
	struct vhk_msg m;
	size_t i;

	for (i = 0; i < sizeof(n) / sizeof(n[0]); i++) {
		connect_pair();
		put(&num, NUM_LEN, n[i]);
		put(&num, NUM_LEN, 1);
		T_EQ(vhk_sock_recv(&here, &m), n[i] > 32 ? -EBADF : 0);
		T_EQ(m.n_fds, n[i] > 32 ? 0 : n[i]);
		T_EQ(m.u64, 0x10000000001);
		vhk_msg_fini(&m);
		/* The stream goes on. */
		T_EQ(vhk_sock_recv(&here, &m), 0);
		T_EQ(m.n_fds, 1);
		vhk_msg_fini(&m);
		disconnect();
		T_EQ(t_count_fds(), before);
	}
}

static void refuses_fds_behind_the_first_byte(void)
{
	static const int at[] = { 1, 11, 12, 19 };
	int before = t_count_fds();
	struct vhk_msg m;
	size_t i;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		connect_pair();
		put(&num, (size_t)at[i], 0);
		/* Read up to there, or the kernel hands both pieces out as one. */
		T_EQ(vhk_sock_recv(&here, &m), -EAGAIN);
		put((const char *)&num + at[i], (size_t)(NUM_LEN - at[i]), 4);
		T_EQ(vhk_sock_recv(&here, &m), -EBADF);
		T_EQ(m.n_fds, 0);
		put(&num, NUM_LEN, 0);
		T_EQ(vhk_sock_recv(&here, &m), 0);
		disconnect();
		T_EQ(t_count_fds(), before);
	}
}

static void closes_the_fds_of_half_a_message(void)
{
	static const int len[] = { 1, 12, 19 };
	int before = t_count_fds();
	struct vhk_msg m;
	size_t i;

	for (i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
		connect_pair();
		put(&num, (size_t)len[i], 2);
		T_EQ(vhk_sock_recv(&here, &m), -EAGAIN);
		close(there);
		there = -1;
		T_OK(vhk_sock_hung_up(here.fd));
		T_EQ(vhk_sock_recv(&here, &m), -EPROTO);
		T_EQ(vhk_sock_recv(&here, &m), -EPROTO);
		disconnect();
		T_EQ(t_count_fds(), before);
	}
	/* And of one that nobody has looked at. */
	connect_pair();
	put(&num, 7, 2);
	vhk_sock_recv(&here, &m);
	disconnect();
	T_EQ(t_count_fds(), before);
}

static void a_clean_end_is_no_error_of_the_protocol(void)
{
	struct vhk_msg m;

	connect_pair();
	put(&num, NUM_LEN, 0);
	close(there);
	there = -1;
	T_EQ(vhk_sock_recv(&here, &m), 0);
	T_EQ(vhk_sock_recv(&here, &m), -ENOTCONN);
	T_EQ(vhk_sock_recv(&here, &m), -ENOTCONN);
	disconnect();
}

static const struct wire lost[] = {
	{ 1, 0, 0, { 0 } },
	{ 1, 2, 0, { 0 } },
	{ 1, 3, 0, { 0 } },
	{ 1, VHK_MSG_VERSION, VHK_MSG_PAYLOAD_MAX + 1, { 0 } },
	{ 1, VHK_MSG_VERSION, 0x80000000, { 0 } },
	{ 1, VHK_MSG_VERSION, 0xffffffff, { 0 } },
};

static void a_header_that_cannot_be_loses_the_stream(void)
{
	int before = t_count_fds();
	struct vhk_msg m;
	size_t i;

	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		connect_pair();
		put(&lost[i], 12, 3);
		T_EQ(vhk_sock_recv(&here, &m), -EPROTO);
		put(&num, NUM_LEN, 0);
		T_EQ(vhk_sock_recv(&here, &m), -EPROTO);
		disconnect();
		T_EQ(t_count_fds(), before);
	}
}

static void ten_thousand_bad_messages_leave_no_fd(void)
{
	int i, ret, before;
	struct vhk_msg m;

	connect_pair();
	before = t_count_fds();
	for (i = 0; i < 10000; i++) {
		put(&num, NUM_LEN, (unsigned int)i % 40);
		ret = vhk_sock_recv(&here, &m);
		T_EQ(ret, i % 40 > 32 ? -EBADF : 0);
		vhk_msg_fini(&m);
		if (t_bad)
			break;
	}
	T_EQ(t_count_fds(), before);
	disconnect();
}

int main(void)
{
	T_RUN(reads_a_message_byte_by_byte);
	T_RUN(keeps_neighbours_apart);
	T_RUN(fills_with_zeros_behind_the_payload);
	T_RUN(gives_fds_away_once);
	T_RUN(takes_32_fds_and_refuses_more);
	T_RUN(refuses_fds_behind_the_first_byte);
	T_RUN(closes_the_fds_of_half_a_message);
	T_RUN(a_clean_end_is_no_error_of_the_protocol);
	T_RUN(a_header_that_cannot_be_loses_the_stream);
	T_RUN(ten_thousand_bad_messages_leave_no_fd);
	return t_end();
}
