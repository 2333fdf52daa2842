// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Rings whose parts are in one piece for the driver only: behind an IOMMU each page may be anywhere
 * in guest memory, and without one a ring may go over from one region to the next. They work, log
 * and stop as others do, and nothing of them stays mapped behind them.
 */
#include <pthread.h>

#include <vhostkit/iotlb.h>

#include "ring_layout.h"

#define T_QUEUE_SIZE 1024
#include "t_bus.h"
#include "t_user.h"

#define PAGE 4096ull
#define PAGES 32 /* of the driver's block, as it sees it */
#define GUEST_PAGES 96
/* Guest memory in the front end's address space and in the guest's; the ring in the driver's. */
#define GUEST_UVA (1ull << 40)
#define GUEST_GPA (1ull << 32)
#define RING_IOVA (1ull << 33)
#define FEATURES (T_SPLIT | VHK_F_ACCESS_PLATFORM)
#define RW VHK_IOTLB_PERM_RW
#define RO VHK_IOTLB_PERM_RO

static const uint64_t layouts[] = { FEATURES, FEATURES | VHK_F_RING_PACKED,
				    FEATURES | VHK_F_EVENT_IDX };

struct front {
	struct t_user u;
	struct t_ring r;
	int guest;	       /* the file of guest memory */
	unsigned char *block;  /* as the driver sees it */
	unsigned int at[PAGES]; /* which page of the guest's each of its pages is */
	int channel;
};

/* Puts page @i of the block where the front end has page @to of the guest's. */
static void place_page(struct front *f, unsigned int i, unsigned int to)
{
	f->at[i] = to;
	T_MUST(mmap(f->block + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    f->guest, (off_t)(to * PAGE)) != MAP_FAILED);
}

static void make_block(struct front *f)
{
	const struct vhk_region r = { .gpa = { RING_IOVA }, .uva = { RING_IOVA },
				      .size = PAGES * PAGE };
	unsigned int i;

	f->guest = memfd_create("scattered", MFD_CLOEXEC);
	T_MUST(f->guest >= 0 && !ftruncate(f->guest, GUEST_PAGES * PAGE));
	f->block = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_MUST(f->block != MAP_FAILED);
	for (i = 0; i < PAGES; i++)
		place_page(f, i, (i * 37 + 11) % (GUEST_PAGES / 2));
	T_MUST(!vhk_mem_add_va(f->u.mem, &r, f->block));
}

static void make_ring(struct front *f, uint64_t features)
{
	struct vhk_vq_opts o = {
		.sz = sizeof(o),
		.size = T_QUEUE_SIZE,
		.features = features,
		.block = f->block,
	};

	T_MUST(vhk_vq_bytes(&o) <= PAGES * PAGE);
	T_MUST(!vhk_vq_new(&f->r.vq, f->u.mem, &o));
	f->r.features = features;
	f->r.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->r.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(f->r.kick >= 0 && f->r.call >= 0);
}

/* The buffers, where the driver has them, and guest memory in one piece. */
static uint64_t send_table(struct front *f, bool guest)
{
	struct vhk_user_mem_table t = { .n = guest ? 2 : 1 };
	struct vhk_region r;
	int fd[2];

	T_MUST(!vhk_mem_get(f->u.mem, 0, &r, &fd[0]));
	T_EQ(r.gpa.v, T_GPA);
	t.region[0] = t_wire_region(&r);
	t.region[1] = (struct vhk_user_region){ GUEST_GPA, GUEST_PAGES * PAGE, GUEST_UVA, 0 };
	fd[1] = f->guest;
	return t_ask_fds(&f->u, VHK_USER_SET_MEM_TABLE, &t, 8 + t.n * 32, fd, t.n);
}

static void send_channel(struct front *f)
{
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	f->channel = fd[0];
	T_EQ(t_ask_fds(&f->u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd[1], 1), 0);
	close(fd[1]);
}

static uint64_t iotlb(struct front *f, uint8_t type, uint64_t iova, uint64_t size, uint64_t uva,
		      uint8_t perm)
{
	struct vhk_user_iotlb m = { iova, size, uva, perm, type, { 0 } };

	return t_ask(&f->u, VHK_USER_IOTLB_MSG, &m, sizeof(m));
}

static void map_page(struct front *f, unsigned int i, uint8_t perm)
{
	T_EQ(iotlb(f, VHK_IOTLB_UPDATE, RING_IOVA + i * PAGE, PAGE, GUEST_UVA + f->at[i] * PAGE,
		   perm),
	     0);
}

