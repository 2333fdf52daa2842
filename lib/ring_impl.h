/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of the device-side ring share: the ring object, the walk that turns descriptors into segments, and
 * the operations that differ between the layouts. Calls go through the ops once for a batch, never for a descriptor.
 */
#ifndef VHK_LIB_RING_IMPL_H
#define VHK_LIB_RING_IMPL_H

#include "barrier.h"
#include "base.h"
#include "inflight.h"
#include "ring.h"

#define RING_LINE 64
#define RING_BATCH 64
#define RING_SEGS_INLINE 4
#define RING_SEGS_SMALL 32
#define RING_SEGS_DEFAULT 128
#define RING_SEGS_MAX 1024
#define RING_CTX_MAX 65536

#define DESC_F_NEXT 0x1
#define DESC_F_WRITE 0x2
#define DESC_F_INDIRECT 0x4
#define DESC_F_AVAIL 0x80
#define DESC_F_USED 0x8000

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

/* Our copy of a descriptor, in our byte order; @next is the buffer id in a packed ring. */
struct ring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* What has happened to an id: nothing, popped, or pushed and not yet published. */
enum { ID_FREE, ID_POPPED, ID_STAGED };

/* Which descriptor of a chain a translation is for: each kind has a last hit of its own. */
enum { ROLE_FIRST, ROLE_MIDDLE, ROLE_LAST, ROLE_TABLE, ROLE_N };

struct ring_used {
	uint32_t len;
	uint16_t id;
	uint16_t n_desc;
	uint16_t inflight;
	uint16_t full; /* everything writable was written: an IN_ORDER batch may skip it */
};

struct ring_ops {
	int (*pop)(struct vhk_ring *r, struct vhk_chain **out, unsigned int max);
	int (*resubmit)(struct vhk_ring *r, unsigned int entry, struct vhk_chain **out);
	/* Writes r->staged[0 .. n) and tells whether the driver wants a call. */
	int (*publish)(struct vhk_ring *r, unsigned int n);
	bool (*ready)(const struct vhk_ring *r);
	void (*arm)(struct vhk_ring *r);
	void (*disarm)(struct vhk_ring *r);
	uint32_t (*base)(const struct vhk_ring *r);
};

struct vhk_ring {
	/* Read by every call, written by hardly any. */
	_Alignas(RING_LINE) const struct ring_ops *ops;
	struct vhk_table *table;
	void *desc;
	void *driver;
	void *device;
	struct inflight *inflight; /* NULL: not tracked */
	uint16_t size;
	uint16_t max_segs;
	uint16_t max_indirect;
	bool indirect;
	bool event_idx;
	bool in_order;
	bool packed;

	/* Written by every call. */
	_Alignas(RING_LINE) uint16_t last_avail;
	uint16_t avail; /* split: the driver's index as last read */
	uint16_t used;
	bool avail_wrap; /* packed */
	bool used_wrap;	 /* packed */
	bool stalled;	 /* no segment block left: wait for a push */
	bool armed;
	bool event_set; /* packed: the event area is ours since the start */
	uint16_t n_staged;
	uint16_t n_free;
	uint16_t n_popped;
	uint16_t n_out_desc; /* packed: slots that popped chains occupy until they are published */
	int err;
	unsigned int hint[ROLE_N];
	struct vhk_chain **free; /* a stack: the slot used last is the warmest */
	struct ring_used *staged;
	uint8_t *state; /* of each id */

	/* Segment blocks for chains that do not fit their slot. */
	_Alignas(RING_LINE) void *small;
	void *big;
	unsigned char *big_start;
	uint16_t n_resubmit; /* recovered chains that are still to be handed out */
	uint16_t next_resubmit;
	bool detached;
	unsigned int n_old;
	/* IN_ORDER: chains in the order they were popped, free-running positions. */
	struct vhk_chain **order;
	uint16_t order_mask, order_head, order_tail;
	/* Dirty log. */
	const struct vhk_dirty *dirty;
	unsigned int dirty_hint;
	uint64_t used_gpa;
	uint64_t desc_gpa; /* packed: where used descriptors are written */
};

/* One chain on its way from descriptors to segments. */
struct ring_walk {
	struct vhk_ring *r;
	struct vhk_chain *c;
	struct iovec *seg;
	unsigned int n;
	unsigned int cap;
	unsigned int n_out;
	bool writing;
	uint16_t flags;
	uint64_t total;
	uint64_t out_len;
};

int ring_walk_add_slow(struct ring_walk *w, const struct ring_desc *d, unsigned int role);
/* The indirect table that @d points at. */
int ring_walk_indirect(struct ring_walk *w, const struct ring_desc *d);
void ring_walk_abort(struct ring_walk *w);
void ring_segs_init(struct vhk_ring *r, void *at, unsigned int n_small, unsigned int n_big);
void ring_segs_put(struct vhk_ring *r, struct iovec *seg);
/* Logs [at, at + len) of the part that starts at @gpa. */
void ring_log(const struct vhk_ring *r, uint64_t gpa, uint64_t at, uint64_t len);

