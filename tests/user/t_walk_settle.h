/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps of a walk: what both ends settle on, memory, the configuration space, status and resets.
 */
#ifndef VHK_TESTS_T_WALK_SETTLE_H
#define VHK_TESTS_T_WALK_SETTLE_H

#include "t_walk.h"

#define OFFERED_LATER (VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC | VHK_F_IN_ORDER)

/* The answers that decide what later steps may do are asked for in between. */
static inline void get_something(void)
{
	struct vhk_msg a;

	switch (below(5)) {
	case 0:
		get(true, VHK_USER_GET_FEATURES, NULL, 0, &a);
		break;
	case 1:
		get(true, VHK_USER_GET_PROTOCOL_FEATURES, NULL, 0, &a);
		break;
	case 2:
		get(has(VHK_USER_PF(MQ)), VHK_USER_GET_QUEUE_NUM, NULL, 0, &a);
		break;
	case 3:
		get(has(VHK_USER_PF(CONFIGURE_MEM_SLOTS)), VHK_USER_GET_MAX_MEM_SLOTS, NULL, 0, &a);
		break;
	default:
		if (get(has(VHK_USER_PF(STATUS)), VHK_USER_GET_STATUS, NULL, 0, &a))
			T_EQ(a.u64, m.status);
	}
}

static inline uint64_t some_features(void)
{
	uint64_t f = T_SPLIT | (OFFERED_LATER & ((uint64_t)below(1u << 30) << 20));

	if (one_in(3))
		f |= VHK_F_RING_PACKED;
	if (one_in(3))
		f |= VHK_F_LOG_ALL;
	if (m.mode == WALK_IOMMU && !one_in(8))
		f |= VHK_F_ACCESS_PLATFORM;
	if (one_in(8))
		f &= ~VHK_F_PROTOCOL_FEATURES;
	return f;
}

static inline bool features_legal(uint64_t f)
{
	if (f & ~T_FEATURES)
		return false;
	if (!runs_any() || f == m.features)
		return true;
	if ((f ^ m.features) != VHK_F_LOG_ALL)
		return false;
	return !(f & VHK_F_LOG_ALL) || (m.log.set && log_bytes(memory_end()) <= m.log.size);
}

static inline void set_features(void)
{
	uint64_t f = some_features();
	unsigned int i;

	if (runs_any() && one_in(2))
		f = m.features ^ (one_in(3) ? 0 : VHK_F_LOG_ALL);
	if (one_in(4))
		f |= 1ull << (41 + below(20));
	if (!ask_u64(features_legal(f), VHK_USER_SET_FEATURES, f))
		return;
	if (m.inflight.set && ((f ^ m.features) & VHK_F_RING_PACKED))
		m.inflight.stale = true;
	if (!runs_any()) {
		memset(m.translated, 0, sizeof(m.translated));
		for (i = 0; i < T_QUEUES && !(f & VHK_F_PROTOCOL_FEATURES); i++)
			m.ring[i].enabled = true;
	}
	m.features = f;
	m.features_set = true;
}

/* What a session of this mode never takes, or always. */
static inline uint64_t for_mode(uint64_t p)
{
	if (m.mode != WALK_INBAND)
		p &= ~VHK_USER_PF(INBAND_NOTIFICATIONS);
	if (m.mode != WALK_GPA)
		p &= ~VHK_USER_PF(GPA_ADDRESSES);
	if (m.mode == WALK_SILENT)
		p &= ~VHK_USER_PF(REPLY_ACK);
	else
		p |= VHK_USER_PF(REPLY_ACK);
	if (m.mode == WALK_GPA)
		p |= VHK_USER_PF(GPA_ADDRESSES);
	if (m.mode == WALK_INBAND)
		p |= VHK_USER_PF(BACKEND_REQ);
	return p;
}

/* What these stand on goes with them. */
static inline uint64_t without_what_stands_alone(uint64_t p)
{
	if (!(p & VHK_USER_PF(BACKEND_REQ)))
		p &= ~(VHK_USER_PF(BACKEND_SEND_FD) | VHK_USER_PF(INBAND_NOTIFICATIONS));
	if (!(p & VHK_USER_PF(BACKEND_SEND_FD)))
		p &= ~(VHK_USER_PF(HOST_NOTIFIER) | VHK_USER_PF(SHMEM));
	if (!(p & VHK_USER_PF(INFLIGHT_SHMFD)))
		p &= ~VHK_USER_PF(GET_VRING_BASE_INFLIGHT);
	if (!(p & VHK_USER_PF(GET_VRING_BASE_INFLIGHT)))
		p &= ~VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN);
	return p;
}

