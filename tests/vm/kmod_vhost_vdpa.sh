#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A disk behind /dev/vhost-vdpa-0, used by a driver of our own in every layout of the ring, and then
# by a hostile one: the device refuses what is wrong, and is usable after.
. "$(dirname "$0")/kmod_cases"

start_vdpa_guest vhost_vdpa
# ACCESS_PLATFORM is offered here also where it was not asked for.
guest "truncate -s 8M /tmp/d0.img; disks add d0 /tmp/d0.img queues=1 entries=64; \
vdpa_add d0 vhostkit_blk $NO_RO -33"
for layout in split packed in_order; do
	guest "vdpa_driver load /dev/vhost-vdpa-0 $layout $RANDOM"
done
for layout in split packed; do
	guest "vdpa_driver hostile /dev/vhost-vdpa-0 $layout"
	guest "vdpa_driver changes /dev/vhost-vdpa-0 $layout ${ROUNDS:-50}"
	guest "vdpa_driver unmap /dev/vhost-vdpa-0 $layout ${ROUNDS:-200}"
done
guest "disks stats d0 | grep 'in flight 0 '"
del_disk d0
guest "truncate -s 5G /tmp/d2.img; disks add d2 /tmp/d2.img queues=1 entries=64; vdpa_add d2 vhostkit_blk $NO_RO"
for layout in split packed; do
	guest "vdpa_driver sizes /dev/vhost-vdpa-0 $layout"
done
del_disk d2
# The same on a block device.
guest "truncate -s 8M /tmp/l0; modprobe loop; losetup /dev/loop0 /tmp/l0"
guest "disks add d1 /dev/loop0 queues=1 entries=64; vdpa dev add name d1 mgmtdev vhostkit_blk"
for layout in split packed; do
	guest "vdpa_driver load /dev/vhost-vdpa-0 $layout $RANDOM"
	guest "vdpa_driver hostile /dev/vhost-vdpa-0 $layout"
	guest "vdpa_driver changes /dev/vhost-vdpa-0 $layout ${ROUNDS:-50}"
	guest "vdpa_driver unmap /dev/vhost-vdpa-0 $layout ${ROUNDS:-200}"
done
del_disk d1
# Four queues, as a program for any disk uses them: what it wrote is what it reads.
guest "disks add d2 /dev/loop0 queues=4 entries=128; vdpa dev add name d2 mgmtdev vhostkit_blk"
for layout in "" --packed --in-order "--packed --in-order --indirect"; do
	guest -t 120 "vhk blk bench -q --rw verify --queues 4 --depth 16 --count 4000 $layout vdpa:d2 >/tmp/bench"
done
guest "disks stats d2 | grep 'in flight 0 .* errors 0 unsupported 0'"
del_disk d2
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
