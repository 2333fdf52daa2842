/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the ring share: descriptors, the walk along a chain, and access to the areas.
 */
#ifndef VHK_RING_IMPL_H
#define VHK_RING_IMPL_H

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

struct ring_walk {
	struct vhk_ring *r;
	struct vhk_seg *seg;
	unsigned int n; /* pieces so far */
	unsigned int n_out; /* of them, and bytes, before the first that is written */
	u32 out_len;
	bool writing;
	bool fault;
	u64 total;
};

static inline void ring_desc_read(const struct vhk_ring *r, const struct ring_raw *raw,
				  struct ring_desc *d)
{
	const u64 rest = le64_to_cpu(READ_ONCE(raw->rest));
	const u16 low = rest >> 32, high = rest >> 48;

	d->addr = le64_to_cpu(READ_ONCE(raw->addr));
	d->len = (u32)rest;
	d->flags = r->packed ? high : low;
	d->next = r->packed ? low : high;
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

static inline void ring_walk_begin(struct ring_walk *w, struct vhk_ring *r)
{
	*w = (struct ring_walk){ .r = r, .seg = r->seg };
}

int ring_walk_add(struct ring_walk *w, const struct ring_desc *d);
int ring_walk_table(struct ring_walk *w, const struct ring_desc *d);

static inline void ring_walk_end(const struct ring_walk *w, struct vhk_chain *c, u16 id,
				 u16 n_desc)
{
	const unsigned int n_out = w->writing ? w->n_out : w->n;
	const u32 out_len = w->writing ? w->out_len : w->total;

	*c = (struct vhk_chain){
		.id = id,
		.n_desc = n_desc,
		.n_out = n_out,
		.n_in = w->n - n_out,
		.out_len = out_len,
		.in_len = w->total - out_len,
		.fault = w->fault,
		.seg = w->seg,
	};
	w->r->busy[id] = 1;
}

int ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o);
int ring_split_pop(struct vhk_ring *r, struct vhk_chain *c);
void ring_split_unpop(struct vhk_ring *r);
int ring_split_push(struct vhk_ring *r, u16 id, u32 len);
int ring_split_publish(struct vhk_ring *r);
int ring_split_arm(struct vhk_ring *r);
int ring_split_disarm(struct vhk_ring *r);

int ring_packed_start(struct vhk_ring *r, const struct vhk_ring_opts *o);
int ring_packed_pop(struct vhk_ring *r, struct vhk_chain *c);
void ring_packed_unpop(struct vhk_ring *r, u16 n_desc);
int ring_packed_push(struct vhk_ring *r, u16 id, u16 n_desc, u32 len);
int ring_packed_publish(struct vhk_ring *r);
int ring_packed_arm(struct vhk_ring *r);
int ring_packed_disarm(struct vhk_ring *r);

#endif
