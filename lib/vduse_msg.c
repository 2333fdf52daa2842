// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The kernel's requests: read one by one, served, and answered in one place. While something is
 * done with the device in steps nothing is read.
 */
#include <sys/epoll.h>

#include "vduse_impl.h"

#define BUDGET 16
#define PATIENCE_NS 5000000000u

void vhk_vduse_tell(struct vhk_vduse *v, enum vhk_vduse_state state)
{
	if (v->o.on_state)
		v->o.on_state(v->o.arg, state);
}

void vhk_vduse_unwatch(struct vhk_vduse *v)
{
	if (v->watched)
		vhk_loop_del_fd(v->ctl, v->fd);
	v->watched = false;
}

void vhk_vduse_break(struct vhk_vduse *v)
{
	if (v->broken)
		return;
	v->broken = true;
	vhk_vduse_unwatch(v);
	vhk_vduse_unwatch_kicks(v);
	vhk_vduse_start_never(v);
	vduse_log_line(v, VHK_LOG_ERROR, "the kernel has given the device up");
	vhk_vduse_tell(v, VHK_VDUSE_BROKEN);
}

static void impatient(void *arg)
{
	struct vhk_vduse *v = arg;

	v->patience = 0;
	vduse_log_line(v, VHK_LOG_WARN,
		       "the kernel waits for requests that the device has not completed");
}

bool vhk_vduse_begin(struct vhk_vduse *v, enum vduse_task task)
{
	if (v->task != VDUSE_TASK_NONE)
		return false;
	v->task = task;
	return true;
}

int vhk_vduse_wait(struct vhk_vduse *v, int ret, vduse_step_fn *step)
{
	if (ret < 0)
		return ret;
	v->step = step;
	if (!v->patience) {
		ret = vhk_loop_add_timer(v->ctl, PATIENCE_NS, impatient, v);
		v->patience = vhk_max(ret, 0);
	}
	return VDUSE_LATER;
}

static void log_refusal(struct vhk_vduse *v, int err)
{
	vduse_log_line(v, VHK_LOG_WARN, "request %u fails: %s", v->req.type,
		       v->why ? v->why : strerrordesc_np(-err));
}

/* Nobody waits for an answer that comes after the kernel's time. */
static void answer(struct vhk_vduse *v, int ret)
{
	int sent;

	if (ret < 0)
		log_refusal(v, ret);
	v->resp.request_id = v->req.request_id;
	v->resp.result = ret < 0 ? VDUSE_REQ_RESULT_FAILED : VDUSE_REQ_RESULT_OK;
	sent = vhk_vduse_write(v->fd, &v->resp);
	if (sent)
		vduse_log_line(v, VHK_LOG_WARN, "request %u was not answered: %s", v->req.type,
			       strerrordesc_np(-sent));
	if (!ret && v->answered_up)
		vhk_vduse_start_soon(v);
}

static void finish(struct vhk_vduse *v, int ret)
{
	const enum vduse_task task = v->task;

	if (v->patience)
		vhk_loop_del_timer(v->ctl, v->patience);
	v->patience = 0;
	v->task = VDUSE_TASK_NONE;
	if (task == VDUSE_TASK_REQUEST)
		answer(v, ret);
	else if (ret < 0)
		vduse_log_line(v, VHK_LOG_ERROR, "%s", strerrordesc_np(-ret));
	if (v->closing || v->broken)
		return;
	if (task == VDUSE_TASK_START)
		vhk_vduse_start_wanted(v);
	vhk_vduse_serve_misses(v);
	if (v->task == VDUSE_TASK_NONE)
		vhk_vduse_watch(v);
}

void vhk_vduse_go(struct vhk_vduse *v, int ret)
{
	if (ret != VDUSE_LATER)
		finish(v, ret);
}

void vhk_vduse_changed(void *arg, int ret, uint32_t base)
{
	struct vhk_vduse *v = arg;

	vhk_vduse_go(v, v->step(v, ret, base));
}

static bool asks_for_queue(struct vhk_vduse *v, uint32_t idx)
{
	if (idx < v->n_queues)
		return true;
	v->why = "there is no such queue";
	return false;
}

