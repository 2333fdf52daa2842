#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# Network cards that come and go, also while they are busy, in the kernel that
# checks itself. The limit is that of a machine that has to build it first.
VHOST_KERNEL=debug ADDS=5
. "$(dirname "$0")/kmod_net_teardown.sh"
