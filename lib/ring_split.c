// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The split layout, device side (virtio 1.3, 2.7): descriptor table, available ring, used ring. What the driver may
 * overwrite is never read back: the used index and ring are private.
 */
#include "ring_impl.h"

#define USED_F_NO_NOTIFY 1
#define AVAIL_F_NO_INTERRUPT 1

struct split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* [size] is used_event */
};

struct split_used_elem {
	uint32_t id;
	uint32_t len;
};

struct split_used {
	uint16_t flags;
	uint16_t idx;
	struct split_used_elem ring[]; /* [size] starts with avail_event */
};

static const uint16_t *used_event(const struct vhk_ring *r)
{
	return &((const struct split_avail *)r->driver)->ring[r->size];
}

static uint16_t *avail_event(const struct vhk_ring *r)
{
	return (uint16_t *)(void *)&((struct split_used *)r->device)->ring[r->size];
}

static int split_walk(struct ring_walk *w, struct vhk_ring *r, struct vhk_chain *c, uint16_t head)
{
	const struct split_desc *table = r->desc;
	unsigned int n = 0, idx = head;
	struct ring_desc d;
	int ret;

	ring_walk_begin(w, r, c);
	for (;;) {
		split_desc_read(&table[idx], &d);
		n++;
		if (d.flags & DESC_F_INDIRECT) {
			ret = d.flags & DESC_F_NEXT ? -EBADMSG : ring_walk_indirect(w, &d);
			break;
		}
		ret = ring_walk_add(w, &d,
				    n == 1		      ? ROLE_FIRST
				    : d.flags & DESC_F_NEXT ? ROLE_MIDDLE
							      : ROLE_LAST);
		if (ret || !(d.flags & DESC_F_NEXT))
			break;
		if (n == r->size || d.next >= r->size || r->state[d.next] != ID_FREE)
			return -EBADMSG;
		idx = d.next;
	}
	return ret ? ret : ring_walk_end(w, head, (uint16_t)n);
}

