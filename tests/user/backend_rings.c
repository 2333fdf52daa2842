// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Rings of a session while they run: started without a kick fd, stopped with requests under way,
 * with fds swapped, with memory that moves, goes away, or comes back.
 */
#include "t_user.h"

static void begin(struct t_user *u, struct t_ring *r, uint64_t features)
{
	t_user_init(u, VHK_LOOP_AUTO);
	t_user_open(u);
	t_negotiate(u, features);
	t_ring_init(u, r, 0, features);
	T_EQ(t_ask_mem_table(u), 0);
}

static void end(struct t_user *u, struct t_ring *r)
{
	t_ring_fini(r);
	t_user_fini(u);
}

static void a_ring_without_a_kick_is_polled(void)
{
	struct t_ring r;
	struct t_user u;
	uint64_t kicks;

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, -1);
	t_ring_echo(&u, &r, 20);
	/* one that gets its fd later sleeps on it */
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	(void)!read(r.kick, &kicks, 8);
	t_ring_echo(&u, &r, 20);
	/* and back */
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, -1), 0);
	t_ring_echo(&u, &r, 20);
	end(&u, &r);
}

/* What was put into the ring before it started is found without a kick. */
static void the_first_look_needs_no_kick(void)
{
	struct t_ring r;
	struct t_user u;
	uint64_t kicks;

	begin(&u, &r, T_SPLIT);
	t_ring_add(&u, &r);
	(void)!read(r.kick, &kicks, 8);
	t_ring_start(&u, &r, r.kick);
	T_OK(t_ring_get(&u, &r));
	end(&u, &r);
}

static void stopping_drains(void)
{
	static const uint64_t features[] = { T_SPLIT, T_PACKED };
	struct vhk_user_vring_state v = { 0, 0 };
	struct t_ring r;
	struct t_user u;
	struct vhk_msg m;
	unsigned int i, k;

	for (k = 0; k < vhk_array_size(features); k++) {
		begin(&u, &r, features[k]);
		t_ring_start(&u, &r, r.kick);
		t_ring_echo(&u, &r, 7);
		u.echo.hold = true;
		for (i = 0; i < 5; i++)
			t_ring_add(&u, &r);
		T_UNTIL(&u, u.echo.n_held == 5);
		t_send(&u, VHK_USER_GET_VRING_BASE, 0, &v, sizeof(v), NULL, 0);
		/* the next request waits for its turn */
		t_send(&u, VHK_USER_GET_FEATURES, 0, NULL, 0, NULL, 0);
		t_settle(&u);
		T_OK(!t_readable(u.fd, 20));
		t_echo_release(&u.echo);
		T_MUST(t_recv(&u, &m));
		T_EQ(m.hdr.request, VHK_USER_GET_VRING_BASE);
		memcpy(&v, m.bytes, sizeof(v));
		/* packed: both positions, both wrap counters still one; 3 slots a request would be
		 * 36 */
		if (features[k] & VHK_F_RING_PACKED)
			T_EQ(v.num & 0x7fff, v.num >> 16 & 0x7fff);
		else
			T_EQ(v.num, 12);
		for (i = 0; i < 5; i++)
			T_OK(t_ring_get(&u, &r));
		T_MUST(t_recv(&u, &m));
		T_EQ(m.u64, T_FEATURES);
		/* goes on from there; the call fd is remembered */
		T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, v.num), 0);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
		t_ring_echo(&u, &r, 100);
		T_OK(t_readable(r.call, 0));
		v.num = 0;
		end(&u, &r);
	}
}

static void stopping_what_does_not_run_tells_the_base(void)
{
	struct t_ring r;
	struct t_user u;

	begin(&u, &r, T_SPLIT);
	T_EQ(t_stop_ring(&u, 0), 0);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, 777), 0);
	T_EQ(t_stop_ring(&u, 0), 777);
	T_EQ(t_stop_ring(&u, 1), 0);
	end(&u, &r);
}

static void hanging_up_while_stopping(void)
{
	struct vhk_user_vring_state v = { 0, 0 };
	struct t_ring r;
	struct t_user u;

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, r.kick);
	u.echo.hold = true;
	t_ring_add(&u, &r);
	T_UNTIL(&u, u.echo.n_held == 1);
	t_send(&u, VHK_USER_GET_VRING_BASE, 0, &v, sizeof(v), NULL, 0);
	t_settle(&u);
	t_user_hang_up(&u);
	t_settle(&u);
	T_EQ(u.n_down, 0);
	/* and nothing spins meanwhile */
	T_EQ(vhk_loop_step(u.loop, 10000000), 0);
	t_echo_release(&u.echo);
	T_UNTIL(&u, u.n_down == 1);
	end(&u, &r);
}

