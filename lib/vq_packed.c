// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The packed layout, driver side (virtio 1.3, section 2.8): one ring of descriptors that both sides
 * write, and two event suppression words.
 */
#include "vq_impl.h"

static uint16_t *flags_of(const struct vhk_vq *q, uint16_t slot)
{
	return (uint16_t *)(void *)((unsigned char *)&q->desc[slot] + 14);
}

static void desc_write(struct vq_desc *d, const struct vq_piece *p, uint16_t id, uint16_t flags)
{
	vhk_store64(&d->addr, p->gpa);
	vhk_store64(&d->rest, vq_desc_rest(p->len, id, flags));
}

/*
 * Descriptors at the ring's head, one for each piece. The flags of the first staged one are the
 * gate for all that follow it: the device looks no further until publish stores them.
 */
static inline void slots_write(struct vhk_vq *q, const struct vq_piece *p, uint16_t id,
			       unsigned int n_out, unsigned int n, uint16_t extra)
{
	uint16_t at = q->avail, lap = q->avail_flags;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct vq_desc *d = &q->desc[at];
		uint16_t flags = lap | extra | (i < n_out ? 0 : DESC_F_WRITE) |
				 (i + 1 < n ? DESC_F_NEXT : 0);

		if (i || q->n_added) {
			desc_write(d, &p[i], id, flags);
		} else {
			vhk_store64(&d->addr, p->gpa);
			vhk_store32((uint32_t *)(void *)&d->rest, p->len);
			vhk_store16(flags_of(q, at) - 1, id);
			q->gate = at;
			q->gate_flags = flags;
		}
		if (++at == q->size) {
			at = 0;
			lap ^= DESC_F_LAP;
		}
	}
	q->avail = at;
	q->avail_flags = lap;
	q->n_added += n;
}

/* Order in the table is order in the chain: no NEXT (virtio 1.3, 2.8.7). */
static __attribute__((noinline)) void indirect_write(struct vhk_vq *q, uint16_t id,
						     unsigned int n_out, unsigned int n)
{
	struct vq_piece whole;
	struct vq_desc *t = vq_table(q, id, n, &whole);
	unsigned int i;

	for (i = 0; i < n; i++)
		desc_write(&t[i], &q->piece[i], 0, i < n_out ? 0 : DESC_F_WRITE);
	slots_write(q, &whole, id, 1, 1, DESC_F_INDIRECT);
}

static uint16_t id_after(const struct vhk_vq *q, uint16_t id)
{
	return id + 1 == q->size ? 0 : id + 1;
}

/* The id of a new chain of @n_desc slots. */
static inline uint16_t chain_new(struct vhk_vq *q, uint16_t n_desc, uint32_t in_len, void *token)
{
	uint16_t id = q->free;
	struct vq_slot *s = &q->slot[id];

	if (q->in_order) {
		q->free = id_after(q, id);
		s->pos = q->n_chains++;
	} else {
		q->free = s->next;
	}
	q->n_free -= n_desc;
	q->n_staged++;
	s->token = token;
	s->in_len = in_len;
	s->n_desc = n_desc;
	return id;
}

void vhk_vq_packed_add_single(struct vhk_vq *q, uint64_t gpa, uint32_t len, bool write, void *token)
{
	const struct vq_piece p = { gpa, len };
	uint16_t id = chain_new(q, 1, write ? len : 0, token);

	slots_write(q, &p, id, !write, 1, 0);
}

void vhk_vq_packed_add(struct vhk_vq *q, unsigned int n_out, unsigned int n, bool indirect,
		       void *token)
{
	uint16_t id = chain_new(q, indirect ? 1 : n, q->in_len, token);

	if (vhk_unlikely(indirect))
		indirect_write(q, id, n_out, n);
	else
		slots_write(q, q->piece, id, n_out, n, 0);
}

/*
 * Slots count from the start of the lap that q->avail is in; the event may lie in the one before.
 */
