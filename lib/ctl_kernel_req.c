// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Requests to the kernel's doors: which of them there are, what is learnt from each, and what the
 * kernel's errors mean in the words of the front end.
 */
#include "ctl_kernel.h"
#include "map.h"

#define ENOTSUPP_KERNEL 524 /* has no name outside the kernel, and leaks from mmap of vhost-vDPA */

/* A look at the device that changes nothing, and what is lacking where it is refused. */
struct look {
	enum vhk_ctl_op ask, also[3];
};

static const struct look early[] = {
	{ VHK_CTL_GET_BACKEND_FEATURES, { VHK_CTL_SET_BACKEND_FEATURES } },
	{ VHK_CTL_GET_FORK_FROM_OWNER, { VHK_CTL_SET_FORK_FROM_OWNER } },
	{ VHK_CTL_GET_FEATURES_ARRAY, { VHK_CTL_SET_FEATURES_ARRAY } },
};

/* Only an owner may ask for these. */
static const struct look late[] = {
	{ VHK_CTL_GET_VRING_ENDIAN, { VHK_CTL_SET_VRING_ENDIAN } },
	{ VHK_CTL_GET_VRING_BUSYLOOP_TIMEOUT, { VHK_CTL_SET_VRING_BUSYLOOP_TIMEOUT } },
	{ VHK_CTL_GET_VRING_WORKER,
	  { VHK_CTL_ATTACH_VRING_WORKER, VHK_CTL_NEW_WORKER, VHK_CTL_FREE_WORKER } },
};

static const struct vhk_kern_row *row_of(const struct vhk_ctl_kernel *k, enum vhk_ctl_op op)
{
	return vhk_kern_row(op, 1u << k->kind);
}

static uint64_t row_bit(const struct vhk_kern_row *row)
{
	return row ? 1ull << vhk_kern_index(row) : 0;
}

/* An IOMMU stands between the device and the memory. */
static bool translates(const struct vhk_ctl_kernel *k)
{
	return k->kind == VHK_CTL_KIND_VDPA || (k->offer.features & VHK_F_ACCESS_PLATFORM);
}

bool vhk_ctl_kernel_can(const struct vhk_ctl_kernel *k, enum vhk_ctl_op op)
{
	const struct vhk_kern_row *row = row_of(k, op);

	if (!row || (k->absent & row_bit(row)))
		return false;
	switch (op) {
	case VHK_CTL_SET_VRING_ADDR:
		return !translates(k);
	case VHK_CTL_SET_VRING_ADDR_IOVA:
	case VHK_CTL_IOTLB_MSG:
		return translates(k);
	case VHK_CTL_SUSPEND:
		return k->backend_offered & VHK_BF_SUSPEND;
	case VHK_CTL_RESUME:
		return k->backend_offered & VHK_BF_RESUME;
	case VHK_CTL_SET_GROUP_ASID:
		return k->backend_offered & VHK_BF_IOTLB_ASID;
	case VHK_CTL_GET_VRING_DESC_GROUP:
		return k->backend_offered & VHK_BF_DESC_ASID;
	default:
		return true;
	}
}

static void lacks(struct vhk_ctl_kernel *k, const struct look *l)
{
	size_t i;

	k->absent |= row_bit(row_of(k, l->ask));
	for (i = 0; i < vhk_array_size(l->also); i++)
		k->absent |= row_bit(row_of(k, l->also[i]));
}

static bool sets_features(enum vhk_ctl_op op)
{
	return op == VHK_CTL_SET_FEATURES || op == VHK_CTL_SET_BACKEND_FEATURES ||
	       op == VHK_CTL_SET_FEATURES_ARRAY;
}

/* -ENODEV of these means what is named, not the device itself. */
static bool names_another(enum vhk_ctl_op op)
{
	return op == VHK_CTL_FREE_WORKER || op == VHK_CTL_ATTACH_VRING_WORKER ||
	       op == VHK_CTL_SCSI_SET_ENDPOINT || op == VHK_CTL_SCSI_CLEAR_ENDPOINT;
}

static int lost(struct vhk_ctl_kernel *k, enum vhk_ctl_op op)
{
	vhk_log(&k->c.log, VHK_LOG_WARN, "%s: the device is gone", vhk_ctl_op_name(op));
	k->c.ops->disconnect(&k->c, -ENOTCONN);
	return -ENOTCONN;
}

static int translate(struct vhk_ctl_kernel *k, const struct vhk_kern_row *row, int ret)
{
	switch (ret) {
	case -ENOTTY:
		k->absent |= row_bit(row);
		return -EOPNOTSUPP;
	case -EOPNOTSUPP:
	case -ENOTSUPP_KERNEL:
		if (sets_features(row->op))
			return -EINVAL;
		if (row->kinds == VHK_KERN_VDPA && row->answers)
			k->absent |= row_bit(row);
		return -EOPNOTSUPP;
	case -ENODEV:
	case -ENXIO:
		return names_another(row->op) ? -ENOENT : lost(k, row->op);
	case -EIO:
		return -EREMOTEIO;
	default:
		return ret;
	}
}

static int iotlb_send(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	if (m->type != VHK_IOTLB_UPDATE && m->type != VHK_IOTLB_INVALIDATE)
		return m->type > VHK_IOTLB_ACCESS_FAIL ? -EOPNOTSUPP : -EINVAL;
	if (m->asid || !m->size || !vhk_range_ok(m->iova.v, m->size) ||
	    !vhk_range_ok(m->uva.v, m->size))
		return -EINVAL;
	return vhk_kern_iotlb_send(k->fd, k->backend, m);
}

