// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages that no end serves have rows with checks, too: whoever traces them relies on these.
 */
#include "proto.h"
#include "t.h"

static int check(const struct vhk_proto *row, const void *payload, size_t size)
{
	struct vhk_proto_state st = { .features_set = true, .n_queues = 1 };
	const char *why = NULL;
	struct vhk_msg m;
	int ret;

	vhk_msg_init(&m, 0, 0);
	m.hdr.size = (uint32_t)size;
	memcpy(m.bytes, payload, size);
	T_MUST(row && row->check && size == row->size_min);
	ret = row->check(&st, &m, &why);
	T_OK(!ret || (why && *why));
	return ret;
}

static void iotlb_messages(void)
{
	static const struct {
		struct vhk_user_iotlb t;
		int want;
	} cases[] = {
		{ { 0, 4096, 0, 3, VHOST_IOTLB_UPDATE, { 0 } }, 0 },
		{ { 0, 0, 0, 1, VHOST_IOTLB_MISS, { 0 } }, 0 },
		{ { UINT64_MAX, 1, UINT64_MAX, 0, VHOST_IOTLB_INVALIDATE, { 0 } }, 0 },
		{ { UINT64_MAX, 2, 0, 0, VHOST_IOTLB_INVALIDATE, { 0 } }, -EINVAL },
		{ { 0, 4096, UINT64_MAX, 0x7f, VHOST_IOTLB_INVALIDATE, { 1 } }, 0 },
		{ { 0, 2, UINT64_MAX, 0, VHOST_IOTLB_UPDATE, { 0 } }, -EINVAL },
		{ { 0, 1, 0, 4, VHOST_IOTLB_UPDATE, { 0 } }, -EINVAL },
		{ { 0, 1, 0, 0, 0, { 0 } }, -EINVAL },
		{ { 0, 1, 0, 0, 5, { 0 } }, -EINVAL },
		{ { 0, 1, 0, 0, 255, { 0 } }, -EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		T_EQ(check(vhk_proto_request(VHK_USER_IOTLB_MSG), &cases[i].t, 32), cases[i].want);
		T_EQ(check(vhk_proto_back_request(VHK_USER_BACK_IOTLB_MSG), &cases[i].t, 32),
		     cases[i].want);
	}
}

static void uuids(void)
{
	unsigned char uuid[16] = { 0 };
	const struct vhk_proto *row = vhk_proto_request(VHK_USER_GET_SHARED_OBJECT);

	T_EQ(check(row, uuid, 16), -EINVAL);
	uuid[15] = 1;
	T_EQ(check(row, uuid, 16), 0);
	memset(uuid, 0xff, 16);
	T_EQ(check(row, uuid, 16), -EINVAL);
	uuid[0] = 0xfe;
	T_EQ(check(row, uuid, 16), 0);
}

static void shared_memory_maps(void)
{
	static const struct {
		struct vhk_user_mmap t;
		int want;
	} cases[] = {
		{ { 0, { 0 }, 0, 0, 4096, 1 }, 0 },
		{ { 255, { 0 }, UINT64_MAX, UINT64_MAX, 1, 0 }, 0 },
		{ { 0, { 0 }, 0, 0, 0, 0 }, -EINVAL },
		{ { 0, { 0 }, UINT64_MAX, 0, 2, 0 }, -EINVAL },
		{ { 0, { 0 }, 0, UINT64_MAX, 2, 0 }, -EINVAL },
		{ { 0, { 0 }, 0, 0, 1, 2 }, -EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		T_EQ(check(vhk_proto_back_request(VHK_USER_BACK_SHMEM_MAP), &cases[i].t, 40),
		     cases[i].want);
		T_EQ(check(vhk_proto_back_request(VHK_USER_BACK_SHMEM_UNMAP), &cases[i].t, 40),
		     cases[i].want);
	}
}

static void reserved_numbers_are_zero(void)
{
	struct vhk_user_vring_state s = { 0, 0 };

	T_EQ(check(vhk_proto_request(VHK_USER_VRING_KICK), &s, sizeof(s)), 0);
	T_EQ(check(vhk_proto_back_request(VHK_USER_BACK_VRING_CALL), &s, sizeof(s)), 0);
	s.num = 1;
	T_EQ(check(vhk_proto_request(VHK_USER_VRING_KICK), &s, sizeof(s)), -EINVAL);
	T_EQ(check(vhk_proto_back_request(VHK_USER_BACK_VRING_CALL), &s, sizeof(s)), -EINVAL);
	T_EQ(check(vhk_proto_back_request(VHK_USER_BACK_VRING_ERR), &s, sizeof(s)), -EINVAL);
	T_EQ(check(vhk_proto_request(VHK_USER_SET_VRING_ENDIAN), &s, sizeof(s)), 0);
	s.num = 2;
	T_EQ(check(vhk_proto_request(VHK_USER_SET_VRING_ENDIAN), &s, sizeof(s)), -EINVAL);
}

int main(void)
{
	T_RUN(iotlb_messages);
	T_RUN(uuids);
	T_RUN(shared_memory_maps);
	T_RUN(reserved_numbers_are_zero);
	return t_end();
}
