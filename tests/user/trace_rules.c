// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Which rule a message breaks: a conversation that breaks none, then from there one step at a time
 * that does; replies against requests; what a refusal takes back.
 */
#include "base.h"
#include "t.h"
#include "trace_rules.h"

#define ALL_FEATURES (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES | VHK_F_ACCESS_PLATFORM)
#define NEED 8
#define LO(a, b) ((uint64_t)(uint32_t)(b) << 32 | (uint32_t)(a))

enum who { FRONT, BACK, FRONT_BACK_CHANNEL, BACK_BACK_CHANNEL };

/* Every protocol feature but those of network devices, whose rings are counted otherwise. */
#define PROTOCOL                                                                                   \
	(((2ull << VHK_USER_PF_MAX) - 1) &                                                         \
	 ~(VHK_USER_PF(RARP) | VHK_USER_PF(MTU) | VHK_USER_PF(XEN_MMAP)))

struct step {
	enum who who;
	uint32_t request, flags, size;
	uint64_t w[5];
	enum vhk_trace_fd_kind fd;
	unsigned int n_fds;
};

static struct vhk_rules rules;
static uint64_t now;

static void say_step(const struct step *s, struct vhk_verdict *v)
{
	static const struct vhk_trace_fd none[VHK_TRACE_FDS_MAX];
	struct vhk_trace_fd fd[VHK_TRACE_FDS_MAX] = { { s->fd, 0x10000 } };
	static struct vhk_msg m;
	struct vhk_seen seen = {
		.msg = &m,
		.fd = s->n_fds ? fd : none,
		.n_fds = s->n_fds,
		.from = s->who == FRONT || s->who == FRONT_BACK_CHANNEL ? VHK_TRACE_FRONT :
									  VHK_TRACE_BACK,
		.back_channel = s->who >= FRONT_BACK_CHANNEL,
		.when = now += 1000,
	};

	vhk_msg_init(&m, s->request, s->flags);
	m.hdr.size = s->size;
	memcpy(m.bytes, s->w, sizeof(s->w));
	m.n_fds = s->n_fds;
	vhk_rules_judge(&rules, &seen, v);
}

static const struct step hello[] = {
	{ FRONT, 1, 0, 0, { 0 }, 0, 0 },
	{ BACK, 1, 4, 8, { ALL_FEATURES }, 0, 0 },
	{ FRONT, 15, 0, 0, { 0 }, 0, 0 },
	{ BACK, 15, 4, 8, { PROTOCOL }, 0, 0 },
	{ FRONT, 16, 0, 8, { PROTOCOL }, 0, 0 },
	{ FRONT, 17, 0, 0, { 0 }, 0, 0 },
	{ BACK, 17, 4, 8, { 2 }, 0, 0 },
	{ FRONT, 3, NEED, 0, { 0 }, 0, 0 },
	{ BACK, 3, 4, 8, { 0 }, 0, 0 },
	{ FRONT, 2, 0, 8, { ALL_FEATURES }, 0, 0 },
	{ FRONT, 37, 0, 40, { 0, 0x1000, 0x8000, 0x1000, 0 }, VHK_TRACE_FD_MEMFD, 1 },
	{ FRONT, 8, 0, 8, { LO(0, 256) }, 0, 0 },
	{ FRONT, 10, 0, 8, { LO(0, 0) }, 0, 0 },
	{ FRONT, 9, 0, 40, { LO(0, 0), 0x1000, 0x2000, 0x3000, 0 }, 0, 0 },
	{ FRONT, 13, 0, 8, { 0 }, VHK_TRACE_FD_EVENTFD, 1 },
	{ FRONT, 12, 0, 8, { 0 }, VHK_TRACE_FD_EVENTFD, 1 },
	{ FRONT, 18, 0, 8, { LO(0, 1) }, 0, 0 },
};

