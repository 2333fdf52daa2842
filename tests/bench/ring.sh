#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Rings beside the kernel's own ring benchmark (tools/virtio/ringtest), which checks and translates nothing. Both poll
# between two cores and take turns; each pair comes with what a cache line's round trip cost at that moment.
#
#   tests/bench/ring.sh [-r ROUNDS] [-c DRIVER,DEVICE] [-s TIMES_SHORTER]
#
# Prints medians and the median of the ratios of each round, writes build/bench/ring.json. The peer is built, with the
# flags of its own makefile, from Debian's linux-source package, which is installed when root; BUILD is the build
# folder to use. Exit status 4: cannot run here.

set -u
rounds=7 cpus=0,1 shorter=1
while getopts r:c:s: opt; do
	case $opt in
	r) rounds=$OPTARG ;;
	c) cpus=$OPTARG ;;
	s) shorter=$OPTARG ;;
	*) exit 2 ;;
	esac
done
case $rounds,$cpus in
[1-9]*,[0-9]*,[0-9]*) ;;
*)
	echo "usage: $0 [-r ROUNDS] [-c DRIVER,DEVICE] [-s TIMES_SHORTER]" >&2
	exit 2
	;;
esac

cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
ours=$build/bench/ring
package=linux-source-6.12
tarball=/usr/src/$package.tar.xz
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vhostkit
peer=$cache/$package/tools/virtio/ringtest
out=${BENCH_OUT:-$build/bench}/ring.json

skip() {
	echo "SKIP: $1"
	exit 4
}

need() {
	echo "ring.sh: $1" >&2
	exit 1
}

fetch_peer() {
	if [ ! -e "$tarball" ]; then
		[ "$(id -u)" = 0 ] || need "please run: sudo apt-get install --no-install-recommends $package"
		echo "ring.sh: installing $package" >&2
		DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$package" >/dev/null ||
			need "$package cannot be installed"
	fi
	mkdir -p "$cache"
	echo "ring.sh: unpacking tools/virtio of $package" >&2
	tar -C "$cache" -xf "$tarball" "$package/tools/virtio" || need "$tarball does not hold tools/virtio"
}

[ "$(nproc)" -ge 2 ] || skip "two cores are needed"
[ -x "$ours" ] || make --no-print-directory bench-bin >&2 || exit 1
[ -e "$peer/main.c" ] || fetch_peer
make -s -C "$peer" ring virtio_ring_0_9 >&2 || need "ringtest does not build"

# Wall nanoseconds of one run of the peer.
peer_run() {
	local begin end
	begin=$EPOCHREALTIME
	timeout 120 "$peer/$1" --host-affinity "${cpus#*,}" --guest-affinity "${cpus%,*}" "${@:2}" || need "$1 failed"
	end=$EPOCHREALTIME
	echo $(((${end/[.,]/} - ${begin/[.,]/}) * 1000))
}

# Nanoseconds a buffer, without what it takes to start the program.
peer_ns() {
	local prog=$1 n=$2 start all
	shift 2
	start=$(peer_run "$prog" --run-cycles 1 "$@") || exit 1
	all=$(peer_run "$prog" --run-cycles "$n" "$@") || exit 1
	awk "BEGIN { printf \"%.2f\", ($all - $start) / $n }"
}

ours_ns() {
	"$ours" -j -r 1 -c "$cpus" -n "$2" "$1" | sed -n 's/.*"ns": \([0-9.]*\).*/\1/p'
}

# case, the peer's program and arguments, requests a run, what the ratio is to be at most
cases=(
	"packed-one|ring --outstanding 1|1000000|1.1"
	"packed-burst|ring|10000000|0.7"
	"split-one|virtio_ring_0_9 --outstanding 1|1000000|0.8"
	"split-burst|virtio_ring_0_9|10000000|0.5"
)

mkdir -p "${out%/*}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for ((round = 0; round < rounds; round++)); do
	for c in "${cases[@]}"; do
		IFS='|' read -r name args n goal <<<"$c"
		read -ra args <<<"$args"
		n=$((n / shorter))
		line=$(ours_ns pingpong $((500000 / shorter)))
		a=$(ours_ns "$name" "$n")
		b=$(peer_ns "${args[0]}" "$n" "${args[@]:1}") || exit 1
		[ -n "$line" ] && [ -n "$a" ] || need "$ours $name failed"
		echo "$name ${args[0]} $goal $line $a $b" >>"$log"
	done
	[ ! -t 2 ] || printf '\rring.sh: round %d of %d' $((round + 1)) "$rounds" >&2
done
[ ! -t 2 ] || printf '\r\033[K' >&2

# One line for people and one object for programs from the rounds of each case.
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
	if (!($1 in peer)) order[++cases] = $1
	peer[$1] = $2; goal[$1] = $3
	line[$1] = line[$1] " " $4; ours[$1] = ours[$1] " " $5; theirs[$1] = theirs[$1] " " $6
	ratio[$1] = ratio[$1] " " sprintf("%.3f", $5 / $6)
}
END {
	printf "rings, ns a request, median of %d rounds (cache line: one round trip between the cores)\n", rounds
	printf "%-14s %10s %10s  %-16s %7s %7s %11s\n", "", "vhostkit", "ringtest", "", "ratio", "goal", "cache line"
	printf "{\"unit\": \"ns\", \"rounds\": %d, \"cases\": [", rounds >json
	for (i = 1; i <= cases; i++) {
		c = order[i]
		printf "%-14s %10.1f %10.1f  %-16s %7.2f %7.2f %11.1f\n", c, median(ours[c]), median(theirs[c]), \
			peer[c], median(ratio[c]), goal[c], median(line[c])
		printf("%s\n {\"case\": \"%s\", \"peer\": \"%s\", \"ours\": %.2f, \"theirs\": %.2f, ",
			(i == 1 ? "" : ","), c, peer[c], median(ours[c]), median(theirs[c])) >json
		printf("\"ratio\": %.3f, \"goal\": %s, \"cache_line\": %.2f,\n", median(ratio[c]), goal[c],
			median(line[c])) >json
		printf("  \"ours_rounds\": %s, \"theirs_rounds\": %s}", array(ours[c]), array(theirs[c])) >json
	}
	print "\n]}" >json
}' "$log"
