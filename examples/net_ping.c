// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A network card without a guest: pings this machine through vhost-net and a tap, with ARP and ICMP
 * by hand. The tap is up and has ADDRESS; nobody has OURS: net_ping TAP ADDRESS OURS
 *
 *   ip tuntap add tap0 mode tap && ip addr add 10.9.0.1/24 dev tap0 && ip link set tap0 up
 *   net_ping tap0 10.9.0.1 10.9.0.2
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vhostkit/ctl.h>

#define SECOND 1000000000LL
#define SIZE 16
#define OUR_MAC 2, 0, 0, 0, 0, 2
#define ARP_LEN 42u
#define PING_LEN (42u + sizeof(text))

enum { RX, TX, N_QUEUES };

struct frame {
	struct virtio_net_hdr_v1 h;
	uint8_t data[2000];
};

static const char text[] = "a ping from nowhere";
static struct vhk_ctl *ctl;
static struct vhk_vq *vq[N_QUEUES];
static struct frame *frame; /* SIZE to receive with, and one to send */

/* Lends the device a frame; into *done goes the next one that it gives back. */
static int exchange(unsigned int q, struct frame *f, size_t len, struct vhk_done *done)
{
	const struct iovec seg = { f, sizeof(f->h) + len };
	int ret = vhk_vq_add(vq[q], &seg, q == TX, q == RX, f);

	if (ret >= 0 && vhk_vq_publish(vq[q]) > 0)
		ret = vhk_ctl_kick(ctl, q);
	while (ret >= 0 && done) {
		ret = vhk_vq_get(vq[q], done, 1);
		if (ret)
			break;
		ret = vhk_ctl_wait(ctl, q, 5 * SECOND);
	}
	return ret < 0 ? ret : 0;
}

static void put_checksum(uint8_t *at, const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

/* RFC 826: who has that address? */
static void make_arp(uint8_t *p, const uint8_t *address, const uint8_t *ours)
{
	static const uint8_t head[] = { 255, 255, 255, 255, 255, 255, OUR_MAC, 8, 6,
					0, 1, 8, 0, 6, 4, 0, 1, OUR_MAC };

	memcpy(p, head, sizeof(head));
	memcpy(p + 28, ours, 4);
	memset(p + 32, 0, 6);
	memcpy(p + 38, address, 4);
}

/* RFC 791 and 792: an echo request. */
static void make_ping(uint8_t *p, const uint8_t *mac, const uint8_t *address, const uint8_t *ours)
{
	static const uint8_t head[] = { OUR_MAC, 8, 0, 0x45, 0, 0, 28 + sizeof(text),
					0, 1, 0, 0, 64, 1, 0, 0 };

	memcpy(p, mac, 6);
	memcpy(p + 6, head, sizeof(head));
	memcpy(p + 26, ours, 4);
	memcpy(p + 30, address, 4);
	put_checksum(p + 24, p + 14, 20);
	memcpy(p + 34, (uint8_t[]){ 8, 0, 0, 0, 0, 1, 0, 1 }, 8);
	memcpy(p + 42, text, sizeof(text));
	put_checksum(p + 36, p + 34, 8 + sizeof(text));
}

static bool is_arp_reply(const uint8_t *p, size_t len, const uint8_t *address)
{
	return len >= ARP_LEN && p[12] == 8 && p[13] == 6 && p[21] == 2 &&
	       !memcmp(p + 28, address, 4);
}

static bool is_ping_reply(const uint8_t *p, size_t len, const uint8_t *address)
{
	return len >= PING_LEN && p[12] == 8 && p[13] == 0 && p[23] == 1 && p[34] == 0 &&
	       !memcmp(p + 26, address, 4) && !memcmp(p + 42, text, sizeof(text));
}

static int ping(const uint8_t *address, const uint8_t *ours)
{
	struct frame *out = &frame[SIZE], *in = frame;
	struct vhk_done done;
	int ret;

	make_arp(out->data, address, ours);
	ret = exchange(TX, out, ARP_LEN, &done);
	while (ret >= 0) {
		ret = exchange(RX, in, sizeof(in->data), &done);
		in = done.token;
		if (ret < 0 || is_ping_reply(in->data, done.written - sizeof(in->h), address))
			break;
		if (!is_arp_reply(in->data, done.written - sizeof(in->h), address))
			continue;
		make_ping(out->data, in->data + 22, address, ours);
		ret = exchange(TX, out, PING_LEN, &done);
	}
	return ret;
}

/* From an open device to one that runs on a tap. */
static int start(struct vhk_mem *mem, int tap)
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
		ret = vhk_ctl_start_all(ctl, vq, N_QUEUES);
	for (i = 1; i < SIZE && ret >= 0; i++)
		ret = exchange(RX, &frame[i], sizeof(frame->data), NULL);
	for (q = 0; q < N_QUEUES && ret >= 0; q++)
		ret = vhk_ctl_net_set_backend(ctl, q, tap);
	return ret;
}

static int open_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int len = sizeof(struct virtio_net_hdr_v1);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &len) < 0)
		return -errno;
	return fd;
}

int main(int argc, char **argv)
{
	struct in_addr address, ours;
	struct vhk_mem *mem = NULL;
	int ret, tap;

	if (argc != 4 || !inet_aton(argv[2], &address) || !inet_aton(argv[3], &ours)) {
		fprintf(stderr, "usage: %s TAP ADDRESS OURS\n", argv[0]);
		return 2;
	}
	ret = tap = open_tap(argv[1]);
	if (ret >= 0)
		ret = vhk_mem_new(&mem);
	if (ret >= 0)
		ret = vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 1 << 20, (void **)&frame);
	if (ret >= 0)
		ret = vhk_ctl_open(&ctl, "/dev/vhost-net", NULL);
	if (ret >= 0)
		ret = start(mem, tap);
	if (ret >= 0)
		ret = ping((const uint8_t *)&address, (const uint8_t *)&ours);
	if (ret < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-ret));
	else
		printf("%s answers\n", argv[2]);
	vhk_ctl_close(ctl);
	vhk_vq_free(vq[RX]);
	vhk_vq_free(vq[TX]);
	vhk_mem_free(mem);
	return ret < 0;
}
