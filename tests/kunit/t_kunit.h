/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of tests/user are written in, on KUnit: their checks, an arena of pages of this
 * kernel, whose references and dirty bits are the kernel's own, and allocations that fail at will.
 * A suite includes this, then the test or the file that it is about.
 */
#ifndef VHK_KUNIT_T_H
#define VHK_KUNIT_T_H

#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

/* It stands for these. */
#define VHK_TESTS_T_H
#define VHK_TESTS_KERNEL_H

/* The running case. */
static struct kunit *t_test;
/* Of tests that look whether something went wrong in between; KUnit counts itself. */
static int t_bad __maybe_unused;

#define T_EQ(got, want) KUNIT_EXPECT_EQ(t_test, (s64)(got), (s64)(want))
#define T_OK(cond) KUNIT_EXPECT_TRUE(t_test, cond)
#define T_MUST(cond) KUNIT_ASSERT_TRUE(t_test, cond)
#define printf(...) kunit_info(t_test, __VA_ARGS__)
#define UINT64_MAX U64_MAX

/* The tests' own programs are left out. */
#define T_RUN(fn) (void)(fn)
#define t_end() 0
#define main __maybe_unused t_main
int t_main(void);
#define free(arena) t_arena_free()

#define T_PAGES 128
#define T_ORDER 7

static unsigned char *t_arena __maybe_unused;

static inline void t_arena_new(void)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO, T_ORDER);

	KUNIT_ASSERT_NOT_NULL(t_test, page);
	/* Each has a count of its own. */
	split_page(page, T_ORDER);
	t_arena = page_address(page);
}

static inline void t_arena_free(void)
{
	unsigned int i;

	for (i = 0; t_arena && i < T_PAGES; i++)
		free_page((unsigned long)t_arena + i * PAGE_SIZE);
	t_arena = NULL;
}

static inline struct page *t_page(unsigned int n)
{
	return virt_to_page(t_arena + n * PAGE_SIZE);
}

/* References beyond the one that each page has by itself. */
static inline int t_page_refs(void)
{
	int sum = -T_PAGES;
	unsigned int i;

	for (i = 0; i < T_PAGES; i++)
		sum += page_count(t_page(i));
	return sum;
}

static inline bool t_page_dirty(unsigned int n)
{
	return PageDirty(t_page(n));
}

static inline void t_page_clean(unsigned int n)
{
	ClearPageDirty(t_page(n));
}

/* Where memory ends that the arena lies in. */
static inline u64 t_memory_end(void)
{
	unsigned long pfn = page_to_pfn(t_page(0));

	while (pfn_valid(pfn))
		pfn++;
	return PFN_PHYS(pfn);
}

/* Every @t_alloc_fails-th allocation of the file under test fails. */
static unsigned int t_alloc_fails __maybe_unused, t_allocs __maybe_unused;

static inline bool t_alloc_fail(void)
{
	return t_alloc_fails && !(++t_allocs % t_alloc_fails);
}

static inline void *t_kzalloc(size_t size, gfp_t gfp)
{
	return t_alloc_fail() ? NULL : kzalloc(size, gfp);
}

static inline void *t_kvcalloc(size_t n, size_t size, gfp_t gfp)
{
	return t_alloc_fail() ? NULL : kvcalloc(n, size, gfp);
}

#undef kzalloc
#undef kvcalloc
#undef kvzalloc
#define kzalloc(size, gfp) t_kzalloc(size, gfp)
#define kvcalloc(n, size, gfp) t_kvcalloc(n, size, gfp)
#define kvzalloc(size, gfp) t_kvcalloc(1, size, gfp)

/* What the file under test exports is the module's to export. */
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(name)

static inline int t_init(struct kunit *test)
{
	t_test = test;
	t_arena_new();
	return 0;
}

static inline void t_exit(struct kunit *test)
{
	t_alloc_fails = 0;
	t_arena_free();
}

/* For each function of a test, and for its list of cases. */
#define T_CASE(fn)                                  \
	static void t_case_##fn(struct kunit *test) \
	{                                           \
		(fn)();                             \
	}
#define T_ENTRY(fn) { .run_case = t_case_##fn, .name = #fn }

/* The suite of a module, with the list of cases. */
#define T_SUITE(suite, ...)                                                                \
	static struct kunit_case t_cases[] = { __VA_ARGS__, { } };                         \
	static struct kunit_suite t_suite = {                                              \
		.name = suite,                                                             \
		.init = t_init,                                                            \
		.exit = t_exit,                                                            \
		.test_cases = t_cases,                                                     \
	};                                                                                 \
	kunit_test_suite(t_suite);                                                         \
	MODULE_LICENSE("GPL");                                                             \
	MODULE_DESCRIPTION("KUnit suite of vhostkit's modules")

#endif
