// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Ports that lead nowhere, for measuring: what is transmitted comes back, or is read and forgotten;
 * or the driver gets as many packets as it has room for.
 */
#include "device_impl.h"
#include "net_copy.h"
#include "net_impl.h"

#define SINK 2048

struct forward {
	unsigned char *frame; /* TXONLY: what is sent */
	struct iovec seg;
	struct net_frame batch[NET_BATCH];
};

static int set_offload(struct vhk_net *net, uint64_t guest)
{
	(void)net;
	(void)guest;
	return 0;
}

static void forward_free(struct vhk_net *net)
{
	struct forward *f = net->port;

	if (f)
		free(f->frame);
	free(f);
}

/* Both queues of a pair meet in one thread. */
static int pair_start(struct net_queue *nq)
{
	const struct vhk_net *net = nq->net;
	const struct vhk_device *d = net->dev;

	return d->queue[2 * nq->pair].loop == d->queue[2 * nq->pair + 1].loop ? 0 : -EINVAL;
}

static void give_back(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	struct net_queue *rx = &tx->net->queue[2 * tx->pair];
	uint64_t bytes = 0;
	unsigned int i;

	if (!rx->started || !vhk_queue_usable(rx->q)) {
		vhk_net_dropped(tx, VHK_NET_DROP_LINK, n);
		return;
	}
	for (i = 0; i < n; i++)
		bytes += f[i].len;
	net_passed(tx, n, bytes);
	vhk_net_deliver(rx, f, n);
}

static void io_send(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	give_back(tx, f, n);
}

/* The addresses are exchanged in a copy of them: the packet stays the driver's. */
struct turned {
	unsigned char head[2 * ETH_ALEN];
	struct iovec seg[1 + NET_SEGS];
};

static void turn(struct turned *t, const struct net_frame *f, struct net_frame *out)
{
	unsigned char head[2 * ETH_ALEN];
	const struct iovec head_seg = { head, sizeof(head) };
	struct net_place to = { &head_seg, 0 }, from = { f->seg, f->off };
	unsigned int n = 1;

	net_copy_segs(&to, &from, sizeof(head));
	memcpy(t->head, head + ETH_ALEN, ETH_ALEN);
	memcpy(t->head + ETH_ALEN, head, ETH_ALEN);
	*out = *f;
	out->seg = t->seg;
	out->off = 0;
	t->seg[0] = (struct iovec){ t->head, sizeof(t->head) };
	for (; from.seg < f->seg + f->n_seg; from.seg++, from.off = 0)
		t->seg[n++] = (struct iovec){ (char *)from.seg->iov_base + from.off,
					      from.seg->iov_len - from.off };
	out->n_seg = n;
}

static void mac_send(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	struct net_frame out;
	struct turned t;
	unsigned int i;

	for (i = 0; i < n; i++) {
		turn(&t, &f[i], &out);
		give_back(tx, &out, 1);
	}
}

static __attribute__((noinline)) void sink_segs(unsigned char *buf, const struct net_frame *f)
{
	const struct iovec seg = { buf, SINK };
	struct net_place from = { f->seg, f->off }, to;
	size_t part, left;

	for (left = f->len; left; left -= part) {
		part = vhk_min(left, (size_t)SINK);
		to = (struct net_place){ &seg, 0 };
		net_copy_segs(&to, &from, part);
	}
}

/* As an application would get them: into a buffer of its own. */
static void sink_send(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	unsigned char buf[SINK];
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (vhk_likely(f[i].n_seg == 1 && f[i].len <= sizeof(buf)))
			net_copy(buf, (const char *)f[i].seg->iov_base + f[i].off, f[i].len);
		else
			sink_segs(buf, &f[i]);
		__asm__ volatile("" : : "r"(buf) : "memory");
		bytes += f[i].len;
	}
	net_passed(tx, n, bytes);
}

static int txonly_start(struct net_queue *nq)
{
	if (nq->rx)
		vhk_queue_want(nq->q, true);
	return 0;
}

static void txonly_room(struct net_queue *rx)
{
	const struct forward *fw = rx->net->port;
	struct net_give g;
	unsigned int i, n = vhk_net_give_begin(&g, rx, NET_BATCH);

	/* a packet that takes several buffers leaves fewer for the others */
	for (i = 0; i < n && g.used < g.n;)
		i += vhk_net_give_some(&g, fw->batch + i, n - i);
	vhk_net_give_end(&g);
	vhk_queue_want(rx->q, true);
}

static void drop_send(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	(void)f;
	vhk_net_dropped(tx, VHK_NET_DROP_PORT, n);
}

static const struct net_port_ops io_ops = {
	.features = NET_F(CSUM) | NET_F(GUEST_CSUM),
	.set_offload = set_offload,
	.start = pair_start,
	.send = io_send,
	.free = forward_free,
};

static const struct net_port_ops mac_ops = {
	.features = NET_F(CSUM) | NET_F(GUEST_CSUM),
	.set_offload = set_offload,
	.start = pair_start,
	.send = mac_send,
	.free = forward_free,
};

static const struct net_port_ops rxonly_ops = {
	.features = NET_HOST,
	.set_offload = set_offload,
	.send = sink_send,
	.free = forward_free,
};

static const struct net_port_ops txonly_ops = {
	.set_offload = set_offload,
	.start = txonly_start,
	.send = drop_send,
	.room = txonly_room,
	.free = forward_free,
};

/* For everybody, from us, of a type for experiments. */
static int make_frame(struct vhk_net *net, struct forward *f)
{
	static const unsigned char type[] = { 0x88, 0xb5 };
	unsigned int i;

	f->frame = aligned_alloc(64, vhk_align_up(net->frame_len, 64));
	if (!f->frame)
		return -ENOMEM;
	for (i = 0; i < net->frame_len; i++)
		f->frame[i] = (unsigned char)i;
	memset(f->frame, 0xff, ETH_ALEN);
	memcpy(f->frame + ETH_ALEN, net->mac_given, ETH_ALEN);
	memcpy(f->frame + 2 * ETH_ALEN, type, sizeof(type));
	f->seg = (struct iovec){ f->frame, net->frame_len };
	for (i = 0; i < NET_BATCH; i++)
		f->batch[i] =
			(struct net_frame){ .len = net->frame_len, .seg = &f->seg, .n_seg = 1 };
	return 0;
}

int vhk_net_forward_open(struct vhk_net *net, enum vhk_net_port how)
{
	struct forward *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	net->port = f;
	switch (how) {
	case VHK_NET_IO:
		net->ops = &io_ops;
		return 0;
	case VHK_NET_MAC:
		net->ops = &mac_ops;
		return 0;
	case VHK_NET_RXONLY:
		net->ops = &rxonly_ops;
		return 0;
	default:
		net->ops = &txonly_ops;
		return make_frame(net, f);
	}
}
