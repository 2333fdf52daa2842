// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A queue on its loop: pops batches for the device, publishes what the device answered, calls the
 * driver, and carries out the changes that the control thread asks for. Runs in the loop's thread
 * only.
 */
#include "base.h"
#include "device_impl.h"
#include "loop_pin.h"

static void count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static void queue_send_call(struct vhk_queue *q)
{
	if (q->call_timer > 0)
		vhk_loop_del_timer(q->loop, q->call_timer);
	q->call_timer = 0;
	if (q->call.fd < 0)
		return;
	count(&q->stats.calls, 1);
	if (!vhk_loop_stage_call(q->loop, &q->source))
		vhk_loop_note_syscalls(q->loop, vhk_notify_send(&q->call));
}

static void call_is_late(void *arg)
{
	struct vhk_queue *q = arg;

	q->call_timer = 0;
	queue_send_call(q);
}

/* A driver that waits for nothing more is told at once. */
static void queue_want_call(struct vhk_queue *q)
{
	if (q->dev->call_delay_ns && vhk_ring_in_flight(q->ring) && !q->call_timer)
		q->call_timer = vhk_loop_add_timer(q->loop, q->dev->call_delay_ns, call_is_late, q);
	if (q->call_timer <= 0)
		queue_send_call(q);
}

/* The loop may have a better way to signal an eventfd. */
static void queue_tell_call(struct vhk_queue *q)
{
	const bool plain = q->call.kind == VHK_NOTIFY_EVENTFD;

	vhk_loop_set_call(q->loop, &q->source, plain ? q->call.fd : -1);
}

/* Nothing more is popped; the front end is told, once. */
static void queue_break(struct vhk_queue *q, int err)
{
	if (q->broken)
		return;
	q->broken = true;
	q->error = err;
	vhk_ring_break(q->ring);
	vhk_notify_send(&q->err);
	q->error_work.fn = vhk_queue_failed;
	vhk_loop_post(q->dev->ctl, &q->error_work);
}

bool vhk_queue_torn(const struct vhk_queue *q)
{
	return vhk_table_torn(q->table) || vhk_table_torn(q->old_table) ||
	       vhk_table_torn(q->inflight_table) || vhk_table_torn(q->dirty_scope.table);
}

bool vhk_queue_late(const struct vhk_queue *q)
{
	return vhk_table_late(q->table);
}

/*
 * Memory went from under the ring. Nothing is written any more: what is in flight stays so, for the
 * next session.
 */
static void queue_lose(struct vhk_queue *q)
{
	queue_break(q, -EFAULT);
	vhk_ring_detach(q->ring);
}

/* A region's file shrank under us: what was read since then are zeros, which make no answer. */
static bool queue_torn(struct vhk_queue *q)
{
	if (vhk_likely(!vhk_queue_torn(q)))
		return false;
	queue_lose(q);
	return true;
}

/* What zeros in place of the driver's memory look like is no error of its own. */
static void queue_fail(struct vhk_queue *q, int err)
{
	if (!queue_torn(q))
		queue_break(q, err);
}

static void queue_tell_logged(struct vhk_queue *q)
{
	if (vhk_unlikely(q->dirty != NULL) && vhk_ring_take_logged(q->ring) && q->dirty->call)
		vhk_notify_send(q->dirty->call);
}

/* @ret: as vhk_ring_publish(). */
static void queue_published(struct vhk_queue *q, int ret)
{
	queue_tell_logged(q);
	if (ret > 0)
		queue_want_call(q);
	else if (vhk_unlikely(ret < 0))
		queue_fail(q, ret);
	if (vhk_unlikely(q->call_timer) && !vhk_ring_in_flight(q->ring))
		queue_send_call(q);
}

static void queue_publish(struct vhk_queue *q)
{
	if (!queue_torn(q))
		queue_published(q, vhk_ring_publish(q->ring));
}

static void queue_answer(struct vhk_queue *q, int ret)
{
	q->msg.ret = ret;
	q->msg.work.fn = vhk_queue_answered;
	vhk_loop_post(q->dev->ctl, &q->msg.work);
}

