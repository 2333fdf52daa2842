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

/* A chain of more pieces than there is room for has a fault, and keeps its last piece. */
static void append(struct ring_walk *w, struct vhk_mapping *m, void *va, u32 len)
{
	/* What is written starts a piece of its own. */
	if (va && w->n > (w->writing ? w->n_out : 0)) {
		struct vhk_seg *last = &w->seg[w->n - 1];

		if (last->m == m && last->va + last->len == va && last->len <= U32_MAX - len) {
			last->len += len;
			return;
		}
	}
	if (unlikely(w->n == w->r->max_segs)) {
		w->fault = true;
		w->n--;
		if (w->writing && w->n_out > w->n)
			w->n_out = w->n;
	}
	w->fault |= !va;
	w->seg[w->n++] = (struct vhk_seg){ va, m, len };
}

static struct vhk_mapping *find(const struct ring_walk *w, u64 iova)
{
	return vhk_map_find(w->r->map, &w->r->hits[(iova >> 12) % VHK_RING_HITS], iova,
			    w->writing ? VHK_MAY_WRITE : VHK_MAY_READ);
}

/* What lies over seams, or nowhere. */
static void append_pieces(struct ring_walk *w, u64 iova, u32 left)
{
	/* No memory is there that could be over the end of all addresses. */
	if (left && iova + left - 1 < iova) {
		append(w, NULL, NULL, left);
		return;
	}
	while (left) {
		struct vhk_mapping *m = find(w, iova);
		u32 part = left;
		void *va = NULL;

		if (m) {
			part = min_t(u64, left - 1, m->last - iova) + 1;
			va = m->va + (iova - m->first);
		}
		append(w, m, va, part);
		iova += part;
		left -= part;
	}
}

int ring_walk_add(struct ring_walk *w, const struct ring_desc *d)
{
	struct vhk_mapping *m;

	if (d->flags & DESC_WRITE) {
		if (!w->writing) {
			w->writing = true;
			w->n_out = w->n;
			w->out_len = w->total;
		}
	} else if (w->writing) {
		return -EBADMSG;
	}
	w->total += d->len;
	if (w->total > U32_MAX)
		return -EBADMSG;
	m = find(w, d->addr);
	if (likely(m && d->len && d->len - 1 <= m->last - d->addr))
		append(w, m, m->va + (d->addr - m->first), d->len);
	else
		append_pieces(w, d->addr, d->len);
	return 0;
}

/* An entry of a table; it can lie over the seam of two mappings, at any alignment. */
static int table_read(struct ring_walk *w, u64 iova, struct ring_desc *d)
{
	struct vhk_ring *r = w->r;
	struct vhk_mapping *m = vhk_map_find(r->map, &r->table_hit, iova, VHK_MAY_READ);
	struct ring_raw raw;
	unsigned int done = 0;

	if (likely(m && !(iova % sizeof(u64)) && sizeof(raw) - 1 <= m->last - iova)) {
		ring_desc_read(r, m->va + (iova - m->first), d);
		return 0;
	}
	while (done < sizeof(raw)) {
		unsigned int part;

		m = vhk_map_find(r->map, &r->table_hit, iova + done, VHK_MAY_READ);
		if (!m)
			return -EBADMSG;
		part = min_t(u64, sizeof(raw) - done - 1, m->last - (iova + done)) + 1;
		memcpy((u8 *)&raw + done, m->va + (iova + done - m->first), part);
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
