#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 400
#
# A guest under a verified load goes back and forth between two emulators, each with a server of its
# own on the same image. What it reads while the first emulator copies, into memory that nothing else
# writes, it still has in the second: those pages are known by the server's log only. MIGRATIONS
# says how often.
. "$(dirname "$0")/machine"

[ "$BACKEND" != qsd ] || skip "the other back end does not log what it writes"
migrations=${MIGRATIONS:-5}
socks=("$T/a.sock" "$T/b.sock") servers=() source_pid=""
disk_mib=32
# Not a multiple of 256 KiB: where QEMU looks at its dirty bitmap by whole words, emulated processors
# write on without being noticed (before QEMU 9), and its own disks lose data as well.
guest_memory=196616K
control=() asked=0 n_held=0

clean_up_both() {
	local p
	for p in "${servers[@]}" $source_pid; do
		kill -KILL "$p" 2>/dev/null
	done
	cleanup
}
trap clean_up_both EXIT

word32() {
	local v=$1
	for _ in 1 2 3 4; do
		# shellcheck disable=SC2059 # the format is the byte
		printf "\\x$(printf %02x $((v & 255)))"
		v=$((v >> 8))
	done
}

entry() {
	printf '\0\0\0\0\203\0\0\0'
	word32 "$1"
	word32 "$2"
}

# Half of it is for the load, half is read into memory that is kept.
make_partitions() {
	local half=$((disk_mib * 1024)) # sectors of 512 bytes
	{
		entry 2048 $((half - 2048))
		entry $half $half
		printf '\0%.0s' {1..32}
		printf '\125\252'
	} | dd of="$disk" bs=1 seek=446 conv=notrunc status=none || fail "no partitions"
}

# A guest whose emulator takes commands as JSON, in $T/qmp-NAME: start_side NAME [INCOMING]
start_side() {
	rm -f "$T/qmp-$1".*
	control_fd=${control[$1]:-}
	[ -z "$control_fd" ] || exec {control_fd}>&-
	mkfifo "$T/qmp-$1.in" "$T/qmp-$1.out"
	# What is written to a pipe that nobody has open is lost.
	exec {control_fd}<>"$T/qmp-$1.in"
	control[$1]=$control_fd
	qemu_extra="-chardev pipe,id=qmp,path=$T/qmp-$1 -mon chardev=qmp,mode=control"
	cat <>"$T/qmp-$1.out" >"$T/qmp-$1.log" &
	pumps+=($!)
	incoming=${2:+-incoming $2} start_guest
	talk_to "$1"
	qmp '"execute":"qmp_capabilities"'
}

# From here on commands go to that side.
talk_to() {
	talks_to=$1 said=$T/qmp-$1.log
}

# One command, and its result in $answer.
qmp() {
	asked=$((asked + 1))
	echo "{$1,\"id\":\"n$asked\"}" >&"${control[talks_to]}"
	until_true 60 grep -q "\"id\": \"n$asked\"" "$said" || fail "the emulator does not answer to $1"
	answer=$(grep "\"id\": \"n$asked\"" "$said")
	[[ $answer != *'"error"'* ]] || fail "$1: $answer"
}

has_migrated() {
	qmp '"execute":"query-migrate"'
	[[ $answer != *'"failed"'* ]] || fail "the migration failed: $answer"
	[[ $answer == *'"status": "completed"'* ]]
}

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

runs() {
	qmp '"execute":"query-status"'
	[[ $answer == *'"running": true'* ]]
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

keeper_reads() {
	guest "verify fill /dev/vda2 $1 >/dev/null"
	keeper read
}

# The memory that is kept: read, or check SEED.
keeper() {
	try_guest 60 "exec 4<>/tmp/say; echo $1 >/tmp/ask; read -r said <&4; echo \$said; cat /tmp/keep"
	[ "$answer" = right ] || fail "what was read is not there any more: $answer"
}

requests() {
	try_guest 60 'set -- $(cat /sys/block/vda/stat); echo $(($1 + $5))'
}

more_requests_than() {
	requests
	[ "$answer" -gt "$1" ]
}

make_disk $disk_mib
make_partitions
sock=${socks[0]}
start_backend
servers+=("$backend_pid")
sock=${socks[1]}
start_backend --incoming
servers+=("$backend_pid")
sock=${socks[0]}
start_side 0
guest "verify load /dev/vda1 0 8 >/tmp/load 2>&1 & echo \$! >/tmp/load.pid"
guest "mkfifo /tmp/ask /tmp/say; verify keep /dev/vda2 <>/tmp/ask 1<>/tmp/say 2>/tmp/keep & "
for ((n = 0; n < migrations; n++)); do
	migrate $((n % 2)) $(((n + 1) % 2)) $((n + 1))
	say "$((n + 1)) of $migrations after $SECONDS s"
done
say "$n_held of them read while they were copied"
stop_load
guest "verify check /dev/vda2 $migrations"
same_checksum
stop_guest
for backend_pid in "${servers[@]}"; do
	stop_backend
done
servers=()
