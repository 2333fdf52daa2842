// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Codes and lines that tell a caller's mistake from a back end's: one that comes back with less
 * than it had, one that is busy, and what is asked for twice or too early.
 */
#include <limits.h>

#include "t_peer_lives.h"
#include "t_said_line.h"

#define F (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES)
#define PF                                                                                         \
	(VHK_PF_MQ | VHK_PF_REPLY_ACK | VHK_PF_INFLIGHT_SHMFD | VHK_PF_CONFIGURE_MEM_SLOTS |       \
	 VHK_PF_CONFIG)

static const struct t_life whole = { F, PF, 2, 509 };

static const struct {
	struct t_life second;
	int want;
	const char *said;
} cases[] = {
	{ { F, PF, 2, 509 }, 0, NULL },
	{ { F, PF, 2, 4 }, 0, NULL },
	{ { F, PF, 1, 509 }, -EOPNOTSUPP,
	  "the back end came back with 1 queues, it had 2, of which 2 are in use" },
	{ { F, PF, 0, 509 }, -EOPNOTSUPP, "the back end came back with 0 queues, it had 2" },
	{ { F, PF, 2, 0 }, -EOPNOTSUPP,
	  "the memory has 2 regions, the back end came back with room for 0" },
	{ { F, PF & ~VHK_PF_CONFIG, 2, 509 }, -EOPNOTSUPP,
	  "the back end came back without CONFIG (protocol feature 9)" },
	{ { VHK_F_PROTOCOL_FEATURES, PF, 2, 509 }, -EOPNOTSUPP,
	  "features 0x100000000 are not offered" },
};

static void one_return(const struct t_life *second, int want, const char *said)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 20000,
					.log = t_said_log() };
	struct vhk_vq_opts qo = { .sz = sizeof(qo), .size = 16, .gpa = { 0x1000000 } };
	const struct t_life life[2] = { whole, *second };
	struct t_lives l;
	struct vhk_mem *m;
	struct vhk_ctl *c;
	struct vhk_vq *q;
	void *va;

	t_lives_start(&l, life, 2);
	T_MUST(!vhk_mem_new(&m) && !vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 4096, &va));
	T_MUST(!vhk_vq_new(&q, m, &qo) && !vhk_ctl_open(&c, l.uri, &o));
	T_EQ(vhk_ctl_setup(c, VHK_F_VERSION_1, VHK_F_VERSION_1, m), 0);
	T_EQ(vhk_ctl_start(c, 0, q), 0);
	t_lines[0] = 0;
	T_EQ(vhk_ctl_reconnect(c), want);
	if (said)
		T_SAID(said);
	vhk_ctl_close(c);
	t_lives_end(&l);
	vhk_vq_free(q);
	vhk_mem_free(m);
}

static void comes_back_with_less(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_return(&cases[i].second, cases[i].want, cases[i].said);
}

/* At first: the caller's memory is what does not fit. */
static void too_few_slots(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 20000,
					.log = t_said_log() };
	const struct t_life life = { F, PF, 2, 0 };
	struct t_lives l;
	struct vhk_mem *m;
	struct vhk_ctl *c;
	void *va;

	t_lives_start(&l, &life, 1);
	T_MUST(!vhk_mem_new(&m) && !vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 4096, &va));
	T_MUST(!vhk_ctl_open(&c, l.uri, &o));
	T_EQ(vhk_ctl_setup(c, VHK_F_VERSION_1, VHK_F_VERSION_1, m), -EMSGSIZE);
	T_SAID("the memory has 1 regions, the back end takes 0");
	vhk_ctl_close(c);
	t_lives_end(&l);
	vhk_mem_free(m);
}

static void owner_twice(void)
{
	struct vhk_ctl *c;
	int sock = t_peer_open(&c, NULL);

	T_EQ(vhk_ctl_set_owner(c), 0);
	T_EQ(vhk_ctl_set_owner(c), -EBUSY);
	vhk_ctl_close(c);
	close(sock);
}