static void map_all(struct front *f)
{
	struct vhk_region r;
	unsigned int i;

	T_MUST(!vhk_mem_get(f->u.mem, 0, &r, NULL));
	T_EQ(iotlb(f, VHK_IOTLB_UPDATE, r.gpa.v, r.size, r.uva.v, RW), 0);
	for (i = 0; i < PAGES; i++)
		map_page(f, i, RW);
}

static void begin_with(struct front *f, uint64_t features)
{
	make_block(f);
	t_user_open(&f->u);
	t_negotiate(&f->u, features);
	send_channel(f);
	make_ring(f, features);
	T_EQ(send_table(f, true), 0);
}

static void begin(struct front *f, uint64_t features)
{
	memset(f, 0, sizeof(*f));
	t_user_init(&f->u, VHK_LOOP_AUTO);
	begin_with(f, features);
}

static void end(struct front *f)
{
	t_user_hang_up(&f->u);
	T_UNTIL(&f->u, __atomic_load_n(&f->u.n_down, __ATOMIC_ACQUIRE) == 1);
	close(f->channel);
	t_ring_fini(&f->r);
	t_user_fini(&f->u);
	munmap(f->block, PAGES * PAGE);
	close(f->guest);
}

static uint64_t set_up(struct front *f)
{
	struct vhk_user_vring_addr a = t_ring_wire_addr(&f->r);
	const uint64_t shift = RING_IOVA - (uintptr_t)f->block;

	a.desc += shift;
	a.avail += shift;
	a.used += shift;
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_NUM, 0, T_QUEUE_SIZE), 0);
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_BASE, 0, t_ring_base(&f->r)), 0);
	a.flags = f->r.features & VHK_F_LOG_ALL ? VHK_USER_VRING_LOG : 0;
	a.log = a.used;
	T_EQ(t_ask(&f->u, VHK_USER_SET_VRING_ADDR, &a, sizeof(a)), 0);
	T_EQ(t_ask_vring_fd(&f->u, VHK_USER_SET_VRING_CALL, 0, f->r.call), 0);
	return t_ask_vring_fd(&f->u, VHK_USER_SET_VRING_KICK, 0, f->r.kick);
}

static void start(struct front *f)
{
	map_all(f);
	T_EQ(set_up(f), 0);
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
}

/* Pages of guest memory that are mapped in this process, the block's included. */
static unsigned int mapped(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long long from, to, bytes = 0;
	char line[512];

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "/memfd:scattered") && sscanf(line, "%llx-%llx", &from, &to) == 2)
			bytes += to - from;
	fclose(f);
	return (unsigned int)(bytes / PAGE);
}

static void they_work_and_wrap(void)
{
	const unsigned int alone = PAGES + GUEST_PAGES;
	struct front f;
	unsigned int i;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&f, layouts[i]);
		T_EQ(mapped(), alone);
		start(&f);
		T_OK(mapped() > alone);
		t_ring_echo(&f.u, &f.r, 2 * T_QUEUE_SIZE + 100);
		T_EQ(t_stop_ring(&f.u, 0) & 0x7fff,
		     layouts[i] & VHK_F_RING_PACKED ? 200 : 2 * T_QUEUE_SIZE + 100);
		T_EQ(mapped(), alone);
		end(&f);
		T_EQ(mapped(), 0);
	}
}

/* The page moves to another place, with what is on it, as a driver cannot see. */
static void move_page(struct front *f, unsigned int i, unsigned int to)
{
	unsigned char copy[PAGE];

	memcpy(copy, f->block + i * PAGE, PAGE);
	place_page(f, i, to);
	memcpy(f->block + i * PAGE, copy, PAGE);
}

/* Misses that nobody answers are no matter: what is missed is said all the same. */
static void hear_misses(struct front *f)
{
	struct vhk_msg m;

	while (t_readable(f->channel, 0))
		T_MUST(t_recv_from(&f->u, f->channel, &m));
}

/* It rests before the answer, nothing of it stays mapped, and it goes on where its page went. */
static void a_page_is_taken_and_comes_elsewhere(void)
{
	const unsigned int alone = PAGES + GUEST_PAGES;
	struct front f;
	unsigned int i, k;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&f, layouts[i]);
		start(&f);
		for (k = 0; k < 7; k++) {
			t_ring_echo(&f.u, &f.r, 300);
			/* packed: from the fifth page on it is no part of the ring */
			T_EQ(iotlb(&f, VHK_IOTLB_INVALIDATE, RING_IOVA + k * PAGE, PAGE, 0, 0), 0);
			if (k < 4)
				T_EQ(mapped(), alone);
			move_page(&f, k, GUEST_PAGES / 2 + k * 5 % 7 * 6);
			t_ring_add(&f.u, &f.r);
			t_settle(&f.u);
			hear_misses(&f);
			map_page(&f, k, RW);
			T_OK(t_ring_get(&f.u, &f.r));
			T_OK(mapped() > alone);
		}
		T_EQ(f.u.log.n[VHK_LOG_WARN], 0);
		end(&f);
	}
}

