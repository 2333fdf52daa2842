/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Programs that nobody here wrote, as children: told what to do on their standard input, what they
 * print kept in a file, ended with deadlines. None of them outlives the test.
 */
#ifndef VHK_TESTS_T_ALIEN_H
#define VHK_TESTS_T_ALIEN_H

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "t.h"

#define T_ALIEN_ARGS 64

struct t_alien {
	pid_t pid;
	int pidfd;
	int in;
	char said[100]; /* the file that holds what it printed */
};

/* Where @name is; NULL: not installed. What is in no PATH is named whole. */
static inline const char *t_alien_find(const char *name)
{
	static char path[256];
	char *list = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin"), *at = list, *dir;

	if (*name == '/') {
		free(list);
		return access(name, X_OK) ? NULL : name;
	}
	while ((dir = strsep(&at, ":"))) {
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		if (!access(path, X_OK)) {
			free(list);
			return path;
		}
	}
	free(list);
	return NULL;
}

/* @args end with NULL; their first is the program. */
static inline void t_alien_start(struct t_alien *a, const char *const *args)
{
	static unsigned int n;
	int in[2], out;

	memset(a, 0, sizeof(*a));
	snprintf(a->said, sizeof(a->said), "%s/said%u", t_dir(), n++);
	out = open(a->said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	T_MUST(out >= 0 && !pipe2(in, O_CLOEXEC));
	fflush(stdout);
	a->pid = fork();
	T_MUST(a->pid >= 0);
	if (!a->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setenv("RUNTIME_DIRECTORY", t_dir(), 1);
		dup2(in[0], 0);
		dup2(out, 1);
		dup2(out, 2);
		execvp(args[0], (char **)args);
		_exit(127);
	}
	close(in[0]);
	close(out);
	a->in = in[1];
	a->pidfd = (int)syscall(SYS_pidfd_open, a->pid, 0);
	T_MUST(a->pidfd >= 0);
}

static inline void t_alien_tell(struct t_alien *a, const char *line)
{
	T_MUST(write(a->in, line, strlen(line)) == (ssize_t)strlen(line));
}

/* All that it said, as one string: the caller's to free. */
static inline char *t_alien_said(const struct t_alien *a)
{
	size_t size = 1 << 20, n = 0;
	char *text = malloc(size);
	int fd = open(a->said, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	T_MUST(text && fd >= 0);
	while (n < size - 1 && (got = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	close(fd);
	return text;
}

static inline void t_alien_show(const struct t_alien *a)
{
	char *text = t_alien_said(a), *at = text, *line;

	while ((line = strsep(&at, "\n")))
		printf("# | %s\n", line);
	free(text);
}

/* How often it has said @what. */
static inline unsigned int t_alien_says(const struct t_alien *a, const char *what)
{
	char *text = t_alien_said(a), *at = text;
	unsigned int n = 0;

	for (; (at = strstr(at, what)); at += strlen(what))
		n++;
	free(text);
	return n;
}

/* True when it has said @what @n times within @ms. */
static inline bool t_alien_until(const struct t_alien *a, const char *what, unsigned int n, int ms)
{
	uint64_t end = t_now_ns() + (uint64_t)ms * 1000000u;

	while (t_alien_says(a, what) < n)
		if (t_now_ns() > end || t_readable(a->pidfd, 10))
			return t_alien_says(a, what) >= n;
	return true;
}

static inline int t_alien_reap(struct t_alien *a)
{
	int status;

	T_MUST(waitpid(a->pid, &status, 0) == a->pid);
	close(a->in);
	close(a->pidfd);
	a->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static inline void t_alien_kill(struct t_alien *a)
{
	kill(a->pid, SIGKILL);
	T_EQ(t_alien_reap(a), 1000 + SIGKILL);
}

/* Its exit status, or 1000 + the signal that ended it; -1: it had to be killed after @ms. */
static inline int t_alien_end(struct t_alien *a, int ms)
{
	bool in_time = t_readable(a->pidfd, ms);
	int ret;

	if (!in_time)
		kill(a->pid, SIGKILL);
	ret = t_alien_reap(a);
	return in_time ? ret : -1;
}

#endif
