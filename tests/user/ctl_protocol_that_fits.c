// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Protocol features that mean nothing without others, offered or asked for without them: set-up
 * leaves them out, says so, and goes on.
 */
#include "t_peer_lives.h"
#include "t_said_line.h"

#define BASE ((uint64_t)VHK_PF_REPLY_ACK | VHK_PF_MQ)
#define SUSPEND (VHK_PF_GET_VRING_BASE_INFLIGHT | VHK_PF_GET_VRING_BASE_SKIP_DRAIN)

static const struct {
	uint64_t offer, also, without, left; /* beside BASE */
	const char *said;
} cases[] = {
	{ VHK_PF_BACKEND_SEND_FD, ~0ull, 0, 0, "BACKEND_SEND_FD without BACKEND_REQ" },
	{ VHK_PF_HOST_NOTIFIER | VHK_PF_BACKEND_REQ, ~0ull, 0, VHK_PF_BACKEND_REQ,
	  "HOST_NOTIFIER without BACKEND_REQ and BACKEND_SEND_FD" },
	/* one falls with the other */
	{ VHK_PF_HOST_NOTIFIER | VHK_PF_BACKEND_SEND_FD | VHK_PF_SHMEM, ~0ull, 0, 0,
	  "SHMEM without BACKEND_REQ and BACKEND_SEND_FD" },
	{ VHK_PF_INBAND_NOTIFICATIONS, ~0ull, 0, 0,
	  "INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK" },
	/* the caller's own doing */
	{ VHK_PF_BACKEND_REQ | VHK_PF_BACKEND_SEND_FD, ~0ull, VHK_PF_BACKEND_REQ, 0,
	  "BACKEND_SEND_FD without BACKEND_REQ" },
	{ VHK_PF_BACKEND_REQ | VHK_PF_BACKEND_SEND_FD | VHK_PF_HOST_NOTIFIER, ~0ull, 0,
	  VHK_PF_BACKEND_REQ | VHK_PF_BACKEND_SEND_FD | VHK_PF_HOST_NOTIFIER, NULL },
	{ SUSPEND, ~0ull, 0, 0, NULL },
	{ SUSPEND | VHK_PF_INFLIGHT_SHMFD, 0, 0, SUSPEND | VHK_PF_INFLIGHT_SHMFD, NULL },
};

static void one_case(size_t i)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 20000,
					.log = t_said_log(), .also = cases[i].also,
					.without = cases[i].without };
	const struct t_life life = { VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES,
				     BASE | cases[i].offer, 2, 509 };
	struct vhk_mem *m;
	struct t_lives l;
	struct vhk_ctl *c;

	t_lives_start(&l, &life, 1);
	T_MUST(!vhk_mem_new(&m) && !vhk_ctl_open(&c, l.uri, &o));
	T_EQ(vhk_ctl_setup(c, VHK_F_VERSION_1, VHK_F_VERSION_1, m), 0);
	T_EQ(vhk_ctl_protocol_features(c), BASE | cases[i].left);
	if (cases[i].said)
		T_SAID(cases[i].said);
	else
		T_OK(!strstr(t_lines, "left out"));
	t_lines[0] = 0;
	vhk_ctl_close(c);
	t_lives_end(&l);
	T_EQ(l.protocol_set, BASE | cases[i].left);
	vhk_mem_free(m);
}

static void leaves_out_what_does_not_fit(void)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_case(i);
}

int main(void)
{
	T_RUN(leaves_out_what_does_not_fit);
	return t_end();
}
