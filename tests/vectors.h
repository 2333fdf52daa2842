/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Ring cases: one table, run on every implementation of the device side, in userspace and in the
 * kernel. Plain data: includes nothing, the includer brings the fixed-width types (<stdint.h> or
 * <linux/types.h>).
 *
 * Memory that every case stands on. A and B touch, so a range over their seam is two segments; they
 * must not be adjacent on the host. TOP ends at 2^64. Everything else is in no region.
 *
 * A case's descriptors go to slots 0, 1, ... of the ring. In a packed ring the available bits are
 * added, and the buffer id is @id of the case where @ids is set and the slot of the chain's first
 * descriptor where it is not; @next counts in split rings only.
 */
#ifndef VHK_TESTS_VECTORS_H
#define VHK_TESTS_VECTORS_H

#define VEC_A 0x10000ull
#define VEC_A_SIZE 0x10000ull
#define VEC_B 0x20000ull
#define VEC_B_SIZE 0x10000ull
#define VEC_C 0x40000ull
#define VEC_C_SIZE 0x1000ull
#define VEC_TOP 0xfffffffffffff000ull
#define VEC_TOP_SIZE 0x1000ull
#define VEC_HOLE 0x30000ull

/* Where @table goes; the two others are over the seam of A and B, and over the end of B. */
#define VEC_TABLE 0x11000ull
#define VEC_TABLE_SEAM (VEC_B - 24)
#define VEC_TABLE_END (VEC_B + VEC_B_SIZE - 24)
#define VEC_TABLE_ODD 0x11003ull

#define VEC_SPLIT 1
#define VEC_PACKED 2
#define VEC_BOTH 3

/* Descriptor flags (virtio 1.3, 2.7.5 and 2.8). */
#define VEC_N 1
#define VEC_W 2
#define VEC_I 4

/* Features. */
#define VEC_INDIRECT 1

/* What a case ends in. */
#define VEC_BROKEN (-1)

#define VEC_SIZE 8
#define VEC_MAX_SEGS 6
#define VEC_MAX_INDIRECT 5

struct vec_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vec_chain {
	uint16_t id;
	uint16_t n_desc;
	uint16_t n_out, n_in;
	uint32_t out_len, in_len;
	int fault;
	uint64_t seg[VEC_MAX_SEGS]; /* guest addresses; of a segment in no region: 0 */
};

struct vec_case {
	const char *name;
	int layouts;
	int features;
	struct vec_desc desc[VEC_SIZE];
	uint64_t table_at; /* 0: no table */
	struct vec_desc table[VEC_MAX_INDIRECT + 1];
	uint16_t avail[VEC_SIZE]; /* split: heads */
	uint16_t avail_idx;	  /* split: index; packed: how many slots are available */
	int ids;		  /* packed: @id replaces the slot */
	uint16_t id;
	int want; /* chains, or VEC_BROKEN as the first thing that happens */
	int broken; /* the ring is broken behind those chains */
	int many;   /* more segments than VEC_MAX_SEGS: where chains are kept short it is a fault */
	struct vec_chain chain[2];
};

