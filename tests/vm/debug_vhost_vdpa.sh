#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# A disk behind vhost-vDPA, and a hostile driver, in
# the kernel that checks itself. The limit is that of a machine that has to build it first.
VHOST_KERNEL=debug ROUNDS=8
. "$(dirname "$0")/kmod_vhost_vdpa.sh"
