// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The dirty log: which bits a write sets, and that none is set outside of the log.
 */
#include "mem.h"
#include "t.h"

#define PAGE 4096ull
#define LOG 8u

static const struct {
	uint64_t gpa, len, want; /* bits of 64 pages */
} marks[] = {
	{ 0, 1, 0x1 },
	{ 0, PAGE, 0x1 },
	{ 0, PAGE + 1, 0x3 },
	{ PAGE - 1, 1, 0x1 },
	{ PAGE - 1, 2, 0x3 },
	{ PAGE, 0, 0 },
	{ 7 * PAGE, PAGE, 0x80 },
	{ 7 * PAGE, 2 * PAGE, 0x180 },
	{ 8 * PAGE, PAGE, 0x100 },
	{ 4 * PAGE + 5, 16 * PAGE, 0x1ffff0 },
	{ 0, 64 * PAGE, UINT64_MAX },
	{ 63 * PAGE, PAGE, 1ull << 63 },
	/* The last partial page. */
	{ 62 * PAGE, PAGE + 1, 3ull << 62 },
	/* Behind the log, and across its end. */
	{ 64 * PAGE, 1, 0 },
	{ 63 * PAGE, 2 * PAGE, 1ull << 63 },
	{ 63 * PAGE, UINT64_MAX, 1ull << 63 },
	{ 1ull << 63, PAGE, 0 },
	{ UINT64_MAX, 1, 0 },
	{ UINT64_MAX, UINT64_MAX, 0 },
	{ 1, UINT64_MAX, UINT64_MAX },
};

static void mark(const struct vhk_dirty *d, uint64_t gpa, uint64_t len)
{
	struct vhk_dirty_run run = { 0 };

	vhk_dirty_mark(d, &run, gpa, len);
	vhk_dirty_flush(d, &run);
}

static void marks_pages_inside_the_log_only(void)
{
	atomic_uchar bytes[LOG + 2];
	struct vhk_dirty d = { .bits = bytes + 1, .size = LOG };
	uint64_t got;
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		memset((void *)bytes, 0, sizeof(bytes));
		mark(&d, marks[i].gpa, marks[i].len);
		memcpy(&got, (void *)(bytes + 1), LOG);
		if (got != marks[i].want)
			printf("# case %zu\n", i);
		T_OK(got == marks[i].want);
		T_OK(!bytes[0] && !bytes[LOG + 1]);
	}
}

static void an_empty_log_takes_nothing(void)
{
	atomic_uchar byte = 0;
	struct vhk_dirty d = { .bits = &byte, .size = 0 };

	mark(&d, 0, PAGE);
	T_EQ(byte, 0);
}

static void adds_to_what_is_set(void)
{
	atomic_uchar bytes[LOG] = { 0x10 };
	struct vhk_dirty d = { .bits = bytes, .size = LOG };

	mark(&d, 0, 1);
	mark(&d, 3 * PAGE, 1);
	T_EQ(bytes[0], 0x19);
}

static void marks_what_a_chain_wrote(void)
{
	static unsigned char a[4 * PAGE], b[4 * PAGE];
	struct vhk_region ra = { .gpa = { 0 }, .uva = { 0x100000 }, .size = 4 * PAGE };
	struct vhk_region rb = { .gpa = { 8 * PAGE }, .uva = { 0x200000 }, .size = 4 * PAGE };
	const struct iovec seg[] = {
		{ a + PAGE, 10 }, { b, 2 * PAGE }, { a, 1 }, { a + 3 * PAGE, 1 }
	};
	static const struct {
		uint64_t written;
		unsigned int low, high;
	} cases[] = {
		{ 0, 0, 0 },
		{ 10, 0x02, 0 },
		{ 11, 0x02, 0x01 },
		{ 10 + PAGE, 0x02, 0x01 },
		{ 11 + PAGE, 0x02, 0x03 },
		{ 11 + 2 * PAGE, 0x03, 0x03 },
		{ 12 + 2 * PAGE, 0x0b, 0x03 },
		{ UINT64_MAX, 0x0b, 0x03 },
	};
	atomic_uchar bytes[LOG];
	struct vhk_dirty d = { .bits = bytes, .size = LOG };
	struct vhk_table *t;
	struct vhk_mem *m;
	struct vhk_dirty_run run = { 0 };
	unsigned int hint = 0;
	size_t i;

	T_MUST(!vhk_mem_new(&m));
	T_MUST(!vhk_mem_add_va(m, &ra, a) && !vhk_mem_add_va(m, &rb, b));
	t = vhk_mem_table(m);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset((void *)bytes, 0, sizeof(bytes));
		vhk_dirty_mark_segs(&d, &run, t, seg, 4, cases[i].written, &hint);
		vhk_dirty_flush(&d, &run);
		T_EQ(bytes[0], cases[i].low);
		T_EQ(bytes[1], cases[i].high);
	}
	vhk_table_put(t);
	vhk_mem_free(m);
}

int main(void)
{
	T_RUN(marks_pages_inside_the_log_only);
	T_RUN(an_empty_log_takes_nothing);
	T_RUN(adds_to_what_is_set);
	T_RUN(marks_what_a_chain_wrote);
	return t_end();
}
