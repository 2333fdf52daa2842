// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Addresses to pointers and back: whole ranges, seams, holes, both ends of the address space, 509
 * regions, hints.
 */
#include "mem.h"
#include "t.h"

#define PAGE 4096ull
#define TOP (UINT64_MAX - 2 * PAGE + 1)

static unsigned char mem_a[8 * PAGE], mem_b[8 * PAGE];

static struct vhk_region region(uint64_t gpa, uint64_t uva, uint64_t size)
{
	return (struct vhk_region){ .gpa = { gpa }, .uva = { uva }, .size = size };
}

static struct vhk_mem *two_adjacent(void)
{
	struct vhk_region a = region(0x10000, 0x7f0000000000, 2 * PAGE);
	struct vhk_region b = region(0x10000 + 2 * PAGE, 0x7e0000000000, PAGE);
	struct vhk_region top = region(TOP, TOP, 2 * PAGE);
	struct vhk_mem *m;

	T_MUST(!vhk_mem_new(&m));
	/* Not in the order of their addresses. */
	T_MUST(!vhk_mem_add_va(m, &b, mem_b));
	T_MUST(!vhk_mem_add_va(m, &top, mem_b + 2 * PAGE));
	T_MUST(!vhk_mem_add_va(m, &a, mem_a));
	return m;
}

static const struct {
	uint64_t at, len;
	int max, want;
	size_t first;
} finds[] = {
	{ 0x10000, 1, 4, 1, 1 },
	{ 0x10000, 2 * PAGE, 4, 1, 2 * PAGE },
	{ 0x10000 + 2 * PAGE - 1, 1, 4, 1, 1 },
	{ 0x10000 + 2 * PAGE - 1, 2, 4, 2, 1 },
	{ 0x10000 + 2 * PAGE - 1, 2, 1, -ENOBUFS, 0 },
	{ 0x10000, 1, 0, -ENOBUFS, 0 },
	{ 0x10000, 3 * PAGE, 4, 2, 2 * PAGE },
	{ 0x10000, 3 * PAGE + 1, 4, -EFAULT, 0 },
	{ 0x10000 + 3 * PAGE - 1, 2, 4, -EFAULT, 0 },
	{ 0x10000 + 3 * PAGE, 1, 4, -EFAULT, 0 },
	{ 0xffff, 1, 4, -EFAULT, 0 },
	{ 0xffff, 2, 4, -EFAULT, 0 },
	{ 0x10000, UINT64_MAX, 4, -EFAULT, 0 },
	{ UINT64_MAX, 1, 4, 1, 1 },
	{ UINT64_MAX, 2, 4, -EFAULT, 0 },
	{ TOP, 2 * PAGE, 4, 1, 2 * PAGE },
	{ TOP, 2 * PAGE + 1, 4, -EFAULT, 0 },
	{ TOP - 1, 1, 4, -EFAULT, 0 },
	{ 0x10000, 0, 4, 0, 0 },
	{ 0, 0, 4, 0, 0 },
};

static void finds_whole_ranges(void)
{
	struct vhk_mem *m = two_adjacent();
	struct iovec seg[4];
	uint64_t sum;
	size_t i;
	int n, k;

	for (i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		n = vhk_mem_find(m, (struct vhk_gpa){ finds[i].at }, finds[i].len, seg,
				 finds[i].max);
		if (n != finds[i].want)
			printf("# case %zu\n", i);
		T_EQ(n, finds[i].want);
		if (n <= 0)
			continue;
		T_EQ(seg[0].iov_len, finds[i].first);
		for (sum = 0, k = 0; k < n; k++)
			sum += seg[k].iov_len;
		T_EQ(sum, finds[i].len);
	}
	T_EQ(vhk_mem_find(m, (struct vhk_gpa){ 0x10000 + 2 * PAGE - 8 }, 16, seg, 4), 2);
	T_OK(seg[0].iov_base == mem_a + 2 * PAGE - 8 && seg[1].iov_base == mem_b);
	vhk_mem_free(m);
}

static void finds_front_end_addresses(void)
{
	struct vhk_mem *m = two_adjacent();
	struct iovec seg[4];

	T_EQ(vhk_mem_find_uva(m, (struct vhk_uva){ 0x7f0000000010 }, 32, seg, 4), 1);
	T_OK(seg[0].iov_base == mem_a + 16 && seg[0].iov_len == 32);
	/* Adjacent to the guest, not to the front end. */
	T_EQ(vhk_mem_find_uva(m, (struct vhk_uva){ 0x7f0000000000 }, 2 * PAGE + 1, seg, 4),
	     -EFAULT);
	T_EQ(vhk_mem_find_uva(m, (struct vhk_uva){ 0x10000 }, 1, seg, 4), -EFAULT);
	vhk_mem_free(m);
}

static void finds_our_addresses(void)
{
	struct vhk_mem *m = two_adjacent();
	struct vhk_gpa gpa;

	T_EQ(vhk_mem_gpa(m, mem_a + 2 * PAGE - 1, 1, &gpa), 0);
	T_EQ(gpa.v, 0x10000 + 2 * PAGE - 1);
	T_EQ(vhk_mem_gpa(m, mem_b, PAGE, &gpa), 0);
	T_EQ(gpa.v, 0x10000 + 2 * PAGE);
	T_EQ(vhk_mem_gpa(m, mem_b, PAGE + 1, &gpa), -EFAULT);
	T_EQ(vhk_mem_gpa(m, mem_a + 2 * PAGE, 1, &gpa), -EFAULT);
	T_EQ(vhk_mem_gpa(m, &gpa, 1, &gpa), -EFAULT);
	T_EQ(vhk_mem_gpa(m, mem_a, 0, &gpa), -EFAULT);
	vhk_mem_free(m);
}

