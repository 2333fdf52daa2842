// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The tool `vhk trace` with both of its ends played here: what it prints, as text and as JSON; its
 * exit codes; readers that are slow or gone; ends that die and come back, in either role.
 */
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "t_json.h"
#include "t_peer.h"
#include "t_prog.h"

#define DEADLINE_MS 30000
#define OUT_MAX (4u << 20)

static char front_path[100], back_path[100];
static char text[OUT_MAX];

static void path_set(struct sockaddr_un *sun, const char *path)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", path);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sun;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(path);
	path_set(&sun, path);
	T_MUST(fd >= 0 && !bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 8));
	return fd;
}

static int accept_one(int listener)
{
	int fd;

	T_MUST(t_readable(listener, DEADLINE_MS));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	T_MUST(fd >= 0);
	return fd;
}

/* A file is there before it is listened at, and that before it is there. */
static int connect_to(const char *path)
{
	uint64_t end = t_now_ns() + DEADLINE_MS * 1000000ull;
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct sockaddr_un sun;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	path_set(&sun, path);
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		T_MUST(t_now_ns() < end);
		nanosleep(&nap, NULL);
	}
	return fd;
}

static void recv_msg(int fd, struct t_peer_msg *m)
{
	T_MUST(t_readable(fd, DEADLINE_MS));
	T_MUST(t_peer_recv(fd, m));
}

static bool is_at_end(int fd)
{
	char c;

	return t_readable(fd, DEADLINE_MS) && recv(fd, &c, 1, 0) <= 0;
}

static void start(struct t_prog *p, const char *o1, const char *o2)
{
	const char *args[] = { "trace", front_path, back_path, o1, o1 ? o2 : NULL, NULL };

	t_prog_start(p, "vhk", args);
}

