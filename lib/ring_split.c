// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The split layout, device side (virtio 1.3, 2.7): descriptor table, available ring, used ring.
 * What the driver may overwrite is never read back: the used index and ring are private.
 */
#include "ring_impl.h"

static const uint16_t *used_event(const struct vhk_ring *r)
{
	return &((const struct split_avail *)r->driver)->ring[r->size];
}

static uint16_t *avail_event(const struct vhk_ring *r)
{
	return (uint16_t *)(void *)&((struct split_used *)r->device)->ring[r->size];
}

/* @d: the copy of the first descriptor. */
RING_INLINE int split_walk(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c,
			   uint16_t head, struct ring_desc d)
{
	const struct split_desc *table = r->desc;
	unsigned int n = 0;
	int ret;

	ring_walk_begin(w, r, c);
	for (;;) {
		n++;
		if (d.flags & DESC_F_INDIRECT) {
			ret = d.flags & DESC_F_NEXT ? -EBADMSG : ring_walk_indirect(w, &d);
			break;
		}
		ret = ring_walk_add(w, &d,
				    n == 1		      ? ROLE_FIRST
				    : d.flags & DESC_F_NEXT ? ROLE_MIDDLE
							      : ROLE_LAST);
		if (vhk_unlikely(ret) || !(d.flags & DESC_F_NEXT))
			break;
		if (vhk_unlikely(n == r->size || d.next >= r->size || d.next == head ||
				 r->state[d.next] != ID_FREE))
			return -EBADMSG;
		split_desc_read(&table[d.next], &d);
	}
	return ret ? ret : ring_walk_end(w, c, head, n);
}

/* Fills slot @c. -EAGAIN: no segments left for it; -EBADMSG. */
static __attribute__((noinline)) int split_take(struct vhk_ring *r, struct vhk_chain *c,
						uint16_t head, struct ring_desc first)
{
	struct ring_walk w;
	int ret;

	if (vhk_unlikely(r->state[head] != ID_FREE))
		return -EBADMSG;
	ret = split_walk(&w, r, c, head, first);
	if (vhk_unlikely(ret))
		ring_walk_abort(&w, c);
	return ret;
}

/* Chains to pop; looks at the driver's index only when the last look is used up. */
static int split_left(struct vhk_ring *r)
{
	const struct split_avail *avail = r->driver;
	uint16_t idx;

	if (r->avail != r->last_avail)
		return (uint16_t)(r->avail - r->last_avail);
	/* pairs with the driver's release of its index */
	idx = vhk_load16_acquire(&avail->idx);
	if ((uint16_t)(idx - r->last_avail) > r->size - (uint16_t)(r->last_avail - r->used))
		return -EBADMSG;
	r->avail = idx;
	return (uint16_t)(idx - r->last_avail);
}

/* Copies heads and starts their descriptors on the way. Stops at the first that is out of range. */
static unsigned int split_heads(const struct vhk_ring *r, uint16_t *heads, unsigned int n)
{
	const struct split_avail *avail = r->driver;
	const struct split_desc *table = r->desc;
	unsigned int i;

	for (i = 0; i < n; i++) {
		heads[i] = vhk_load16(&avail->ring[(r->last_avail + i) & (r->size - 1u)]);
		if (vhk_unlikely(heads[i] >= r->size))
			break;
		__builtin_prefetch(&table[heads[i]]);
	}
	return i;
}

/*
 * The short way, for chains of one descriptor, from heads[i] on: as in a packed ring, up to the
 * first that is another or wrong, whose number is returned.
 */
RING_INLINE unsigned int split_take_singles(struct vhk_ring *r, struct vhk_chain **out,
					    const uint16_t *heads, unsigned int i, unsigned int n,
					    bool in_order)
{
	struct vhk_chain **slot = r->free + r->n_free - 1;
	struct vhk_span hit = r->hit[ROLE_FIRST];
	const struct split_desc *table = r->desc;
	const uint32_t gen = r->gen;
	uint8_t *state = r->state;
	struct ring_desc d;
	void *va;

	for (; i < n; i++) {
		split_desc_read(&table[heads[i]], &d);
		if (d.flags & (DESC_F_NEXT | DESC_F_INDIRECT) || state[heads[i]] != ID_FREE)
			break;
		va = ring_at(r, &hit, d.addr, d.len);
		if (vhk_unlikely(!va))
			break;
		out[i] = *(slot - i);
		ring_fill_single(out[i], &d, va, heads[i], gen);
		state[heads[i]] = ID_POPPED;
		if (in_order)
			r->order[r->order_tail++ & r->order_mask] = out[i];
	}
	r->hit[ROLE_FIRST] = hit;
	return i;
}

