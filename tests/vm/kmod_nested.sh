#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# A disk whose image lies on a file system on another disk of ours, written through the page cache
# by a guest with little memory: writing back needs both disks' workers, which must not wait for
# memory that only they can free.
. "$(dirname "$0")/kmod_cases"

further_programs=(mkfs.ext4)
guest_memory=256M
truncate -s 320M "$disk"
qemu_extra="-drive file=$disk,if=none,id=m,format=raw -device virtio-blk-pci,drive=m"

start_vdpa_guest virtio_vdpa
guest "disks add outer /dev/vda; vdpa dev add name outer mgmtdev vhostkit_blk"
guest "mkfs.ext4 -q -F /dev/vdb; mount -t ext4 /dev/vdb /mnt; truncate -s 200M /mnt/inner.img"
guest "disks add inner /mnt/inner.img buffered; vdpa dev add name inner mgmtdev vhostkit_blk"
guest "mkfs.ext4 -q -F /dev/vdc; mkdir /d; mount -t ext4 /dev/vdc /d"
guest "free | sed -n 2p"
# Memory that is held, so that what is written has to leave it again at once.
guest "mount -o remount,size=100% /tmp; free=\$(free | sed -n 's/^Mem: *[0-9]* *[0-9]* *\\([0-9]*\\).*/\\1/p'); \
dd if=/dev/zero of=/tmp/held bs=1k count=\$((free/2)) 2>/dev/null; free | sed -n 2p"
for n in 1 2 3; do
	guest -t 200 "dd if=/dev/urandom of=/d/f$n bs=64k count=640 2>/dev/null; sha256sum </d/f$n >/tmp/s$n"
done
guest -t 120 "sync; echo 3 >/proc/sys/vm/drop_caches; for n in 1 2 3; do sha256sum </d/f\$n | \
cmp - /tmp/s\$n || exit 1; done"
guest "umount /d; vdpa dev del inner; disks del inner; umount /mnt; vdpa dev del outer; disks del outer"
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