static const struct vec_case vec_cases[] = {
	/* What drivers do. */
	{ .name = "one readable", .layouts = VEC_BOTH, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 1, 0, 16, 0, 0, { VEC_A } } } },
	{ .name = "one writable", .layouts = VEC_BOTH, .desc = { { VEC_B, 4096, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 0, 1, 0, 4096, 0, { VEC_B } } } },
	{ .name = "header, data, status", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 16, VEC_N, 1 }, { VEC_B, 512, VEC_N | VEC_W, 2 },
		    { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 3, 1, 2, 16, 513, 0, { VEC_A, VEC_B, VEC_C } } } },
	{ .name = "two chains", .layouts = VEC_PACKED,
	  .desc = { { VEC_A, 16, VEC_N, 0 }, { VEC_B, 1, VEC_W, 0 }, { VEC_C, 8, 0, 0 } },
	  .avail_idx = 3, .want = 2,
	  .chain = { { 0, 2, 1, 1, 16, 1, 0, { VEC_A, VEC_B } },
		     { 2, 1, 1, 0, 8, 0, 0, { VEC_C } } } },
	{ .name = "two chains, interleaved", .layouts = VEC_SPLIT,
	  .desc = { { VEC_A, 16, VEC_N, 2 }, { VEC_C, 8, 0, 0 }, { VEC_B, 1, VEC_W, 0 } },
	  .avail = { 1, 0 }, .avail_idx = 2, .want = 2,
	  .chain = { { 1, 1, 1, 0, 8, 0, 0, { VEC_C } },
		     { 0, 2, 1, 1, 16, 1, 0, { VEC_A, VEC_B } } } },
	{ .name = "as long as the ring", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 0, VEC_N, 1 }, { VEC_A, 0, VEC_N, 2 }, { VEC_A, 1, VEC_N, 3 },
		    { VEC_A, 1, VEC_N, 4 }, { VEC_A, 1, VEC_N, 5 }, { VEC_A, 1, VEC_N, 6 },
		    { VEC_A, 1, VEC_N, 7 }, { VEC_A, 1, 0, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 8, 6, 0, 6, 0, 0, { VEC_A, VEC_A, VEC_A, VEC_A, VEC_A, VEC_A } } } },
	{ .name = "nothing available", .layouts = VEC_BOTH, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail_idx = 0, .want = 0 },

	/* Indirect tables. */
	{ .name = "indirect", .layouts = VEC_SPLIT, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 48, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, VEC_N, 1 }, { VEC_B, 512, VEC_N | VEC_W, 2 },
		     { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 1, 2, 16, 513, 0, { VEC_A, VEC_B, VEC_C } } } },
	{ .name = "indirect, packed", .layouts = VEC_PACKED, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 48, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, 0, 0 }, { VEC_B, 512, VEC_W, 0 }, { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 1, 2, 16, 513, 0, { VEC_A, VEC_B, VEC_C } } } },
	{ .name = "indirect, packed, NEXT in the table is ignored", .layouts = VEC_PACKED,
	  .features = VEC_INDIRECT, .desc = { { VEC_TABLE, 32, VEC_I | VEC_W, 0 } },
	  .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, VEC_N, 0 }, { VEC_B, 1, VEC_W | VEC_N, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 1, 1, 16, 1, 0, { VEC_A, VEC_B } } } },
	{ .name = "indirect out of order", .layouts = VEC_SPLIT, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 48, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, VEC_N, 2 }, { VEC_C, 1, VEC_W, 0 },
		     { VEC_B, 512, VEC_N | VEC_W, 1 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 1, 2, 16, 513, 0, { VEC_A, VEC_B, VEC_C } } } },
	{ .name = "direct, then indirect", .layouts = VEC_SPLIT, .features = VEC_INDIRECT,
	  .desc = { { VEC_C, 8, VEC_N, 1 }, { VEC_TABLE, 32, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, VEC_N, 1 }, { VEC_B, 512, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 2, 2, 1, 24, 512, 0, { VEC_C, VEC_A, VEC_B } } } },
	{ .name = "indirect table over a seam", .layouts = VEC_SPLIT, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE_SEAM, 48, VEC_I, 0 } }, .table_at = VEC_TABLE_SEAM,
	  .table = { { VEC_A, 16, VEC_N, 1 }, { VEC_C, 512, VEC_N | VEC_W, 2 },
		     { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 1, 2, 16, 513, 0, { VEC_A, VEC_C, VEC_C } } } },
	{ .name = "indirect table over a seam, packed", .layouts = VEC_PACKED,
	  .features = VEC_INDIRECT, .desc = { { VEC_TABLE_SEAM, 32, VEC_I, 0 } },
	  .table_at = VEC_TABLE_SEAM, .table = { { VEC_A, 16, 0, 0 }, { VEC_C, 512, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 1, 1, 16, 512, 0, { VEC_A, VEC_C } } } },
	{ .name = "indirect table at an odd address", .layouts = VEC_SPLIT,
	  .features = VEC_INDIRECT, .desc = { { VEC_TABLE_ODD, 32, VEC_I, 0 } },
	  .table_at = VEC_TABLE_ODD, .table = { { VEC_A, 16, VEC_N, 1 }, { VEC_B, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 1, 1, 16, 1, 0, { VEC_A, VEC_B } } } },
	{ .name = "indirect table at its limit", .layouts = VEC_PACKED, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 80, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 1, 0, 0 }, { VEC_A, 1, 0, 0 }, { VEC_A, 1, 0, 0 },
		     { VEC_A, 1, 0, 0 }, { VEC_A, 1, 0, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 5, 0, 5, 0, 0, { VEC_A, VEC_A, VEC_A, VEC_A, VEC_A } } } },
	{ .name = "indirect not negotiated", .layouts = VEC_BOTH,
	  .desc = { { VEC_TABLE, 16, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect length 0", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 0, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect length 17", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 17, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect too long", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 96, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect length 4 GiB - 16", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 0xfffffff0u, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "nested indirect", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 16, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_TABLE, 16, VEC_I, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect with NEXT", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 16, VEC_I | VEC_N, 1 }, { VEC_A, 1, 0, 0 } },
	  .table_at = VEC_TABLE, .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 1,
	  .want = VEC_BROKEN },
	{ .name = "indirect behind direct, packed", .layouts = VEC_PACKED,
	  .features = VEC_INDIRECT,
	  .desc = { { VEC_A, 16, VEC_N, 0 }, { VEC_TABLE, 16, VEC_I, 0 } },
	  .table_at = VEC_TABLE, .table = { { VEC_A, 16, 0, 0 } }, .avail_idx = 2,
	  .want = VEC_BROKEN },
	{ .name = "indirect loop", .layouts = VEC_SPLIT, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 32, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 0, VEC_N, 1 }, { VEC_A, 0, VEC_N, 0 } }, .avail_idx = 1,
	  .want = VEC_BROKEN },
	{ .name = "indirect next out of the table", .layouts = VEC_SPLIT, .features = VEC_INDIRECT,
	  .desc = { { VEC_TABLE, 32, VEC_I, 0 } }, .table_at = VEC_TABLE,
	  .table = { { VEC_A, 1, VEC_N, 2 }, { VEC_A, 1, 0, 0 }, { VEC_A, 1, 0, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect table in no region", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { VEC_HOLE, 16, VEC_I, 0 } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect table past a region's end", .layouts = VEC_BOTH,
	  .features = VEC_INDIRECT, .desc = { { VEC_TABLE_END, 32, VEC_I, 0 } },
	  .table_at = VEC_TABLE_END, .table = { { VEC_A, 16, VEC_N, 1 }, { VEC_A, 16, 0, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "indirect table over 2^64", .layouts = VEC_BOTH, .features = VEC_INDIRECT,
	  .desc = { { 0xfffffffffffffff0ull, 32, VEC_I, 0 } }, .avail_idx = 1,
	  .want = VEC_BROKEN },

	/* Addresses. */
	{ .name = "over a seam", .layouts = VEC_BOTH, .desc = { { VEC_B - 100, 300, 0, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 2, 0, 300, 0, 0, { VEC_B - 100, VEC_B } } } },
	{ .name = "up to a region's last byte", .layouts = VEC_BOTH,
	  .desc = { { VEC_C + VEC_C_SIZE - 1, 1, 0, 0 } }, .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 1, 0, 1, 0, 0, { VEC_C + VEC_C_SIZE - 1 } } } },
	{ .name = "up to 2^64", .layouts = VEC_BOTH, .desc = { { VEC_TOP, 0x1000, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 0, 1, 0, 0x1000, 0, { VEC_TOP } } } },
	{ .name = "past a region's end", .layouts = VEC_BOTH,
	  .desc = { { VEC_C + VEC_C_SIZE - 1, 2, 0, 0 } }, .avail_idx = 1, .want = 1,
	  .chain = { { 0, 1, 1, 0, 2, 0, 1, { 0 } } } },
	{ .name = "over 2^64", .layouts = VEC_BOTH, .desc = { { VEC_TOP, 0x1001, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 1, 0, 1, 0, 0x1001, 1, { 0 } } } },
	{ .name = "data in no region, status in one", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 16, VEC_N, 1 }, { VEC_HOLE, 512, VEC_N | VEC_W, 2 },
		    { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 3, 1, 2, 16, 513, 1, { VEC_A, 0, VEC_C } } } },

	/* Lengths. */
	{ .name = "zero lengths are left out", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 0, VEC_N, 1 }, { VEC_B, 8, VEC_N, 2 },
		    { VEC_HOLE, 0, VEC_N | VEC_W, 3 }, { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1, .chain = { { 0, 4, 1, 1, 8, 1, 0, { VEC_B, VEC_C } } } },
	{ .name = "nothing but zero lengths", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 0, VEC_N, 1 }, { VEC_B, 0, VEC_W, 0 } }, .avail_idx = 1,
	  .want = 1, .chain = { { 0, 2, 0, 0, 0, 0, 0, { 0 } } } },
	{ .name = "2^32 - 1 bytes", .layouts = VEC_BOTH,
	  .desc = { { VEC_HOLE, 0xfffffffeu, VEC_N, 1 }, { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = 1,
	  .chain = { { 0, 2, 1, 1, 0xfffffffeu, 1, 1, { 0, VEC_C } } } },
	{ .name = "2^32 bytes", .layouts = VEC_BOTH,
	  .desc = { { VEC_HOLE, 0xffffffffu, VEC_N, 1 }, { VEC_C, 1, VEC_W, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "2^33 bytes", .layouts = VEC_BOTH,
	  .desc = { { VEC_HOLE, 0xffffffffu, VEC_N, 1 }, { VEC_HOLE, 0xffffffffu, VEC_N, 2 },
		    { VEC_C, 2, VEC_W, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "more segments than allowed", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 1, VEC_N, 1 }, { VEC_A, 1, VEC_N, 2 }, { VEC_A, 1, VEC_N, 3 },
		    { VEC_A, 1, VEC_N, 4 }, { VEC_A, 1, VEC_N, 5 }, { VEC_A, 1, VEC_N, 6 },
		    { VEC_A, 1, 0, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN, .many = 1 },
	{ .name = "more segments than allowed, by a seam", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 1, VEC_N, 1 }, { VEC_A, 1, VEC_N, 2 }, { VEC_A, 1, VEC_N, 3 },
		    { VEC_A, 1, VEC_N, 4 }, { VEC_A, 1, VEC_N, 5 }, { VEC_B - 1, 2, 0, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN, .many = 1 },

	/* Order, loops, indices. */
	{ .name = "readable behind writable", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 16, VEC_N | VEC_W, 1 }, { VEC_B, 1, 0, 0 } }, .avail_idx = 1,
	  .want = VEC_BROKEN },
	{ .name = "loop on itself", .layouts = VEC_SPLIT, .desc = { { VEC_A, 0, VEC_N, 0 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "loop of two behind the head", .layouts = VEC_SPLIT,
	  .desc = { { VEC_A, 0, VEC_N, 1 }, { VEC_A, 0, VEC_N, 2 }, { VEC_A, 0, VEC_N, 1 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "NEXT everywhere", .layouts = VEC_BOTH,
	  .desc = { { VEC_A, 0, VEC_N, 1 }, { VEC_A, 0, VEC_N, 2 }, { VEC_A, 0, VEC_N, 3 },
		    { VEC_A, 0, VEC_N, 4 }, { VEC_A, 0, VEC_N, 5 }, { VEC_A, 0, VEC_N, 6 },
		    { VEC_A, 0, VEC_N, 7 }, { VEC_A, 0, VEC_N, 1 } },
	  .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "head out of range", .layouts = VEC_SPLIT, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail = { VEC_SIZE }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "head 65535", .layouts = VEC_SPLIT, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail = { 65535 }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "good head, then one out of range", .layouts = VEC_SPLIT,
	  .desc = { { VEC_A, 16, 0, 0 } }, .avail = { 0, VEC_SIZE }, .avail_idx = 2,
	  .want = 1, .broken = 1,
	  .chain = { { 0, 1, 1, 0, 16, 0, 0, { VEC_A } } } },
	{ .name = "next out of range", .layouts = VEC_SPLIT,
	  .desc = { { VEC_A, 16, VEC_N, VEC_SIZE } }, .avail_idx = 1, .want = VEC_BROKEN },
	{ .name = "id out of range", .layouts = VEC_PACKED, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail_idx = 1, .ids = 1, .id = VEC_SIZE, .want = VEC_BROKEN },
	{ .name = "id 65535", .layouts = VEC_PACKED, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail_idx = 1, .ids = 1, .id = 65535, .want = VEC_BROKEN },
	{ .name = "id in flight twice", .layouts = VEC_PACKED,
	  .desc = { { VEC_A, 16, 0, 0 }, { VEC_B, 16, 0, 0 } }, .avail_idx = 2, .ids = 1, .id = 5,
	  .want = 1, .broken = 1, .chain = { { 5, 1, 1, 0, 16, 0, 0, { VEC_A } } } },
	{ .name = "head in flight twice", .layouts = VEC_SPLIT, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail = { 0, 0 }, .avail_idx = 2,
	  .want = 1, .broken = 1,
	  .chain = { { 0, 1, 1, 0, 16, 0, 0, { VEC_A } } } },
	{ .name = "next is a head in flight", .layouts = VEC_SPLIT,
	  .desc = { { VEC_A, 16, 0, 0 }, { VEC_B, 16, VEC_N, 0 } }, .avail = { 0, 1 },
	  .avail_idx = 2, .want = 1, .broken = 1,
	  .chain = { { 0, 1, 1, 0, 16, 0, 0, { VEC_A } } } },
	{ .name = "index jumps by more than the size", .layouts = VEC_SPLIT,
	  .desc = { { VEC_A, 16, 0, 0 } }, .avail_idx = VEC_SIZE + 1, .want = VEC_BROKEN },
	{ .name = "index moves backwards", .layouts = VEC_SPLIT, .desc = { { VEC_A, 16, 0, 0 } },
	  .avail_idx = 65535, .want = VEC_BROKEN },
};

#endif
