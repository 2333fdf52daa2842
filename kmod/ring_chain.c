// SPDX-License-Identifier: GPL-2.0-only
/*
 * From descriptors to pieces of memory: ranges over several mappings, ranges in none, indirect
 * tables.
 */
#include <linux/kernel.h>
#include <linux/nospec.h>
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
void ring_walk_overflow(struct ring_walk *w)
{
	w->fault = true;
	w->at--;
	if (w->from > w->at)
		w->from = w->at;
}

int ring_walk_append_pieces(struct ring_walk *w, u64 iova, u32 left)
{
	/* So that no chain has more pieces to look for than fit in a length. */
	if (w->total > U32_MAX)
		return -EBADMSG;
	/* No memory is there that could be over the end of all addresses. */
	if (left && iova + left - 1 < iova) {
		w->fault = true;
		ring_walk_append(w, NULL, NULL, left);
		return 0;
	}
	while (left) {
		struct vhk_mapping *m = vhk_map_find(w->r->map, &w->r->hits, iova, w->write);
		u32 part = left;
		void *va = NULL;

		if (m) {
			part = min_t(u64, left - 1, m->last - iova) + 1;
			va = vhk_mapping_va(m, iova);
		}
		w->fault |= !m;
		ring_walk_append(w, m, va, part);
		iova += part;
		left -= part;
		/* Of what there is no room for, the last byte alone is looked for. */
		if (unlikely(left > 1 && w->at == w->r->seg_end)) {
			iova += left - 1;
			left = 1;
		}
	}
	return 0;
}

/* An entry of a table over the seam of two mappings, or at an odd address. */
static int table_read_pieces(struct vhk_ring *r, u64 iova, struct ring_raw *raw)
{
	unsigned int done = 0;

	while (done < sizeof(*raw)) {
		struct vhk_mapping *m = vhk_map_find(r->map, &r->hits, iova + done, false);
		unsigned int part;

		if (!m)
			return -EBADMSG;
		part = min_t(u64, sizeof(*raw) - done - 1, m->last - (iova + done)) + 1;
		memcpy((u8 *)raw + done, vhk_mapping_va(m, iova + done), part);
		done += part;
	}
	/* Only the copy counts from here on. */
	barrier();
	return 0;
}

/* An indirect table, and all of it where that lies in one piece. */
struct table {
	u64 iova;
	unsigned int n;
	const struct ring_raw *raw; /* NULL: it does not */
};

static struct table table_of(struct vhk_ring *r, u64 iova, u32 len)
{
	const struct vhk_mapping *m = vhk_map_find(r->map, &r->hits, iova, false);
	struct table t = { .iova = iova, .n = len / sizeof(struct ring_raw) };

	if (likely(m && !(iova % sizeof(u64))))
		t.raw = vhk_mapping_at(m, iova, len);
	return t;
}

static __always_inline int table_read(struct vhk_ring *r, const struct table *t, bool packed,
				      unsigned int i, struct ring_desc *d)
{
	struct ring_raw raw;

	if (likely(t->raw)) {
		ring_desc_read(packed, t->raw + i, d);
	} else {
		if (table_read_pieces(r, t->iova + i * sizeof(raw), &raw))
			return -EBADMSG;
		ring_desc_read(packed, &raw, d);
	}
	return unlikely(d->flags & DESC_INDIRECT) ? -EBADMSG : 0;
}

/* Entries follow one another, and only WRITE counts (virtio 1.3, 2.8.7). */
static __always_inline int walk_packed(struct ring_walk *w, const struct table *t)
{
	struct ring_desc d;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < t->n && !ret; i++) {
		ret = table_read(w->r, t, true, i, &d);
		if (!ret)
			ret = ring_walk_add(w, &d);
	}
	return ret;
}

static __always_inline int walk_split(struct ring_walk *w, const struct table *t)
{
	unsigned int i = 0, count;
	struct ring_desc d;
	int ret;

	for (count = 0; count < t->n; count++) {
		ret = table_read(w->r, t, false, i, &d);
		if (!ret)
			ret = ring_walk_add(w, &d);
		if (ret || !(d.flags & DESC_NEXT))
			return ret;
		if (d.next >= t->n)
			return -EBADMSG;
		i = array_index_nospec(d.next, t->n);
	}
	return -EBADMSG;
}

int ring_walk_table(struct ring_walk w, struct ring_desc d, struct vhk_chain *c, u16 id,
		    u16 n_desc)
{
	struct vhk_ring *r = w.r;
	struct table t;
	int ret;

	if (!r->indirect || !d.len || d.len % sizeof(struct ring_raw) ||
	    d.len / sizeof(struct ring_raw) > r->max_indirect || d.addr + d.len - 1 < d.addr)
		return -EBADMSG;
	t = table_of(r, d.addr, d.len);
	ret = r->packed ? walk_packed(&w, &t) : walk_split(&w, &t);
	return ret ? ret : ring_walk_end(&w, c, id, n_desc);
}
