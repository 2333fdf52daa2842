// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end behind an IOMMU: what rings and descriptors hold are IOVAs, which mean nothing before
 * the front end translates them. Misses, refusals, permissions; translations that are taken away
 * from requests under way and from rings; what a front end may say wrong; and all of it at random.
 */
#include <pthread.h>

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

static void send_table(struct t_user *u)
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

static void send_channel(struct front *f)
{
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	f->channel = fd[0];
	T_EQ(t_ask_fds(&f->u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd[1], 1), 0);
	close(fd[1]);
}

static void begin_with(struct front *f, uint64_t features)
{
	t_user_open(&f->u);
	t_negotiate(&f->u, features);
	send_channel(f);
	t_ring_init(&f->u, &f->r, 0, features);
	t_ring_init(&f->u, &f->other, 1, features);
	send_table(&f->u);
}

static void begin(struct front *f, uint64_t features)
{
	memset(f, 0, sizeof(*f));
	t_user_init(&f->u, VHK_LOOP_AUTO);
	begin_with(f, features);
}

static void end(struct front *f)
{
	close(f->channel);
	t_ring_fini(&f->r);
	t_ring_fini(&f->other);
	t_user_fini(&f->u);
}

static struct vhk_user_iotlb message(uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr,
				     uint8_t perm)
{
	return (struct vhk_user_iotlb){ iova, size, uaddr, perm, type, { 0 } };
}

/* The front end's answer to IOTLB_MSG is always awaited. */
static uint64_t iotlb(struct front *f, uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr,
		      uint8_t perm)
{
	struct vhk_user_iotlb m = message(type, iova, size, uaddr, perm);

	return t_ask(&f->u, VHK_USER_IOTLB_MSG, &m, sizeof(m));
}

static void send_invalidate(struct front *f, uint64_t iova, uint64_t size)
{
	struct vhk_user_iotlb m = message(INVALIDATE, iova, size, 0xdead, 0x77);

	t_send(&f->u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
}

static void take_u64(struct front *f, uint32_t request, uint64_t want)
{
	struct vhk_msg m;

	T_MUST(t_recv(&f->u, &m));
	T_EQ(m.hdr.request, request);
	T_EQ(m.u64, want);
}

static uint64_t uva_of(struct front *f, uint64_t iova)
{
	struct iovec seg;

	T_MUST(vhk_mem_find(f->u.mem, (struct vhk_gpa){ iova }, 1, &seg, 1) == 1);
	return (uintptr_t)seg.iov_base;
}

static uint64_t map(struct front *f, uint64_t iova, uint8_t perm)
{
	iova &= ~(PAGE - 1);
	return iotlb(f, UPDATE, iova, PAGE, uva_of(f, iova), perm);
}

/* What came on the channel: a question that wants an answer, or an access that failed. */
static struct vhk_user_iotlb take_miss(struct front *f)
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

static void answer(struct front *f, uint64_t v)
{
	struct vhk_msg_hdr h = { VHK_USER_BACK_IOTLB_MSG, VHK_MSG_VERSION | VHK_MSG_REPLY, 8 };
	unsigned char bytes[sizeof(h) + 8];

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &v, 8);
	t_send_bytes(f->channel, bytes, sizeof(bytes), NULL, 0);
}

/* As a front end does it: the translation, then the answer. */
static void serve_miss(struct front *f)
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

static int get(struct t_ring *r)
{
	struct vhk_done done;
	int n = vhk_vq_get(r->vq, &done, 1);

	T_OK(n >= 0);
	return n;
}

static void echo(struct front *f, struct t_ring *r, unsigned int n)
{
	while (n--) {
		t_ring_add(&f->u, r);
		SERVE_UNTIL(f, get(r));
	}
}

static uint64_t iova_of(struct front *f, const void *va)
{
	struct vhk_gpa at;

	T_MUST(!vhk_mem_gpa(f->u.mem, va, 1, &at));
	return at.v;
}

/* The ring is where the driver has it, in IOVAs. */
static struct vhk_user_vring_addr iova_addr(struct front *f, const struct t_ring *r)
{
	struct vhk_user_vring_addr a = t_ring_wire_addr(r);

