// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the front end puts on the wire for each message: number, flags, size, payload, fds; and what
 * it makes of the answer. Messages that it does not have are refused without a byte being sent.
 */
#include <vhostkit/ctl.h>

#include "t_peer.h"

#define ALL_PF                                                                                     \
	(VHK_PF_MQ | VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_CONFIG |                       \
	 VHK_PF_INFLIGHT_SHMFD | VHK_PF_RESET_DEVICE | VHK_PF_CONFIGURE_MEM_SLOTS |                \
	 VHK_PF_STATUS | VHK_PF_RARP | VHK_PF_MTU | VHK_PF_CROSS_ENDIAN |                          \
	 VHK_PF_CRYPTO_SESSION | VHK_PF_INBAND_NOTIFICATIONS | VHK_PF_BACKEND_SEND_FD |            \
	 VHK_PF_SHARED_OBJECT | VHK_PF_SHMEM)

static const struct vhk_region region = { { 0x1000 }, { 0x70001000 }, 0x3000, 0x200 };
static const struct vhk_ctl_vring_addr addr = {
	.index = 3, .flags = 1, .desc = { 0x1000 }, .driver = { 0x2002 }, .device = { 0x3004 },
	.log = { 0x44 }
};
static int some_fd;

static int do_owner(struct vhk_ctl *c)
{
	return vhk_ctl_set_owner(c);
}

static int do_reset_owner(struct vhk_ctl *c)
{
	return vhk_ctl_reset_owner(c);
}

static int do_features(struct vhk_ctl *c)
{
	return vhk_ctl_set_features(c, VHK_F_VERSION_1);
}

static int do_num(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_num(c, 3, 128);
}

static int do_addr(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_addr(c, &addr);
}

static int do_base(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_base(c, 3, 0x1234);
}

static int do_kick(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_kick(c, 3, some_fd);
}

static int do_kick_none(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_kick(c, 3, -1);
}

static int do_call(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_call(c, 3, some_fd);
}

static int do_err(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_err(c, 3, some_fd);
}

static int do_enable(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_enable(c, 3, true);
}

static int do_back(struct vhk_ctl *c)
{
	return vhk_ctl_set_backend_req_fd(c);
}

static int do_set_config(struct vhk_ctl *c)
{
	return vhk_ctl_set_config(c, 8, "12345678", 8, VHK_CTL_CONFIG_F_MIGRATION);
}

static int do_set_inflight(struct vhk_ctl *c)
{
	struct vhk_ctl_inflight i = { 0x2000, 0x40, 2, 128 };

	return vhk_ctl_set_inflight_fd(c, &i, some_fd);
}

static int do_reset(struct vhk_ctl *c)
{
	return vhk_ctl_reset_device(c);
}

static int do_add(struct vhk_ctl *c)
{
	return vhk_ctl_add_mem_reg(c, &region, some_fd);
}

static int do_rem(struct vhk_ctl *c)
{
	return vhk_ctl_rem_mem_reg(c, &region);
}

static int do_status(struct vhk_ctl *c)
{
	return vhk_ctl_set_status(c, 0x0f);
}

static int do_rarp(struct vhk_ctl *c)
{
	return vhk_ctl_send_rarp(c, (const uint8_t[]){ 0x52, 0x54, 0, 0x12, 0x34, 0x56 });
}

static int do_mtu(struct vhk_ctl *c)
{
	return vhk_ctl_net_set_mtu(c, 9000);
}

static int do_endian(struct vhk_ctl *c)
{
	return vhk_ctl_set_vring_endian(c, 3, true);
}

static int do_close_crypto(struct vhk_ctl *c)
{
	return vhk_ctl_close_crypto_session(c, 0x1122334455667788);
}

static int do_gpu(struct vhk_ctl *c)
{
	return vhk_ctl_gpu_set_socket(c, some_fd);
}

static int do_inband_kick(struct vhk_ctl *c)
{
	return vhk_ctl_vring_kick(c, 3);
}

