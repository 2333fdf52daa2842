#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# A disk on a file, with fewer layouts of the ring, in the kernel that checks itself. The limit is
# that of a machine that has to build it first.
VHOST_KERNEL=debug load_seconds=1
# Split and bare, then packed and durable with each write.
without=("-34 -29 -28" "-9 -11")
. "$(dirname "$0")/kmod_blk_file.sh"
