#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# Reads of memory that nobody wrote, which the sanitizers do not see: the programs that are pure
# computation, and so quick enough for it.
set -u
build=${VHK_BUILD:-build}

command -v valgrind >/dev/null || {
	echo "SKIP: no valgrind"
	exit 4
}
failed=0
for pattern in base mem_ proto_ ring_ inflight_ vq_; do
	for program in "$build"/tests/"$pattern"*; do
		case $program in
		*.d | *.log | *\*) continue ;;
		# valgrind knows no mremap(2) that duplicates a mapping.
		*/mem_view) continue ;;
		esac
		# Those that race or kill take minutes where one thread runs at a time, and slowly.
		nm "$program" | grep -qE ' U (pthread_create|fork)\b' && continue
		echo "# $(basename "$program")"
		timeout 100 valgrind -q --error-exitcode=9 --leak-check=full "$program" || failed=1
	done
done
exit $failed
