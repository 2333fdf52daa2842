// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end that does all right: it finds what is offered, and its requests are answered on split
 * and packed rings, on both engines, in the orders that front ends use.
 */
#include "t_user.h"

static const enum vhk_loop_engine engines[] = { VHK_LOOP_IO_URING, VHK_LOOP_EPOLL };

static void offers_what_it_serves(void)
{
	const uint64_t want = VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(BACKEND_REQ) |
			      VHK_USER_PF(CONFIG) | VHK_USER_PF(INFLIGHT_SHMFD) |
			      VHK_USER_PF(RESET_DEVICE) | VHK_USER_PF(CONFIGURE_MEM_SLOTS) |
			      VHK_USER_PF(STATUS) | VHK_USER_PF(GPA_ADDRESSES) |
			      VHK_USER_PF(INBAND_NOTIFICATIONS) |
			      VHK_USER_PF(LOG_SHMFD) | VHK_USER_PF(GET_VRING_BASE_INFLIGHT) |
			      VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN);
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	T_EQ(t_get_u64(&u, VHK_USER_GET_FEATURES), T_FEATURES);
	T_EQ(t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES), want);
	T_EQ(u.n_up, 1);
	t_user_fini(&u);
	T_EQ(u.n_down, 1);
}

/* Acks leave only where they were asked for and negotiated. */
static void answers_as_negotiated(void)
{
	uint64_t all, features = T_SPLIT;
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_send(&u, VHK_USER_SET_FEATURES, VHK_MSG_NEED_REPLY, &features, 8, NULL, 0);
	all = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES);
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &all, 8, NULL, 0);
	t_send(&u, VHK_USER_SET_FEATURES, 0, &features, 8, NULL, 0);
	T_EQ(t_ask(&u, VHK_USER_SET_OWNER, NULL, 0), 0);
	T_EQ(t_get_u64(&u, VHK_USER_GET_QUEUE_NUM), T_QUEUES);
	T_EQ(t_get_u64(&u, VHK_USER_GET_MAX_MEM_SLOTS), 509);
	T_EQ(u.echo.features, VHK_F_VERSION_1);
	t_user_fini(&u);
}

static void run_requests(enum vhk_loop_engine engine, uint64_t features)
{
	struct t_ring r[T_QUEUES];
	struct t_user u;
	unsigned int i;
	uint64_t calls;

	t_user_init(&u, engine);
	t_user_open(&u);
	t_negotiate(&u, features);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_init(&u, &r[i], i, features);
	T_EQ(t_ask_mem_table(&u), 0);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_start(&u, &r[i], r[i].kick);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_echo(&u, &r[i], 200);
	T_EQ(u.echo.n_work, 200 * T_QUEUES);
	for (i = 0; i < T_QUEUES; i++) {
		T_OK(t_wait_readable(&u, r[i].call));
		T_EQ(read(r[i].call, &calls, 8), 8);
		t_stop_ring(&u, i);
	}
	t_alive(&u);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_fini(&r[i]);
	t_user_fini(&u);
}

static void answers_requests(void)
{
	static const uint64_t features[] = {
		T_SPLIT,	 T_SPLIT | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
		T_PACKED,	 T_PACKED | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC,
		VHK_F_VERSION_1,
	};
	unsigned int i, k;

	for (i = 0; i < vhk_array_size(engines); i++)
		for (k = 0; k < vhk_array_size(features); k++)
			run_requests(engines[i], features[k]);
}

/* Without bit 30 a ring is enabled from the start; with it, not before it is said. */
static void enables_rings_as_negotiated(void)
{
	static const struct {
		uint64_t features;
		bool enabled;
	} cases[] = { { VHK_F_VERSION_1, true }, { T_SPLIT, false } };
	struct t_ring r;
	struct t_user u;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		t_user_init(&u, VHK_LOOP_AUTO);
		t_user_open(&u);
		t_negotiate(&u, cases[i].features);
		t_ring_init(&u, &r, 0, cases[i].features);
		T_EQ(t_ask_mem_table(&u), 0);
		t_ring_set_up(&u, &r, 0);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
		t_ring_add(&u, &r);
		t_settle(&u);
		t_alive(&u);
		T_EQ(u.echo.n_work, cases[i].enabled);
		if (!cases[i].enabled)
			T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
		T_OK(t_ring_get(&u, &r));
		t_ring_fini(&r);
		t_user_fini(&u);
	}
}

