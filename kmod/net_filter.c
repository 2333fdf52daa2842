// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/string.h>

#include "net_filter.h"

#define BROADCAST 0xffffffffffffull

void vhk_net_filter_reset(struct vhk_net_filter *f, bool by_vlan)
{
	memset(f, 0, sizeof(*f));
	f->modes = BIT(VHK_NET_PROMISC);
	f->by_vlan = by_vlan;
}

static bool is(const struct vhk_net_filter *f, enum vhk_net_mode mode)
{
	return READ_ONCE(f->modes) & BIT(mode);
}

static bool has(const struct vhk_net_macs *m, u64 mac)
{
	unsigned int i;

	if (m->all)
		return true;
	for (i = 0; i < m->n; i++)
		if (m->mac[i] == mac)
			return true;
	return false;
}

/* What has no tag belongs to no VLAN, and is not filtered by it. */
static bool wants_vlan(const struct vhk_net_filter *f, const u8 *frame, unsigned int len)
{
	unsigned int vid;

	if (!f->by_vlan || len < ETH_HLEN + 4 ||
	    frame[12] != ETH_P_8021Q >> 8 || frame[13] != (ETH_P_8021Q & 0xff))
		return true;
	vid = (frame[14] & 0xf) << 8 | frame[15];
	return test_bit(vid, f->vlans);
}

static bool wants_mac(const struct vhk_net_filter *f, u64 own_mac, u64 mac)
{
	if (mac == BROADCAST)
		return !is(f, VHK_NET_NOBCAST);
	/* The lowest bit of the first byte tells groups. */
	if (mac >> 40 & 1)
		return !is(f, VHK_NET_NOMULTI) &&
		       (is(f, VHK_NET_ALLMULTI) || has(&f->multi, mac));
	return !is(f, VHK_NET_NOUNI) &&
	       (is(f, VHK_NET_ALLUNI) || mac == own_mac || has(&f->uni, mac));
}

bool vhk_net_filter_wants(const struct vhk_net_filter *f, u64 own_mac, const u8 *frame,
			  unsigned int len)
{
	if (is(f, VHK_NET_PROMISC))
		return true;
	return wants_mac(f, own_mac, vhk_net_mac(frame)) && wants_vlan(f, frame, len);
}
