#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A disk on a file, used by the kernel that serves it: with every layout of the ring, and with
# whatever a device can leave out.
. "$(dirname "$0")/kmod_cases"

start_vdpa_guest virtio_vdpa
guest "truncate -s 16M /tmp/d0.img"
guest "disks add d0 /tmp/d0.img queues=2"
guest "vdpa dev add name d0 mgmtdev vhostkit_blk"
guest_says 2 "ls /sys/block/vda/mq | wc -l"
guest_says d0 'echo $(cat /sys/block/vda/serial)'
guest_says "write back" "cat /sys/block/vda/queue/write_cache"
load_options=discard check_disk /tmp/d0.img
check_mount
no_errors d0
guest "! disks del d0"
# The driver can have each write made durable.
guest "echo 'write through' >/sys/block/vda/cache_type"
check_disk /tmp/d0.img
no_errors d0
guest "vdpa dev del d0"

[ -n "${without:-}" ] || without=("$NO_PACKED" "$NO_PACKED $NO_EVENT_IDX $NO_INDIRECT" "$NO_EVENT_IDX"
	"$NO_INDIRECT $NO_FLUSH" "$NO_FLUSH $NO_WCE")
for features in "${without[@]}"; do
	say "without $features"
	guest "vdpa_add d0 vhostkit_blk $NO_RO $features"
	check_disk /tmp/d0.img
	check_mount
	no_errors d0
	guest "vdpa dev del d0"
done
# What a disk does not have, and what every device needs, is refused.
guest "! vdpa_add d0 vhostkit_blk all; ! vdpa_add d0 vhostkit_blk -32 $NO_RO"
guest "! vdpa dev add name nobody mgmtdev vhostkit_blk 2>/dev/null"
guest "disks del d0"

# Small queues, many of them; then a disk that is only read.
guest "disks add d0 /tmp/d0.img queues=8 entries=16; vdpa dev add name d0 mgmtdev vhostkit_blk"
check_disk /tmp/d0.img
no_errors d0
del_disk d0
guest "disks add d0 /tmp/d0.img ro; vdpa dev add name d0 mgmtdev vhostkit_blk"
guest_says 1 "cat /sys/block/vda/ro"
guest "verify check /dev/vda 7; ! dd if=/dev/zero of=/dev/vda bs=512 count=1 2>/dev/null"
del_disk d0

# The size can change under a mounted file system.
guest "disks add d0 /tmp/d0.img; vdpa dev add name d0 mgmtdev vhostkit_blk"
guest "mke2fs /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt"
guest "truncate -s 32M /tmp/d0.img"
guest_says 33554432 "disks resize d0"
guest "n=0; until [ \$(cat /sys/block/vda/size) = 65536 ]; do n=\$((n+1)); \
[ \$n -lt 100 ] || exit 1; usleep 50000; done"
guest "echo a >/mnt/a; umount /mnt"
no_errors d0
del_disk d0
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
