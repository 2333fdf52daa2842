// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Starting a queue, seen from the control thread: what it starts with, what the device takes hold
 * of before its first one. What happens to queues that run is in device_change.c.
 */
#include "barrier.h"
#include "base.h"
#include "device_impl.h"
#include "fd.h"
#include "ring_layout.h"

#define BEGIN_AGAIN_NS 2000000u

static int device_begin(struct vhk_device *d)
{
	int ret = 0;

	if (!d->begun && d->ops.begin)
		ret = d->ops.begin(d->priv);
	d->begun = !ret;
	return ret;
}

static void setup_fini(struct vhk_queue_setup *s)
{
	vhk_fd_close(s->kick_fd);
	vhk_fd_close(s->call_fd);
	vhk_fd_close(s->err_fd);
	vhk_table_put(s->table);
	vhk_table_put(s->at.view);
	vhk_table_put(s->inflight_table);
	vhk_iotlb_table_put(s->iotlb);
	s->kick_fd = s->call_fd = s->err_fd = -1;
	s->table = s->at.view = s->inflight_table = NULL;
	s->iotlb = NULL;
}

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
	return vhk_ring_new_table(&q->ring, s->table, o);
}

static int make_ring(struct vhk_queue *q, const struct vhk_queue_setup *s)
{
	const struct vhk_device_info *info = &q->dev->info;
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
	struct vhk_fault_scope scope, view_scope, inflight_scope;
	int ret;

	/* reads positions out of the front end's memory, in this thread */
	vhk_fault_enter(&scope, s->table);
	vhk_fault_enter(&view_scope, s->at.view);
	vhk_fault_enter(&inflight_scope, s->inflight_table);
	ret = vhk_ring_new_table(&q->ring, s->table, &o);
	if (ret == -EBADMSG)
		ret = make_lost_ring(q, s, &o);
	if (!ret && s->iotlb)
		ret = vhk_ring_use_iotlb(q->ring, s->iotlb, vhk_queue_lacks, q);
	vhk_fault_leave(&inflight_scope);
	vhk_fault_leave(&view_scope);
	vhk_fault_leave(&scope);
	if (vhk_table_torn(s->table) || vhk_table_torn(s->inflight_table))
		ret = -EFAULT;
	if (ret) {
		vhk_ring_free(q->ring);
		q->ring = NULL;
	}
	return ret;
}

static int take_notifies(struct vhk_queue *q, struct vhk_queue_setup *s)
{
	int ret = 0;

	if (s->vduse)
		vhk_notify_init_vduse_take_fd(&q->call, s->call_fd, q->idx);
	else
		ret = vhk_notify_init_take_fd(&q->call, s->call_fd);
	s->call_fd = -1;
	if (ret)
		return ret;
	ret = vhk_notify_init_take_fd(&q->err, s->err_fd);
	s->err_fd = -1;
	if (ret)
		vhk_notify_fini(&q->call);
	return ret;
}

static int queue_set_up(struct vhk_queue *q, struct vhk_queue_setup *s)
{
	int ret = take_notifies(q, s);

	if (ret)
		return ret;
	ret = make_ring(q, s);
	if (ret) {
		vhk_notify_fini(&q->call);
		vhk_notify_fini(&q->err);
		return ret;
	}
	vhk_ring_set_view(q->ring, s->at.view);
	vhk_ring_set_dirty(q->ring, s->dirty, s->used_gpa);
	if (s->waits)
		vhk_ring_set_waits(q->ring);
	q->miss_told = false;
	q->features = s->features;
	q->enabled = s->enabled;
	q->broken = false;
	q->table_pending = false;
	q->suspending = false;
	q->dirty = s->dirty;
	q->error = 0;
	q->source.kick_fd = s->kick_fd;
	q->table = s->table;
	q->view = s->at.view;
	q->inflight_table = s->inflight_table;
	q->iotlb = s->iotlb;
	q->told = 0;
	s->kick_fd = -1;
	s->table = s->at.view = s->inflight_table = NULL;
	s->iotlb = NULL;
	return 0;
}

/* What the device works with may be held by somebody else for a moment. */
static void start_queue(void *arg)
{
	struct vhk_queue *q = arg;
	struct vhk_device *d = q->dev;
	int ret = device_begin(d);

	if (ret == -EAGAIN) {
		ret = d->hurry ? -ECANCELED
			       : vhk_loop_add_timer(d->ctl, BEGIN_AGAIN_NS, start_queue, q);
		if (ret >= 0)
			return;
		/* the next one that waits has a deadline of its own */
		if (d->ops.end)
			d->ops.end(d->priv, false);
	}
	if (!ret) {
		vhk_queue_ask(q);
		return;
	}
	q->msg.ret = ret;
	vhk_queue_answered(&q->msg.work);
}

void vhk_device_hurry(struct vhk_device *d)
{
	d->hurry = true;
}

int vhk_device_start_queue(struct vhk_device *d, unsigned int idx, struct vhk_queue_setup *s,
			   vhk_change_fn *fn, void *arg)
{
	struct vhk_queue *q = idx < d->info.n_queues ? &d->queue[idx] : NULL;
	int ret = -EINVAL;

	if (!q || s->size > d->info.queue_size)
		goto err;
	ret = -EBUSY;
	if (q->ring)
		goto err;
	ret = vhk_change_begin(d, fn, arg);
	if (ret)
		goto err;
	ret = queue_set_up(q, s);
	if (ret)
		goto err_change;
	q->started = q->starting = true;
	q->rests = false;
	q->msg.ask = VHK_ASK_START;
	d->hurry = false;
	d->change.pending++;
	start_queue(q);
	vhk_change_end(d);
	return 0;
err_change:
	d->change.pending = 0;
err:
	setup_fini(s);
	return ret;
}
