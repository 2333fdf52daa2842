#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# Disks come and go, also while they are busy, and their backing goes away under them: nothing
# hangs, nothing is left behind, and no page or worker either.
. "$(dirname "$0")/kmod_cases"

bad_lines=${bad_lines/|I\/O error/}

# The load ends by itself when its disk is gone.
load_ends() {
	# The guest's shell expands it.
	# shellcheck disable=SC2016
	local pid='$(cat /tmp/load.pid)'
	guest "n=0; while kill -0 $pid 2>/dev/null && [ \$n -lt 300 ]; do usleep 100000; n=\$((n+1)); done"
	guest "! kill -0 $pid 2>/dev/null"
}

start_vdpa_guest virtio_vdpa
guest "truncate -s 16M /tmp/d0.img; disks add d0 /tmp/d0.img queues=2"
add='vdpa dev add name d0 mgmtdev vhostkit_blk'
guest -t 300 "vdpa_add d0 vhostkit_blk times ${ADDS:-1000}"
guest "$add; ! rmmod vhostkit_vdpa 2>/dev/null; ! $add 2>/dev/null"

start_load 4 gone
guest "sleep 1; echo d0 >/sys/bus/vdpa/drivers/virtio_vdpa/unbind"
load_ends
guest "echo d0 >/sys/bus/vdpa/drivers/virtio_vdpa/bind; verify fill /dev/vda 3; verify check /dev/vda 3"
start_load 4 gone
guest "sleep 1; vdpa dev del d0"
load_ends
guest "$add"

# A backing that shrinks gives errors, and the disk can still be taken away.
start_load 4 gone
guest "sleep 1; truncate -s 0 /tmp/d0.img; sleep 1"
guest 'kill -KILL $(cat /tmp/load.pid) 2>/dev/null; truncate -s 16M /tmp/d0.img'
load_ends
guest "vdpa dev del d0; disks del d0"
guest "! ps | grep '[v]hk-'"
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
