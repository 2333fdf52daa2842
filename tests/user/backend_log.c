// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The dirty log of a migration: exactly the pages that were written are in it, whatever the ring's
 * layout; it is switched on, off and to another place while requests are under way; logs that are
 * too small, odd, or cut short harm nobody.
 */
#include "t_bus.h"
#include "t_user.h"

#define PAGE 4096ull
#define LOG_SIZE 0x8000u
#define LOGGED (T_SPLIT | VHK_F_LOG_ALL)

struct log {
	int fd;
	unsigned char *bits;
	size_t size; /* of the file */
	struct vhk_user_log wire;
};

static void log_init(struct log *l, size_t size, size_t offset)
{
	l->size = size + offset + 64;
	l->fd = memfd_create("log", MFD_CLOEXEC);
	T_MUST(l->fd >= 0 && !ftruncate(l->fd, (off_t)l->size));
	l->bits = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED, l->fd, 0);
	T_MUST(l->bits != MAP_FAILED);
	l->wire = (struct vhk_user_log){ size, offset };
}

static void log_fini(struct log *l)
{
	munmap(l->bits, l->size);
	close(l->fd);
}

static void log_clear(struct log *l)
{
	memset(l->bits, 0, l->size);
}

static bool log_has(const struct log *l, uint64_t gpa)
{
	const uint64_t page = gpa / PAGE;

	return l->bits[l->wire.offset + page / 8] >> (page % 8) & 1;
}

static unsigned int log_count(const struct log *l)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < l->size; i++)
		n += (unsigned int)__builtin_popcount(l->bits[i]);
	return n;
}

static uint64_t ask_log(struct t_user *u, const struct log *l)
{
	return t_ask_fds(u, VHK_USER_SET_LOG_BASE, &l->wire, sizeof(l->wire), &l->fd, 1);
}

static uint64_t gpa_of(struct t_user *u, const void *va)
{
	struct vhk_gpa gpa;

	T_MUST(!vhk_mem_gpa(u->mem, va, 1, &gpa));
	return gpa.v;
}

static uint64_t ring_gpa(struct t_user *u, const struct t_ring *r)
{
	struct vhk_vq_addr a;

	T_MUST(!vhk_vq_addr(r->vq, &a));
	return gpa_of(u, a.device);
}

static uint64_t ask_addr(struct t_user *u, const struct t_ring *r, bool logged, uint64_t at)
{
	struct vhk_user_vring_addr addr = t_ring_wire_addr(r);

	addr.flags = logged ? VHK_USER_VRING_LOG : 0;
	addr.log = at;
	return t_ask(u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr));
}

