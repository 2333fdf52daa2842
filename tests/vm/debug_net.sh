#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# Two network cards in a bridge, in
# the kernel that checks itself. The limit is that of a machine that has to build it first.
VHOST_KERNEL=debug
# Its driver takes so long to give new buffers at times that it is not waited for.
may_drop="filter|stall"
. "$(dirname "$0")/kmod_net.sh"
