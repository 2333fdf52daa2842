/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Lines on their way to a reader who may be slow, or stop: a bounded buffer, and a thread that
 * writes, so that who makes the lines never waits. Lines that do not fit are lost, counted, and
 * told of where they are missing.
 */
#ifndef VHK_TOOL_TRACE_OUT_H
#define VHK_TOOL_TRACE_OUT_H

#include <stddef.h>
#include <stdint.h>

struct out;

/* @lost_fmt: the line that tells of lost ones, with one %llu. 0 or -errno. */
int out_open(struct out **o, int fd, size_t size, const char *lost_fmt);
/* A whole line, or several that belong together. */
void out_line(struct out *o, const char *text, size_t len);
uint64_t out_lost(struct out *o);
/* 0, or -errno of the write that failed: nothing is written any more. */
int out_error(struct out *o);
/* Waits for as long as the reader reads; 0: all of it was written. -ETIMEDOUT: not all. */
int out_close(struct out *o);

#endif