static void other_tables(void)
{
	const uint64_t one = 1;
	struct front f;
	unsigned int i, m;
	int err;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&f, layouts[i]);
		start(&f);
		err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_ERR, 0, err), 0);
		m = mapped();
		f.u.echo.hold = true;
		t_ring_add(&f.u, &f.r);
		T_UNTIL(&f.u, f.u.echo.n_held == 1);
		t_echo_release(&f.u.echo);
		T_OK(t_ring_get(&f.u, &f.r));
		T_EQ(send_table(&f, true), 0);
		T_EQ(mapped(), m);
		t_ring_echo(&f.u, &f.r, T_QUEUE_SIZE + 1);
		/* it lies nowhere any more: an error of the ring, not of the session */
		T_EQ(send_table(&f, false), 0);
		T_EQ(mapped(), PAGES);
		T_MUST(write(f.r.kick, &one, 8) == 8);
		T_OK(t_wait_readable(&f.u, err));
		t_alive(&f.u);
		T_EQ(f.u.log.n[VHK_LOG_WARN], 1);
		close(err);
		end(&f);
	}
}

static bool refused(struct front *f, const char *why)
{
	const unsigned int before = f->u.log.n[VHK_LOG_WARN];

	T_OK(set_up(f) != 0);
	T_EQ(f->u.log.n[VHK_LOG_WARN], before + 1);
	if (!strstr(f->u.log.last, why))
		printf("# %s\n", f->u.log.last);
	return strstr(f->u.log.last, why);
}

static void what_cannot_be_served(void)
{
	const uint64_t uva = GUEST_UVA;
	struct front f;
	unsigned int i, l;

	for (l = 0; l < vhk_array_size(layouts); l++) {
		begin(&f, layouts[l]);
		map_all(&f);
		/* pieces smaller than a page */
		T_EQ(iotlb(&f, VHK_IOTLB_UPDATE, RING_IOVA + 2048, 1024, uva + 8192, RW), 0);
		T_OK(refused(&f, "not in whole pages"));
		/* whole, but begun inside of one */
		T_EQ(iotlb(&f, VHK_IOTLB_UPDATE, RING_IOVA + PAGE, PAGE, uva + 0x800, RW), 0);
		map_page(&f, 0, RW);
		T_OK(refused(&f, "not in whole pages"));
		/* of 16 bytes each, none next to the other */
		for (i = 0; i < 300; i++)
			T_EQ(iotlb(&f, VHK_IOTLB_UPDATE, RING_IOVA + 16 * i, 16, uva + 32 * i, RW),
			     0);
		T_OK(refused(&f, "more pieces"));
		/* where the device writes */
		map_all(&f);
		for (i = 0; i < 8; i++)
			map_page(&f, i, RO);
		T_OK(refused(&f, "must not be"));
		T_EQ(mapped(), PAGES + GUEST_PAGES);
		/* one page again and again is the driver's own trouble */
		for (i = 0; i < PAGES; i++) {
			place_page(&f, i, 7);
			map_page(&f, i, RW);
		}
		T_EQ(set_up(&f), 0);
		T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
		t_settle(&f.u);
		t_alive(&f.u);
		end(&f);
		T_EQ(mapped(), 0);
	}
}

static bool is_logged(const unsigned char *bits, uint64_t gpa)
{
	return bits[gpa / PAGE / 8] >> (gpa / PAGE % 8) & 1;
}

/* Those pages of the block that the device writes, and no others; of a packed ring's events it
 * may write none. */
static void check_log(struct front *f, const unsigned char *bits, bool all)
{
	const bool packed = f->r.features & VHK_F_RING_PACKED;
	const struct ring_parts p = ring_parts_of(T_QUEUE_SIZE, packed);
	const uint64_t from = packed ? 0 : t_ring_wire_addr(&f->r).used - (uintptr_t)f->block;
	const uint64_t end = packed ? p.desc : from + p.device;
	unsigned int i;
	bool want;

	for (i = 0; i < PAGES; i++) {
		want = (i + 1) * PAGE > from && i * PAGE < end;
		if (packed && i == p.desc / PAGE)
			want = all || is_logged(bits, GUEST_GPA + f->at[i] * PAGE);
		T_EQ(is_logged(bits, GUEST_GPA + f->at[i] * PAGE), want);
	}
}

