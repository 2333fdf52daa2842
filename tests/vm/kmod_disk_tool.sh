#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# vhk disk, from a file to a disk and back: what it loads and binds, what it says instead of a
# number, what it does not do while somebody uses the disk, and what comes back after a reboot. udev
# runs in the guest, so that its rule is seen to fire.
. "$(dirname "$0")/kmod_cases"

further_programs=(systemd-udevd udevadm)
guest_memory=384M

# refused TEXT WORDS: exit code 1 or 2, and one line that has the text.
refused() {
	local text=$1
	shift
	! try_guest 30 "vhk disk $*" && [[ $answer == "vhk: "*"$text"* ]] && [[ $answer != *$'\n'* ]] ||
		fail "vhk disk $*: $answer; want $text"
}

start_module_guest "$VHOST_KERNEL"
rules=$(sed 's|@BINDIR@|/bin|' "$top/tools/vhk/60-vhostkit.rules.in" | base64 -w0)
guest "mkdir -p /lib/udev/rules.d /etc /srv /run; echo $rules | base64 -d >/lib/udev/rules.d/60-vhostkit.rules"
guest "echo root:x:0:0::/:/bin/sh >/etc/passwd; printf 'root:x:0:\nkvm:x:36:\n' >/etc/group"
guest "systemd-udevd --daemon && udevadm control --ping"
guest "truncate -s 16M /srv/d0.img; truncate -s 100 /srv/short; mkfifo /srv/pipe; mkdir /srv/folder"

# What is wrong is said, and nothing is done.
refused "No such file" add a --file /srv/nothing
refused "less than one block" add a --file /srv/short
refused "neither a regular file nor" add a --file /srv/folder --read-only
refused "neither a regular file nor" add a --file /srv/pipe
refused "neither a regular file nor" add a --file /dev/null
refused "cannot be a name" add a/b --file /srv/d0.img
refused "cannot be a name" add 01234567890123456789012345678901 --file /srv/d0.img
refused "64 at most" add a --file /srv/d0.img --queues 65
refused "power of two" add a --file /srv/d0.img --queue-size 100
refused "512, 1024" add a --file /srv/d0.img --block-size 8192
refused "1 to 20" add a --file /srv/d0.img --serial 012345678901234567890
refused "attach virtio or vhost" add a --file /srv/d0.img --attach nobody
refused "are for --attach vhost" add a --file /srv/d0.img --attach virtio --mode 660
refused "no such user" add a --file /srv/d0.img --attach vhost --owner nobody:nobody
refused "no effect" add a --file /srv/d0.img --force
refused "less than one block" add a --file /proc/cpuinfo --read-only
refused "no such disk" del a
refused "no such disk" resize a
refused "no such disk" stat a
# A record is lines: a folder on the way whose name has two of them cannot be in one.
guest 'd=$(printf "/srv/li\nne"); mkdir "$d"; truncate -s 1M "$d/d.img"; ln -s "$d" /srv/link'
refused "not a path that can be kept" add a --file /srv/link/d.img
guest_says "" "vhk disk list"
guest "[ ! -e /run/vhostkit/devices/a.conf ]"

# The first scene: a file is a disk of this machine, by one command.
guest "vhk disk add d0 --file /srv/d0.img --attach virtio --queues 2 --serial first >/tmp/said"
guest "grep '^d0: driver virtio_vdpa driver_override virtio_vdpa virtio virtio[0-9]* block vda\$' /tmp/said"
check_mount
guest_says first 'echo $(cat /sys/block/vda/serial)'
guest "vhk disk stat d0 | grep 'file /srv/d0.img bytes 16777216 block_size 512 queues 2 queue_size 256 serial first'"
guest "vhk disk stat -j d0 | grep '\"errors\": 0' && vhk disk stat d0 --queue 1 | grep ' errors 0 '"
guest "vhk disk list -j | grep '\"block\": \"vda\"'"
refused "it has no queue 2" stat d0 --queue 2
refused "there is a disk of that name" add d0 --file /srv/short
refused "in use by another server" add d1 --file /srv/d0.img
refused 'the disk "d0" has it' add d1 --file /srv/d0.img --no-lock
refused 'the disk "d0" has it, and writes it' add d1 --file /srv/d0.img --no-lock --read-only
guest "mount -t ext4 /dev/vda /mnt"
refused "/dev/vda is mounted at /mnt (--force" del d0
guest "truncate -s 32M /srv/d0.img"
guest_says "d0: 33554432 bytes" "vhk disk resize d0"
guest "umount /mnt; vhk disk del d0; [ ! -e /dev/vda ] && [ ! -e /run/vhostkit/devices/d0.conf ]"

# The second: a node for a virtual machine, and who may open it. The bus has both drivers by then.
guest "modprobe vhost_vdpa; vhk disk add d0 --file /srv/d0.img --attach vhost --owner :36 --mode 640 | \
grep /dev/vhost-vdpa-0"
guest "udevadm settle"
guest_says "640 0:36" "stat -c '%a %u:%g' /dev/vhost-vdpa-0"
guest "exec 9</dev/vhost-vdpa-0; sleep 600 >/dev/null 2>&1 & echo \$! >/tmp/holder"
refused "/dev/vhost-vdpa-0 is open in sleep (process " del d0
guest "vhk disk del d0 --force >/tmp/del 2>&1 & usleep 500000; kill \$(cat /tmp/holder); wait; cat /tmp/del; \
vhk disk list"

# Without an owner it is udev's rule that opens the node for the group.
guest "vhk disk add d0 --file /srv/d0.img --attach vhost; udevadm settle"
guest_says "660 0:36" "stat -c '%a %u:%g' /dev/vhost-vdpa-0"
guest "vhk disk del d0"

# A block device; what uses it is named.
guest "modprobe loop; truncate -s 8M /srv/l0; losetup /dev/loop0 /srv/l0; mke2fs /dev/loop0 >/dev/null 2>&1; \
mount -t ext4 /dev/loop0 /mnt"
refused "it is mounted at /mnt" add l0 --file /dev/loop0
guest "umount /mnt"
refused "is for files" add l0 --file /dev/loop0 --buffered
guest "vhk disk add l0 --file /dev/loop0 --block-size 4096 --attach virtio >/dev/null; vhk disk stat l0 | \
grep 'file /dev/loop0 '"
guest "vhk disk del l0; losetup -d /dev/loop0"

# What is kept comes back; what cannot come back is said, and does not keep the rest away.
guest "vhk disk add d0 --file /srv/d0.img --attach vhost --mode 600 --owner 0:36 --keep >/dev/null; \
vhk disk add t0 --file /srv/l0 --attach virtio >/dev/null"
guest "vhk disk del d0 --keep; vhk disk del t0; [ -e /etc/vhostkit/devices/d0.conf ]; rmmod vhostkit_vdpa vhostkit"
guest "echo 'file /srv/nothing' >/etc/vhostkit/devices/b0.conf; echo nonsense >/etc/vhostkit/devices/c0.conf"
! try_guest 60 "vhk restore" || fail "restore does not say that something failed"
[[ $answer == *"/srv/nothing: No such file"* && $answer == *"c0.conf: neither"* ]] || fail "restore says: $answer"
guest "udevadm settle"
guest_says "600 0:36" "stat -c '%a %u:%g' /dev/vhost-vdpa-0"
guest "rm /etc/vhostkit/devices/b0.conf /etc/vhostkit/devices/c0.conf; vhk restore"
guest "vhk disk del d0; [ ! -e /etc/vhostkit/devices/d0.conf ]; vhk restore"
guest_says "" "vhk disk list"
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
