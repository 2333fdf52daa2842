/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device-side ring on guest memory that is the fuzzer's: its first bytes choose how the ring is
 * made, then come the steps, and what is left is memory. Two regions that touch, a hole, and one
 * that ends at 2^64; the ring lies in the first.
 *
 *   0 features   1 size   2 most segments   3..6 base   7 steps   then steps, 1 byte each, some
 * with more behind them
 */
#ifndef VHK_FUZZ_RING_FUZZ_H
#define VHK_FUZZ_RING_FUZZ_H

#include "base.h"
#include "ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_A_SIZE 0x1000u
#define FUZZ_B_SIZE 0x1000u
#define FUZZ_TOP (UINT64_MAX - 0xfff)
#define FUZZ_TOP_SIZE 0x1000u
#define FUZZ_SIZE_MAX 32
#define FUZZ_HEAD 8

struct fuzz {
	struct vhk_mem *mem;
	unsigned char *a, *b, *top;
	unsigned char *region;
	size_t region_size;
	struct vhk_ring *r;
	struct vhk_ring_opts o;
	struct vhk_chain *chain[2 * FUZZ_SIZE_MAX];
	unsigned int n;
	uint8_t log[16];
	struct vhk_dirty dirty;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void fuzz_add(struct fuzz *f, uint64_t gpa, uint64_t size, unsigned char **va)
{
	const struct vhk_region r = { { gpa }, { gpa }, size, 0 };

