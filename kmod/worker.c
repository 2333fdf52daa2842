// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread for each queue. It alone touches the ring; kicks and finished requests only wake it. It
 * has nothing of a process, so it never faults, and takes no lock of the bus.
 */
#include <linux/blkdev.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "trace.h"
#include "vdev.h"

#define BATCH 64

static void worker_kick(struct vhk_vq *vq)
{
	/* The bit is out before the worker is looked at; pairs with set_current_state() there. */
	if (!test_and_set_bit(0, &vq->kicked))
		wake_up_process(vq->worker);
}

void vhk_vq_done(struct vhk_done *done)
{
	struct vhk_vq *vq = done->vq;

	/* What ends while it is begun is the worker's own business; an interrupt is not. */
	if (current == vq->worker && in_task()) {
		*vq->own_end = &done->node;
		vq->own_end = &done->node.next;
		return;
	}
	/* A device that goes waits for this section before its worker does. */
	rcu_read_lock();
	if (llist_add(&done->node, &vq->done))
		wake_up_process(vq->worker);
	rcu_read_unlock();
}

static bool has_done(const struct vhk_vq *vq)
{
	return vq->own_end != &vq->own || !llist_empty(&vq->done);
}

/* Takes all that is finished, in the order in which it was. */
static struct llist_node *take_done(struct vhk_vq *vq)
{
	struct llist_node *others = llist_empty(&vq->done) ? NULL :
				    llist_reverse_order(llist_del_all(&vq->done));

	*vq->own_end = others;
	vq->own_end = &vq->own;
	return vq->own;
}

static __always_inline void give_back(struct vhk_vq *vq, struct vhk_done *done)
{
	vq->dev->ops->finish(done);
	trace_vhk_complete(vq, done->id, done->len);
	vhk_ring_push(&vq->ring, done->id, done->n_desc, done->len);
	WRITE_ONCE(vq->n_in_flight, vq->n_in_flight - 1);
}

/* What finished early waits for those before it (virtio 1.3, 2.7.9). */
static void give_back_in_order(struct vhk_vq *vq, struct vhk_done *done)
{
	done->node.next = &done->node;
	while (vq->order_head != vq->order_tail) {
		struct vhk_done *first = *vhk_vq_taken(vq, vq->order_head);

		if (first->node.next != &first->node)
			break;
		vq->order_head++;
		first->node.next = NULL;
		give_back(vq, first);
	}
}

/*
 * What is finished goes into the ring, and the driver is told. Where kicks are @wanted they are
 * asked for before. Whether something came meanwhile.
 */
static bool reap(struct vhk_vq *vq, bool wanted)
{
	struct vhk_done *done, *next;
	bool more = false;
	int call;

	if (!wanted && !has_done(vq) && !vq->ring.n_staged)
		return false;
	rcu_read_lock();
	vhk_ring_refresh(&vq->ring);
	if (wanted)
		more = vhk_ring_arm(&vq->ring) > 0;
	llist_for_each_entry_safe(done, next, take_done(vq), node) {
		if (vq->in_order)
			give_back_in_order(vq, done);
		else
			give_back(vq, done);
	}
	call = vhk_ring_publish(&vq->ring);
	rcu_read_unlock();
	if (call > 0)
		vhk_vq_call(vq);
	return more;
}

static unsigned int pop(struct vhk_vq *vq, unsigned int max)
{
	struct vhk_done *done;
	struct vhk_chain c;
	unsigned int n;

	for (n = 0; n < max && vhk_ring_pop(&vq->ring, &c) > 0; n++) {
		done = vq->dev->ops->take(vq, &c);
		if (unlikely(!done)) {
			vhk_ring_unpop(&vq->ring, c.id, c.n_desc);
			break;
		}
		trace_vhk_pop(vq, &c);
		*vhk_vq_taken(vq, vq->order_tail++) = done;
		/* It may have taken long to walk, and others wait for the read section's end. */
		if (unlikely(c.fault))
			max = n + 1;
	}
	WRITE_ONCE(vq->n_in_flight, vq->n_in_flight + n);
	return n;
}

/*
 * Takes what there is, up to @max, with kicks told off where that is @due. Returns how many. What
 * is asked of the ring is asked in one read section; what may wait comes before it or after it.
 */
static unsigned int take(struct vhk_vq *vq, unsigned int max, bool due)
{
	unsigned int n;

	vq->dev->ops->prepare(vq);
	rcu_read_lock();
	vhk_ring_refresh(&vq->ring);
	if (due)
		vhk_ring_disarm(&vq->ring);
	n = pop(vq, max);
	rcu_read_unlock();
	if (n)
		vq->dev->ops->begin(vq, n);
	return n;
}

/* Nothing else could run here, and the window is not over. */
static bool may_poll(const struct vhk_vq *vq, u64 end)
{
	return local_clock() < end && !need_resched() && single_task_running() &&
	       vhk_vq_state(vq) == VHK_VQ_RUNNING && !vq->ring.err;
}