static void a_hint_of_a_larger_table_does_no_harm(void)
{
	struct vhk_mem *m = two_adjacent();
	struct vhk_region r = region(0x10000, 0x7f0000000000, 2 * PAGE);
	struct vhk_table *t;
	unsigned int hint, start;

	for (start = 0; start < 600; start += 599) {
		t = vhk_mem_table(m);
		hint = start;
		T_OK(vhk_table_at(t, 0x10000, 2 * PAGE, &hint) == mem_a);
		T_EQ(hint, 0);
		T_OK(!vhk_table_at(t, 0x10000, 2 * PAGE + 1, &hint));
		T_OK(!vhk_table_at(t, 0x10000, 0, &hint));
		vhk_table_put(t);
	}
	T_EQ(vhk_mem_del(m, &r), 0);
	t = vhk_mem_table(m);
	hint = 2;
	T_OK(vhk_table_at(t, TOP, PAGE, &hint) == mem_b + 2 * PAGE);
	T_OK(!vhk_table_at(t, 0x10000, 1, &hint));
	vhk_table_put(t);
	vhk_mem_free(m);
}

#define SMALL 64u

static void finds_each_of_509_regions(void)
{
	unsigned char *all = calloc(VHK_MEM_SLOTS_MAX, SMALL);
	struct vhk_region r;
	struct vhk_mem *m;
	struct vhk_gpa gpa;
	struct vhk_uva uva;
	struct iovec seg[2];
	unsigned int i, slot;

	T_MUST(all && !vhk_mem_new(&m));
	for (i = 0; i < VHK_MEM_SLOTS_MAX; i++) {
		slot = i * 200 % VHK_MEM_SLOTS_MAX;
		r = region(0x1000 + slot * 2 * SMALL, 0x700000 - slot * SMALL, SMALL);
		T_EQ(vhk_mem_add_va(m, &r, all + slot * SMALL), 0);
	}
	T_EQ(vhk_mem_count(m), VHK_MEM_SLOTS_MAX);
	for (i = 0; i < VHK_MEM_SLOTS_MAX; i++) {
		gpa.v = 0x1000 + i * 2 * SMALL;
		T_EQ(vhk_mem_find(m, gpa, SMALL, seg, 2), 1);
		T_OK(seg[0].iov_base == all + i * SMALL);
		T_EQ(vhk_mem_find(m, gpa, SMALL + 1, seg, 2), -EFAULT);
		gpa.v--;
		T_EQ(vhk_mem_find(m, gpa, 1, seg, 2), -EFAULT);
		T_EQ(vhk_mem_gpa(m, all + i * SMALL + 5, 4, &gpa), 0);
		T_EQ(gpa.v, 0x1000 + i * 2 * SMALL + 5);
		uva.v = 0x700000 - i * SMALL;
		T_EQ(vhk_mem_find_uva(m, uva, SMALL, seg, 2), 1);
		T_OK(seg[0].iov_base == all + i * SMALL);
		T_EQ(vhk_mem_get(m, i, &r, NULL), 0);
		T_EQ(r.gpa.v, 0x1000 + i * 2 * SMALL);
	}
	vhk_mem_free(m);
	free(all);
}

static void a_range_over_all_regions_becomes_as_many_segments(void)
{
	struct iovec seg[VHK_MEM_SLOTS_MAX];
	unsigned char *all = calloc(VHK_MEM_SLOTS_MAX, SMALL);
	struct vhk_region r;
	struct vhk_mem *m;
	unsigned int i;

	T_MUST(all && !vhk_mem_new(&m));
	for (i = VHK_MEM_SLOTS_MAX; i--;) {
		r = region(i * SMALL, (i + 1) * 0x10000, SMALL);
		T_EQ(vhk_mem_add_va(m, &r, all + i * SMALL), 0);
	}
	T_EQ(vhk_mem_find(m, (struct vhk_gpa){ 1 }, VHK_MEM_SLOTS_MAX * SMALL - 2, seg,
			  VHK_MEM_SLOTS_MAX),
	     VHK_MEM_SLOTS_MAX);
	T_EQ(seg[0].iov_len, SMALL - 1);
	T_EQ(seg[508].iov_len, SMALL - 1);
	T_EQ(vhk_mem_find(m, (struct vhk_gpa){ 0 }, VHK_MEM_SLOTS_MAX * SMALL, seg, 508), -ENOBUFS);
	vhk_mem_free(m);
	free(all);
}

int main(void)
{
	T_RUN(finds_whole_ranges);
	T_RUN(finds_front_end_addresses);
	T_RUN(finds_our_addresses);
	T_RUN(a_hint_of_a_larger_table_does_no_harm);
	T_RUN(finds_each_of_509_regions);
	T_RUN(a_range_over_all_regions_becomes_as_many_segments);
	return t_end();
}
