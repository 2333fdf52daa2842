// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The IOTLB of a session (vhost-user, "IOMMU support"): translations come and go with IOTLB_MSG. A
 * ring whose own parts lose their translation stops before the front end is answered, and starts
 * again when they have one. What queues miss is asked for in backend_miss.c.
 */
#include "backend_impl.h"

int vhk_session_reset_iotlb(struct vhk_session *s)
{
	const struct vhk_iotlb_opts o = { .sz = sizeof(o), .flags = VHK_IOTLB_F_EVICT };

	vhk_session_drop_iotlb(s);
	return s->st.features & VHK_F_ACCESS_PLATFORM ? vhk_iotlb_new(&s->iotlb.cache, &o) : 0;
}

void vhk_session_drop_iotlb(struct vhk_session *s)
{
	vhk_iotlb_free(s->iotlb.cache);
	s->iotlb.cache = NULL;
	s->iotlb.forgot = false;
}

static int start_next(struct vhk_session *s, int ret, uint32_t base);

/* What a ring that cannot start says of it is not the answer to the request under way. */
static void start_failed(struct vhk_session *s, unsigned int idx, int err)
{
	vhk_session_log(s, VHK_LOG_WARN, "queue %u does not start: %s", idx,
			s->why ? s->why : strerrordesc_np(-err));
	s->why = NULL;
	vhk_session_stop_waiting(s, idx);
	vhk_notify_send(&s->ring[idx].err);
}

/* Starts what waits, from the cursor on, one by one. */
static int start_waiting(struct vhk_session *s)
{
	unsigned int idx;
	int ret;

	while (!s->doomed && s->cursor < s->st.n_queues) {
		idx = s->cursor++;
		if (!s->ring[idx].waits)
			continue;
		ret = vhk_session_place_ring(s, idx);
		if (!ret)
			ret = vhk_session_start_placed(s, idx, start_next);
		if (ret == VHK_SESSION_LATER)
			return ret;
		if (ret != -EAGAIN)
			start_failed(s, idx, ret);
	}
	return 0;
}

static int start_next(struct vhk_session *s, int ret, uint32_t base)
{
	(void)base;
	if (ret)
		start_failed(s, s->cursor - 1, vhk_session_refuse_start(s, ret));
	else
		s->ring[s->cursor - 1].waits = false;
	return start_waiting(s);
}

static int finish_spread(struct vhk_session *s, int ret, uint32_t base)
{
	(void)base;
	if (ret)
		return ret;
	s->cursor = 0;
	return start_waiting(s);
}

/* Hands the translations to the queues that run, and waits for the chains that use others. */
static int spread(struct vhk_session *s)
{
	struct vhk_backend_iotlb *i = &s->iotlb;
	struct vhk_iotlb_table *t = vhk_iotlb_table(i->cache);
	int ret = vhk_device_set_iotlb(s->backend->dev, t, i->gone, i->n_gone, vhk_session_changed,
				       s);

	vhk_iotlb_table_put(t);
	return vhk_session_wait(s, ret, finish_spread);
}

/* A ring that runs and whose own parts are taken away. */
static bool loses_parts(const struct vhk_session *s, unsigned int idx)
{
	return vhk_session_runs(s, idx) &&
	       vhk_session_ring_touches(s, idx, s->iotlb.first, s->iotlb.last);
}

static int stopped_one(struct vhk_session *s, int ret, uint32_t base);

/* Stops the rings that lose their parts, from the cursor on, one by one. All that is in flight is
 * answered where it was asked. */
static int stop_losers(struct vhk_session *s)
{
	int ret;

	while (s->cursor < s->st.n_queues && !loses_parts(s, s->cursor))
		s->cursor++;
	if (s->cursor == s->st.n_queues)
		return spread(s);
	ret = vhk_device_rest_queue(s->backend->dev, s->cursor, vhk_session_changed, s);
	return vhk_session_wait(s, ret, stopped_one);
}

static int stopped_one(struct vhk_session *s, int ret, uint32_t base)
{
	if (ret)
		return ret;
	vhk_session_note_base(s, s->cursor, base);
	s->ring[s->cursor].waits = true;
	/* what its chains missed is asked for when they are taken again */
	s->ring[s->cursor].asked = s->ring[s->cursor].wants = false;
	return stop_losers(s);
}

static void all_gone(struct vhk_backend_iotlb *i)
{
	i->gone[0] = (struct iovec){ NULL, SIZE_MAX };
	i->n_gone = 1;
}

