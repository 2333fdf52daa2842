/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Ethernet frames that can be known again: who sent one as its how manieth says how long it is and
 * what each of its bytes is.
 */
#ifndef VHK_TESTS_T_FRAME_H
#define VHK_TESTS_T_FRAME_H

#include <linux/virtio_net.h>

#include "t.h"

#define T_FRAME_MIN 60u
#define T_FRAME_MAX 1514u
#define T_NET_HDR (sizeof(struct virtio_net_hdr_v1))

static inline uint32_t t_frame_next(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* Writes frame @n of @from to @p, up to T_FRAME_MAX bytes; returns its length. */
static inline uint32_t t_frame_make(unsigned char *p, unsigned int from, uint32_t n)
{
	/* unicast addresses of nobody, and a type for experiments */
	static const unsigned char head[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	uint32_t x = (n + 1) * 2654435761u ^ (from + 1) * 40503u, len, i;

	x = x ? x : 1;
	len = T_FRAME_MIN + t_frame_next(&x) % (T_FRAME_MAX - T_FRAME_MIN + 1);
	memcpy(p, head, sizeof(head));
	for (i = sizeof(head); i < len; i++)
		p[i] = (unsigned char)(t_frame_next(&x) >> 11);
	return len;
}

/* Are the @len bytes at @p frame @n of @from? */
static inline bool t_frame_is(const unsigned char *p, uint32_t len, unsigned int from, uint32_t n)
{
	unsigned char want[T_FRAME_MAX];

	return len == t_frame_make(want, from, n) && !memcmp(p, want, len);
}

#endif
