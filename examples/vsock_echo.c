// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a guest does with its vsock device, without a guest (virtio 1.3, section 5.10), for one
 * connection: vsock_echo CID PORT waits until a program of this machine connects to that address,
 * and sends back what it says. With a third word it connects to the machine's own PORT, says the
 * word, and prints the answer.
 */
#include <errno.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vhostkit/ctl.h>

#define HOST_CID 2
#define SIZE 16
#define MINUTE 60000000000

enum { RX, TX, N_QUEUES };

struct packet {
	struct virtio_vsock_hdr h;
	unsigned char data[4096 - sizeof(struct virtio_vsock_hdr)];
};

static struct vhk_ctl *ctl;
static struct vhk_vq *vq[N_QUEUES];
static struct packet *packet;	    /* SIZE to receive with, and one to send */
static struct virtio_vsock_hdr our; /* head of all that is sent */

/* Lends the device a packet; into *done goes the next one that it gives back. */
static int exchange(unsigned int q, struct packet *p, size_t len, struct vhk_done *done)
{
	const struct iovec seg = { p, len };
	int ret = vhk_vq_add(vq[q], &seg, q == TX, q == RX, p);

	if (ret >= 0 && vhk_vq_publish(vq[q]) > 0)
		ret = vhk_ctl_kick(ctl, q);
	while (ret >= 0 && done) {
		ret = vhk_vq_get(vq[q], done, 1);
		if (ret)
			break;
		ret = vhk_ctl_wait(ctl, q, MINUTE);
	}
	return ret < 0 ? ret : 0;
}

static int say(uint16_t op, const void *data, uint32_t len)
{
	struct packet *p = &packet[SIZE];
	struct vhk_done done;

	p->h = our;
	p->h.op = op;
	p->h.len = len;
	if (len)
		memcpy(p->data, data, len);
	return exchange(TX, p, sizeof(p->h) + len, &done);
}

/* Says what a packet asks for; *end when that was all. */
static int answer(const struct packet *p, const char *word, bool *end)
{
	switch (p->h.op) {
	case VIRTIO_VSOCK_OP_REQUEST:
		our.dst_port = p->h.src_port;
		return say(VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
	case VIRTIO_VSOCK_OP_RESPONSE:
		return say(VIRTIO_VSOCK_OP_RW, word, (uint32_t)strlen(word));
	case VIRTIO_VSOCK_OP_RW:
		our.fwd_cnt += p->h.len;
		if (!word)
			return say(VIRTIO_VSOCK_OP_RW, p->data, p->h.len);
		printf("%.*s\n", (int)p->h.len, (const char *)p->data);
		/* fall through */
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		*end = true;
		return say(VIRTIO_VSOCK_OP_RST, NULL, 0);
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		return say(VIRTIO_VSOCK_OP_CREDIT_UPDATE, NULL, 0);
	case VIRTIO_VSOCK_OP_RST:
		return -ECONNRESET;
	}
	return 0;
}

static int talk(const char *word)
{
	struct packet *p = packet;
	struct vhk_done done;
	bool end = false;
	int ret = word ? say(VIRTIO_VSOCK_OP_REQUEST, NULL, 0) : 0;

	while (ret >= 0 && !end) {
		ret = exchange(RX, p, sizeof(*p), &done);
		p = done.token;
		if (ret >= 0)
			ret = answer(p, word, &end);
	}
	return ret;
}

/* From an open device to one that runs. */
static int start(struct vhk_mem *mem, uint64_t cid)
{
	struct vhk_vq_opts ring = { .sz = sizeof(ring), .size = SIZE,
				    .features = VHK_F_VERSION_1 };
	unsigned int q, i;
	int ret = 0;

	for (q = 0; q < N_QUEUES && ret >= 0; q++) {
		ring.gpa.v = (q + 1) << 20;
		ret = vhk_vq_new(&vq[q], mem, &ring);
	}
	if (ret >= 0)
		ret = vhk_ctl_setup(ctl, VHK_F_VERSION_1, VHK_F_VERSION_1, mem);
	if (ret >= 0)
		ret = vhk_ctl_vsock_set_guest_cid(ctl, cid);
	if (ret >= 0)
		ret = vhk_ctl_start_all(ctl, vq, N_QUEUES);
	for (i = 1; i < SIZE && ret >= 0; i++)
		ret = exchange(RX, &packet[i], sizeof(*packet), NULL);
	return ret < 0 ? ret : vhk_ctl_vsock_set_running(ctl, true);
}

int main(int argc, char **argv)
{
	struct vhk_mem *mem = NULL;
	int ret;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: %s CID PORT [WORD]\n", argv[0]);
		return 2;
	}
	our.src_cid = strtoull(argv[1], NULL, 0);
	our.dst_cid = HOST_CID;
	our.src_port = our.dst_port = (uint32_t)strtoul(argv[2], NULL, 0);
	our.type = VIRTIO_VSOCK_TYPE_STREAM;
	our.buf_alloc = SIZE * sizeof(packet->data);
	ret = vhk_mem_new(&mem);
	if (ret >= 0)
		ret = vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 1 << 20, (void **)&packet);
	if (ret >= 0)
		ret = vhk_ctl_open(&ctl, "/dev/vhost-vsock", NULL);
	if (ret >= 0)
		ret = start(mem, our.src_cid);
	if (ret >= 0)
		ret = talk(argv[3]);
	if (ret < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-ret));
	vhk_ctl_close(ctl);
	vhk_vq_free(vq[RX]);
	vhk_vq_free(vq[TX]);
	vhk_mem_free(mem);
	return ret < 0;
}
