// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Rings of a session: what is said about one before it starts, its start and stop, and what may
 * change while it runs.
 */
#include "backend_impl.h"
#include "fd.h"

void vhk_session_reset_rings(struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++) {
		struct vhk_backend_ring *r = &s->ring[i];

		r->size = 0;
		r->base = 0;
		r->has_addr = false;
		r->lost = false;
		r->left = false;
		r->drained = false;
		vhk_session_stop_waiting(s, i);
	}
}

static struct vhk_user_vring_state requested_state(const struct vhk_session *s)
{
	struct vhk_user_vring_state state;

	memcpy(&state, s->req.bytes, sizeof(state));
	return state;
}

int vhk_backend_set_vring_num(struct vhk_session *s)
{
	struct vhk_user_vring_state v = requested_state(s);

	if (v.num > vhk_device_info(s->backend->dev)->queue_size)
		return vhk_session_refuse(s, -EINVAL, "larger than the device allows");
	s->ring[v.index].size = (uint16_t)v.num;
	return 0;
}

/* On a running ring only the logging of its used ring may change. */
static int same_place(const struct vhk_user_vring_addr *a, const struct vhk_user_vring_addr *b)
{
	return a->desc == b->desc && a->avail == b->avail && a->used == b->used;
}

/* With an IOTLB that is for the start alone: translations need not be there yet. */
static int check_addr(struct vhk_session *s, unsigned int idx)
{
	struct vhk_ring_place at;
	struct vhk_table *t;
	int ret;

	if (vhk_session_has_iotlb(s))
		return 0;
	vhk_session_place_ring(s, idx);
	t = vhk_mem_table(s->mem);
	ret = vhk_session_find_ring(s, t, idx, &at);
	vhk_table_put(at.view);
	vhk_table_put(t);
	return ret;
}

int vhk_backend_set_vring_addr(struct vhk_session *s)
{
	struct vhk_user_vring_addr addr;
	struct vhk_backend_ring *r;
	int ret = 0;

	memcpy(&addr, s->req.bytes, sizeof(addr));
	r = &s->ring[addr.index];
	if (addr.flags && !(s->st.features & VHK_F_LOG_ALL))
		return vhk_session_refuse(s, -EOPNOTSUPP, "logging was not negotiated");
	if (vhk_session_runs(s, addr.index)) {
		if (!same_place(&addr, &r->addr))
			return vhk_session_refuse(s, -EBUSY, "the ring is running");
		r->addr = addr;
		return vhk_session_spread_log(s);
	}
	r->addr = addr;
	/* Memory or size may come later; the start looks at all of it again. */
	if (r->size && vhk_mem_count(s->mem))
		ret = check_addr(s, addr.index);
	r->has_addr = !ret;
	return ret;
}

int vhk_backend_set_vring_base(struct vhk_session *s)
{
	struct vhk_user_vring_state v = requested_state(s);

	s->ring[v.index].base = v.num;
	return 0;
}

/* A split ring's used index is in guest memory, and its position the available index alone. */
void vhk_session_note_base(struct vhk_session *s, unsigned int idx, uint32_t base)
{
	s->ring[idx].base = vhk_session_packed(s) ? base : base & UINT16_MAX;
}

static int finish_stop(struct vhk_session *s, int ret, uint32_t base)
{
	struct vhk_user_vring_state v = requested_state(s);

	if (ret)
		return ret;
	vhk_session_note_base(s, v.index, base);
	vhk_session_stop_waiting(s, v.index);
	v.num = s->ring[v.index].base;
	vhk_session_reply(s, &v, sizeof(v));
	return 0;
}

static int stop_ring(struct vhk_session *s, int (*stop)(struct vhk_device *d, unsigned int idx,
							   vhk_change_fn *fn, void *arg))
{
	uint32_t idx = requested_state(s).index;
	int ret;

	if (!vhk_session_runs(s, idx))
		return finish_stop(s, 0, s->ring[idx].base);
	s->ring[idx].left = stop == vhk_device_suspend_queue;
	s->ring[idx].drained = !s->ring[idx].left;
	ret = stop(s->backend->dev, idx, vhk_session_changed, s);
	return vhk_session_wait(s, ret, finish_stop);
}

