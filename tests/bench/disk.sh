#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The disk, beside qemu-storage-daemon with io_uring: the same front end, the same file, and for each load one
# run that does not count, then runs that alternate, the other one first each time. At depth 1 the two ends of
# a ring take turns, and what a turn costs depends on whether they share a processor: both cases are pinned,
# to processors 0 and 1, or both to 0. Else nothing is, as nothing is where these programs are used; -p pins
# back ends to processor 0 and the driver to processor 1 always, which spares the peer its worker threads' way
# across. Prints medians of requests a second and, in brackets, of processor time per request, both as times
# the peer's; behind them the least and the most that a pair of runs made of the first. Writes
# build/bench/disk.json.
#
#   tests/bench/disk.sh [-p] [-n RUNS] [-t SECONDS] [-m "MEDIUM..."] [-l "LOAD..."]
set -eu
apart=0 cpu=() runs=3 seconds=1 media="tmpfs cache direct" loads="blocking polls queues depth1 shared writes"
while getopts pn:t:m:l: opt; do
	case $opt in
	p) apart=1 ;;
	n) runs=$OPTARG ;;
	t) seconds=$OPTARG ;;
	m) media=$OPTARG ;;
	l) loads=$OPTARG ;;
	*) exit 2 ;;
	esac
done
top=$(cd "$(dirname "$0")/../.." && pwd)
bin=${VHK_BIN:-$top/build/bin}
out=${BENCH_OUT:-$top/build/bench}
size=256M
mkdir -p "$out"
T=$(mktemp -d)
pids=()
folders=("$T")
cleanup() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	rm -rf "${folders[@]}"
}
trap cleanup EXIT
command -v qemu-storage-daemon >/dev/null || {
	echo "SKIP: no qemu-storage-daemon"
	exit 4
}
[ "$(nproc)" -ge 2 ] || {
	echo "SKIP: one processor only, two are compared"
	exit 4
}

# Where files of a medium lie.
folder_of() {
	local base=$out
	[ "$1" != tmpfs ] || base=/dev/shm
	mktemp -d "$base/vhk-bench-XXXXXX"
}

image() {
	head -c "$size" /dev/urandom >"$1"
	sync "$1"
	cat "$1" >/dev/null
}

wait_for() {
	for _ in $(seq 1000); do
		! "$bin/vhk" ctl show "unix:$1" >/dev/null 2>&1 || return 0
		sleep 0.01
	done
	echo "nobody listens at $1" >&2
	exit 1
}

# Two files may lie on media of different speed: both back ends have the same one, and work in turn.
start() { # MEDIUM FOLDER
	local direct=off flags=() peer_at=addr.type=unix,addr.path=$T/peer
	[ "$1" != direct ] || direct=on flags=(--direct)
	image "$2/disk.img"
	rm -f "$T/ours" "$T/peer"
	"$bin/vhk-blk" --socket-path="$T/ours" --blk-file="$2/disk.img" --num-queues=4 \
		"${flags[@]}" &
	pids=($!)
	qemu-storage-daemon \
		--blockdev "driver=file,node-name=f,filename=$2/disk.img,aio=io_uring,cache.direct=$direct" \
		--export "type=vhost-user-blk,id=e,node-name=f,writable=on,num-queues=4,$peer_at" &
	pids+=($!)
	wait_for "$T/ours"
	wait_for "$T/peer"
}

stop() {
	kill "${pids[@]}"
	wait "${pids[@]}" || true
	pids=()
}

flags_of() {
	case $1 in
	blocking) echo "--rw randread --depth 32" ;;
	polls) echo "--rw randread --depth 32 --poll" ;;
	queues) echo "--rw randread --depth 32 --queues 4" ;;
	threads) echo "--rw randread --depth 32 --queues 4 --poll" ;;
	depth1 | shared) echo "--rw randread --depth 1" ;;
	writes) echo "--rw randwrite --depth 32" ;;
	esac
}

name_of() {
	case $1 in
	blocking) echo "depth 32, blocking" ;;
	polls) echo "depth 32, driver polls" ;;
	queues) echo "4 queues, depth 32" ;;
	depth1) echo "depth 1, a processor each" ;;
	shared) echo "depth 1, one processor" ;;
	writes) echo "writes, depth 32" ;;
	esac
}

# Where both ends run: place LOAD
place() {
	local pid on=0-$(($(nproc) - 1))
	cpu=()
	case $1-$apart in
	shared-*) on=0 cpu=(--cpu 0) ;;
	depth1-* | *-1) on=0 cpu=(--cpu 1) ;;
	esac
	for pid in "${pids[@]}"; do
		taskset -acp "$on" "$pid" >/dev/null
	done
}

