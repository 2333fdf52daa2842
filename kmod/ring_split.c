// SPDX-License-Identifier: GPL-2.0-only
/*
 * The split layout (virtio 1.3, 2.7): descriptor table, available ring, used ring. The used index
 * is ours and never read back.
 */
#include <linux/errno.h>
#include <linux/nospec.h>

#include "ring_impl.h"

#define USED_NO_NOTIFY 1
#define AVAIL_NO_INTERRUPT 1

/* Both rings: flags, index, entries, event. */
#define AT_FLAGS 0
#define AT_IDX 2
#define AT_AVAIL(slot) (4 + 2 * (slot))
#define AT_USED(slot) (4 + 8 * (slot))

static __le16 *avail_word(struct vhk_ring *r, u32 at)
{
	return ring_at(r, &r->driver, at, 2);
}

static __le16 *used_word(struct vhk_ring *r, u32 at)
{
	return ring_at(r, &r->device, at, 2);
}

int ring_split_start(struct vhk_ring *r, const struct vhk_ring_opts *o)
{
	if (o->avail != o->used)
		return -EINVAL;
	r->avail_idx = o->avail;
	r->published = o->used;
	return 0;
}

/* Whether there is something to take. */
static int look(struct vhk_ring *r)
{
	const __le16 *at;
	u16 idx;

	if (r->avail_idx != r->avail)
		return 1;
	at = avail_word(r, AT_IDX);
	if (!at)
		return -EFAULT;
	/* pairs with the driver's barrier before its index */
	idx = le16_to_cpu(smp_load_acquire(at));
	if ((u16)(idx - r->avail) > r->size - r->n_slots)
		return -EBADMSG;
	r->avail_idx = idx;
	return idx != r->avail;
}

static __always_inline int walk(struct vhk_ring *r, u16 head, struct vhk_chain *c)
{
	/* Mostly all of the table is in one place. */
	const struct ring_raw *raw, *table = r->desc.end - r->desc.first == r->desc.size ?
					     r->desc.va : NULL;
	struct ring_walk w = ring_walk_of(r);
	struct ring_desc d;
	unsigned int n;
	u16 i = head;
	int ret;

	/* Nor may it come back to its head. */
	r->busy[head] = 1;
	for (n = 0; n < r->size; n++) {
		if (likely(table)) {
			raw = table + i;
		} else {
			raw = ring_at(r, &r->desc, 16 * i, 16);
			if (!raw)
				return -EFAULT;
		}
		ring_desc_read(false, raw, &d);
		if (unlikely(d.flags & DESC_INDIRECT))
			return d.flags & DESC_NEXT ? -EBADMSG : ring_walk_table(w, d, c, head, 1);
		ret = ring_walk_add(&w, &d);
		if (unlikely(ret))
			return ret;
		if (!(d.flags & DESC_NEXT))
			return ring_walk_end(&w, c, head, 1);
		if (d.next >= r->size)
			return -EBADMSG;
		i = array_index_nospec(d.next, r->size);
		if (unlikely(r->busy[i]))
			return -EBADMSG;
	}
	return -EBADMSG;
}

int ring_split_pop(struct vhk_ring *r, struct vhk_chain *c)
{
	const __le16 *at;
	u16 head;
	int ret;

	ret = look(r);
	if (ret <= 0)
		return ret;
	at = avail_word(r, AT_AVAIL(r->avail & (r->size - 1)));
	if (!at)
		return -EFAULT;
	head = le16_to_cpu(READ_ONCE(*at));
	if (head >= r->size)
		return -EBADMSG;
	head = array_index_nospec(head, r->size);
	if (r->busy[head])
		return -EBADMSG;
	ret = walk(r, head, c);
	if (ret)
		return ret;
	r->avail++;
	r->n_slots++;
	return 1;
}

void ring_split_unpop(struct vhk_ring *r)
{
	r->avail--;
	r->n_slots--;
}

/* An entry can lie over the end of a page, and what is behind that be elsewhere. */
static noinline int write_used(struct vhk_ring *r, u32 at, u16 id, u32 len)
{
	__le32 *word = ring_at(r, &r->device, at, 4);

	if (!word)
		return -EFAULT;
	WRITE_ONCE(*word, cpu_to_le32(id));
	word = ring_at(r, &r->device, at + 4, 4);
	if (!word)
		return -EFAULT;
	WRITE_ONCE(*word, cpu_to_le32(len));
	return 0;
}

int ring_split_push(struct vhk_ring *r, u16 id, u32 len)
{
	const u32 at = AT_USED(r->used & (r->size - 1));
	const struct vhk_area *a = &r->device;
	__le32 *word;

	if (likely(at >= a->first && at + 8 <= a->end)) {
		word = a->va + (at - a->first);
		WRITE_ONCE(word[0], cpu_to_le32(id));
		WRITE_ONCE(word[1], cpu_to_le32(len));
	} else if (write_used(r, at, id, len)) {
		return -EFAULT;
	}
	r->used++;
	r->n_slots--;
	r->n_staged++;
	return 0;
}

static int wants_call(struct vhk_ring *r, u16 old)
{
	const __le16 *at;

	/*
	 * The index is out before the driver's wish is read; pairs with the driver's barrier
	 * between its wish and its look at the index.
	 */
	smp_mb();
	at = avail_word(r, r->event_idx ? AT_AVAIL(r->size) : AT_FLAGS);
	if (!at)
		return -EFAULT;
	if (r->event_idx)
		return ring_need_event(le16_to_cpu(READ_ONCE(*at)), r->used, old);
	return !(le16_to_cpu(READ_ONCE(*at)) & AVAIL_NO_INTERRUPT);
}

int ring_split_publish(struct vhk_ring *r)
{
	const u16 old = r->published;
	__le16 *at = used_word(r, AT_IDX);

	if (!at)
		return -EFAULT;
	/* pairs with the driver's barrier behind its load of the index */
	smp_store_release(at, cpu_to_le16(r->used));
	r->published = r->used;
	r->n_staged = 0;
	return wants_call(r, old);
}

static int set_flags(struct vhk_ring *r, u16 flags)
{
	__le16 *at = used_word(r, AT_FLAGS);

	if (!at)
		return -EFAULT;
	WRITE_ONCE(*at, cpu_to_le16(flags));
	return 0;
}

int ring_split_arm(struct vhk_ring *r)
{
	__le16 *at;

	if (r->event_idx) {
		at = used_word(r, AT_USED(r->size));
		if (!at)
			return -EFAULT;
		WRITE_ONCE(*at, cpu_to_le16(r->avail));
	} else if (set_flags(r, 0)) {
		return -EFAULT;
	}
	/*
	 * Our wish is out before we look again; pairs with the driver's barrier between its index
	 * and its look at our wish.
	 */
	smp_mb();
	return look(r);
}

int ring_split_quiet(struct vhk_ring *r)
{
	return set_flags(r, USED_NO_NOTIFY);
}
