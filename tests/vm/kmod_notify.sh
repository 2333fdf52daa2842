#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The multiplexer of notifications in the kernel of Debian 12: what it does, what it refuses, and
# that nothing is left of it.
needs_backend=0
. "$(dirname "$0")/machine"

start_module_guest "${NOTIFY_KERNEL:-linux-image-amd64}"
guest "modprobe vhostkit"
guest -t 120 "notify_check"
guest "notify_refuse"
# Calls without it, in the oldest kernel that the library is for.
guest -t 120 "loop_call >/tmp/log || { grep -v ^ok /tmp/log; false; }"
# Nobody has a reference to anything any more.
guest "rmmod vhostkit && modprobe vhostkit && notify_refuse && rmmod vhostkit"
stop_guest
