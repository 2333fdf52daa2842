// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A bounded cache of translations as its owner sees it: each change makes the next snapshot. A
 * change that fails leaves the cache as it was.
 */
#include "base.h"
#include "iotlb_table.h"

#define FLAGS_ALL (VHK_IOTLB_F_EVICT | VHK_IOTLB_F_NO_OVERLAP)

struct vhk_iotlb {
	struct vhk_iotlb_table *table;
	struct vhk_iotlb_table *none; /* kept ready: forgetting everything cannot fail */
	const struct vhk_iotlb_range *hit;
	uint32_t limit;
	uint32_t flags;
	uint64_t cursor; /* where the next one to be forgotten is looked for */
};

int vhk_iotlb_new(struct vhk_iotlb **out, const struct vhk_iotlb_opts *in)
{
	struct vhk_iotlb_opts o;
	struct vhk_iotlb *t;
	int ret = vhk_opts_read(&o, sizeof(o), in);

	*out = NULL;
	if (!ret && o.flags & ~(uint32_t)FLAGS_ALL)
		ret = -EOPNOTSUPP;
	if (ret)
		return ret;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->limit = o.limit ? o.limit : VHK_IOTLB_LIMIT;
	t->flags = o.flags;
	t->none = vhk_iotlb_table_empty();
	if (!t->none) {
		free(t);
		return -ENOMEM;
	}
	t->table = vhk_iotlb_table_get(t->none);
	*out = t;
	return 0;
}

void vhk_iotlb_free(struct vhk_iotlb *t)
{
	if (!t)
		return;
	vhk_iotlb_table_put(t->table);
	vhk_iotlb_table_put(t->none);
	free(t);
}

struct vhk_iotlb_table *vhk_iotlb_table(const struct vhk_iotlb *t)
{
	return vhk_iotlb_table_get(t->table);
}

static void swap(struct vhk_iotlb *t, struct vhk_iotlb_table *next)
{
	vhk_iotlb_table_put(t->table);
	t->table = next;
	t->hit = NULL;
}

static int change(struct vhk_iotlb *t, const struct vhk_iotlb_change *c)
{
	struct vhk_iotlb_table *next;
	int ret = vhk_iotlb_table_with(&next, t->table, c, t->limit);

	if (!ret)
		swap(t, next);
	return ret;
}

static bool apart(const struct vhk_iotlb_range *r, const struct vhk_iotlb_range *from)
{
	return r->last < from->first || r->first > from->last;
}

/* The next one behind the cursor, that does not overlap @keep. */
static const struct vhk_iotlb_range *victim(const struct vhk_iotlb *t,
					    const struct vhk_iotlb_range *keep)
{
	const struct vhk_iotlb_range *r;
	uint64_t from = t->cursor;
	unsigned int i;

	/* What overlaps @keep can be met before and after the wrap. */
	for (i = 0; i < t->table->count + 2; i++, from = r ? r->last + 1 : 0) {
		r = vhk_iotlb_table_next(t->table, from);
		if (r && apart(r, keep))
			return r;
	}
	return NULL;
}

/* -EMSGSIZE: there is no other. */
static int evict(struct vhk_iotlb *t, const struct vhk_iotlb_range *keep)
{
	const struct vhk_iotlb_range *r = victim(t, keep);
	struct vhk_iotlb_change c = { 0 };

	if (!r)
		return -EMSGSIZE;
	c.first = r->first;
	c.last = r->last;
	t->cursor = r->last + 1;
	return change(t, &c);
}

static int add_range(struct vhk_iotlb *t, const struct vhk_iotlb_range *r)
{
	struct vhk_iotlb_change c = { .first = r->first, .last = r->last, .add = r };
	int ret;

	for (;;) {
		ret = change(t, &c);
		if (ret != -EMSGSIZE || !(t->flags & VHK_IOTLB_F_EVICT))
			return ret;
		ret = evict(t, r);
		if (ret == -EMSGSIZE && !c.whole)
			c.whole = true;
		else if (ret)
			return ret;
	}
}

static bool overlaps(const struct vhk_iotlb *t, const struct vhk_iotlb_range *r)
{
	const struct vhk_iotlb_range *next = vhk_iotlb_table_next(t->table, r->first);

	return next && next->first <= r->last;
}

int vhk_iotlb_add(struct vhk_iotlb *t, const struct vhk_iotlb_entry *e)
{
	struct vhk_iotlb_range r = {
		.first = e->iova.v,
		.last = e->iova.v + (e->size - 1),
		.uva = e->uva.v,
		.perm = e->perm,
	};

	if (!e->size || !vhk_range_ok(e->iova.v, e->size) || !vhk_range_ok(e->uva.v, e->size) ||
	    !e->perm || e->perm > VHK_IOTLB_PERM_RW)
		return -EINVAL;
	if (t->flags & VHK_IOTLB_F_NO_OVERLAP && overlaps(t, &r))
		return -EEXIST;
	return add_range(t, &r);
}

int vhk_iotlb_del(struct vhk_iotlb *t, struct vhk_iova iova, uint64_t size)
{
	struct vhk_iotlb_change c = { .first = iova.v };
	struct vhk_iotlb_range r = { .first = iova.v };
	int ret;

	if (!size)
		return -EINVAL;
	c.last = r.last = vhk_range_ok(iova.v, size) ? iova.v + (size - 1) : UINT64_MAX;
	if (!overlaps(t, &r))
		return 0;
	ret = change(t, &c);
	if (ret == -EMSGSIZE && t->flags & VHK_IOTLB_F_EVICT) {
		c.drop_above = true;
		ret = change(t, &c);
	}
	return ret;
}

void vhk_iotlb_clear(struct vhk_iotlb *t)
{
	swap(t, vhk_iotlb_table_get(t->none));
}

unsigned int vhk_iotlb_count(const struct vhk_iotlb *t)
{
	return t->table->count;
}

static const struct vhk_iotlb_range *range_at(struct vhk_iotlb *t, uint64_t at)
{
	const struct vhk_iotlb_range *r = t->hit;

	if (r && r->first <= at && at <= r->last)
		return r;
	r = vhk_iotlb_table_at(t->table, at);
	if (r)
		t->hit = r;
	return r;
}

static int fail(int err, struct vhk_iova *at, uint64_t v)
{
	if (at)
		at->v = v;
	return err;
}

int vhk_iotlb_find(struct vhk_iotlb *t, struct vhk_iova iova, uint64_t len, uint8_t perm,
		   struct vhk_iotlb_seg *seg, int max, struct vhk_iova *at)
{
	const struct vhk_iotlb_range *r;
	uint64_t from = iova.v, part;
	int n = 0;

	if (!vhk_range_ok(from, len))
		return fail(-EFAULT, at, from);
	for (; len; from += part, len -= part) {
		r = range_at(t, from);
		if (!r)
			return fail(-EFAULT, at, from);
		if (perm & ~r->perm)
			return fail(-EACCES, at, from);
		if (n >= max)
			return -ENOBUFS;
		part = vhk_min(len - 1, r->last - from) + 1;
		seg[n++] = (struct vhk_iotlb_seg){ { r->uva + (from - r->first) }, part };
	}
	return n;
}

int vhk_iotlb_next(const struct vhk_iotlb *t, struct vhk_iova from, struct vhk_iotlb_entry *e)
{
	const struct vhk_iotlb_range *r = vhk_iotlb_table_next(t->table, from.v);

	if (!r)
		return 0;
	*e = (struct vhk_iotlb_entry){
		.iova = { r->first },
		.size = r->last - r->first + 1,
		.uva = { r->uva },
		.perm = r->perm,
	};
	return 1;
}
