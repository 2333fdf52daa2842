/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps of a walk: rings, from what is said of one to what goes through it.
 */
#ifndef VHK_TESTS_T_WALK_RING_H
#define VHK_TESTS_T_WALK_RING_H

#include "t_ring.h"
#include "t_walk_channel.h"
#include "t_walk_settle.h"

#define SIZE 64

/* Where ring @i starts. The driver's side is made for what was negotiated; it begins anew, or goes
 * on where it was, as it must while the inflight region tells of that. False: not now. */
static inline bool make_ring(unsigned int i)
{
	const uint64_t features = m.features & ~VHK_F_LOG_ALL;
	struct walk_ring *r = &m.ring[i];
	const bool same = r->made && r->r.features == features && !r->dead;

	if (same && (m.inflight.used[i] || one_in(2)))
		return true;
	if (m.inflight.used[i])
		return false;
	if (r->made && r->r.features == features) {
		vhk_vq_reset(r->r.vq, NULL, NULL);
	} else {
		if (r->made && m.translated[1 + i])
			invalidate(1 + i, false);
		if (r->made)
			t_ring_fini(&r->r);
		t_ring_init(&u, &r->r, i, features);
		m.base_mem = false;
		m.pending_is_old = true;
	}
	r->made = true;
	r->dead = false;
	return true;
}

/* Pages of the driver's that nobody has touched would be waited for. */
static inline void touch_memory(void)
{
	unsigned int i;

	for (i = 0; i < REGIONS; i++) {
		struct vhk_region r = region(i);

		T_MUST(!madvise((void *)(uintptr_t)r.uva.v, (size_t)vhk_align_up(r.size, 4096),
				MADV_POPULATE_WRITE));
	}
}

static inline void vring_num(void)
{
	static const uint32_t wrong[] = { 0, 257, 300, 65536, 0xffffffff };
	unsigned int i = below(T_QUEUES), index = one_in(8) ? T_QUEUES + below(1000) : i;
	uint32_t num = one_in(4) ? wrong[below(5)] : SIZE;
	bool stopped = !m.ring[i].runs && !m.ring[i].waits;
	struct vhk_user_vring_state v = { index, num };

	if (ask(m.features_set && index == i && stopped && num == SIZE, VHK_USER_SET_VRING_NUM, &v,
		sizeof(v), NULL, 0))
		m.ring[i].num = true;
}

static inline void vring_base(void)
{
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_state v = { i, one_in(4) ? 0x10000 : 0 };
	bool stopped = !m.ring[i].runs && !m.ring[i].waits;

	ask(m.features_set && stopped && (!v.num || is_packed()), VHK_USER_SET_VRING_BASE, &v,
	    sizeof(v), NULL, 0);
}

static inline bool wrong_address(struct vhk_user_vring_addr *a, bool runs)
{
	switch (below(8)) {
	case 0:
		a->desc += 8;
		return true;
	case 1:
		a->flags = 2;
		return true;
	case 2:
		a->index = T_QUEUES;
		return true;
	case 3:
		a->desc += 16;
		return runs; /* and may be anywhere as long as it does not */
	default:
		return false;
	}
}

static inline void vring_addr(void)
{
	unsigned int i = below(T_QUEUES);
	struct walk_ring *r = &m.ring[i];
	struct vhk_user_vring_addr a = ring_address(r), right = a;
	bool legal = m.features_set && !wrong_address(&a, r->runs);

	if (one_in(3) && !a.flags) {
		a.flags = VHK_USER_VRING_LOG;
		a.log = region(1 + i).gpa.v;
		legal &= !!(m.features & VHK_F_LOG_ALL);
	}
	/* With memory and a size it is looked up. Whether what was shared has it is not known where
	 * the driver has other memory by now. */
	if (legal && !r->runs && !translates() && has_memory() && r->num &&
	    (!m.base_mem || a.desc != right.desc))
		return;
	/* a ring that waits would start there */
	if (legal && r->waits && a.desc != right.desc)
		return;
	if (ask(legal, VHK_USER_SET_VRING_ADDR, &a, sizeof(a), NULL, 0))
		r->addr = true;
}

static inline void vring_fd(void)
{
	unsigned int i = below(T_QUEUES), how = below(8);
	struct walk_ring *r = &m.ring[i];
	const bool call = one_in(2);
	int fd = call ? r->r.call : r->err;
	uint64_t v = i;

	if (how == 0)
		v |= VHK_USER_VRING_FD_NONE; /* and yet there is one */
	else if (how == 1)
		v += T_QUEUES;
	else if (how == 2)
		fd = extra;
	else if (how == 3)
		v |= VHK_USER_VRING_FD_NONE;
	if (!ask(how > 2, call ? VHK_USER_SET_VRING_CALL : VHK_USER_SET_VRING_ERR, &v, sizeof(v),
		 &fd, how != 3))
		return;
	if (call)
		r->call_said = true;
	else
		r->err_said = how != 3;
}

