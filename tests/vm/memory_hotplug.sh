#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# Memory is plugged into the guest and taken out again while requests are under way: the back end
# hears of each piece by a message of its own, and requests use it as soon as it is there.
. "$(dirname "$0")/machine"

guest_memory=256M
qemu_extra="-m slots=4,maxmem=1G"
# Pieces of shared memory that the back end has mapped.
mapped() {
	grep -c memfd "/proc/$backend_pid/maps"
}
mapped_is() {
	[ "$(mapped)" = "$1" ]
}
# KiB that the guest has in all.
guest_kib() {
	try_guest 30 "sed -n 's/MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo"
}
guest_has_between() {
	guest_kib
	((answer >= $1 && answer <= $2))
}
plug() {
	monitor "object_add memory-backend-memfd,id=hot$1,size=128M,share=on"
	monitor "device_add pc-dimm,id=dimm$1,memdev=hot$1"
}
# A guest may refuse as long as a request is in there: asked again.
unplugged() {
	monitor "device_del dimm$1"
	sleep 0.5
	mapped_is "$2"
}
[ "$BACKEND" != qsd ] || skip "it is our mappings that are counted"
make_disk 16
start_backend --num-queues=2
start_guest num-queues=2
guest 'echo online_movable >/sys/devices/system/memory/auto_online_blocks'
guest_kib
small=$answer
start_load 8
for round in 1 2 3; do
	before=$(mapped)
	plug 1
	until_true 30 mapped_is $((before + 1)) || fail "the back end does not hear of the memory"
	until_true 30 guest_has_between $((small + 100000)) $((small + 140000)) || fail "nor does the guest"
	plug 2
	until_true 30 guest_has_between $((small + 230000)) $((small + 280000)) || fail "one is enough for it"
	load_runs || fail "the load has ended"
	stop_load
	# What is allocated from here on lies in the movable memory first.
	start_load 8
	until_true 60 unplugged 2 $((before + 1)) || fail "the second piece stays"
	until_true 60 unplugged 1 "$before" || fail "the first piece stays"
	until_true 30 guest_has_between $((small - 4096)) $((small + 4096)) || fail "the guest keeps it"
	load_runs || fail "the load has ended"
	monitor "object_del hot1"
	monitor "object_del hot2"
	say "round $round"
done
stop_load
guest "verify fill /dev/vda 9"
guest "verify check /dev/vda 9"
same_checksum
stop_guest
stop_backend
