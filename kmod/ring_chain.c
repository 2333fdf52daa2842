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

struct vhk_seg ring_no_seg;

/* A chain of more pieces than there is room for has a fault, and keeps its last piece. */
void ring_walk_overflow(struct ring_walk *w)
{
	w->fault = true;
	w->at--;
	if (w->in > w->at)
		w->in = w->at;
}

/* What lies over seams, or nowhere. */
void ring_walk_append_pieces(struct ring_walk *w, u64 iova, u32 left)
{
	/* No memory is there that could be over the end of all addresses. */
	if (left && iova + left - 1 < iova) {
		w->fault = true;
		ring_walk_append(w, NULL, NULL, left);
		return;
	}
	while (left) {
		struct vhk_mapping *m = ring_walk_find(w, iova);
		u32 part = left;
		void *va = NULL;

		if (m) {
			part = min_t(u64, left - 1, m->last - iova) + 1;
			va = m->va + (iova - m->first);
		}
		w->fault |= !m;
		ring_walk_append(w, m, va, part);
		iova += part;
		left -= part;
	}
}

/* An entry of a table over the seam of two mappings, or at an odd address. */
static int table_read_pieces(struct vhk_ring *r, u64 iova, struct ring_raw *raw)
{
	unsigned int done = 0;

	while (done < sizeof(*raw)) {
		struct vhk_mapping *m = vhk_map_find(r->map, &r->table_hit, iova + done,
						     VHK_MAY_READ);
		unsigned int part;

		if (!m)
			return -EBADMSG;
		part = min_t(u64, sizeof(*raw) - done - 1, m->last - (iova + done)) + 1;
		memcpy((u8 *)raw + done, m->va + (iova + done - m->first), part);
		done += part;
	}
	/* Only the copy counts from here on. */
	barrier();
	return 0;
}

static inline int table_read(struct ring_walk *w, bool packed, u64 iova, struct ring_desc *d)
{
	struct vhk_ring *r = w->r;
	struct vhk_mapping *m = vhk_map_find(r->map, &r->table_hit, iova, VHK_MAY_READ);
	struct ring_raw raw;

	if (likely(m && !(iova % sizeof(u64)) && sizeof(raw) - 1 <= m->last - iova))
		ring_desc_read(packed, m->va + (iova - m->first), d);
	else if (table_read_pieces(r, iova, &raw))
		return -EBADMSG;
	else
		ring_desc_read(packed, &raw, d);
	return d->flags & DESC_INDIRECT ? -EBADMSG : 0;
}

/* Entries follow one another, and only WRITE counts (virtio 1.3, 2.8.7). */
static int walk_packed(struct ring_walk *w, u64 iova, unsigned int n)
{
	struct ring_desc d;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		ret = table_read(w, true, iova + i * sizeof(struct ring_raw), &d);
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
		ret = table_read(w, false, iova + i * sizeof(struct ring_raw), &d);
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