enum start_how { START_BY_FD, START_POLLED, START_BY_MESSAGE };

static inline bool send_start(bool legal, unsigned int i, enum start_how how)
{
	struct vhk_user_vring_state s = { i, 0 };
	uint64_t v = how == START_POLLED ? i | VHK_USER_VRING_FD_NONE : i;

	if (how == START_BY_MESSAGE)
		return ask(legal, VHK_USER_VRING_KICK, &s, sizeof(s), NULL, 0);
	return ask(legal, VHK_USER_SET_VRING_KICK, &v, sizeof(v), &m.ring[i].r.kick,
		   how == START_BY_FD);
}

static inline bool set_up_ring(unsigned int i)
{
	struct walk_ring *r = &m.ring[i];
	struct vhk_user_vring_state num = { i, SIZE }, base = { i, t_ring_base(&r->r) };
	struct vhk_user_vring_addr a = ring_address(r);
	uint64_t v = i;
	bool ok;

	if ((m.features & VHK_F_LOG_ALL) && one_in(2)) {
		a.flags = VHK_USER_VRING_LOG;
		a.log = region(1 + i).gpa.v;
	}
	ok = ask(true, VHK_USER_SET_VRING_NUM, &num, sizeof(num), NULL, 0);
	ok &= ask(true, VHK_USER_SET_VRING_BASE, &base, sizeof(base), NULL, 0);
	ok &= ask(true, VHK_USER_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
	r->num = r->addr = true;
	if (m.mode != WALK_INBAND || one_in(3)) {
		ok &= ask(true, VHK_USER_SET_VRING_CALL, &v, sizeof(v), &r->r.call, 1);
		r->call_said = true;
	}
	return ok && !t_bad;
}

/* Everything that a start needs, said in a legal order; then the start. */
static inline void start_ring(void)
{
	unsigned int i = below(T_QUEUES);
	struct walk_ring *r = &m.ring[i];
	enum start_how how = (enum start_how)below(has(VHK_USER_PF(INBAND_NOTIFICATIONS)) ? 3 : 2);
	bool waits;

	if (r->runs || r->waits || !m.features_set || m.inflight.stale || !make_ring(i))
		return;
	if (m.advised)
		touch_memory();
	if ((!m.base_mem && !share_memory()) || !set_up_ring(i))
		return;
	waits = translates() && !m.translated[1 + i];
	if (!send_start(m.state_fd < 0 || waits, i, how))
		return;
	r->waits = waits;
	r->runs = !waits;
	r->by_message = how == START_BY_MESSAGE;
	if (m.inflight.set && i < m.inflight.n)
		m.inflight.used[i] = true;
}

/* Without size, addresses or memory it cannot be started. */
static inline void start_too_early(void)
{
	const unsigned int i = below(T_QUEUES);
	const struct walk_ring *r = &m.ring[i];

	if (r->runs || r->waits)
		return;
	if (!r->num || !r->addr || (!has_memory() && !translates()))
		send_start(false, i, (enum start_how)below(3));
}

/* Another way of being kicked, on a ring that runs. */
static inline void kick_otherwise(void)
{
	unsigned int i = below(T_QUEUES);
	struct walk_ring *r = &m.ring[i];
	uint64_t v = i | (one_in(4) ? 512u : 0u);
	bool none = one_in(3), wrong = one_in(4);

	if (!r->runs)
		return;
	v |= none ? VHK_USER_VRING_FD_NONE : 0;
	if (ask(!(v & 512) && (none || !wrong), VHK_USER_SET_VRING_KICK, &v, sizeof(v),
		wrong ? &extra : &r->r.kick, !none))
		r->by_message = false;
}

static inline void kick_by_message(void)
{
	const struct vhk_user_vring_state v = { below(T_QUEUES + 1), one_in(4) };
	const bool runs = v.index < T_QUEUES && m.ring[v.index].runs;

	/* one that does not run starts */
	if (has(VHK_USER_PF(INBAND_NOTIFICATIONS)) && v.index < T_QUEUES && !runs && !v.num)
		return;
	ask(has(VHK_USER_PF(INBAND_NOTIFICATIONS)) && runs && !v.num, VHK_USER_VRING_KICK, &v,
	    sizeof(v), NULL, 0);
}

static inline void enable(void)
{
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_state v = { i, one_in(4) ? 2 * below(2) : 1 };
	/* before SET_FEATURES it is for who has sent SET_PROTOCOL_FEATURES */
	bool legal = m.features_set ? m.features & VHK_F_PROTOCOL_FEATURES : m.protocol_set;

	if (ask(legal && v.num < 2, VHK_USER_SET_VRING_ENABLE, &v, sizeof(v), NULL, 0))
		m.ring[i].enabled = v.num;
}

static inline void stop_ring(void)
{
	const bool skip = one_in(3);
	unsigned int i = below(T_QUEUES);
	struct vhk_user_vring_state v = { one_in(8) ? 500 : i, 0 };
	struct vhk_msg a;
	bool legal = v.index == i && (!skip || has(VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN)));

	if (!get(legal, skip ? VHK_USER_GET_VRING_BASE_SKIP_DRAIN : VHK_USER_GET_VRING_BASE, &v,
		 sizeof(v), &a))
		return;
	if (m.ring[i].runs && !m.ring[i].dead) {
		memcpy(&v, a.bytes, sizeof(v));
		T_EQ(v.num, t_ring_base(&m.ring[i].r));
	}
	m.ring[i].runs = m.ring[i].waits = false;
}

