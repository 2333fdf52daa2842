// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A cache of translations beside a naive one. Steps of 6 bytes: what to do, where, how much, what
 * it stands for (16 bits), and a permission. Both must agree; with a limit, the cache may only know
 * less.
 */
#include "iotlb_t.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct vhk_iotlb *t;
	struct t_model m;
	unsigned int limit; /* 0: never reached */
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_find(struct fuzz *f, unsigned int i, unsigned int n, uint8_t perm)
{
	struct vhk_iotlb_seg seg[T_CELLS];
	struct vhk_iova at = { 0 };
	uint64_t want_at = 0;
	const int want = t_model_find(&f->m, i, n, perm, &want_at);
	const int got = vhk_iotlb_find(f->t, (struct vhk_iova){ t_address(i) }, n * T_UNIT, perm,
				       seg, T_CELLS, &at);

	if (got > 0)
		must(!want && t_model_holds(&f->m, i, seg, got, n * T_UNIT));
	else if (f->limit)
		must(got == -EFAULT || got == want);
	else
		must(got == want && (!want || at.v == want_at));
}

static void step(struct fuzz *f, const uint8_t *in)
{
	const unsigned int at = in[1], n = vhk_min(in[2] % T_HALF + 1, T_HALF - at);
	const unsigned int i = at + (in[0] & 0x80 ? T_HALF : 0);
	const uint64_t uva = (in[3] | (unsigned int)in[4] << 8) * T_UNIT;
	const struct vhk_iotlb_entry e = t_entry(i, n, uva, in[5] % 4);
	int ret;

	switch (in[0] % 8) {
	case 0:
		must(!vhk_iotlb_del(f->t, e.iova, e.size));
		t_model_set(&f->m, i, n, 0, 0);
		break;
	case 1:
		if (in[5] % 16)
			break;
		vhk_iotlb_clear(f->t);
		memset(&f->m, 0, sizeof(f->m));
		break;
	case 2:
	case 3:
		check_find(f, i, n, e.perm);
		break;
	default:
		ret = vhk_iotlb_add(f->t, &e);
		must(ret == (e.perm ? 0 : -EINVAL));
		if (!ret)
			t_model_set(&f->m, i, n, uva, e.perm);
	}
	must(t_iotlb_sound(f->t));
	if (f->limit)
		must(vhk_iotlb_count(f->t) <= f->limit);
	else
		must(vhk_iotlb_count(f->t) == t_model_count(&f->m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhk_iotlb_opts o = { .sz = sizeof(o), .flags = VHK_IOTLB_F_EVICT };
	static struct fuzz f;

	if (!size)
		return 0;
	memset(&f, 0, sizeof(f));
	o.limit = f.limit = data[0] % 32;
	must(!vhk_iotlb_new(&f.t, &o));
	for (data++, size--; size >= 6; data += 6, size -= 6)
		step(&f, data);
	vhk_iotlb_free(f.t);
	return 0;
}