static void put_position(struct vhk_vduse *v, uint32_t base)
{
	struct vduse_vq_state *s = &v->resp.vq_state;

	s->index = v->req.vq_state.index;
	if (!vduse_packed(v)) {
		s->split.avail_index = (uint16_t)base;
		return;
	}
	s->packed.last_avail_idx = base & 0x7fff;
	s->packed.last_avail_counter = base >> 15 & 1;
	s->packed.last_used_idx = base >> 16 & 0x7fff;
	s->packed.last_used_counter = (uint16_t)(base >> 31);
}

static int restarted(struct vhk_vduse *v, int ret, uint32_t base)
{
	(void)base;
	if (ret) {
		v->queue[v->cursor].started = false;
		vduse_log_line(v, VHK_LOG_ERROR, "queue %u cannot go on: %s", v->cursor,
			       strerrordesc_np(-ret));
	}
	return 0;
}

/* Where a queue stands can only be said of one that stands; it goes on with the answer. */
static int state_known(struct vhk_vduse *v)
{
	const struct vduse_queue *q = &v->queue[v->cursor];

	put_position(v, q->base);
	return v->running && !v->suspended ? vhk_vduse_start_one(v, restarted) : 0;
}

static int get_state(struct vhk_vduse *v)
{
	const uint32_t idx = v->req.vq_state.index;
	uint32_t base;
	int ret;

	if (!asks_for_queue(v, idx))
		return -EINVAL;
	if (v->queue[idx].started)
		return vhk_vduse_stop_one(v, idx, state_known);
	ret = vhk_vduse_position(v, idx, &base);
	put_position(v, base);
	return ret;
}

/* All that a driver left behind goes: what is mapped may be another's by the time of the next. */
static int reset_done(struct vhk_vduse *v)
{
	struct vhk_mem *mem;
	unsigned int i;
	int ret = vhk_mem_new(&mem);

	if (ret)
		return ret;
	vhk_mem_free(v->mem);
	v->mem = mem;
	vhk_vduse_drop_kicks(v);
	for (i = 0; i < v->n_queues; i++)
		vhk_vduse_log_reset(v, i);
	if (v->running || v->features_set)
		vhk_device_reset(v->dev);
	if (v->running)
		vhk_vduse_tell(v, VHK_VDUSE_IDLE);
	v->running = v->suspended = v->features_set = false;
	v->status = 0;
	return 0;
}

static int driver_ok(struct vhk_vduse *v)
{
	unsigned int i;
	int ret;

	if (!v->features_set) {
		ret = vhk_vduse_accept_features(v);
		if (ret)
			return ret;
	}
	for (i = 0; i < v->n_queues; i++) {
		v->queue[i].has_base = v->queue[i].wanted = false;
		vhk_vduse_log_reset(v, i);
	}
	ret = vhk_vduse_map(v, 0, UINT64_MAX);
	if (ret && ret != -EMSGSIZE)
		return ret;
	v->running = true;
	v->answered_up = true;
	vhk_vduse_tell(v, VHK_VDUSE_UP);
	return 0;
}

static int set_status(struct vhk_vduse *v)
{
	const uint8_t was = v->status, now = v->req.s.status;
	int ret = 0;

	if (!now) {
		vhk_vduse_start_never(v);
		return vhk_vduse_stop_all(v, reset_done);
	}
	if (now & ~was & VIRTIO_CONFIG_S_FEATURES_OK && !v->running)
		ret = vhk_vduse_accept_features(v);
	if (!ret && now & VIRTIO_CONFIG_S_DRIVER_OK && !v->running)
		ret = driver_ok(v);
	if (!ret)
		v->status = now;
	return ret;
}

static int table_swapped(struct vhk_vduse *v, int ret, uint32_t base)
{
	(void)v, (void)base;
	return ret;
}

