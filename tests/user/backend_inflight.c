// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Inflight regions over the wire: made, given back, refused, and what they are for: a request that
 * was under way when a session ended is handed out again in the next.
 */
#include "ring.h"
#include "t_user.h"

static void begin(struct t_user *u, struct t_ring *r, uint64_t features)
{
	t_negotiate(u, features);
	if (!r->vq)
		t_ring_init(u, r, 0, features);
	T_EQ(t_ask_mem_table(u), 0);
}

static struct vhk_user_inflight get_region(struct t_user *u, uint32_t size, int *fd)
{
	struct vhk_user_inflight in = { .num_queues = T_QUEUES, .queue_size = 64 };
	struct vhk_msg m;

	T_MUST(t_get(u, VHK_USER_GET_INFLIGHT_FD, &in, size, &m));
	T_EQ(m.hdr.size, sizeof(in));
	T_MUST(m.n_fds == 1);
	*fd = vhk_msg_take_fd(&m, 0);
	memcpy(&in, m.bytes, sizeof(in));
	return in;
}

static void makes_regions(void)
{
	static const struct {
		uint64_t features;
		uint64_t header, entry;
	} cases[] = { { T_SPLIT, 16, 16 }, { T_PACKED, 32, 32 } };
	struct vhk_user_inflight in;
	struct stat st;
	struct t_ring r;
	struct t_user u;
	unsigned int i;
	int fd;

	for (i = 0; i < vhk_array_size(cases); i++) {
		/* room for the largest ring that the device allows, whatever was asked */
		uint64_t queue = vhk_align_up(cases[i].header + T_QUEUE_SIZE * cases[i].entry, 64);

		memset(&r, 0, sizeof(r));
		t_user_init(&u, VHK_LOOP_AUTO);
		t_user_open(&u);
		begin(&u, &r, cases[i].features);
		in = get_region(&u, i ? 20 : 24, &fd);
		T_EQ(in.mmap_size, T_QUEUES * queue);
		T_EQ(in.mmap_offset, 0);
		T_EQ(in.num_queues, T_QUEUES);
		T_EQ(in.queue_size, 64);
		T_OK(!fstat(fd, &st) && (uint64_t)st.st_size >= in.mmap_size);
		T_OK(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK);
		T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, i ? 20 : 24, &fd, 1), 0);
		t_ring_start(&u, &r, r.kick);
		t_ring_echo(&u, &r, 200);
		t_stop_ring(&u, 0);
		close(fd);
		t_ring_fini(&r);
		t_user_fini(&u);
	}
}

static void refuses_regions(void)
{
	struct vhk_user_inflight in, want;
	struct t_ring r = { 0 };
	struct t_user u;
	struct vhk_msg m;
	unsigned int i;
	int fd, fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	begin(&u, &r, T_SPLIT);
	in = get_region(&u, 24, &fd);
	fds = t_count_fds();
	for (i = 0; i < 9; i++) {
		want = in;
		switch (i) {
		case 0: want.num_queues = 0; break;
		case 1: want.num_queues = T_QUEUES + 1; break;
		case 2: want.queue_size = 0; break;
		case 3: want.queue_size = 2 * T_QUEUE_SIZE; break;
		case 4: want.mmap_size = 0; break;
		case 5: want.mmap_size = T_QUEUES * vhk_inflight_size(64, false) - 64; break;
		case 6: want.mmap_offset = 1 << 20; break;
		case 7: want.mmap_offset = UINT64_MAX - 100; break;
		case 8: want.mmap_size = 1ull << 62; break;
		}
		T_OK(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &want, sizeof(want), &fd, 1) != 0);
		if (i > 3)
			continue;
		T_MUST(t_get(&u, VHK_USER_GET_INFLIGHT_FD, &want, sizeof(want), &m));
		T_EQ(m.hdr.size, 0);
		T_EQ(m.n_fds, 0);
	}
	T_EQ(t_count_fds(), fds);
	t_alive(&u);
	close(fd);
	t_ring_fini(&r);
	t_user_fini(&u);
}

