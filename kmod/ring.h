/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device side of a virtqueue: split and packed layout (virtio 1.3, 2.7 and 2.8). Knows indices,
 * descriptors and barriers, and neither a device nor where notifications go. One thread at a time.
 * Everything in the ring is copied once, and the copy is checked and used.
 *
 * Mappings are used without references: from vhk_ring_pop() to vhk_ring_disarm() every call lies in
 * a read section of RCU of a reader of the map. A section begins with vhk_ring_refresh().
 */
#ifndef VHK_RING_H
#define VHK_RING_H

#include <linux/string.h>
#include <linux/types.h>

#include "map.h"

/* A piece of memory of a chain; @va is NULL where nothing is mapped, or not for this use. */
struct vhk_seg {
	void *va;
	struct vhk_mapping *m; /* all of it lies in there */
	u32 len;
};

/*
 * One request: what it reads comes first. All of it lies in the ring until the next pop, and what
 * it points to lasts to the end of the read section, where nobody holds the mapping.
 */
struct vhk_chain {
	u16 id;
	u16 n_desc; /* slots of the ring */
	u16 n_out;
	u16 n_in;
	u32 out_len;
	u32 in_len;
	bool fault; /* some of it has no address */
	const struct vhk_seg *seg;
};

/* A part of the ring, and that part of it which is at hand. */
struct vhk_area {
	u64 iova;
	u32 size;
	u32 perm;
	u32 first; /* [first, end) is at @va */
	u32 end;
	void *va;
};

struct vhk_ring_opts {
	struct vhk_map *map;
	u64 desc;
	u64 driver;
	u64 device;
	u16 size;
	bool packed;
	bool indirect;
	bool event_idx;
	u16 max_indirect; /* entries of an indirect table */
	/* Where to go on. Split: the two are equal. */
	u16 avail;
	u16 used;
	bool avail_wrap;
	bool used_wrap;
};

struct vhk_ring {
	struct vhk_map *map;
	struct vhk_area desc;
	struct vhk_area driver;
	struct vhk_area device;
	u16 size;
	u16 max_indirect;
	bool packed;
	bool indirect;
	bool event_idx;
	int err; /* not 0: broken for good */

	u16 avail; /* next to take, free-running in a split ring */
	u16 avail_idx; /* split: the driver's index as last read */
	u16 used; /* next to write */
	u16 published; /* split: the index that the driver sees */
	bool avail_wrap;
	bool used_wrap;
	u16 n_slots; /* taken and not given back: split chains, packed descriptors */
	u16 n_staged; /* written and not yet visible, slots */
	u16 first_used; /* packed: the first of them, its wrap and its flags */
	u16 first_flags;

	struct vhk_seg *seg, *seg_end;
	u8 *busy; /* of each id */
	struct vhk_hits hits; /* of data and indirect tables */
};

/* @max_size entries and @max_segs pieces of a chain at most. */
int vhk_ring_init(struct vhk_ring *r, u16 max_size, unsigned int max_segs);
void vhk_ring_fini(struct vhk_ring *r);
/* -EINVAL: addresses that are not aligned, or positions that cannot be. */
int vhk_ring_start(struct vhk_ring *r, const struct vhk_ring_opts *o);

int ring_split_pop(struct vhk_ring *r, struct vhk_chain *c);
int ring_packed_pop(struct vhk_ring *r, struct vhk_chain *c);
/* 1: filled @c; 0: there is none; -EBADMSG or -EFAULT: broken. */
static inline int vhk_ring_pop(struct vhk_ring *r, struct vhk_chain *c)
{
	int ret = r->err;

	if (unlikely(ret))
		return ret;
	ret = r->packed ? ring_packed_pop(r, c) : ring_split_pop(r, c);
	if (unlikely(ret < 0))
		r->err = ret;
	return ret;
}

/* Copies from what the driver lets us read. False: it ends before, or has a hole. */
bool vhk_chain_read(const struct vhk_chain *c, u32 at, void *to, u32 len);
/* The same, of the first so many bytes, which mostly are one piece. */
static inline bool vhk_chain_read_head(const struct vhk_chain *c, void *to, u32 len)
{
	if (unlikely(!c->n_out || c->seg->len < len || !c->seg->va))
		return vhk_chain_read(c, 0, to, len);
	memcpy(to, c->seg->va, len);
	/* Only the copy counts from here on. */
	barrier();
	return true;
}
/* As if the last chain that was taken, and not given back, had not been. */
void vhk_ring_unpop(struct vhk_ring *r, u16 id, u16 n_desc);

int ring_split_push(struct vhk_ring *r, u16 id, u32 len);
int ring_packed_push(struct vhk_ring *r, u16 id, u16 n_desc, u32 len);
/* Gives a chain back, after @len bytes were written. Visible with the next publish. */
static inline int vhk_ring_push(struct vhk_ring *r, u16 id, u16 n_desc, u32 len)
{
	int ret = r->err;

	r->busy[id] = 0;
	if (unlikely(ret))
		return ret;
	ret = r->packed ? ring_packed_push(r, id, n_desc, len) : ring_split_push(r, id, len);
	if (unlikely(ret < 0))
		r->err = ret;
	return ret;
}

/* 1: the driver wants to be told; 0: not; or broken. */
int vhk_ring_publish(struct vhk_ring *r);
/* Asks for kicks. 1: something came meanwhile; 0; or broken. */
int vhk_ring_arm(struct vhk_ring *r);
/* Asks for none, as far as that can be said. */
int vhk_ring_quiet(struct vhk_ring *r);
static inline int vhk_ring_disarm(struct vhk_ring *r)
{
	/* The event stays behind by itself. */
	return r->event_idx ? 0 : vhk_ring_quiet(r);
}
/* Forgets where the ring's memory was. */
void vhk_ring_forget(struct vhk_ring *r);
/* The same, if mappings went since. */
static inline void vhk_ring_refresh(struct vhk_ring *r)
{
	if (unlikely(vhk_hits_refresh(&r->hits, r->map)))
		vhk_ring_forget(r);
}

#endif