/* A front end that can say when not to wait wants to wait otherwise (vhost-user,
 * GET_VRING_BASE). */
int vhk_backend_get_vring_base(struct vhk_session *s)
{
	const uint64_t both = VHK_USER_PF(GET_VRING_BASE_INFLIGHT) |
			      VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN);

	if ((s->st.protocol & both) == VHK_USER_PF(GET_VRING_BASE_INFLIGHT))
		return stop_ring(s, vhk_device_suspend_queue);
	return stop_ring(s, vhk_device_stop_queue);
}

int vhk_backend_get_vring_base_skip_drain(struct vhk_session *s)
{
	return stop_ring(s, vhk_device_suspend_queue);
}

static unsigned int requested_fd_index(const struct vhk_session *s)
{
	return s->req.u64 & VHK_USER_VRING_FD_INDEX;
}

/* The fd of the request, which is there unless the no-fd bit is set. */
static int take_notify(struct vhk_session *s, struct vhk_notify *n)
{
	int fd, ret = vhk_session_take_fd(s, &fd);

	if (ret)
		return ret;
	if (vhk_notify_init_take_fd(n, fd))
		return vhk_session_refuse(s, -EINVAL, "neither eventfd, pipe nor socket");
	return 0;
}

/* Where the ring is and where its chains are noted. */
static int find_places(struct vhk_session *s, unsigned int idx, struct vhk_queue_setup *q)
{
	uint16_t room;

	q->inflight = vhk_session_find_inflight(s, idx, &room, &q->inflight_size);
	/* Firmware may make a queue larger than the device's, for which the front end asked. */
	if (!q->inflight && s->inflight.mem)
		vhk_session_log(s, VHK_LOG_WARN, "queue %u is larger than its inflight region: "
				"what is under way is lost with this process", idx);
	return vhk_session_find_ring(s, q->table, idx, &q->at);
}

/*
 * Where a ring starts. Some front ends (DPDK's) tell of a packed ring where it is available from
 * and, in zeros, nothing of what was used. That can mean chains in flight only where something
 * tells which: otherwise both positions are the same.
 */
static uint32_t start_base(const struct vhk_session *s, unsigned int idx, bool tracked)
{
	const uint32_t base = s->ring[idx].base;

	if (tracked || !vhk_session_packed(s) || base >> 16)
		return base;
	return base << 16 | base;
}

int vhk_session_fill_setup(struct vhk_session *s, unsigned int idx, int kick_fd,
			   struct vhk_queue_setup *q)
{
	const struct vhk_backend_ring *r = &s->ring[idx];
	int ret;

	*q = (struct vhk_queue_setup){
		.iotlb = vhk_session_has_iotlb(s) ? vhk_iotlb_table(s->iotlb.cache) : NULL,
		.size = r->size,
		.features = s->st.features,
		.table = vhk_mem_table(s->mem),
		.inflight_table = vhk_session_inflight_table(s),
		.dirty = vhk_session_dirty(s),
		.used_gpa = vhk_session_used_gpa(s, idx),
		.kick_fd = kick_fd,
		.call_fd = -1,
		.err_fd = -1,
		.enabled = r->enabled,
	};
	ret = find_places(s, idx, q);
	q->base = start_base(s, idx, q->inflight);
	if (!ret && r->call.fd >= 0)
		ret = vhk_fd_duplicate(&q->call_fd, r->call.fd);
	else if (!ret)
		ret = vhk_session_inband_call(s, idx, &q->call_fd);
	if (!ret)
		ret = vhk_fd_duplicate(&q->err_fd, r->err.fd);
	if (!ret)
		return 0;
	vhk_table_put(q->table);
	vhk_table_put(q->at.view);
	vhk_table_put(q->inflight_table);
	vhk_iotlb_table_put(q->iotlb);
	vhk_fd_close(q->call_fd);
	vhk_fd_close(kick_fd);
	return ret;
}

