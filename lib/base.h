/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Floor 0: small words that every other file uses. No system call and no type of the library's own
 * but the log.
 */
#ifndef VHK_LIB_BASE_H
#define VHK_LIB_BASE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vhostkit/vhk.h>

#define vhk_likely(x) __builtin_expect(!!(x), 1)
#define vhk_unlikely(x) __builtin_expect(!!(x), 0)
#define vhk_array_size(a) (sizeof(a) / sizeof((a)[0]))
#define vhk_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define vhk_min(a, b) ((a) < (b) ? (a) : (b))
#define vhk_max(a, b) ((a) > (b) ? (a) : (b))

static inline bool vhk_is_power_of_2(uint64_t v)
{
	return v && !(v & (v - 1));
}

static inline uint64_t vhk_align_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

/* @len bytes from @at do not wrap around 2^64. */
static inline bool vhk_range_ok(uint64_t at, uint64_t len)
{
	return len == 0 || at + (len - 1) >= at;
}

/*
 * Reads the caller's growable structure @in (its first member is size_t sz) into @out of @size
 * bytes; zeros what the caller does not know of. NULL is all defaults. -EOPNOTSUPP: non-zero bytes
 * beyond what we know; -EINVAL: sz absurd.
 */
int vhk_opts_read(void *out, size_t size, const void *in);

/*
 * The other way: fills the caller's growable structure @out with @from of @size bytes, as far as
 * the caller's sz goes, and zeros what is beyond; sz stays. -EINVAL: sz absurd.
 */
int vhk_out_check(const void *out); /* -EINVAL: sz absurd */
int vhk_out_write(void *out, const void *from, size_t size);

void vhk_log(const struct vhk_log *log, enum vhk_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
