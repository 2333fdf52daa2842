// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One ring is reset while another one works (virtio 1.3, 2.6.1): stopped, its tokens given back,
 * begun anew, also with another size. A region that tells what is in flight is there all the time,
 * and tells of the new ring only.
 */
#include <vhostkit/vq.h>

#include "t_both.h"

#define QUEUES 2
#define SIZE 64
#define F_COMMON (VHK_F_VERSION_1 | VHK_F_RING_RESET)

/* The device: answers all, but for queue 0 while it is to hold; in one thread. */
static struct vhk_chain *held[SIZE];
static struct vhk_queue *holder;
static unsigned int n_held;
static int hold, n_holding;

static void work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	unsigned int i;

	(void)priv;
	for (i = 0; i < n; i++) {
		if (vhk_queue_index(q) || !__atomic_load_n(&hold, __ATOMIC_RELAXED)) {
			vhk_queue_done(q, c[i], 0);
			continue;
		}
		holder = q;
		held[n_held++] = c[i];
		__atomic_store_n(&n_holding, n_held, __ATOMIC_RELEASE);
	}
}

static void let_go(void *arg)
{
	(void)arg;
	while (n_held)
		vhk_queue_done(holder, held[--n_held], 0);
}

static struct fixture {
	struct vhk_device *dev;
	struct t_both b;
	struct vhk_mem *mem;
	char *buf;
	struct vhk_vq *vq[QUEUES];
	uint64_t features;
} f;

static void make_queue(unsigned int i, uint16_t size, uint64_t gpa)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = size, .features = f.features };

	o.gpa.v = gpa;
	T_MUST(!vhk_vq_new(&f.vq[i], f.mem, &o));
}

static void open_all(uint64_t features)
{
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = work };
	const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 42,
		.features = VHK_F_RING_ALL | VHK_F_RING_RESET,
		.n_queues = QUEUES,
		.queue_size = 2 * SIZE,
	};
	struct vhk_ctl_opts co = { .n_queues = QUEUES, .queue_size = 2 * SIZE };
	unsigned int i;

	hold = n_holding = 0;
	T_MUST(!vhk_device_new(&f.dev, &info, &ops, NULL));
	t_both_open(&f.b, f.dev, NULL, co);
	T_MUST(!vhk_mem_new(&f.mem));
	T_MUST(!vhk_mem_alloc(f.mem, (struct vhk_gpa){ 0x100000 }, 4096, (void **)&f.buf));
	T_EQ(vhk_ctl_setup(f.b.ctl, features, features, f.mem), 0);
	T_OK(vhk_ctl_features(f.b.ctl) & VHK_F_RING_RESET);
	T_OK(vhk_ctl_protocol_features(f.b.ctl) & VHK_PF_INFLIGHT_SHMFD);
	f.features = vhk_ctl_features(f.b.ctl);
	for (i = 0; i < QUEUES; i++)
		make_queue(i, SIZE, 0x10000000ull * (i + 1));
	T_EQ(vhk_ctl_start_all(f.b.ctl, f.vq, QUEUES), 0);
}

static void close_all(void)
{
	unsigned int i;

	t_both_close(&f.b);
	for (i = 0; i < QUEUES; i++)
		vhk_vq_free(f.vq[i]);
	vhk_mem_free(f.mem);
	vhk_device_free(f.dev);
}

static void add(unsigned int q, void *token)
{
	struct iovec seg = { f.buf, 16 };

	T_MUST(!vhk_vq_add(f.vq[q], &seg, 1, 0, token));
}

static void publish(unsigned int q)
{
	if (vhk_vq_publish(f.vq[q]) > 0)
		T_EQ(vhk_ctl_kick(f.b.ctl, q), 0);
}

static void *get(unsigned int q)
{
	struct vhk_done done;
	int n;

	while (!(n = vhk_vq_get(f.vq[q], &done, 1)))
		if (vhk_ctl_wait(f.b.ctl, q, 10 * T_SECOND))
			break;
	T_EQ(n, 1);
	return n == 1 ? done.token : NULL;
}

