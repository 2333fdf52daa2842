// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The kernel watches no further fd: connections and channels are refused and leave none behind,
 * and what was watched already stays so.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "loop_t.h"
#include "t_peer.h"

static int adds_left = -1; /* -1: any number */

int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && adds_left >= 0 && !adds_left--) {
		adds_left = 0;
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, ep, op, fd, ev);
}

static void connection(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o) };
	int fd[2], before = t_count_fds();
	struct vhk_ctl *c;
	char uri[32];
	char byte;

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	adds_left = 1; /* the timer */
	T_EQ(vhk_ctl_open(&c, uri, &o), -ENOSPC);
	adds_left = -1;
	T_EQ(recv(fd[1], &byte, 1, MSG_DONTWAIT), 0);
	close(fd[1]);
	T_EQ(t_count_fds(), before);
}

static void channel(void)
{
	static const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 1000 };
	struct vhk_ctl *c;
	int sock = t_peer_open(&c, &o), before;
	uint64_t v;

	t_peer_negotiate(c, sock, VHK_F_VERSION_1, VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ);
	before = t_count_fds();
	adds_left = 0;
	T_EQ(vhk_ctl_set_backend_req_fd(c), -ENOSPC);
	adds_left = -1;
	T_EQ(t_count_fds(), before);
	T_EQ(t_peer_drain(sock), 0);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 9);
	T_EQ(vhk_ctl_get_features(c, &v), 0);
	vhk_ctl_close(c);
	close(sock);
}

static void fired(void *arg, uint32_t events)
{
	*(uint32_t *)arg |= events;
}

static void other_events(void)
{
	const struct t_mode *m;

	T_EACH_MODE(m) {
		struct vhk_loop *l = t_loop(m);
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		uint32_t got = 0;

		T_EQ(vhk_loop_add_fd(l, fd, EPOLLIN, fired, &got), 0);
		adds_left = 0;
		T_EQ(vhk_loop_mod_fd(l, fd, EPOLLIN | EPOLLOUT), 0);
		adds_left = -1;
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
		T_EQ(got, EPOLLOUT);
		vhk_loop_free(l);
		close(fd);
	}
}

int main(void)
{
	T_RUN(connection);
	T_RUN(channel);
	T_RUN(other_events);
	return t_end();
}
