#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# The models of tests/model, checked by spin through all their states: as they are they hold, and
# with any one of their orders taken away they do not.
set -u
models=$(cd "$(dirname "$0")/../model" && pwd)
command -v spin >/dev/null || {
	echo "SKIP: no spin"
	exit 4
}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
failed=0

# make NAME MODEL [FLAG]: a checker for a model, which uses less than 1 GiB.
make() {
	mkdir "$T/$1" && cd "$T/$1" || exit 1
	# shellcheck disable=SC2086 # a flag or none
	spin ${3:-} -a -o2 "$models/$2" >log 2>&1 &&
		"${CC:-cc}" -O1 -w -DSAFETY -DMEMLIM=1000 -o check pan.c >>log 2>&1 || {
		cat log
		echo "FAILED: $1 does not compile"
		exit 1
	}
}

# try NAME VARIABLES WITHOUT WANT: WANT is holds or fails.
try() {
	local out got=unknown states
	cd "$T/$1" || exit 1
	out=$(env "$2" "WITHOUT=$3" ./check -m1000000 -w20 -n 2>&1)
	# What was not searched to its end holds nothing.
	if grep -q 'errors: 0$' <<<"$out" &&
		! grep -qE 'max search depth|not completed|out of memory|MEMLIM' <<<"$out"; then
		got=holds
	elif grep -qE 'pan:1: (invalid end state|assertion violated)' <<<"$out"; then
		got=fails
	fi
	states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' <<<"$out")
	echo "# $1 $2 without $3: $got, $states states"
	[ "$got" = "$4" ] && return
	failed=1
	echo "FAILED: $1 $2 without $3 $got, and has to be one that $4"
	tail -30 <<<"$out"
}

make split ring.pml
make packed ring.pml -DPACKED
make loop loop.pml
make call call.pml

for ring in split packed; do
	for event_idx in 0 1; do
		try $ring EVENT_IDX=$event_idx 0 holds
		for without in 1 2 3 4 5 6 7 8 9 10; do
			try $ring EVENT_IDX=$event_idx $without fails
		done
	done
done
# Which way needs what.
for way in "0 1 2" "1 1 3 4 5 6" "2 1 2 4 7" "3 8 9"; do
	try loop "WAY=${way%% *}" 0 holds
	for without in ${way#* }; do
		try loop "WAY=${way%% *}" "$without" fails
	done
done
try call OF=calls 0 holds
for without in 1 2 3 4; do
	try call OF=calls $without fails
done
exit $failed
