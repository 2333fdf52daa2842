// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The inflight region of a split ring, and what both layouts share: sizes, first contents, the
 * order of resubmission (vhost-user, "Inflight I/O tracking").
 */
#include "inflight.h"
#include "ring.h"

_Static_assert(sizeof(struct inflight_split) == 16, "split header");
_Static_assert(sizeof(struct inflight_split_desc) == 16, "split entry");
_Static_assert(sizeof(struct inflight_packed) == 32, "packed header");
_Static_assert(sizeof(struct inflight_packed_desc) == 32, "packed entry");

static size_t region_bytes(uint16_t num, bool packed)
{
	return packed ? sizeof(struct inflight_packed) + num * sizeof(struct inflight_packed_desc)
		      : sizeof(struct inflight_split) + num * sizeof(struct inflight_split_desc);
}

size_t vhk_inflight_size(uint16_t size, bool packed)
{
	return vhk_align_up(region_bytes(size, packed), 64);
}

/* The version stays 0, "uninitialised": the ring that starts on it stores its own position
 * first. */
void vhk_inflight_init(void *va, uint16_t size, bool packed)
{
	memset(va, 0, vhk_inflight_size(size, packed));
	if (packed)
		((struct inflight_packed *)va)->free.desc_num = size;
	else
		((struct inflight_split *)va)->desc_num = size;
}

void vhk_inflight_free(struct inflight *f)
{
	if (!f)
		return;
	free(f->saved);
	free(f->heads);
	free(f->next);
	free(f->last);
	free(f);
}

void vhk_inflight_forget_saved(struct inflight *f)
{
	free(f->saved);
	f->saved = NULL;
}

int vhk_inflight_new(struct inflight **out, uint16_t num)
{
	struct inflight *f = calloc(1, sizeof(*f));

	*out = NULL;
	if (f) {
		f->num = num;
		f->heads = calloc(num, sizeof(*f->heads));
		f->next = calloc(num, sizeof(*f->next));
		f->last = calloc(num, sizeof(*f->last));
	}
	if (!f || !f->heads || !f->next || !f->last) {
		vhk_inflight_free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}

static int by_counter(const void *a, const void *b)
{
	const struct inflight_head *x = a, *y = b;

	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	return (int)x->entry - (int)y->entry;
}

void vhk_inflight_sort(struct inflight *f)
{
	if (!f->n_heads)
		return;
	qsort(f->heads, f->n_heads, sizeof(*f->heads), by_counter);
	f->counter = f->heads[f->n_heads - 1].counter + 1;
}

int vhk_inflight_num(uint16_t version, uint16_t desc_num, uint16_t size, size_t bytes, bool packed)
{
	const bool fits = desc_num >= size && desc_num <= VHK_QUEUE_SIZE_MAX &&
			  bytes >= region_bytes(desc_num, packed);

	if (bytes < region_bytes(size, packed))
		return -EINVAL;
	if (version == 0)
		return fits ? desc_num : size;
	return fits && version == INFLIGHT_VERSION ? desc_num : -EPROTO;
}

static void split_init(struct inflight *f, uint16_t used)
{
	uint16_t i;

	for (i = 0; i < f->num; i++) {
		__atomic_store_n(&f->split->desc[i].inflight, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&f->split->desc[i].next, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&f->split->desc[i].counter, 0, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&f->split->desc_num, f->num, __ATOMIC_RELAXED);
	__atomic_store_n(&f->split->last_batch_head, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&f->split->used_idx, used, __ATOMIC_RELAXED);
	vhk_compiler_fence();
	__atomic_store_n(&f->split->version, INFLIGHT_VERSION, __ATOMIC_RELAXED);
}

/* The used index moved, but the marks of that batch may stand: takes them away. */
static int split_finish_batch(struct inflight *f, uint16_t size, uint16_t used)
{
	const uint16_t from = __atomic_load_n(&f->split->used_idx, __ATOMIC_RELAXED);
	uint16_t left = (uint16_t)(used - from), at = f->last_batch_head;

	if (left > size)
		return -EPROTO;
	for (; left; left--, at = f->next[at]) {
		if (at >= size)
			return -EPROTO;
		vhk_inflight_split_clear(f, at);
	}
	vhk_inflight_split_end(f, used);
	return 0;
}

static int split_collect(struct inflight *f, uint16_t size)
{
	uint16_t i;
	uint8_t mark;

	for (i = 0; i < f->num; i++) {
		mark = __atomic_load_n(&f->split->desc[i].inflight, __ATOMIC_RELAXED);
		if (mark > 1 || (mark && i >= size))
			return -EPROTO;
		if (!mark)
			continue;
		f->heads[f->n_heads].entry = i;
		f->heads[f->n_heads++].counter =
			__atomic_load_n(&f->split->desc[i].counter, __ATOMIC_RELAXED);
	}
	vhk_inflight_sort(f);
	return 0;
}

static int split_recover(struct inflight *f, uint16_t size, uint16_t used)
{
	uint16_t i;
	int ret;

	f->last_batch_head = __atomic_load_n(&f->split->last_batch_head, __ATOMIC_RELAXED);
	for (i = 0; i < f->num; i++)
		f->next[i] = __atomic_load_n(&f->split->desc[i].next, __ATOMIC_RELAXED);
	ret = split_finish_batch(f, size, used);
	return ret ? ret : split_collect(f, size);
}

int vhk_inflight_new_split(struct inflight **out, void *va, size_t bytes, uint16_t size,
			   uint16_t used)
{
	struct inflight_split *region = va;
	struct inflight *f;
	uint16_t version;
	int ret;

	*out = NULL;
	if (bytes < sizeof(*region) || (uintptr_t)va % sizeof(uint64_t))
		return -EINVAL;
	version = __atomic_load_n(&region->version, __ATOMIC_RELAXED);
	ret = vhk_inflight_num(version, __atomic_load_n(&region->desc_num, __ATOMIC_RELAXED), size,
			       bytes, false);
	if (ret < 0)
		return ret;
	ret = vhk_inflight_new(&f, (uint16_t)ret);
	if (ret)
		return ret;
	f->split = region;
	f->fresh = !version;
	if (version)
		ret = split_recover(f, size, used);
	else
		split_init(f, used);
	if (ret)
		vhk_inflight_free(f);
	else
		*out = f;
	return ret;
}
