#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A network card behind vhost-vDPA, driven by the library in every layout of the ring; its commands,
# its link, what it counts, and a driver that gives no buffers.
. "$(dirname "$0")/kmod_net_cases"

start_net_guest vhost_vdpa
guest "vdpa dev add name n0 mgmtdev vhostkit_net mac 02:00:00:00:00:10"
soon "[ -c /dev/vhost-vdpa-0 ]" || fail "no node"
guest -t 120 "kern_vnic streams vdpa:n0"
guest -t 120 "kern_vnic commands vdpa:n0"
guest "vdpa dev del n0; vdpa dev add name n0 mgmtdev vhostkit_net max_vqp 2"
soon "[ -c /dev/vhost-vdpa-0 ]" || fail "no node"
guest "kern_vnic pairs vdpa:n0"
guest "vdpa dev del n0; rmmod vhostkit_vdpa vhostkit"
stop_guest