/* A piece that used to stand for @uva. */
static void piece_gone(struct vhk_session *s, uint64_t uva, uint64_t len)
{
	struct vhk_backend_iotlb *i = &s->iotlb;
	int n = vhk_mem_find_uva(s->mem, (struct vhk_uva){ uva }, len, i->gone + i->n_gone,
				 (int)(VHK_GONE_MAX - i->n_gone));

	/* What lies in no region, not even in part, is pointed into by nobody; not worth telling
	 * apart. */
	if (n < 0)
		all_gone(i);
	else
		i->n_gone += (unsigned int)n;
}

static bool stays(const struct vhk_iotlb_entry *old, const struct vhk_iotlb_entry *e)
{
	return e && old->uva.v - old->iova.v == e->uva.v - e->iova.v && !(old->perm & ~e->perm);
}

/* Finds out what the request takes away; @e: what comes in its place, or NULL. */
static void note_gone(struct vhk_session *s, const struct vhk_iotlb_entry *e)
{
	struct vhk_backend_iotlb *i = &s->iotlb;
	struct vhk_iotlb_entry old;
	uint64_t from = i->first, old_last, last;

	i->n_gone = 0;
	for (;; from = last + 1) {
		if (!vhk_iotlb_next(i->cache, (struct vhk_iova){ from }, &old) ||
		    old.iova.v > i->last)
			return;
		old_last = old.iova.v + (old.size - 1);
		from = vhk_max(old.iova.v, i->first);
		last = vhk_min(old_last, i->last);
		if (!stays(&old, e))
			piece_gone(s, old.uva.v + (from - old.iova.v), last - from + 1);
		if (last == i->last || (i->n_gone && i->gone[0].iov_len == SIZE_MAX))
			return;
	}
}

static int change(struct vhk_session *s)
{
	if (s->iotlb.forgot && s->iotlb.n_gone)
		all_gone(&s->iotlb);
	s->cursor = 0;
	return s->iotlb.n_gone ? stop_losers(s) : spread(s);
}

static bool in_memory(const struct vhk_session *s, uint64_t uva, uint64_t size)
{
	struct iovec seg[VHK_MEM_SLOTS_MAX];

	return vhk_mem_find_uva(s->mem, (struct vhk_uva){ uva }, size, seg, VHK_MEM_SLOTS_MAX) > 0;
}

static int update(struct vhk_session *s, const struct vhk_user_iotlb *m)
{
	const struct vhk_iotlb_entry e = { { m->iova }, m->size, { m->uaddr }, m->perm };
	struct vhk_backend_iotlb *i = &s->iotlb;
	int ret;

	if (!m->size || !m->perm)
		return vhk_session_refuse(s, -EINVAL, "an empty range, or no permission");
	if (!in_memory(s, m->uaddr, m->size))
		return vhk_session_refuse(s, -EFAULT, "it lies outside of the memory table");
	i->first = m->iova;
	i->last = m->iova + (m->size - 1);
	note_gone(s, &e);
	/* an entry that is cut in two makes three */
	if (vhk_iotlb_count(i->cache) + 2 > VHK_IOTLB_LIMIT)
		i->forgot = true;
	ret = vhk_iotlb_add(i->cache, &e);
	if (ret)
		return ret;
	vhk_session_ask_misses(s);
	return change(s);
}

/* A size of 0 from address 0 on stands for everything: 2^64 does not fit. */
static int invalidate(struct vhk_session *s, const struct vhk_user_iotlb *m)
{
	struct vhk_backend_iotlb *i = &s->iotlb;

	if (!m->size && m->iova)
		return vhk_session_refuse(s, -EINVAL, "an empty range");
	i->first = m->iova;
	i->last = m->iova + (m->size - 1);
	note_gone(s, NULL);
	/* what is cut in two makes one more */
	if (vhk_iotlb_count(i->cache) + 1 > VHK_IOTLB_LIMIT)
		i->forgot = true;
	if (!i->n_gone && !i->forgot)
		return 0;
	if (i->forgot)
		all_gone(i);
	if (!m->size)
		vhk_iotlb_clear(i->cache);
	else if (vhk_iotlb_del(i->cache, (struct vhk_iova){ m->iova }, m->size)) {
		vhk_iotlb_clear(i->cache);
		i->first = 0;
		i->last = UINT64_MAX;
		all_gone(i);
	}
	return change(s);
}

int vhk_backend_iotlb_msg(struct vhk_session *s)
{
	struct vhk_user_iotlb m;

	memcpy(&m, s->req.bytes, sizeof(m));
	if (!vhk_session_has_iotlb(s))
		return vhk_session_refuse(s, -EOPNOTSUPP, "there is no channel for misses");
	switch (m.type) {
	case VHK_IOTLB_UPDATE:
		return update(s, &m);
	case VHK_IOTLB_INVALIDATE:
		return invalidate(s, &m);
	default:
		return vhk_session_refuse(s, -EOPNOTSUPP, "only a back end misses or fails");
	}
}
