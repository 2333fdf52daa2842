/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The vDPA bus in sysfs, under roots that a test can put elsewhere.
 */
#ifndef VHK_LIB_VDPA_BUS_H
#define VHK_LIB_VDPA_BUS_H

#include <vhostkit/vdpa.h>

#include "base.h"

struct vhk_bus_root {
	const char *sys, *proc, *dev;
};

extern const struct vhk_bus_root vhk_bus_root; /* "/sys", "/proc", "/dev" */

/* What can be the name of a device or driver: one component of a path,
 * without control characters. */
bool vhk_bus_good_name(const char *name);

/* As the public functions without _at. */
int vhk_bus_place_at(const struct vhk_bus_root *r, const char *name, struct vhk_vdpa_place *p);
int vhk_bus_holders_at(const struct vhk_bus_root *r, const struct vhk_vdpa_place *p,
		       int (*fn)(void *arg, const struct vhk_vdpa_holder *h), void *arg);
int vhk_bus_is_open_at(const struct vhk_bus_root *r, const char *name);
int vhk_bus_bind_at(const struct vhk_bus_root *r, const char *name, const char *driver,
		    uint32_t flags);
int vhk_bus_unbind_at(const struct vhk_bus_root *r, const char *name, uint32_t flags);
int vhk_bus_autoprobe_at(const struct vhk_bus_root *r, int on);

#endif
