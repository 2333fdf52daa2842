#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The disk is unplugged while requests are under way, plugged in again, and is whole.
. "$(dirname "$0")/machine"

# That requests fail when their disk is torn out is what must happen.
bad_lines='WARNING:|BUG:|Oops|Kernel panic|KASAN|general protection|blocked for more than'
gone() {
	try_guest 30 '[ ! -e /sys/block/vda ]'
}
# Refused, and harmless, until QEMU has let go of the old one.
plugged() {
	monitor "device_add vhost-user-blk-pci,id=disk,chardev=link,bus=rp0,num-queues=1,packed=$1"
	sleep 1
	try_guest 30 '[ -b /dev/vda ]'
}
make_disk 16
start_backend
start_guest
for layout in on off; do
	start_load 8 gone
	sleep 1
	load_runs || fail "the load has ended"
	monitor "device_del disk"
	until_true 30 gone || fail "the guest keeps its disk"
	until_true 30 eval '! load_runs' || fail "the load goes on without a disk"
	guest_load_says
	alive "$backend_pid" || fail "the back end ended"
	until_true 30 plugged "$layout" || fail "the guest does not get its disk back"
done
guest "verify load /dev/vda 2 8"
guest "verify fill /dev/vda 7"
guest "verify check /dev/vda 7"
same_checksum
stop_guest
stop_backend
