#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What a guest notices beside the rate of its requests, of vhk-blk beside qemu-storage-daemon, on a file in memory: the
# time from connecting until 64 queues have started; percentiles of the latency of one read at a time, each end on a
# processor of its own; the processor's time when nothing is asked for, of vhk-net, too. Rounds alternate. Prints
# medians, and of ours as times the peer's the least and the most; writes build/bench/session.json.
#
#   tests/bench/session.sh [-r ROUNDS] [-t SECONDS]
#
# BUILD is the build folder to use. Exit status 4: cannot run here.
set -eu
rounds=5 seconds=1
while getopts r:t: opt; do
	case $opt in
	r) rounds=$OPTARG ;;
	t) seconds=$OPTARG ;;
	*) exit 2 ;;
	esac
done
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
queues=64
out=${BENCH_OUT:-$build/bench}
mkdir -p "$out"
command -v qemu-storage-daemon >/dev/null || {
	echo "SKIP: no qemu-storage-daemon"
	exit 4
}
[ "$(nproc)" -ge 2 ] || {
	echo "SKIP: one processor only, two are compared"
	exit 4
}
T=$(mktemp -d /dev/shm/vhk-session-XXXXXX)
pids=()
clean() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	rm -rf "$T"
}
trap clean EXIT

wait_for() {
	for _ in $(seq 1000); do
		! "$build/bin/vhk" ctl show "unix:$1" >/dev/null 2>&1 || return 0
		sleep 0.01
	done
	echo "nobody listens at $1" >&2
	exit 1
}

head -c 64M /dev/urandom >"$T/disk.img"
"$build/bin/vhk-blk" --socket-path="$T/ours" --blk-file="$T/disk.img" --num-queues=$queues &
pids+=($!)
taskset -acp 0 $! >/dev/null
at=addr.type=unix,addr.path=$T/peer
qemu-storage-daemon --blockdev "driver=file,node-name=f,filename=$T/disk.img,aio=io_uring" \
	--export "type=vhost-user-blk,id=e,node-name=f,writable=on,num-queues=$queues,$at" &
pids+=($!)
wait_for "$T/peer"
taskset -acp 0 $! >/dev/null
"$build/bin/vhk-net" --socket-path="$T/net" --forward=rxonly &
pids+=($!)
wait_for "$T/ours"
wait_for "$T/net"

# A line "WHAT WHO VALUE" for each figure: one_round WHO
one_round() {
	"$build/bench/session" "unix:$T/$1" $queues 3 "$seconds" >"$T/out"
	sed -n 2,3p "$T/out" | awk -v who="$1" '{ s += $1 } END { print "setup", who, s / NR }'
	tail -1 "$T/out" | sed "s/^/idle $1 /"
	"$build/bin/vhk" blk bench -j -q --rw randread --depth 1 --cpu 1 --time "$seconds" "unix:$T/$1" >"$T/out"
	jq -r --arg who "$1" '"p50 \($who) \(.p50_ns / 1e3)", "p99 \($who) \(.p99_ns / 1e3)",
		"p999 \($who) \(.p999_ns / 1e3)"' "$T/out"
}

for ((i = 0; i < rounds; i++)); do
	for who in $([ $((i % 2)) = 0 ] && echo ours peer || echo peer ours); do
		one_round "$who"
	done
	"$build/bench/session" "unix:$T/net" 2 1 "$seconds" | tail -1 | sed "s/^/idle_net ours /"
done >"$T/figures"

# What a figure is, its unit, and the most that ours may be as times the peer's.
jq -Rn --argjson rounds "$rounds" '
	def median: sort | .[(length - 1) / 2 | floor];
	{ setup: ["connect and start 64 queues", "us", 1], p50: ["latency, half of the reads", "us", 1],
	  p99: ["latency, 99 of 100", "us", 1], p999: ["latency, 999 of 1000", "us", 1],
	  idle: ["idle disk, 64 queues", "% of a processor", null],
	  idle_net: ["idle network card", "% of a processor", null] } as $of
	| [inputs | split(" ") | { what: .[0], who: .[1], v: (.[2] | tonumber) }] as $all
	| { rounds: $rounds, figures: [$of | keys_unsorted[] as $k
	  | [$all[] | select(.what == $k and .who == "ours") | .v] as $a
	  | [$all[] | select(.what == $k and .who == "peer") | .v] as $b
	  | (if ($of[$k][2] and ($b | length) > 0) then [range($a | length) | $a[.] / $b[.]] else null end) as $t
	  | { figure: $of[$k][0], unit: $of[$k][1], goal: $of[$k][2], ours: ($a | median),
	      ours_rounds: $a, peer: (if ($b | length) > 0 then $b | median else null end), peer_rounds: $b,
	      times: (if $t then $t | median else null end), least: (if $t then $t | min else null end),
	      most: (if $t then $t | max else null end) }] }' <"$T/figures" >"$out/session.json"
echo "Sessions: vhk-blk and qemu-storage-daemon, medians of $rounds rounds; times the peer's, least and most"
jq -r 'def f: if . == null then "-" else (. * 1000 | round / 1000 | tostring) end;
	.figures[] | [.figure, .unit, (.ours | f), (.peer | f), (.times | f), (.least | f), (.most | f)] | @tsv' \
	"$out/session.json" | awk -F '\t' '{ printf "%-30s %-17s %10s %10s %7s  %s-%s\n", $1, $2, $3, $4, $5, $6, $7 }'
