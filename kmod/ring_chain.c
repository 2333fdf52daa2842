// SPDX-License-Identifier: GPL-2.0-only
/*
 * From descriptors to pieces of memory: ranges over several mappings, ranges in none, indirect
 * tables.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "ring_impl.h"

bool vhk_chain_read(const struct vhk_chain *c, u32 at, void *to, u32 len)
{
	unsigned int i;

	for (i = 0; i < c->n_out && len; i++) {
		const struct vhk_seg *s = &c->seg[i];
		u32 part;

		if (at >= s->len) {
			at -= s->len;
			continue;
		}
		if (!s->va)
			return false;
		part = min_t(u32, len, s->len - at);
		memcpy(to, s->va + at, part);
		to += part;
		len -= part;
		at = 0;
	}
	return !len;
}

void ring_walk_begin(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c)
{
	*w = (struct ring_walk){ .r = r, .c = c };
	*c = (struct vhk_chain){ .seg = r->seg, .held = r->held };
}

void ring_walk_abort(struct ring_walk *w)
{
	while (w->c->n_held)
		vhk_mapping_put(w->r->held[--w->c->n_held]);
}

/* One reference for each run of pieces in the same mapping. There are as many places as pieces. */
static bool keep(struct ring_walk *w, struct vhk_mapping *m)
{
	struct vhk_chain *c = w->c;

	if (w->r->by_rcu)
		return true;
	if ((c->n_held && w->r->held[c->n_held - 1] == m) || c->n_held == w->r->max_segs) {
		const bool same = w->r->held[c->n_held - 1] == m;

		vhk_mapping_put(m);
		return same;
	}
	w->r->held[c->n_held++] = m;
	return true;
}

static bool joins(const struct ring_walk *w, const struct vhk_seg *last, void *va, u32 len)
{
	/* What is written starts a piece of its own. */
	return w->n > (w->writing ? w->c->n_out : 0) && va && last->va &&
	       last->va + last->len == va && last->len <= U32_MAX - len;
}

/* A chain of more pieces than there is room for has a fault, and keeps its last piece. */
static void append(struct ring_walk *w, void *va, u32 len)
{
	struct vhk_seg *seg = w->r->seg;

	if (w->n && joins(w, &seg[w->n - 1], va, len)) {
		seg[w->n - 1].len += len;
		return;
	}
	if (w->n == w->r->max_segs) {
		w->c->fault = true;
		w->n--;
		if (w->writing && w->c->n_out > w->n)
			w->c->n_out = w->n;
	}
	w->c->fault |= !va;
	seg[w->n++] = (struct vhk_seg){ va, len };
}

static struct vhk_hit *hit_of(struct vhk_ring *r, u64 iova)
{
	return &r->hits[(iova >> 12) % VHK_RING_HITS];
}

int ring_walk_add(struct ring_walk *w, const struct ring_desc *d)
{
	const u32 perm = d->flags & DESC_WRITE ? VHK_MAY_WRITE : VHK_MAY_READ;
	u64 iova = d->addr;
	u32 left = d->len;

	if (d->flags & DESC_WRITE) {
		if (!w->writing) {
			w->writing = true;
			w->c->n_out = w->n;
			w->c->out_len = w->total;
		}
	} else if (w->writing) {
		return -EBADMSG;
	}
	w->total += left;
	if (w->total > U32_MAX)
		return -EBADMSG;
	/* No memory is there that could be over the end of all addresses. */
	if (left && iova + left - 1 < iova) {
		append(w, NULL, left);
		return 0;
	}
	while (left) {
		struct vhk_mapping *m = ring_map_get(w->r, hit_of(w->r, iova), iova, perm);
		u32 part = left;
		void *va = NULL;

		if (m) {
			part = min_t(u64, left - 1, m->last - iova) + 1;
			va = m->va + (iova - m->first);
			if (!keep(w, m))
				va = NULL;
		}
		append(w, va, part);
		iova += part;
		left -= part;
	}
	return 0;
}

int ring_walk_end(struct ring_walk *w, u16 id, u16 n_desc)
{
	struct vhk_chain *c = w->c;

	if (!w->writing) {
		c->n_out = w->n;
		c->out_len = w->total;
	}
	c->id = id;
	c->n_desc = n_desc;
	c->n_in = w->n - c->n_out;
	c->in_len = w->total - c->out_len;
	w->r->busy[id] = 1;
	return 0;
}

/* An entry of a table; it can lie over the seam of two mappings, at any alignment. */
static int table_read(struct ring_walk *w, u64 iova, struct ring_desc *d)
{
	struct vhk_ring *r = w->r;
	struct ring_raw raw;
	unsigned int done = 0;

	while (done < sizeof(raw)) {
		struct vhk_mapping *m = ring_map_get(r, &r->table_hit, iova + done,
						     VHK_MAY_READ);
		unsigned int part;

		if (!m)
			return -EBADMSG;
		part = min_t(u64, sizeof(raw) - done - 1, m->last - (iova + done)) + 1;
		memcpy((u8 *)&raw + done, m->va + (iova + done - m->first), part);
		ring_map_put(r, m);
		done += part;
	}
	/* Only the copy counts from here on. */
	barrier();
	ring_desc_read(r, &raw, d);
	return 0;
}

/* Entries follow one another, and only WRITE counts (virtio 1.3, 2.8.7). */
static int walk_packed(struct ring_walk *w, u64 iova, unsigned int n)
{
	struct ring_desc d;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		ret = table_read(w, iova + i * sizeof(struct ring_raw), &d);
		if (!ret && d.flags & DESC_INDIRECT)
			ret = -EBADMSG;
		if (!ret)
			ret = ring_walk_add(w, &d);
	}
	return ret;
}

static int walk_split(struct ring_walk *w, u64 iova, unsigned int n)
{
	unsigned int i = 0, count;
	struct ring_desc d;
	int ret;

	for (count = 0; count < n; count++) {
		ret = table_read(w, iova + i * sizeof(struct ring_raw), &d);
		if (!ret && d.flags & DESC_INDIRECT)
			ret = -EBADMSG;
		if (!ret)
			ret = ring_walk_add(w, &d);
		if (ret || !(d.flags & DESC_NEXT))
			return ret;
		i = d.next;
		if (i >= n)
			return -EBADMSG;
	}
	return -EBADMSG;
}

int ring_walk_table(struct ring_walk *w, const struct ring_desc *d)
{
	const unsigned int n = d->len / sizeof(struct ring_raw);

	if (!w->r->indirect || !n || d->len % sizeof(struct ring_raw) ||
	    n > w->r->max_indirect || d->addr + d->len - 1 < d->addr)
		return -EBADMSG;
	return w->r->packed ? walk_packed(w, d->addr, n) : walk_split(w, d->addr, n);
}
