// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Front ends come and go: hang up anywhere, come too many, stay silent, do not read, or are not
 * there yet. The next one is served as the first, and other back ends of the process do not notice.
 */
#include <sys/un.h>

#include "ration.h"
#include "sock.h"
#include "t_user.h"

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", t_dir(), name);
	return path;
}

static void listen_at(struct t_user *u, const char *path)
{
	struct vhk_backend_opts o = t_user_opts(u);

	T_MUST(!vhk_backend_listen(&u->be, u->loop, u->echo.dev, path, &o));
}

static int dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	T_MUST(!connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

/* A whole session with a running ring. */
static void serve_one(struct t_user *u, struct t_ring *r)
{
	t_negotiate(u, T_SPLIT);
	t_ring_init(u, r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(u), 0);
	t_ring_start(u, r, r->kick);
	t_ring_echo(u, r, 3);
}

static void the_next_front_end_is_served(void)
{
	const char *path = path_of("next");
	struct t_ring r;
	struct t_user u;
	struct vhk_msg_hdr h = { VHK_USER_SET_MEM_TABLE, VHK_MSG_VERSION, 40 };
	unsigned int i;
	int fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	listen_at(&u, path);
	fds = t_count_fds();
	for (i = 0; i < 20; i++) {
		u.fd = dial(path);
		serve_one(&u, &r);
		/* dies in the middle of a header, of a payload, or between messages */
		if (i % 3)
			t_send_bytes(u.fd, &h, i % 3 == 1 ? 5 : sizeof(h), &r.kick, 1);
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == i + 1);
		t_ring_fini(&r);
		T_EQ(t_count_fds(), fds);
	}
	t_user_fini(&u);
	T_OK(access(path, F_OK) < 0);
}

/* The one that follows a dead one waits until the device has let go of the dead one's rings. */
static void a_follower_waits_for_the_drain(void)
{
	const char *path = path_of("follow");
	struct t_ring r, r2;
	struct t_user u;
	struct vhk_msg m;
	int next;

	t_user_init(&u, VHK_LOOP_AUTO);
	listen_at(&u, path);
	u.fd = dial(path);
	serve_one(&u, &r);
	u.echo.hold = true;
	t_ring_add(&u, &r);
	T_UNTIL(&u, u.echo.n_held == 1);
	t_user_hang_up(&u);
	next = u.fd = dial(path);
	t_send(&u, VHK_USER_GET_FEATURES, 0, NULL, 0, NULL, 0);
	t_settle(&u);
	t_settle(&u);
	T_OK(!t_readable(next, 0));
	T_EQ(u.n_down, 0);
	t_echo_release(&u.echo);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.u64, T_FEATURES);
	T_EQ(u.n_down, 1);
	T_EQ(u.n_up, 2);
	vhk_vq_free(r.vq);
	close(r.kick);
	close(r.call);
	serve_one(&u, &r2);
	t_ring_fini(&r2);
	t_user_fini(&u);
}

static void a_second_front_end_is_turned_away(void)
{
	const char *path = path_of("second");
	struct t_ring r;
	struct t_user u;
	int second;

	t_user_init(&u, VHK_LOOP_AUTO);
	listen_at(&u, path);
	u.fd = dial(path);
	serve_one(&u, &r);
	second = dial(path);
	T_OK(t_closed(&u, second));
	T_OK(strstr(u.log.last, "turned away"));
	close(second);
	t_ring_echo(&u, &r, 3);
	T_EQ(u.n_up, 1);
	t_ring_fini(&r);
	t_user_fini(&u);
}

#define STORM 200

/* What a front end does wrong is told a few times, however often it comes back: with requests that
 * are refused, with a stream that is none, and while another one is served. */