field() { # NAME FILE
	sed -n "s/^ *\"$1\": \([0-9.]*\),*$/\1/p" "$2"
}

median() {
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# NAME WHO: of each run, in order.
fields() {
	local i
	for i in $(seq "$runs"); do
		field "$1" "$T/run.$2.$i"
	done
}

# LOAD WHO RUN
one_run() {
	# shellcheck disable=SC2046 # flags are words
	"$bin/vhk" blk bench -j -q "${cpu[@]}" --time "$seconds" --seed "$3" $(flags_of "$1") \
		"unix:$T/$2" >"$T/run.$2.$3"
}

# LOAD: "rps cpu p50" of ours, then of the peer, then the least and the most of ours as times the peer's.
cell() {
	local who what i
	rm -f "$T"/run.*
	place "$1"
	for i in $(seq 0 "$runs"); do
		for who in $([ $((i % 2)) = 0 ] && echo ours peer || echo peer ours); do
			one_run "$1" "$who" "$i"
		done
	done
	for who in ours peer; do
		for what in requests_per_second backend_cpu_ns p50_ns; do
			fields $what $who | median
		done
	done
	paste <(fields requests_per_second ours) <(fields requests_per_second peer) |
		awk '{ print $1 / $2 }' | sort -g | sed -n '1p; $p'
}

# With two threads as times with one, into $second.
second_thread() { # FOLDER
	local n i
	second="skipped: $(nproc) processors, and it takes 4"
	[ "$(nproc)" -ge 4 ] || return 0
	for n in 1 2; do
		image "$1/disk$n.img"
		"$bin/vhk-blk" --socket-path="$T/threads$n" --blk-file="$1/disk$n.img" --num-queues=4 --threads=$n &
		pids+=($!)
		wait_for "$T/threads$n"
	done
	for i in $(seq 0 "$runs"); do
		for n in 1 2; do
			one_run threads threads$n "$i"
		done
	done
	stop
	second=$(paste <(fields requests_per_second threads2) <(fields requests_per_second threads1) |
		awk '{ printf "%.2f\n", $1 / $2 }' | median)
}

cells=$T/cells
: >"$cells"
for medium in $media; do
	folder=$(folder_of "$medium")
	folders+=("$folder")
	start "$medium" "$folder"
	for load in $loads; do
		cell "$load" | tr '\n' ' ' | sed "s/^/$medium $load /" >>"$cells"
		echo >>"$cells"
		[ ! -t 2 ] || tail -1 "$cells" >&2
	done
	stop
	rm -rf "$folder"
done
folder=$(folder_of tmpfs)
folders+=("$folder")
cpu=()
second_thread "$folder"

awk -v second="$second" -v runs="$runs" -v seconds="$seconds" '
	BEGIN { printf "{\n  \"runs\": %d,\n  \"seconds\": %s,\n  \"cells\": [", runs, seconds }
	{
		printf "%s\n    { \"medium\": \"%s\", \"load\": \"%s\",", (NR == 1 ? "" : ","), $1, $2
		printf " \"requests_per_second\": %.0f, \"cpu_ns\": %.0f, \"p50_ns\": %.0f,", $3, $4, $5
		printf " \"peer_requests_per_second\": %.0f, \"peer_cpu_ns\": %.0f, \"peer_p50_ns\": %.0f,", $6, $7, $8
		printf " \"times\": %.3f, \"cpu_times\": %.3f, \"p50_times\": %.3f,", $3 / $6, $4 / $7, $5 / $8
		printf " \"least\": %.3f, \"most\": %.3f }", $9, $10
	}
	END {
		printf "\n  ],\n  \"second_thread\": %s\n}\n", second ~ /^skipped/ ? "null" : second
	}' "$cells" >"$out/disk.json"

echo "4 KiB requests on $size, vhk-blk as times qemu-storage-daemon:"
echo "requests/s (CPU per request), p50 at depth 1, least and most of $runs runs"
printf '%-24s' ""
for medium in $media; do
	printf '%-36s' "$medium"
done
echo
for load in $loads; do
	printf '%-27s' "$(name_of "$load")"
	for medium in $media; do
		awk -v m="$medium" -v l="$load" '$1 == m && $2 == l {
			s = sprintf("%.2f (%.2f)", $3 / $6, $4 / $7)
			if (l == "depth1" || l == "shared")
				s = s sprintf(" p50 %.2f", $5 / $8)
			printf "%-36s", s sprintf("  %.2f-%.2f", $9, $10)
		}' "$cells"
	done
	echo
done
awk -v second="$second" 'BEGIN {
	printf "%-27s%s", "4 queues, a second thread", second
	print (second ~ /^skipped/ ? "" : (second >= 1.6 ? " [1.6] met" : " [1.6] missed"))
}'
