#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# A VDUSE disk behind /dev/vhost-vdpa-0, used by a driver of our own in both layouts of the ring; its
# memory is the driver's own, mapped and unmapped by it. While the node is open the device stays.
. "$(dirname "$0")/vduse_cases"

start_vduse_guest vhost_vdpa
start_server d0 "--num-queues=1"
until_guest 30 "[ -c /dev/vhost-vdpa-0 ]"
for layout in split packed split; do
	guest -t 120 "vdpa_driver load /dev/vhost-vdpa-0 $layout $RANDOM"
done
stop_server d0
guest "[ ! -e /dev/vhost-vdpa-0 ]"

start_server d0 "--num-queues=1"
until_guest 30 "[ -c /dev/vhost-vdpa-0 ]"
guest "sleep 1000 </dev/vhost-vdpa-0 & echo \$! >/tmp/holder.pid"
until_guest 30 "ls -l /proc/\$(cat /tmp/holder.pid)/fd/0 | grep vhost-vdpa-0"
guest "kill -TERM \$(cat /tmp/d0.pid)"
until_guest 30 "! kill -0 \$(cat /tmp/d0.pid) 2>/dev/null"
guest "grep 'd0: stays attached: somebody has it open' /tmp/d0.log && rm /tmp/d0.log"
guest "[ -c /dev/vhost-vdpa-0 ]"
start_server d0 "--num-queues=1"
until_guest 30 "[ -e /tmp/d0.log ]"
guest "kill \$(cat /tmp/holder.pid)"
until_guest 30 "! kill -0 \$(cat /tmp/holder.pid) 2>/dev/null"
guest -t 120 "vdpa_driver load /dev/vhost-vdpa-0 packed 9"
stop_server d0
stop_guest
