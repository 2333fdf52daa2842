// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Walks the message table: of each row the form that is accepted, and each way in which a message
 * can miss it.
 */
#include "proto.h"
#include "t.h"

static struct vhk_proto_state everything(void)
{
	return (struct vhk_proto_state){
		.features_offered = UINT64_MAX,
		.features = UINT64_MAX & ~VHK_F_RING_PACKED,
		.protocol_offered = UINT64_MAX,
		.protocol = UINT64_MAX & ~VHK_USER_PF(XEN_MMAP),
		.features_set = true,
		.protocol_set = true,
		.n_queues = 4,
	};
}

static void put_region(unsigned char *at)
{
	struct vhk_user_region r = { .gpa = 0x1000, .size = 0x1000, .uva = 0x7000 };

	memcpy(at, &r, sizeof(r));
}

static void put_u32(struct vhk_msg *m, size_t at, uint32_t v)
{
	memcpy(m->bytes + at, &v, sizeof(v));
}

static void put_u64(struct vhk_msg *m, size_t at, uint64_t v)
{
	memcpy(m->bytes + at, &v, sizeof(v));
}

/* The smallest message of a front end that all checks let pass. */
static void make_request(struct vhk_msg *m, uint32_t request)
{
	const struct vhk_proto *row = vhk_proto_request(request);

	vhk_msg_init(m, request, 0);
	m->hdr.size = row->size_min;
	m->n_fds = row->fds_min;
	switch (request) {
	case VHK_USER_SET_MEM_TABLE:
		put_u32(m, 0, 1);
		put_region(m->bytes + 8);
		break;
	case VHK_USER_SET_LOG_BASE:
		m->hdr.size = row->size_max;
		m->n_fds = 1;
		put_u64(m, 0, 4096);
		break;
	case VHK_USER_SET_VRING_NUM:
		put_u32(m, 4, 256);
		break;
	case VHK_USER_SET_VRING_KICK:
	case VHK_USER_SET_VRING_CALL:
	case VHK_USER_SET_VRING_ERR:
		m->u64 = VHK_USER_VRING_FD_NONE;
		break;
	case VHK_USER_GET_CONFIG:
	case VHK_USER_SET_CONFIG:
		put_u32(m, 4, 1);
		break;
	case VHK_USER_SET_INFLIGHT_FD:
		put_u64(m, 0, 4096);
		/* fall through */
	case VHK_USER_GET_INFLIGHT_FD:
		put_u32(m, 16, 4 | 256 << 16);
		break;
	case VHK_USER_IOTLB_MSG:
		m->bytes[offsetof(struct vhk_user_iotlb, type)] = VHOST_IOTLB_INVALIDATE;
		break;
	case VHK_USER_NET_SET_MTU:
		m->u64 = 1500;
		break;
	case VHK_USER_GET_SHARED_OBJECT:
		m->u64 = 1;
		break;
	case VHK_USER_ADD_MEM_REG:
	case VHK_USER_REM_MEM_REG:
		put_region(m->bytes + 8);
		break;
	}
}

static int judge(const struct vhk_proto_state *st, const struct vhk_msg *m)
{
	const char *why = NULL;
	int ret = vhk_proto_check(st, m, false, &why);

	if ((ret && !*why) || (!ret && *why)) {
		printf("# message %u: %d for the reason \"%s\"\n", m->hdr.request, ret, why);
		t_bad++;
	}
	return ret;
}

static int judge_form(const struct vhk_msg *m)
{
	const char *why = "";
	const struct vhk_proto *row = vhk_proto_request(m->hdr.request);

	return vhk_proto_check_form(row, m, &why);
}

#define T_REQ(req, got, want)                                                                      \
	do {                                                                                       \
		int t_ret = (got);                                                                 \
		if (t_ret != (want))                                                               \
			printf("# %s:\n", vhk_proto_request(req)->name);                           \
		T_EQ(t_ret, want);                                                                 \
	} while (0)

