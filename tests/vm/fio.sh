#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The disk over vhost-user under fio, which nobody here wrote: random writes of several sizes by two
# jobs, each block with a checksum, verified. FIO_PACKED=off: with split rings.
. "$(dirname "$0")/fio_cases"

make_disk 32
start_backend --num-queues=2
start_guest "num-queues=2,packed=${FIO_PACKED:-on}"
run_fio vda
same_checksum
stop_guest
stop_backend
