// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Snapshots of an IOTLB: how they are made from one another, counted and searched. An edit replaces
 * the leaves that it touches by one to three others; all other leaves are shared.
 */
#include "base.h"
#include "iotlb_table.h"

/* A leaf below this joins a neighbour where both fit one: of two neighbours, one is not small. */
#define LEAF_SMALL (VHK_IOTLB_LEAF_MAX / 4)

static void leaf_put(struct vhk_iotlb_leaf *leaf)
{
	if (atomic_fetch_sub_explicit(&leaf->refs, 1, memory_order_acq_rel) == 1)
		free(leaf);
}

static struct vhk_iotlb_leaf *leaf_new(const struct vhk_iotlb_range *range, unsigned int n)
{
	struct vhk_iotlb_leaf *leaf = malloc(sizeof(*leaf) + n * sizeof(*range));

	if (!leaf)
		return NULL;
	atomic_init(&leaf->refs, 1);
	leaf->n = n;
	memcpy(leaf->range, range, n * sizeof(*range));
	return leaf;
}

static struct vhk_iotlb_table *table_alloc(unsigned int n)
{
	struct vhk_iotlb_table *t = malloc(sizeof(*t) + n * sizeof(t->branch[0]));

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	t->n = n;
	t->count = 0;
	return t;
}

struct vhk_iotlb_table *vhk_iotlb_table_empty(void)
{
	return table_alloc(0);
}

