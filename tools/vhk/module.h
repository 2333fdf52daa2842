/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Modules of the kernel.
 */
#ifndef VHK_TOOL_MODULE_H
#define VHK_TOOL_MODULE_H

/* Loads it by modprobe(8): 0, also where it was loaded; -ENOENT: it cannot be. */
int module_load(const char *name);

#endif
