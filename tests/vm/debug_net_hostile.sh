#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# A hostile driver of a network card, in the kernel that checks itself. The limit is that of a
# machine that has to build it first.
VHOST_KERNEL=debug
. "$(dirname "$0")/kmod_net_hostile.sh"
