#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# Behind an IOMMU, packed: every buffer is mapped for its request and unmapped at once. The ring takes
# more than a page, and its pages are not next to each other in the guest's memory.
. "$(dirname "$0")/cases"

iommu_case DMA packed=on,queue-size=1024
