// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The cache of translations: what is refused, ranges that cross entries, cut or replace them, both
 * ends of the address space, limits, snapshots; and long random walks beside a naive model.
 */
#include "iotlb_t.h"
#include "t.h"

#define PAGE 4096ull
#define RO VHK_IOTLB_PERM_RO
#define WO VHK_IOTLB_PERM_WO
#define RW VHK_IOTLB_PERM_RW

static struct vhk_iotlb *make(uint32_t limit, uint32_t flags)
{
	const struct vhk_iotlb_opts o = { sizeof(o), limit, flags };
	struct vhk_iotlb *t;

	T_MUST(!vhk_iotlb_new(&t, &o));
	return t;
}

static int add(struct vhk_iotlb *t, uint64_t iova, uint64_t size, uint64_t uva, uint8_t perm)
{
	struct vhk_iotlb_entry e = { { iova }, size, { uva }, perm };

	return vhk_iotlb_add(t, &e);
}

static int del(struct vhk_iotlb *t, uint64_t iova, uint64_t size)
{
	return vhk_iotlb_del(t, (struct vhk_iova){ iova }, size);
}

static const struct {
	uint64_t iova, size, uva;
	uint8_t perm;
	int want;
} adds[] = {
	{ 0, 0, 0, RW, -EINVAL },
	{ PAGE, 0, 0, RW, -EINVAL },
	{ 0, PAGE, 0, 0, -EINVAL },
	{ 0, PAGE, 0, RW + 1, -EINVAL },
	{ UINT64_MAX, 2, 0, RW, -EINVAL },
	{ 0, 2, UINT64_MAX, RW, -EINVAL },
	{ PAGE, UINT64_MAX, 0, RW, -EINVAL },
	{ 0, UINT64_MAX, 1, RW, 0 },
	{ UINT64_MAX, 1, UINT64_MAX, RW, 0 },
	{ 0, 1, 0, RO, 0 },
};

static void refuses_what_makes_no_sense(void)
{
	struct vhk_iotlb_opts odd = { sizeof(odd), 1, 0x80 };
	struct vhk_iotlb *t;
	size_t i;

	T_EQ(vhk_iotlb_new(&t, &odd), -EOPNOTSUPP);
	T_OK(!t);
	for (i = 0; i < vhk_array_size(adds); i++) {
		t = make(0, 0);
		T_EQ(add(t, adds[i].iova, adds[i].size, adds[i].uva, adds[i].perm), adds[i].want);
		T_EQ(vhk_iotlb_count(t), !adds[i].want);
		T_EQ(del(t, 0, 0), -EINVAL);
		T_EQ(vhk_iotlb_count(t), !adds[i].want);
		vhk_iotlb_free(t);
	}
	vhk_iotlb_free(NULL);
}

static const struct {
	uint64_t at, len;
	uint8_t perm;
	int max, want;
	uint64_t fail;
} finds[] = {
	{ 0x1000, 1, RW, 4, 1, 0 },
	{ 0x1000, PAGE, RW, 4, 1, 0 },
	{ 0x1fff, 2, RO, 4, 2, 0 },
	{ 0x1fff, 2, RW, 4, -EACCES, 0x2000 },
	{ 0x1fff, 2, RO, 1, -ENOBUFS, 0 },
	{ 0x1000, 3 * PAGE, RO, 4, -EACCES, 0x3000 },
	{ 0x1000, 2 * PAGE, RO, 4, 2, 0 },
	{ 0x3000, PAGE, WO, 4, 1, 0 },
	{ 0x3000, PAGE, RO, 4, -EACCES, 0x3000 },
	{ 0x3000, 2 * PAGE, WO, 4, -EFAULT, 0x4000 },
	{ 0xfff, 1, RO, 4, -EFAULT, 0xfff },
	{ 0xfff, 2, RO, 4, -EFAULT, 0xfff },
	{ 0x1000, UINT64_MAX, RO, 4, -EFAULT, 0x1000 },
	{ UINT64_MAX, 1, RW, 4, 1, 0 },
	{ UINT64_MAX, 2, RW, 4, -EFAULT, UINT64_MAX },
	{ 0x1000, 0, RW, 4, 0, 0 },
};

