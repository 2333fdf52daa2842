#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 3600
#
# Memory that runs out, in the kernel that checks itself: for every call of ours, for adding and
# deleting devices, and for a driver that sets one off, each allocation fails once; for loading the
# module with the calls, a sample. Then the workers of a disk get none, every now and then. Failures have an errno that
# says so, nothing is left of them, and what was written before is there after. (The limit is that
# of a machine that has to build this kernel first.)
VHOST_KERNEL=debug
. "$(dirname "$0")/kmod_cases"

bad_lines=${bad_lines/|I\/O error/}
add='vdpa dev add name d0 mgmtdev vhostkit_blk'

start_module_guest debug
guest "mount -t debugfs none /sys/kernel/debug; cd /sys/kernel/debug; \
for f in failslab fail_page_alloc; do echo 0 >\$f/verbose; echo N >\$f/ignore-gfp-wait; done; \
echo 0 >fail_page_alloc/min-order; echo N >fail_page_alloc/ignore-gfp-highmem"
guest "modprobe loop; truncate -s 16M /tmp/d0.img; truncate -s 1M /tmp/l0; losetup /dev/loop0 /tmp/l0"

# Not so of the other module: the kernel warns where it has no memory for a module's tracepoints.
guest "nth load /lib/modules/\$(uname -r)/updates/vhostkit.ko && modprobe vhostkit"
guest "nth calls /tmp/d0.img /dev/loop0"
guest "modprobe vhostkit_vdpa; disks add d0 /tmp/d0.img queues=2"
guest "nth add d0 vhostkit_blk && nth add n0 vhostkit_net"
guest "modprobe vhost_vdpa; $add; n=0; until [ -c /dev/vhost-vdpa-0 ] || [ \$n = 100 ]; do usleep 50000; \
n=\$((n+1)); done"
guest "nth drive /dev/vhost-vdpa-0 && vdpa dev del d0 && rmmod vhost_vdpa"

# What a disk's workers ask for fails, in part. Requests of many pieces need some: of what is set aside
# for one of them each try to have it in one piece fails, and in part those in many. That is kept, so
# that no request need fail for it.
guest "modprobe virtio_vdpa; $add; verify fill /dev/vda 5"
guest "for p in /proc/[0-9]*; do ! grep -q '^vhk-d0' \$p/comm || echo 1 >\$p/make-it-fail; done; \
cd /sys/kernel/debug; echo 1 >fail_page_alloc/min-order; for f in fail_page_alloc failslab; do \
echo Y >\$f/task-filter; echo 9999 >\$f/times; echo 1 >\$f/interval; done; \
echo 100 >fail_page_alloc/probability; echo 30 >failslab/probability"
guest "n=0; while [ \$n -lt 80 ]; do dd if=/dev/vda of=/dev/null bs=128k count=1 skip=\$n iflag=direct; \
n=\$((n+1)); done 2>/dev/null; cd /sys/kernel/debug; echo 0 >failslab/probability; echo 0 >fail_page_alloc/probability"
# Some of it failed: of either so many were to be had.
guest "cd /sys/kernel/debug; [ \$(cat failslab/times) -lt 9999 ] && [ \$(cat fail_page_alloc/times) -lt 9999 ]"
guest "echo 3 >/proc/sys/vm/drop_caches; verify check /dev/vda 5; verify load /dev/vda 2 4"
del_disk d0
guest "losetup -d /dev/loop0; rmmod vhostkit_vdpa vhostkit"
stop_guest
