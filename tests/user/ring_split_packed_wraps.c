// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every index passes its wrap: 70,000 requests from a start just below 2^16 (split), and from the
 * last slots of either lap (packed), with batches of changing size and answers out of order. The
 * base is saved and restored on the way.
 */
#include "t_ring.h"

#define REQUESTS 70000
#define MAX_BATCH 7

static struct vhk_ring *reopen(struct vhk_ring *r, struct peer *p)
{
	T_EQ(vhk_ring_base(r), peer_base(p));
	vhk_ring_free(r);
	return peer_ring(p);
}

static unsigned int give(struct peer *p, unsigned int n, int *want)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct peer_buf b[2] = {
			{ PEER_GPA + 0x10000u + i, 1, 0 },
			{ PEER_GPA + 0x20000u, 64, D_WRITE },
		};

		want[i] = peer_add(p, b, 1 + i % 2);
		if (want[i] < 0)
			break;
	}
	return i;
}

static void one_round(struct peer *p, struct vhk_ring *r, unsigned int n)
{
	struct vhk_chain *c[MAX_BATCH];
	int want[MAX_BATCH];
	uint32_t len = 0;
	uint16_t id = 0;
	unsigned int i;

	n = give(p, n, want);
	T_EQ(vhk_ring_pop(r, c, MAX_BATCH), n);
	for (i = 0; i < n; i++)
		T_EQ(c[i]->id, want[i]);
	for (i = 0; i < n; i++) {
		c[n - 1 - i]->written = i;
		vhk_ring_push(r, c[n - 1 - i]);
		if (i == n / 2)
			vhk_ring_publish(r);
	}
	vhk_ring_publish(r);
	for (i = 0; i < n; i++) {
		T_OK(peer_get(p, &id, &len));
		T_EQ(id, want[n - 1 - i]);
		T_EQ(len, i);
	}
	T_OK(!peer_peek(p));
}

static void run(struct peer *p)
{
	struct vhk_ring *r = peer_ring(p);
	unsigned int done, n = 0;

	for (done = 0; done < REQUESTS && !t_bad; done += n) {
		n = 1 + done % MAX_BATCH;
		one_round(p, r, n);
		if (done % 1001 < n)
			r = reopen(r, p);
	}
	vhk_ring_free(r);
	peer_fini(p);
}

static void split_from_below_the_wrap(void)
{
	static const uint16_t sizes[] = { 16, 256, 1024 };
	unsigned int i;
	struct peer p;

	for (i = 0; i < vhk_array_size(sizes); i++) {
		peer_init(&p, false, sizes[i], i % 2 ? VHK_F_EVENT_IDX : 0);
		peer_start_at(&p, 65530);
		run(&p);
	}
}

static void packed_from_the_last_slots(void)
{
	static const uint16_t sizes[] = { 13, 256, 1023 };
	unsigned int i, k;
	struct peer p;

	for (i = 0; i < vhk_array_size(sizes); i++) {
		peer_init(&p, true, sizes[i], i % 2 ? VHK_F_EVENT_IDX : 0);
		p.avail = (uint16_t)(sizes[i] - 3);
		p.used = p.avail;
		p.avail_wrap = i % 2;
		p.used_wrap = p.avail_wrap;
		/* The other lap's marks: nothing is available yet. */
		for (k = 0; k < sizes[i]; k++)
			p.desc[k].b = htole16((k < p.avail) == p.avail_wrap ? D_AVAIL | D_USED : 0);
		run(&p);
	}
}

int main(void)
{
	T_RUN(split_from_below_the_wrap);
	T_RUN(packed_from_the_last_slots);
	return t_end();
}