static bool kick_wanted(const struct vhk_vq *q, uint16_t n_added)
{
	uint32_t v = vhk_load32((uint32_t *)(void *)q->device);
	uint16_t flags = v >> 16, event = v & (EVENT_WRAP - 1);

	if (flags != EVENT_DESC || !q->event_idx)
		return flags != EVENT_DISABLE;
	if (!(v & EVENT_WRAP) == !!(q->avail_flags & DESC_F_AVAIL))
		event -= q->size;
	return ring_need_event(event, q->avail, q->avail - n_added);
}

int vhk_vq_packed_publish(struct vhk_vq *q)
{
	uint16_t n_added = q->n_added;

	q->n_out += q->n_staged;
	q->n_staged = 0;
	q->n_added = 0;
	/*
	 * Pairs with the device's acquire load of the head's flags: all other descriptors come
	 * first.
	 */
	vhk_store16_release(flags_of(q, q->gate), q->gate_flags);
	/* Pairs with the fence of a device that stores its event and then looks at the flags. */
	vhk_full_fence();
	return kick_wanted(q, n_added);
}

bool vhk_vq_packed_ready(const struct vhk_vq *q)
{
	return !((vhk_load16(flags_of(q, q->used)) ^ q->used_flags) & DESC_F_LAP);
}

static inline bool is_used(const struct vhk_vq *q, uint16_t at, uint16_t lap)
{
	/* Pairs with the device's release store of the flags: id, length and data come after it. */
	return !((vhk_load16_acquire(flags_of(q, at)) ^ lap) & DESC_F_LAP);
}

/*
 * The lines of as many slots as were got back last time, to write to: all at once, where loads
 * would fetch them one by one, and the next chains' stores once more. Not after an empty look: the
 * device may be writing to them still. And not the one of a single request, which the device is
 * looking at.
 */
static inline void lines_take(const struct vhk_vq *q)
{
	unsigned int i, at;

	if (q->n_got <= PACKED_LINE || !is_used(q, q->used, q->used_flags))
		return;
	for (i = 0; i < q->n_got; i += PACKED_LINE) {
		at = q->used + i;
		vhk_prefetch_write(&q->desc[at < q->size ? at : at - q->size]);
	}
}

/* The used descriptor in slot @at: its id and length. */
static inline int used_read(const struct vhk_vq *q, uint16_t at, uint16_t *id, uint32_t *len)
{
	uint64_t rest = vhk_load64(&q->desc[at].rest);

	*len = (uint32_t)rest;
	*id = (uint16_t)(rest >> 32);
	return *id < q->size && q->slot[*id].n_desc ? 0 : -EBADMSG;
}

static inline void pass(const struct vhk_vq *q, uint16_t *at, uint16_t *lap, unsigned int n_desc)
{
	unsigned int to = *at + n_desc;

	if (to >= q->size) {
		to -= q->size;
		*lap ^= DESC_F_LAP;
	}
	*at = (uint16_t)to;
}

/* One used descriptor may tell of several chains, and names the last: virtio 1.3, 2.8.9. */
static int in_order_next(struct vhk_vq *q, uint16_t *id, uint32_t *len)
{
	if (!q->batch_left) {
		uint16_t n;

		if (!q->n_out || used_read(q, q->used, id, len))
			return -EBADMSG;
		n = q->slot[*id].pos - q->slot[q->first].pos;
		if (n >= q->n_out)
			return -EBADMSG;
		q->batch_left = n + 1;
		q->batch_len = *len;
	}
	*id = q->first;
	*len = --q->batch_left ? UINT32_MAX : q->batch_len;
	return 0;
}

/* Hands the chain @id out; the slots that it leaves. */
static inline uint16_t chain_done(struct vhk_vq *q, uint16_t id, uint32_t len, struct vhk_done *out)
{
	struct vq_slot *s = &q->slot[id];
	uint16_t n_desc = s->n_desc;

	out->token = s->token;
	out->written = vq_written(len, s);
	s->n_desc = 0;
	return n_desc;
}

