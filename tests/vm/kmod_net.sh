#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# Two network cards of ours, each used by the kernel that serves it, with their interfaces in one
# bridge: TCP and UDP between two namespaces, byte for byte, with four pairs of queues, long frames,
# and with offloads on and off.
. "$(dirname "$0")/kmod_net_cases"

start_net_guest virtio_vdpa virtio_net
guest "vdpa dev add name n0 mgmtdev vhostkit_net mac 02:00:00:00:00:10 mtu 9000 max_vqp 4"
guest "vdpa dev add name n1 mgmtdev vhostkit_net mac 02:00:00:00:00:11 mtu 9000 max_vqp 4"
guest "nic info n0 | grep -q '^vhostkit_net n0'; ! grep -q 02:00:00:00:00:10 /sys/class/net/n0/address"
guest "grep -q 02:00:00:00:00:10 /sys/class/net/$(driver_of n0)/address"
guest_says "2 of 4" "nic channels n0"
guest "nic channels $(driver_of n0) 4; nic channels $(driver_of n1) 4"
guest_says "4 of 4" "nic channels n0"
make_spaces
connect n0 a 1 1500
connect n1 b 2 1500
inside a "ping -c 1 -W 20 10.8.0.2 >/dev/null"
flow 10.8.0.2 tcp 4 2000000
flow 10.8.0.2 udp 200 9000
flow 10.8.0.2 gso 5 1400
flow fd00::2 tcp 1 1000000
flow fd00::2 gso 3 1200
# Both directions have been long frames, and more than one pair was used.
guest "nic stats n0 >/tmp/s; [ \$(grep -c '^rx._packets' /tmp/s) -gt 1 ] && [ \$(grep -c '^tx._packets' /tmp/s) -gt 1 ]"

# The interface segments and sums, or the driver; then nobody leaves it to the other.
for n in n0 n1; do guest "nic offloads $n off"; done
flow 10.8.0.2 tcp 2 1000000
flow 10.8.0.2 gso 3 1400
for n in a b; do inside $n "nic offloads e0 off"; done
flow 10.8.0.2 tcp 2 1000000
flow fd00::2 udp 50 3000
for n in n0 n1; do guest "nic offloads $n on; ip link set $n mtu 9000"; done
for n in a b; do inside $n "nic offloads e0 on; ip link set e0 mtu 9000"; done
flow 10.8.0.2 tcp 2 2000000
flow 10.8.0.2 udp 100 60000
guest "! ip link set n0 mtu 9001 2>/dev/null"

# Nothing was lost but what a bridge floods and a driver does not want.
guest "! { nic stats n0; nic stats n1; } | grep drop | grep -vE 'drop_(${may_drop:-filter})'"
for i in 0 1 8; do guest "vdpa dev vstats show n0 qidx $i"; done
guest "vdpa -jp dev config show n0"
for n in n0 n1; do guest "vdpa dev del $n; ! [ -e /sys/class/net/$n ]"; done
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
