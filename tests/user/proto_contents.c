// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What may stand in the payloads: at and beyond each limit, message by message.
 */
#include "proto.h"
#include "t.h"

static struct vhk_proto_state st;

static void start(uint64_t features)
{
	st = (struct vhk_proto_state){
		.features_offered = VHK_F_RING_ALL | VHK_F_PROTOCOL_FEATURES,
		.features = features | VHK_F_PROTOCOL_FEATURES,
		.protocol_offered = UINT64_MAX,
		.protocol = UINT64_MAX & ~(VHK_USER_PF(GPA_ADDRESSES) | VHK_USER_PF(XEN_MMAP)),
		.features_set = true,
		.protocol_set = true,
		.n_queues = 3,
	};
}

static int judge(const struct vhk_msg *m)
{
	const char *why;

	return vhk_proto_check(&st, m, false, &why);
}

static int judge_bytes(uint32_t request, const void *payload, size_t size, unsigned int n_fds)
{
	struct vhk_msg m;

	vhk_msg_init(&m, request, 0);
	m.hdr.size = (uint32_t)size;
	m.n_fds = n_fds;
	memcpy(m.bytes, payload, size);
	return judge(&m);
}

static int judge_u64(uint32_t request, uint64_t v, unsigned int n_fds)
{
	return judge_bytes(request, &v, sizeof(v), n_fds);
}

static int judge_state(uint32_t request, uint32_t index, uint32_t num)
{
	struct vhk_user_vring_state s = { index, num };

	return judge_bytes(request, &s, sizeof(s), 0);
}

static const uint32_t indices[] = { 3, 255, 256, 0x100, 0x10000, 0x10001, 0x80000000, 0xffffffff };

static void every_message_with_a_ring_index_checks_it(void)
{
	static const uint32_t with_state[] = { VHK_USER_SET_VRING_NUM, VHK_USER_SET_VRING_BASE,
					       VHK_USER_GET_VRING_BASE, VHK_USER_SET_VRING_ENABLE };
	struct vhk_user_vring_addr addr = { 0 };
	size_t i, k;

	start(VHK_F_RING_PACKED);
	for (i = 0; i < sizeof(with_state) / sizeof(with_state[0]); i++) {
		T_EQ(judge_state(with_state[i], 2, 1), 0);
		for (k = 0; k < sizeof(indices) / sizeof(indices[0]); k++)
			T_EQ(judge_state(with_state[i], indices[k], 1), -EINVAL);
	}
	for (k = 0; k < sizeof(indices) / sizeof(indices[0]); k++) {
		addr.index = indices[k];
		T_EQ(judge_bytes(VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr), 0), -EINVAL);
	}
	st.n_queues = 0;
	T_EQ(judge_state(VHK_USER_GET_VRING_BASE, 0, 0), -EINVAL);
}

static void an_index_with_an_fd_has_no_other_bits(void)
{
	uint32_t req;
	int bit;

	start(0);
	for (req = VHK_USER_SET_VRING_KICK; req <= VHK_USER_SET_VRING_ERR; req++) {
		T_EQ(judge_u64(req, 2, 1), 0);
		T_EQ(judge_u64(req, 2 | VHK_USER_VRING_FD_NONE, 0), 0);
		T_EQ(judge_u64(req, 2, 0), -EINVAL);
		T_EQ(judge_u64(req, 2 | VHK_USER_VRING_FD_NONE, 1), -EINVAL);
		T_EQ(judge_u64(req, 2, 2), -EPROTO);
		T_EQ(judge_u64(req, 3, 1), -EINVAL);
		T_EQ(judge_u64(req, 255, 1), -EINVAL);
		for (bit = 9; bit < 64; bit++) {
			T_EQ(judge_u64(req, 2 | 1ull << bit, 1), -EINVAL);
			T_EQ(judge_u64(req, 2 | VHK_USER_VRING_FD_NONE | 1ull << bit, 0), -EINVAL);
		}
	}
	st.n_queues = 1000;
	T_EQ(judge_u64(VHK_USER_SET_VRING_KICK, 255, 1), 0);
}

