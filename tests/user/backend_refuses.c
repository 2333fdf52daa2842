// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a back end refuses: each message too short, too long, with wrong fds, out of range, in a
 * wrong state, not negotiated, not served or unknown. It says so where an answer is due, leaks
 * nothing and goes on. Only a byte stream that cannot be followed ends the session.
 */
#include "t_user.h"

/* Begins at a session that has all negotiated, its memory, and ring 1 running. */
struct fixture {
	struct t_user u;
	struct t_ring ring, other;
};

static void fixture_init(struct fixture *f)
{
	t_user_init(&f->u, VHK_LOOP_AUTO);
	t_user_open(&f->u);
	t_negotiate(&f->u, T_SPLIT);
	t_ring_init(&f->u, &f->other, 0, T_SPLIT);
	t_ring_init(&f->u, &f->ring, 1, T_SPLIT);
	T_EQ(t_ask_mem_table(&f->u), 0);
	t_ring_start(&f->u, &f->ring, f->ring.kick);
}

static void fixture_fini(struct fixture *f)
{
	t_ring_fini(&f->ring);
	t_ring_fini(&f->other);
	t_user_fini(&f->u);
}

/* The session and its ring work. */
static void fixture_alive(struct fixture *f)
{
	t_alive(&f->u);
	t_ring_echo(&f->u, &f->ring, 1);
}

/* Sends a request with NEED_REPLY that is to be refused; what says so is a non-zero u64, or nothing
 * in place of a payload. */
static void refused(struct fixture *f, const char *what, uint32_t request, const void *payload,
		    uint32_t size, unsigned int n_fds)
{
	const struct vhk_proto *row = vhk_proto_request(request);
	bool is_value = row && row->reply == VHK_REPLY_PAYLOAD;
	int fd[40];
	struct vhk_msg m;
	unsigned int i;

	for (i = 0; i < n_fds; i++)
		fd[i] = f->ring.kick;
	t_send(&f->u, request, VHK_MSG_NEED_REPLY, payload, size, fd, n_fds);
	T_MUST(t_recv(&f->u, &m));
	if (m.hdr.request != request || m.hdr.flags != (VHK_MSG_VERSION | VHK_MSG_REPLY) ||
	    m.hdr.size != (is_value ? 0u : 8u) || (!is_value && !m.u64)) {
		printf("# %s: answered by request %u, flags %x, size %u, %" PRIu64 "\n", what,
		       m.hdr.request, m.hdr.flags, m.hdr.size, m.u64);
		t_bad++;
	}
}

static void every_message_of_a_wrong_size(void)
{
	unsigned char bytes[VHK_MSG_PAYLOAD_MAX] = { 0 };
	const struct vhk_proto *row;
	struct fixture f;
	uint32_t req;

	fixture_init(&f);
	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		row = vhk_proto_request(req);
		if (row->size_min)
			refused(&f, row->name, req, bytes, row->size_min - 1u, row->fds_min);
		if (row->size_max < VHK_MSG_PAYLOAD_MAX)
			refused(&f, row->name, req, bytes, row->size_max + 1u, row->fds_min);
		refused(&f, row->name, req, bytes, VHK_MSG_PAYLOAD_MAX, row->fds_min);
	}
	fixture_alive(&f);
	fixture_fini(&f);
}

static void every_message_with_wrong_fds(void)
{
	unsigned char bytes[VHK_MSG_PAYLOAD_MAX] = { 0 };
	const struct vhk_proto *row;
	struct fixture f;
	uint32_t req;
	int fds;

	fixture_init(&f);
	fds = t_count_fds();
	for (req = 1; req <= VHK_USER_REQ_MAX; req++) {
		row = vhk_proto_request(req);
		if (row->fds_max < VHK_MSG_FDS_MAX)
			refused(&f, row->name, req, bytes, row->size_min, row->fds_max + 1u);
		if (row->fds_min)
			refused(&f, row->name, req, bytes, row->size_min, row->fds_min - 1u);
		refused(&f, row->name, req, bytes, row->size_min, 40);
	}
	T_EQ(t_count_fds(), fds);
	fixture_alive(&f);
	fixture_fini(&f);
}

