// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end that passes its own end of the connection for a kick, a call, an error or the
 * back-end channel is refused: else the session would outlive it. Any other socket is taken.
 */
#include <sys/un.h>

#include "t_user.h"

static const uint32_t requests[] = {
	VHK_USER_SET_VRING_KICK,
	VHK_USER_SET_VRING_CALL,
	VHK_USER_SET_VRING_ERR,
	VHK_USER_SET_BACKEND_REQ_FD,
};

static uint64_t pass(struct t_user *u, uint32_t request, int fd)
{
	if (request == VHK_USER_SET_BACKEND_REQ_FD)
		return t_ask_fds(u, request, NULL, 0, &fd, 1);
	return t_ask_vring_fd(u, request, 0, fd);
}

/* The front end's end has the name @path, or none. */
static void open_session(struct t_user *u, struct t_ring *r, const char *path)
{
	struct vhk_backend_opts o = t_user_opts(u);
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path ? path : "");
	if (path)
		T_MUST(!bind(fd[0], (struct sockaddr *)&sun, sizeof(sun)));
	u->fd = fd[0];
	T_MUST(!vhk_backend_take_fd(&u->be, u->loop, u->echo.dev, fd[1], &o));
	t_negotiate(u, T_SPLIT);
	t_ring_init(u, r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(u), 0);
	t_ring_set_up(u, r, t_ring_base(r));
}

static void its_own_end_is_refused(void)
{
	char path[128];
	struct t_user u;
	struct t_ring r;
	unsigned int i;

	snprintf(path, sizeof(path), "%s/named", t_dir());
	for (i = 0; i < 2 * vhk_array_size(requests); i++) {
		t_user_init(&u, VHK_LOOP_AUTO);
		open_session(&u, &r, i % 2 ? path : NULL);
		T_OK(pass(&u, requests[i / 2], u.fd) != 0);
		T_OK(strstr(u.log.last, "front end's end"));
		t_alive(&u);
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == 1);
		t_ring_fini(&r);
		t_user_fini(&u);
		unlink(path);
	}
}

static void any_other_socket_is_taken(void)
{
	struct t_user u;
	struct t_ring r;
	unsigned int i;
	int fd[2];

	t_user_init(&u, VHK_LOOP_AUTO);
	open_session(&u, &r, NULL);
	for (i = 0; i < vhk_array_size(requests); i++) {
		T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
		T_EQ(pass(&u, requests[i], fd[0]), 0);
		close(fd[0]);
		close(fd[1]);
		T_MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fd));
		T_EQ(pass(&u, requests[i], fd[0]), 0);
		close(fd[0]);
		close(fd[1]);
	}
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 1);
	t_ring_fini(&r);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN(its_own_end_is_refused);
	T_RUN(any_other_socket_is_taken);
	return t_end();
}
