/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What is remembered of a device: a file NAME.conf with a word and its value to a line, as they are
 * given to vhk disk add or vhk vdpa dev add. Those under /etc come back after a reboot, those under
 * /run do not.
 */
#ifndef VHK_TOOL_RECORD_H
#define VHK_TOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define RECORD_KEPT "/etc/vhostkit/devices"
#define RECORD_RUN "/run/vhostkit/devices"
#define RECORD_WORDS 32

/* Values are "" where a line has the word alone. */
struct record {
	char name[64];
	unsigned int n;
	char *key[RECORD_WORDS], *value[RECORD_WORDS];
	char text[4096];
};

/* 0 or -errno; -EINVAL: too long, or not text. */
int record_read(struct record *r, const char *dir, const char *name);
/* The same, from under /run or, where there is none, /etc. */
int record_find(struct record *r, const char *name);
/* NULL: there is no such word. */
const char *record_get(const struct record *r, const char *key);

/* A record that is written: whole or not at all. */
struct record_file {
	FILE *f;
	char path[512], tmp[520];
};
int record_begin(struct record_file *w, const char *dir, const char *name);
void record_put(struct record_file *w, const char *key, const char *value);
int record_end(struct record_file *w);
/* 0, also where there is none. */
int record_del(const char *dir, const char *name);
/* Calls @fn with each name of a folder, in order. 0; what it said last but 0; -errno. */
int record_each(const char *dir, int (*fn)(const char *dir, const char *name));

#endif
