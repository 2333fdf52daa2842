#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 200 + 15 * ${VM_UPGRADES:-10}
#
# Servers take over from one another under load, packed ring.
. "$(dirname "$0")/cases"

[ "$BACKEND" != qsd ] || skip "the other back end hands nothing over"
upgrade_case packed=on
