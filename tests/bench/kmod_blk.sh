#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A disk of our module beside the kernel's own simulator of one (vdpa_sim_blk, use_va=0) and beside loop with
# direct I/O: in a virtual machine with Debian's 6.12 kernel whose clock counts instructions (-icount), so that
# what this machine is busy with does not matter. Random reads of 4 KiB, one processor, one queue, no scheduler;
# instructions per request in all, the driver included; runs that alternate, medians. Below stand a ramdisk
# (brd), a null_blk, which copies nothing, or a file on ext4 on a ramdisk. Writes build/bench/kmod_blk.json.
#
# Then, where this machine has four processors for it: nanoseconds per request of four jobs, on four virtual
# processors, on four queues of a disk and on one. Fewer count nothing of what queues do beside one another.
#
#   tests/bench/kmod_blk.sh [-n RUNS] [-c REQUESTS]
#
# shellcheck disable=SC2034,SC2154 # the files for virtual machines read and set
runs=3 count=20000
while getopts n:c: opt; do
	case $opt in
	n) runs=$OPTARG ;;
	c) count=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
. "$(dirname "$0")/../vm/kmod_cases"

simulators=1 guest_memory=768M further_programs=(losetup)
qemu_extra="-icount shift=0 -smp 1"

boot() {
	start_vdpa_guest
	guest "modprobe -a virtio_vdpa vhost_vdpa loop; modprobe brd rd_nr=2 rd_size=65536"
	guest "modprobe null_blk queue_mode=2"
	guest "modprobe vdpa_sim use_va=0; modprobe vdpa_sim_blk"
	# A ramdisk has no page where nothing was written.
	guest -t 120 "dd if=/dev/zero of=/dev/ram0 bs=1M count=64 2>/dev/null; mkdir /ext4; \
mke2fs -b 4096 /dev/ram1 >/dev/null; mount -t ext4 /dev/ram1 /ext4"
	guest "for f in a b; do dd if=/dev/zero of=/ext4/\$f bs=1M count=24 2>/dev/null; done; sync"
	guest "disks add ram /dev/ram0; disks add null /dev/nullb0; disks add ext4 /ext4/a"
	guest "for n in ram null ext4; do vdpa dev add name \$n mgmtdev vhostkit_blk; done"
	guest "vdpa dev add name sim mgmtdev vdpasim_blk"
	guest "echo none >/sys/block/nullb0/queue/scheduler"
}

# The node of a device, or its disk: bound NAME vhost|virtio, into $answer.
bound() {
	try_guest 60 "vhk vdpa bind $1 $2" || fail "bind $1 $2: $answer"
	case $2 in
	vhost) answer=$(grep -o '/dev/vhost-vdpa-[0-9]*' <<<"$answer") ;;
	virtio) answer=/dev/$(grep -o 'block [a-z]*' <<<"$answer" | cut -d' ' -f2) ;;
	esac
	local path=$answer
	guest "n=0; until [ -e $path ]; do n=\$((n+1)); [ \$n -lt 100 ] || exit 1; usleep 20000; done"
	[ "$2" = vhost ] || guest "echo none >/sys/block/${path#/dev/}/queue/scheduler"
	answer=$path
}

# rate WHAT ENGINE PATH DEPTH: one more line of the table of runs.
rate() {
	local n=$count
	[ "$4" -gt 1 ] || n=$((count / 4))
	try_guest 300 "disk_rate $2 $3 $4 $n" || fail "disk_rate $2 $3: $answer"
	echo "$1 $4 $answer" >>"$T/runs"
}

rate_device() {
	local depth
	bound "$1" "$2"
	local path=$answer engine=aio
	[ "$2" = virtio ] || engine=ring
	for depth in 32 1; do
		rate "$2.$1" $engine "$path" $depth
	done
}

rate_loop() {
	local depth
	guest "/bin/losetup --direct-io=on /dev/loop0 $2; [ \$(cat /sys/block/loop0/loop/dio) = 1 ]"
	guest "echo none >/sys/block/loop0/queue/scheduler"
	for depth in 32 1; do
		rate "loop.$1" aio /dev/loop0 $depth
	done
	guest "losetup -d /dev/loop0"
}

one_run() {
	local name depth
	for name in ram null ext4 sim; do
		rate_device $name vhost
		rate_device $name virtio
	done
	guest "vhk vdpa unbind ram; vhk vdpa unbind null"
	for depth in 32 1; do
		rate lower.null aio /dev/nullb0 $depth
		rate lower.ram aio /dev/ram0 $depth
		rate lower.ext4 aio /ext4/b $depth
	done
	rate_loop null /dev/nullb0
	rate_loop ram /dev/ram0
	rate_loop ext4 /ext4/b
}

