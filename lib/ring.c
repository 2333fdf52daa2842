// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The device side of a ring, whatever its layout: how it is made, handed on to its layout, and
 * changed while it runs.
 */
#include "ring_impl.h"

#define SMALL_MAX 512
#define BIG_MAX 64

/* What lies behind the ring object, in the same allocation. */
struct layout {
	size_t free, staged, state, order, slots, segs, total;
	size_t slot_size;
	unsigned int n_order;
	unsigned int n_small, n_big;
};

static size_t place(size_t *at, size_t bytes)
{
	const size_t here = vhk_align_up(*at, RING_LINE);

	*at = here + bytes;
	return here;
}

/* At least one block of each kind, so that a single chain always finds room. */
static void plan(struct layout *l, const struct vhk_ring_opts *o)
{
	const size_t seg = sizeof(struct iovec);
	size_t at = sizeof(struct vhk_ring);

	for (l->n_order = 1; l->n_order < o->size; l->n_order *= 2)
		;
	if (!(o->features & VHK_F_IN_ORDER))
		l->n_order = 0;
	l->n_small = vhk_min(vhk_max(o->size / 8u, 4u), SMALL_MAX);
	l->n_small = vhk_min(l->n_small, o->size);
	l->n_big = vhk_min(vhk_max(o->size / 32u, 4u), BIG_MAX);
	l->n_big = o->max_segs > RING_SEGS_SMALL ? vhk_min(l->n_big, o->size) : 0;
	l->slot_size = vhk_align_up(RING_SEGS_INLINE * seg + sizeof(struct vhk_chain) + o->ctx_size,
				    RING_LINE);
	l->free = place(&at, o->size * sizeof(struct vhk_chain *));
	l->staged = place(&at, o->size * sizeof(struct ring_used));
	l->state = place(&at, o->size);
	l->order = place(&at, l->n_order * sizeof(struct vhk_chain *));
	l->slots = place(&at, o->size * l->slot_size);
	l->segs = place(&at, (l->n_small * RING_SEGS_SMALL + l->n_big * o->max_segs) * seg);
	l->total = vhk_align_up(at, RING_LINE);
}

static bool parts_ok(const struct vhk_ring_opts *o)
{
	return o->desc && o->driver && o->device &&
	       ring_parts_aligned(o->desc, o->driver, o->device, o->features & VHK_F_RING_PACKED);
}

static int opts_check(struct vhk_ring_opts *o)
{
	if (!o->max_segs)
		o->max_segs = RING_SEGS_DEFAULT;
	if (!o->max_indirect)
		o->max_indirect = vhk_max(o->size, o->max_segs);
	if (!o->size || o->size > VHK_QUEUE_SIZE_MAX || o->max_segs > RING_SEGS_MAX ||
	    o->ctx_size > RING_CTX_MAX || !parts_ok(o))
		return -EINVAL;
	if (!(o->features & VHK_F_RING_PACKED) && !vhk_is_power_of_2(o->size))
		return -EINVAL;
	return 0;
}

static struct vhk_ring *ring_alloc(const struct vhk_ring_opts *o)
{
	struct layout l = { 0 };
	struct vhk_chain *c;
	unsigned char *base;
	struct vhk_ring *r;
	unsigned int i;

	plan(&l, o);
	base = aligned_alloc(RING_LINE, l.total);
	if (!base)
		return NULL;
	memset(base, 0, l.total);
	r = (struct vhk_ring *)(void *)base;
	r->free = (struct vhk_chain **)(void *)(base + l.free);
	r->staged = (struct ring_used *)(void *)(base + l.staged);
	r->state = base + l.state;
	r->order = (struct vhk_chain **)(void *)(base + l.order);
	r->order_mask = (uint16_t)(l.n_order - 1);
	for (i = o->size; i--;) {
		c = (struct vhk_chain *)(void *)(base + l.slots + i * l.slot_size +
						 RING_SEGS_INLINE * sizeof(struct iovec));
		c->seg = chain_segs(c);
		r->free[r->n_free++] = c;
	}
	r->slots = base + l.slots;
	r->slot_size = l.slot_size;
	r->max_segs = o->max_segs;
	r->inline_segs = vhk_min(RING_SEGS_INLINE, o->max_segs);
	vhk_ring_segs_init(r, base + l.segs, l.n_small, l.n_big);
	return r;
}

/* What is looked at for each descriptor lies side by side. */
static void ring_set_spans(struct vhk_ring *r)
{
	r->gen = r->table->gen;
	r->grain = r->table->grain;
	r->spans = r->table->by_gpa;
	r->n_spans = r->iova ? 0 : (uint16_t)vhk_min(r->table->n, (unsigned int)UINT16_MAX);
	memset(r->hit, 0, sizeof(r->hit));
}

