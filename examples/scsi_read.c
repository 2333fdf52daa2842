// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Reads one block of the disk behind a target of this machine, through vhost-scsi, as a guest's
 * driver would (virtio 1.3, section 5.6): scsi_read WWPN NUMBER. The target was made with configfs,
 * under target/vhost/WWPN/tpgt_1, with the disk as lun_0. What INQUIRY says goes to standard error,
 * the block to standard output.
 */
#include <errno.h>
#include <linux/virtio_scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vhostkit/ctl.h>

#define SECOND 1000000000LL
#define BLOCK 512u
#define TPGT 1
#define CHECK_CONDITION 2
#define TRIES 3

enum { CONTROL, EVENTS, REQUESTS, N_QUEUES };

struct command {
	struct virtio_scsi_cmd_req req;
	struct virtio_scsi_cmd_resp resp;
	unsigned char data[BLOCK];
};

static struct vhk_ctl *ctl;
static struct vhk_vq *vq[N_QUEUES];

static int ask_once(struct command *c, const uint8_t *cdb, uint32_t len)
{
	const struct iovec seg[] = {
		{ &c->req, sizeof(c->req) },
		{ &c->resp, sizeof(c->resp) },
		{ c->data, len },
	};
	struct vhk_done done;
	int ret;

	c->req = (struct virtio_scsi_cmd_req){ .lun = { 1, TPGT, 0x40, 0 } };
	memcpy(c->req.cdb, cdb, 10);
	c->resp.response = VIRTIO_SCSI_S_FAILURE;
	ret = vhk_vq_add(vq[REQUESTS], seg, 1, 2, c);
	if (ret >= 0 && vhk_vq_publish(vq[REQUESTS]) > 0)
		ret = vhk_ctl_kick(ctl, REQUESTS);
	while (ret >= 0) {
		ret = vhk_vq_get(vq[REQUESTS], &done, 1);
		if (ret)
			break;
		ret = vhk_ctl_wait(ctl, REQUESTS, 5 * SECOND);
	}
	return ret < 0 ? ret : 0;
}

/* In place of its first answer a unit tells of what happened to it before, a reset for instance. */
static int ask(struct command *c, const uint8_t *cdb, uint32_t len)
{
	int i, ret = 0;

	for (i = 0; i < TRIES && ret >= 0; i++) {
		ret = ask_once(c, cdb, len);
		if (ret >= 0 && c->resp.response == VIRTIO_SCSI_S_BAD_TARGET)
			return -ENODEV;
		if (ret >= 0 && c->resp.response == VIRTIO_SCSI_S_OK && !c->resp.status)
			return 0;
	}
	return ret < 0 ? ret : -EIO;
}

static int read_block(struct command *c, uint32_t number)
{
	const uint8_t inquiry[10] = { 0x12, 0, 0, 0, 36 };
	const uint8_t read_10[10] = { 0x28, 0, (uint8_t)(number >> 24), (uint8_t)(number >> 16),
				      (uint8_t)(number >> 8), (uint8_t)number, 0, 0, 1 };
	int ret = ask(c, inquiry, 36);

	if (ret < 0)
		return ret;
	fprintf(stderr, "%.28s\n", c->data + 8);
	return ask(c, read_10, BLOCK);
}

/* From an open device to one that runs on a target. */
static int start(struct vhk_mem *mem, const char *wwpn)
{
	struct vhk_vq_opts ring = { .sz = sizeof(ring), .size = 16, .features = VHK_F_VERSION_1 };
	unsigned int q;
	int ret = 0;

	for (q = 0; q < N_QUEUES && ret >= 0; q++) {
		ring.gpa.v = (q + 1) << 20;
		ret = vhk_vq_new(&vq[q], mem, &ring);
	}
	if (ret >= 0)
		ret = vhk_ctl_setup(ctl, VHK_F_VERSION_1, VHK_F_VERSION_1, mem);
	if (ret >= 0)
		ret = vhk_ctl_start_all(ctl, vq, N_QUEUES);
	return ret < 0 ? ret : vhk_ctl_scsi_set_endpoint(ctl, wwpn, TPGT);
}

int main(int argc, char **argv)
{
	struct command *command = NULL;
	struct vhk_mem *mem = NULL;
	unsigned int q;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: %s WWPN NUMBER\n", argv[0]);
		return 2;
	}
	ret = vhk_mem_new(&mem);
	if (ret >= 0)
		ret = vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 1 << 20, (void **)&command);
	if (ret >= 0)
		ret = vhk_ctl_open(&ctl, "/dev/vhost-scsi", NULL);
	if (ret >= 0)
		ret = start(mem, argv[1]);
	if (ret >= 0)
		ret = read_block(command, (uint32_t)strtoul(argv[2], NULL, 0));
	if (ret >= 0)
		fwrite(command->data, BLOCK, 1, stdout);
	else
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-ret));
	vhk_ctl_close(ctl);
	for (q = 0; q < N_QUEUES; q++)
		vhk_vq_free(vq[q]);
	vhk_mem_free(mem);
	return ret < 0;
}
