#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# A disk served read-only: the guest knows, can read all of it, and cannot change it.
. "$(dirname "$0")/machine"

make_disk 16
"$top/build/guest/verify" fill "$disk" 21 >/dev/null || fail "cannot fill the image"
before=$(sha256sum <"$disk")
start_backend --read-only
start_guest
guest_says 1 "cat /sys/block/vda/ro"
guest "verify check /dev/vda 21"
try_guest 30 "dd if=/dev/zero of=/dev/vda bs=4k count=1 2>/dev/null" && fail "the guest could write"
try_guest 30 "blkdiscard /dev/vda 2>/dev/null" && fail "the guest could discard"
same_checksum
[ "$(sha256sum <"$disk")" = "$before" ] || fail "the image has changed"
stop_guest
stop_backend
