// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a card tells its driver and what both settle on: features, configuration space (virtio 1.3,
 * 5.1.3 and 5.1.4), MTU, link, announcements.
 */
#include <endian.h>

#include "device.h"
#include "net_impl.h"

#define MTU_MIN 68

uint64_t vhk_net_offer(const struct vhk_net *net)
{
	/* Not RING_RESET: see VHK_F_RING_ALL. Without it a Linux guest's `ethtool -G` is refused;
	 * with it, it would work on rings that nobody serves. */
	uint64_t f = VHK_F_RING_ALL | net->ops->features | NET_F(MRG_RXBUF) | NET_F(MAC) |
		     NET_F(STATUS) | NET_F(CTRL_VQ) | NET_F(CTRL_RX) | NET_F(CTRL_RX_EXTRA) |
		     NET_F(CTRL_VLAN) | NET_F(CTRL_MAC_ADDR) | NET_F(GUEST_ANNOUNCE);

	if (net->ops->features & NET_GUEST)
		f |= NET_F(CTRL_GUEST_OFFLOADS);
	if (net->n_pairs > 1)
		f |= NET_F(MQ);
	if (net->mtu)
		f |= NET_F(MTU);
	return f;
}

/*
 * Each bit with what it builds on (virtio 1.3, 5.1.3.1). Those of the control queue stand alone
 * where the front end serves that queue itself, and tells of the others only.
 */
static bool consistent(uint64_t f)
{
	static const struct {
		uint64_t bit, needs;
	} rules[] = {
		{ NET_F(GUEST_TSO4) | NET_F(GUEST_TSO6) | NET_F(GUEST_UFO), NET_F(GUEST_CSUM) },
		{ NET_F(HOST_TSO4) | NET_F(HOST_TSO6) | NET_F(HOST_UFO), NET_F(CSUM) },
	};
	unsigned int i;

	for (i = 0; i < vhk_array_size(rules); i++)
		if ((f & rules[i].bit) && !(f & rules[i].needs))
			return false;
	if ((f & NET_F(GUEST_ECN)) && !(f & (NET_F(GUEST_TSO4) | NET_F(GUEST_TSO6))))
		return false;
	return !(f & NET_F(HOST_ECN)) || f & (NET_F(HOST_TSO4) | NET_F(HOST_TSO6));
}

int vhk_net_set_features(void *priv, uint64_t features)
{
	struct vhk_net *net = priv;
	int ret;

	if (!consistent(features))
		return -EINVAL;
	ret = net->ops->set_offload(net, features & NET_GUEST);
	if (ret)
		return ret;
	atomic_store_explicit(&net->features, features, memory_order_relaxed);
	atomic_store_explicit(&net->guest, features & NET_GUEST, memory_order_relaxed);
	vhk_net_filter_init(&net->filter, net_mac(net->mac_given), features & NET_F(CTRL_VLAN));
	return 0;
}

static void put_mac(uint8_t *to, uint64_t mac)
{
	unsigned int i;

	for (i = 0; i < 6; i++)
		to[i] = (uint8_t)(mac >> (40 - 8 * i));
}

static uint16_t status_of(const struct vhk_net *net)
{
	uint16_t s = net_link(net) ? VIRTIO_NET_S_LINK_UP : 0;

	if (atomic_load_explicit(&net->announce, memory_order_relaxed))
		s |= VIRTIO_NET_S_ANNOUNCE;
	return s;
}

int vhk_net_get_config(void *priv, uint32_t off, void *buf, uint32_t len)
{
	struct vhk_net *net = priv;
	struct virtio_net_config c = { 0 };

	put_mac(c.mac, atomic_load_explicit(&net->filter.mac, memory_order_relaxed));
	c.status = htole16(status_of(net));
	c.max_virtqueue_pairs = htole16(net->n_pairs);
	c.mtu = htole16(net->mtu);
	memcpy(buf, (const char *)&c + off, len);
	return 0;
}

/* A driver without CTRL_MAC_ADDR writes its address here (virtio 1.3, 5.1.4: legacy). */
int vhk_net_set_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	struct vhk_net *net = priv;
	const uint64_t f = atomic_load_explicit(&net->features, memory_order_relaxed);

	if (off || len != 6 || f & VHK_F_VERSION_1 || f & NET_F(CTRL_MAC_ADDR))
		return -EINVAL;
	vhk_net_filter_set_mac(&net->filter, net_mac(buf));
	return 0;
}

int vhk_net_set_mtu(void *priv, uint16_t mtu)
{
	const struct vhk_net *net = priv;

	if (mtu < MTU_MIN || (net->mtu && mtu > net->mtu))
		return -EINVAL;
	return 0;
}

/* "Here I am": a reverse ARP request for an address that the asker has (RFC 903). */
int vhk_net_send_rarp(void *priv, const uint8_t mac[6])
{
	struct vhk_net *net = priv;
	unsigned char frame[60] = { 0 };
	static const unsigned char request[] = { 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 };

	if (!net->ops->announce)
		return 0;
	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, request, sizeof(request));
	memcpy(frame + 22, mac, 6);
	memcpy(frame + 32, mac, 6);
	if (net_link(net))
		net->ops->announce(net, frame, sizeof(frame));
	return 0;
}

void vhk_net_reset(void *priv)
{
	struct vhk_net *net = priv;

	atomic_store_explicit(&net->announce, false, memory_order_relaxed);
	atomic_store_explicit(&net->active, net->n_pairs, memory_order_relaxed);
	vhk_net_set_features(net, 0);
}
