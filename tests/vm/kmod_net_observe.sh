#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# What a network card shows of itself, and what an administrator can change: its address, the link,
# statistics of each queue, threads and where they run, tracepoints, debugfs; and what it refuses,
# in words.
. "$(dirname "$0")/kmod_net_cases"

# refused TEXT WORDS: exit code 1, and a line that has the text.
refused() {
	local text=$1
	shift
	! try_guest 30 "vhk vdpa $*" && [[ $answer == "vhk: "*"$text"* ]] && [[ $answer != *$'\n'* ]] ||
		fail "vhk vdpa $*: $answer; want $text"
}

# shows PATTERN FILE: some line of the file is so.
shows() {
	try_guest 30 "grep -qE '$1' $2" && return
	try_guest 30 "tail -20 $2"
	fail "$2 does not say $1: $answer"
}

# same_counts QUEUE NAME: each counter by vdpa and, where it is not 0, by ethtool.
same_counts() {
	local words
	try_guest 30 "vdpa dev vstats show n0 qidx $1" || fail "vstats of queue $1: $answer"
	read -r -d "" -a words <<<"$answer"
	[ ${#words[@]} -gt 8 ] || fail "vstats of queue $1: $answer"
	try_guest 30 "grep ^$2_ /tmp/nic"
	for ((i = 0; i < ${#words[@]} - 1; i++)); do
		case ${words[i]} in
		packets | bytes | drop_*)
			[ "${words[i + 1]}" = 0 ] || grep -qx "$2_${words[i]} ${words[i + 1]}" <<<"$answer" ||
				fail "queue $1: ${words[i]} ${words[i + 1]}; ethtool: $answer"
			;;
		esac
	done
}

add="dev add name n0 mgmtdev vhostkit_net"
start_net_guest
guest "mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/tracing"
refused "32 pairs of queues at most" "$add" max_vqp 33
refused "no address of one card" "$add" mac 01:00:00:00:00:01
refused "lacks VERSION_1 or ACCESS_PLATFORM" "$add" device_features 0x20
refused "does not have, or that need others" "$add" device_features 0x300420000
refused "does not have, or that need others" "$add" device_features 0x300000080
guest "vhk vdpa $add mac 02:00:00:00:00:10 max_vqp 2"
refused "vdpa: device not found" dev set name nobody mac 02:00:00:00:00:12
for mac in 01:00:00:00:00:12 ff:ff:ff:ff:ff:ff 00:00:00:00:00:00; do
	refused "Invalid MAC address" dev set name n0 mac $mac
done
guest "vhk vdpa dev config show n0 | grep -qi 'mac 02:00:00:00:00:10'"
guest "vhk vdpa dev set name n0 mac 02:00:00:00:00:12; vhk vdpa dev config show n0 | grep -qi 'mac 02:00:00:00:00:12'"

# A driver that is there keeps its address, and sees the link of the other end.
guest "echo 1 >/sys/kernel/tracing/events/vhostkit/enable; echo 1 >/sys/kernel/tracing/tracing_on"
guest "modprobe -a virtio_vdpa virtio_net; grep -q 02:00:00:00:00:12 /sys/class/net/$(driver_of n0)/address"
refused "a driver uses the device" dev set name n0 mac 02:00:00:00:00:13
make_spaces
connect n0 a 1 1500
guest "ip addr add 10.8.0.9/24 dev br0"
inside a "ping -c 3 -W 20 10.8.0.9 >/dev/null"
inside a "ip link show e0 | grep -q LOWER_UP"
guest "ip link set n0 down"
up="nsenter -t \$(cat /tmp/a) -n ip link show e0 | grep -q LOWER_UP"
soon "! $up" || fail "the driver does not see that the link is down"
guest "ip link set n0 up"
soon "$up" || fail "the driver does not see that the link is up"
inside a "ping -c 1 -W 20 10.8.0.9 >/dev/null"

# A thread for each pair, where the driver wants it: each processor has a pair.
guest_says 1 "cat /sys/class/net/n0/threaded"
inside a "nic channels e0 2"
threads="for p in /proc/[0-9]*; do ! grep -q '^napi/n0-' \$p/comm || \
sed -n 's/^Cpus_allowed_list:.//p' \$p/status; done"
guest_says "0 1" "($threads) 2>/dev/null | sort | xargs"
inside a "nic channels e0 1"
inside a "ping -c 1 -W 20 10.8.0.9 >/dev/null"

# All who count, count the same.
guest "echo 0 >/sys/kernel/tracing/tracing_on; nsenter -t \$(cat /tmp/a) -n ip link set e0 down; \
ip link set n0 down; nic stats n0 >/tmp/nic"
for queue in 0:tx0 1:rx0 2:tx1 3:rx1; do
	same_counts ${queue%:*} ${queue#*:}
done
sum='awk "/^$1 / { n += \$2 } END { print n }" /tmp/nic'
guest "grep -q '^tx0_packets [1-9]' /tmp/nic && grep -q '^rx0_packets [1-9]' /tmp/nic"
for both in rx_packets:rx._packets tx_packets:tx._packets rx_bytes:rx._bytes tx_bytes:tx._bytes; do
	guest "[ \$(cat /sys/class/net/n0/statistics/${both%:*}) = \$(set -- ${both#*:}; $sum) ]"
done
guest "vhk vdpa dev vstats show n0 | grep -q 'commands [1-9]'; vhk vdpa dev vstats show n0 | grep -q 'refused 0'"

trace=/sys/kernel/tracing/trace
shows 'vhk_kick: n0 queue 1' $trace
shows 'vhk_pop: n0 queue 1 id [0-9]+ descriptors [0-9]+ out 110 in 0$' $trace
shows 'vhk_complete: n0 queue 1 id [0-9]+ len 0' $trace
shows 'vhk_pop: n0 queue 0 id [0-9]+ descriptors 1 out 0 in [0-9]+$' $trace
shows 'vhk_complete: n0 queue 0 id [0-9]+ len 110' $trace
shows 'vhk_complete: n0 queue 4 id [0-9]+ len 1' $trace
shows 'vhk_call: n0 queue 0' $trace
shows 'vhk_reset: n0 status 0x0' $trace
for line in "ready 1" "state running" "layout packed" "event_idx 1" "error 0"; do
	guest "grep -qx '$line' /sys/kernel/debug/vhostkit/n0/queue1"
done
guest "brctl delif br0 n0; vdpa dev del n0; [ ! -e /sys/kernel/debug/vhostkit/n0 ]; kill \$(cat /tmp/a) \$(cat /tmp/b)"
guest "rmmod vhostkit_vdpa vhostkit"
stop_guest
