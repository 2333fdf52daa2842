#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The library's loop on a multiplexer of notifications: the loop's own tests, and a disk with many
# queues, served by one thread and by two.
needs_backend=0
. "$(dirname "$0")/machine"

start_module_guest "${NOTIFY_KERNEL:-$VHOST_KERNEL}"
guest "! vhk-blk --socket-path=/tmp/s --blk-file=/dev/zero --notify=mux 2>/dev/null"
guest "modprobe vhostkit"
for test in loop_mux loop_call loop_kick loop_source loop_no_lost_kick; do
	guest -t 120 "T_NOTIFY_MUX=1 $test >/tmp/log || { grep -v ^ok /tmp/log; false; }"
done
guest "dd if=/dev/zero of=/tmp/d bs=1M count=16 2>/dev/null"
load="--rw verify --queues 8 --depth 4 --count 2000 --time 60"
for options in "--notify=mux" "--notify=mux --threads=2 --no-io-uring" "--notify=auto --poll-us=0"; do
	guest "vhk-blk --socket-path=/tmp/s --blk-file=/tmp/d --num-queues=8 --log-level=info $options \
2>/tmp/log & echo \$! >/tmp/pid"
	guest "n=0; until [ -S /tmp/s ] || [ \$n = 200 ]; do usleep 50000; n=\$((n+1)); done"
	guest -t 120 "vhk blk bench unix:/tmp/s $load >/tmp/out 2>&1 || { cat /tmp/out /tmp/log; false; }"
	guest "grep 'kicks and calls by /dev/vhostkit' /tmp/log | head -1"
	# Files, mappings and bindings of a server that is killed are gone.
	guest "kill -9 \$(cat /tmp/pid); rm -f /tmp/s"
done
guest -t 120 "vhk bench notify --queues 8 --runs 1 --time 0.2 >/tmp/out"
guest "cat /tmp/out; grep '^ *8 vhostkit, /dev/vhostkit' /tmp/out"
guest "n=0; until rmmod vhostkit 2>/dev/null; do n=\$((n+1)); [ \$n -lt 200 ] || exit 1; usleep 100000; done"
stop_guest
