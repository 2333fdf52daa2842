// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Driver and device in two threads that sleep: each arms, looks once more and then waits for its
 * eventfd. A kick or call that is lost, or memory that is seen too early, shows as a deadline
 * passed, a wrong byte, or a race.
 */
#include <pthread.h>
#include <sys/eventfd.h>

#include "vq_ring_t.h"

#define REQUESTS 6000
#define DEADLINE_MS 20000

struct both {
	struct t_pair p;
	int kick, call;
};

static void ring_bell(int fd)
{
	uint64_t one = 1;

	T_MUST(write(fd, &one, sizeof(one)) == sizeof(one));
}

static void wait_bell(int fd)
{
	uint64_t v;

	T_MUST(t_readable(fd, DEADLINE_MS));
	T_MUST(read(fd, &v, sizeof(v)) == sizeof(v));
}

static void *device(void *arg)
{
	struct both *b = arg;
	unsigned int done = 0;
	struct vhk_chain *c[8];

	while (done < REQUESTS) {
		int i, n = vhk_ring_pop(b->p.ring, c, 8);

		T_MUST(n >= 0);
		for (i = 0; i < n; i++) {
			t_chain_serve(c[i], done++);
			vhk_ring_push(b->p.ring, c[i]);
		}
		if (n && vhk_ring_publish(b->p.ring))
			ring_bell(b->call);
		if (n || done == REQUESTS || vhk_ring_arm(b->p.ring))
			continue;
		wait_bell(b->kick);
		vhk_ring_disarm(b->p.ring);
	}
	return NULL;
}

static void driver(struct both *b)
{
	struct t_pair *p = &b->p;

	while (p->got < REQUESTS) {
		unsigned int n = t_rnd(&p->seed, 12);

		while (n-- && p->added < REQUESTS && t_pair_add(p))
			;
		if (vhk_vq_publish(p->t.vq))
			ring_bell(b->kick);
		if (t_pair_get(p, 16) || p->added == p->got || vhk_vq_arm(p->t.vq))
			continue;
		wait_bell(b->call);
		vhk_vq_disarm(p->t.vq);
	}
}

static void run(uint16_t size, uint64_t features)
{
	pthread_t other;
	struct both b;

	t_pair_open(&b.p, size, features);
	b.kick = eventfd(0, EFD_CLOEXEC);
	b.call = eventfd(0, EFD_CLOEXEC);
	T_MUST(b.kick >= 0 && b.call >= 0);
	T_MUST(!pthread_create(&other, NULL, device, &b));
	driver(&b);
	T_MUST(!pthread_join(other, NULL));
	T_EQ(vhk_vq_in_flight(b.p.t.vq), 0);
	close(b.kick);
	close(b.call);
	t_pair_close(&b.p);
}

static void every_combination(void)
{
	static const uint16_t sizes[] = { 2, 64 };
	unsigned int i, bits;

	for (bits = 0; bits < 16; bits++)
		for (i = 0; i < 2; i++)
			run(sizes[i], (bits & 1 ? VHK_F_EVENT_IDX : 0) |
					      (bits & 2 ? VHK_F_INDIRECT_DESC : 0) |
					      (bits & 4 ? VHK_F_IN_ORDER : 0) |
					      (bits & 8 ? VHK_F_RING_PACKED : 0));
}

int main(void)
{
	T_RUN(every_combination);
	return t_end();
}
