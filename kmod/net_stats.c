// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is counted, in all the places where it is asked for: the interface's own counters, ethtool,
 * and vdpa dev vstats show. Each frame is counted once, as sent or by the cause of its loss.
 */
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <uapi/linux/vdpa.h>

#include "net.h"
#include "version.h"

static const char *const drop_names[VHK_NET_N_DROPS] = {
	[VHK_NET_DROP_SHORT] = "drop_short",
	[VHK_NET_DROP_LONG] = "drop_long",
	[VHK_NET_DROP_FAULT] = "drop_fault",
	[VHK_NET_DROP_HEADER] = "drop_header",
	[VHK_NET_DROP_MEMORY] = "drop_memory",
	[VHK_NET_DROP_DOWN] = "drop_down",
	[VHK_NET_DROP_IDLE] = "drop_idle",
	[VHK_NET_DROP_FILTER] = "drop_filter",
	[VHK_NET_DROP_OFFLOAD] = "drop_offload",
	[VHK_NET_DROP_STALL] = "drop_stall",
	[VHK_NET_DROP_BUFFER] = "drop_buffer",
	[VHK_NET_DROP_BROKEN] = "drop_broken",
};

/* Those that can happen on a frame's way from the driver, and to it. */
static const u32 drops_from = BIT(VHK_NET_DROP_SHORT) | BIT(VHK_NET_DROP_LONG) |
			      BIT(VHK_NET_DROP_FAULT) | BIT(VHK_NET_DROP_HEADER) |
			      BIT(VHK_NET_DROP_MEMORY) | BIT(VHK_NET_DROP_DOWN);
static const u32 drops_to = BIT(VHK_NET_DROP_SHORT) | BIT(VHK_NET_DROP_LONG) |
			    BIT(VHK_NET_DROP_IDLE) | BIT(VHK_NET_DROP_FILTER) |
			    BIT(VHK_NET_DROP_OFFLOAD) | BIT(VHK_NET_DROP_STALL) |
			    BIT(VHK_NET_DROP_BUFFER) | BIT(VHK_NET_DROP_BROKEN);

static u64 sum(const struct vhk_net_stats *s, u32 which)
{
	unsigned long bits = which;
	unsigned int i;
	u64 n = 0;

	for_each_set_bit(i, &bits, VHK_NET_N_DROPS)
		n += READ_ONCE(s->drops[i]);
	return n;
}

/* What is the driver's fault is an error, the rest was dropped. */
static void add_from(struct rtnl_link_stats64 *out, const struct vhk_net_stats *s)
{
	const u64 length = sum(s, BIT(VHK_NET_DROP_SHORT) | BIT(VHK_NET_DROP_LONG));
	const u64 frame = sum(s, BIT(VHK_NET_DROP_HEADER));

	out->rx_packets += READ_ONCE(s->packets);
	out->rx_bytes += READ_ONCE(s->bytes);
	out->rx_length_errors += length;
	out->rx_frame_errors += frame;
	out->rx_errors += length + frame + sum(s, BIT(VHK_NET_DROP_FAULT));
	out->rx_dropped += sum(s, BIT(VHK_NET_DROP_MEMORY) | BIT(VHK_NET_DROP_DOWN));
}

static void add_to(struct rtnl_link_stats64 *out, const struct vhk_net_stats *s)
{
	const u64 carrier = sum(s, BIT(VHK_NET_DROP_IDLE));
	const u64 fifo = sum(s, BIT(VHK_NET_DROP_BUFFER) | BIT(VHK_NET_DROP_BROKEN));

	out->tx_packets += READ_ONCE(s->packets);
	out->tx_bytes += READ_ONCE(s->bytes);
	out->tx_carrier_errors += carrier;
	out->tx_fifo_errors += fifo;
	out->tx_errors += carrier + fifo + sum(s, BIT(VHK_NET_DROP_SHORT));
	out->tx_dropped += sum(s, BIT(VHK_NET_DROP_LONG) | BIT(VHK_NET_DROP_FILTER) |
				  BIT(VHK_NET_DROP_OFFLOAD) | BIT(VHK_NET_DROP_STALL));
}

void vhk_net_get_stats64(struct net_device *netdev, struct rtnl_link_stats64 *out)
{
	const struct vhk_net *net = vhk_net_of_netdev(netdev);
	unsigned int i;

	for (i = 0; i < net->n_pairs; i++) {
		add_from(out, &net->pairs[i].from);
		add_to(out, &net->pairs[i].to);
	}
}