static void begin(void)
{
	struct vhk_verdict v;
	size_t i;

	vhk_rules_init(&rules);
	now = 0;
	for (i = 0; i < vhk_array_size(hello); i++) {
		say_step(&hello[i], &v);
		if (v.n_wrong)
			printf("# step %zu: %s\n", i, v.wrong[0]);
		T_EQ(v.n_wrong, 0);
		T_EQ(v.answers, hello[i].who == BACK);
		T_EQ(v.refused, 0);
		if (v.answers)
			T_EQ(v.latency_ns, 1000);
	}
}

/* A step after the conversation above, and what is said of it; NULL: nothing. */
static const struct {
	struct step step;
	const char *wrong;
} cases[] = {
	/* order */
	{ { FRONT, 12, 0, 8, { 0 }, VHK_TRACE_FD_EVENTFD, 1 }, "starts a ring that runs" },
	{ { FRONT, 12, 0, 8, { 1 }, VHK_TRACE_FD_EVENTFD, 1 }, "starts a ring without a size" },
	{ { FRONT, 8, 0, 8, { LO(0, 128) }, 0, 0 }, "sizes a ring that runs" },
	{ { FRONT, 8, 0, 8, { LO(1, 128) }, 0, 0 }, NULL },
	{ { FRONT, 10, 0, 8, { LO(0, 1) }, 0, 0 }, "sets the position of a ring that runs" },
	{ { FRONT, 9, 0, 40, { LO(0, 0), 0x1000, 0x2000, 0x4000, 0 }, 0, 0 },
	  "moves a ring that runs" },
	{ { FRONT, 9, 0, 40, { LO(0, 1), 0x1000, 0x2000, 0x3000, 0x80 }, 0, 0 }, NULL },
	{ { FRONT, 2, 0, 8, { VHK_F_VERSION_1 }, 0, 0 }, "other features while rings run" },
	{ { FRONT, 3, 0, 0, { 0 }, 0, 0 }, "already owned" },
	{ { FRONT, 11, 0, 8, { LO(0, 0) }, 0, 0 }, NULL },
	/* contents */
	{ { FRONT, 2, 0, 8, { 1 }, 0, 0 }, "a feature that was not offered" },
	{ { FRONT, 8, 0, 8, { LO(2, 128) }, 0, 0 }, "no such ring" },
	{ { FRONT, 8, 0, 8, { LO(1, 100) }, 0, 0 }, "a split ring's size that is no power of two" },
	{ { FRONT, 9, 0, 40, { LO(1, 0), 0x1001, 0x2000, 0x3000, 0 }, 0, 0 },
	  "a ring part that is not aligned" },
	/* form */
	{ { FRONT, 8, 0, 7, { 0 }, 0, 0 }, "too short" },
	{ { FRONT, 8, 0, 9, { 0 }, 0, 0 }, "too long" },
	{ { FRONT, 8, 0, 5000, { 0 }, 0, 0 }, "too long" },
	{ { FRONT, 8, 0, 8, { LO(1, 128) }, VHK_TRACE_FD_EVENTFD, 1 }, "too many fds" },
	{ { FRONT, 37, 0, 40, { 0, 0x100000, 0x8000, 0x100000, 0 }, 0, 0 }, "too few fds" },
	{ { FRONT, 8, 0x10, 8, { LO(1, 128) }, 0, 0 }, "unknown flags" },
	{ { FRONT, 13, 0, 8, { 1 }, 0, 0 }, "bit 8 and the fd contradict each other" },
	{ { FRONT, 77, 0, 8, { 1 }, 0, 0 }, "unknown" },
	/* not negotiated */
	{ { FRONT, 19, 0, 8, { 1 }, 0, 0 }, "its protocol feature was not negotiated" },
	{ { FRONT, 16, 0, 8, { 1ull << 40 }, 0, 0 }, "a protocol feature that was not offered" },
	/* file descriptors */
	{ { FRONT, 13, 0, 8, { 1 }, VHK_TRACE_FD_MEMFD, 1 }, "an fd that cannot signal" },
	{ { FRONT, 13, 0, 8, { 1 }, VHK_TRACE_FD_PIPE, 1 }, NULL },
	{ { FRONT, 37, 0, 40, { 0, 0x100000, 0x8000, 0x100000, 0 }, VHK_TRACE_FD_PIPE, 1 },
	  "memory that cannot be mapped" },
	{ { FRONT, 37, 0, 40, { 0, 0x100000, 0x8000, 0x100000, 0x8001 }, VHK_TRACE_FD_MEMFD, 1 },
	  "memory beyond the end of its file" },
	{ { FRONT, 21, 0, 0, { 0 }, VHK_TRACE_FD_PIPE, 1 }, "an fd that is no socket" },
	{ { FRONT, 21, 0, 0, { 0 }, VHK_TRACE_FD_SOCKET, 1 }, NULL },
	/* replies and channels */
	{ { BACK, 1, 4, 8, { 0 }, 0, 0 }, "a reply that nothing asked for" },
	{ { BACK, 1, 0, 0, { 0 }, 0, 0 }, "a request from the side that answers" },
	{ { FRONT, 8, 4, 8, { 0 }, 0, 0 }, "a reply from the side that asks" },
	{ { FRONT_BACK_CHANNEL, 2, 0, 0, { 0 }, 0, 0 }, "a request from the side that answers" },
	{ { FRONT_BACK_CHANNEL, 2, 4, 8, { 0 }, 0, 0 }, "a reply that nothing asked for" },
	{ { BACK_BACK_CHANNEL, 2, 0, 0, { 0 }, 0, 0 }, NULL },
	{ { BACK_BACK_CHANNEL, 2, NEED, 0, { 0 }, 0, 0 }, NULL },
	{ { BACK_BACK_CHANNEL, 2, 0, 1, { 0 }, 0, 0 }, "too long" },
	{ { BACK_BACK_CHANNEL, 4, 0, 8, { LO(7, 0) }, 0, 0 }, "no such ring" },
	{ { BACK_BACK_CHANNEL, 11, 0, 8, { LO(7, 0) }, 0, 0 }, "unknown" },
};

