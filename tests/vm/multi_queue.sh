#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# Two queues, one for each CPU of the guest, served by two threads; both must have carried requests.
. "$(dirname "$0")/machine"

make_disk 16
start_backend --num-queues=2 --threads=2
start_guest num-queues=2
guest_says "2" "ls /sys/block/vda/mq | wc -l"
guest "taskset 1 verify load /dev/vda 3 4 && taskset 2 verify load /dev/vda 3 4"
guest "verify load /dev/vda 4 16"
same_checksum
stop_guest
stop_backend