static unsigned int get_in_order(struct vhk_vq *q, struct vhk_done *out, unsigned int max)
{
	uint16_t n_desc, id;
	unsigned int n;
	uint32_t len;

	for (n = 0; n < max && (q->batch_left || is_used(q, q->used, q->used_flags)); n++) {
		q->error = in_order_next(q, &id, &len);
		if (q->error)
			break;
		n_desc = chain_done(q, id, len, &out[n]);
		q->n_free += n_desc;
		q->n_out--;
		pass(q, &q->used, &q->used_flags, n_desc);
		q->first = id_after(q, id);
	}
	return n;
}

/* The position stays in registers from chain to chain. */
static unsigned int get_any_order(struct vhk_vq *q, struct vhk_done *out, unsigned int max)
{
	uint16_t at = q->used, lap = q->used_flags, free = q->free, n_free = q->n_free, n_desc, id;
	unsigned int n;
	uint32_t len;

	for (n = 0; n < max && is_used(q, at, lap); n++) {
		if (vhk_unlikely(n == q->n_out || used_read(q, at, &id, &len))) {
			q->error = -EBADMSG;
			break;
		}
		n_desc = chain_done(q, id, len, &out[n]);
		n_free += n_desc;
		q->slot[id].next = free;
		free = id;
		pass(q, &at, &lap, n_desc);
	}
	q->used = at;
	q->used_flags = lap;
	q->free = free;
	q->n_free = n_free;
	q->n_out -= n;
	return n;
}

int vhk_vq_packed_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max)
{
	uint16_t n_free = q->n_free;
	unsigned int n;

	lines_take(q);
	n = q->in_order ? get_in_order(q, out, max) : get_any_order(q, out, max);
	q->n_got = q->n_free - n_free;
	return n ? (int)n : q->error;
}

/* How many chains the used descriptor of @id tells of, when @first is the oldest. 0: it lies. */
static uint16_t told_by(const struct vhk_vq *q, uint16_t id, uint16_t first, uint16_t left)
{
	uint16_t n = q->in_order ? q->slot[id].pos - q->slot[first].pos : 0;

	return n < left ? n + 1 : 0;
}

int vhk_vq_packed_told(const struct vhk_vq *q, uint32_t *base)
{
	uint16_t at = q->used, lap = q->used_flags, first = q->first, id = first;
	uint16_t left = q->n_out, n = q->batch_left;
	uint32_t len;

	for (;;) {
		for (; n; n--, left--) {
			pass(q, &at, &lap, q->slot[q->in_order ? first : id].n_desc);
			first = id_after(q, first);
		}
		if (!left || !is_used(q, at, lap))
			break;
		if (used_read(q, at, &id, &len))
			return -EBADMSG;
		n = told_by(q, id, first, left);
		if (!n)
			return -EBADMSG;
	}
	*base = at | (lap & DESC_F_USED);
	*base |= *base << 16;
	return 0;
}

void vhk_vq_packed_arm(struct vhk_vq *q)
{
	uint32_t at = q->used | (q->used_flags & DESC_F_USED);

	if (q->event_idx)
		vhk_store32((uint32_t *)(void *)q->driver, at | (uint32_t)EVENT_DESC << 16);
	else if (!q->armed)
		vhk_store32((uint32_t *)(void *)q->driver, (uint32_t)EVENT_ENABLE << 16);
}

void vhk_vq_packed_disarm(struct vhk_vq *q)
{
	vhk_store32((uint32_t *)(void *)q->driver, (uint32_t)EVENT_DISABLE << 16);
}

void vhk_vq_packed_init(struct vhk_vq *q)
{
	unsigned int i;

	for (i = 0; i < q->size; i++)
		q->slot[i].next = id_after(q, i);
	q->avail_flags = DESC_F_AVAIL;
	q->used_flags = DESC_F_LAP;
	vhk_vq_packed_disarm(q);
}