static void unknown_messages_and_flags(void)
{
	static const uint32_t numbers[] = { 0, 46, 47, 255, 257, 0x10001, 0x80000001, 0xffffffff };
	struct fixture f;
	unsigned int i;

	fixture_init(&f);
	for (i = 0; i < vhk_array_size(numbers); i++) {
		refused(&f, "unknown", numbers[i], NULL, 0, 0);
		refused(&f, "unknown", numbers[i], "12345678", 8, 1);
	}
	/* a reply to nothing, and bits that mean nothing: no answer is due without NEED_REPLY */
	t_send(&f.u, VHK_USER_SET_OWNER, VHK_MSG_REPLY, NULL, 0, NULL, 0);
	t_send(&f.u, VHK_USER_SET_OWNER, 0x80, NULL, 0, NULL, 0);
	t_send(&f.u, 46, 0, NULL, 0, NULL, 0);
	fixture_alive(&f);
	fixture_fini(&f);
}

/* Whatever number a message calls its ring by, it is not cut to the bits that are used. */
static void rings_that_are_none(void)
{
	static const uint32_t by_state[] = {
		VHK_USER_SET_VRING_NUM,
		VHK_USER_SET_VRING_BASE,
		VHK_USER_GET_VRING_BASE,
		VHK_USER_SET_VRING_ENABLE,
		VHK_USER_SET_VRING_ENDIAN,
		VHK_USER_VRING_KICK,
		VHK_USER_GET_VRING_BASE_SKIP_DRAIN,
	};
	static const uint32_t by_fd[] = { VHK_USER_SET_VRING_KICK, VHK_USER_SET_VRING_CALL,
					  VHK_USER_SET_VRING_ERR };
	static const uint32_t numbers[] = { 2, 255, 256, 0x100, 0x10000, 0x80000000, 0xffffffff };
	static const uint64_t bits[] = { 2,	     255,	 0x200,	    1 | 0x400,
					 1ull << 32, 1ull << 63, 1ull << 16 };
	struct vhk_user_vring_state state = { 0, 1 };
	struct vhk_user_vring_addr addr;
	struct fixture f;
	unsigned int i, k;

	fixture_init(&f);
	for (i = 0; i < vhk_array_size(numbers); i++) {
		state.index = numbers[i];
		for (k = 0; k < vhk_array_size(by_state); k++)
			refused(&f, "state", by_state[k], &state, sizeof(state), 0);
		addr = t_ring_wire_addr(&f.other);
		addr.index = numbers[i];
		refused(&f, "addr", VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr), 0);
	}
	for (i = 0; i < vhk_array_size(bits); i++)
		for (k = 0; k < vhk_array_size(by_fd); k++)
			refused(&f, "fd", by_fd[k], &bits[i], 8, 1);
	fixture_alive(&f);
	fixture_fini(&f);
}

