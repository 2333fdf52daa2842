#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# One queue, split ring.
. "$(dirname "$0")/cases"

plain_case ""
