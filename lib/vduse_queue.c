// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Queues of a VDUSE device: which of them the driver has made ready, where they lie, their start
 * and stop. The kernel drops interrupts until it has noted DRIVER_OK, which it does behind our
 * answer: queues start when it lets one through.
 */
#include <fcntl.h>
#include <sys/epoll.h>

#include "fd.h"
#include "mem_view.h"
#include "ring_layout.h"
#include "vduse_impl.h"

#define PAUSE_MIN_NS 200000u
#define PAUSE_MAX_NS 100000000u

bool vhk_vduse_any_started(const struct vhk_vduse *v)
{
	unsigned int i;

	for (i = 0; i < v->n_queues; i++)
		if (v->queue[i].started)
			return true;
	return false;
}

int vhk_vduse_accept_features(struct vhk_vduse *v)
{
	const uint64_t own = vhk_device_info(v->dev)->features;
	uint64_t f;
	int ret = vhk_vduse_features(v->fd, &f);

	if (ret)
		return ret;
	if (f & ~v->offered) {
		v->why = "features that were not offered";
		return -EINVAL;
	}
	ret = vhk_device_set_features(v->dev, f & own);
	if (ret) {
		v->why = "the device cannot work with these features";
		return ret;
	}
	v->features = f & own;
	v->features_set = true;
	return 0;
}

static uint32_t base_of(const struct vhk_vduse *v, const struct vduse_vq_info *info)
{
	const struct vduse_vq_state_packed *p = &info->packed;

	if (!vduse_packed(v))
		return info->split.avail_index;
	return (p->last_avail_idx & 0x7fffu) | (p->last_avail_counter & 1u) << 15 |
	       (p->last_used_idx & 0x7fffu) << 16 | (uint32_t)(p->last_used_counter & 1u) << 31;
}

int vhk_vduse_position(struct vhk_vduse *v, unsigned int idx, uint32_t *base)
{
	struct vduse_vq_info info = { .index = idx };
	int ret;

	*base = v->queue[idx].base;
	if (v->queue[idx].has_base)
		return 0;
	ret = vhk_vduse_queue_info(v->fd, &info);
	*base = base_of(v, &info);
	return ret;
}

/* Eventfds of ours tell of kicks: those of a queue that runs, and those that come when a queue
 * becomes ready late, of which there is no other word. */
static int have_kick(struct vhk_vduse *v, unsigned int idx)
{
	struct vduse_queue *q = &v->queue[idx];
	int ret;

	if (q->kick >= 0)
		return 0;
	ret = vhk_vduse_new_kick();
	if (ret < 0)
		return ret;
	q->kick = ret;
	ret = vhk_vduse_set_kick(v->fd, idx, q->kick);
	if (ret) {
		vhk_fd_close(q->kick);
		q->kick = -1;
	}
	return ret;
}

static void unwatch_kick(struct vhk_vduse *v, struct vduse_queue *q)
{
	if (q->watched)
		vhk_loop_del_fd(v->ctl, q->kick);
	q->watched = false;
}

static void kicked_unready(void *arg, uint32_t events)
{
	struct vhk_vduse *v = arg;
	unsigned int i;

	(void)events;
	if (v->closing || v->broken)
		return;
	for (i = 0; i < v->n_queues; i++)
		if (v->queue[i].watched && vhk_vduse_take_kick(v->queue[i].kick))
			v->queue[i].wanted = true;
	vhk_vduse_start_soon(v);
}

static void watch_kick(struct vhk_vduse *v, struct vduse_queue *q)
{
	if (!q->watched && q->kick >= 0 && !v->closing && !v->broken)
		q->watched = !vhk_loop_add_fd(v->ctl, q->kick, EPOLLIN, kicked_unready, v);
}

void vhk_vduse_unwatch_kicks(struct vhk_vduse *v)
{
	unsigned int i;

	for (i = 0; i < v->n_queues; i++)
		unwatch_kick(v, &v->queue[i]);
}

