// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The inflight region of a packed ring. Used descriptors overwrite available ones there, so the
 * region keeps copies of the descriptors, in entries that lie on a free list when idle. One
 * publication is one unit of recovery.
 */
#include "ring_impl.h"

static void store_free(struct inflight *f)
{
	vhk_compiler_fence();
	__atomic_store_n(&f->packed->free.word, f->free.word, __ATOMIC_RELAXED);
	vhk_compiler_fence();
}

static void store_used(struct inflight *f)
{
	vhk_compiler_fence();
	__atomic_store_n(&f->packed->used.word, f->used.word, __ATOMIC_RELAXED);
	vhk_compiler_fence();
}

uint16_t vhk_inflight_packed_put(struct inflight *f, uint16_t at, uint64_t addr, uint32_t len,
				 uint16_t id, uint16_t flags)
{
	struct inflight_packed_desc *e;

	if (at >= f->num)
		return INFLIGHT_NONE;
	e = &f->packed->desc[at];
	__atomic_store_n(&e->addr, addr, __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&e->id, id, __ATOMIC_RELAXED);
	__atomic_store_n(&e->flags, flags, __ATOMIC_RELAXED);
	return f->next[at];
}

uint16_t vhk_inflight_packed_pop(struct inflight *f, uint16_t last, uint16_t num, uint16_t next,
				 uint64_t *counter)
{
	const uint16_t head = f->free.free_head;
	struct inflight_packed_desc *e = &f->packed->desc[head];

	*counter = f->counter++;
	__atomic_store_n(&e->last, last, __ATOMIC_RELAXED);
	__atomic_store_n(&e->num, num, __ATOMIC_RELAXED);
	__atomic_store_n(&e->counter, *counter, __ATOMIC_RELAXED);
	__atomic_store_n(&e->inflight, 1, __ATOMIC_RELAXED);
	f->last[head] = last;
	f->free.free_head = next;
	f->free.old_free_head = next;
	store_free(f);
	return head;
}

void vhk_inflight_packed_link(struct inflight *f, uint16_t head)
{
	const uint16_t last = f->last[head];

	f->next[last] = f->free.free_head;
	__atomic_store_n(&f->packed->desc[last].next, f->free.free_head, __ATOMIC_RELAXED);
	f->free.free_head = head;
}

/* What is on the free list is free, whatever its mark says: the one store of its head decides. */
void vhk_inflight_packed_unpop(struct inflight *f, uint16_t head)
{
	vhk_inflight_packed_link(f, head);
	vhk_compiler_fence();
	f->free.old_free_head = f->free.free_head;
	store_free(f);
	vhk_compiler_fence();
	vhk_inflight_packed_clear(f, head);
}

void vhk_inflight_packed_begin(struct inflight *f, uint16_t used, bool wrap)
{
	store_free(f);
	f->used.used_idx = used;
	f->used.used_wrap = wrap;
	store_used(f);
}

void vhk_inflight_packed_clear(struct inflight *f, uint16_t head)
{
	__atomic_store_n(&f->packed->desc[head].inflight, 0, __ATOMIC_RELAXED);
}

void vhk_inflight_packed_end(struct inflight *f)
{
	f->free.old_free_head = f->free.free_head;
	store_free(f);
	f->used.old_used_idx = f->used.used_idx;
	f->used.old_used_wrap = f->used.used_wrap;
	store_used(f);
}

static void packed_init(struct inflight *f, uint16_t idx, bool wrap)
{
	uint16_t i;

	for (i = 0; i < f->num; i++) {
		f->next[i] = i + 1;
		__atomic_store_n(&f->packed->desc[i].next, i + 1, __ATOMIC_RELAXED);
		vhk_inflight_packed_clear(f, i);
	}
	f->used.used_idx = idx;
	f->used.old_used_idx = idx;
	f->used.used_wrap = wrap;
	f->used.old_used_wrap = wrap;
	store_used(f);
	f->free = (union inflight_free){ { INFLIGHT_VERSION, f->num, 0, 0 } };
	store_free(f);
}

