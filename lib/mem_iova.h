/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * From IOVAs to our addresses: an IOTLB says what they stand for in the front end's address space,
 * a memory table where that lies in ours. Both are looked at each time, so that a region that is
 * gone is never reached through a translation that is not.
 */
#ifndef VHK_LIB_MEM_IOVA_H
#define VHK_LIB_MEM_IOVA_H

#include "iotlb_table.h"
#include "mem.h"

/* What IOMMUs translate, at least; misses and notes are told by pages. */
#define VHK_IOVA_PAGE 4096ull

/* The last place that was looked at. */
struct vhk_iova_hit {
	uint64_t at;	      /* IOVA; where it ended with an error */
	struct vhk_span span; /* of IOVAs, in one translation and in one region */
	uint8_t perm;	      /* of all of it */
};

/*
 * Number of segments, in @seg unless that is NULL. -EAGAIN: a miss; -EACCES: not permitted;
 * -EFAULT: the range wraps around, or what it stands for lies in no region; -ENOBUFS: @max.
 */
int vhk_iova_find(const struct vhk_iotlb_table *tlb, const struct vhk_table *t, uint64_t iova,
		  uint64_t len, uint8_t perm, struct iovec *seg, int max, struct vhk_iova_hit *hit);

#endif