/* Everything that is only acknowledged. */
static const struct {
	int (*call)(struct vhk_ctl *c);
	uint32_t request, size;
	unsigned int n_fds;
	uint64_t payload[5];
} sets[] = {
	{ do_features, 2, 8, 0, { VHK_F_VERSION_1 } },
	{ do_owner, 3, 0, 0, { 0 } },
	{ do_reset_owner, 4, 0, 0, { 0 } },
	{ do_num, 8, 8, 0, { 3 | 128ull << 32 } },
	{ do_addr, 9, 40, 0, { 3 | 1ull << 32, 0x1000, 0x3004, 0x2002, 0x44 } },
	{ do_base, 10, 8, 0, { 3 | 0x1234ull << 32 } },
	{ do_kick, 12, 8, 1, { 3 } },
	{ do_kick_none, 12, 8, 0, { 0x103 } },
	{ do_call, 13, 8, 1, { 3 } },
	{ do_err, 14, 8, 1, { 3 } },
	{ do_enable, 18, 8, 0, { 3 | 1ull << 32 } },
	{ do_rarp, 19, 8, 0, { 0x563412005452 } },
	{ do_mtu, 20, 8, 0, { 9000 } },
	{ do_back, 21, 0, 1, { 0 } },
	{ do_endian, 23, 8, 0, { 3 | 1ull << 32 } },
	{ do_set_config, 25, 20, 0, { 8 | 8ull << 32, 1 | 0x34333231ull << 32, 0x38373635 } },
	{ do_close_crypto, 27, 8, 0, { 0x1122334455667788 } },
	{ do_set_inflight, 32, 24, 1, { 0x2000, 0x40, 2 | 128 << 16 } },
	{ do_gpu, 33, 0, 1, { 0 } },
	{ do_reset, 34, 0, 0, { 0 } },
	{ do_inband_kick, 35, 8, 0, { 3 } },
	{ do_add, 37, 40, 1, { 0, 0x1000, 0x3000, 0x70001000, 0x200 } },
	{ do_rem, 38, 40, 0, { 0, 0x1000, 0x3000, 0x70001000, 0x200 } },
	{ do_status, 39, 8, 0, { 0x0f } },
};

static int negotiated(struct vhk_ctl **c, uint64_t protocol)
{
	int sock = t_peer_open(c, &(struct vhk_ctl_opts){ .sz = sizeof(struct vhk_ctl_opts),
							  .timeout_ms = 200 });

	t_peer_negotiate(*c, sock, VHK_F_VERSION_1, protocol);
	return sock;
}

static void check_message(int sock, size_t i, bool need_reply)
{
	struct t_peer_msg m;

	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, sets[i].request);
	T_EQ(m.flags, need_reply ? 0x9 : 0x1);
	T_EQ(m.size, sets[i].size);
	T_EQ(m.n_fds, sets[i].n_fds);
	if (memcmp(m.bytes, sets[i].payload, sets[i].size)) {
		printf("# request %u: payload differs\n", m.request);
		T_OK(!"payload as in the table");
	}
	t_peer_close_fds(&m);
	T_EQ(t_peer_drain(sock), 0);
}

static void sets_with_ack(void)
{
	struct vhk_ctl *c;
	size_t i;
	int sock;

	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		sock = negotiated(&c, ALL_PF);
		t_peer_reply_u64(sock, sets[i].request, 0);
		T_EQ(sets[i].call(c), 0);
		check_message(sock, i, true);
		vhk_ctl_close(c);
		close(sock);
	}
}

static void refusals_come_back(void)
{
	struct vhk_ctl *c;
	uint64_t v;
	size_t i;
	int sock;

	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		sock = negotiated(&c, ALL_PF);
		t_peer_reply_u64(sock, sets[i].request, 1);
		T_EQ(sets[i].call(c), -EREMOTEIO);
		t_peer_drain(sock);
		/* The connection lives. */
		t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 5);
		T_EQ(vhk_ctl_get_features(c, &v), 0);
		T_EQ(v, 5);
		vhk_ctl_close(c);
		close(sock);
	}
}