static void finds_ranges_and_tells_why_not(void)
{
	struct vhk_iotlb *t = make(0, 0);
	struct vhk_iotlb_seg seg[4];
	struct vhk_iova at;
	size_t i;

	T_EQ(add(t, 0x2000, PAGE, 0x70000000, RO), 0);
	T_EQ(add(t, 0x1000, PAGE, 0x50000000, RW), 0);
	T_EQ(add(t, 0x3000, PAGE, 0x70001000, WO), 0);
	T_EQ(add(t, UINT64_MAX, 1, 7, RW), 0);
	for (i = 0; i < vhk_array_size(finds); i++) {
		at.v = 0;
		T_EQ(vhk_iotlb_find(t, (struct vhk_iova){ finds[i].at }, finds[i].len,
				    finds[i].perm, seg, finds[i].max, &at),
		     finds[i].want);
		T_EQ(at.v, finds[i].fail);
	}
	T_EQ(vhk_iotlb_find(t, (struct vhk_iova){ 0x1fff }, 2, RO, seg, 4, NULL), 2);
	T_EQ(seg[0].uva.v, 0x50000fff);
	T_EQ(seg[1].uva.v, 0x70000000);
	T_EQ(vhk_iotlb_find(t, (struct vhk_iova){ 0 }, 2, RO, seg, 4, NULL), -EFAULT);
	vhk_iotlb_free(t);
}

static void cuts_and_joins(void)
{
	struct vhk_iotlb_entry e;
	struct vhk_iotlb *t = make(0, 0);

	T_EQ(add(t, 0x1000, 3 * PAGE, 0x50000000, RW), 0);
	T_EQ(del(t, 0x2000, PAGE), 0);
	T_EQ(vhk_iotlb_count(t), 2);
	T_EQ(vhk_iotlb_next(t, (struct vhk_iova){ 0x2000 }, &e), 1);
	T_EQ(e.iova.v, 0x3000);
	T_EQ(e.size, PAGE);
	T_EQ(e.uva.v, 0x50002000);
	T_EQ(e.perm, RW);
	T_EQ(vhk_iotlb_next(t, (struct vhk_iova){ 0x4000 }, &e), 0);
	T_EQ(add(t, 0x2000, PAGE, 0x50001000, RW), 0);
	T_EQ(vhk_iotlb_count(t), 1);
	T_EQ(add(t, 0x2000, PAGE, 0x50001000, RO), 0);
	T_EQ(vhk_iotlb_count(t), 3);
	T_EQ(del(t, 0x3000, UINT64_MAX), 0);
	T_EQ(vhk_iotlb_count(t), 2);
	vhk_iotlb_clear(t);
	T_EQ(vhk_iotlb_count(t), 0);
	T_EQ(del(t, 0, UINT64_MAX), 0);
	/* Two halves of everything. */
	T_EQ(add(t, 0, 1ull << 63, 0, RW), 0);
	T_EQ(add(t, 1ull << 63, 1ull << 63, 1ull << 63, RW), 0);
	T_EQ(vhk_iotlb_count(t), 1);
	T_EQ(vhk_iotlb_next(t, (struct vhk_iova){ UINT64_MAX }, &e), 1);
	T_EQ(e.iova.v, 0);
	T_EQ(e.size, 0);
	vhk_iotlb_free(t);
}

static void keeps_to_its_limit(void)
{
	struct vhk_iotlb *t = make(4, 0);
	struct vhk_iotlb_entry e;
	unsigned int i;

	for (i = 0; i < 4; i++)
		T_EQ(add(t, i * 4 * PAGE, 3 * PAGE, 0x50000000, RW), 0);
	T_EQ(add(t, 1 << 20, PAGE, 0, RW), -EMSGSIZE);
	T_EQ(add(t, PAGE, PAGE, 0, RO), -EMSGSIZE);
	T_EQ(del(t, PAGE, PAGE), -EMSGSIZE);
	T_EQ(vhk_iotlb_count(t), 4);
	T_EQ(vhk_iotlb_next(t, (struct vhk_iova){ 0 }, &e), 1);
	T_EQ(e.size, 3 * PAGE);
	T_EQ(del(t, 0, PAGE), 0);
	T_EQ(add(t, 0, 16 * PAGE, 0x50000000, RW), 0);
	T_EQ(vhk_iotlb_count(t), 1);
	vhk_iotlb_free(t);
}

