#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The registry of backing disks in a kernel that has no vDPA: what it takes, what it refuses, and
# that it lets go of everything.
needs_backend=0
. "$(dirname "$0")/machine"

start_module_guest linux-image-amd64
guest "modprobe vhostkit"
guest_says 'crw-------' "ls -l /dev/vhostkit | cut -c1-10"
guest "disks refuse /tmp"
guest "disks stranger"
# The vDPA module is left out where there is no vDPA, and the tool says so and leaves nothing behind.
guest "! find /lib/modules -name 'vhostkit_vdpa*' | grep . && ! modprobe vhostkit_vdpa 2>/dev/null"
guest "truncate -s 1M /tmp/v; ! vhk disk add v --file /tmp/v --attach vhost >/tmp/said 2>&1; \
grep 'kernel with vDPA' /tmp/said"
guest_says "" "vhk disk list"
guest "vhk disk add v --file /tmp/v && vhk disk list | grep '^v: file /tmp/v bytes 1048576 ' && vhk disk del v"
# Whole blocks only, whatever the length of the file.
guest "dd if=/dev/zero of=/tmp/a bs=1000 count=9 2>/dev/null; disks add a /tmp/a queues=3 entries=64"
guest_says "a 8704 512 3 64 0 0" "disks list"
guest "dd if=/dev/zero of=/tmp/a bs=1000 count=90 2>/dev/null"
guest_says 89600 "disks resize a"
guest ": >/tmp/a; ! disks resize a"
guest "disks list | grep -q '^a 89600 '"
# A block device belongs to its disk alone.
guest "dd if=/dev/zero of=/tmp/l bs=64k count=16 2>/dev/null; modprobe loop; losetup /dev/loop0 /tmp/l"
guest "disks add l /dev/loop0 block=4096; ! disks add m /dev/loop0; ! mount /dev/loop0 /mnt"
guest_says "l 1048576 4096 2 256 0 6" "disks list | grep ^l"
guest "disks del l; mke2fs /dev/loop0 >/dev/null; modprobe ext4; mount -t ext4 /dev/loop0 /mnt"
guest "! disks add l /dev/loop0"
guest "umount /mnt; disks add l /dev/loop0 ro; ! disks add n /dev/loop0 buffered"
# Unloading forgets the disks, and the loop device is free again.
guest "rmmod vhostkit; losetup -d /dev/loop0; rm /tmp/l; modprobe vhostkit"
guest_says "" "disks list"
stop_guest
