// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Version, growable options and the one place where a log line is made.
 */
#include <stdio.h>

#include "base.h"

const char *vhk_version(void)
{
	return VHK_VERSION_STRING;
}

int vhk_opts_read(void *out, size_t size, const void *in)
{
	const unsigned char *bytes = in;
	size_t given, i;

	memset(out, 0, size);
	if (!in)
		return 0;
	memcpy(&given, in, sizeof(given));
	if (given < sizeof(given) || given > 4096)
		return -EINVAL;
	for (i = size; i < given; i++)
		if (bytes[i])
			return -EOPNOTSUPP;
	memcpy(out, in, vhk_min(given, size));
	return 0;
}

int vhk_out_check(const void *out)
{
	size_t given;

	memcpy(&given, out, sizeof(given));
	return given < sizeof(given) || given > 65536 ? -EINVAL : 0;
}

int vhk_out_write(void *out, const void *from, size_t size)
{
	size_t given;

	memcpy(&given, out, sizeof(given));
	if (vhk_out_check(out))
		return -EINVAL;
	memset(out, 0, given);
	memcpy(out, from, vhk_min(given, size));
	memcpy(out, &given, sizeof(given));
	return 0;
}

/* Names that others chose must not begin a line. */
static void keep_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void vhk_log(const struct vhk_log *log, enum vhk_log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!log->fn || level > log->level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	keep_one_line(text);
	log->fn(log->arg, level, text);
}
