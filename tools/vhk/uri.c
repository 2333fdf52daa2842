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

#define SOCKETS "unix:PATH, listen:PATH or fd:N"
#define DOORS "unix:PATH, listen:PATH, fd:N, vdpa:NAME or the path of a vhost device"

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

bool uri_is(const char *text)
{
	return starts(text, "unix:") || starts(text, "fd:") || starts(text, "listen:") ||
	       starts(text, "vdpa:") || starts(text, "/dev/vhost-");
}

/* What an inherited file is; 0: none is open by this number. */
static mode_t kind_of_fd(const char *number)
{
	struct stat st;

	return fstat(atoi(number), &st) ? 0 : st.st_mode & S_IFMT;
}

static int no_uri(const char *text, const char *known)
{
	return say_usage("not a URI: %s; one is %s", text, known);
}

static int check_fd(const char *text, const char *number, const char *known, bool device)
{
	mode_t kind;

	if (!*number || strlen(number) > 9 || number[strspn(number, "0123456789")])
		return no_uri(text, known);
	kind = kind_of_fd(number);
	if (kind == S_IFSOCK || (device && kind == S_IFCHR))
		return 0;
	return say_usage("%s: is no socket%s that vhk was given", text, device ? " or device" : "");
}

/* One that is not there may be a device whose module is not loaded: the library says which. */
static bool is_device_path(const char *text)
{
	struct stat st;

	if (text[0] != '/')
		return false;
	return stat(text, &st) ? uri_is(text) : S_ISCHR(st.st_mode);
}

static int check(const char *text, const char *known, bool device)
{
	const char *rest = strchr(text, ':');

	if (device && is_device_path(text))
		return 0;
	if (!uri_is(text) || !rest || !*++rest ||
	    (!device && (text[0] == '/' || starts(text, "vdpa:"))))
		return no_uri(text, known);
	return starts(text, "fd:") ? check_fd(text, rest, known, device) : 0;
}

/* A path to connect to where something else than a socket is. */
static bool is_no_socket(const char *text)
{
	struct stat st;

	return starts(text, "unix:") && !stat(text + strlen("unix:"), &st) && !S_ISSOCK(st.st_mode);
}

int uri_say_closed(const char *text, int ret)
{
	if (ret == -ECONNREFUSED && is_no_socket(text)) {
		say("%s: there is a file, and it is no socket", text);
		return EXIT_FAILED;
	}
	if (ret != -EINVAL || !starts(text, "fd:"))
		return say_error(ret, "%s", text);
	say("%s: is neither a socket nor a vhost device", text);
	return EXIT_FAILED;
}

int uri_check(const char *text)
{
	return check(text, SOCKETS, false);
}

int uri_check_door(const char *text)
{
	return check(text, DOORS, true);
}