static void pages_are_logged_where_they_lie(void)
{
	const struct vhk_user_log wire = { (GUEST_GPA >> 15) + 0x1000, 0 };
	unsigned char *bits;
	struct front f;
	unsigned int i;
	int fd;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		begin(&f, layouts[i] | VHK_F_LOG_ALL);
		fd = memfd_create("log", MFD_CLOEXEC);
		T_MUST(fd >= 0 && !ftruncate(fd, (off_t)wire.size));
		bits = mmap(NULL, wire.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		T_MUST(bits != MAP_FAILED);
		T_EQ(t_ask_fds(&f.u, VHK_USER_SET_LOG_BASE, &wire, sizeof(wire), &fd, 1), 0);
		start(&f);
		t_settle(&f.u);
		check_log(&f, bits, true);
		memset(bits, 0, wire.size);
		t_ring_echo(&f.u, &f.r, T_QUEUE_SIZE + 10);
		check_log(&f, bits, false);
		T_OK(is_logged(bits, T_GPA + PAGE));
		munmap(bits, wire.size);
		close(fd);
		end(&f);
	}
}

/* All of it, and from a page in the middle on; the process lives. Where the ring does not meet it
 * while it runs, the next start does. */
static void its_file_is_cut_short(void)
{
	static const unsigned int left[] = { 0, 1, 12, 25 };
	const uint64_t one = 1;
	struct front f;
	unsigned int i, k;

	for (i = 0; i < vhk_array_size(layouts); i++)
		for (k = 0; k < vhk_array_size(left); k++) {
			begin(&f, layouts[i]);
			start(&f);
			t_ring_echo(&f.u, &f.r, 10);
			T_MUST(!ftruncate(f.guest, (off_t)(left[k] * PAGE)));
			T_MUST(write(f.r.kick, &one, 8) == 8);
			/* the available ring is there, and no event is written */
			if (left[k] > f.at[4] && !(layouts[i] & VHK_F_EVENT_IDX)) {
				t_settle(&f.u);
				t_stop_ring(&f.u, 0);
				T_OK(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.r.kick) !=
				     0);
			}
			T_UNTIL(&f.u, f.u.n_down == 1);
			T_MUST(!ftruncate(f.guest, GUEST_PAGES * PAGE));
			end(&f);
			T_EQ(mapped(), 0);
		}
}

/* Before the ring starts: pages are looked at first. */
static void its_file_is_cut_before(void)
{
	struct front f;

	begin(&f, FEATURES);
	map_all(&f);
	T_MUST(!ftruncate(f.guest, 25 * PAGE));
	T_OK(set_up(&f) != 0);
	T_UNTIL(&f.u, f.u.n_down == 1);
	T_MUST(!ftruncate(f.guest, GUEST_PAGES * PAGE));
	end(&f);
	T_EQ(mapped(), 0);
}

static void nothing_is_left_behind(void)
{
	unsigned int i, m = 0;
	struct front f;
	int fds = 0;

	begin(&f, FEATURES);
	for (i = 0; i < 50; i++) {
		start(&f);
		t_ring_echo(&f.u, &f.r, 3);
		if (!i) {
			m = mapped();
			fds = t_count_fds();
		}
		T_EQ(mapped(), m);
		T_EQ(t_count_fds(), fds);
		t_stop_ring(&f.u, 0);
		T_EQ(mapped(), PAGES + GUEST_PAGES);
	}
	end(&f);
}

