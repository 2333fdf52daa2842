// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Offload fields of packets (virtio 1.3, 5.1.6.2 and 5.1.6.4).
 */
#include <endian.h>
#include <linux/if_ether.h>

#include "barrier.h"
#include "base.h"
#include "net_header.h"

#define F(bit) (1ULL << VIRTIO_NET_F_##bit)

/* The feature that a sender, or @guest a receiver, needs for a kind of segmentation; 0: none is. */
static uint64_t gso_feature(uint8_t type, bool guest)
{
	uint64_t ecn = 0, f = 0;

	if (type & VIRTIO_NET_HDR_GSO_ECN)
		ecn = guest ? F(GUEST_ECN) : F(HOST_ECN);
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		f = guest ? F(GUEST_TSO4) : F(HOST_TSO4);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		f = guest ? F(GUEST_TSO6) : F(HOST_TSO6);
		break;
	case VIRTIO_NET_HDR_GSO_UDP:
		f = guest ? F(GUEST_UFO) : F(HOST_UFO);
		ecn = 0;
		break;
	}
	return f ? f | ecn : 0;
}

static bool check_sum(const struct virtio_net_hdr_v1 *h, uint32_t len)
{
	const uint32_t at = (uint32_t)le16toh(h->csum_start) + le16toh(h->csum_offset);

	return le16toh(h->csum_start) >= ETH_HLEN && at + sizeof(uint16_t) <= len;
}

static bool check_gso(const struct virtio_net_hdr_v1 *h, uint32_t len, uint64_t host)
{
	const uint64_t need = gso_feature(h->gso_type, false);

	/* segments are made anew, and so are their checksums */
	if (!need || (host & need) != need || !(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return false;
	return h->gso_size && le16toh(h->hdr_len) <= len;
}

bool vhk_net_header_check(struct virtio_net_hdr_v1 *h, uint32_t len, uint64_t host)
{
	h->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->num_buffers = 0;
	if (vhk_likely(!(h->flags | h->gso_type))) {
		memset(h, 0, sizeof(*h));
		return true;
	}
	if (h->flags && (!(host & F(CSUM)) || !check_sum(h, len)))
		return false;
	if (h->gso_type)
		return check_gso(h, len, host);
	h->gso_size = 0;
	h->hdr_len = 0;
	return true;
}

bool vhk_net_header_gso_fits(const struct virtio_net_hdr_v1 *h, uint64_t guest)
{
	const uint64_t need = gso_feature(h->gso_type, true);

	return need && (guest & need) == need;
}

/* Sum of @n bytes as 16-bit words in memory's order, as if they began at an even place. */
static uint64_t sum_words(const unsigned char *p, size_t n)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		vhk_shared_copy(&word, p, sizeof(word));
		sum += word;
	}
	if (n >= sizeof(half)) {
		vhk_shared_copy(&half, p, sizeof(half));
		sum += half;
		p += sizeof(half);
		n -= sizeof(half);
	}
	if (n) {
		half = 0;
		vhk_shared_copy(&half, p, 1);
		sum += half;
	}
	return sum;
}

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Sum of everything from byte @from of the packet on. */
static uint16_t sum_from(const struct iovec *seg, unsigned int n_seg, size_t from, size_t n)
{
	uint64_t all = 0;
	size_t part, at = 0;
	uint16_t sum;

	for (; n_seg && n; seg++, n_seg--) {
		if (from >= seg->iov_len) {
			from -= seg->iov_len;
			continue;
		}
		part = vhk_min(seg->iov_len - from, n);
		sum = fold(sum_words((const unsigned char *)seg->iov_base + from, part));
		/* a piece that begins at an odd byte counts the other way round */
		all += at & 1 ? __builtin_bswap16(sum) : sum;
		at += part;
		n -= part;
		from = 0;
	}
	return fold(all);
}

static void put_byte(const struct iovec *seg, unsigned int n_seg, size_t at, unsigned char byte)
{
	for (; n_seg; seg++, n_seg--) {
		if (at < seg->iov_len) {
			vhk_shared_copy((unsigned char *)seg->iov_base + at, &byte, 1);
			return;
		}
		at -= seg->iov_len;
	}
}

void vhk_net_header_sum(const struct virtio_net_hdr_v1 *h, uint32_t len, const struct iovec *seg,
			unsigned int n_seg, size_t off)
{
	const size_t start = le16toh(h->csum_start), at = start + le16toh(h->csum_offset);
	uint16_t sum = (uint16_t)~sum_from(seg, n_seg, off + start, len - start);
	unsigned char bytes[2];

	/* UDP takes 0 for "none" */
	if (!sum)
		sum = 0xffff;
	memcpy(bytes, &sum, sizeof(bytes));
	put_byte(seg, n_seg, off + at, bytes[0]);
	put_byte(seg, n_seg, off + at + 1, bytes[1]);
}
