// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Starting a queue, seen from the control thread: what it starts with, what the device takes hold
 * of before its first one. What happens to queues that run is in device_change.c.
 */
#include "base.h"
#include "device_impl.h"
#include "fd.h"

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
	q->msg.start = *s;
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
	if (q->started)
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
