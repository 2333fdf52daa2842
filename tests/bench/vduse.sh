#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# A VDUSE disk, beside the vduse-blk export of qemu-storage-daemon: in a virtual machine with Debian's 6.12
# kernel, whose clock counts instructions (-icount), so that what a machine is busy with meanwhile does not
# matter. One processor, one queue, random requests of 4 KiB by virtio-vdpa, the same image on tmpfs and on
# ext4, runs that alternate, medians. Prints requests a second, and the server's own instructions per
# request: what the scheduler has for all of its threads, their system calls and those threads that io_uring
# makes for it included, the kernel's own workers, which raise the driver's interrupts, and the driver not.
# "most" is how many times the requests of the peer a server would have that took no time at all. The last line is
# what ext4 itself takes for a write, made by a program that does nothing else, as a part of the peer's
# instructions: no server that writes there has less. Writes build/bench/vduse.json.
#
# The processor has no fast string instructions, because the emulator counts each byte that one moves as an
# instruction: a copy of 4 KiB, one instruction of some hundred cycles, would be half of a request.
#
#   tests/bench/vduse.sh [-n RUNS] [-t SECONDS]
#
# shellcheck disable=SC2034,SC2154 # the files for virtual machines read and set
runs=3 seconds=0.5
while getopts n:t: opt; do
	case $opt in
	n) runs=$OPTARG ;;
	t) seconds=$OPTARG ;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
. "$(dirname "$0")/../vm/vduse_cases"
PATH=$PATH:/usr/sbin:/sbin

for program in qemu-storage-daemon vdpa; do
	command -v $program >/dev/null || skip "no $program"
done

# The peer and what it needs, behind the image of every test guest.
add_programs() {
	local root=$T/root program
	for program in qemu-storage-daemon vdpa; do
		install -D "$(command -v $program)" "$root/bin/$program"
		ldd "$(command -v $program)" | grep -o '/[^ ]*' | while read -r file; do
			[ -e "$root$file" ] || install -D "$file" "$root$file"
		done
	done
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$T/peer.cpio"
}

boot() {
	local kernel
	export VM_KERNEL=linux-image-6.12-amd64
	guest_memory=768M
	add_programs
	kernel=$("$here/kernel") || fail "no kernel"
	"$here/image" "$kernel" "$top/build/guest" "$T/base.cpio" || fail "no initramfs"
	cat "$T/base.cpio" "$T/peer.cpio" >"$T/all.cpio"
	qemu_extra="-cpu max,erms=off,fsrm=off -icount shift=0 -smp 1 -initrd $T/all.cpio"
	boot_guest ""
	guest "modprobe vduse; modprobe virtio_vdpa; modprobe brd rd_nr=1 rd_size=100000; mkdir -p /run /ext4"
	guest "mke2fs -b 4096 /dev/ram0 >/dev/null && mount -t ext4 /dev/ram0 /ext4"
	guest -t 300 "for d in /tmp /ext4; do dd if=/dev/urandom of=\$d/d.img bs=64k count=1024 2>/dev/null; done"
}

start_ours() {
	guest "vhk-blk --vduse=d0 --blk-file=$1/d.img --num-queues=1 $2 >/tmp/log 2>&1 & echo \$! >/tmp/pid"
}

start_peer() {
	guest "qemu-storage-daemon --blockdev driver=file,node-name=f,filename=$1/d.img,aio=io_uring,locking=off \
--export type=vduse-blk,id=e,node-name=f,name=d0,writable=on,num-queues=1 >/tmp/log 2>&1 & echo \$! >/tmp/pid"
	until_guest 60 "[ -e /dev/vduse/d0 ]"
	until_guest 60 "vdpa dev add name d0 mgmtdev vduse 2>/tmp/add"
}

stop_ours() {
	guest -t 120 "kill -TERM \$(cat /tmp/pid); while kill -0 \$(cat /tmp/pid) 2>/dev/null; do usleep 10000; done"
}

stop_peer() {
	guest -t 120 "vdpa dev del d0"
	stop_ours
}

median() {
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# measure WHO FOLDER: lines "FOLDER LOAD WHO REQUESTS NS"
measure() {
	local load
	if [ "$1" = peer ]; then
		try_guest 60 "io_rate $2/d.img pwrite 1 $seconds 1" || fail "io_rate: $answer"
		echo "$2 pwrite floor $answer" >>"$T/cells"
	fi
	"start_$1" "$2" ""
	until_guest 60 "[ -b /dev/vda ]"
	for load in "read 32" "read 1" "write 32"; do
		try_guest 300 "io_rate /dev/vda $load $seconds \$(cat /tmp/pid)" || fail "io_rate: $answer"
		echo "$2 ${load/ /-} $1 $answer" >>"$T/cells"
	done
	"stop_$1"
}

boot
for ((i = 0; i < runs; i++)); do
	for folder in /tmp /ext4; do
		for who in ours peer; do
			measure $who $folder
		done
	done
done
stop_guest

column() { # FOLDER LOAD WHO NUMBER
	awk -v f="$1" -v l="$2" -v w="$3" -v n="$4" '$1 == f && $2 == l && $3 == w { print $n }' "$T/cells" | median
}

mkdir -p "$top/build/bench"
echo "4 KiB requests on VDUSE, vhk-blk as times qemu-storage-daemon"
printf '%-8s %-10s %12s %12s %7s %6s %14s %14s %7s\n' medium load "requests/s" peer times most "instructions" peer times
for folder in /tmp /ext4; do
	for load in read-32 read-1 write-32; do
		a=$(column $folder $load ours 4) b=$(column $folder $load peer 4)
		c=$(column $folder $load ours 5) d=$(column $folder $load peer 5)
		echo "$folder $load $a $b $c $d"
	done
done | sed 's|^/tmp|tmpfs|; s|^/ext4|ext4|' | tee "$T/table" | awk '
	{ printf "%-8s %-10s %12d %12d %7.2f %6.2f %14d %14d %7.2f\n",
		$1, $2, $3, $4, $3 / $4, 1 / (1 / $3 - $5 / 1e9) / $4, $5, $6, $5 / $6 }'
floor=$(column /ext4 pwrite floor 5)
awk -v f="$floor" '$1 == "ext4" && $2 ~ /^write/ {
	printf "ext4: %d instructions for a write of its own: floor %.2f\n", f, f / $6 }' "$T/table"
awk 'BEGIN { printf "{\n  \"cells\": [" }
	{ printf "%s\n    { \"medium\": \"%s\", \"load\": \"%s\",", (NR == 1 ? "" : ","), $1, $2
	printf " \"requests_per_second\": %d, \"peer_requests_per_second\": %d,", $3, $4
	printf " \"instructions\": %d, \"peer_instructions\": %d,", $5, $6
	printf " \"times\": %.3f, \"instruction_times\": %.3f }", $3 / $4, $5 / $6 }
	END { printf "\n  ]\n}\n" }' "$T/table" >"$top/build/bench/vduse.json"
