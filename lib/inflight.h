/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One queue's part of a vhost-user inflight region (vhost-user, "Inflight I/O tracking"): what is
 * in flight, written so that a kill between any two stores can be recovered from. The front end
 * holds the region, and it is hostile: it is read once, at the start, into private memory; after
 * that it is only written.
 */
#ifndef VHK_LIB_INFLIGHT_H
#define VHK_LIB_INFLIGHT_H

#include "barrier.h"
#include "base.h"

#define INFLIGHT_VERSION 1
#define INFLIGHT_NONE 0xffff

struct inflight_split_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct inflight_split {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct inflight_split_desc desc[];
};

struct inflight_packed_desc {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next;
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/* Written as whole words, so that a kill never leaves half of what belongs together. */
union inflight_free {
	struct {
		uint16_t version;
		uint16_t desc_num;
		uint16_t free_head;
		uint16_t old_free_head;
	};
	uint64_t word;
};

union inflight_used {
	struct {
		uint16_t used_idx;
		uint16_t old_used_idx;
		uint8_t used_wrap;
		uint8_t old_used_wrap;
		uint8_t padding[2];
	};
	uint64_t word;
};

struct inflight_packed {
	uint64_t features;
	union inflight_free free;
	union inflight_used used;
	uint64_t padding;
	struct inflight_packed_desc desc[];
};

struct inflight_head {
	uint64_t counter;
	uint16_t entry;
};

struct inflight {
	struct inflight_split *split;
	struct inflight_packed *packed;
	uint64_t counter;
	uint16_t num;
	bool fresh; /* nobody had used the region */
	/* Private images of what the region says. */
	uint16_t last_batch_head;
	union inflight_free free;
	union inflight_used used;
	uint16_t *next;
	uint16_t *last;
	/* What a former session left, by counter. */
	struct inflight_head *heads;
	unsigned int n_heads;
	unsigned int n_descs; /* packed: slots that they occupy */
	struct inflight_packed_desc *saved;
};

/* Takes over the region at @va. @used: what the used ring in guest memory says. On success the
 * region is in order, and heads[] is what to hand out again. -EPROTO: the region contradicts
 * itself; -EINVAL: it does not fit. */
int vhk_inflight_new_split(struct inflight **out, void *va, size_t bytes, uint16_t size,
			   uint16_t used);
struct packed_desc;
/* @fresh_idx, @fresh_wrap: the used position of a region that nobody used yet. @ring: looked at to
 * see whether the last batch went out. On success used.used_idx and used.used_wrap are the used
 * position. */
int vhk_inflight_new_packed(struct inflight **out, void *va, size_t bytes, uint16_t size,
			    uint16_t fresh_idx, bool fresh_wrap, const struct packed_desc *ring);
void vhk_inflight_free(struct inflight *f);
/* The copies of packed descriptors are of no use any more. */
void vhk_inflight_forget_saved(struct inflight *f);

/* What both layouts' beginnings are made of. */
int vhk_inflight_new(struct inflight **out, uint16_t num);
void vhk_inflight_sort(struct inflight *f);
/* How many entries the region has, or why it is refused. */
int vhk_inflight_num(uint16_t version, uint16_t desc_num, uint16_t size, size_t bytes, bool packed);

/* A chain is popped: the mark is the last store. Returns its counter. */
static inline uint64_t vhk_inflight_split_pop(struct inflight *f, uint16_t id)
{
	struct inflight_split_desc *e = &f->split->desc[id];
	const uint64_t counter = f->counter++;

	__atomic_store_n(&e->counter, counter, __ATOMIC_RELAXED);
	vhk_compiler_fence();
	__atomic_store_n(&e->inflight, 1, __ATOMIC_RELAXED);
	vhk_compiler_fence();
	return counter;
}

/* Before the used index moves: puts @id on the list of the batch. */
static inline void vhk_inflight_split_link(struct inflight *f, uint16_t id)
{
	__atomic_store_n(&f->split->desc[id].next, f->last_batch_head, __ATOMIC_RELAXED);
	vhk_compiler_fence();
	__atomic_store_n(&f->split->last_batch_head, id, __ATOMIC_RELAXED);
	vhk_compiler_fence();
	f->last_batch_head = id;
}

/* After it has moved. */
static inline void vhk_inflight_split_clear(struct inflight *f, uint16_t id)
{
	__atomic_store_n(&f->split->desc[id].inflight, 0, __ATOMIC_RELAXED);
}

/* After every chain of the batch is cleared. */
static inline void vhk_inflight_split_end(struct inflight *f, uint16_t used)
{
	vhk_compiler_fence();
	__atomic_store_n(&f->split->used_idx, used, __ATOMIC_RELAXED);
	vhk_compiler_fence();
}

/* Descriptor @at of the free list, INFLIGHT_NONE: there is none, gets a copy; returns the next
 * free one. */
uint16_t vhk_inflight_packed_put(struct inflight *f, uint16_t at, uint64_t addr, uint32_t len,
				 uint16_t id, uint16_t flags);
/* Entries from the free head to @last, @num of them, are one chain in flight; @next is free.
 * Returns its head. */
uint16_t vhk_inflight_packed_pop(struct inflight *f, uint16_t last, uint16_t num, uint16_t next,
				 uint64_t *counter);
/* Takes back the pop of @head, which is in flight; not while a batch is published. */
void vhk_inflight_packed_unpop(struct inflight *f, uint16_t head);
void vhk_inflight_packed_link(struct inflight *f, uint16_t head);
/* The batch's links are written: where the used position will be. */
void vhk_inflight_packed_begin(struct inflight *f, uint16_t used, bool wrap);
void vhk_inflight_packed_clear(struct inflight *f, uint16_t head);
void vhk_inflight_packed_end(struct inflight *f);

#endif