static void sets_without_ack(void)
{
	struct vhk_ctl *c;
	size_t i;
	int sock;

	for (i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		/* Messages in place of notifications are acknowledged, or not there. */
		if (sets[i].request == VHK_CTL_VRING_KICK)
			continue;
		sock = negotiated(&c, ALL_PF & ~(VHK_PF_REPLY_ACK | VHK_PF_INBAND_NOTIFICATIONS));
		T_EQ(sets[i].call(c), 0);
		check_message(sock, i, false);
		vhk_ctl_close(c);
		close(sock);
	}
}

static void mem_table(void)
{
	uint64_t want[] = { 2, 0x1000, 0x1000, 0, 0, 0x10000, 0x2000, 0, 0 };
	struct t_peer_msg m;
	struct vhk_mem *mem;
	struct vhk_ctl *c;
	void *va[2];
	int sock;

	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x10000 }, 0x2000, &va[1]));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x1000 }, 0x1000, &va[0]));
	want[3] = (uintptr_t)va[0];
	want[7] = (uintptr_t)va[1];
	sock = negotiated(&c, ALL_PF);
	t_peer_reply_u64(sock, VHK_CTL_SET_MEM_TABLE, 0);
	T_EQ(vhk_ctl_set_mem_table(c, mem), 0);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 5);
	T_EQ(m.flags, 9);
	T_EQ(m.size, sizeof(want));
	T_EQ(m.n_fds, 2);
	T_OK(!memcmp(m.bytes, want, sizeof(want)));
	t_peer_close_fds(&m);
	vhk_ctl_close(c);
	close(sock);
	vhk_mem_free(mem);
}

static int get_features(struct vhk_ctl *c, uint64_t *v)
{
	return vhk_ctl_get_features(c, v);
}

static int get_protocol(struct vhk_ctl *c, uint64_t *v)
{
	return vhk_ctl_get_protocol_features(c, v);
}

static int get_queue_num(struct vhk_ctl *c, uint64_t *v)
{
	return vhk_ctl_get_queue_num(c, v);
}

static int get_slots(struct vhk_ctl *c, uint64_t *v)
{
	return vhk_ctl_get_max_mem_slots(c, v);
}

static int get_status(struct vhk_ctl *c, uint64_t *v)
{
	uint8_t status;
	int ret = vhk_ctl_get_status(c, &status);

	*v = status;
	return ret;
}

static void gets_u64(void)
{
	static const struct {
		int (*call)(struct vhk_ctl *c, uint64_t *v);
		uint32_t request;
		uint64_t v;
	} gets[] = {
		{ get_features, 1, 0xfedcba9876543210 }, { get_protocol, 15, 0xffff },
		{ get_queue_num, 17, 9 },		 { get_slots, 36, 509 },
		{ get_status, 40, 0xff },
	};
	struct t_peer_msg m;
	struct vhk_ctl *c;
	uint64_t v;
	size_t i;
	int sock;

	for (i = 0; i < sizeof(gets) / sizeof(gets[0]); i++) {
		sock = negotiated(&c, ALL_PF);
		t_peer_reply_u64(sock, gets[i].request, gets[i].v);
		T_EQ(gets[i].call(c, &v), 0);
		T_EQ(v, gets[i].v);
		T_MUST(t_peer_recv(sock, &m));
		T_EQ(m.request, gets[i].request);
		T_EQ(m.flags, 1);
		T_EQ(m.size, 0);
		T_EQ(m.n_fds, 0);
		vhk_ctl_close(c);
		close(sock);
	}
}

static void gets_base(void)
{
	uint32_t answer[2] = { 2, 0x8000abcd }, base;
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock = negotiated(&c, ALL_PF);

	t_peer_send(sock, VHK_CTL_GET_VRING_BASE, T_PEER_REPLY, answer, 8, NULL, 0);
	T_EQ(vhk_ctl_get_vring_base(c, 2, &base), 0);
	T_EQ(base, 0x8000abcd);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 11);
	T_EQ(m.size, 8);
	T_EQ(m.u64, 2);
	vhk_ctl_close(c);
	close(sock);
}

