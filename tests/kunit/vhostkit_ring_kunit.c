// SPDX-License-Identifier: GPL-2.0-only
/* The cases of vectors.h, most of them of hostile drivers, on both layouts of the ring. */
#include "t_kunit.h"

#include "../user/kmod_ring_cases.c"

T_CASE(split_cases)
T_CASE(packed_cases)
T_CASE(places_that_cannot_be_are_refused)
T_CASE(no_memory_is_no_ring)
T_CASE(pieces_without_room_are_not_looked_for)

T_SUITE("vhostkit_ring",
	T_ENTRY(split_cases),
	T_ENTRY(packed_cases),
	T_ENTRY(places_that_cannot_be_are_refused),
	T_ENTRY(no_memory_is_no_ring),
	T_ENTRY(pieces_without_room_are_not_looked_for));
