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

struct out_opts {
	int fd;
	size_t size;	      /* of the buffer, bytes */
	const char *lost_fmt; /* the line that tells of lost ones, with one %llu */
	void (*failed)(void *arg); /* once, in the writing thread: nothing is written any more */
	void *arg;
};

/* 0 or -errno. */
int out_open(struct out **o, const struct out_opts *opts);
/* A whole line, or several that belong together. */
void out_line(struct out *o, const char *text, size_t len);
/* Waits for as long as the reader reads, until half of the buffer is free: for the last lines. */
void out_make_room(struct out *o);
uint64_t out_lost(struct out *o);
/* 0, or -errno of the write that failed. */
int out_error(struct out *o);
/* Waits for as long as the reader reads; 0: all of it was written; -ETIMEDOUT: not all. */
int out_close(struct out *o);

#endif
