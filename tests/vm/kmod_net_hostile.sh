#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A hostile driver of a network card: frames, buffers and rings that cannot be, descriptors that
# change while they are read, memory that goes away under load. The card can be used again each
# time, and says what was wrong by its counters.
. "$(dirname "$0")/kmod_net_cases"

start_net_guest vhost_vdpa
guest "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"
guest "vdpa dev add name n0 mgmtdev vhostkit_net mac 02:00:00:00:00:10; ip link set n0 up"
soon "[ -c /dev/vhost-vdpa-0 ]" || fail "no node"
for layout in split packed; do
	guest -t 120 "net_hostile frames /dev/vhost-vdpa-0 $layout"
	guest -t 120 "net_hostile changes /dev/vhost-vdpa-0 $layout"
done
guest "nic stats n0"
guest "vdpa dev del n0; rmmod vhostkit_vdpa vhostkit"
stop_guest
