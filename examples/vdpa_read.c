// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Reads one sector of a disk that is a vDPA device, on a packed ring where it has one: vdpa_read
 * URI NUMBER, where URI is vdpa:NAME, as `vdpa dev` lists it, or /dev/vhost-vdpa-N. The sector goes
 * to standard output.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vhostkit/ctl.h>

#define SECOND 1000000000LL
#define WANT (VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM | VHK_F_RING_PACKED | VHK_F_IN_ORDER)
#define MUST (VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM)

/* What the device sees: it lies in memory that is mapped for it. */
struct request {
	struct virtio_blk_outhdr head;
	unsigned char data[512];
	unsigned char status;
};

static int is_disk(struct vhk_ctl *c)
{
	uint32_t id;
	const int ret = vhk_ctl_get_device_id(c, &id);

	return ret < 0 || id == VIRTIO_ID_BLOCK ? ret : -ENOTBLK;
}

static int ask(struct vhk_ctl *c, struct vhk_vq *q, struct request *r, uint64_t sector)
{
	struct iovec seg[] = {
		{ &r->head, sizeof(r->head) },
		{ r->data, sizeof(r->data) },
		{ &r->status, sizeof(r->status) },
	};
	struct vhk_done done;
	int ret;

	r->head = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN, .sector = sector };
	r->status = 0xff;
	ret = vhk_vq_add(q, seg, 1, 2, r);
	if (ret >= 0 && vhk_vq_publish(q) > 0)
		ret = vhk_ctl_kick(c, 0);
	while (ret >= 0) {
		ret = vhk_vq_get(q, &done, 1);
		if (ret)
			break;
		ret = vhk_ctl_wait(c, 0, 5 * SECOND);
	}
	if (ret < 0)
		return ret;
	return r->status == VIRTIO_BLK_S_OK ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	struct vhk_vq_opts ring = { .sz = sizeof(ring), .size = 8, .gpa = { 1 << 20 } };
	struct request *request = NULL;
	struct vhk_ctl *ctl = NULL;
	struct vhk_mem *mem = NULL;
	struct vhk_vq *vq = NULL;
	uint64_t offered = 0;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: %s URI NUMBER\n", argv[0]);
		return 2;
	}
	ret = vhk_mem_new(&mem);
	if (ret >= 0)
		ret = vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 1 << 20, (void **)&request);
	if (ret >= 0)
		ret = vhk_ctl_open(&ctl, argv[1], NULL);
	if (ret >= 0)
		ret = is_disk(ctl);
	if (ret >= 0)
		ret = vhk_ctl_get_features(ctl, &offered);
	/* The ring is made for what will be agreed on, and is part of the memory that is mapped. */
	ring.features = offered & WANT;
	if (ret >= 0)
		ret = vhk_vq_new(&vq, mem, &ring);
	if (ret >= 0)
		ret = vhk_ctl_setup(ctl, WANT, MUST, mem);
	if (ret >= 0)
		ret = vhk_ctl_start(ctl, 0, vq);
	if (ret >= 0)
		ret = ask(ctl, vq, request, strtoull(argv[2], NULL, 0));
	if (ret >= 0)
		fwrite(request->data, sizeof(request->data), 1, stdout);
	else
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-ret));
	vhk_ctl_close(ctl);
	vhk_vq_free(vq);
	vhk_mem_free(mem);
	return ret < 0;
}
