// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed layout (virtio 1.3, 2.8): one ring of descriptors, and an event area for each side.
 */
#include <linux/errno.h>
#include <linux/nospec.h>

#include "ring_impl.h"

#define AT_FLAGS(slot) (16 * (slot) + 14)

/* A place in the ring, and what is left of it from there. */
struct position {
	u16 at;
	bool wrap;
};

static void step(const struct vhk_ring *r, struct position *p, unsigned int n)
{
	const unsigned int at = p->at + n;

	p->wrap ^= at >= r->size;
	p->at = at >= r->size ? at - r->size : at;
}

int ring_packed_start(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	if (o->avail >= o->size || o->used >= o->size || o->avail != o->used ||
	    o->avail_wrap != o->used_wrap)
		return -EINVAL;
	return 0;
}

static __le16 *flags_at(struct vhk_ring *r, u16 slot)
{
	return ring_at(r, &r->desc, AT_FLAGS(slot), 2);
}

static int is_avail(struct vhk_ring *r, struct position p)
{
	const __le16 *at = flags_at(r, p.at);
	u16 flags;

	if (!at)
		return -EFAULT;
	/* pairs with the driver's barrier before the flags of a chain's first descriptor */
	flags = le16_to_cpu(smp_load_acquire(at));
	return !!(flags & DESC_AVAIL) == p.wrap && !!(flags & DESC_USED) != p.wrap;
}

/* Moves @p behind the chain. Returns how many descriptors it has. */
static __always_inline int walk(struct vhk_ring *r, struct position *p, struct vhk_chain *c)
{
	const int left = r->size - r->n_slots;
	struct ring_walk w = ring_walk_of(r);
	const struct ring_raw *raw;
	struct ring_desc d;
	int n, ret;
	u16 id;

	for (n = 1; n <= left; n++) {
		raw = ring_at(r, &r->desc, 16 * p->at, 16);
		if (!raw)
			return -EFAULT;
		ring_desc_read(true, raw, &d);
		step(r, p, 1);
		if (d.flags & DESC_INDIRECT && (n > 1 || d.flags & DESC_NEXT))
			return -EBADMSG;
		if (!(d.flags & DESC_INDIRECT)) {
			ret = ring_walk_add(&w, &d);
			if (unlikely(ret))
				return ret;
			if (d.flags & DESC_NEXT)
				continue;
		}
		if (d.next >= r->size)
			return -EBADMSG;
		id = array_index_nospec(d.next, r->size);
		if (r->busy[id])
			return -EBADMSG;
		ret = d.flags & DESC_INDIRECT ? ring_walk_table(w, d, c, id, n) :
						ring_walk_end(&w, c, id, n);
		return ret ? ret : n;
	}
	return -EBADMSG;
}

int ring_packed_pop(struct vhk_ring *r, struct vhk_chain *c)
{
	struct position p = { r->avail, r->avail_wrap };
	int ret;

	if (r->n_slots == r->size)
		return 0;
	ret = is_avail(r, p);
	if (ret <= 0)
		return ret;
	ret = walk(r, &p, c);
	if (ret < 0)
		return ret;
	r->avail = p.at;
	r->avail_wrap = p.wrap;
	r->n_slots += ret;
	return 1;
}

void ring_packed_unpop(struct vhk_ring *r, u16 n_desc)
{
	r->avail_wrap ^= r->avail < n_desc;
	r->avail = r->avail < n_desc ? r->avail + r->size - n_desc : r->avail - n_desc;
	r->n_slots -= n_desc;
}

static u16 used_flags(bool wrap, u32 len)
{
	return (wrap ? DESC_AVAIL | DESC_USED : 0) | (len ? DESC_WRITE : 0);
}

/* The flags of the first of a batch make all of it visible, and are written last. */
int ring_packed_push(struct vhk_ring *r, u16 id, u16 n_desc, u32 len)
{
	const u16 flags = used_flags(r->used_wrap, len);
	struct position p = { r->used, r->used_wrap };
	u8 *raw = ring_at(r, &r->desc, 16 * r->used, 16);

	if (!raw)
		return -EFAULT;
	WRITE_ONCE(*(__le32 *)(raw + 8), cpu_to_le32(len));
	WRITE_ONCE(*(__le16 *)(raw + 12), cpu_to_le16(id));
	if (r->n_staged) {
		WRITE_ONCE(*(__le16 *)(raw + 14), cpu_to_le16(flags));
	} else {
		r->first_used = r->used;
		r->first_flags = flags;
	}
	step(r, &p, n_desc);
	r->used = p.at;
	r->used_wrap = p.wrap;
	r->n_slots -= n_desc;
	r->n_staged += n_desc;
	return 0;
}

/* The driver's event, a position of this lap or the one before, against the move to r->used. */
static int wants_call(struct vhk_ring *r, u16 n)
{
	const __le32 *at;
	u16 event, flags;
	u32 both;

	/*
	 * The flags are out before the driver's wish is read; pairs with the driver's barrier
	 * between its wish and its look at the ring.
	 */
	smp_mb();
	at = ring_at(r, &r->driver, 0, 4);
	if (!at)
		return -EFAULT;
	both = le32_to_cpu(READ_ONCE(*at));
	flags = (both >> 16) & 3;
	if (flags != EVENT_DESC || !r->event_idx)
		return flags != EVENT_DISABLE;
	event = both & (EVENT_WRAP - 1);
	if (!!(both & EVENT_WRAP) != r->used_wrap)
		event -= r->size;
	return ring_need_event(event, r->used, r->used - n);
}

int ring_packed_publish(struct vhk_ring *r)
{
	__le16 *at = flags_at(r, r->first_used);
	const u16 n = r->n_staged;

	if (!at)
		return -EFAULT;
	/* pairs with the driver's barrier behind its load of the flags */
	smp_store_release(at, cpu_to_le16(r->first_flags));
	r->n_staged = 0;
	return wants_call(r, n);
}

static int set_event(struct vhk_ring *r, u16 flags)
{
	__le16 *at = ring_at(r, &r->device, 0, 4);

	if (!at)
		return -EFAULT;
	if (flags == EVENT_DESC)
		WRITE_ONCE(at[0], cpu_to_le16(r->avail | (r->avail_wrap ? EVENT_WRAP : 0)));
	/* The position is out before it counts; pairs with the driver's load of both. */
	smp_store_release(&at[1], cpu_to_le16(flags));
	return 0;
}

int ring_packed_arm(struct vhk_ring *r)
{
	const int ret = set_event(r, r->event_idx ? EVENT_DESC : EVENT_ENABLE);

	if (ret)
		return ret;
	/* As in a split ring: our wish is out before we look again. */
	smp_mb();
	if (r->n_slots == r->size)
		return 0;
	return is_avail(r, (struct position){ r->avail, r->avail_wrap });
}

int ring_packed_quiet(struct vhk_ring *r)
{
	return set_event(r, EVENT_DISABLE);
}
