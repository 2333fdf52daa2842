/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of the device-side ring share: the ring object, the walk that turns descriptors
 * into segments, and the operations that differ between the layouts. Calls go through the ops once
 * for a batch, never for a descriptor.
 */
#ifndef VHK_LIB_RING_IMPL_H
#define VHK_LIB_RING_IMPL_H

#include "barrier.h"
#include "base.h"
#include "inflight.h"
#include "ring.h"
#include "ring_layout.h"

#define RING_LINE 64
#define RING_BATCH 64
#define RING_SEGS_INLINE 4
#define RING_SEGS_SMALL 32
#define RING_SEGS_DEFAULT 128
#define RING_SEGS_MAX 1024
#define RING_CTX_MAX 65536

#define RING_INLINE static inline __attribute__((always_inline))

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
	int (*resubmit)(struct vhk_ring *r, unsigned int i, struct vhk_chain *c);
	/* Moves the position back by chains of @n_desc slots. */
	void (*back)(struct vhk_ring *r, const struct vhk_chain *c);
	/* Writes r->staged[0 .. n) and tells whether the driver wants a call. */
	int (*publish)(struct vhk_ring *r, unsigned int n);
	/* The same for chains as they are, where nothing is staged and nothing tracked; whose ids
	 * and slots they are is the caller's to change. */
	int (*answer)(struct vhk_ring *r, struct vhk_chain *const *c, unsigned int n);
	bool (*ready)(const struct vhk_ring *r);
	void (*arm)(struct vhk_ring *r);
	void (*disarm)(struct vhk_ring *r);
	uint32_t (*base)(const struct vhk_ring *r);
};

/* Twice as many as there may be regions, so that few share one: searching costs a request of many
 * regions as much as all the rest. */
#define RING_GUESSES_LOG 10
#define RING_GUESSES (1u << RING_GUESSES_LOG)

/* Where a part is logged: from @gpa on, or page by page, as the view has it. */
struct ring_logged {
	uint64_t gpa;		  /* UINT64_MAX: not there */
	const unsigned char *viewed; /* NULL: not there either */
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
	uint8_t inline_segs; /* segments that fit a slot, at most max_segs */
	bool indirect;
	bool event_idx;
	bool in_order;
	bool packed;
	bool special; /* a push has more to do: a dirty log, chains of an older table, IOVAs */
	bool special_pop; /* so has a pop: recovered chains, IOVAs */
	uint8_t grain;	  /* the table's, and its regions; none of them behind an IOMMU */
	uint16_t n_spans;
	uint32_t gen;
	const struct vhk_span *spans;

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
	uint16_t n_last;     /* slots (split: chains) that the last pop took */
	uint16_t n_out_desc; /* packed: slots that popped chains occupy until they are published */
	int err;
	struct vhk_chain **free; /* a stack: the slot used last is the warmest */
	struct ring_used *staged;
	uint8_t *state; /* of each id */

	/* The last hit of each role, by value. Its size is 0 where there is none. */
	_Alignas(RING_LINE) struct vhk_span hit[ROLE_N];

	/* Segment blocks for chains that do not fit their slot. */
	_Alignas(RING_LINE) void *small;
	void *big;
	unsigned char *big_start;
	uint16_t n_resubmit; /* recovered chains that are still to be handed out */
	uint16_t next_resubmit;
	bool detached;
	bool waits; /* for addresses that may be mapped yet */
	bool deny;  /* what the next chain misses is in no region */
	bool miss;  /* waits for [miss_at, miss_at + miss_len) */
	uint64_t miss_at, miss_len;
	unsigned int n_old;
	struct ring_iova *iova; /* NULL: descriptors hold guest-physical addresses */
	unsigned char *slots;
	size_t slot_size;
	/* What chains of a former table point into, while there are any. */
	struct vhk_table *old_table;
	/* IN_ORDER: chains in the order they were popped, free-running positions. */
	struct vhk_chain **order;
	uint16_t order_mask, order_head, order_tail;
	/* Dirty log. */
	const struct vhk_dirty *dirty;
	struct vhk_dirty_run run;
	unsigned int dirty_hint;
	const struct vhk_table *view; /* of parts that are scattered, or NULL */
	uint64_t used_gpa;	      /* as it was given */
	struct ring_logged used_log;
	struct ring_logged desc_log; /* packed: where used descriptors are written */
	/* By parts of addresses, the region that held such a one last. */
	uint16_t guess[RING_GUESSES];
};

