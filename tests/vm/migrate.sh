#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 200 + 30 * ${MIGRATIONS:-5}
#
# A guest under a verified load goes back and forth between two emulators, each with a server of its
# own on the same image. What it reads while the first emulator copies, into memory that nothing else
# writes, it still has in the second: those pages are known by the server's log only. MIGRATIONS
# says how often: the first half of them with a split ring, the others with two packed ones, and each
# into a server of another kind than the one before.
here=$(dirname "$0")
. "$here/sides"

migrations=${MIGRATIONS:-5} n_held=0
kinds=(--threads=2 --poll-us=64 --threads=1 --no-io-uring) n_kinds=0

# All of the memory was copied once: what is written from here on is copied because it is noticed.
was_copied() {
	local passes
	has_migrated && return
	passes=$(grep -o '"dirty-sync-count": [0-9]*' <<<"$answer")
	[ "${passes##* }" -ge 2 ] 2>/dev/null
}

# As good as nothing is copied any more, so there is no end of it; or the end came before.
is_held() {
	has_migrated || [[ $answer =~ \"mbps\":\ 0[.,] ]]
}

# pace BYTES_PER_SECOND MS_THAT_THE_GUEST_MAY_STAND_STILL
pace() {
	qmp "\"execute\":\"migrate-set-parameters\",\"arguments\":{\"max-bandwidth\":$1,\"downtime-limit\":$2}"
}

# From one side to the other and back.
migrate() {
	local from=$1 to=$2 seed=$3
	sock=${socks[to]}
	source_pid=$qemu_pid
	rm -f "$T/migration.sock"
	start_side "$to" "unix:$T/migration.sock"
	# It answered, so it listens.
	talk_to "$from"
	# Under the load there is always more than a millisecond's worth left.
	pace 30000000 1
	qmp "\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:$T/migration.sock\"}"
	until_true 120 was_copied || fail "the migration does not get on: $answer"
	pace 1000 1
	until_true 60 is_held || fail "the migration is not held: $answer"
	held=1
	[[ $answer != *'"status": "completed"'* ]] || held=0
	if [ $held = 1 ]; then
		n_held=$((n_held + 1)) qemu_now=$qemu_pid qemu_pid=$source_pid
		keeper_reads "$seed"
		qemu_pid=$qemu_now
	fi
	pace 10000000000 5000
	until_true 120 has_migrated || fail "the migration does not end: $answer"
	qmp '"execute":"quit"'
	until_true 30 eval "! alive $source_pid" || fail "the emulator does not end"
	source_pid=""
	talk_to "$to"
	attach_pipes
	until_true 30 runs || fail "the guest does not go on"
	[ $held = 1 ] || keeper_reads "$seed"
	keeper "check $seed"
	requests
	until_true 30 more_requests_than "$answer" || fail "the load does not go on"
}

# The guest has left: whoever comes back finds another server.
replace_server() {
	backend_pid=${servers[$1]}
	stop_backend
	sock=${socks[$1]}
	start_backend --incoming --num-queues=2 "${kinds[n_kinds++ % ${#kinds[@]}]}"
	servers[$1]=$backend_pid
}

# migrate_case HOW_OFTEN OPTIONS_OF_THE_DEVICE
migrate_case() {
	local n times=$1
	rm -f "$disk"
	start_sides "$2" --num-queues=2
	guest "verify load /dev/vda1 0 8 >/tmp/load 2>&1 & echo \$! >/tmp/load.pid"
	guest "mkfifo /tmp/ask /tmp/say; verify keep /dev/vda2 <>/tmp/ask 1<>/tmp/say 2>/tmp/keep & "
	for ((n = 0; n < times; n++)); do
		[ $n = 0 ] || replace_server $(((n + 1) % 2))
		migrate $((n % 2)) $(((n + 1) % 2)) $((n + 1))
		say "$((n + 1)) of $times after $SECONDS s"
	done
	stop_load
	guest "verify check /dev/vda2 $times"
	same_checksum
	stop_sides
}

migrate_case $(((migrations + 1) / 2)) ""
[ "$migrations" = 1 ] || migrate_case $((migrations / 2)) packed=on,num-queues=2
say "$n_held of them read while they were copied"
