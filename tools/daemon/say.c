// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Lines on stderr: whole ones, whichever thread they come from, and whatever names are in them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon.h"

static void put(const char *text)
{
	char line[600];
	int n = snprintf(line, sizeof(line), "%s: %s\n", say_name, text);
	int i;

	if (n >= (int)sizeof(line)) {
		n = (int)sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	for (i = 0; i < n - 1; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

void say(const char *fmt, ...)
{
	char text[560];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(text);
}

void say_log(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	put(text);
}