static const struct {
	uint32_t num;
	int split, packed;
} sizes[] = {
	{ 0, -EINVAL, -EINVAL },     { 1, 0, 0 },
	{ 2, 0, 0 },		     { 3, -EINVAL, 0 },
	{ 255, -EINVAL, 0 },	     { 256, 0, 0 },
	{ 257, -EINVAL, 0 },	     { 32767, -EINVAL, 0 },
	{ 32768, 0, 0 },	     { 32769, -EINVAL, -EINVAL },
	{ 65536, -EINVAL, -EINVAL }, { 0x10000 + 256, -EINVAL, -EINVAL },
	{ 1u << 31, -EINVAL, -EINVAL },
};

static void ring_sizes(void)
{
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		start(0);
		T_EQ(judge_state(VHK_USER_SET_VRING_NUM, 0, sizes[i].num), sizes[i].split);
		start(VHK_F_RING_PACKED);
		T_EQ(judge_state(VHK_USER_SET_VRING_NUM, 0, sizes[i].num), sizes[i].packed);
	}
}

static void positions(void)
{
	start(0);
	T_EQ(judge_state(VHK_USER_SET_VRING_BASE, 0, 65535), 0);
	T_EQ(judge_state(VHK_USER_SET_VRING_BASE, 0, 65536), -EINVAL);
	start(VHK_F_RING_PACKED);
	T_EQ(judge_state(VHK_USER_SET_VRING_BASE, 0, 0x80008000), 0);
	T_EQ(judge_state(VHK_USER_SET_VRING_BASE, 0, 0xffffffff), 0);
}

