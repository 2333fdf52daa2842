// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the driver to the host: NAPI takes frames from the ring, copies them, and hands them to the
 * stack. What a header says is a hint to the stack, which checks it once more.
 */
#include <linux/skbuff.h>

#include "net.h"
#include "trace.h"

#define HDR_LEN sizeof(struct virtio_net_hdr_v1)
/* What fits into a page is one piece; of more, the headers are. */
#define LINEAR_MAX (SKB_WITH_OVERHEAD(PAGE_SIZE) - NET_SKB_PAD - NET_IP_ALIGN)
#define HEAD_LEN 256

static struct sk_buff *alloc_linear(struct vhk_net_pair *pair, u32 len)
{
	const unsigned int size = SKB_HEAD_ALIGN(NET_SKB_PAD + NET_IP_ALIGN + len);
	void *data = napi_alloc_frag(size);
	struct sk_buff *skb;

	if (!data)
		return NULL;
	skb = napi_build_skb(data, size);
	if (!skb) {
		skb_free_frag(data);
		return NULL;
	}
	skb_reserve(skb, NET_SKB_PAD + NET_IP_ALIGN);
	__skb_put(skb, len);
	skb->dev = pair->net->netdev;
	return skb;
}

static struct sk_buff *alloc(struct vhk_net_pair *pair, u32 len)
{
	struct sk_buff *skb;
	int err;

	if (len <= LINEAR_MAX)
		return alloc_linear(pair, len);
	skb = alloc_skb_with_frags(NET_SKB_PAD + NET_IP_ALIGN + HEAD_LEN, len - HEAD_LEN,
				   PAGE_ALLOC_COSTLY_ORDER, &err, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, NET_SKB_PAD + NET_IP_ALIGN);
	__skb_put(skb, HEAD_LEN);
	skb->data_len = len - HEAD_LEN;
	skb->len = len;
	skb->dev = pair->net->netdev;
	return skb;
}

static void store(struct sk_buff *skb, u32 at, const void *from, u32 len)
{
	if (!skb_is_nonlinear(skb))
		memcpy(skb->data + at, from, len);
	else
		skb_store_bits(skb, at, from, len);
}

/* All pieces behind the header. */
static void copy(struct sk_buff *skb, const struct vhk_chain *c)
{
	u32 skip = HDR_LEN, at = 0;
	unsigned int i;

	for (i = 0; i < c->n_out; i++) {
		const struct vhk_seg *s = &c->seg[i];
		const u32 off = min(skip, s->len);

		skip -= off;
		store(skb, at, s->va + off, s->len - off);
		at += s->len - off;
	}
}

static bool is_too_long(const struct vhk_net *net, const struct virtio_net_hdr_v1 *hdr, u32 len)
{
	if (hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return len > VHK_NET_MAX_FRAME;
	return len > READ_ONCE(net->netdev->mtu) + ETH_HLEN + VLAN_HLEN;
}

/* Whether a chain is a frame that can be taken; its header is copied once. */
static enum vhk_net_drop check(const struct vhk_net *net, const struct vhk_chain *c,
			       struct virtio_net_hdr_v1 *hdr)
{
	enum vhk_net_drop ret;

	if (!netif_running(net->netdev))
		return VHK_NET_DROP_DOWN;
	if (c->out_len < HDR_LEN + ETH_HLEN)
		return VHK_NET_DROP_SHORT;
	if (c->fault || !vhk_chain_read_head(c, hdr, sizeof(*hdr)))
		return VHK_NET_DROP_FAULT;
	ret = vhk_net_check_header(net->dev.features, hdr);
	if (!ret && is_too_long(net, hdr, c->out_len - HDR_LEN))
		ret = VHK_NET_DROP_LONG;
	return ret;
}

/* Offsets in the header count from the Ethernet header, which the stack takes off. */
static bool dress(struct vhk_net_pair *pair, struct sk_buff *skb,
		  const struct virtio_net_hdr_v1 *hdr)
{
	if (virtio_net_hdr_to_skb(skb, (const struct virtio_net_hdr *)hdr, true))
		return false;
	skb->protocol = eth_type_trans(skb, pair->net->netdev);
	if (skb_is_gso(skb)) {
		skb_reset_network_header(skb);
		skb_probe_transport_header(skb);
	}
	skb_record_rx_queue(skb, pair->index);
	return true;
}

static enum vhk_net_drop receive(struct vhk_net_pair *pair, const struct vhk_chain *c,
				 struct sk_buff **out)
{
	struct virtio_net_hdr_v1 hdr;
	enum vhk_net_drop ret;
	struct sk_buff *skb;

	ret = check(pair->net, c, &hdr);
	if (ret)
		return ret;
	skb = alloc(pair, c->out_len - HDR_LEN);
	if (!skb)
		return VHK_NET_DROP_MEMORY;
	copy(skb, c);
	if (!dress(pair, skb, &hdr)) {
		kfree_skb(skb);
		return VHK_NET_DROP_HEADER;
	}
	*out = skb;
	return VHK_NET_SENT;
}

/*
 * Lists of frames, as GRO makes them, cost more than they save where nothing is merged; and what
 * goes up at once has mostly left its memory to the next when that is asked for.
 */
static void pass_up(struct vhk_net_pair *pair, struct sk_buff *skb)
{
	if (pair->net->netdev->features & NETIF_F_GRO)
		napi_gro_receive(&pair->napi, skb);
	else
		netif_receive_skb(skb);
}

static void take_one(struct vhk_net_pair *pair, const struct vhk_chain *c)
{
	enum vhk_net_drop ret;
	struct sk_buff *skb;

	trace_vhk_pop(pair->from_vq, c);
	ret = receive(pair, c, &skb);
	trace_vhk_complete(pair->from_vq, c->id, 0);
	vhk_ring_push(&pair->from_vq->ring, c->id, c->n_desc, 0);
	if (ret) {
		vhk_net_count(&pair->from.drops[ret], 1);
		return;
	}
	vhk_net_count(&pair->from.packets, 1);
	vhk_net_count(&pair->from.bytes, skb->len + ETH_HLEN);
	pass_up(pair, skb);
}

/* Returns how many were taken, and @budget where there are more or may be. */
static int take(struct vhk_net_pair *pair, int budget)
{
	struct vhk_ring *r = &pair->from_vq->ring;
	struct vhk_chain c;
	int n;

	vhk_ring_refresh(r);
	vhk_ring_disarm(r);
	for (n = 0; n < budget && vhk_ring_pop(r, &c) > 0; n++) {
		take_one(pair, &c);
		/* It may have taken long to walk, and others wait for lock and processor. */
		if (unlikely(c.fault))
			n = budget - 1;
	}
	vhk_vq_publish(pair->from_vq);
	if (n < budget && vhk_ring_arm(r) > 0)
		n = budget;
	if (unlikely(r->err))
		vhk_dev_needs_reset(&pair->net->dev);
	return n;
}

int vhk_net_poll(struct napi_struct *napi, int budget)
{
	struct vhk_net_pair *pair = container_of(napi, struct vhk_net_pair, napi);
	int n = 0;

	/* The kick's context is no place to run the stack's queues from. */
	if (test_and_clear_bit(0, &pair->refilled))
		netif_tx_wake_queue(pair->txq);
	spin_lock(&pair->lock);
	if (pair->from_runs && budget)
		n = take(pair, budget);
	spin_unlock(&pair->lock);
	if (n < budget)
		napi_complete_done(napi, n);
	return n;
}
