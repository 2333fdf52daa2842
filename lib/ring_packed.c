// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The packed layout, device side (virtio 1.3, 2.8): one ring of descriptors that each side
 * rewrites, and an event area for each side.
 */
#include "ring_impl.h"

RING_INLINE bool is_avail(uint16_t flags, bool wrap)
{
	return (flags & DESC_F_LAP) == (wrap ? DESC_F_AVAIL : DESC_F_USED);
}

/* Moves a position on by @n <= size slots. */
RING_INLINE void step(const struct vhk_ring *r, uint16_t *at, bool *wrap, unsigned int n)
{
	unsigned int to = *at + n;

	if (to >= r->size) {
		to -= r->size;
		*wrap = !*wrap;
	}
	*at = (uint16_t)to;
}

/* The chain as it is copied into the inflight region. */
struct tracked {
	uint16_t at;
	uint16_t last;
};

static int track(struct vhk_ring *r, struct tracked *t, const struct ring_desc *d)
{
	t->last = t->at;
	t->at = vhk_inflight_packed_put(r->inflight, t->at, d->addr, d->len, d->next, d->flags);
	return t->at == INFLIGHT_NONE ? -EBADMSG : 0;
}

/* Descriptor number @n of a chain, counted from 1. */
RING_INLINE int packed_add(struct ring_walk *w, const struct ring_desc *d, unsigned int n)
{
	if (d->flags & DESC_F_INDIRECT)
		return n > 1 || d->flags & DESC_F_NEXT ? -EBADMSG : ring_walk_indirect(w, d);
	return ring_walk_add(w, d,
			     n == 1		     ? ROLE_FIRST
			     : d->flags & DESC_F_NEXT ? ROLE_MIDDLE
						      : ROLE_LAST);
}

RING_INLINE int packed_end(struct ring_walk *w, struct vhk_chain *c, uint16_t id, unsigned int n)
{
	if (vhk_unlikely(id >= w->r->size || w->r->state[id] != ID_FREE))
		return -EBADMSG;
	return ring_walk_end(w, c, id, n);
}

/* Where a batch has got to. */
struct position {
	uint16_t at;
	bool wrap;
	unsigned int left; /* slots that can still be available */
};

/* @d: the copy of the first descriptor. */
RING_INLINE int packed_walk(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c,
			    const struct position *pos, struct ring_desc d, struct tracked *t)
{
	const struct packed_desc *ring = r->desc;
	unsigned int n = 0, at = pos->at;
	int ret;

	ring_walk_begin(w, r, c);
	for (;;) {
		ret = packed_add(w, &d, ++n);
		if (vhk_unlikely(r->inflight && !ret))
			ret = track(r, t, &d);
		if (vhk_unlikely(ret))
			return ret;
		if (!(d.flags & DESC_F_NEXT))
			return packed_end(w, c, d.next, n);
		if (vhk_unlikely(n == pos->left))
			return -EBADMSG;
		at = at + 1 == r->size ? 0 : at + 1;
		packed_desc_read(&ring[at], &d);
	}
}

/* Fills slot @c and moves @pos on. -EAGAIN: no segments left for it; -EBADMSG. */
static __attribute__((noinline)) int packed_take(struct vhk_ring *r, struct vhk_chain *c,
						 struct position *pos, struct ring_desc first)
{
	struct tracked t = { 0, 0 };
	struct ring_walk w;
	int ret;

	if (r->inflight)
		t.at = r->inflight->free.free_head;
	ret = packed_walk(&w, r, c, pos, first, &t);
	if (vhk_unlikely(ret)) {
		ring_walk_abort(&w, c);
		return ret;
	}
	if (r->inflight)
		c->inflight =
			vhk_inflight_packed_pop(r->inflight, t.last, c->n_desc, t.at, &c->order);
	step(r, &pos->at, &pos->wrap, c->n_desc);
	pos->left -= c->n_desc;
	return 0;
}

/* The copy keeps the caller's own position in registers. */
RING_INLINE int packed_take_copy(struct vhk_ring *r, struct vhk_chain *c, struct position *pos,
				 struct ring_desc first)
{
	struct position copy = *pos;
	const int ret = packed_take(r, c, &copy, first);

