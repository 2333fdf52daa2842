/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How the command line names a back end.
 */
#ifndef VHK_TOOL_URI_H
#define VHK_TOOL_URI_H

#include <stdbool.h>

/* Looks like a URI, right or wrong; anything else is a file. */
bool uri_is(const char *text);
/* 0, or an exit code after saying what is wrong with it. */
int uri_check(const char *text);

#endif