static void gets_config(void)
{
	uint32_t answer[5] = { 4, 8, 0, 0x11111111, 0x22222222 }, got[3] = { 0, 0, 7 };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock = negotiated(&c, ALL_PF);

	t_peer_send(sock, VHK_CTL_GET_CONFIG, T_PEER_REPLY, answer, sizeof(answer), NULL, 0);
	T_EQ(vhk_ctl_get_config(c, 4, got, 8), 0);
	T_EQ(got[0], 0x11111111);
	T_EQ(got[1], 0x22222222);
	T_EQ(got[2], 7);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 24);
	T_EQ(m.size, 20);
	T_EQ(m.w[0], 4 | 8ull << 32);
	T_EQ(m.u32[2] | m.u32[3] | m.u32[4], 0);
	vhk_ctl_close(c);
	close(sock);
}

static void gets_inflight(void)
{
	uint64_t answer[3] = { 0x3000, 0x1000, 2 | 128 << 16 };
	struct vhk_ctl_inflight i = { .n_queues = 2, .queue_size = 128 };
	uint32_t sizes[] = { 20, 24 };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	size_t k;
	int sock, fd;

	for (k = 0; k < 2; k++) {
		sock = negotiated(&c, ALL_PF);
		t_peer_send(sock, VHK_CTL_GET_INFLIGHT_FD, T_PEER_REPLY, answer, sizes[k], &some_fd,
			    1);
		T_EQ(vhk_ctl_get_inflight_fd(c, &i, &fd), 0);
		T_EQ(i.size, 0x3000);
		T_EQ(i.offset, 0x1000);
		T_OK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
		close(fd);
		T_MUST(t_peer_recv(sock, &m));
		T_EQ(m.request, 31);
		T_EQ(m.size, 24);
		T_EQ(m.w[0] | m.w[1], 0);
		T_EQ(m.w[2], 2 | 128 << 16);
		vhk_ctl_close(c);
		close(sock);
	}
}

static void creates_crypto_sessions(void)
{
	unsigned char data[40], answer[40];
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int sock = negotiated(&c, ALL_PF);

	memset(data, 0x11, sizeof(data));
	memset(answer, 0x22, sizeof(answer));
	t_peer_send(sock, VHK_CTL_CREATE_CRYPTO_SESSION, T_PEER_REPLY, answer, 40, NULL, 0);
	T_EQ(vhk_ctl_create_crypto_session(c, data, sizeof(data)), 0);
	T_OK(!memcmp(data, answer, sizeof(data)));
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 26);
	T_EQ(m.flags, 1);
	T_EQ(m.size, 40);
	T_EQ(m.u64, 0x1111111111111111);
	T_EQ(vhk_ctl_create_crypto_session(c, data, 0), -EINVAL);
	T_EQ(vhk_ctl_create_crypto_session(c, data, 4097), -EINVAL);
	/* nothing: refused; another length: no answer to this */
	t_peer_send(sock, VHK_CTL_CREATE_CRYPTO_SESSION, T_PEER_REPLY, NULL, 0, NULL, 0);
	T_EQ(vhk_ctl_create_crypto_session(c, data, sizeof(data)), -EREMOTEIO);
	t_peer_send(sock, VHK_CTL_CREATE_CRYPTO_SESSION, T_PEER_REPLY, answer, 39, NULL, 0);
	T_EQ(vhk_ctl_create_crypto_session(c, data, sizeof(data)), -EPROTO);
	vhk_ctl_close(c);
	close(sock);
}