	*pos = copy;
	return ret;
}

/*
 * The short way, for chains of one descriptor, from number @i of the batch on: up to the first that
 * is another, or that lies in a region that has to be searched for, or that is wrong, whose number
 * is returned. What is looked at again and again stays in registers, which stores into chains would
 * else have reloaded.
 */
RING_INLINE unsigned int packed_take_singles(struct vhk_ring *r, struct vhk_chain **out,
					     unsigned int i, unsigned int max,
					     struct position *pos, bool in_order)
{
	struct vhk_chain **slot = r->free + r->n_free - 1;
	struct vhk_span hit = r->hit[ROLE_FIRST];
	const struct packed_desc *ring = r->desc;
	const unsigned int size = r->size, first = i;
	const uint32_t gen = r->gen;
	uint8_t *state = r->state;
	unsigned int at = pos->at, lap = pos->wrap ? DESC_F_AVAIL : DESC_F_USED;
	struct ring_desc d;
	void *va;

	max = vhk_min(max, i + pos->left);
	for (; i < max; i++) {
		packed_desc_split(packed_desc_high(&ring[at]), &d);
		/* available in this lap, and a chain of its own */
		if ((d.flags & (DESC_F_LAP | DESC_F_NEXT | DESC_F_INDIRECT)) != lap)
			break;
		if (vhk_unlikely(d.next >= size || state[d.next] != ID_FREE))
			break;
		d.addr = vhk_load64(&ring[at].addr);
		va = ring_at(r, &hit, d.addr, d.len);
		if (vhk_unlikely(!va))
			break;
		out[i] = *(slot - i);
		ring_fill_single(out[i], &d, va, d.next, gen);
		state[d.next] = ID_POPPED;
		if (in_order)
			r->order[(uint16_t)(r->order_tail + (i - first)) & r->order_mask] = out[i];
		if (vhk_unlikely(++at == size)) {
			at = 0;
			lap ^= DESC_F_LAP;
		}
	}
	if (in_order)
		r->order_tail = (uint16_t)(r->order_tail + (i - first));
	r->hit[ROLE_FIRST] = hit;
	pos->at = (uint16_t)at;
	pos->wrap = lap == DESC_F_AVAIL;
	pos->left -= i - first;
	return i;
}

static __attribute__((noinline)) unsigned int take_singles(struct vhk_ring *r,
							    struct vhk_chain **out, unsigned int i,
							    unsigned int max, struct position *pos)
{
	return r->in_order ? packed_take_singles(r, out, i, max, pos, true)
			   : packed_take_singles(r, out, i, max, pos, false);
}

/*
 * The lines of as many slots as were popped last time: they are going to be written to as well, and
 * loads fetch them one by one. Not after an empty look: the driver may be writing to them still.
 * And not the one of a single request, which the driver is looking at.
 */
static inline void lines_take(const struct vhk_ring *r)
{
	const struct packed_desc *ring = r->desc;
	unsigned int i, at;

	if (r->n_last <= PACKED_LINE ||
	    !is_avail(vhk_load16(&ring[r->last_avail].flags), r->avail_wrap))
		return;
	for (i = 0; i < r->n_last; i += PACKED_LINE) {
		at = r->last_avail + i;
		vhk_prefetch_write(&ring[at < r->size ? at : at - r->size]);
	}
}

static bool packed_ready(const struct vhk_ring *r)
{
	const struct packed_desc *ring = r->desc;

	return is_avail(vhk_load16(&ring[r->last_avail].flags), r->avail_wrap);
}

