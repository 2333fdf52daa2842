// SPDX-License-Identifier: GPL-2.0-only
/*
 * The management device: `vdpa dev add name NAME mgmtdev vhostkit_net` makes a network card, and an
 * interface of the same name where that can be.
 */
#include <linux/device.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <uapi/linux/vdpa.h>

#include "compat_vdpa.h"
#include "net.h"

#define NEEDED (BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

static struct device *root;

/* What the administrator asked for. */
struct wish {
	u64 features;
	u16 n_pairs;
	u16 mtu; /* 0: any */
	u8 mac[ETH_ALEN];
};

static void net_free(struct vhk_dev *dev)
{
	struct vhk_net *net = vhk_net_of(dev);

	if (net->netdev)
		free_netdev(net->netdev);
	kfree(rcu_dereference_protected(net->filter, true));
	kvfree(net->pairs);
	kvfree(dev->vqs);
	vhk_dev_gone();
}

static const struct vhk_dev_ops net_ops = {
	.id = VIRTIO_ID_NET,
	.queues = &vhk_net_queue_ops,
	.group = vhk_net_group,
	.check_features = vhk_net_check_features,
	.stats = vhk_net_vq_stats,
	.config = vhk_net_config_write,
	.free = net_free,
};

/* One pair needs no command to choose, and an MTU that nobody set is no limit. */
static u64 offered(const struct wish *wish)
{
	u64 features = vhk_net_all_features;

	if (wish->n_pairs == 1)
		features &= ~BIT_ULL(VIRTIO_NET_F_MQ);
	if (!wish->mtu)
		features &= ~BIT_ULL(VIRTIO_NET_F_MTU);
	return features;
}

static int read_wish(struct wish *wish, const struct vdpa_dev_set_config *config)
{
	*wish = (struct wish){ .n_pairs = 1 };
	if (config->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MAX_VQP))
		wish->n_pairs = config->net.max_vq_pairs;
	if (wish->n_pairs > VHK_NET_MAX_PAIRS)
		return -E2BIG;
	if (config->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MTU))
		wish->mtu = config->net.mtu;
	eth_random_addr(wish->mac);
	if (config->mask & BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR))
		ether_addr_copy(wish->mac, config->net.mac);
	if (!is_valid_ether_addr(wish->mac))
		return -EADDRNOTAVAIL;
	wish->features = offered(wish);
	if (!(config->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES)))
		return 0;
	if ((config->device_features & NEEDED) != NEEDED)
		return -EOPNOTSUPP;
	if (config->device_features & ~wish->features)
		return -EINVAL;
	wish->features = config->device_features;
	return vhk_net_check_features(wish->features);
}

/* Everything but the registrations. */
static int prepare(struct vhk_net *net, const char *name, const struct wish *wish)
{
	const bool has_ctrl = wish->features & BIT_ULL(VIRTIO_NET_F_CTRL_VQ);
	struct vhk_net_filter *f;
	int ret;

	net->n_pairs = wish->n_pairs;
	net->active = 1;
	ether_addr_copy(net->first_mac, wish->mac);
	INIT_WORK(&net->ctrl_work, vhk_net_ctrl_work);
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	RCU_INIT_POINTER(net->filter, f);
	net->pairs = kvcalloc(net->n_pairs, sizeof(*net->pairs), GFP_KERNEL_ACCOUNT);
	if (!f || !net->pairs)
		return -ENOMEM;
	ret = vhk_net_netdev_new(net, name, wish->mtu);
	if (ret)
		return ret;
	net->dev.offered = wish->features;
	net->dev.max_queue_size = VHK_NET_QUEUE_SIZE;
	net->dev.max_segs = VHK_NET_MAX_SEGS;
	net->dev.max_indirect = VHK_NET_QUEUE_SIZE;
	vhk_net_config_fill(net, wish->mtu);
	return vhk_dev_init(&net->dev, &net_ops, 2 * net->n_pairs + has_ctrl);
}

static struct vhk_net *net_new(struct vdpa_mgmt_dev *mdev, const char *name,
			       const struct wish *wish)
{
	struct vhk_net *net;
	int ret;

	net = vhk_vdpa_alloc(struct vhk_net, dev.vdpa, root, &vhk_config_ops, VHK_MAX_AS,
			     VHK_MAX_AS, name);
	if (IS_ERR(net))
		return net;
	vhk_dev_born();
	net->dev.ops = &net_ops;
	net->dev.vdpa.mdev = mdev;
	ret = prepare(net, dev_name(&net->dev.vdpa.dev), wish);
	if (!ret)
		return net;
	put_device(&net->dev.vdpa.dev);
	return ERR_PTR(ret);
}

