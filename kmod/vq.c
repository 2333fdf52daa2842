// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue and its worker. The worker alone touches the ring; kicks and finished requests only wake
 * it. It has nothing of a process, so it never faults, and takes no lock of the bus.
 */
#include <linux/blkdev.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "vdev.h"

#define BATCH 64

static enum vhk_vq_state state_of(const struct vhk_vq *vq)
{
	/* pairs with the release in set_state() */
	return smp_load_acquire(&vq->state);
}

static void set_state(struct vhk_vq *vq, enum vhk_vq_state state)
{
	/* pairs with the acquire in state_of() */
	smp_store_release(&vq->state, state);
}

void vhk_vq_kick(struct vhk_vq *vq)
{
	/* The bit is out before the worker is looked at; pairs with set_current_state() there. */
	if (!test_and_set_bit(0, &vq->kicked))
		wake_up_process(vq->worker);
}

void vhk_vq_done(struct vhk_done *done)
{
	struct vhk_vq *vq = done->vq;

	/* A device that goes waits for this section before its worker does. */
	rcu_read_lock();
	if (llist_add(&done->node, &vq->done) && current != vq->worker)
		wake_up_process(vq->worker);
	rcu_read_unlock();
}

static void call_driver(struct vhk_vq *vq)
{
	spin_lock_bh(&vq->cb_lock);
	if (vq->cb.callback)
		vq->cb.callback(vq->cb.private);
	spin_unlock_bh(&vq->cb_lock);
	WRITE_ONCE(vq->n_calls, vq->n_calls + 1);
}

static void give_back(struct vhk_vq *vq, struct vhk_done *done)
{
	u16 id, n_desc;
	u32 len;

	vq->dev->ops->finish(done, &id, &n_desc, &len);
	vhk_ring_push(&vq->ring, id, n_desc, len);
	WRITE_ONCE(vq->n_in_flight, vq->n_in_flight - 1);
}

static u16 order_slot(const struct vhk_vq *vq, u16 pos)
{
	return pos & (vq->dev->max_queue_size - 1);
}

/* What finished early waits for those before it (virtio 1.3, 2.7.9). */
static void give_back_in_order(struct vhk_vq *vq, struct vhk_done *done)
{
	done->node.next = &done->node;
	while (vq->order_head != vq->order_tail) {
		struct vhk_done *first = vq->order[order_slot(vq, vq->order_head)];

		if (first->node.next != &first->node)
			break;
		vq->order_head++;
		first->node.next = NULL;
		give_back(vq, first);
	}
}

static void reap(struct vhk_vq *vq)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&vq->done));
	struct vhk_done *done, *next;

	llist_for_each_entry_safe(done, next, list, node) {
		if (vq->in_order)
			give_back_in_order(vq, done);
		else
			give_back(vq, done);
	}
}

/* Takes what there is, up to a batch. Returns whether there may be more. */
static bool take(struct vhk_vq *vq)
{
	const struct vhk_dev_ops *ops = vq->dev->ops;
	struct vhk_chain c;
	unsigned int n;

	for (n = 0; n < BATCH && vhk_ring_pop(&vq->ring, &c) > 0; n++) {
		if (!n)
			ops->batch(vq, true);
		WRITE_ONCE(vq->n_in_flight, vq->n_in_flight + 1);
		vq->order[order_slot(vq, vq->order_tail++)] = ops->take(vq, &c);
	}
	if (n)
		ops->batch(vq, false);
	return n == BATCH;
}

static void publish(struct vhk_vq *vq)
{
	if (vhk_ring_publish(&vq->ring) > 0)
		call_driver(vq);
}

static void serve(struct vhk_vq *vq)
{
	bool more = false;

	if (test_and_clear_bit(0, &vq->kicked)) {
		vhk_ring_disarm(&vq->ring);
		more = take(vq) || vhk_ring_arm(&vq->ring) > 0;
	}
	reap(vq);
	publish(vq);
	if (more)
		set_bit(0, &vq->kicked);
	else if (llist_empty(&vq->done))
		/* A mapping of the ring must not be held by a queue that sleeps. */
		vhk_ring_rest(&vq->ring);
}

static void settle(struct vhk_vq *vq)
{
	struct vhk_ring *r = &vq->ring;

	reap(vq);
	publish(vq);
	vhk_ring_rest(r);
	if (vq->n_in_flight)
		return;
	if (r->packed) {
		vq->pos.packed.last_avail_idx = r->avail;
		vq->pos.packed.last_avail_counter = r->avail_wrap;
		vq->pos.packed.last_used_idx = r->used;
		vq->pos.packed.last_used_counter = r->used_wrap;
	} else {
		vq->pos.split.avail_index = r->avail;
	}
	set_state(vq, VHK_VQ_IDLE);
	complete(&vq->stopped);
}