/* Looks at the ring and for what is finished, for a while after the last that there was. */
static void poll(struct vhk_vq *vq)
{
	const u64 window = READ_ONCE(vq->dev->poll_us) * (u64)NSEC_PER_USEC;
	u64 end = local_clock() + window;

	while (may_poll(vq, end)) {
		if (take(vq, BATCH, false) || has_done(vq)) {
			reap(vq, false);
			end = local_clock() + window;
		}
		cpu_relax();
	}
}

static void serve(struct vhk_vq *vq)
{
	const bool kicked = test_and_clear_bit(0, &vq->kicked);
	bool more = false;
	unsigned int n = 0;

	if (kicked) {
		/* After one that came alone the look for more is that for a kick that is wanted. */
		n = take(vq, vq->alone ? 1 : BATCH, true);
		more = n == BATCH;
		if (!more && READ_ONCE(vq->dev->poll_us)) {
			reap(vq, false);
			poll(vq);
		}
	}
	more |= reap(vq, kicked && !more);
	if (kicked)
		vq->alone = n == 1 && !more;
	if (more)
		set_bit(0, &vq->kicked);
}

static void settle(struct vhk_vq *vq)
{
	reap(vq, false);
	if (vq->n_in_flight)
		return;
	if (vq->charged)
		vhk_charge_end(NULL);
	vq->charged = false;
	vhk_vq_set_state(vq, VHK_VQ_IDLE);
	complete(&vq->stopped);
}

static bool has_work(struct vhk_vq *vq)
{
	switch (vhk_vq_state(vq)) {
	case VHK_VQ_RUNNING:
		return test_bit(0, &vq->kicked) || has_done(vq);
	case VHK_VQ_STOPPING:
		return !vq->n_in_flight || has_done(vq);
	default:
		return false;
	}
}

static void work(struct vhk_vq *vq)
{
	if (vhk_vq_state(vq) == VHK_VQ_STOPPING) {
		settle(vq);
		return;
	}
	if (unlikely(!vq->charged))
		vhk_charge_begin(&vq->dev->charge);
	vq->charged = true;
	serve(vq);
	if (unlikely(vq->ring.err))
		vhk_dev_needs_reset(vq->dev);
}

/*
 * Only who works reads: an unmap does not wait for queues that sleep. A driver of this kernel has
 * nothing unmapped.
 */
static void work_as_reader(struct vhk_vq *vq)
{
	struct vhk_map *map = vq->ring.map;

	if (map->is_identity) {
		work(vq);
		return;
	}
	vhk_map_add_reader(map);
	work(vq);
	vhk_map_del_reader(map);
}

static int run_worker(void *data)
{
	struct vhk_vq *vq = data;
	const unsigned int noio = memalloc_noio_save();

	/* Writers of a backing that is throttled for us must not be throttled by us. */
	current->flags |= PF_LOCAL_THROTTLE;
	set_freezable();
	for (;;) {
		set_current_state(TASK_IDLE);
		if (has_work(vq)) {
			__set_current_state(TASK_RUNNING);
			work_as_reader(vq);
			cond_resched();
			continue;
		}
		/* Then there is no work any more. */
		if (kthread_should_stop())
			break;
		schedule();
		__set_current_state(TASK_RUNNING);
		/* What was taken is finished first. */
		if (!vq->n_in_flight)
			try_to_freeze();
	}
	__set_current_state(TASK_RUNNING);
	memalloc_noio_restore(noio);
	return 0;
}

/* The driver may have filled the ring before: it is looked at without a kick. */
static void worker_start(struct vhk_vq *vq)
{
	vq->in_order = vq->dev->features & BIT_ULL(VIRTIO_F_IN_ORDER);
	vq->alone = false;
	vq->order_head = 0;
	vq->order_tail = 0;
	reinit_completion(&vq->stopped);
	vhk_vq_set_state(vq, VHK_VQ_RUNNING);
	clear_bit(0, &vq->kicked);
	worker_kick(vq);
}

static void worker_stop(struct vhk_vq *vq)
{
	vhk_vq_set_state(vq, VHK_VQ_STOPPING);
	wake_up_process(vq->worker);
	wait_for_completion(&vq->stopped);
}

static int worker_init(struct vhk_vq *vq)
{
	struct vhk_dev *dev = vq->dev;
	struct task_struct *worker;

	init_completion(&vq->stopped);
	init_llist_head(&vq->done);
	vq->own_end = &vq->own;
	vq->order = kvcalloc(dev->max_queue_size, sizeof(*vq->order), GFP_KERNEL);
	if (!vq->order)
		return -ENOMEM;
	worker = kthread_create(run_worker, vq, "vhk-%s-%u", dev_name(&dev->vdpa.dev), vq->index);
	if (IS_ERR(worker)) {
		kvfree(vq->order);
		vq->order = NULL;
		return PTR_ERR(worker);
	}
	vq->worker = worker;
	wake_up_process(worker);
	return 0;
}

static void worker_fini(struct vhk_vq *vq)
{
	kthread_stop(vq->worker);
	kvfree(vq->order);
}

const struct vhk_queue_ops vhk_worker_ops = {
	.init = worker_init,
	.fini = worker_fini,
	.start = worker_start,
	.stop = worker_stop,
	.kick = worker_kick,
};
