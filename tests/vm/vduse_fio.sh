#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# A disk that vhk-blk serves through VDUSE to the kernel that it runs on, under fio: split rings.
fio_base=vduse_cases
. "$(dirname "$0")/fio_cases"

start_vduse_guest virtio_vdpa
start_server d0 "--no-packed --num-queues=2"
disk_appears vda
run_fio vda
same_bytes vda /tmp/d0.img
stop_server d0
stop_guest
