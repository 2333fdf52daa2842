/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Copying packets between lists of segments. Most are short and in one piece.
 */
#ifndef VHK_LIB_NET_COPY_H
#define VHK_LIB_NET_COPY_H

#include <sys/uio.h>

#include "barrier.h"
#include "base.h"

/* A place in a list of segments. */
struct net_place {
	const struct iovec *seg;
	size_t off;
};

#define NET_COPY_SHORT 256

#ifndef VHK_TSAN
/* What any x86-64 has a register for: wider ones go through memory. */
typedef unsigned char net_block __attribute__((vector_size(16), aligned(1), may_alias));

/* Blocks that overlap at the end take fewer branches than a copy of any length. */
static inline void net_copy(void *to, const void *from, size_t n)
{
	unsigned char *t = to;
	const unsigned char *f = from;
	const size_t each = sizeof(net_block);
	net_block a, b;
	size_t i;

	if (vhk_unlikely(n > NET_COPY_SHORT || n < 2 * each)) {
		memcpy(to, from, n);
		return;
	}
	for (i = 0; i + 2 * each < n; i += 2 * each) {
		a = *(const net_block *)(f + i);
		b = *(const net_block *)(f + i + each);
		*(net_block *)(t + i) = a;
		*(net_block *)(t + i + each) = b;
	}
	i = n - 2 * each;
	a = *(const net_block *)(f + i);
	b = *(const net_block *)(f + i + each);
	*(net_block *)(t + i) = a;
	*(net_block *)(t + i + each) = b;
}
#else
static inline void net_copy(void *to, const void *from, size_t n)
{
	vhk_shared_copy(to, from, n);
}
#endif

/* @n bytes, which both lists have from their places on; both places move on. */
static inline void net_copy_segs(struct net_place *to, struct net_place *from, size_t n)
{
	size_t part;

	while (n) {
		part = vhk_min(to->seg->iov_len - to->off, from->seg->iov_len - from->off);
		part = vhk_min(part, n);
		net_copy((char *)to->seg->iov_base + to->off,
			 (const char *)from->seg->iov_base + from->off, part);
		n -= part;
		to->off += part;
		from->off += part;
		if (to->off == to->seg->iov_len)
			*to = (struct net_place){ to->seg + 1, 0 };
		if (from->off == from->seg->iov_len)
			*from = (struct net_place){ from->seg + 1, 0 };
	}
}

#endif