/* Where to look first, when the last hit was another region. */
RING_INLINE uint16_t *ring_guess(struct vhk_ring *r, uint64_t at)
{
	return &r->guess[(at >> r->grain) * 0x9e3779b97f4a7c15 >> (64 - RING_GUESSES_LOG)];
}

/* Our address of a range that lies in the region that is guessed, which *hit becomes; NULL: it has
 * to be searched for. */
RING_INLINE void *ring_guessed(struct vhk_ring *r, struct vhk_span *hit, uint64_t at, uint64_t len)
{
	const unsigned int guess = *ring_guess(r, at);

	if (guess >= r->n_spans || !vhk_span_has(&r->spans[guess], at, len))
		return NULL;
	*hit = r->spans[guess];
	return hit->va + (at - hit->start);
}

/* The same; tried first is *hit, a copy of r->hit. */
RING_INLINE void *ring_at(struct vhk_ring *r, struct vhk_span *hit, uint64_t at, uint64_t len)
{
	void *va = vhk_span_at(hit, at, len);

	return vhk_likely(va != NULL) ? va : ring_guessed(r, hit, at, len);
}

void *vhk_ring_guessed(struct vhk_ring *r, struct vhk_span *hit, uint64_t at, uint64_t len);

/* One chain on its way from descriptors to segments. Callees get copies, so that it stays in
 * registers. */
struct ring_walk {
	struct vhk_ring *r;
	struct iovec *seg;
	unsigned int n;
	unsigned int cap;
	unsigned int n_out;
	bool writing;
	uint16_t flags;
	uint64_t total;
	uint64_t out_len;
};

/* An address in no region: true where it is waited for, and the chain is left in the ring. */
static inline bool ring_waits_for(struct vhk_ring *r, uint64_t at, uint64_t len)
{
	if (!r->waits || r->deny)
		return false;
	r->miss = true;
	r->miss_at = at;
	r->miss_len = len;
	return true;
}

int vhk_ring_walk_slow(struct ring_walk *w, struct ring_desc d, unsigned int role);
int vhk_ring_walk_table(struct ring_walk *w, struct ring_desc d);
void vhk_ring_segs_init(struct vhk_ring *r, void *at, unsigned int n_small, unsigned int n_big);
void vhk_ring_segs_put(struct vhk_ring *r, struct iovec *seg);

/* ring_iova.c, for rings whose descriptors hold IOVAs. */
/* As vhk_table_find(); -EAGAIN: a miss, which was told; *hit only where any later look at it would
 * be permitted, too, or where @reads says that none will be for writing. */
int vhk_ring_iova_find(struct vhk_ring *r, uint64_t at, uint64_t len, uint8_t perm,
		       struct iovec *seg, int max, struct vhk_span *hit, bool reads);
/* What popped chains point at is noted until they are pushed. */
void vhk_ring_iova_popped(struct vhk_ring *r, struct vhk_chain **c, unsigned int n);
void vhk_ring_iova_pushed(struct vhk_ring *r, const struct vhk_chain *c);
void vhk_ring_iova_free(struct vhk_ring *r);

/* Logs [at, at + len) of a part. */
void vhk_ring_log(struct vhk_ring *r, const struct ring_logged *part, uint64_t at, uint64_t len);

extern const struct ring_ops vhk_ring_split_ops;
extern const struct ring_ops vhk_ring_packed_ops;
int vhk_ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o);
int vhk_ring_packed_start(struct vhk_ring *r, const struct vhk_ring_opts *o);

