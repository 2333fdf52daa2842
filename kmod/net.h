/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The network card: virtio-net (virtio 1.3, 5.1) whose other end is a network interface of the
 * host. net.c makes and removes it, net_dev.c is the interface, net_queue.c starts and stops
 * queues, net_xmit.c goes from the host to the driver, net_rx.c from the driver to the host,
 * net_ctrl.c does the driver's commands, net_config.c has the config space, net_stats.c what is
 * counted; net_rules.c and net_filter.c decide, and touch nothing.
 *
 * A pair has one queue for each direction. "To" and "from" always mean the driver.
 */
#ifndef VHK_NET_H
#define VHK_NET_H

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/timer.h>
#include <linux/virtio_net.h>
#include <linux/workqueue.h>

#include "net_filter.h"
#include "net_rules.h"
#include "vdev.h"

#define VHK_NET_QUEUE_SIZE 1024
#define VHK_NET_MAX_PAIRS 32
#define VHK_NET_MAX_SEGS 256
#define VHK_NET_MAX_PARTS 256 /* buffers of one frame */
#define VHK_NET_MAX_FRAME (ETH_HLEN + VLAN_HLEN + 65535u)

struct vhk_net;

/* Of one direction of a pair, written by whoever works on the queue. */
struct vhk_net_stats {
	u64 packets;
	u64 bytes;
	u64 drops[VHK_NET_N_DROPS];
};

/* A buffer that was taken for a frame. */
struct vhk_net_part {
	u16 id;
	u16 n_desc;
	u32 len;
};

struct vhk_net_pair {
	struct vhk_net *net;
	u16 index;
	struct napi_struct napi;
	struct task_struct *thread; /* that NAPI began with, held; NULL: it had no memory for one */
	unsigned long refilled; /* bit 0: the driver kicked the queue of its buffers */

	/* From the driver: all of it is used under @lock. */
	spinlock_t lock ____cacheline_aligned_in_smp;
	struct vhk_vq *from_vq;
	bool from_runs;
	struct vhk_net_stats from;

	/* To the driver: all of it is used under the lock of @txq. */
	struct netdev_queue *txq ____cacheline_aligned_in_smp;
	struct vhk_vq *to_vq;
	bool to_runs;
	bool armed; /* kicks are asked for */
	bool stalled; /* no buffers, since @stalled_at */
	bool dropping; /* for too long */
	unsigned long stalled_at;
	struct timer_list stall_timer;
	struct vhk_net_stats to;
	unsigned int n_parts;
	struct vhk_net_part parts[VHK_NET_MAX_PARTS];
};

struct vhk_net {
	struct vhk_dev dev; /* first */
	struct net_device *netdev;
	struct vhk_net_pair *pairs;
	u16 n_pairs;
	u16 active; /* pairs that the driver uses */
	bool has_begun; /* a queue was started since the reset */
	u8 first_mac[ETH_ALEN]; /* the administrator's */
	u64 mac; /* as the driver set it, as a number */
	u64 offloads; /* VIRTIO_NET_F_GUEST_*, in use */
	struct vhk_net_filter __rcu *filter; /* changed by commands, or while no queue runs */

	struct vhk_vq *ctrl_vq; /* under the device's lock, and read by kicks */
	struct work_struct ctrl_work;
	u64 n_commands; /* the work's */
	u64 n_refused;
};

static inline struct vhk_net *vhk_net_of(struct vhk_dev *dev)
{
	return container_of(dev, struct vhk_net, dev);
}

static inline struct vhk_net *vhk_net_of_netdev(const struct net_device *netdev)
{
	return *(struct vhk_net **)netdev_priv(netdev);
}

static inline bool vhk_net_has(const struct vhk_net *net, unsigned int feature)
{
	return net->dev.features & BIT_ULL(feature);
}

/* net.c */
int vhk_net_init(void);
/* No device can be added after this, and all that were are taken away. */
void vhk_net_unregister(void);
/* Nobody uses a device any more. */
void vhk_net_exit(void);

/* net_dev.c: the interface, in the first network namespace, with its NAPI running. */
int vhk_net_netdev_new(struct vhk_net *net, const char *name, u16 mtu);
int vhk_net_netdev_register(struct vhk_net *net);
/* The device's queues are stopped for good. */
void vhk_net_netdev_unregister(struct vhk_net *net);
bool vhk_net_is_ours(const struct net_device *netdev);

/* net_queue.c */
extern const struct vhk_queue_ops vhk_net_queue_ops;
u32 vhk_net_group(const struct vhk_vq *vq);

/* net_xmit.c */
netdev_tx_t vhk_net_xmit(struct sk_buff *skb, struct net_device *netdev);
void vhk_net_stall(struct timer_list *timer);

/* net_rx.c */
int vhk_net_poll(struct napi_struct *napi, int budget);

/* net_ctrl.c */
int vhk_net_ctrl_init(void);
void vhk_net_ctrl_exit(void);
void vhk_net_ctrl_kick(struct vhk_net *net);
void vhk_net_ctrl_work(struct work_struct *work);

/* net_config.c */
void vhk_net_config_fill(struct vhk_net *net, u16 mtu);
/* The driver wrote to it, or the device is reset: as struct vhk_dev_ops has it. */
void vhk_net_config_write(struct vhk_dev *dev, unsigned int offset, const void *buf,
			  unsigned int len);
/* VIRTIO_NET_S_*: tells the driver where that makes a difference. */
void vhk_net_set_status(struct vhk_net *net, u16 clear, u16 set);
/* The driver's own doing, so it is not told. */
void vhk_net_set_mac(struct vhk_net *net, const u8 *mac);

/* net_stats.c */
extern const struct ethtool_ops vhk_net_ethtool_ops;
void vhk_net_get_stats64(struct net_device *netdev, struct rtnl_link_stats64 *out);
int vhk_net_vq_stats(struct vhk_vq *vq, struct sk_buff *msg);

/* Counters have one writer at a time, and readers that need no lock. */
static inline void vhk_net_count(u64 *counter, u64 n)
{
	WRITE_ONCE(*counter, *counter + n);
}

#endif