static void a_storm_of_bad_sessions(void)
{
	static const unsigned char garbage[64] = { 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };
	const char *path = path_of("storm");
	struct t_ring r;
	struct t_user u;
	unsigned int i;
	int fd;

	t_user_init(&u, VHK_LOOP_AUTO);
	listen_at(&u, path);
	for (i = 0; i < STORM; i++) {
		u.fd = dial(path);
		t_send(&u, 200, 0, NULL, 0, NULL, 0);
		t_alive(&u);
		T_MUST(send(u.fd, garbage, sizeof(garbage), MSG_NOSIGNAL) == sizeof(garbage));
		T_OK(t_closed(&u, u.fd));
		close(u.fd);
	}
	T_OK(u.log.n[VHK_LOG_WARN] >= VHK_RATION_LINES);
	T_OK(u.log.n[VHK_LOG_WARN] < 2 * VHK_RATION_LINES);
	u.fd = dial(path);
	serve_one(&u, &r);
	u.log.n[VHK_LOG_WARN] = 0;
	for (i = 0; i < STORM; i++) {
		fd = dial(path);
		T_OK(t_closed(&u, fd));
		close(fd);
	}
	T_OK(u.log.n[VHK_LOG_WARN] >= VHK_RATION_LINES);
	T_OK(u.log.n[VHK_LOG_WARN] < 2 * VHK_RATION_LINES);
	t_ring_echo(&u, &r, 3);
	t_ring_fini(&r);
	t_user_fini(&u);
}

static void sessions_do_not_disturb_each_other(void)
{
	struct t_user u[3];
	struct t_ring r[3];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		t_user_init(&u[i], VHK_LOOP_AUTO);
		if (i) {
			vhk_loop_free(u[i].loop);
			u[i].loop = u[0].loop;
		}
		t_user_open(&u[i]);
	}
	for (i = 0; i < 3; i++)
		serve_one(&u[i], &r[i]);
	/* the first is broken, the second silent in the middle of a message */
	t_send_bytes(u[0].fd, "garbage garbage", 15, NULL, 0);
	t_send_bytes(u[1].fd, "\1\0\0", 3, NULL, 0);
	T_UNTIL(&u[0], u[0].n_down == 1);
	t_ring_echo(&u[1], &r[1], 10);
	t_ring_echo(&u[2], &r[2], 10);
	t_alive(&u[2]);
	for (i = 0; i < 3; i++) {
		t_ring_fini(&r[i]);
		t_user_hang_up(&u[i]);
		vhk_backend_close(u[i].be);
		vhk_device_free(u[i].echo.dev);
		vhk_mem_free(u[i].mem);
	}
	vhk_loop_free(u[0].loop);
}

/* Half a message and then nothing: the loop sleeps. */
static void a_silent_peer_costs_nothing(void)
{
	struct vhk_msg_hdr h = { VHK_USER_SET_FEATURES, VHK_MSG_VERSION, 8 };
	struct t_user u;
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_send_bytes(u.fd, &h, sizeof(h), NULL, 0);
	t_send_bytes(u.fd, "abc", 3, NULL, 0);
	for (i = 0; i < 8; i++)
		vhk_loop_step(u.loop, 0);
	for (i = 0; i < 5; i++)
		T_EQ(vhk_loop_step(u.loop, 10000000), 0);
	t_user_fini(&u);
}

/* Answers that nobody reads are kept to a bound, and no more is read meanwhile; then all of them
 * arrive. */
static void a_peer_that_does_not_read(void)
{
	struct t_user u;
	struct vhk_msg m;
	unsigned int n = 0, got = 0;
	struct vhk_msg_hdr h = { VHK_USER_GET_FEATURES, VHK_MSG_VERSION, 0 };

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	while (n < 100000 && send(u.fd, &h, sizeof(h), MSG_DONTWAIT) == (ssize_t)sizeof(h)) {
		n++;
		if (n % 256 == 0)
			t_settle(&u);
	}
	T_OK(n > 0 && n < 100000);
	T_UNTIL(&u, !vhk_loop_step(u.loop, 10000000));
	while (got < n && t_recv(&u, &m)) {
		T_EQ(m.u64, T_FEATURES);
		got++;
	}
	T_EQ(got, n);
	T_EQ(u.n_down, 0);
	t_user_fini(&u);
}