static void ring_setup(struct vhk_ring *r, struct vhk_table *t, const struct vhk_ring_opts *o)
{
	r->packed = o->features & VHK_F_RING_PACKED;
	r->indirect = o->features & VHK_F_INDIRECT_DESC;
	r->event_idx = o->features & VHK_F_EVENT_IDX;
	r->in_order = o->features & VHK_F_IN_ORDER;
	r->ops = r->packed ? &vhk_ring_packed_ops : &vhk_ring_split_ops;
	r->table = vhk_table_get(t);
	ring_set_spans(r);
	r->desc = o->desc;
	r->driver = o->driver;
	r->device = o->device;
	r->size = o->size;
	r->max_indirect = o->max_indirect;
	r->used_gpa = UINT64_MAX;
}

int vhk_ring_new_table(struct vhk_ring **out, struct vhk_table *t, const struct vhk_ring_opts *in)
{
	struct vhk_ring_opts o;
	struct vhk_ring *r;
	int ret;

	*out = NULL;
	ret = vhk_opts_read(&o, sizeof(o), in);
	if (!ret)
		ret = opts_check(&o);
	if (ret)
		return ret;
	r = ring_alloc(&o);
	if (!r)
		return -ENOMEM;
	ring_setup(r, t, &o);
	r->armed = true;
	ret = r->packed ? vhk_ring_packed_start(r, &o) : vhk_ring_split_start(r, &o);
	if (ret) {
		vhk_ring_free(r);
		return ret;
	}
	r->n_resubmit = r->inflight ? (uint16_t)r->inflight->n_heads : 0;
	r->special_pop = r->n_resubmit;
	*out = r;
	return 0;
}

int vhk_ring_new(struct vhk_ring **out, const struct vhk_mem *mem, const struct vhk_ring_opts *o)
{
	struct vhk_table *t = vhk_mem_table(mem);
	int ret = vhk_ring_new_table(out, t, o);

	vhk_table_put(t);
	return ret;
}

static void drop_old_table(struct vhk_ring *r)
{
	vhk_table_put(r->old_table);
	r->old_table = NULL;
}

void vhk_ring_free(struct vhk_ring *r)
{
	if (!r)
		return;
	vhk_inflight_free(r->inflight);
	vhk_ring_iova_free(r);
	drop_old_table(r);
	vhk_table_put(r->table);
	free(r);
}

/* What a former session left, before anything of this one's. */
static int pop_resubmitted(struct vhk_ring *r, struct vhk_chain **out, unsigned int max)
{
	unsigned int i;
	int ret = 0;

	max = vhk_min(max, r->n_free);
	for (i = 0; i < max && r->n_resubmit; i++) {
		out[i] = ring_slot(r, i);
		ret = r->ops->resubmit(r, r->next_resubmit, out[i]);
		if (ret)
			break;
		out[i]->flags |= VHK_CHAIN_F_RESUBMITTED;
		r->next_resubmit++;
		r->n_resubmit--;
	}
	if (!r->n_resubmit)
		vhk_inflight_forget_saved(r->inflight);
	return ring_pop_end(r, i, ret);
}

static __attribute__((noinline)) int pop_special(struct vhk_ring *r, struct vhk_chain **out,
						 unsigned int max)
{
	int n;

	/* the one chain that was waited with in vain */
	if (r->deny)
		max = 1;
	n = r->n_resubmit ? pop_resubmitted(r, out, max) : r->ops->pop(r, out, max);
	if (n)
		r->deny = false;
	if (r->iova && n > 0)
		vhk_ring_iova_popped(r, out, (unsigned int)n);
	r->special_pop = r->n_resubmit || r->deny || r->iova;
	return n;
}

int vhk_ring_pop(struct vhk_ring *r, struct vhk_chain **out, unsigned int max)
{
	if (vhk_unlikely(r->err))
		return r->err;
	if (vhk_unlikely(r->detached || r->miss || !max))
		return 0;
	if (vhk_unlikely(r->special_pop))
		return pop_special(r, out, max);
	return r->ops->pop(r, out, max);
}

static inline void stage(struct vhk_ring *r, unsigned int i, const struct vhk_chain *c)
{
	struct ring_used *s = &r->staged[i];

	s->len = c->written;
	s->id = c->id;
	s->n_desc = c->n_desc;
	if (r->inflight)
		s->inflight = c->inflight;
}

static void log_chain(struct vhk_ring *r, const struct vhk_table *t, const struct vhk_chain *c)
{
	uint32_t written = c->flags & VHK_CHAIN_F_SCATTERED ? c->in_len : c->written;

	vhk_dirty_mark_segs(r->dirty, &r->run, t, c->seg + c->n_out, c->n_in, written,
			    &r->dirty_hint);
}