static void enabling_is_yes_or_no(void)
{
	start(0);
	T_EQ(judge_state(VHK_USER_SET_VRING_ENABLE, 0, 0), 0);
	T_EQ(judge_state(VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	T_EQ(judge_state(VHK_USER_SET_VRING_ENABLE, 0, 2), -EINVAL);
	T_EQ(judge_state(VHK_USER_SET_VRING_ENABLE, 0, 0x100), -EINVAL);
}

static void ring_addresses_are_aligned(void)
{
	static const struct {
		uint64_t desc, avail, used;
		uint32_t flags;
		int split, packed;
	} cases[] = {
		{ 0x10, 0x2, 0x4, 0, 0, -EINVAL },
		{ 0x10, 0x4, 0x4, 1, 0, 0 },
		{ 0x10, 0x4, 0x4, 2, -EINVAL, -EINVAL },
		{ 0x10, 0x4, 0x4, 1u << 31, -EINVAL, -EINVAL },
		{ 0x18, 0x4, 0x4, 0, -EINVAL, -EINVAL },
		{ 0x11, 0x4, 0x4, 0, -EINVAL, -EINVAL },
		{ 0x10, 0x1, 0x4, 0, -EINVAL, -EINVAL },
		{ 0x10, 0x4, 0x2, 0, -EINVAL, -EINVAL },
	};
	struct vhk_user_vring_addr a = { 0 };
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a.desc = cases[i].desc;
		a.avail = cases[i].avail;
		a.used = cases[i].used;
		a.flags = cases[i].flags;
		start(0);
		T_EQ(judge_bytes(VHK_USER_SET_VRING_ADDR, &a, sizeof(a), 0), cases[i].split);
		start(VHK_F_RING_PACKED);
		T_EQ(judge_bytes(VHK_USER_SET_VRING_ADDR, &a, sizeof(a), 0), cases[i].packed);
	}
}

static void rings_come_after_features(void)
{
	struct vhk_user_vring_addr a = { 0 };

	start(0);
	st.features_set = false;
	st.features = 0;
	T_EQ(judge_state(VHK_USER_SET_VRING_NUM, 0, 256), -EINVAL);
	T_EQ(judge_state(VHK_USER_SET_VRING_BASE, 0, 0), -EINVAL);
	T_EQ(judge_bytes(VHK_USER_SET_VRING_ADDR, &a, sizeof(a), 0), -EINVAL);
	T_EQ(judge_u64(VHK_USER_SET_VRING_KICK, 0, 1), -EINVAL);
	/* Network cards are disabled early, by who has sent SET_PROTOCOL_FEATURES. */
	T_EQ(judge_state(VHK_USER_SET_VRING_ENABLE, 0, 0), 0);
	st.protocol_set = false;
	T_EQ(judge_state(VHK_USER_SET_VRING_ENABLE, 0, 0), -EOPNOTSUPP);
	/* Front ends that keep an eye on rings early send these first. */
	T_EQ(judge_u64(VHK_USER_SET_VRING_CALL, 0, 1), 0);
	T_EQ(judge_u64(VHK_USER_SET_VRING_ERR, 0, 1), 0);
}

static void features_are_a_part_of_what_was_offered(void)
{
	int bit;

	start(0);
	T_EQ(judge_u64(VHK_USER_SET_FEATURES, 0, 0), 0);
	T_EQ(judge_u64(VHK_USER_SET_FEATURES, st.features_offered, 0), 0);
	for (bit = 0; bit < 64; bit++)
		T_EQ(judge_u64(VHK_USER_SET_FEATURES, 1ull << bit, 0),
		     st.features_offered & 1ull << bit ? 0 : -EINVAL);
}

static void protocol_features_need_bit_30(void)
{
	struct vhk_msg m;

	start(0);
	vhk_msg_init(&m, VHK_USER_GET_PROTOCOL_FEATURES, 0);
	/* Offered is enough. */
	st.features = 0;
	st.features_set = false;
	T_EQ(judge(&m), 0);
	T_EQ(judge_u64(VHK_USER_SET_PROTOCOL_FEATURES, 0, 0), 0);
	st.features_offered &= ~VHK_F_PROTOCOL_FEATURES;
	T_EQ(judge(&m), -EOPNOTSUPP);
	T_EQ(judge_u64(VHK_USER_SET_PROTOCOL_FEATURES, 0, 0), -EOPNOTSUPP);
}

static void protocol_features_are_a_part_of_what_was_offered(void)
{
	int bit;

	start(0);
	st.protocol_offered = VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(CONFIG);
	T_EQ(judge_u64(VHK_USER_SET_PROTOCOL_FEATURES, st.protocol_offered, 0), 0);
	for (bit = 0; bit < 64; bit++)
		T_EQ(judge_u64(VHK_USER_SET_PROTOCOL_FEATURES, 1ull << bit, 0),
		     st.protocol_offered & 1ull << bit ? 0 : -EINVAL);
}

static const struct {
	uint64_t set;
	int want;
} wholes[] = {
	{ 0, 0 },
	{ VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK), 0 },
	{ VHK_USER_PF(BACKEND_SEND_FD), -EINVAL },
	{ VHK_USER_PF(BACKEND_SEND_FD) | VHK_USER_PF(BACKEND_REQ), 0 },
	{ VHK_USER_PF(INBAND_NOTIFICATIONS), -EINVAL },
	{ VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(BACKEND_REQ), -EINVAL },
	{ VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(REPLY_ACK), -EINVAL },
	{ VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(REPLY_ACK) |
		  VHK_USER_PF(BACKEND_REQ),
	  0 },
	{ VHK_USER_PF(GET_VRING_BASE_INFLIGHT), -EINVAL },
	{ VHK_USER_PF(GET_VRING_BASE_INFLIGHT) | VHK_USER_PF(INFLIGHT_SHMFD), 0 },
	{ VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN) | VHK_USER_PF(INFLIGHT_SHMFD), -EINVAL },
	{ VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN) | VHK_USER_PF(INFLIGHT_SHMFD) |
		  VHK_USER_PF(GET_VRING_BASE_INFLIGHT),
	  0 },
	{ VHK_USER_PF(HOST_NOTIFIER) | VHK_USER_PF(BACKEND_REQ), -EINVAL },
	{ VHK_USER_PF(SHMEM) | VHK_USER_PF(BACKEND_REQ), -EINVAL },
	{ (1ull << (VHK_USER_PF_MAX + 1)) - 1, 0 },
};

static void protocol_features_need_each_other(void)
{
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++)
		T_EQ(vhk_proto_check_features(wholes[i].set, &why), wholes[i].want);
	start(0);
	T_EQ(judge_u64(VHK_USER_SET_PROTOCOL_FEATURES, VHK_USER_PF(BACKEND_SEND_FD), 0), -EINVAL);
}

static void there_is_one_owner(void)
{
	start(0);
	T_EQ(judge_bytes(VHK_USER_SET_OWNER, "", 0, 0), 0);
	st.owned = true;
	T_EQ(judge_bytes(VHK_USER_SET_OWNER, "", 0, 0), -EINVAL);
	T_EQ(judge_bytes(VHK_USER_RESET_OWNER, "", 0, 0), 0);
}

