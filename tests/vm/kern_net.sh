#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The kernel's vhost-net and a tap, driven by the library: streams both ways with every offload, and
# the example.
needs_backend=0
. "$(dirname "$0")/machine"

start_plain_guest "$VHOST_KERNEL"
guest "modprobe vhost_net"
guest -t 120 "kern_net"
guest "tunctl -t tap7 >/dev/null; ip addr add 10.9.7.1/24 dev tap7; ip link set tap7 up"
guest_says "10.9.7.1 answers" "net_ping tap7 10.9.7.1 10.9.7.2"
guest "tunctl -d tap7 >/dev/null; rmmod vhost_net"
stop_guest