void vhk_vduse_drop_kicks(struct vhk_vduse *v)
{
	unsigned int i;

	for (i = 0; i < v->n_queues; i++) {
		struct vduse_queue *q = &v->queue[i];

		unwatch_kick(v, q);
		if (q->kick < 0)
			continue;
		/* From here on the kernel keeps kicks for whoever comes next. */
		vhk_vduse_set_kick(v->fd, i, -1);
		vhk_fd_close(q->kick);
		q->kick = -1;
	}
}

/* @view gets what of it is scattered: behind an IOMMU each page is a region of its own. */
static int find_part(const struct vhk_table *t, uint64_t at, uint64_t len, struct vhk_table **view,
		     void **va)
{
	struct iovec seg[RING_PIECES_MAX];
	unsigned int hint = 0;
	int n = vhk_table_find(t, at, len, seg, RING_PIECES_MAX, &hint);

	return n < 0 ? n : vhk_view_add(view, t, seg, (unsigned int)n, va);
}

/* With success a reference to its view is the caller's. */
static int find_parts(const struct vhk_vduse *v, const struct vduse_queue *q,
		      const struct vhk_table *t, struct vhk_ring_place *at)
{
	const bool packed = vduse_packed(v);
	const struct ring_parts p = ring_parts_of(q->size, packed);
	int ret;

	*at = (struct vhk_ring_place){ .view = NULL };
	ret = find_part(t, q->desc, p.desc, &at->view, &at->desc);
	if (!ret)
		ret = find_part(t, q->driver, p.driver, &at->view, &at->driver);
	if (!ret)
		ret = find_part(t, q->device, p.device, &at->view, &at->device);
	if (!ret && !ring_parts_aligned(at->desc, at->driver, at->device, packed))
		ret = -EINVAL;
	if (ret) {
		vhk_table_put(at->view);
		at->view = NULL;
	}
	return ret;
}

int vhk_vduse_find_ring(void *arg, unsigned int idx, struct vhk_ring_place *at)
{
	struct vhk_vduse *v = arg;
	struct vhk_table *t = vhk_mem_table(v->mem);
	int ret = find_parts(v, &v->queue[idx], t, at);

	vhk_table_put(t);
	if (ret)
		vduse_log_line(v, VHK_LOG_WARN, "queue %u stops: its memory went away", idx);
	return ret;
}

/* Where the driver put the queue, once copied and checked. */
static int note_info(struct vhk_vduse *v, unsigned int idx, const struct vduse_vq_info *info)
{
	struct vduse_queue *q = &v->queue[idx];

	if (!info->num || info->num > vhk_device_info(v->dev)->queue_size)
		return -EINVAL;
	q->size = (uint16_t)info->num;
	q->desc = info->desc_addr;
	q->driver = info->driver_addr;
	q->device = info->device_addr;
	return vhk_vduse_map_ring(v, q);
}

static int duplicate(int *out, int fd)
{
	*out = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *out < 0 ? -errno : 0;
}

static int fill_setup(struct vhk_vduse *v, unsigned int idx, const struct vduse_vq_info *info,
		      struct vhk_queue_setup *s)
{
	const struct vduse_queue *q = &v->queue[idx];
	int ret;

	*s = (struct vhk_queue_setup){
		.size = q->size,
		.features = v->features,
		.base = base_of(v, info),
		.table = vhk_mem_table(v->mem),
		.inflight_table = vhk_mem_table(v->log.mem),
		.used_gpa = UINT64_MAX,
		.kick_fd = -1,
		.call_fd = -1,
		.err_fd = -1,
		.vduse = true,
		.waits = true,
		.enabled = true,
	};
	vhk_vduse_log_find(v, idx, &s->inflight, &s->inflight_size);
	ret = find_parts(v, q, s->table, &s->at);
	if (!ret)
		ret = duplicate(&s->kick_fd, q->kick);
	if (!ret)
		ret = duplicate(&s->call_fd, v->fd);
	if (!ret)
		return 0;
	vhk_table_put(s->table);
	vhk_table_put(s->at.view);
	vhk_table_put(s->inflight_table);
	vhk_fd_close(s->kick_fd);
	return ret;
}