static void each_broken_rule_is_told(void)
{
	struct vhk_verdict v;
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		begin();
		say_step(&cases[i].step, &v);
		T_EQ(v.n_wrong > 0, cases[i].wrong != NULL);
		if (v.n_wrong && cases[i].wrong)
			T_STR(v.wrong[0], cases[i].wrong);
		if ((v.n_wrong > 0) != (cases[i].wrong != NULL))
			printf("# case %zu: %s\n", i, v.n_wrong ? v.wrong[0] : "nothing");
	}
}

static void a_reply_is_asked_for_only_where_it_was_settled(void)
{
	static const struct step ask = { FRONT, 3, NEED, 0, { 0 }, 0, 0 };
	static const struct step ack = { BACK, 3, 4, 8, { 0 }, 0, 0 };
	const char *first;
	struct vhk_verdict v;

	vhk_rules_init(&rules);
	say_step(&ask, &v);
	T_EQ(v.n_wrong, 1);
	T_STR(v.wrong[0], "asks for a reply without REPLY_ACK");
	/* nobody knows whether it comes */
	T_EQ(vhk_rules_unanswered(&rules, &first), 0);
	say_step(&ack, &v);
	T_EQ(v.n_wrong, 0);
	T_OK(v.answers);
}

static void what_stays_unanswered_is_told_with_the_next_answer(void)
{
	static const struct step ask[] = { { FRONT, 1, 0, 0, { 0 }, 0, 0 },
					   { FRONT, 8, NEED, 8, { LO(1, 64) }, 0, 0 },
					   { FRONT, 15, 0, 0, { 0 }, 0, 0 } };
	static const struct step answer = { BACK, 15, 4, 8, { PROTOCOL }, 0, 0 };
	const char *first;
	struct vhk_verdict v;
	size_t i;

	begin();
	for (i = 0; i < 3; i++) {
		say_step(&ask[i], &v);
		T_EQ(v.n_wrong, 0);
	}
	T_EQ(vhk_rules_unanswered(&rules, &first), 3);
	T_STR(first, "GET_FEATURES");
	say_step(&answer, &v);
	T_EQ(v.n_wrong, 2);
	T_STR(v.wrong[0], "GET_FEATURES was not answered");
	T_STR(v.wrong[1], "SET_VRING_NUM was not answered");
	T_OK(v.answers);
	T_EQ(v.latency_ns, 1000);
	T_EQ(vhk_rules_unanswered(&rules, &first), 0);
	T_OK(!first);
}

