// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Translates IOVAs through an IOTLB and a memory table, both immutable snapshots.
 */
#include "base.h"
#include "mem_iova.h"

/* What translation @r and region @s have in common, as a span of IOVAs. */
static struct vhk_span common(const struct vhk_iotlb_range *r, const struct vhk_span *s)
{
	const uint64_t uva_last = r->uva + (r->last - r->first);
	const uint64_t from = vhk_max(r->uva, s->start);
	const uint64_t last = vhk_min(uva_last, s->start + (s->size - 1));

	return (struct vhk_span){
		.start = r->first + (from - r->uva),
		.size = last - from + 1,
		.va = s->va + (from - s->start),
	};
}

static int look(const struct vhk_iotlb_table *tlb, const struct vhk_table *t, uint8_t perm,
		struct vhk_iova_hit *hit, unsigned int *hint)
{
	const struct vhk_iotlb_range *r = vhk_iotlb_table_at(tlb, hit->at);
	const struct vhk_span *s;

	if (!r)
		return -EAGAIN;
	if (perm & ~r->perm)
		return -EACCES;
	s = vhk_span_find(t->by_uva, t->n, r->uva + (hit->at - r->first), 1, hint);
	if (!s)
		return -EFAULT;
	hit->span = common(r, s);
	hit->perm = r->perm;
	return 0;
}

int vhk_iova_find(const struct vhk_iotlb_table *tlb, const struct vhk_table *t, uint64_t iova,
		  uint64_t len, uint8_t perm, struct iovec *seg, int max, struct vhk_iova_hit *hit)
{
	unsigned int hint = 0;
	uint64_t off, part;
	int ret, n = 0;

	hit->at = iova;
	if (!vhk_range_ok(iova, len))
		return -EFAULT;
	for (; len; hit->at += part, len -= part) {
		ret = look(tlb, t, perm, hit, &hint);
		if (ret)
			return ret;
		if (n >= max)
			return -ENOBUFS;
		off = hit->at - hit->span.start;
		part = vhk_min(len, hit->span.size - off);
		if (seg)
			seg[n] = (struct iovec){ hit->span.va + off, part };
		n++;
	}
	return n;
}