static const char *why_not(int err)
{
	switch (err) {
	case -EFAULT:
		return "it lies in no memory of the device's";
	case -EINVAL:
	case -EBADMSG:
		return "its size, place or position makes no sense";
	case -ENOBUFS:
		return "it is in more pieces than it has pages";
	case -EOPNOTSUPP:
		return "it is scattered, and not in whole pages of ordinary memory, all writable";
	case -EPROTO:
		return "the file of requests under way contradicts itself";
	case -EBUSY:
		return "another server has what the device needs; it is tried again";
	default:
		return strerrordesc_np(-err);
	}
}

static int start_queue(struct vhk_vduse *v, unsigned int idx, const struct vduse_vq_info *info,
		       vduse_step_fn *step)
{
	struct vduse_queue *q = &v->queue[idx];
	struct vhk_queue_setup s;
	int ret = note_info(v, idx, info);

	if (!ret)
		ret = fill_setup(v, idx, info, &s);
	if (!ret)
		ret = vhk_device_start_queue(v->dev, idx, &s, vhk_vduse_changed, v);
	if (ret)
		return ret;
	q->started = true;
	q->has_base = false;
	q->wanted = false;
	q->misses = false;
	unwatch_kick(v, q);
	vduse_log_line(v, VHK_LOG_DEBUG, "queue %u starts: %s, size %u", idx,
		       vduse_packed(v) ? "packed" : "split", q->size);
	return vhk_vduse_wait(v, 0, step);
}

int vhk_vduse_start_one(struct vhk_vduse *v, vduse_step_fn *step)
{
	const unsigned int idx = v->cursor;
	struct vduse_vq_info info = { .index = idx };
	int ret;

	if (v->queue[idx].started)
		return 0;
	ret = have_kick(v, idx);
	if (!ret)
		ret = vhk_vduse_queue_info(v->fd, &info);
	if (ret)
		return ret;
	if (!info.ready) {
		watch_kick(v, &v->queue[idx]);
		return 0;
	}
	return start_queue(v, idx, &info, step);
}

/* What the device works with may be in another server's hand still: that is asked for again. */
static void not_started(struct vhk_vduse *v, int err)
{
	struct vduse_queue *q = &v->queue[v->cursor];

	q->started = false;
	q->wanted = err == -EBUSY;
	if (!q->wanted || !q->waits)
		vduse_log_line(v, VHK_LOG_ERROR, "queue %u cannot start: %s", v->cursor,
			       why_not(err));
	q->waits = q->wanted;
}

static int started_next(struct vhk_vduse *v, int ret, uint32_t base);

static int start_next(struct vhk_vduse *v)
{
	int ret;

	for (; v->cursor < v->n_queues; v->cursor++) {
		ret = vhk_vduse_start_one(v, started_next);
		if (ret == VDUSE_LATER)
			return ret;
		if (ret)
			not_started(v, ret);
	}
	return 0;
}

/* Each queue would wait as long for the same thing, and the kernel's requests for them all. */
static int started_next(struct vhk_vduse *v, int ret, uint32_t base)
{
	(void)base;
	if (ret)
		not_started(v, ret);
	else
		v->queue[v->cursor].waits = false;
	if (ret == -EBUSY)
		return 0;
	v->cursor++;
	return start_next(v);
}

bool vhk_vduse_probe(struct vhk_vduse *v)
{
	return !vhk_vduse_inject_config(v->fd);
}

