#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 1200
#
# The server of a VDUSE disk is killed again and again under a verified load and started anew, with
# either layout of the ring: the kernel's device stays, no request is lost, none that was answered is
# undone, and nobody sees an error. VM_KILLS says how often.
. "$(dirname "$0")/vduse_cases"

kills=${VM_KILLS:-20}

requests() {
	try_guest 60 'set -- $(cat /sys/block/vda/stat); echo $(($1 + $5))'
}

more_requests_than() {
	requests
	[ "$answer" -gt "$1" ]
}

kill_and_start() {
	guest "kill -KILL \$(cat /tmp/d0.pid)"
	start_server d0 "$1"
}

# kill_case TIMES OPTIONS
kill_case() {
	local n
	start_server d0 "$2"
	disk_appears vda
	start_load 16
	for ((n = 1; n <= $1; n++)); do
		requests
		until_true 30 more_requests_than "$answer" || fail "nothing moves after kill $((n - 1))"
		sleep "0.$((RANDOM % 5))$((RANDOM % 10))"
		kill_and_start "$2"
	done
	stop_load
	guest "verify fill /dev/vda 13"
	guest "verify check /dev/vda 13"
	same_bytes vda /tmp/d0.img
	# Who was killed keeps the image until he is gone, and the next one may say that he waits for it.
	guest "sed -i '/in use by another server: waiting/d' /tmp/d0.log"
	stop_server d0
	say "killed $1 times, options $2"
}

start_vduse_guest virtio_vdpa
kill_case $((kills - kills / 2)) ""
kill_case $((kills / 2)) --no-packed
stop_guest
