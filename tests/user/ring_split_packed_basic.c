// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a well-behaved driver sees: chains arrive whole and in order, answers come back with their
 * lengths, one publication makes a batch visible, positions are kept.
 */
#include "t_ring.h"

#define N 8

static void round_trips(bool packed, uint16_t size, uint64_t features)
{
	struct vhk_chain *c[N];
	struct vhk_ring *r;
	struct peer p;
	uint32_t len = 0;
	uint16_t id = 0;
	int i, k, n;

	peer_init(&p, packed, size, features);
	r = peer_ring(&p);
	for (k = 0; k < 1000; k++) {
		int want[N];

		for (n = 0; n < N; n++) {
			const struct peer_buf b[3] = {
				{ PEER_GPA + 0x10000u + n * 0x1000u, 16, 0 },
				{ PEER_GPA + 0x20000u + n * 0x1000u, 512u + k, D_WRITE },
				{ PEER_GPA + 0x30000u + n, 1, D_WRITE },
			};

			want[n] = peer_add(&p, b, 3);
			if (want[n] < 0)
				break;
		}
		T_OK(n > 0);
		T_OK(vhk_ring_ready(r));
		T_EQ(vhk_ring_pop(r, c, N), n);
		T_EQ(vhk_ring_in_flight(r), n);
		for (i = 0; i < n; i++) {
			T_EQ(c[i]->id, want[i]);
			T_EQ(c[i]->n_out, 1);
			T_EQ(c[i]->n_in, 2);
			T_EQ(c[i]->out_len, 16);
			T_EQ(c[i]->in_len, 513 + k);
			T_OK(c[i]->seg[0].iov_base ==
			     peer_at(&p, PEER_GPA + 0x10000u + (unsigned int)i * 0x1000u));
			T_EQ(c[i]->seg[2].iov_len, 1);
			c[i]->written = (uint32_t)i + 1;
			vhk_ring_push(r, c[i]);
		}
		T_EQ(vhk_ring_staged(r), n);
		T_OK(!peer_peek(&p));
		vhk_ring_publish(r);
		T_EQ(vhk_ring_staged(r), 0);
		for (i = 0; i < n; i++) {
			T_OK(peer_get(&p, &id, &len));
			T_EQ(id, want[i]);
			T_EQ(len, i + 1);
		}
		T_OK(!peer_peek(&p));
		T_EQ(vhk_ring_base(r), peer_base(&p));
		if (t_bad)
			break;
	}
	T_EQ(vhk_ring_pop(r, c, N), 0);
	T_OK(!vhk_ring_ready(r));
	vhk_ring_free(r);
	peer_fini(&p);
}

static void split_rings(void)
{
	round_trips(false, 4, 0);
	round_trips(false, 16, VHK_F_EVENT_IDX);
	round_trips(false, 256, VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC);
}

static void packed_rings(void)
{
	round_trips(true, 3, 0);
	round_trips(true, 17, VHK_F_EVENT_IDX);
	round_trips(true, 256, VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC);
}

int main(void)
{
	T_RUN(split_rings);
	T_RUN(packed_rings);
	return t_end();
}