/* One by one, before and after the rings run, as front ends with CONFIGURE_MEM_SLOTS do. */
static void takes_memory_by_slots(void)
{
	struct vhk_user_mem_reg reg = { 0 };
	struct vhk_region region;
	struct t_ring r;
	struct t_user u;
	unsigned int i;
	int fd;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &r, 0, T_SPLIT);
	for (i = 0; i < vhk_mem_count(u.mem); i++) {
		T_MUST(!vhk_mem_get(u.mem, i, &region, &fd));
		if (region.gpa.v == T_GPA)
			continue;
		reg.region = t_wire_region(&region);
		T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	}
	t_ring_start(&u, &r, r.kick);
	T_MUST(!vhk_mem_get(u.mem, 0, &region, &fd));
	T_EQ(region.gpa.v, T_GPA);
	reg.region = t_wire_region(&region);
	T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	t_ring_echo(&u, &r, 10);
	/* an fd is not asked for, but may come */
	T_EQ(t_ask_fds(&u, VHK_USER_REM_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	t_ring_echo(&u, &r, 10);
	T_EQ(t_ask(&u, VHK_USER_REM_MEM_REG, &reg, sizeof(reg)), 0);
	T_OK(t_ask(&u, VHK_USER_REM_MEM_REG, &reg, sizeof(reg)) != 0);
	t_ring_fini(&r);
	t_user_fini(&u);
}

static void keeps_status(void)
{
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	T_EQ(t_get_u64(&u, VHK_USER_GET_STATUS), 0);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_STATUS, 1 | 2 | 8), 0);
	T_EQ(t_get_u64(&u, VHK_USER_GET_STATUS), 1 | 2 | 8);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_STATUS, 0), 0);
	T_EQ(t_get_u64(&u, VHK_USER_GET_STATUS), 0);
	t_user_fini(&u);
}

/* Rings stop and forget where they were; what was negotiated stays. */
static void resets_the_device(void)
{
	struct t_ring r, again;
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &r, 0, T_SPLIT);
	t_ring_init(&u, &again, 1, T_SPLIT);
	again.idx = 0;
	T_EQ(t_ask_mem_table(&u), 0);
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 5);
	T_EQ(t_ask(&u, VHK_USER_RESET_DEVICE, NULL, 0), 0);
	T_EQ(u.echo.n_reset, 1);
	T_EQ(t_stop_ring(&u, 0), 0);
	T_OK(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick) != 0);
	t_ring_start(&u, &again, again.kick);
	t_ring_echo(&u, &again, 5);
	t_ring_fini(&r);
	t_ring_fini(&again);
	t_user_fini(&u);
}

/* As QEMU does when a virtual machine pauses and goes on: status 0 comes before the question for
 * the position. */
static void pauses_by_status(uint64_t features)
{
	struct vhk_user_inflight in = { .num_queues = T_QUEUES, .queue_size = 64 };
	struct t_ring r[T_QUEUES];
	struct t_user u;
	struct vhk_msg m;
	unsigned int i, k;
	uint32_t base;
	int fd;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, features);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_init(&u, &r[i], i, features);
	T_EQ(t_ask_mem_table(&u), 0);
	T_MUST(t_get(&u, VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &m));
	memcpy(&in, m.bytes, sizeof(in));
	fd = vhk_msg_take_fd(&m, 0);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_start(&u, &r[i], r[i].kick);
	for (k = 0; k < 3; k++) {
		for (i = 0; i < T_QUEUES; i++)
			t_ring_echo(&u, &r[i], 77 + i);
		T_EQ(t_ask_u64(&u, VHK_USER_SET_STATUS, 0), 0);
		T_EQ(t_get_u64(&u, VHK_USER_GET_STATUS), 0);
		T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, features), 0);
		T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
		for (i = 0; i < T_QUEUES; i++) {
			base = t_stop_ring(&u, i);
			if (!(features & VHK_F_RING_PACKED))
				T_EQ(base, (77 + i) * (k + 1));
			t_ring_set_up(&u, &r[i], base);
			T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, i, r[i].kick), 0);
			T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, i, 1), 0);
		}
		T_EQ(t_ask_u64(&u, VHK_USER_SET_STATUS, 15), 0);
	}
	T_EQ(u.echo.n_reset, 0);
	close(fd);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_fini(&r[i]);
	t_user_fini(&u);
}

static void goes_on_after_a_pause(void)
{
	pauses_by_status(T_SPLIT);
	pauses_by_status(T_PACKED);
}

/* RESET_OWNER disables, and nothing more. */
static void reset_owner_disables_rings(void)
{
	struct t_ring r;
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	t_ring_init(&u, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&u), 0);
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 5);
	T_EQ(t_ask(&u, VHK_USER_RESET_OWNER, NULL, 0), 0);
	t_ring_add(&u, &r);
	t_settle(&u);
	T_EQ(u.echo.n_work, 5);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	T_OK(t_ring_get(&u, &r));
	t_ring_fini(&r);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN(offers_what_it_serves);
	T_RUN(answers_as_negotiated);
	T_RUN(answers_requests);
	T_RUN(enables_rings_as_negotiated);
	T_RUN(takes_memory_by_slots);
	T_RUN(keeps_status);
	T_RUN(resets_the_device);
	T_RUN(goes_on_after_a_pause);
	T_RUN(reset_owner_disables_rings);
	return t_end();
}
