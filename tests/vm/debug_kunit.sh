#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# The KUnit suites of the modules' files, in the kernel that checks itself. The limit is that of a
# machine that has to build this kernel first.
needs_backend=0
. "$(dirname "$0")/machine"
. "$here/kunit_cases"

start_module_guest debug
for suite in "${suites[@]}"; do
	guest "dmesg -c >/dev/null; insmod /lib/modules/*/updates/vhostkit_${suite}_kunit.ko"
	try_guest 60 "dmesg"
	judge_suite "$suite" <<<"$answer"
	guest "rmmod vhostkit_${suite}_kunit"
done
stop_guest
