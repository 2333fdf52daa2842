/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Immutable snapshots of a memory table: what rings translate with. A table is made by every change
 * of a vhk_mem, counted, and unmaps a region when the last table that holds it is gone.
 */
#ifndef VHK_LIB_MEM_H
#define VHK_LIB_MEM_H

#include <stdatomic.h>

#include <vhostkit/mem.h>

#include "map.h"

struct vhk_span {
	uint64_t start;
	uint64_t size;
	unsigned char *va;
};

/* Where one region lies in our memory; unmapped and closed when the last table that holds it is
 * gone. */
struct vhk_mapping {
	atomic_uint refs;
	struct vhk_map map;
	int fd;	    /* -1: closed or never was */
	bool owned; /* mapped here, not by the caller */
};

/* Whether a page of a memory was replaced by zeros, by whichever thread met it. Shared by all
 * tables that follow from one another, counted with them. */
struct vhk_torn {
	atomic_uint refs;
	atomic_bool set;
	atomic_bool late; /* pages may not have arrived */
	atomic_uint pieces; /* replaced */
};

/*
 * What keeps the mappings of tables that follow from one another by regions that were added: it is
 * the owner's of the newest to add to. Unmapped with the last of these tables.
 */
struct vhk_hold {
	atomic_uint refs;
	unsigned int n, room;
	struct vhk_mapping *mapping[];
};

struct vhk_table {
	atomic_uint refs;
	uint32_t gen; /* differs between any two tables of one vhk_mem that can be alive at once */
	unsigned int n;
	uint8_t grain; /* binary logarithm of the parts that addresses are told apart by */
	unsigned int logs; /* sum of the binary logarithms of the regions' sizes */
	uint64_t starts;   /* bits that any region's start has */
	struct vhk_hold *hold; /* NULL: no region */
	const struct vhk_span *by_gpa; /* sorted by start */
	const struct vhk_span *by_uva; /* the same regions, sorted by front-end address */
	const struct vhk_span *by_va; /* start is our address, va the guest-physical one, cast */
	struct vhk_mapping **mapping;
	struct vhk_region *region; /* in by_gpa order */
	struct vhk_torn *torn;
};

/* Whoever keeps a table of a vhk_mem across calls compares the pointer with its own to learn of
 * changes. */
struct vhk_mem {
	struct vhk_table *table;
	uint32_t gen;
};

struct vhk_table *vhk_mem_table(const struct vhk_mem *m); /* a reference to the current one */
struct vhk_table *vhk_table_get(struct vhk_table *t);
void vhk_table_put(struct vhk_table *t); /* any thread */

/* Making tables; NULL: no memory. */
struct vhk_table *vhk_table_empty(uint32_t gen);
/* An empty one that is torn when @t is. */
struct vhk_table *vhk_table_beside(const struct vhk_table *t);
struct vhk_table *vhk_table_copy(const struct vhk_table *t, uint32_t gen);
/* A copy of @t with one region more; takes its own reference to @mapping. Owner's thread. */
struct vhk_table *vhk_table_with(const struct vhk_table *t, uint32_t gen,
				 const struct vhk_region *r, struct vhk_mapping *mapping);
/* Lets go of regions that were added to @t, or NULL, in tables that are gone. Owner's thread; the
 * newest table. */
void vhk_table_trim(struct vhk_table *t);
/* A copy of @t without region @i (in by_gpa order). */
struct vhk_table *vhk_table_without(const struct vhk_table *t, uint32_t gen, unsigned int i);
void vhk_mapping_put(struct vhk_mapping *mapping);

/* Whether @r could be added, but for its file: 0, or as vhk_mem_add_take_fd(). */
int vhk_mem_check(const struct vhk_mem *m, const struct vhk_region *r);
/* A region that is mapped already; @map is the table's, even on failure. As
 * vhk_mem_add_take_fd(). */
int vhk_mem_add_map(struct vhk_mem *m, const struct vhk_region *r, const struct vhk_map *map);

/* @m gets the regions that @from has, as one change; fails (-ENOMEM) without any. For
 * SET_MEM_TABLE. */
int vhk_mem_assign(struct vhk_mem *m, const struct vhk_mem *from);

/* A piece of a file as a memory of one region, at guest address 0 and at *va: it stays mapped as
 * long as a table of it is held, and tells when the file is cut short. @keep: @fd stays open. NULL
 * on failure. */
int vhk_mem_new_file_take_fd(struct vhk_mem **out, uint64_t offset, uint64_t size, int fd,
			     bool keep, void **va);

/* As vhk_mem_add_take_fd(), of a file that must not be written: what is written stays here. */
int vhk_mem_add_private_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd);

/* Spans of @spans that start below @at: its place in the order. */
unsigned int vhk_span_rank(const struct vhk_span *spans, unsigned int n, uint64_t at);

