#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The multiplexer of notifications with everything at once: kicks, binding, calls, forks, SIGKILL,
# files and rings that end, in the newer kernel and under its eyes.
needs_backend=0
. "$(dirname "$0")/machine"

start_module_guest "${NOTIFY_KERNEL:-$VHOST_KERNEL}"
guest "modprobe vhostkit"
guest -t 120 "notify_stress ${STRESS_SECONDS:-6}"
# Killed in the middle of it; what it had is given back, and the module can go.
guest -t 120 "notify_stress 60 & sleep 2; kill -9 \$!; wait"
guest -t 60 "n=0; until rmmod vhostkit 2>/dev/null; do n=\$((n+1)); [ \$n -lt 200 ] || exit 1; usleep 100000; done"
stop_guest
