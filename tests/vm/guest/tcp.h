/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Frames by hand, for what drives a network card itself: Ethernet, ARP, IPv4, UDP, and a TCP that
 * neither loses nor repeats anything. Knows no ring.
 */
#ifndef VHK_VM_TCP_H
#define VHK_VM_TCP_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HOST_IP 0x0a090001u /* 10.9.0.1, the tap's */
#define OUR_IP 0x0a090002u
#define FRAME_MAX (14u + 65535u)
#define L4_AT 34u /* behind Ethernet and an IPv4 header without options */
#define MSS 1460u

static const unsigned char our_mac[6] = { 2, 0, 0, 0, 0, 2 };

/* A frame and the header that travels in front of it. */
struct frame {
	struct virtio_net_hdr_v1 hdr;
	uint32_t len;
	unsigned char data[FRAME_MAX];
};

static inline uint32_t sum16(const void *data, size_t len, uint32_t sum)
{
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	if (len % 2)
		sum += (uint32_t)(p[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The pseudo header's part of a UDP or TCP checksum. */
static inline uint32_t sum_pseudo(const struct frame *f)
{
	const struct iphdr *ip = (const void *)(f->data + ETH_HLEN);

	return sum16(&ip->saddr, 8, ip->protocol + f->len - L4_AT);
}

/* The whole of it, as it stands in the frame: 0xffff where it is right. */
static inline uint32_t sum_l4(const struct frame *f)
{
	return sum16(f->data + L4_AT, f->len - L4_AT, sum_pseudo(f));
}

/* Ethernet and IPv4 headers around @l4_len bytes that the caller fills in at L4_AT. */
static inline void *frame_ip(struct frame *f, const unsigned char *to, uint8_t protocol,
			     uint32_t l4_len)
{
	struct ethhdr *eth = (void *)f->data;
	struct iphdr *ip = (void *)(f->data + ETH_HLEN);

	memset(f, 0, sizeof(f->hdr) + sizeof(f->len) + L4_AT);
	memcpy(eth->h_dest, to, 6);
	memcpy(eth->h_source, our_mac, 6);
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons((uint16_t)(20 + l4_len));
	ip->frag_off = htons(0x4000);
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->saddr = htonl(OUR_IP);
	ip->daddr = htonl(HOST_IP);
	ip->check = htons((uint16_t)~sum16(ip, 20, 0));
	f->len = L4_AT + l4_len;
	return f->data + L4_AT;
}

/* Leaves the checksum at @offset of the layer 4 header to whoever sends the frame on. */
static inline void frame_leave_sum(struct frame *f, uint16_t offset)
{
	const uint16_t part = htons((uint16_t)sum_pseudo(f));

	memcpy(f->data + L4_AT + offset, &part, 2);
	f->hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	f->hdr.csum_start = L4_AT;
	f->hdr.csum_offset = offset;
}

struct tcp {
	unsigned char mac[6]; /* of the other end */
	uint16_t port, peer_port;
	uint32_t seq, peer_seq; /* the next byte of each */
	uint32_t acked;
	uint32_t window;
};

#define TCP_SYN 0x02
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10

/* A segment of any length, to be cut into packets of MSS bytes by whoever sends it on. */
static inline void tcp_make(struct tcp *t, struct frame *f, uint8_t flags, const void *data,
			    uint32_t len)
{
	static const unsigned char mss[4] = { 2, 4, MSS >> 8, MSS & 0xff };
	const uint32_t n_opts = flags & TCP_SYN ? sizeof(mss) : 0;
	struct tcphdr *h = frame_ip(f, t->mac, IPPROTO_TCP, 20 + n_opts + len);

	memset(h, 0, 20);
	h->source = htons(t->port);
	h->dest = htons(t->peer_port);
	h->seq = htonl(t->seq);
	h->ack_seq = htonl(t->peer_seq);
	h->doff = (uint8_t)(5 + n_opts / 4) & 0xf;
	((unsigned char *)h)[13] = flags;
	h->window = htons(65535);
	memcpy(h + 1, mss, n_opts);
	if (len)
		memcpy((unsigned char *)(h + 1) + n_opts, data, len);
	frame_leave_sum(f, 16);
	if (len > MSS) {
		f->hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		f->hdr.gso_size = MSS;
		f->hdr.hdr_len = L4_AT + 20;
	}
	t->seq += len + !!(flags & (TCP_SYN | TCP_FIN));
}

struct tcp_in {
	uint8_t flags;
	const unsigned char *data; /* bytes that are new */
	uint32_t len;
};

/* Looks at a frame: false where it is none of this connection's. */
static inline bool tcp_take(struct tcp *t, const struct frame *f, struct tcp_in *in)
{
	const struct ethhdr *eth = (const void *)f->data;
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct tcphdr *h = (const void *)(f->data + L4_AT);
	uint32_t head, old;

	if (f->len < L4_AT + 20 || eth->h_proto != htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_TCP || h->dest != htons(t->port))
		return false;
	head = L4_AT + h->doff * 4u;
	*in = (struct tcp_in){ .flags = ((const unsigned char *)h)[13] };
	in->data = f->data + head;
	in->len = 14u + ntohs(ip->tot_len) - head;
	if (in->flags & TCP_SYN)
		t->peer_seq = ntohl(h->seq) + 1;
	if (in->flags & TCP_ACK && (int32_t)(ntohl(h->ack_seq) - t->acked) >= 0) {
		t->acked = ntohl(h->ack_seq);
		t->window = ntohs(h->window);
	}
	old = t->peer_seq - ntohl(h->seq);
	if (!(in->flags & TCP_SYN) && old > in->len) {
		/* Sent once more, because our answer was late; or out of order. */
		in->flags &= (uint8_t)~TCP_FIN;
		in->len = 0;
	} else if (!(in->flags & TCP_SYN)) {
		in->data += old;
		in->len -= old;
	}
	t->peer_seq += in->len + !!(in->flags & TCP_FIN);
	return true;
}

#endif