static void values_out_of_range(void)
{
	static const struct {
		uint32_t request;
		uint64_t v;
		unsigned int n_fds;
	} cases[] = {
		{ VHK_USER_SET_FEATURES, T_SPLIT | VHK_F_ACCESS_PLATFORM, 0 },
		{ VHK_USER_SET_FEATURES, T_SPLIT | 1, 0 },
		{ VHK_USER_SET_PROTOCOL_FEATURES, VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(PAGEFAULT),
		  0 },
		{ VHK_USER_SET_STATUS, 0x100, 0 },
		{ VHK_USER_SET_OWNER, 0, 0 },
		{ VHK_USER_SET_VRING_KICK, 0, 0 },
		{ VHK_USER_SET_VRING_KICK, 0x100, 1 },
		{ VHK_USER_SET_VRING_CALL, 0, 0 },
		{ VHK_USER_SET_VRING_CALL, 0x100, 1 },
		{ VHK_USER_SET_VRING_ERR, 0, 0 },
		{ VHK_USER_SET_VRING_ERR, 0x100, 1 },
	};
	static const struct {
		uint32_t request, num;
	} states[] = {
		{ VHK_USER_SET_VRING_NUM, 0 },
		{ VHK_USER_SET_VRING_NUM, 3 },
		{ VHK_USER_SET_VRING_NUM, 65 },
		{ VHK_USER_SET_VRING_NUM, T_QUEUE_SIZE * 2 },
		{ VHK_USER_SET_VRING_NUM, 0x10000 },
		{ VHK_USER_SET_VRING_NUM, 0x10040 },
		{ VHK_USER_SET_VRING_NUM, 0x80000000 },
		{ VHK_USER_SET_VRING_BASE, 0x10000 },
		{ VHK_USER_SET_VRING_BASE, 0xffffffff },
		{ VHK_USER_SET_VRING_ENABLE, 2 },
	};
	struct vhk_user_vring_state state = { 0, 0 };
	struct fixture f;
	unsigned int i;

	fixture_init(&f);
	for (i = 0; i < vhk_array_size(cases); i++)
		refused(&f, "u64", cases[i].request, &cases[i].v,
			cases[i].request == VHK_USER_SET_OWNER ? 0 : 8, cases[i].n_fds);
	for (i = 0; i < vhk_array_size(states); i++) {
		state.num = states[i].num;
		refused(&f, "state", states[i].request, &state, sizeof(state), 0);
	}
	fixture_alive(&f);
	fixture_fini(&f);
}

