/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of the network card share. net.c is the device, net_config.c what the driver reads
 * and settles on, net_ctrl.c the control queue, net_tx.c takes packets from the driver, net_rx.c
 * gives it some, net_header.c judges offloads, net_filter.c addresses. A port is what is at the
 * other end: net_fd.c (taps, packet sockets), net_switch.c, net_forward.c.
 */
#ifndef VHK_LIB_NET_IMPL_H
#define VHK_LIB_NET_IMPL_H

#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <stdatomic.h>

#include <vhostkit/net.h>

#include "barrier.h"
#include "base.h"
#include "net_filter.h"
#include "net_header.h"
#include "queue.h"

#define NET_F(bit) (1ULL << VIRTIO_NET_F_##bit)

/* What a driver can take beyond whole, checksummed packets. */
#define NET_GUEST                                                                                  \
	(NET_F(GUEST_CSUM) | NET_F(GUEST_TSO4) | NET_F(GUEST_TSO6) | NET_F(GUEST_ECN) |           \
	 NET_F(GUEST_UFO))
#define NET_HOST                                                                                   \
	(NET_F(CSUM) | NET_F(HOST_TSO4) | NET_F(HOST_TSO6) | NET_F(HOST_ECN) | NET_F(HOST_UFO))

/* Packets handled together; chains that they take. */
#define NET_BATCH 32
#define NET_CHAINS 128
#define NET_SEGS 128
/* Ethernet with two VLAN tags around the longest IP packet. */
#define NET_FRAME_MAX (65535u + 22)

struct vhk_net;
struct net_queue;

/* One packet on its way: its header, ours, and where its bytes are. */
struct net_frame {
	struct virtio_net_hdr_v1 hdr; /* see struct net_words */
	uint32_t len;
	uint32_t off; /* of its first byte in seg[0] */
	uint32_t n_seg;
	const struct iovec *seg;
};

/*
 * A header as two words. A load that several stores have written parts of waits until these are in
 * the cache, and so for all stores before them, as packets into lines that are still the driver's:
 * so headers are written and read in these words.
 */
struct net_words {
	uint64_t head;
	uint32_t tail;
};

static inline struct net_words net_words(const struct virtio_net_hdr_v1 *h)
{
	struct net_words w;

	memcpy(&w.head, h, sizeof(w.head));
	memcpy(&w.tail, (const char *)h + sizeof(w.head), sizeof(w.tail));
	return w;
}

static inline void net_set_words(struct virtio_net_hdr_v1 *h, struct net_words w)
{
	memcpy(h, &w.head, sizeof(w.head));
	memcpy((char *)h + sizeof(w.head), &w.tail, sizeof(w.tail));
}

_Static_assert(sizeof(struct virtio_net_hdr_v1) == 12, "two words");

/* Written by the queue's thread only; any thread may look. */
struct net_counters {
	_Atomic uint64_t seen, packets, bytes;
	_Atomic uint64_t dropped[VHK_NET_DROPS];
};

struct net_port_ops {
	/* What it can do of NET_HOST and NET_GUEST. */
	uint64_t features;
	/* The driver takes no others of NET_GUEST. Control thread or control queue's. */
	int (*set_offload)(struct vhk_net *net, uint64_t guest);
	/* A queue may be used, or not any more. Its thread; optional. */
	int (*start)(struct net_queue *nq);
	void (*stop)(struct net_queue *nq);
	/* @n packets from the driver; counted here. Queue's thread. */
	void (*send)(struct net_queue *tx, const struct net_frame *f, unsigned int n);
	/* There are buffers, after vhk_queue_want(). Queue's thread; optional. */
	void (*room)(struct net_queue *rx);
	/* The card's own packet. Control thread; optional. */
	void (*announce)(struct vhk_net *net, const void *frame, size_t len);
	void (*free)(struct vhk_net *net);
};

struct net_queue {
	struct vhk_net *net;
	struct vhk_queue *q; /* NULL: not started */
	unsigned int pair;
	bool rx;
	bool mergeable;
	uint8_t hdr_len;
	bool started; /* the port knows of it */
	void *port;   /* the port's own */
	_Alignas(64) struct net_counters counters;
};

