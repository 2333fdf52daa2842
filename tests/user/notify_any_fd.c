// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Whatever a peer hands over to be signalled: no wait, no SIGPIPE, no write into a file, one signal
 * where one was due.
 */
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base.h"
#include "notify.h"
#include "t.h"

static volatile sig_atomic_t pipes;

static void on_pipe(int signo)
{
	(void)signo;
	pipes++;
}

static void refused(void)
{
	struct vhk_notify n;
	int fds = t_count_fds();

	T_EQ(vhk_notify_init_take_fd(&n, open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), -EINVAL);
	T_EQ(vhk_notify_init_take_fd(&n, open("/", O_RDONLY | O_CLOEXEC)), -EINVAL);
	T_EQ(vhk_notify_init_take_fd(&n, open("/dev/null", O_RDWR | O_CLOEXEC)), -EINVAL);
	T_EQ(vhk_notify_init_take_fd(&n, -1), 0);
	vhk_notify_send(&n);
	T_EQ(t_count_fds(), fds);
}

/* A counter at its end, in blocking mode, as a hostile peer leaves it. */
static void eventfd_is_full(void)
{
	const uint64_t full = UINT64_MAX - 1;
	struct vhk_notify n;
	uint64_t v;
	int fd = eventfd(0, EFD_CLOEXEC);

	T_EQ(vhk_notify_init_take_fd(&n, fd), 0);
	vhk_notify_send(&n);
	T_EQ(read(fd, &v, sizeof(v)), sizeof(v));
	T_EQ(v, 1);
	T_EQ(write(fd, &full, sizeof(full)), sizeof(full));
	vhk_notify_send(&n);
	vhk_notify_fini(&n);
	vhk_notify_fini(&n);
}

static void pipe_is_full_or_broken(void)
{
	struct vhk_notify n;
	int fd[2], i;

	T_MUST(!pipe(fd));
	T_EQ(vhk_notify_init_take_fd(&n, fd[1]), 0);
	for (i = 0; i < 20000; i++)
		vhk_notify_send(&n);
	T_OK(t_readable(fd[0], 0));
	close(fd[0]);
	vhk_notify_send(&n);
	T_EQ(pipes, 0);
	vhk_notify_fini(&n);
}

static void socket_is_full_or_closed(void)
{
	struct vhk_notify n;
	int fd[2], i;

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	T_EQ(vhk_notify_init_take_fd(&n, fd[1]), 0);
	for (i = 0; i < 20000; i++)
		vhk_notify_send(&n);
	T_OK(t_readable(fd[0], 0));
	close(fd[0]);
	vhk_notify_send(&n);
	T_EQ(pipes, 0);
	vhk_notify_fini(&n);
}

/* The peer shares the open file, and takes O_NONBLOCK away. */
static void made_to_block(void)
{
	const uint64_t full = UINT64_MAX - 1;
	struct vhk_notify n;
	int fd[2], event = eventfd(0, EFD_CLOEXEC);

	T_EQ(vhk_notify_init_take_fd(&n, fcntl(event, F_DUPFD_CLOEXEC, 0)), 0);
	T_EQ(write(event, &full, sizeof(full)), sizeof(full));
	T_EQ(fcntl(event, F_SETFL, 0), 0);
	vhk_notify_send(&n);
	vhk_notify_fini(&n);
	close(event);

	T_MUST(!pipe(fd));
	T_EQ(vhk_notify_init_take_fd(&n, fcntl(fd[1], F_DUPFD_CLOEXEC, 0)), 0);
	while (write(fd[1], &full, sizeof(full)) > 0)
		;
	T_EQ(fcntl(fd[1], F_SETFL, O_WRONLY), 0);
	vhk_notify_send(&n);
	vhk_notify_fini(&n);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	signal(SIGPIPE, on_pipe);
	alarm(20);
	T_RUN(refused);
	T_RUN(eventfd_is_full);
	T_RUN(pipe_is_full_or_broken);
	T_RUN(socket_is_full_or_closed);
	T_RUN(made_to_block);
	return t_end();
}