/* A running ring, its used ring logged where it is, as is everything else. */
static void begin(struct t_user *u, struct t_ring *r, struct log *l, uint64_t features)
{
	t_user_init(u, VHK_LOOP_AUTO);
	t_user_open(u);
	t_negotiate(u, features);
	t_ring_init(u, r, 0, features);
	T_EQ(t_ask_mem_table(u), 0);
	log_init(l, LOG_SIZE, 0);
	T_EQ(ask_log(u, l), 0);
	t_ring_set_up(u, r, t_ring_base(r));
	T_EQ(ask_addr(u, r, true, ring_gpa(u, r)), 0);
	T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_KICK, 0, r->kick), 0);
	T_EQ(t_ask_state(u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	t_settle(u);
	log_clear(l);
}

static void end(struct t_user *u, struct t_ring *r, struct log *l)
{
	t_ring_fini(r);
	t_user_fini(u);
	log_fini(l);
}

static void add(struct t_ring *r, struct iovec *seg, unsigned int n_out, unsigned int n_in)
{
	const uint64_t one = 1;

	vhk_vq_arm(r->vq);
	T_MUST(!vhk_vq_add(r->vq, seg, n_out, n_in, r));
	if (vhk_vq_publish(r->vq))
		T_MUST(write(r->kick, &one, sizeof(one)) == sizeof(one));
}

static bool got(struct t_user *u, struct t_ring *r)
{
	uint64_t deadline = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	struct vhk_done done;
	int n;

	while (!(n = vhk_vq_get(r->vq, &done, 1)) && t_now_ns() < deadline)
		t_step(u);
	t_settle(u);
	return n == 1;
}

static void one_request(struct t_user *u, struct t_ring *r)
{
	struct iovec seg[2] = { { u->buf, 16 }, { u->buf + PAGE, 32 } };

	add(r, seg, 1, 1);
	T_OK(got(u, r));
}

static const uint64_t layouts[] = {
	LOGGED,
	LOGGED | VHK_F_EVENT_IDX,
	LOGGED | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX,
	LOGGED | VHK_F_IN_ORDER,
	LOGGED | VHK_F_RING_PACKED,
	LOGGED | VHK_F_RING_PACKED | VHK_F_EVENT_IDX,
	LOGGED | VHK_F_RING_PACKED | VHK_F_INDIRECT_DESC,
	LOGGED | VHK_F_RING_PACKED | VHK_F_IN_ORDER,
};

static const struct {
	uint32_t written;
	bool scattered;
	unsigned int pages; /* of u.buf, a mask */
} writes[] = {
	{ 0, false, 0 },
	{ 1, false, 1u << 1 },
	{ 0x800, false, 1u << 1 },
	{ 0x801, false, 3u << 1 },
	{ 0x1000, false, 3u << 1 },
	{ 0x1001, false, 3u << 1 | 1u << 5 },
	{ 0x1002, false, 3u << 1 | 3u << 5 },
	{ 0x1003, false, 3u << 1 | 3u << 5 | 1u << 8 },
	{ 0x3002, false, 3u << 1 | 3u << 5 | 3u << 8 },
	{ 1, true, 3u << 1 | 3u << 5 | 3u << 8 },
};

/* One write of that many bytes into four segments; the ring's page beside it where @ring. */
static void exact(struct t_user *u, struct t_ring *r, struct log *l, unsigned int i, bool ring)
{
	struct iovec seg[4] = { { u->buf, 16 },
				{ u->buf + 0x1800, 0x1000 },
				{ u->buf + 0x5fff, 2 },
				{ u->buf + 0x8000, 0x2000 } };
	unsigned int page;

	u->echo.hold = true;
	add(r, seg, 1, 3);
	T_UNTIL(u, u->echo.n_held == 1);
	log_clear(l);
	u->echo.n_held = 0;
	if (writes[i].scattered)
		u->echo.held[0]->flags |= VHK_CHAIN_F_SCATTERED;
	vhk_queue_done(u->echo.queue[0], u->echo.held[0], writes[i].written);
	T_OK(got(u, r));
	for (page = 0; page < T_BUF_SIZE / PAGE; page++)
		T_EQ(log_has(l, T_GPA + page * PAGE), writes[i].pages >> page & 1);
	T_EQ(log_has(l, ring_gpa(u, r)), ring);
	T_EQ(log_count(l), (unsigned int)__builtin_popcount(writes[i].pages) + ring);
}

static void exactly_what_was_written(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l;
	unsigned int i, k;
	int bad;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		begin(&u, &r, &l, layouts[k]);
		for (i = 0; i < vhk_array_size(writes); i++) {
			bad = t_bad;
			exact(&u, &r, &l, i, true);
			if (t_bad != bad)
				printf("# layout %u, write %u\n", k, i);
		}
		end(&u, &r, &l);
	}
}

/* The front end says where a used ring is, and whether it wants to know; a packed ring's
 * descriptors are written in any case. */
static void the_used_ring_is_logged_as_asked(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l;
	unsigned int k;
	bool packed;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		packed = layouts[k] & VHK_F_RING_PACKED;
		begin(&u, &r, &l, layouts[k]);
		T_EQ(ask_addr(&u, &r, false, 0), 0);
		exact(&u, &r, &l, 0, packed);
		T_EQ(ask_addr(&u, &r, true, ring_gpa(&u, &r)), 0);
		exact(&u, &r, &l, 1, true);
		T_EQ(ask_addr(&u, &r, true, 0x3000), 0);
		u.echo.hold = false;
		log_clear(&l);
		one_request(&u, &r);
		if (!packed || layouts[k] & VHK_F_EVENT_IDX)
			T_OK(log_has(&l, 0x3000));
		T_EQ(log_has(&l, ring_gpa(&u, &r)), packed);
		/* in no page of the log, or of memory */
		T_EQ(ask_addr(&u, &r, true, UINT64_MAX - 7), 0);
		log_clear(&l);
		one_request(&u, &r);
		T_EQ(log_count(&l), 1u + packed);
		end(&u, &r, &l);
	}
}