static void connects_again_and_again(void)
{
	const char *path = path_of("client");
	struct vhk_backend_opts o;
	struct t_ring r;
	struct t_user u;
	unsigned int i;
	int listener = -1;

	t_user_init(&u, VHK_LOOP_AUTO);
	o = t_user_opts(&u);
	/* nobody is there yet */
	T_MUST(!vhk_backend_connect(&u.be, u.loop, u.echo.dev, path, &o));
	t_settle(&u);
	T_EQ(u.n_up, 0);
	for (i = 0; i < 3; i++) {
		listener = vhk_sock_listen(path);
		T_MUST(listener >= 0);
		T_MUST(t_wait_readable(&u, listener));
		u.fd = vhk_sock_accept(listener);
		T_MUST(u.fd >= 0);
		fcntl(u.fd, F_SETFL, 0);
		serve_one(&u, &r);
		t_ring_fini(&r);
		close(listener);
		unlink(path);
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == i + 1);
	}
	t_user_fini(&u);
}

static void takes_sockets_of_both_kinds(void)
{
	const char *path = path_of("taken");
	struct vhk_backend_opts o;
	struct t_ring r;
	struct t_user u;
	unsigned int i;
	int fd, fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	fds = t_count_fds();
	o = t_user_opts(&u);
	fd = vhk_sock_listen(path);
	T_MUST(fd >= 0);
	T_MUST(!vhk_backend_take_fd(&u.be, u.loop, u.echo.dev, fd, &o));
	for (i = 0; i < 2; i++) {
		u.fd = dial(path);
		serve_one(&u, &r);
		t_ring_fini(&r);
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == i + 1);
	}
	vhk_backend_close(u.be);
	/* a socket that somebody else made is left to him */
	T_OK(access(path, F_OK) == 0);
	T_EQ(t_count_fds(), fds);
	t_user_open(&u);
	serve_one(&u, &r);
	t_ring_fini(&r);
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 3);
	vhk_backend_close(u.be);
	T_EQ(t_count_fds(), fds);
	u.be = NULL;
	t_user_fini(&u);
}

static void what_cannot_be_opened(void)
{
	struct vhk_backend_opts o, unknown;
	struct vhk_backend *be;
	struct t_user u;
	char dir[128], longer[300];
	int fd, fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	o = t_user_opts(&u);
	fds = t_count_fds();
	snprintf(dir, sizeof(dir), "%s", t_dir());
	memset(longer, 'x', sizeof(longer) - 1);
	longer[0] = '/';
	longer[sizeof(longer) - 1] = 0;
	T_OK(vhk_backend_listen(&be, u.loop, u.echo.dev, dir, &o) < 0);
	T_OK(vhk_backend_listen(&be, u.loop, u.echo.dev, "/nowhere/at/all", &o) < 0);
	T_OK(vhk_backend_listen(&be, u.loop, u.echo.dev, longer, &o) < 0);
	T_OK(vhk_backend_connect(&be, u.loop, u.echo.dev, longer, &o) < 0);
	fd = memfd_create("file", MFD_CLOEXEC);
	T_EQ(vhk_backend_take_fd(&be, u.loop, u.echo.dev, fd, &o), -EINVAL);
	T_OK(fcntl(fd, F_GETFD) < 0);
	T_EQ(vhk_backend_take_fd(&be, u.loop, u.echo.dev, -1, &o), -EINVAL);
	unknown = o;
	unknown.sz = 2;
	T_EQ(vhk_backend_listen(&be, u.loop, u.echo.dev, path_of("opts"), &unknown), -EINVAL);
	T_EQ(t_count_fds(), fds);
	/* the device was let go of each time, and is held by one back end at a time */
	listen_at(&u, path_of("held"));
	T_EQ(vhk_backend_listen(&be, u.loop, u.echo.dev, path_of("other"), &o), -EBUSY);
	T_OK(access(path_of("other"), F_OK) < 0);
	vhk_backend_close(NULL);
	t_user_fini(&u);
}

