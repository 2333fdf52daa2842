// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Sending to a peer that reads late, never, or is gone: nothing blocks, nothing is reordered,
 * nothing leaks, no SIGPIPE.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "sock.h"
#include "t.h"

static struct vhk_sock a, b;

static void connect_pair(void)
{
	int fd[2], small = 1;

	T_MUST(!vhk_sock_pair(fd));
	T_MUST(!setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	vhk_sock_init_take_fd(&a, fd[0]);
	vhk_sock_init_take_fd(&b, fd[1]);
}

static void disconnect(void)
{
	vhk_sock_fini(&a);
	vhk_sock_fini(&b);
}

static struct vhk_msg numbered(uint32_t i)
{
	struct vhk_msg m;

	vhk_msg_init(&m, 1000 + i, VHK_MSG_REPLY);
	m.hdr.size = i % 7 ? 8 : VHK_MSG_PAYLOAD_MAX;
	m.u64 = i;
	if (i % 3 == 0) {
		m.n_fds = 1 + i % 4;
		for (unsigned int k = 0; k < m.n_fds; k++)
			T_MUST((m.fd[k] = eventfd(i, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0);
	}
	return m;
}

/* Sends numbered messages until one is refused; how many went. */
static uint32_t fill(void)
{
	struct vhk_msg m;
	uint32_t i;
	int ret;

	for (i = 0; i < 100000; i++) {
		m = numbered(i);
		ret = vhk_sock_send(&a, &m);
		/* Borrowed. */
		if (m.n_fds)
			T_OK(fcntl(m.fd[0], F_GETFD) >= 0);
		vhk_msg_fini(&m);
		if (ret) {
			T_EQ(ret, -ENOBUFS);
			break;
		}
	}
	return i;
}

static void check_numbered(const struct vhk_msg *m, uint32_t i)
{
	uint64_t v;

	T_EQ(m->hdr.request, 1000 + i);
	T_EQ(m->u64, i);
	T_EQ(m->n_fds, i % 3 ? 0 : 1 + i % 4);
	if (m->n_fds && i) {
		T_EQ(read(m->fd[0], &v, sizeof(v)), 8);
		T_EQ(v, i);
	}
}

static void a_late_reader_gets_all_in_order(void)
{
	int fds = t_count_fds();
	struct vhk_msg m;
	uint32_t sent, got = 0;

	connect_pair();
	sent = fill();
	T_OK(sent > VHK_SOCK_TX_MAX && sent < 10000);
	T_EQ(a.n_tx, VHK_SOCK_TX_MAX);
	T_EQ(vhk_sock_flush(&a), -EAGAIN);
	while (got < sent) {
		if (vhk_sock_recv(&b, &m) == -EAGAIN) {
			T_MUST(a.n_tx);
			vhk_sock_flush(&a);
			continue;
		}
		check_numbered(&m, got++);
		vhk_msg_fini(&m);
	}
	T_EQ(a.n_tx, 0);
	T_EQ(vhk_sock_flush(&a), 0);
	T_EQ(vhk_sock_recv(&b, &m), -EAGAIN);
	disconnect();
	T_EQ(t_count_fds(), fds);
}

static void what_was_never_read_is_dropped_with_its_fds(void)
{
	int fds = t_count_fds(), i;

	for (i = 0; i < 20; i++) {
		connect_pair();
		fill();
		disconnect();
	}
	T_EQ(t_count_fds(), fds);
}

static void a_peer_that_is_gone_raises_no_signal(void)
{
	struct vhk_msg m = numbered(1);

	signal(SIGPIPE, SIG_DFL);
	connect_pair();
	vhk_sock_fini(&b);
	T_OK(vhk_sock_hung_up(a.fd));
	T_EQ(vhk_sock_send(&a, &m), -ENOTCONN);
	T_EQ(vhk_sock_send(&a, &m), -ENOTCONN);
	vhk_sock_fini(&a);
	/* And with messages waiting. */
	connect_pair();
	T_OK(!vhk_sock_hung_up(a.fd));
	fill();
	vhk_sock_fini(&b);
	T_EQ(vhk_sock_flush(&a), -ENOTCONN);
	vhk_sock_fini(&a);
}

static void refuses_what_no_peer_could_read(void)
{
	struct vhk_msg m;

	connect_pair();
	vhk_msg_init(&m, 1, 0);
	m.hdr.size = VHK_MSG_PAYLOAD_MAX + 1;
	T_EQ(vhk_sock_send(&a, &m), -EINVAL);
	m.hdr.size = 0;
	m.n_fds = VHK_MSG_FDS_MAX + 1;
	T_EQ(vhk_sock_send(&a, &m), -EINVAL);
	m.n_fds = 1;
	m.fd[0] = -1;
	T_EQ(vhk_sock_send(&a, &m), -EINVAL);
	T_EQ(vhk_sock_recv(&b, &m), -EAGAIN);
	disconnect();
}

static void what_is_no_socket_is_no_connection(void)
{
	struct vhk_sock s;
	struct vhk_msg m;
	int fd[2];

	T_MUST(!pipe(fd));
	vhk_sock_init_take_fd(&s, fd[0]);
	vhk_msg_init(&m, 1, 0);
	T_EQ(vhk_sock_recv(&s, &m), -ENOTCONN);
	T_EQ(vhk_sock_send(&s, &m), -ENOTCONN);
	vhk_sock_fini(&s);
	close(fd[1]);
}

int main(void)
{
	T_RUN(a_late_reader_gets_all_in_order);
	T_RUN(what_was_never_read_is_dropped_with_its_fds);
	T_RUN(a_peer_that_is_gone_raises_no_signal);
	T_RUN(refuses_what_no_peer_could_read);
	T_RUN(what_is_no_socket_is_no_connection);
	return t_end();
}
