#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# Memory leaves the guest and comes back, again and again, while requests are under way: pages that
# the balloon took are punched out of the shared memory, so a back end that held on to old ones
# would be found out.
. "$(dirname "$0")/machine"

guest_memory=256M
qemu_extra="-device virtio-balloon-pci,id=balloon"
# The balloon's size as QEMU sees it, in MiB.
balloon_is() {
	local now
	monitor "info balloon"
	sleep 0.1
	now=$(sed -n 's/.*balloon: actual=\([0-9]*\).*/\1/p' "$T/monitor" | tail -1)
	((${now:-0} >= $1 && ${now:-0} <= $2))
}
make_disk 16
start_backend --num-queues=2
start_guest num-queues=2
start_load 8
for round in 1 2 3 4; do
	monitor "balloon 128"
	until_true 30 balloon_is 1 136 || fail "the balloon does not grow"
	monitor "balloon 256"
	until_true 30 balloon_is 250 256 || fail "the balloon does not shrink"
	load_runs || fail "the load has ended"
	say "round $round"
done
stop_load
guest "verify fill /dev/vda 9"
guest "verify check /dev/vda 9"
same_checksum
stop_guest
stop_backend