struct vhk_net {
	struct vhk_device *dev;
	struct vhk_log log;
	const struct net_port_ops *ops;
	void *port;
	struct vhk_switch *sw; /* as asked for */
	uint64_t offered;
	uint16_t mtu;
	uint16_t n_pairs;
	uint16_t queue_size;
	unsigned int max_len; /* longest packet that is whole */
	uint32_t frame_len;
	int fds[VHK_NET_PAIRS_MAX];
	unsigned int n_fds;
	uint8_t mac_given[6];
	/* Written by the control thread or the control queue's, read by every queue's. */
	_Atomic uint64_t features;
	_Atomic uint64_t guest; /* of NET_GUEST */
	_Atomic uint32_t active; /* pairs in use */
	atomic_bool up, gone, announce;
	struct vhk_work link_work;
	struct net_filter filter;
	struct net_queue ctrl;
	struct net_queue queue[]; /* 2 * n_pairs */
};

static inline void net_count(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction is needed. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* @n packets of those seen went no further. */
void vhk_net_dropped(struct net_queue *nq, enum vhk_net_drop cause, uint64_t n);

static inline void net_passed(struct net_queue *nq, uint64_t packets, uint64_t bytes)
{
	net_count(&nq->counters.packets, packets);
	net_count(&nq->counters.bytes, bytes);
}

static inline bool net_link(const struct vhk_net *net)
{
	return atomic_load_explicit(&net->up, memory_order_relaxed) &&
	       !atomic_load_explicit(&net->gone, memory_order_relaxed);
}

void vhk_net_read_counters(const struct net_counters *c, struct vhk_net_stats *out);

/* The port is there no more: the link goes down for good. Any thread. */
void vhk_net_lose_port(struct vhk_net *net, int err);
/* The queue that packets of @pair are for, or NULL: none runs. Its thread. */
struct net_queue *vhk_net_rx_of(struct vhk_net *net, unsigned int pair);

/* vhk_device_ops.work for transmit queues: net_tx.c */
void vhk_net_tx(struct net_queue *tx, struct vhk_chain **chains, unsigned int n);
/* net_ctrl.c */
void vhk_net_ctrl(struct net_queue *nq, struct vhk_chain **chains, unsigned int n);
/* One request of @len bytes, ours. False: refused, and nothing has changed. */
bool vhk_net_ctrl_request(struct vhk_net *net, const uint8_t *bytes, uint32_t len);

/* net_config.c */
int vhk_net_set_features(void *priv, uint64_t features);
int vhk_net_get_config(void *priv, uint32_t off, void *buf, uint32_t len);
int vhk_net_set_config(void *priv, uint32_t off, const void *buf, uint32_t len);
int vhk_net_set_mtu(void *priv, uint16_t mtu);
int vhk_net_send_rarp(void *priv, const uint8_t mac[6]);
void vhk_net_reset(void *priv);
uint64_t vhk_net_offer(const struct vhk_net *net);

/* Giving packets to the driver: net_rx.c. A batch is begun, filled, and shown to the driver. */
struct net_give {
	struct net_queue *rx;
	unsigned int used, n; /* chains filled, chains popped */
	struct vhk_chain *chain[NET_CHAINS];
	uint64_t seen, packets, bytes;
	bool link;
	bool filter;
};

/* Pops up to @want chains; how many. */
unsigned int vhk_net_give_begin(struct net_give *g, struct net_queue *rx, unsigned int want);
/* At least @n more chains are at hand after this, or false. */
bool vhk_net_give_room(struct net_give *g, unsigned int n);
/* True: it is in the driver's memory. */
bool vhk_net_give(struct net_give *g, const struct net_frame *f);
/* The same for the first of @n, at least one; how many. */
unsigned int vhk_net_give_some(struct net_give *g, const struct net_frame *f, unsigned int n);
void vhk_net_give_end(struct net_give *g);
/* A whole batch; how many the driver got. */
unsigned int vhk_net_deliver(struct net_queue *rx, const struct net_frame *f, unsigned int n);

/* The ports. Each takes what it was asked for out of @net. */
int vhk_net_fd_open(struct vhk_net *net, bool packet);
int vhk_net_switch_open(struct vhk_net *net);
int vhk_net_forward_open(struct vhk_net *net, enum vhk_net_port how);

#endif
