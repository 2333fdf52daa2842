#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# The same on a packed ring.
. "$(dirname "$0")/cases"

load_seconds=3 plain_case event_idx=off,packed=on,queue-size=64