static inline bool is_logged(void)
{
	const uint64_t page = (T_GPA + 4096) >> 12;

	return m.log.bits[page / 8] >> (page % 8) & 1;
}

/* Answers a translation that is asked for until the request is through. */
static inline void get_translated(struct walk_ring *r)
{
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	struct vhk_done done;
	int n;

	while (!(n = vhk_vq_get(r->r.vq, &done, 1)) && t_now_ns() < end) {
		if (!m.translated[0] &&
		    (m.channel < 0 || take_question(0, 0) == VHK_USER_BACK_IOTLB_MSG))
			translate(0);
		else
			t_step(&u);
	}
	T_MUST(n == 1);
}

static inline void echo(unsigned int i)
{
	const struct vhk_user_vring_state v = { i, 0 };
	struct walk_ring *r = &m.ring[i];
	const bool logs = m.log.set && (m.features & VHK_F_LOG_ALL);

	if (logs)
		memset(m.log.bits, 0, m.log.size);
	t_ring_add(&u, &r->r);
	if (r->by_message)
		ask(true, VHK_USER_VRING_KICK, &v, sizeof(v), NULL, 0);
	if (translates())
		get_translated(r);
	else
		T_MUST(t_ring_get(&u, &r->r));
	if (logs)
		T_OK(is_logged());
	n_logged += logs;
	n_echoes++;
	if (!r->call_said && m.channel >= 0 && has(VHK_USER_PF(INBAND_NOTIFICATIONS)))
		await_question(VHK_USER_BACK_VRING_CALL, one_in(4));
}

static inline void use_rings(void)
{
	unsigned int i, n;

	for (i = 0; i < T_QUEUES; i++)
		for (n = below(4); n && m.ring[i].runs && m.ring[i].enabled && !m.ring[i].dead; n--)
			echo(i);
}

static inline bool needs_reset(void)
{
	struct vhk_msg a;

	T_MUST(t_get(&u, VHK_USER_GET_STATUS, NULL, 0, &a));
	return a.u64 & NEEDS_RESET;
}

/* Whoever is to hear of a broken ring does. */
static inline void await_error(struct walk_ring *r)
{
	uint64_t n;

	if (r->err_said)
		T_OK(t_wait_readable(&u, r->err) && read(r->err, &n, sizeof(n)) == sizeof(n));
	else if (m.channel >= 0 && has(VHK_USER_PF(INBAND_NOTIFICATIONS)))
		await_question(VHK_USER_BACK_VRING_ERR, 0);
	T_UNTIL(&u, needs_reset());
	m.status |= NEEDS_RESET;
}

/* The driver puts nonsense into a ring, which is left alone from there on. */
static inline void break_ring(void)
{
	const unsigned int i = below(T_QUEUES);
	const struct vhk_user_vring_state v = { i, 0 };
	struct walk_ring *r = &m.ring[i];
	const struct vhk_user_vring_addr a = t_ring_wire_addr(&r->r);
	struct peer_desc *d = (void *)(uintptr_t)a.desc;
	unsigned int n;

	if (!r->runs || !r->enabled || r->dead || translates() || !has(VHK_USER_PF(STATUS)))
		return;
	t_ring_add(&u, &r->r);
	/* a table of descriptors that is none */
	for (n = 0; n < SIZE; n++) {
		d[n].len = 17;
		*(is_packed() ? &d[n].b : &d[n].a) |= D_INDIRECT;
	}
	if (r->by_message)
		ask(true, VHK_USER_VRING_KICK, &v, sizeof(v), NULL, 0);
	await_error(r);
	r->dead = true;
	n_broken++;
}

#endif
