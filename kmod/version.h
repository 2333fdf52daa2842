/* SPDX-License-Identifier: GPL-2.0-only */
/* The version of the modules; equal to that of the package. */
#ifndef VHK_KMOD_VERSION_H
#define VHK_KMOD_VERSION_H

#define VHK_MODULE_VERSION "0.1.0"

#endif