/* Without LOG_SHMFD a log is an address: no file, and no range that no file could have. */
static void log_before_negotiation(void)
{
	static const struct {
		struct vhk_ctl_log log;
		bool file;
		int want;
	} logs[] = {
		{ { .at = { 0x1000 } }, false, 0 },
		{ { .size = 4096, .at = { 0x1000 } }, false, 0 },
		{ { .size = UINT64_MAX, .offset = UINT64_MAX }, false, -EINVAL },
		{ { .size = UINT64_MAX, .offset = UINT64_MAX }, true, -EINVAL },
		{ { .size = 4096 }, true, -EINVAL },
	};
	int sock, fd = memfd_create("log", MFD_CLOEXEC);
	struct vhk_ctl *c;
	size_t i;

	sock = t_peer_open(&c, NULL);
	for (i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		T_EQ(vhk_ctl_set_log_base(c, &logs[i].log, logs[i].file ? fd : -1), logs[i].want);
	vhk_ctl_close(c);
	close(sock);
	close(fd);
}

/* -1 is no fd; what is less is a mistake. */
static void no_fd(void)
{
	struct vhk_ctl *c;
	int sock = t_peer_open(&c, NULL);

	t_peer_negotiate(c, sock, VHK_F_VERSION_1, 0);
	T_EQ(vhk_ctl_set_vring_kick(c, 0, -2), -EINVAL);
	T_EQ(vhk_ctl_set_vring_call(c, 0, -9), -EINVAL);
	T_EQ(vhk_ctl_set_vring_err(c, 0, INT_MIN), -EINVAL);
	T_EQ(t_peer_drain(sock), 0);
	T_EQ(vhk_ctl_set_vring_kick(c, 0, -1), 0);
	T_EQ(t_peer_drain(sock), 1);
	vhk_ctl_close(c);
	close(sock);
}

/* A number is digits alone; what is refused stays the caller's. */
static void other_ways_to_write_a_number(void)
{
	static const char *const ways[] = { "+", " ", "\t", "0x", "-" };
	int fd[2], before;
	struct vhk_ctl *c;
	char uri[32];
	size_t i;

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	before = t_count_fds();
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		snprintf(uri, sizeof(uri), "fd:%s%d", ways[i], fd[0]);
		T_EQ(vhk_ctl_open(&c, uri, NULL), -EINVAL);
		T_EQ(t_count_fds(), before);
	}
	close(fd[0]);
	close(fd[1]);
}

/* Its queue of connections is full: it is waited for, as long as for anything else. */
static void busy_server(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 100 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd[8], n = 0, server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t before;
	struct vhk_ctl *c;
	char uri[128];

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/busy", t_dir());
	snprintf(uri, sizeof(uri), "unix:%s", sun.sun_path);
	T_MUST(!bind(server, (struct sockaddr *)&sun, sizeof(sun)) && !listen(server, 0));
	do {
		T_MUST(n < 8);
		fd[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	} while (!connect(fd[n++], (struct sockaddr *)&sun, sizeof(sun)));
	before = t_now_ns();
	T_EQ(vhk_ctl_open(&c, uri, &o), -ETIMEDOUT);
	T_OK(t_now_ns() - before >= 100000000u);
	while (n)
		close(fd[--n]);
	/* who has room again is reached */
	close(accept4(server, NULL, NULL, SOCK_CLOEXEC));
	T_EQ(vhk_ctl_open(&c, uri, NULL), 0);
	vhk_ctl_close(c);
	close(server);
}

int main(void)
{
	T_RUN(comes_back_with_less);
	T_RUN(too_few_slots);
	T_RUN(owner_twice);
	T_RUN(log_before_negotiation);
	T_RUN(no_fd);
	T_RUN(other_ways_to_write_a_number);
	T_RUN(busy_server);
	return t_end();
}
