/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Lines that the library logged in this thread, and a look for one of them.
 */
#ifndef VHK_TESTS_T_SAID_LINE_H
#define VHK_TESTS_T_SAID_LINE_H

#include <vhostkit/vhk.h>

#include "t.h"

static char t_lines[4096];

static inline void t_said_keep(void *arg, enum vhk_log_level level, const char *text)
{
	size_t n = strlen(t_lines);

	(void)arg;
	(void)level;
	snprintf(t_lines + n, sizeof(t_lines) - n, "%s\n", text);
}

static inline struct vhk_log t_said_log(void)
{
	return (struct vhk_log){ .fn = t_said_keep, .level = VHK_LOG_DEBUG };
}

static inline bool t_said_line(const char *part)
{
	bool yes = strstr(t_lines, part);

	if (!yes)
		printf("# not said: %s\n# but: %s", part, *t_lines ? t_lines : "nothing\n");
	t_lines[0] = 0;
	return yes;
}

/* Since the last look. */
#define T_SAID(part) T_OK(t_said_line(part))

#endif
