// SPDX-License-Identifier: GPL-2.0-only
/* What a network card takes from its driver: features, headers, filters. */
#include "t_kunit.h"

#include "../user/kmod_net_rules.c"

T_CASE(features_need_others)
T_CASE(commands_come_last)
T_CASE(headers_ask_for_what_was_negotiated)
T_CASE(after_a_reset_all_is_wanted)
T_CASE(addresses_are_told_apart)
T_CASE(vlans_are_told_apart)

T_SUITE("vhostkit_net_rules",
	T_ENTRY(features_need_others),
	T_ENTRY(commands_come_last),
	T_ENTRY(headers_ask_for_what_was_negotiated),
	T_ENTRY(after_a_reset_all_is_wanted),
	T_ENTRY(addresses_are_told_apart),
	T_ENTRY(vlans_are_told_apart));
