// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Where a ring lies: in the front end's address space, which behind an IOMMU takes translations and
 * may be piece by piece, and in ours.
 */
#include "backend_impl.h"
#include "mem_view.h"

/* The parts of a ring: where the driver has them, how long they are, what is done there. */
struct part {
	uint64_t at, len;
	uint8_t perm;
};

static void parts_of(const struct vhk_session *s, unsigned int idx, struct part out[3])
{
	const struct vhk_backend_ring *r = &s->ring[idx];
	const bool packed = vhk_session_packed(s);
	const struct ring_parts p = ring_parts_of(r->size, packed);

	out[0] = (struct part){ r->addr.desc, p.desc,
				packed ? VHK_IOTLB_PERM_RW : VHK_IOTLB_PERM_RO };
	out[1] = (struct part){ r->addr.avail, p.driver, VHK_IOTLB_PERM_RO };
	out[2] = (struct part){ r->addr.used, p.device, VHK_IOTLB_PERM_RW };
}

bool vhk_session_ring_touches(const struct vhk_session *s, unsigned int idx, uint64_t first,
			      uint64_t last)
{
	struct part p[3];
	unsigned int i;

	parts_of(s, idx, p);
	for (i = 0; i < 3; i++)
		if (p[i].at <= last && first <= p[i].at + (p[i].len - 1))
			return true;
	return false;
}

/* Returns how many pieces it is in. */
static int place_part(struct vhk_session *s, unsigned int idx, const struct part *p,
		      struct vhk_iotlb_seg *piece, int max)
{
	struct vhk_iova at;
	int ret;

	if (!vhk_session_has_iotlb(s)) {
		*piece = (struct vhk_iotlb_seg){ { p->at }, p->len };
		return 1;
	}
	ret = vhk_iotlb_find(s->iotlb.cache, (struct vhk_iova){ p->at }, p->len, p->perm, piece,
			     max, &at);
	if (ret == -EFAULT) {
		vhk_session_missed(s, idx, at.v, p->perm, false);
		return -EAGAIN;
	}
	return ret;
}

static const char *why_nowhere(int err, bool any)
{
	switch (err) {
	case -EFAULT:
		return any ? "the ring is not inside the memory table"
			   : "the front end has shared no memory";
	case -EINVAL:
		return "the ring is not aligned";
	case -EACCES:
		return "the ring must not be read, or not be written";
	case -ENOBUFS:
		return "the ring is in more pieces than it has pages";
	case -EOPNOTSUPP:
		return "the ring is scattered, and not in whole pages of ordinary memory";
	default:
		return NULL;
	}
}

int vhk_session_place_ring(struct vhk_session *s, unsigned int idx)
{
	struct vhk_backend_place *place = &s->ring[idx].place;
	struct part p[3];
	int i, ret, n = 0;

	parts_of(s, idx, p);
	for (i = 0; i < 3; i++, n += ret) {
		ret = place_part(s, idx, &p[i], place->piece + n, RING_PIECES_MAX - n);
		if (ret == -EAGAIN)
			return ret;
		if (ret < 0)
			return vhk_session_refuse(s, ret, why_nowhere(ret, vhk_mem_count(s->mem)));
		place->n[i] = (unsigned int)ret;
	}
	return 0;
}

/* @view gets what of it is scattered. */
static int find_part(const struct vhk_table *t, const struct vhk_iotlb_seg *piece, unsigned int n,
		     struct vhk_table **view, void **va)
{
	struct iovec seg[RING_PIECES_MAX];
	unsigned int i, hint = 0;
	int ret, count = 0;

	for (i = 0; i < n; i++, count += ret) {
		ret = vhk_table_find_uva(t, piece[i].uva.v, piece[i].len, seg + count,
					 RING_PIECES_MAX - count, &hint);
		if (ret < 0)
			return ret;
	}
	return vhk_view_add(view, t, seg, (unsigned int)count, va);
}

static int find_parts(const struct vhk_backend_place *place, const struct vhk_table *t,
		      struct vhk_ring_place *at)
{
	void **const part[3] = { &at->desc, &at->driver, &at->device };
	const struct vhk_iotlb_seg *piece = place->piece;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 3 && !ret; piece += place->n[i++])
		ret = find_part(t, piece, place->n[i], &at->view, part[i]);
	return ret;
}

int vhk_session_find_ring(struct vhk_session *s, const struct vhk_table *t, unsigned int idx,
			  struct vhk_ring_place *at)
{
	int ret;

	*at = (struct vhk_ring_place){ .view = NULL };
	ret = find_parts(&s->ring[idx].place, t, at);
	if (!ret && at->view && vhk_table_late(t)) {
		vhk_table_put(at->view);
		at->view = NULL;
		return vhk_session_refuse(s, -EOPNOTSUPP,
					  "the ring is scattered, and memory is still to arrive");
	}
	if (!ret && !ring_parts_aligned(at->desc, at->driver, at->device, vhk_session_packed(s)))
		ret = -EINVAL;
	if (!ret)
		return 0;
	vhk_table_put(at->view);
	at->view = NULL;
	if (vhk_table_torn(t))
		s->torn = true;
	return vhk_session_refuse(s, ret, why_nowhere(ret, vhk_mem_count(s->mem)));
}
