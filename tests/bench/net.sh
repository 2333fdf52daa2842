#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# vhk-net beside DPDK's net_vhost, both driven by testpmd's virtio-user: the back end on one core, the driver on the
# other, one pair of queues of 256. They take turns; both rates are what the driver counted.
#
#   tests/bench/net.sh [-r ROUNDS] [-s SECONDS] [-c BACK_END,DRIVER] [CELL...]
#
# A cell is MODE-LAYOUT-SIZE: rxonly, txonly or io (of the back end); split, packed or inorder (packed, in order,
# mergeable); 64 or 1518 bytes. Prints medians and the median of the ratios of each round, and the ratio of the best
# second of each, which says more where others use the machine; writes build/bench/net.json.
# Needs root, for huge pages; BUILD is the build folder to use. Exit status 4: cannot run here.

set -u
rounds=3 seconds=3 cpus=0,1
while getopts r:s:c: opt; do
	case $opt in
	r) rounds=$OPTARG ;;
	s) seconds=$OPTARG ;;
	c) cpus=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
case $rounds,$seconds,$cpus in
[1-9]*,[1-9]*,[0-9]*,[0-9]*) ;;
*)
	echo "usage: $0 [-r ROUNDS] [-s SECONDS] [-c BACK_END,DRIVER] [CELL...]" >&2
	exit 2
	;;
esac
cells=("$@")
if [ ${#cells[@]} = 0 ]; then
	for size in 64 1518; do
		for layout in split packed inorder; do
			cells+=("rxonly-$layout-$size" "txonly-$layout-$size" "io-$layout-$size")
		done
	done
fi

skip() {
	echo "SKIP: $1"
	exit 4
}

need() {
	echo "net.sh: $1" >&2
	exit 1
}

[ "$(nproc)" -ge 2 ] || skip "two cores are needed"
[ "$(id -u)" = 0 ] || skip "huge pages need root"
command -v dpdk-testpmd >/dev/null || skip "no dpdk-testpmd (Debian's package dpdk)"
# A file system of huge pages that nobody else sees.
if [ -z "${NET_SH_INSIDE:-}" ]; then
	args=(-r "$rounds" -s "$seconds" -c "$cpus" "${cells[@]}")
	NET_SH_INSIDE=1 exec unshare -m "$0" "${args[@]}"
fi
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
out=${BENCH_OUT:-$build/bench}/net.json
[ -x "$build/bin/vhk-net" ] || make --no-print-directory tools >&2 || exit 1
mkdir -p "${out%/*}"

pages=/proc/sys/vm/nr_hugepages
had=$(cat $pages)
T=$(mktemp -d /tmp/vhk-net-XXXXXX)
pids=()
clean() {
	local p
	for p in "${pids[@]}"; do
		kill -KILL "$p" 2>/dev/null
	done
	wait 2>/dev/null
	umount "$T/huge" 2>/dev/null
	echo "$had" >$pages
	rm -rf "$T"
}
trap clean EXIT
[ "$had" -ge 320 ] || echo 320 >$pages
[ "$(cat $pages)" -ge 256 ] || skip "no 256 huge pages of 2 MiB"
mkdir "$T/huge"
mount -t hugetlbfs -o pagesize=2M none "$T/huge" || skip "no hugetlbfs"

# Runs testpmd in the background: pmd NAME CORE_OF_MAIN EAL_WORDS... -- WORDS...
pmd() {
	local name=$1 main=$2
	shift 2
	dpdk-testpmd -l "$cpus" --main-lcore "$main" --no-pci --no-telemetry --single-file-segments \
		--huge-dir "$T/huge" --file-prefix "$name$$" "$@" --stats-period 1 --nb-cores=1 \
		--total-num-mbufs=8192 --burst=32 >"$T/$name.log" 2>&1 </dev/null &
	pids+=($!)
}

driver_options() {
	case $1 in
	split) echo "packed_vq=0,in_order=0,mrg_rxbuf=1" ;;
	packed) echo "packed_vq=1,in_order=0,mrg_rxbuf=1" ;;
	inorder) echo "packed_vq=1,in_order=1,mrg_rxbuf=1" ;;
	*) need "no layout $1" ;;
	esac
}

stop_all() {
	local p
	for p in "${pids[@]}"; do
		kill -TERM "$p" 2>/dev/null
	done
	for p in "${pids[@]}"; do
		(sleep 5 && kill -KILL "$p" 2>/dev/null) &
		wait "$p" 2>/dev/null
		kill $! 2>/dev/null
	done
	pids=()
	rm -f "$T"/huge/* "$T/sock"
}

# What the driver has counted in each second since its first packet, but for the one that this was in.
rates() {
	sed -nE "s/.*$1: *([0-9]+).*/\1/p" "$T/front.log" 2>/dev/null | awk '$1 > 0 && !on { on = 1; next } on'
}

