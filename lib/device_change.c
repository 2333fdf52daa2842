// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Changes to a device's queues, seen from the control thread: each is one record that knows how
 * many loops have yet to answer. Queues are asked by the message embedded in them, so nothing here
 * can fail half-way.
 */
#include "base.h"
#include "device_impl.h"
#include "fd.h"

void vhk_queue_init(struct vhk_queue *q, struct vhk_device *d, unsigned int idx)
{
	q->dev = d;
	q->idx = idx;
	q->source.ops = &vhk_queue_source_ops;
	q->source.kick_fd = -1;
	q->call.fd = -1;
	q->err.fd = -1;
	q->msg.notify.fd = -1;
	q->msg.kick_fd = -1;
	q->state = VHK_QUEUE_OUT;
}

static void change_put(struct vhk_device *d)
{
	struct vhk_change *c = &d->change;
	vhk_change_fn *fn = c->fn;

	if (--c->pending)
		return;
	c->fn = NULL;
	if (fn)
		fn(c->arg, c->ret, c->base);
}

static void change_answer(struct vhk_work *w)
{
	change_put(vhk_container_of(w, struct vhk_device, change.answer));
}

int vhk_change_begin(struct vhk_device *d, vhk_change_fn *fn, void *arg)
{
	struct vhk_change *c = &d->change;

	if (c->pending || !d->door)
		return -EBUSY;
	*c = (struct vhk_change){ .pending = 1, .fn = fn, .arg = arg };
	return 0;
}

static void change_ask(struct vhk_queue *q)
{
	q->dev->change.pending++;
	vhk_queue_ask(q);
}

void vhk_change_end(struct vhk_device *d)
{
	d->change.answer.fn = change_answer;
	vhk_loop_post(d->ctl, &d->change.answer);
}

static bool any_started(const struct vhk_device *d)
{
	unsigned int i;

	for (i = 0; i < d->info.n_queues; i++)
		if (d->queue[i].started || d->queue[i].rests)
			return true;
	return false;
}

static void device_end(struct vhk_device *d, bool logged)
{
	if (!d->begun || any_started(d))
		return;
	d->begun = false;
	if (d->ops.end)
		d->ops.end(d->priv, logged && !d->shared);
}

/* The queue is out of its loop: everything it held goes. */
static void queue_release(struct vhk_queue *q)
{
	const bool logged = q->dirty;

	vhk_ring_free(q->ring);
	q->ring = NULL;
	vhk_table_put(q->table);
	vhk_table_put(q->view);
	vhk_table_put(q->inflight_table);
	vhk_iotlb_table_put(q->iotlb);
	q->table = q->view = q->inflight_table = NULL;
	q->iotlb = NULL;
	vhk_notify_fini(&q->call);
	vhk_notify_fini(&q->err);
	vhk_fd_close(q->source.kick_fd);
	q->source.kick_fd = -1;
	q->dirty = NULL;
	q->started = false;
	q->rests_logged = logged;
	device_end(q->dev, logged);
}

void vhk_queue_answered(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, msg.work);
	struct vhk_queue_msg *m = &q->msg;
	struct vhk_change *c = &q->dev->change;

	if (m->ret && !c->ret)
		c->ret = m->ret;
	c->base = m->base;
	q->starting = false;
	vhk_notify_fini(&m->notify);
	vhk_fd_close(m->kick_fd);
	m->kick_fd = -1;
	if (m->ask == VHK_ASK_TABLE) {
		vhk_table_put(m->table);
		vhk_table_put(m->at.view);
	}
	if (m->ask == VHK_ASK_IOTLB)
		vhk_iotlb_table_put(m->iotlb);
	if (m->ask == VHK_ASK_STOP || m->ask == VHK_ASK_SUSPEND ||
	    (m->ask == VHK_ASK_START && m->ret))
		queue_release(q);
	change_put(q->dev);
}

void vhk_queue_failed(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, error_work);

	if (q->dev->door)
		q->dev->door->queue_error(q->dev->door_arg, q->idx, q->error);
}

void vhk_queue_missed(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, miss_work);

	if (q->dev->door && q->started)
		q->dev->door->queue_misses(q->dev->door_arg, q->idx, q->miss_at, q->miss_len);
}

/* A started queue with a change begun for it, or NULL and why. */
static struct vhk_queue *begin_one(struct vhk_device *d, unsigned int idx, enum vhk_queue_ask ask,
				   vhk_change_fn *fn, void *arg, int *ret)
{
	*ret = idx < d->info.n_queues ? -EBUSY : -EINVAL;
	if (*ret == -EINVAL || !d->queue[idx].started)
		return NULL;
	*ret = vhk_change_begin(d, fn, arg);
	if (*ret)
		return NULL;
	d->queue[idx].msg.ask = ask;
	return &d->queue[idx];
}

static void ask_one(struct vhk_queue *q)
{
	change_ask(q);
	vhk_change_end(q->dev);
}

int vhk_device_stop_queue(struct vhk_device *d, unsigned int idx, vhk_change_fn *fn, void *arg)
{
	int ret;
	struct vhk_queue *q = begin_one(d, idx, VHK_ASK_STOP, fn, arg, &ret);

	if (q)
		ask_one(q);
	return ret;
}

int vhk_device_rest_queue(struct vhk_device *d, unsigned int idx, vhk_change_fn *fn, void *arg)
{
	int ret = vhk_device_stop_queue(d, idx, fn, arg);

	if (!ret)
		d->queue[idx].rests = true;
	return ret;
}

