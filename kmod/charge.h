/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom a device's work is charged to: the cgroup of whoever started it from a process, as loop
 * devices have it.
 */
#ifndef VHK_CHARGE_H
#define VHK_CHARGE_H

#include <linux/types.h>

struct cgroup_subsys_state;
struct mem_cgroup;

/* NULL: nobody in particular. */
struct vhk_charge {
	struct cgroup_subsys_state *blkcg;
	struct mem_cgroup *memcg;
};

/* The calling process, in place of what was there. */
void vhk_charge_set(struct vhk_charge *c);
void vhk_charge_drop(struct vhk_charge *c);
/* Around work of a thread of the kernel. */
struct mem_cgroup *vhk_charge_begin(const struct vhk_charge *c);
void vhk_charge_end(struct mem_cgroup *before);

#endif
