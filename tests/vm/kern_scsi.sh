#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The kernel's vhost-scsi on a target of configfs with a file for a disk, driven by the library; the
# example; and what it and its sisters refuse.
needs_backend=0
. "$(dirname "$0")/machine"

target=/sys/kernel/config/target
disk_folder=$target/core/fileio_0/disk
group=$target/vhost/naa.5001405000000001/tpgt_1
start_plain_guest "$VHOST_KERNEL"
guest "modprobe vhost_scsi && modprobe target_core_file && mount -t configfs none /sys/kernel/config"
guest "truncate -s 8M /tmp/lun; mkdir -p $disk_folder"
guest "echo fd_dev_name=/tmp/lun,fd_dev_size=8388608 >$disk_folder/control && echo 1 >$disk_folder/enable"
guest "mkdir -p $group && echo naa.5001405000000002 >$group/nexus"
guest "mkdir $group/lun/lun_0 && ln -s $disk_folder $group/lun/lun_0/disk"
guest -t 120 "kern_scsi"
guest "dd if=/tmp/lun bs=512 skip=16383 count=1 of=/tmp/want 2>/dev/null"
guest "scsi_read naa.5001405000000001 16383 >/tmp/got 2>/tmp/who && cmp /tmp/got /tmp/want"
guest "grep '^LIO-ORG FILEIO' /tmp/who"
guest "! scsi_read naa.5001405000000001 16384 2>/dev/null >/dev/null"
guest "! scsi_read naa.5001405000000009 0 2>/dev/null >/dev/null"
guest "modprobe vhost_net && modprobe vhost_vsock && kern_refuse"
guest "rm $group/lun/lun_0/disk && rmdir $group/lun/lun_0 && echo NULL >$group/nexus && rmdir $group"
guest "rmdir ${group%/*} $target/vhost $disk_folder ${disk_folder%/*} && rmmod vhost_scsi target_core_file"
stop_guest
