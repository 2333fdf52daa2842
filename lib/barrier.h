/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Floor 0: how memory shared with the other side is read and written: once, with a stated order,
 * little endian (virtio 1.3, 2.7 and 2.8). Relaxed atomics, so that neither the compiler nor a race
 * detector sees a plain access.
 */
#ifndef VHK_LIB_BARRIER_H
#define VHK_LIB_BARRIER_H

#include <endian.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t vhk_load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline uint16_t vhk_load16_acquire(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void vhk_store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}

static inline void vhk_store16_release(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

static inline uint32_t vhk_load32(const uint32_t *p)
{
	return le32toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline void vhk_store32(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, htole32(v), __ATOMIC_RELAXED);
}

static inline uint64_t vhk_load64(const uint64_t *p)
{
	return le64toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline uint64_t vhk_load64_acquire(const uint64_t *p)
{
	return le64toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void vhk_store64(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, htole64(v), __ATOMIC_RELAXED);
}

/*
 * Store, then load of something else: the one order that acquire and release do not give. Not the
 * C11 fence: race detectors do not follow it, and a locked instruction on our own stack is the
 * cheapest there is on x86.
 */
static inline void vhk_full_fence(void)
{
#if defined(__x86_64__)
	__asm__ volatile("lock orl $0, -4(%%rsp)" ::: "memory", "cc");
#else
	__sync_synchronize();
#endif
}

/*
 * Fetches a line that is going to be read and written: a plain load fetches it to be shared, and
 * the store has to ask the other side again. A processor that does not know the instruction takes
 * it for none.
 */
static inline void vhk_prefetch_write(const void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

/* Order that only a killed thread's memory has to keep. */
static inline void vhk_compiler_fence(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Memory shared with the other side, in bulk. The driver hands a page from one queue to another in
 * an order that only its own process has made, which no race detector of ours can see: so these are
 * out of its sight.
 */
#if defined(__SANITIZE_THREAD__)
#define VHK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VHK_TSAN 1
#endif
#endif

#ifdef VHK_TSAN
__attribute__((noinline, unused, no_sanitize("thread"))) static void
vhk_shared_copy(void *to, const void *from, size_t n)
{
	const volatile unsigned char *f = from;
	volatile unsigned char *t = to;

	while (n--)
		*t++ = *f++;
}

__attribute__((noinline, unused, no_sanitize("thread"))) static void
vhk_shared_zero(void *p, size_t n)
{
	volatile unsigned char *t = p;

	while (n--)
		*t++ = 0;
}
#else
static inline void vhk_shared_copy(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
}

static inline void vhk_shared_zero(void *p, size_t n)
{
	memset(p, 0, n);
}
#endif

/* A moment: 15 to 50 ns on x86. */
static inline void vhk_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

#endif
