#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# Network cards come and go, a thousand times and while they are busy, from either end and with the
# namespace that they are in: nothing hangs, and nothing is left behind.
. "$(dirname "$0")/kmod_net_cases"

add_pair() {
	local i
	for i in 0 1; do
		guest "vdpa dev add name n$i mgmtdev vhostkit_net mac 02:00:00:00:00:1$i mtu 1500 max_vqp 2"
	done
	connect n0 a 1 1500
	connect n1 b 2 1500
}

# Traffic both ways, that only ends when it is told to.
start_traffic() {
	guest "net_flow \$(cat /tmp/a) \$(cat /tmp/b) 10.8.0.2 tcp 4 2000000000 >/tmp/flow 2>&1 &"
	soon "[ \$(cat /sys/class/net/n0/statistics/rx_packets) -gt 2000 ]" || fail "no traffic"
}

stop_traffic() {
	guest "killall -KILL net_flow; while killall -0 net_flow 2>/dev/null; do usleep 10000; done"
}

start_net_guest
add='vdpa dev add name n0 mgmtdev vhostkit_net'
guest -t 300 "n=0; while [ \$n -lt ${ADDS:-1000} ]; do $add max_vqp 2 && vdpa dev del n0 || exit 1; n=\$((n+1)); done"

# Names that no interface can have, or that one has.
guest "vdpa dev add name a%d mgmtdev vhostkit_net; [ -e /sys/class/net/vhk0 ]; vdpa dev del a%d"
guest "vdpa dev add name lo mgmtdev vhostkit_net; [ -e /sys/class/net/vhk0 ]; vdpa dev del lo"
guest "vdpa dev add name a-name-with-20-chars mgmtdev vhostkit_net; [ -e /sys/class/net/vhk0 ]"
guest "vdpa dev del a-name-with-20-chars; [ ! -e /sys/class/net/vhk0 ]"
# What cannot be is refused, and nothing is left of it.
guest "! $add max_vqp 33 2>/dev/null; ! $add mac 01:00:00:00:00:01 2>/dev/null; ! $add mtu 67 2>/dev/null"
guest "! vdpa_add n0 vhostkit_net -32; ! vdpa_add n0 vhostkit_net -33; ! vdpa_add n0 vhostkit_net -22 -3 -17; \
! vdpa_add n0 vhostkit_net 32 33 7; [ ! -e /sys/class/net/n0 ]"
guest "vdpa_add n0 vhostkit_net 32 33; ! $add 2>/dev/null; ! rmmod vhostkit_vdpa 2>/dev/null; vdpa dev del n0"

guest "modprobe -a virtio_vdpa virtio_net"
make_spaces
few=$((${ADDS:-1000} < 20 ? ADDS : 20))
guest -t 120 "n=0; while [ \$n -lt $few ]; do $add max_vqp 2 && vdpa dev del n0 || exit 1; n=\$((n+1)); done"
add_pair
start_traffic
guest -t 60 "vdpa dev del n1"
stop_traffic
guest "vdpa dev del n0"
add_pair
start_traffic
guest -t 60 "echo n0 >/sys/bus/vdpa/drivers/virtio_vdpa/unbind"
stop_traffic
guest "grep -q 0 /sys/class/net/n0/carrier; echo n0 >/sys/bus/vdpa/drivers/virtio_vdpa/bind"
guest "vdpa dev del n0; vdpa dev del n1"
# The driver's end goes with its namespace, and comes back; so does ours.
add_pair
guest "kill \$(cat /tmp/a)"
soon "[ -n \"$(driver_of n0)\" ]" || fail "the driver's interface is lost"
guest "brctl delif br0 n1; ip link set n1 netns \$(cat /tmp/b); [ ! -e /sys/class/net/n1 ]; kill \$(cat /tmp/b)"
soon "[ -e /sys/class/net/n1 ]" || fail "the interface is lost"
guest "vdpa dev del n0; vdpa dev del n1; ip link del br0"
# While it is somewhere else it can be removed, too.
make_spaces
guest "$add; ip link set n0 netns \$(cat /tmp/a); vdpa dev del n0; nsenter -t \$(cat /tmp/a) -n ip link show >/tmp/l"
guest "! grep n0 /tmp/l; kill \$(cat /tmp/a) \$(cat /tmp/b); ip link del br0"
guest "! ps | grep 'napi/[nv]'; rmmod vhostkit_vdpa vhostkit"
stop_guest
