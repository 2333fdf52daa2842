// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end that answers badly, late, half or not at all: each ends in one code, within the
 * deadline, and no fd is left behind.
 */
#include <vhostkit/ctl.h>

#include "t_peer.h"

#define PF (VHK_PF_REPLY_ACK | VHK_PF_CONFIG | VHK_PF_INFLIGHT_SHMFD | VHK_PF_PAGEFAULT)

static const struct vhk_ctl_opts opts = { .sz = sizeof(opts), .timeout_ms = 60 };

enum ask {
	FEATURES,
	CONFIG,
	BASE,
	INFLIGHT,
	OWNER,
	END,
};

static int ask(struct vhk_ctl *c, enum ask what)
{
	struct vhk_ctl_inflight i = { .n_queues = 1, .queue_size = 128 };
	unsigned char buf[8];
	uint32_t base;
	uint64_t v;
	int fd, ret;

	switch (what) {
	case FEATURES:
		return vhk_ctl_get_features(c, &v);
	case CONFIG:
		return vhk_ctl_get_config(c, 0, buf, sizeof(buf));
	case BASE:
		return vhk_ctl_get_vring_base(c, 0, &base);
	case OWNER:
		return vhk_ctl_set_owner(c);
	case END:
		return vhk_ctl_postcopy_end(c);
	default:
		ret = vhk_ctl_get_inflight_fd(c, &i, &fd);
		T_EQ(ret ? fd : -1, -1);
		return ret;
	}
}

/* What is sent, then what the call returns and what the next one does. */
static const struct {
	const char *name;
	enum ask what;
	uint32_t request, flags, size, cut;
	uint64_t payload[4];
	unsigned int n_fds;
	int want;
	bool dead;
} cases[] = {
	{ "nothing", FEATURES, 0, 0, 0, 0, { 0 }, 0, -ETIMEDOUT, false },
	{ "nothing where an ack is due", OWNER, 0, 0, 0, 0, { 0 }, 0, -ETIMEDOUT, false },
	{ "another number", FEATURES, 2, 5, 8, 20, { 0 }, 0, -EPROTO, true },
	{ "number 0", FEATURES, 0, 5, 8, 20, { 0 }, 0, -EPROTO, true },
	{ "unknown number", FEATURES, 4711, 5, 8, 20, { 0 }, 0, -EPROTO, true },
	{ "no reply bit", FEATURES, 1, 1, 8, 20, { 0 }, 0, -EPROTO, true },
	{ "version 0", FEATURES, 1, 4, 8, 20, { 0 }, 0, -EPROTO, true },
	{ "version 2", FEATURES, 1, 6, 8, 20, { 0 }, 0, -EPROTO, true },
	{ "too short", FEATURES, 1, 5, 4, 16, { 0 }, 0, -EPROTO, true },
	{ "empty: refused", FEATURES, 1, 5, 0, 12, { 0 }, 0, -EREMOTEIO, false },
	{ "an empty ack", OWNER, 3, 5, 0, 12, { 0 }, 0, -EPROTO, true },
	{ "too long", FEATURES, 1, 5, 16, 28, { 0 }, 0, -EPROTO, true },
	{ "size beyond any message", FEATURES, 1, 5, 0xfffffff0, 20, { 0 }, 0, -EPROTO, true },
	{ "an fd", FEATURES, 1, 5, 8, 20, { 0 }, 1, -EPROTO, true },
	{ "many fds", FEATURES, 1, 5, 8, 20, { 0 }, 40, -EPROTO, true },
	{ "an fd with an ack", OWNER, 3, 5, 8, 20, { 0 }, 1, -EPROTO, true },
	{ "an ack of the wrong size", OWNER, 3, 5, 4, 16, { 0 }, 0, -EPROTO, true },
	{ "a no to the end of postcopy", END, 30, 5, 8, 20, { 5 }, 0, -EREMOTEIO, false },
	{ "half a header", FEATURES, 1, 5, 8, 6, { 0 }, 0, -ETIMEDOUT, false },
	{ "half a payload", FEATURES, 1, 5, 8, 15, { 0 }, 0, -ETIMEDOUT, false },
	{ "config refused by size 0", CONFIG, 24, 5, 0, 12, { 0 }, 0, -EREMOTEIO, false },
	{ "config refused by inner size 0", CONFIG, 24, 5, 20, 32, { 0 }, 0, -EREMOTEIO, false },
	{ "config of another offset", CONFIG, 24, 5, 20, 32, { 4 | 8ull << 32 }, 0, -EPROTO, true },
	{ "config of another size", CONFIG, 24, 5, 20, 32, { 4ull << 32 }, 0, -EPROTO, true },
	{ "config shorter than it says", CONFIG, 24, 5, 16, 28, { 8ull << 32 }, 0, -EPROTO, true },
	{ "config longer than it says", CONFIG, 24, 5, 24, 36, { 8ull << 32 }, 0, -EPROTO, true },
	{ "base of another ring", BASE, 11, 5, 8, 20, { 1 }, 0, -EPROTO, true },
	{ "inflight without fd", INFLIGHT, 31, 5, 24, 36, { 64, 0, 1 | 128 << 16 }, 0, -EREMOTEIO,
	  false },
	{ "inflight of size 0", INFLIGHT, 31, 5, 24, 36, { 0, 0, 1 | 128 << 16 }, 1, -EREMOTEIO,
	  false },
	{ "inflight with two fds", INFLIGHT, 31, 5, 24, 36, { 64, 0, 1 | 128 << 16 }, 2, -EPROTO,
	  true },
	{ "ack refused", OWNER, 3, 5, 8, 20, { 1ull << 63 }, 0, -EREMOTEIO, false },
};