void vhk_device_rest_over(struct vhk_device *d, unsigned int idx)
{
	struct vhk_queue *q = &d->queue[idx];

	if (!q->rests)
		return;
	q->rests = false;
	device_end(d, q->rests_logged);
}

int vhk_device_suspend_queue(struct vhk_device *d, unsigned int idx, vhk_change_fn *fn, void *arg)
{
	int ret;
	struct vhk_queue *q = begin_one(d, idx, VHK_ASK_SUSPEND, fn, arg, &ret);

	if (!q)
		return ret;
	/* what nobody takes note of would be lost */
	if (!q->inflight_table)
		q->msg.ask = VHK_ASK_STOP;
	ask_one(q);
	return 0;
}

int vhk_device_stop_all(struct vhk_device *d, vhk_change_fn *fn, void *arg)
{
	unsigned int i;
	int ret = vhk_change_begin(d, fn, arg);

	if (ret)
		return ret;
	for (i = 0; i < d->info.n_queues; i++) {
		vhk_device_rest_over(d, i);
		if (!d->queue[i].started)
			continue;
		d->queue[i].msg.ask = VHK_ASK_STOP;
		change_ask(&d->queue[i]);
	}
	vhk_change_end(d);
	return 0;
}

static int set_notify(struct vhk_device *d, unsigned int idx, enum vhk_queue_ask ask, int fd,
		      vhk_change_fn *fn, void *arg)
{
	struct vhk_notify n;
	struct vhk_queue *q;
	int ret = vhk_notify_init_take_fd(&n, fd);

	if (ret)
		return ret;
	q = begin_one(d, idx, ask, fn, arg, &ret);
	if (!q) {
		vhk_notify_fini(&n);
		return ret;
	}
	q->msg.notify = n;
	ask_one(q);
	return 0;
}

int vhk_device_set_call(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn,
			void *arg)
{
	return set_notify(d, idx, VHK_ASK_CALL, fd, fn, arg);
}

int vhk_device_set_err(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn,
			void *arg)
{
	return set_notify(d, idx, VHK_ASK_ERR, fd, fn, arg);
}

int vhk_device_set_kick(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn,
			void *arg)
{
	int ret;
	struct vhk_queue *q = begin_one(d, idx, VHK_ASK_KICK, fn, arg, &ret);

	if (!q) {
		vhk_fd_close(fd);
		return ret;
	}
	q->msg.kick_fd = fd;
	ask_one(q);
	return 0;
}

int vhk_device_set_enabled(struct vhk_device *d, unsigned int idx, bool on, vhk_change_fn *fn,
			   void *arg)
{
	int ret;
	struct vhk_queue *q = begin_one(d, idx, VHK_ASK_ENABLE, fn, arg, &ret);

	if (!q)
		return ret;
	q->msg.on = on;
	ask_one(q);
	return 0;
}

int vhk_device_miss_over(struct vhk_device *d, unsigned int idx, bool nowhere, vhk_change_fn *fn,
			 void *arg)
{
	int ret;
	struct vhk_queue *q = begin_one(d, idx, VHK_ASK_MISS, fn, arg, &ret);

	if (!q)
		return ret;
	q->msg.on = nowhere;
	ask_one(q);
	return 0;
}

int vhk_device_set_table(struct vhk_device *d, struct vhk_table *t, bool drain,
			 int (*find)(void *arg, unsigned int idx, struct vhk_ring_place *at),
			 vhk_change_fn *fn, void *arg)
{
	unsigned int i;
	int ret = vhk_change_begin(d, fn, arg);

	if (ret)
		return ret;
	for (i = 0; i < d->info.n_queues; i++) {
		struct vhk_queue_msg *m = &d->queue[i].msg;

		if (!d->queue[i].started)
			continue;
		if (find(arg, i, &m->at))
			m->at = (struct vhk_ring_place){ .view = NULL };
		m->ask = VHK_ASK_TABLE;
		m->drain = drain;
		m->table = vhk_table_get(t);
		change_ask(&d->queue[i]);
	}
	vhk_change_end(d);
	return 0;
}

int vhk_device_set_iotlb(struct vhk_device *d, struct vhk_iotlb_table *t, const struct iovec *gone,
			 unsigned int n_gone, vhk_change_fn *fn, void *arg)
{
	unsigned int i;
	int ret = vhk_change_begin(d, fn, arg);

	if (ret)
		return ret;
	for (i = 0; i < d->info.n_queues; i++) {
		struct vhk_queue_msg *m = &d->queue[i].msg;

		if (!d->queue[i].started)
			continue;
		m->ask = VHK_ASK_IOTLB;
		m->iotlb = vhk_iotlb_table_get(t);
		m->gone = gone;
		m->n_gone = n_gone;
		change_ask(&d->queue[i]);
	}
	vhk_change_end(d);
	return 0;
}

int vhk_device_set_dirty(struct vhk_device *d, const struct vhk_dirty *dirty,
			 uint64_t (*used_gpa)(void *arg, unsigned int idx), vhk_change_fn *fn,
			 void *arg)
{
	unsigned int i;
	int ret = vhk_change_begin(d, fn, arg);

	if (ret)
		return ret;
	for (i = 0; i < d->info.n_queues; i++) {
		if (!d->queue[i].started)
			continue;
		d->queue[i].msg.ask = VHK_ASK_DIRTY;
		d->queue[i].msg.dirty = dirty;
		d->queue[i].msg.used_gpa = used_gpa(arg, i);
		change_ask(&d->queue[i]);
	}
	vhk_change_end(d);
	return 0;
}
