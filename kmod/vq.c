// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue: from what the driver set to a ring that is worked on, and back to a position.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "trace.h"
#include "vdev.h"

u32 vhk_vq_group(const struct vhk_vq *vq)
{
	return vq->dev->ops->group ? vq->dev->ops->group(vq) : 0;
}

struct vhk_map *vhk_vq_map(struct vhk_vq *vq)
{
	return &vq->dev->maps[vq->dev->asid[vhk_vq_group(vq)]];
}

void vhk_vq_kick(struct vhk_vq *vq)
{
	atomic_long_inc(&vq->n_kicks);
	trace_vhk_kick(vq);
	vq->dev->ops->queues->kick(vq);
}

void vhk_vq_call(struct vhk_vq *vq)
{
	spin_lock_bh(&vq->cb_lock);
	if (vq->cb.callback)
		vq->cb.callback(vq->cb.private);
	spin_unlock_bh(&vq->cb_lock);
	WRITE_ONCE(vq->n_calls, vq->n_calls + 1);
	trace_vhk_call(vq);
}

static struct vhk_ring_opts ring_opts(struct vhk_vq *vq)
{
	const u64 features = vq->dev->features;
	struct vhk_ring_opts o = {
		.map = vhk_vq_map(vq),
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

void vhk_vq_start(struct vhk_vq *vq)
{
	const struct vhk_queue_ops *ops = vq->dev->ops->queues;
	struct vhk_ring_opts o = ring_opts(vq);

	lockdep_assert_held(&vq->dev->lock);
	if (vq->state != VHK_VQ_IDLE)
		return;
	if (vhk_ring_start(&vq->ring, &o)) {
		vhk_dev_needs_reset(vq->dev);
		return;
	}
	if (ops->reads)
		vhk_map_add_reader(o.map);
	ops->start(vq);
}

static void save_position(struct vhk_vq *vq)
{
	const struct vhk_ring *r = &vq->ring;

	if (r->packed) {
		vq->pos.packed.last_avail_idx = r->avail;
		vq->pos.packed.last_avail_counter = r->avail_wrap;
		vq->pos.packed.last_used_idx = r->used;
		vq->pos.packed.last_used_counter = r->used_wrap;
	} else {
		vq->pos.split.avail_index = r->avail;
	}
}

void vhk_vq_stop(struct vhk_vq *vq)
{
	const struct vhk_queue_ops *ops = vq->dev->ops->queues;

	lockdep_assert_held(&vq->dev->lock);
	if (vq->state != VHK_VQ_RUNNING)
		return;
	ops->stop(vq);
	save_position(vq);
	if (ops->reads)
		vhk_map_del_reader(vq->ring.map);
}

int vhk_vq_init(struct vhk_vq *vq, struct vhk_dev *dev, u16 index)
{
	int ret;

	vq->dev = dev;
	vq->index = index;
	spin_lock_init(&vq->cb_lock);
	ret = vhk_ring_init(&vq->ring, dev->max_queue_size, dev->max_segs);
	if (ret)
		return ret;
	ret = dev->ops->queues->init(vq);
	if (ret)
		vhk_ring_fini(&vq->ring);
	return ret;
}

/* One that is not initialised has no room for chains. */
void vhk_vq_fini(struct vhk_vq *vq)
{
	if (!vq->ring.seg)
		return;
	vq->dev->ops->queues->fini(vq);
	vhk_ring_fini(&vq->ring);
}
