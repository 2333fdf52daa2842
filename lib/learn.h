/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How long a loop spins before it sleeps: learnt from how long it had nothing to do. Pure: no
 * clock, no system call.
 */
#ifndef VHK_LIB_LEARN_H
#define VHK_LIB_LEARN_H

#include <stdint.h>

#define VHK_LEARN_GAPS 64    /* gaps between two decisions */
#define VHK_LEARN_BUCKETS 32 /* by powers of two, the last one open */

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

#endif
