/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * As much of a kernel as the module's rings, translation and status rules ask for, so that they run
 * in a program: under sanitizers, threads and the fuzzer. Physical addresses are those of the
 * program; only the arena is memory, and references to its pages are counted.
 */
#ifndef VHK_TESTS_KERNEL_H
#define VHK_TESTS_KERNEL_H

#include <endian.h>
#include <errno.h>
#include <linux/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "barrier.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define S64_MAX INT64_MAX
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define BITS_TO_LONGS(n) (((n) + 63) / 64)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline bool test_bit(unsigned int n, const unsigned long *bits)
{
	return bits[n / 64] >> n % 64 & 1;
}

#define le16_to_cpu le16toh
#define le32_to_cpu le32toh
#define le64_to_cpu le64toh
#define cpu_to_le16 htole16
#define cpu_to_le32 htole32
#define cpu_to_le64 htole64

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define noinline __attribute__((noinline))
#define min_t(type, a, b) ((type)(a) < (type)(b) ? (type)(a) : (type)(b))

#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_mb() vhk_full_fence()
#define smp_mb__before_atomic() vhk_full_fence()
#define smp_mb__after_atomic() vhk_full_fence()
#define ____cacheline_aligned_in_smp
#define barrier() atomic_signal_fence(memory_order_seq_cst)
#define array_index_nospec(i, size) (i)

/* Memory. A test may let it run out: every @t_alloc_fails-th call fails. */
#define GFP_KERNEL 0
#define GFP_KERNEL_ACCOUNT 0

static unsigned int t_alloc_fails, t_allocs;

static inline void *kzalloc(size_t size, int gfp)
{
	(void)gfp;
	return t_alloc_fails && !(++t_allocs % t_alloc_fails) ? NULL : calloc(1, size);
}

static inline void *kvcalloc(size_t n, size_t size, int gfp)
{
	return kzalloc(n * size, gfp);
}

#define kvzalloc kzalloc
#define kfree free
#define kvfree free

#define ERR_PTR(err) ((void *)(intptr_t)(err))
#define PTR_ERR(p) ((int)(intptr_t)(p))
#define IS_ERR(p) ((uintptr_t)(p) >= (uintptr_t)-4095)

static inline bool IS_ERR_OR_NULL(const void *p)
{
	return !p || IS_ERR(p);
}

static inline int PTR_ERR_OR_ZERO(const void *p)
{
	return IS_ERR(p) ? PTR_ERR(p) : 0;
}

/* Locks, counts, completions. */
struct mutex {
	pthread_mutex_t m;
};

#define mutex_init(l) pthread_mutex_init(&(l)->m, NULL)
#define mutex_lock(l) pthread_mutex_lock(&(l)->m)
#define mutex_unlock(l) pthread_mutex_unlock(&(l)->m)

typedef struct {
	atomic_int n;
} atomic_t;

#define atomic_set(a, v) atomic_store(&(a)->n, v)
#define atomic_read(a) atomic_load(&(a)->n)
#define atomic_inc(a) atomic_fetch_add(&(a)->n, 1)
#define atomic_dec(a) atomic_fetch_sub(&(a)->n, 1)

typedef struct {
	atomic_int n;
} refcount_t;

static inline void refcount_set(refcount_t *r, int n)
{
	atomic_store(&r->n, n);
}

static inline void refcount_inc(refcount_t *r)
{
	atomic_fetch_add(&r->n, 1);
}

static inline bool refcount_dec_and_test(refcount_t *r)
{
	return atomic_fetch_sub(&r->n, 1) == 1;
}

static inline bool refcount_inc_not_zero(refcount_t *r)
{
	int n = atomic_load(&r->n);

	while (n)
		if (atomic_compare_exchange_weak(&r->n, &n, n + 1))
			return true;
	return false;
}

struct completion {
	pthread_mutex_t m;
	pthread_cond_t c;
	bool done;
};

#define DECLARE_COMPLETION_ONSTACK(x)                                                              \
	struct completion x = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false }

static inline void complete(struct completion *x)
{
	pthread_mutex_lock(&x->m);
	x->done = true;
	pthread_cond_signal(&x->c);
	pthread_mutex_unlock(&x->m);
}

static inline void wait_for_completion(struct completion *x)
{
	pthread_mutex_lock(&x->m);
	while (!x->done)
		pthread_cond_wait(&x->c, &x->m);
	pthread_mutex_unlock(&x->m);
}

/* RCU: what is freed waits for all who read. */
struct rcu_head {
	char unused;
};

static __attribute__((unused)) pthread_rwlock_t t_rcu = PTHREAD_RWLOCK_INITIALIZER;

#define rcu_read_lock() pthread_rwlock_rdlock(&t_rcu)
#define rcu_read_unlock() pthread_rwlock_unlock(&t_rcu)
#define synchronize_rcu_expedited()                                                                \
	do {                                                                                       \
		pthread_rwlock_wrlock(&t_rcu);                                                     \
		pthread_rwlock_unlock(&t_rcu);                                                     \
	} while (0)
