#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The whole way with a back end under the address and undefined behaviour sanitizers, two queues,
# packed.
. "$(dirname "$0")/cases"

san=$top/build/san-address-undefined
[ -x "$san/bin/vhk-blk" ] || skip "no $san/bin/vhk-blk"
build=$san
load_seconds=4 plain_case packed=on,num-queues=2 --num-queues=2
