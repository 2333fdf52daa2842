#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# Two queues in two threads, under ThreadSanitizer.
. "$(dirname "$0")/cases"

san=$top/build/san-thread
[ -x "$san/bin/vhk-blk" ] || skip "no $san/bin/vhk-blk"
build=$san
load_seconds=4 plain_case num-queues=2 --num-queues=2 --threads=2