static void a_live_server_is_not_replaced(void)
{
	const char *path = path_of("live");
	struct vhk_backend_opts o;
	struct vhk_backend *be;
	struct t_user a, b;
	struct t_ring r;

	t_user_init(&a, VHK_LOOP_AUTO);
	t_user_init(&b, VHK_LOOP_AUTO);
	o = t_user_opts(&b);
	listen_at(&a, path);
	T_EQ(vhk_backend_listen(&be, b.loop, b.echo.dev, path, &o), -EADDRINUSE);
	/* the look at it was a connection, which is gone */
	T_UNTIL(&a, a.n_down == a.n_up);
	/* somebody put another socket there: it is not ours to remove */
	T_MUST(!unlink(path));
	listen_at(&b, path);
	vhk_backend_close(a.be);
	a.be = NULL;
	b.fd = dial(path);
	serve_one(&b, &r);
	t_ring_fini(&r);
	t_user_fini(&b);
	t_user_fini(&a);
}

static void closing_drains(void)
{
	struct t_ring r;
	struct t_user u;
	uint64_t begin;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	serve_one(&u, &r);
	begin = t_now_ns();
	vhk_backend_close(u.be);
	u.be = NULL;
	T_OK(t_now_ns() - begin < 900000000);
	T_EQ(u.n_down, 1);
	T_OK(t_closed(&u, u.fd));
	t_ring_fini(&r);
	t_user_fini(&u);
}

/* With a request that the device does not answer, closing takes its second, and what is in use
 * stays until it does. */
static void closing_gives_up_after_a_second(void)
{
	struct t_ring r;
	struct t_user u;
	uint64_t begin;
	int fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	fds = t_count_fds();
	t_user_open(&u);
	serve_one(&u, &r);
	u.echo.hold = true;
	t_ring_add(&u, &r);
	T_UNTIL(&u, u.echo.n_held == 1);
	begin = t_now_ns();
	vhk_backend_close(u.be);
	u.be = NULL;
	T_OK(t_now_ns() - begin >= 1000000000);
	T_OK(t_now_ns() - begin < 5000000000);
	T_OK(!t_readable(u.fd, 0));
	T_EQ(u.n_down, 0);
	memset(u.echo.held[0]->seg[1].iov_base, 1, 32);
	t_echo_release(&u.echo);
	T_OK(t_closed(&u, u.fd));
	T_OK(t_ring_get(&u, &r));
	T_EQ(u.n_down, 0);
	t_ring_fini(&r);
	t_user_hang_up(&u);
	T_EQ(t_count_fds(), fds);
	t_user_fini(&u);
}

static void close_and_free(void *arg)
{
	struct t_user *u = arg;

	vhk_backend_close(u->be);
	u->be = NULL;
	vhk_device_free(u->echo.dev);
	T_EQ(u->echo.n_free, 0);
}

/* A loop does not run inside itself: the session ends behind the callback, and the device is not
 * freed before. */
static void closed_in_a_callback(void)
{
	struct t_ring r;
	struct t_user u;
	int fds, served;

	for (served = 0; served < 2; served++) {
		t_user_init(&u, VHK_LOOP_AUTO);
		fds = t_count_fds();
		t_user_open(&u);
		if (served)
			serve_one(&u, &r);
		T_OK(vhk_loop_add_timer(u.loop, 0, close_and_free, &u) > 0);
		T_OK(t_closed(&u, u.fd));
		if (served)
			t_ring_fini(&r);
		t_user_hang_up(&u);
		T_EQ(t_count_fds(), fds);
		t_user_fini(&u);
		T_EQ(u.echo.n_free, 1);
	}
}

int main(void)
{
	T_RUN_ON_BOTH(the_next_front_end_is_served);
	T_RUN_ON_BOTH(a_follower_waits_for_the_drain);
	T_RUN_ON_BOTH(a_second_front_end_is_turned_away);
	T_RUN(a_storm_of_bad_sessions);
	T_RUN_ON_BOTH(sessions_do_not_disturb_each_other);
	T_RUN_ON_BOTH(a_silent_peer_costs_nothing);
	T_RUN_ON_BOTH(a_peer_that_does_not_read);
	T_RUN_ON_BOTH(connects_again_and_again);
	T_RUN_ON_BOTH(takes_sockets_of_both_kinds);
	T_RUN_ON_BOTH(what_cannot_be_opened);
	T_RUN_ON_BOTH(a_live_server_is_not_replaced);
	T_RUN_ON_BOTH(closing_drains);
	T_RUN(closing_gives_up_after_a_second);
	T_RUN_ON_BOTH(closed_in_a_callback);
	return t_end();
}
