// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Addresses and VLANs that a driver receives.
 */
#include <linux/if_ether.h>

#include "base.h"
#include "net_filter.h"

#define load(p) atomic_load_explicit(p, memory_order_relaxed)
#define store(p, v) atomic_store_explicit(p, v, memory_order_relaxed)

static void judge(struct net_filter *f)
{
	store(&f->on, load(&f->vlans_on) || load(&f->mode) != NET_RX_PROMISC);
}

void vhk_net_filter_init(struct net_filter *f, uint64_t mac, bool vlans)
{
	unsigned int i;

	store(&f->mode, NET_RX_PROMISC);
	store(&f->mac, mac);
	store(&f->n_uni, 0);
	store(&f->n_multi, 0);
	for (i = 0; i < NET_VLANS / 64; i++)
		store(&f->vlans[i], 0);
	store(&f->vlans_on, vlans);
	judge(f);
}

void vhk_net_filter_set_mode(struct net_filter *f, uint32_t bit, bool on)
{
	store(&f->mode, on ? load(&f->mode) | bit : load(&f->mode) & ~bit);
	judge(f);
}

void vhk_net_filter_set_mac(struct net_filter *f, uint64_t mac)
{
	store(&f->mac, mac);
}

void vhk_net_filter_set_table(struct net_filter *f, bool multi, const uint8_t *macs, uint32_t n)
{
	_Atomic uint64_t *table = multi ? f->multi : f->uni;
	uint32_t i;

	for (i = 0; i < n && i < NET_FILTER_MACS; i++)
		store(&table[i], net_mac(macs + 6 * (size_t)i));
	store(multi ? &f->n_multi : &f->n_uni, n);
}

void vhk_net_filter_set_vlan(struct net_filter *f, uint16_t id, bool on)
{
	const uint64_t bit = 1ULL << id % 64;
	_Atomic uint64_t *word = &f->vlans[id / 64];

	store(word, on ? load(word) | bit : load(word) & ~bit);
}

static bool in_table(const _Atomic uint64_t *table, uint32_t n, uint64_t mac)
{
	uint32_t i;

	if (n > NET_FILTER_MACS)
		return true;
	for (i = 0; i < n; i++)
		if (load(&table[i]) == mac)
			return true;
	return false;
}

static bool takes_vlan(const struct net_filter *f, const uint8_t *head)
{
	const unsigned int id = (head[14] & 0x0fu) << 8 | head[15];

	if (head[12] != ETH_P_8021Q >> 8 || head[13] != (ETH_P_8021Q & 0xff))
		return true;
	return load(&f->vlans[id / 64]) >> id % 64 & 1;
}

bool vhk_net_filter_takes(const struct net_filter *f, const uint8_t head[18])
{
	const uint32_t mode = load(&f->mode);
	const uint64_t to = net_mac(head);

	if (load(&f->vlans_on) && !takes_vlan(f, head))
		return false;
	if (mode & NET_RX_PROMISC)
		return true;
	if (to == NET_MAC_BROADCAST)
		return !(mode & NET_RX_NOBCAST);
	if (net_mac_is_group(to))
		return !(mode & NET_RX_NOMULTI) &&
		       (mode & NET_RX_ALLMULTI || in_table(f->multi, load(&f->n_multi), to));
	return !(mode & NET_RX_NOUNI) &&
	       (mode & NET_RX_ALLUNI || to == load(&f->mac) ||
		in_table(f->uni, load(&f->n_uni), to));
}