#define kfree_rcu(p, head)                                                                         \
	do {                                                                                       \
		synchronize_rcu_expedited();                                                       \
		free(p);                                                                           \
	} while (0)

/* A table of ranges, in the place of the maple tree. */
#define MT_FLAGS_USE_RCU 0
#define T_RANGES 4096

struct maple_tree {
	pthread_mutex_t m;
	unsigned int n;
	struct t_range {
		u64 first, last;
		void *entry;
	} *range;
};

static inline void mt_init_flags(struct maple_tree *t, int flags)
{
	(void)flags;
	pthread_mutex_init(&t->m, NULL);
	t->n = 0;
	t->range = calloc(T_RANGES, sizeof(*t->range));
}

static inline void mtree_destroy(struct maple_tree *t)
{
	free(t->range);
}

/* The first range that ends at @at or behind; the caller holds the lock. */
static inline unsigned int t_range_at(const struct maple_tree *t, u64 at)
{
	unsigned int lo = 0, hi = t->n, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (t->range[mid].last < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static inline int mtree_insert_range(struct maple_tree *t, u64 first, u64 last, void *entry,
				     int gfp)
{
	unsigned int i;
	int ret = 0;

	(void)gfp;
	pthread_mutex_lock(&t->m);
	i = t_range_at(t, first);
	if (i < t->n && t->range[i].first <= last) {
		ret = -EEXIST;
	} else if (t->n == T_RANGES) {
		ret = -ENOMEM;
	} else {
		memmove(t->range + i + 1, t->range + i, (t->n++ - i) * sizeof(*t->range));
		t->range[i] = (struct t_range){ first, last, entry };
	}
	pthread_mutex_unlock(&t->m);
	return ret;
}

static inline void *mt_find(struct maple_tree *t, unsigned long *at, u64 last)
{
	void *entry = NULL;
	unsigned int i;

	pthread_mutex_lock(&t->m);
	i = t_range_at(t, *at);
	if (i < t->n && t->range[i].first <= last)
		entry = t->range[i].entry;
	pthread_mutex_unlock(&t->m);
	return entry;
}

static inline void *mtree_load(struct maple_tree *t, u64 at)
{
	unsigned long from = at;

	return mt_find(t, &from, at);
}

static inline void mtree_erase(struct maple_tree *t, u64 at)
{
	unsigned int i;

	pthread_mutex_lock(&t->m);
	i = t_range_at(t, at);
	if (i < t->n && t->range[i].first <= at)
		memmove(t->range + i, t->range + i + 1, (--t->n - i) * sizeof(*t->range));
	pthread_mutex_unlock(&t->m);
}

/* Pages. */
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PHYS_PFN(pa) ((unsigned long)(pa) / PAGE_SIZE)
#define PFN_DOWN PHYS_PFN
#define phys_to_virt(pa) ((void *)(uintptr_t)(pa))
#define virt_to_phys(va) ((u64)(uintptr_t)(va))

#define T_PAGES 128

struct page {
	atomic_int refs;
	atomic_int dirty;
};

struct folio {
	struct page page;
};

static unsigned char *t_arena; /* T_PAGES pages, aligned */
static struct folio t_folio[T_PAGES];

static inline void t_arena_new(void)
{
	t_arena = aligned_alloc(PAGE_SIZE, T_PAGES * PAGE_SIZE);
	memset(t_arena, 0, T_PAGES * PAGE_SIZE);
}

static inline bool pfn_valid(unsigned long pfn)
{
	return pfn - PHYS_PFN(virt_to_phys(t_arena)) < T_PAGES;
}

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return &t_folio[pfn - PHYS_PFN(virt_to_phys(t_arena))].page;
}

static inline struct folio *page_folio(struct page *p)
{
	return (struct folio *)p;
}

static inline unsigned long folio_pfn(const struct folio *f)
{
	return PHYS_PFN(virt_to_phys(t_arena)) + (unsigned long)(f - t_folio);
}

#define folio_nr_pages(f) 1
#define folio_page(f, n) (&(f)->page)

static inline void folio_get(struct folio *f)
{
	atomic_fetch_add(&f->page.refs, 1);
}

static inline void folio_put(struct folio *f)
{
	atomic_fetch_sub(&f->page.refs, 1);
}

static inline void set_page_dirty_lock(struct page *p)
{
	atomic_store(&p->dirty, 1);
}

static inline bool t_page_dirty(unsigned int n)
{
	return atomic_load(&t_folio[n].page.dirty);
}

static inline void t_page_clean(unsigned int n)
{
	atomic_store(&t_folio[n].page.dirty, 0);
}

/* Where memory ends that the arena lies in: with the arena. */
static inline u64 t_memory_end(void)
{
	return virt_to_phys(t_arena) + T_PAGES * PAGE_SIZE;
}

static inline int t_page_refs(void)
{
	int i, sum = 0;

	for (i = 0; i < T_PAGES; i++)
		sum += atomic_load(&t_folio[i].page.refs);
	return sum;
}

#endif
