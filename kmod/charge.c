// SPDX-License-Identifier: GPL-2.0-only
#include <linux/blk-cgroup.h>
#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "charge.h"

static struct cgroup_subsys_state *own_blkcg(void)
{
#ifdef CONFIG_BLK_CGROUP
	return task_get_css(current, io_cgrp_id);
#else
	return NULL;
#endif
}

void vhk_charge_set(struct vhk_charge *c)
{
	vhk_charge_drop(c);
	c->blkcg = own_blkcg();
	c->memcg = get_mem_cgroup_from_mm(current->mm);
}

void vhk_charge_drop(struct vhk_charge *c)
{
	if (c->blkcg)
		css_put(c->blkcg);
	mem_cgroup_put(c->memcg);
	*c = (struct vhk_charge){ };
}

struct mem_cgroup *vhk_charge_begin(const struct vhk_charge *c)
{
	if (c->blkcg)
		kthread_associate_blkcg(c->blkcg);
	return set_active_memcg(c->memcg);
}

void vhk_charge_end(struct mem_cgroup *before)
{
	set_active_memcg(before);
	kthread_associate_blkcg(NULL);
}
