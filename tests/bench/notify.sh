#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# Notifications: instructions that a back end spends for each ring on learning of its kick and on calling
# it, by /dev/vhostkit and by its peers, in the same guest, which QEMU runs by counting instructions. Writes
# build/bench/notify.json. With a goal to hold (-g) it fails where the multiplexer needs more than 60 at 64
# rings or 250 at 8.
#
#   tests/bench/notify.sh [-g] [KERNEL_PACKAGE]
goal=0
[ "${1:-}" != -g ] || { goal=1 && shift; }
needs_backend=0
# shellcheck source-path=SCRIPTDIR/../vm
. "$(dirname "$0")/../vm/machine"
export VM_ACCEL=tcg
qemu_extra="-icount shift=0,sleep=off" kernel_args=nosmp
start_module_guest "${1:-$VHOST_KERNEL}"
release=$(sed -n 's/^# Linux \([^ ]*\) .*/\1/p' <<<"$(say "Linux $answer ")")
guest "modprobe vhostkit"
try_guest 120 "notify_cost" || fail "notify_cost: $answer"
costs=$answer
stop_guest

out=${BENCH_OUT:-$top/build/bench}
mkdir -p "$out"
awk -v release="$release" -v goal="$goal" -v json="$out/notify.json" '
	{ cost[$1, $2] = $3; kick[$1, $2] = $4 }
	!($1 in seen) { seen[$1]; way[++n_ways] = $1 }
	!($2 in rings) { rings[$2]; count[++n_counts] = $2 }
	END {
		name["epoll"] = "epoll, read, write"
		name["poll"] = "multishot poll, write"
		name["mux"] = "/dev/vhostkit: multishot poll, ioctl"
		name["mux-uring"] = "/dev/vhostkit: multishot poll, io_uring command"
		name["mux-epoll"] = "/dev/vhostkit: epoll, ioctl"
		name["mux-bitmap"] = "/dev/vhostkit: bitmap, ioctl"
		printf "Notifications: instructions per ring to learn of a kick and to call (to kick), "
		printf "Linux %s\n", release
		printf "  %-48s", "rings"
		for (c = 1; c <= n_counts; c++)
			printf " %13d", count[c]
		printf "\n"
		printf "{\n  \"kernel\": \"%s\",\n  \"ways\": [", release >json
		for (w = 1; w <= n_ways; w++) {
			printf "  %-48s", name[way[w]]
			for (c = 1; c <= n_counts; c++) {
				printf " %6d (%4d)", cost[way[w], count[c]], kick[way[w], count[c]]
				printf "%s\n    { \"way\": \"%s\", \"rings\": %d, \"instructions\": %d, \"kick\": %d }",
					(w + c > 2 ? "," : ""), way[w], count[c], cost[way[w], count[c]],
					kick[way[w], count[c]] >json
			}
			printf "\n"
		}
		printf "\n  ]\n}\n" >json
		if (goal && (cost["mux", 64] > 60 || cost["mux", 8] > 250)) {
			print "FAILED: more than 60 at 64 rings, or 250 at 8"
			exit 1
		}
	}' <<<"$costs"
