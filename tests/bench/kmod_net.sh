#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A network card of our module behind vhost-vDPA, beside vhost-net and a tap, driven by the same program: in a
# virtual machine whose clock counts instructions (-icount), so that what this machine is busy with does not
# matter. One processor; frames of 64 bytes, 1514 bytes and 64 KiB but one, each way; what a frame costs in all,
# the driver and the sender included. Writes build/bench/kmod_net.json.
#
#   tests/bench/kmod_net.sh [-n FRAMES]
#
# shellcheck disable=SC2034,SC2154 # the files for virtual machines read and set
count=20000
while getopts n: opt; do
	case $opt in
	n) count=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
. "$(dirname "$0")/../vm/kmod_net_cases"

qemu_extra="-icount shift=0 -smp 1"
start_net_guest vhost_vdpa vhost_net tun
guest "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"
guest "vdpa dev add name n0 mgmtdev vhostkit_net; ip link set n0 up"
soon "[ -c /dev/vhost-vdpa-0 ]" || fail "no node"

# rate URI INTERFACE WAY LENGTH
rate() {
	local n=$count
	[ "$4" -lt 2000 ] || n=$((count / 20))
	try_guest 300 "net_rate $* $n" || fail "net_rate $*: $answer"
}

mkdir -p "$top/build/bench"
echo "Network frames, instructions for each: ours as times vhost-net with a tap"
printf '%-6s %8s %10s %10s %7s %6s\n' way bytes ours peer times goal
for way in to from; do
	for len in 64 1514 65535; do
		rate vdpa:n0 n0 $way $len
		ours=$answer
		rate /dev/vhost-net vhktap $way $len
		echo "$way $len $ours $answer" >>"$T/table"
		echo "$way $len $ours $answer" | awk '{
			goal = $2 == 64 ? 0.75 : $2 == 65535 ? 1 : 0
			printf "%-6s %8d %10d %10d %7.2f", $1, $2, $3, $4, $3 / $4
			if (goal) printf " %6.2f %s", goal, $3 / $4 <= goal ? "met" : "missed"
			print ""
		}'
	done
done
stop_guest
awk 'BEGIN { printf "{\n  \"cells\": [" }
	{ printf "%s\n    { \"way\": \"%s\", \"bytes\": %d, \"instructions\": %d,", (NR == 1 ? "" : ","), $1, $2, $3
	printf " \"peer_instructions\": %d, \"times\": %.3f }", $4, $3 / $4 }
	END { printf "\n  ]\n}\n" }' "$T/table" >"$top/build/bench/kmod_net.json"
