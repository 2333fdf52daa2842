#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# `vhk trace` between ends that do real work: our front end with our disk, which is killed and comes back, and with
# qemu-storage-daemon's. What is read and written is right, nobody breaks a rule, and every line of JSON says so.
# The front end as the one that listens as well.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
bin=${VHK_BIN:-$top/build/bin}
vhk=$bin/vhk
T=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill -9 "${pids[@]}" 2>/dev/null; rm -rf "$T"' EXIT
command -v qemu-storage-daemon >/dev/null || {
	echo "SKIP: no qemu-storage-daemon"
	exit 4
}

fail() {
	echo "FAILED: $*"
	tail -50 "$T"/*.log "$T"/trace* 2>/dev/null
	exit 1
}

# Is there before it listens, so it is asked until it answers.
wait_for() { # SOCKET
	for _ in $(seq 1000); do
		! "$vhk" ctl show "unix:$1" >/dev/null 2>&1 || return 0
		sleep 0.01
	done
	fail "nobody answers at $1"
}

disk() { # pid in $back
	"$bin/vhk-blk" --socket-path="$T/back" --blk-file="$T/img" --num-queues=2 2>>"$T/blk.log" &
	back=$!
	pids+=("$back")
}

tracer() { # ARGUMENTS: pid in $trace
	"$vhk" trace "$@" >"$T/trace" 2>"$T/trace.err" &
	trace=$!
	pids+=("$trace")
}

end_tracer() { # CODE
	local got=0
	kill -TERM "$trace"
	wait "$trace" || got=$?
	[ "$got" = "$1" ] || fail "exit code $got of the trace"
}

truncate -s 16M "$T/img"
head -c 5000192 /dev/urandom >"$T/src"

disk
wait_for "$T/back"
tracer --check --device blk "$T/front" "$T/back"
wait_for "$T/front"
"$vhk" blk write "unix:$T/front" "$T/src"
"$vhk" blk read --length 5000192 "unix:$T/front" | cmp - "$T/src" || fail "what was read"
for flags in "" --packed "--queues 2 --indirect"; do
	# shellcheck disable=SC2086 # flags are words
	"$vhk" blk bench --rw verify --count 1000 $flags "unix:$T/front" >"$T/out" || fail "verify $flags"
done
end_tracer 0
for word in "features settled: 0x.*VERSION_1" "GET_FEATURES reply features=0x.*FLUSH" "SET_VRING_ADDR" \
	"fds=\[eventfd\]" "fds=\[memfd " "GET_CONFIG" ", 0 broken rules" "the front end hung up"; do
	grep -qE -- "$word" "$T/trace" || fail "the trace does not say: $word"
done
! grep -q '!!' "$T/trace" || fail "a rule was broken"

# The disk dies under load, and the trace lets the front end know. What it was asked then stays unanswered.
tracer "$T/front" "$T/back"
wait_for "$T/front"
"$vhk" blk bench --rw verify --time 2 --reconnect "unix:$T/front" >"$T/out" 2>&1 &
load=$!
for _ in 1 2; do
	sleep 0.4
	kill -9 "$back"
	wait "$back" 2>/dev/null || true
	disk
done
wait "$load" || fail "verify over deaths: $(cat "$T/out")"
grep -q "nothing lost" "$T/out" || fail "$(cat "$T/out")"
end_tracer 0
grep -q "the back end hung up" "$T/trace" || fail "the back end's death went unseen"
grep -q ", 0 broken rules" "$T/trace" || fail "a rule was broken"
kill "$back"
wait "$back" || true

# Somebody else's back end; the front end listens, and the trace connects to both.
rm -f "$T/back" "$T/front"
qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$T/img" --export \
	"type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$T/back,writable=on,num-queues=2" \
	>"$T/qsd.log" 2>&1 &
pids+=("$!")
wait_for "$T/back"
tracer --check --json --device blk --once "unix:$T/front" "unix:$T/back"
"$vhk" blk read --timeout 30 --length 5000192 "listen:$T/front" "$T/got"
cmp "$T/got" <(head -c 5000192 "$T/img") || fail "what was read"
wait "$trace" || fail "exit code of the trace"
grep -q '"event": "summary".*"broken": 0' "$T/trace" || fail "no summary"
grep -q '"names": \[.*"VERSION_1"' "$T/trace" || fail "no features"
! grep -v '^{"event": ".*}$' "$T/trace" || fail "what is no JSON line"
