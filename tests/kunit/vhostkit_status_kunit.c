// SPDX-License-Identifier: GPL-2.0-only
/* The rules of a device's status: every status with every wish. */
#include "t_kunit.h"

#include "../user/kmod_status.c"

T_CASE(every_step)
T_CASE(features_are_taken_before_they_are_settled)
T_CASE(it_runs_when_the_driver_is_and_nothing_failed)

T_SUITE("vhostkit_status",
	T_ENTRY(every_step),
	T_ENTRY(features_are_taken_before_they_are_settled),
	T_ENTRY(it_runs_when_the_driver_is_and_nothing_failed));
