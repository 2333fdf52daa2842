/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a command of vhk prints that is called as a function: its standard output and error.
 */
#ifndef VHK_TESTS_T_SAID_H
#define VHK_TESTS_T_SAID_H

#include <fcntl.h>
#include <unistd.h>

#include "t.h"

static char out_text[8192], err_text[1024];

static inline const char *t_said_path(int fd)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/%s", t_dir(), fd == 1 ? "out" : "err");
	return path;
}

static inline int t_said_redirect(int fd)
{
	int kept = dup(fd), to;

	to = open(t_said_path(fd), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	T_MUST(kept >= 0 && to >= 0 && dup2(to, fd) == fd);
	close(to);
	return kept;
}

static inline void t_said_restore(int fd, int kept, char *text, size_t size)
{
	FILE *f;

	T_MUST(dup2(kept, fd) == fd);
	close(kept);
	f = fopen(t_said_path(fd), "re");
	T_MUST(f);
	text[fread(text, 1, size - 1, f)] = 0;
	fclose(f);
}

/* @fn with these arguments; what it returns. It printed out_text and err_text. */
static inline int t_said(int (*fn)(int argc, char **argv), int argc, char **argv)
{
	int out, err, ret;

	fflush(stdout);
	out = t_said_redirect(1);
	err = t_said_redirect(2);
	ret = fn(argc, argv);
	fflush(stdout);
	t_said_restore(1, out, out_text, sizeof(out_text));
	t_said_restore(2, err, err_text, sizeof(err_text));
	return ret;
}

#endif
