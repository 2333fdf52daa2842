// SPDX-License-Identifier: GPL-2.0-only
/*
 * The config space of a network card (virtio 1.3, 5.1.4). A driver changes none of it by writing.
 */
#include "net.h"

static void put16(struct vhk_dev *dev, unsigned int at, u16 value)
{
	const __virtio16 v = __cpu_to_virtio16(true, value);

	memcpy(dev->config + at, &v, sizeof(v));
}

static u16 get16(const struct vhk_dev *dev, unsigned int at)
{
	__virtio16 v;

	memcpy(&v, dev->config + at, sizeof(v));
	return __virtio16_to_cpu(true, v);
}

/* All of the structure, also where nothing is offered that would fill it: the core asks for it. */
void vhk_net_config_fill(struct vhk_net *net, u16 mtu)
{
	struct vhk_dev *dev = &net->dev;

	BUILD_BUG_ON(sizeof(struct virtio_net_config) > VHK_CONFIG_MAX);
	dev->config_size = sizeof(struct virtio_net_config);
	memcpy(dev->config, net->first_mac, ETH_ALEN);
	put16(dev, offsetof(struct virtio_net_config, max_virtqueue_pairs), net->n_pairs);
	put16(dev, offsetof(struct virtio_net_config, mtu), mtu);
	net->mac = vhk_net_mac(net->first_mac);
}

void vhk_net_set_status(struct vhk_net *net, u16 clear, u16 set)
{
	const unsigned int at = offsetof(struct virtio_net_config, status);
	struct vhk_dev *dev = &net->dev;
	u16 old, status;

	spin_lock_bh(&dev->config_lock);
	old = get16(dev, at);
	status = (old & ~clear) | set;
	put16(dev, at, status);
	dev->generation += old != status;
	spin_unlock_bh(&dev->config_lock);
	/* An announcement that was made is the driver's own news. */
	if ((old ^ status) & ~(clear & VIRTIO_NET_S_ANNOUNCE))
		vhk_dev_config_changed(dev);
}

void vhk_net_set_mac(struct vhk_net *net, const u8 *mac)
{
	spin_lock_bh(&net->dev.config_lock);
	memcpy(net->dev.config, mac, ETH_ALEN);
	net->dev.generation++;
	WRITE_ONCE(net->mac, vhk_net_mac(mac));
	spin_unlock_bh(&net->dev.config_lock);
}

void vhk_net_config_write(struct vhk_dev *dev, unsigned int offset, const void *buf,
			  unsigned int len)
{
	const unsigned int at = offsetof(struct virtio_net_config, status);
	struct vhk_net *net = vhk_net_of(dev);

	if (len)
		return;
	vhk_net_set_mac(net, net->first_mac);
	spin_lock_bh(&dev->config_lock);
	put16(dev, at, get16(dev, at) & ~VIRTIO_NET_S_ANNOUNCE);
	spin_unlock_bh(&dev->config_lock);
	net->has_begun = false;
	WRITE_ONCE(net->active, 1);
}
