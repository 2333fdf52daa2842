#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The kernel's vhost-vsock, driven by the library: connections both ways, and the example.
needs_backend=0
. "$(dirname "$0")/machine"

start_plain_guest "$VHOST_KERNEL"
guest "modprobe vhost_vsock"
guest -t 120 "kern_vsock"
guest "vsock_echo 30 99 & vsock_host say 30 99 hello >/tmp/said && wait"
guest_says hello "cat /tmp/said"
guest "vsock_host answer 98 'good day' >/tmp/heard & \
until vsock_echo 31 98 hello >/tmp/said 2>/dev/null; do usleep 50000; done; wait"
guest_says "hello good day" 'echo $(cat /tmp/heard /tmp/said)'
stop_guest