extern const struct ring_ops ring_split_ops;
extern const struct ring_ops ring_packed_ops;
int ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o);
int ring_packed_start(struct vhk_ring *r, const struct vhk_ring_opts *o);

/* A slot is a line of segments, then the chain. */
static inline struct iovec *chain_segs(struct vhk_chain *c)
{
	return (struct iovec *)((unsigned char *)c - RING_SEGS_INLINE * sizeof(struct iovec));
}

static inline void split_desc_read(const struct split_desc *from, struct ring_desc *d)
{
	const uint64_t *word = (const uint64_t *)(const void *)from;
	const uint64_t high = vhk_load64(word + 1);

	d->addr = vhk_load64(word);
	d->len = (uint32_t)high;
	d->flags = (uint16_t)(high >> 32);
	d->next = (uint16_t)(high >> 48);
}

static inline void packed_desc_read(const struct packed_desc *from, struct ring_desc *d)
{
	const uint64_t *word = (const uint64_t *)(const void *)from;
	const uint64_t high = vhk_load64(word + 1);

	d->addr = vhk_load64(word);
	d->len = (uint32_t)high;
	d->next = (uint16_t)(high >> 32);
	d->flags = (uint16_t)(high >> 48);
}

static inline void ring_walk_begin(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c)
{
	w->r = r;
	w->c = c;
	w->seg = chain_segs(c);
	w->n = 0;
	w->cap = vhk_min(RING_SEGS_INLINE, r->max_segs);
	w->writing = false;
	w->flags = 0;
	w->total = 0;
}

static inline int ring_walk_add(struct ring_walk *w, const struct ring_desc *d, unsigned int role)
{
	void *va;

	if (d->flags & DESC_F_WRITE) {
		if (!w->writing) {
			w->writing = true;
			w->n_out = w->n;
			w->out_len = w->total;
		}
	} else if (vhk_unlikely(w->writing)) {
		return -EBADMSG;
	}
	w->total += d->len;
	va = vhk_table_at(w->r->table, d->addr, d->len, &w->r->hint[role]);
	if (vhk_unlikely(!va || w->n == w->cap))
		return ring_walk_add_slow(w, d, role);
	w->seg[w->n].iov_base = va;
	w->seg[w->n++].iov_len = d->len;
	return 0;
}

/* Fills the chain from the walk. -EBADMSG: more than 2^32 - 1 bytes. */
static inline int ring_walk_end(struct ring_walk *w, uint16_t id, uint16_t n_desc)
{
	struct vhk_chain *c = w->c;

	if (vhk_unlikely(w->total > UINT32_MAX))
		return -EBADMSG;
	if (!w->writing) {
		w->n_out = w->n;
		w->out_len = w->total;
	}
	c->id = id;
	c->n_desc = n_desc;
	c->n_out = (uint16_t)w->n_out;
	c->n_in = (uint16_t)(w->n - w->n_out);
	c->out_len = (uint32_t)w->out_len;
	c->in_len = (uint32_t)(w->total - w->out_len);
	c->written = 0;
	c->flags = w->flags;
	c->map_gen = w->r->table->gen;
	c->seg = w->seg;
	return 0;
}

/* The chain at the top of the stack has been filled: it is the caller's. */
static inline void ring_took(struct vhk_ring *r, struct vhk_chain *c)
{
	r->n_free--;
	r->n_popped++;
	r->state[c->id] = ID_POPPED;
	if (r->in_order)
		r->order[r->order_tail++ & r->order_mask] = c;
}

/* Ends a batch after @n chains: what the caller gets. */
static inline int ring_pop_end(struct vhk_ring *r, unsigned int n, int ret)
{
	if (ret == -EAGAIN)
		r->stalled = true;
	else if (ret)
		r->err = ret;
	return n || ret == -EAGAIN ? (int)n : ret;
}

/* virtio 1.3, 2.7.7.1: the event lies among what was added since @old. */
static inline bool ring_need_event(uint16_t event, uint16_t idx, uint16_t old)
{
	return (uint16_t)(idx - event - 1) < (uint16_t)(idx - old);
}

/* How many of r->staged[i .. n) one used entry answers: an IN_ORDER driver takes skipped chains as wholly written
 * (virtio 1.3, 2.7.9 and 2.8.10.1). */
static inline unsigned int ring_run(const struct vhk_ring *r, unsigned int i, unsigned int n)
{
	unsigned int k = 1;

	if (r->in_order)
		for (; i + k < n && r->staged[i + k - 1].full; k++)
			;
	return k;
}

#endif
