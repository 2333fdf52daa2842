#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 300
#
# The multiplexer of notifications in the newer kernel of Debian 12.
export NOTIFY_KERNEL=linux-image-6.12-amd64
exec bash "$(dirname "$0")/kmod_notify.sh"
