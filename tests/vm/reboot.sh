#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The guest reboots twice: once in good order, once by force while requests are under way. The back
# end serves it on, and what was flushed before is there after.
. "$(dirname "$0")/machine"

may_reboot=1
make_disk 16
start_backend
start_guest
guest "verify fill /dev/vda 11"
echo "reboot -f" >&7
wait_ready
guest "verify check /dev/vda 11"
start_load 8
sleep 1
echo "echo b >/proc/sysrq-trigger" >&7
wait_ready
guest "verify fill /dev/vda 12"
guest "verify check /dev/vda 12"
same_checksum
stop_guest
stop_backend
