/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The driver's side of a queue: its private state, and what the two layouts implement. Nothing that
 * the driver wrote into shared memory is ever read back; this shadow is the only truth.
 */
#ifndef VHK_LIB_VQ_IMPL_H
#define VHK_LIB_VQ_IMPL_H

#include <vhostkit/vq.h>

#include "barrier.h"
#include "base.h"
#include "mem.h"
#include "ring_layout.h"

#define VHK_VQ_HITS 4 /* header, data, status and the rest lie in different regions often enough */

struct vq_desc { /* a descriptor of either layout, in the two words that it is written in */
	uint64_t addr;
	uint64_t rest; /* len, then the two 16-bit members */
};

struct vq_piece { /* one descriptor to be */
	uint64_t gpa;
	uint32_t len;
};

struct vq_slot { /* one for each head or buffer id; outstanding where n_desc is not 0 */
	void *token;
	uint32_t in_len;
	uint16_t n_desc;
	union {
		uint16_t last; /* split: last descriptor of the chain */
		uint16_t pos;  /* in order: index of the chain, free-running */
		uint16_t next; /* packed, while free: next free id */
	};
};

struct vhk_vq {
	/* Read only while running. */
	struct vhk_table *table;
	struct vq_desc *desc;
	unsigned char *driver; /* split: avail ring; packed: driver event suppression */
	unsigned char *device; /* split: used ring; packed: device event suppression */
	struct vq_desc *indirect;
	struct vq_slot *slot;
	struct vq_piece *piece; /* of the chain being added */
	uint16_t *next; /* split: free list and chains, by descriptor */
	uint64_t indirect_gpa;
	unsigned int max_pieces;
	uint16_t size;
	uint16_t max_indirect;
	uint16_t indirect_min;
	bool packed;
	bool event_idx;
	bool in_order;
	bool direct_single; /* packed: one segment goes without a table of its own */

	/* Adding. */
	const struct vhk_span *hit[VHK_VQ_HITS]; /* where the segment in its place was last */
	uint32_t in_len;   /* of the chain being added */
	uint16_t n_free;   /* descriptors */
	uint16_t free;     /* split: descriptor to take next; packed: id to take next */
	uint16_t avail;    /* split: index, free-running; packed: slot */
	uint16_t n_added;  /* packed: descriptors staged */
	uint16_t n_staged; /* chains staged */
	uint16_t gate;     /* packed: slot of the first staged descriptor ... */
	uint16_t gate_flags; /* ... and its flags, stored by publish */
	uint16_t avail_flags; /* packed: AVAIL and USED of what is made available in this lap */

	/* Getting. */
	uint16_t used_flags; /* packed: AVAIL and USED of what is used in this lap */
	bool armed;
	uint16_t n_got; /* packed: slots that the last look got back */
	int error;
	uint16_t used;      /* split: index, free-running; packed: slot */
	uint16_t used_seen; /* split: the device's index as last read */
	uint16_t n_out;     /* chains published and not yet got */
	uint16_t first;     /* in order: id of the oldest chain */
	uint16_t batch_left; /* in order: chains told used by one entry and not yet handed out */
	uint32_t batch_len;  /* length that the entry gave, for the last of them */
	uint16_t n_chains;   /* in order: index of the next chain, free-running */

	struct vhk_mem *mem;
	struct vhk_region region; /* guest address and size of the block */
	unsigned char *block;
	bool lent; /* the block is the caller's, and no region of its own */
};

/*
 * Stages the @n pieces in q->piece, the first @n_out of them readable. The caller has seen that
 * there is room.
 */
void vhk_vq_split_add(struct vhk_vq *q, unsigned int n_out, unsigned int n, bool indirect,
		      void *token);
void vhk_vq_packed_add(struct vhk_vq *q, unsigned int n_out, unsigned int n, bool indirect,
		       void *token);
/* The same for one piece that needs no table. */
void vhk_vq_packed_add_single(struct vhk_vq *q, uint64_t gpa, uint32_t len, bool write,
			      void *token);
/* At least one chain is staged. 1: the device wants a kick. */
int vhk_vq_split_publish(struct vhk_vq *q);
int vhk_vq_packed_publish(struct vhk_vq *q);
int vhk_vq_split_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max);
int vhk_vq_packed_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max);
bool vhk_vq_split_ready(const struct vhk_vq *q);
bool vhk_vq_packed_ready(const struct vhk_vq *q);
void vhk_vq_split_arm(struct vhk_vq *q);
void vhk_vq_packed_arm(struct vhk_vq *q);
void vhk_vq_split_disarm(struct vhk_vq *q);
void vhk_vq_packed_disarm(struct vhk_vq *q);
/* The position behind what the device has told, got or not; in the form of vhk_ring_opts.base. */
int vhk_vq_split_told(const struct vhk_vq *q, uint32_t *base);
int vhk_vq_packed_told(const struct vhk_vq *q, uint32_t *base);
/* Positions, free list and shared parts as they are in a queue nobody has used. */
void vhk_vq_split_init(struct vhk_vq *q);
void vhk_vq_packed_init(struct vhk_vq *q);

static inline uint64_t vq_desc_rest(uint32_t len, uint16_t third, uint16_t fourth)
{
	return len | (uint64_t)third << 32 | (uint64_t)fourth << 48;
}

/* The table of descriptor or id @i; *whole is the piece that tells of it with @n entries. */
static inline struct vq_desc *vq_table(const struct vhk_vq *q, uint16_t i, unsigned int n,
				       struct vq_piece *whole)
{
	size_t first = (size_t)i * q->max_indirect;

	whole->gpa = q->indirect_gpa + first * sizeof(struct vq_desc);
	whole->len = n * (uint32_t)sizeof(struct vq_desc);
	return q->indirect + first;
}

/* The device wrote no more than the chain offers; some devices count what they read as well. */
static inline uint32_t vq_written(uint32_t len, const struct vq_slot *s)
{
	return vhk_min(len, s->in_len);
}

#endif
