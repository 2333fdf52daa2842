// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * IN_ORDER: the device may finish in any order, the driver sees the order in which it made chains
 * available, and one used entry answers all chains that were wholly written up to it (virtio 1.3,
 * 2.7.9 and 2.8.10.1).
 */
#include "t_ring.h"

#define N 6
#define BUF 32

struct entry {
	uint16_t id;
	uint32_t len;
};

struct order_case {
	const char *name;
	int push[N + 1]; /* chains in the order they are finished; -1 ends */
	uint32_t written[N];
	unsigned int n_entries; /* used entries that show up */
	unsigned int last[N];	/* the chain that each ends with */
	unsigned int left;	/* chains held back */
};

#define ALL { BUF, BUF, BUF, BUF, BUF, BUF }

static const struct order_case cases[] = {
	{ "all, in order", { 0, 1, 2, 3, 4, 5, -1 }, ALL, 1, { 5 }, 0 },
	{ "all, backwards", { 5, 4, 3, 2, 1, 0, -1 }, ALL, 1, { 5 }, 0 },
	{ "the first is missing", { 5, 4, 3, 2, 1, -1 }, ALL, 0, { 0 }, 5 },
	{ "a gap", { 0, 1, 3, 4, -1 }, ALL, 1, { 1 }, 2 },
	{ "only the first", { 0, -1 }, ALL, 1, { 0 }, 0 },
	{ "a short one in the middle", { 0, 1, 2, 3, 4, 5, -1 }, { BUF, BUF, 5, BUF, BUF, BUF }, 2,
	  { 2, 5 }, 0 },
	{ "a short one at the end", { 0, 1, 2, 3, 4, 5, -1 }, { BUF, BUF, BUF, BUF, BUF, 1 }, 1,
	  { 5 }, 0 },
	{ "all short", { 2, 1, 0, -1 }, { 1, 2, 3, 0, 0, 0 }, 3, { 0, 1, 2 }, 0 },
};

/* What the driver finds, walking as it must: an entry stands where the first chain of its batch
 * does. */
static unsigned int walk(struct peer *p, const int *ids, unsigned int *at, struct entry *out)
{
	unsigned int n = 0;

	while (peer_peek(p)) {
		struct entry *e = &out[n++];

		T_MUST(n <= N);
		peer_read_used(p, &e->id, &e->len);
		for (;; (*at)++) {
			T_MUST(*at < N);
			peer_step_used(p, p->count[ids[*at]]);
			if (ids[*at] == e->id)
				break;
		}
		(*at)++;
	}
	return n;
}

static void run_case(const struct order_case *v, bool packed)
{
	struct entry e[N] = { { 0, 0 } };
	struct vhk_chain *c[N];
	unsigned int i, n, at = 0;
	struct vhk_ring *r;
	int ids[N], k, before = t_bad;
	struct peer p;

	peer_init(&p, packed, 16, VHK_F_IN_ORDER);
	if (!packed)
		peer_start_at(&p, 65534);
	r = peer_ring(&p);
	for (i = 0; i < N; i++) {
		const struct peer_buf b[2] = { { PEER_GPA + 0x10000, 8, 0 },
					       { PEER_GPA + 0x20000, BUF, D_WRITE } };

		ids[i] = peer_add(&p, b + i % 2, 1);
		T_MUST(ids[i] >= 0);
	}
	T_EQ(vhk_ring_pop(r, c, N), N);
	for (k = 0; v->push[k] >= 0; k++) {
		struct vhk_chain *one = c[v->push[k]];

		one->written = one->in_len ? v->written[v->push[k]] : 0;
		vhk_ring_push(r, one);
	}
	vhk_ring_publish(r);
	n = walk(&p, ids, &at, e);
	T_EQ(vhk_ring_staged(r), v->left);
	T_EQ(vhk_ring_in_flight(r), N - (unsigned int)k);
	T_EQ(at, (unsigned int)k - v->left);
	for (i = 0; i < n; i++)
		T_OK(e[i].len <= BUF);
	vhk_ring_free(r);
	peer_fini(&p);
	if (t_bad != before)
		printf("# case \"%s\", %s\n", v->name, packed ? "packed" : "split");
}

/* All chains are writable here, so that the table's entries can be counted exactly. */
static void run_exact(const struct order_case *v, bool packed)
{
	const struct peer_buf b = { PEER_GPA + 0x20000, BUF, D_WRITE };
	struct entry e[N] = { { 0, 0 } };
	struct vhk_chain *c[N];
	unsigned int i, n, at = 0;
	int ids[N], k, before = t_bad;
	struct vhk_ring *r;
	struct peer p;

	peer_init(&p, packed, 7 + !packed, VHK_F_IN_ORDER);
	r = peer_ring(&p);
	for (i = 0; i < N; i++)
		ids[i] = peer_add(&p, &b, 1);
	T_EQ(vhk_ring_pop(r, c, N), N);
	for (k = 0; v->push[k] >= 0; k++) {
		c[v->push[k]]->written = v->written[v->push[k]];
		vhk_ring_push(r, c[v->push[k]]);
	}
	vhk_ring_publish(r);
	n = walk(&p, ids, &at, e);
	T_EQ(n, v->n_entries);
	for (i = 0; i < n && i < v->n_entries; i++) {
		T_EQ(e[i].id, ids[v->last[i]]);
		T_EQ(e[i].len, v->written[v->last[i]]);
	}
	/* The rest comes once the gap is closed. */
	for (i = 0; i < N; i++) {
		bool pushed = false;

		for (k = 0; v->push[k] >= 0; k++)
			pushed |= v->push[k] == (int)i;
		if (!pushed)
			vhk_ring_push(r, c[i]);
	}
	vhk_ring_publish(r);
	walk(&p, ids, &at, e);
	T_EQ(at, N);
	T_EQ(vhk_ring_staged(r), 0);
	T_EQ(vhk_ring_base(r) & 0x7fff, packed ? N : p.avail);
	vhk_ring_free(r);
	peer_fini(&p);
	if (t_bad != before)
		printf("# case \"%s\", %s\n", v->name, packed ? "packed" : "split");
}

static void mixed_chains(void)
{
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		run_case(&cases[i], false);
		run_case(&cases[i], true);
	}
}

static void one_entry_for_a_batch(void)
{
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		run_exact(&cases[i], false);
		run_exact(&cases[i], true);
	}
}

int main(void)
{
	T_RUN(mixed_chains);
	T_RUN(one_entry_for_a_batch);
	return t_end();
}
