/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which frames a driver wants (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3). Pure functions.
 */
#ifndef VHK_NET_FILTER_H
#define VHK_NET_FILTER_H

#include <linux/bitops.h>
#include <linux/if_ether.h>
#include <linux/rcupdate.h>
#include <linux/types.h>

#define VHK_NET_FILTER_MACS 64
#define VHK_NET_N_VLANS 4096

enum vhk_net_mode {
	VHK_NET_PROMISC,
	VHK_NET_ALLMULTI,
	VHK_NET_ALLUNI,
	VHK_NET_NOMULTI,
	VHK_NET_NOUNI,
	VHK_NET_NOBCAST,
	VHK_NET_N_MODES,
};

/* Addresses of one kind; of more than there is room for, all of the kind are wanted. */
struct vhk_net_macs {
	bool all;
	u16 n;
	u64 mac[VHK_NET_FILTER_MACS]; /* as numbers */
};

struct vhk_net_filter {
	unsigned long modes; /* bits: enum vhk_net_mode */
	bool by_vlan;
	struct vhk_net_macs uni;
	struct vhk_net_macs multi;
	unsigned long vlans[BITS_TO_LONGS(VHK_NET_N_VLANS)];
	struct rcu_head rcu;
};

/* As after a reset. */
void vhk_net_filter_reset(struct vhk_net_filter *f, bool by_vlan);
/* @frame: its first bytes, at least those of an Ethernet header and of a VLAN tag, if there is. */
bool vhk_net_filter_wants(const struct vhk_net_filter *f, u64 own_mac, const u8 *frame,
			  unsigned int len);

/* The address at @p, as a number. */
static inline u64 vhk_net_mac(const u8 *p)
{
	return (u64)p[0] << 40 | (u64)p[1] << 32 | (u64)p[2] << 24 | p[3] << 16 | p[4] << 8 | p[5];
}

#endif
