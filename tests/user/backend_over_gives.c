// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end whose session is taken over by a successor that is hostile, hangs or dies, and one
 * whose front end goes meanwhile: it goes on, wherever it can.
 */
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "t_over.h"

static bool deaf; /* the kernel does not watch the socket that successors come to */

/* It is bound beside its path, to a name that begins like it. */
static bool is_theirs(int fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sun);

	return !getsockname(fd, (struct sockaddr *)&sun, &len) &&
	       !strncmp(sun.sun_path, over, strlen(over));
}

int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	if (deaf && op == EPOLL_CTL_ADD && is_theirs(fd)) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, ep, op, fd, ev);
}

/* A successor that has read all, COMMIT too, and does not say whether it serves. */
static int read_all(void)
{
	struct vhk_msg m;
	int fd = dial(over);

	do {
		T_MUST(t_recv_from(&u, fd, &m));
		if (m.hdr.request == VHK_OVER_READY)
			say_u64(fd, VHK_OVER_READY, 0);
		vhk_msg_fini(&m);
	} while (m.hdr.request != VHK_OVER_COMMIT);
	t_settle(&u);
	T_EQ(n_given, 0);
	return fd;
}

/* It refuses after all: the session goes on here. */
static void refuse_and_close(int fd)
{
	say_u64(fd, VHK_OVER_COMMIT, 5);
	T_OK(t_closed(&u, fd));
	close(fd);
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	T_EQ(n_given, 0);
}

/* One that answers no more while the rings rest is given up before front ends lose patience. */
static void a_successor_that_falls_silent(void)
{
	struct script s;
	uint64_t begun;
	unsigned int i;
	int fd;

	rest_ms = 200;
	open_old(T_SPLIT);
	record(&s);
	fd = dial(over);
	for (i = 0; s.m[i].hdr.request != VHK_OVER_RING; i++) {
		struct vhk_msg m;

		T_MUST(t_recv_from(&u, fd, &m));
		if (m.hdr.request == VHK_OVER_READY)
			say_u64(fd, VHK_OVER_READY, 0);
		vhk_msg_fini(&m);
	}
	t_settle(&u);
	begun = t_now_ns();
	t_ring_add(&u, &ring);
	t_settle(&u);
	T_EQ(u.be->s.state == VHK_SESSION_READY, false);
	T_OK(t_ring_get(&u, &ring));
	T_OK(t_now_ns() - begun >= 100000000u);
	T_OK(strstr(u.log.last, "it takes too long"));
	T_EQ(n_given, 0);
	rest_ms = 0;
	close(fd);
	script_fini(&s);
	t_ring_echo(&u, &ring, 3);
	close_old();
}

/* One that does not answer before the rings rest for it has a time of its own. */
static void a_successor_that_takes_too_long(void)
{
	uint64_t begun;
	int fd;

	over_ms = 200;
	open_old(T_SPLIT);
	begun = t_now_ns();
	fd = dial(over);
	T_UNTIL(&u, u.log.n[VHK_LOG_WARN]);
	T_OK(t_now_ns() - begun >= 200000000u);
	T_OK(strstr(u.log.last, "it takes too long"));
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	t_ring_echo(&u, &ring, 3);
	close(fd);
	over_ms = 0;
	close_old();
}

/* A session that is in the middle of a request, or of its end, is not stopped for a successor, and
 * is not revived when that one has hung up or taken too long. */
