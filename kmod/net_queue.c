// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a card's queues. Whoever works on one holds a lock, or is a work item: stopping means
 * to say so under that lock. No operation of the bus waits for the network stack's lock.
 */
#include "net.h"

static struct vhk_net *net_of(const struct vhk_vq *vq)
{
	return vhk_net_of(vq->dev);
}

static bool is_ctrl(const struct vhk_vq *vq)
{
	const struct vhk_net *net = net_of(vq);

	return vq->index == vhk_net_ctrl_index(vq->dev->features, net->n_pairs);
}

/* Commands have a group of their own, so that somebody else can make them. */
u32 vhk_net_group(const struct vhk_vq *vq)
{
	return is_ctrl(vq);
}

static struct vhk_net_pair *pair_of(const struct vhk_vq *vq)
{
	return vq->priv;
}

static bool is_to(const struct vhk_vq *vq)
{
	return !(vq->index & 1);
}

/* What commands change is as after a reset. */
static void begin(struct vhk_net *net)
{
	struct vhk_net_filter *f = rcu_dereference_protected(net->filter, true);

	lockdep_assert_held(&net->dev.lock);
	if (net->has_begun)
		return;
	net->has_begun = true;
	vhk_net_filter_reset(f, vhk_net_has(net, VIRTIO_NET_F_CTRL_VLAN));
	WRITE_ONCE(net->offloads, net->dev.features & vhk_net_guest_offloads);
	WRITE_ONCE(net->active, 1);
}

static void start_to(struct vhk_net_pair *pair)
{
	__netif_tx_lock_bh(pair->txq);
	pair->to_runs = true;
	pair->armed = false;
	pair->stalled = false;
	pair->dropping = false;
	vhk_ring_refresh(&pair->to_vq->ring);
	vhk_ring_disarm(&pair->to_vq->ring);
	__netif_tx_unlock_bh(pair->txq);
	if (!pair->index)
		netif_carrier_on(pair->net->netdev);
	netif_tx_wake_queue(pair->txq);
}

static void stop_to(struct vhk_net_pair *pair)
{
	if (!pair->index)
		netif_carrier_off(pair->net->netdev);
	__netif_tx_lock_bh(pair->txq);
	vhk_ring_refresh(&pair->to_vq->ring);
	vhk_vq_publish(pair->to_vq);
	pair->to_runs = false;
	pair->stalled = false;
	__netif_tx_unlock_bh(pair->txq);
	timer_delete_sync(&pair->stall_timer);
	/* What waits for buffers waits in vain. */
	netif_tx_wake_queue(pair->txq);
}

static void start_from(struct vhk_net_pair *pair)
{
	spin_lock_bh(&pair->lock);
	pair->from_runs = true;
	spin_unlock_bh(&pair->lock);
	local_bh_disable();
	napi_schedule(&pair->napi);
	local_bh_enable();
}

static void stop_from(struct vhk_net_pair *pair)
{
	spin_lock_bh(&pair->lock);
	pair->from_runs = false;
	spin_unlock_bh(&pair->lock);
}

static void start_ctrl(struct vhk_net *net, struct vhk_vq *vq)
{
	/* Its ring is set up; pairs with the dependency in vhk_net_ctrl_work(). */
	smp_store_release(&net->ctrl_vq, vq);
	vhk_net_ctrl_kick(net);
}

static void stop_ctrl(struct vhk_net *net, struct vhk_vq *vq)
{
	WRITE_ONCE(net->ctrl_vq, NULL);
	cancel_work_sync(&net->ctrl_work);
}

static void queue_start(struct vhk_vq *vq)
{
	struct vhk_net *net = net_of(vq);

	begin(net);
	vhk_vq_set_state(vq, VHK_VQ_RUNNING);
	if (is_ctrl(vq))
		start_ctrl(net, vq);
	else if (pair_of(vq) && is_to(vq))
		start_to(pair_of(vq));
	else if (pair_of(vq))
		start_from(pair_of(vq));
}

static void queue_stop(struct vhk_vq *vq)
{
	struct vhk_net *net = net_of(vq);

	if (vq == net->ctrl_vq)
		stop_ctrl(net, vq);
	else if (pair_of(vq) && is_to(vq))
		stop_to(pair_of(vq));
	else if (pair_of(vq))
		stop_from(pair_of(vq));
	vhk_vq_set_state(vq, VHK_VQ_IDLE);
}

/* A thread does the rest, so that it does not matter what is held here. */
static void queue_kick(struct vhk_vq *vq)
{
	struct vhk_net *net = net_of(vq);
	struct vhk_net_pair *pair = pair_of(vq);

	if (vhk_vq_state(vq) != VHK_VQ_RUNNING)
		return;
	if (vq == READ_ONCE(net->ctrl_vq)) {
		vhk_net_ctrl_kick(net);
		return;
	}
	if (!pair)
		return;
	if (is_to(vq))
		set_bit(0, &pair->refilled);
	napi_schedule(&pair->napi);
}

static int queue_init(struct vhk_vq *vq)
{
	struct vhk_net *net = net_of(vq);
	struct vhk_net_pair *pair;

	if (vq->index >= 2 * net->n_pairs)
		return 0;
	pair = &net->pairs[vq->index / 2];
	vq->priv = pair;
	if (is_to(vq))
		pair->to_vq = vq;
	else
		pair->from_vq = vq;
	return 0;
}

static void queue_fini(struct vhk_vq *vq)
{
}

const struct vhk_queue_ops vhk_net_queue_ops = {
	.reads = true,
	.init = queue_init,
	.fini = queue_fini,
	.start = queue_start,
	.stop = queue_stop,
	.kick = queue_kick,
};
