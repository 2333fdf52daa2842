// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * IOTLB messages of vhost devices, which are written to and read from the device itself. Format 2
 * has an address space, and no hole whose size depends on the machine.
 */
#include <unistd.h>

#include "base.h"
#include "kern.h"

_Static_assert(sizeof(struct vhost_msg) == sizeof(struct vhost_msg_v2), "one buffer takes both");

static struct vhost_iotlb_msg to_kernel(const struct vhk_iotlb_msg *m)
{
	struct vhost_iotlb_msg k;

	memset(&k, 0, sizeof(k));
	k.iova = m->iova.v;
	k.size = m->size;
	k.uaddr = m->uva.v;
	k.perm = m->perm;
	k.type = m->type;
	return k;
}

static void from_kernel(struct vhk_iotlb_msg *m, const struct vhost_iotlb_msg *k, uint32_t asid)
{
	*m = (struct vhk_iotlb_msg){
		.iova = { k->iova }, .size = k->size, .uva = { k->uaddr },
		.asid = asid, .perm = k->perm, .type = k->type,
	};
}

static int send_whole(int fd, const void *data, size_t len)
{
	ssize_t n = write(fd, data, len);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

int vhk_kern_iotlb_send(int fd, uint64_t features, const struct vhk_iotlb_msg *m)
{
	struct vhost_msg_v2 v2;
	struct vhost_msg v1;

	if (features & VHK_BF_IOTLB_MSG_V2) {
		memset(&v2, 0, sizeof(v2));
		v2.type = VHOST_IOTLB_MSG_V2;
		v2.asid = m->asid;
		v2.iotlb = to_kernel(m);
		return send_whole(fd, &v2, sizeof(v2));
	}
	memset(&v1, 0, sizeof(v1));
	v1.type = VHOST_IOTLB_MSG;
	v1.iotlb = to_kernel(m);
	return send_whole(fd, &v1, sizeof(v1));
}

int vhk_kern_iotlb_recv(int fd, struct vhk_iotlb_msg *m)
{
	union {
		struct vhost_msg v1;
		struct vhost_msg_v2 v2;
	} a;
	ssize_t n = read(fd, &a, sizeof(a));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n != sizeof(a))
		return n ? -EPROTO : 0;
	if (a.v2.type == VHOST_IOTLB_MSG_V2)
		from_kernel(m, &a.v2.iotlb, a.v2.asid);
	else if (a.v1.type == VHOST_IOTLB_MSG)
		from_kernel(m, &a.v1.iotlb, 0);
	else
		return -EPROTO;
	return 1;
}
