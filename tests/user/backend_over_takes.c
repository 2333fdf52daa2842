// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end that takes over from an old process which is hostile: each message harmed in each way.
 */
#include "t_over.h"

/* What is done to one message. */
enum harm {
	CUT_ALL, CUT_ONE, LONGER, NO_FDS, MORE_FDS, OTHER_FDS, TWICE, LEFT_OUT, LATER, FLAGS,
	FIRST_BYTE, LAST_BYTE, ALL_ONES, ZEROS, AS_REPLY, HANG_UP, HALF, HARMS,
};

static void play_bytes(int sock, const struct vhk_msg *m, size_t len)
{
	unsigned char bytes[sizeof(struct vhk_msg_hdr) + VHK_MSG_PAYLOAD_MAX];

	memcpy(bytes, &m->hdr, sizeof(m->hdr));
	memcpy(bytes + sizeof(m->hdr), m->bytes, m->hdr.size);
	t_send_bytes(sock, bytes, vhk_min(len, sizeof(m->hdr) + m->hdr.size), m->fd, m->n_fds);
}

/* True while it makes sense to go on. */
static bool play_harmed(int sock, const struct script *s, unsigned int i, enum harm h, int other)
{
	struct vhk_msg m = s->m[i];
	unsigned int k;

	switch (h) {
	case CUT_ALL:
		m.hdr.size = 0;
		break;
	case CUT_ONE:
		m.hdr.size -= m.hdr.size > 0;
		break;
	case LONGER:
		m.hdr.size = vhk_min(m.hdr.size + 8, VHK_MSG_PAYLOAD_MAX);
		break;
	case NO_FDS:
		m.n_fds = 0;
		break;
	case MORE_FDS:
		m.fd[m.n_fds++] = other;
		break;
	case OTHER_FDS:
		for (k = 0; k < m.n_fds; k++)
			m.fd[k] = other;
		break;
	case TWICE:
		play_bytes(sock, &m, SIZE_MAX);
		break;
	case LEFT_OUT:
		return true;
	case LATER:
		if (i + 1 < s->n)
			play_bytes(sock, &s->m[i + 1], SIZE_MAX);
		break;
	case FLAGS:
		m.hdr.flags ^= 0xf0;
		break;
	case FIRST_BYTE:
		m.bytes[0] ^= 0xff;
		break;
	case LAST_BYTE:
		m.bytes[m.hdr.size ? m.hdr.size - 1 : 0] ^= 0xff;
		break;
	case ALL_ONES:
		memset(m.bytes, 0xff, m.hdr.size);
		break;
	case ZEROS:
		memset(m.bytes, 0, m.hdr.size);
		break;
	case AS_REPLY:
		m.hdr.flags |= VHK_MSG_REPLY;
		break;
	case HANG_UP:
		return false;
	case HALF:
		play_bytes(sock, &m, sizeof(m.hdr) + m.hdr.size / 2);
		return false;
	case HARMS:
		break;
	}
	play_bytes(sock, &m, SIZE_MAX);
	return true;
}

/* Answers to READY and COMMIT, until the taker has none: whether it took the session. */
static bool took_it(int sock)
{
	struct vhk_msg m;
	bool took = false;

	while (t_wait_readable(&u, sock)) {
		if (!t_recv_from(&u, sock, &m))
			break;
		if (m.hdr.request == VHK_OVER_COMMIT && !m.u64)
			took = true;
		vhk_msg_fini(&m);
		if (took)
			break;
	}
	return took;
}

static unsigned int n_taken, n_refused;

static void play(const struct script *s, unsigned int at, enum harm h, int listener, int other)
{
	bool goes_on = true, took;
	unsigned int i;
	int sock;

	/* the socket's file went with its server */
	T_MUST(!begin_heir_at(&heir, NULL, VHK_F_RING_ALL));
	sock = vhk_sock_accept(listener);
	T_MUST(sock >= 0);
	fcntl(sock, F_SETFL, 0);
	for (i = 0; i < s->n && goes_on; i++) {
		if (i == at)
			goes_on = play_harmed(sock, s, i, h, other);
		else if (h != LATER || i != at + 1)
			play_bytes(sock, &s->m[i], SIZE_MAX);
	}
	/* nothing more comes: it ends here, or has the session */
	shutdown(sock, SHUT_WR);
	took = took_it(sock);
	T_UNTIL(&u, heir.n_done);
	T_EQ(heir.n_done, 1);
	T_EQ(!heir.ret, took);
	T_EQ(heir.n_up, took);
	if (took)
		n_taken++;
	else
		n_refused++;
	close(sock);
	close_heir();
}