/* Answered when nothing points into what went. */
static int update_iotlb(struct vhk_vduse *v)
{
	const struct vduse_iova_range r = v->req.iova;
	struct vhk_table *t;
	int ret;

	if (r.start > r.last || (v->api && v->req.padding[VHK_VDUSE_IOTLB_ASID])) {
		v->why = "a range or an address space that makes no sense";
		return -EINVAL;
	}
	ret = vhk_vduse_unmap(v, r.start, r.last);
	if (ret || !vhk_vduse_any_started(v))
		return ret;
	ret = vhk_vduse_map(v, r.start, r.last);
	if (ret && ret != -EMSGSIZE)
		vduse_log_line(v, VHK_LOG_WARN, "memory cannot be mapped: %s",
			       strerrordesc_np(-ret));
	t = vhk_mem_table(v->mem);
	ret = vhk_device_set_table(v->dev, t, true, vhk_vduse_find_ring, vhk_vduse_changed, v);
	vhk_table_put(t);
	return vhk_vduse_wait(v, ret, table_swapped);
}

/* One group in one address space is what was declared. */
static int set_group_asid(struct vhk_vduse *v)
{
	if (!v->req.padding[VHK_VDUSE_ASID_GROUP] && !v->req.padding[VHK_VDUSE_ASID_ASID])
		return 0;
	v->why = "there is one group and one address space";
	return -EINVAL;
}

static int queue_unready(struct vhk_vduse *v)
{
	v->queue[v->cursor].has_base = v->queue[v->cursor].wanted = false;
	return 0;
}

/* The kernel notes it behind the answer. */
static int set_queue_ready(struct vhk_vduse *v)
{
	const uint32_t idx = v->req.padding[VHK_VDUSE_READY_QUEUE];

	if (!asks_for_queue(v, idx))
		return -EINVAL;
	if (!v->req.padding[VHK_VDUSE_READY_ON])
		return vhk_vduse_stop_one(v, idx, queue_unready);
	if (v->running && !v->queue[idx].started)
		v->queue[idx].wanted = v->answered_up = true;
	return 0;
}

static int suspend_done(struct vhk_vduse *v)
{
	v->suspended = true;
	return 0;
}

static int suspend(struct vhk_vduse *v)
{
	vhk_vduse_start_never(v);
	return vhk_vduse_stop_all(v, suspend_done);
}

static int serve(struct vhk_vduse *v)
{
	switch (v->req.type) {
	case VDUSE_GET_VQ_STATE:
		return get_state(v);
	case VDUSE_SET_STATUS:
		return set_status(v);
	case VDUSE_UPDATE_IOTLB:
		return update_iotlb(v);
	case VHK_VDUSE_SET_GROUP_ASID:
		if (v->api)
			return set_group_asid(v);
		break;
	case VHK_VDUSE_SET_QUEUE_READY:
		if (v->extras & VHK_VDUSE_F_QUEUE_READY)
			return set_queue_ready(v);
		break;
	case VHK_VDUSE_SUSPEND:
		if (v->extras & VHK_VDUSE_F_SUSPEND)
			return suspend(v);
		break;
	}
	v->why = "an unknown request";
	return -EOPNOTSUPP;
}

static void serve_request(struct vhk_vduse *v)
{
	vhk_vduse_begin(v, VDUSE_TASK_REQUEST);
	memset(&v->resp, 0, sizeof(v->resp));
	v->why = NULL;
	v->answered_up = false;
	vduse_log_line(v, VHK_LOG_DEBUG, "request %u", v->req.type);
	vhk_vduse_go(v, serve(v));
}

static void event(void *arg, uint32_t events)
{
	struct vhk_vduse *v = arg;
	unsigned int i;
	int ret;

	if (events & (EPOLLERR | EPOLLHUP)) {
		vhk_vduse_break(v);
		return;
	}
	for (i = 0; i < BUDGET && v->task == VDUSE_TASK_NONE; i++) {
		ret = vhk_vduse_read(v->fd, &v->req);
		if (ret == -EAGAIN)
			return;
		if (ret) {
			vhk_vduse_break(v);
			return;
		}
		serve_request(v);
	}
	if (v->task != VDUSE_TASK_NONE)
		vhk_vduse_unwatch(v);
}

int vhk_vduse_watch(struct vhk_vduse *v)
{
	int ret;

	if (v->watched)
		return 0;
	ret = vhk_loop_add_fd(v->ctl, v->fd, EPOLLIN, event, v);
	v->watched = !ret;
	if (ret)
		vduse_log_line(v, VHK_LOG_ERROR, "cannot be watched: %s", strerrordesc_np(-ret));
	return ret;
}
