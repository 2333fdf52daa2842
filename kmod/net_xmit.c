// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the host to the driver: frames are copied straight into the driver's buffers, by whoever
 * sends them. Without buffers the interface's queue stops, until the driver kicks or has been
 * waited for long enough.
 */
#include <linux/skbuff.h>

#include "net.h"
#include "trace.h"

#define HDR_LEN sizeof(struct virtio_net_hdr_v1)
#define COUNT_AT offsetof(struct virtio_net_hdr_v1, num_buffers)
#define STALL_LIMIT HZ

/* A frame on its way, behind its header, as one run of bytes. */
struct fill {
	const struct sk_buff *skb;
	struct virtio_net_hdr_v1 hdr;
	u32 total;
	u32 at;
	u8 *count[2]; /* the bytes of the header that tell the number of buffers */
};

static u64 offloads_of(const struct sk_buff *skb)
{
	const unsigned int type = skb_is_gso(skb) ? skb_shinfo(skb)->gso_type : 0;
	u64 need = 0;

	if (type & SKB_GSO_TCPV4)
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_TSO4);
	if (type & SKB_GSO_TCPV6)
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_TSO6);
	if (type & SKB_GSO_TCP_ECN)
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_ECN);
	if (type & SKB_GSO_UDP_L4)
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_USO4) | BIT_ULL(VIRTIO_NET_F_GUEST_USO6);
	return need;
}

/* The stack was told before what can be; that may have changed since. */
static enum vhk_net_drop make_header(const struct vhk_net *net, struct sk_buff *skb,
				     struct fill *f)
{
	const u64 have = READ_ONCE(net->offloads);
	const bool csum = have & BIT_ULL(VIRTIO_NET_F_GUEST_CSUM);

	if (offloads_of(skb) & ~have)
		return VHK_NET_DROP_OFFLOAD;
	if (skb->ip_summed == CHECKSUM_PARTIAL && !csum && skb_checksum_help(skb))
		return VHK_NET_DROP_OFFLOAD;
	if (virtio_net_hdr_from_skb(skb, (struct virtio_net_hdr *)&f->hdr, true, csum, 0))
		return VHK_NET_DROP_OFFLOAD;
	f->hdr.num_buffers = __cpu_to_virtio16(true, 1);
	return VHK_NET_SENT;
}

static bool is_wanted(const struct vhk_net *net, const struct sk_buff *skb)
{
	/* Bottom halves are off, which is a read section. */
	const struct vhk_net_filter *f = rcu_dereference_bh(net->filter);

	return vhk_net_filter_wants(f, READ_ONCE(net->mac), skb->data, skb_headlen(skb));
}

static u32 fill_header(struct fill *f, u8 *va, u32 len)
{
	const u32 n = min_t(u32, len, HDR_LEN - f->at);
	unsigned int i;

	memcpy(va, (const u8 *)&f->hdr + f->at, n);
	for (i = 0; i < 2; i++)
		if (COUNT_AT + i - f->at < n)
			f->count[i] = va + (COUNT_AT + i - f->at);
	f->at += n;
	return n;
}

static void fill_piece(struct fill *f, u8 *va, u32 len)
{
	u32 n;

	if (f->at < HDR_LEN) {
		n = fill_header(f, va, len);
		va += n;
		len -= n;
	}
	n = min(len, f->total - f->at);
	if (!n)
		return;
	/* It is no longer than the frame. */
	skb_copy_bits(f->skb, f->at - HDR_LEN, va, n);
	f->at += n;
}

static u32 fill_chain(struct fill *f, const struct vhk_chain *c)
{
	const struct vhk_seg *seg = c->seg + c->n_out;
	const u32 before = f->at;
	unsigned int i;

	for (i = 0; i < c->n_in && f->at < f->total; i++)
		fill_piece(f, seg[i].va, seg[i].len);
	return f->at - before;
}

/* Little endian, and written when it is known. */
static void fill_count(const struct fill *f, unsigned int n)
{
	if (n == 1)
		return;
	WRITE_ONCE(*f->count[0], n & 0xff);
	WRITE_ONCE(*f->count[1], n >> 8);
}

static void roll_back(struct vhk_net_pair *pair)
{
	unsigned int i = pair->n_parts;

	while (i--)
		vhk_ring_unpop(&pair->to_vq->ring, pair->parts[i].id, pair->parts[i].n_desc);
}

static void give(struct vhk_net_pair *pair, bool empty)
{
	const struct vhk_net_part *part;
	u32 len;

	for (part = pair->parts; part < pair->parts + pair->n_parts; part++) {
		len = empty ? 0 : part->len;
		trace_vhk_complete(pair->to_vq, part->id, len);
		vhk_ring_push(&pair->to_vq->ring, part->id, part->n_desc, len);
	}
}

/*
 * The queue stops before kicks are asked for, and that is done before the last look: either we see
 * new buffers, or the kick for them finds a queue to wake.
 */
static bool more_came(struct vhk_net_pair *pair)
{
	if (!pair->dropping)
		netif_tx_stop_queue(pair->txq);
	pair->armed = true;
	if (vhk_ring_arm(&pair->to_vq->ring) <= 0)
		return false;
	netif_tx_start_queue(pair->txq);
	return true;
}

/* There are too few buffers for a frame. */
static int run_short(struct vhk_net_pair *pair)
{
	const struct vhk_ring *r = &pair->to_vq->ring;
	const bool never = pair->n_parts && r->n_slots == r->size;

	roll_back(pair);
	if (r->err)
		return VHK_NET_DROP_BROKEN;
	if (never) {
		netif_tx_start_queue(pair->txq);
		return VHK_NET_DROP_LONG;
	}
	if (pair->dropping)
		return VHK_NET_DROP_STALL;
	if (!pair->stalled) {
		pair->stalled = true;
		pair->stalled_at = jiffies;
		mod_timer(&pair->stall_timer, jiffies + STALL_LIMIT);
	}
	return -ENOBUFS;
}