/* The interface comes first: the driver's probe looks at the link already. */
static int net_register(struct vhk_net *net)
{
	int ret;

	ret = vhk_net_netdev_register(net);
	if (ret)
		goto err;
	ret = _vdpa_register_device(&net->dev.vdpa, net->dev.n_vqs);
	if (!ret)
		return 0;
	vhk_dev_stop(&net->dev);
	vhk_net_netdev_unregister(net);
	put_device(&net->dev.vdpa.dev);
	return ret;
err:
	vhk_dev_stop(&net->dev);
	put_device(&net->dev.vdpa.dev);
	return ret;
}

static int net_add(struct vdpa_mgmt_dev *mdev, const char *name,
		   const struct vdpa_dev_set_config *config)
{
	struct vhk_net *net;
	struct wish wish;
	int ret;

	ret = read_wish(&wish, config);
	if (ret)
		goto out;
	/* The core takes no reference, and waits without end for who has a device open. */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	net = net_new(mdev, name, &wish);
	ret = IS_ERR(net) ? PTR_ERR(net) : net_register(net);
	if (ret)
		module_put(THIS_MODULE);
out:
	if (ret)
		pr_info_ratelimited("vhostkit: no card \"%s\": error %d\n", name, ret);
	return ret;
}

/* Operations run until the device is unregistered. */
static void net_del(struct vdpa_mgmt_dev *mdev, struct vdpa_device *vdpa)
{
	struct vhk_net *net = vhk_net_of(vhk_dev_of(vdpa));

	get_device(&vdpa->dev);
	_vdpa_unregister_device(vdpa);
	vhk_dev_stop(&net->dev);
	cancel_work_sync(&net->ctrl_work);
	vhk_net_netdev_unregister(net);
	put_device(&vdpa->dev);
	module_put(THIS_MODULE);
}

/*
 * The address is the only attribute that can change; and not under a driver that runs, which would
 * go on with the one that it has read.
 */
static int net_set_attr(struct vdpa_mgmt_dev *mdev, struct vdpa_device *vdpa,
			const struct vdpa_dev_set_config *config)
{
	struct vhk_net *net = vhk_net_of(vhk_dev_of(vdpa));
	bool runs;

	if (config->mask != BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR))
		return -EOPNOTSUPP;
	if (!is_valid_ether_addr(config->net.mac))
		return -EADDRNOTAVAIL;
	mutex_lock(&net->dev.lock);
	runs = READ_ONCE(net->dev.status) & VIRTIO_CONFIG_S_DRIVER_OK;
	if (!runs) {
		ether_addr_copy(net->first_mac, config->net.mac);
		vhk_net_set_mac(net, net->first_mac);
	}
	mutex_unlock(&net->dev.lock);
	if (runs)
		return -EBUSY;
	vhk_dev_config_changed(&net->dev);
	return 0;
}

static const struct vdpa_mgmtdev_ops mgmt_ops = {
	.dev_add = net_add,
	.dev_del = net_del,
	.dev_set_attr = net_set_attr,
};

static struct virtio_device_id ids[] = {
	{ VIRTIO_ID_NET, VIRTIO_DEV_ANY_ID },
	{ },
};

static struct vdpa_mgmt_dev mgmt = {
	.ops = &mgmt_ops,
	.id_table = ids,
	.config_attr_mask = BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MACADDR) |
			    BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MTU) |
			    BIT_ULL(VDPA_ATTR_DEV_NET_CFG_MAX_VQP) |
			    BIT_ULL(VDPA_ATTR_DEV_FEATURES),
	.max_supported_vqs = 2 * VHK_NET_MAX_PAIRS + 1,
};

/* Whoever learns addresses is to learn them anew: the driver is asked to say its own. */
static int on_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *netdev = netdev_notifier_info_to_dev(ptr);

	if (!vhk_net_is_ours(netdev))
		return NOTIFY_DONE;
	if (event == NETDEV_NOTIFY_PEERS ||
	    (event == NETDEV_CHANGEUPPER && netif_is_any_bridge_port(netdev)))
		vhk_net_set_status(vhk_net_of_netdev(netdev), 0, VIRTIO_NET_S_ANNOUNCE);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = {
	.notifier_call = on_event,
};

int vhk_net_init(void)
{
	int ret;

	mgmt.supported_features = vhk_net_all_features;
	ret = vhk_net_ctrl_init();
	if (ret)
		return ret;
	ret = register_netdevice_notifier(&notifier);
	if (ret)
		goto err_ctrl;
	root = root_device_register("vhostkit_net");
	if (IS_ERR(root)) {
		ret = PTR_ERR(root);
		goto err_notifier;
	}
	mgmt.device = root;
	ret = vdpa_mgmtdev_register(&mgmt);
	if (ret)
		goto err_root;
	return 0;

err_root:
	root_device_unregister(root);
err_notifier:
	unregister_netdevice_notifier(&notifier);
err_ctrl:
	vhk_net_ctrl_exit();
	return ret;
}

void vhk_net_unregister(void)
{
	vdpa_mgmtdev_unregister(&mgmt);
}

void vhk_net_exit(void)
{
	root_device_unregister(root);
	unregister_netdevice_notifier(&notifier);
	vhk_net_ctrl_exit();
}
