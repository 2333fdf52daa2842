#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# The image grows under a running guest, and shrinks: noticed on SIGHUP, and by itself.
. "$(dirname "$0")/machine"

size_is() {
	try_guest 30 "cat /sys/block/vda/size"
	[ "$answer" = "$1" ]
}
[ "$BACKEND" != qsd ] || skip "the other back end has no signal for it"
make_disk 16
start_backend
start_guest
guest_says 32768 "cat /sys/block/vda/size"
start_load 4
truncate -s 24M "$disk"
kill -HUP "$backend_pid"
until_true 10 size_is 49152 || fail "24 MiB not seen by the guest"
truncate -s 32M "$disk"
until_true 30 size_is 65536 || fail "32 MiB not noticed without a signal"
stop_load
guest "verify fill /dev/vda 5"
guest "verify check /dev/vda 5"
same_checksum
truncate -s 16M "$disk"
kill -HUP "$backend_pid"
until_true 10 size_is 32768 || fail "back to 16 MiB not seen by the guest"
same_checksum
stop_guest
stop_backend