static void forgets_the_oldest_by_address(void)
{
	struct vhk_iotlb *t = make(4, VHK_IOTLB_F_EVICT);
	struct vhk_iotlb_seg seg;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		T_EQ(add(t, i * 2 * PAGE, PAGE, 0x50000000, RW), 0);
		T_EQ(vhk_iotlb_find(t, (struct vhk_iova){ i * 2 * PAGE }, PAGE, RW, &seg, 1, NULL),
		     1);
		T_OK(vhk_iotlb_count(t) <= 4);
		T_OK(t_iotlb_sound(t));
	}
	vhk_iotlb_clear(t);
	T_EQ(add(t, 0, 1 << 20, 0, RW), 0);
	for (i = 0; i < 100; i++) {
		T_EQ(del(t, i * 2 * PAGE, PAGE), 0);
		T_EQ(vhk_iotlb_find(t, (struct vhk_iova){ i * 2 * PAGE }, 1, RO, &seg, 1, NULL),
		     -EFAULT);
		T_OK(vhk_iotlb_count(t) <= 4);
	}
	vhk_iotlb_free(t);
	t = make(1, VHK_IOTLB_F_EVICT);
	T_EQ(add(t, 0, 1 << 20, 0, RW), 0);
	T_EQ(add(t, PAGE, PAGE, 0, RO), 0);
	T_EQ(vhk_iotlb_count(t), 1);
	T_EQ(vhk_iotlb_find(t, (struct vhk_iova){ PAGE }, PAGE, RO, &seg, 1, NULL), 1);
	vhk_iotlb_free(t);
}

static void refuses_overlaps_where_asked_to(void)
{
	static const uint64_t at[][2] = { { 0x1000, PAGE }, { 0xfff, 2 }, { 0x1fff, 1 },
					  { 0, UINT64_MAX }, { 0x1800, 1 } };
	struct vhk_iotlb *t = make(0, VHK_IOTLB_F_NO_OVERLAP);
	size_t i;

	T_EQ(add(t, 0x1000, PAGE, 0, RW), 0);
	for (i = 0; i < vhk_array_size(at); i++)
		T_EQ(add(t, at[i][0], at[i][1], 0, RW), -EEXIST);
	T_EQ(add(t, 0, PAGE, 0, RW), 0);
	T_EQ(add(t, 0x2000, 0 - 0x2000ull, 0, RW), 0);
	T_EQ(vhk_iotlb_count(t), 3);
	vhk_iotlb_free(t);
}

static void snapshots_stay_as_they_are(void)
{
	struct vhk_iotlb *t = make(0, 0);
	struct vhk_iotlb_table *s;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		T_EQ(add(t, i * 2 * PAGE, PAGE, i * 2 * PAGE, RW), 0);
	s = vhk_iotlb_table(t);
	T_EQ(del(t, 0, 900 * 2 * PAGE), 0);
	T_EQ(vhk_iotlb_count(t), 100);
	T_EQ(s->count, 1000);
	for (i = 0; i < 1000; i++)
		T_OK(vhk_iotlb_table_at(s, i * 2 * PAGE) &&
		     !vhk_iotlb_table_at(s, i * 2 * PAGE + PAGE));
	T_OK(t_table_sound(s) && t_iotlb_sound(t));
	vhk_iotlb_free(t);
	T_OK(vhk_iotlb_table_at(s, 0));
	vhk_iotlb_table_put(s);
}

