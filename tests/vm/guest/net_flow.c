// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: streams of TCP and datagrams of UDP from one network
 * namespace to another and back, held against what they must be, byte for byte.
 *
 *   net_flow CLIENT_PID SERVER_PID SERVER_ADDRESS tcp STREAMS BYTES
 *   net_flow CLIENT_PID SERVER_PID SERVER_ADDRESS udp DATAGRAMS LONGEST
 *   net_flow CLIENT_PID SERVER_PID SERVER_ADDRESS gso DATAGRAMS SIZE    cut by the interface
 *
 * The processes name the namespaces. Every wait has a deadline.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 7001
#define CHUNK 100000u
#define DEADLINE 60

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static struct in6_addr address;
static bool is_v6;

static _Noreturn void die(const char *what)
{
	printf("net_flow: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

static unsigned char byte_at(uint32_t at, uint32_t seed)
{
	return (unsigned char)((at + seed) * 2654435761u >> 21);
}

static void fill(unsigned char *p, uint32_t at, uint32_t n, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		p[i] = byte_at(at + i, seed);
}

static void check(const unsigned char *p, uint32_t at, uint32_t n, uint32_t seed)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (p[i] == byte_at(at + i, seed))
			continue;
		printf("net_flow: byte %u is %u, want %u\n", at + i, p[i], byte_at(at + i, seed));
		exit(1);
	}
}

static socklen_t name_server(struct sockaddr_storage *a, bool any)
{
	struct sockaddr_in6 *v6 = (void *)a;
	struct sockaddr_in *v4 = (void *)a;

	memset(a, 0, sizeof(*a));
	if (is_v6) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(PORT);
		if (!any)
			v6->sin6_addr = address;
		return sizeof(*v6);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons(PORT);
	if (!any)
		memcpy(&v4->sin_addr, &address, 4);
	return sizeof(*v4);
}

static int make_socket(int type)
{
	const struct timeval limit = { .tv_sec = DEADLINE };
	const int s = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		die("socket");
	return s;
}

static int serve_at(int type)
{
	struct sockaddr_storage a;
	const socklen_t len = name_server(&a, true);
	const int s = make_socket(type);

	if (bind(s, (void *)&a, len) || (type == SOCK_STREAM && listen(s, 64)))
		die("listen");
	return s;
}

static int reach(int type)
{
	struct sockaddr_storage a;
	const socklen_t len = name_server(&a, false);
	const int s = make_socket(type);

	if (connect(s, (void *)&a, len))
		die("connect");
	return s;
}

static void send_stream(int s, uint32_t bytes, uint32_t seed)
{
	static unsigned char buf[CHUNK];
	uint32_t at = 0, n, k;
	ssize_t ret;

	while (at < bytes) {
		n = bytes - at < CHUNK ? bytes - at : CHUNK;
		fill(buf, at, n, seed);
		for (k = 0; k < n; k += (uint32_t)ret) {
			ret = send(s, buf + k, n - k, MSG_NOSIGNAL);
			if (ret <= 0)
				die("send");
		}
		at += n;
	}
}

static void receive_stream(int s, uint32_t bytes, uint32_t seed)
{
	static unsigned char buf[CHUNK];
	uint32_t at = 0;
	ssize_t n;

	while (at < bytes) {
		n = recv(s, buf, bytes - at < CHUNK ? bytes - at : CHUNK, 0);
		if (n <= 0)
			die("receive");
		check(buf, at, (uint32_t)n, seed);
		at += (uint32_t)n;
	}
}

/* Runs @fn in a child; returns its process id. */
static pid_t start(void (*fn)(int, uint32_t, uint32_t), int s, uint32_t bytes, uint32_t seed)
{
	const pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	fn(s, bytes, seed);
	fflush(stdout);
	_exit(0);
}

static void wait_all(unsigned int n)
{
	int status;

	while (n--)
		if (wait(&status) < 0 || status)
			die("a stream failed");
}

