#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 400
#
# Two guests and a tap on one switch: each reaches the others, files arrive whole, and a guest that is gone
# is missed by nobody.
needs_backend=0
. "$(dirname "$0")/machine"
# shellcheck source=tests/vm/net_cases
. "$(dirname "$0")/net_cases"

need_namespace
start_net "--socket-path=$T/b.sock" --tap=tap0
in_namespace ip addr add 10.9.8.1/24 dev tap0
in_namespace ip link set tap0 up
net_card a 01 1
boot_guest "" "${card[@]}"
first=$qemu_pid first_pipes=$pipes
pumps+=("$first")
guest_net 10.9.8.2
net_card b 02 1 packed=on
boot_guest "" "${card[@]}"
second=$qemu_pid second_pipes=$pipes
guest_net 10.9.8.3
guest "ping -c 3 -W 5 10.9.8.2 >/dev/null && ping -c 3 -W 5 10.9.8.1 >/dev/null"
# from the second guest to the first
guest "dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null"
try_guest 30 "sha256sum </tmp/data"
want=$answer
talk_to "$first" "$first_pipes"
guest "sleep 60 | nc -l -p 9000 >/tmp/data & sleep 1"
talk_to "$second" "$second_pipes"
guest "nc 10.9.8.2 9000 </tmp/data"
talk_to "$first" "$first_pipes"
guest_says "$want" "n=0; while [ \$(stat -c %s /tmp/data) -lt 2097152 ] && [ \$n -lt 100 ]; do usleep 100000; \
n=\$((n+1)); done; sha256sum </tmp/data"
file_to_host 10.9.8.1 2
talk_to "$second" "$second_pipes"
stop_guest
talk_to "$first" "$first_pipes"
file_to_guest 10.9.8.2 2
net_stats
stop_guest
stop_backend
