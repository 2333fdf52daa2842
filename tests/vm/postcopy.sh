#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 400
#
# A guest under a verified load goes on in a second emulator before its memory is there, and comes
# back the same way. Into memory that still is on the other side the server reads a disk meanwhile:
# it waits for every page. POSTCOPIES says how often; with POSTCOPY_HUGE=1 the guest is on huge pages
# of 2 MiB, of which this machine needs 200.
here=$(dirname "$0")
. "$here/sides"

rounds=${POSTCOPIES:-2}
trace=$late_trace least=20
if [ "${POSTCOPY_HUGE:-0}" = 1 ]; then
	memory_options=,hugetlb=on,hugetlbsize=2M guest_memory=192M
	late_rate=4000000 least=1
fi

arrivals() {
	grep -c "all memory has arrived" "$T/backend.log"
}

go_over() {
	local from=$1 to=$2 n=$3 left before qemu_now
	before=$(waited_for)
	begin_to_go_over "$from" "$to"
	# Memory that was copied is written again, and then has to come late.
	qemu_now=$qemu_pid qemu_pid=$source_pid
	keeper_reads $((2 * n))
	guest "verify fill /dev/vda2 $((2 * n + 1)) >/dev/null"
	# From the end: a page that is asked for is followed by those behind it.
	guest "echo back >/tmp/ask"
	qemu_pid=$qemu_now
	some_is_copied
	left=$(number remaining)
	go_late "$to"
	keeper_says_right
	talk_to "$from"
	late_pace 0 0
	until_true 120 has_migrated || fail "the migration does not end: $answer"
	qmp '"execute":"quit"'
	until_true 30 eval "! alive $source_pid" || fail "the emulator does not end"
	source_pid=""
	talk_to "$to"
	keeper "check $((2 * n + 1))"
	requests
	until_true 30 more_requests_than "$answer" || fail "the load does not go on"
	until_true 30 eval "[ \$(arrivals) = $n ]" || fail "the server was not told that memory is there"
	before=$(($(waited_for) - before))
	[ $before -ge "$least" ] || fail "the server waited for $before pages only"
	say "$n of $rounds after $SECONDS s: $((left >> 20)) MiB came late, the server waited for $before pages"
}

postcopy() {
	start_sides "$1" --postcopy --log-level=info
	guest "verify load /dev/vda1 0 8 >/tmp/load 2>&1 & echo \$! >/tmp/load.pid"
	guest "mkfifo /tmp/ask /tmp/say; verify keep /dev/vda2 <>/tmp/ask 1<>/tmp/say 2>/tmp/keep & "
	for ((i = 1; i <= rounds; i++)); do
		go_over $(((i + 1) % 2)) $((i % 2)) "$i"
	done
	stop_load
	guest "verify check /dev/vda2 $((2 * rounds + 1))"
	same_checksum
	stop_sides
}

postcopy ""