static void gets_shared_objects(void)
{
	const struct vhk_uuid id = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
	struct vhk_uuid other = id, nil = { { 0 } };
	struct t_peer_msg m;
	struct vhk_ctl *c;
	int fd, sock = negotiated(&c, ALL_PF);

	/* with the name again, as most do, and without */
	t_peer_send(sock, VHK_CTL_GET_SHARED_OBJECT, T_PEER_REPLY, &id, 16, &some_fd, 1);
	T_EQ(vhk_ctl_get_shared_object(c, &id, &fd), 0);
	T_OK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 41);
	T_EQ(m.size, 16);
	T_OK(!memcmp(m.bytes, &id, 16));
	t_peer_send(sock, VHK_CTL_GET_SHARED_OBJECT, T_PEER_REPLY, NULL, 0, &some_fd, 1);
	T_EQ(vhk_ctl_get_shared_object(c, &id, &fd), 0);
	close(fd);
	t_peer_send(sock, VHK_CTL_GET_SHARED_OBJECT, T_PEER_REPLY, &id, 16, NULL, 0);
	T_EQ(vhk_ctl_get_shared_object(c, &id, &fd), -EREMOTEIO);
	T_EQ(fd, -1);
	t_peer_send(sock, VHK_CTL_GET_SHARED_OBJECT, T_PEER_REPLY, NULL, 0, NULL, 0);
	T_EQ(vhk_ctl_get_shared_object(c, &id, &fd), -EREMOTEIO);
	T_EQ(vhk_ctl_get_shared_object(c, &nil, &fd), -EINVAL);
	other.bytes[0] = 9;
	t_peer_send(sock, VHK_CTL_GET_SHARED_OBJECT, T_PEER_REPLY, &other, 16, &some_fd, 1);
	T_EQ(vhk_ctl_get_shared_object(c, &id, &fd), -EPROTO);
	vhk_ctl_close(c);
	close(sock);
}

/* Each is what a back end answers: its size and number, one region's size, and what that is. */
static void gets_shmem_config(void)
{
	static const struct {
		uint32_t size, n;
		uint64_t region;
		int want;
	} cases[] = {
		{ 2056, 1, 0x10000, 0 },	{ 24, 1, 0x10000, 0 },
		{ 8, 0, 0, 0 },			{ 2056, 256, 0x10000, 0 },
		{ 2056, 257, 0x10000, -EPROTO }, { 2056, 1, 0x10001, -EPROTO },
		{ 2056, 0, 0x10000, -EPROTO },	{ 20, 1, 0, -EPROTO },
		{ 0, 0, 0, -EREMOTEIO },	{ 4, 0, 0, -EPROTO },
	};
	unsigned char answer[2056];
	struct vhk_ctl_shmem got;
	struct vhk_ctl *c;
	size_t i;
	int sock;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sock = negotiated(&c, ALL_PF);
		memset(answer, 0, sizeof(answer));
		memcpy(answer, &cases[i].n, 4);
		memcpy(answer + 8 + 8, &cases[i].region, 8);
		t_peer_send(sock, VHK_CTL_GET_SHMEM_CONFIG, T_PEER_REPLY, answer, cases[i].size,
			    NULL, 0);
		T_EQ(vhk_ctl_get_shmem_config(c, &got), cases[i].want);
		if (!cases[i].want) {
			T_EQ(got.n, cases[i].n);
			T_EQ(got.size[1], cases[i].region);
			T_EQ(got.size[0] | got.size[255], 0);
		}
		vhk_ctl_close(c);
		close(sock);
	}
}

/*
 * All 45 have a name; what is not implemented, or not negotiated, is refused and nothing is sent.
 */
static void unimplemented_and_ungated(void)
{
	static const unsigned char absent[] = { 22, 0, 46, 200 };
	static const unsigned char gated[] = { 17, 19, 20, 21, 23, 24, 25, 26, 27, 28,
					       29, 30, 31, 32, 34, 35, 36, 37, 38, 39, 40, 41, 42,
					       43, 44, 45 };
	struct vhk_ctl_req r;
	struct vhk_ctl *c;
	size_t i;
	int sock = negotiated(&c, VHK_PF_REPLY_ACK);

	for (i = 1; i <= 45; i++)
		T_OK(vhk_ctl_op_name((enum vhk_ctl_op)i));
	T_OK(!vhk_ctl_op_name((enum vhk_ctl_op)46));
	for (i = 0; i < sizeof(absent) + sizeof(gated); i++) {
		r = (struct vhk_ctl_req){ .fd = -1 };
		r.op = (enum vhk_ctl_op)(i < sizeof(absent) ? absent[i] :
							      gated[i - sizeof(absent)]);
		T_OK(!vhk_ctl_can(c, r.op));
		T_EQ(vhk_ctl_call(c, &r), -EOPNOTSUPP);
	}
	T_EQ(t_peer_drain(sock), 0);
	vhk_ctl_close(c);
	close(sock);
}

