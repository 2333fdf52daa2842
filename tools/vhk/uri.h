/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How the command line names a back end, or a device of the kernel's.
 */
#ifndef VHK_TOOL_URI_H
#define VHK_TOOL_URI_H

#include <stdbool.h>

/* Looks like a URI, right or wrong; anything else is a file. */
bool uri_is(const char *text);
/* A vhost-user socket: 0, or an exit code after saying what is wrong with it. */
int uri_check(const char *text);
/* The same for whatever vhk_ctl_open() takes: the kernel's devices, too. */
int uri_check_door(const char *text);
/* Says why vhk_ctl_open() failed with @ret; an exit code. */
int uri_say_closed(const char *text, int ret);

#endif
