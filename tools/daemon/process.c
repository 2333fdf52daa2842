// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a program that serves devices does to its process before it begins: descriptors that are
 * there, signals that wait or mean nothing, and as many files as it may have.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vhostkit/mem.h>

#include "daemon.h"

/* What takes the place of standard output fails what is printed to it. */
static void fill_stdout(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return;
	fd = open("/dev/null", O_RDONLY);
	if (fd >= 0 && fd != STDOUT_FILENO) {
		dup2(fd, STDOUT_FILENO);
		close(fd);
	}
}

bool process_fill_stdio(void)
{
	int fd;

	fill_stdout();
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fcntl(STDERR_FILENO, F_GETFD) >= 0;
}

int process_finish_stdout(void)
{
	errno = EIO;
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	say("stdout: %s", strerror(errno));
	return 1;
}

/* A front end that takes its memory away ends its session, not this process. */
static void on_sigbus(int signo, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	if (!vhk_mem_fault(info->si_addr))
		signal(signo, SIG_DFL);
	errno = saved;
}

void process_hold_signals(const int *signals)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	sigset_t set;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A file larger than allowed is an error of one request. */
	signal(SIGXFSZ, SIG_IGN);
	sigaction(SIGBUS, &sa, NULL);
}

void process_raise_fd_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == l.rlim_max)
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}