static const char *why_not_started(int err)
{
	switch (err) {
	case -EBUSY:
		return "another server has what the device needs";
	case -EFAULT:
		return "a file of its memory was cut short";
	case -EPROTO:
		return "its inflight region contradicts itself";
	case -EINVAL:
	case -EBADMSG:
		return "its size or position makes no sense";
	default:
		return "the device cannot start the queue";
	}
}

int vhk_session_refuse_start(struct vhk_session *s, int ret)
{
	if (ret == -EFAULT)
		s->torn = true;
	return vhk_session_refuse(s, ret, why_not_started(ret));
}

static int finish_start(struct vhk_session *s, int ret, uint32_t base)
{
	unsigned int idx = s->cursor;
	struct vhk_backend_ring *r = &s->ring[idx];

	(void)base;
	if (ret)
		vhk_session_stop_waiting(s, idx);
	if (ret == -EBUSY)
		s->deaf = !(s->req.hdr.flags & VHK_MSG_NEED_REPLY);
	if (ret)
		return vhk_session_refuse_start(s, ret);
	r->waits = false;
	vhk_session_log(s, VHK_LOG_DEBUG, "queue %u starts: %s, size %u, base 0x%x", idx,
			vhk_session_packed(s) ? "packed" : "split", r->size, r->base);
	return 0;
}

/*
 * A driver that reset its ring (VHK_F_RING_RESET; virtio 1.3, 2.6.1) has the front end stop it and
 * start it where rings begin: what the inflight region knows is the former ring's. Of a packed ring
 * some front ends (DPDK's) tell half of that position.
 */
static void begin_anew(struct vhk_session *s, unsigned int idx)
{
	const uint32_t first = vhk_session_packed(s) ? 0x80008000 : 0;
	struct vhk_backend_ring *r = &s->ring[idx];

	if (!r->drained || (r->base != first && r->base != (first & UINT16_MAX)))
		return;
	r->base = first;
	vhk_session_renew_inflight(s, idx);
}

/* Owns @kick_fd. */
static int start_queue(struct vhk_session *s, unsigned int idx, int kick_fd,
		       vhk_session_finish_fn *finish)
{
	struct vhk_backend_ring *r = &s->ring[idx];
	struct vhk_queue_setup q;
	int ret;

	if (s->moving) {
		vhk_fd_close(kick_fd);
		return vhk_session_refuse(s, -EBUSY, "the device's state is on its way");
	}
	begin_anew(s, idx);
	ret = vhk_session_fill_setup(s, idx, kick_fd, &q);
	if (ret)
		return ret;
	r->lost = r->left = r->drained = false;
	ret = vhk_device_start_queue(s->backend->dev, idx, &q, vhk_session_changed, s);
	return ret ? vhk_session_refuse_start(s, ret) : vhk_session_wait(s, ret, finish);
}

int vhk_session_start_placed(struct vhk_session *s, unsigned int idx, vhk_session_finish_fn *finish)
{
	int fd, ret = vhk_fd_duplicate(&fd, s->ring[idx].kick);

	return ret ? ret : start_queue(s, idx, fd, finish);
}

static void forget_start(struct vhk_session *s, unsigned int idx)
{
	struct vhk_backend_ring *r = &s->ring[idx];

	vhk_fd_close(r->kick);
	r->kick = -1;
	r->waits = r->asked = r->wants = false;
}

void vhk_session_stop_waiting(struct vhk_session *s, unsigned int idx)
{
	forget_start(s, idx);
	vhk_device_rest_over(s->backend->dev, idx);
}

/* A ring whose parts cannot be translated yet counts as started; one that rests goes on resting.
 * Owns @kick_fd. */
static int start_translated(struct vhk_session *s, unsigned int idx, int kick_fd)
{
	int ret;

	forget_start(s, idx);
	s->ring[idx].kick = kick_fd;
	s->ring[idx].waits = true;
	ret = vhk_session_place_ring(s, idx);
	if (ret == -EAGAIN)
		return 0;
	if (!ret)
		ret = vhk_session_start_placed(s, idx, finish_start);
	if (ret != VHK_SESSION_LATER)
		vhk_session_stop_waiting(s, idx);
	return ret;
}