static void calls_go_where_they_were_last_sent(void)
{
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct t_ring r;
	struct t_user u;
	uint64_t n;

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 1);
	T_OK(t_wait_readable(&u, r.call));
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, other), 0);
	/* a call that went to the old one while it was replaced is made up for */
	T_OK(t_wait_readable(&u, other));
	(void)!read(r.call, &n, 8);
	(void)!read(other, &n, 8);
	t_ring_echo(&u, &r, 1);
	T_OK(t_wait_readable(&u, other));
	T_OK(!t_readable(r.call, 0));
	(void)!read(other, &n, 8);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
	t_ring_echo(&u, &r, 1);
	t_settle(&u);
	T_OK(!t_readable(other, 0));
	close(other);
	end(&u, &r);
}

/* Neither a counter at its end nor a full pipe keeps the data thread. */
static void calls_never_wait(void)
{
	int full = eventfd(0, EFD_CLOEXEC), pipe_fd[2], fds;
	const uint64_t most = UINT64_MAX - 1;
	char block[4096] = { 0 };
	struct t_ring r;
	struct t_user u;

	T_MUST(full >= 0 && !pipe2(pipe_fd, O_CLOEXEC | O_NONBLOCK));
	T_MUST(write(full, &most, 8) == 8);
	while (write(pipe_fd[1], block, sizeof(block)) > 0)
		;
	fcntl(pipe_fd[1], F_SETFL, 0);
	begin(&u, &r, T_SPLIT);
	fds = t_count_fds();
	t_ring_set_up(&u, &r, 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, full), 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	t_ring_echo(&u, &r, 5);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, pipe_fd[1]), 0);
	t_ring_echo(&u, &r, 5);
	/* nobody will ever read */
	close(pipe_fd[0]);
	t_ring_echo(&u, &r, 5);
	t_stop_ring(&u, 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
	T_EQ(t_count_fds(), fds - 1);
	close(full);
	close(pipe_fd[1]);
	end(&u, &r);
}

/* One eventfd for kicks, calls and errors: each call is a kick as well, which ends when there is
 * nothing to do. */
static void one_fd_for_all(void)
{
	struct t_ring r;
	struct t_user u;
	int fds;

	begin(&u, &r, T_SPLIT);
	close(r.call);
	r.call = dup(r.kick);
	fds = t_count_fds();
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_ERR, 0, r.kick), 0);
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 100);
	T_UNTIL(&u, !vhk_loop_step(u.loop, 10000000));
	T_EQ(u.echo.n_work, 100);
	t_user_hang_up(&u);
	T_UNTIL(&u, u.n_down == 1);
	T_OK(t_count_fds() < fds);
	end(&u, &r);
}

static void disabled_rings_keep_their_requests(void)
{
	struct t_ring r;
	struct t_user u;

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 3);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 0), 0);
	t_ring_add(&u, &r);
	t_settle(&u);
	T_EQ(u.echo.n_work, 3);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	T_OK(t_ring_get(&u, &r));
	end(&u, &r);
}

/* The same memory again, and other memory, under a ring that works; what was popped before keeps
 * its memory. */
static void memory_is_swapped_under_a_running_ring(void)
{
	struct vhk_user_mem_table t = { 0 };
	struct t_ring r;
	struct t_user u;
	struct vhk_msg m;
	unsigned int i;
	int fd[2];

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, r.kick);
	for (i = 0; i < 20; i++) {
		t_ring_echo(&u, &r, 3);
		T_EQ(t_ask_mem_table(&u), 0);
	}
	u.echo.hold = true;
	t_ring_add(&u, &r);
	T_UNTIL(&u, u.echo.n_held == 1);
	for (t.n = 0; t.n < 2; t.n++) {
		struct vhk_region region;

		T_MUST(!vhk_mem_get(u.mem, t.n, &region, &fd[t.n]));
		t.region[t.n] = t_wire_region(&region);
	}
	t_send(&u, VHK_USER_SET_MEM_TABLE, VHK_MSG_NEED_REPLY, &t, 8 + 2 * 32, fd, 2);
	t_settle(&u);
	/* not answered as long as something points into the old table */
	T_OK(!t_readable(u.fd, 20));
	memset(u.echo.held[0]->seg[1].iov_base, 0x5a, 32);
	t_echo_release(&u.echo);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.u64, 0);
	T_OK(t_ring_get(&u, &r));
	T_EQ(u.buf[4096], 0x5a);
	t_ring_echo(&u, &r, 10);
	end(&u, &r);
}

