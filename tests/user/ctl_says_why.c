// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the log says of a back end that misbehaves: what was wrong, by name, and not without end.
 */
#include "t_peer.h"

#define PF (VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_CONFIG)

static struct vhk_ctl *c;
static int sock, channel;
static unsigned int n_lines;
static char first[512], last[512];

static void take_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	T_EQ(level, VHK_LOG_WARN);
	snprintf(n_lines++ ? last : first, sizeof(last), "%s", text);
}

static void begin(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o),
					.log = { take_line, NULL, VHK_LOG_WARN } };
	struct t_peer_msg m;

	sock = t_peer_open(&c, &o);
	t_peer_negotiate(c, sock, VHK_F_VERSION_1, PF);
	t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, 0);
	T_MUST(!vhk_ctl_set_backend_req_fd(c));
	T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
	channel = m.fd[0];
	n_lines = 0;
	*first = *last = 0;
}

static void end(void)
{
	vhk_ctl_close(c);
	if (channel >= 0)
		close(channel);
	close(sock);
}

static void check(const char *want)
{
	if (strcmp(first, want))
		printf("# \"%s\", not \"%s\"\n", first, want);
	T_OK(!strcmp(first, want));
	T_EQ(n_lines, 1);
}

static void refused_requests(void)
{
	static const unsigned char zero[64];
	static const struct {
		uint32_t request, size;
		const char *want;
	} cases[] = {
		{ 2, 8, "back end's BACKEND_CONFIG_CHANGE_MSG refused: too long" },
		{ 4711, 0, "back end's request 4711 refused: unknown" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		t_peer_send(channel, cases[i].request, T_PEER_ASK, zero, cases[i].size, NULL, 0);
		T_EQ(vhk_ctl_process(c), 0);
		check(cases[i].want);
		end();
	}
}

/* 32 at once, and then it is counted. */
static void not_without_end(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 500; i++) {
		t_peer_send(channel, 4711, T_PEER_ASK, NULL, 0, NULL, 0);
		T_EQ(vhk_ctl_process(c), 0);
	}
	T_OK(n_lines >= 32 && n_lines < 100);
	end();
}

enum misuse { HUNG_UP, HALF, NO_MESSAGE, ANSWERED, UNREAD };

static void misuse(enum misuse what)
{
	const uint32_t half[2] = { 2, T_PEER_ASK };
	int i;

	if (what == HALF)
		T_MUST(send(channel, half, sizeof(half), 0) == sizeof(half));
	if (what == HALF || what == HUNG_UP) {
		close(channel);
		channel = -1;
	}
	if (what == NO_MESSAGE)
		t_peer_send(channel, 2, 0, NULL, 0, NULL, 0);
	if (what == ANSWERED)
		t_peer_reply_u64(channel, 2, 0);
	for (i = 0; what == UNREAD && i < 10000 && !n_lines; i++) {
		t_peer_send(channel, 2, T_PEER_ASK_ACK, NULL, 0, NULL, 0);
		T_EQ(vhk_ctl_process(c), 0);
	}
	T_EQ(vhk_ctl_process(c), 0);
}

static void why_the_channel_ended(void)
{
	static const char *const want[] = {
		[HUNG_UP] = "back-end channel closed: it hung up",
		[HALF] = "back-end channel closed: it hung up in the middle of a message",
		[NO_MESSAGE] = "back-end channel closed: what it sent is no message",
		[ANSWERED] = "back-end channel closed: it answered what was not asked",
		[UNREAD] = "back-end channel closed: it does not read its answers",
	};
	enum misuse what;

	for (what = HUNG_UP; what <= UNREAD; what++) {
		begin();
		misuse(what);
		check(want[what]);
		end();
	}
}

static void why_the_back_end_is_lost(void)
{
	static const uint32_t half[2] = { 1, T_PEER_REPLY };
	unsigned char config[8];
	uint64_t v;

	begin();
	T_MUST(send(sock, half, sizeof(half), 0) == sizeof(half) && !shutdown(sock, SHUT_WR));
	T_EQ(vhk_ctl_get_features(c, &v), -ENOTCONN);
	check("back end lost: it hung up in the middle of a message");
	end();
	begin();
	v = 8ull << 32;
	t_peer_send(sock, VHK_CTL_GET_CONFIG, T_PEER_REPLY, &v, 4, NULL, 0);
	T_EQ(vhk_ctl_get_config(c, 0, config, 8), -EPROTO);
	check("back end lost: GET_CONFIG: a reply of the wrong size");
	end();
	begin();
	t_peer_send(sock, VHK_CTL_GET_CONFIG, T_PEER_REPLY, (uint32_t[4]){ 0, 8 }, 16, NULL, 0);
	T_EQ(vhk_ctl_get_config(c, 0, config, 8), -EPROTO);
	check("back end lost: GET_CONFIG: the answer does not fit the question");
	end();
}

int main(void)
{
	T_RUN(refused_requests);
	T_RUN(not_without_end);
	T_RUN(why_the_channel_ended);
	T_RUN(why_the_back_end_is_lost);
	return t_end();
}