static void accepts_every_message(void)
{
	struct vhk_proto_state st;
	struct vhk_msg m;
	uint32_t req;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		make_request(&m, req);
		st = everything();
		/* the two exclude each other */
		if (vhk_proto_request(req)->need_protocol & VHK_USER_PF(PAGEFAULT)) {
			T_REQ(req, judge(&st, &m), -EINVAL);
			st.protocol &= ~VHK_USER_PF(CONFIGURE_MEM_SLOTS);
		}
		T_REQ(req, judge(&st, &m), 0);
		m.hdr.flags |= VHK_MSG_NEED_REPLY;
		T_REQ(req, judge(&st, &m), 0);
	}
}

static void refuses_wrong_sizes(void)
{
	const struct vhk_proto *row;
	struct vhk_msg m;
	uint32_t req;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		row = vhk_proto_request(req);
		make_request(&m, req);
		T_REQ(req, judge_form(&m), 0);
		m.hdr.size = row->size_max;
		T_REQ(req, judge_form(&m), 0);
		m.hdr.size = row->size_max + 1u;
		T_REQ(req, judge_form(&m), -EPROTO);
		m.hdr.size = UINT32_MAX;
		T_REQ(req, judge_form(&m), -EPROTO);
		if (!row->size_min)
			continue;
		m.hdr.size = row->size_min - 1u;
		T_REQ(req, judge_form(&m), -EPROTO);
		m.hdr.size = 0;
		T_REQ(req, judge_form(&m), -EPROTO);
	}
}

static void refuses_wrong_numbers_of_fds(void)
{
	const struct vhk_proto *row;
	struct vhk_msg m;
	uint32_t req;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		row = vhk_proto_request(req);
		make_request(&m, req);
		m.n_fds = row->fds_max;
		T_REQ(req, judge_form(&m), 0);
		m.n_fds = row->fds_max + 1u;
		T_REQ(req, judge_form(&m), -EPROTO);
		if (!row->fds_min)
			continue;
		m.n_fds = row->fds_min - 1u;
		T_REQ(req, judge_form(&m), -EPROTO);
	}
}

static void only_these_carry_fds(void)
{
	static const uint32_t carry[] = { 5, 6, 7, 12, 13, 14, 21, 32, 33, 37, 38, 42 };
	uint32_t req;
	size_t i = 0;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		if (i < sizeof(carry) / sizeof(carry[0]) && carry[i] == req) {
			T_REQ(req, vhk_proto_request(req)->fds_max > 0, 1);
			i++;
		} else {
			T_REQ(req, vhk_proto_request(req)->fds_max, 0);
		}
	}
}

/* With or without REPLY_ACK; the log where it comes as an fd. */
static void only_these_are_answered_unasked(void)
{
	static const uint32_t answered[] = { 1,	 6,  11, 15, 17, 22, 24, 26, 28,
					     30, 31, 36, 40, 41, 42, 43, 44, 45 };
	const size_t n = sizeof(answered) / sizeof(answered[0]);
	uint32_t req;
	size_t i = 0;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		const bool listed = i < n && answered[i] == req;

		T_REQ(req, vhk_proto_request(req)->reply != VHK_REPLY_NONE, listed);
		i += listed;
	}
}

static void refuses_what_was_not_negotiated(void)
{
	struct vhk_proto_state st;
	const struct vhk_proto *row;
	struct vhk_msg m;
	uint32_t req;
	int bit;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		row = vhk_proto_request(req);
		make_request(&m, req);
		for (bit = 0; bit < 64; bit++) {
			st = everything();
			if (row->need_protocol & 1ull << bit) {
				st.protocol &= ~(1ull << bit);
				T_REQ(req, judge(&st, &m), -EOPNOTSUPP);
			}
			st = everything();
			if (row->need_features & 1ull << bit) {
				st.features &= ~(1ull << bit);
				T_REQ(req, judge(&st, &m), -EOPNOTSUPP);
			}
		}
	}
}