static int packed_save(struct inflight *f)
{
	const uint64_t *from = (const uint64_t *)(const void *)f->packed->desc;
	const size_t words = f->num * (sizeof(*f->saved) / sizeof(uint64_t));
	uint64_t *to;
	size_t i;

	to = malloc(words * sizeof(*to));
	if (!to)
		return -ENOMEM;
	for (i = 0; i < words; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	f->saved = (struct inflight_packed_desc *)(void *)to;
	return 0;
}

/* Whether the first slot of the last batch still shows an available descriptor of the old lap. */
static bool batch_went_out(const struct inflight *f, const struct packed_desc *ring)
{
	const uint16_t both = DESC_F_AVAIL | DESC_F_USED;
	const uint16_t flags = vhk_load16_acquire(&ring[f->used.old_used_idx].flags);

	return (flags & both) != (f->used.old_used_wrap ? DESC_F_AVAIL : DESC_F_USED);
}

/* Finishes the last publication or takes it back. Killed here, the next recovery decides the
 * same. */
static int packed_settle(struct inflight *f, uint16_t size, const struct packed_desc *ring)
{
	if (f->used.used_idx >= size || f->used.old_used_idx >= size || f->used.used_wrap > 1 ||
	    f->used.old_used_wrap > 1)
		return -EPROTO;
	if ((f->used.used_idx != f->used.old_used_idx ||
	     f->used.used_wrap != f->used.old_used_wrap) &&
	    batch_went_out(f, ring)) {
		f->free.old_free_head = f->free.free_head;
		f->used.old_used_idx = f->used.used_idx;
		f->used.old_used_wrap = f->used.used_wrap;
	}
	f->free.free_head = f->free.old_free_head;
	f->used.used_idx = f->used.old_used_idx;
	f->used.used_wrap = f->used.old_used_wrap;
	store_free(f);
	store_used(f);
	return 0;
}

/* Entries on the free list are not in flight, whatever their mark says. Returns how many, or
 * -EPROTO. */
static int packed_walk_free(struct inflight *f, uint8_t *seen)
{
	uint16_t at = f->free.free_head;
	int n = 0;

	for (; at < f->num; at = f->next[at], n++) {
		if (seen[at])
			return -EPROTO;
		seen[at] = 1;
		vhk_inflight_packed_clear(f, at);
	}
	return n;
}

/* The chain whose head is @head: -EPROTO where it shares entries, or does not end where it says. */
static int packed_walk_chain(struct inflight *f, uint16_t head, uint8_t *seen)
{
	const struct inflight_packed_desc *e = &f->saved[head];
	uint16_t at = head, i;

	for (i = 0; i < e->num; i++) {
		if (i)
			at = f->next[at];
		if (at >= f->num || seen[at])
			return -EPROTO;
		seen[at] = 1;
	}
	if (!e->num || at != e->last)
		return -EPROTO;
	f->last[head] = at;
	f->heads[f->n_heads].entry = head;
	f->heads[f->n_heads++].counter = e->counter;
	f->n_descs += e->num;
	return 0;
}

static int packed_walk(struct inflight *f, uint16_t size, uint8_t *seen)
{
	int n = packed_walk_free(f, seen);
	uint16_t i;

	if (n < 0)
		return n;
	for (i = 0; i < f->num; i++) {
		if (f->saved[i].inflight > 1)
			return -EPROTO;
		if (f->saved[i].inflight && !seen[i] && packed_walk_chain(f, i, seen))
			return -EPROTO;
	}
	if ((unsigned int)n + f->n_descs != f->num || f->n_descs > size)
		return -EPROTO;
	return 0;
}

static int packed_recover(struct inflight *f, uint16_t size, const struct packed_desc *ring)
{
	uint8_t *seen;
	uint16_t i;
	int ret;

	f->used.word = __atomic_load_n(&f->packed->used.word, __ATOMIC_RELAXED);
	ret = packed_settle(f, size, ring);
	if (!ret)
		ret = packed_save(f);
	if (ret)
		return ret;
	for (i = 0; i < f->num; i++)
		f->next[i] = vhk_min(f->saved[i].next, f->num);
	seen = calloc(f->num, 1);
	if (!seen)
		return -ENOMEM;
	ret = packed_walk(f, size, seen);
	free(seen);
	vhk_inflight_sort(f);
	return ret;
}

int vhk_inflight_new_packed(struct inflight **out, void *va, size_t bytes, uint16_t size,
			    uint16_t fresh_idx, bool fresh_wrap, const struct packed_desc *ring)
{
	struct inflight_packed *region = va;
	union inflight_free free_word;
	struct inflight *f;
	int ret;

	*out = NULL;
	if (bytes < sizeof(*region) || (uintptr_t)va % sizeof(uint64_t))
		return -EINVAL;
	free_word.word = __atomic_load_n(&region->free.word, __ATOMIC_RELAXED);
	ret = vhk_inflight_num(free_word.version, free_word.desc_num, size, bytes, true);
	if (ret < 0)
		return ret;
	ret = vhk_inflight_new(&f, (uint16_t)ret);
	if (ret)
		return ret;
	f->packed = region;
	f->free = free_word;
	f->fresh = !free_word.version;
	if (!f->fresh)
		ret = packed_recover(f, size, ring);
	else
		packed_init(f, fresh_idx, fresh_wrap);
	if (ret)
		vhk_inflight_free(f);
	else
		*out = f;
	return ret;
}