static void queue_enter_scopes(struct vhk_queue *q)
{
	vhk_fault_enter(&q->scope, q->table);
	vhk_fault_enter(&q->view_scope, q->view);
	vhk_fault_enter(&q->inflight_scope, q->inflight_table);
	vhk_fault_enter(&q->dirty_scope, q->dirty ? q->dirty->table : NULL);
}

static void queue_leave_scopes(struct vhk_queue *q)
{
	vhk_fault_leave(&q->dirty_scope);
	vhk_fault_leave(&q->inflight_scope);
	vhk_fault_leave(&q->view_scope);
	vhk_fault_leave(&q->scope);
}

static void queue_finish_stop(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, msg.work);
	const struct vhk_device_ops *ops = &q->dev->ops;

	queue_publish(q);
	if (q->call_timer)
		queue_send_call(q);
	q->msg.base = vhk_ring_base(q->ring);
	if (ops->queue_stop)
		ops->queue_stop(q->dev->priv, q);
	__atomic_store_n(&q->stats.in_flight, 0, __ATOMIC_RELAXED);
	vhk_loop_unpin(q->loop, q->table);
	queue_leave_scopes(q);
	q->state = VHK_QUEUE_OUT;
	queue_answer(q, 0);
}

/*
 * The last chain may be answered from deep inside the device: the rest is done in a round of its
 * own.
 */
static void queue_drained(struct vhk_queue *q)
{
	if (q->state != VHK_QUEUE_DRAINING || vhk_ring_in_flight(q->ring))
		return;
	q->state = VHK_QUEUE_OUT;
	q->msg.work.fn = queue_finish_stop;
	vhk_loop_post(q->loop, &q->msg.work);
}

static void queue_table_done(struct vhk_queue *q)
{
	if (!q->table_pending || vhk_ring_old_in_flight(q->ring))
		return;
	queue_torn(q);
	q->table_pending = false;
	if (q->old_table)
		vhk_loop_unpin(q->loop, q->old_table);
	q->old_table = NULL;
	vhk_fault_leave(&q->old_scope);
	queue_answer(q, 0);
}

void vhk_queue_done(struct vhk_queue *q, struct vhk_chain *c, uint32_t written)
{
	c->written = written;
	vhk_ring_push(q->ring, c);
	if (vhk_unlikely(q->table_pending))
		queue_table_done(q);
	if (vhk_unlikely(q->state == VHK_QUEUE_DRAINING)) {
		queue_publish(q);
		queue_drained(q);
		return;
	}
	if (vhk_ring_staged(q->ring) >= vhk_loop_quantum(q->loop))
		queue_publish(q);
	/* also where nothing is left to publish: the flush looks for chains that waited for room */
	vhk_loop_staged(q->loop, &q->source);
}

void vhk_queue_done_all(struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	const bool torn = queue_torn(q);
	const int ret = vhk_ring_answer(q->ring, chains, n);

	if (!torn)
		queue_published(q, ret);
	if (vhk_unlikely(q->table_pending))
		queue_table_done(q);
	queue_drained(q);
}

void vhk_queue_give_back(struct vhk_queue *q, struct vhk_chain *c)
{
	vhk_ring_leave(q->ring, c);
	if (q->table_pending)
		queue_table_done(q);
	if (q->state != VHK_QUEUE_DRAINING)
		return;
	queue_publish(q);
	queue_drained(q);
}

bool vhk_queue_suspending(const struct vhk_queue *q)
{
	return q->suspending;
}

void vhk_queue_fail(struct vhk_queue *q)
{
	queue_fail(q, -EBADMSG);
}

static struct vhk_queue *queue_of(const struct vhk_source *s)
{
	return vhk_container_of((struct vhk_source *)s, struct vhk_queue, source);
}

/* A translation is missing, which whoever waits for the queue may be unable to give. */
static bool queue_lacks(const struct vhk_queue *q)
{
	uint64_t at, len;

	return q->iotlb && vhk_ring_misses(q->ring, &at, &len);
}

/*
 * What a former back end had in hand was promised to be answered: it is handed out before the queue
 * stops; what lacks a translation stays in the inflight region.
 */