static void a_ring_that_starts_is_logged_whole(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l;
	unsigned int k;
	uint32_t base;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		begin(&u, &r, &l, layouts[k]);
		base = t_stop_ring(&u, 0);
		T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, base), 0);
		log_clear(&l);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
		T_OK(log_has(&l, ring_gpa(&u, &r)));
		T_EQ(log_count(&l), 1);
		end(&u, &r, &l);
	}
}

static void switched_while_requests_are_under_way(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l, next;
	unsigned int k;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		begin(&u, &r, &l, layouts[k]);
		log_init(&next, LOG_SIZE, 0);
		u.echo.hold = true;
		t_ring_add(&u, &r);
		T_UNTIL(&u, u.echo.n_held == 1);
		T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, layouts[k] & ~VHK_F_LOG_ALL), 0);
		log_clear(&l);
		t_echo_release(&u.echo);
		T_OK(got(&u, &r));
		one_request(&u, &r);
		T_EQ(log_count(&l), 0);
		/* what was taken before is logged when it is answered */
		u.echo.hold = true;
		t_ring_add(&u, &r);
		T_UNTIL(&u, u.echo.n_held == 1);
		T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, layouts[k]), 0);
		log_clear(&l);
		t_echo_release(&u.echo);
		T_OK(got(&u, &r));
		T_EQ(log_count(&l), 2);
		T_OK(log_has(&l, T_GPA + PAGE));
		/* another log */
		u.echo.hold = true;
		t_ring_add(&u, &r);
		T_UNTIL(&u, u.echo.n_held == 1);
		T_EQ(ask_log(&u, &next), 0);
		log_clear(&l);
		log_clear(&next);
		t_echo_release(&u.echo);
		T_OK(got(&u, &r));
		T_EQ(log_count(&l), 0);
		T_EQ(log_count(&next), 2);
		/* the same features once more change nothing */
		T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, layouts[k]), 0);
		log_fini(&next);
		end(&u, &r, &l);
	}
}

static void told_by_an_fd(void)
{
	int ev = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), p[2], file = memfd_create("x", 0);
	struct t_user u;
	struct t_ring r;
	struct log l;
	uint64_t n;

	begin(&u, &r, &l, LOGGED);
	T_MUST(!pipe2(p, O_CLOEXEC | O_NONBLOCK));
	one_request(&u, &r);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &ev, 1), 0);
	T_OK(read(ev, &n, 8) < 0);
	one_request(&u, &r);
	T_EQ(read(ev, &n, 8), 8);
	/* kept over a change of the log, and silent without logging */
	T_EQ(ask_log(&u, &l), 0);
	one_request(&u, &r);
	T_EQ(read(ev, &n, 8), 8);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
	T_OK(read(ev, &n, 8) == 8 || errno == EAGAIN);
	one_request(&u, &r);
	T_OK(read(ev, &n, 8) < 0);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED), 0);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &p[1], 1), 0);
	one_request(&u, &r);
	T_EQ(read(p[0], &n, 8), 8);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &file, 1) != 0);
	close(p[0]);
	close(p[1]);
	one_request(&u, &r);
	end(&u, &r, &l);
	close(ev);
	close(file);
}

/* Without LOG_SHMFD it lies in memory that is shared, and no answer comes unasked. */
static void a_log_by_address(void)
{
	uint64_t protocol, at;
	unsigned char *va;
	struct t_user u;
	struct t_ring r;
	struct log l;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_alive(&u);
	protocol = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES) &
		   ~(VHK_USER_PF(LOG_SHMFD) | VHK_USER_PF(GPA_ADDRESSES));
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
	T_EQ(t_ask(&u, VHK_USER_SET_OWNER, NULL, 0), 0);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED), 0);
	t_ring_init(&u, &r, 0, LOGGED);
	T_MUST(!vhk_mem_alloc(u.mem, (struct vhk_gpa){ 0x400000 }, LOG_SIZE, (void **)&va));
	at = (uintptr_t)va;
	T_OK(t_ask_u64(&u, VHK_USER_SET_LOG_BASE, at) != 0);
	T_EQ(t_ask_mem_table(&u), 0);
	T_OK(t_ask_u64(&u, VHK_USER_SET_LOG_BASE, 16) != 0);
	T_OK(t_ask_u64(&u, VHK_USER_SET_LOG_BASE, at + LOG_SIZE - 64) != 0);
	T_OK(t_ask_u64(&u, VHK_USER_SET_LOG_BASE, UINT64_MAX) != 0);
	t_send(&u, VHK_USER_SET_LOG_BASE, 0, &at, 8, NULL, 0);
	t_alive(&u);
	t_ring_start(&u, &r, r.kick);
	l = (struct log){ .bits = va, .size = LOG_SIZE };
	log_clear(&l);
	one_request(&u, &r);
	T_OK(log_has(&l, T_GPA + PAGE));
	T_EQ(log_count(&l), 1);
	t_ring_fini(&r);
	t_user_fini(&u);
}

