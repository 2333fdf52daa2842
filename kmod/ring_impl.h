/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the ring share: descriptors, the walk along a chain, and access to the areas.
 */
#ifndef VHK_RING_IMPL_H
#define VHK_RING_IMPL_H

#include <linux/errno.h>
#include <linux/limits.h>

#include "ring.h"

#define DESC_NEXT 0x1
#define DESC_WRITE 0x2
#define DESC_INDIRECT 0x4
#define DESC_AVAIL 0x80
#define DESC_USED 0x8000

#define EVENT_ENABLE 0
#define EVENT_DISABLE 1
#define EVENT_DESC 2
#define EVENT_WRAP 0x8000

/* Two words as they lie in memory, so that a copy is two loads. */
struct ring_raw {
	__le64 addr;
	__le64 rest;
};

/* Our copy. The last two bytes of the layouts are @next and @flags, or @flags and @id. */
struct ring_desc {
	u64 addr;
	u32 len;
	u16 flags;
	u16 next;
};

/* Only copies of it are handed on, so that it lives in registers where nothing unusual happens. */
struct ring_walk {
	struct vhk_ring *r;
	struct vhk_seg *at; /* where the next piece goes */
	struct vhk_seg *from; /* the first piece of what is read, or of what is written */
	u64 total;
	u32 out_len;
	bool write; /* reading is over */
	bool fault;
};

static __always_inline void ring_desc_read(bool packed, const struct ring_raw *raw,
					   struct ring_desc *d)
{
	const u64 rest = le64_to_cpu(READ_ONCE(raw->rest));
	const u16 low = rest >> 32, high = rest >> 48;

	d->addr = le64_to_cpu(READ_ONCE(raw->addr));
	d->len = (u32)rest;
	d->flags = packed ? high : low;
	d->next = packed ? low : high;
}

void *ring_area_find(struct vhk_ring *r, struct vhk_area *a, u32 at, u32 len);

/* Where [at, at + len) of the area is; NULL: it is not mapped. */
static inline void *ring_at(struct vhk_ring *r, struct vhk_area *a, u32 at, u32 len)
{
	if (likely(at >= a->first && at + len <= a->end))
		return a->va + (at - a->first);
	return ring_area_find(r, a, at, len);
}

/* virtio 1.3, 2.7.7.1: the event lies among what was added since @old. */
static inline bool ring_need_event(u16 event, u16 idx, u16 old)
{
	return (u16)(idx - event - 1) < (u16)(idx - old);
}

static __always_inline struct ring_walk ring_walk_of(struct vhk_ring *r)
{
	return (struct ring_walk){ .r = r, .at = r->seg, .from = r->seg };
}

/* There is no room for another piece. */
void ring_walk_overflow(struct ring_walk *w);
/*
 * What lies over seams, or nowhere: looked for once for each piece that there is room for, and
 * twice behind those. -EBADMSG: the chain is too long.
 */
int ring_walk_append_pieces(struct ring_walk *w, u64 iova, u32 left);
/* Walks an indirect table, which ends the chain. */
int ring_walk_table(struct ring_walk w, struct ring_desc d, struct vhk_chain *c, u16 id,
		    u16 n_desc);

/* Bytes of a mapping, or of none. There are no more in all than a length can say. */
static __always_inline void ring_walk_append(struct ring_walk *w, struct vhk_mapping *m, void *va,
					     u32 len)
{
	struct vhk_seg *last = w->at - 1;

	if (w->at != w->from && last->va + last->len == va && m && last->m == m) {
		last->len += len;
		return;
	}
	if (unlikely(w->at == w->r->seg_end)) {
		struct ring_walk copy = *w;

		ring_walk_overflow(&copy);
		*w = copy;
	}
	*w->at++ = (struct vhk_seg){ va, m, len };
}

static __always_inline int ring_walk_add(struct ring_walk *w, const struct ring_desc *d)
{
	const bool write = d->flags & DESC_WRITE;
	struct vhk_mapping *m;
	void *va;

	if (write != w->write) {
		if (unlikely(!write))
			return -EBADMSG;
		/* What is written starts a piece of its own. */
		w->write = true;
		w->from = w->at;
		w->out_len = w->total;
	}
	w->total += d->len;
	m = vhk_hits_guess(&w->r->hits, d->addr, write);
	va = vhk_mapping_at(m, d->addr, d->len);
	if (unlikely(!va)) {
		struct ring_walk copy = *w;
		const int ret = ring_walk_append_pieces(&copy, d->addr, d->len);

		*w = copy;
		return ret;
	}
	ring_walk_append(w, m, va, d->len);
	return 0;
}

static __always_inline int ring_walk_end(const struct ring_walk *w, struct vhk_chain *c, u16 id,
					 u16 n_desc)
{
	const struct vhk_seg *in = w->write ? w->from : w->at;

	if (unlikely(w->total > U32_MAX))
		return -EBADMSG;
	c->id = id;
	c->n_desc = n_desc;
	c->n_out = in - w->r->seg;
	c->n_in = w->at - in;
	c->out_len = w->write ? w->out_len : w->total;
	c->in_len = w->total - c->out_len;
	c->fault = w->fault;
	c->seg = w->r->seg;
	w->r->busy[id] = 1;
	return 0;
}

int ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o);
void ring_split_unpop(struct vhk_ring *r);
int ring_split_publish(struct vhk_ring *r);
int ring_split_arm(struct vhk_ring *r);
int ring_split_quiet(struct vhk_ring *r);

int ring_packed_start(struct vhk_ring *r, const struct vhk_ring_opts *o);
void ring_packed_unpop(struct vhk_ring *r, u16 n_desc);
int ring_packed_publish(struct vhk_ring *r);
int ring_packed_arm(struct vhk_ring *r);
int ring_packed_quiet(struct vhk_ring *r);

#endif
