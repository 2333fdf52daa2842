// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The network card as a device object: made from options, its queues started and stopped, counted,
 * plugged in and out, freed.
 */
#include <sys/random.h>

#include "device_impl.h"
#include "fd.h"
#include "net_impl.h"

#define DEVICE_ID_NET 1
#define QUEUE_SIZE_DEFAULT 1024
#define MTU_MIN 68
#define VLAN_TAGS 8 /* bytes of two tags */
#define TXONLY_LEN 60

const char *vhk_net_drop_name(enum vhk_net_drop cause)
{
	static const char *const names[] = { "header", "runt",	 "long",  "offload", "room",
					     "link",   "filter", "flood", "port" };

	return (unsigned int)cause < VHK_NET_DROPS ? names[cause] : NULL;
}

/* What goes on goes on for long: each line stands for twice as many as the one before. */
void vhk_net_dropped(struct net_queue *nq, enum vhk_net_drop cause, uint64_t n)
{
	_Atomic uint64_t *counter = &nq->counters.dropped[cause];
	uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

	if (!n)
		return;
	net_count(counter, n);
	/* lost for want of buffers, or as the driver asked: that is how networks are */
	if (cause == VHK_NET_DROP_ROOM || cause == VHK_NET_DROP_FILTER)
		return;
	if (!before || 64 - __builtin_clzll(before) != 64 - __builtin_clzll(before + n))
		vhk_log(&nq->net->log, VHK_LOG_WARN, "queue %u: %llu packets dropped: %s",
			vhk_queue_index(nq->q), (unsigned long long)before + n,
			vhk_net_drop_name(cause));
}

struct net_queue *vhk_net_rx_of(struct vhk_net *net, unsigned int pair)
{
	const uint32_t active = atomic_load_explicit(&net->active, memory_order_relaxed);
	struct net_queue *rx;

	for (pair %= active;; pair /= 2) {
		rx = &net->queue[2 * pair];
		if (rx->started && vhk_queue_usable(rx->q))
			return rx;
		if (!pair)
			return NULL;
	}
}

static bool is_ctrl(const struct vhk_net *net, const struct vhk_queue *q)
{
	const uint64_t f = vhk_queue_features(q);
	const unsigned int at = f & NET_F(MQ) ? 2u * net->n_pairs : 2;

	return f & NET_F(CTRL_VQ) && vhk_queue_index(q) == at;
}

/* The port hears of queues that are enabled only. */
static int enable(struct net_queue *nq, bool on)
{
	int ret = 0;

	if (nq->started == on)
		return 0;
	if (!on) {
		nq->started = false;
		if (nq->net->ops->stop)
			nq->net->ops->stop(nq);
		return 0;
	}
	if (nq->net->ops->start)
		ret = nq->net->ops->start(nq);
	nq->started = !ret;
	return ret;
}

static int queue_start(void *priv, struct vhk_queue *q)
{
	struct vhk_net *net = priv;
	const unsigned int idx = vhk_queue_index(q);
	const uint64_t f = vhk_queue_features(q);
	struct net_queue *nq;

	nq = is_ctrl(net, q) ? &net->ctrl : &net->queue[idx];
	if (nq != &net->ctrl && idx >= 2u * net->n_pairs)
		return -EINVAL;
	nq->q = q;
	nq->mergeable = f & NET_F(MRG_RXBUF);
	nq->hdr_len = f & (VHK_F_VERSION_1 | NET_F(MRG_RXBUF)) ? sizeof(struct virtio_net_hdr_v1)
							      : sizeof(struct virtio_net_hdr);
	vhk_queue_set_priv(q, nq);
	if (nq == &net->ctrl)
		return 0;
	if (nq->rx)
		vhk_queue_pull(q);
	return q->enabled ? enable(nq, true) : 0;
}

static void queue_stop(void *priv, struct vhk_queue *q)
{
	struct net_queue *nq = vhk_queue_priv(q);

	(void)priv;
	enable(nq, false);
	nq->q = NULL;
	vhk_queue_set_priv(q, NULL);
}

static void queue_enable(void *priv, struct vhk_queue *q, bool on)
{
	struct vhk_net *net = priv;
	struct net_queue *nq = vhk_queue_priv(q);
	int ret;

	if (!nq || nq == &net->ctrl)
		return;
	ret = enable(nq, on);
	if (!ret)
		return;
	vhk_log(&net->log, VHK_LOG_ERROR, "queue %u: %s", vhk_queue_index(q),
		strerrordesc_np(-ret));
	vhk_queue_fail(q);
}

