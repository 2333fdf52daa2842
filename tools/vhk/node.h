/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Who may open /dev/vhost-vdpa-N.
 */
#ifndef VHK_TOOL_NODE_H
#define VHK_TOOL_NODE_H

#include "vdpa.h"

/* Texts can be used: 0, or an exit code after saying why not. Either may be NULL. */
int node_check(const char *owner, const char *mode);
/* Sets them. NULL: left as it is. 0 or an exit code. */
int node_permit(const char *name, const char *owner, const char *mode);
/* vhk vdpa permit: as the record of the device says, or the default. */
int vdpa_permit(struct vdpa_cli *c, int argc, char **argv);

#endif
