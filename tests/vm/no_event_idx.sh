#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# The driver may not use event indices: notifications are switched by flags, on both layouts.
. "$(dirname "$0")/cases"

load_seconds=3 plain_case event_idx=off,queue-size=128
