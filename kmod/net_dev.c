// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card's other end: a network interface like any other. It is made in the first network
 * namespace, may be moved, and comes back when its namespace ends.
 */
#include <linux/rtnetlink.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "net.h"

#define OFFLOADS (NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_ALL_TSO |		\
		  NETIF_F_GSO_UDP_L4)

/* The link that the driver sees is up while somebody on this side would listen. */
static int if_open(struct net_device *netdev)
{
	vhk_net_set_status(vhk_net_of_netdev(netdev), 0, VIRTIO_NET_S_LINK_UP);
	netif_tx_start_all_queues(netdev);
	return 0;
}

static int if_stop(struct net_device *netdev)
{
	netif_tx_stop_all_queues(netdev);
	vhk_net_set_status(vhk_net_of_netdev(netdev), VIRTIO_NET_S_LINK_UP, 0);
	return 0;
}

/* How many pairs are in use changes without the stack's lock, so the stack is not told. */
static u16 if_select_queue(struct net_device *netdev, struct sk_buff *skb,
			    struct net_device *sb_dev)
{
	const u16 active = READ_ONCE(vhk_net_of_netdev(netdev)->active);

	return active > 1 ? netdev_pick_tx(netdev, skb, sb_dev) % active : 0;
}

/* Nor of what this driver takes: it is asked for each frame. */
static netdev_features_t if_features_check(struct sk_buff *skb, struct net_device *netdev,
					    netdev_features_t features)
{
	const u64 have = READ_ONCE(vhk_net_of_netdev(netdev)->offloads);
	const u64 uso = BIT_ULL(VIRTIO_NET_F_GUEST_USO4) | BIT_ULL(VIRTIO_NET_F_GUEST_USO6);

	if (!(have & BIT_ULL(VIRTIO_NET_F_GUEST_CSUM)))
		features &= ~(NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK);
	if (!(have & BIT_ULL(VIRTIO_NET_F_GUEST_TSO4)))
		features &= ~NETIF_F_TSO;
	if (!(have & BIT_ULL(VIRTIO_NET_F_GUEST_TSO6)))
		features &= ~NETIF_F_TSO6;
	if (!(have & BIT_ULL(VIRTIO_NET_F_GUEST_ECN)))
		features &= ~NETIF_F_TSO_ECN;
	if ((have & uso) != uso)
		features &= ~NETIF_F_GSO_UDP_L4;
	return vlan_features_check(skb, features);
}

static const struct net_device_ops netdev_ops = {
	.ndo_open = if_open,
	.ndo_stop = if_stop,
	.ndo_start_xmit = vhk_net_xmit,
	.ndo_select_queue = if_select_queue,
	.ndo_features_check = if_features_check,
	.ndo_get_stats64 = vhk_net_get_stats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

bool vhk_net_is_ours(const struct net_device *netdev)
{
	return netdev->netdev_ops == &netdev_ops;
}

static void set_up(struct vhk_net *net, u16 mtu)
{
	struct net_device *netdev = net->netdev;

	netdev->netdev_ops = &netdev_ops;
	netdev->ethtool_ops = &vhk_net_ethtool_ops;
	netdev->hw_features = OFFLOADS;
	netdev->features = OFFLOADS | NETIF_F_RXCSUM | NETIF_F_HIGHDMA;
	netdev->vlan_features = OFFLOADS;
	netdev->priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_DISABLE_NETPOLL;
	/* Checksums are made in the frame itself. */
	netdev->priv_flags &= ~IFF_TX_SKB_SHARING;
	netdev->max_mtu = mtu ? mtu : ETH_MAX_MTU;
	netdev->mtu = min_t(unsigned int, netdev->max_mtu, mtu ? mtu : ETH_DATA_LEN);
	do
		eth_hw_addr_random(netdev);
	while (ether_addr_equal(netdev->dev_addr, net->first_mac));
	netif_carrier_off(netdev);
	/* Kicks come with interrupts off, from where a thread is all that can be started. */
	vhk_set_threaded(netdev);
}

int vhk_net_netdev_new(struct vhk_net *net, const char *name, u16 mtu)
{
	const bool legal = dev_valid_name(name) && !strchr(name, '%');
	struct net_device *netdev;
	unsigned int i;

	netdev = alloc_netdev_mqs(sizeof(net), legal ? name : "vhk%d",
				  legal ? NET_NAME_USER : NET_NAME_ENUM, ether_setup,
				  net->n_pairs, net->n_pairs);
	if (!netdev)
		return -ENOMEM;
	*(struct vhk_net **)netdev_priv(netdev) = net;
	net->netdev = netdev;
	set_up(net, mtu);
	for (i = 0; i < net->n_pairs; i++) {
		struct vhk_net_pair *pair = &net->pairs[i];

		pair->net = net;
		pair->index = i;
		pair->txq = netdev_get_tx_queue(netdev, i);
		spin_lock_init(&pair->lock);
		timer_setup(&pair->stall_timer, vhk_net_stall, 0);
	}
	return 0;
}

/* The core does not look whether there was memory for the name in sysfs, and then misses a name. */
static int register_one(struct net_device *netdev)
{
	const int ret = register_netdevice(netdev);

	return ret == -EINVAL && netdev->dev.class && !dev_name(&netdev->dev) ? -ENOMEM : ret;
}

/* A name that is taken gives way to one that is not. */
static int register_named(struct net_device *netdev)
{
	const int ret = register_one(netdev);

	if (ret != -EEXIST)
		return ret;
	strscpy(netdev->name, "vhk%d", IFNAMSIZ);
	netdev->name_assign_type = NET_NAME_ENUM;
	return register_one(netdev);
}

/*
 * The thread serves both queues, and goes where the driver wants either. It may end before the
 * interface does, where an administrator turns threads off; then it can still be told.
 */
static void name_worker(struct vhk_net_pair *pair)
{
	pair->thread = pair->napi.thread;
	if (pair->thread)
		get_task_struct(pair->thread);
	pair->from_vq->worker = pair->thread;
	pair->to_vq->worker = pair->thread;
}

int vhk_net_netdev_register(struct vhk_net *net)
{
	unsigned int i;
	int ret;

	rtnl_lock();
	ret = register_named(net->netdev);
	if (ret)
		goto out;
	/* Drivers send long segments whole; who has others to merge can turn it on. */
	net->netdev->wanted_features &= ~NETIF_F_GRO;
	net->netdev->features &= ~NETIF_F_GRO;
	netdev_update_features(net->netdev);
	for (i = 0; i < net->n_pairs; i++) {
		netif_napi_add(net->netdev, &net->pairs[i].napi, vhk_net_poll);
		name_worker(&net->pairs[i]);
		napi_enable(&net->pairs[i].napi);
	}
out:
	rtnl_unlock();
	return ret;
}

void vhk_net_netdev_unregister(struct vhk_net *net)
{
	unsigned int i;

	rtnl_lock();
	for (i = 0; i < net->n_pairs; i++) {
		napi_disable(&net->pairs[i].napi);
		netif_napi_del(&net->pairs[i].napi);
		if (net->pairs[i].thread)
			put_task_struct(net->pairs[i].thread);
	}
	unregister_netdevice(net->netdev);
	rtnl_unlock();
	free_netdev(net->netdev);
	net->netdev = NULL;
}
