// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * From descriptors to segments: what does not fit the inline path of ring_impl.h. Ranges over seams
 * and in no region, indirect tables, and the blocks of segments that long chains take.
 */
#include <limits.h>

#include "ring_impl.h"

static size_t big_bytes(const struct vhk_ring *r)
{
	return r->max_segs * sizeof(struct iovec);
}

static void *block_pop(void **list)
{
	void *block = *list;

	if (block)
		memcpy(list, block, sizeof(*list));
	return block;
}

static void block_push(void **list, void *block)
{
	memcpy(block, list, sizeof(*list));
	*list = block;
}

void vhk_ring_segs_init(struct vhk_ring *r, void *at, unsigned int n_small, unsigned int n_big)
{
	unsigned char *block = at;

	for (; n_small; n_small--, block += RING_SEGS_SMALL * sizeof(struct iovec))
		block_push(&r->small, block);
	r->big_start = block;
	for (; n_big; n_big--, block += big_bytes(r))
		block_push(&r->big, block);
}

void vhk_ring_segs_put(struct vhk_ring *r, struct iovec *seg)
{
	block_push((unsigned char *)seg < r->big_start ? &r->small : &r->big, seg);
}

/* -EBADMSG: more segments than a chain may have; -EAGAIN: no block left. */
static int walk_grow(struct ring_walk *w)
{
	struct vhk_ring *r = w->r;
	struct iovec *seg = NULL;
	unsigned int cap = RING_SEGS_SMALL;
	const bool in_slot = w->cap == r->inline_segs;

	if (w->cap == r->max_segs)
		return -EBADMSG;
	if (w->cap < RING_SEGS_SMALL)
		seg = block_pop(&r->small);
	if (!seg) {
		seg = block_pop(&r->big);
		cap = r->max_segs;
	}
	if (!seg)
		return -EAGAIN;
	memcpy(seg, w->seg, w->n * sizeof(*seg));
	if (!in_slot)
		vhk_ring_segs_put(r, w->seg);
	w->seg = seg;
	w->cap = vhk_min(cap, r->max_segs);
	return 0;
}

void *vhk_ring_guessed(struct vhk_ring *r, struct vhk_span *hit, uint64_t at, uint64_t len)
{
	return ring_guessed(r, hit, at, len);
}

/* The door from a driver's addresses to ours: as vhk_table_find(), or -EAGAIN, where a translation
 * has been asked for. */
static int ring_find(struct vhk_ring *r, uint64_t at, uint64_t len, bool write, struct iovec *seg,
		     unsigned int max, struct vhk_span *hit)
{
	const struct vhk_table *t = r->table;
	uint16_t *guess;
	unsigned int hint;
	int n;

	if (r->iova)
		return vhk_ring_iova_find(r, at, len,
					  write ? VHK_IOTLB_PERM_WO : VHK_IOTLB_PERM_RO, seg,
					  (int)max, hit, hit == &r->hit[ROLE_TABLE]);
	guess = ring_guess(r, at);
	hint = *guess;
	n = vhk_table_find(t, at, len, seg, (int)max, &hint);
	if (n == 1) {
		*hit = t->by_gpa[hint];
		*guess = (uint16_t)hint;
	}
	return n;
}

/* Puts the range where it belongs: one segment for each region it touches, or one that points
 * nowhere. -EAGAIN: it is waited for. */
static int walk_find(struct ring_walk *w, const struct ring_desc *d, struct vhk_span *hit)
{
	int n;

	if (w->n == w->cap)
		return -ENOBUFS;
	n = ring_find(w->r, d->addr, d->len, d->flags & DESC_F_WRITE, w->seg + w->n,
		      w->cap - w->n, hit);
	if (n != -EFAULT)
		return n;
	if (ring_waits_for(w->r, d->addr, d->len))
		return -EAGAIN;
	w->seg[w->n] = (struct iovec){ NULL, d->len };
	w->flags |= VHK_CHAIN_F_FAULT;
	return 1;
}

int vhk_ring_walk_slow(struct ring_walk *w, struct ring_desc d, unsigned int role)
{
	int ret;

	if (!d.len)
		return 0;
	for (;;) {
		ret = walk_find(w, &d, &w->r->hit[role]);
		if (ret > 0) {
			w->n += (unsigned int)ret;
			return 0;
		}
		if (ret != -EAGAIN)
			ret = walk_grow(w);
		if (ret)
			return ret;
	}
}

/* Bytes that other threads may write meanwhile, at any alignment. */
static void copy_shared(void *to, const void *from, size_t len)
{
	const uint8_t *byte = from;
	uint8_t *out = to;

	while (len--)
		*out++ = __atomic_load_n(byte++, __ATOMIC_RELAXED);
}

/* An entry that may lie across seams. */
static int entry_copy(struct vhk_ring *r, uint64_t gpa, struct split_desc *out)
{
	struct iovec seg[sizeof(*out)];
	uint8_t *to = (uint8_t *)out;
	int n, i;

	n = ring_find(r, gpa, sizeof(*out), false, seg, sizeof(*out), &r->hit[ROLE_TABLE]);
	for (i = 0; i < n; i++) {
		copy_shared(to, seg[i].iov_base, seg[i].iov_len);
		to += seg[i].iov_len;
	}
	return n < 0 ? -EBADMSG : 0;
}

