// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Several requests of one kind under way that set features: which of them count when some are
 * accepted, some refused and some not answered in time.
 */
#include <vhostkit/ctl.h>

#include "t_peer.h"

#define N 3
#define F_BASE (VHK_F_PROTOCOL_FEATURES | VHK_F_VERSION_1)
#define PF_BASE (uint64_t)VHK_PF_REPLY_ACK

/*
 * What happens, one letter each: accepts, refuses or times out the oldest one that was neither;
 * "a" and "r" are answers to the oldest that has timed out, which come late.
 */
static const struct {
	const char *what;
	unsigned int want; /* of requests 1 to 3, or 0: what was before */
} cases[] = {
	{ "AAA", 3 },  { "RAA", 3 },  { "ARA", 3 },  { "AAR", 2 },  { "RAR", 2 },  { "ARR", 1 },
	{ "RRR", 0 },  { "TaAA", 3 }, { "TrAA", 3 }, { "TaAR", 2 }, { "TrAR", 2 }, { "TrRR", 0 },
	{ "RA", 3 },   { "R", 3 },    { "RR", 3 },   { "TTTrrr", 0 },
};

static uint64_t value_of(enum vhk_ctl_op op, unsigned int i)
{
	if (op == VHK_CTL_SET_FEATURES)
		return F_BASE | (i ? 1u << i : 0);
	return PF_BASE | (i == 1 ? VHK_PF_MQ : i == 2 ? VHK_PF_CONFIG : i ? VHK_PF_STATUS : 0);
}

static void one_step(struct vhk_ctl *c, int sock, enum vhk_ctl_op op, struct vhk_ctl_req *r,
		     char what)
{
	unsigned int i = 0;

	while (i < N && r[i].ret != 1)
		i++;
	if (what != 'T') {
		t_peer_reply_u64(sock, op, what == 'R' || what == 'r');
		T_EQ(vhk_ctl_process(c), 0);
		return;
	}
	/* Several may have timed out at once. */
	if (i == N)
		return;
	while (r[i].ret == 1 && t_readable(vhk_ctl_fd(c), 5000))
		T_EQ(vhk_ctl_process(c), 0);
	T_EQ(r[i].ret, -ETIMEDOUT);
}

static void one_case(enum vhk_ctl_op op, const char *what, unsigned int want)
{
	static const struct vhk_ctl_opts opts = { .sz = sizeof(opts), .timeout_ms = 5000 };
	struct vhk_ctl_req r[N];
	struct vhk_ctl *c;
	int sock = t_peer_open(&c, &opts);
	unsigned int i, late = 0;

	t_peer_negotiate(c, sock, F_BASE | 0xe,
			 PF_BASE | VHK_PF_MQ | VHK_PF_CONFIG | VHK_PF_STATUS);
	t_peer_reply_u64(sock, op, 0);
	T_EQ(op == VHK_CTL_SET_FEATURES ? vhk_ctl_set_features(c, value_of(op, 0))
					: vhk_ctl_set_protocol_features(c, value_of(op, 0)), 0);
	while (what[late] == 'T')
		late++;
	for (i = 0; i < N; i++) {
		r[i] = (struct vhk_ctl_req){ .op = op, .fd = -1, .u64 = value_of(op, i + 1) };
		r[i].ret = 1;
		r[i].timeout_ms = i < late ? 10 : 0;
		T_EQ(vhk_ctl_submit(c, &r[i]), 0);
	}
	for (i = 0; what[i]; i++)
		one_step(c, sock, op, r, what[i]);
	T_EQ(op == VHK_CTL_SET_FEATURES ? vhk_ctl_features(c) : vhk_ctl_protocol_features(c),
	     value_of(op, want));
	vhk_ctl_close(c);
	close(sock);
}

static void last_accepted_counts(void)
{
	static const enum vhk_ctl_op ops[] = { VHK_CTL_SET_FEATURES,
					       VHK_CTL_SET_PROTOCOL_FEATURES };
	unsigned int i, k;
	int bad;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			bad = t_bad;
			one_case(ops[k], cases[i].what, cases[i].want);
			if (t_bad != bad)
				printf("# op %u, %s\n", ops[k], cases[i].what);
		}
	}
}

int main(void)
{
	T_RUN(last_accepted_counts);
	return t_end();
}
