#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Benchmarks, tables and pictures come out in one piece, be what they say as it may: runs are as short as they can be.
# The network card's needs huge pages, and the kernel's a guest; neither is among them.
set -eu
cd "$(dirname "$0")/../.."
BUILD=${VHK_BUILD:-build}
BENCH_OUT=$(mktemp -d)
export BUILD BENCH_OUT
trap 'rm -rf "$BENCH_OUT"' EXIT

tests/bench/run -q rings disk session growth notify || exit
for name in rings disk disk_cpu session growth notify; do
	[ "$(head -c 4 "$BENCH_OUT/$name.png" | tail -c 3)" = PNG ] || {
		echo "$name.png is no picture"
		exit 1
	}
	grep -q '</svg>' "$BENCH_OUT/$name.svg" || {
		echo "$name.svg is no picture"
		exit 1
	}
	[ "$(wc -l <"$BENCH_OUT/$name.md")" -gt 3 ] || {
		echo "$name.md has no rows"
		exit 1
	}
	# a figure that is missing makes a row of fewer columns, or none between two strokes
	if grep -vE '^\|([^|]+\|){7}$' "$BENCH_OUT/$name.md"; then
		echo "$name.md has a row that is none"
		exit 1
	fi
done