/* A slot is a line of segments, then the chain. */
RING_INLINE struct iovec *chain_segs(struct vhk_chain *c)
{
	return (struct iovec *)((unsigned char *)c - RING_SEGS_INLINE * sizeof(struct iovec));
}

RING_INLINE void split_desc_read(const struct split_desc *from, struct ring_desc *d)
{
	const uint64_t *word = (const uint64_t *)(const void *)from;
	const uint64_t high = vhk_load64(word + 1);

	d->addr = vhk_load64(word);
	d->len = (uint32_t)high;
	d->flags = (uint16_t)(high >> 32);
	d->next = (uint16_t)(high >> 48);
}

/* Length, id and flags, of which the last tell whether the rest is there. */
RING_INLINE uint64_t packed_desc_high(const struct packed_desc *from)
{
	/* pairs with the driver's release of the head's flags */
	const uint64_t high = vhk_load64_acquire((const uint64_t *)(const void *)from + 1);

#ifdef VHK_TSAN
	/* who watches for races pairs accesses of one address only: what was seen is there, too */
	(void)vhk_load16_acquire(&from->flags);
#endif
	return high;
}

RING_INLINE void packed_desc_split(uint64_t high, struct ring_desc *d)
{
	d->len = (uint32_t)high;
	d->next = (uint16_t)(high >> 32);
	d->flags = (uint16_t)(high >> 48);
}

RING_INLINE void packed_desc_read(const struct packed_desc *from, struct ring_desc *d)
{
	const uint64_t *word = (const uint64_t *)(const void *)from;

	packed_desc_split(vhk_load64(word + 1), d);
	d->addr = vhk_load64(word);
}

RING_INLINE void ring_walk_begin(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c)
{
	w->r = r;
	w->seg = chain_segs(c);
	w->n = 0;
	w->cap = r->inline_segs;
	w->writing = false;
	w->flags = 0;
	w->total = 0;
	w->out_len = 0;
	w->n_out = 0;
}

RING_INLINE int ring_walk_add(struct ring_walk *w, const struct ring_desc *d, unsigned int role)
{
	struct ring_walk copy;
	void *va;
	int ret;

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
	va = vhk_span_at(&w->r->hit[role], d->addr, d->len);
	if (vhk_unlikely(!va))
		va = vhk_ring_guessed(w->r, &w->r->hit[role], d->addr, d->len);
	if (vhk_likely(va && w->n < w->cap)) {
		w->seg[w->n].iov_base = va;
		w->seg[w->n++].iov_len = d->len;
		return 0;
	}
	copy = *w;
	ret = vhk_ring_walk_slow(&copy, *d, role);
	*w = copy;
	return ret;
}

/* The indirect table that @d points at. */
RING_INLINE int ring_walk_indirect(struct ring_walk *w, const struct ring_desc *d)
{
	struct ring_walk copy = *w;
	const int ret = vhk_ring_walk_table(&copy, *d);

	*w = copy;
	return ret;
}

RING_INLINE void ring_walk_abort(struct ring_walk *w, struct vhk_chain *c)
{
	if (w->seg != chain_segs(c))
		vhk_ring_segs_put(w->r, w->seg);
}

/* Hands out the filled chain. */
RING_INLINE void ring_took(struct vhk_ring *r, struct vhk_chain *c, uint16_t id)
{
	r->state[id] = ID_POPPED;
	if (vhk_unlikely(r->in_order))
		r->order[r->order_tail++ & r->order_mask] = c;
}

/* Fills the chain from the walk; it is the caller's. -EBADMSG: more than 2^32 - 1 bytes. */
RING_INLINE int ring_walk_end(struct ring_walk *w, struct vhk_chain *c, uint16_t id,
			      unsigned int n_desc)
{
	struct vhk_ring *r = w->r;

	if (vhk_unlikely(w->total > UINT32_MAX))
		return -EBADMSG;
	if (!w->writing) {
		w->n_out = w->n;
		w->out_len = w->total;
	}
	c->id = id;
	c->n_desc = (uint16_t)n_desc;
	c->n_out = (uint16_t)w->n_out;
	c->n_in = (uint16_t)(w->n - w->n_out);
	c->out_len = (uint32_t)w->out_len;
	c->in_len = (uint32_t)(w->total - w->out_len);
	c->written = 0;
	c->flags = w->flags;
	c->map_gen = r->gen;
	c->seg = w->seg;
	ring_took(r, c, id);
	return 0;
}

