#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# A disk whose backing fails, in the kernel that
# checks itself. The limit is that of a machine that has to build it first.
VHOST_KERNEL=debug
. "$(dirname "$0")/kmod_backing_fails.sh"
