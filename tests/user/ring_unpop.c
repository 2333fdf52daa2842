// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Chains that are put back are popped again, whole and in order, in every layout, over every wrap,
 * with an inflight region and without; what was popped before them is answered all the same.
 */
#include "t_ring.h"

#define SIZE 16
#define N 6

static void some_go_back(bool packed, uint64_t features, bool tracked)
{
	struct vhk_ring_opts o;
	struct vhk_chain *c[N];
	struct vhk_ring *r;
	uint32_t len;
	uint16_t id;
	int i, k, n, keep, want[N];
	struct peer p;
	void *region = NULL;

	peer_init(&p, packed, SIZE, features);
	o = peer_opts(&p);
	if (tracked) {
		o.inflight_size = vhk_inflight_size(SIZE, packed);
		region = aligned_alloc(64, o.inflight_size);
		T_MUST(region);
		vhk_inflight_init(region, SIZE, packed);
		o.inflight = region;
	}
	T_MUST(!vhk_ring_new(&r, p.mem, &o));
	for (k = 0; k < 3000; k++) {
		n = 1 + k % N;
		for (i = 0; i < n; i++) {
			const struct peer_buf b[2] = { { PEER_GPA + 0x10000u, 64, 0 },
						       { PEER_GPA + 0x20000u, 64, D_WRITE } };

			want[i] = peer_add(&p, b, 1 + i % 2);
			T_MUST(want[i] >= 0);
		}
		keep = k % (n + 1);
		T_EQ(vhk_ring_pop(r, c, N), n);
		T_EQ(vhk_ring_unpop(r, c + keep, (unsigned int)(n - keep)), 0);
		T_EQ(vhk_ring_in_flight(r), keep);
		for (i = 0; i < keep; i++)
			vhk_ring_push(r, c[i]);
		if (k % 2)
			vhk_ring_publish(r);
		T_EQ(vhk_ring_pop(r, c + keep, N), n - keep);
		for (i = keep; i < n; i++) {
			T_EQ(c[i]->id, want[i]);
			T_EQ(c[i]->n_out, 1);
			vhk_ring_push(r, c[i]);
		}
		vhk_ring_publish(r);
		while (peer_get(&p, &id, &len))
			;
		T_EQ(vhk_ring_error(r), 0);
		if (t_bad)
			break;
	}
	vhk_ring_free(r);
	if (tracked) {
		/* and the region has nothing in flight: another ring begins with none */
		o.base = peer_base(&p);
		T_EQ(vhk_ring_new(&r, p.mem, &o), 0);
		T_EQ(vhk_ring_left_over(r), 0);
		vhk_ring_free(r);
		free(region);
	}
	peer_fini(&p);
}

static void put_back_split(void)
{
	some_go_back(false, 0, false);
	some_go_back(false, VHK_F_EVENT_IDX, true);
}

static void put_back_packed(void)
{
	some_go_back(true, 0, false);
	some_go_back(true, VHK_F_EVENT_IDX, true);
}

int main(void)
{
	T_RUN(put_back_split);
	T_RUN(put_back_packed);
	return t_end();
}
