// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Translations that a device asks for, at any door: handed to the caller, or answered from the
 * memory that was set up, where an IOVA is a guest address.
 */
#include "ctl_impl.h"

static int find_region(const struct vhk_mem *m, uint64_t gpa, struct vhk_region *r)
{
	unsigned int i, n = m ? vhk_mem_count(m) : 0;

	for (i = 0; i < n; i++)
		if (!vhk_mem_get(m, i, r, NULL) && gpa - r->gpa.v < r->size)
			return 0;
	return -EFAULT;
}

static int own_address(const struct vhk_mem *m, const struct vhk_region *r, struct vhk_uva *out)
{
	struct iovec seg;

	if (vhk_mem_find(m, r->gpa, r->size, &seg, 1) != 1)
		return -EFAULT;
	out->v = (uintptr_t)seg.iov_base;
	return 0;
}

static void answered(struct vhk_ctl_req *r)
{
	struct vhk_ctl *c = r->arg;

	c->n_translations--;
	free(r);
}

static int answer(struct vhk_ctl *c, const struct vhk_iotlb_msg *m)
{
	struct vhk_region region;
	struct vhk_ctl_req *r;
	int ret = find_region(c->mem, m->iova.v, &region);

	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->op = VHK_CTL_IOTLB_MSG;
	r->fd = -1;
	r->done = answered;
	r->arg = c;
	r->iotlb = (struct vhk_iotlb_msg){ .iova = { region.gpa.v },
					   .size = region.size,
					   .uva = region.uva,
					   .perm = VHK_IOTLB_PERM_RW,
					   .type = VHK_IOTLB_UPDATE };
	/* regions are known by nothing else then (vhost-user, GPA_ADDRESSES) */
	if (vhk_ctl_protocol_features(c) & VHK_PF_GPA_ADDRESSES)
		r->iotlb.uva.v = region.gpa.v;
	if (c->ops->own_addresses)
		ret = own_address(c->mem, &region, &r->iotlb.uva);
	c->n_translations++;
	if (!ret)
		ret = vhk_ctl_submit(c, r);
	if (!ret)
		return 0;
	answered(r);
	return ret;
}

void vhk_ctl_iotlb_event(struct vhk_ctl *c, const struct vhk_iotlb_msg *m)
{
	int ret;

	if (c->opts.on_iotlb) {
		c->opts.on_iotlb(c->opts.arg, m);
		return;
	}
	ret = m->type == VHK_IOTLB_MISS ? answer(c, m) : -EFAULT;
	if (ret)
		vhk_log_rationed(&c->log, &c->lines, VHK_LOG_WARN,
				 "the device cannot reach 0x%llx: %s",
				 (unsigned long long)m->iova.v, strerror(-ret));
}