/* As with QEMU's 128 entries, of which firmware makes 256: it is served, and the region of the
 * smaller ring stays untouched. */
static void a_ring_larger_than_its_region_is_served(void)
{
	unsigned char before[4096], after[4096];
	struct vhk_user_inflight in;
	struct t_ring r = { 0 };
	struct t_user u;
	int fd;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	begin(&u, &r, T_SPLIT);
	in = get_region(&u, 24, &fd);
	/* as a back end makes it that holds to what was asked */
	in.queue_size = 32;
	in.mmap_size = T_QUEUES * vhk_inflight_size(32, false);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
	T_EQ(pread(fd, before, sizeof(before), 0), sizeof(before));
	t_ring_start(&u, &r, r.kick);
	t_ring_echo(&u, &r, 100);
	T_EQ(pread(fd, after, sizeof(after), 0), sizeof(after));
	T_OK(!memcmp(before, after, sizeof(after)));
	t_stop_ring(&u, 0);
	in.mmap_size = T_QUEUES * vhk_inflight_size(T_QUEUE_SIZE, false);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
	t_ring_set_up(&u, &r, t_ring_base(&r));
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	t_ring_echo(&u, &r, 5);
	/* not while a ring writes into it */
	T_OK(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1) != 0);
	t_ring_echo(&u, &r, 5);
	close(fd);
	t_ring_fini(&r);
	t_user_fini(&u);
}

/* The region as it was while requests were under way goes to another back end, as if the first had
 * died there. */
static void requests_under_way_are_handed_out_again(void)
{
	static const uint64_t features[] = { T_SPLIT, T_PACKED };
	struct vhk_user_inflight in;
	struct t_ring r;
	struct t_user a, b;
	unsigned int i, k;
	int fd;

	for (k = 0; k < vhk_array_size(features); k++) {
		memset(&r, 0, sizeof(r));
		t_user_init(&a, VHK_LOOP_AUTO);
		t_user_open(&a);
		begin(&a, &r, features[k]);
		in = get_region(&a, 24, &fd);
		/* rings of 64 find room in a region that was asked for 16 */
		in.queue_size = 16;
		T_EQ(t_ask_fds(&a, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
		t_ring_start(&a, &r, r.kick);
		t_ring_echo(&a, &r, 3);
		a.echo.hold = true;
		for (i = 0; i < 4; i++)
			t_ring_add(&a, &r);
		T_UNTIL(&a, a.echo.n_held == 4);

		/* the first stands still from here on */
		t_user_init(&b, VHK_LOOP_AUTO);
		vhk_mem_free(b.mem);
		b.mem = a.mem;
		b.buf = a.buf;
		t_user_open(&b);
		begin(&b, &r, features[k]);
		T_EQ(t_ask_fds(&b, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
		/* a base that is out of date, as after a crash: the region knows better */
		t_ring_set_up(&b, &r, t_ring_base(&r));
		T_EQ(t_ask_vring_fd(&b, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
		T_EQ(t_ask_state(&b, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
		for (i = 0; i < 4; i++)
			T_OK(t_ring_get(&b, &r));
		T_EQ(b.echo.n_work, 4);
		t_ring_echo(&b, &r, 100);
		t_stop_ring(&b, 0);
		b.mem = NULL;
		t_user_fini(&b);
		t_echo_release(&a.echo);
		close(fd);
		t_user_hang_up(&a);
		T_UNTIL(&a, a.n_down == 1);
		t_ring_fini(&r);
		t_user_fini(&a);
	}
}

int main(void)
{
	T_RUN_ON_BOTH(makes_regions);
	T_RUN_ON_BOTH(refuses_regions);
	T_RUN_ON_BOTH(a_ring_larger_than_its_region_is_served);
	T_RUN_ON_BOTH(requests_under_way_are_handed_out_again);
	return t_end();
}