static void send_case(int sock, size_t i)
{
	char control[CMSG_SPACE(40 * sizeof(int))] = { 0 };
	uint32_t bytes[16] = { cases[i].request, cases[i].flags, cases[i].size };
	struct iovec iov = { bytes, cases[i].cut };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int k;

	memcpy(bytes + 3, cases[i].payload, sizeof(cases[i].payload));
	if (cases[i].n_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(cases[i].n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(cases[i].n_fds * sizeof(int));
		for (k = 0; k < cases[i].n_fds; k++)
			memcpy(CMSG_DATA(c) + k * sizeof(int), &(int){ 1 }, sizeof(int));
	}
	if (cases[i].cut)
		T_MUST(sendmsg(sock, &msg, 0) == cases[i].cut);
}

static void one_case(size_t i)
{
	uint64_t before = t_now_ns(), took;
	struct vhk_ctl *c;
	int sock, ret;

	sock = t_peer_open(&c, &opts);
	t_peer_negotiate(c, sock, VHK_F_VERSION_1, PF);
	send_case(sock, i);
	ret = ask(c, cases[i].what);
	took = t_now_ns() - before;
	if (ret != cases[i].want)
		printf("# %s:\n", cases[i].name);
	T_EQ(ret, cases[i].want);
	T_OK(took < 2000000000u);
	if (ret == -ETIMEDOUT)
		T_OK(took >= 60000000u);
	ret = vhk_ctl_process(c);
	T_EQ(ret, cases[i].dead ? -ENOTCONN : 0);
	T_EQ(ask(c, OWNER) == -ENOTCONN, cases[i].dead);
	T_EQ(vhk_ctl_fault(c, 0), cases[i].dead ? -EPROTO : -EBUSY);
	vhk_ctl_close(c);
	close(sock);
}

static void table(void)
{
	int before = t_count_fds();
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_case(i);
	T_EQ(t_count_fds(), before);
}

static void answer_to_nothing(void)
{
	struct vhk_ctl *c;
	int sock = t_peer_open(&c, &opts);

	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 1);
	T_EQ(vhk_ctl_process(c), -EPROTO);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	vhk_ctl_close(c);
	close(sock);
}

static void late_answer_is_thrown_away(void)
{
	struct vhk_ctl *c;
	uint64_t v;
	int sock = t_peer_open(&c, &opts);

	T_EQ(vhk_ctl_get_features(c, &v), -ETIMEDOUT);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 1);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 2);
	T_EQ(vhk_ctl_get_features(c, &v), 0);
	T_EQ(v, 2);
	vhk_ctl_close(c);
	close(sock);
}

