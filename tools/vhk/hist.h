/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A latency histogram: 16 buckets for each power of two, so that any quantile is known within 6 %.
 */
#ifndef VHK_TOOL_HIST_H
#define VHK_TOOL_HIST_H

#include "say.h"

#define HIST_SUB 16
#define HIST_BUCKETS (61 * HIST_SUB)

struct hist {
	uint64_t n, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
/* The value below which @q (0 to 1) of them lie, ns. */
uint64_t hist_quantile(const struct hist *h, double q);
/* One bar for each power of two that holds something. */
void hist_print(const struct hist *h, FILE *f);
void hist_json(const struct hist *h, struct json *j);

#endif
