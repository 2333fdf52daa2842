/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A network card of vhost-net and a tap, or of vhost-vDPA, driven frame by frame.
 */
#ifndef VHK_VM_KERN_NIC_H
#define VHK_VM_KERN_NIC_H

#include "kern.h"
#include "tcp.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define RX 0
#define TX 1
#define NIC_SIZE 256u /* entries of each ring */
#define NIC_BUF 2048u
#ifndef TAP
#define TAP "vhktap"
#endif

#define NIC_F_CSUM (1ull << VIRTIO_NET_F_CSUM)
#define NIC_F_MRG (1ull << VIRTIO_NET_F_MRG_RXBUF)

struct nic {
	struct kern k;
	int tap; /* -1: the card is one of vhost-vDPA */
	unsigned int n_queues; /* of that */
	bool merge;
	uint32_t buf_size;
	unsigned char *tx; /* behind the receive buffers */
	/* Frames received that were in pieces, long, half summed. */
	unsigned int n_merged, n_gso, n_csum;
};

static inline void tap_up(const char *name)
{
	struct ifreq r = { .ifr_flags = 0 };
	struct sockaddr_in *a = (void *)&r.ifr_addr;
	struct arpreq arp = { .arp_flags = ATF_COM | ATF_PERM };
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	T_MUST(s >= 0);
	strcpy(r.ifr_name, name);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(HOST_IP);
	T_MUST(!ioctl(s, SIOCSIFADDR, &r));
	a->sin_addr.s_addr = htonl(0xffffff00);
	T_MUST(!ioctl(s, SIOCSIFNETMASK, &r));
	r.ifr_flags = IFF_UP;
	T_MUST(!ioctl(s, SIOCSIFFLAGS, &r));
	strcpy(arp.arp_dev, name);
	a = (void *)&arp.arp_pa;
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(OUR_IP);
	arp.arp_ha.sa_family = ARPHRD_ETHER;
	memcpy(arp.arp_ha.sa_data, our_mac, 6);
	T_MUST(!ioctl(s, SIOCSARP, &arp));
	close(s);
}

/* A tap with an address and all offloads, gone with its fd. */
static inline int tap_open(const char *name)
{
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int len = sizeof(struct virtio_net_hdr_v1);

	T_MUST(fd >= 0);
	strcpy(r.ifr_name, name);
	T_MUST(!ioctl(fd, TUNSETIFF, &r));
	T_MUST(!ioctl(fd, TUNSETVNETHDRSZ, &len));
	T_MUST(!ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6));
	tap_up(name);
	return fd;
}

static inline void tap_mac(const char *name, unsigned char mac[6])
{
	struct ifreq r = { .ifr_flags = 0 };
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(r.ifr_name, name);
	T_MUST(!ioctl(s, SIOCGIFHWADDR, &r));
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	close(s);
}

static inline void nic_offer(struct nic *n, void *buf)
{
	const struct iovec seg = { buf, n->buf_size };

	kern_add(&n->k, RX, &seg, 0, 1, buf);
}

static inline void nic_backend(struct nic *n, int fd)
{
	T_EQ(vhk_ctl_net_set_backend(n->k.ctl, RX, fd), 0);
	T_EQ(vhk_ctl_net_set_backend(n->k.ctl, TX, fd), 0);
	T_MUST(!t_bad);
}

/* Rings that run, all receive buffers in place. Without mergeable buffers each takes a frame. */
static inline void nic_start(struct nic *n, uint64_t features)
{
	unsigned int i, count;

	n->merge = features & NIC_F_MRG;
	count = n->merge ? NIC_SIZE : 16;
	n->buf_size = n->merge ? NIC_BUF : 80u << 10;
	n->tx = n->k.data + count * n->buf_size;
	if (n->tap < 0) {
		kern_setup(&n->k, features, n->n_queues, NIC_SIZE);
		T_EQ(vhk_ctl_start_all(n->k.ctl, n->k.vq, n->n_queues), 0);
		T_MUST(!t_bad);
	} else {
		kern_setup(&n->k, features, 2, NIC_SIZE);
		kern_start(&n->k, 2);
	}
	for (i = 0; i < count; i++)
		nic_offer(n, n->k.data + i * n->buf_size);
	kern_publish(&n->k, RX);
	if (n->tap >= 0)
		nic_backend(n, n->tap);
}

static inline void nic_open_with(struct nic *n, const char *uri, uint64_t features,
				 const struct vhk_ctl_opts *o)
{
	memset(n, 0, sizeof(*n));
	n->tap = tap_open(TAP);
	kern_open_with(&n->k, uri, o);
	nic_start(n, features);
}

static inline void nic_open(struct nic *n, const char *uri, uint64_t features)
{
	nic_open_with(n, uri, features, NULL);
}

static inline void nic_close(struct nic *n)
{
	kern_close(&n->k);
	if (n->tap >= 0)
		close(n->tap);
}

static inline void nic_stage(struct nic *n, const struct frame *f)
{
	const struct iovec seg[2] = { { n->tx, sizeof(f->hdr) },
				      { n->tx + sizeof(f->hdr), f->len } };

	memcpy(seg[0].iov_base, &f->hdr, sizeof(f->hdr));
	memcpy(seg[1].iov_base, f->data, f->len);
	kern_add(&n->k, TX, seg, 2, 0, n);
	kern_publish(&n->k, TX);
}

static inline void nic_send(struct nic *n, const struct frame *f)
{
	struct vhk_done done;

	nic_stage(n, f);
	T_MUST(kern_get(&n->k, TX, &done, WAIT) && done.token == n);
}

/* Takes the pieces of a frame together; the buffers go back. */
static inline bool nic_receive(struct nic *n, struct frame *f, int64_t ns)
{
	struct vhk_done done;
	unsigned int i;
	uint32_t skip;

	if (!kern_get(&n->k, RX, &done, ns))
		return false;
	T_MUST(done.written >= sizeof(f->hdr));
	memcpy(&f->hdr, done.token, sizeof(f->hdr));
	f->len = 0;
	for (i = 0;; i++) {
		skip = i ? 0 : sizeof(f->hdr);
		T_MUST(done.written >= skip && f->len + done.written - skip <= FRAME_MAX);
		memcpy(f->data + f->len, (unsigned char *)done.token + skip, done.written - skip);
		f->len += done.written - skip;
		nic_offer(n, done.token);
		if (!n->merge || i + 1 >= f->hdr.num_buffers)
			break;
		T_MUST(kern_get(&n->k, RX, &done, WAIT));
	}
	kern_publish(&n->k, RX);
	n->n_merged += i > 0;
	n->n_gso += f->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	n->n_csum += !!(f->hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	return true;
}

#endif
