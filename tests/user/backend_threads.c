// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Queues on loops of their own threads, the control loop in a third: everything that may change
 * under a running ring changes, at random, while requests run; rings stop and start, sessions end
 * in the middle. For the thread sanitizer.
 */
#include <pthread.h>

#include "t_user.h"

struct runner {
	struct vhk_loop *loop;
	pthread_t thread;
};

static void *run_loop(void *arg)
{
	struct runner *r = arg;

	return (void *)(intptr_t)vhk_loop_run(r->loop);
}

static void runner_start(struct runner *r)
{
	T_MUST(!pthread_create(&r->thread, NULL, run_loop, r));
}

static void runner_stop(struct runner *r)
{
	void *ret;

	vhk_loop_stop(r->loop);
	T_MUST(!pthread_join(r->thread, &ret));
	T_EQ((intptr_t)ret, 0);
}

static struct vhk_loop *new_loop(enum vhk_loop_engine engine)
{
	struct vhk_loop_opts o = { .sz = sizeof(o), .engine = engine };
	struct vhk_loop *l;

	T_MUST(!vhk_loop_new(&l, &o));
	return l;
}

/* The driver's half of a ring, in a thread of its own. */
struct load {
	pthread_t thread;
	struct t_ring *ring;
	unsigned char *buf;
	bool stop;
	unsigned long n_done;
};

static void load_kick(const struct load *l)
{
	const uint64_t one = 1;

	T_MUST(write(l->ring->kick, &one, sizeof(one)) == sizeof(one));
}

static void *run_load(void *arg)
{
	struct load *l = arg;
	struct vhk_done done[16];
	struct iovec seg[2] = { { l->buf, 16 }, { l->buf + 4096, 32 } };
	int n;

	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		while (vhk_vq_in_flight(l->ring->vq) < 8 && !vhk_vq_add(l->ring->vq, seg, 1, 1, l))
			;
		if (vhk_vq_publish(l->ring->vq))
			load_kick(l);
		n = vhk_vq_get(l->ring->vq, done, 16);
		T_MUST(n >= 0);
		__atomic_add_fetch(&l->n_done, (unsigned long)n, __ATOMIC_RELAXED);
		if (!n && !vhk_vq_arm(l->ring->vq))
			poll(&(struct pollfd){ .fd = l->ring->call, .events = POLLIN }, 1, 1);
	}
	return NULL;
}

static unsigned int seed;

static unsigned int dice(unsigned int n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void restart_ring(struct t_user *u, struct t_ring *r)
{
	uint32_t base = t_stop_ring(u, r->idx);

	T_EQ(t_ask_state(u, VHK_USER_SET_VRING_BASE, r->idx, base), 0);
	T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_KICK, r->idx, r->kick), 0);
}

static void swap_region(struct t_user *u)
{
	struct vhk_user_mem_reg reg = { 0 };
	int fd = memfd_create("extra", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, 4096));
	reg.region = (struct vhk_user_region){ 1ull << 40, 4096, 1ull << 41, 0 };
	T_EQ(t_ask_fds(u, VHK_USER_ADD_MEM_REG, &reg, sizeof(reg), &fd, 1), 0);
	T_EQ(t_ask(u, VHK_USER_REM_MEM_REG, &reg, sizeof(reg)), 0);
	close(fd);
}

static void change_something(struct t_user *u, struct t_ring *r)
{
	switch (dice(7)) {
	case 0: T_EQ(t_ask_mem_table(u), 0); break;
	case 1: swap_region(u); break;
	case 2: T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_CALL, r->idx, r->call), 0); break;
	case 3: T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_KICK, r->idx, r->kick), 0); break;
	case 4: T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_ERR, r->idx, r->call), 0); break;
	case 5:
		T_EQ(t_ask_state(u, VHK_USER_SET_VRING_ENABLE, r->idx, 0), 0);
		T_EQ(t_ask_state(u, VHK_USER_SET_VRING_ENABLE, r->idx, 1), 0);
		break;
	case 6: restart_ring(u, r); break;
	}
}

static void change_under_load(enum vhk_loop_engine engine, uint64_t features)
{
	struct runner data[T_QUEUES], ctl;
	struct vhk_loop *loops[T_QUEUES];
	struct load load[T_QUEUES];
	struct t_ring ring[T_QUEUES];
	struct t_user u;
	unsigned int i;

	t_user_init(&u, engine);
	ctl.loop = u.loop;
	for (i = 0; i < T_QUEUES; i++)
		loops[i] = data[i].loop = new_loop(engine);
	T_MUST(!vhk_device_set_loops(u.echo.dev, loops, T_QUEUES));
	t_user_open(&u);
	u.loop = NULL;
	runner_start(&ctl);
	for (i = 0; i < T_QUEUES; i++)
		runner_start(&data[i]);
	t_negotiate(&u, features);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_init(&u, &ring[i], i, features);
	T_EQ(t_ask_mem_table(&u), 0);
	for (i = 0; i < T_QUEUES; i++) {
		t_ring_start(&u, &ring[i], ring[i].kick);
		load[i] = (struct load){ .ring = &ring[i], .buf = u.buf };
		T_MUST(!pthread_create(&load[i].thread, NULL, run_load, &load[i]));
	}
	for (i = 0; i < 300; i++)
		change_something(&u, &ring[dice(T_QUEUES)]);
	for (i = 0; i < T_QUEUES; i++) {
		unsigned long before = __atomic_load_n(&load[i].n_done, __ATOMIC_RELAXED);

		T_UNTIL(&u, __atomic_load_n(&load[i].n_done, __ATOMIC_RELAXED) > before + 100);
	}
	/* ends under load */
	t_user_hang_up(&u);
	T_UNTIL(&u, __atomic_load_n(&u.n_down, __ATOMIC_ACQUIRE) == 1);
	for (i = 0; i < T_QUEUES; i++) {
		__atomic_store_n(&load[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(load[i].thread, NULL);
	}
	runner_stop(&ctl);
	u.loop = ctl.loop;
	vhk_backend_close(u.be);
	u.be = NULL;
	for (i = 0; i < T_QUEUES; i++) {
		runner_stop(&data[i]);
		t_ring_fini(&ring[i]);
	}
	t_user_fini(&u);
	for (i = 0; i < T_QUEUES; i++)
		vhk_loop_free(loops[i]);
}

static void changes_under_load(void)
{
	static const struct {
		enum vhk_loop_engine engine;
		uint64_t features;
	} cases[] = {
		{ VHK_LOOP_IO_URING, T_SPLIT },
		{ VHK_LOOP_IO_URING, T_PACKED | VHK_F_EVENT_IDX },
		{ VHK_LOOP_EPOLL, T_SPLIT | VHK_F_EVENT_IDX },
		{ VHK_LOOP_EPOLL, T_PACKED },
	};
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++)
		change_under_load(cases[i].engine, cases[i].features);
}

int main(void)
{
	T_RUN(changes_under_load);
	return t_end();
}
