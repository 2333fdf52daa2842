#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# vhk vdpa beside iproute2's vdpa on the devices of our module: the same fields with the same values,
# and what is only ours: binding, deleting with care, watching.
. "$(dirname "$0")/vdpa_tool_cases"

# refused TEXT WORDS: exit code 1, and a line that has the text.
refused() {
	local text=$1
	shift
	! try_guest 30 "vhk vdpa $*" && [[ $answer == "vhk: "*"$text"* ]] && [[ $answer != *$'\n'* ]] ||
		fail "vhk vdpa $*: $answer; want $text"
}

# soon CONDITION: it holds in the guest, or does within ten seconds.
soon() {
	try_guest 60 "n=0; until $1; do n=\$((n+1)); [ \$n -lt 500 ] || exit 1; usleep 20000; done"
}

# heard FILE PATTERN: a monitor prints such a line.
heard() {
	soon "grep -q '^$2\$' $1" && return
	try_guest 10 "cat $1"
	fail "the monitor did not say: $2; but: $answer"
}

further_programs=(setpriv)
start_module_guest "$VHOST_KERNEL"
refused "no vDPA in this kernel" dev show
guest "modprobe vhostkit_vdpa; truncate -s 8M /tmp/d0.img; truncate -s 4M /tmp/d1.img"
guest "disks add d0 /tmp/d0.img queues=2; disks add d1 /tmp/d1.img ro; truncate -s 4M /tmp/d2.img; \
disks add d2 /tmp/d2.img"
for options in "" -j; do
	guest "vhk vdpa $options monitor >/tmp/heard$options 2>&1 & echo \$! >/tmp/monitor$options.pid"
	# It listens when the kernel lists its socket with protocol 15, uevents, and group 1.
	inode="\$(ls -l /proc/\$(cat /tmp/monitor$options.pid)/fd | sed -n 's/.*socket:.\([0-9]*\).*/\1/p')"
	soon "i=$inode && [ -n \"\$i\" ] && grep -q \"^[^ ]* 15 .* 00000001 .* \$i *\$\" /proc/net/netlink" ||
		fail "the monitor does not listen"
done

same_as_vdpa mgmtdev show
same_as_vdpa mgmtdev show vhostkit_blk
guest_says '{"dev":{}}' "vhk vdpa -j dev show"
guest "vhk vdpa dev add name d0 mgmtdev vhostkit_blk; vdpa dev add name d1 mgmtdev vhostkit_blk"
for words in "dev show" "dev show d1" dev "dev config show" "dev config show d0"; do
	same_as_vdpa "$words"
done
guest "vhk vdpa dev config show d1 | grep '^d1: capacity 8192 .* read_only true flush'"
# Looking is everybody's; making and deleting is not, and both devices are there afterwards. By its
# path, since the shell has a setpriv of its own, which cannot do that.
unprivileged="/bin/setpriv --reuid 65534 --regid 65534 --clear-groups"
for words in "dev del d1" "dev add name d2 mgmtdev vhostkit_blk"; do
	! try_guest 30 "$unprivileged vhk vdpa $words" && [[ $answer == "vhk: "*"CAP_NET_ADMIN"*"is needed" ]] ||
		fail "vhk vdpa $words without rights: $answer"
done
guest_says "$(printf 'd0\nd1')" "$unprivileged vhk vdpa dev show | grep -o '^d[0-9]*'"
refused "vdpa: device not found" dev show nobody
refused "vdpa: device not found" dev config show nobody
refused "vdpa: device not found" dev del nobody
refused "vdpa: Fail to find the specified mgmt device" mgmtdev show nobody
refused "vdpa: Fail to find the specified management device" dev add name a mgmtdev b
refused "not supported: 0x2000" dev add name a mgmtdev vhostkit_blk mtu 1500
refused "no disk of that name is registered" dev add name a mgmtdev vhostkit_blk
refused "another device has the disk" dev add name d0 mgmtdev vhostkit_blk
refused "has some that the disk does not have" dev add name d2 mgmtdev vhostkit_blk device_features 0x300000001
refused "lacks VERSION_1" dev add name d2 mgmtdev vhostkit_blk device_features 0x200
refused "d1 device not supported" dev set name d1 mac 2:0:0:0:0:1
refused "does not do that" dev vstats show d1 qidx 0