struct vhk_iotlb_table *vhk_iotlb_table_get(struct vhk_iotlb_table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void vhk_iotlb_table_put(struct vhk_iotlb_table *t)
{
	unsigned int i;

	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (i = 0; i < t->n; i++)
		leaf_put(t->branch[i].leaf);
	free(t);
}

/* The last leaf that starts at or below @at, or the first; there is one. */
static unsigned int find_branch(const struct vhk_iotlb_table *t, uint64_t at)
{
	const struct vhk_iotlb_branch *b = t->branch;
	unsigned int n = t->n, half;

	for (; n > 1; n -= half) {
		half = n / 2;
		b = b[half].first <= at ? b + half : b;
	}
	return (unsigned int)(b - t->branch);
}

/* The last range that starts at or below @at, or the first. */
static const struct vhk_iotlb_range *find_range(const struct vhk_iotlb_leaf *leaf, uint64_t at)
{
	const struct vhk_iotlb_range *r = leaf->range;
	unsigned int n = leaf->n, half;

	for (; n > 1; n -= half) {
		half = n / 2;
		r = r[half].first <= at ? r + half : r;
	}
	return r;
}

const struct vhk_iotlb_range *vhk_iotlb_table_at(const struct vhk_iotlb_table *t, uint64_t at)
{
	const struct vhk_iotlb_range *r;

	if (!t->n)
		return NULL;
	r = find_range(t->branch[find_branch(t, at)].leaf, at);
	return r->first <= at && at <= r->last ? r : NULL;
}

const struct vhk_iotlb_range *vhk_iotlb_table_next(const struct vhk_iotlb_table *t, uint64_t from)
{
	const struct vhk_iotlb_range *r;
	const struct vhk_iotlb_leaf *leaf;
	unsigned int i;

	if (!t->n)
		return NULL;
	i = find_branch(t, from);
	leaf = t->branch[i].leaf;
	r = find_range(leaf, from);
	if (r->last >= from)
		return r;
	if (r + 1 < leaf->range + leaf->n)
		return r + 1;
	return i + 1 < t->n ? t->branch[i + 1].leaf->range : NULL;
}

/* What takes the place of leaves [lo, hi] of a table. */
struct edit {
	unsigned int lo, hi;
	unsigned int n;
	struct vhk_iotlb_range range[2 * VHK_IOTLB_LEAF_MAX + 3];
};

static bool continues(const struct vhk_iotlb_range *a, const struct vhk_iotlb_range *b)
{
	return a->last + 1 == b->first && a->uva + (b->first - a->first) == b->uva &&
	       a->uva < b->uva && a->perm == b->perm;
}

static void push(struct edit *e, struct vhk_iotlb_range r)
{
	if (e->n && continues(&e->range[e->n - 1], &r))
		e->range[e->n - 1].last = r.last;
	else
		e->range[e->n++] = r;
}

/* Where @r sticks out of [first, last] below and above. */
static void push_rest_below(struct edit *e, struct vhk_iotlb_range r, uint64_t first)
{
	if (r.first >= first)
		return;
	r.last = vhk_min(r.last, first - 1);
	push(e, r);
}

static void push_rest_above(struct edit *e, struct vhk_iotlb_range r, uint64_t last)
{
	if (r.last <= last)
		return;
	if (r.first <= last) {
		r.uva += last + 1 - r.first;
		r.first = last + 1;
	}
	push(e, r);
}

/* The leaves between lo and hi lie inside of the range whole. */
static void edit_fill(struct edit *e, const struct vhk_iotlb_table *t,
		      const struct vhk_iotlb_change *c)
{
	const struct vhk_iotlb_leaf *lo = t->branch[e->lo].leaf, *hi = t->branch[e->hi].leaf;
	unsigned int i;

	for (i = 0; i < lo->n && lo->range[i].first < c->first; i++)
		if (!c->whole || lo->range[i].last < c->first)
			push_rest_below(e, lo->range[i], c->first);
	if (c->add)
		push(e, *c->add);
	for (i = 0; i < hi->n; i++)
		if (!(c->whole || c->drop_above) || hi->range[i].first > c->last)
			push_rest_above(e, hi->range[i], c->last);
}

static void join_neighbour(struct edit *e, const struct vhk_iotlb_table *t)
{
	const struct vhk_iotlb_leaf *leaf;

	if (!e->n || e->n >= LEAF_SMALL)
		return;
	if (e->hi + 1 < t->n && t->branch[e->hi + 1].leaf->n + e->n <= VHK_IOTLB_LEAF_MAX) {
		leaf = t->branch[++e->hi].leaf;
		memcpy(e->range + e->n, leaf->range, leaf->n * sizeof(leaf->range[0]));
		e->n += leaf->n;
	} else if (e->lo && t->branch[e->lo - 1].leaf->n + e->n <= VHK_IOTLB_LEAF_MAX) {
		leaf = t->branch[--e->lo].leaf;
		memmove(e->range + leaf->n, e->range, e->n * sizeof(leaf->range[0]));
		memcpy(e->range, leaf->range, leaf->n * sizeof(leaf->range[0]));
		e->n += leaf->n;
	}
}

/* The leaves that @c touches, and those that it may continue. */
static void edit_begin(struct edit *e, const struct vhk_iotlb_table *t,
		       const struct vhk_iotlb_change *c)
{
	e->lo = e->hi = e->n = 0;
	if (!t->n) {
		if (c->add)
			push(e, *c->add);
		return;
	}
	e->lo = find_branch(t, c->first ? c->first - 1 : 0);
	e->hi = find_branch(t, c->last == UINT64_MAX ? UINT64_MAX : c->last + 1);
	edit_fill(e, t, c);
}

static unsigned int replaced(const struct edit *e, const struct vhk_iotlb_table *t)
{
	return t->n ? e->hi - e->lo + 1 : 0;
}

static unsigned int edit_count(const struct edit *e, const struct vhk_iotlb_table *t)
{
	unsigned int i, n = t->count + e->n;

	for (i = 0; i < replaced(e, t); i++)
		n -= t->branch[e->lo + i].leaf->n;
	return n;
}

/* Cuts the edit into @k leaves, evenly. */
static int make_leaves(struct vhk_iotlb_branch *out, const struct edit *e, unsigned int k)
{
	unsigned int i, from = 0, to;

	for (i = 0; i < k; i++, from = to) {
		to = e->n * (i + 1) / k;
		out[i].first = e->range[from].first;
		out[i].leaf = leaf_new(e->range + from, to - from);
		if (!out[i].leaf)
			goto err;
	}
	return 0;
err:
	while (i--)
		leaf_put(out[i].leaf);
	return -ENOMEM;
}

static void share_leaves(struct vhk_iotlb_branch *to, const struct vhk_iotlb_branch *from,
			 unsigned int n)
{
	unsigned int i;

	memcpy(to, from, n * sizeof(*to));
	for (i = 0; i < n; i++)
		atomic_fetch_add_explicit(&to[i].leaf->refs, 1, memory_order_relaxed);
}

static struct vhk_iotlb_table *edit_apply(const struct edit *e, const struct vhk_iotlb_table *t)
{
	const unsigned int k = (e->n + VHK_IOTLB_LEAF_MAX - 1) / VHK_IOTLB_LEAF_MAX;
	const unsigned int gone = replaced(e, t), below = e->lo;
	struct vhk_iotlb_table *out = table_alloc(t->n - gone + k);

	if (!out)
		return NULL;
	if (make_leaves(out->branch + below, e, k)) {
		free(out);
		return NULL;
	}
	share_leaves(out->branch, t->branch, below);
	share_leaves(out->branch + below + k, t->branch + below + gone, t->n - below - gone);
	out->count = edit_count(e, t);
	return out;
}

int vhk_iotlb_table_with(struct vhk_iotlb_table **out, const struct vhk_iotlb_table *t,
			 const struct vhk_iotlb_change *c, unsigned int limit)
{
	struct edit e;

	edit_begin(&e, t, c);
	if (edit_count(&e, t) > limit)
		return -EMSGSIZE;
	join_neighbour(&e, t);
	*out = edit_apply(&e, t);
	return *out ? 0 : -ENOMEM;
}
