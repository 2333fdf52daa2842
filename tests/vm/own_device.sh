#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# A device that is no disk: the example's source of entropy, as the guest's hardware random generator.
. "$(dirname "$0")/machine"

[ "$BACKEND" != qsd ] || skip "the other back end has no such device"
cc -std=gnu11 -I"$top/lib/include" -o "$T/own_device" "$top/examples/own_device.c" \
	"$build/libvhostkit.a" -luring -pthread || fail "the example does not compile"
"$T/own_device" "$T/rng.sock" >"$T/own.log" 2>&1 &
pumps+=($!)
until_true 10 test -S "$T/rng.sock" || fail "the example does not listen"
qemu_extra="-chardev socket,id=rng,path=$T/rng.sock -device vhost-user-rng-pci,chardev=rng"
make_disk 16
start_backend
start_guest
guest "modprobe virtio_rng"
guest_says virtio_rng.0 "cat /sys/class/misc/hw_random/rng_current"
guest "dd if=/dev/hwrng of=/tmp/a bs=4k count=64 iflag=fullblock 2>/dev/null"
guest "gzip -c /tmp/a | wc -c >/tmp/n; [ \$(cat /tmp/n) -ge 262144 ]"
stop_guest
stop_backend
