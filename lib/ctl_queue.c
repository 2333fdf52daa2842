// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Queues of a front end: start and stop them, any number in one round trip, and start them again
 * after a reconnect. Kicking and waiting is in ctl_wait.c.
 */
#include <linux/virtio_config.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctl_impl.h"
#include "fd.h"

#define STATUS_RUNS                                                                                \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |     \
	 VIRTIO_CONFIG_S_DRIVER_OK)

static int start_rings(struct vhk_ctl_job *j);
static int start_end(struct vhk_ctl_job *j);
static int stop_end(struct vhk_ctl_job *j);

static void queue_free(struct vhk_ctl *c, unsigned int idx)
{
	struct vhk_ctl_queue *q = c->queue[idx];

	if (!q)
		return;
	if (q->err_fd >= 0) {
		vhk_ctl_unwatch(c, q->err_fd);
		close(q->err_fd);
	}
	vhk_fd_close(q->call_fd);
	vhk_fd_close(q->kick_fd);
	vhk_ctl_kick_drop(q->kick);
	free(q);
	c->queue[idx] = NULL;
}

static void queues_free(struct vhk_ctl *c, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = first; i < first + n; i++)
		queue_free(c, i);
}

void vhk_ctl_queues_free(struct vhk_ctl *c)
{
	queues_free(c, 0, VHK_CTL_QUEUES_MAX);
}

unsigned int vhk_ctl_queues_used(const struct vhk_ctl *c)
{
	unsigned int n = VHK_CTL_QUEUES_MAX;

	while (n && !c->queue[n - 1])
		n--;
	return c->inflight_fd < 0 ? n : vhk_max(n, c->inflight.n_queues);
}

void vhk_ctl_queue_err(struct vhk_ctl *c, unsigned int idx)
{
	struct vhk_ctl_queue *q = c->queue[idx];

	if (!q || !vhk_bell_take(q->err_fd) || q->broken)
		return;
	q->broken = true;
	vhk_log(&c->log, VHK_LOG_ERROR, "queue %u: the back end gave the ring up", idx);
}

static int queue_new(struct vhk_ctl *c, unsigned int idx, struct vhk_vq *vq)
{
	struct vhk_ctl_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	c->queue[idx] = q;
	q->vq = vq;
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	q->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0 || q->call_fd < 0 || q->err_fd < 0)
		return -errno;
	return vhk_ctl_watch(c, q->err_fd, EPOLLIN, VHK_CTL_TAG_ERR | idx);
}

static int inflight_got(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	struct vhk_ctl *c = j->c;

	c->inflight.size = r->inflight.size;
	c->inflight.offset = r->inflight.offset;
	c->inflight_fd = r->fd;
	return 0;
}

/*
 * One region for all queues that there will be, asked for once and kept for the life of the front
 * end.
 */
static int inflight_ask(struct vhk_ctl_job *j, uint16_t size)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_INFLIGHT_FD, .fd = -1 };
	struct vhk_ctl *c = j->c;
	unsigned int n = c->opts.n_queues;

	if (!n)
		n = vhk_max(vhk_min(vhk_ctl_n_queues(c), VHK_CTL_QUEUES_MAX), j->first + j->n);
	c->inflight.n_queues = (uint16_t)n;
	c->inflight.queue_size = c->opts.queue_size ? c->opts.queue_size : size;
	r.inflight = c->inflight;
	return vhk_ctl_job_ask(j, &r, inflight_got);
}

static int inflight_set(struct vhk_ctl_job *j)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_INFLIGHT_FD,
				 .fd = j->c->inflight_fd,
				 .inflight = j->c->inflight };

	return vhk_ctl_job_ask(j, &r, NULL);
}

static int inflight_prepare(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;
	struct vhk_vq_addr a;
	uint16_t size = 0;
	unsigned int i;

	for (i = j->first; i < j->first + j->n; i++) {
		vhk_vq_addr(c->queue[i]->vq, &a);
		size = vhk_max(size, a.size);
	}
	if (c->inflight_fd < 0) {
		int ret = inflight_ask(j, size);

		if (ret)
			return ret;
		j->set_inflight = true;
	}
	if (size > c->inflight.queue_size || j->first + j->n > c->inflight.n_queues)
		return -EINVAL;
	return 0;
}

static int start_begin(struct vhk_ctl_job *j)
{
	int ret = j->c->ops->prepare ? j->c->ops->prepare(j->c) : 0;

	j->step = start_rings;
	j->again = ret > 0;
	if (ret >= 0)
		ret = vhk_ctl_share(j);
	if (!ret && vhk_ctl_can(j->c, VHK_CTL_GET_INFLIGHT_FD))
		ret = inflight_prepare(j);
	return ret;
}

static int start_again(struct vhk_ctl_job *j)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < VHK_CTL_QUEUES_MAX && !ret; i++)
		if (j->c->queue[i] && j->c->queue[i]->running)
			ret = vhk_ctl_ring_ask(j, i);
	return ret;
}

