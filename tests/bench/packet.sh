#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What a packet costs a network card's back end, in instructions: counted by callgrind, so anywhere and on a busy
# machine, and to a few in a thousand the same each time. One queue of 256 on each side, bursts of 32; the driver's part
# is not counted, the loop's rounds are.
#
#   tests/bench/packet.sh [-n BURSTS] [CELL...]
#
# A cell is MODE-LAYOUT-SIZE as in net.sh. BUILD is the build folder to use. Exit status 4: cannot run here.

set -eu
bursts=400
while getopts n: opt; do
	case $opt in
	n) bursts=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
cells=("$@")
if [ ${#cells[@]} = 0 ]; then
	for size in 64 1518; do
		for layout in split packed inorder; do
			cells+=("rxonly-$layout-$size" "txonly-$layout-$size" "io-$layout-$size")
		done
	done
fi
if ! command -v valgrind >/dev/null; then
	echo "SKIP: no valgrind"
	exit 4
fi
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
[ -x "$build/bench/packet" ] || make --no-print-directory "$build/bench/packet" >&2

echo "network card, instructions of the back end per packet"
for cell in "${cells[@]}"; do
	IFS=- read -r mode layout size <<<"$cell"
	log=$(valgrind --tool=callgrind --toggle-collect=turn --callgrind-out-file=/dev/null "$build/bench/packet" \
		"$mode" "$layout" "$size" "$bursts" 2>&1) || {
		echo "$log" >&2
		exit 1
	}
	awk -v cell="$cell" -v n="$bursts" '/Collected/ { printf "%-22s %8.1f\n", cell, $4 / n / 32; found = 1 }
		END { exit !found }' <<<"$log"
done
