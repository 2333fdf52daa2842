/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a loop does before it sleeps: how long it spins, learnt from how long it had nothing to do,
 * and whether it lets others run. Pure: no clock, no system call.
 */
#ifndef VHK_LIB_LEARN_H
#define VHK_LIB_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#define VHK_LEARN_GAPS 64    /* gaps between two decisions */
#define VHK_LEARN_BUCKETS 32 /* by powers of two, the last one open */
/* Two changes of threads and what is done between them take longer, ns. */
#define VHK_YIELD_LEAST 1000u

struct vhk_learn {
	uint64_t window; /* spin for so long, ns */
	uint64_t max;	 /* and never longer, ns; 0: never spin */
	uint64_t cost;	 /* of a sleep, ns */
	uint32_t hist[VHK_LEARN_BUCKETS];
	uint32_t n;
};

void vhk_learn_init(struct vhk_learn *w, uint64_t max, uint64_t cost);
/* There was nothing to do for @gap ns; what a sleep added is already taken off. */
void vhk_learn_gap(struct vhk_learn *w, uint64_t gap);

/*
 * Whether it pays to let others have the processor before anything else is tried: it does where
 * the driver waits for the one that the loop runs on. Elsewhere it is tried again when the time
 * that the last try took has passed many times over, ever more of them.
 */
struct vhk_yields {
	uint64_t next; /* ns; not before then */
	uint32_t failed;
};

static inline bool vhk_yields_due(const struct vhk_yields *y, uint64_t now)
{
	return now >= y->next;
}

/*
 * The processor was away from @now on for @ns, and what is waited for came meanwhile, or not. Where
 * others kept it for longer than @limit it was not the driver who wanted it.
 */
void vhk_yields_note(struct vhk_yields *y, bool came, uint64_t now, uint64_t ns, uint64_t limit);

#endif