static int packed_pop(struct vhk_ring *r, struct vhk_chain **out, unsigned int max)
{
	const struct packed_desc *ring = r->desc;
	struct position pos = { r->last_avail, r->avail_wrap,
				(unsigned int)(r->size - r->n_out_desc) };
	const unsigned int n = vhk_min(max, r->n_free);
	struct ring_desc d;
	unsigned int i;
	int ret = 0;

	lines_take(r);
	for (i = 0; i < n && !ret; i++) {
		if (!r->inflight)
			i = take_singles(r, out, i, n, &pos);
		/* pairs with the driver's release of the head's flags */
		if (i == n || !is_avail(vhk_load16_acquire(&ring[pos.at].flags), pos.wrap))
			break;
		packed_desc_read(&ring[pos.at], &d);
		out[i] = ring_slot(r, i);
		if (vhk_unlikely(!pos.left))
			ret = -EBADMSG;
		else
			ret = packed_take_copy(r, out[i], &pos, d);
	}
	if (ret)
		i--;
	r->last_avail = pos.at;
	r->avail_wrap = pos.wrap;
	r->n_last = (uint16_t)(r->size - pos.left - r->n_out_desc);
	r->n_out_desc = (uint16_t)(r->size - pos.left);
	return ring_pop_end(r, i, ret);
}

static void packed_back(struct vhk_ring *r, const struct vhk_chain *c)
{
	if (r->last_avail < c->n_desc) {
		r->last_avail = (uint16_t)(r->last_avail + r->size);
		r->avail_wrap = !r->avail_wrap;
	}
	r->last_avail = (uint16_t)(r->last_avail - c->n_desc);
	r->n_out_desc = (uint16_t)(r->n_out_desc - c->n_desc);
	if (r->inflight)
		vhk_inflight_packed_unpop(r->inflight, c->inflight);
}

/* From the region's copies: the ring's own slots may be overwritten. Its slots were counted when
 * the ring started. */
RING_INLINE int packed_rewalk(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c,
			      uint16_t head)
{
	const struct inflight *f = r->inflight;
	const unsigned int num = f->saved[head].num;
	struct ring_desc d = { 0 };
	unsigned int n;
	int ret;

	ring_walk_begin(w, r, c);
	for (n = 1; n <= num; n++, head = f->next[head]) {
		const struct inflight_packed_desc *e = &f->saved[head];

		d = (struct ring_desc){ e->addr, e->len, e->flags, e->id };
		if (!(d.flags & DESC_F_NEXT) != (n == num))
			return -EBADMSG;
		ret = packed_add(w, &d, n);
		if (ret)
			return ret;
	}
	return packed_end(w, c, d.next, num);
}

static int packed_resubmit(struct vhk_ring *r, unsigned int i, struct vhk_chain *c)
{
	const struct inflight_head *head = &r->inflight->heads[i];
	struct ring_walk w;
	int ret;

	c->inflight = head->entry;
	c->order = head->counter;
	ret = packed_rewalk(&w, r, c, head->entry);
	if (ret)
		ring_walk_abort(&w, c);
	return ret;
}

/* As wide as the word that they become part of: a narrow one that is put by and loaded with its
 * neighbours waits for all stores before it. */
RING_INLINE uint64_t used_flags(bool wrap, uint32_t len)
{
	return (wrap ? (uint64_t)DESC_F_LAP : 0) | (len ? DESC_F_WRITE : 0);
}

/* Length and id, and the flags of any but the first of a batch, in one store. */
RING_INLINE void store_used(struct packed_desc *d, uint32_t len, uint64_t id, bool first,
			    uint64_t flags)
{
	if (first) {
		vhk_store32(&d->len, len);
		vhk_store16(&d->id, (uint16_t)id);
	} else {
		vhk_store64((uint64_t *)(void *)&d->len,
			    len | id << 32 | flags << 48);
	}
}

/* Everything but the flags of the first slot, which make the batch visible; moves r->used.
 * Returns the slots. */
RING_INLINE unsigned int packed_fill(struct vhk_ring *r, unsigned int n, bool in_order)
{
	struct packed_desc *ring = r->desc;
	const struct ring_used *staged = r->staged;
	uint8_t *state = r->state;
	uint16_t used = r->used;
	bool wrap = r->used_wrap;
	unsigned int i, k, run, slots, all = 0;

	for (i = 0; i < n; i += run) {
		struct packed_desc *d = &ring[used];
		const struct ring_used *s;

		run = ring_run(r, in_order, i, n);
		s = &staged[i + run - 1];
		store_used(d, s->len, s->id, !i, used_flags(wrap, s->len));
		for (slots = 0, k = i; k < i + run; k++) {
			slots += staged[k].n_desc;
			state[staged[k].id] = ID_FREE;
		}
		all += slots;
		step(r, &used, &wrap, slots);
	}
	r->used = used;
	r->used_wrap = wrap;
	r->n_out_desc = (uint16_t)(r->n_out_desc - all);
	return all;
}

