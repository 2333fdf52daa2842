// SPDX-License-Identifier: GPL-2.0-only
#include <asm/byteorder.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "net_rules.h"

#define F(name) BIT_ULL(VIRTIO_NET_F_##name)

#define GUEST_OFFLOADS (F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) |		\
			F(GUEST_USO4) | F(GUEST_USO6))
#define HOST_OFFLOADS (F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN) | F(HOST_USO))
#define COMMANDS (F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_VLAN) |			\
		  F(CTRL_MAC_ADDR) | F(CTRL_GUEST_OFFLOADS) | F(GUEST_ANNOUNCE) | F(MQ))

const u64 vhk_net_guest_offloads = GUEST_OFFLOADS;
const u64 vhk_net_all_features = BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |
				 BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(VIRTIO_F_IN_ORDER) |
				 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
				 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | GUEST_OFFLOADS |
				 HOST_OFFLOADS | COMMANDS | F(MAC) | F(MTU) | F(STATUS) |
				 F(MRG_RXBUF);

/* Each of the first needs at least one of the second. */
static const struct {
	u64 these;
	u64 need;
} rules[] = {
	{ F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_USO4) | F(GUEST_USO6), F(GUEST_CSUM) },
	{ F(GUEST_ECN), F(GUEST_TSO4) | F(GUEST_TSO6) },
	{ F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_USO), F(CSUM) },
	{ F(HOST_ECN), F(HOST_TSO4) | F(HOST_TSO6) },
	{ COMMANDS & ~F(CTRL_VQ), F(CTRL_VQ) },
	{ F(CTRL_RX_EXTRA), F(CTRL_RX) },
};

int vhk_net_check_features(u64 features)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rules); i++)
		if (features & rules[i].these && !(features & rules[i].need))
			return -EINVAL;
	return 0;
}

static u64 gso_feature(u8 type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return F(HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return F(HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return F(HOST_USO);
	default:
		return 0;
	}
}

enum vhk_net_drop vhk_net_check_header(u64 features, const struct virtio_net_hdr_v1 *hdr)
{
	const u8 type = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	const bool ecn = hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN;

	if (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM && !(features & F(CSUM)))
		return VHK_NET_DROP_HEADER;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return VHK_NET_SENT;
	if (ecn && (type == VIRTIO_NET_HDR_GSO_UDP_L4 || !(features & F(HOST_ECN))))
		return VHK_NET_DROP_HEADER;
	if (!(gso_feature(type) & features))
		return VHK_NET_DROP_HEADER;
	return VHK_NET_SENT;
}

int vhk_net_ctrl_index(u64 features, u16 n_pairs)
{
	if (!(features & F(CTRL_VQ)))
		return -1;
	return features & F(MQ) ? 2 * n_pairs : 2;
}
