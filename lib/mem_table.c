// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Snapshots of a memory table: how they are made, counted and searched. A snapshot never changes;
 * the arrays of one lie in one allocation.
 */
#include <limits.h>

#include "base.h"
#include "fd.h"
#include "mem.h"

void vhk_mapping_put(struct vhk_mapping *mapping)
{
	if (atomic_fetch_sub_explicit(&mapping->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (mapping->owned)
		vhk_unmap_range(&mapping->map);
	vhk_fd_close(mapping->fd);
	free(mapping);
}

struct vhk_table *vhk_table_get(struct vhk_table *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

static void hold_put(struct vhk_hold *h)
{
	unsigned int i;

	if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (i = 0; i < h->n; i++)
		vhk_mapping_put(h->mapping[i]);
	free(h);
}

static void hold_add(struct vhk_hold *h, struct vhk_mapping *mapping)
{
	atomic_fetch_add_explicit(&mapping->refs, 1, memory_order_relaxed);
	h->mapping[h->n++] = mapping;
}

/* The mappings of @t, without number @skip of them (UINT_MAX: all), with room for as many more. */
static struct vhk_hold *hold_new(const struct vhk_table *t, unsigned int skip)
{
	const unsigned int room = 2 * t->n + 8;
	struct vhk_hold *h = malloc(sizeof(*h) + room * sizeof(h->mapping[0]));
	unsigned int i;

	if (!h)
		return NULL;
	atomic_init(&h->refs, 1);
	h->n = 0;
	h->room = room;
	for (i = 0; i < t->n; i++)
		if (i != skip)
			hold_add(h, t->mapping[i]);
	return h;
}

/* A reference to what keeps the mappings of @t and one more; each table would count all of them
 * otherwise. */
static struct vhk_hold *hold_with(const struct vhk_table *t, struct vhk_mapping *mapping)
{
	struct vhk_hold *h = t->hold;

	if (h && h->n < h->room)
		atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	else
		h = hold_new(t, UINT_MAX);
	if (h)
		hold_add(h, mapping);
	return h;
}

void vhk_table_trim(struct vhk_table *t)
{
	struct vhk_hold *h = t ? t->hold : NULL;

	while (h && h->n > t->n)
		vhk_mapping_put(h->mapping[--h->n]);
}

void vhk_table_put(struct vhk_table *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	hold_put(t->hold);
	if (atomic_fetch_sub_explicit(&t->torn->refs, 1, memory_order_acq_rel) == 1)
		free(t->torn);
	free(t);
}

/* That of @from, or one of its own. */
static struct vhk_torn *torn_get(const struct vhk_table *from)
{
	struct vhk_torn *torn;

	if (from) {
		atomic_fetch_add_explicit(&from->torn->refs, 1, memory_order_relaxed);
		return from->torn;
	}
	torn = malloc(sizeof(*torn));
	if (!torn)
		return NULL;
	atomic_init(&torn->refs, 1);
	atomic_init(&torn->set, false);
	atomic_init(&torn->late, false);
	atomic_init(&torn->pieces, 0);
	return torn;
}

void vhk_table_set_late(const struct vhk_table *t, bool on)
{
	atomic_store_explicit(&t->torn->late, on, memory_order_relaxed);
}

void vhk_table_tear(const struct vhk_table *t)
{
	atomic_store_explicit(&t->torn->set, true, memory_order_release);
}

static struct vhk_table *table_alloc(unsigned int n, uint32_t gen, const struct vhk_table *from)
{
	const size_t each = 3 * sizeof(struct vhk_span) + sizeof(struct vhk_region) +
			    sizeof(struct vhk_mapping *);
	struct vhk_table *t = malloc(sizeof(*t) + n * each);
	struct vhk_span *span;

	if (!t)
		return NULL;
	t->torn = torn_get(from);
	if (!t->torn) {
		free(t);
		return NULL;
	}
	atomic_init(&t->refs, 1);
	t->gen = gen;
	t->n = n;
	t->logs = 0;
	t->starts = 0;
	t->grain = 0;
	t->hold = NULL;
	span = (struct vhk_span *)(t + 1);
	t->by_gpa = span;
	t->by_uva = span + n;
	t->by_va = span + 2 * n;
	t->region = (struct vhk_region *)(span + 3 * n);
	t->mapping = (struct vhk_mapping **)(t->region + n);
	return t;
}

struct vhk_table *vhk_table_empty(uint32_t gen)
{
	return table_alloc(0, gen, NULL);
}

struct vhk_table *vhk_table_beside(const struct vhk_table *t)
{
	return table_alloc(0, t->gen, t);
}

unsigned int vhk_span_rank(const struct vhk_span *spans, unsigned int n, uint64_t at)
{
	unsigned int low = 0, mid;

	while (low < n) {
		mid = low + (n - low) / 2;
		if (spans[mid].start < at)
			low = mid + 1;
		else
			n = mid;
	}
	return low;
}

/* @to has room for n + 1. Returns the place of @s. */
static unsigned int span_insert(const struct vhk_span *to, const struct vhk_span *from,
				unsigned int n, struct vhk_span s)
{
	struct vhk_span *out = (struct vhk_span *)to;
	unsigned int at = vhk_span_rank(from, n, s.start);

	memcpy(out, from, at * sizeof(*out));
	out[at] = s;
	memcpy(out + at + 1, from + at, (n - at) * sizeof(*out));
	return at;
}

/* @to has room for n - 1. */
static void span_drop(const struct vhk_span *to, const struct vhk_span *from, unsigned int n,
		      uint64_t start)
{
	struct vhk_span *out = (struct vhk_span *)to;
	unsigned int at = vhk_span_rank(from, n, start);

	memcpy(out, from, at * sizeof(*out));
	memcpy(out + at, from + at + 1, (n - at - 1) * sizeof(*out));
}

static unsigned int log_of(uint64_t size)
{
	return 63 - (unsigned int)__builtin_clzll(size);
}

/*
 * The geometric mean of sizes is moved neither by one that is huge nor by one that is tiny. Where
 * all begin at multiples of more, they lie apart: that keeps the numbers of their parts close
 * together, and so apart in a table by hash.
 */
static void note_grain(struct vhk_table *t, unsigned int logs, uint64_t starts)
{
	t->logs = logs;
	t->starts = starts;
	t->grain = t->n ? (uint8_t)(logs / t->n) : 0;
	if (starts)
		t->grain = (uint8_t)vhk_max((int)t->grain, __builtin_ctzll(starts));
}

static uint64_t starts_of(const struct vhk_table *t)
{
	uint64_t starts = 0;
	unsigned int i;

	for (i = 0; i < t->n; i++)
		starts |= t->by_gpa[i].start;
	return starts;
}

static struct vhk_table *table_drop(struct vhk_table *t)
{
	vhk_table_put(t);
	return NULL;
}

struct vhk_table *vhk_table_copy(const struct vhk_table *t, uint32_t gen)
{
	struct vhk_table *out = table_alloc(t->n, gen, t);
	const size_t spans = t->n * sizeof(*t->by_gpa);

	if (!out)
		return NULL;
	out->hold = hold_new(t, UINT_MAX);
	if (!out->hold)
		return table_drop(out);
	memcpy((void *)out->by_gpa, t->by_gpa, spans);
	memcpy((void *)out->by_uva, t->by_uva, spans);
	memcpy((void *)out->by_va, t->by_va, spans);
	memcpy(out->region, t->region, t->n * sizeof(*t->region));
	memcpy(out->mapping, t->mapping, t->n * sizeof(*t->mapping));
	note_grain(out, t->logs, t->starts);
	return out;
}

struct vhk_table *vhk_table_with(const struct vhk_table *t, uint32_t gen,
				 const struct vhk_region *r, struct vhk_mapping *mapping)
{
	unsigned char *va = mapping->map.va;
	struct vhk_table *out = table_alloc(t->n + 1, gen, t);
	unsigned int at;

	if (!out)
		return NULL;
	out->hold = hold_with(t, mapping);
	if (!out->hold)
		return table_drop(out);
	at = span_insert(out->by_gpa, t->by_gpa, t->n,
			 (struct vhk_span){ r->gpa.v, r->size, va });
	span_insert(out->by_uva, t->by_uva, t->n, (struct vhk_span){ r->uva.v, r->size, va });
	span_insert(out->by_va, t->by_va, t->n,
		    (struct vhk_span){ (uintptr_t)va, r->size,
				       (unsigned char *)(uintptr_t)r->gpa.v });
	memcpy(out->region, t->region, at * sizeof(*r));
	out->region[at] = *r;
	memcpy(out->region + at + 1, t->region + at, (t->n - at) * sizeof(*r));
	memcpy(out->mapping, t->mapping, at * sizeof(mapping));
	out->mapping[at] = mapping;
	memcpy(out->mapping + at + 1, t->mapping + at, (t->n - at) * sizeof(mapping));
	note_grain(out, t->logs + log_of(r->size), t->starts | r->gpa.v);
	return out;
}

static void copy_without(struct vhk_table *out, const struct vhk_table *t, unsigned int i)
{
	const unsigned int after = t->n - i - 1;

	span_drop(out->by_gpa, t->by_gpa, t->n, t->region[i].gpa.v);
	span_drop(out->by_uva, t->by_uva, t->n, t->region[i].uva.v);
	span_drop(out->by_va, t->by_va, t->n, (uintptr_t)t->by_gpa[i].va);
	memcpy(out->region, t->region, i * sizeof(*t->region));
	memcpy(out->region + i, t->region + i + 1, after * sizeof(*t->region));
	memcpy(out->mapping, t->mapping, i * sizeof(*t->mapping));
	memcpy(out->mapping + i, t->mapping + i + 1, after * sizeof(*t->mapping));
	note_grain(out, t->logs - log_of(t->by_gpa[i].size), starts_of(out));
}

struct vhk_table *vhk_table_without(const struct vhk_table *t, uint32_t gen, unsigned int i)
{
	struct vhk_table *out = table_alloc(t->n - 1, gen, t);

	if (!out)
		return NULL;
	out->hold = hold_new(t, i);
	if (!out->hold)
		return table_drop(out);
	copy_without(out, t, i);
	return out;
}

const struct vhk_span *vhk_span_find(const struct vhk_span *spans, unsigned int n, uint64_t at,
				     uint64_t len, unsigned int *hint)
{
	const struct vhk_span *s = spans;
	unsigned int half;

	if (!n)
		return NULL;
	if (*hint < n && vhk_span_has(&spans[*hint], at, len))
		return &spans[*hint];
	/* The last span that starts at or below @at; the compiler makes a conditional move of the
	 * choice. */
	for (; n > 1; n -= half) {
		half = n / 2;
		s = s[half].start <= at ? s + half : s;
	}
	if (!vhk_span_has(s, at, len))
		return NULL;
	*hint = (unsigned int)(s - spans);
	return s;
}

static int spans_to_segs(const struct vhk_span *spans, unsigned int n, uint64_t at, uint64_t len,
			 struct iovec *seg, int max, unsigned int *hint)
{
	const struct vhk_span *s;
	uint64_t part;
	int count = 0;

	if (!vhk_range_ok(at, len))
		return -EFAULT;
	for (; len; at += part, len -= part) {
		s = vhk_span_find(spans, n, at, 1, hint);
		if (!s)
			return -EFAULT;
		if (count >= max)
			return -ENOBUFS;
		part = vhk_min(len, s->size - (at - s->start));
		seg[count].iov_base = s->va + (at - s->start);
		seg[count++].iov_len = part;
	}
	return count;
}

int vhk_table_find(const struct vhk_table *t, uint64_t gpa, uint64_t len, struct iovec *seg,
		   int max, unsigned int *hint)
{
	return spans_to_segs(t->by_gpa, t->n, gpa, len, seg, max, hint);
}

int vhk_table_find_uva(const struct vhk_table *t, uint64_t uva, uint64_t len, struct iovec *seg,
		       int max, unsigned int *hint)
{
	return spans_to_segs(t->by_uva, t->n, uva, len, seg, max, hint);
}