static bool has_work(struct vhk_vq *vq)
{
	switch (state_of(vq)) {
	case VHK_VQ_RUNNING:
		return test_bit(0, &vq->kicked) || !llist_empty(&vq->done);
	case VHK_VQ_STOPPING:
		return !vq->n_in_flight || !llist_empty(&vq->done);
	default:
		return false;
	}
}

static void work(struct vhk_vq *vq)
{
	if (state_of(vq) == VHK_VQ_STOPPING) {
		settle(vq);
		return;
	}
	serve(vq);
	if (unlikely(vq->ring.err))
		vhk_dev_needs_reset(vq->dev);
}

static int run_worker(void *data)
{
	struct vhk_vq *vq = data;
	const unsigned int noio = memalloc_noio_save();

	/* Writers of a backing that is throttled for us must not be throttled by us. */
	current->flags |= PF_LOCAL_THROTTLE;
	set_freezable();
	while (!kthread_should_stop()) {
		set_current_state(TASK_IDLE);
		if (has_work(vq)) {
			__set_current_state(TASK_RUNNING);
			work(vq);
			cond_resched();
			continue;
		}
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
		/* What was taken is finished first. */
		if (!READ_ONCE(vq->n_in_flight))
			try_to_freeze();
	}
	memalloc_noio_restore(noio);
	return 0;
}

static struct vhk_ring_opts ring_opts(const struct vhk_vq *vq)
{
	const u64 features = vq->dev->features;
	struct vhk_ring_opts o = {
		.desc = vq->desc,
		.driver = vq->driver,
		.device = vq->device,
		.size = vq->num,
		.packed = features & BIT_ULL(VIRTIO_F_RING_PACKED),
		.indirect = features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC),
		.event_idx = features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX),
		.max_indirect = vq->dev->max_indirect,
	};

	if (o.packed) {
		o.avail = vq->pos.packed.last_avail_idx;
		o.avail_wrap = vq->pos.packed.last_avail_counter;
		o.used = vq->pos.packed.last_used_idx;
		o.used_wrap = vq->pos.packed.last_used_counter;
	} else {
		o.avail = vq->pos.split.avail_index;
		o.used = o.avail;
	}
	return o;
}

/* The driver may have filled the ring before: it is looked at without a kick. */
void vhk_vq_start(struct vhk_vq *vq)
{
	struct vhk_ring_opts o = ring_opts(vq);

	lockdep_assert_held(&vq->dev->lock);
	if (vq->state != VHK_VQ_IDLE)
		return;
	if (vhk_ring_start(&vq->ring, &o)) {
		vhk_dev_needs_reset(vq->dev);
		return;
	}
	vq->in_order = vq->dev->features & BIT_ULL(VIRTIO_F_IN_ORDER);
	vq->order_head = 0;
	vq->order_tail = 0;
	reinit_completion(&vq->stopped);
	set_state(vq, VHK_VQ_RUNNING);
	clear_bit(0, &vq->kicked);
	vhk_vq_kick(vq);
}

/* Returns when all that was taken is answered, and the driver is not called any more. */
void vhk_vq_stop(struct vhk_vq *vq)
{
	lockdep_assert_held(&vq->dev->lock);
	if (vq->state != VHK_VQ_RUNNING)
		return;
	set_state(vq, VHK_VQ_STOPPING);
	wake_up_process(vq->worker);
	wait_for_completion(&vq->stopped);
}

int vhk_vq_init(struct vhk_vq *vq, struct vhk_dev *dev, u16 index)
{
	int ret;

	vq->dev = dev;
	vq->index = index;
	init_completion(&vq->stopped);
	init_llist_head(&vq->done);
	spin_lock_init(&vq->cb_lock);
	ret = vhk_ring_init(&vq->ring, &dev->map, dev->max_queue_size, dev->max_segs);
	if (ret)
		return ret;
	vq->order = kvcalloc(dev->max_queue_size, sizeof(*vq->order), GFP_KERNEL);
	if (!vq->order)
		goto err_ring;
	vq->worker = kthread_create(run_worker, vq, "vhk-%s-%u", dev_name(&dev->vdpa.dev), index);
	if (IS_ERR(vq->worker))
		goto err_order;
	wake_up_process(vq->worker);
	return 0;

err_order:
	kvfree(vq->order);
	vq->order = NULL;
	vq->worker = NULL;
err_ring:
	vhk_ring_fini(&vq->ring);
	return -ENOMEM;
}

void vhk_vq_fini(struct vhk_vq *vq)
{
	if (!vq->worker)
		return;
	kthread_stop(vq->worker);
	vq->worker = NULL;
	kvfree(vq->order);
	vhk_ring_fini(&vq->ring);
}