/* Everything it prints until it ends goes to @text. */
static int finish(struct t_prog *p)
{
	size_t n = 0;
	ssize_t got;

	while (n < OUT_MAX - 1 && t_readable(p->out, DEADLINE_MS) &&
	       (got = read(p->out, text + n, OUT_MAX - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = 0;
	return t_prog_end(p, DEADLINE_MS);
}

/* One connection through it, both of its ends. */
struct pass {
	struct t_prog prog;
	int listener, front, back;
};

static void open_pass(struct pass *x, const char *o1, const char *o2)
{
	x->listener = listen_at(back_path);
	start(&x->prog, o1, o2);
	x->front = connect_to(front_path);
	x->back = accept_one(x->listener);
}

static void close_pass(struct pass *x)
{
	close(x->front);
	close(x->back);
	close(x->listener);
}

static void ask(struct pass *x, uint32_t request, uint32_t flags, const void *payload,
		uint32_t size, const int *fd, unsigned int n)
{
	struct t_peer_msg m;

	t_peer_send(x->front, request, flags, payload, size, fd, n);
	recv_msg(x->back, &m);
	T_EQ(m.request, request);
	t_peer_close_fds(&m);
}

static void answer(struct pass *x, uint32_t request, const void *payload, uint32_t size)
{
	struct t_peer_msg m;

	t_peer_send(x->back, request, T_PEER_REPLY, payload, size, NULL, 0);
	recv_msg(x->front, &m);
}

/* What most sessions begin with, and two broken rules. */
static void converse(struct pass *x)
{
	uint64_t features = VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES, protocol = 0x29, zero = 0;
	uint64_t table[5] = { 1, 0x1000, 0x10000, 0x7000, 0 };
	uint32_t num[2] = { 0, 256 };
	int mem = memfd_create("m", MFD_CLOEXEC), kick = eventfd(0, EFD_CLOEXEC), pair[2];
	struct t_peer_msg m;
	int channel;

	T_MUST(mem >= 0 && kick >= 0 && !ftruncate(mem, 0x10000));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ask(x, 1, 1, NULL, 0, NULL, 0);
	answer(x, 1, &features, 8);
	ask(x, 15, 1, NULL, 0, NULL, 0);
	answer(x, 15, &protocol, 8);
	ask(x, 16, 1, &protocol, 8, NULL, 0);
	ask(x, 3, 9, NULL, 0, NULL, 0);
	answer(x, 3, &zero, 8);
	ask(x, 2, 1, &features, 8, NULL, 0);
	t_peer_send(x->front, 21, 1, NULL, 0, &pair[1], 1);
	recv_msg(x->back, &m);
	channel = m.fd[0];
	t_peer_send(channel, 2, 1, NULL, 0, NULL, 0);
	recv_msg(pair[0], &m);
	ask(x, 5, 1, table, 40, &mem, 1);
	ask(x, 8, 9, num, 8, NULL, 0);
	num[0] = 22;
	num[1] = 0;
	answer(x, 8, num, 8);
	ask(x, 12, 1, &zero, 8, &kick, 1);
	ask(x, 99, 1, "abc", 3, NULL, 0);
	close(channel);
	close(pair[0]);
	close(pair[1]);
	close(mem);
	close(kick);
}

static const char *const golden[] = {
	"--- session 1: front end listen:FRONT, back end unix:BACK",
	"--> GET_FEATURES",
	"<-- GET_FEATURES reply features=0x140000000(PROTOCOL_FEATURES,VERSION_1) after N us",
	"--> GET_PROTOCOL_FEATURES",
	"<-- GET_PROTOCOL_FEATURES reply features=0x29(MQ,REPLY_ACK,BACKEND_REQ) after N us",
	"--> SET_PROTOCOL_FEATURES features=0x29(MQ,REPLY_ACK,BACKEND_REQ)",
	"--> SET_OWNER need_reply",
	"<-- SET_OWNER reply ok after N us",
	"--> SET_FEATURES features=0x140000000(PROTOCOL_FEATURES,VERSION_1)",
	"--> SET_BACKEND_REQ_FD fds=[socket]",
	"<== BACKEND_CONFIG_CHANGE_MSG !! its protocol feature was not negotiated",
	("--> SET_MEM_TABLE regions=1 region0={gpa=0x1000 size=64K uva=0x7000 offset=0x0} "
	 "fds=[memfd 64K]"),
	"--> SET_VRING_NUM need_reply index=0 num=256",
	"<-- SET_VRING_NUM reply result=22 refused after N us",
	"--> SET_VRING_KICK index=0 fds=[eventfd] !! starts a ring without addresses",
	"--> message 99 payload=616263 !! unknown",
	"--- session 1: the front end hung up",
	"    features settled: 0x140000000(PROTOCOL_FEATURES,VERSION_1)",
	"    protocol features settled: 0x29(MQ,REPLY_ACK,BACKEND_REQ)",
	"--- 1 session, 15 messages, 3 broken rules",
};

static void replace(char *line, const char *from, const char *to)
{
	char *at = strstr(line, from);

	if (!at)
		return;
	memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
	memcpy(at, to, strlen(to));
}

/* Without what differs each time. */
static char *plain_line(char *line)
{
	char *after = strstr(line, " after ");
	size_t digits;

	if (*line >= '0' && *line <= '9')
		line += 16;
	replace(line, front_path, "FRONT");
	replace(line, back_path, "BACK");
	if (!after)
		return line;
	after += 7;
	digits = strspn(after, "0123456789.");
	memmove(after + 1, after + digits, strlen(after + digits) + 1);
	*after = 'N';
	return line;
}

static void prints_a_line_for_each_message(void)
{
	struct pass x;
	size_t i = 0;
	char *line, *rest = NULL;

	open_pass(&x, "--once", NULL);
	converse(&x);
	close_pass(&x);
	T_EQ(finish(&x.prog), 0);
	T_STR(x.prog.text[2], "");
	for (line = strtok_r(text, "\n", &rest); line && i < sizeof(golden) / sizeof(golden[0]);
	     line = strtok_r(NULL, "\n", &rest), i++)
		T_STR(plain_line(line), golden[i]);
	T_EQ(i, sizeof(golden) / sizeof(golden[0]));
	T_OK(line && strstr(line, "median us"));
}

/* Each line is an object; returns how many. */
static unsigned int check_json(void)
{
	char *line, *rest = NULL;
	unsigned int n = 0;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), n++)
		if (!t_json_is_object(line))
			T_STR(line, "a JSON object");
	return n;
}

static void the_validator_knows_json(void)
{
	static const char *const good[] = { "{}", " {\"a\": [1, -2.5e+3, \"\\u00e9\\n\", {}]} ",
					    "{\"a\":null,\"b\":true}" };
	static const char *const bad[] = { "", "[]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
					   "{a:1}", "{\"a\":01}", "{\"a\":\"\n\"}", "{\"a\":[1,]}",
					   "{} {}", "{\"a\":\"\\x\"}", "{\"a\":.5}" };
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		T_OK(t_json_is_object(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		T_OK(!t_json_is_object(bad[i]));
}

static void prints_json_lines(void)
{
	static const char *const want[] = {
		"\"name\": \"GET_FEATURES\"",
		"\"from\": \"back\"",
		"\"channel\": \"back\"",
		"\"region\": [{\"gpa\": \"0x1000\", \"size\": 65536, \"uva\": \"0x7000\"",
		"\"fds\": [{\"kind\": \"memfd\", \"size\": 65536}]",
		"\"broken\": [\"starts a ring without addresses\"]",
		"\"latency_us\": ",
		"\"payload\": \"616263\"",
		"\"event\": \"end\"",
		"\"names\": [\"PROTOCOL_FEATURES\", \"VERSION_1\"]",
		"\"event\": \"summary\"",
	};
	struct pass x;
	size_t i;

	open_pass(&x, "--once", "--json");
	converse(&x);
	close_pass(&x);
	T_EQ(finish(&x.prog), 0);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		if (!strstr(text, want[i]))
			T_STR(want[i], "printed");
	T_EQ(check_json(), 1 + 15 + 1 + 1);
}

/* Whatever comes, it stays JSON: every number, every length, many fds, noise in the end. */
static void json_survives_anything(void)
{
	unsigned char payload[4096];
	struct pass x;
	uint32_t i, size;
	int fd[40];

	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i * 197 + (i >> 3));
	open_pass(&x, "-j", "--once");
	for (i = 0; i < 40; i++)
		fd[i] = x.front;
	for (i = 0; i < 120; i++) {
		size = i % 3 == 2 ? 4096 - i : i;
		ask(&x, i % 50, i & 1 ? 1 : 9, payload + i % 7, size, fd, i % 41);
		if (i % 5 == 0)
			answer(&x, i % 50, payload, size);
	}
	T_MUST(write(x.front, "GET / HTTP/1.1\r\n\r\n", 18) == 18);
	T_MUST(t_readable(x.back, DEADLINE_MS));
	close_pass(&x);
	T_EQ(finish(&x.prog), 0);
	T_OK(strstr(text, "\"event\": \"unseen\""));
	T_EQ(check_json(), 1 + 120 + 24 + 1 + 1 + 1);
}

static void only_broken_rules_where_asked(void)
{
	struct pass x;

	open_pass(&x, "--once", "--quiet");
	converse(&x);
	close_pass(&x);
	T_EQ(finish(&x.prog), 0);
	T_OK(!strstr(text, "--> SET_OWNER"));
	T_OK(strstr(text, "starts a ring without addresses"));
	T_OK(strstr(text, "15 messages, 3 broken rules"));
}

static void exit_code_tells_broken_rules_only_if_asked(void)
{
	struct pass x;
	int bad;

	for (bad = 0; bad < 2; bad++) {
		open_pass(&x, "--once", "--check");
		ask(&x, 3, 1, NULL, 0, NULL, 0);
		if (bad)
			ask(&x, 3, 1, NULL, 0, NULL, 0);
		close_pass(&x);
		T_EQ(finish(&x.prog), bad);
		T_STR(x.prog.text[2], "");
	}
}

static void signals_end_it_with_the_sum(void)
{
	static const int signals[] = { SIGINT, SIGTERM };
	struct pass x;
	struct stat st;
	int i;

	for (i = 0; i < 2; i++) {
		open_pass(&x, NULL, NULL);
		ask(&x, 3, 1, NULL, 0, NULL, 0);
		kill(x.prog.pid, signals[i]);
		T_EQ(finish(&x.prog), 0);
		T_OK(strstr(text, "--- 1 session, 1 message, 0 broken rules"));
		T_STR(x.prog.text[2], "");
		T_OK(is_at_end(x.front) && is_at_end(x.back));
		T_EQ(stat(front_path, &st), -1);
		close_pass(&x);
	}
}

static void wrong_usage_takes_one_line(void)
{
	static const struct {
		const char *args[4], *says;
		int code;
	} cases[] = {
		{ { "trace" }, "two sockets", 2 },
		{ { "trace", "a" }, "two sockets", 2 },
		{ { "trace", "--frob", "a", "b" }, "unrecognized option", 2 },
		{ { "trace", "unix:", "b" }, "not a URI", 2 },
		{ { "trace", "fd:99", "b" }, "is no socket", 2 },
		{ { "trace", "--color=red", "a", "b" }, "--color: red", 2 },
		{ { "trace", "--poll-us=10001", "a", "b" }, "0 to 10000", 2 },
		{ { "trace", "--device=toaster", "a", "b" }, "blk, net", 2 },
		{ { "trace", "/nonexistent/a", "b" }, "No such file", 1 },
		{ { "trace", "/dev/null", "b" }, "File exists", 1 },
	};
	struct t_prog p;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *args[5] = { cases[i].args[0], cases[i].args[1], cases[i].args[2],
					cases[i].args[3], NULL };

		t_prog_start(&p, "vhk", args);
		T_EQ(t_prog_end(&p, DEADLINE_MS), cases[i].code);
		T_EQ(t_lines(p.text[2]), 1);
		if (!strstr(p.text[2], cases[i].says))
			T_STR(p.text[2], cases[i].says);
	}
}

/* Its socket goes when there is only the sum left to print. */
static void wait_for_its_end(void)
{
	uint64_t end = t_now_ns() + DEADLINE_MS * 1000000ull;
	const struct timespec nap = { .tv_nsec = 10000000 };

	while (!access(front_path, F_OK)) {
		T_MUST(t_now_ns() < end);
		nanosleep(&nap, NULL);
	}
	nanosleep(&nap, NULL);
}

/* Nobody reads what it prints: the session goes on, and what is missing is told. */
static void a_slow_reader_stalls_nobody(void)
{
	unsigned char payload[1000] = { 1 };
	struct pass x;
	int i;

	open_pass(&x, "--once", "--json");
	for (i = 0; i < 3000; i++)
		ask(&x, 60, 1, payload, sizeof(payload), NULL, 0);
	/* short ones, so that no room is left for the sum either */
	for (i = 0; i < 300; i++)
		ask(&x, 60, 1, NULL, 0, NULL, 0);
	close_pass(&x);
	wait_for_its_end();
	T_EQ(finish(&x.prog), 0);
	T_OK(strstr(text, "{\"event\": \"lost\", \"lines\": "));
	T_OK(strstr(text, "\"messages\": 3300"));
	T_OK(!strstr(text, "\"lost_lines\": 0,"));
	check_json();
}

static void nobody_reading_at_all_does_not_keep_it(void)
{
	unsigned char payload[1000] = { 1 };
	struct pass x;
	int i;

	open_pass(&x, "--once", NULL);
	for (i = 0; i < 1000; i++)
		ask(&x, 60, 1, payload, sizeof(payload), NULL, 0);
	close_pass(&x);
	T_EQ(t_prog_end(&x.prog, DEADLINE_MS), 1);
	T_EQ(t_lines(x.prog.text[2]), 1);
	T_OK(strstr(x.prog.text[2], "nobody reads"));
}

static void a_closed_reader_ends_it_after_the_session(void)
{
	struct pass x;
	int i;

	open_pass(&x, NULL, NULL);
	close(x.prog.out);
	x.prog.out = dup(x.prog.err);
	for (i = 0; i < 100; i++)
		ask(&x, 3, 1, NULL, 0, NULL, 0);
	close_pass(&x);
	T_EQ(t_prog_end(&x.prog, DEADLINE_MS), 1);
	T_OK(strstr(x.prog.text[1], "standard output: Broken pipe"));
}

static void sessions_follow_one_another(void)
{
	uint64_t one = 1;
	struct pass x;
	int i;

	open_pass(&x, NULL, NULL);
	for (i = 0; i < 6; i++) {
		ask(&x, 1, 1, NULL, 0, NULL, 0);
		answer(&x, 1, &one, 8);
		/* either side dies */
		if (i & 1) {
			close(x.back);
			T_OK(is_at_end(x.front));
			close(x.front);
		} else {
			close(x.front);
			T_OK(is_at_end(x.back));
			close(x.back);
		}
		x.front = connect_to(front_path);
		x.back = accept_one(x.listener);
	}
	kill(x.prog.pid, SIGTERM);
	T_EQ(finish(&x.prog), 0);
	close_pass(&x);
	T_OK(strstr(text, "--- session 6: the back end hung up"));
	T_OK(strstr(text, "--- session 5: the front end hung up"));
	T_OK(strstr(text, "--- 7 sessions, 12 messages, 0 broken rules"));
}

/* Until nothing more fits anywhere. */
static void fill(int fd, const void *m, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int refused = 0;

	while (refused < 2) {
		while (send(fd, m, size, MSG_DONTWAIT) == (ssize_t)size)
			refused = 0;
		refused += !poll(&p, 1, 1000);
	}
}

/* Neither its answers nor its last requests can be delivered: the next front end is served. */
static void a_deaf_front_end_that_dies_keeps_nobody(void)
{
	static const uint32_t question[3] = { 1, 1, 0 }, reply[5] = { 1, 5, 8, 1, 0 };
	uint64_t one = 1;
	struct pass x;
	int stuck;

	open_pass(&x, "--quiet", NULL);
	fill(x.front, question, sizeof(question));
	fill(x.back, reply, sizeof(reply));
	close(x.front);
	stuck = x.back;
	x.front = connect_to(front_path);
	x.back = accept_one(x.listener);
	ask(&x, 1, 1, NULL, 0, NULL, 0);
	answer(&x, 1, &one, 8);
	close(stuck);
	kill(x.prog.pid, SIGTERM);
	T_EQ(finish(&x.prog), 0);
	close_pass(&x);
	T_OK(strstr(text, "--- session 1: the front end hung up; "));
	T_OK(strstr(text, "; 2 undelivered"));
	T_OK(strstr(text, "--- 2 sessions"));
}

static void unanswered_requests_are_told(void)
{
	struct pass x;

	open_pass(&x, "--once", "--check");
	ask(&x, 1, 1, NULL, 0, NULL, 0);
	ask(&x, 1, 1, NULL, 0, NULL, 0);
	close_pass(&x);
	T_EQ(finish(&x.prog), 1);
	T_OK(strstr(text, "hung up; 2 unanswered, first GET_FEATURES"));
}

static double cpu_ms(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	T_MUST(!clock_getcpuclockid(pid, &clock) && !clock_gettime(clock, &ts));
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* It stays awake for bursts; what comes alone, or does not come, is not waited for. */
static void waiting_costs_nothing(void)
{
	const struct timespec longer = { .tv_nsec = 15000000 };
	struct pass x;
	unsigned int i;
	double from;

	open_pass(&x, "--poll-us=10000", NULL);
	for (i = 0; i < 10; i++) {
		ask(&x, VHK_CTL_GET_FEATURES, 1, NULL, 0, NULL, 0);
		answer(&x, VHK_CTL_GET_FEATURES, &(uint64_t){ 0 }, 8);
	}
	from = cpu_ms(x.prog.pid);
	for (i = 0; i < 20; i++) {
		nanosleep(&longer, NULL);
		ask(&x, VHK_CTL_SET_OWNER, 1, NULL, 0, NULL, 0);
	}
	nanosleep(&longer, NULL);
	printf("# %.1f ms for twenty lone messages\n", cpu_ms(x.prog.pid) - from);
	T_OK(cpu_ms(x.prog.pid) - from < 100);
	close_pass(&x);
	kill(x.prog.pid, SIGTERM);
	finish(&x.prog);
}

/* Without a back end a front end is let go, and the next one is served when there is one. */
static void a_missing_back_end_is_said(void)
{
	struct pass x;

	unlink(back_path);
	start(&x.prog, NULL, NULL);
	x.front = connect_to(front_path);
	T_OK(is_at_end(x.front));
	close(x.front);
	x.listener = listen_at(back_path);
	x.front = connect_to(front_path);
	x.back = accept_one(x.listener);
	ask(&x, 3, 1, NULL, 0, NULL, 0);
	kill(x.prog.pid, SIGTERM);
	T_EQ(finish(&x.prog), 0);
	close_pass(&x);
	T_EQ(t_lines(x.prog.text[2]), 1);
	T_OK(strstr(x.prog.text[2], "back end"));
	T_OK(strstr(x.prog.text[2], "No such file or directory"));
}

/* A test that traces one session does not hang where there is none. */
static void one_session_that_never_was_is_a_failure(void)
{
	struct pass x;

	unlink(back_path);
	start(&x.prog, "--once", "--check");
	x.front = connect_to(front_path);
	T_OK(is_at_end(x.front));
	close(x.front);
	T_EQ(finish(&x.prog), 1);
	T_EQ(t_lines(x.prog.text[2]), 1);
}

/* Who listens and who connects can be any of both, on either side. */
static void either_side_may_listen(void)
{
	char front[120], back[120];
	const char *args[] = { "trace", front, back, "--once", NULL };
	int roles, front_listener, back_listener;
	struct pass x;

	for (roles = 0; roles < 4; roles++) {
		snprintf(front, sizeof(front), "%s:%s", roles & 1 ? "unix" : "listen", front_path);
		snprintf(back, sizeof(back), "%s:%s", roles & 2 ? "listen" : "unix", back_path);
		unlink(front_path);
		unlink(back_path);
		front_listener = roles & 1 ? listen_at(front_path) : -1;
		back_listener = roles & 2 ? -1 : listen_at(back_path);
		t_prog_start(&x.prog, "vhk", args);
		/* who is waited for comes first */
		if (roles & 2)
			x.back = connect_to(back_path);
		x.front = roles & 1 ? accept_one(front_listener) : connect_to(front_path);
		if (!(roles & 2))
			x.back = accept_one(back_listener);
		ask(&x, 3, 1, NULL, 0, NULL, 0);
		close(x.front);
		close(x.back);
		T_EQ(finish(&x.prog), 0);
		T_OK(strstr(text, "--- 1 session, 1 message,"));
		if (front_listener >= 0)
			close(front_listener);
		if (back_listener >= 0)
			close(back_listener);
	}
}

static void run_on_terminal(int slave, bool no_color)
{
	const char *args[] = { "trace", "--once", front_path, back_path, NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (no_color)
		setenv("NO_COLOR", "1", 1);
	else
		unsetenv("NO_COLOR");
	dup2(slave, 1);
	t_prog_exec("vhk", args, -1, NULL);
}

static void terminals_get_color_unless_told(void)
{
	int master, slave, no_color, status;
	struct pass x;
	size_t n;
	ssize_t got;
	pid_t pid;

	for (no_color = 0; no_color < 2; no_color++) {
		T_MUST(!openpty(&master, &slave, NULL, NULL, NULL));
		x.listener = listen_at(back_path);
		fflush(stdout);
		pid = fork();
		T_MUST(pid >= 0);
		if (!pid)
			run_on_terminal(slave, no_color);
		close(slave);
		x.front = connect_to(front_path);
		x.back = accept_one(x.listener);
		ask(&x, 3, 1, NULL, 0, NULL, 0);
		close_pass(&x);
		for (n = 0; t_readable(master, DEADLINE_MS) &&
			    (got = read(master, text + n, OUT_MAX - 1 - n)) > 0;)
			n += (size_t)got;
		text[n] = 0;
		T_MUST(waitpid(pid, &status, 0) == pid);
		T_EQ(status, 0);
		T_OK(strstr(text, "SET_OWNER"));
		T_EQ(strchr(text, '\033') != NULL, !no_color);
		close(master);
	}
}

int main(void)
{
	snprintf(front_path, sizeof(front_path), "%s/front", t_dir());
	snprintf(back_path, sizeof(back_path), "%s/back", t_dir());
	T_RUN(the_validator_knows_json);
	T_RUN(prints_a_line_for_each_message);
	T_RUN(prints_json_lines);
	T_RUN(json_survives_anything);
	T_RUN(only_broken_rules_where_asked);
	T_RUN(exit_code_tells_broken_rules_only_if_asked);
	T_RUN(signals_end_it_with_the_sum);
	T_RUN(wrong_usage_takes_one_line);
	T_RUN(a_slow_reader_stalls_nobody);
	T_RUN(nobody_reading_at_all_does_not_keep_it);
	T_RUN(a_closed_reader_ends_it_after_the_session);
	T_RUN(sessions_follow_one_another);
	T_RUN(a_deaf_front_end_that_dies_keeps_nobody);
	T_RUN(unanswered_requests_are_told);
	T_RUN(waiting_costs_nothing);
	T_RUN(a_missing_back_end_is_said);
	T_RUN(one_session_that_never_was_is_a_failure);
	T_RUN(either_side_may_listen);
	T_RUN(terminals_get_color_unless_told);
	return t_end();
}
