// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Linux guests make indirect tables as long as the device's segment limit allows, on a ring with
 * fewer descriptors than that. Such chains are served; tables that pass both limits break the ring.
 */
#include "t_ring.h"

#define SIZE 8
#define TABLE 0x20000u

static void put_table(struct peer *p, unsigned int n)
{
	struct peer_desc *d = peer_at(p, PEER_GPA + TABLE);
	const struct peer_buf head = { PEER_GPA + TABLE, n * sizeof(*d), D_INDIRECT };
	unsigned int i;

	for (i = 0; i < n; i++) {
		const uint16_t flags = D_WRITE | (!p->packed && i + 1 < n ? D_NEXT : 0);

		d[i].addr = htole64(PEER_GPA + 0x40000u + i * 0x1000u);
		d[i].len = htole32(512);
		d[i].a = htole16(p->packed ? 0 : flags);
		d[i].b = htole16(p->packed ? flags : (uint16_t)(i + 1));
	}
	T_OK(peer_add(p, &head, 1) >= 0);
}

static void tables(bool packed)
{
	static const struct {
		unsigned int entries;
		uint16_t max_segs;
		int want;
	} cases[] = {
		{ SIZE, 0, 1 },	    { SIZE + 1, 0, 1 }, { 128, 0, 1 },
		{ 129, 0, -EBADMSG }, { 32, 32, 1 },	  { 33, 32, -EBADMSG },
		{ SIZE, 4, -EBADMSG }, { SIZE + 1, 4, -EBADMSG },
	};
	struct vhk_chain *c;
	struct vhk_ring *r;
	struct peer p;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		struct vhk_ring_opts o;

		peer_init(&p, packed, SIZE, VHK_F_INDIRECT_DESC);
		o = peer_opts(&p);
		o.max_segs = cases[i].max_segs;
		T_MUST(!vhk_ring_new(&r, p.mem, &o));
		put_table(&p, cases[i].entries);
		T_EQ(vhk_ring_pop(r, &c, 1), cases[i].want);
		if (cases[i].want == 1) {
			T_EQ(c->n_in, cases[i].entries);
			T_EQ(c->in_len, cases[i].entries * 512);
			vhk_ring_push(r, c);
		}
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

static void split_rings(void)
{
	tables(false);
}

static void packed_rings(void)
{
	tables(true);
}

int main(void)
{
	T_RUN(split_rings);
	T_RUN(packed_rings);
	return t_end();
}