static void not_while_a_request_is_under_way(void)
{
	struct vhk_user_vring_state v = { 0, 0 };
	struct vhk_msg m;
	unsigned int i;
	int fd;

	for (i = 0; i < 4; i++) {
		const bool late = i & 1, ends = i & 2;

		over_ms = late ? 200 : 0;
		open_old(T_SPLIT);
		u.echo.hold = true;
		t_ring_add(&u, &ring);
		T_UNTIL(&u, u.echo.n_held == 1);
		t_send(&u, VHK_USER_GET_VRING_BASE, 0, &v, sizeof(v), NULL, 0);
		T_UNTIL(&u, u.be->s.state == VHK_SESSION_WAITING);
		fd = dial(over);
		t_settle(&u);
		if (ends)
			t_user_hang_up(&u);
		t_settle(&u);
		if (!late)
			close(fd);
		T_UNTIL(&u, u.log.n[VHK_LOG_WARN]);
		T_OK(strstr(u.log.last, late ? "it takes too long" : "it hung up"));
		t_settle(&u);
		T_OK(u.be->s.state != VHK_SESSION_READY);
		t_echo_release(&u.echo);
		if (ends) {
			T_UNTIL(&u, u.n_down == 1);
			u.fd = dial(front);
		} else {
			T_MUST(t_recv(&u, &m));
			T_EQ(m.hdr.request, VHK_USER_GET_VRING_BASE);
		}
		t_alive(&u);
		if (late)
			close(fd);
		close_old();
	}
	over_ms = 0;
}

/* The old one goes on, wherever its successor stops. */
static void successors_that_hang_up(void)
{
	struct script s;
	struct extras x;
	unsigned int i, k;
	int fd, fds;

	open_old(T_PACKED);
	add_extras(&x);
	record(&s);
	fds = t_count_fds();
	for (i = 0; i < s.n; i++) {
		fd = dial(over);
		for (k = 0; k < i; k++) {
			struct vhk_msg m;

			T_MUST(t_recv_from(&u, fd, &m));
			if (m.hdr.request == VHK_OVER_READY)
				say_u64(fd, VHK_OVER_READY, 0);
			vhk_msg_fini(&m);
		}
		/* the last of them has COMMIT before it, and has not read it */
		t_settle(&u);
		t_settle(&u);
		close(fd);
		T_UNTIL(&u, !access(over, F_OK) &&
				    u.be->s.state == VHK_SESSION_READY);
		T_EQ(n_given, 0);
		t_ring_echo(&u, &ring, 3);
		t_alive(&u);
	}
	T_EQ(t_count_fds(), fds);
	script_fini(&s);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	close_heir();
	close_extras(&x);
	close_old();
}

/* The line is about what happened, not about what was being said. */
static void why_it_came_to_nothing(void)
{
	unsigned int silent;
	struct vhk_msg m;
	int fd;

	open_old(T_SPLIT);
	for (silent = 0; silent < 2; silent++) {
		u.log.last[0] = 0;
		fd = dial(over);
		while (!silent) {
			T_MUST(t_recv_from(&u, fd, &m));
			vhk_msg_fini(&m);
			if (m.hdr.request == VHK_OVER_READY)
				break;
		}
		if (!silent)
			say_u64(fd, VHK_OVER_READY, 0);
		close(fd);
		T_UNTIL(&u, u.log.last[0]);
		T_OK(strstr(u.log.last, "it hung up"));
		T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
		t_ring_echo(&u, &ring, 3);
	}
	close_old();
}

#define STORM 300

/* Who comes again and again is told a few times. */
static void a_storm_of_successors(void)
{
	unsigned int i;
	struct vhk_msg m;
	int first;

	open_old(T_SPLIT);
	for (i = 0; i < STORM; i++) {
		close(dial(over));
		t_settle(&u);
	}
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	T_OK(u.log.n[VHK_LOG_WARN] >= VHK_RATION_LINES);
	T_OK(u.log.n[VHK_LOG_WARN] < 2 * VHK_RATION_LINES);
	/* one that is served is not mistaken for those that are turned away meanwhile */
	first = dial(over);
	T_MUST(t_recv_from(&u, first, &m));
	for (i = 0; i < STORM; i++) {
		int fd = dial(over);

		T_OK(t_closed(&u, fd));
		close(fd);
	}
	T_OK(u.log.n[VHK_LOG_WARN] < 2 * VHK_RATION_LINES);
	close(first);
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	close_heir();
	close_old();
}