static int start_rings(struct vhk_ctl_job *j)
{
	unsigned int i;
	int ret = 0;

	j->step = start_end;
	if (j->set_inflight)
		ret = inflight_set(j);
	if (!ret && j->again)
		ret = start_again(j);
	for (i = j->first; i < j->first + j->n && !ret; i++)
		ret = vhk_ctl_ring_ask(j, i);
	if (!ret && vhk_ctl_can(j->c, VHK_CTL_SET_STATUS))
		ret = vhk_ctl_job_ask_u64(j, VHK_CTL_SET_STATUS, STATUS_RUNS, NULL);
	return ret ? ret : vhk_ctl_job_sync(j);
}

static int start_end(struct vhk_ctl_job *j)
{
	unsigned int i;

	for (i = j->first; i < j->first + j->n; i++)
		j->c->queue[i]->running = true;
	return 0;
}

static void forget(struct vhk_ctl_req *r)
{
	free(r);
}

/* A ring that may have been started must not run on; nobody waits for the answer. */
static void queue_take_back(struct vhk_ctl *c, unsigned int idx)
{
	struct vhk_ctl_req *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	*r = (struct vhk_ctl_req){ .op = VHK_CTL_GET_VRING_BASE,
				   .fd = -1,
				   .vring = { .index = idx },
				   .done = forget };
	if (c->ops->submit(c, r, vhk_ctl_deadline(c, 0)))
		free(r);
}

static void start_undo(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;
	bool told = false;
	unsigned int i;

	for (i = j->first; i < j->first + j->n; i++)
		told |= c->queue[i]->told;
	if (told && c->ops->halt)
		c->ops->halt(c, j->first, j->n);
	for (i = j->first; i < j->first + j->n; i++)
		if (c->queue[i]->told)
			queue_take_back(c, i);
	queues_free(c, j->first, j->n);
	if (told && c->ops->unbind)
		c->ops->unbind(c, j->first, j->n);
	for (i = 0; j->again && i < VHK_CTL_QUEUES_MAX; i++)
		if (c->queue[i])
			c->queue[i]->broken = true;
}

static bool queues_known(const struct vhk_ctl *c, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = first; i < first + n; i++)
		if (c->queue[i])
			return true;
	return false;
}

static int queues_new(struct vhk_ctl *c, unsigned int first, struct vhk_vq *const *q,
		      unsigned int n)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = queue_new(c, first + i, q[i]);
	return ret;
}

/* How its requests are noted is to be known by both sides; only a table may be left unused. */
static int ring_fits(const struct vhk_ctl *c, unsigned int idx, const struct vhk_vq *q)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} feature[] = {
		{ VHK_F_RING_PACKED, "RING_PACKED" },
		{ VHK_F_EVENT_IDX, "EVENT_IDX" },
		{ VHK_F_IN_ORDER, "IN_ORDER" },
		{ VHK_F_INDIRECT_DESC, "INDIRECT_DESC" },
	};
	const uint64_t has = vhk_vq_features(q), wrong = has ^ vhk_ctl_features(c);
	unsigned int i;

	for (i = 0; i < vhk_array_size(feature); i++) {
		const uint64_t bit = feature[i].bit;

		if (!(wrong & bit) || (bit == VHK_F_INDIRECT_DESC && !(has & bit)))
			continue;
		vhk_log(&c->log, VHK_LOG_ERROR,
			has & bit ? "queue %u is made for %s, which was not negotiated" :
				    "queue %u is made without %s, which was negotiated",
			idx, feature[i].name);
		return -EINVAL;
	}
	return 0;
}

static int ring_taken(const struct vhk_ctl *c, unsigned int idx, unsigned int other)
{
	vhk_log(&c->log, VHK_LOG_ERROR, "queue %u has the ring of queue %u", idx, other);
	return -EBUSY;
}

static int rings_check(const struct vhk_ctl *c, unsigned int first, struct vhk_vq *const *q,
		       unsigned int n)
{
	unsigned int i, k;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		for (k = 0; k < VHK_CTL_QUEUES_MAX; k++)
			if (c->queue[k] && c->queue[k]->vq == q[i])
				return ring_taken(c, first + i, k);
		for (k = 0; k < i; k++)
			if (q[k] == q[i])
				return ring_taken(c, first + i, first + k);
		ret = ring_fits(c, first + i, q[i]);
	}
	return ret;
}

