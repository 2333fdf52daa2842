#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A disk that vhk-blk serves through VDUSE, used by the kernel that it runs on: in both layouts of
# the ring, from one thread and from two, by io_uring and without; its size changes, and it goes.
. "$(dirname "$0")/vduse_cases"

start_vduse_guest virtio_vdpa
for options in "" "--no-packed --threads=2 --num-queues=2" "--no-io-uring --num-queues=1"; do
	say "options: $options"
	start_server d0 "$options"
	disk_appears vda
	ring_is vda "$([[ $options == *no-packed* ]] && echo split || echo packed)"
	check_disk vda /tmp/d0.img
	check_mount vda
	stop_server d0
	guest "[ ! -b /dev/vda ]"
done

# The size can change under a mounted file system.
start_server d0 ""
disk_appears vda
guest "mke2fs /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt"
guest "truncate -s 32M /tmp/d0.img"
until_guest 30 "[ \$(cat /sys/block/vda/size) = 65536 ]"
guest "echo a >/mnt/a; umount /mnt"
stop_server d0
stop_guest
