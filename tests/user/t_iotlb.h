/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A front end that translates for the back end under test, and the rings of a driver behind its
 * IOMMU.
 */
#ifndef VHK_TESTS_T_IOTLB_H
#define VHK_TESTS_T_IOTLB_H

#include <vhostkit/iotlb.h>

#include "t_user.h"

#define PAGE 4096ull
/* Where the table that the back end gets has the guest's memory: not where the driver has it. */
#define SHIFT (1ull << 36)
#define FEATURES (T_SPLIT | VHK_F_ACCESS_PLATFORM)
#define MISS VHK_IOTLB_MISS
#define UPDATE VHK_IOTLB_UPDATE
#define INVALIDATE VHK_IOTLB_INVALIDATE
#define RO VHK_IOTLB_PERM_RO
#define RW VHK_IOTLB_PERM_RW

/* IOVAs are the addresses that the driver's own table has. */
struct front {
	struct t_user u;
	struct t_ring r, other;
	int channel, theirs;
	unsigned int n_misses, n_failures;
};

static inline void send_table(struct t_user *u)
{
	struct vhk_user_mem_table t = { 0 };
	struct vhk_region r;
	int fd[VHK_USER_TABLE_MAX];

	for (t.n = 0; t.n < vhk_mem_count(u->mem); t.n++) {
		T_MUST(!vhk_mem_get(u->mem, t.n, &r, &fd[t.n]));
		t.region[t.n] = t_wire_region(&r);
		t.region[t.n].gpa += SHIFT;
	}
	T_EQ(t_ask_fds(u, VHK_USER_SET_MEM_TABLE, &t,
		       (uint32_t)(offsetof(struct vhk_user_mem_table, region) +
				  t.n * sizeof(*t.region)),
		       fd, t.n),
	     0);
}

static inline void send_channel(struct front *f)
{
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	f->channel = fd[0];
	T_EQ(t_ask_fds(&f->u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd[1], 1), 0);
	close(fd[1]);
}

static inline void begin_with(struct front *f, uint64_t features)
{
	t_user_open(&f->u);
	t_negotiate(&f->u, features);
	send_channel(f);
	t_ring_init(&f->u, &f->r, 0, features);
	t_ring_init(&f->u, &f->other, 1, features);
	send_table(&f->u);
}

static inline void begin(struct front *f, uint64_t features)
{
	memset(f, 0, sizeof(*f));
	t_user_init(&f->u, VHK_LOOP_AUTO);
	begin_with(f, features);
}

static inline void end(struct front *f)
{
	close(f->channel);
	t_ring_fini(&f->r);
	t_ring_fini(&f->other);
	t_user_fini(&f->u);
}

static inline struct vhk_user_iotlb message(uint8_t type, uint64_t iova, uint64_t size,
					    uint64_t uaddr, uint8_t perm)
{
	return (struct vhk_user_iotlb){ iova, size, uaddr, perm, type, { 0 } };
}

/* The front end's answer to IOTLB_MSG is always awaited. */
static inline uint64_t iotlb(struct front *f, uint8_t type, uint64_t iova, uint64_t size,
			     uint64_t uaddr, uint8_t perm)
{
	struct vhk_user_iotlb m = message(type, iova, size, uaddr, perm);

	return t_ask(&f->u, VHK_USER_IOTLB_MSG, &m, sizeof(m));
}