/* Nobody can be let in for lack of descriptors: nothing spins, and it is tried again. */
static void no_descriptor_is_free(void)
{
	struct rlimit was, few;
	struct vhk_msg m;
	unsigned int i;
	int fd, n = 0;

	open_old(T_SPLIT);
	fd = dial(over);
	T_MUST(!getrlimit(RLIMIT_NOFILE, &was));
	few = was;
	few.rlim_cur = (rlim_t)fd + 1;
	T_MUST(!setrlimit(RLIMIT_NOFILE, &few));
	for (i = 0; i < 200; i++)
		n += vhk_loop_step(u.loop, 0) > 0;
	T_MUST(!setrlimit(RLIMIT_NOFILE, &was));
	T_OK(u.log.n[VHK_LOG_WARN] == 1);
	T_OK(strstr(u.log.last, "cannot accept: Too many open files"));
	T_OK(n < 100);
	T_MUST(t_recv_from(&u, fd, &m));
	T_EQ(m.hdr.request, VHK_OVER_HELLO);
	close(fd);
	close_old();
}

/* It has read COMMIT, so it may have begun: the old one must not. */
static void a_successor_that_dies_with_it(void)
{
	int fd;

	open_old(T_SPLIT);
	fd = read_all();
	close(fd);
	T_UNTIL(&u, n_given == 1);
	T_EQ(given_ret, -ENOTCONN);
	/* the front end sees a dead back end */
	T_OK(t_closed(&u, u.fd));
	T_OK(vhk_backend_is_over(u.be));
	close_old();
	T_OK(access(front, F_OK) < 0);
}

/* The old process may go before it hears whether the successor serves, which then has the socket
 * that front ends come to. */
static void closed_behind_commit(void)
{
	unsigned int nobody;
	int fd;

	for (nobody = 0; nobody < 2; nobody++) {
		open_old(T_SPLIT);
		if (nobody) {
			t_user_hang_up(&u);
			T_UNTIL(&u, u.n_down == 1);
		}
		fd = read_all();
		vhk_backend_close(u.be);
		u.be = NULL;
		T_OK(!access(front, F_OK));
		close(fd);
		unlink(front);
		close_old();
	}
}

/* Whatever it says behind COMMIT, it may serve: only its end tells. */
static void nonsense_behind_commit(void)
{
	static const struct vhk_msg_hdr no_reply = { VHK_OVER_COMMIT, VHK_MSG_VERSION, 0 };
	static const struct vhk_msg_hdr no_size = { VHK_OVER_COMMIT,
						    VHK_MSG_VERSION | VHK_MSG_REPLY, 0 };
	unsigned int i;
	int fd;

	for (i = 0; i < 4; i++) {
		open_old(T_SPLIT);
		fd = read_all();
		if (i < 2)
			say_u64(fd, VHK_OVER_READY, i);
		else
			t_send_bytes(fd, i == 2 ? &no_reply : &no_size, sizeof(no_size), NULL, 0);
		t_settle(&u);
		T_EQ(u.be->s.state, VHK_SESSION_GIVEN);
		T_EQ(n_given, 0);
		t_ring_add(&u, &ring);
		t_settle(&u);
		T_EQ(u.echo.n_work, 3);
		close(fd);
		T_UNTIL(&u, n_given == 1);
		T_EQ(given_ret, -ENOTCONN);
		close_old();
	}
}

/* The channel is the successor's, or may be: nothing is said on it before it is ours again. */
static void nothing_is_said_behind_commit(void)
{
	unsigned int changed;
	struct extras x;
	struct vhk_msg m;
	int fd;

	for (changed = 0; changed < 2; changed++) {
		open_old(T_SPLIT);
		add_extras(&x);
		fd = read_all();
		if (changed)
			T_EQ(vhk_device_config_changed(u.echo.dev), 0);
		t_settle(&u);
		T_OK(!t_readable(x.channel, 0));
		refuse_and_close(fd);
		t_settle(&u);
		T_EQ(t_readable(x.channel, 0), changed);
		if (changed) {
			T_MUST(t_recv_from(&u, x.channel, &m));
			T_EQ(m.hdr.request, VHK_USER_BACK_CONFIG_CHANGE_MSG);
		}
		T_OK(!t_readable(x.channel, 0));
		t_ring_echo(&u, &ring, 3);
		close_extras(&x);
		close_old();
	}
}

