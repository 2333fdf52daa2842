#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# Two VDUSE disks in one process, used at once; a disk that is taken away under load, and one whose
# server ends and leaves it for the next.
. "$(dirname "$0")/vduse_cases"

# A disk that goes makes the requests on it fail.
bad_lines='WARNING:|BUG:|Oops|Kernel panic|KASAN|general protection|blocked for more than|init: '

start_vduse_guest virtio_vdpa
guest "truncate -s 16M /tmp/d0.img; truncate -s 16M /tmp/d1.img"
guest "two_disks d0 /tmp/d0.img d1 /tmp/d1.img >/tmp/d0.log 2>&1 & echo \$! >/tmp/d0.pid"
disk_appears vda
disk_appears vdb
guest "verify fill /dev/vda 3 & verify fill /dev/vdb 4; wait"
guest "verify check /dev/vda 3 & verify check /dev/vdb 4; wait"
guest "verify load /dev/vda 2 4 & verify load /dev/vdb 2 4; wait"
same_bytes vda /tmp/d0.img
same_bytes vdb /tmp/d1.img
stop_server d0
guest "[ ! -e /dev/vdb ] && [ ! -e /run/vhostkit/d1.inflight ]"

say "taken away under load"
start_server d0 ""
disk_appears vda
start_load 8 gone
requests() {
	try_guest 60 'set -- $(cat /sys/block/vda/stat); [ $(($1 + $5)) -gt 200 ]'
}
until_true 30 requests || fail "nothing moves"
stop_server d0
until_guest 30 '! kill -0 $(cat /tmp/load.pid) 2>/dev/null'
guest_load_says

say "left for the next server"
start_server d0 "--keep"
disk_appears vda
start_load 8
for _ in 1 2 3; do
	until_true 30 requests || fail "nothing moves"
	guest "kill -TERM \$(cat /tmp/d0.pid)"
	until_guest 30 "! kill -0 \$(cat /tmp/d0.pid) 2>/dev/null"
	start_server d0 "--keep"
done
stop_load
same_bytes vda /tmp/d0.img
guest "kill -TERM \$(cat /tmp/d0.pid)"
until_guest 30 "! kill -0 \$(cat /tmp/d0.pid) 2>/dev/null"
start_server d0 ""
guest "verify fill /dev/vda 5 && verify check /dev/vda 5"
stop_server d0
stop_guest
