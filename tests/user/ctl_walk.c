// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end's requests in random order, to a back end that answers each as it likes: well, with a
 * refusal, with nonsense, late, with half a message, not at all, or by hanging up. Every request
 * ends with the code for what happened, the connection lives where it should, and where it does not
 * the next back end finds the front end as good as new. Open fds are the same in the end.
 *
 * VHK_WALK says how many requests (4,000), VHK_SEED makes a walk repeatable.
 */
#include "t_walk_peer.h"

#define STEPS 4000ul

static unsigned int n_asked[N_PLANS];
static bool whole; /* the walk is long enough for every message */
/* Ends of each request: with 0, and with a refusal of the back end's. */
static unsigned int n_ok[VHK_CTL_OP_MAX + 1], n_refused[VHK_CTL_OP_MAX + 1];

/* The code with which each plan ends a request; 0 for both of them: either one. */
static bool fits(enum plan plan, int ret)
{
	switch (plan) {
	case WELL:
		return !ret;
	case REFUSE:
		return ret == -EREMOTEIO;
	case OTHER_REQUEST:
	case OTHER_SIZE:
	case NO_REPLY_FLAG:
	case FDS_TOO_MANY:
		return ret == -EPROTO;
	case SILENT:
	case LATE:
	case HALF_AND_SILENT:
		return ret == -ETIMEDOUT;
	case GONE:
		return ret == -ENOTCONN;
	default:
		return ret == -ENOTCONN || ret == -EPROTO;
	}
}

static void done(struct vhk_ctl_req *r)
{
	*(bool *)r->arg = true;
}

static int ask(struct vhk_ctl_req *r)
{
	struct pollfd p = { .fd = vhk_ctl_fd(ctl), .events = POLLIN };
	uint64_t end = t_now_ns() + 30000000000u;
	bool over = false;
	int ret;

	r->done = done;
	r->arg = &over;
	ret = vhk_ctl_submit(ctl, r);
	if (ret)
		return ret;
	while (!over && t_now_ns() < end) {
		poll(&p, 1, 1000);
		vhk_ctl_process(ctl);
	}
	T_MUST(over);
	return r->ret;
}

static bool connection_is_lost(enum plan plan, int ret)
{
	return ret == -ENOTCONN || ret == -EPROTO || plan == HALF_AND_SILENT;
}

/* Silence takes its time. */
static enum plan some_plan(void)
{
	const unsigned int n = below(24);

	if (n < 3)
		return (enum plan)below(N_PLANS);
	return n < 9 ? REFUSE : n < 12 ? (enum plan)(OTHER_REQUEST + below(4)) : WELL;
}

static void step(void)
{
	/* What was never answered: the next answer to that message is taken for the missing one. */
	static uint64_t owed;
	enum plan plan = some_plan();
	struct vhk_ctl_req r;
	int ret;

	do
		make_request(&r);
	while (owed >> r.op & 1);
	/* nobody specifies what is in this answer */
	if (r.op == VHK_CTL_SET_LOG_BASE && plan == OTHER_SIZE)
		plan = WELL;
	if (plan == SILENT || plan == LATE || plan == HALF_AND_SILENT)
		r.timeout_ms = SILENCE_MS;
	__atomic_store_n(&peer.plan, plan, __ATOMIC_RELEASE);
	ret = ask(&r);
	n_asked[plan]++;
	if (plan == SILENT)
		owed |= 1ull << r.op;
	else if (plan != LATE)
		owed = 0;
	n_ok[r.op] += !ret;
	n_refused[r.op] += ret == -EREMOTEIO;
	r.ret = ret;
	drop_answer(&r);
	if (!fits(plan, ret)) {
		printf("# %s, plan %d: %s\n", vhk_ctl_op_name(r.op), plan, strerror(-ret));
		T_OK(!"the code fits");
	}
	if (!connection_is_lost(plan, ret))
		return;
	__atomic_store_n(&peer.plan, WELL, __ATOMIC_RELEASE);
	if (plan != HALF_AND_SILENT) {
		make_request(&r);
		T_EQ(ask(&r), -ENOTCONN);
	}
	T_EQ(vhk_ctl_reconnect(ctl), 0);
}

static void walk(uint64_t features, uint64_t protocol)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .flags = VHK_CTL_F_WAIT,
					.timeout_ms = 20000, .also = ALSO };
	const char *steps_env = getenv("VHK_WALK"), *seed_env = getenv("VHK_SEED");
	unsigned long left = (steps_env ? strtoul(steps_env, NULL, 0) : STEPS) / 2;
	char path[80], uri[100];
	unsigned int i;
	int fds;

	seed = seed_env ? (unsigned int)strtoul(seed_env, NULL, 0) : (unsigned int)t_now_ns();
	printf("# VHK_SEED=%u\n", seed);
	whole = left >= STEPS / 2;
	memset(n_asked, 0, sizeof(n_asked));
	peer_init();
	snprintf(path, sizeof(path), "%s/peer-%" PRIx64, t_dir(), protocol);
	snprintf(uri, sizeof(uri), "unix:%s", path);
	fds = t_count_fds();
	peer.features = features;
	peer.protocol = protocol;
	peer_start(path);
	T_MUST(!vhk_ctl_open(&ctl, uri, &o));
	T_MUST(!vhk_ctl_setup(ctl, features, 0, mem));
	while (left-- && !t_bad)
		step();
	vhk_ctl_close(ctl);
	peer_stop();
	T_EQ(t_count_fds(), fds);
	for (i = 0; i < N_PLANS; i++)
		printf("# plan %u: %u\n", i, n_asked[i]);
	peer_fini();
}

static void with_slots(void)
{
	walk(FEATURES, WITH_SLOTS);
}

static void with_postcopy_and_iommu(void)
{
	walk(FEATURES | VHK_F_ACCESS_PLATFORM, PROTOCOL);
}

/* Once for each connection: ctl_walk_orders. Kicks as messages: inband_both_ends. */
static bool is_elsewhere(unsigned int op)
{
	return op == VHK_CTL_SET_PROTOCOL_FEATURES || op == VHK_CTL_SET_OWNER ||
	       op == VHK_CTL_VRING_KICK;
}

static void every_message(void)
{
	unsigned int i;

	if (!whole)
		T_SKIP("the walk was a short one");
	for (i = 1; i <= VHK_CTL_OP_MAX; i++) {
		if (is_elsewhere(i) || (n_ok[i] && n_refused[i]))
			continue;
		printf("# %s: %u ok, %u refused\n", vhk_ctl_op_name(i), n_ok[i], n_refused[i]);
		T_OK(!"walked");
	}
}

int main(void)
{
	T_RUN(with_slots);
	T_RUN(with_postcopy_and_iommu);
	T_RUN(every_message);
	return t_end();
}
