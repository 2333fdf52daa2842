// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end behind an IOMMU: what rings and descriptors hold are IOVAs, which mean nothing before
 * the front end translates them. Misses, refusals, permissions; translations that are taken away
 * from requests under way and from rings; and all of it at random.
 */
#include <pthread.h>

#include "t_iotlb.h"

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
	T_RUN(a_used_ring_is_logged_where_it_lies);
	T_RUN_ON_BOTH(at_random);
	return t_end();
}
