// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Two data loops log into the same bytes, while a front end takes bits out, as it does to copy
 * pages, and switches logging on and off: no page that was written while it was on is lost. For the
 * thread sanitizer.
 */
#include <pthread.h>

#include "t_user.h"

#define PAGE 4096u
#define LOG_SIZE 0x8000u
#define ROUNDS 40
#define BATCH 8
#define LOGGED (T_SPLIT | VHK_F_LOG_ALL | VHK_F_EVENT_IDX)

struct runner {
	struct vhk_loop *loop;
	pthread_t thread;
};

static void *run_loop(void *arg)
{
	struct runner *r = arg;

	return (void *)(intptr_t)vhk_loop_run(r->loop);
}

static void runner_start(struct runner *r, struct vhk_loop *l)
{
	r->loop = l;
	T_MUST(!pthread_create(&r->thread, NULL, run_loop, r));
}

static void runner_stop(struct runner *r)
{
	void *ret;

	vhk_loop_stop(r->loop);
	T_MUST(!pthread_join(r->thread, &ret));
	T_EQ((intptr_t)ret, 0);
}

/* A driver of its own ring: writes pages of its own, which lie between those of the other. */
struct load {
	struct t_ring *ring;
	unsigned char *buf;
	unsigned int first;
};

static void load_round(struct load *l)
{
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	const uint64_t one = 1;
	struct vhk_done done[BATCH];
	struct iovec seg;
	int i, n = 0;

	for (i = 0; i < BATCH; i++) {
		seg = (struct iovec){ l->buf + (l->first + 2 * (unsigned int)i) * PAGE, 1 };
		T_MUST(!vhk_vq_add(l->ring->vq, &seg, 0, 1, l));
	}
	if (vhk_vq_publish(l->ring->vq))
		T_MUST(write(l->ring->kick, &one, sizeof(one)) == sizeof(one));
	while (n < BATCH && t_now_ns() < end) {
		i = vhk_vq_get(l->ring->vq, done, BATCH);
		T_MUST(i >= 0);
		n += i;
		if (!i && !vhk_vq_arm(l->ring->vq))
			poll(&(struct pollfd){ .fd = l->ring->call, .events = POLLIN }, 1, 1);
	}
	T_EQ(n, BATCH);
}

static void *run_round(void *arg)
{
	load_round(arg);
	return NULL;
}

/* What the front end has taken out of the log so far. */
static unsigned char taken[LOG_SIZE];

static void take(unsigned char *bits)
{
	unsigned int i;

	for (i = 0; i < LOG_SIZE; i++)
		if (__atomic_load_n(&bits[i], __ATOMIC_RELAXED))
			taken[i] |= __atomic_exchange_n(&bits[i], 0, __ATOMIC_ACQUIRE);
}

static bool has(uint64_t page)
{
	return taken[page / 8] >> (page % 8) & 1;
}

struct taker {
	unsigned char *bits;
	bool stop;
};

static void *run_taker(void *arg)
{
	struct taker *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE))
		take(t->bits);
	return NULL;
}

static void round_of_both(struct load *load, unsigned char *bits)
{
	struct taker t = { .bits = bits };
	pthread_t thread[2], taker;
	unsigned int i;

	memset(taken, 0, sizeof(taken));
	T_MUST(!pthread_create(&taker, NULL, run_taker, &t));
	for (i = 0; i < 2; i++)
		T_MUST(!pthread_create(&thread[i], NULL, run_round, &load[i]));
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(taker, NULL);
	take(bits);
	for (i = 0; i < 2 * BATCH; i++)
		T_OK(has(T_GPA / PAGE + i));
}

static void no_page_is_lost(void)
{
	struct vhk_user_log wire = { LOG_SIZE, 0 };
	struct runner data[2], ctl;
	struct vhk_loop *loops[2];
	struct t_ring ring[2];
	struct load load[2];
	unsigned char *bits;
	struct t_user u;
	unsigned int i;
	int fd = memfd_create("log", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, LOG_SIZE));
	bits = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_MUST(bits != MAP_FAILED);
	t_user_init(&u, VHK_LOOP_AUTO);
	for (i = 0; i < 2; i++)
		T_MUST(!vhk_loop_new(&loops[i], NULL));
	T_MUST(!vhk_device_set_loops(u.echo.dev, loops, 2));
	t_user_open(&u);
	runner_start(&ctl, u.loop);
	u.loop = NULL;
	for (i = 0; i < 2; i++)
		runner_start(&data[i], loops[i]);
	t_negotiate(&u, LOGGED);
	for (i = 0; i < 2; i++)
		t_ring_init(&u, &ring[i], i, LOGGED);
	T_EQ(t_ask_mem_table(&u), 0);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &wire, sizeof(wire), &fd, 1), 0);
	for (i = 0; i < 2; i++) {
		t_ring_start(&u, &ring[i], ring[i].kick);
		load[i] = (struct load){ .ring = &ring[i], .buf = u.buf, .first = i };
	}
	for (i = 0; i < ROUNDS; i++) {
		round_of_both(load, bits);
		/* switched under load: nobody says which pages, and nothing breaks */
		if (i % 4 == 3) {
			pthread_t thread;

			T_MUST(!pthread_create(&thread, NULL, run_round, &load[0]));
			T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED & ~VHK_F_LOG_ALL), 0);
			T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_BASE, &wire, sizeof(wire), &fd, 1), 0);
			T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, LOGGED), 0);
			pthread_join(thread, NULL);
		}
	}
	t_user_hang_up(&u);
	T_UNTIL(&u, __atomic_load_n(&u.n_down, __ATOMIC_ACQUIRE) == 1);
	runner_stop(&ctl);
	u.loop = ctl.loop;
	for (i = 0; i < 2; i++) {
		runner_stop(&data[i]);
		t_ring_fini(&ring[i]);
	}
	t_user_fini(&u);
	for (i = 0; i < 2; i++)
		vhk_loop_free(loops[i]);
	munmap(bits, LOG_SIZE);
	close(fd);
}

int main(void)
{
	T_RUN(no_page_is_lost);
	return t_end();
}
