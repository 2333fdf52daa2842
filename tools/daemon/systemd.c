// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The two things said between systemd and a service, in their plain form: sockets that are there
 * from the start (LISTEN_FDS), and word that the service is ready (NOTIFY_SOCKET).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

#define FIRST_FD 3

int systemd_sockets(unsigned int max, int *first)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	long i, count;

	if (!pid || !n || strtol(pid, NULL, 10) != getpid())
		return 0;
	count = strtol(n, NULL, 10);
	if (count < 1 || count > (long)max) {
		if (max == 1)
			say("LISTEN_FDS=%s, but one socket is served", n);
		else
			say("LISTEN_FDS=%s, but 1 to %u sockets are served", n, max);
		count = -EINVAL;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	*first = FIRST_FD;
	for (i = 0; i < count; i++) {
		if (fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC)) {
			say("LISTEN_FDS: %s", strerror(errno));
			return -EBADF;
		}
	}
	return (int)count;
}

void systemd_notify(const char *state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	socklen_t len;
	int fd;

	if (!path || !*path || strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	if (*path == '@')
		to.sun_path[0] = 0;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
		say("NOTIFY_SOCKET=%s: %s", path, strerror(errno));
	close(fd);
}

void systemd_main_pid(int pid)
{
	char state[32];

	snprintf(state, sizeof(state), "MAINPID=%d", pid);
	systemd_notify(state);
}