/* The answer is due without being asked for. */
static void answers_to_a_log_by_fd(void)
{
	struct t_user u;
	struct t_ring r;
	struct vhk_msg m;
	struct log l;

	begin(&u, &r, &l, LOGGED);
	t_send(&u, VHK_USER_SET_LOG_BASE, 0, &l.wire, 16, &l.fd, 1);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.hdr.request, VHK_USER_SET_LOG_BASE);
	T_EQ(m.hdr.flags, VHK_MSG_VERSION | VHK_MSG_REPLY);
	T_EQ(m.u64, 0);
	t_send(&u, VHK_USER_SET_LOG_BASE, 0, &l.wire, 16, NULL, 0);
	T_MUST(t_recv(&u, &m));
	T_OK(m.hdr.size == 8 && m.u64);
	t_alive(&u);
	one_request(&u, &r);
	T_EQ(log_count(&l), 2);
	end(&u, &r, &l);
}

/* Memory that comes later is logged, as long as the log has a bit for it. */
static void regions_added_later(void)
{
	const uint64_t last = 8ull * LOG_SIZE * PAGE - 2 * PAGE;
	struct vhk_user_mem_reg reg = { 0 };
	struct vhk_region region;
	unsigned char *va;
	struct t_user u;
	struct t_ring r;
	struct log l;
	struct iovec seg;
	int fd;

	begin(&u, &r, &l, LOGGED);
	T_MUST(!vhk_mem_alloc(u.mem, (struct vhk_gpa){ last }, 2 * PAGE, (void **)&va));
	T_MUST(!vhk_mem_get(u.mem, vhk_mem_count(u.mem) - 1, &region, &fd));
	reg.region = t_wire_region(&region);
	/* one page too far */
	reg.region.gpa += PAGE;
	T_OK(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1) != 0);
	reg.region.gpa -= PAGE;
	/* an odd end is a page all the same */
	reg.region.size -= 100;
	T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	seg = (struct iovec){ va + PAGE, PAGE - 100 };
	add(&r, &seg, 0, 1);
	T_OK(got(&u, &r));
	T_OK(log_has(&l, last + PAGE));
	T_OK(!log_has(&l, last));
	T_EQ(log_count(&l), 2);
	/* the same for a whole table */
	T_MUST(!vhk_mem_alloc(u.mem, (struct vhk_gpa){ last + 2 * PAGE }, PAGE, (void **)&va));
	T_OK(t_ask_mem_table(&u) != 0);
	/* a larger log first, as front ends do */
	log_fini(&l);
	log_init(&l, LOG_SIZE + 1, 0);
	T_EQ(ask_log(&u, &l), 0);
	T_EQ(t_ask_mem_table(&u), 0);
	seg = (struct iovec){ va, 1 };
	add(&r, &seg, 0, 1);
	T_OK(got(&u, &r));
	T_OK(log_has(&l, last + 2 * PAGE));
	end(&u, &r, &l);
}

/* As large as the memory needs, at an odd place in the file: nothing around it is touched. */
static void the_smallest_log(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l, tight;
	struct vhk_region region;
	uint64_t size;

	begin(&u, &r, &l, LOGGED);
	T_MUST(!vhk_mem_get(u.mem, vhk_mem_count(u.mem) - 1, &region, NULL));
	size = (region.gpa.v + region.size - 1) / PAGE / 8 + 1;
	log_init(&tight, size - 1, 123);
	T_OK(ask_log(&u, &tight) != 0);
	log_fini(&tight);
	log_init(&tight, size, 123);
	T_EQ(ask_log(&u, &tight), 0);
	log_clear(&tight);
	log_clear(&l);
	one_request(&u, &r);
	T_OK(log_has(&tight, T_GPA + PAGE) && log_has(&tight, ring_gpa(&u, &r)));
	T_EQ(log_count(&tight), 2);
	T_EQ(log_count(&l), 0);
	log_fini(&tight);
	end(&u, &r, &l);
}