static int map_doorbell(struct vhk_ctl_kernel *k, struct vhk_ctl_req *r)
{
	int ret = vhk_map_doorbell(&r->va, k->fd, r->vring.index);

	/*
	 * A page that the ring shares with others, or that lies askew, is none that can be had;
	 * -ENODEV is what mmap(2) says of a file that cannot be mapped, not of a device that is
	 * gone.
	 */
	return ret == -EINVAL || ret == -ENODEV ? -EOPNOTSUPP : ret;
}

static int do_other(struct vhk_ctl_kernel *k, struct vhk_ctl_req *r)
{
	switch (r->op) {
	case VHK_CTL_IOTLB_MSG:
		return k->kind == VHK_CTL_KIND_VDPA ? vhk_ctl_vdpa_iotlb(k, &r->iotlb) :
						      iotlb_send(k, &r->iotlb);
	case VHK_CTL_SET_MEM_TABLE:
		return vhk_ctl_vdpa_table(k, r->mem);
	case VHK_CTL_MAP_DOORBELL:
		return map_doorbell(k, r);
	default:
		return -EOPNOTSUPP;
	}
}

static void probe_late(struct vhk_ctl_kernel *k)
{
	size_t i;

	for (i = 0; i < vhk_array_size(late); i++) {
		struct vhk_ctl_req r = { .op = late[i].ask, .fd = -1 };
		const struct vhk_kern_row *row = row_of(k, r.op);

		if (row && vhk_kern_call(k->fd, row, &r) == -ENOTTY)
			lacks(k, &late[i]);
	}
}

static void keep_endpoint(struct vhk_ctl_kernel *k, const struct vhk_ctl_scsi *s)
{
	memcpy(k->endpoint, s->wwpn, strlen(s->wwpn) + 1); /* fits: the kernel took it */
	k->tpgt = s->tpgt;
}

static void learn(struct vhk_ctl_kernel *k, const struct vhk_ctl_req *r)
{
	switch (r->op) {
	case VHK_CTL_GET_FEATURES:
		k->offer.features_offered = r->u64;
		break;
	case VHK_CTL_SET_FEATURES:
		k->offer.features = r->u64;
		break;
	case VHK_CTL_GET_BACKEND_FEATURES:
		k->backend_offered = r->u64;
		break;
	case VHK_CTL_SET_BACKEND_FEATURES:
		k->backend = r->u64;
		break;
	case VHK_CTL_GET_QUEUE_NUM:
		k->offer.n_queues = (unsigned int)r->u64;
		break;
	case VHK_CTL_SET_OWNER:
		probe_late(k);
		break;
	case VHK_CTL_RESET_OWNER:
		k->offer.features = 0;
		break;
	case VHK_CTL_SET_STATUS:
	case VHK_CTL_GET_STATUS:
		k->vdpa.status = (uint8_t)r->u64;
		break;
	case VHK_CTL_SCSI_SET_ENDPOINT:
		keep_endpoint(k, &r->scsi);
		break;
	case VHK_CTL_SCSI_CLEAR_ENDPOINT:
		k->endpoint[0] = 0;
		break;
	default:
		break;
	}
}

static int check(const struct vhk_ctl_kernel *k, const struct vhk_ctl_req *r)
{
	if (r->op == VHK_CTL_SET_FEATURES && k->offer.features_offered)
		return r->u64 & ~k->offer.features_offered ? -EINVAL : 0;
	if (r->op == VHK_CTL_SET_BACKEND_FEATURES) {
		if (r->u64 & ~k->backend_offered)
			return -EINVAL;
		if ((r->u64 & VHK_BF_DESC_ASID) && !(r->u64 & VHK_BF_IOTLB_ASID))
			return -EINVAL;
	}
	return 0;
}

int vhk_ctl_kernel_do(struct vhk_ctl_kernel *k, struct vhk_ctl_req *r)
{
	const struct vhk_kern_row *row = row_of(k, r->op);
	int ret = check(k, r);

	if (ret)
		return ret;
	ret = row->form == VHK_KERN_OTHER ? do_other(k, r) : vhk_kern_call(k->fd, row, r);
	if (ret)
		return translate(k, row, ret);
	learn(k, r);
	return 0;
}

int vhk_ctl_kernel_set(struct vhk_ctl_kernel *k, enum vhk_ctl_op op, uint64_t v)
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .u64 = v };

	return vhk_ctl_kernel_do(k, &r);
}

int vhk_ctl_kernel_set_vring(struct vhk_ctl_kernel *k, enum vhk_ctl_op op, unsigned int idx,
			     uint32_t num, int fd)
{
	struct vhk_ctl_req r = { .op = op, .fd = fd, .vring = { .index = idx, .num = num } };

	return vhk_ctl_kernel_do(k, &r);
}

void vhk_ctl_kernel_probe(struct vhk_ctl_kernel *k)
{
	uint64_t word[1];
	size_t i;

	for (i = 0; i < vhk_array_size(early); i++) {
		struct vhk_ctl_req r = { .op = early[i].ask, .fd = -1 };
		const struct vhk_kern_row *row = row_of(k, r.op);

		if (!row)
			continue;
		if (row->form == VHK_KERN_ARRAY)
			r.features = (struct vhk_ctl_features){ .word = word, .n = 1 };
		if (vhk_kern_call(k->fd, row, &r))
			lacks(k, &early[i]);
		else
			learn(k, &r);
	}
}