/* As many as one likes may be under way, but not without end. */
static void unanswered_requests_are_bounded(void)
{
	static const struct step ask = { FRONT, 1, 0, 0, { 0 }, 0, 0 };
	const char *first;
	struct vhk_verdict v;
	unsigned int i;

	begin();
	for (i = 0; i < VHK_RULES_WAITING; i++) {
		say_step(&ask, &v);
		T_EQ(v.n_wrong, 0);
	}
	say_step(&ask, &v);
	T_EQ(v.n_wrong, 1);
	T_EQ(vhk_rules_unanswered(&rules, &first), VHK_RULES_WAITING);
}

static void replies_have_a_form(void)
{
	static const struct step ask = { FRONT, 24, 0, 16, { LO(0, 4), 0 }, 0, 0 };
	static const struct {
		struct step reply;
		const char *wrong;
		bool refused;
	} answers[] = {
		{ { BACK, 24, 4, 16, { LO(0, 4), 0 }, 0, 0 }, NULL, false },
		{ { BACK, 24, 4, 0, { 0 }, 0, 0 }, NULL, true },
		{ { BACK, 24, 4, 20, { LO(0, 8), 0 }, 0, 0 }, "not as long as what was asked for",
		  false },
		{ { BACK, 24, 4, 4, { 0 }, 0, 0 }, "a reply of the wrong size", false },
		{ { BACK, 24, 4, 16, { LO(0, 4), 0 }, VHK_TRACE_FD_MEMFD, 1 },
		  "a reply with too many fds", false },
	};
	struct vhk_verdict v;
	size_t i;

	for (i = 0; i < vhk_array_size(answers); i++) {
		begin();
		say_step(&ask, &v);
		T_EQ(v.n_wrong, 0);
		say_step(&answers[i].reply, &v);
		T_EQ(v.n_wrong, answers[i].wrong != NULL);
		T_EQ(v.refused, answers[i].refused);
		if (v.n_wrong && answers[i].wrong)
			T_STR(v.wrong[0], answers[i].wrong);
	}
}

static void what_is_refused_has_not_happened(void)
{
	static const struct step stop = { FRONT, 11, 0, 8, { LO(0, 0) }, 0, 0 };
	static const struct step stopped = { BACK, 11, 4, 8, { LO(0, 0) }, 0, 0 };
	static const struct step kick = { FRONT, 12, NEED, 8, { 0 }, VHK_TRACE_FD_EVENTFD, 1 };
	static const struct step no = { BACK, 12, 4, 8, { 22 }, 0, 0 };
	static const struct step set = { FRONT, 2, NEED, 8, { VHK_F_VERSION_1 }, 0, 0 };
	static const struct step not_set = { BACK, 2, 4, 8, { 22 }, 0, 0 };
	struct vhk_verdict v;
	int i;

	begin();
	say_step(&stop, &v);
	say_step(&stopped, &v);
	T_EQ(v.n_wrong, 0);
	for (i = 0; i < 2; i++) {
		say_step(&kick, &v);
		T_EQ(v.n_wrong, 0);
		say_step(&no, &v);
		T_EQ(v.n_wrong, 0);
		T_OK(v.refused);
	}
	say_step(&set, &v);
	T_EQ(v.n_wrong, 0);
	say_step(&not_set, &v);
	T_OK(v.refused);
	T_EQ(rules.st.features, ALL_FEATURES);
}