/* Two regions that follow one another for the guest and the front end, not in their files. */
static void without_an_iommu(void)
{
	static const unsigned int cut[] = { 1, 3, 5 };
	struct vhk_user_mem_table t = { .n = 3 };
	struct vhk_user_vring_addr a;
	struct vhk_region r;
	unsigned int i, k;
	struct front f;
	int fd[3];

	for (i = 0; i < 2 * vhk_array_size(cut); i++) {
		const uint64_t size = cut[i / 2] * PAGE;
		const uint64_t features = i & 1 ? T_PACKED : T_SPLIT;

		memset(&f, 0, sizeof(f));
		t_user_init(&f.u, VHK_LOOP_AUTO);
		make_block(&f);
		for (k = 0; k < PAGES; k++)
			place_page(&f, k, k < cut[i / 2] ? 40 + k : k);
		t_user_open(&f.u);
		t_negotiate(&f.u, features);
		send_channel(&f);
		make_ring(&f, features);
		T_MUST(!vhk_mem_get(f.u.mem, 0, &r, &fd[0]));
		t.region[0] = t_wire_region(&r);
		t.region[1] = (struct vhk_user_region){ RING_IOVA, size, (uintptr_t)f.block,
							40 * PAGE };
		t.region[2] = (struct vhk_user_region){ RING_IOVA + size, PAGES * PAGE - size,
							(uintptr_t)f.block + size, size };
		fd[1] = fd[2] = f.guest;
		T_EQ(t_ask_fds(&f.u, VHK_USER_SET_MEM_TABLE, &t, 8 + 3 * 32, fd, 3), 0);
		a = t_ring_wire_addr(&f.r);
		T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_NUM, 0, T_QUEUE_SIZE), 0);
		T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_BASE, 0, t_ring_base(&f.r)), 0);
		T_EQ(t_ask(&f.u, VHK_USER_SET_VRING_ADDR, &a, sizeof(a)), 0);
		T_EQ(mapped(), 2 * PAGES);
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, f.r.call), 0);
		T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.r.kick), 0);
		T_EQ(t_ask_state(&f.u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
		t_ring_echo(&f.u, &f.r, T_QUEUE_SIZE + 5);
		/* one of them goes */
		struct vhk_user_mem_reg gone = { .region = t.region[2] };

		T_EQ(t_ask(&f.u, VHK_USER_REM_MEM_REG, &gone, sizeof(gone)), 0);
		T_EQ(mapped(), PAGES + cut[i / 2]);
		t_alive(&f.u);
		end(&f);
	}
}

static void *run_loop(void *loop)
{
	return (void *)(intptr_t)vhk_loop_run(loop);
}

/* The ring's loop runs in a thread of its own, while pages and tables come and go. */
static void at_random(void)
{
	struct vhk_loop_opts lo = { .sz = sizeof(lo), .engine = t_engine };
	struct vhk_loop *loop;
	unsigned int i, k, seed = 1, n = 0;
	struct vhk_done done;
	pthread_t thread;
	struct front f;

	memset(&f, 0, sizeof(f));
	t_user_init(&f.u, VHK_LOOP_AUTO);
	T_MUST(!vhk_loop_new(&loop, &lo));
	T_MUST(!vhk_device_set_loops(f.u.echo.dev, &loop, 1));
	T_MUST(!pthread_create(&thread, NULL, run_loop, loop));
	begin_with(&f, FEATURES | (t_engine == VHK_LOOP_EPOLL ? VHK_F_RING_PACKED : 0));
	start(&f);
	for (i = 0; i < 300; i++) {
		seed = seed * 1103515245 + 12345;
		k = (seed >> 20) % 7;
		if (vhk_vq_in_flight(f.r.vq) < 8)
			t_ring_add(&f.u, &f.r);
		switch ((seed >> 16) % 4) {
		case 0:
			T_EQ(iotlb(&f, VHK_IOTLB_INVALIDATE, RING_IOVA + k * PAGE, PAGE, 0, 0), 0);
			hear_misses(&f);
			move_page(&f, k, GUEST_PAGES / 2 + (seed >> 24) % 6 * 7 + k);
			map_page(&f, k, RW);
			break;
		case 1:
			T_EQ(send_table(&f, true), 0);
			break;
		default:
			t_settle(&f.u);
		}
		while (vhk_vq_get(f.r.vq, &done, 1) == 1)
			n++;
	}
	while (vhk_vq_in_flight(f.r.vq) && t_ring_get(&f.u, &f.r))
		n++;
	T_EQ(vhk_vq_in_flight(f.r.vq), 0);
	T_OK(n > 100);
	t_user_hang_up(&f.u);
	T_UNTIL(&f.u, __atomic_load_n(&f.u.n_down, __ATOMIC_ACQUIRE) == 1);
	vhk_loop_stop(loop);
	T_MUST(!pthread_join(thread, NULL));
	end(&f);
	vhk_loop_free(loop);
}

int main(void)
{
	t_handle_bus();
	T_RUN(they_work_and_wrap);
	T_RUN(a_page_is_taken_and_comes_elsewhere);
	T_RUN(other_tables);
	T_RUN(what_cannot_be_served);
	T_RUN(pages_are_logged_where_they_lie);
	T_RUN(its_file_is_cut_short);
	T_RUN(its_file_is_cut_before);
	T_RUN(nothing_is_left_behind);
	T_RUN(without_an_iommu);
	T_RUN_ON_BOTH(at_random);
	return t_end();
}