static const struct {
	uint64_t gpa, size, uva, offset;
	int want;
} regions[] = {
	{ 0, 4096, 0, 0, 0 },
	{ 0, 1, 0, 1, 0 },
	{ UINT64_MAX - 4095, 4096, 0, 0, 0 },
	{ 0, 4096, UINT64_MAX - 4095, 0, 0 },
	{ 0, 0, 0, 0, -EINVAL },
	{ UINT64_MAX - 4094, 4096, 0, 0, -EINVAL },
	{ 0, 4096, UINT64_MAX - 4094, 0, -EINVAL },
	{ 0, 4096, 0, UINT64_MAX - 4094, -EINVAL },
	{ 1, UINT64_MAX, 2, 0, -EINVAL },
};

static void single_regions(void)
{
	struct vhk_user_mem_reg reg = { 0 };
	int without_offset;
	size_t i;

	start(0);
	for (i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		reg.region.gpa = regions[i].gpa;
		reg.region.size = regions[i].size;
		reg.region.uva = regions[i].uva;
		reg.region.offset = regions[i].offset;
		T_EQ(judge_bytes(VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), 1), regions[i].want);
		T_EQ(judge_bytes(VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), 0), -EPROTO);
		T_EQ(judge_bytes(VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), 2), -EPROTO);
		without_offset = regions[i].offset > 1 ? 0 : regions[i].want;
		T_EQ(judge_bytes(VHK_USER_REM_MEM_REG, &reg, sizeof(reg), 0), without_offset);
		/* Old front ends send the fd here, too. */
		T_EQ(judge_bytes(VHK_USER_REM_MEM_REG, &reg, sizeof(reg), 1), without_offset);
		T_EQ(judge_bytes(VHK_USER_REM_MEM_REG, &reg, sizeof(reg), 2), -EPROTO);
	}
	reg = (struct vhk_user_mem_reg){ .padding = 1, .region.size = 1 };
	T_EQ(judge_bytes(VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), 1), -EINVAL);
	T_EQ(judge_bytes(VHK_USER_REM_MEM_REG, &reg, sizeof(reg), 0), -EINVAL);
}

static struct vhk_user_mem_table table_of(uint32_t n)
{
	struct vhk_user_mem_table t = { .n = n };
	uint32_t i;

	for (i = 0; i < n && i < VHK_USER_TABLE_MAX; i++)
		t.region[i] = (struct vhk_user_region){ i * 0x1000, 0x1000, i * 0x2000, 0 };
	return t;
}

static int judge_table(const struct vhk_user_mem_table *t, uint32_t n, unsigned int n_fds)
{
	return judge_bytes(VHK_USER_SET_MEM_TABLE, t, 8 + n * 32, n_fds);
}

static void tables_have_as_many_regions_as_they_say(void)
{
	struct vhk_user_mem_table t;
	uint32_t n;

	start(0);
	for (n = 1; n <= VHK_USER_TABLE_MAX; n++) {
		t = table_of(n);
		T_EQ(judge_table(&t, n, n), 0);
		T_EQ(judge_table(&t, n, n - 1), -EPROTO);
		if (n < VHK_USER_TABLE_MAX) {
			T_EQ(judge_table(&t, n, n + 1), -EPROTO);
			T_EQ(judge_table(&t, n + 1, n), -EPROTO);
			T_EQ(judge_table(&t, n + 1, n + 1), -EPROTO);
		}
		T_EQ(judge_bytes(VHK_USER_SET_MEM_TABLE, &t, 8 + n * 32 - 1, n), -EPROTO);
	}
	t = table_of(1);
	t.n = 0;
	T_EQ(judge_table(&t, 1, 1), -EINVAL);
	T_EQ(judge_table(&t, 0, 0), -EPROTO);
	t.n = 33;
	T_EQ(judge_table(&t, 32, 32), -EINVAL);
	t.n = 0xffffffff;
	T_EQ(judge_table(&t, 32, 32), -EINVAL);
	/* 8 + 32 * n would wrap to the size that was sent. */
	t.n = 0x08000001;
	T_EQ(judge_table(&t, 1, 1), -EINVAL);
	t = table_of(1);
	t.padding = 1;
	T_EQ(judge_table(&t, 1, 1), -EINVAL);
}

