#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# Behind an IOMMU, split, two queues: buffers are unmapped by and by, all at once; the rings' own
# translations go with them, and the rings start again. Their pages are scattered: see iommu_strict.
. "$(dirname "$0")/cases"

iommu_case DMA-FQ num-queues=2,queue-size=512 --num-queues=2