static inline void drop_channel(void)
{
	if (m.channel >= 0)
		close(m.channel);
	m.channel = -1;
}

static inline void set_protocol(void)
{
	static const uint64_t alone[] = {
		VHK_USER_PF(BACKEND_SEND_FD), VHK_USER_PF(HOST_NOTIFIER), VHK_USER_PF(SHMEM),
		VHK_USER_PF(GET_VRING_BASE_INFLIGHT), VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN),
	};
	uint64_t p = m.protocol_offered;
	bool legal = !runs_any();

	if (one_in(2))
		p &= ~(uint64_t)(below(1u << 24) & below(1u << 24));
	p = without_what_stands_alone(for_mode(p));
	if (one_in(6)) {
		p |= 1ull << (24 + below(40));
		legal = false;
	} else if (one_in(8) && !(p & VHK_USER_PF(INBAND_NOTIFICATIONS))) {
		p = (p & VHK_USER_PF(REPLY_ACK)) | alone[below(vhk_array_size(alone))];
		legal = false;
	}
	if (!ask_u64(legal, VHK_USER_SET_PROTOCOL_FEATURES, p))
		return;
	m.protocol = p;
	m.protocol_set = true;
	if (!has(VHK_USER_PF(BACKEND_REQ)))
		drop_channel();
}

static inline void set_owner(void)
{
	if (ask(!m.owned, VHK_USER_SET_OWNER, NULL, 0, NULL, 0))
		m.owned = true;
}

static inline void reset_owner(void)
{
	unsigned int i;

	ask(true, VHK_USER_RESET_OWNER, NULL, 0, NULL, 0);
	for (i = 0; i < T_QUEUES && m.features & VHK_F_PROTOCOL_FEATURES; i++)
		m.ring[i].enabled = false;
}

/* The driver's regions, and how long the message is. */
static inline uint32_t make_table(struct vhk_user_mem_table *t, int fd[VHK_USER_TABLE_MAX])
{
	struct vhk_region r;

	memset(t, 0, sizeof(*t));
	for (t->n = 0; t->n < vhk_mem_count(u.mem); t->n++) {
		T_MUST(!vhk_mem_get(u.mem, t->n, &r, &fd[t->n]));
		t->region[t->n] = t_wire_region(&r);
		if (has(VHK_USER_PF(GPA_ADDRESSES)))
			t->region[t->n].uva = (uint64_t)below(1u << 30) << 12;
	}
	return (uint32_t)(offsetof(struct vhk_user_mem_table, region) + t->n * sizeof(*t->region));
}

static inline uint64_t driver_end(void)
{
	const struct vhk_region r = region(REGIONS - 1);

	return r.gpa.v + r.size;
}

static inline void table_is_in_force(void)
{
	m.base_mem = true;
	m.extra_mem = false;
	m.table_end = driver_end();
}

/* The back end's answer to a table that came while memory arrives is accepted, or not. */
static inline void accept_bases(bool accept)
{
	const bool legal = accept && log_allows(m.pending_end);
	const uint64_t v = !accept;

	/* without its feature it is no message of the kind */
	if (!has(VHK_USER_PF(PAGEFAULT))) {
		ask(false, VHK_USER_SET_MEM_TABLE, &v, sizeof(v), NULL, 0);
		return;
	}
	m.pending = false;
	if (!ask(legal, VHK_USER_SET_MEM_TABLE, &v, sizeof(v), NULL, 0))
		return;
	table_is_in_force();
	m.table_end = m.pending_end;
	m.base_mem = !m.pending_is_old;
}

static inline bool send_table(bool legal, const struct vhk_user_mem_table *t, uint32_t size,
			      const int *fd)
{
	struct vhk_msg a;

	if (!m.listening) {
		if (ask(legal, VHK_USER_SET_MEM_TABLE, t, size, fd, t->n))
			table_is_in_force();
		return legal;
	}
	legal &= has(VHK_USER_PF(PAGEFAULT));
	t_send(&u, VHK_USER_SET_MEM_TABLE, 0, t, size, fd, t->n);
	if (!t_recv(&u, &a) || (a.hdr.size > 0) != legal)
		trail("SET_MEM_TABLE", legal, a.hdr.size);
	if (note(legal, VHK_USER_SET_MEM_TABLE)) {
		T_EQ(a.hdr.size, size);
		m.pending = true;
		m.pending_end = driver_end();
		m.pending_is_old = false;
	}
	return legal;
}