static void regions_of_a_table_stay_apart(void)
{
	struct vhk_user_mem_table t;
	size_t i;

	start(0);
	for (i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		t = table_of(1);
		t.region[0] = (struct vhk_user_region){ regions[i].gpa, regions[i].size,
							regions[i].uva, regions[i].offset };
		T_EQ(judge_table(&t, 1, 1), regions[i].want);
	}
	t = table_of(32);
	t.region[31].gpa = t.region[0].gpa;
	T_EQ(judge_table(&t, 32, 32), -EINVAL);
	t = table_of(32);
	t.region[31].uva = t.region[0].uva + 0xfff;
	T_EQ(judge_table(&t, 32, 32), -EINVAL);
	t = table_of(32);
	t.region[0].size = 0x1001;
	T_EQ(judge_table(&t, 32, 32), -EINVAL);
	t = table_of(2);
	t.region[1].gpa = UINT64_MAX - 0xfff;
	T_EQ(judge_table(&t, 2, 2), 0);
}

struct config_head {
	uint32_t offset, size, flags;
};

static int judge_config(uint32_t request, uint32_t offset, uint32_t size, uint32_t flags, size_t n)
{
	unsigned char bytes[12 + 512] = { 0 };
	struct config_head head = { offset, size, flags };

	memcpy(bytes, &head, sizeof(head));
	return judge_bytes(request, bytes, 12 + n, 0);
}

static void configuration_stays_inside_its_space(void)
{
	uint32_t req;

	start(0);
	for (req = VHK_USER_GET_CONFIG; req <= VHK_USER_SET_CONFIG; req++) {
		T_EQ(judge_config(req, 0, 1, 0, 1), 0);
		T_EQ(judge_config(req, 0, 256, 0, 256), 0);
		T_EQ(judge_config(req, 255, 1, 0, 1), 0);
		T_EQ(judge_config(req, 0, 0, 0, 0), -EPROTO);
		T_EQ(judge_config(req, 0, 0, 0, 1), -EPROTO);
		T_EQ(judge_config(req, 0, 2, 0, 1), -EPROTO);
		T_EQ(judge_config(req, 0, 1, 0, 2), -EPROTO);
		T_EQ(judge_config(req, 0, 257, 0, 257), -EPROTO);
		T_EQ(judge_config(req, 1, 256, 0, 256), -EINVAL);
		T_EQ(judge_config(req, 256, 1, 0, 1), -EINVAL);
		T_EQ(judge_config(req, 0xffffffff, 1, 0, 1), -EINVAL);
		T_EQ(judge_config(req, 0xffffff80, 0x90, 0, 0x90), -EINVAL);
		T_EQ(judge_config(req, 0, 0xffffffff, 0, 256), -EPROTO);
	}
	T_EQ(judge_config(VHK_USER_SET_CONFIG, 0, 8, VHK_USER_CONFIG_MIGRATION, 8), 0);
	T_EQ(judge_config(VHK_USER_SET_CONFIG, 0, 8, 2, 8), -EINVAL);
	T_EQ(judge_config(VHK_USER_SET_CONFIG, 0, 8, 0x80000000, 8), -EINVAL);
}

static int judge_inflight(uint32_t req, uint64_t size, uint64_t offset, uint16_t queues,
			  uint16_t queue_size, size_t len)
{
	struct vhk_user_inflight in = { size, offset, queues, queue_size, 0xdeadbeef };

	return judge_bytes(req, &in, len, req == VHK_USER_SET_INFLIGHT_FD);
}

static void inflight_areas(void)
{
	const uint32_t get = VHK_USER_GET_INFLIGHT_FD, set = VHK_USER_SET_INFLIGHT_FD;
	uint32_t req;

	start(0);
	for (req = get; req <= set; req++) {
		T_EQ(judge_inflight(req, 4096, 0, 3, 256, 20), 0);
		T_EQ(judge_inflight(req, 4096, 0, 1, 32768, 24), 0);
		T_EQ(judge_inflight(req, 4096, 0, 3, 256, 19), -EPROTO);
		T_EQ(judge_inflight(req, 4096, 0, 3, 256, 21), -EPROTO);
		T_EQ(judge_inflight(req, 4096, 0, 0, 256, 24), -EINVAL);
		T_EQ(judge_inflight(req, 4096, 0, 4, 256, 24), -EINVAL);
		T_EQ(judge_inflight(req, 4096, 0, 65535, 256, 24), -EINVAL);
		T_EQ(judge_inflight(req, 4096, 0, 3, 0, 24), -EINVAL);
		T_EQ(judge_inflight(req, 4096, 0, 3, 32769, 24), -EINVAL);
		T_EQ(judge_inflight(req, 4096, 0, 3, 65535, 24), -EINVAL);
	}
	/* The front end does not know the size yet. */
	T_EQ(judge_inflight(get, 0, 0, 3, 256, 24), 0);
	T_EQ(judge_inflight(set, 0, 0, 3, 256, 24), -EINVAL);
	T_EQ(judge_inflight(set, 4096, UINT64_MAX - 4094, 3, 256, 24), -EINVAL);
	T_EQ(judge_inflight(set, UINT64_MAX, 4096, 3, 256, 24), -EINVAL);
}