# The median of the runs of: median WHAT DEPTH
median() {
	awk -v what="$1" -v depth="$2" '$1 == what && $2 == depth { print $3 }' "$T/runs" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# line TEXT DEPTH OURS PEER GOAL; a goal of - is none.
line() {
	awk -v goal="$5" -v o="$3" -v p="$4" -v text="$1" -v depth="$2" 'BEGIN {
		met = goal == "-" ? "" : o / p <= goal ? "met" : "missed"
		printf "%-58s %5d %7d %7d %6.2f %6s %s\n", text, depth, o, p, o / p, goal, met
	}'
	echo "$1;$2;$3;$4;$5" >>"$T/table"
}

against() {
	line "$1, beside $4" "$2" "$(median "$3" "$2")" "$(median "$5" "$2")" "$6"
}

# What loop adds to a device is what all of our way is beside.
adds() {
	line "vhost-vdpa, $1, beside what loop adds to it" "$3" "$(median "vhost.$2" "$3")" \
		"$(($(median "loop.$2" "$3") - $(median "lower.$2" "$3")))" "$4"
}

table() {
	printf '%-58s %5s %7s %7s %6s %6s\n' "instructions per request" depth ours peer times goal
	against "vhost-vdpa, ramdisk" 32 vhost.ram vdpa_sim_blk vhost.sim 0.40
	against "vhost-vdpa, null_blk" 32 vhost.null vdpa_sim_blk vhost.sim 0.50
	against "vhost-vdpa, ext4 file" 32 vhost.ext4 vdpa_sim_blk vhost.sim -
	adds null_blk null 32 0.80
	adds ramdisk ram 32 -
	against "virtio-vdpa, null_blk" 32 virtio.null loop loop.null 1.10
	against "virtio-vdpa, ramdisk" 32 virtio.ram loop loop.ram 1.10
	against "virtio-vdpa, ext4 file" 32 virtio.ext4 loop loop.ext4 1.15
	# At least 1.3 the other way round.
	against "virtio-vdpa, ramdisk" 32 virtio.ram vdpa_sim_blk virtio.sim 0.77
	against "vhost-vdpa, ramdisk" 1 vhost.ram vdpa_sim_blk vhost.sim -
	against "vhost-vdpa, null_blk" 1 vhost.null vdpa_sim_blk vhost.sim -
	against "virtio-vdpa, null_blk" 1 virtio.null loop loop.null 1.02
	against "virtio-vdpa, ramdisk" 1 virtio.ram loop loop.ram 1.02
	against "virtio-vdpa, ext4 file" 1 virtio.ext4 loop loop.ext4 -
	against "virtio-vdpa, ramdisk" 1 virtio.ram vdpa_sim_blk virtio.sim -
}

# Disks on a null_blk of four queues, by Linux AIO through virtio-vdpa: start_queues WORDS_FOR_QEMU
start_queues() {
	qemu_extra=$1
	start_vdpa_guest
	guest "modprobe virtio_vdpa; modprobe null_blk queue_mode=2 submit_queues=4 nr_devices=2"
	guest "disks add one /dev/nullb0 queues=1; disks add four /dev/nullb1 queues=4"
	local name
	for name in one four; do
		guest "vdpa dev add name $name mgmtdev vhostkit_blk"
		bound $name virtio
		queues[$name]=$answer
	done
	guest "echo none >/sys/block/nullb0/queue/scheduler; echo none >/sys/block/nullb1/queue/scheduler"
}

# rate_jobs NAME: what a request of four jobs takes, into $answer.
rate_jobs() {
	try_guest 300 "disk_rate aio ${queues[$1]} 32 $((count / 4)) 4" || fail "disk_rate, $1: $answer"
}

declare -A queues
compare_queues() {
	local four shared cores
	simulators="" further_programs=()
	cores=$(nproc)
	if [ "$cores" -lt 4 ]; then
		echo "four queues on four processors at least 3 times as fast as one: skipped: $cores cores"
		return
	fi
	start_queues "-smp 4"
	rate_jobs one
	shared=$answer
	rate_jobs four
	four=$answer
	stop_guest
	# As times the time of one queue, so that the most that ours may be is a third.
	line "virtio-vdpa, null_blk, 4 jobs, ns: 4 queues beside 1" 32 "$four" "$shared" 0.333
}

boot
for ((run = 0; run < runs; run++)); do
	one_run
done
stop_guest
echo "Disk of the module, medians of $runs runs; a goal is the most that ours may be as times its peer"
table
compare_queues
mkdir -p "$top/build/bench"
awk -F';' 'BEGIN { printf "{\n  \"cells\": [" }
	{ printf "%s\n    { \"what\": \"%s\", \"depth\": %d, \"instructions\": %d,", (NR == 1 ? "" : ","), $1, $2, $3
	printf " \"peer_instructions\": %d, \"times\": %.3f, \"goal\": %s }", $4, $3 / $4, $5 == "-" ? "null" : $5 }
	END { printf "\n  ]\n}\n" }' "$T/table" >"$top/build/bench/kmod_blk.json"