# Packets a second of one run, in millions, median and best: run ours|theirs MODE LAYOUT SIZE
run() {
	local back=${cpus%,*} front=${cpus#*,} mode=$2 driver word i
	local -a first=()
	case $mode in
	rxonly) driver=txonly word=Tx-pps ;;
	txonly) driver=rxonly word=Rx-pps ;;
	io) driver=io word=Rx-pps ;;
	*) need "no mode $mode" ;;
	esac
	if [ "$1" = ours ]; then
		[ "$mode" != txonly ] || first+=("--frame-size=$4")
		taskset -c "$back" "$build/bin/vhk-net" --socket-path="$T/sock" --forward="$mode" "${first[@]}" \
			2>"$T/back.log" &
		pids+=($!)
		first=()
	else
		pmd back "$front" --vdev "net_vhost0,iface=$T/sock,queues=1" -- --forward-mode="$mode" \
			--txpkts="$4" --auto-start
	fi
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$T/sock" ] || break
		sleep 0.1
	done
	[ -S "$T/sock" ] || { stop_all && need "no back end: $(tail -3 "$T/back.log")"; }
	[ "$mode" != io ] || first=(--tx-first)
	pmd front "$back" --vdev "net_virtio_user0,path=$T/sock,queues=1,queue_size=256,$(driver_options "$3")" -- \
		--forward-mode=$driver --txpkts="$4" --auto-start "${first[@]}"
	for ((i = 0; i < 200; i++)); do
		rates "$word" >"$T/rates"
		[ "$(wc -l <"$T/rates")" -lt "$seconds" ] || break
		sleep 0.1
	done
	[ -s "$T/rates" ] || { stop_all && need "$1, $mode-$3-$4: no packets within 20 s"; }
	sort -n "$T/rates" | awk '{ v[NR] = $1 / 1e6 } END { printf "%.3f %.3f", v[int((NR + 1) / 2)], v[NR] }'
	stop_all
}

log=$T/rounds
for ((round = 0; round < rounds; round++)); do
	for cell in "${cells[@]}"; do
		IFS=- read -r mode layout size <<<"$cell"
		a=$(run ours "$mode" "$layout" "$size") || exit 1
		b=$(run theirs "$mode" "$layout" "$size") || exit 1
		echo "$cell $a $b" >>"$log"
		[ ! -t 2 ] || printf '\rnet.sh: round %d of %d, %s ' $((round + 1)) "$rounds" "$cell" >&2
	done
done
[ ! -t 2 ] || printf '\r\033[K' >&2

awk -v json="$out" -v rounds="$rounds" '
function median(list, n,    a, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && a[j - 1] + 0 > a[j] + 0; j--) {
			t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
		}
	return a[int((n + 1) / 2)] + 0
}
function array(list) {
	gsub(/ /, ", ", list)
	return "[" substr(list, 3) "]"
}
{
	if (!($1 in ours)) order[++cells] = $1
	ours[$1] = ours[$1] " " $2; theirs[$1] = theirs[$1] " " $4
	ratio[$1] = ratio[$1] " " sprintf("%.3f", ($4 > 0 ? $2 / $4 : 0))
	if ($3 > best[$1]) best[$1] = $3
	if ($5 > their_best[$1]) their_best[$1] = $5
}
END {
	printf "network card, million packets a second, median of %d rounds\n", rounds
	printf "%-22s %10s %10s %7s %7s\n", "", "vhk-net", "net_vhost", "ratio", "best"
	printf "{\"unit\": \"million packets a second\", \"rounds\": %d, \"cases\": [", rounds >json
	for (i = 1; i <= cells; i++) {
		c = order[i]
		b = their_best[c] > 0 ? best[c] / their_best[c] : 0
		printf "%-22s %10.2f %10.2f %7.2f %7.2f\n", c, median(ours[c]), median(theirs[c]), median(ratio[c]), b
		printf("%s\n {\"case\": \"%s\", \"ours\": %s, \"theirs\": %s, \"ratio\": %.3f, \"best\": %.3f}",
			(i == 1 ? "" : ","), c, array(ours[c]), array(theirs[c]), median(ratio[c]), b) >json
	}
	print "\n]}" >json
}' "$log"
