// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The tool `vhk` with a disk that goes wrong once it has a request, or before: how it ends says
 * what went wrong, and comes at once, long before its time is up.
 */
#include "base.h"
#include "t_peer.h"
#include "t_prog.h"

#define MS 30000
#define PF (VHK_PF_REPLY_ACK | VHK_PF_CONFIG)
#define FEATURES (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES)
#define SECTORS 2048

enum wrong {
	GIVES_THE_RING_UP,
	TALKS_NONSENSE,
	HANGS_UP,
	ANSWERS_TWICE, /* its first question */
};

static const char *const reasons[] = {
	[GIVES_THE_RING_UP] = "the ring is broken (queue 0: the back end gave the ring up)\n",
	[TALKS_NONSENSE] = "the back end broke the protocol (back end lost: what it sent is no",
	[HANGS_UP] = "fd:3: the back end is gone\n",
	[ANSWERS_TWICE] = "the back end broke the protocol (back end lost: it answered what was",
};

struct disk {
	struct t_prog prog;
	int sock, kick, err;
	enum wrong wrong;
};

/* Both at once, so that nothing is asked between them. */
static void answer_twice(struct disk *d, const struct t_peer_msg *m)
{
	const uint32_t one[5] = { m->request, T_PEER_REPLY, 8, (uint32_t)FEATURES,
				  (uint32_t)(FEATURES >> 32) };
	uint32_t both[10];

	memcpy(both, one, sizeof(one));
	memcpy(both + 5, one, sizeof(one));
	T_MUST(send(d->sock, both, sizeof(both), MSG_NOSIGNAL) == sizeof(both));
}

static void answer_config(struct disk *d, struct t_peer_msg *m)
{
	const uint64_t sectors = SECTORS;

	memcpy(m->bytes + 12, &sectors, sizeof(sectors));
	t_peer_send(d->sock, m->request, T_PEER_REPLY, m->bytes, m->size, NULL, 0);
}

static void keep(int *to, struct t_peer_msg *m)
{
	if (*to >= 0)
		close(*to);
	T_MUST(m->n_fds == 1);
	*to = m->fd[0];
	m->n_fds = 0;
}

static void answer(struct disk *d)
{
	struct t_peer_msg m;

	if (!t_peer_recv(d->sock, &m))
		return;
	if (m.request == VHK_CTL_SET_VRING_KICK)
		keep(&d->kick, &m);
	if (m.request == VHK_CTL_SET_VRING_ERR)
		keep(&d->err, &m);
	t_peer_close_fds(&m);
	if (d->wrong == ANSWERS_TWICE && m.request == VHK_CTL_GET_FEATURES)
		answer_twice(d, &m);
	else if (m.request == VHK_CTL_GET_CONFIG)
		answer_config(d, &m);
	else
		t_peer_answer(d->sock, &m, FEATURES, PF, -1);
}

static void go_wrong(struct disk *d)
{
	static const char nonsense[50] = "GET / HTTP/1.1\r\n";
	const uint64_t one = 1;

	switch (d->wrong) {
	case GIVES_THE_RING_UP:
		T_MUST(write(d->err, &one, sizeof(one)) == sizeof(one));
		break;
	case TALKS_NONSENSE:
		T_MUST(send(d->sock, nonsense, sizeof(nonsense), MSG_NOSIGNAL) > 0);
		break;
	default:
		T_MUST(!shutdown(d->sock, SHUT_RDWR));
	}
}

/* Until the tool has ended, or its first request was met. */
static void serve(struct disk *d)
{
	struct pollfd p[3] = { { .events = POLLIN }, { .events = POLLIN }, { .events = POLLIN } };

	for (;;) {
		p[0].fd = d->prog.pidfd;
		p[1].fd = d->sock;
		p[2].fd = d->kick;
		T_MUST(poll(p, 3, MS) > 0);
		if (p[2].revents)
			break;
		if (p[0].revents)
			return;
		answer(d);
	}
	go_wrong(d);
}

static void run(enum wrong wrong, const char *const *args)
{
	struct disk d = { .kick = -1, .err = -1, .wrong = wrong };
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	d.sock = fd[0];
	t_prog_start_fd(&d.prog, "vhk", args, fd[1], NULL);
	close(fd[1]);
	serve(&d);
	T_EQ(t_prog_end(&d.prog, MS), 1);
	T_EQ(t_lines(d.prog.text[2]), 1);
	if (!strstr(d.prog.text[2], reasons[wrong]))
		T_STR(d.prog.text[2], reasons[wrong]);
	close(d.sock);
	if (d.kick >= 0)
		close(d.kick);
	if (d.err >= 0)
		close(d.err);
}

static const char *const commands[][T_ARGS] = {
	{ "blk", "read", "-q", "-t", "600", "--length", "4k", "fd:3", "/dev/null" },
	{ "blk", "write", "-q", "-t", "600", "--length", "4k", "fd:3", "/dev/zero" },
	{ "blk", "copy", "-q", "-t", "600", "--length", "4k", "fd:3", "/dev/null" },
	{ "blk", "bench", "-t", "600", "--count", "10", "fd:3" },
	{ "blk", "bench", "-t", "600", "--count", "10", "--poll", "fd:3" },
};

static void run_all(enum wrong wrong)
{
	unsigned int i;

	for (i = 0; i < vhk_array_size(commands); i++)
		run(wrong, commands[i]);
}

static void one_that_gives_its_ring_up(void)
{
	run_all(GIVES_THE_RING_UP);
}

static void one_that_talks_nonsense(void)
{
	run_all(TALKS_NONSENSE);
}

static void one_that_hangs_up(void)
{
	run_all(HANGS_UP);
}

static void one_that_answers_what_was_not_asked(void)
{
	static const char *const show[T_ARGS] = { "ctl", "show", "-t", "600", "fd:3" };

	run(ANSWERS_TWICE, show);
	run_all(ANSWERS_TWICE);
}

int main(void)
{
	T_RUN(one_that_gives_its_ring_up);
	T_RUN(one_that_talks_nonsense);
	T_RUN(one_that_hangs_up);
	T_RUN(one_that_answers_what_was_not_asked);
	return t_end();
}