static void queue_leave(struct vhk_queue *q)
{
	if (q->state != VHK_QUEUE_LEAVING)
		return;
	if (vhk_ring_left_over(q->ring) && q->enabled && !q->broken && !q->suspending &&
	    !q->pulls && !queue_lacks(q))
		return;
	vhk_loop_del_source(q->loop, &q->source);
}

static int queue_pop(struct vhk_queue *q, struct vhk_chain **chain, unsigned int max)
{
	if (vhk_unlikely(q->state == VHK_QUEUE_LEAVING) &&
	    (q->suspending || !vhk_ring_left_over(q->ring)))
		return 0;
	return vhk_ring_pop(q->ring, chain, max);
}

/*
 * Memory that the next chain needs is asked for once. A queue that leaves does without: nobody
 * answers before it is out.
 */
static void queue_tell_miss(struct vhk_queue *q)
{
	uint64_t at, len;

	if (!vhk_ring_misses(q->ring, &at, &len) || q->iotlb)
		return;
	if (q->state == VHK_QUEUE_LEAVING) {
		vhk_ring_miss_over(q->ring, true);
		vhk_loop_activate(q->loop, &q->source);
	} else if (!q->miss_told) {
		q->miss_told = true;
		q->miss_at = at;
		q->miss_len = len;
		q->miss_work.fn = vhk_queue_missed;
		vhk_loop_post(q->dev->ctl, &q->miss_work);
	}
}

static unsigned int queue_take(struct vhk_queue *q, struct vhk_chain **chain, unsigned int max)
{
	int n;

	if (vhk_unlikely(!q->enabled || q->broken || queue_torn(q)))
		return 0;
	n = queue_pop(q, chain, max);
	queue_tell_miss(q);
	if (vhk_unlikely(n < 0)) {
		queue_fail(q, n);
		return 0;
	}
	if (!n)
		return 0;
	count(&q->stats.requests, (uint64_t)n);
	count(&q->stats.rounds, 1);
	return (unsigned int)n;
}

static unsigned int queue_work(struct vhk_queue *q, unsigned int max)
{
	struct vhk_chain *chain[VHK_QUEUE_BATCH];
	unsigned int n;

	n = queue_take(q, chain, vhk_min(max, (unsigned int)VHK_QUEUE_BATCH));
	if (n)
		q->dev->ops.work(q->dev->priv, q, chain, n);
	return n;
}

/* The device is told that there is something to pull, and takes as much as it likes. */
static unsigned int queue_offer(struct vhk_queue *q)
{
	if (!q->wants || !q->enabled || q->broken || q->state != VHK_QUEUE_RUNNING ||
	    !vhk_ring_ready(q->ring))
		return 0;
	q->wants = false;
	q->n_pulled = 0;
	q->dev->ops.work(q->dev->priv, q, NULL, 0);
	return q->n_pulled;
}

void vhk_queue_pull(struct vhk_queue *q)
{
	q->pulls = true;
}

unsigned int vhk_queue_pop(struct vhk_queue *q, struct vhk_chain **chains, unsigned int max)
{
	unsigned int n;

	if (vhk_unlikely(q->state != VHK_QUEUE_RUNNING))
		return 0;
	n = queue_take(q, chains, max);
	q->n_pulled += n;
	return n;
}

void vhk_queue_unpop(struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	unsigned int i;

	if (!n)
		return;
	if (!vhk_ring_unpop(q->ring, chains, n)) {
		count(&q->stats.requests, -(uint64_t)n);
		return;
	}
	for (i = 0; i < n; i++)
		chains[i]->written = 0;
	vhk_queue_done_all(q, chains, n);
}

void vhk_queue_want(struct vhk_queue *q, bool on)
{
	q->wants = on;
	if (on)
		vhk_loop_activate(q->loop, &q->source);
}

static unsigned int source_work(struct vhk_source *s, unsigned int quantum)
{
	struct vhk_queue *q = queue_of(s);
	unsigned int n;

	if (q->pulls)
		n = queue_offer(q);
	else
		n = queue_work(q, q->batch ? VHK_QUEUE_BATCH : quantum);
	queue_leave(q);
	return n;
}

