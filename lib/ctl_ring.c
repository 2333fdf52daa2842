// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a back end is told of a ring that is to start: size, position, where its parts are in terms
 * that it understands, and how it is notified.
 */
#include "ctl_impl.h"

/* The uva of @len bytes at @va, or what stands for it: -EFAULT where they do not lie in one region.
 */
static int find_uva(const struct vhk_ctl *c, const void *va, uint64_t len, struct vhk_uva *out)
{
	const struct vhk_mem *m = c->mem;
	unsigned int i, n = vhk_mem_count(m);
	struct vhk_region r;
	struct vhk_gpa gpa;
	int fd, ret;

	ret = vhk_mem_gpa(m, va, len, &gpa);
	if (!ret && (c->ops->offer(c)->protocol & VHK_PF_GPA_ADDRESSES)) {
		out->v = gpa.v;
		return 0;
	}
	for (i = 0; i < n && !ret; i++) {
		ret = vhk_mem_get(m, i, &r, &fd);
		if (!ret && gpa.v - r.gpa.v < r.size) {
			out->v = r.uva.v + (gpa.v - r.gpa.v);
			return 0;
		}
	}
	return ret ? ret : -EFAULT;
}

static int ask(struct vhk_ctl_job *j, enum vhk_ctl_op op, unsigned int idx, uint32_t num, int fd)
{
	struct vhk_ctl_req r = { .op = op, .fd = fd, .vring = { .index = idx, .num = num } };

	return vhk_ctl_job_ask(j, &r, NULL);
}

/* As if the device had asked for where it goes on, which it does not wait for. */
static void offer_used(struct vhk_ctl *c, uint64_t device)
{
	const struct vhk_iotlb_msg miss = {
		.iova = { device },
		.perm = VHK_IOTLB_PERM_WO,
		.type = VHK_IOTLB_MISS,
	};

	if (c->ops->reads_used)
		vhk_ctl_iotlb_event(c, &miss);
}

/* Behind an IOMMU: an IOVA is what the guest's address is. */
static int ask_iova(struct vhk_ctl_job *j, unsigned int idx, const struct vhk_vq_addr *a)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_VRING_ADDR_IOVA, .fd = -1 };
	const struct vhk_mem *m = j->c->mem;
	struct vhk_gpa desc, driver, device;
	int ret;

	ret = vhk_mem_gpa(m, a->desc, 16u * a->size, &desc);
	if (!ret)
		ret = vhk_mem_gpa(m, a->driver, 4, &driver);
	if (!ret)
		ret = vhk_mem_gpa(m, a->device, 4, &device);
	if (ret)
		return ret;
	r.addr_iova = (struct vhk_ctl_vring_addr_iova){ .index = idx,
							.desc = { desc.v },
							.driver = { driver.v },
							.device = { device.v } };
	ret = vhk_ctl_job_ask(j, &r, NULL);
	if (!ret)
		offer_used(j->c, device.v);
	return ret;
}

static int ask_own(struct vhk_ctl_job *j, unsigned int idx, const struct vhk_vq_addr *a)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_VRING_ADDR, .fd = -1 };

	r.addr = (struct vhk_ctl_vring_addr){ .index = idx,
					      .desc = { (uintptr_t)a->desc },
					      .driver = { (uintptr_t)a->driver },
					      .device = { (uintptr_t)a->device } };
	return vhk_ctl_job_ask(j, &r, NULL);
}

static int ask_addr(struct vhk_ctl_job *j, unsigned int idx, const struct vhk_vq_addr *a)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_VRING_ADDR, .fd = -1, .addr = { .index = idx } };
	int ret;

	if (vhk_ctl_can(j->c, VHK_CTL_SET_VRING_ADDR_IOVA))
		return ask_iova(j, idx, a);
	if (j->c->ops->own_addresses)
		return ask_own(j, idx, a);
	ret = find_uva(j->c, a->desc, 16u * a->size, &r.addr.desc);
	if (!ret)
		ret = find_uva(j->c, a->driver, 4, &r.addr.driver);
	if (!ret)
		ret = find_uva(j->c, a->device, 4, &r.addr.device);
	return ret ? ret : vhk_ctl_job_ask(j, &r, NULL);
}

static int ask_fds(struct vhk_ctl_job *j, unsigned int idx, const struct vhk_ctl_queue *q)
{
	int ret = ask(j, VHK_CTL_SET_VRING_CALL, idx, 0, q->call_fd);

	if (!ret)
		ret = ask(j, VHK_CTL_SET_VRING_ERR, idx, 0, q->err_fd);
	if (!ret)
		ret = ask(j, VHK_CTL_SET_VRING_KICK, idx, 0, q->kick_fd);
	return ret;
}

int vhk_ctl_ring_ask(struct vhk_ctl_job *j, unsigned int idx)
{
	struct vhk_ctl_queue *q = j->c->queue[idx];
	struct vhk_vq_addr a;
	int ret;

	ret = vhk_vq_addr(q->vq, &a);
	if (!ret)
		ret = ask(j, VHK_CTL_SET_VRING_NUM, idx, a.size, -1);
	if (!ret)
		ret = ask(j, VHK_CTL_SET_VRING_BASE, idx, a.base, -1);
	if (!ret)
		ret = ask_addr(j, idx, &a);
	if (!ret && vhk_ctl_can(j->c, VHK_CTL_VRING_KICK))
		ret = ask(j, VHK_CTL_VRING_KICK, idx, 0, -1);
	else if (!ret)
		ret = ask_fds(j, idx, q);
	q->told |= !ret;
	if (!ret && vhk_ctl_can(j->c, VHK_CTL_SET_VRING_ENABLE))
		ret = ask(j, VHK_CTL_SET_VRING_ENABLE, idx, 1, -1);
	return ret;
}