/* The next answer is to another request: the connection lives without the missing ones. */
static void some_are_never_answered(void)
{
	struct vhk_ctl *c;
	uint64_t v;
	int i, sock = t_peer_open(&c, &opts);

	t_peer_negotiate(c, sock, VHK_F_VERSION_1, VHK_PF_MQ);
	for (i = 0; i < 3; i++)
		T_EQ(vhk_ctl_get_queue_num(c, &v), -ETIMEDOUT);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 2);
	T_EQ(vhk_ctl_get_features(c, &v), 0);
	T_EQ(v, 2);
	t_peer_reply_u64(sock, VHK_CTL_GET_QUEUE_NUM, 3);
	T_EQ(vhk_ctl_get_queue_num(c, &v), 0);
	T_EQ(v, 3);
	vhk_ctl_close(c);
	close(sock);
}

static void hung_up(void)
{
	uint32_t half[2] = { 1, 5 };
	struct vhk_ctl *c;
	uint64_t v;
	int sock, i;

	for (i = 0; i < 3; i++) {
		sock = t_peer_open(&c, &opts);
		if (i == 1)
			T_MUST(send(sock, half, sizeof(half), 0) == sizeof(half));
		if (i == 2)
			t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 3);
		T_MUST(!shutdown(sock, SHUT_WR));
		/* What was said before is heard. */
		T_EQ(vhk_ctl_get_features(c, &v), i == 2 ? 0 : -ENOTCONN);
		T_EQ(vhk_ctl_get_features(c, &v), -ENOTCONN);
		T_EQ(vhk_ctl_process(c), -ENOTCONN);
		T_EQ(vhk_ctl_fault(c, 0), -ENOTCONN);
		T_EQ(vhk_ctl_reconnect(c), -EBUSY);
		vhk_ctl_close(c);
		close(sock);
	}
}

/* More than the socket's buffer holds: submits do not wait, and every one of them ends. */
static unsigned int n_done, n_late;

static void count(struct vhk_ctl_req *r)
{
	n_done++;
	n_late += r->ret == -ETIMEDOUT;
	free(r);
}

static void peer_that_reads_nothing(void)
{
	struct pollfd p = { .events = POLLIN };
	struct vhk_ctl_req *r;
	struct vhk_ctl *c;
	int i, sock = t_peer_open(&c, &opts);

	p.fd = vhk_ctl_fd(c);
	for (i = 0; i < 3000; i++) {
		r = calloc(1, sizeof(*r));
		T_MUST(r);
		*r = (struct vhk_ctl_req){ .op = VHK_CTL_GET_FEATURES, .fd = -1, .done = count };
		T_MUST(!vhk_ctl_submit(c, r));
	}
	while (n_done < 3000) {
		T_MUST(poll(&p, 1, 2000) == 1);
		T_EQ(vhk_ctl_process(c), 0);
	}
	T_EQ(n_late, 3000);
	vhk_ctl_close(c);
	close(sock);
}

static void bad_uris(void)
{
	static const struct {
		const char *uri;
		int want;
	} uris[] = {
		{ "", -EINVAL },	      { "unix:", -EINVAL },
		{ "fd:", -EINVAL },	      { "fd:x", -EINVAL },
		{ "fd:-1", -EINVAL },	      { "fd:3x", -EINVAL },
		{ "/no/such", -ENOENT },      { "tcp:1", -EINVAL },
		{ "unix:/no/such", -ENOENT }, { "listen:/no/such/place", -ENOENT },
	};
	struct vhk_ctl_opts unknown = { .sz = sizeof(unknown), .flags = 1u << 31 };
	struct vhk_ctl *c;
	char uri[32];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(uris) / sizeof(uris[0]); i++)
		T_EQ(vhk_ctl_open(&c, uris[i].uri, &opts), uris[i].want);
	T_EQ(vhk_ctl_open(&c, NULL, &opts), -EINVAL);
	T_OK(!c);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	snprintf(uri, sizeof(uri), "fd:%d", fd);
	T_EQ(vhk_ctl_open(&c, uri, &opts), -EINVAL);
	T_EQ(fcntl(fd, F_GETFD), -1);
	T_EQ(vhk_ctl_open(&c, "unix:/x", &unknown), -EOPNOTSUPP);
}

int main(void)
{
	T_RUN(table);
	T_RUN(answer_to_nothing);
	T_RUN(late_answer_is_thrown_away);
	T_RUN(some_are_never_answered);
	T_RUN(hung_up);
	T_RUN(peer_that_reads_nothing);
	T_RUN(bad_uris);
	return t_end();
}