	a.desc = iova_of(f, (void *)(uintptr_t)a.desc);
	a.avail = iova_of(f, (void *)(uintptr_t)a.avail);
	a.used = iova_of(f, (void *)(uintptr_t)a.used);
	return a;
}

static void start(struct front *f, struct t_ring *r)
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
static uint64_t ring_iova(const struct t_ring *r)
{
	return 0x10000000ull * (r->idx + 1);
}

static uint64_t data_iova(struct front *f)
{
	return iova_of(f, f->u.buf + 4096);
}

static const uint64_t layouts[] = { FEATURES, FEATURES | VHK_F_RING_PACKED,
				    FEATURES | VHK_F_RING_PACKED | VHK_F_EVENT_IDX |
					    VHK_F_INDIRECT_DESC };

static void misses_are_asked_for_once_and_data_flows(void)
{
	struct front f;
	unsigned int i, n;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&f, layouts[i]);
		start(&f, &f.r);
		echo(&f, &f.r, 1);
		n = f.n_misses;
		/* the ring's pages, and two of data */
		T_OK(n >= 3 && n <= 6);
		echo(&f, &f.r, 200);
		T_EQ(f.n_misses, n);
		t_alive(&f.u);
		end(&f);
	}
}

/* Everything is there beforehand. */
static void what_is_known_is_not_asked_for(void)
{
	struct vhk_region r;
	struct front f;
	unsigned int i;

	begin(&f, FEATURES);
	for (i = 0; i < vhk_mem_count(f.u.mem); i++) {
		T_MUST(!vhk_mem_get(f.u.mem, i, &r, NULL));
		T_EQ(iotlb(&f, UPDATE, r.gpa.v, r.size, r.uva.v, RW), 0);
	}
	start(&f, &f.r);
	echo(&f, &f.r, 100);
	T_EQ(f.n_misses, 0);
	end(&f);
}

/* Held back in order, and only there. */
static void a_miss_holds_its_ring_alone(void)
{
	struct vhk_user_iotlb m;
	struct front f;
	unsigned int i;

	begin(&f, FEATURES);
	start(&f, &f.r);
	start(&f, &f.other);
	echo(&f, &f.r, 1);
	echo(&f, &f.other, 1);
	T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
	for (i = 0; i < 3; i++)
		t_ring_add(&f.u, &f.r);
	m = take_miss(&f);
	T_EQ(m.iova & ~(PAGE - 1), data_iova(&f));
	T_EQ(m.perm, VHK_IOTLB_PERM_WO);
	/* other translations come and go meanwhile; it is not asked for again */
	T_EQ(iotlb(&f, UPDATE, 1ull << 40, PAGE, uva_of(&f, data_iova(&f)), RO), 0);
	T_EQ(iotlb(&f, INVALIDATE, 1ull << 40, PAGE, 0, 0), 0);
	t_settle(&f.u);
	T_OK(!t_readable(f.channel, 0) && !get(&f.r));
	T_EQ(map(&f, m.iova, RW), 0);
	answer(&f, 0);
	for (i = 0; i < 3; i++)
		SERVE_UNTIL(&f, get(&f.r));
	echo(&f, &f.other, 5);
	end(&f);
}

static void a_refused_miss_is_a_fault_of_its_chain(void)
{
	struct front f;
	unsigned int i;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	f.u.echo.hold = true;
	for (i = 0; i < 3; i++) {
		T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
		t_ring_add(&f.u, &f.r);
		take_miss(&f);
		answer(&f, 1);
		T_UNTIL(&f.u, f.u.echo.n_held == 1);
		T_EQ(f.u.echo.held[0]->flags, VHK_CHAIN_F_FAULT);
		T_OK(!f.u.echo.held[0]->seg[1].iov_base && f.u.echo.held[0]->seg[0].iov_base);
		t_echo_release(&f.u.echo);
		SERVE_UNTIL(&f, get(&f.r));
		f.u.echo.hold = true;
	}
	f.u.echo.hold = false;
	echo(&f, &f.r, 5);
	end(&f);
}