/* One step of a walk, in the cache and in the model. */
static void walk_step(struct vhk_iotlb *t, struct t_model *m, uint64_t *seed)
{
	const bool high = t_rand(seed) % 2;
	const unsigned int at = (unsigned int)(t_rand(seed) % T_HALF);
	const unsigned int room = T_HALF - at, most = t_rand(seed) % 8 ? 4 : T_HALF;
	const unsigned int n = 1 + (unsigned int)(t_rand(seed) % vhk_min(room, most));
	const unsigned int i = at + (high ? T_HALF : 0);
	const uint64_t uva = t_rand(seed) % 2 ? t_address(i) + 0x100000000
					      : t_rand(seed) % 4 * T_UNIT;
	const uint8_t perm = (uint8_t)(1 + t_rand(seed) % 3);
	struct vhk_iotlb_entry e = t_entry(i, n, uva, perm);

	switch (t_rand(seed) % 3) {
	case 0:
		T_EQ(vhk_iotlb_del(t, e.iova, e.size), 0);
		t_model_set(m, i, n, 0, 0);
		break;
	default:
		if (!vhk_range_ok(uva, e.size))
			break;
		T_EQ(vhk_iotlb_add(t, &e), 0);
		t_model_set(m, i, n, uva, perm);
	}
}

static void compare(struct vhk_iotlb *t, const struct t_model *m, uint64_t *seed)
{
	struct vhk_iotlb_seg seg[T_CELLS];
	const bool high = t_rand(seed) % 2;
	const unsigned int at = (unsigned int)(t_rand(seed) % T_HALF);
	const unsigned int n = 1 + (unsigned int)(t_rand(seed) % vhk_min(T_HALF - at, 16u));
	const unsigned int i = at + (high ? T_HALF : 0);
	const uint8_t perm = (uint8_t)(t_rand(seed) % 4);
	struct vhk_iova fail = { 0 };
	uint64_t want_at = 0;
	int want = t_model_find(m, i, n, perm, &want_at);
	int got = vhk_iotlb_find(t, (struct vhk_iova){ t_address(i) }, n * T_UNIT, perm, seg,
				 T_CELLS, &fail);

	T_EQ(vhk_iotlb_count(t), t_model_count(m));
	if (want) {
		T_EQ(got, want);
		T_EQ(fail.v, want_at);
	} else {
		T_OK(got > 0 && t_model_holds(m, i, seg, got, n * T_UNIT));
	}
}

static void walks_like_the_model(void)
{
	static struct t_model m;
	uint64_t seed = 0x5eed;
	unsigned int round, i;

	for (round = 0; round < 20; round++) {
		struct vhk_iotlb *t = make(0, 0);

		memset(&m, 0, sizeof(m));
		for (i = 0; i < 2000; i++) {
			walk_step(t, &m, &seed);
			compare(t, &m, &seed);
			T_OK(t_iotlb_sound(t));
		}
		vhk_iotlb_free(t);
	}
}

/* Any number of entries, of leaves and of changes: sound, and within the limit. */
static void stays_bounded(void)
{
	struct vhk_iotlb *t = make(4096, VHK_IOTLB_F_EVICT);
	struct vhk_iotlb_table *s;
	uint64_t seed = 7, at;
	unsigned int i;

	for (i = 0; i < 300000; i++) {
		at = t_rand(&seed) % 100000 * PAGE;
		if (t_rand(&seed) % 4)
			T_EQ(add(t, at, PAGE, t_rand(&seed) % 1024 * PAGE, RW), 0);
		else
			T_EQ(del(t, at, t_rand(&seed) % 64 * PAGE + PAGE), 0);
		if (i % 1000)
			continue;
		s = vhk_iotlb_table(t);
		T_OK(s->count <= 4096 && s->n <= 8 * 4096 / VHK_IOTLB_LEAF_MAX + 1);
		T_OK(t_table_sound(s));
		vhk_iotlb_table_put(s);
	}
	vhk_iotlb_free(t);
}

int main(void)
{
	T_RUN(refuses_what_makes_no_sense);
	T_RUN(finds_ranges_and_tells_why_not);
	T_RUN(cuts_and_joins);
	T_RUN(keeps_to_its_limit);
	T_RUN(forgets_the_oldest_by_address);
	T_RUN(refuses_overlaps_where_asked_to);
	T_RUN(snapshots_stay_as_they_are);
	T_RUN(walks_like_the_model);
	T_RUN(stays_bounded);
	return t_end();
}