static const struct {
	uint32_t request;
	uint64_t features, protocol;
} gates[] = {
	{ VHK_USER_GET_QUEUE_NUM, 0, VHK_USER_PF(MQ) },
	{ VHK_USER_SET_VRING_ENABLE, VHK_F_PROTOCOL_FEATURES, 0 },
	{ VHK_USER_SEND_RARP, 0, VHK_USER_PF(RARP) },
	{ VHK_USER_NET_SET_MTU, 0, VHK_USER_PF(MTU) },
	{ VHK_USER_SET_BACKEND_REQ_FD, 0, VHK_USER_PF(BACKEND_REQ) },
	{ VHK_USER_IOTLB_MSG, VHK_F_ACCESS_PLATFORM, 0 },
	{ VHK_USER_SET_VRING_ENDIAN, 0, VHK_USER_PF(CROSS_ENDIAN) },
	{ VHK_USER_GET_CONFIG, 0, VHK_USER_PF(CONFIG) },
	{ VHK_USER_SET_CONFIG, 0, VHK_USER_PF(CONFIG) },
	{ VHK_USER_CREATE_CRYPTO_SESSION, 0, VHK_USER_PF(CRYPTO_SESSION) },
	{ VHK_USER_CLOSE_CRYPTO_SESSION, 0, VHK_USER_PF(CRYPTO_SESSION) },
	{ VHK_USER_POSTCOPY_ADVISE, 0, VHK_USER_PF(PAGEFAULT) },
	{ VHK_USER_POSTCOPY_LISTEN, 0, VHK_USER_PF(PAGEFAULT) },
	{ VHK_USER_POSTCOPY_END, 0, VHK_USER_PF(PAGEFAULT) },
	{ VHK_USER_GET_INFLIGHT_FD, 0, VHK_USER_PF(INFLIGHT_SHMFD) },
	{ VHK_USER_SET_INFLIGHT_FD, 0, VHK_USER_PF(INFLIGHT_SHMFD) },
	{ VHK_USER_RESET_DEVICE, 0, VHK_USER_PF(RESET_DEVICE) },
	{ VHK_USER_VRING_KICK, 0, VHK_USER_PF(INBAND_NOTIFICATIONS) },
	{ VHK_USER_GET_MAX_MEM_SLOTS, 0, VHK_USER_PF(CONFIGURE_MEM_SLOTS) },
	{ VHK_USER_ADD_MEM_REG, 0, VHK_USER_PF(CONFIGURE_MEM_SLOTS) },
	{ VHK_USER_REM_MEM_REG, 0, VHK_USER_PF(CONFIGURE_MEM_SLOTS) },
	{ VHK_USER_SET_STATUS, 0, VHK_USER_PF(STATUS) },
	{ VHK_USER_GET_STATUS, 0, VHK_USER_PF(STATUS) },
	{ VHK_USER_GET_SHARED_OBJECT, 0, VHK_USER_PF(SHARED_OBJECT) },
	{ VHK_USER_SET_DEVICE_STATE_FD, 0, VHK_USER_PF(DEVICE_STATE) },
	{ VHK_USER_CHECK_DEVICE_STATE, 0, VHK_USER_PF(DEVICE_STATE) },
	{ VHK_USER_GET_SHMEM_CONFIG, 0, VHK_USER_PF(SHMEM) },
	{ VHK_USER_GET_VRING_BASE_SKIP_DRAIN, 0, VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN) },
};

static void the_gates_are_those_of_the_specification(void)
{
	uint32_t req;
	size_t i = 0;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		if (i < sizeof(gates) / sizeof(gates[0]) && gates[i].request == req) {
			T_REQ(req, vhk_proto_request(req)->need_features == gates[i].features, 1);
			T_REQ(req, vhk_proto_request(req)->need_protocol == gates[i].protocol, 1);
			i++;
		} else {
			T_REQ(req, !vhk_proto_request(req)->need_features, 1);
			T_REQ(req, !vhk_proto_request(req)->need_protocol, 1);
		}
	}
	T_EQ(i, sizeof(gates) / sizeof(gates[0]));
}