static void permissions_hold(void)
{
	struct vhk_region region;
	struct front f;
	unsigned int i;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	T_EQ(map(&f, data_iova(&f), RO), 0);
	f.u.echo.hold = true;
	for (i = 0; i < 9; i++) {
		t_ring_add(&f.u, &f.r);
		T_UNTIL(&f.u, f.u.echo.n_held == 1);
		T_EQ(f.u.echo.held[0]->flags, VHK_CHAIN_F_FAULT);
		T_OK(!f.u.echo.held[0]->seg[1].iov_base);
		t_echo_release(&f.u.echo);
		SERVE_UNTIL(&f, get(&f.r));
		f.u.echo.hold = true;
	}
	/* told, but not as often as a driver can do it */
	SERVE_UNTIL(&f, f.n_failures);
	T_OK(f.n_failures < 9);
	T_EQ(map(&f, data_iova(&f), RW), 0);
	f.u.echo.hold = false;
	echo(&f, &f.r, 3);
	/* of its own parts, too: the used ring cannot be written */
	t_stop_ring(&f.u, 0);
	for (i = 0; i < vhk_mem_count(f.u.mem); i++) {
		T_MUST(!vhk_mem_get(f.u.mem, i, &region, NULL));
		T_EQ(iotlb(&f, UPDATE, region.gpa.v, region.size, region.uva.v, RO), 0);
	}
	T_OK(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.r.kick) != 0);
	t_alive(&f.u);
	end(&f);
}

/* The answer waits for the chains that point there, and for no other. */
static void an_invalidation_waits_for_who_uses_it(void)
{
	static const struct {
		uint64_t at, size;
	} whole[] = { { 0, 0 }, { 0, UINT64_MAX }, { 0, 1ull << 63 } };
	struct front f;
	unsigned int i;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	T_EQ(map(&f, iova_of(&f, f.u.buf + 8192), RW), 0);
	for (i = 0; i < 1 + vhk_array_size(whole); i++) {
		f.u.echo.hold = true;
		t_ring_add(&f.u, &f.r);
		SERVE_UNTIL(&f, f.u.echo.n_held == 1);
		T_EQ(iotlb(&f, INVALIDATE, iova_of(&f, f.u.buf + 8192), PAGE, 0, 0), 0);
		if (i)
			send_invalidate(&f, whole[i - 1].at, whole[i - 1].size);
		else
			send_invalidate(&f, data_iova(&f), PAGE);
		t_send(&f.u, VHK_USER_GET_FEATURES, 0, NULL, 0, NULL, 0);
		t_settle(&f.u);
		T_OK(!t_readable(f.u.fd, 20));
		t_echo_release(&f.u.echo);
		take_u64(&f, VHK_USER_IOTLB_MSG, 0);
		take_u64(&f, VHK_USER_GET_FEATURES, T_FEATURES);
		SERVE_UNTIL(&f, get(&f.r));
		f.n_misses = 0;
		echo(&f, &f.r, 2);
		T_OK(f.n_misses >= 1);
	}
	end(&f);
}

/* Another translation in place of one that is used is an invalidation as well. */
static void a_replacement_waits_for_who_uses_it(void)
{
	struct vhk_user_iotlb m;
	struct front f;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	f.u.echo.hold = true;
	t_ring_add(&f.u, &f.r);
	T_UNTIL(&f.u, f.u.echo.n_held == 1);
	/* the same again changes nothing, more rights neither */
	T_EQ(map(&f, data_iova(&f), RW), 0);
	m = message(UPDATE, data_iova(&f), PAGE, uva_of(&f, data_iova(&f)) + PAGE, RW);
	t_send(&f.u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
	t_settle(&f.u);
	T_OK(!t_readable(f.u.fd, 20));
	t_echo_release(&f.u.echo);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	SERVE_UNTIL(&f, get(&f.r));
	f.u.echo.hold = true;
	t_ring_add(&f.u, &f.r);
	T_UNTIL(&f.u, f.u.echo.n_held == 1);
	memset(f.u.buf + 4096, 0, 2 * PAGE);
	memset(f.u.echo.held[0]->seg[1].iov_base, 0x5a, 32);
	T_EQ(f.u.buf[4096], 0);
	T_EQ(f.u.buf[8192], 0x5a);
	t_echo_release(&f.u.echo);
	SERVE_UNTIL(&f, get(&f.r));
	end(&f);
}

/* What is under way is answered first; then the ring rests, and goes on where it was. */
static void a_ring_rests_while_its_parts_are_away(void)
{
	struct front f;
	unsigned int i, k;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		begin(&f, layouts[k]);
		start(&f, &f.r);
		echo(&f, &f.r, 40);
		f.u.echo.hold = true;
		for (i = 0; i < 3; i++)
			t_ring_add(&f.u, &f.r);
		T_UNTIL(&f.u, f.u.echo.n_held == 3);
		send_invalidate(&f, ring_iova(&f.r), 8 * PAGE);
		t_settle(&f.u);
		T_OK(!t_readable(f.u.fd, 20));
		t_echo_release(&f.u.echo);
		take_u64(&f, VHK_USER_IOTLB_MSG, 0);
		for (i = 0; i < 3; i++)
			T_EQ(get(&f.r), 1);
		t_ring_add(&f.u, &f.r);
		t_settle(&f.u);
		T_EQ(get(&f.r), 0);
		/* messages about it as if it ran */
		T_OK(t_ask_state(&f.u, VHK_USER_SET_VRING_BASE, 0, 0) != 0);
		T_OK(t_ask_u64(&f.u, VHK_USER_SET_FEATURES, T_SPLIT) != 0);
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, f.r.call), 0);
		SERVE_UNTIL(&f, get(&f.r));
		echo(&f, &f.r, 100);
		end(&f);
	}
}