static void echo(unsigned int q, unsigned int n)
{
	static char token;

	while (n--) {
		add(q, &token);
		publish(q);
		T_MUST(get(q) == &token);
	}
}

static void take_token(void *arg, void *token)
{
	T_EQ(*(int *)token, 0);
	*(int *)token = 1;
	++*(unsigned int *)arg;
}

/* From every position, over the wrap of the ring and of what it counts with. */
static void begins_at_zero_while_the_other_works(uint64_t features)
{
	static const unsigned int rounds[] = { 1, 63, 64, 65, 100, 128, 1000 };
	static int token[3];
	unsigned int i, k, n;
	uint32_t base;

	open_all(features);
	for (i = 0; i < vhk_array_size(rounds); i++) {
		echo(0, rounds[i]);
		/* the other one is in the middle of something all along */
		add(1, &token[0]);
		T_EQ(vhk_ctl_stop(f.b.ctl, 0, &base), 0);
		/* what was added since is the driver's again */
		for (k = 0; k < 3; k++) {
			token[k] = 0;
			add(0, &token[k]);
		}
		vhk_vq_publish(f.vq[0]);
		n = 0;
		vhk_vq_reset(f.vq[0], take_token, &n);
		T_EQ(n, 3);
		publish(1);
		T_OK(get(1) == &token[0]);
		T_EQ(vhk_ctl_start(f.b.ctl, 0, f.vq[0]), 0);
		echo(0, 3);
		echo(1, 3);
	}
	close_all();
}

/* What is under way is answered before the ring stands still; none of it comes again. */
static void answers_what_is_under_way(uint64_t features)
{
	static int token[8];
	unsigned int i, n = 0;

	open_all(features);
	echo(0, 40);
	__atomic_store_n(&hold, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 8; i++) {
		token[i] = 0;
		add(0, &token[i]);
	}
	publish(0);
	while (__atomic_load_n(&n_holding, __ATOMIC_ACQUIRE) < 8)
		echo(1, 1);
	__atomic_store_n(&hold, 0, __ATOMIC_RELAXED);
	t_both_call(&f.b, let_go, NULL);
	T_EQ(vhk_ctl_stop(f.b.ctl, 0, NULL), 0);
	for (i = 0; i < 8; i++)
		T_OK(get(0) != NULL);
	vhk_vq_reset(f.vq[0], take_token, &n);
	T_EQ(n, 0);
	T_EQ(vhk_ctl_start(f.b.ctl, 0, f.vq[0]), 0);
	echo(0, 100);
	echo(1, 100);
	close_all();
}

static void comes_back_with_another_size(uint64_t features)
{
	static const uint16_t sizes[] = { 2 * SIZE, 16, 32, SIZE };
	unsigned int i;

	open_all(features);
	for (i = 0; i < vhk_array_size(sizes); i++) {
		echo(0, 77);
		T_EQ(vhk_ctl_stop(f.b.ctl, 0, NULL), 0);
		vhk_vq_free(f.vq[0]);
		make_queue(0, sizes[i], 0x40000000ull + 0x1000000 * i);
		T_EQ(vhk_ctl_start(f.b.ctl, 0, f.vq[0]), 0);
		echo(0, 200);
		echo(1, 10);
	}
	close_all();
}

#define RUN_BOTH(fn)                                                                               \
	static void fn##_split(void)                                                               \
	{                                                                                          \
		fn(F_COMMON);                                                                      \
	}                                                                                          \
	static void fn##_packed(void)                                                              \
	{                                                                                          \
		fn(F_COMMON | VHK_F_RING_PACKED);                                                  \
	}
RUN_BOTH(begins_at_zero_while_the_other_works)
RUN_BOTH(answers_what_is_under_way)
RUN_BOTH(comes_back_with_another_size)

int main(void)
{
	T_RUN(begins_at_zero_while_the_other_works_split);
	T_RUN(begins_at_zero_while_the_other_works_packed);
	T_RUN(answers_what_is_under_way_split);
	T_RUN(answers_what_is_under_way_packed);
	T_RUN(comes_back_with_another_size_split);
	T_RUN(comes_back_with_another_size_packed);
	return t_end();
}