static void ring_addresses_that_are_wrong(void)
{
	struct vhk_user_vring_addr addr;
	struct fixture f;
	uint64_t end;
	unsigned int i;

	fixture_init(&f);
	T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
	addr = t_ring_wire_addr(&f.other);
	/* the last byte that the table knows behind a part's start */
	end = (uintptr_t)f.u.buf + T_BUF_SIZE;
	for (i = 0; i < 12; i++) {
		struct vhk_user_vring_addr a = addr;

		switch (i) {
		case 0: a.desc = 0; break;
		case 1: a.avail = 0; break;
		case 2: a.used = 0; break;
		case 3: a.desc += 8; break;
		case 4: a.avail += 1; break;
		case 5: a.used += 2; break;
		case 6: a.desc = end - 64 * 16 + 16; break;
		case 7: a.avail = end - (6 + 2 * 64) + 2; break;
		case 8: a.used = end - (6 + 8 * 64) + 2; break;
		case 9: a.desc = UINT64_MAX - 15; break;
		case 10: a.flags = 2; break;
		case 11: a.flags = 1; break;
		}
		refused(&f, "addr", VHK_USER_SET_VRING_ADDR, &a, sizeof(a), 0);
	}
	/* a refused address is not kept */
	refused(&f, "kick", VHK_USER_SET_VRING_KICK, (uint64_t[]){ 0 }, 8, 1);
	T_EQ(t_ask(&f.u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	addr.desc = end - 64 * 16;
	T_EQ(t_ask(&f.u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	fixture_alive(&f);
	fixture_fini(&f);
}

static void rings_that_are_not_set_up(void)
{
	struct vhk_user_vring_addr addr;
	struct fixture f;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fixture_init(&f);
		addr = t_ring_wire_addr(&f.other);
		if (i & 1)
			T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
		if (i & 2)
			T_EQ(t_ask(&f.u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
		refused(&f, "kick", VHK_USER_SET_VRING_KICK, (uint64_t[]){ 0 }, 8, 1);
		T_OK(strstr(f.u.log.last, "SET_VRING_KICK refused"));
		fixture_alive(&f);
		fixture_fini(&f);
	}
}

/* The place of a ring is looked for when it starts, and there is none without memory. */
static void a_ring_before_any_memory(void)
{
	struct t_ring ring;
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &ring, 0, T_SPLIT);
	t_ring_set_up(&u, &ring, 0);
	T_OK(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, ring.kick) != 0);
	T_OK(strstr(u.log.last, "the front end has shared no memory"));
	T_EQ(t_ask_mem_table(&u), 0);
	t_ring_start(&u, &ring, ring.kick);
	t_ring_echo(&u, &ring, 1);
	t_ring_fini(&ring);
	t_user_fini(&u);
}

/* On a running ring nothing may change but its fds, whether it is enabled, and what is logged. */
static void changes_of_a_running_ring(void)
{
	struct vhk_user_vring_state state = { 1, 64 };
	struct vhk_user_vring_addr addr;
	uint64_t v;
	struct fixture f;

	fixture_init(&f);
	refused(&f, "num", VHK_USER_SET_VRING_NUM, &state, sizeof(state), 0);
	state.num = 0;
	refused(&f, "base", VHK_USER_SET_VRING_BASE, &state, sizeof(state), 0);
	addr = t_ring_wire_addr(&f.ring);
	T_EQ(t_ask(&f.u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	addr.used = (uintptr_t)f.u.buf;
	refused(&f, "addr", VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr), 0);
	T_EQ(t_ask_u64(&f.u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
	v = T_SPLIT | VHK_F_EVENT_IDX;
	refused(&f, "features", VHK_USER_SET_FEATURES, &v, 8, 0);
	v = VHK_USER_PF(REPLY_ACK);
	refused(&f, "protocol features", VHK_USER_SET_PROTOCOL_FEATURES, &v, 8, 0);
	fixture_alive(&f);
	fixture_fini(&f);
}

static void features_that_the_device_refuses(void)
{
	uint64_t v = T_SPLIT | VHK_F_EVENT_IDX;
	struct fixture f;

	fixture_init(&f);
	f.u.echo.refused_features = VHK_F_EVENT_IDX;
	t_stop_ring(&f.u, 1);
	refused(&f, "features", VHK_USER_SET_FEATURES, &v, 8, 0);
	t_alive(&f.u);
	/* what was settled before is still so */
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 1, f.ring.kick), 0);
	fixture_alive(&f);
	fixture_fini(&f);
}

static void memory_that_is_wrong(void)
{
	struct vhk_user_mem_reg reg = { 0 };
	struct vhk_region r;
	struct fixture f;
	unsigned int i;
	int fd, short_fd = memfd_create("short", MFD_CLOEXEC);
	int fds;

	fixture_init(&f);
	T_MUST(short_fd >= 0 && !ftruncate(short_fd, 4096));
	fds = t_count_fds();
	T_MUST(!vhk_mem_get(f.u.mem, 0, &r, &fd));
	for (i = 0; i < 9; i++) {
		int use = fd;

		reg = (struct vhk_user_mem_reg){ .region = { 1ull << 40, 0x1000, 1ull << 41, 0 } };
		switch (i) {
		case 0: reg.region.size = 0; break;
		case 1: reg.region.gpa = UINT64_MAX - 0xffe; break;
		case 2: reg.region.uva = UINT64_MAX - 0xffe; break;
		case 3: reg.region.offset = UINT64_MAX - 0xffe; break;
		case 4: reg.region.gpa = r.gpa.v + r.size - 1; break;
		case 5: reg.region.uva = r.uva.v + r.size - 1; break;
		case 6: reg.padding = 1; break;
		case 7:
			use = short_fd;
			reg.region.offset = 1;
			break;
		case 8: use = f.u.fd; break;
		}
		T_OK(t_ask_fds(&f.u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &use, 1) != 0);
	}
	/* none of it stayed, and no such region is there to be taken away */
	reg.region = (struct vhk_user_region){ 1ull << 40, 0x1000, 1ull << 41, 0 };
	refused(&f, "rem", VHK_USER_REM_MEM_REG, &reg, sizeof(reg), 0);
	reg.region = t_wire_region(&r);
	reg.region.uva += 4096;
	refused(&f, "rem", VHK_USER_REM_MEM_REG, &reg, sizeof(reg), 0);
	T_EQ(t_count_fds(), fds);
	close(short_fd);
	fixture_alive(&f);
	fixture_fini(&f);
}

/* Files as large as they say, for which there is no address space; what was in force stays so. */
static void what_cannot_be_mapped(void)
{
	const uint64_t huge = 1ull << 50;
	const struct vhk_user_mem_reg reg = { .region = { 1ull << 51, huge, 1ull << 51, 0 } };
	const struct vhk_user_mem_table t = { .n = 1, .region = { reg.region } };
	const struct vhk_user_log log = { huge, 0 };
	const struct vhk_user_inflight in = { huge, 0, T_QUEUES, 64, 0 };
	int fd = memfd_create("huge", MFD_CLOEXEC), fds;
	struct fixture f;

	T_MUST(fd >= 0 && !ftruncate(fd, (off_t)huge));
	fixture_init(&f);
	fds = t_count_fds();
	T_OK(t_ask_fds(&f.u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1) != 0);
	T_OK(t_ask_fds(&f.u, VHK_USER_SET_MEM_TABLE, &t, 8 + 32, &fd, 1) != 0);
	T_OK(t_ask_fds(&f.u, VHK_USER_SET_LOG_BASE, &log, sizeof(log), &fd, 1) != 0);
	fixture_alive(&f);
	t_stop_ring(&f.u, 1);
	T_OK(t_ask_fds(&f.u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1) != 0);
	T_EQ(t_count_fds(), fds - 2);
	t_ring_start(&f.u, &f.ring, f.ring.kick);
	T_EQ(t_count_fds(), fds);
	fixture_alive(&f);
	fixture_fini(&f);
	close(fd);
}

static void a_table_that_is_wrong_leaves_the_old_one(void)
{
	struct vhk_user_mem_table t;
	struct fixture f;
	struct vhk_region r;
	int fd[3];
	unsigned int i, k;

	fixture_init(&f);
	for (k = 0; k < 4; k++) {
		memset(&t, 0, sizeof(t));
		t.n = 3;
		for (i = 0; i < 3; i++) {
			T_MUST(!vhk_mem_get(f.u.mem, i, &r, &fd[i]));
			t.region[i] = t_wire_region(&r);
		}
		switch (k) {
		case 0: t.region[2].offset += 1 << 30; break;
		case 1: t.region[2].gpa = t.region[1].gpa; break;
		case 2: t.region[1].size = 0; break;
		case 3: t.n = 2; break;
		}
		T_OK(t_ask_fds(&f.u, VHK_USER_SET_MEM_TABLE, &t, 8 + 3 * 32, fd, 3) != 0);
		fixture_alive(&f);
	}
	fixture_fini(&f);
}

static void fds_that_cannot_be_signalled(void)
{
	static const uint32_t requests[] = { VHK_USER_SET_VRING_KICK, VHK_USER_SET_VRING_CALL,
					     VHK_USER_SET_VRING_ERR };
	struct fixture f;
	unsigned int i;
	int file, dir, pipe_fd[2], fds;

	fixture_init(&f);
	file = memfd_create("file", MFD_CLOEXEC);
	dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	T_MUST(file >= 0 && dir >= 0 && !pipe2(pipe_fd, O_CLOEXEC));
	fds = t_count_fds();
	for (i = 0; i < vhk_array_size(requests); i++) {
		T_OK(t_ask_vring_fd(&f.u, requests[i], 1, file) != 0);
		T_OK(t_ask_vring_fd(&f.u, requests[i], 1, dir) != 0);
	}
	T_EQ(t_count_fds(), fds);
	fixture_alive(&f);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 1, pipe_fd[1]), 0);
	fixture_alive(&f);
	T_OK(t_wait_readable(&f.u, pipe_fd[0]));
	close(file);
	close(dir);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	fixture_fini(&f);
}

/* Nothing was settled: rings cannot be spoken of. */
static void messages_before_features(void)
{
	const uint64_t ack = VHK_USER_PF(REPLY_ACK);
	struct vhk_user_vring_addr addr = { 0 };
	struct t_user u;
	int kick = eventfd(0, EFD_CLOEXEC);

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &ack, 8, NULL, 0);
	T_OK(t_ask_state(&u, VHK_USER_SET_VRING_NUM, 0, 64) != 0);
	T_OK(t_ask(&u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)) != 0);
	T_OK(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, kick) != 0);
	/* but SET_PROTOCOL_FEATURES has said that it is known */
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 0), 0);
	T_OK(t_ask(&u, VHK_USER_RESET_DEVICE, NULL, 0) != 0);
	t_alive(&u);
	close(kick);
	t_user_fini(&u);
}

