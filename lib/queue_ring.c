// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The ring of a queue that starts. Its position is read out of the front end's memory, for which
 * whoever reads may have to wait: that is the queue's loop, and never the control thread.
 */
#include "barrier.h"
#include "base.h"
#include "device_impl.h"
#include "ring_layout.h"

/*
 * A split ring whose position contradicts its used index goes on from there: what was not answered
 * is taken once more. Front ends that lost a back end (DPDK's) begin at 0, whatever the ring holds.
 */
static int make_lost_ring(struct vhk_queue *q, const struct vhk_queue_setup *s,
			  struct vhk_ring_opts *o)
{
	const struct split_used *used = s->at.device;

	if (s->features & VHK_F_RING_PACKED || s->inflight)
		return -EBADMSG;
	o->base = vhk_load16_acquire(&used->idx);
	return vhk_ring_new_table(&q->ring, q->table, o);
}

int vhk_queue_make_ring(struct vhk_queue *q)
{
	const struct vhk_device_info *info = &q->dev->info;
	const struct vhk_queue_setup *s = &q->msg.start;
	struct vhk_ring_opts o = {
		.sz = sizeof(o),
		.size = s->size,
		.features = s->features,
		.desc = s->at.desc,
		.driver = s->at.driver,
		.device = s->at.device,
		.base = s->base,
		.ctx_size = info->ctx_size,
		.max_segs = info->max_segs,
		.inflight = s->inflight,
		.inflight_size = s->inflight_size,
	};
	int ret;

	ret = vhk_ring_new_table(&q->ring, q->table, &o);
	if (ret == -EBADMSG)
		ret = make_lost_ring(q, s, &o);
	if (!ret && q->iotlb)
		ret = vhk_ring_use_iotlb(q->ring, q->iotlb, vhk_queue_lacks, q);
	if (vhk_table_torn(q->table) || vhk_table_torn(q->inflight_table))
		ret = -EFAULT;
	if (ret)
		return ret;
	vhk_ring_set_view(q->ring, q->view);
	vhk_ring_set_dirty(q->ring, s->dirty, s->used_gpa);
	if (s->waits)
		vhk_ring_set_waits(q->ring);
	return 0;
}