/* The driver's event, a position of this lap or the one before, against the move from @old to
 * r->used. */
static bool packed_wants_call(const struct vhk_ring *r, uint16_t old)
{
	const uint32_t *word = r->driver;
	uint16_t event, off_wrap, flags, idx = r->used;
	uint32_t both;

	/* As in a split ring: the used flags are out before the driver's wish is read. */
	vhk_full_fence();
	both = vhk_load32(word);
	off_wrap = (uint16_t)both;
	flags = (uint16_t)(both >> 16) & 3;
	if (flags != EVENT_DESC || !r->event_idx)
		return flags != EVENT_DISABLE;
	event = off_wrap & (EVENT_WRAP - 1);
	if (!!(off_wrap & EVENT_WRAP) != r->used_wrap)
		event = (uint16_t)(event - r->size);
	return ring_need_event(event, idx, old);
}

static void packed_log(struct vhk_ring *r, unsigned int first, unsigned int n)
{
	const unsigned int part = vhk_min(n, r->size - first);
	const size_t each = sizeof(struct packed_desc);

	vhk_ring_log(r, &r->desc_log, first * each, part * each);
	vhk_ring_log(r, &r->desc_log, 0, (n - part) * each);
}

static void packed_inflight_begin(struct vhk_ring *r, unsigned int n, unsigned int slots)
{
	uint16_t used = r->used;
	bool wrap = r->used_wrap;
	unsigned int i;

	for (i = 0; i < n; i++)
		vhk_inflight_packed_link(r->inflight, r->staged[i].inflight);
	step(r, &used, &wrap, slots);
	vhk_inflight_packed_begin(r->inflight, used, wrap);
}

static void packed_inflight_end(struct vhk_ring *r, unsigned int n)
{
	unsigned int i;

	vhk_compiler_fence();
	for (i = 0; i < n; i++)
		vhk_inflight_packed_clear(r->inflight, r->staged[i].inflight);
	vhk_inflight_packed_end(r->inflight);
}

static unsigned int count_slots(const struct vhk_ring *r, unsigned int n)
{
	unsigned int i, slots = 0;

	for (i = 0; i < n; i++)
		slots += r->staged[i].n_desc;
	return slots;
}

static int packed_publish(struct vhk_ring *r, unsigned int n)
{
	struct packed_desc *first = (struct packed_desc *)r->desc + r->used;
	const uint32_t first_len = r->staged[ring_run(r, r->in_order, 0, n) - 1].len;
	const uint16_t at = r->used, flags = (uint16_t)used_flags(r->used_wrap, first_len);
	unsigned int slots;

	if (r->inflight)
		packed_inflight_begin(r, n, count_slots(r, n));
	slots = r->in_order ? packed_fill(r, n, true) : packed_fill(r, n, false);
	if (r->dirty)
		packed_log(r, at, slots);
	vhk_store16_release(&first->flags, flags);
	if (r->dirty)
		packed_log(r, at, 1);
	if (r->inflight)
		packed_inflight_end(r, n);
	return packed_wants_call(r, (uint16_t)(r->used - slots));
}

/* As packed_fill(), from the chains themselves, which are put back afterwards; *first is what makes
 * them visible. */