static void a_resting_ring_can_be_stopped(void)
{
	struct front f;
	uint32_t base;

	begin(&f, FEATURES);
	start(&f, &f.r);
	/* it has never run */
	T_EQ(t_stop_ring(&f.u, 0), 0);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.r.kick), 0);
	echo(&f, &f.r, 7);
	T_EQ(iotlb(&f, INVALIDATE, ring_iova(&f.r), PAGE, 0, 0), 0);
	base = t_stop_ring(&f.u, 0);
	T_EQ(base, 7);
	T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_BASE, 0, base), 0);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.r.kick), 0);
	echo(&f, &f.r, 7);
	/* other features start with nothing known */
	t_stop_ring(&f.u, 0);
	T_EQ(t_ask_u64(&f.u, VHK_USER_SET_FEATURES, FEATURES), 0);
	f.n_misses = 0;
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.r.kick), 0);
	echo(&f, &f.r, 7);
	T_OK(f.n_misses >= 3);
	end(&f);
}

static void what_a_front_end_may_not_say(void)
{
	const uint64_t high = 1ull << 40;
	struct front f;
	uint64_t uva;
	size_t i;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	uva = uva_of(&f, data_iova(&f));
	const struct vhk_user_iotlb refused[] = {
		message(UPDATE, high, 0, uva, RW),
		message(UPDATE, 0, 0, uva, RW),
		message(UPDATE, high, PAGE, uva, 0),
		message(UPDATE, high, PAGE, uva, RW + 1),
		message(UPDATE, high, PAGE, 0, RW),
		message(UPDATE, high, UINT64_MAX - high, uva, RW),
		message(UPDATE, UINT64_MAX, 2, uva, RW),
		message(UPDATE, high, 2, UINT64_MAX, RW),
		message(UPDATE, high, T_BUF_SIZE, uva, RW),
		message(INVALIDATE, high, 0, 0, 0),
		message(INVALIDATE, UINT64_MAX, 2, 0, 0),
		message(MISS, high, PAGE, 0, RO),
		message(VHK_IOTLB_ACCESS_FAIL, high, PAGE, 0, RO),
		message(VHK_IOTLB_BATCH_BEGIN, 0, 0, 0, 0),
		message(0, high, PAGE, uva, RW),
		message(255, high, PAGE, uva, RW),
	};
	for (i = 0; i < vhk_array_size(refused); i++)
		T_OK(t_ask(&f.u, VHK_USER_IOTLB_MSG, &refused[i], sizeof(refused[i])) != 0);
	echo(&f, &f.r, 3);
	/* one that lies over others, cut in pieces, and the pieces again */
	for (i = 0; i < 8; i++) {
		T_EQ(iotlb(&f, UPDATE, high, 8 * PAGE, uva, RW), 0);
		T_EQ(iotlb(&f, UPDATE, high + i * PAGE, PAGE, uva, RO), 0);
		T_EQ(iotlb(&f, INVALIDATE, high + i * PAGE + 1, PAGE, 0, 0), 0);
	}
	T_EQ(iotlb(&f, UPDATE, UINT64_MAX, 1, uva, RO), 0);
	T_EQ(iotlb(&f, INVALIDATE, UINT64_MAX, 1, 0, 0), 0);
	echo(&f, &f.r, 3);
	end(&f);
}

