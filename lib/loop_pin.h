/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory registered with io_uring, in loops with VHK_LOOP_F_PIN; in others these do nothing.
 */
#ifndef VHK_LIB_LOOP_PIN_H
#define VHK_LIB_LOOP_PIN_H

#include "loop_impl.h"

struct vhk_table;

/* From vhk_loop_new(). -EOPNOTSUPP: the engine cannot. */
int vhk_pins_init(struct vhk_loop *l);
/* When the engine is closed. */
void vhk_pins_free(struct vhk_loop *l);

/*
 * Loop's thread. A queue uses @t from here on, and until vhk_loop_unpin(): then none of its chains
 * is in that table any more. An operation that the kernel has yet to be told of would find no
 * buffer.
 */
void vhk_loop_pin(struct vhk_loop *l, const struct vhk_table *t);
void vhk_loop_unpin(struct vhk_loop *l, const struct vhk_table *t);

/* The buffer that has the range whole, or -1. Not where there are no pins. */
int vhk_pin_find(struct vhk_loop *l, const void *at, size_t len);

#endif
