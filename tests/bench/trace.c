// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What `vhk trace` adds to a message: the same front end and back end connected to each other, and
 * with the tool in between, in short runs that alternate, so that what the machine does besides
 * meets both. One that is answered: from the front end's send to its reply; one that is not: from
 * its send to the back end's receive.
 *   trace [-g] [-j FILE] [-r PAIRS] [-n MESSAGES] [-p PROGRAM]
 * What is added is the median of the pairs' differences, each of two medians of as many messages;
 * beside it stand their quartiles. To FILE as JSON. With -g, for which there have to be 25 pairs or
 * more, exit status 1 where one is above its goal.
 */
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "t.h"

#define RUNS_MAX 1001
#define RUNS_JUDGED 25
#define N_MAX 100000
/* Of a connection, which come before its peers are at work. */
#define WARM 20
#define GET_FEATURES 1
#define SET_OWNER 3
#define SET_VRING_CALL 13

enum kind { ANSWERED, UNANSWERED, WITH_FD, N_KINDS };

static const struct {
	const char *name;
	double goal_us;
} kinds[N_KINDS] = {
	{ "answered", 60 }, { "not answered", 30 }, { "not answered, with an fd", 30 },
};

static unsigned int runs = 51, n_messages = 400;
static const char *program = "build/bin/vhk";
static char paths[2][100]; /* of the back end, of the trace */
static int came_fd, fd_sent;
static _Atomic uint64_t came_ns;

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Between the two values that are next to it. Sorts @v. */
static double quantile(double *v, unsigned int n, double q)
{
	const double at = q * (n - 1);
	const unsigned int i = (unsigned int)at;

	qsort(v, n, sizeof(*v), by_value);
	return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[i];
}

static double median(double *v, unsigned int n)
{
	return quantile(v, n, 0.5);
}

static int connect_to(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t end = t_now_ns() + 10000000000u;

	T_MUST(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		T_MUST(t_now_ns() < end);
	return fd;
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 4));
	return fd;
}

static bool receive(int sock, uint32_t hdr[3], unsigned char *payload)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { hdr, 12 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 12)
		return false;
	if (hdr[2])
		T_MUST(recv(sock, payload, hdr[2], MSG_WAITALL) == (ssize_t)hdr[2]);
	atomic_store(&came_ns, t_now_ns());
	c = CMSG_FIRSTHDR(&msg);
	if (c) {
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		close(fd);
	}
	return true;
}

/* The back end: answers what is answered, and says when the rest came. */
static void *serve(void *arg)
{
	int sock, listener = *(int *)arg;
	struct {
		uint32_t hdr[3];
		unsigned char payload[64];
	} m;
	const uint64_t one = 1;

	while ((sock = accept(listener, NULL, NULL)) >= 0) {
		while (receive(sock, m.hdr, m.payload)) {
			if (m.hdr[0] != GET_FEATURES) {
				T_MUST(write(came_fd, &one, 8) == 8);
				continue;
			}
			m.hdr[1] = 5;
			m.hdr[2] = 8;
			memset(m.payload, 0, 8);
			T_MUST(send(sock, &m, 20, 0) == 20);
		}
		close(sock);
	}
	return NULL;
}

static void send_msg(int sock, enum kind kind)
{
	struct {
		uint32_t hdr[3];
		uint64_t payload;
	} __attribute__((packed)) m = { { SET_OWNER, 1, 0 }, 0 };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &m, 12 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (kind == ANSWERED)
		m.hdr[0] = GET_FEATURES;
	if (kind == WITH_FD) {
		m.hdr[0] = SET_VRING_CALL;
		m.hdr[2] = 8;
		iov.iov_len = 20;
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd_sent, sizeof(int));
	}
	T_MUST(sendmsg(sock, &msg, 0) == (ssize_t)iov.iov_len);
}

/* us */
static double one_message(int sock, enum kind kind)
{
	const uint64_t from = t_now_ns();
	unsigned char reply[20];
	uint64_t n;

	send_msg(sock, kind);
	if (kind == ANSWERED) {
		T_MUST(recv(sock, reply, 20, MSG_WAITALL) == 20);
		return (double)(t_now_ns() - from) / 1e3;
	}
	T_MUST(read(came_fd, &n, 8) == 8);
	return (double)(atomic_load(&came_ns) - from) / 1e3;
}