/* A call that is a message is made up for, too. */
static void a_call_behind_commit(void)
{
	const uint64_t one = 1;
	struct vhk_user_vring_addr addr;
	struct vhk_user_vring_state v = { 0, 0 };
	struct vhk_msg m;
	int fd, channel[2];

	open_server();
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &ring, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&u), 0);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	addr = t_ring_wire_addr(&ring);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
	T_EQ(t_ask(&u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	T_EQ(t_ask(&u, VHK_USER_VRING_KICK, &v, sizeof(v)), 0);
	/* one that tells of what was there before it started */
	T_MUST(t_recv_from(&u, channel[0], &m));
	T_EQ(m.hdr.request, VHK_USER_BACK_VRING_CALL);
	say_u64(channel[0], VHK_USER_BACK_VRING_CALL, 0);
	t_settle(&u);
	T_OK(!u.be->s.n_asked && !t_readable(channel[0], 0));
	fd = read_all();
	T_MUST(write(u.be->s.ring[0].inband.call_fd, &one, sizeof(one)) == sizeof(one));
	t_settle(&u);
	T_OK(!t_readable(channel[0], 0));
	refuse_and_close(fd);
	T_MUST(t_recv_from(&u, channel[0], &m));
	T_EQ(m.hdr.request, VHK_USER_BACK_VRING_CALL);
	close(channel[0]);
	close_old();
}

/* The kernel watches no further fd: nobody is let in who would not be heard. */
static void a_door_that_cannot_be_watched(void)
{
	int fd;

	open_old(T_SPLIT);
	fd = read_all();
	deaf = true;
	refuse_and_close(fd);
	deaf = false;
	T_OK(strstr(u.log.last, "no successor can come"));
	T_OK(access(over, F_OK) < 0);
	t_ring_echo(&u, &ring, 3);
	t_alive(&u);
	close_old();
}

/* One that hangs with it is waited for, and told of again and again. What it read before it is
 * killed decides. */
static void a_successor_that_hangs_with_it(void)
{
	struct vhk_msg m;
	struct script s;
	unsigned int i, n, read;
	int fd;

	rest_ms = 50;
	for (read = 0; read < 2; read++) {
		open_old(T_SPLIT);
		record(&s);
		n = s.n - 1 + read;
		script_fini(&s);
		u.log.n[VHK_LOG_WARN] = 0;
		fd = dial(over);
		for (i = 0; i < n; i++) {
			T_MUST(t_recv_from(&u, fd, &m));
			if (m.hdr.request == VHK_OVER_READY)
				say_u64(fd, VHK_OVER_READY, 0);
			vhk_msg_fini(&m);
		}
		T_UNTIL(&u, u.log.n[VHK_LOG_WARN] >= 3);
		T_OK(strstr(u.log.last, "if it hangs, kill it"));
		T_EQ(n_given, 0);
		T_EQ(u.be->s.state, VHK_SESSION_GIVEN);
		close(fd);
		if (read) {
			T_UNTIL(&u, n_given);
			T_EQ(given_ret, -ENOTCONN);
			T_OK(t_closed(&u, u.fd));
		} else {
			T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
			t_ring_echo(&u, &ring, 3);
		}
		T_EQ(n_given, read);
		close_old();
	}
	rest_ms = 0;
}

static void successors_that_talk_nonsense(void)
{
	static const struct {
		uint32_t request;
		uint64_t v;
		unsigned int after; /* messages that are read first */
	} cases[] = {
		{ VHK_OVER_READY, 0, 1 },   { VHK_OVER_READY, 1, 1 },
		{ VHK_OVER_COMMIT, 0, 1 },  { VHK_OVER_COMMIT, 1, 2 },
		{ VHK_OVER_READY, 9, 99 },
	};
	struct vhk_msg m;
	unsigned int i, k;
	int fd;

	open_old(T_SPLIT);
	for (i = 0; i < vhk_array_size(cases); i++) {
		fd = dial(over);
		for (k = 0; k < cases[i].after; k++) {
			T_MUST(t_recv_from(&u, fd, &m));
			vhk_msg_fini(&m);
			if (m.hdr.request == VHK_OVER_READY)
				break;
		}
		if (cases[i].after < 99)
			say_u64(fd, cases[i].request, cases[i].v);
		say_u64(fd, cases[i].request, cases[i].v);
		shutdown(fd, SHUT_WR);
		T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY && !access(over, F_OK));
		t_ring_echo(&u, &ring, 3);
		close(fd);
		T_EQ(n_given, 0);
	}
	/* not a message at all */
	fd = dial(over);
	T_MUST(send(fd, "garbage garbage garbage", 23, MSG_NOSIGNAL) == 23);
	T_UNTIL(&u, u.log.n[VHK_LOG_WARN] > i);
	close(fd);
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	t_ring_echo(&u, &ring, 3);
	/* one at a time */
	fd = dial(over);
	T_MUST(t_recv_from(&u, fd, &m));
	k = (unsigned int)dial(over);
	T_OK(t_closed(&u, (int)k));
	close((int)k);
	close(fd);
	close_old();
}

