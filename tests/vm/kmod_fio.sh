#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# A disk of ours, used by the kernel that serves it, with four queues on four processors, under fio:
# random writes of several sizes by four jobs, each block with a checksum, verified. On a file, and
# on a block device.
fio_base=kmod_cases
. "$(dirname "$0")/fio_cases"

# shellcheck disable=SC2034 # machine reads it
qemu_extra="-smp 4"
start_vdpa_guest virtio_vdpa
guest "mount -t debugfs none /sys/kernel/debug; truncate -s 32M /tmp/d0.img"
guest "truncate -s 32M /tmp/l0; modprobe loop; losetup /dev/loop0 /tmp/l0"
for backing in /tmp/d0.img /dev/loop0; do
	guest "disks add d0 $backing queues=4; vdpa dev add name d0 mgmtdev vhostkit_blk"
	guest_says 4 "ls /sys/block/vda/mq | wc -l"
	run_fio vda 4
	# Each of the queues had its part.
	guest "! grep -x 'kicks 0' /sys/kernel/debug/vhostkit/d0/queue[0-3]"
	no_errors d0
	del_disk d0
done
guest "losetup -d /dev/loop0; rmmod vhostkit_vdpa vhostkit"
stop_guest
