// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The split layout, driver side (virtio 1.3, section 2.7): descriptor table, available ring, used
 * ring.
 */
#include "vq_impl.h"

static struct split_avail *avail_of(const struct vhk_vq *q)
{
	return (struct split_avail *)(void *)q->driver;
}

static uint16_t *used_idx(const struct vhk_vq *q)
{
	return (uint16_t *)(void *)(q->device + 2);
}

static const uint32_t *used_elem(const struct vhk_vq *q, uint16_t idx)
{
	return (const uint32_t *)(const void *)(q->device + 4) + 2u * (idx & (q->size - 1));
}

static uint16_t *avail_event(const struct vhk_vq *q)
{
	return (uint16_t *)(void *)(q->device + 4 + 8u * q->size);
}

static uint16_t *used_event(const struct vhk_vq *q)
{
	return &avail_of(q)->ring[q->size];
}

static void desc_write(struct vq_desc *d, const struct vq_piece *p, uint16_t flags, uint16_t next)
{
	vhk_store64(&d->addr, p->gpa);
	vhk_store64(&d->rest, vq_desc_rest(p->len, flags, next));
}

static __attribute__((noinline)) void indirect_write(struct vhk_vq *q, uint16_t head,
						     unsigned int n_out, unsigned int n)
{
	struct vq_piece whole;
	struct vq_desc *t = vq_table(q, head, n, &whole);
	unsigned int i;

	for (i = 0; i < n; i++)
		desc_write(&t[i], &q->piece[i],
			   (i < n_out ? 0 : DESC_F_WRITE) | (i + 1 < n ? DESC_F_NEXT : 0),
			   i + 1 < n ? i + 1 : 0);
	desc_write(&q->desc[head], &whole, DESC_F_INDIRECT, 0);
}

/*
 * Returns the last descriptor. In order, next is slot + 1 as virtio 1.3, 2.7.5.2 asks: the list is
 * never permuted.
 */
static inline uint16_t chain_write(struct vhk_vq *q, uint16_t head, unsigned int n_out,
				   unsigned int n)
{
	uint16_t d = head;
	unsigned int i;

	for (i = 0;; i++) {
		uint16_t flags = i < n_out ? 0 : DESC_F_WRITE;

		if (i + 1 == n) {
			desc_write(&q->desc[d], &q->piece[i], flags, 0);
			return d;
		}
		desc_write(&q->desc[d], &q->piece[i], flags | DESC_F_NEXT, q->next[d]);
		d = q->next[d];
	}
}

void vhk_vq_split_add(struct vhk_vq *q, unsigned int n_out, unsigned int n, bool indirect,
		      void *token)
{
	uint16_t n_desc = indirect ? 1 : n, head = q->free, last = head;
	struct vq_slot *s = &q->slot[head];

	if (vhk_unlikely(indirect))
		indirect_write(q, head, n_out, n);
	else
		last = chain_write(q, head, n_out, n);
	q->free = q->next[last];
	q->n_free -= n_desc;
	s->token = token;
	s->in_len = q->in_len;
	s->n_desc = n_desc;
	if (q->in_order)
		s->pos = q->avail;
	else
		s->last = last;
	vhk_store16(&avail_of(q)->ring[q->avail & (q->size - 1)], head);
	q->avail++;
	q->n_staged++;
}

int vhk_vq_split_publish(struct vhk_vq *q)
{
	uint16_t old = q->avail - q->n_staged;

	q->n_out += q->n_staged;
	q->n_staged = 0;
	/*
	 * Pairs with the device's acquire load of the index: the heads and descriptors come first.
	 */
	vhk_store16_release(&avail_of(q)->idx, q->avail);
	/* Pairs with the fence of a device that stores its event and then looks at the index. */
	vhk_full_fence();
	if (q->event_idx)
		return ring_need_event(vhk_load16(avail_event(q)), q->avail, old);
	return !(vhk_load16((uint16_t *)(void *)q->device) & USED_F_NO_NOTIFY);
}

