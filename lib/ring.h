/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What loops and devices ask of a device-side ring beyond its public face: tables and logs that
 * change while it runs, and stopping. ring_split.c and ring_packed.c implement one ops table each.
 */
#ifndef VHK_LIB_RING_H
#define VHK_LIB_RING_H

#include <vhostkit/ring.h>

#include "iotlb_table.h"
#include "mem.h"

/* As vhk_ring_new(), with a table; takes a reference of its own. */
int vhk_ring_new_table(struct vhk_ring **out, struct vhk_table *t, const struct vhk_ring_opts *o);

/* Where a ring lies in our memory, whole parts checked; all NULL: nowhere. */
struct vhk_ring_place {
	void *desc, *driver, *device;
	struct vhk_table *view; /* what keeps the parts that are scattered; NULL: none is */
};

/* Chains popped from here on use @t (a reference is taken); those in flight keep their pointers.
 * The ring's own parts may have moved; their view is borrowed until the next call. */
void vhk_ring_set_table(struct vhk_ring *r, struct vhk_table *t, const struct vhk_ring_place *at);
/* Chains in flight whose map_gen is not the current table's. */
unsigned int vhk_ring_old_in_flight(const struct vhk_ring *r);

/*
 * Where memory is mapped when it is first met: an address in no region stops vhk_ring_pop() before
 * its chain, until vhk_ring_miss_over().
 */
void vhk_ring_set_waits(struct vhk_ring *r);
/* What the ring waits for; false: for nothing. */
bool vhk_ring_misses(const struct vhk_ring *r, uint64_t *at, uint64_t *len);
/* Look at that chain again. @nowhere: what it misses is in no region, and will not be waited for;
 * then at most that one chain is popped at once. */
void vhk_ring_miss_over(struct vhk_ring *r, bool nowhere);

/* Recovered chains that vhk_ring_pop() has still to hand out. A ring that is drained has none of
 * them either. */
unsigned int vhk_ring_left_over(const struct vhk_ring *r);

/* Log what the ring writes from here on (NULL: nothing). @used_gpa: guest address to log the
 * used ring at, or UINT64_MAX. @d is borrowed until replaced. */
void vhk_ring_set_dirty(struct vhk_ring *r, const struct vhk_dirty *d, uint64_t used_gpa);

/* The view that a new ring lies in, or NULL, before vhk_ring_set_dirty(); as with
 * vhk_ring_set_table(). */
void vhk_ring_set_view(struct vhk_ring *r, const struct vhk_table *view);

/* Logs all that the ring writes of itself: what a back end that died had yet to log. */
void vhk_ring_log_parts(struct vhk_ring *r);
/* Whether something was logged since the last call. */
bool vhk_ring_take_logged(struct vhk_ring *r);

/* Takes a chain back that is not answered: it stays marked in the inflight region, and whoever
 * takes over does it again. Nothing is popped any more after that. */
void vhk_ring_leave(struct vhk_ring *r, struct vhk_chain *c);

/* vhk_ring_push() of each of @n chains, then vhk_ring_publish(). */
int vhk_ring_answer(struct vhk_ring *r, struct vhk_chain **c, unsigned int n);

/*
 * The last @n chains popped, in their order, go back where they came from, and are popped again.
 * -EOPNOTSUPP: not these, and they are the caller's still: one was resubmitted.
 */
int vhk_ring_unpop(struct vhk_ring *r, struct vhk_chain **c, unsigned int n);

/* From here on the ring is not written any more: what is in flight or staged stays marked in the
 * inflight region. Chains may still be pushed. */
void vhk_ring_detach(struct vhk_ring *r);

/*
 * Somebody has to translate @iova for @perm: the ring misses it, and pops no chain before
 * vhk_ring_set_iotlb() or vhk_ring_deny(). From within vhk_ring_pop(). @denied: there is a
 * translation, which does not permit it; the chain is popped with VHK_CHAIN_F_FAULT.
 */
typedef void vhk_ring_miss_fn(void *arg, uint64_t iova, uint8_t perm, bool denied);
/* Before anything is popped: descriptors hold IOVAs. Takes a reference. 0 or -ENOMEM. */
int vhk_ring_use_iotlb(struct vhk_ring *r, struct vhk_iotlb_table *t, vhk_ring_miss_fn *miss,
		       void *arg);
/* Chains popped from here on use @t (a reference is taken); what was held back is tried again. */
void vhk_ring_set_iotlb(struct vhk_ring *r, struct vhk_iotlb_table *t);
/* The page of @iova will not be translated: the chain that asked for it gets
 * VHK_CHAIN_F_FAULT, or breaks the ring where it was an indirect table. */
void vhk_ring_deny(struct vhk_ring *r, uint64_t iova);
/*
 * Chains in flight that point into @va count as ones of an older table from here on. Returns
 * vhk_ring_old_in_flight(), or 0 where @n is.
 */
unsigned int vhk_ring_retire(struct vhk_ring *r, const struct iovec *va, unsigned int n);

/* Bytes that one queue of @size descriptors takes in an inflight region, padded to 64
 * (vhost-user, "Inflight I/O tracking"), and its initial contents. */
size_t vhk_inflight_size(uint16_t size, bool packed);
void vhk_inflight_init(void *va, uint16_t size, bool packed);

/* Breaks the ring from outside (vhk_queue_fail). */
void vhk_ring_break(struct vhk_ring *r);

#endif