static void refused(void)
{
	static const struct vhk_user_log wrong[] = {
		{ 0, 0 },
		{ LOG_SIZE, UINT64_MAX - 10 },
		{ LOG_SIZE, 1 << 20 },
		{ 1ull << 62, 0 },
		{ UINT64_MAX, 0 },
		{ 1, 0 },
	};
	struct t_user u;
	struct t_ring r;
	struct log l;
	int fd[2], fds;
	size_t i;

	begin(&u, &r, &l, LOGGED);
	fd[0] = fd[1] = l.fd;
	fds = t_count_fds();
	for (i = 0; i < vhk_array_size(wrong); i++)
		T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &wrong[i], 16, fd, 1) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &l.wire, 16, fd, 2) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &l.wire, 16, NULL, 0) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &l.wire, 8, fd, 1) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &l.wire, 15, fd, 1) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &l.wire, 16, &u.fd, 1) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, NULL, 0) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, fd, 2) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_FD, "12345678", 8, fd, 1) != 0);
	T_OK(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &u.fd, 1) != 0);
	T_EQ(t_count_fds(), fds);
	/* the former log is still in force */
	one_request(&u, &r);
	T_EQ(log_count(&l), 2);
	end(&u, &r, &l);
}

/* Who says that writes are to be logged must have said where. */
static void switched_on_without_a_log(void)
{
	struct t_user u;
	struct t_ring r;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&u), 0);
	t_ring_start(&u, &r, r.kick);
	T_OK(ask_addr(&u, &r, true, 0) != 0);
	T_OK(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED) != 0);
	T_OK(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED | VHK_F_EVENT_IDX) != 0);
	one_request(&u, &r);
	/* before any ring runs it may follow */
	t_stop_ring(&u, 0);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED), 0);
	t_ring_start(&u, &r, r.kick);
	one_request(&u, &r);
	t_ring_fini(&r);
	t_user_fini(&u);
}

/* What it is told in would be lost: the session ends, and the process does not. */
static void cut_short(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l;
	unsigned int k;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		begin(&u, &r, &l, layouts[k]);
		T_MUST(!ftruncate(l.fd, 0));
		t_ring_add(&u, &r);
		T_UNTIL(&u, u.n_down == 1);
		T_OK(strstr(u.log.last, "cut short"));
		T_OK(t_closed(&u, u.fd));
		end(&u, &r, &l);
	}
}

static void nothing_stays_behind(void)
{
	struct t_user u;
	struct t_ring r;
	struct log l;
	int fds, i, ev = eventfd(0, EFD_CLOEXEC);

	for (i = 0; i < 2; i++) {
		begin(&u, &r, &l, LOGGED);
		T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &ev, 1), 0);
		fds = t_count_fds();
		T_EQ(t_count_maps("memfd:log"), 2);
		T_EQ(ask_log(&u, &l), 0);
		T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &ev, 1), 0);
		T_EQ(t_count_fds(), fds);
		T_EQ(t_count_maps("memfd:log"), 2);
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == 1);
		T_EQ(t_count_maps("memfd:log"), 1);
		end(&u, &r, &l);
		T_EQ(t_count_maps("memfd:log"), 0);
	}
	close(ev);
}

int main(void)
{
	t_handle_bus();
	T_RUN_ON_BOTH(exactly_what_was_written);
	T_RUN_ON_BOTH(the_used_ring_is_logged_as_asked);
	T_RUN(a_ring_that_starts_is_logged_whole);
	T_RUN_ON_BOTH(switched_while_requests_are_under_way);
	T_RUN(told_by_an_fd);
	T_RUN(a_log_by_address);
	T_RUN(answers_to_a_log_by_fd);
	T_RUN(regions_added_later);
	T_RUN(the_smallest_log);
	T_RUN(refused);
	T_RUN(switched_on_without_a_log);
	T_RUN_ON_BOTH(cut_short);
	T_RUN(nothing_stays_behind);
	return t_end();
}
