#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# The debug kernel, built if it is not in the cache (the limit is for that), sees what is wrong: a
# module does one wrong thing after the other, and the kernel has a word for each. So its silence in
# the other scenarios means something.
needs_backend=0
. "$(dirname "$0")/machine"

# wrong WHAT PATTERN: it is done, and a line of the kernel has the pattern.
wrong() {
	guest "dmesg -c >/dev/null; insmod /lib/modules/*/updates/vhostkit_broken.ko what=$1; dmesg >/tmp/said; \
rmmod vhostkit_broken; grep -m1 -E '$2' /tmp/said"
}

# It reports more than once, and goes on.
kernel_args=kasan_multi_shot
start_module_guest debug
guest "echo 0 >/proc/sys/kernel/panic_on_warn"
# Lock order first: it is not looked after any more when something else is wrong.
wrong lock-order 'WARNING: possible circular locking dependency detected'
wrong sleep 'BUG: scheduling while atomic: insmod'
wrong shift 'UBSAN: shift-out-of-bounds in '
wrong use-after-free 'BUG: KASAN: slab-use-after-free in .*vhostkit_broken'
wrong out-of-bounds 'BUG: KASAN: slab-out-of-bounds in .*vhostkit_broken'
guest "insmod /lib/modules/*/updates/vhostkit_broken.ko what=leak"
try_guest 60 "$no_leaks" && fail "a leak is not seen"
[[ $answer == *"unreferenced object"*insmod* ]] || fail "the leak is not told: $answer"
guest "cd /sys/kernel/debug; [ -d failslab ] && [ -d fail_page_alloc ]"
# Each would fail any other scenario.
for line in WARNING: BUG: UBSAN KASAN; do
	grep -F "$line" "$T/console" | grep -qE "$bad_lines" || fail "$line on the console is no failure"
done
power_off