/* Closed, behind what was said before. */
static bool closed_after_all(int fd)
{
	char bytes[4096];

	while (t_wait_readable(&u, fd))
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return true;
	return false;
}

/* The front end goes while the session is on its way. */
static void front_ends_that_hang_up(void)
{
	struct vhk_msg m;
	struct script s;
	unsigned int i, k;
	int fd;

	open_old(T_SPLIT);
	record(&s);
	for (i = 1; i < s.n - 1; i += 3) {
		fd = dial(over);
		for (k = 0; k < i; k++) {
			T_MUST(t_recv_from(&u, fd, &m));
			if (m.hdr.request == VHK_OVER_READY)
				say_u64(fd, VHK_OVER_READY, 0);
			vhk_msg_fini(&m);
		}
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == u.n_up);
		T_OK(closed_after_all(fd));
		close(fd);
		u.fd = dial(front);
		t_negotiate(&u, T_SPLIT);
		T_EQ(t_ask_mem_table(&u), 0);
		t_ring_start(&u, &ring, ring.kick);
		t_ring_echo(&u, &ring, 3);
	}
	script_fini(&s);
	T_EQ(n_given, 0);
	close_old();
}

/* Either back end is closed in the middle. */
static void closed_in_the_middle(void)
{
	unsigned int i, k;
	int fds = t_count_fds();

	for (i = 0; i < 24; i++) {
		open_old(T_SPLIT);
		T_MUST(!begin_heir());
		for (k = 0; k < i / 2; k++)
			vhk_loop_step(u.loop, 0);
		if (i % 2) {
			close_heir();
			T_UNTIL(&u, u.be->over || u.be->s.state == VHK_SESSION_READY);
			if (!u.be->over)
				t_ring_echo(&u, &ring, 3);
		} else {
			vhk_backend_close(u.be);
			u.be = NULL;
			T_UNTIL(&u, heir.n_done);
			if (!heir.ret)
				t_ring_echo(&u, &ring, 3);
			close_heir();
		}
		close_old();
		T_EQ(t_count_fds(), fds);
	}
}

int main(void)
{
	T_RUN(a_successor_that_falls_silent);
	T_RUN(a_successor_that_takes_too_long);
	T_RUN(not_while_a_request_is_under_way);
	T_RUN(successors_that_hang_up);
	T_RUN(why_it_came_to_nothing);
	T_RUN(a_storm_of_successors);
	T_RUN(no_descriptor_is_free);
	T_RUN(a_successor_that_dies_with_it);
	T_RUN(closed_behind_commit);
	T_RUN(nonsense_behind_commit);
	T_RUN(nothing_is_said_behind_commit);
	T_RUN(a_call_behind_commit);
	T_RUN(a_door_that_cannot_be_watched);
	T_RUN(a_successor_that_hangs_with_it);
	T_RUN(successors_that_talk_nonsense);
	T_RUN(front_ends_that_hang_up);
	T_RUN(closed_in_the_middle);
	return t_end();
}
