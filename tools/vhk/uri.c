// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Telling URIs from files, and right ones from wrong ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "say.h"
#include "uri.h"

bool uri_is(const char *text)
{
	return !strncmp(text, "unix:", 5) || !strncmp(text, "fd:", 3) ||
	       !strncmp(text, "listen:", 7);
}

static bool is_socket(const char *number)
{
	struct stat st;

	return !fstat(atoi(number), &st) && S_ISSOCK(st.st_mode);
}

int uri_check(const char *text)
{
	const char *rest = strchr(text, ':');

	if (!uri_is(text) || !*++rest)
		return say_usage("no URI: %s; it is unix:PATH, listen:PATH or fd:N", text);
	if (strncmp(text, "fd:", 3))
		return 0;
	if (strlen(rest) > 9 || rest[strspn(rest, "0123456789")])
		return say_usage("no URI: %s; it is unix:PATH, listen:PATH or fd:N", text);
	return is_socket(rest) ? 0 : say_usage("%s: is no socket that vhk was given", text);
}
