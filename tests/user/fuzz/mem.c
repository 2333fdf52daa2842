// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A memory table beside a naive one: regions added and removed, ranges looked up, at any address.
 * Steps of 8 bytes: what to do, which slot, two positions and two lengths in units of 16 bytes,
 * near 0 or near 2^64. Both must agree.
 */
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS 16u
#define UNIT 16u
#define SLOT_SIZE (256u * UNIT)

static unsigned char arena[SLOTS][SLOT_SIZE];

struct model {
	bool used[SLOTS];
	struct vhk_region r[SLOTS];
	unsigned int n;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static uint64_t address(uint8_t at, bool high)
{
	return (high ? UINT64_MAX - 255 * UNIT + 1 : 0) + (uint64_t)at * UNIT;
}

static bool inside(uint64_t v, uint64_t start, uint64_t size)
{
	return v - start < size;
}

static bool touches(const struct vhk_region *a, const struct vhk_region *b)
{
	return inside(a->gpa.v, b->gpa.v, b->size) || inside(b->gpa.v, a->gpa.v, a->size) ||
	       inside(a->uva.v, b->uva.v, b->size) || inside(b->uva.v, a->uva.v, a->size);
}

static int model_add(struct model *o, unsigned int slot, const struct vhk_region *r)
{
	unsigned int i;

	if (!r->size || r->gpa.v + r->size - 1 < r->gpa.v || r->uva.v + r->size - 1 < r->uva.v)
		return -EINVAL;
	for (i = 0; i < SLOTS; i++)
		if (o->used[i] && (i == slot || touches(&o->r[i], r)))
			return -EEXIST;
	o->used[slot] = true;
	o->r[slot] = *r;
	o->n++;
	return 0;
}

static int model_del(struct model *o, const struct vhk_region *r)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (!o->used[i] || o->r[i].gpa.v != r->gpa.v || o->r[i].uva.v != r->uva.v ||
		    o->r[i].size != r->size)
			continue;
		o->used[i] = false;
		o->n--;
		return 0;
	}
	return -EFAULT;
}

static void *model_at(const struct model *o, uint64_t at, bool by_uva)
{
	uint64_t start;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		start = by_uva ? o->r[i].uva.v : o->r[i].gpa.v;
		if (o->used[i] && inside(at, start, o->r[i].size))
			return arena[i] + (at - start);
	}
	return NULL;
}

static void check_range(const struct vhk_mem *m, const struct model *o, uint64_t at, uint64_t len,
			bool by_uva)
{
	struct iovec seg[SLOTS];
	uint64_t done = 0, k;
	unsigned char *base;
	int n, i;

	n = by_uva ? vhk_mem_find_uva(m, (struct vhk_uva){ at }, len, seg, SLOTS) :
		     vhk_mem_find(m, (struct vhk_gpa){ at }, len, seg, SLOTS);
	if (n < 0) {
		must(n == -EFAULT);
		for (k = 0; k < len && at + k >= at && model_at(o, at + k, by_uva); k++)
			;
		must(k < len);
		return;
	}
	for (i = 0; i < n; i++) {
		base = seg[i].iov_base;
		for (k = 0; k < seg[i].iov_len; k++, done++)
			must(base + k == model_at(o, at + done, by_uva));
	}
	must(done == len);
}

static void check_back(const struct vhk_mem *m, const struct model *o, unsigned int slot,
		       uint64_t off, size_t len)
{
	struct vhk_gpa gpa;
	int ret = vhk_mem_gpa(m, arena[slot] + off, len, &gpa);

	if (o->used[slot] && len && off < o->r[slot].size && len <= o->r[slot].size - off)
		must(!ret && gpa.v == o->r[slot].gpa.v + off);
	else
		must(ret == -EFAULT);
}

static void step(struct vhk_mem *m, struct model *o, const uint8_t *in)
{
	const bool high = in[0] & 0x80, odd = in[0] & 0x40;
	const unsigned int slot = in[1] % SLOTS;
	struct vhk_region r = { .gpa = { address(in[2], high) },
				.uva = { address(in[3], in[0] & 0x20) },
				.size = (uint64_t)in[4] * UNIT - (odd && in[4]) };
	int ret;

	switch (in[0] % 4) {
	case 0:
		ret = vhk_mem_add_va(m, &r, arena[slot]);
		must(ret == model_add(o, slot, &r));
		break;
	case 1:
		if (o->used[slot] && !odd)
			r = o->r[slot];
		ret = vhk_mem_del(m, &r);
		must(ret == model_del(o, &r));
		break;
	case 2:
		check_range(m, o, r.gpa.v + in[5] % UNIT, (uint64_t)in[6] * UNIT + in[7], odd);
		break;
	case 3:
		check_back(m, o, slot, in[5], (size_t)in[6] * UNIT + in[7] % UNIT);
		break;
	}
	must(vhk_mem_count(m) == o->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model o = { .n = 0 };
	struct vhk_mem *m;

	must(!vhk_mem_new(&m));
	for (; size >= 8; data += 8, size -= 8)
		step(m, &o, data);
	vhk_mem_free(m);
	return 0;
}