static bool source_ready(const struct vhk_source *s)
{
	const struct vhk_queue *q = queue_of(s);

	return q->enabled && !q->broken && (!q->pulls || q->wants) && vhk_ring_ready(q->ring);
}

static bool source_arm(struct vhk_source *s)
{
	struct vhk_queue *q = queue_of(s);
	bool work = q->enabled && !q->broken && (!q->pulls || q->wants) &&
		    vhk_ring_arm(q->ring) > 0;

	queue_tell_logged(q);
	/* Zeros in the place of the ring look like a driver that has nothing to do. */
	if (!q->broken && queue_torn(q))
		return false;
	return work;
}

static void source_disarm(struct vhk_source *s)
{
	struct vhk_queue *q = queue_of(s);

	if (!q->broken)
		vhk_ring_disarm(q->ring);
}

/*
 * What was answered may have made room for chains that had to wait for it, and no kick tells of
 * those.
 */
static void source_flush(struct vhk_source *s)
{
	struct vhk_queue *q = queue_of(s);

	queue_publish(q);
	__atomic_store_n(&q->stats.in_flight, vhk_ring_in_flight(q->ring), __ATOMIC_RELAXED);
	if (source_ready(s))
		vhk_loop_activate(q->loop, s);
}

static void source_kicked(struct vhk_source *s)
{
	count(&queue_of(s)->stats.kicks, 1);
}

static void source_gone(struct vhk_source *s)
{
	struct vhk_queue *q = queue_of(s);

	q->state = VHK_QUEUE_DRAINING;
	queue_publish(q);
	queue_drained(q);
}

const struct vhk_source_ops vhk_queue_source_ops = {
	.work = source_work,
	.ready = source_ready,
	.arm = source_arm,
	.disarm = source_disarm,
	.flush = source_flush,
	.kicked = source_kicked,
	.gone = source_gone,
};

static int queue_start(struct vhk_queue *q)
{
	const struct vhk_device_ops *ops = &q->dev->ops;
	int ret;

	queue_enter_scopes(q);
	ret = vhk_queue_make_ring(q);
	if (ret)
		goto err_scope;
	vhk_loop_pin(q->loop, q->table);
	vhk_ring_log_parts(q->ring);
	q->pulls = q->wants = false;
	q->batch = q->dev->info.flags & VHK_DEVICE_F_BATCH;
	if (ops->queue_start)
		ret = ops->queue_start(q->dev->priv, q);
	if (ret)
		goto err_pin;
	q->state = VHK_QUEUE_RUNNING;
	ret = vhk_loop_add_source(q->loop, &q->source);
	if (ret)
		goto err_device;
	queue_tell_call(q);
	/* a call that a former back end owed is made up for */
	queue_send_call(q);
	return 0;
err_device:
	if (ops->queue_stop)
		ops->queue_stop(q->dev->priv, q);
err_pin:
	vhk_loop_unpin(q->loop, q->table);
err_scope:
	queue_leave_scopes(q);
	q->state = VHK_QUEUE_OUT;
	return ret;
}

static void queue_swap_notify(struct vhk_notify *a, struct vhk_notify *b)
{
	struct vhk_notify old = *a;

	*a = *b;
	*b = old;
}

static int queue_set_kick(struct vhk_queue *q)
{
	int old = q->source.kick_fd;
	int ret = vhk_loop_set_kick(q->loop, &q->source, q->msg.kick_fd);

	if (!ret)
		q->msg.kick_fd = old;
	return ret;
}

/*
 * A ring that lies nowhere any more stops here; its chains in flight are waited for like all
 * others.
 */
