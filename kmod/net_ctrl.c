// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's commands (virtio 1.3, 5.1.6.5). A Linux driver spins for each of them with the
 * stack's lock held, so nothing here waits for anything.
 */
#include <linux/slab.h>

#include "net.h"
#include "trace.h"

#define BUDGET 32 /* commands, before others get their turn */
#define HDR_LEN sizeof(struct virtio_net_ctrl_hdr)

static struct workqueue_struct *workers;

/* The bytes behind the command's header, at @at. */
static bool read_at(const struct vhk_chain *c, u32 at, void *to, u32 len)
{
	return vhk_chain_read(c, HDR_LEN + at, to, len);
}

static bool read_u16(const struct vhk_chain *c, u16 *v)
{
	__virtio16 raw;

	if (!read_at(c, 0, &raw, sizeof(raw)))
		return false;
	*v = __virtio16_to_cpu(true, raw);
	return true;
}

/* The work alone changes the filter while queues run. */
static struct vhk_net_filter *filter_of(struct vhk_net *net)
{
	return rcu_dereference_protected(net->filter, true);
}

static bool do_rx(struct vhk_net *net, u8 cmd, const struct vhk_chain *c)
{
	const unsigned int feature = cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ?
				     VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
	struct vhk_net_filter *f = filter_of(net);
	u8 on;

	BUILD_BUG_ON(VIRTIO_NET_CTRL_RX_NOBCAST != (int)VHK_NET_NOBCAST);
	if (cmd >= VHK_NET_N_MODES || !vhk_net_has(net, feature) || !read_at(c, 0, &on, 1))
		return false;
	assign_bit(cmd, &f->modes, on);
	return true;
}

/* One of the two tables, at @at; moves it on. */
static bool read_macs(const struct vhk_chain *c, u32 *at, struct vhk_net_macs *macs)
{
	u8 mac[ETH_ALEN];
	__virtio32 raw;
	u32 n, i;

	if (!read_at(c, *at, &raw, sizeof(raw)))
		return false;
	n = __virtio32_to_cpu(true, raw);
	*at += sizeof(raw);
	if (n > (c->out_len - HDR_LEN - *at) / ETH_ALEN)
		return false;
	macs->all = n > VHK_NET_FILTER_MACS;
	macs->n = macs->all ? 0 : n;
	for (i = 0; i < macs->n; i++) {
		if (!read_at(c, *at + i * ETH_ALEN, mac, ETH_ALEN))
			return false;
		macs->mac[i] = vhk_net_mac(mac);
	}
	*at += n * ETH_ALEN;
	return true;
}

/* Whoever filters a frame sees the old tables, or the new ones. */
static bool do_mac_table(struct vhk_net *net, const struct vhk_chain *c)
{
	struct vhk_net_filter *old = filter_of(net), *f;
	u32 at = 0;

	if (!vhk_net_has(net, VIRTIO_NET_F_CTRL_RX))
		return false;
	f = kmemdup(old, sizeof(*f), GFP_NOWAIT | __GFP_NOWARN);
	if (!f)
		return false;
	if (!read_macs(c, &at, &f->uni) || !read_macs(c, &at, &f->multi)) {
		kfree(f);
		return false;
	}
	rcu_assign_pointer(net->filter, f);
	kfree_rcu(old, rcu);
	return true;
}

