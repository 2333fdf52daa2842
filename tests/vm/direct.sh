#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# The page cache left out: O_DIRECT on the image, two queues.
. "$(dirname "$0")/cases"

[ "$BACKEND" != qsd ] || skip "the other back end has no such option"
# Memory file systems may refuse it, and /tmp may be one; the build folder's is the next best.
if ! dd if=/dev/zero of="$T/probe" bs=4k count=1 oflag=direct 2>/dev/null; then
	mkdir -p "$build/vm" && disk=$(mktemp "$build/vm/disk-XXXXXX")
	trap 'rm -f "$disk"; cleanup' EXIT
	dd if=/dev/zero of="$disk" bs=4k count=1 oflag=direct 2>/dev/null || skip "no O_DIRECT here"
fi
load_seconds=4 plain_case num-queues=2 --num-queues=2 --direct