/* One chain for the caller. -EAGAIN: no room for it; -EBADMSG. */
static inline int split_take(struct vhk_ring *r, uint16_t head, struct vhk_chain **out)
{
	struct vhk_chain *c;
	struct ring_walk w;
	int ret;

	if (vhk_unlikely(r->state[head] != ID_FREE))
		return -EBADMSG;
	if (vhk_unlikely(!r->n_free))
		return -EAGAIN;
	c = r->free[r->n_free - 1];
	r->state[head] = ID_POPPED;
	ret = split_walk(&w, r, c, head);
	if (vhk_unlikely(ret)) {
		r->state[head] = ID_FREE;
		ring_walk_abort(&w);
		return ret;
	}
	ring_took(r, c);
	*out = c;
	return 0;
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

static int split_pop(struct vhk_ring *r, struct vhk_chain **out, unsigned int max)
{
	uint16_t heads[RING_BATCH];
	unsigned int i, n, sane;
	int ret;

	ret = split_left(r);
	if (ret <= 0)
		return ring_pop_end(r, 0, ret);
	n = vhk_min(vhk_min((unsigned int)ret, max), RING_BATCH);
	sane = split_heads(r, heads, n);
	ret = sane < n ? -EBADMSG : 0;
	for (i = 0; i < sane; i++) {
		int taken = split_take(r, heads[i], &out[i]);

		if (vhk_unlikely(taken)) {
			ret = taken;
			break;
		}
		r->last_avail++;
		if (r->inflight)
			out[i]->order = inflight_split_pop(r->inflight, heads[i]);
	}
	return ring_pop_end(r, i, ret);
}

static int split_resubmit(struct vhk_ring *r, unsigned int i, struct vhk_chain **out)
{
	const struct inflight_head *head = &r->inflight->heads[i];
	int ret = split_take(r, head->entry, out);

	if (!ret)
		(*out)->order = head->counter;
	return ret;
}

/* Fills used elements from @r->used on; returns the index behind them. */
static uint16_t split_fill(struct vhk_ring *r, unsigned int n)
{
	struct split_used *used = r->device;
	uint16_t idx = r->used;
	unsigned int i, run;

	for (i = 0; i < n; i += run, idx = (uint16_t)(idx + run)) {
		struct split_used_elem *e = &used->ring[idx & (r->size - 1u)];
		const struct ring_used *s;

		run = ring_run(r, i, n);
		s = &r->staged[i + run - 1];
		vhk_store32(&e->id, s->id);
		vhk_store32(&e->len, s->len);
	}
	return idx;
}

static void split_log(const struct vhk_ring *r, uint16_t from, uint16_t to)
{
	const unsigned int first = from & (r->size - 1u), n = (uint16_t)(to - from);
	const unsigned int part = vhk_min(n, r->size - first);
	const size_t each = sizeof(struct split_used_elem), at = sizeof(struct split_used);

	ring_log(r, r->used_gpa, at + first * each, part * each);
	ring_log(r, r->used_gpa, at, (n - part) * each);
}

static bool split_wants_call(const struct vhk_ring *r, uint16_t old)
{
	/* The index is out before the driver's wish is read; pairs with the driver's fence between the wish and its look
	 * at the index. */
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
	const uint16_t idx = split_fill(r, n);
	unsigned int i;

	if (r->dirty)
		split_log(r, old, idx);
	if (r->inflight)
		for (i = 0; i < n; i++)
			inflight_split_link(r->inflight, r->staged[i].id);
	vhk_store16_release(&used->idx, idx);
	r->used = idx;
	if (r->dirty)
		ring_log(r, r->used_gpa, 0, sizeof(*used));
	if (r->inflight) {
		vhk_compiler_fence();
		for (i = 0; i < n; i++)
			inflight_split_clear(r->inflight, r->staged[i].id);
		inflight_split_end(r->inflight, idx);
	}
	return split_wants_call(r, old);
}

static bool split_ready(const struct vhk_ring *r)
{
	return vhk_load16(&((const struct split_avail *)r->driver)->idx) != r->last_avail;
}

static void split_arm(struct vhk_ring *r)
{
	struct split_used *used = r->device;

	if (r->event_idx) {
		vhk_store16(avail_event(r), r->last_avail);
		if (r->dirty)
			ring_log(r, r->used_gpa,
				 sizeof(*used) + r->size * sizeof(used->ring[0]),
				 sizeof(uint16_t));
	} else if (!r->armed) {
		vhk_store16(&used->flags, 0);
		if (r->dirty)
			ring_log(r, r->used_gpa, 0, sizeof(*used));
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
			ring_log(r, r->used_gpa, 0, sizeof(*used));
	}
	r->armed = false;
}

static uint32_t split_base(const struct vhk_ring *r)
{
	return r->last_avail;
}

const struct ring_ops ring_split_ops = {
	.pop = split_pop,
	.resubmit = split_resubmit,
	.publish = split_publish,
	.ready = split_ready,
	.arm = split_arm,
	.disarm = split_disarm,
	.base = split_base,
};

/* Where to go on. With an inflight region the chains up to the last one popped are known exactly: the marks are set in
 * ring order, so what is marked is what follows the used index. */
int ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	int ret;

	r->used = vhk_load16_acquire(&((const struct split_used *)r->device)->idx);
	r->last_avail = (uint16_t)o->base;
	if (o->inflight) {
		ret = inflight_open_split(&r->inflight, o->inflight, o->inflight_size, r->size,
					  r->used);
		if (ret)
			return ret;
		if (!r->inflight->fresh)
			r->last_avail = (uint16_t)(r->used + r->inflight->n_heads);
	}
	r->avail = r->last_avail;
	return (uint16_t)(r->last_avail - r->used) > r->size ? -EBADMSG : 0;
}