/* Median of one run, us. */
static double run(const char *path, enum kind kind)
{
	static double us[N_MAX];
	int sock = connect_to(path);
	unsigned int i;

	for (i = 0; i < WARM; i++)
		one_message(sock, kind);
	for (i = 0; i < n_messages; i++)
		us[i] = one_message(sock, kind);
	close(sock);
	return median(us, n_messages);
}

static pid_t start_trace(void)
{
	pid_t pid = fork();

	T_MUST(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	T_MUST(freopen("/dev/null", "w", stdout));
	execl(program, "vhk", "trace", paths[1], paths[0], NULL);
	_exit(127);
}

static bool compare(enum kind k, FILE *json)
{
	static double direct[RUNS_MAX], traced[RUNS_MAX], added[RUNS_MAX];
	double d, t, a[3];
	unsigned int i;

	for (i = 0; i < runs; i++) {
		direct[i] = run(paths[0], k);
		traced[i] = run(paths[1], k);
		added[i] = traced[i] - direct[i];
	}
	d = median(direct, runs);
	t = median(traced, runs);
	for (i = 0; i < 3; i++)
		a[i] = quantile(added, runs, 0.25 * (i + 1));
	printf("%-26s %8.1f %8.1f %8.1f  %6.1f to %-6.1f %6.0f\n", kinds[k].name, d, t, a[1], a[0],
	       a[2], kinds[k].goal_us);
	fprintf(json,
		"%s\n {\"message\": \"%s\", \"direct_us\": %.2f, \"traced_us\": %.2f, "
		"\"added_us\": %.2f, \"quartiles_us\": [%.2f, %.2f], \"goal_us\": %.0f}",
		k ? "," : "", kinds[k].name, d, t, a[1], a[0], a[2], kinds[k].goal_us);
	return a[1] <= kinds[k].goal_us;
}

static bool compare_all(FILE *json)
{
	bool good = true;
	int k;

	printf("vhk trace, us a message, median of %u pairs of runs of %u\n"
	       "%-26s %8s %8s %8s  %-16s %6s\n",
	       runs, n_messages, "", "direct", "traced", "added", "half of them", "goal");
	fprintf(json, "{\"unit\": \"us\", \"pairs\": %u, \"messages\": %u, \"cases\": [", runs,
		n_messages);
	for (k = 0; k < N_KINDS; k++)
		good &= compare((enum kind)k, json);
	fputs("\n]}\n", json);
	return good;
}

static bool parse(int argc, char **argv, const char **json, bool *goals)
{
	int opt;

	while ((opt = getopt(argc, argv, "gj:r:n:p:")) >= 0) {
		if (opt == 'g')
			*goals = true;
		else if (opt == 'j')
			*json = optarg;
		else if (opt == 'r')
			runs = (unsigned int)atoi(optarg);
		else if (opt == 'n')
			n_messages = (unsigned int)atoi(optarg);
		else if (opt == 'p')
			program = optarg;
		else
			return false;
	}
	if (*goals && runs < RUNS_JUDGED) {
		fprintf(stderr, "%u pairs are too few to judge by\n", runs);
		return false;
	}
	return runs && runs <= RUNS_MAX && n_messages && n_messages <= N_MAX;
}

int main(int argc, char **argv)
{
	const char *json = "/dev/null";
	bool goals = false, good;
	pthread_t thread;
	int listener, status;
	pid_t pid;
	FILE *f;

	if (!parse(argc, argv, &json, &goals))
		return 2;
	f = fopen(json, "w");
	T_MUST(f);
	snprintf(paths[0], sizeof(paths[0]), "%s/back", t_dir());
	snprintf(paths[1], sizeof(paths[1]), "%s/trace", t_dir());
	came_fd = eventfd(0, EFD_CLOEXEC);
	fd_sent = eventfd(0, EFD_CLOEXEC);
	T_MUST(came_fd >= 0 && fd_sent >= 0);
	listener = listen_at(paths[0]);
	T_MUST(!pthread_create(&thread, NULL, serve, &listener));
	pid = start_trace();
	good = compare_all(f);
	fclose(f);
	kill(pid, SIGTERM);
	T_MUST(waitpid(pid, &status, 0) == pid);
	return goals && !good;
}
