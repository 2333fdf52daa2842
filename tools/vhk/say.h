/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the tool says: one line about what went wrong, a bar while something takes long, JSON where
 * it was asked for; and how it reads numbers.
 */
#ifndef VHK_TOOL_SAY_H
#define VHK_TOOL_SAY_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <vhostkit/vhk.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2

/* "vhk: TEXT" on stderr. */
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, followed by what the code means, and by what the library said of it. EXIT_FAILED. */
int say_error(int ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What say_usage() hints at from here on. */
void say_usage_is(const char *command);
/* The same, followed by a hint at --help. Returns EXIT_USAGE. */
int say_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* getopt_long(), whose own lines begin as those of say() do. */
int say_getopt(int argc, char **argv, const char *letters, const struct option *options, int *at);

/* Keeps the first line that the library says, for say_error(). */
struct vhk_log say_log(void);
/* What was said was dealt with. */
void say_forget(void);

/*
 * A number with an optional suffix (k, M, G, T: 1024 each); false: not one, or outside of [min,
 * max].
 */
bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out);
/* Seconds with fraction, as ns. */
bool parse_seconds(const char *text, uint64_t *ns);

struct progress {
	const char *what;
	uint64_t total; /* 0: unknown */
	uint64_t begun, shown;
	bool on, drawn;
};
void progress_begin(struct progress *p, const char *what, uint64_t total);
void progress_set(struct progress *p, uint64_t done);
void progress_end(struct progress *p);

enum json_style {
	JSON_LINES,   /* a value to a line */
	JSON_LINE,    /* all on one line */
	JSON_COMPACT, /* the same without spaces, as iproute2 prints it */
	JSON_PRETTY,  /* as iproute2 prints it with -p */
};

struct json {
	FILE *f;
	unsigned int depth;
	bool some; /* something stands before at this depth */
	enum json_style style;
};
void json_begin(struct json *j, FILE *f);
void json_begin_style(struct json *j, FILE *f, enum json_style style);
/* The same, on one line. */
void json_begin_line(struct json *j, FILE *f);
void json_end(struct json *j);
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_u64(struct json *j, const char *key, uint64_t v);
void json_real(struct json *j, const char *key, double v);
/* Seconds to the microsecond. */
void json_seconds(struct json *j, const char *key, uint64_t ns);
void json_bool(struct json *j, const char *key, bool v);
void json_text(struct json *j, const char *key, const char *v);

uint64_t now_ns(void);

#endif
