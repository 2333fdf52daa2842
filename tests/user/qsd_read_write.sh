#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Our front end against somebody else's back end, qemu-storage-daemon's vhost-user-blk export: what it
# offers, bytes there and back, every combination of ring features that it has, several queues, its
# death under load.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
vhk=${VHK_BIN:-$top/build/bin}/vhk
T=$(mktemp -d)
qsd=
trap '[ -z "$qsd" ] || kill -9 "$qsd" 2>/dev/null; rm -rf "$T"' EXIT
command -v qemu-storage-daemon >/dev/null || {
	echo "SKIP: no qemu-storage-daemon"
	exit 4
}

fail() {
	echo "FAILED: $*"
	exit 1
}

launch() { # QUEUES
	rm -f "$T/s"
	qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$T/img" --export \
		"type=vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=$T/s,writable=on,num-queues=$1" \
		>"$T/qsd.log" 2>&1 &
	qsd=$!
}

start() { # QUEUES
	launch "$1"
	for _ in $(seq 500); do
		! "$vhk" ctl show "unix:$T/s" >/dev/null 2>&1 || return 0
		sleep 0.01
	done
	fail "qemu-storage-daemon does not listen"
}

# A probe of ours would take the place of the load's.
connected() {
	grep -q " 0001 03 *[0-9]* $T/s$" /proc/net/unix
}

stop() {
	kill "$qsd"
	wait "$qsd" || true
	qsd=
}

truncate -s 16M "$T/img"
head -c 5000192 /dev/urandom >"$T/src"
start 2

"$vhk" ctl show --device blk "unix:$T/s" >"$T/show"
for word in "0 MQ" "29 EVENT_IDX" "capacity 32768 sectors" "num_queues 2" "queues 2"; do
	grep -q "$word" "$T/show" || fail "ctl show does not say: $word"
done
"$vhk" ctl show -j --device blk "unix:$T/s" | grep -q '"capacity": 32768' || fail "ctl show -j"
# How much there is of its configuration space it does not say, and gives out no more.
"$vhk" ctl show "unix:$T/s" | grep -q "configuration space (60 bytes); --device" || fail "ctl show of an unknown device"

"$vhk" blk write "unix:$T/s" "$T/src"
cmp <(head -c 5000192 "$T/img") "$T/src" || fail "what was written"
"$vhk" blk read --length 5000192 "unix:$T/s" | cmp - "$T/src" || fail "what was read"
"$vhk" blk read --offset 1M --length 4096 --block-size 512 "unix:$T/s" "$T/part"
cmp "$T/part" <(tail -c +1048577 "$T/src" | head -c 4096) || fail "a part"

# Its image is not one for us to read or write.
cp "$T/img" "$T/before"
for args in "read unix:$T/s $T/img" "write unix:$T/s $T/img" "copy $T/src $T/img" "copy $T/img $T/copy"; do
	# shellcheck disable=SC2086 # arguments are words
	! "$vhk" blk $args 2>"$T/err" || fail "blk $args"
	grep -q "^vhk: $T/img: in use by QEMU" "$T/err" || fail "blk $args: $(cat "$T/err")"
done
cmp "$T/before" "$T/img" || fail "an image that is served was touched"

for flags in "" --no-event-idx --indirect "--no-event-idx --indirect" "--poll" "--queues 2 --depth 64"; do
	# shellcheck disable=SC2086 # flags are words
	"$vhk" blk bench --rw verify --count 3000 --bs 4k $flags "unix:$T/s" >"$T/out" || fail "verify $flags"
	grep -q "3000 requests, 0 reconnects: nothing lost" "$T/out" || fail "verify $flags: $(cat "$T/out")"
done

! "$vhk" blk bench --packed "unix:$T/s" 2>"$T/err" || fail "packed rings were found"
grep -q "^vhk: unix:$T/s: not supported by the back end (features 0x400000000 are not offered)$" "$T/err" ||
	fail "$(cat "$T/err")"

# It keeps no inflight region: our driver asks again for whatever was outstanding.
"$vhk" blk bench --rw verify --time 8 --queues 2 --reconnect "unix:$T/s" >"$T/out" 2>&1 &
load=$!
for _ in 1 2 3; do
	for _ in $(seq 1000); do
		connected && break
		sleep 0.01
	done
	sleep 0.3
	kill -9 "$qsd"
	wait "$qsd" 2>/dev/null || true
	launch 2
done
wait "$load" || fail "verify over deaths: $(cat "$T/out")"
grep -q " 3 reconnects: nothing lost" "$T/out" || fail "$(cat "$T/out")"
stop

! "$vhk" blk read "unix:$T/s" 2>"$T/err" || fail "a dead back end was read"
[ "$(wc -l <"$T/err")" = 1 ] || fail "more than one line: $(cat "$T/err")"
