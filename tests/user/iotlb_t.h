/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A naive model of a cache of translations: an array with a cell for each unit of two stretches of
 * addresses, one from 0 on and one up to 2^64 - 1.
 */
#ifndef VHK_TESTS_IOTLB_T_H
#define VHK_TESTS_IOTLB_T_H

#include <stdlib.h>

#include "base.h"
#include "iotlb_table.h"

#define T_UNIT 16ull
#define T_HALF 256u
#define T_CELLS (2 * T_HALF)

struct t_cell {
	uint64_t uva;
	uint8_t perm; /* 0: no translation */
};

struct t_model {
	struct t_cell cell[T_CELLS];
};

static inline uint64_t t_address(unsigned int i)
{
	return i < T_HALF ? i * T_UNIT : 0 - (T_CELLS - i) * T_UNIT;
}

/* xorshift; *seed is not 0. */
static inline uint64_t t_rand(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 16;
}

/* The entry for @n cells from @i on. */
static inline struct vhk_iotlb_entry t_entry(unsigned int i, unsigned int n, uint64_t uva,
					     uint8_t perm)
{
	return (struct vhk_iotlb_entry){ { t_address(i) }, n * T_UNIT, { uva }, perm };
}

static inline void t_model_set(struct t_model *m, unsigned int i, unsigned int n, uint64_t uva,
			       uint8_t perm)
{
	unsigned int k;

	for (k = 0; k < n; k++)
		m->cell[i + k] = (struct t_cell){ uva + k * T_UNIT, perm };
}

static inline bool t_model_continues(const struct t_model *m, unsigned int i)
{
	return i && i != T_HALF && m->cell[i].perm == m->cell[i - 1].perm &&
	       m->cell[i].uva == m->cell[i - 1].uva + T_UNIT && m->cell[i].uva;
}

static inline unsigned int t_model_count(const struct t_model *m)
{
	unsigned int i, n = 0;

	for (i = 0; i < T_CELLS; i++)
		n += m->cell[i].perm && !t_model_continues(m, i);
	return n;
}

/* -EFAULT or -EACCES and where, or the bytes that can be translated. */
static inline int t_model_find(const struct t_model *m, unsigned int i, unsigned int n,
			       uint8_t perm, uint64_t *at)
{
	for (; n; i++, n--) {
		*at = t_address(i);
		if (!m->cell[i].perm)
			return -EFAULT;
		if (perm & ~m->cell[i].perm)
			return -EACCES;
	}
	return 0;
}

/* Whether @seg is what the model has from cell @i on. */
static inline bool t_model_holds(const struct t_model *m, unsigned int i,
				 const struct vhk_iotlb_seg *seg, int n_segs, uint64_t len)
{
	uint64_t off;
	int s;

	for (s = 0; s < n_segs; s++)
		for (off = 0; off < seg[s].len; off += T_UNIT, i++, len -= T_UNIT)
			if (!len || m->cell[i].uva != seg[s].uva.v + off)
				return false;
	return !len;
}

/* What the structure promises of itself: sorted, nothing empty, no two small leaves side by side,
 * as many as it says. */
static inline bool t_table_sound(const struct vhk_iotlb_table *t)
{
	const struct vhk_iotlb_range *r, *before = NULL;
	unsigned int i, k, count = 0;

	for (i = 0; i < t->n; i++) {
		const struct vhk_iotlb_leaf *leaf = t->branch[i].leaf;

		if (!leaf->n || leaf->n > VHK_IOTLB_LEAF_MAX ||
		    t->branch[i].first != leaf->range[0].first)
			return false;
		if (i && leaf->n + t->branch[i - 1].leaf->n < VHK_IOTLB_LEAF_MAX / 2)
			return false;
		for (k = 0; k < leaf->n; k++, before = r) {
			r = &leaf->range[k];
			if (r->first > r->last || !r->perm || (before && before->last >= r->first))
				return false;
		}
		count += leaf->n;
	}
	return count == t->count;
}

static inline bool t_iotlb_sound(const struct vhk_iotlb *t)
{
	struct vhk_iotlb_table *table = vhk_iotlb_table(t);
	bool ok = t_table_sound(table);

	vhk_iotlb_table_put(table);
	return ok;
}

#endif
