/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a driver asked to receive (virtio 1.3, 5.1.6.5.1 to 5.1.6.5.3). One thread writes, that of
 * the control queue, and any reads; who reads while it is written sees some of the old and some of
 * the new. Pure: no system call.
 */
#ifndef VHK_LIB_NET_FILTER_H
#define VHK_LIB_NET_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define NET_FILTER_MACS 64
#define NET_VLANS 4096

/* By the number of the command of VIRTIO_NET_CTRL_RX that sets it. */
enum {
	NET_RX_PROMISC = 1 << 0,
	NET_RX_ALLMULTI = 1 << 1,
	NET_RX_ALLUNI = 1 << 2,
	NET_RX_NOMULTI = 1 << 3,
	NET_RX_NOUNI = 1 << 4,
	NET_RX_NOBCAST = 1 << 5,
};

/* More addresses than there is room for count as all of them: filters need not be exact. */
struct net_filter {
	atomic_bool on; /* something may be refused */
	_Atomic uint32_t mode;
	_Atomic uint64_t mac; /* the card's address */
	_Atomic uint32_t n_uni, n_multi;
	_Atomic uint64_t uni[NET_FILTER_MACS], multi[NET_FILTER_MACS];
	atomic_bool vlans_on;
	_Atomic uint64_t vlans[NET_VLANS / 64];
};

/* An address as a number; 0 to 2^48 - 1. */
static inline uint64_t net_mac(const uint8_t *bytes)
{
	uint64_t v = 0;
	unsigned int i;

	for (i = 0; i < 6; i++)
		v = v << 8 | bytes[i];
	return v;
}

static inline bool net_mac_is_group(uint64_t mac)
{
	return mac >> 40 & 1;
}

#define NET_MAC_BROADCAST 0xffffffffffffULL

/* As after a reset: everything is received, but for VLANs where the driver is to name them. */
void vhk_net_filter_init(struct net_filter *f, uint64_t mac, bool vlans);
void vhk_net_filter_set_mode(struct net_filter *f, uint32_t bit, bool on);
void vhk_net_filter_set_mac(struct net_filter *f, uint64_t mac);
/* @macs: @n addresses of 6 bytes each. */
void vhk_net_filter_set_table(struct net_filter *f, bool multi, const uint8_t *macs, uint32_t n);
void vhk_net_filter_set_vlan(struct net_filter *f, uint16_t id, bool on);
/* @head: the first 18 bytes of the packet, zeros where it is shorter. */
bool vhk_net_filter_takes(const struct net_filter *f, const uint8_t head[18]);

#endif