/* What a chain says of a descriptor that the device may read or write, id and length left open:
 * words that are stored as a whole, not by the member. */
union ring_counts {
	struct {
		uint16_t id, n_desc, n_out, n_in;
	} n;
	uint64_t word;
};

union ring_lens {
	struct {
		uint32_t out, in;
	} len;
	uint64_t word;
};

_Static_assert(offsetof(struct vhk_chain, n_in) == 6 && offsetof(struct vhk_chain, in_len) == 12 &&
		       offsetof(struct vhk_chain, inflight) == 22,
	       "ring_fill_single()");

/* The chain of one descriptor, which lies at @va: most of them, where speed counts. A free slot's
 * seg points at its own segments already. */
RING_INLINE void ring_fill_single(struct vhk_chain *c, const struct ring_desc *d, void *va,
				  uint16_t id, uint32_t gen)
{
	const union ring_counts out = { .n = { 0, 1, 1, 0 } }, in = { .n = { 0, 1, 0, 1 } };
	const bool write = d->flags & DESC_F_WRITE;
	const union ring_counts just_id = { .n = { id, 0, 0, 0 } };
	const union ring_lens out_len = { .len = { d->len, 0 } }, in_len = { .len = { 0, d->len } };
	const uint64_t counts = (write ? in.word : out.word) | just_id.word;
	const uint64_t lens = write ? in_len.word : out_len.word;
	struct iovec *seg = chain_segs(c);

	seg->iov_base = va;
	seg->iov_len = d->len;
	memcpy(&c->id, &counts, sizeof(counts));
	memcpy(&c->out_len, &lens, sizeof(lens));
	memset(&c->written, 0, sizeof(uint64_t));
	c->map_gen = gen;
}

/* Chain number @i of a batch: from the top of the stack downwards. */
RING_INLINE struct vhk_chain *ring_slot(const struct vhk_ring *r, unsigned int i)
{
	return r->free[r->n_free - 1 - i];
}

/* A chain that is answered is free again, and its segments are. */
RING_INLINE void ring_put_back(struct vhk_ring *r, struct vhk_chain *c)
{
	if (vhk_unlikely(c->seg != chain_segs(c))) {
		vhk_ring_segs_put(r, c->seg);
		c->seg = chain_segs(c);
	}
}

/* Ends a batch after @n chains: what the caller gets. */
RING_INLINE int ring_pop_end(struct vhk_ring *r, unsigned int n, int ret)
{
	r->n_free = (uint16_t)(r->n_free - n);
	r->n_popped = (uint16_t)(r->n_popped + n);
	if (vhk_likely(!ret))
		return (int)n;
	if (ret == -EAGAIN)
		r->stalled = true;
	else
		r->err = ret;
	return n || ret == -EAGAIN ? (int)n : ret;
}

/* How many of r->staged[i .. n) one used entry answers: an IN_ORDER driver takes skipped chains
 * as wholly written (virtio 1.3, 2.7.9 and 2.8.10.1). */
RING_INLINE unsigned int ring_run(const struct vhk_ring *r, bool in_order, unsigned int i,
				  unsigned int n)
{
	unsigned int k = 1;

	if (in_order)
		for (; i + k < n && r->staged[i + k - 1].full; k++)
			;
	return k;
}

/* The same of chains that are not staged. */
RING_INLINE unsigned int ring_answer_run(struct vhk_chain *const *c, unsigned int n)
{
	unsigned int k = 1;

	for (; k < n && c[k - 1]->written == c[k - 1]->in_len; k++)
		;
	return k;
}

#endif
