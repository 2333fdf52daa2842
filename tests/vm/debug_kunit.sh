#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# The KUnit suites of the modules' files, in the kernel that checks itself. The limit is that of a
# machine that has to build this kernel first.
needs_backend=0
. "$(dirname "$0")/machine"

# In KTAP, with each test a line that is indented: how many are good, if all are and there are any.
good_tests() {
	awk -v suite="$1" '
		/^ +1\.\./ { sub(/^ +1\.\./, ""); plan = $0 + 0 }
		/^ +ok [0-9]+ / { good++ }
		/# SKIP/ || /(^| )not ok / { bad++ }
		$0 == "ok 1 " suite { whole = 1 }
		END { if (plan < 1 || good != plan || bad || !whole) exit 1; print good }'
}

start_module_guest debug
for suite in status map ring net_rules vdev config disk notify; do
	guest "dmesg -c >/dev/null; insmod /lib/modules/*/updates/vhostkit_${suite}_kunit.ko"
	try_guest 60 "dmesg"
	n=$(good_tests "vhostkit_$suite" <<<"$answer") || fail "the suite $suite: $answer"
	say "vhostkit_$suite: $n tests$(sed -n 's/^ *# vhostkit_.*: \([0-9]* states.*\)/, \1/p' <<<"$answer")"
	guest "rmmod vhostkit_${suite}_kunit"
done
stop_guest