RING_INLINE unsigned int packed_fill_chains(struct vhk_ring *r, struct vhk_chain *const *c,
					    unsigned int n, bool in_order, uint64_t *first)
{
	struct packed_desc *ring = r->desc;
	const unsigned int size = r->size;
	unsigned int i, k, run = 1, slots, all = 0, used = r->used;
	uint64_t lap = used_flags(r->used_wrap, 0);

	for (i = 0; i < n; i += run) {
		const struct vhk_chain *last = c[i];
		uint64_t flags;

		slots = last->n_desc;
		if (in_order) {
			run = ring_answer_run(c + i, n - i);
			for (k = i + 1; k < i + run; k++)
				slots += c[k]->n_desc;
			last = c[i + run - 1];
		}
		flags = lap | (last->written ? DESC_F_WRITE : 0);
		store_used(&ring[used], last->written, last->id, !i, flags);
		if (!i)
			*first = flags;
		all += slots;
		used += slots;
		if (used >= size) {
			used -= size;
			lap ^= DESC_F_LAP;
		}
	}
	r->used = (uint16_t)used;
	r->used_wrap = lap;
	r->n_out_desc = (uint16_t)(r->n_out_desc - all);
	return all;
}

static int packed_answer(struct vhk_ring *r, struct vhk_chain *const *c, unsigned int n)
{
	struct packed_desc *first = (struct packed_desc *)r->desc + r->used;
	uint64_t flags = 0;
	unsigned int slots;

	slots = r->in_order ? packed_fill_chains(r, c, n, true, &flags)
			    : packed_fill_chains(r, c, n, false, &flags);
	vhk_store16_release(&first->flags, (uint16_t)flags);
	return packed_wants_call(r, (uint16_t)(r->used - slots));
}

static void store_event(struct vhk_ring *r, uint16_t flags)
{
	struct packed_event *event = r->device;

	if (flags == EVENT_DESC)
		vhk_store16(&event->off_wrap,
			    (uint16_t)(r->last_avail | (r->avail_wrap ? EVENT_WRAP : 0)));
	vhk_store16_release(&event->flags, flags);
	r->event_set = true;
	if (r->dirty)
		vhk_ring_log(r, &r->used_log, 0, sizeof(*event));
}

static void packed_arm(struct vhk_ring *r)
{
	if (r->event_idx)
		store_event(r, EVENT_DESC);
	else if (!r->armed)
		store_event(r, EVENT_ENABLE);
	r->armed = true;
}

/* With EVENT_IDX the event stays behind, once there is one. */
static void packed_disarm(struct vhk_ring *r)
{
	if (r->event_idx && !r->event_set)
		store_event(r, EVENT_DESC);
	else if (r->armed && !r->event_idx)
		store_event(r, EVENT_DISABLE);
	r->armed = false;
}

static uint32_t packed_base(const struct vhk_ring *r)
{
	return r->last_avail | (uint32_t)r->avail_wrap << 15 | (uint32_t)r->used << 16 |
	       (uint32_t)r->used_wrap << 31;
}

const struct ring_ops vhk_ring_packed_ops = {
	.pop = packed_pop,
	.resubmit = packed_resubmit,
	.back = packed_back,
	.publish = packed_publish,
	.answer = packed_answer,
	.ready = packed_ready,
	.arm = packed_arm,
	.disarm = packed_disarm,
	.base = packed_base,
};

static int packed_recover(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	int ret;

	ret = vhk_inflight_new_packed(&r->inflight, o->inflight, o->inflight_size, r->size, r->used,
				      r->used_wrap, r->desc);
	if (ret)
		return ret;
	if (r->inflight->fresh)
		return 0;
	r->used = r->inflight->used.used_idx;
	r->used_wrap = r->inflight->used.used_wrap;
	r->last_avail = r->used;
	r->avail_wrap = r->used_wrap;
	step(r, &r->last_avail, &r->avail_wrap, r->inflight->n_descs);
	return 0;
}

int vhk_ring_packed_start(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	unsigned int ahead;

	r->last_avail = o->base & 0x7fff;
	r->avail_wrap = o->base >> 15 & 1;
	r->used = o->base >> 16 & 0x7fff;
	r->used_wrap = o->base >> 31;
	if (r->last_avail >= r->size || r->used >= r->size)
		return -EINVAL;
	if (o->inflight) {
		int ret = packed_recover(r, o);

		if (ret)
			return ret;
	}
	ahead = (unsigned int)(r->last_avail - r->used) +
		(r->avail_wrap != r->used_wrap ? r->size : 0u);
	if (ahead > r->size)
		return -EINVAL;
	r->n_out_desc = (uint16_t)ahead;
	return 0;
}
