/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The programs under test as children: started, waited for with deadlines, their output kept.
 */
#ifndef VHK_TESTS_T_PROG_H
#define VHK_TESTS_T_PROG_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "t.h"

#define T_ARGS 16

struct t_prog {
	pid_t pid;
	int pidfd;
	int out, err;	    /* what it prints */
	int ready;	    /* where it says that it is ready */
	char text[4][4096]; /* [1] stdout, [2] stderr, once it has ended */
};

static inline const char *t_program(const char *name)
{
	static char path[256];
	const char *bin = getenv("VHK_BIN");

	snprintf(path, sizeof(path), "%s/%s", bin ? bin : "build/bin", name);
	return path;
}

static inline int t_notify_socket(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	unlink(path);
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

/*
 * In the child. @fd becomes file descriptor 3 where it is not -1; @listen_fds is said of it where
 * not NULL.
 */
static inline void t_prog_exec(const char *name, const char *const *args, int fd,
			       const char *listen_fds)
{
	char *argv[T_ARGS + 2] = { (char *)name };
	char pid[16];
	unsigned int i;

	for (i = 0; i < T_ARGS && args[i]; i++)
		argv[1 + i] = (char *)args[i];
	if (fd >= 0 && fd != 3)
		dup2(fd, 3);
	else if (fd == 3)
		fcntl(3, F_SETFD, 0);
	if (listen_fds) {
		snprintf(pid, sizeof(pid), "%d", getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", listen_fds, 1);
	}
	execv(t_program(name), argv);
	_exit(127);
}

static inline void t_prog_start_fd(struct t_prog *p, const char *name, const char *const *args,
				   int fd, const char *listen_fds)
{
	static unsigned int n;
	int out[2], err[2];
	char path[100];

	memset(p, 0, sizeof(*p));
	snprintf(path, sizeof(path), "%s/ready%u", t_dir(), n++);
	T_MUST(!pipe2(out, O_CLOEXEC) && !pipe2(err, O_CLOEXEC));
	p->ready = t_notify_socket(path);
	fflush(stdout);
	p->pid = fork();
	T_MUST(p->pid >= 0);
	if (!p->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("NOTIFY_SOCKET", path, 1);
		dup2(out[1], 1);
		dup2(err[1], 2);
		t_prog_exec(name, args, fd, listen_fds);
	}
	close(out[1]);
	close(err[1]);
	p->out = out[0];
	p->err = err[0];
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	T_MUST(p->pidfd >= 0);
}

static inline void t_prog_start(struct t_prog *p, const char *name, const char *const *args)
{
	t_prog_start_fd(p, name, args, -1, NULL);
}

/* True when it said that it is ready; false when it ended first, or nothing came for @ms. */
static inline bool t_prog_ready(struct t_prog *p, int ms)
{
	struct pollfd fds[] = { { .fd = p->ready, .events = POLLIN },
				{ .fd = p->pidfd, .events = POLLIN } };
	char said[64] = "";

	if (poll(fds, 2, ms) <= 0 || !(fds[0].revents & POLLIN))
		return false;
	return recv(p->ready, said, sizeof(said) - 1, 0) > 0 && !strcmp(said, "READY=1");
}

static inline void t_prog_read(int fd, char *to, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n < size - 1 && (got = read(fd, to + n, size - 1 - n)) > 0)
		n += (size_t)got;
	to[n] = 0;
}

/* Its exit status, or 1000 + the signal that ended it; -1: it had to be killed after @ms. */
static inline int t_prog_end(struct t_prog *p, int ms)
{
	bool in_time = t_readable(p->pidfd, ms);
	int status;

	if (!in_time)
		kill(p->pid, SIGKILL);
	T_MUST(waitpid(p->pid, &status, 0) == p->pid);
	t_prog_read(p->out, p->text[1], sizeof(p->text[1]));
	t_prog_read(p->err, p->text[2], sizeof(p->text[2]));
	close(p->out);
	close(p->err);
	close(p->ready);
	close(p->pidfd);
	if (!in_time)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline unsigned int t_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

#endif