static inline void chain_free(struct vhk_vq *q, uint16_t head)
{
	struct vq_slot *s = &q->slot[head];

	q->n_free += s->n_desc;
	if (q->in_order) {
		q->first = (head + s->n_desc) & (q->size - 1);
	} else {
		q->next[s->last] = q->free;
		q->free = head;
	}
	s->n_desc = 0;
}

/*
 * Used entries that may be read: the device's index is believed only as far as there is something
 * outstanding.
 */
static inline int used_look(struct vhk_vq *q)
{
	uint16_t idx;

	if (q->used_seen != q->used)
		return 0;
	/* Pairs with the device's release store: the entries and the data come after it. */
	idx = vhk_load16_acquire(used_idx(q));
	if ((uint16_t)(idx - q->used) > q->n_out)
		return -EBADMSG;
	q->used_seen = idx;
	return 0;
}

/* The entry at q->used, or the rest of one that told of several chains: virtio 1.3, 2.7.9. */
static __attribute__((noinline)) int in_order_next(struct vhk_vq *q, uint16_t *head, uint32_t *len)
{
	if (!q->batch_left) {
		const uint32_t *elem = used_elem(q, q->used);
		uint32_t id = vhk_load32(&elem[0]);
		uint16_t n;

		if (id >= q->size || !q->slot[id].n_desc)
			return -EBADMSG;
		n = q->slot[id].pos - q->used;
		if (n >= (uint16_t)(q->used_seen - q->used))
			return -EBADMSG;
		q->batch_left = n + 1;
		q->batch_len = vhk_load32(&elem[1]);
	}
	*head = q->first;
	*len = --q->batch_left ? UINT32_MAX : q->batch_len;
	return 0;
}

static inline int any_order_next(struct vhk_vq *q, uint16_t *head, uint32_t *len)
{
	const uint32_t *elem = used_elem(q, q->used);
	uint32_t id = vhk_load32(&elem[0]);

	if (id >= q->size || !q->slot[id].n_desc)
		return -EBADMSG;
	*head = id;
	*len = vhk_load32(&elem[1]);
	return 0;
}

int vhk_vq_split_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max)
{
	unsigned int n;
	uint16_t head;
	uint32_t len;
	int ret = used_look(q);

	for (n = 0; !ret && n < max && q->used != q->used_seen; n++) {
		ret = q->in_order ? in_order_next(q, &head, &len) : any_order_next(q, &head, &len);
		if (ret)
			break;
		out[n].token = q->slot[head].token;
		out[n].written = vq_written(len, &q->slot[head]);
		chain_free(q, head);
		q->used++;
		q->n_out--;
	}
	q->error = ret;
	return n ? (int)n : ret;
}

/* The entry of a single request comes along with the index. */
bool vhk_vq_split_ready(const struct vhk_vq *q)
{
	if (q->n_out == 1)
		__builtin_prefetch(used_elem(q, q->used));
	return vhk_load16(used_idx(q)) != q->used;
}

int vhk_vq_split_told(const struct vhk_vq *q, uint32_t *base)
{
	uint16_t idx = vhk_load16_acquire(used_idx(q));

	if ((uint16_t)(idx - q->used) > q->n_out)
		return -EBADMSG;
	*base = idx;
	return 0;
}

void vhk_vq_split_arm(struct vhk_vq *q)
{
	if (q->event_idx)
		vhk_store16(used_event(q), q->used);
	else if (!q->armed)
		vhk_store16(&avail_of(q)->flags, 0);
}

/* With an event index the old one is left behind: one call in 65,536 at most, and no store. */
void vhk_vq_split_disarm(struct vhk_vq *q)
{
	if (!q->event_idx)
		vhk_store16(&avail_of(q)->flags, AVAIL_F_NO_INTERRUPT);
}

void vhk_vq_split_init(struct vhk_vq *q)
{
	unsigned int i;

	for (i = 0; i < q->size; i++)
		q->next[i] = (i + 1) & (q->size - 1);
	q->used_seen = 0;
	if (q->event_idx)
		vhk_store16(used_event(q), UINT16_MAX);
	else
		vhk_store16(&avail_of(q)->flags, AVAIL_F_NO_INTERRUPT);
}