/* So many, apart from each other; sent without waiting for each answer. */
static void fill(struct front *f, unsigned int n)
{
	const uint64_t uva = uva_of(f, data_iova(f));
	struct vhk_user_iotlb m;
	unsigned int i, sent;

	for (i = 0; i < n; i += sent) {
		for (sent = 0; sent < 50 && i + sent < n; sent++) {
			m = message(UPDATE, (1ull << 40) + (i + sent) * 2 * PAGE, PAGE, uva, RW);
			t_send(&f->u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
		}
		for (sent = 0; sent < 50 && i + sent < n; sent++)
			take_u64(f, VHK_USER_IOTLB_MSG, 0);
	}
}

/* The cache is full to the last one, and the translation in use is cut in two. */
static void a_full_cache_forgets_nothing_in_use(void)
{
	const uint64_t one = 1;
	struct iovec seg[2];
	struct vhk_region r;
	struct front f;
	unsigned int i, n;

	begin(&f, FEATURES);
	n = vhk_mem_count(f.u.mem);
	for (i = 0; i < n; i++) {
		T_MUST(!vhk_mem_get(f.u.mem, i, &r, NULL));
		T_EQ(iotlb(&f, UPDATE, r.gpa.v, r.size, r.uva.v, RW), 0);
	}
	start(&f, &f.r);
	fill(&f, VHK_IOTLB_LIMIT - 2 - n);
	T_EQ(iotlb(&f, UPDATE, (1ull << 40) + 16, 16, uva_of(&f, data_iova(&f)), RO), 0);
	f.u.echo.hold = true;
	seg[0] = (struct iovec){ f.u.buf + 4 * PAGE, 16 };
	seg[1] = (struct iovec){ f.u.buf + 5 * PAGE, 32 };
	T_MUST(!vhk_vq_add(f.r.vq, seg, 1, 1, &f.r));
	vhk_vq_publish(f.r.vq);
	T_MUST(write(f.r.kick, &one, sizeof(one)) == sizeof(one));
	SERVE_UNTIL(&f, f.u.echo.n_held == 1);
	T_EQ(f.n_misses, 0);
	/* a place below that of the chain, then the chain's */
	send_invalidate(&f, data_iova(&f), PAGE);
	send_invalidate(&f, iova_of(&f, seg[1].iov_base), PAGE);
	t_settle(&f.u);
	T_OK(!t_readable(f.u.fd, 20));
	t_echo_release(&f.u.echo);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	SERVE_UNTIL(&f, get(&f.r));
	echo(&f, &f.r, 3);
	end(&f);
}

/* More than are kept: sent without waiting for each answer. */
static void translations_without_end(void)
{
	const unsigned int n = VHK_IOTLB_LIMIT + 3000, burst = 50;
	struct vhk_user_iotlb m;
	struct front f;
	unsigned int i, k;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	for (i = 0; i < n; i += burst) {
		for (k = i; k < i + burst; k++) {
			m = message(UPDATE, (1ull << 40) + k * 2 * PAGE, PAGE,
				    uva_of(&f, data_iova(&f)), RO);
			t_send(&f.u, VHK_USER_IOTLB_MSG, 0, &m, sizeof(m), NULL, 0);
		}
		for (k = 0; k < burst; k++)
			take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	}
	echo(&f, &f.r, 3);
	f.u.echo.hold = true;
	t_ring_add(&f.u, &f.r);
	SERVE_UNTIL(&f, f.u.echo.n_held == 1);
	/* what is forgotten may be in use: every invalidation waits for everybody */
	send_invalidate(&f, 1ull << 50, PAGE);
	t_settle(&f.u);
	T_OK(!t_readable(f.u.fd, 20));
	t_echo_release(&f.u.echo);
	take_u64(&f, VHK_USER_IOTLB_MSG, 0);
	end(&f);
}

static void sessions_end_at_any_time(void)
{
	unsigned int k, fds = 0;
	struct front f;

	for (k = 0; k < 12; k++) {
		begin(&f, layouts[k % vhk_array_size(layouts)]);
		start(&f, &f.r);
		if (k % 4 == 0)
			take_miss(&f);
		else
			echo(&f, &f.r, 2);
		if (k % 4 == 2) {
			T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
			t_ring_add(&f.u, &f.r);
			take_miss(&f);
		} else if (k % 4 == 3) {
			f.u.echo.hold = true;
			t_ring_add(&f.u, &f.r);
			T_UNTIL(&f.u, f.u.echo.n_held == 1);
			send_invalidate(&f, 0, 0);
			t_settle(&f.u);
		}
		t_user_hang_up(&f.u);
		if (k % 4 == 3) {
			t_settle(&f.u);
			t_echo_release(&f.u.echo);
		}
		T_UNTIL(&f.u, f.u.n_down == 1);
		end(&f);
		if (k < 4)
			fds = (unsigned int)t_count_fds();
		T_EQ(t_count_fds(), fds);
	}
}

/* A question is put again on a channel that takes the place of one that is gone. */
static void another_channel_hears_of_the_miss(void)
{
	struct vhk_user_iotlb m;
	struct front f;
	int former;

	begin(&f, FEATURES);
	start(&f, &f.r);
	echo(&f, &f.r, 1);
	T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
	t_ring_add(&f.u, &f.r);
	m = take_miss(&f);
	former = f.channel;
	send_channel(&f);
	T_EQ(take_miss(&f).iova, m.iova);
	T_EQ(map(&f, m.iova, RW), 0);
	answer(&f, 0);
	SERVE_UNTIL(&f, get(&f.r));
	close(former);
	end(&f);
}

/* Without a channel there are no misses, so there are no IOVAs. */
static void without_a_channel_addresses_are_plain(void)
{
	struct vhk_user_iotlb m = message(INVALIDATE, 0, 0, 0, 0);
	struct front f;
	uint64_t protocol;

	memset(&f, 0, sizeof(f));
	t_user_init(&f.u, VHK_LOOP_AUTO);
	t_user_open(&f.u);
	protocol = t_get_u64(&f.u, VHK_USER_GET_PROTOCOL_FEATURES);
	protocol = VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(MQ);
	t_send(&f.u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	T_EQ(t_ask_u64(&f.u, VHK_USER_SET_FEATURES, FEATURES), 0);
	t_ring_init(&f.u, &f.r, 0, FEATURES);
	T_EQ(t_ask_mem_table(&f.u), 0);
	T_OK(t_ask(&f.u, VHK_USER_IOTLB_MSG, &m, sizeof(m)) != 0);
	t_ring_start(&f.u, &f.r, f.r.kick);
	t_ring_echo(&f.u, &f.r, 5);
	t_ring_fini(&f.r);
	t_user_fini(&f.u);
}

static bool is_logged(const unsigned char *bits, uint64_t gpa)
{
	return bits[gpa / PAGE / 8] >> (gpa / PAGE % 8) & 1;
}

/* A log has guest addresses, also of a used ring that the front end names by its IOVA. */
static void a_used_ring_is_logged_where_it_lies(void)
{
	const struct vhk_user_log wire = { (SHIFT >> 15) + 0x10000, 0 };
	struct vhk_user_vring_addr a;
	unsigned char *bits;
	struct front f;
	unsigned int i;
	int fd;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&f, layouts[i] | VHK_F_LOG_ALL);
		fd = memfd_create("log", MFD_CLOEXEC);
		T_MUST(fd >= 0 && !ftruncate(fd, (off_t)wire.size));
		bits = mmap(NULL, wire.size, PROT_READ, MAP_SHARED, fd, 0);
		T_MUST(bits != MAP_FAILED);
		T_EQ(t_ask_fds(&f.u, VHK_USER_SET_LOG_BASE, &wire, sizeof(wire), &fd, 1), 0);
		start(&f, &f.r);
		a = iova_addr(&f, &f.r);
		a.flags = VHK_USER_VRING_LOG;
		a.log = a.used;
		T_EQ(t_ask(&f.u, VHK_USER_SET_VRING_ADDR, &a, sizeof(a)), 0);
		echo(&f, &f.r, 3);
		T_OK(is_logged(bits, a.used + SHIFT));
		T_OK(!is_logged(bits, a.used));
		T_OK(is_logged(bits, data_iova(&f) + SHIFT));
		munmap(bits, wire.size);
		close(fd);
		end(&f);
	}
}

