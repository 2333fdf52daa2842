#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A disk on a block device, used by the kernel that serves it: with and without a write cache and
# discard below, with large blocks, and taken away from everybody else; then by requests in pieces
# smaller than a block, on a device that cannot have such, and on a file that lies there.
. "$(dirname "$0")/kmod_cases"

bdev_case() {
	say "$*"
	guest "disks add d0 $*; vdpa dev add name d0 mgmtdev vhostkit_blk"
	guest "! mount $1 /mnt 2>/dev/null"
	check_disk "$1"
	check_mount
	no_errors d0
	guest "vdpa dev del d0; vdpa_add d0 vhostkit_blk $NO_RO $NO_DISCARD $NO_FLUSH $NO_WCE $NO_PACKED"
	load_options='' check_disk "$1"
	no_errors d0
	del_disk d0
}

# By a driver of our own, whose pieces no kernel's would be: pieces_case BACKING
pieces_case() {
	guest "disks add d0 $1 queues=1 entries=256; vdpa_add d0 vhostkit_blk $NO_RO"
	for layout in split packed; do
		guest "vdpa_driver pieces /dev/vhost-vdpa-0 $layout"
	done
	no_errors d0
	del_disk d0
}

truncate -s 32M "$disk"
qemu_extra="-drive file=$disk,if=none,id=n,format=raw -device nvme,drive=n,serial=n"
start_vdpa_guest virtio_vdpa
guest "truncate -s 16M /tmp/l0; modprobe loop; losetup /dev/loop0 /tmp/l0"
load_options=discard bdev_case /dev/loop0
bdev_case /dev/loop0 block=4096 queues=3
guest "losetup -d /dev/loop0"
guest "modprobe null_blk nr_devices=0; mount -t configfs none /sys/kernel/config; mkdir /sys/kernel/config/nullb/nullb0"
guest "cd /sys/kernel/config/nullb/nullb0; echo 1 >memory_backed; echo 16 >size; echo 4096 >blocksize; echo 1 >power"
bdev_case /dev/nullb0
# What is smaller than the device's own blocks cannot be.
guest "! disks add d0 /dev/nullb0 block=512"
guest "rmmod virtio_vdpa; modprobe vhost_vdpa; modprobe nvme; n=0; until [ -b /dev/nvme0n1 ] || \
[ \$n = 300 ]; do usleep 100000; n=\$((n+1)); done"
pieces_case /dev/nvme0n1
guest "mke2fs -b 4096 /dev/nvme0n1 >/dev/null; mount -t ext4 /dev/nvme0n1 /mnt; truncate -s 8M /mnt/d0.img"
pieces_case /mnt/d0.img
guest "umount /mnt; rmmod vhostkit_vdpa vhostkit"
stop_guest