	*va = aligned_alloc(4096, size);
	must(*va);
	memset(*va, 0, size);
	must(!vhk_mem_add_va(f->mem, &r, *va));
}

static bool in_memory(const struct fuzz *f, const unsigned char *va, size_t len)
{
	return (va >= f->a && va + len <= f->a + FUZZ_A_SIZE) ||
	       (va >= f->b && va + len <= f->b + FUZZ_B_SIZE) ||
	       (va >= f->top && va + len <= f->top + FUZZ_TOP_SIZE);
}

static void fuzz_check(const struct fuzz *f, const struct vhk_chain *c)
{
	const unsigned int n = c->n_out + c->n_in;
	uint64_t sum[2] = { 0, 0 };
	unsigned int i;

	must(n <= f->o.max_segs && c->id < f->o.size && c->n_desc >= 1 && c->n_desc <= f->o.size);
	for (i = 0; i < n; i++) {
		const struct iovec *s = &c->seg[i];

		sum[i >= c->n_out] += s->iov_len;
		must(s->iov_len > 0);
		must(s->iov_base ? in_memory(f, s->iov_base, s->iov_len)
				 : (c->flags & VHK_CHAIN_F_FAULT) != 0);
	}
	must(sum[0] == c->out_len && sum[1] == c->in_len);
	must(sum[0] + sum[1] <= UINT32_MAX);
}

static void fuzz_pop(struct fuzz *f, unsigned int max)
{
	struct vhk_chain *out[FUZZ_SIZE_MAX];
	int n, i;

	n = vhk_ring_pop(f->r, out, vhk_min(max, FUZZ_SIZE_MAX));
	must(n >= 0 || (n == -EBADMSG && vhk_ring_error(f->r) == n));
	for (i = 0; i < n; i++) {
		fuzz_check(f, out[i]);
		out[i]->written = out[i]->in_len / (1 + (unsigned int)i % 2);
		f->chain[f->n++] = out[i];
	}
	must(f->n <= f->o.size && vhk_ring_in_flight(f->r) == f->n);
}

static void fuzz_push(struct fuzz *f, unsigned int i)
{
	if (!f->n)
		return;
	i %= f->n;
	vhk_ring_push(f->r, f->chain[i]);
	memmove(&f->chain[i], &f->chain[i + 1], (--f->n - i) * sizeof(f->chain[0]));
}

static bool fuzz_open(struct fuzz *f)
{
	f->n = 0;
	return !vhk_ring_new(&f->r, f->mem, &f->o);
}

/* As if the process had died: nothing in flight is answered. */
static bool fuzz_take_over(struct fuzz *f)
{
	f->o.base = vhk_ring_base(f->r);
	vhk_ring_free(f->r);
	f->r = NULL;
	return fuzz_open(f);
}

static void fuzz_set_table(struct fuzz *f)
{
	const struct vhk_ring_place at = {
		.desc = f->o.desc,
		.driver = f->o.driver,
		.device = f->o.device,
	};
	struct vhk_table *t = vhk_mem_table(f->mem);

	vhk_ring_set_table(f->r, t, &at);
	vhk_table_put(t);
	must(vhk_ring_old_in_flight(f->r) <= f->n);
}

/* Returns how many bytes the step took, 0: it is over. */
static size_t fuzz_step(struct fuzz *f, const uint8_t *in, size_t left)
{
	const unsigned int arg = in[0] >> 3;

	switch (in[0] & 7) {
	case 0:
		fuzz_pop(f, arg);
		break;
	case 1:
		fuzz_push(f, arg);
		break;
	case 2:
		vhk_ring_publish(f->r);
		break;
	case 3:
		if (arg & 1)
			vhk_ring_arm(f->r);
		else
			vhk_ring_disarm(f->r);
		vhk_ring_ready(f->r);
		break;
	case 4:
	case 5:
		if (left < 3)
			return 0;
		f->a[(in[1] | (unsigned int)in[0] << 5) % FUZZ_A_SIZE] = in[2];
		return 3;
	case 6:
		if (arg & 1)
			return fuzz_take_over(f) ? 1 : 0;
		if (arg & 2)
			fuzz_set_table(f);
		else
			vhk_ring_set_dirty(f->r, arg & 4 ? &f->dirty : NULL,
					   arg & 8 ? 0 : UINT64_MAX);
		break;
	case 7:
		if (left < 3)
			return 0;
		if (f->region)
			f->region[(in[1] | (unsigned int)arg << 8) % f->region_size] = in[2];
		return 3;
	}
	return 1;
}

static void fuzz_opts(struct fuzz *f, const uint8_t *in, bool packed)
{
	struct vhk_ring_opts *o = &f->o;

	o->sz = sizeof(*o);
	o->features = VHK_F_VERSION_1 | (packed ? VHK_F_RING_PACKED : 0) |
		      (in[0] & 1 ? VHK_F_INDIRECT_DESC : 0) | (in[0] & 2 ? VHK_F_EVENT_IDX : 0) |
		      (in[0] & 4 ? VHK_F_IN_ORDER : 0);
	o->size = packed ? 1 + in[1] % FUZZ_SIZE_MAX : (uint16_t)(1u << in[1] % 6);
	o->max_segs = 1 + in[2] % 150;
	o->base = in[3] | (uint32_t)in[4] << 8 | (uint32_t)in[5] << 16 | (uint32_t)in[6] << 24;
	o->ctx_size = in[2] & 0x30;
	o->desc = f->a;
	o->driver = f->a + 16u * o->size;
	o->device = f->a + vhk_align_up(18u * o->size + 8, 4);
	if (!(in[0] & 8))
		return;
	f->region_size = vhk_inflight_size(o->size, packed);
	f->region = aligned_alloc(64, f->region_size);
	must(f->region);
	vhk_inflight_init(f->region, o->size, packed);
	o->inflight = f->region;
	o->inflight_size = f->region_size;
}

static void fuzz_run(struct fuzz *f, const uint8_t *steps, size_t n)
{
	size_t took;

	for (; n; n -= took, steps += took) {
		took = fuzz_step(f, steps, n);
		if (!took)
			break;
	}
	while (f->r && f->n)
		fuzz_push(f, 0);
	if (f->r) {
		vhk_ring_publish(f->r);
		must(vhk_ring_in_flight(f->r) == 0);
	}
}

static int fuzz_ring(const uint8_t *data, size_t size, bool packed)
{
	struct fuzz f = { .n = 0 };
	size_t steps;

	if (size < FUZZ_HEAD)
		return 0;
	must(!vhk_mem_new(&f.mem));
	fuzz_add(&f, 0, FUZZ_A_SIZE, &f.a);
	fuzz_add(&f, FUZZ_A_SIZE, FUZZ_B_SIZE, &f.b);
	fuzz_add(&f, FUZZ_TOP, FUZZ_TOP_SIZE, &f.top);
	f.dirty = (struct vhk_dirty){ .bits = (atomic_uchar *)(void *)f.log,
				       .size = sizeof(f.log) };
	fuzz_opts(&f, data, packed);
	steps = vhk_min(size - FUZZ_HEAD, (size_t)data[7]);
	memcpy(f.a, data + FUZZ_HEAD + steps,
	       vhk_min(size - FUZZ_HEAD - steps, (size_t)FUZZ_A_SIZE));
	if (fuzz_open(&f))
		fuzz_run(&f, data + FUZZ_HEAD, steps);
	vhk_ring_free(f.r);
	vhk_mem_free(f.mem);
	free(f.region);
	free(f.a);
	free(f.b);
	free(f.top);
	return 0;
}

#endif
