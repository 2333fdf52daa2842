/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What vhk trace prints: of each event a line, as text or as JSON, and the sums at the end.
 */
#ifndef VHK_TOOL_TRACE_SHOW_H
#define VHK_TOOL_TRACE_SHOW_H

#include <stdio.h>

#include <vhostkit/trace.h>

#include "features.h"
#include "hist.h"

#define SHOW_UNKNOWN 0 /* messages without a name are counted together */
#define SHOW_REQUESTS 64

/* Of one kind of message, on one channel. */
struct show_sum {
	uint64_t n, n_wrong, n_refused;
	struct hist latency;
};

struct show {
	FILE *f;
	const struct feature_device *device; /* NULL: unknown */
	bool color;
	uint64_t wall_ns; /* add to CLOCK_MONOTONIC for the time of day */
	uint64_t n_sessions, n_messages, n_wrong, n_raw, n_unanswered;
	struct show_sum sum[2][SHOW_REQUESTS];
};

void show_text_begin(struct show *s, uint64_t session, const char *front, const char *back);
void show_text_message(struct show *s, const struct vhk_trace_msg *m);
void show_text_raw(struct show *s, enum vhk_trace_side from, bool back_channel, const char *why);
void show_text_end(struct show *s, const struct vhk_trace_end *e);
void show_text_sum(struct show *s, uint64_t lost);

void show_json_begin(struct show *s, uint64_t session, const char *front, const char *back);
void show_json_message(struct show *s, const struct vhk_trace_msg *m);
void show_json_raw(struct show *s, uint64_t session, enum vhk_trace_side from, bool back_channel,
		   const char *why);
void show_json_end(struct show *s, const struct vhk_trace_end *e);
void show_json_sum(struct show *s, uint64_t lost);

/* Counts what the sums are made of. */
void show_count(struct show *s, const struct vhk_trace_msg *m);
/* Name of a row of the sums. */
const char *show_name(unsigned int request, bool back_channel);
const char *show_fd_kind(enum vhk_trace_fd_kind kind);
/* Name of a bit of a set; NULL: none. */
const char *show_bit(const struct show *s, enum vhk_trace_field_kind kind, unsigned int bit);

#endif
