#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 200 + 20 * ${VM_KILLS:-20}
#
# The back end is killed again and again under load, split ring.
. "$(dirname "$0")/cases"

kill_case ""
