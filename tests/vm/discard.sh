#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# Discards and written zeros reach the image: it gives its blocks back, and reads as zeros where it
# must.
. "$(dirname "$0")/machine"

make_disk 16
start_backend
start_guest
guest "verify fill /dev/vda 3"
full=$(du -k "$disk" | cut -f1)
guest "blkdiscard -o 4194304 -l 8388608 /dev/vda"
guest "sync"
less=$(du -k "$disk" | cut -f1)
say "$full KiB allocated before, $less KiB after"
[ $((full - less)) -ge 8000 ] || fail "the image keeps what was discarded"
guest "verify load /dev/vda 4 8 discard"
# ext4 zeroes its inode tables by write-zeroes, and trims by discard.
guest "mke2fs /dev/vda >/dev/null && mount -t ext4 -o discard /dev/vda /mnt"
guest "dd if=/dev/urandom of=/mnt/a bs=64k count=80 2>/dev/null && sync && rm /mnt/a && fstrim /mnt && umount /mnt"
same_checksum
stop_guest
stop_backend