/* Every message, harmed in every way: it is refused, or means nothing, and no fd is left. */
static void old_processes_that_talk_nonsense(void)
{
	struct script s;
	struct extras x;
	unsigned int i, fds;
	int listener, other, h;

	open_old(T_PACKED);
	add_extras(&x);
	record(&s);
	vhk_backend_close(u.be);
	u.be = NULL;
	listener = vhk_sock_listen(over);
	other = memfd_create("other", MFD_CLOEXEC);
	T_MUST(listener >= 0 && other >= 0);
	fds = (unsigned int)t_count_fds();
	/* as it is, it is accepted */
	play(&s, s.n, HARMS, listener, other);
	T_EQ(n_taken, 1);
	for (i = 0; i < s.n && !t_bad; i++)
		for (h = 0; h < HARMS && !t_bad; h++) {
			play(&s, i, (enum harm)h, listener, other);
			if (t_bad)
				printf("# message %u (0x%x), harm %d\n", i, s.m[i].hdr.request, h);
			T_EQ(t_count_fds(), fds);
		}
	printf("# %u messages, harmed %u times: %u refused\n", s.n, n_taken + n_refused - 1,
	       n_refused);
	T_OK(n_refused > (n_taken + n_refused) / 2);
	script_fini(&s);
	close(listener);
	unlink(over);
	close(other);
	close_extras(&x);
	close_old();
}

/* Either loop's turn, until @cond. */
#define UNTIL_BOTH(cond)                                                                           \
	do {                                                                                       \
		uint64_t end_ = t_now_ns() + T_DEADLINE_MS * 1000000ull;                           \
		while (!(cond) && t_now_ns() < end_) {                                             \
			vhk_loop_step(heir_loop, 0);                                               \
			vhk_loop_step(u.loop, 1000000);                                            \
		}                                                                                  \
		T_OK(cond);                                                                        \
	} while (0)

/* It is gone when all is here and rings are being enabled. Nobody knows then that it ended well,
 * and nothing of the connection may be left behind in the loop. */
static void an_old_process_that_dies_at_the_end(void)
{
	struct script s;
	struct vhk_msg m;
	int sock, listener;
	unsigned int i;

	open_old(T_SPLIT);
	record(&s);
	vhk_backend_close(u.be);
	u.be = NULL;
	listener = vhk_sock_listen(over);
	T_MUST(listener >= 0 && !vhk_loop_new(&heir_loop, NULL));
	T_MUST(!begin_heir_at(&heir, NULL, VHK_F_RING_ALL));
	sock = vhk_sock_accept(listener);
	T_MUST(sock >= 0 && !fcntl(sock, F_SETFL, 0));
	for (i = 0; i < s.n - 1; i++) {
		play_bytes(sock, &s.m[i], SIZE_MAX);
		if (s.m[i].hdr.request != VHK_OVER_READY)
			continue;
		UNTIL_BOTH(t_readable(sock, 0));
		T_MUST(t_recv_from(&u, sock, &m));
		/* those of rings are answered, too */
		while (m.hdr.request != VHK_OVER_READY)
			T_MUST(t_recv_from(&u, sock, &m));
		T_EQ(m.u64, 0);
	}
	play_bytes(sock, &s.m[s.n - 1], SIZE_MAX);
	T_UNTIL(&u, heir.be->s.state == VHK_SESSION_WAITING);
	close(sock);
	t_settle(&u);
	T_EQ(heir.n_done, 0);
	UNTIL_BOTH(heir.n_done);
	T_OK(heir.ret < 0);
	T_EQ(heir.n_up, 0);
	close_heir();
	/* the connection, of which there is a copy here, hangs up */
	t_user_hang_up(&u);
	t_settle(&u);
	script_fini(&s);
	vhk_loop_free(heir_loop);
	heir_loop = NULL;
	close(listener);
	unlink(over);
	close_old();
}

int main(void)
{
	T_RUN_ON_BOTH(an_old_process_that_dies_at_the_end);
	T_RUN(old_processes_that_talk_nonsense);
	return t_end();
}
