#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# Disks that come and go, also while they are busy, in
# the kernel that checks itself. The limit is that of a machine that has to build it first.
VHOST_KERNEL=debug ADDS=10
. "$(dirname "$0")/kmod_blk_teardown.sh"