/* Both ways at once. */
static void tcp(const char *client, const char *server, unsigned int n, uint32_t bytes)
{
	unsigned int i;
	uint32_t who;
	int l, s;

	enter(server);
	l = serve_at(SOCK_STREAM);
	enter(client);
	for (i = 0; i < n; i++) {
		s = reach(SOCK_STREAM);
		/* Connections can be taken in another order. */
		if (send(s, &i, sizeof(i), MSG_NOSIGNAL) != sizeof(i))
			die("send");
		start(send_stream, s, bytes, 2 * i);
		start(receive_stream, s, bytes, 2 * i + 1);
		close(s);
		s = accept(l, NULL, NULL);
		if (s < 0 || recv(s, &who, sizeof(who), MSG_WAITALL) != sizeof(who))
			die("accept");
		start(receive_stream, s, bytes, 2 * who);
		start(send_stream, s, bytes, 2 * who + 1);
		close(s);
	}
	wait_all(4 * n);
	printf("tcp: %u streams of %u bytes, both ways\n", n, bytes);
}

/* One after the other, there and back, each of another length. */
static void udp(const char *client, const char *server, unsigned int n, uint32_t longest)
{
	static unsigned char buf[65536];
	struct sockaddr_storage from;
	socklen_t from_len;
	unsigned int i;
	uint32_t len;
	ssize_t got;
	int l, s;

	enter(server);
	l = serve_at(SOCK_DGRAM);
	enter(client);
	s = reach(SOCK_DGRAM);
	for (i = 0; i < n; i++) {
		len = i < 2 ? i * longest : (i * 7919u) % (longest + 1);
		fill(buf, 0, len, i);
		if (send(s, buf, len, 0) != (ssize_t)len)
			die("send");
		from_len = sizeof(from);
		got = recvfrom(l, buf, sizeof(buf), 0, (void *)&from, &from_len);
		if (got != (ssize_t)len)
			die("a datagram did not arrive");
		check(buf, 0, len, i);
		fill(buf, 0, len, i + 1);
		if (sendto(l, buf, len, 0, (void *)&from, from_len) != got)
			die("send back");
		if (recv(s, buf, sizeof(buf), 0) != got)
			die("a datagram did not come back");
		check(buf, 0, len, i + 1);
	}
	printf("udp: %u datagrams up to %u bytes, there and back\n", n, longest);
}

/* As many as fit a frame's limit, in one piece until whoever must cuts them. */
static void gso(const char *client, const char *server, unsigned int n, uint32_t size)
{
	static unsigned char buf[65536];
	const uint32_t each = 60000 / size < 64 ? 60000 / size : 64;
	int l, s, seg = (int)size, room = 4 << 20;
	unsigned int i, k;

	enter(server);
	l = serve_at(SOCK_DGRAM);
	if (setsockopt(l, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		die("SO_RCVBUFFORCE");
	enter(client);
	s = reach(SOCK_DGRAM);
	if (setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &seg, sizeof(seg)))
		die("UDP_SEGMENT");
	for (i = 0; i < n; i++) {
		for (k = 0; k < each; k++)
			fill(buf + k * size, 0, size, i * each + k);
		if (send(s, buf, each * size, 0) != (ssize_t)(each * size))
			die("send");
		for (k = 0; k < each; k++) {
			if (recv(l, buf, sizeof(buf), 0) != (ssize_t)size)
				die("a datagram did not arrive");
			check(buf, 0, size, i * each + k);
		}
	}
	printf("gso: %u times %u datagrams of %u bytes\n", n, each, size);
}

int main(int argc, char **argv)
{
	unsigned int n;
	uint32_t bytes;

	if (argc < 7)
		return 2;
	is_v6 = strchr(argv[3], ':');
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, argv[3], &address) != 1)
		return 2;
	n = (unsigned int)atoi(argv[5]);
	bytes = (uint32_t)atoi(argv[6]);
	if (!strcmp(argv[4], "tcp"))
		tcp(argv[1], argv[2], n, bytes);
	else if (!strcmp(argv[4], "udp"))
		udp(argv[1], argv[2], n, bytes);
	else if (!strcmp(argv[4], "gso"))
		gso(argv[1], argv[2], n, bytes);
	else
		return 2;
	return 0;
}
