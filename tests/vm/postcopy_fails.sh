#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 400
#
# Migrations by postcopy that go wrong, packed ring: one is cancelled before the switch, and the guest
# stays; one loses its connection behind it, and gets another one; of one the source dies, and with it
# the guest. The server waits for pages meanwhile, goes on where they come, and where they never will
# ends the session, serves the next, and has written nothing in place of them.
here=$(dirname "$0")
. "$here/sides"

# An emulator that waits for a page itself takes commands out of its turn only.
qmp_with=',"arguments":{"enable":["oob"]}'

trace=$late_trace

status_is() {
	qmp '"execute":"query-migrate"'
	[[ $answer == *"\"status\": \"$1\""* ]]
}

n_paused() {
	[ "$(grep -c "Migration paused" "$T/qemu.log")" -ge "$1" ]
}

# The server on that side hears of something else while it waits for pages.
answers_at() {
	local lines
	lines=$(grep -c "queue .*: requests" "$T/backend.log")
	kill -USR1 "${servers[$1]}"
	until_true 10 eval "[ \$(grep -c 'queue .*: requests' '$T/backend.log') -gt $lines ]" ||
		fail "the server is not there while it waits"
}

kill_emulator() {
	kill -KILL "$1"
	wait "$1" 2>/dev/null
}

cancelled() {
	local there
	begin_to_go_over 0 1
	there=$qemu_pid
	qmp '"execute":"migrate_cancel"'
	until_true 30 status_is cancelled || fail "not cancelled: $answer"
	until_true 30 eval "! alive $there" || fail "the emulator that nobody came to does not end"
	qemu_pid=$source_pid source_pid="" sock=${socks[0]}
	requests
	until_true 30 more_requests_than "$answer" || fail "the load does not go on"
	say "cancelled after $SECONDS s"
}

# Behind the switch memory is what a disk is read into, or written from: all of it is on the other
# side. go_over FROM TO SEED back|write
go_over() {
	local qemu_now
	begin_to_go_over "$1" "$2"
	qemu_now=$qemu_pid qemu_pid=$source_pid
	keeper_reads "$3"
	guest "verify fill /dev/vda2 $(($3 + 1)) >/dev/null"
	guest "echo $4 >/tmp/ask"
	qemu_pid=$qemu_now
	go_late "$2"
}

connection_lost() {
	go_over 0 1 2 back
	talk_to 0
	qmp '"execute":"migrate-pause"'
	until_true 30 status_is postcopy-paused || fail "not paused: $answer"
	until_true 30 n_paused 2 || fail "not paused there"
	answers_at 1
	talk_to 1
	rm -f "$T/again.sock"
	qmp "\"exec-oob\":\"migrate-recover\",\"arguments\":{\"uri\":\"unix:$T/again.sock\"}"
	talk_to 0
	late_pace 0 0
	qmp "\"execute\":\"migrate\",\"arguments\":{\"uri\":\"unix:$T/again.sock\",\"resume\":true}"
	until_true 120 has_migrated || fail "the migration does not end: $answer"
	qmp '"execute":"quit"'
	until_true 30 eval "! alive $source_pid" || fail "the emulator does not end"
	source_pid=""
	talk_to 1
	keeper_says_right
	keeper "check 3"
	requests
	until_true 30 more_requests_than "$answer" || fail "the load does not go on"
	say "found its way after $SECONDS s"
}

waits_for_more_than() {
	[ "$(waited_for)" -gt "$1" ]
}

source_dies() {
	local waited
	go_over 1 0 4 write
	talk_to 1
	# Few pages a second: there always is one that a write waits for.
	late_pace 8000000 1000000
	waited=$(waited_for)
	until_true 60 waits_for_more_than $((waited + 2)) || fail "the server waits for nothing"
	kill_emulator "$source_pid"
	source_pid=""
	until_true 30 n_paused 3 || fail "not paused"
	answers_at 0
	check_console
	kill_emulator "$qemu_pid"
	qemu_pid=""
	until_true 30 grep -q "session ends before all memory has arrived" "$T/backend.log" ||
		fail "the server takes no note of it"
	"$build/bin/vhk" blk read -q --length 1048576 "unix:${socks[0]}" "$T/read" 2>"$T/vhk.log" ||
		fail "the server serves nobody any more: $(cat "$T/vhk.log")"
	cmp -n 1048576 "$T/read" "$disk" || fail "something else was read"
	say "died after $SECONDS s"
}

start_sides packed=on --postcopy --log-level=info
# No sector is to be zeros.
guest "verify fill /dev/vda1 1; verify fill /dev/vda2 1"
guest "verify load /dev/vda1 0 8 >/tmp/load 2>&1 & echo \$! >/tmp/load.pid"
guest "mkfifo /tmp/ask /tmp/say; verify keep /dev/vda2 <>/tmp/ask 1<>/tmp/say 2>/tmp/keep & "
cancelled
connection_lost
source_dies
for backend_pid in "${servers[@]}"; do
	stop_backend
done
servers=() backend_pid=""
half=$((disk_mib / 2))
dd if="$disk" of="$T/load" bs=1M skip=1 count=$((half - 1)) status=none
dd if="$disk" of="$T/kept" bs=1M skip=$half status=none
for part in load kept; do
	answer=$("$build/guest/verify" sound "$T/$part" 2>&1) || fail "the image is not sound: $answer"
	say "$answer"
done
