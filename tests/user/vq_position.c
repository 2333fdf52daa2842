// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Where a device goes on that takes over from one that is gone: behind what that one told, whether
 * the driver has fetched it or not. Requests are answered in order here; what was popped and not
 * answered is served again.
 */
#include "vq_ring_t.h"

#define SIZE 16
#define ROUNDS 3000

static void open_ring(struct t_pair *p, uint64_t features)
{
	struct vhk_ring_opts o = { .sz = sizeof(o),
				   .size = SIZE,
				   .features = features | VHK_F_VERSION_1,
				   .max_indirect = T_SEGS };
	struct vhk_vq_addr at;

	T_MUST(!vhk_vq_addr(p->t.vq, &at));
	o.base = at.base;
	o.desc = at.desc;
	o.driver = at.driver;
	o.device = at.device;
	T_MUST(!vhk_ring_new(&p->ring, p->t.mem, &o));
}

/* Serves some, forgets some, and is replaced. */
static unsigned int one_life(struct t_pair *p, unsigned int served, uint64_t features)
{
	struct vhk_chain *c[SIZE];
	unsigned int lose = t_rnd(&p->seed, 3);
	int i, n = vhk_ring_pop(p->ring, c, SIZE);

	T_MUST(n >= 0);
	for (i = 0; i < n - (int)lose; i++) {
		t_chain_serve(c[i], served++);
		vhk_ring_push(p->ring, c[i]);
		if (t_rnd(&p->seed, 2))
			vhk_ring_publish(p->ring);
	}
	vhk_ring_publish(p->ring);
	vhk_ring_free(p->ring);
	t_pair_get(p, t_rnd(&p->seed, 5));
	open_ring(p, features);
	return served;
}

static void replaced_again_and_again(void)
{
	static const uint64_t features[] = {
		0,
		VHK_F_IN_ORDER,
		VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX,
		VHK_F_RING_PACKED,
		VHK_F_RING_PACKED | VHK_F_IN_ORDER,
		VHK_F_RING_PACKED | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX,
	};
	unsigned int i, k, round;

	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		unsigned int served = 0;
		struct t_pair p;

		t_pair_open(&p, SIZE, features[i]);
		for (round = 0; round < ROUNDS; round++) {
			for (k = t_rnd(&p.seed, 6); k && t_pair_add(&p); k--)
				;
			vhk_vq_publish(p.t.vq);
			served = one_life(&p, served, features[i]);
		}
		T_OK(p.got > ROUNDS / 2);
		T_OK(served - p.got <= SIZE);
		t_pair_close(&p);
	}
}

/* A position is refused that the device can only have invented. */
static void lies(void)
{
	static const struct {
		uint64_t features;
		uint16_t id, n;
	} cases[] = {
		{ 0, 0, 3 },
		{ 0, 0, 0xffff },
		{ VHK_F_RING_PACKED, 5, 1 },
		{ VHK_F_RING_PACKED, SIZE, 1 },
		{ VHK_F_RING_PACKED | VHK_F_IN_ORDER, 2, 1 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhk_vq_addr at;
		struct t_vq t;

		t_vq_open(&t, SIZE, cases[i].features);
		T_EQ(t_vq_add(&t, 0, 8, 1), 0);
		T_EQ(t_vq_add(&t, 0, 8, 2), 0);
		vhk_vq_publish(t.vq);
		T_EQ(t_vq_add(&t, 0, 8, 3), 0);
		T_EQ(vhk_vq_addr(t.vq, &at), 0);
		t_dev_use(&t, cases[i].id, 8, cases[i].n, 1);
		T_EQ(vhk_vq_addr(t.vq, &at), -EBADMSG);
		t_vq_close(&t);
	}
}

int main(void)
{
	T_RUN(replaced_again_and_again);
	T_RUN(lies);
	return t_end();
}
