// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the tool says of a back end that claims nonsense, refuses or hangs up: one line that names
 * it, and exit code 1.
 */
#include <endian.h>
#include <sys/mman.h>

#include "t_peer.h"
#include "t_prog.h"

#define DEADLINE_MS 20000
#define FEATURES (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES)
#define PROTOCOL                                                                                   \
	(VHK_PF_MQ | VHK_PF_REPLY_ACK | VHK_PF_CONFIG | VHK_PF_CONFIGURE_MEM_SLOTS |              \
	 VHK_PF_INFLIGHT_SHMFD)

enum how { HONEST, ANSWER, HANG_UP, CAPACITY, INFLIGHT };

static const struct {
	enum vhk_ctl_op op;
	enum how how;
	uint64_t v;
	const char *show, *read; /* what is said; NULL: nothing, exit code 0 */
} cases[] = {
	{ VHK_CTL_GET_FEATURES, HANG_UP, 0, "another front end may be connected",
	  "another front end may be connected" },
	{ VHK_CTL_GET_QUEUE_NUM, HANG_UP, 0, "GET_QUEUE_NUM: the back end is gone",
	  "the back end is gone" },
	{ VHK_CTL_GET_MAX_MEM_SLOTS, ANSWER, 0, NULL, "takes no memory" },
	{ VHK_CTL_SET_OWNER, ANSWER, 22, NULL, "refused by the back end (SET_OWNER)" },
	{ VHK_CTL_SET_VRING_ADDR, ANSWER, 22, NULL, "refused by the back end (SET_VRING_ADDR)" },
	{ VHK_CTL_GET_INFLIGHT_FD, INFLIGHT, UINT64_MAX - 1, NULL, "SET_INFLIGHT_FD: " },
	{ VHK_CTL_GET_CONFIG, CAPACITY, 1ull << 55, NULL, "claims 36028797018963968 sectors" },
	{ VHK_CTL_GET_CONFIG, CAPACITY, (1ull << 55) + 2048, NULL, "more than a disk can have" },
	{ VHK_CTL_GET_CONFIG, CAPACITY, UINT64_MAX, NULL, "more than a disk can have" },
};

static void answer_config(int sock, const struct t_peer_msg *m, uint64_t capacity)
{
	unsigned char reply[12 + 256] = { 0 };
	uint64_t wire = htole64(capacity);

	memcpy(reply, m->bytes, 12);
	memcpy(reply + 12, &wire, sizeof(wire));
	t_peer_send(sock, m->request, T_PEER_REPLY, reply, 12 + m->u32[1], NULL, 0);
}

/* False: hang up. */
static bool answer(int sock, const struct t_peer_msg *m, unsigned int i, int file)
{
	enum how how = m->request == (uint32_t)cases[i].op ? cases[i].how : HONEST;
	uint64_t region[3] = { cases[i].v, cases[i].v, m->w[2] };

	if (how == HANG_UP)
		return false;
	if (how == ANSWER)
		t_peer_reply_u64(sock, m->request, cases[i].v);
	else if (how == INFLIGHT)
		t_peer_send(sock, m->request, T_PEER_REPLY, region, 24, &file, 1);
	else if (m->request == VHK_CTL_GET_CONFIG)
		answer_config(sock, m, how == CAPACITY ? cases[i].v : 2048);
	else
		t_peer_answer(sock, m, FEATURES, PROTOCOL, file);
	return true;
}

static void serve(int sock, unsigned int i, int file)
{
	struct t_peer_msg m;
	bool go_on = true;

	while (go_on && t_readable(sock, DEADLINE_MS) && t_peer_recv(sock, &m)) {
		go_on = answer(sock, &m, i, file);
		t_peer_close_fds(&m);
	}
	close(sock);
}

static void run(unsigned int i, const char *const *args, const char *want)
{
	int fd[2], file = memfd_create("inflight", MFD_CLOEXEC);
	struct t_prog p;

	T_MUST(file >= 0 && !ftruncate(file, 4096));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	t_prog_start_fd(&p, "vhk", args, fd[0], NULL);
	close(fd[0]);
	serve(fd[1], i, file);
	close(file);
	T_EQ(t_prog_end(&p, DEADLINE_MS), want ? 1 : 0);
	T_EQ(t_lines(p.text[2]), want ? 1 : 0);
	if (want && !strstr(p.text[2], want))
		T_STR(p.text[2], want);
	if (!want && cases[i].how == CAPACITY)
		T_OK(strstr(p.text[1], "(more than a disk can have)"));
}

static void is_named(void)
{
	static const char *const show[] = { "ctl", "show", "--device", "blk", "fd:3", NULL };
	static const char *const copy[] = { "blk", "read", "fd:3", "/dev/null", NULL };
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(i, show, cases[i].show);
		run(i, copy, cases[i].read);
	}
}

int main(void)
{
	T_RUN(is_named);
	return t_end();
}
