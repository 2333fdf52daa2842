// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Chains that are answered as a batch leave the same behind, to the byte, as those that are pushed
 * one by one and published: in every layout, over every wrap, in and out of turn, whatever was
 * written, with chains that took segments from elsewhere, and where something was staged before.
 */
#include "t_ring.h"

#define SIZE 32
#define N 8
#define SEGS 6 /* more than a slot has */
#define ROUNDS 4000
#define RING_BYTES 4096

static uint32_t seed;

static unsigned int any(unsigned int n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* The same chain to both. False: no room. */
static bool add_both(struct peer *a, struct peer *b)
{
	const unsigned int n = any(4) ? 1 : 1 + any(SEGS), n_out = any(n + 1);
	struct peer_buf buf[SEGS];
	unsigned int i;
	int id;

	for (i = 0; i < n; i++)
		buf[i] = (struct peer_buf){ PEER_GPA + 0x10000u * (1 + i), 64,
					    i < n_out ? 0 : D_WRITE };
	id = peer_add(a, buf, n);
	T_EQ(peer_add(b, buf, n), id);
	return id >= 0;
}

static void swap(struct vhk_chain **a, struct vhk_chain **b)
{
	struct vhk_chain *was = *a;

	*a = *b;
	*b = was;
}

/* How much was written, and out of turn now and then. */
static void finish(struct vhk_chain **a, struct vhk_chain **b, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		a[i]->written = any(3) ? a[i]->in_len : any(a[i]->in_len + 1);
		b[i]->written = a[i]->written;
	}
	if (n < 2 || any(4))
		return;
	i = any(n - 1);
	swap(&a[i], &a[i + 1]);
	swap(&b[i], &b[i + 1]);
}

/* What was used is free for new chains; in order, one entry may stand for several. */
static void collect(struct peer *p, const uint16_t *ids, unsigned int n)
{
	unsigned int i;
	uint16_t id;
	uint32_t len;

	if (!(p->features & VHK_F_IN_ORDER)) {
		for (i = 0; i < n; i++)
			T_MUST(peer_get(p, &id, &len));
		return;
	}
	for (i = 0; i < n; i++) {
		peer_step_used(p, p->count[ids[i]]);
		peer_reclaim(p, ids[i]);
	}
}

static void same(bool packed, uint64_t features)
{
	struct vhk_chain *c[2][N];
	struct vhk_ring *r[2];
	uint16_t ids[N];
	unsigned int i, k, n, staged;
	struct peer p[2];
	bool called;

	seed = (uint32_t)features + packed;
	for (i = 0; i < 2; i++) {
		peer_init(&p[i], packed, SIZE, features);
		if (!packed)
			peer_start_at(&p[i], 65530);
		r[i] = peer_ring(&p[i]);
	}
	for (k = 0; k < ROUNDS && !t_bad; k++) {
		for (n = 0; n < 1 + k % N && add_both(&p[0], &p[1]); n++)
			;
		T_EQ(vhk_ring_pop(r[0], c[0], N), n);
		T_EQ(vhk_ring_pop(r[1], c[1], N), n);
		for (i = 0; i < n; i++)
			ids[i] = c[0][i]->id;
		finish(c[0], c[1], n);
		staged = n && !any(4);
		if (staged) {
			vhk_ring_push(r[0], c[0][0]);
			vhk_ring_push(r[1], c[1][0]);
		}
		called = vhk_ring_answer(r[0], c[0] + staged, n - staged) > 0;
		for (i = staged; i < n; i++)
			vhk_ring_push(r[1], c[1][i]);
		T_EQ(called, vhk_ring_publish(r[1]) > 0);
		T_EQ(memcmp(p[0].ram, p[1].ram, RING_BYTES), 0);
		T_EQ(vhk_ring_in_flight(r[0]), 0);
		T_EQ(vhk_ring_base(r[0]), vhk_ring_base(r[1]));
		for (i = 0; i < 2; i++)
			collect(&p[i], ids, n);
	}
	T_EQ(k, ROUNDS);
	for (i = 0; i < 2; i++) {
		vhk_ring_free(r[i]);
		peer_fini(&p[i]);
	}
}

static void split(void)
{
	same(false, 0);
	same(false, VHK_F_EVENT_IDX);
	same(false, VHK_F_IN_ORDER);
}

static void packed(void)
{
	same(true, 0);
	same(true, VHK_F_EVENT_IDX);
	same(true, VHK_F_IN_ORDER);
}

int main(void)
{
	T_RUN(split);
	T_RUN(packed);
	return t_end();
}
