// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the host's end of a vsock, for those who have no program
 * that knows AF_VSOCK.
 *
 *   vsock_host say CID PORT WORD    connects, says it, prints the answer
 *   vsock_host answer PORT WORD     takes one connection, and answers what it says with WORD
 *
 * Each waits for the other end, for a while.
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define SECONDS 20

static int end(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int new_socket(void)
{
	const struct timeval limit = { .tv_sec = SECONDS };
	const int s = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return s;
}

/* Nobody has the address, or listens there, until the device runs. */
static int connect_to(const struct sockaddr_vm *a)
{
	int n, s = -1;

	for (n = 0; n < SECONDS * 20; n++) {
		s = new_socket();
		if (!connect(s, (const void *)a, sizeof(*a)))
			return s;
		close(s);
		usleep(50000);
	}
	return -1;
}

static int say(const struct sockaddr_vm *a, const char *word)
{
	char buf[256];
	const int s = connect_to(a);
	ssize_t n;

	if (s < 0 || send(s, word, strlen(word), 0) < 0)
		return end("connect");
	n = recv(s, buf, sizeof(buf), 0);
	if (n <= 0)
		return end("recv");
	printf("%.*s\n", (int)n, buf);
	return 0;
}

static int answer(const struct sockaddr_vm *a, const char *word)
{
	const int s = new_socket();
	char buf[256];
	ssize_t n;
	int c;

	if (bind(s, (const void *)a, sizeof(*a)) || listen(s, 1))
		return end("listen");
	c = accept(s, NULL, NULL);
	n = c < 0 ? -1 : recv(c, buf, sizeof(buf), 0);
	if (n <= 0 || send(c, word, strlen(word), 0) < 0)
		return end("answer");
	printf("%.*s\n", (int)n, buf);
	/* Until the other end has read it. */
	recv(c, buf, sizeof(buf), 0);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };

	if (argc == 5 && !strcmp(argv[1], "say")) {
		a.svm_cid = (unsigned int)atoi(argv[2]);
		a.svm_port = (unsigned int)atoi(argv[3]);
		return say(&a, argv[4]);
	}
	if (argc == 4 && !strcmp(argv[1], "answer")) {
		a.svm_port = (unsigned int)atoi(argv[2]);
		return answer(&a, argv[3]);
	}
	return 2;
}