static void ten_thousand_bad_messages_leak_nothing(void)
{
	unsigned char bytes[512] = { 0 };
	struct fixture f;
	int fd[3], fds;
	unsigned int i, seed = 12345;

	fixture_init(&f);
	fd[0] = fd[1] = fd[2] = f.ring.kick;
	fds = t_count_fds();
	for (i = 0; i < 10000; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i % sizeof(bytes)] = (unsigned char)(seed >> 16);
		/* 256 on are unknown numbers; 5 and so on get fds that are no memory */
		t_send(&f.u, 256 + (seed >> 8) % 50, 0, bytes, (seed >> 20) % sizeof(bytes), fd,
		       seed % 4);
		t_send(&f.u, VHK_USER_SET_MEM_TABLE, 0, bytes, 8, fd, seed % 4);
		if (i % 64 == 0)
			t_alive(&f.u);
	}
	fixture_alive(&f);
	T_EQ(t_count_fds(), fds);
	T_OK(f.u.log.n[VHK_LOG_WARN] < 100);
	fixture_fini(&f);
}

/* Set again and again: only the last one is kept. */
static void repeated_messages_leak_nothing(void)
{
	struct vhk_user_inflight in = { .num_queues = T_QUEUES, .queue_size = 64 };
	struct fixture f;
	struct vhk_msg m;
	unsigned int i, maps;
	int fds;

	fixture_init(&f);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_ERR, 1, f.ring.call), 0);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_ERR, 0, f.ring.call), 0);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, f.ring.call), 0);
	fds = t_count_fds();
	maps = t_count_maps("memfd:");
	for (i = 0; i < 100; i++) {
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_ERR, i % 2, f.ring.call), 0);
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, i % 2, f.ring.call), 0);
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 1, f.ring.kick), 0);
		T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
		T_EQ(t_ask_mem_table(&f.u), 0);
		T_MUST(t_get(&f.u, VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &m) && m.n_fds == 1);
		vhk_msg_fini(&m);
	}
	T_EQ(t_count_fds(), fds);
	T_EQ(t_count_maps("memfd:"), maps);
	fixture_alive(&f);
	fixture_fini(&f);
}