static void *run_loop(void *loop)
{
	return (void *)(intptr_t)vhk_loop_run(loop);
}

/* One more request, if there is room. */
static void add(struct front *f, struct t_ring *r)
{
	if (vhk_vq_in_flight(r->vq) < 8)
		t_ring_add(&f->u, r);
}

/* Translations come and go under both rings, whose loops run in threads of their own. */
static void at_random(void)
{
	struct vhk_loop_opts lo = { .sz = sizeof(lo), .engine = t_engine };
	struct vhk_loop *loops[2];
	pthread_t thread[2];
	unsigned int i, n_done = 0, seed = 1;
	struct front f;

	memset(&f, 0, sizeof(f));
	t_user_init(&f.u, VHK_LOOP_AUTO);
	for (i = 0; i < 2; i++)
		T_MUST(!vhk_loop_new(&loops[i], &lo));
	T_MUST(!vhk_device_set_loops(f.u.echo.dev, loops, 2));
	for (i = 0; i < 2; i++)
		T_MUST(!pthread_create(&thread[i], NULL, run_loop, loops[i]));
	begin_with(&f, FEATURES);
	start(&f, &f.r);
	start(&f, &f.other);
	for (i = 0; i < 400; i++) {
		seed = seed * 1103515245 + 12345;
		add(&f, &f.r);
		add(&f, &f.other);
		while (t_readable(f.channel, 0))
			serve_miss(&f);
		t_settle(&f.u);
		switch ((seed >> 16) % 6) {
		case 0:
			T_EQ(iotlb(&f, INVALIDATE, data_iova(&f), PAGE, 0, 0), 0);
			break;
		case 1:
			T_EQ(iotlb(&f, INVALIDATE, 0, 0, 0, 0), 0);
			break;
		case 2:
			T_EQ(iotlb(&f, INVALIDATE, ring_iova(&f.other), PAGE, 0, 0), 0);
			break;
		default:
			T_EQ(map(&f, data_iova(&f), RW), 0);
		}
		n_done += (unsigned int)get(&f.r) + (unsigned int)get(&f.other);
	}
	while (vhk_vq_in_flight(f.r.vq) + vhk_vq_in_flight(f.other.vq))
		SERVE_UNTIL(&f, get(&f.r) || get(&f.other));
	T_OK(n_done > 10);
	t_user_hang_up(&f.u);
	T_UNTIL(&f.u, __atomic_load_n(&f.u.n_down, __ATOMIC_ACQUIRE) == 1);
	for (i = 0; i < 2; i++) {
		vhk_loop_stop(loops[i]);
		T_MUST(!pthread_join(thread[i], NULL));
	}
	end(&f);
	for (i = 0; i < 2; i++)
		vhk_loop_free(loops[i]);
}

int main(void)
{
	T_RUN_ON_BOTH(misses_are_asked_for_once_and_data_flows);
	T_RUN(what_is_known_is_not_asked_for);
	T_RUN(a_miss_holds_its_ring_alone);
	T_RUN(a_refused_miss_is_a_fault_of_its_chain);
	T_RUN(permissions_hold);
	T_RUN(an_invalidation_waits_for_who_uses_it);
	T_RUN(a_replacement_waits_for_who_uses_it);
	T_RUN(a_ring_rests_while_its_parts_are_away);
	T_RUN(a_resting_ring_can_be_stopped);
	T_RUN(what_a_front_end_may_not_say);
	T_RUN(a_full_cache_forgets_nothing_in_use);
	T_RUN(translations_without_end);
	T_RUN(sessions_end_at_any_time);
	T_RUN(another_channel_hears_of_the_miss);
	T_RUN(without_a_channel_addresses_are_plain);
	T_RUN(a_used_ring_is_logged_where_it_lies);
	T_RUN_ON_BOTH(at_random);
	return t_end();
}
