#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# vhost-vDPA on our module's disks, driven by the library: one disk in every way, several by their
# names, one that is taken away while it is open, and the example; then on a disk of VDUSE.
. "$(dirname "$0")/kmod_cases"

add_disk() {
	guest "truncate -s $2 /tmp/$1.img; disks add $1 /tmp/$1.img queues=2 entries=64; \
vdpa dev add name $1 mgmtdev vhostkit_blk"
	guest "cd /sys/bus/vdpa/devices/$1; until [ -e /dev/\$(echo vhost-vdpa-*) ]; do usleep 50000; done"
}

start_vdpa_guest vhost_vdpa
add_disk d0 8M
guest -t 120 "kern_vdpa disk /dev/vhost-vdpa-0 d0 /tmp/d0.img"
guest "dd if=/tmp/d0.img bs=512 skip=17 count=1 of=/tmp/want 2>/dev/null; vdpa_read vdpa:d0 17 | cmp - /tmp/want"
guest "! vdpa_read vdpa:d0 18432 2>/dev/null; ! vdpa_read vdpa:d9 0 2>/dev/null"
del_disk d0
for n in 2 0 1; do
	add_disk d$n $((n + 1))M
done
guest "kern_vdpa names"
for n in 0 1 2; do
	del_disk d$n
done
add_disk gone 8M
guest "kern_vdpa vanish gone; disks del gone"
guest "rmmod vhostkit_vdpa vhostkit"

# And on one that a process serves.
guest "modprobe vduse; mkdir -p /run; truncate -s 8M /tmp/v0.img"
guest "vhk-blk --vduse=v0 --blk-file=/tmp/v0.img --num-queues=2 >/tmp/v0.log 2>&1 & echo \$! >/tmp/v0.pid"
guest "until vdpa_read vdpa:v0 0 >/dev/null 2>&1; do usleep 50000; done"
guest -t 120 "kern_vdpa use vdpa:v0"
guest "dd if=/tmp/v0.img bs=512 skip=99 count=1 of=/tmp/want 2>/dev/null; vdpa_read vdpa:v0 99 | cmp - /tmp/want"

# Its server is killed under a driver of ours, three times; the next one goes on with the requests.
guest "(vhk blk bench -q --rw verify --time 4 --size 4M vdpa:v0; echo \$?) >/tmp/bench 2>&1 & echo \$! >/tmp/bench.pid"
guest "n=0; until vhk vdpa dev show v0 | grep -q opened_by; do \
n=\$((n+1)); [ \$n -lt 200 ] || exit 1; usleep 50000; done"
for _ in 1 2 3; do
	guest "usleep 700000; kill -9 \$(cat /tmp/v0.pid); kill -0 \$(cat /tmp/bench.pid)"
	guest "vhk-blk --vduse=v0 --blk-file=/tmp/v0.img --num-queues=2 >>/tmp/v0.log 2>&1 & echo \$! >/tmp/v0.pid"
done
guest "while kill -0 \$(cat /tmp/bench.pid) 2>/dev/null; do usleep 50000; done; cat /tmp/bench; \
tail -1 /tmp/bench | grep '^0\$'"
# It is killed, and none comes after it: nothing hangs, and the device can be made anew.
guest "echo 2 >/sys/class/vduse/v0/msg_timeout"
guest -t 120 "kern_vdpa orphan vdpa:v0 'kill -9 \$(cat /tmp/v0.pid)'"
guest "vhk vdpa dev del v0"
guest "vhk-blk --vduse=v0 --blk-file=/tmp/v0.img --num-queues=2 >>/tmp/v0.log 2>&1 & echo \$! >/tmp/v0.pid"
guest "until vdpa_read vdpa:v0 0 >/dev/null 2>&1; do usleep 50000; done"
guest 'kill $(cat /tmp/v0.pid); while kill -0 $(cat /tmp/v0.pid) 2>/dev/null; do usleep 50000; done'
guest_says "" "cat /tmp/v0.log"
guest "! vdpa_read vdpa:v0 0 2>/dev/null"
stop_guest
