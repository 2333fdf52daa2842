// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Driver side and device side of the library on one queue, in one thread: every combination of
 * features and a choice of sizes, random chains answered in random order, and every byte compared.
 */
#include "vq_ring_t.h"

struct device {
	struct vhk_chain *held[T_UNDER_WAY];
	unsigned int n_held, popped;
};

static void device_pop(struct t_pair *p, struct device *d)
{
	unsigned int room = T_UNDER_WAY - d->n_held;
	int i, n;

	if (!room)
		return;
	n = vhk_ring_pop(p->ring, d->held + d->n_held, 1 + t_rnd(&p->seed, room));
	T_MUST(n >= 0);
	for (i = 0; i < n; i++)
		t_chain_serve(d->held[d->n_held++], d->popped++);
}

static void device_push(struct t_pair *p, struct device *d)
{
	unsigned int n = d->n_held ? 1 + t_rnd(&p->seed, d->n_held) : 0;

	while (n--) {
		unsigned int k = p->t.in_order ? 0 : t_rnd(&p->seed, d->n_held);

		vhk_ring_push(p->ring, d->held[k]);
		d->n_held--;
		memmove(d->held + k, d->held + k + 1, (d->n_held - k) * sizeof(d->held[0]));
	}
	T_MUST(vhk_ring_publish(p->ring) >= 0);
}

static void roundtrip(uint16_t size, uint64_t features, unsigned int requests)
{
	struct device d = { .n_held = 0 };
	unsigned int rounds = 0, n;
	struct t_pair p;

	t_pair_open(&p, size, features);
	while (p.got < requests) {
		T_MUST(++rounds < 50 * requests);
		for (n = t_rnd(&p.seed, 32); n && t_pair_add(&p); n--)
			;
		T_MUST(vhk_vq_publish(p.t.vq) >= 0);
		device_pop(&p, &d);
		device_push(&p, &d);
		t_pair_get(&p, 1 + t_rnd(&p.seed, 16));
		T_MUST(vhk_vq_in_flight(p.t.vq) == p.added - p.got);
		T_MUST(vhk_ring_in_flight(p.ring) == d.n_held);
	}
	t_pair_close(&p);
}

static uint64_t features_of(unsigned int bits)
{
	return (bits & 1 ? VHK_F_EVENT_IDX : 0) | (bits & 2 ? VHK_F_INDIRECT_DESC : 0) |
	       (bits & 4 ? VHK_F_IN_ORDER : 0) | (bits & 8 ? VHK_F_RING_PACKED : 0);
}

static void every_combination(void)
{
	static const uint16_t sizes[] = { 1, 2, 4, 256, 32768 };
	unsigned int i, bits;

	for (bits = 0; bits < 16; bits++)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			roundtrip(sizes[i], features_of(bits), 3000);
}

static void packed_sizes_that_are_no_powers_of_two(void)
{
	static const uint16_t sizes[] = { 3, 5, 7, 100, 255, 32767 };
	unsigned int i, bits;

	for (bits = 8; bits < 16; bits++)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			roundtrip(sizes[i], features_of(bits), 1000);
}

static void over_every_wrap(void)
{
	unsigned int bits;

	for (bits = 0; bits < 16; bits += 4)
		roundtrip(16, features_of(bits | 1), 70000);
}

int main(void)
{
	T_RUN(every_combination);
	T_RUN(packed_sizes_that_are_no_powers_of_two);
	T_RUN(over_every_wrap);
	return t_end();
}