static void a_reset_stops_rings(void)
{
	static const struct step resets[] = { { FRONT, 34, 0, 0, { 0 }, 0, 0 },
					      { FRONT, 39, 0, 8, { 0 }, 0, 0 },
					      { FRONT, 4, 0, 0, { 0 }, 0, 0 } };
	static const struct step size = { FRONT, 8, 0, 8, { LO(0, 64) }, 0, 0 };
	struct vhk_verdict v;
	size_t i;

	for (i = 0; i < vhk_array_size(resets); i++) {
		begin();
		say_step(&resets[i], &v);
		T_EQ(v.n_wrong, 0);
		say_step(&size, &v);
		T_EQ(v.n_wrong, 0);
	}
}

static void network_devices_count_pairs(void)
{
	static const struct step steps[] = {
		{ FRONT, 1, 0, 0, { 0 }, 0, 0 },
		{ BACK, 1, 4, 8, { ALL_FEATURES }, 0, 0 },
		{ FRONT, 15, 0, 0, { 0 }, 0, 0 },
		{ BACK, 15, 4, 8, { VHK_USER_PF(MQ) | VHK_USER_PF(MTU) }, 0, 0 },
		{ FRONT, 16, 0, 8, { VHK_USER_PF(MQ) }, 0, 0 },
		{ FRONT, 17, 0, 0, { 0 }, 0, 0 },
		{ BACK, 17, 4, 8, { 1 }, 0, 0 },
		{ FRONT, 13, 0, 8, { 2 }, VHK_TRACE_FD_EVENTFD, 1 },
	};
	static const struct step beyond = { FRONT, 13, 0, 8, { 3 }, VHK_TRACE_FD_EVENTFD, 1 };
	struct vhk_verdict v;
	size_t i;

	vhk_rules_init(&rules);
	for (i = 0; i < vhk_array_size(steps); i++) {
		say_step(&steps[i], &v);
		T_EQ(v.n_wrong, 0);
	}
	say_step(&beyond, &v);
	T_EQ(v.n_wrong, 1);
}

/* A table that comes while postcopy listens is answered by a table. */
static void postcopy_answers_tables(void)
{
	static const struct step listen = { FRONT, 29, NEED, 0, { 0 }, 0, 0 };
	static const struct step listening = { BACK, 29, 4, 8, { 0 }, 0, 0 };
	static const struct step table = { FRONT, 5, 0, 40, { 1, 0x1000, 0x1000, 0x1000, 0 },
					   VHK_TRACE_FD_MEMFD, 1 };
	static const struct step bases = { BACK, 5, 4, 40, { 1, 0x1000, 0x1000, 0x5000, 0 }, 0, 0 };
	static const struct step accepted = { FRONT, 5, 0, 8, { 0 }, 0, 0 };
	struct vhk_verdict v;

	begin();
	say_step(&listen, &v);
	T_STR(v.wrong[0], "not together with CONFIGURE_MEM_SLOTS");
	say_step(&listening, &v);
	begin();
	rules.st.protocol &= ~VHK_USER_PF(CONFIGURE_MEM_SLOTS);
	say_step(&listen, &v);
	T_EQ(v.n_wrong, 0);
	say_step(&listening, &v);
	T_EQ(v.n_wrong, 0);
	say_step(&table, &v);
	T_EQ(v.n_wrong, 0);
	say_step(&bases, &v);
	T_EQ(v.n_wrong, 0);
	T_OK(v.answers && !v.refused);
	say_step(&accepted, &v);
	T_EQ(v.n_wrong, 0);
	begin();
	say_step(&accepted, &v);
	T_EQ(v.n_wrong, 1);
}

int main(void)
{
	T_RUN(each_broken_rule_is_told);
	T_RUN(a_reply_is_asked_for_only_where_it_was_settled);
	T_RUN(what_stays_unanswered_is_told_with_the_next_answer);
	T_RUN(unanswered_requests_are_bounded);
	T_RUN(replies_have_a_form);
	T_RUN(what_is_refused_has_not_happened);
	T_RUN(a_reset_stops_rings);
	T_RUN(network_devices_count_pairs);
	T_RUN(postcopy_answers_tables);
	return t_end();
}