static __attribute__((noinline)) unsigned int take_singles(struct vhk_ring *r,
							    struct vhk_chain **out,
							    const uint16_t *heads, unsigned int i,
							    unsigned int n)
{
	return r->in_order ? split_take_singles(r, out, heads, i, n, true)
			   : split_take_singles(r, out, heads, i, n, false);
}

/* In the ring's order, before any is handed out: what is marked is always a prefix. */
static void split_mark(struct vhk_ring *r, struct vhk_chain **out, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		out[i]->order = vhk_inflight_split_pop(r->inflight, out[i]->id);
}

static int split_pop(struct vhk_ring *r, struct vhk_chain **out, unsigned int max)
{
	const struct split_desc *table = r->desc;
	uint16_t heads[RING_BATCH];
	unsigned int i, n, sane;
	struct ring_desc d;
	int ret;

	ret = split_left(r);
	if (ret <= 0)
		return ring_pop_end(r, 0, ret);
	n = vhk_min(vhk_min((unsigned int)ret, max), vhk_min(RING_BATCH, r->n_free));
	sane = split_heads(r, heads, n);
	for (ret = 0, i = 0; i < sane; i++) {
		i = take_singles(r, out, heads, i, sane);
		if (i == sane)
			break;
		split_desc_read(&table[heads[i]], &d);
		out[i] = ring_slot(r, i);
		ret = split_take(r, out[i], heads[i], d);
		if (vhk_unlikely(ret))
			break;
	}
	if (vhk_unlikely(r->inflight != NULL))
		split_mark(r, out, i);
	r->last_avail = (uint16_t)(r->last_avail + i);
	r->n_last = (uint16_t)i;
	return ring_pop_end(r, i, !ret && sane < n ? -EBADMSG : ret);
}

static int split_resubmit(struct vhk_ring *r, unsigned int i, struct vhk_chain *c)
{
	const struct inflight_head *head = &r->inflight->heads[i];
	const struct split_desc *table = r->desc;
	struct ring_desc d;

	split_desc_read(&table[head->entry], &d);
	c->order = head->counter;
	return split_take(r, c, head->entry, d);
}

static void split_back(struct vhk_ring *r, const struct vhk_chain *c)
{
	r->last_avail--;
	/* the marks that stay are those of the oldest chains */
	if (r->inflight) {
		vhk_inflight_split_clear(r->inflight, c->id);
		vhk_compiler_fence();
	}
}

/* Fills used elements from @r->used on; returns the index behind them. */
RING_INLINE uint16_t split_fill(struct vhk_ring *r, unsigned int n, bool in_order)
{
	struct split_used *used = r->device;
	const unsigned int mask = r->size - 1u;
	const struct ring_used *staged = r->staged;
	uint8_t *state = r->state;
	uint16_t idx = r->used;
	unsigned int i, k, run;

	for (i = 0; i < n; i += run, idx = (uint16_t)(idx + run)) {
		struct split_used_elem *e = &used->ring[idx & mask];

		run = ring_run(r, in_order, i, n);
		vhk_store32(&e->id, staged[i + run - 1].id);
		vhk_store32(&e->len, staged[i + run - 1].len);
		for (k = i; k < i + run; k++)
			state[staged[k].id] = ID_FREE;
	}
	return idx;
}

static void split_log(struct vhk_ring *r, uint16_t from, uint16_t to)
{
	const unsigned int first = from & (r->size - 1u), n = (uint16_t)(to - from);
	const unsigned int part = vhk_min(n, r->size - first);
	const size_t each = sizeof(struct split_used_elem), at = sizeof(struct split_used);

	vhk_ring_log(r, &r->used_log, at + first * each, part * each);
	vhk_ring_log(r, &r->used_log, at, (n - part) * each);
}

static bool split_wants_call(const struct vhk_ring *r, uint16_t old)
{
	/* The index is out before the driver's wish is read; pairs with the driver's fence
	 * between the wish and its look at the index. */
	vhk_full_fence();
	if (r->event_idx)
		return ring_need_event(vhk_load16(used_event(r)), r->used, old);
	return !(vhk_load16(&((const struct split_avail *)r->driver)->flags) &
		 AVAIL_F_NO_INTERRUPT);
}