static inline void set_mem_table(void)
{
	struct vhk_user_mem_table t;
	int fd[VHK_USER_TABLE_MAX];
	uint32_t size = make_table(&t, fd);
	bool legal = log_allows(driver_end());

	if (m.pending && one_in(2)) {
		accept_bases(!one_in(3));
		return;
	}
	switch (below(8)) {
	case 0:
		t.region[below(t.n)].size = 0;
		legal = false;
		break;
	case 1:
		t.region[0].gpa = t.region[1].gpa;
		legal = false;
		break;
	case 2:
		t.region[below(t.n)].offset = 0 - 4096ull;
		legal = false;
		break;
	case 3:
		t.padding = 1;
		legal = false;
	}
	send_table(legal, &t, size, fd);
}

/* As a front end does that wants to go on. */
static inline bool share_memory(void)
{
	struct vhk_user_mem_table t;
	int fd[VHK_USER_TABLE_MAX];
	uint32_t size = make_table(&t, fd);

	if (!log_allows(driver_end()) || (m.listening && !has(VHK_USER_PF(PAGEFAULT))))
		return false;
	send_table(true, &t, size, fd);
	if (m.pending)
		accept_bases(true);
	return true;
}

static inline void mem_slot(void)
{
	struct vhk_user_mem_reg reg = { .region = { EXTRA_GPA, EXTRA_SIZE, 0x7000000000, 0 } };
	bool known = has(VHK_USER_PF(CONFIGURE_MEM_SLOTS)), add = one_in(2), broken = one_in(5);

	if (broken)
		reg.region.size = one_in(2) ? 0 : 0 - EXTRA_GPA + 1ull;
	if (add && ask(known && !broken && !m.extra_mem && log_allows(EXTRA_GPA + EXTRA_SIZE),
		       VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &extra, 1))
		m.extra_mem = true;
	else if (!add && ask(known && !broken && m.extra_mem, VHK_USER_REM_MEM_REG, &reg,
			     sizeof(reg), &extra, one_in(4)))
		m.extra_mem = false;
}

static inline void config(void)
{
	struct vhk_user_config c = { .offset = below(80), .size = 1 + below(40) };
	struct vhk_msg a;
	uint32_t len = (uint32_t)offsetof(struct vhk_user_config, data) + c.size;
	bool known = has(VHK_USER_PF(CONFIG));

	if (one_in(2)) {
		get(known && c.offset < T_CONFIG_SIZE, VHK_USER_GET_CONFIG, &c, len, &a);
		return;
	}
	/* byte 0 may be written, alone; a migration writes what it likes */
	if (one_in(2))
		c = (struct vhk_user_config){ .size = 1 };
	c.flags = below(3);
	len = (uint32_t)offsetof(struct vhk_user_config, data) + c.size;
	if (c.flags == VHK_USER_CONFIG_MIGRATION)
		known &= c.offset + c.size <= T_CONFIG_SIZE;
	else
		known &= !c.offset && c.size == 1 && !c.flags;
	ask(known, VHK_USER_SET_CONFIG, &c, len, NULL, 0);
}

static inline void forget_rings_in_flight(void)
{
	memset(m.inflight.used, 0, sizeof(m.inflight.used));
}

static inline void status(void)
{
	static const uint64_t some[] = { 1, 3, 11, 15, 0, 0x100, UINT64_MAX };
	uint64_t v = some[below(7)];
	unsigned int i;

	if (!ask_u64(has(VHK_USER_PF(STATUS)) && v < 0x100, VHK_USER_SET_STATUS, v))
		return;
	if (v) {
		/* virtio 1.3, 3.1.1: no FEATURES_OK without features */
		m.status = (uint8_t)((m.features_set ? v : v & ~8u) | (m.status & NEEDS_RESET));
		return;
	}
	m.status = 0;
	/* 0 stops the rings; a driver that has not noticed goes on from there */
	for (i = 0; i < T_QUEUES; i++)
		m.ring[i].runs = m.ring[i].waits = false;
}

static inline void reset_device(void)
{
	unsigned int i;

	if (!ask(has(VHK_USER_PF(RESET_DEVICE)), VHK_USER_RESET_DEVICE, NULL, 0, NULL, 0))
		return;
	m.status = 0;
	if (m.state_fd >= 0) {
		close(m.state_fd);
		m.state_fd = -1;
		m.moved = m.move_failed = true;
	}
	forget_rings_in_flight();
	for (i = 0; i < T_QUEUES; i++) {
		m.ring[i].runs = m.ring[i].waits = m.ring[i].num = m.ring[i].addr = false;
		m.ring[i].enabled = m.features_set && !(m.features & VHK_F_PROTOCOL_FEATURES);
	}
}

#endif