static void work(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	struct vhk_net *net = priv;
	struct net_queue *nq = vhk_queue_priv(q);

	if (nq == &net->ctrl)
		vhk_net_ctrl(nq, chains, n);
	else if (!nq->rx)
		vhk_net_tx(nq, chains, n);
	else if (nq->started && net->ops->room)
		net->ops->room(nq);
}

static void close_fds(struct vhk_net *net)
{
	unsigned int i;

	for (i = 0; i < net->n_fds; i++)
		vhk_fd_close(net->fds[i]);
	net->n_fds = 0;
}

static void net_free(void *priv)
{
	struct vhk_net *net = priv;

	if (!net)
		return;
	if (net->ops)
		net->ops->free(net);
	close_fds(net);
	free(net);
}

static const struct vhk_device_ops net_ops = {
	.sz = sizeof(net_ops),
	.set_features = vhk_net_set_features,
	.get_config = vhk_net_get_config,
	.set_config = vhk_net_set_config,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.work = work,
	.reset = vhk_net_reset,
	.free = net_free,
	.send_rarp = vhk_net_send_rarp,
	.set_mtu = vhk_net_set_mtu,
	.queue_enable = queue_enable,
};

static bool wants_fds(const struct vhk_net_opts *o)
{
	return o->port == VHK_NET_TAP || o->port == VHK_NET_PACKET;
}

static int check_opts(struct vhk_net_opts *o)
{
	if (!o->num_pairs)
		o->num_pairs = 1;
	if (!o->queue_size)
		o->queue_size = QUEUE_SIZE_DEFAULT;
	if (o->port <= VHK_NET_NONE || o->port > VHK_NET_TXONLY ||
	    o->num_pairs > VHK_NET_PAIRS_MAX || (o->mtu && o->mtu < MTU_MIN) || o->mac[0] & 1)
		return -EINVAL;
	if (o->queue_size < 4 || o->queue_size > VHK_QUEUE_SIZE_MAX ||
	    !vhk_is_power_of_2(o->queue_size))
		return -EINVAL;
	if (o->n_fds != (wants_fds(o) ? o->num_pairs : 0u) || (o->n_fds && !o->fds) ||
	    (o->port == VHK_NET_SWITCH) != !!o->sw)
		return -EINVAL;
	if (o->frame_len && (o->port != VHK_NET_TXONLY || o->frame_len < ETH_HLEN ||
			     o->frame_len > UINT16_MAX))
		return -EINVAL;
	return o->port == VHK_NET_PACKET && o->num_pairs > 1 ? -EINVAL : 0;
}

/* Locally administered, not a group's. */
static int make_mac(uint8_t *mac)
{
	if (net_mac(mac))
		return 0;
	if (getrandom(mac, 6, 0) != 6)
		return -EIO;
	mac[0] = (mac[0] & 0xfc) | 2;
	return 0;
}

static int open_port(struct vhk_net *net, enum vhk_net_port port)
{
	switch (port) {
	case VHK_NET_TAP:
	case VHK_NET_PACKET:
		return vhk_net_fd_open(net, port == VHK_NET_PACKET);
	case VHK_NET_SWITCH:
		return vhk_net_switch_open(net);
	default:
		return vhk_net_forward_open(net, port);
	}
}

static int fill_in(struct vhk_net *net, struct vhk_net_opts *o)
{
	unsigned int i;
	int ret = make_mac(o->mac);

	if (ret)
		return ret;
	memcpy(net->mac_given, o->mac, 6);
	net->log = o->log;
	net->mtu = o->mtu;
	net->n_pairs = o->num_pairs;
	net->queue_size = o->queue_size;
	net->sw = o->sw;
	net->frame_len = o->frame_len ? o->frame_len : TXONLY_LEN;
	net->max_len = o->mtu ? (unsigned int)o->mtu + ETH_HLEN + VLAN_TAGS : NET_FRAME_MAX;
	atomic_store(&net->up, true);
	net->ctrl.net = net;
	for (i = 0; i < 2u * net->n_pairs; i++) {
		net->queue[i].net = net;
		net->queue[i].pair = i / 2;
		net->queue[i].rx = !(i % 2);
	}
	ret = open_port(net, o->port);
	if (ret)
		return ret;
	net->offered = vhk_net_offer(net) & ~o->without;
	vhk_net_reset(net);
	return 0;
}