# The driver that is loaded for one device leaves the other alone.
guest_says "d0: driver vhost_vdpa driver_override vhost_vdpa node /dev/vhost-vdpa-0" "vhk vdpa bind d0 vhost"
guest "[ -c /dev/vhost-vdpa-0 ] && [ ! -e /sys/bus/vdpa/devices/d1/driver ]"
guest_says 1 "cat /sys/bus/vdpa/drivers_autoprobe"

# While it is open nothing is done that would block, not for anybody else either.
guest "exec 9</dev/vhost-vdpa-0; sleep 600 >/dev/null 2>&1 & echo \$! >/tmp/holder"
guest 'vhk vdpa dev show d0 | grep "node /dev/vhost-vdpa-0 opened_by sleep($(cat /tmp/holder))\$"'
for words in "dev del d0" "bind d0 virtio" "unbind d0"; do
	refused "d0: /dev/vhost-vdpa-0 is open in sleep (process " "$words"
done
# Whom /proc does not show, the kernel knows.
guest "mkdir /tmp/hidden; mount -o bind /tmp/hidden /proc/\$(cat /tmp/holder)"
refused "is open in a process that cannot be seen" dev del d0
guest "umount /proc/\$(cat /tmp/holder); kill \$(cat /tmp/holder)"
soon "! kill -0 \$(cat /tmp/holder) 2>/dev/null" || fail "the holder does not end"

guest "vhk vdpa bind d0 virtio >/tmp/bound"
guest "grep '^d0: driver virtio_vdpa driver_override virtio_vdpa virtio virtio[0-9]* block vda\$' /tmp/bound"
guest "dd if=/dev/vda of=/dev/null bs=1M count=8 2>/dev/null && [ ! -e /sys/bus/vdpa/devices/d1/driver ]"
same_as_vdpa dev show
same_as_vdpa dev config show
# Memory of this kernel is not mapped for a disk; what is made after what it shows is, where it must.
guest "! vhk vdpa dev config show d0 | grep ACCESS_PLATFORM"
guest "vhk vdpa dev add name d2 mgmtdev vhostkit_blk device_features 0x930007e44 && vhk vdpa bind d2 vhost >/dev/null"
guest "vhk vdpa dev config show d2 | grep -q ACCESS_PLATFORM && vhk vdpa dev del d2"
guest "vhk vdpa -jp dev config show d0 | grep '\"negotiated_features\": .*\"RING_PACKED\"'"
guest "vhk vdpa unbind d0 && [ ! -e /dev/vda ]"
guest "vhk vdpa dev del d0; vhk vdpa dev add name d0 mgmtdev vhostkit_blk device_features 0xb30007e44"
guest "vhk vdpa dev config show d0 >/tmp/config; ! grep RING_PACKED /tmp/config && grep -q IN_ORDER /tmp/config"
guest "vhk vdpa dev del d0; vhk vdpa dev del d1; disks del d0; disks del d1; disks del d2"

heard /tmp/heard "remove d1"
for line in "add d0" "bind d0 driver vhost_vdpa node /dev/vhost-vdpa-0" "unbind d0" "bind d0 driver virtio_vdpa" \
	"interface-add d0 block vda" "interface-remove d0 block vda" "remove d0" "add d1"; do
	heard /tmp/heard "$line"
done
guest_says "add d0" "head -1 /tmp/heard"
heard /tmp/heard-j '{"event":"remove","dev":"d1","seqnum":[0-9]*}'
heard /tmp/heard-j \
	'{"event":"bind","dev":"d0","seqnum":[0-9]*,"driver":"vhost_vdpa","node":"/dev/vhost-vdpa-0"}'
guest "kill \$(cat /tmp/monitor.pid) \$(cat /tmp/monitor-j.pid)"
guest "rmmod vhostkit_vdpa vhostkit virtio_vdpa vhost_vdpa vdpa"
stop_guest