static void refuses_replies_versions_and_unknown_flags(void)
{
	static const uint32_t flags[] = { VHK_MSG_VERSION | VHK_MSG_REPLY,
					  VHK_MSG_VERSION | VHK_MSG_REPLY | VHK_MSG_NEED_REPLY,
					  0,
					  2,
					  3,
					  VHK_MSG_VERSION | 0x10,
					  VHK_MSG_VERSION | 1u << 31 };
	struct vhk_proto_state st = everything();
	struct vhk_msg m;
	uint32_t req;
	size_t i;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		make_request(&m, req);
		for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			m.hdr.flags = flags[i];
			T_REQ(req, judge(&st, &m), -EPROTO);
		}
	}
}

static void refuses_unknown_numbers(void)
{
	static const uint32_t numbers[] = { 0, 46, 255, 257, 65537, 0x7fffffff, 0xffffffff };
	struct vhk_proto_state st = everything();
	struct vhk_msg m;
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		T_OK(!vhk_proto_request(numbers[i]));
		T_OK(!vhk_proto_back_request(numbers[i]));
		vhk_msg_init(&m, numbers[i], VHK_MSG_NEED_REPLY);
		T_EQ(judge(&st, &m), -EOPNOTSUPP);
		T_EQ(vhk_proto_check(&st, &m, true, &why), -EOPNOTSUPP);
		m.hdr.flags |= VHK_MSG_REPLY;
		T_EQ(vhk_proto_check_reply(numbers[i], false, &m, &why), -EPROTO);
	}
	T_OK(!vhk_proto_back_request(11));
}

/* The smallest message of a back end that all checks let pass. */
static void make_back_request(struct vhk_msg *m, uint32_t request)
{
	const struct vhk_proto *row = vhk_proto_back_request(request);

	vhk_msg_init(m, request, 0);
	m->hdr.size = row->size_min;
	m->n_fds = row->fds_min;
	switch (request) {
	case VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG:
		m->u64 = VHK_USER_VRING_FD_NONE;
		break;
	case VHK_USER_BACK_SHARED_OBJECT_ADD:
	case VHK_USER_BACK_SHARED_OBJECT_REMOVE:
	case VHK_USER_BACK_SHARED_OBJECT_LOOKUP:
		m->u64 = 1;
		break;
	case VHK_USER_BACK_IOTLB_MSG:
		m->bytes[offsetof(struct vhk_user_iotlb, type)] = VHOST_IOTLB_MISS;
		break;
	case VHK_USER_BACK_SHMEM_MAP:
	case VHK_USER_BACK_SHMEM_UNMAP:
		put_u64(m, offsetof(struct vhk_user_mmap, len), 4096);
		break;
	}
}

static void a_front_end_is_asked_by_rows(void)
{
	struct vhk_proto_state st = everything();
	const struct vhk_proto *row;
	struct vhk_msg m;
	const char *why;
	uint32_t req;

	for (req = 1; req <= VHK_USER_BACK_REQ_MAX; req++) {
		row = vhk_proto_back_request(req);
		T_OK(row->name && row->need_protocol & VHK_USER_PF(BACKEND_REQ));
		make_back_request(&m, req);
		T_EQ(vhk_proto_check(&st, &m, true, &why), row->served ? 0 : -EOPNOTSUPP);
		m.hdr.size = row->size_max + 1u;
		T_EQ(vhk_proto_check(&st, &m, true, &why), -EPROTO);
		m.hdr.size = row->size_min;
		m.n_fds = row->fds_max + 1u;
		T_EQ(vhk_proto_check(&st, &m, true, &why), -EPROTO);
	}
	vhk_msg_init(&m, VHK_USER_BACK_CONFIG_CHANGE_MSG, 0);
	st.protocol = VHK_USER_PF(BACKEND_REQ);
	T_EQ(vhk_proto_check(&st, &m, true, &why), -EOPNOTSUPP);
}