static struct vhk_net *net_alloc(const struct vhk_net_opts *o)
{
	size_t size = sizeof(struct vhk_net) + 2u * o->num_pairs * sizeof(struct net_queue);
	struct vhk_net *net = aligned_alloc(64, vhk_align_up(size, 64));

	if (net)
		memset(net, 0, size);
	return net;
}

static void close_given(const struct vhk_net_opts *o)
{
	unsigned int i;

	for (i = 0; o->fds && i < o->n_fds; i++)
		vhk_fd_close(o->fds[i]);
}

int vhk_net_new(struct vhk_device **out, const struct vhk_net_opts *opts)
{
	struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = DEVICE_ID_NET,
		.flags = VHK_DEVICE_F_BATCH,
		.max_segs = NET_SEGS,
		.config_size = offsetof(struct virtio_net_config, speed),
	};
	struct vhk_net_opts o;
	struct vhk_net *net = NULL;
	int ret;

	*out = NULL;
	ret = vhk_opts_read(&o, sizeof(o), opts);
	if (ret)
		return ret;
	ret = check_opts(&o);
	if (!ret)
		net = net_alloc(&o);
	if (!net) {
		close_given(&o);
		return ret ? ret : -ENOMEM;
	}
	net->n_fds = o.n_fds;
	if (o.n_fds)
		memcpy(net->fds, o.fds, o.n_fds * sizeof(int));
	ret = fill_in(net, &o);
	if (ret)
		goto err;
	info.features = net->offered;
	info.n_queues = (uint16_t)(2 * net->n_pairs + !!(net->offered & NET_F(CTRL_VQ)));
	info.queue_size = net->queue_size;
	ret = vhk_device_new(&net->dev, &info, &net_ops, net);
	if (ret)
		goto err;
	*out = net->dev;
	return 0;
err:
	net_free(net);
	return ret;
}

static struct vhk_net *net_of(const struct vhk_device *d)
{
	return vhk_device_does(d, &net_ops) ? vhk_device_priv(d) : NULL;
}

static void link_changed(struct vhk_work *w)
{
	struct vhk_net *net = vhk_container_of(w, struct vhk_net, link_work);

	vhk_device_config_changed(net->dev);
}

void vhk_net_lose_port(struct vhk_net *net, int err)
{
	if (atomic_exchange(&net->gone, true))
		return;
	vhk_log(&net->log, VHK_LOG_ERROR, "the port is gone, the link is down: %s",
		strerrordesc_np(-err));
	net->link_work.fn = link_changed;
	vhk_loop_post(net->dev->ctl, &net->link_work);
}

int vhk_net_set_link(struct vhk_device *d, bool up)
{
	struct vhk_net *net = net_of(d);

	if (!net)
		return -EINVAL;
	if (atomic_exchange(&net->up, up) != up)
		vhk_device_config_changed(d);
	return 0;
}

int vhk_net_announce(struct vhk_device *d)
{
	struct vhk_net *net = net_of(d);
	uint64_t f, mac;
	uint8_t bytes[6];
	unsigned int i;

	if (!net)
		return -EINVAL;
	f = atomic_load_explicit(&net->features, memory_order_relaxed);
	if (f & NET_F(GUEST_ANNOUNCE) && f & NET_F(STATUS)) {
		atomic_store_explicit(&net->announce, true, memory_order_relaxed);
		vhk_device_config_changed(d);
		return 0;
	}
	mac = atomic_load_explicit(&net->filter.mac, memory_order_relaxed);
	for (i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(mac >> (40 - 8 * i));
	return vhk_net_send_rarp(net, bytes);
}

void vhk_net_read_counters(const struct net_counters *c, struct vhk_net_stats *out)
{
	unsigned int i;

	out->seen = atomic_load_explicit(&c->seen, memory_order_relaxed);
	out->packets = atomic_load_explicit(&c->packets, memory_order_relaxed);
	out->bytes = atomic_load_explicit(&c->bytes, memory_order_relaxed);
	for (i = 0; i < VHK_NET_DROPS; i++)
		out->dropped[i] = atomic_load_explicit(&c->dropped[i], memory_order_relaxed);
}

int vhk_net_stats(const struct vhk_device *d, unsigned int queue, struct vhk_net_stats *out)
{
	const struct vhk_net *net = net_of(d);

	if (!net || queue > 2u * net->n_pairs)
		return -EINVAL;
	vhk_net_read_counters(queue == 2u * net->n_pairs ? &net->ctrl.counters
							 : &net->queue[queue].counters,
			      out);
	return 0;
}
