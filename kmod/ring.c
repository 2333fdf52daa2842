// SPDX-License-Identifier: GPL-2.0-only
/*
 * What both layouts of the ring have in common: its life, and the way to its memory.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "ring_impl.h"

static void area_forget(struct vhk_area *a)
{
	a->first = 1;
	a->end = 0;
}

static void area_set(struct vhk_area *a, u64 iova, u32 size, u32 perm)
{
	*a = (struct vhk_area){ .iova = iova, .size = size, .perm = perm, .first = 1 };
}

/* Moves what is at hand to the mapping that has the byte at @at. */
void *ring_area_find(struct vhk_ring *r, struct vhk_area *a, u32 at, u32 len)
{
	const u64 iova = a->iova + at;
	struct vhk_mapping *m;
	u64 before, behind;

	area_forget(a);
	m = vhk_map_search(r->map, iova, a->perm);
	if (!m)
		return NULL;
	before = min_t(u64, at, iova - m->first);
	behind = min_t(u64, a->size - at - 1, m->last - iova);
	a->first = at - before;
	a->end = at + behind + 1;
	a->va = vhk_mapping_va(m, iova - before);
	if (at + len > a->end)
		return NULL;
	return a->va + before;
}

int vhk_ring_init(struct vhk_ring *r, u16 max_size, unsigned int max_segs)
{
	*r = (struct vhk_ring){ };
	r->seg = kvcalloc(max_segs, sizeof(*r->seg), GFP_KERNEL);
	r->seg_end = r->seg + max_segs;
	r->busy = kvzalloc(max_size, GFP_KERNEL);
	if (r->seg && r->busy)
		return 0;
	vhk_ring_fini(r);
	return -ENOMEM;
}

void vhk_ring_fini(struct vhk_ring *r)
{
	kvfree(r->seg);
	kvfree(r->busy);
	r->seg = NULL;
	r->busy = NULL;
}

static bool fits(u64 iova, u64 size, u64 align)
{
	return !(iova & (align - 1)) && iova + size - 1 >= iova;
}

static int set_areas(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	const u32 desc = 16 * o->size, driver = o->packed ? 4 : 6 + 2 * o->size,
		  device = o->packed ? 4 : 6 + 8 * o->size;

	if (!fits(o->desc, desc, 16) || !fits(o->driver, driver, o->packed ? 4 : 2) ||
	    !fits(o->device, device, 4))
		return -EINVAL;
	area_set(&r->desc, o->desc, desc, o->packed ? VHK_MAY_READ | VHK_MAY_WRITE : VHK_MAY_READ);
	area_set(&r->driver, o->driver, driver, VHK_MAY_READ);
	area_set(&r->device, o->device, device, VHK_MAY_WRITE);
	return 0;
}

int vhk_ring_start(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	int ret;

	if (!o->size || (!o->packed && o->size & (o->size - 1)))
		return -EINVAL;
	ret = set_areas(r, o);
	if (ret)
		return ret;
	r->map = o->map;
	r->size = o->size;
	r->packed = o->packed;
	r->indirect = o->indirect;
	r->event_idx = o->event_idx;
	r->max_indirect = o->max_indirect;
	r->err = 0;
	r->avail = o->avail;
	r->used = o->used;
	r->avail_wrap = o->avail_wrap;
	r->used_wrap = o->used_wrap;
	r->n_slots = 0;
	r->n_staged = 0;
	r->hits.gen = 0;
	vhk_hits_forget(&r->hits);
	memset(r->busy, 0, o->size);
	return o->packed ? ring_packed_start(r, o) : ring_split_start(r, o);
}

void vhk_ring_forget(struct vhk_ring *r)
{
	area_forget(&r->desc);
	area_forget(&r->driver);
	area_forget(&r->device);
}

/* Once broken, always broken: the driver's next step is a reset. */
static int settle(struct vhk_ring *r, int ret)
{
	if (unlikely(ret < 0))
		r->err = ret;
	return ret;
}

void vhk_ring_unpop(struct vhk_ring *r, u16 id, u16 n_desc)
{
	r->busy[id] = 0;
	if (r->packed)
		ring_packed_unpop(r, n_desc);
	else
		ring_split_unpop(r);
}

int vhk_ring_publish(struct vhk_ring *r)
{
	if (unlikely(r->err))
		return r->err;
	if (!r->n_staged)
		return 0;
	return settle(r, r->packed ? ring_packed_publish(r) : ring_split_publish(r));
}

int vhk_ring_arm(struct vhk_ring *r)
{
	if (unlikely(r->err))
		return r->err;
	return settle(r, r->packed ? ring_packed_arm(r) : ring_split_arm(r));
}

int vhk_ring_quiet(struct vhk_ring *r)
{
	if (unlikely(r->err))
		return r->err;
	return settle(r, r->packed ? ring_packed_quiet(r) : ring_split_quiet(r));
}
