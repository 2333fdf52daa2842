/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Immutable snapshots of an IOTLB: what rings translate IOVAs with. Two levels of sorted arrays,
 * counted leaf by leaf, so that the next snapshot costs a leaf and the list of leaves, not a copy
 * of all translations.
 */
#ifndef VHK_LIB_IOTLB_TABLE_H
#define VHK_LIB_IOTLB_TABLE_H

#include <stdatomic.h>

#include <vhostkit/iotlb.h>

#define VHK_IOTLB_LEAF_MAX 128

/* By last bytes: a translation may end at 2^64. */
struct vhk_iotlb_range {
	uint64_t first, last;
	uint64_t uva;
	uint8_t perm;
};

struct vhk_iotlb_leaf {
	atomic_uint refs;
	unsigned int n; /* not 0 */
	struct vhk_iotlb_range range[];
};

struct vhk_iotlb_branch {
	uint64_t first; /* of the leaf */
	struct vhk_iotlb_leaf *leaf;
};

struct vhk_iotlb_table {
	atomic_uint refs;
	unsigned int n;	    /* leaves */
	unsigned int count; /* translations */
	struct vhk_iotlb_branch branch[];
};

/* The current one of @t: a reference. */
struct vhk_iotlb_table *vhk_iotlb_table(const struct vhk_iotlb *t);
struct vhk_iotlb_table *vhk_iotlb_table_empty(void); /* NULL: no memory */
struct vhk_iotlb_table *vhk_iotlb_table_get(struct vhk_iotlb_table *t);
void vhk_iotlb_table_put(struct vhk_iotlb_table *t); /* NULL is fine; any thread */

/* The translation that holds @at, or NULL; the first that ends at @from or behind it. Valid as long
 * as @t. */
const struct vhk_iotlb_range *vhk_iotlb_table_at(const struct vhk_iotlb_table *t, uint64_t at);
const struct vhk_iotlb_range *vhk_iotlb_table_next(const struct vhk_iotlb_table *t, uint64_t from);

/* All of [first, last] makes room for @add, or for nothing. */
struct vhk_iotlb_change {
	uint64_t first, last;
	const struct vhk_iotlb_range *add; /* [first, last] itself, or NULL */
	bool whole;	 /* what overlaps goes whole, not in part */
	bool drop_above; /* what overlaps keeps no rest above @last */
};
/* -EMSGSIZE: there would be more than @limit translations; -ENOMEM. */
int vhk_iotlb_table_with(struct vhk_iotlb_table **out, const struct vhk_iotlb_table *t,
			 const struct vhk_iotlb_change *c, unsigned int limit);

#endif