/*
 * A buffer that cannot be used may have taken long to walk: other frames wait until NAPI had its
 * turn, and not under the lock.
 */
static void rest(struct vhk_net_pair *pair)
{
	netif_tx_stop_queue(pair->txq);
	/* The queue is stopped before NAPI is told; pairs with its test_and_clear_bit(). */
	smp_mb__before_atomic();
	set_bit(0, &pair->refilled);
	napi_schedule(&pair->napi);
}

static bool is_usable(const struct vhk_net_pair *pair, const struct vhk_chain *c)
{
	return !c->fault && c->in_len >= (pair->n_parts ? 1 : HDR_LEN);
}

static int take_part(struct vhk_net_pair *pair, struct fill *f, bool merge)
{
	struct vhk_net_part *part = &pair->parts[pair->n_parts];
	struct vhk_ring *r = &pair->to_vq->ring;
	struct vhk_chain c;
	int ret;

	if (pair->n_parts == VHK_NET_MAX_PARTS) {
		roll_back(pair);
		return VHK_NET_DROP_LONG;
	}
	ret = vhk_ring_pop(r, &c);
	/* Once: a driver could make it look as if something came for ever. */
	if (!ret && more_came(pair))
		ret = vhk_ring_pop(r, &c);
	if (ret < 0)
		return VHK_NET_DROP_BROKEN;
	if (!ret)
		return run_short(pair);
	trace_vhk_pop(pair->to_vq, &c);
	*part = (struct vhk_net_part){ c.id, c.n_desc, 0 };
	if (!is_usable(pair, &c)) {
		/* All of them go back, in order, with nothing in them. */
		pair->n_parts++;
		give(pair, true);
		if (c.fault)
			rest(pair);
		return VHK_NET_DROP_BUFFER;
	}
	if (!merge && c.in_len < f->total) {
		vhk_ring_unpop(r, c.id, c.n_desc);
		return VHK_NET_DROP_LONG;
	}
	part->len = fill_chain(f, &c);
	pair->n_parts++;
	return VHK_NET_SENT;
}

/* There were buffers, enough of them. */
static void settle(struct vhk_net_pair *pair)
{
	pair->stalled = false;
	pair->dropping = false;
	if (pair->armed)
		vhk_ring_disarm(&pair->to_vq->ring);
	pair->armed = false;
}

/* VHK_NET_SENT, why it is dropped, or -ENOBUFS: not yet. */
static int send(struct vhk_net_pair *pair, struct sk_buff *skb)
{
	const struct vhk_net *net = pair->net;
	const bool merge = vhk_net_has(net, VIRTIO_NET_F_MRG_RXBUF);
	struct fill f = { .skb = skb };
	int ret;

	if (!pair->to_runs)
		return VHK_NET_DROP_IDLE;
	vhk_ring_refresh(&pair->to_vq->ring);
	/* The filter looks at a tag, too. */
	if (skb->len < ETH_HLEN || !pskb_may_pull(skb, min_t(u32, skb->len, VLAN_ETH_HLEN)))
		return VHK_NET_DROP_SHORT;
	if (!is_wanted(net, skb))
		return VHK_NET_DROP_FILTER;
	ret = make_header(net, skb, &f);
	if (ret)
		return ret;
	f.total = HDR_LEN + skb->len;
	pair->n_parts = 0;
	do
		ret = take_part(pair, &f, merge);
	while (!ret && f.at < f.total);
	if (ret)
		return ret;
	fill_count(&f, pair->n_parts);
	give(pair, false);
	settle(pair);
	return VHK_NET_SENT;
}

static void finish(struct vhk_net_pair *pair, struct sk_buff *skb, int ret)
{
	if (ret) {
		vhk_net_count(&pair->to.drops[ret], 1);
		dev_kfree_skb_any(skb);
		return;
	}
	skb_tx_timestamp(skb);
	vhk_net_count(&pair->to.packets, 1);
	vhk_net_count(&pair->to.bytes, skb->len);
	napi_consume_skb(skb, 1);
}

netdev_tx_t vhk_net_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct vhk_net *net = vhk_net_of_netdev(netdev);
	struct vhk_net_pair *pair = &net->pairs[skb_get_queue_mapping(skb)];
	const bool more = netdev_xmit_more();
	int ret;

	ret = send(pair, skb);
	if (ret >= 0)
		finish(pair, skb, ret);
	/* What is staged must not wait behind a queue that stopped. */
	if (pair->to_runs && (!more || netif_xmit_stopped(pair->txq)))
		vhk_vq_publish(pair->to_vq);
	if (unlikely(pair->to_runs && pair->to_vq->ring.err))
		vhk_dev_needs_reset(&net->dev);
	return ret < 0 ? NETDEV_TX_BUSY : NETDEV_TX_OK;
}

/* Sockets get their memory back, whatever the driver does. */
void vhk_net_stall(struct timer_list *timer)
{
	struct vhk_net_pair *pair = container_of(timer, struct vhk_net_pair, stall_timer);

	__netif_tx_lock(pair->txq, smp_processor_id());
	if (pair->stalled && !time_before(jiffies, pair->stalled_at + STALL_LIMIT)) {
		pair->dropping = true;
		netif_tx_wake_queue(pair->txq);
	}
	__netif_tx_unlock(pair->txq);
}
