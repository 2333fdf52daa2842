// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: what a frame costs between the driver of a network card
 * and the host's interface, whichever device is between them. Prints ns per frame, which are
 * instructions where the clock counts these.
 *
 *   net_rate URI INTERFACE from|to LENGTH COUNT
 *
 * A tap is made for vhost-net; other interfaces are there. Frames longer than the MTU are segments
 * of TCP that nobody has cut, 65,535 bytes at most: longer ones are cut before the device sees
 * them, and are not the frames that are waited for. Batches of BATCH frames are waited for.
 */
static const char *interface;
#define TAP interface
#include "kern_nic.h"

#include <linux/if_packet.h>
#include <time.h>

#define BATCH 32u
#define F(name) (1ull << VIRTIO_NET_F_##name)
#define RING (VHK_F_VERSION_1 | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX | F(MRG_RXBUF))
/* vhost-net leaves these to the tap. */
#define OFFLOADS (F(CSUM) | F(GUEST_CSUM) | F(HOST_TSO4) | F(GUEST_TSO4))

static struct nic nic;
static struct frame f;
static int raw;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void open_nic(const char *uri)
{
	memset(&nic, 0, sizeof(nic));
	nic.tap = -1;
	nic.n_queues = 2;
	if (!strcmp(uri, "/dev/vhost-net"))
		nic.tap = tap_open(TAP);
	kern_open(&nic.k, uri);
	nic_start(&nic, RING | (nic.tap < 0 ? VHK_F_ACCESS_PLATFORM | OFFLOADS : 0));
	tap_up(TAP);
}

/* To somebody else, so that nobody answers. */
static void make_frame(uint32_t len)
{
	static const unsigned char to[6] = { 2, 0, 0, 0, 0x77, 1 };
	struct tcphdr *h = frame_ip(&f, to, IPPROTO_TCP, len - L4_AT);

	memset(h, 0, 20);
	h->doff = 5;
	((unsigned char *)h)[13] = TCP_ACK;
	if (len <= 1514)
		return;
	frame_leave_sum(&f, 16);
	f.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	f.hdr.gso_size = MSS;
	f.hdr.hdr_len = L4_AT + 20;
}

static void raw_open(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET };
	const int on = 1, room = 8 << 20;

	raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	a.sll_ifindex = (int)if_nametoindex(TAP);
	T_MUST(raw >= 0 && !bind(raw, (void *)&a, sizeof(a)));
	T_MUST(!setsockopt(raw, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)));
	T_MUST(!setsockopt(raw, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)));
}

static void host_sends(uint32_t n)
{
	const struct virtio_net_hdr *hdr = (const void *)&f.hdr;
	struct iovec seg[2] = { { (void *)(uintptr_t)hdr, sizeof(*hdr) }, { f.data, f.len } };
	struct mmsghdr m[BATCH];
	uint32_t i;

	memset(m, 0, sizeof(m));
	for (i = 0; i < n; i++) {
		m[i].msg_hdr.msg_iov = seg;
		m[i].msg_hdr.msg_iovlen = 2;
	}
	T_MUST(sendmmsg(raw, m, n, 0) == (int)n);
}

/* All pieces of @n frames; the buffers go back together. */
static void driver_receives(uint32_t n)
{
	struct vhk_done done;
	uint32_t left = 0;

	while (n || left) {
		T_MUST(kern_get(&nic.k, RX, &done, WAIT));
		if (!left) {
			left = ((struct virtio_net_hdr_v1 *)done.token)->num_buffers;
			n--;
		}
		left--;
		nic_offer(&nic, done.token);
	}
	kern_publish(&nic.k, RX);
}

static void to_driver(uint32_t n)
{
	host_sends(n);
	driver_receives(n);
}

static void from_driver(uint32_t n)
{
	const struct iovec seg[2] = { { nic.tx, sizeof(f.hdr) },
				      { nic.tx + sizeof(f.hdr), f.len } };
	struct vhk_done done;
	uint32_t i;

	for (i = 0; i < n; i++)
		kern_add(&nic.k, TX, seg, 2, 0, &nic);
	kern_publish(&nic.k, TX);
	for (i = 0; i < n; i++)
		T_MUST(kern_get(&nic.k, TX, &done, WAIT));
}

int main(int argc, char **argv)
{
	uint32_t len, count, i, batch;
	void (*run)(uint32_t n);
	int64_t start;

	if (argc < 6)
		return 2;
	interface = argv[2];
	len = (uint32_t)atoi(argv[4]);
	if (len > 65535)
		return 2;
	count = (uint32_t)atoi(argv[5]);
	run = strcmp(argv[3], "to") ? from_driver : to_driver;
	/* Of long ones, what the buffers take. */
	batch = len > 1514 ? 4 : BATCH;
	open_nic(argv[1]);
	raw_open();
	make_frame(len);
	memcpy(nic.tx, &f.hdr, sizeof(f.hdr));
	memcpy(nic.tx + sizeof(f.hdr), f.data, f.len);
	for (i = 0; i < 8; i++)
		run(batch);
	start = now();
	for (i = 0; i < count; i += batch)
		run(batch);
	printf("%lld\n", (long long)((now() - start) / i));
	nic_close(&nic);
	return t_bad;
}
