#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# Two queues, one for each CPU of the guest, served by two threads; both must have carried requests.
. "$(dirname "$0")/machine"

# Queue $1 has had a share of the requests, as the statistics say.
carried() {
	local n
	n=$(sed -n "s/^vhk-blk: queue $1: requests \([0-9]*\) .*/\1/p" "$T/backend.log" | tail -n 1)
	[ "${n:-0}" -ge 100 ]
}

make_disk 16
start_backend --num-queues=2 --threads=2
start_guest num-queues=2
guest_says "2" "ls /sys/block/vda/mq | wc -l"
guest "taskset 1 verify load /dev/vda 3 4 && taskset 2 verify load /dev/vda 3 4"
guest "verify load /dev/vda 4 16"
same_checksum
kill -USR1 "$backend_pid"
for queue in 0 1; do
	until_true 10 carried "$queue" || fail "queue $queue has carried few requests, or none"
done
stop_guest
stop_backend