static bool do_mac(struct vhk_net *net, u8 cmd, const struct vhk_chain *c)
{
	u8 mac[ETH_ALEN];

	if (cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
		return do_mac_table(net, c);
	if (cmd != VIRTIO_NET_CTRL_MAC_ADDR_SET || !vhk_net_has(net, VIRTIO_NET_F_CTRL_MAC_ADDR) ||
	    !read_at(c, 0, mac, ETH_ALEN) || !is_valid_ether_addr(mac))
		return false;
	vhk_net_set_mac(net, mac);
	return true;
}

static bool do_vlan(struct vhk_net *net, u8 cmd, const struct vhk_chain *c)
{
	struct vhk_net_filter *f = filter_of(net);
	u16 vid;

	if (cmd > VIRTIO_NET_CTRL_VLAN_DEL || !vhk_net_has(net, VIRTIO_NET_F_CTRL_VLAN) ||
	    !read_u16(c, &vid) || vid >= VHK_NET_N_VLANS)
		return false;
	assign_bit(vid, f->vlans, cmd == VIRTIO_NET_CTRL_VLAN_ADD);
	return true;
}

static bool do_announce(struct vhk_net *net, u8 cmd, const struct vhk_chain *c)
{
	if (cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK || !vhk_net_has(net, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return false;
	vhk_net_set_status(net, VIRTIO_NET_S_ANNOUNCE, 0);
	return true;
}

static bool do_mq(struct vhk_net *net, u8 cmd, const struct vhk_chain *c)
{
	u16 n;

	if (cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET || !vhk_net_has(net, VIRTIO_NET_F_MQ) ||
	    !read_u16(c, &n) || !n || n > net->n_pairs)
		return false;
	WRITE_ONCE(net->active, n);
	return true;
}

static bool do_offloads(struct vhk_net *net, u8 cmd, const struct vhk_chain *c)
{
	__virtio64 raw;
	u64 want;

	if (cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
	    !vhk_net_has(net, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    !read_at(c, 0, &raw, sizeof(raw)))
		return false;
	want = __virtio64_to_cpu(true, raw);
	if (want & ~(net->dev.features & vhk_net_guest_offloads))
		return false;
	WRITE_ONCE(net->offloads, want);
	return true;
}

static bool (*const classes[])(struct vhk_net *net, u8 cmd, const struct vhk_chain *c) = {
	[VIRTIO_NET_CTRL_RX] = do_rx,
	[VIRTIO_NET_CTRL_MAC] = do_mac,
	[VIRTIO_NET_CTRL_VLAN] = do_vlan,
	[VIRTIO_NET_CTRL_ANNOUNCE] = do_announce,
	[VIRTIO_NET_CTRL_MQ] = do_mq,
	[VIRTIO_NET_CTRL_GUEST_OFFLOADS] = do_offloads,
};

static bool dispatch(struct vhk_net *net, const struct vhk_chain *c)
{
	struct virtio_net_ctrl_hdr hdr;

	if (c->fault || !vhk_chain_read(c, 0, &hdr, sizeof(hdr)))
		return false;
	if (hdr.class >= ARRAY_SIZE(classes) || !classes[hdr.class])
		return false;
	return classes[array_index_nospec(hdr.class, ARRAY_SIZE(classes))](net, hdr.cmd, c);
}

/* A command without a place for its answer is not done. */
static u32 answer(struct vhk_net *net, const struct vhk_chain *c)
{
	u8 *ack = c->n_in ? c->seg[c->n_out].va : NULL;
	bool ok;

	ok = ack && dispatch(net, c);
	vhk_net_count(ok ? &net->n_commands : &net->n_refused, 1);
	if (!ack)
		return 0;
	WRITE_ONCE(*ack, ok ? VIRTIO_NET_OK : VIRTIO_NET_ERR);
	return sizeof(*ack);
}

/* Returns whether there may be more. */
static bool serve(struct vhk_net *net, struct vhk_vq *vq)
{
	struct vhk_ring *r = &vq->ring;
	struct vhk_chain c;
	unsigned int n;
	u32 len;

	vhk_ring_refresh(r);
	vhk_ring_disarm(r);
	for (n = 0; n < BUDGET && vhk_ring_pop(r, &c) > 0; n++) {
		trace_vhk_pop(vq, &c);
		len = answer(net, &c);
		trace_vhk_complete(vq, c.id, len);
		vhk_ring_push(r, c.id, c.n_desc, len);
		/* It may have taken long to walk, and others wait for the read section's end. */
		if (unlikely(c.fault))
			n = BUDGET - 1;
	}
	vhk_vq_publish(vq);
	return n == BUDGET || vhk_ring_arm(r) > 0;
}

void vhk_net_ctrl_work(struct work_struct *work)
{
	struct vhk_net *net = container_of(work, struct vhk_net, ctrl_work);
	struct vhk_vq *vq = READ_ONCE(net->ctrl_vq);
	bool more;

	/* Stopping waits for this. */
	if (!vq)
		return;
	rcu_read_lock();
	more = serve(net, vq);
	rcu_read_unlock();
	if (vq->ring.err)
		vhk_dev_needs_reset(&net->dev);
	else if (more)
		vhk_net_ctrl_kick(net);
}

void vhk_net_ctrl_kick(struct vhk_net *net)
{
	queue_work(workers, &net->ctrl_work);
}

/* Not freezable: a driver that suspends still makes commands. */
int vhk_net_ctrl_init(void)
{
	workers = alloc_workqueue("vhostkit_net", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return workers ? 0 : -ENOMEM;
}

void vhk_net_ctrl_exit(void)
{
	destroy_workqueue(workers);
}