struct table {
	struct vhk_ring *r;
	uint64_t gpa;
	const struct split_desc *va; /* NULL: over a seam, or not aligned */
	unsigned int n;
};

RING_INLINE int table_read(const struct table *t, unsigned int i, struct ring_desc *d)
{
	struct split_desc copy;

	if (vhk_likely(t->va != NULL)) {
		split_desc_read(&t->va[i], d);
		return 0;
	}
	if (entry_copy(t->r, t->gpa + i * sizeof(copy), &copy))
		return -EBADMSG;
	split_desc_read(&copy, d);
	return 0;
}

/* Whether all of the range is mapped, and in @hit if it is so in one region: 0, -EBADMSG, or
 * -EAGAIN as ring_find(). */
static int table_mapped(struct vhk_ring *r, uint64_t at, uint64_t len, struct vhk_span *hit)
{
	const struct vhk_table *t = r->table;
	const struct vhk_span *s;
	unsigned int hint = 0;
	uint64_t part;
	int n;

	if (r->iova) {
		n = ring_find(r, at, len, false, NULL, INT_MAX, hit);
		return n > 0 ? 0 : n == -EAGAIN ? n : -EBADMSG;
	}
	s = vhk_span_find(t->by_gpa, t->n, at, len, &hint);
	if (s)
		*hit = *s;
	for (; !s && len; at += part, len -= part) {
		const struct vhk_span *one = vhk_span_find(t->by_gpa, t->n, at, 1, &hint);

		if (!one)
			return ring_waits_for(r, at, len) ? -EAGAIN : -EBADMSG;
		part = vhk_min(len, one->size - (at - one->start));
	}
	return 0;
}

static int table_open(struct table *t, struct vhk_ring *r, const struct ring_desc *d)
{
	struct vhk_span *hit = &r->hit[ROLE_TABLE];
	int ret = 0;

	if (!r->indirect || !d->len || d->len % sizeof(struct split_desc) ||
	    d->len / sizeof(struct split_desc) > r->max_indirect || !vhk_range_ok(d->addr, d->len))
		return -EBADMSG;
	t->r = r;
	t->gpa = d->addr;
	t->n = d->len / sizeof(struct split_desc);
	t->va = vhk_span_at(hit, d->addr, d->len);
	if (!t->va)
		ret = table_mapped(r, d->addr, d->len, hit);
	if (ret)
		return ret;
	if (!t->va)
		t->va = vhk_span_at(hit, d->addr, d->len);
	if ((uintptr_t)t->va % sizeof(uint64_t))
		t->va = NULL;
	return 0;
}

/* Packed: the entries follow one another, and only WRITE counts (virtio 1.3, 2.8.7). Bytes 12 to
 * 15 of an entry are id and flags there, flags and next in a split ring. */
RING_INLINE int walk_packed_table(struct ring_walk *w, const struct table *t)
{
	struct ring_desc d;
	unsigned int i;
	int ret;

	for (i = 0; i < t->n; i++) {
		ret = table_read(t, i, &d);
		if (ret)
			return ret;
		d.flags = d.next;
		if (d.flags & DESC_F_INDIRECT)
			return -EBADMSG;
		ret = ring_walk_add(w, &d,
				    i == 0	     ? ROLE_FIRST
				    : i + 1 < t->n ? ROLE_MIDDLE
						     : ROLE_LAST);
		if (ret)
			return ret;
	}
	return 0;
}

RING_INLINE int walk_split_table(struct ring_walk *w, const struct table *t)
{
	unsigned int i = 0, count;
	struct ring_desc d;
	int ret;

	for (count = 1; count <= t->n; count++) {
		ret = table_read(t, i, &d);
		if (ret)
			return ret;
		if (d.flags & DESC_F_INDIRECT)
			return -EBADMSG;
		ret = ring_walk_add(w, &d,
				    count == 1		      ? ROLE_FIRST
				    : d.flags & DESC_F_NEXT ? ROLE_MIDDLE
							      : ROLE_LAST);
		if (ret || !(d.flags & DESC_F_NEXT))
			return ret;
		i = d.next;
		if (i >= t->n)
			return -EBADMSG;
	}
	return -EBADMSG;
}

int vhk_ring_walk_table(struct ring_walk *w, struct ring_desc d)
{
	struct table t;
	int ret;

	ret = table_open(&t, w->r, &d);
	if (ret)
		return ret;
	return w->r->packed ? walk_packed_table(w, &t) : walk_split_table(w, &t);
}

static void log_viewed(struct vhk_ring *r, uint64_t va, uint64_t len)
{
	const struct vhk_span *s;
	unsigned int hint = 0;
	uint64_t piece;

	for (; len; va += piece, len -= piece) {
		s = vhk_span_find(r->view->by_va, r->view->n, va, 1, &hint);
		if (!s)
			return;
		piece = vhk_min(len, s->size - (va - s->start));
		vhk_dirty_mark(r->dirty, &r->run, (uintptr_t)s->va + (va - s->start), piece);
	}
}

void vhk_ring_log(struct vhk_ring *r, const struct ring_logged *part, uint64_t at, uint64_t len)
{
	if (part->viewed)
		log_viewed(r, (uintptr_t)part->viewed + at, len);
	else if (at <= UINT64_MAX - part->gpa && part->gpa != UINT64_MAX)
		vhk_dirty_mark(r->dirty, &r->run, part->gpa + at, len);
}