static void bad_arguments(void)
{
	struct vhk_ctl_inflight none = { .n_queues = 0, .queue_size = 128 };
	struct vhk_ctl_vring_addr crooked = addr;
	struct vhk_region empty = region, wraps = region;
	struct vhk_ctl *c;
	uint32_t buf[65];
	uint64_t v;
	int sock = negotiated(&c, ALL_PF), fd;

	t_peer_reply_u64(sock, VHK_CTL_GET_QUEUE_NUM, 4);
	T_EQ(vhk_ctl_get_queue_num(c, &v), 0);
	T_EQ(vhk_ctl_n_queues(c), 4);
	t_peer_drain(sock);
	crooked.desc.v = 8;
	empty.size = 0;
	wraps.gpa.v = UINT64_MAX;
	T_EQ(vhk_ctl_set_vring_num(c, 4, 128), -EINVAL);
	T_EQ(vhk_ctl_set_vring_num(c, 0, 0), -EINVAL);
	T_EQ(vhk_ctl_set_vring_num(c, 0, 100), -EINVAL);
	T_EQ(vhk_ctl_set_vring_num(c, 0, 65536), -EINVAL);
	T_EQ(vhk_ctl_set_vring_base(c, 0, 65536), -EINVAL);
	T_EQ(vhk_ctl_set_vring_kick(c, 4, some_fd), -EINVAL);
	T_EQ(vhk_ctl_set_vring_kick(c, 0x100, some_fd), -EINVAL);
	T_EQ(vhk_ctl_set_vring_addr(c, &crooked), -EINVAL);
	T_EQ(vhk_ctl_add_mem_reg(c, &empty, some_fd), -EINVAL);
	T_EQ(vhk_ctl_add_mem_reg(c, &wraps, some_fd), -EINVAL);
	T_EQ(vhk_ctl_add_mem_reg(c, &region, -1), -EINVAL);
	T_EQ(vhk_ctl_get_config(c, 0, buf, 0), -EINVAL);
	T_EQ(vhk_ctl_get_config(c, 0, buf, 257), -EINVAL);
	T_EQ(vhk_ctl_get_config(c, 200, buf, 57), -EINVAL);
	T_EQ(vhk_ctl_get_config(c, UINT32_MAX, buf, 4), -EINVAL);
	T_EQ(vhk_ctl_set_config(c, 0, buf, 4, 2), -EINVAL);
	T_EQ(vhk_ctl_get_inflight_fd(c, &none, &fd), -EINVAL);
	T_EQ(vhk_ctl_set_features(c, VHK_F_RING_PACKED), -EINVAL);
	T_EQ(vhk_ctl_set_protocol_features(c, VHK_PF_XEN_MMAP), -EINVAL);
	T_EQ(vhk_ctl_set_protocol_features(c, VHK_PF_INBAND_NOTIFICATIONS), -EINVAL);
	T_EQ(vhk_ctl_net_set_mtu(c, 67), -EINVAL);
	T_EQ(vhk_ctl_vring_kick(c, 4), -EINVAL);
	T_EQ(vhk_ctl_set_vring_endian(c, 4, false), -EINVAL);
	T_EQ(vhk_ctl_gpu_set_socket(c, -1), -EINVAL);
	T_EQ(t_peer_drain(sock), 0);
	vhk_ctl_close(c);
	close(sock);
}

int main(void)
{
	some_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	T_RUN(sets_with_ack);
	T_RUN(refusals_come_back);
	T_RUN(sets_without_ack);
	T_RUN(mem_table);
	T_RUN(gets_u64);
	T_RUN(gets_base);
	T_RUN(gets_config);
	T_RUN(gets_inflight);
	T_RUN(creates_crypto_sessions);
	T_RUN(gets_shared_objects);
	T_RUN(gets_shmem_config);
	T_RUN(unimplemented_and_ungated);
	T_RUN(bad_arguments);
	return t_end();
}
