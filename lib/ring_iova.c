// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Rings whose descriptors hold IOVAs (virtio 1.3, 6.1 ACCESS_PLATFORM): translation with misses
 * that are told once a look, chains held back for them, and what chains in flight point at, so that
 * a translation that is taken back can wait for exactly those.
 */
#include "mem_iova.h"
#include "ring_impl.h"

#define DENIED_MAX 4
/* Ranges that are told apart; a chain of more counts as one that points everywhere. */
#define NOTES_MAX 32
#define NOTES_ALL UINT8_MAX

struct ring_iova {
	struct vhk_iotlb_table *table;
	vhk_ring_miss_fn *miss;
	void *arg;
	/* Pages that the next chain asked for in vain. */
	unsigned int n_denied;
	uint64_t denied[DENIED_MAX];
	/* Of each slot: 0 while its chain is not popped. */
	uint8_t *n_notes;
	struct iovec (*notes)[NOTES_MAX];
};

int vhk_ring_use_iotlb(struct vhk_ring *r, struct vhk_iotlb_table *t, vhk_ring_miss_fn *miss,
		       void *arg)
{
	struct ring_iova *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->n_notes = calloc(r->size, sizeof(*i->n_notes));
	i->notes = malloc(r->size * sizeof(*i->notes));
	if (!i->n_notes || !i->notes) {
		free(i->n_notes);
		free(i->notes);
		free(i);
		return -ENOMEM;
	}
	i->table = vhk_iotlb_table_get(t);
	i->miss = miss;
	i->arg = arg;
	r->iova = i;
	r->special = r->special_pop = true;
	r->n_spans = 0;
	return 0;
}

void vhk_ring_iova_free(struct vhk_ring *r)
{
	struct ring_iova *i = r->iova;

	if (!i)
		return;
	vhk_iotlb_table_put(i->table);
	free(i->n_notes);
	free(i->notes);
	free(i);
}

void vhk_ring_set_iotlb(struct vhk_ring *r, struct vhk_iotlb_table *t)
{
	vhk_iotlb_table_put(r->iova->table);
	r->iova->table = vhk_iotlb_table_get(t);
	memset(r->hit, 0, sizeof(r->hit));
	vhk_ring_miss_over(r, false);
}

void vhk_ring_deny(struct vhk_ring *r, uint64_t iova)
{
	struct ring_iova *i = r->iova;

	i->denied[i->n_denied++ % DENIED_MAX] = iova & ~(VHK_IOVA_PAGE - 1);
	vhk_ring_miss_over(r, false);
}

/* Once more was denied than is remembered, nothing more is asked for. */
static bool denied(const struct ring_iova *i, uint64_t iova)
{
	unsigned int k;

	for (k = 0; k < vhk_min(i->n_denied, DENIED_MAX); k++)
		if (i->denied[k] == (iova & ~(VHK_IOVA_PAGE - 1)))
			return true;
	return i->n_denied > DENIED_MAX;
}

int vhk_ring_iova_find(struct vhk_ring *r, uint64_t at, uint64_t len, uint8_t perm,
		       struct iovec *seg, int max, struct vhk_span *hit, bool reads)
{
	struct ring_iova *i = r->iova;
	struct vhk_iova_hit h;
	int n = vhk_iova_find(i->table, r->table, at, len, perm, seg, max, &h);

	if (n == 1 && (reads || h.perm == VHK_IOTLB_PERM_RW))
		*hit = h.span;
	if (n == -EAGAIN && denied(i, h.at))
		return -EFAULT;
	if (n == -EAGAIN) {
		r->miss = true;
		r->miss_at = h.at;
		r->miss_len = 1;
		i->miss(i->arg, h.at, perm, false);
	} else if (n == -EACCES) {
		i->miss(i->arg, h.at, perm, true);
		return -EFAULT;
	}
	return n;
}

static size_t slot_of(const struct vhk_ring *r, const struct vhk_chain *c)
{
	return (size_t)((const unsigned char *)c - r->slots) / r->slot_size;
}

/* The pages of the chain's segments, neighbours as one. */
static uint8_t note(struct iovec *out, const struct vhk_chain *c)
{
	const unsigned int n_segs = (unsigned int)c->n_out + c->n_in;
	uintptr_t from, to, end = 0;
	unsigned int i, n = 0;

	for (i = 0; i < n_segs; i++) {
		from = (uintptr_t)c->seg[i].iov_base & ~(VHK_IOVA_PAGE - 1);
		to = vhk_align_up((uintptr_t)c->seg[i].iov_base + c->seg[i].iov_len, VHK_IOVA_PAGE);
		if (!c->seg[i].iov_base)
			continue;
		if (n && from >= (uintptr_t)out[n - 1].iov_base && to <= end)
			continue;
		if (n && from == end) {
			out[n - 1].iov_len += to - from;
		} else {
			if (n == NOTES_MAX)
				return NOTES_ALL;
			out[n++] = (struct iovec){ (void *)from, to - from };
		}
		end = to;
	}
	return n ? (uint8_t)n : NOTES_ALL;
}

void vhk_ring_iova_popped(struct vhk_ring *r, struct vhk_chain **c, unsigned int n)
{
	struct ring_iova *i = r->iova;
	unsigned int k;
	size_t slot;

	i->n_denied = 0;
	for (k = 0; k < n; k++) {
		slot = slot_of(r, c[k]);
		i->n_notes[slot] = note(i->notes[slot], c[k]);
	}
}

void vhk_ring_iova_pushed(struct vhk_ring *r, const struct vhk_chain *c)
{
	r->iova->n_notes[slot_of(r, c)] = 0;
}

static bool touches(const struct iovec *a, const struct iovec *b)
{
	const uintptr_t from = (uintptr_t)a->iov_base, at = (uintptr_t)b->iov_base;

	return from <= at ? at - from < a->iov_len : from - at < b->iov_len;
}

static bool touches_any(const struct ring_iova *i, size_t slot, const struct iovec *va,
			unsigned int n)
{
	unsigned int k, m;

	if (i->n_notes[slot] == NOTES_ALL)
		return true;
	for (k = 0; k < i->n_notes[slot]; k++)
		for (m = 0; m < n; m++)
			if (touches(&i->notes[slot][k], &va[m]))
				return true;
	return false;
}

unsigned int vhk_ring_retire(struct vhk_ring *r, const struct iovec *va, unsigned int n)
{
	struct ring_iova *i = r->iova;
	struct vhk_chain *c;
	size_t slot;

	if (!n)
		return 0;
	for (slot = 0; slot < r->size; slot++) {
		if (!i->n_notes[slot] || !touches_any(i, slot, va, n))
			continue;
		c = (struct vhk_chain *)(void *)(r->slots + slot * r->slot_size +
						 RING_SEGS_INLINE * sizeof(struct iovec));
		if (c->map_gen != r->gen)
			continue;
		c->map_gen = r->gen - 1;
		r->n_old++;
	}
	if (r->n_old && !r->old_table)
		r->old_table = vhk_table_get(r->table);
	return r->n_old;
}