/* The one to start with again, should the ring lose its translations or be handed over. */
static int keep_kick(struct vhk_session *s, unsigned int idx, int kick_fd)
{
	int fd, ret;

	if (!vhk_session_has_iotlb(s) && !vhk_session_keeps_fds(s))
		return 0;
	ret = vhk_fd_duplicate(&fd, kick_fd);
	if (ret)
		return ret;
	vhk_fd_close(s->ring[idx].kick);
	s->ring[idx].kick = fd;
	return 0;
}

/* Owns @kick_fd. */
static int start_kept(struct vhk_session *s, unsigned int idx, int kick_fd)
{
	int ret = keep_kick(s, idx, kick_fd);

	if (ret) {
		vhk_fd_close(kick_fd);
		return ret;
	}
	ret = start_queue(s, idx, kick_fd, finish_start);
	if (ret != VHK_SESSION_LATER)
		vhk_session_stop_waiting(s, idx);
	return ret;
}

int vhk_session_start_ring(struct vhk_session *s, unsigned int idx, int kick_fd)
{
	const struct vhk_backend_ring *r = &s->ring[idx];

	s->cursor = idx;
	if (!r->size || !r->has_addr) {
		vhk_fd_close(kick_fd);
		return vhk_session_refuse(s, -EINVAL, "its size or its addresses are not known");
	}
	if (vhk_session_has_iotlb(s))
		return start_translated(s, idx, kick_fd);
	vhk_session_place_ring(s, idx);
	return start_kept(s, idx, kick_fd);
}

/* Starts the ring (vhost-user, "Ring states"), with an fd or, polled, without. */
int vhk_backend_set_vring_kick(struct vhk_session *s)
{
	unsigned int idx = requested_fd_index(s);
	struct vhk_notify kick;
	int ret = take_notify(s, &kick);

	if (ret)
		return ret;
	vhk_session_drop_inband_kick(s, idx);
	if (!vhk_session_runs(s, idx))
		return vhk_session_start_ring(s, idx, kick.fd);
	ret = keep_kick(s, idx, kick.fd);
	if (ret) {
		vhk_notify_fini(&kick);
		return ret;
	}
	ret = vhk_device_set_kick(s->backend->dev, idx, kick.fd, vhk_session_changed, s);
	return vhk_session_wait(s, ret, NULL);
}

typedef int set_fd_fn(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn, void *arg);

/* Keeps the fd of the request in @kept; a running queue gets a duplicate. */
static int keep_notify(struct vhk_session *s, struct vhk_notify *kept, set_fd_fn *set)
{
	unsigned int idx = requested_fd_index(s);
	struct vhk_notify n;
	int fd, ret = take_notify(s, &n);

	if (ret)
		return ret;
	vhk_notify_fini(kept);
	*kept = n;
	if (!vhk_session_runs(s, idx))
		return 0;
	ret = vhk_fd_duplicate(&fd, n.fd);
	if (!ret)
		ret = set(s->backend->dev, idx, fd, vhk_session_changed, s);
	return vhk_session_wait(s, ret, NULL);
}

int vhk_backend_set_vring_call(struct vhk_session *s)
{
	struct vhk_backend_ring *r = &s->ring[requested_fd_index(s)];
	int ret = keep_notify(s, &r->call, vhk_device_set_call);

	if (ret >= 0)
		r->call_said = true;
	return ret;
}

int vhk_backend_set_vring_err(struct vhk_session *s)
{
	return keep_notify(s, &s->ring[requested_fd_index(s)].err, vhk_device_set_err);
}

int vhk_backend_set_vring_enable(struct vhk_session *s)
{
	struct vhk_user_vring_state v = requested_state(s);
	int ret;

	s->ring[v.index].enabled = v.num;
	if (!vhk_session_runs(s, v.index))
		return 0;
	ret = vhk_device_set_enabled(s->backend->dev, v.index, v.num, vhk_session_changed, s);
	return vhk_session_wait(s, ret, NULL);
}