static void queue_set_table(struct vhk_queue *q)
{
	struct vhk_table *old = q->table, *view = q->view;

	if (!q->msg.at.desc)
		queue_lose(q);
	vhk_ring_set_table(q->ring, q->msg.table, &q->msg.at);
	q->table = q->msg.table;
	vhk_loop_pin(q->loop, q->table);
	q->scope.table = q->table;
	q->view = q->msg.at.view;
	q->view_scope.table = q->view;
	q->msg.table = old;
	q->msg.at.view = view;
	/* The regions that chains may be in are there as before. */
	if (!q->msg.drain) {
		vhk_loop_unpin(q->loop, old);
		queue_answer(q, 0);
		return;
	}
	q->table_pending = true;
	q->old_table = old;
	vhk_fault_enter(&q->old_scope, old);
	queue_table_done(q);
}

static void queue_set_dirty(struct vhk_queue *q)
{
	vhk_ring_set_dirty(q->ring, q->msg.dirty, q->msg.used_gpa);
	queue_tell_logged(q);
	q->dirty = q->msg.dirty;
	q->dirty_scope.table = q->dirty ? q->dirty->table : NULL;
}

/* What is in hand comes back answered, or not: the inflight region tells the next back end. */
static void queue_suspend(struct vhk_queue *q)
{
	const struct vhk_device_ops *ops = &q->dev->ops;

	q->suspending = true;
	if (ops->queue_suspend)
		ops->queue_suspend(q->dev->priv, q);
}

/* What was held back for a translation is looked at again. */
static void queue_set_iotlb(struct vhk_queue *q)
{
	struct vhk_iotlb_table *old = q->iotlb;

	vhk_ring_set_iotlb(q->ring, q->msg.iotlb);
	q->iotlb = q->msg.iotlb;
	q->msg.iotlb = old;
	q->told = 0;
	vhk_loop_activate(q->loop, &q->source);
	if (!vhk_ring_retire(q->ring, q->msg.gone, q->msg.n_gone)) {
		queue_answer(q, 0);
		return;
	}
	q->table_pending = true;
}

static void queue_handle(struct vhk_work *w)
{
	struct vhk_queue *q = vhk_container_of(w, struct vhk_queue, msg.work);
	int ret = 0;

	switch (q->msg.ask) {
	case VHK_ASK_START:
		ret = queue_start(q);
		break;
	case VHK_ASK_SUSPEND:
		queue_suspend(q);
		/* fallthrough */
	case VHK_ASK_STOP:
		q->state = VHK_QUEUE_LEAVING;
		queue_tell_miss(q);
		vhk_loop_activate(q->loop, &q->source);
		queue_leave(q);
		return;
	case VHK_ASK_CALL:
		queue_swap_notify(&q->call, &q->msg.notify);
		queue_tell_call(q);
		queue_send_call(q);
		break;
	case VHK_ASK_ERR:
		queue_swap_notify(&q->err, &q->msg.notify);
		break;
	case VHK_ASK_KICK:
		ret = queue_set_kick(q);
		break;
	case VHK_ASK_ENABLE:
		q->enabled = q->msg.on;
		if (q->dev->ops.queue_enable)
			q->dev->ops.queue_enable(q->dev->priv, q, q->enabled);
		vhk_loop_activate(q->loop, &q->source);
		break;
	case VHK_ASK_TABLE:
		queue_set_table(q);
		return;
	case VHK_ASK_IOTLB:
		queue_set_iotlb(q);
		return;
	case VHK_ASK_DIRTY:
		queue_set_dirty(q);
		break;
	case VHK_ASK_MISS:
		q->miss_told = false;
		vhk_ring_miss_over(q->ring, q->msg.on);
		vhk_loop_activate(q->loop, &q->source);
		break;
	}
	queue_answer(q, ret);
}

void vhk_queue_ask(struct vhk_queue *q)
{
	q->msg.ret = 0;
	q->msg.work.fn = queue_handle;
	vhk_loop_post(q->loop, &q->msg.work);
}

unsigned int vhk_queue_index(const struct vhk_queue *q)
{
	return q->idx;
}

struct vhk_loop *vhk_queue_loop(const struct vhk_queue *q)
{
	return q->loop;
}

uint64_t vhk_queue_features(const struct vhk_queue *q)
{
	return q->features;
}

void vhk_queue_set_priv(struct vhk_queue *q, void *priv)
{
	q->priv = priv;
}

void *vhk_queue_priv(const struct vhk_queue *q)
{
	return q->priv;
}
