// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Loads modules of the kernel.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module.h"

#define LOAD_MS 30000

extern char **environ;

/* Waits for the program's end, and ends it where that takes too long. */
static int end_of(pid_t pid)
{
	int status, fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd >= 0 && poll(&p, 1, LOAD_MS) == 0)
		kill(pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}

int module_load(const char *name)
{
	static const char *const programs[] = { "/sbin/modprobe", "/usr/sbin/modprobe",
						"/bin/modprobe", "/usr/bin/modprobe" };
	char *const argv[] = { (char *)"modprobe", (char *)"-q", (char *)name, NULL };
	unsigned int i;
	pid_t pid;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!posix_spawn(&pid, programs[i], NULL, NULL, argv, environ))
			return end_of(pid);
	return -ENOENT;
}
