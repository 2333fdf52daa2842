// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * How a view is made: room for all of it is reserved, then each piece is mapped into its place once
 * more, and noted as a region. Nothing needs the files any more.
 */
#include "barrier.h"
#include "base.h"
#include "mem_view.h"

static bool in_one_piece(const struct vhk_table *t, const struct iovec *seg, unsigned int n)
{
	const uintptr_t start = (uintptr_t)seg[0].iov_base;
	unsigned int i, hint = 0;
	uint64_t len = 0;

	for (i = 0; i < n; len += seg[i++].iov_len)
		if ((uintptr_t)seg[i].iov_base != start + len)
			return false;
	return vhk_span_find(t->by_va, t->n, start, len, &hint);
}

static size_t in_page(const void *va, size_t off)
{
	return ((uintptr_t)va + off) & (vhk_page_size() - 1);
}

static bool pages_fit(const struct iovec *seg, unsigned int n)
{
	unsigned int i;

	for (i = 0; i + 1 < n; i++)
		if (in_page(seg[i].iov_base, seg[i].iov_len) || in_page(seg[i + 1].iov_base, 0))
			return false;
	return true;
}

/* The region that @va lies in, or NULL. */
static const struct vhk_mapping *mapping_of(const struct vhk_table *t, const struct iovec *seg,
					    uint64_t *gpa)
{
	const uintptr_t at = (uintptr_t)seg->iov_base;
	const struct vhk_span *span;
	unsigned int hint = 0;

	span = vhk_span_find(t->by_va, t->n, at, seg->iov_len, &hint);
	if (!span)
		return NULL;
	*gpa = (uintptr_t)span->va + (at - span->start);
	hint = 0;
	return vhk_span_find(t->by_gpa, t->n, *gpa, 1, &hint) ? t->mapping[hint] : NULL;
}

static int touch(const struct vhk_table *t, const unsigned char *va, size_t len)
{
	struct vhk_fault_scope scope;
	size_t off;

	vhk_fault_enter(&scope, t);
	for (off = 0; off < len; off += vhk_page_size())
		vhk_load16((const uint16_t *)(const void *)(va + off));
	vhk_fault_leave(&scope);
	return vhk_table_torn(t) ? -EFAULT : 0;
}

/* @seg at @at, of @len bytes in whole pages, which stay reserved on failure. */
static int map_piece(struct vhk_mapping *m, const struct vhk_table *t, const struct iovec *seg)
{
	unsigned char *from = (unsigned char *)seg->iov_base - in_page(seg->iov_base, 0);
	int ret = touch(t, from, m->map.len);

	return ret ? ret : vhk_map_again(m->map.base, from, m->map.len);
}

/* As a region of *view, which is exchanged. */
static int add_piece(struct vhk_table **view, const struct vhk_table *t, const struct iovec *seg,
		     unsigned char *at, size_t len)
{
	struct vhk_region r = { .size = seg->iov_len };
	const struct vhk_mapping *origin = mapping_of(t, seg, &r.gpa.v);
	struct vhk_mapping *m;
	struct vhk_table *next;
	int ret;

	if (!origin || origin->map.block != vhk_page_size() || origin->map.xen)
		return -EOPNOTSUPP;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct vhk_mapping){ .fd = -1, .owned = true };
	atomic_init(&m->refs, 1);
	m->map = (struct vhk_map){ .va = at + in_page(seg->iov_base, 0), .base = at, .len = len,
				   .block = vhk_page_size() };
	r.uva.v = (uintptr_t)m->map.va;
	next = vhk_table_with(*view, t->gen, &r, m);
	ret = next ? map_piece(m, t, seg) : -ENOMEM;
	if (ret) {
		m->map.base = NULL;
		vhk_table_put(next);
	} else {
		vhk_table_put(*view);
		*view = next;
	}
	vhk_mapping_put(m);
	return ret;
}

static size_t pages_of(const struct iovec *seg)
{
	return vhk_align_up(in_page(seg->iov_base, 0) + seg->iov_len, vhk_page_size());
}

/* All of them from @at on, which is theirs. */
static int add_pieces(struct vhk_table **view, const struct vhk_table *t, const struct iovec *seg,
		      unsigned int n, unsigned char *at, size_t room)
{
	unsigned int i;
	size_t len;
	int ret;

	for (i = 0; i < n; i++, at += len, room -= len) {
		len = pages_of(&seg[i]);
		ret = add_piece(view, t, &seg[i], at, len);
		if (ret) {
			vhk_unmap(at, room);
			return ret;
		}
	}
	return 0;
}

int vhk_view_add(struct vhk_table **view, const struct vhk_table *t, const struct iovec *seg,
		 unsigned int n, void **va)
{
	struct vhk_table *next;
	size_t room = 0;
	unsigned int i;
	void *at;
	int ret;

	*va = seg[0].iov_base;
	if (in_one_piece(t, seg, n))
		return 0;
	if (!pages_fit(seg, n))
		return -EOPNOTSUPP;
	for (i = 0; i < n; i++)
		room += pages_of(&seg[i]);
	next = *view ? vhk_table_get(*view) : vhk_table_beside(t);
	if (!next)
		return -ENOMEM;
	ret = vhk_map_reserve(&at, room);
	if (!ret)
		ret = add_pieces(&next, t, seg, n, at, room);
	if (ret) {
		vhk_table_put(next);
		vhk_table_trim(*view);
		return ret;
	}
	vhk_table_put(*view);
	*view = next;
	*va = (unsigned char *)at + in_page(seg[0].iov_base, 0);
	return 0;
}