static int put(struct sk_buff *msg, const char *name, u64 value)
{
	if (nla_put_string(msg, VDPA_ATTR_DEV_VENDOR_ATTR_NAME, name) ||
	    nla_put_u64_64bit(msg, VDPA_ATTR_DEV_VENDOR_ATTR_VALUE, value, VDPA_ATTR_PAD))
		return -EMSGSIZE;
	return 0;
}

static int put_data(struct sk_buff *msg, const struct vhk_net_stats *s, unsigned long which)
{
	unsigned int i;

	if (put(msg, "packets", READ_ONCE(s->packets)) || put(msg, "bytes", READ_ONCE(s->bytes)))
		return -EMSGSIZE;
	for_each_set_bit(i, &which, VHK_NET_N_DROPS)
		if (put(msg, drop_names[i], READ_ONCE(s->drops[i])))
			return -EMSGSIZE;
	return 0;
}

int vhk_net_vq_stats(struct vhk_vq *vq, struct sk_buff *msg)
{
	const struct vhk_net *net = vhk_net_of(vq->dev);
	const struct vhk_net_pair *pair = vq->priv;

	if (put(msg, "kicks", atomic_long_read(&vq->n_kicks)) ||
	    put(msg, "calls", READ_ONCE(vq->n_calls)))
		return -EMSGSIZE;
	if (vhk_net_group(vq)) {
		if (put(msg, "commands", READ_ONCE(net->n_commands)) ||
		    put(msg, "refused", READ_ONCE(net->n_refused)))
			return -EMSGSIZE;
		return 0;
	}
	if (!pair)
		return 0;
	return vq->index & 1 ? put_data(msg, &pair->from, drops_from) :
			       put_data(msg, &pair->to, drops_to);
}

static void get_drvinfo(struct net_device *netdev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "vhostkit_net", sizeof(info->driver));
	strscpy(info->version, VHK_MODULE_VERSION, sizeof(info->version));
	strscpy(info->bus_info, dev_name(&vhk_net_of_netdev(netdev)->dev.vdpa.dev),
		sizeof(info->bus_info));
}

/* The driver chooses how many are in use. */
static void get_channels(struct net_device *netdev, struct ethtool_channels *c)
{
	const struct vhk_net *net = vhk_net_of_netdev(netdev);

	c->max_combined = net->n_pairs;
	c->combined_count = READ_ONCE(net->active);
}

static int get_link_ksettings(struct net_device *netdev, struct ethtool_link_ksettings *ks)
{
	ks->base.speed = SPEED_UNKNOWN;
	ks->base.duplex = DUPLEX_FULL;
	ks->base.port = PORT_OTHER;
	ks->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

static unsigned int n_each(void)
{
	return 2 * 2 + hweight32(drops_from) + hweight32(drops_to);
}

static int get_sset_count(struct net_device *netdev, int set)
{
	return set == ETH_SS_STATS ? n_each() * vhk_net_of_netdev(netdev)->n_pairs : -EOPNOTSUPP;
}

static void name_queue(u8 **at, char way, unsigned int queue, unsigned long which)
{
	unsigned int i;

	ethtool_sprintf(at, "%cx%u_packets", way, queue);
	ethtool_sprintf(at, "%cx%u_bytes", way, queue);
	for_each_set_bit(i, &which, VHK_NET_N_DROPS)
		ethtool_sprintf(at, "%cx%u_%s", way, queue, drop_names[i]);
}

static void get_strings(struct net_device *netdev, u32 set, u8 *at)
{
	unsigned int i;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < vhk_net_of_netdev(netdev)->n_pairs; i++) {
		name_queue(&at, 'r', i, drops_from);
		name_queue(&at, 't', i, drops_to);
	}
}

static u64 *fill_queue(u64 *at, const struct vhk_net_stats *s, unsigned long which)
{
	unsigned int i;

	*at++ = READ_ONCE(s->packets);
	*at++ = READ_ONCE(s->bytes);
	for_each_set_bit(i, &which, VHK_NET_N_DROPS)
		*at++ = READ_ONCE(s->drops[i]);
	return at;
}

static void get_ethtool_stats(struct net_device *netdev, struct ethtool_stats *stats, u64 *at)
{
	const struct vhk_net *net = vhk_net_of_netdev(netdev);
	unsigned int i;

	for (i = 0; i < net->n_pairs; i++) {
		at = fill_queue(at, &net->pairs[i].from, drops_from);
		at = fill_queue(at, &net->pairs[i].to, drops_to);
	}
}

const struct ethtool_ops vhk_net_ethtool_ops = {
	.get_drvinfo = get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = get_link_ksettings,
	.get_channels = get_channels,
	.get_sset_count = get_sset_count,
	.get_strings = get_strings,
	.get_ethtool_stats = get_ethtool_stats,
	.get_ts_info = ethtool_op_get_ts_info,
};