/* An interrupt that is let through: an extra one costs the driver a look. */
static bool driver_runs(struct vhk_vduse *v)
{
	unsigned int i;

	if (v->recovering)
		return vhk_vduse_probe(v);
	for (i = 0; i < v->n_queues; i++) {
		struct vduse_vq_info info = { .index = i };

		if (!v->queue[i].started && !vhk_vduse_queue_info(v->fd, &info) && info.ready)
			return !vhk_vduse_inject(v->fd, i);
	}
	return true;
}

static void look_again(struct vhk_vduse *v);

static bool some_wanted(const struct vhk_vduse *v)
{
	unsigned int i;

	for (i = 0; i < v->n_queues; i++)
		if (v->queue[i].wanted && !v->queue[i].started)
			return true;
	return false;
}

static void start_look(void *arg)
{
	struct vhk_vduse *v = arg;

	v->start_timer = 0;
	if (!v->starting)
		return;
	if (!driver_runs(v) || !vhk_vduse_begin(v, VDUSE_TASK_START)) {
		look_again(v);
		return;
	}
	v->recovering = false;
	v->starting = false;
	v->cursor = 0;
	vhk_vduse_go(v, start_next(v));
	if (v->config_owed)
		v->config_owed = !vhk_vduse_probe(v);
}

static void look_again(struct vhk_vduse *v)
{
	int ret;

	if (v->start_timer)
		return;
	ret = vhk_loop_add_timer(v->ctl, v->start_pause, start_look, v);
	if (ret < 0)
		vduse_log_line(v, VHK_LOG_ERROR, "no timer: %s", strerrordesc_np(-ret));
	else
		v->start_timer = ret;
	v->start_pause = vhk_min(2 * v->start_pause, (uint64_t)PAUSE_MAX_NS);
}

void vhk_vduse_start_soon(struct vhk_vduse *v)
{
	if (v->closing || v->broken)
		return;
	v->starting = true;
	v->start_pause = PAUSE_MIN_NS;
	look_again(v);
}

void vhk_vduse_start_wanted(struct vhk_vduse *v)
{
	if (!v->running || v->suspended || !some_wanted(v))
		return;
	v->starting = true;
	look_again(v);
}

void vhk_vduse_start_never(struct vhk_vduse *v)
{
	if (v->start_timer)
		vhk_loop_del_timer(v->ctl, v->start_timer);
	v->start_timer = 0;
	v->starting = v->recovering = false;
}

static void note_stop(struct vhk_vduse *v, uint32_t base)
{
	struct vduse_queue *q = &v->queue[v->cursor];

	q->started = false;
	q->misses = false;
	q->wanted = false;
	q->base = base;
	q->has_base = true;
}

static int stopped_next(struct vhk_vduse *v, int ret, uint32_t base);

static int stop_next(struct vhk_vduse *v)
{
	int ret;

	while (v->cursor < v->n_queues && !v->queue[v->cursor].started)
		v->cursor++;
	if (v->cursor == v->n_queues)
		return v->then(v);
	ret = vhk_device_stop_queue(v->dev, v->cursor, vhk_vduse_changed, v);
	return vhk_vduse_wait(v, ret, stopped_next);
}

static int stopped_next(struct vhk_vduse *v, int ret, uint32_t base)
{
	if (ret)
		return ret;
	note_stop(v, base);
	return stop_next(v);
}

int vhk_vduse_stop_all(struct vhk_vduse *v, int (*then)(struct vhk_vduse *v))
{
	v->cursor = 0;
	v->then = then;
	return stop_next(v);
}

static int stopped_one(struct vhk_vduse *v, int ret, uint32_t base)
{
	if (ret)
		return ret;
	note_stop(v, base);
	return v->then(v);
}

int vhk_vduse_stop_one(struct vhk_vduse *v, unsigned int idx, int (*then)(struct vhk_vduse *v))
{
	int ret;

	v->cursor = idx;
	v->then = then;
	if (!v->queue[idx].started)
		return then(v);
	ret = vhk_device_stop_queue(v->dev, idx, vhk_vduse_changed, v);
	return vhk_vduse_wait(v, ret, stopped_one);
}