static int split_publish(struct vhk_ring *r, unsigned int n)
{
	struct split_used *used = r->device;
	const uint16_t old = r->used;
	const uint16_t idx = r->in_order ? split_fill(r, n, true) : split_fill(r, n, false);
	unsigned int i;

	if (r->dirty)
		split_log(r, old, idx);
	if (r->inflight)
		for (i = 0; i < n; i++)
			vhk_inflight_split_link(r->inflight, r->staged[i].id);
	vhk_store16_release(&used->idx, idx);
	r->used = idx;
	if (r->dirty)
		vhk_ring_log(r, &r->used_log, 0, sizeof(*used));
	if (r->inflight) {
		vhk_compiler_fence();
		for (i = 0; i < n; i++)
			vhk_inflight_split_clear(r->inflight, r->staged[i].id);
		vhk_inflight_split_end(r->inflight, idx);
	}
	return split_wants_call(r, old);
}

/*
 * With one request after another the driver's entry and descriptor are in other lines than its
 * index: they come along with it, where loads would fetch them each after the other. A driver that
 * has one request under way takes the same descriptor again.
 */
static bool split_ready(const struct vhk_ring *r)
{
	const struct split_avail *avail = r->driver;
	const struct split_desc *table = r->desc;

	if (r->n_last == 1) {
		__builtin_prefetch(&avail->ring[r->last_avail & (r->size - 1u)]);
		__builtin_prefetch(&table[r->staged->id]);
	}
	return vhk_load16(&avail->idx) != r->last_avail;
}

/* As split_fill(), from the chains themselves, which are put back afterwards. */
RING_INLINE void split_fill_chains(struct vhk_ring *r, struct vhk_chain *const *c, unsigned int n,
				   bool in_order)
{
	struct split_used *used = r->device;
	const unsigned int mask = r->size - 1u;
	const uint16_t idx = r->used;
	unsigned int i, run = 1;

	for (i = 0; i < n; i += run) {
		struct split_used_elem *e = &used->ring[(idx + i) & mask];

		if (in_order)
			run = ring_answer_run(c + i, n - i);
		vhk_store32(&e->id, c[i + run - 1]->id);
		vhk_store32(&e->len, c[i + run - 1]->written);
	}
}

static int split_answer(struct vhk_ring *r, struct vhk_chain *const *c, unsigned int n)
{
	const uint16_t old = r->used, idx = (uint16_t)(old + n);

	if (r->in_order)
		split_fill_chains(r, c, n, true);
	else
		split_fill_chains(r, c, n, false);
	vhk_store16_release(&((struct split_used *)r->device)->idx, idx);
	r->used = idx;
	return split_wants_call(r, old);
}

static void split_arm(struct vhk_ring *r)
{
	struct split_used *used = r->device;

	if (r->event_idx) {
		vhk_store16(avail_event(r), r->last_avail);
		if (r->dirty)
			vhk_ring_log(r, &r->used_log,
				     sizeof(*used) + r->size * sizeof(used->ring[0]),
				     sizeof(uint16_t));
	} else if (!r->armed) {
		vhk_store16(&used->flags, 0);
		if (r->dirty)
			vhk_ring_log(r, &r->used_log, 0, sizeof(*used));
	}
	r->armed = true;
}

/* With EVENT_IDX the event stays behind: one kick too many in 65,536 costs less than a store. */
static void split_disarm(struct vhk_ring *r)
{
	struct split_used *used = r->device;

	if (r->armed && !r->event_idx) {
		vhk_store16(&used->flags, USED_F_NO_NOTIFY);
		if (r->dirty)
			vhk_ring_log(r, &r->used_log, 0, sizeof(*used));
	}
	r->armed = false;
}

static uint32_t split_base(const struct vhk_ring *r)
{
	return r->last_avail;
}

const struct ring_ops vhk_ring_split_ops = {
	.pop = split_pop,
	.resubmit = split_resubmit,
	.back = split_back,
	.publish = split_publish,
	.answer = split_answer,
	.ready = split_ready,
	.arm = split_arm,
	.disarm = split_disarm,
	.base = split_base,
};

/* Where to go on. With an inflight region the chains up to the last one popped are known
 * exactly: the marks are set in ring order, so what is marked is what follows the used index. */
int vhk_ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	int ret;

	r->used = vhk_load16_acquire(&((const struct split_used *)r->device)->idx);
	r->last_avail = (uint16_t)o->base;
	if (o->inflight) {
		ret = vhk_inflight_new_split(&r->inflight, o->inflight, o->inflight_size, r->size,
					     r->used);
		if (ret)
			return ret;
		if (!r->inflight->fresh)
			r->last_avail = (uint16_t)(r->used + r->inflight->n_heads);
	}
	r->avail = r->last_avail;
	return (uint16_t)(r->last_avail - r->used) > r->size ? -EBADMSG : 0;
}