/* What cannot be a header, alone or behind half a message, ends the session and nothing else. */
static void a_broken_stream_ends_the_session(void)
{
	static const struct vhk_msg_hdr bad[] = {
		{ VHK_USER_GET_FEATURES, 2, 0 },
		{ VHK_USER_GET_FEATURES, 0, 0 },
		{ VHK_USER_SET_FEATURES, VHK_MSG_VERSION, VHK_MSG_PAYLOAD_MAX + 1 },
		{ VHK_USER_SET_FEATURES, VHK_MSG_VERSION, 0xffffffff },
	};
	struct fixture f;
	unsigned int i;

	for (i = 0; i < vhk_array_size(bad); i++) {
		fixture_init(&f);
		t_send_bytes(f.u.fd, &bad[i], sizeof(bad[i]), NULL, 0);
		T_OK(t_closed(&f.u, f.u.fd));
		T_UNTIL(&f.u, f.u.n_down == 1);
		fixture_fini(&f);
	}
}

int main(void)
{
	T_RUN(every_message_of_a_wrong_size);
	T_RUN(every_message_with_wrong_fds);
	T_RUN(unknown_messages_and_flags);
	T_RUN(rings_that_are_none);
	T_RUN(values_out_of_range);
	T_RUN(ring_addresses_that_are_wrong);
	T_RUN(rings_that_are_not_set_up);
	T_RUN(a_ring_before_any_memory);
	T_RUN(changes_of_a_running_ring);
	T_RUN(features_that_the_device_refuses);
	T_RUN(memory_that_is_wrong);
	T_RUN(what_cannot_be_mapped);
	T_RUN(a_table_that_is_wrong_leaves_the_old_one);
	T_RUN(fds_that_cannot_be_signalled);
	T_RUN(messages_before_features);
	T_RUN(ten_thousand_bad_messages_leak_nothing);
	T_RUN(repeated_messages_leak_nothing);
	T_RUN(a_broken_stream_ends_the_session);
	return t_end();
}
