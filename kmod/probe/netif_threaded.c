// SPDX-License-Identifier: GPL-2.0-only
#include <linux/netdevice.h>

void probe(struct net_device *netdev);

void probe(struct net_device *netdev)
{
	netif_threaded_enable(netdev);
}
