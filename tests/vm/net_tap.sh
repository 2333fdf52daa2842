#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 400
#
# A guest's network card on a tap with two queues: it pings the host, sends and receives files whole, with
# every offload, on both queues; and it goes on with a server that was started anew.
needs_backend=0
. "$(dirname "$0")/machine"
# shellcheck source=tests/vm/net_cases
. "$(dirname "$0")/net_cases"

need_namespace
start_net "--tap=tap0" --queue-pairs=2 --threads=2
in_namespace ip addr add 10.9.8.1/24 dev tap0
in_namespace ip link set tap0 up
net_card a 01 2 packed=on
boot_guest "" "${card[@]}"
guest_net 10.9.8.2
guest "ping -c 3 -W 5 10.9.8.1 >/dev/null"
guest_says 2 "ls -d /sys/class/net/eth0/queues/rx-* | wc -l"
file_to_host 10.9.8.1 4
file_to_guest 10.9.8.2 4
# one flow from each processor
guest "taskset 1 ping -c 3 -W 5 10.9.8.1 >/dev/null && taskset 2 ping -c 3 -W 5 10.9.8.1 >/dev/null"
net_stats
carried "queue 1" "queue 3"
no_drops
stop_guest
stop_backend