static void status_has_eight_bits(void)
{
	start(0);
	T_EQ(judge_u64(VHK_USER_SET_STATUS, 0, 0), 0);
	T_EQ(judge_u64(VHK_USER_SET_STATUS, 255, 0), 0);
	T_EQ(judge_u64(VHK_USER_SET_STATUS, 256, 0), -EINVAL);
	T_EQ(judge_u64(VHK_USER_SET_STATUS, 1ull << 63, 0), -EINVAL);
}

/* Which form a log comes in is negotiated. */
static void logs(void)
{
	static const struct {
		struct vhk_user_log log;
		int want;
	} cases[] = {
		{ { 4096, 0 }, 0 },
		{ { 1, UINT64_MAX }, 0 },
		{ { 0, 0 }, -EINVAL },
		{ { 2, UINT64_MAX }, -EINVAL },
		{ { UINT64_MAX, 2 }, -EINVAL },
	};
	const struct vhk_user_log good = { 4096, 0 };
	size_t i;

	start(0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		T_EQ(judge_bytes(VHK_USER_SET_LOG_BASE, &cases[i].log, 16, 1), cases[i].want);
	T_EQ(judge_bytes(VHK_USER_SET_LOG_BASE, &good, 16, 0), -EPROTO);
	T_EQ(judge_bytes(VHK_USER_SET_LOG_BASE, &good, 15, 1), -EPROTO);
	T_EQ(judge_u64(VHK_USER_SET_LOG_BASE, 0x1000, 0), -EPROTO);
	T_EQ(judge_u64(VHK_USER_SET_LOG_BASE, 0x1000, 1), -EPROTO);
	st.protocol &= ~VHK_USER_PF(LOG_SHMFD);
	T_EQ(judge_u64(VHK_USER_SET_LOG_BASE, UINT64_MAX, 0), 0);
	T_EQ(judge_u64(VHK_USER_SET_LOG_BASE, 0x1000, 1), -EPROTO);
	T_EQ(judge_bytes(VHK_USER_SET_LOG_BASE, &good, 16, 0), -EPROTO);
	T_EQ(judge_bytes(VHK_USER_SET_LOG_BASE, &good, 16, 1), -EPROTO);
}

static void state_transfers(void)
{
	static const struct {
		struct vhk_user_state_transfer t;
		int want;
	} cases[] = {
		{ { 0, 0 }, 0 },
		{ { 1, 0 }, 0 },
		{ { 2, 0 }, -EINVAL },
		{ { 0, 1 }, -EINVAL },
		{ { UINT32_MAX, 0 }, -EINVAL },
	};
	size_t i;

	start(0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		T_EQ(judge_bytes(VHK_USER_SET_DEVICE_STATE_FD, &cases[i].t, 8, 1), cases[i].want);
}

int main(void)
{
	T_RUN(every_message_with_a_ring_index_checks_it);
	T_RUN(an_index_with_an_fd_has_no_other_bits);
	T_RUN(ring_sizes);
	T_RUN(positions);
	T_RUN(enabling_is_yes_or_no);
	T_RUN(ring_addresses_are_aligned);
	T_RUN(rings_come_after_features);
	T_RUN(features_are_a_part_of_what_was_offered);
	T_RUN(protocol_features_need_bit_30);
	T_RUN(protocol_features_are_a_part_of_what_was_offered);
	T_RUN(protocol_features_need_each_other);
	T_RUN(there_is_one_owner);
	T_RUN(single_regions);
	T_RUN(tables_have_as_many_regions_as_they_say);
	T_RUN(regions_of_a_table_stay_apart);
	T_RUN(configuration_stays_inside_its_space);
	T_RUN(inflight_areas);
	T_RUN(status_has_eight_bits);
	T_RUN(logs);
	T_RUN(state_transfers);
	return t_end();
}
