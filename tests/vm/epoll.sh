#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# The back end without io_uring: epoll and Linux AIO.
. "$(dirname "$0")/cases"

[ "$BACKEND" != qsd ] || skip "the other back end has no such option"
load_seconds=3 plain_case "" --no-io-uring