static void judges_replies(void)
{
	const struct vhk_proto *row;
	struct vhk_msg m;
	const char *why;
	uint32_t req;

	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		row = vhk_proto_request(req);
		vhk_msg_init(&m, req, VHK_MSG_REPLY);
		m.hdr.size = row->reply_min;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), 0);
		m.hdr.size = row->reply_max;
		m.n_fds = row->reply_fds_max;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), 0);
		m.n_fds++;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), -EPROTO);
		m.n_fds = 0;
		m.hdr.size = row->reply_max + 1u;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), -EPROTO);
		if (row->reply_min > 1) {
			m.hdr.size = row->reply_min - 1u;
			T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), -EPROTO);
		}
		m.hdr.size = row->reply_min;
		m.hdr.request = req + 1;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), -EPROTO);
		m.hdr.request = req;
		m.hdr.flags = VHK_MSG_VERSION;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), -EPROTO);
		m.hdr.flags = VHK_MSG_REPLY;
		T_REQ(req, vhk_proto_check_reply(req, false, &m, &why), -EPROTO);
	}
}

static void a_reply_may_say_no(void)
{
	struct vhk_msg m;
	const char *why;

	vhk_msg_init(&m, VHK_USER_GET_CONFIG, VHK_MSG_REPLY);
	T_EQ(vhk_proto_check_reply(VHK_USER_GET_CONFIG, false, &m, &why), -EOPNOTSUPP);
	m.hdr.size = 8;
	m.u64 = 1;
	T_EQ(vhk_proto_check_reply(VHK_USER_GET_CONFIG, false, &m, &why), -EOPNOTSUPP);
	m.u64 = 0;
	T_EQ(vhk_proto_check_reply(VHK_USER_GET_CONFIG, false, &m, &why), -EPROTO);
	m.u64 = 1;
	m.n_fds = 1;
	T_EQ(vhk_proto_check_reply(VHK_USER_GET_CONFIG, false, &m, &why), -EPROTO);
	/* Where the answer is a number, no number can mean no. */
	vhk_msg_init(&m, VHK_USER_GET_QUEUE_NUM, VHK_MSG_REPLY);
	T_EQ(vhk_proto_check_reply(VHK_USER_GET_QUEUE_NUM, false, &m, &why), -EOPNOTSUPP);
	m.hdr.size = 8;
	m.u64 = 1;
	T_EQ(vhk_proto_check_reply(VHK_USER_GET_QUEUE_NUM, false, &m, &why), 0);
	vhk_msg_init(&m, VHK_USER_IOTLB_MSG, VHK_MSG_REPLY);
	T_EQ(vhk_proto_check_reply(VHK_USER_IOTLB_MSG, false, &m, &why), -EPROTO);
}

static void every_row_and_bit_has_a_name(void)
{
	unsigned int i;

	for (i = 1; i <= VHK_USER_REQ_MAX; i++)
		T_OK(vhk_proto_request(i)->name && vhk_proto_request(i)->name[0]);
	for (i = 0; i <= VHK_USER_PF_MAX; i++)
		T_OK(vhk_proto_feature_name(i));
	T_OK(!vhk_proto_feature_name(VHK_USER_PF_MAX + 1));
	T_OK(!vhk_proto_feature_name(64));
	T_STR(vhk_proto_request(VHK_USER_SET_VRING_NUM)->name, "SET_VRING_NUM");
	T_STR(vhk_proto_feature_name(22), "SHMEM");
	T_STR(vhk_proto_feature_name(21), "GPA_ADDRESSES");
}

int main(void)
{
	T_RUN(accepts_every_message);
	T_RUN(refuses_wrong_sizes);
	T_RUN(refuses_wrong_numbers_of_fds);
	T_RUN(only_these_carry_fds);
	T_RUN(only_these_are_answered_unasked);
	T_RUN(refuses_what_was_not_negotiated);
	T_RUN(the_gates_are_those_of_the_specification);
	T_RUN(refuses_replies_versions_and_unknown_flags);
	T_RUN(refuses_unknown_numbers);
	T_RUN(a_front_end_is_asked_by_rows);
	T_RUN(judges_replies);
	T_RUN(a_reply_may_say_no);
	T_RUN(every_row_and_bit_has_a_name);
	return t_end();
}