/* A table without the ring's own memory: the ring stops with an error, the session goes on. */
static void a_ring_that_falls_out_of_the_table(void)
{
	int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vhk_user_mem_reg reg = { 0 };
	struct vhk_region region;
	struct t_ring r;
	struct t_user u;
	int fd;

	begin(&u, &r, T_SPLIT);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_ERR, 0, err), 0);
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 3);
	T_MUST(!vhk_mem_get(u.mem, 1, &region, &fd));
	reg.region = t_wire_region(&region);
	T_EQ(t_ask(&u, VHK_USER_REM_MEM_REG, &reg, sizeof(reg)), 0);
	T_OK(t_wait_readable(&u, err));
	T_UNTIL(&u, strstr(u.log.last, "queue 0 stopped"));
	T_OK(t_get_u64(&u, VHK_USER_GET_STATUS) & 64);
	t_ring_add(&u, &r);
	t_settle(&u);
	T_EQ(u.echo.n_work, 3);
	T_EQ(u.n_down, 0);
	/* stopped, given its memory back and started where it was, it works */
	T_EQ(t_stop_ring(&u, 0), 3);
	T_OK(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick) != 0);
	T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	T_OK(t_ring_get(&u, &r));
	close(err);
	end(&u, &r);
}

/* A broken ring is told by its err fd; the other rings of the session go on. */
static void a_broken_ring_is_told(void)
{
	int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct vhk_user_vring_addr addr;
	struct t_ring r, other;
	struct t_user u;
	const uint64_t one = 1;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &r, 0, T_SPLIT);
	t_ring_init(&u, &other, 1, T_SPLIT);
	T_EQ(t_ask_mem_table(&u), 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_ERR, 0, err), 0);
	t_ring_start(&u, &r, r.kick);
	t_ring_start(&u, &other, other.kick);
	t_ring_echo(&u, &r, 3);
	addr = t_ring_wire_addr(&r);
	/* the available index jumps by more than the ring holds */
	__atomic_store_n((uint16_t *)(uintptr_t)(addr.avail + 2), htole16(1000), __ATOMIC_RELEASE);
	T_MUST(write(r.kick, &one, 8) == 8);
	T_OK(t_wait_readable(&u, err));
	T_UNTIL(&u, strstr(u.log.last, "queue 0 stopped"));
	t_ring_echo(&u, &other, 10);
	/* nor is it looked at again and again */
	T_UNTIL(&u, !vhk_loop_step(u.loop, 10000000));
	t_stop_ring(&u, 0);
	t_alive(&u);
	close(err);
	t_ring_fini(&other);
	end(&u, &r);
}

/* Any 16-bit position, over its end. */
static void positions_wrap(void)
{
	struct t_ring r;
	struct t_user u;
	unsigned int i;

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, r.kick);
	for (i = 0; i < 4; i++) {
		uint32_t base;

		t_ring_echo(&u, &r, 16500);
		base = t_stop_ring(&u, 0);
		T_EQ(base, (i + 1) * 16500 & 0xffff);
		T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, base), 0);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	}
	end(&u, &r);
}

/* DPDK's front end says nothing of the used position: first start, and one in the next lap. */
static void half_a_packed_position(void)
{
	struct t_ring r;
	struct t_user u;
	uint32_t base = 0x8000;
	unsigned int n;

	begin(&u, &r, T_PACKED);
	for (n = 0; n < 4; n++) {
		t_ring_set_up(&u, &r, base & 0xffff);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
		T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
		t_ring_echo(&u, &r, 25);
		base = t_stop_ring(&u, 0);
		T_EQ(base >> 16, base & 0xffff);
	}
	end(&u, &r);
}

/* DPDK's front end begins a split ring at 0 with each back end, whatever it holds. */
static void a_split_position_that_was_lost(void)
{
	static const uint32_t base[] = { 0, 30000, 65535, 0 };
	struct t_ring r;
	struct t_user u;
	size_t i;

	begin(&u, &r, T_SPLIT);
	t_ring_start(&u, &r, r.kick);
	for (i = 0; i < sizeof(base) / sizeof(base[0]); i++) {
		t_ring_echo(&u, &r, 100);
		T_EQ(t_stop_ring(&u, 0), 100 * (i + 1));
		t_ring_set_up(&u, &r, base[i]);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	}
	t_ring_echo(&u, &r, 100);
	end(&u, &r);
}

int main(void)
{
	T_RUN_ON_BOTH(a_ring_without_a_kick_is_polled);
	T_RUN_ON_BOTH(the_first_look_needs_no_kick);
	T_RUN_ON_BOTH(stopping_drains);
	T_RUN_ON_BOTH(stopping_what_does_not_run_tells_the_base);
	T_RUN_ON_BOTH(hanging_up_while_stopping);
	T_RUN_ON_BOTH(calls_go_where_they_were_last_sent);
	T_RUN_ON_BOTH(calls_never_wait);
	T_RUN_ON_BOTH(one_fd_for_all);
	T_RUN_ON_BOTH(disabled_rings_keep_their_requests);
	T_RUN_ON_BOTH(memory_is_swapped_under_a_running_ring);
	T_RUN_ON_BOTH(a_ring_that_falls_out_of_the_table);
	T_RUN_ON_BOTH(a_broken_ring_is_told);
	T_RUN_ON_BOTH(positions_wrap);
	T_RUN_ON_BOTH(half_a_packed_position);
	T_RUN_ON_BOTH(a_split_position_that_was_lost);
	return t_end();
}
