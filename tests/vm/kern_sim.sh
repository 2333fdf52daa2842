#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# vDPA devices of a parent that is none of ours, the kernel's simulators: vhk vdpa beside iproute2's
# vdpa, devices of several parents by their names, a disk and a network card driven by the library;
# and what vhk ctl show says of these and of the kernel's other devices.
simulators=1
. "$(dirname "$0")/vdpa_tool_cases"
# shellcheck disable=SC2034 # machine reads it
guest_memory=512M

# shown URI WORD...: each is in what vhk ctl show says of it, and the JSON is one.
shown() {
	local uri=$1 word
	shift
	guest "vhk ctl show $uri >/tmp/show && vhk ctl show -j $uri >/tmp/json"
	for word in "$@"; do
		guest "grep -qF -- '$word' /tmp/show || { cat /tmp/show; exit 1; }"
	done
	try_guest 30 "cat /tmp/json"
	python3 -c 'import json, sys; json.load(sys.stdin)' <<<"$answer" || fail "$uri: no JSON: $answer"
}

start_vdpa_guest vhost_vdpa
guest "modprobe vdpa_sim_net && modprobe vdpa_sim_blk"
guest "truncate -s 8M /tmp/d0.img; disks add d0 /tmp/d0.img queues=2 entries=64"
guest "vhk vdpa dev add name s0 mgmtdev vdpasim_blk; vdpa dev add name d0 mgmtdev vhostkit_blk"
guest "vhk vdpa dev add name s1 mgmtdev vdpasim_net mac 02:07:07:07:09:01 mtu 1500"
guest "vdpa dev add name n0 mgmtdev vhostkit_net"
for words in "mgmtdev show" "mgmtdev show vdpasim_net" "dev show" "dev show s0" "dev config show" \
	"dev config show s1"; do
	same_as_vdpa "$words"
done
guest "! vhk vdpa dev vstats show s1 qidx 1 2>/tmp/no && grep 'feature negotiation not complete' /tmp/no"

# A driver that negotiates has statistics.
guest "modprobe virtio_net; vhk vdpa bind s1 virtio | grep '^s1: driver virtio_vdpa .* netdev '"
for words in "dev show s1" "dev config show s1" "dev vstats show s1 qidx 1"; do
	same_as_vdpa "$words"
done
guest "vhk vdpa bind s1 vhost"

# Four devices of four parents, each by its name.
shown vdpa:s0 "device 2 (blk)" "capacity 262144 sectors" "rings 1" "SUSPEND"
shown vdpa:d0 "device 2 (blk)" "capacity 16384 sectors" "34 RING_PACKED" "rings 2"
shown vdpa:s1 "device 1 (net)" "mac 02:07:07:07:09:01" "mtu 1500" "address spaces 2" "3 IOTLB_ASID" \
	"ring 2: group 1, no doorbell"
shown vdpa:n0 "device 1 (net)" "17 CTRL_VQ"
guest "for n in 0 1 2 3; do vhk ctl show -j /dev/vhost-vdpa-\$n | grep '\"device\"'; done"
guest "! vhk blk read vdpa:s1 /dev/null 2>/tmp/no && grep 'vdpa:s1: is no disk' /tmp/no"

guest "dd if=/dev/urandom of=/tmp/in bs=1M count=4 2>/dev/null; vhk blk write -q --offset 1M vdpa:s0 /tmp/in"
guest "vhk blk read -q --offset 1M --length 4M --depth 3 vdpa:s0 | cmp - /tmp/in"
guest "vhk blk copy -q --length 4M --offset 1M vdpa:s0 vdpa:d0 && \
dd if=/tmp/d0.img bs=1M skip=1 count=4 2>/dev/null | cmp - /tmp/in"
guest -t 120 "vhk blk bench -q --rw verify --count 3000 vdpa:s0 | head -1"
guest -t 120 "kern_vdpa use vdpa:s0"
guest -t 120 "kern_sim vdpa:s1"
guest "for n in s0 s1 n0 d0; do vhk vdpa dev del \$n || exit 1; done; disks del d0"
guest "rmmod vdpa_sim_blk vdpa_sim_net vdpa_sim vringh"

guest "modprobe vhost_net && modprobe vhost_vsock && modprobe vhost_scsi"
shown /dev/vhost-net "15 MRG_RXBUF" "1 IOTLB_MSG_V2" "rings 2" "NET_SET_BACKEND"
shown /dev/vhost-vsock "rings 2" "VSOCK_SET_GUEST_CID"
shown /dev/vhost-scsi "1 HOTPLUG" "ABI version" "SCSI_SET_ENDPOINT" "NEW_WORKER"
stop_guest