/* The span of @spans that holds all of [at, at + len), or NULL. *hint is the caller's last hit. len
 * 0 is a miss. */
const struct vhk_span *vhk_span_find(const struct vhk_span *spans, unsigned int n, uint64_t at,
				     uint64_t len, unsigned int *hint);

/* The range is inside @s whole, and not empty. */
static inline bool vhk_span_has(const struct vhk_span *s, uint64_t at, uint64_t len)
{
	uint64_t off = at - s->start;

	return off < s->size && len - 1 < s->size - off;
}

/* NULL where the range is not inside @s. Not for by_va: guest address 0 is as good as any. */
static inline void *vhk_span_at(const struct vhk_span *s, uint64_t at, uint64_t len)
{
	return vhk_span_has(s, at, len) ? s->va + (at - s->start) : NULL;
}

/* Host address of a guest range that lies in one region whole; NULL: not in one (it may cross a
 * seam, or be nowhere). */
static inline void *vhk_table_at(const struct vhk_table *t, uint64_t gpa, uint64_t len,
				 unsigned int *hint)
{
	const struct vhk_span *s;
	void *va;

	/* The hint may stem from a larger table. */
	if (*hint < t->n) {
		va = vhk_span_at(&t->by_gpa[*hint], gpa, len);
		if (va)
			return va;
	}
	s = vhk_span_find(t->by_gpa, t->n, gpa, len, hint);
	return s ? vhk_span_at(s, gpa, len) : NULL;
}

/* Any range, over seams: number of segments (0 for an empty range), -EFAULT, -ENOBUFS. */
int vhk_table_find(const struct vhk_table *t, uint64_t gpa, uint64_t len, struct iovec *seg,
		   int max, unsigned int *hint);
/* The same for front-end addresses; *hint is one of its own. */
int vhk_table_find_uva(const struct vhk_table *t, uint64_t uva, uint64_t len, struct iovec *seg,
		       int max, unsigned int *hint);

/*
 * For vhk_mem_fault(): the tables that the calling thread works with. A queue enters when it starts
 * and leaves when it has stopped, so scopes are left in any order; the table may be exchanged in
 * between.
 */
struct vhk_fault_scope {
	struct vhk_fault_scope *outer;
	const struct vhk_table *table;
	atomic_bool torn; /* a page of it was replaced */
};
/* Clears torn. @s stays where it is until it is left, in the same thread; @t lives while it is in
 * force. */
void vhk_fault_enter(struct vhk_fault_scope *s, const struct vhk_table *t);
void vhk_fault_leave(struct vhk_fault_scope *s);

/* Pairs with the release in vhk_mem_fault(): who has read such zeros, and asks then, is told. @t
 * may be NULL. */
static inline bool vhk_table_torn(const struct vhk_table *t)
{
	return t && atomic_load_explicit(&t->torn->set, memory_order_acquire);
}

/* Whether somebody may have to wait for a page of it. @t may be NULL. */
static inline bool vhk_table_late(const struct vhk_table *t)
{
	return t && atomic_load_explicit(&t->torn->late, memory_order_relaxed);
}

void vhk_table_set_late(const struct vhk_table *t, bool on);
/* Nothing of it is what it was. */
void vhk_table_tear(const struct vhk_table *t);

struct vhk_notify;

/*
 * Dirty log: one bit for each 4 KiB page of guest-physical memory (vhost-user, "Migration"). Any
 * number of threads mark pages in one.
 */
struct vhk_dirty {
	atomic_uchar *bits;
	uint64_t size;		       /* bytes of bitmap */
	struct vhk_table *table;       /* what keeps @bits mapped; or NULL */
	const struct vhk_notify *call; /* signalled when something was marked; or NULL */
};
/*
 * Marks of one writer that wait to be set: those of neighbouring pages are gathered, and a page
 * that is written again and again costs one access to the log. Zeroed at first.
 */
struct vhk_dirty_run {
	uint64_t byte;
	unsigned int bits;
	bool told; /* something was marked since the owner cleared it */
};
void vhk_dirty_mark(const struct vhk_dirty *d, struct vhk_dirty_run *run, uint64_t gpa,
		    uint64_t len);
/* Marks what the first @written bytes of @seg cover; @t is the table that @seg was translated with,
 * *hint a hint of its own (it is into by_va). */
void vhk_dirty_mark_segs(const struct vhk_dirty *d, struct vhk_dirty_run *run,
			 const struct vhk_table *t, const struct iovec *seg, unsigned int n,
			 uint64_t written, unsigned int *hint);
/* Nothing waits any more: before what was written is shown to the driver. */
void vhk_dirty_flush(const struct vhk_dirty *d, struct vhk_dirty_run *run);

#endif
