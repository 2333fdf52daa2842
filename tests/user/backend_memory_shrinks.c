// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A front end that cuts the file of its memory short while a ring works in it ends its own session.
 * The process lives, as do the other sessions, given a SIGBUS handler that asks the library (which
 * installs none itself).
 */
#include "ring.h"
#include "t_bus.h"
#include "t_user.h"

/* Memory that the front end can cut: a ring that lies in it at the given place. */
struct shaky {
	int fd;
	unsigned char *va;
	struct t_ring ring;
};

#define SIZE 0x10000

static void make_ring(struct t_user *u, struct shaky *k, bool used_first)
{
	struct vhk_user_vring_addr addr = { 0 };
	struct vhk_user_mem_table t = { .n = 1, .region = { { T_GPA, SIZE, 1ull << 40, 0 } } };

	k->fd = memfd_create("shaky", MFD_CLOEXEC);
	T_MUST(k->fd >= 0 && !ftruncate(k->fd, SIZE));
	k->va = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, k->fd, 0);
	T_MUST(k->va != MAP_FAILED);
	k->ring.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_EQ(t_ask_fds(u, VHK_USER_SET_MEM_TABLE, &t, 40, &k->fd, 1), 0);
	addr.desc = t.region[0].uva;
	addr.avail = addr.desc + (used_first ? 0x2000 : 0x1000);
	addr.used = addr.desc + (used_first ? 0x1000 : 0x2000);
	T_EQ(t_ask_state(u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
	T_EQ(t_ask(u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
}

static void shaky_fini(struct shaky *k)
{
	munmap(k->va, SIZE);
	close(k->fd);
	close(k->ring.kick);
}

static void cut_running_ring(uint64_t features, bool used_first)
{
	struct t_user u, other;
	struct t_ring r;
	struct shaky k;
	const uint64_t one = 1;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_user_init(&other, VHK_LOOP_AUTO);
	t_user_open(&other);
	t_negotiate(&other, T_SPLIT);
	t_ring_init(&other, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&other), 0);
	t_ring_start(&other, &r, r.kick);
	t_negotiate(&u, features);
	make_ring(&u, &k, used_first);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, k.ring.kick), 0);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	t_settle(&u);
	T_MUST(!ftruncate(k.fd, 0));
	T_MUST(write(k.ring.kick, &one, 8) == 8);
	T_UNTIL(&u, u.n_down == 1);
	T_OK(t_closed(&u, u.fd));
	t_ring_echo(&other, &r, 3);
	t_alive(&other);
	shaky_fini(&k);
	t_ring_fini(&r);
	t_user_fini(&other);
	t_user_fini(&u);
}

static void cut_while_running(void)
{
	const uint64_t plain = T_SPLIT & ~(uint64_t)VHK_F_EVENT_IDX;
	unsigned int i;

	/* What is touched first decides how much of the rest reads as zeros without a fault. */
	for (i = 0; i < 4; i++)
		cut_running_ring(i & 1 ? plain : T_SPLIT, i & 2);
}

static void cut_now(void *arg)
{
	T_MUST(!ftruncate(((struct shaky *)arg)->fd, 0));
}

/* Cut after a look at a ring that has nothing, and before the next: the zeros that it then finds
 * look like a driver that has nothing either, and no kick comes any more. */
static void cut_between_two_looks(void)
{
	const uint64_t one = 1;
	struct t_user u;
	struct shaky k;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		t_user_init(&u, VHK_LOOP_AUTO);
		t_user_open(&u);
		t_negotiate(&u, T_SPLIT);
		make_ring(&u, &k, i & 1);
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, k.ring.kick), 0);
		T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
		t_settle(&u);
		T_MUST(vhk_loop_add_timer(u.loop, 1, cut_now, &k) > 0);
		T_MUST(write(k.ring.kick, &one, 8) == 8);
		T_UNTIL(&u, u.n_down == 1);
		shaky_fini(&k);
		t_user_fini(&u);
	}
}

/* The start of a ring reads positions from its memory. */
static void cut_before_the_start(void)
{
	struct t_user u;
	struct shaky k;
	uint64_t answer;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	make_ring(&u, &k, false);
	T_MUST(!ftruncate(k.fd, 0));
	answer = t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, k.ring.kick);
	T_OK(answer != 0);
	T_UNTIL(&u, u.n_down == 1);
	shaky_fini(&k);
	t_user_fini(&u);
}

/* An inflight region of the front end's own making, which nothing keeps from shrinking. */
static void cut_inflight_region(void)
{
	static const uint64_t features[] = { T_SPLIT, T_PACKED };
	struct vhk_user_inflight in = { .num_queues = 1, .queue_size = 64 };
	struct t_ring r;
	struct t_user u;
	unsigned int i;
	int fd;

	for (i = 0; i < vhk_array_size(features); i++) {
		t_user_init(&u, VHK_LOOP_AUTO);
		t_user_open(&u);
		t_negotiate(&u, features[i]);
		t_ring_init(&u, &r, 0, features[i]);
		T_EQ(t_ask_mem_table(&u), 0);
		fd = memfd_create("loose", MFD_CLOEXEC);
		in.mmap_size = vhk_inflight_size(64, features[i] & VHK_F_RING_PACKED);
		T_MUST(fd >= 0 && !ftruncate(fd, (off_t)in.mmap_size));
		T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1), 0);
		t_ring_start(&u, &r, r.kick);
		t_ring_echo(&u, &r, 3);
		T_MUST(!ftruncate(fd, 0));
		t_ring_add(&u, &r);
		T_UNTIL(&u, u.n_down == 1);
		T_OK(t_closed(&u, u.fd));
		close(fd);
		t_ring_fini(&r);
		t_user_fini(&u);
	}
}

int main(void)
{
	t_handle_bus();
	T_RUN_ON_BOTH(cut_while_running);
	T_RUN_ON_BOTH(cut_between_two_looks);
	T_RUN_ON_BOTH(cut_inflight_region);
	T_RUN_ON_BOTH(cut_before_the_start);
	return t_end();
}