/* A push of a chain that is more than popped and answered. */
static __attribute__((noinline)) void push_special(struct vhk_ring *r, struct vhk_chain *c)
{
	bool old = r->n_old && c->map_gen != r->gen;

	if (r->dirty)
		log_chain(r, old ? r->old_table : r->table, c);
	if (old && !--r->n_old)
		drop_old_table(r);
	if (r->iova)
		vhk_ring_iova_pushed(r, c);
	ring_put_back(r, c);
	r->stalled = false;
}

void vhk_ring_push(struct vhk_ring *r, struct vhk_chain *c)
{
	if (vhk_unlikely(r->special || c->seg != chain_segs(c)))
		push_special(r, c);
	r->state[c->id] = ID_STAGED;
	r->n_popped--;
	if (r->in_order) {
		r->n_staged++;
		return;
	}
	stage(r, r->n_staged++, c);
	r->free[r->n_free++] = c;
}

int vhk_ring_unpop(struct vhk_ring *r, struct vhk_chain **c, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (c[i]->flags & VHK_CHAIN_F_RESUBMITTED)
			return -EOPNOTSUPP;
	for (i = n; i--;) {
		r->ops->back(r, c[i]);
		if (r->special || c[i]->seg != chain_segs(c[i])) {
			c[i]->written = 0;
			push_special(r, c[i]);
		}
		r->state[c[i]->id] = ID_FREE;
		r->n_popped--;
		if (r->in_order)
			r->order_tail--;
		r->free[r->n_free++] = c[i];
	}
	return 0;
}

/* It was popped in its turn and stays marked as in flight, so its id stays taken. */
void vhk_ring_leave(struct vhk_ring *r, struct vhk_chain *c)
{
	c->flags |= VHK_CHAIN_F_SCATTERED;
	if (r->special || c->seg != chain_segs(c))
		push_special(r, c);
	r->n_popped--;
}

/* IN_ORDER: what was pushed may wait for an older chain. Stages the head of the line; returns
 * how many. */
static unsigned int collect(struct vhk_ring *r)
{
	struct vhk_chain *c;
	unsigned int n = 0;

	for (; r->order_head != r->order_tail; r->order_head++) {
		c = r->order[r->order_head & r->order_mask];
		if (r->state[c->id] != ID_STAGED)
			break;
		stage(r, n, c);
		r->staged[n++].full = c->written == c->in_len;
		r->free[r->n_free++] = c;
	}
	return n;
}

static void log_flush(struct vhk_ring *r)
{
	if (vhk_unlikely(r->dirty != NULL))
		vhk_dirty_flush(r->dirty, &r->run);
}

int vhk_ring_publish(struct vhk_ring *r)
{
	unsigned int n = r->n_staged;
	int ret;

	/* Data is in the log before its chain is answered: a back end that dies in between leaves
	 * the one or the other to its successor. */
	log_flush(r);
	if (!n || r->detached)
		return 0;
	if (r->in_order)
		n = collect(r);
	if (!n)
		return 0;
	r->n_staged = (uint16_t)(r->n_staged - n);
	ret = r->ops->publish(r, n);
	log_flush(r);
	return ret;
}

/* They are the oldest in the driver's order. */
static bool in_turn(const struct vhk_ring *r, struct vhk_chain *const *c, unsigned int n)
{
	unsigned int i;

	for (i = 0; r->in_order && i < n; i++)
		if (r->order[(uint16_t)(r->order_head + i) & r->order_mask] != c[i])
			return false;
	return true;
}

/* They are free again. */
static void put_back(struct vhk_ring *r, struct vhk_chain **c, unsigned int n)
{
	struct vhk_chain **to = r->free + r->n_free;
	uint8_t *state = r->state;
	unsigned int i;

	for (i = 0; i < n; i++) {
		ring_put_back(r, c[i]);
		state[c[i]->id] = ID_FREE;
		to[i] = c[i];
	}
	r->n_free = (uint16_t)(r->n_free + n);
	r->n_popped = (uint16_t)(r->n_popped - n);
}

int vhk_ring_answer(struct vhk_ring *r, struct vhk_chain **c, unsigned int n)
{
	unsigned int i;
	int ret;

	if (vhk_likely(n && !r->special && !r->n_staged && !r->inflight && !r->detached &&
		       in_turn(r, c, n))) {
		r->stalled = false;
		if (r->in_order)
			r->order_head = (uint16_t)(r->order_head + n);
		ret = r->ops->answer(r, c, n);
		put_back(r, c, n);
		return ret;
	}
	for (i = 0; i < n; i++)
		vhk_ring_push(r, c[i]);
	return vhk_ring_publish(r);
}

unsigned int vhk_ring_staged(const struct vhk_ring *r)
{
	return r->n_staged;
}

