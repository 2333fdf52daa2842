#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# What a disk's device shows of itself: attributes, statistics, tracepoints, debugfs; whom its work
# is charged to; a worker that polls; and a backing that goes away while it is used.
. "$(dirname "$0")/kmod_cases"

bad_lines=${bad_lines/|I\/O error/}
A=/sys/bus/vdpa/devices/d0

# shows PATTERN FILE: some line of the file is so.
shows() {
	try_guest 30 "grep -qE '$1' $2" && return
	try_guest 30 "tail -20 $2"
	fail "$2 does not say $1: $answer"
}

start_vdpa_guest virtio_vdpa
guest "mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/tracing"
guest "echo 1 >/sys/kernel/tracing/events/vhostkit/enable; echo 1 >/sys/kernel/tracing/tracing_on"
guest "truncate -s 8M /tmp/d0.img; disks add d0 /tmp/d0.img queues=2; vdpa dev add name d0 mgmtdev vhostkit_blk"
guest_says /tmp/d0.img "cat $A/backing_file"
# Each processor has a queue of its own, whose worker stays with it.
guest_says "0 1" "echo \$(cat /sys/block/vda/mq/0/cpu_list /sys/block/vda/mq/1/cpu_list)"
guest_says "0 1" "for n in 0 1; do for p in /proc/[0-9]*; do ! grep -q '^vhk-d0-'\$n\$ \$p/comm || \
sed -n 's/^Cpus_allowed_list:.//p' \$p/status; done; done | xargs"
guest_says "0 0" "echo \$(cat $A/backing_gone $A/poll_us)"
guest "verify load /dev/vda 1 8; verify fill /dev/vda 7"
trace=/sys/kernel/tracing/trace
shows 'vhk_kick: d0 queue [01]' $trace
shows 'vhk_pop: d0 queue [01] id [0-9]+ descriptors [0-9]+ out 16 in [0-9]+$' $trace
shows 'vhk_complete: d0 queue [01] id [0-9]+ len [0-9]+' $trace
shows 'vhk_call: d0 queue [01]' $trace
shows 'vhk_reset: d0 status 0x0' $trace
guest "echo 0 >/sys/kernel/tracing/tracing_on"

# Attributes and ioctl tell the same, and add up with what the disk's driver counts.
same="cd $A/statistics; set -- \$(cat reads writes read_bytes write_bytes); "
guest "sync; $same disks stats d0 | grep \" reads \$1 \$3 writes \$2 \$4 \""
guest "$same r=\$3 w=\$4; set -- \$(cat /sys/block/vda/stat); echo \$r \$((\$3*512)) \$w \$((\$7*512)); \
[ \$r = \$((\$3*512)) ] && [ \$w = \$((\$7*512)) ]"
guest_says "0 0 0" "echo \$(cat $A/statistics/in_flight $A/statistics/errors $A/statistics/unsupported)"
guest "[ \$(cat $A/statistics/kicks) -gt 0 ] && [ \$(cat $A/statistics/calls) -gt 0 ]"
Q=/sys/kernel/debug/vhostkit/d0/queue0
for line in "ready 1" "state running" "layout packed" "event_idx 1" "in_flight 0" "error 0" "entries 256"; do
	guest "grep -qx '$line' $Q"
done

# A worker that polls serves, and answers most requests without being kicked.
guest "! echo 1001 >$A/poll_us; ! echo -1 >$A/poll_us; ! echo x >$A/poll_us"
guest "echo 1000 >$A/poll_us; verify load /dev/vda 2 4; echo 0 >$A/poll_us"
guest "vdpa dev del d0; [ ! -e /sys/kernel/debug/vhostkit/d0 ]; disks del d0"

# Under vhost-vdpa the process that set the device off pays, for the device below and for memory.
guest "rmmod virtio_vdpa; modprobe vhost_vdpa; mkdir -p /tmp/cg; mount -t cgroup2 none /tmp/cg"
guest "echo '+io +memory' >/tmp/cg/cgroup.subtree_control; mkdir /tmp/cg/a; modprobe null_blk nr_devices=0"
guest "mount -t configfs none /sys/kernel/config; mkdir /sys/kernel/config/nullb/nullb0"
guest "cd /sys/kernel/config/nullb/nullb0; echo 1 >memory_backed; echo 16 >size; echo 1 >power"
guest "disks add d0 /dev/nullb0 queues=1 entries=64; vdpa dev add name d0 mgmtdev vhostkit_blk"
guest "(echo 0 >/tmp/cg/a/cgroup.procs; exec vdpa_driver load /dev/vhost-vdpa-0 split 3)"
guest "dev=\$(cat /sys/block/nullb0/dev); grep -E \"^\$dev rbytes=16777216 wbytes=16777216 \" /tmp/cg/a/io.stat"

# The device below goes away under a load: every request ends, the driver hears of it, all goes.
guest "vdpa dev del d0; rmmod vhost_vdpa; modprobe virtio_vdpa; vdpa dev add name d0 mgmtdev vhostkit_blk"
start_load 8 gone
guest "sleep 1; echo 0 >/sys/kernel/config/nullb/nullb0/power"
guest 'n=0; while kill -0 $(cat /tmp/load.pid) 2>/dev/null && [ $n -lt 300 ]; do usleep 100000; n=$((n+1)); done'
load_runs && fail "the load goes on without its disk"
guest_says 1 "cat $A/backing_gone"
guest "disks list | grep '^d0 .* a\$'; dmesg | grep 'the device behind disk d0 has gone'"
guest "! dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null"
del_disk d0
guest "rmdir /sys/kernel/config/nullb/nullb0; rmmod vhostkit_vdpa vhostkit"
stop_guest
