#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# What stands behind a disk fails: a file system without room, a file without a name, a device that
# is slow, one that fails for a while, and one that fails for good. Errors are told, what can be
# served is served with the right bytes, nothing hangs, and the device can be taken away each time.
. "$(dirname "$0")/kmod_cases"

further_programs=(dmsetup)
bad_lines=${bad_lines/|I\/O error/}
# The guest's shell expands it.
# shellcheck disable=SC2016
pid='$(cat /tmp/load.pid)'
add='vdpa dev add name d0 mgmtdev vhostkit_blk'

load_ends() {
	guest "n=0; while kill -0 $pid 2>/dev/null && [ \$n -lt 300 ]; do usleep 100000; n=\$((n+1)); done; \
! kill -0 $pid 2>/dev/null"
}

errors_of() {
	try_guest 30 "cat /sys/bus/vdpa/devices/d0/statistics/errors"
}

start_vdpa_guest virtio_vdpa

# No room: writes fail, reads go on, and writes work again once there is room.
guest "mkdir /small; mount -t tmpfs -o size=6m none /small; truncate -s 16M /small/d0.img; \
dd if=/dev/zero of=/small/full bs=1M count=3 2>/dev/null"
guest "disks add d0 /small/d0.img queues=2; $add"
guest "dd if=/dev/urandom of=/dev/vda bs=64k count=32 oflag=direct 2>/dev/null"
guest "! dd if=/dev/zero of=/dev/vda bs=64k count=64 seek=32 oflag=direct 2>/dev/null"
errors_of
[ "$answer" -gt 0 ] || fail "a write without room counts as no error"
guest "dd if=/dev/vda bs=64k count=32 iflag=direct 2>/dev/null | sha256sum >/tmp/a; \
dd if=/small/d0.img bs=64k count=32 2>/dev/null | sha256sum | cmp - /tmp/a"
guest "rm /small/full; dd if=/dev/urandom of=/dev/vda bs=64k count=16 seek=32 oflag=direct 2>/dev/null"
# No name: the file is there as long as the disk is.
guest "rm /small/d0.img; dd if=/dev/vda bs=64k count=32 iflag=direct 2>/dev/null | sha256sum | cmp - /tmp/a"
guest "grep -q 'd0.img (deleted)' /sys/bus/vdpa/devices/d0/backing_file"
del_disk d0
guest "umount /small"

# Slow: requests that wait below hold a reset and an unbind up until they are through, no longer.
guest "truncate -s 16M /tmp/l0; modprobe loop; modprobe dm_mod; modprobe dm_flakey; modprobe dm_delay; \
losetup /dev/loop0 /tmp/l0"
dm() {
	guest "dmsetup --noudevsync suspend --nolockfs m; dmsetup --noudevsync load m --table '0 32768 $*'; \
dmsetup --noudevsync resume m"
}
guest "dmsetup --noudevsync create m --table '0 32768 linear /dev/loop0 0'; \
mknod /dev/m b \$(cat /sys/block/dm-0/dev | tr : ' ')"
guest "disks add d0 /dev/m queues=2; $add; verify fill /dev/vda 5"
dm delay /dev/loop0 0 300
start_load 8 gone
guest "sleep 1; echo d0 >/sys/bus/vdpa/drivers/virtio_vdpa/unbind"
load_ends
guest_says 0 "cat /sys/bus/vdpa/devices/d0/statistics/in_flight"
guest "echo d0 >/sys/bus/vdpa/drivers/virtio_vdpa/bind"
start_load 8 gone
guest "sleep 1; vdpa dev del d0"
load_ends
dm linear /dev/loop0 0
guest "$add; verify fill /dev/vda 5; verify check /dev/vda 5"

# It fails for a while: errors then, none before and after, and not a wrong byte.
dm flakey /dev/loop0 0 0 60
guest "! dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null; \
! dd if=/dev/zero of=/dev/vda bs=4096 count=1 oflag=direct 2>/dev/null"
dm linear /dev/loop0 0
guest "echo 3 >/proc/sys/vm/drop_caches; verify check /dev/vda 5"

# It fails for good: the load ends with errors, and device and disk go.
start_load 8 gone
guest "sleep 1"
dm error
guest "sleep 1; kill -KILL $pid 2>/dev/null || :"
load_ends
errors_of
[ "$answer" -gt 2 ] || fail "a dead device counts as $answer errors"
guest "! dd if=/dev/zero of=/dev/vda bs=4096 count=1 oflag=direct 2>/dev/null"
guest "! dd if=/dev/vda of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null"
del_disk d0

# What a file could not keep stays lost: no flush is good any more, also of a device that works.
dm linear /dev/loop0 0
guest "mke2fs /dev/m >/dev/null; mount -t ext4 /dev/m /mnt; \
dd if=/dev/zero of=/mnt/d0.img bs=64k count=64 2>/dev/null; sync; disks add d0 /mnt/d0.img buffered; $add"
guest "dd if=/dev/zero of=/dev/vda bs=4096 count=8 conv=fsync 2>/dev/null"
dm error
guest "! dd if=/dev/urandom of=/dev/vda bs=4096 count=8 conv=fsync 2>/dev/null"
dm linear /dev/loop0 0
guest "! dd if=/dev/zero of=/dev/vda bs=4096 count=8 conv=fsync 2>/dev/null"
guest "dd if=/dev/vda of=/dev/null bs=4096 count=8 iflag=direct 2>/dev/null"
del_disk d0
guest "umount /mnt"
guest "dmsetup --noudevsync remove m; losetup -d /dev/loop0; ! ps | grep '[v]hk-'"
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