int vhk_ctl_start_async(struct vhk_ctl *c, unsigned int first, struct vhk_vq *const *q,
			unsigned int n, vhk_ctl_done_fn *done, void *arg)
{
	struct vhk_ctl_job j = { .step = start_begin,
				 .undo = start_undo,
				 .done = done,
				 .arg = arg,
				 .first = first,
				 .n = n };
	int ret;

	if (!n || n > VHK_CTL_QUEUES_MAX || first > VHK_CTL_QUEUES_MAX - n)
		return -EINVAL;
	if (!c->was_setup || c->job || queues_known(c, first, n))
		return -EBUSY;
	ret = rings_check(c, first, q, n);
	if (ret)
		return ret;
	ret = queues_new(c, first, q, n);
	if (!ret)
		ret = vhk_ctl_job_start(c, &j);
	if (ret)
		queues_free(c, first, n);
	return ret;
}

static int stop_answer(struct vhk_ctl_job *j, struct vhk_ctl_req *r)
{
	if (j->base)
		*j->base = r->vring.num;
	return 0;
}

static int stop_ask(struct vhk_ctl_job *j)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_VRING_BASE, .fd = -1 };
	int ret = 0;

	if (j->c->ops->halt)
		ret = j->c->ops->halt(j->c, j->first, j->n);
	for (r.vring.index = j->first; r.vring.index < j->first + j->n && !ret; r.vring.index++)
		ret = vhk_ctl_job_ask(j, &r, stop_answer);
	j->step = stop_end;
	return ret;
}

/* The back end has them stopped or is gone: either way they do not run for us any more. */
static void stop_undo(struct vhk_ctl_job *j)
{
	queues_free(j->c, j->first, j->n);
	if (j->c->ops->unbind)
		j->c->ops->unbind(j->c, j->first, j->n);
}

static int stop_end(struct vhk_ctl_job *j)
{
	stop_undo(j);
	return 0;
}

static int stop_start(struct vhk_ctl *c, unsigned int first, unsigned int n, uint32_t *base,
		      vhk_ctl_done_fn *done, void *arg)
{
	struct vhk_ctl_job j = { .step = stop_ask,
				 .undo = stop_undo,
				 .done = done,
				 .arg = arg,
				 .first = first,
				 .n = n,
				 .base = base };
	unsigned int i;

	if (!n || n > VHK_CTL_QUEUES_MAX || first > VHK_CTL_QUEUES_MAX - n)
		return -EINVAL;
	for (i = first; i < first + n; i++)
		if (!c->queue[i] || !c->queue[i]->running)
			return -EBUSY;
	return vhk_ctl_job_start(c, &j);
}

int vhk_ctl_stop_async(struct vhk_ctl *c, unsigned int first, unsigned int n,
		       vhk_ctl_done_fn *done, void *arg)
{
	return stop_start(c, first, n, NULL, done, arg);
}

int vhk_ctl_stop(struct vhk_ctl *c, unsigned int idx, uint32_t *base)
{
	struct vhk_ctl_waiter w = { 0 };
	int ret;

	if (c->busy)
		return -EBUSY;
	ret = stop_start(c, idx, 1, base, vhk_ctl_waiter_done, &w);
	return ret ? ret : vhk_ctl_waiter_wait(c, &w);
}

static int start_wait(struct vhk_ctl *c, unsigned int first, struct vhk_vq *const *q,
		      unsigned int n)
{
	struct vhk_ctl_waiter w = { 0 };
	int ret;

	if (c->busy)
		return -EBUSY;
	ret = vhk_ctl_start_async(c, first, q, n, vhk_ctl_waiter_done, &w);
	return ret ? ret : vhk_ctl_waiter_wait(c, &w);
}

int vhk_ctl_start(struct vhk_ctl *c, unsigned int idx, struct vhk_vq *q)
{
	return start_wait(c, idx, &q, 1);
}

int vhk_ctl_start_all(struct vhk_ctl *c, struct vhk_vq *const *q, unsigned int n)
{
	return start_wait(c, 0, q, n);
}

static int replay_end(struct vhk_ctl_job *j)
{
	unsigned int i;

	for (i = 0; i < VHK_CTL_QUEUES_MAX; i++)
		if (j->c->queue[i])
			vhk_ctl_kick(j->c, i);
	return 0;
}

/* What went wrong with it went wrong for the device before, which is gone. */
static void queue_mend(struct vhk_ctl_queue *q)
{
	vhk_bell_take(q->err_fd);
	q->broken = false;
}

int vhk_ctl_queue_replay(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;
	unsigned int i, n = 0;
	int ret = 0;

	j->step = replay_end;
	if (c->inflight_fd >= 0)
		ret = inflight_set(j);
	for (i = 0; i < VHK_CTL_QUEUES_MAX && !ret; i++) {
		if (c->queue[i]) {
			queue_mend(c->queue[i]);
			ret = vhk_ctl_ring_ask(j, i);
			n++;
		}
	}
	if (!ret && n && vhk_ctl_can(c, VHK_CTL_SET_STATUS))
		ret = vhk_ctl_job_ask_u64(j, VHK_CTL_SET_STATUS, STATUS_RUNS, NULL);
	return ret ? ret : vhk_ctl_job_sync(j);
}