static inline void send_invalidate(struct front *f, uint64_t iova, uint64_t size)
{
	struct vhk_user_iotlb m = message(INVALIDATE, iova, size, 0xdead, 0x77);

	t_send(&f->u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
}

static inline void take_u64(struct front *f, uint32_t request, uint64_t want)
{
	struct vhk_msg m;

	T_MUST(t_recv(&f->u, &m));
	T_EQ(m.hdr.request, request);
	T_EQ(m.u64, want);
}

static inline uint64_t uva_of(struct front *f, uint64_t iova)
{
	struct iovec seg;

	T_MUST(vhk_mem_find(f->u.mem, (struct vhk_gpa){ iova }, 1, &seg, 1) == 1);
	return (uintptr_t)seg.iov_base;
}

static inline uint64_t map(struct front *f, uint64_t iova, uint8_t perm)
{
	iova &= ~(PAGE - 1);
	return iotlb(f, UPDATE, iova, PAGE, uva_of(f, iova), perm);
}

/* What came on the channel: a question that wants an answer, or an access that failed. */
static inline struct vhk_user_iotlb take_miss(struct front *f)
{
	struct vhk_user_iotlb m = { 0 };
	struct vhk_msg msg;

	T_MUST(t_recv_from(&f->u, f->channel, &msg));
	T_EQ(msg.hdr.request, VHK_USER_BACK_IOTLB_MSG);
	T_EQ(msg.hdr.size, sizeof(m));
	memcpy(&m, msg.bytes, sizeof(m));
	T_EQ(m.uaddr, 0);
	if (m.type == VHK_IOTLB_ACCESS_FAIL) {
		T_EQ(msg.hdr.flags, VHK_MSG_VERSION);
		f->n_failures++;
		return m;
	}
	T_EQ(m.type, MISS);
	T_EQ(msg.hdr.flags, VHK_MSG_VERSION | VHK_MSG_NEED_REPLY);
	f->n_misses++;
	return m;
}

static inline void answer(struct front *f, uint64_t v)
{
	struct vhk_msg_hdr h = { VHK_USER_BACK_IOTLB_MSG, VHK_MSG_VERSION | VHK_MSG_REPLY, 8 };
	unsigned char bytes[sizeof(h) + 8];

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &v, 8);
	t_send_bytes(f->channel, bytes, sizeof(bytes), NULL, 0);
}

/* As a front end does it: the translation, then the answer. */
static inline void serve_miss(struct front *f)
{
	struct vhk_user_iotlb m = take_miss(f);

	if (m.type != MISS)
		return;
	T_EQ(map(f, m.iova, RW), 0);
	answer(f, 0);
}

/* Steps, and serves misses, until @cond holds. */
#define SERVE_UNTIL(f, cond)                                                                       \
	do {                                                                                       \
		uint64_t t_end_at = t_now_ns() + T_DEADLINE_MS * 1000000ull;                       \
		bool t_holds;                                                                      \
		while (!(t_holds = (cond)) && t_now_ns() < t_end_at) {                             \
			if (t_readable((f)->channel, 0))                                           \
				serve_miss(f);                                                     \
			else                                                                       \
				t_step(&(f)->u);                                                   \
		}                                                                                  \
		T_OK(t_holds);                                                                     \
	} while (0)

static inline int get(struct t_ring *r)
{
	struct vhk_done done;
	int n = vhk_vq_get(r->vq, &done, 1);

	T_OK(n >= 0);
	return n;
}

static inline void echo(struct front *f, struct t_ring *r, unsigned int n)
{
	while (n--) {
		t_ring_add(&f->u, r);
		SERVE_UNTIL(f, get(r));
	}
}

static inline uint64_t iova_of(struct front *f, const void *va)
{
	struct vhk_gpa at;

	T_MUST(!vhk_mem_gpa(f->u.mem, va, 1, &at));
	return at.v;
}

/* The ring is where the driver has it, in IOVAs. */
static inline struct vhk_user_vring_addr iova_addr(struct front *f, const struct t_ring *r)
{
	struct vhk_user_vring_addr a = t_ring_wire_addr(r);

	a.desc = iova_of(f, (void *)(uintptr_t)a.desc);
	a.avail = iova_of(f, (void *)(uintptr_t)a.avail);
	a.used = iova_of(f, (void *)(uintptr_t)a.used);
	return a;
}

static inline void start(struct front *f, struct t_ring *r)
{
	struct vhk_user_vring_addr a = iova_addr(f, r);

	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_NUM, r->idx, 64), 0);
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_BASE, r->idx, t_ring_base(r)), 0);
	T_EQ(t_ask(&f->u, VHK_USER_SET_VRING_ADDR, &a, sizeof(a)), 0);
	T_EQ(t_ask_vring_fd(&f->u, VHK_USER_SET_VRING_CALL, r->idx, r->call), 0);
	T_EQ(t_ask_vring_fd(&f->u, VHK_USER_SET_VRING_KICK, r->idx, r->kick), 0);
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_ENABLE, r->idx, 1), 0);
}

/* First page of the ring's memory. */
static inline uint64_t ring_iova(const struct t_ring *r)
{
	return 0x10000000ull * (r->idx + 1);
}

static inline uint64_t data_iova(struct front *f)
{
	return iova_of(f, f->u.buf + 4096);
}

static const uint64_t layouts[] = { FEATURES, FEATURES | VHK_F_RING_PACKED,
				    FEATURES | VHK_F_RING_PACKED | VHK_F_EVENT_IDX |
					    VHK_F_INDIRECT_DESC };

#endif
