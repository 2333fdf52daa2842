/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The module's rings and what they stand on, in one piece: for programs that look at them.
 */
#ifndef VHK_TESTS_KRING_H
#define VHK_TESTS_KRING_H

#include "../../../kmod/map.c"
#include "../../../kmod/ring.c"
#include "../../../kmod/ring_chain.c"
/* Both layouts have functions of the same names. */
#undef AT_FLAGS
#define walk split_walk
#define wants_call split_wants_call
#include "../../../kmod/ring_split.c"
#undef walk
#undef wants_call
#undef AT_FLAGS
#include "../../../kmod/ring_packed.c"

#endif
