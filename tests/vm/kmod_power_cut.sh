#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# ext4 on a disk that the guest serves to itself, from a file on a medium that outlives the guest.
# The guest is reset between one fsync and the next; every file that was synced before is there
# after, with its contents, whether the file is reached directly or by the page cache.
. "$(dirname "$0")/kmod_cases"

# The one with a journal.
further_programs=(mkfs.ext4)
may_reboot=1
truncate -s 96M "$disk"
mke2fs -q -t ext4 -F "$disk" || fail "mke2fs"
qemu_extra="-drive file=$disk,if=none,id=m,format=raw -device virtio-blk-pci,drive=m"

# In the guest: the medium is mounted, and the disk is there as /dev/vdb.
serve='mount -t ext4 /dev/vda /mnt && modprobe vhostkit_vdpa && modprobe virtio_vdpa && mkdir -p /d'

# cut HOW: writes until the reset, and looks after it.
cut() {
	say "by $1"
	guest "$serve; [ -e /mnt/d0.img ] || truncate -s 48M /mnt/d0.img; disks add d0 /mnt/d0.img $2 && \
vdpa dev add name d0 mgmtdev vhostkit_blk"
	guest "mkfs.ext4 -q -F /dev/vdb; mount -t ext4 /dev/vdb /d"
	# What is synced is said; saying it is on the medium before the next file begins.
	guest "(n=0; while :; do n=\$((n+1)); \
dd if=/dev/urandom of=/d/f\$n bs=16k count=\$((n%4+1)) conv=fsync 2>/dev/null; \
(cd /d; sha256sum f\$n) >>/tmp/sums; usleep 20000; done) >/dev/null 2>&1 & echo \$! >/tmp/writer"
	guest -t 120 "until [ -e /tmp/sums ] && [ \$(wc -l </tmp/sums) -ge 20 ]; do usleep 50000; done; \
cat /tmp/sums >/tmp/seen"
	try_guest 30 "cat /tmp/seen" || fail "no sums"
	sums=$answer
	echo "echo b >/proc/sysrq-trigger" >&7
	wait_ready
	guest "$serve; disks add d0 /mnt/d0.img $2 && vdpa dev add name d0 mgmtdev vhostkit_blk; \
mount -t ext4 /dev/vdb /d"
	guest "echo '$(base64 -w0 <<<"$sums")' | base64 -d >/tmp/seen; cd /d && \
sha256sum -c /tmp/seen >/tmp/checked 2>&1 || { cat /tmp/checked; exit 1; }"
	guest "umount /d; vdpa dev del d0; disks del d0; umount /mnt; rmmod vhostkit_vdpa vhostkit"
	say "$(wc -l <<<"$sums") files survived"
}

start_module_guest "$VHOST_KERNEL"
cut "direct I/O" ""
cut "the page cache" buffered
stop_guest
