/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The one clock that deadlines are held against.
 */
#ifndef VHK_LIB_CLOCK_H
#define VHK_LIB_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t vhk_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* To a few ms, and cheap; wraps around every 49 days. */
static inline uint32_t vhk_now_coarse_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint32_t)ts.tv_sec * 1000u + (uint32_t)(ts.tv_nsec / 1000000);
}

#endif
