#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# The multiplexer of notifications with everything at once, in
# the kernel that checks itself. The limit is that of a machine that has to build it first.
VHOST_KERNEL=debug NOTIFY_KERNEL=debug STRESS_SECONDS=4
. "$(dirname "$0")/kmod_notify_stress.sh"