bool vhk_ring_ready(const struct vhk_ring *r)
{
	if (vhk_unlikely(r->err || r->stalled || r->detached || r->miss))
		return false;
	return r->n_resubmit || r->ops->ready(r);
}

int vhk_ring_arm(struct vhk_ring *r)
{
	if (r->err || r->detached)
		return 0;
	r->ops->arm(r);
	log_flush(r);
	/* The wish is out before the look; pairs with the driver's fence between its index and
	 * its look at the wish. */
	vhk_full_fence();
	return vhk_ring_ready(r);
}

void vhk_ring_disarm(struct vhk_ring *r)
{
	if (r->err || r->detached)
		return;
	r->ops->disarm(r);
	log_flush(r);
}

unsigned int vhk_ring_in_flight(const struct vhk_ring *r)
{
	return r->n_popped;
}

uint32_t vhk_ring_base(const struct vhk_ring *r)
{
	return r->ops->base(r);
}

int vhk_ring_error(const struct vhk_ring *r)
{
	return r->err;
}

static const struct ring_logged not_logged = { .gpa = UINT64_MAX };

/* Where a part of the ring lies in guest memory. */
static struct ring_logged part_logged(struct vhk_ring *r, const void *va, uint64_t len)
{
	const uint64_t at = (uintptr_t)va;
	const struct vhk_span *s;

	r->dirty_hint = 0;
	s = vhk_span_find(r->table->by_va, r->table->n, at, len, &r->dirty_hint);
	if (s)
		return (struct ring_logged){ .gpa = (uintptr_t)s->va + (at - s->start) };
	return r->view ? (struct ring_logged){ .gpa = UINT64_MAX, .viewed = va } : not_logged;
}

/* Used descriptors are written into the slots of a packed ring. Behind an IOMMU the front end names
 * the used ring by its IOVA, and the log has guest addresses. */
static void find_logged(struct vhk_ring *r)
{
	const struct ring_parts p = ring_parts_of(r->size, r->packed);

	r->desc_log = r->packed ? part_logged(r, r->desc, p.desc) : not_logged;
	if (r->iova && r->used_gpa != UINT64_MAX)
		r->used_log = part_logged(r, r->device, p.device);
	else
		r->used_log = (struct ring_logged){ .gpa = r->used_gpa };
}

void vhk_ring_set_table(struct vhk_ring *r, struct vhk_table *t, const struct vhk_ring_place *at)
{
	struct vhk_table *old = r->table;

	drop_old_table(r);
	if (t->gen != old->gen)
		r->n_old = r->n_popped;
	r->old_table = r->n_old ? vhk_table_get(old) : NULL;
	r->table = vhk_table_get(t);
	ring_set_spans(r);
	vhk_table_put(old);
	r->desc = at->desc;
	r->driver = at->driver;
	r->device = at->device;
	r->view = at->view;
	find_logged(r);
	r->special = r->dirty || r->n_old || r->iova;
}

unsigned int vhk_ring_old_in_flight(const struct vhk_ring *r)
{
	return r->n_old;
}

unsigned int vhk_ring_left_over(const struct vhk_ring *r)
{
	return r->n_resubmit;
}

void vhk_ring_set_dirty(struct vhk_ring *r, const struct vhk_dirty *d, uint64_t used_gpa)
{
	log_flush(r);
	r->dirty = d;
	r->used_gpa = used_gpa;
	find_logged(r);
	r->special = r->dirty || r->n_old || r->iova;
}

void vhk_ring_set_view(struct vhk_ring *r, const struct vhk_table *view)
{
	r->view = view;
}

void vhk_ring_set_waits(struct vhk_ring *r)
{
	r->waits = true;
}

bool vhk_ring_misses(const struct vhk_ring *r, uint64_t *at, uint64_t *len)
{
	*at = r->miss_at;
	*len = r->miss_len;
	return r->miss;
}

void vhk_ring_miss_over(struct vhk_ring *r, bool nowhere)
{
	r->miss = false;
	r->stalled = false;
	r->deny = nowhere;
	r->special_pop |= nowhere;
}

void vhk_ring_log_parts(struct vhk_ring *r)
{
	const struct ring_parts p = ring_parts_of(r->size, r->packed);

	if (!r->dirty)
		return;
	vhk_ring_log(r, &r->used_log, 0, p.device);
	vhk_ring_log(r, &r->desc_log, 0, p.desc);
	log_flush(r);
}

bool vhk_ring_take_logged(struct vhk_ring *r)
{
	bool told = r->run.told;

	r->run.told = false;
	return told;
}

void vhk_ring_detach(struct vhk_ring *r)
{
	r->detached = true;
}

void vhk_ring_break(struct vhk_ring *r)
{
	r->err = -EBADMSG;
}
