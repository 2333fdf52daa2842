// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The memory of a session: whole tables, and regions one by one. Running queues get each new table
 * by a change, and a request that takes regions away is answered when nothing points into them any
 * more.
 */
#include "backend_impl.h"
#include "fd.h"
#include "map_xen.h"

/* With GPA_ADDRESSES a region has one address only, by which rings are found, too. */
static struct vhk_region region_of(const struct vhk_session *s, const struct vhk_user_region *r)
{
	return (struct vhk_region){
		.gpa = { r->gpa },
		.uva = { s->st.protocol & VHK_USER_PF(GPA_ADDRESSES) ? r->gpa : r->uva },
		.size = r->size,
		.offset = r->offset,
	};
}

/* For vhk_device_set_table(): a ring that lies nowhere any more is stopped by the device. */
static int find_ring(void *arg, unsigned int idx, struct vhk_ring_place *at)
{
	struct vhk_session *s = arg;
	struct vhk_table *t = vhk_mem_table(s->mem);
	int ret = vhk_session_find_ring(s, t, idx, at);

	vhk_table_put(t);
	if (ret) {
		s->ring[idx].lost = true;
		vhk_session_log(s, VHK_LOG_WARN, "queue %u stopped by a new memory table: %s", idx,
				s->why ? s->why : strerrordesc_np(-ret));
		s->why = NULL;
	}
	return ret;
}

/* Hands the current table to the queues that run. */
int vhk_session_spread_table(struct vhk_session *s, bool drain)
{
	struct vhk_table *t = vhk_mem_table(s->mem);
	int ret =
		vhk_device_set_table(s->backend->dev, t, drain, find_ring, vhk_session_changed, s);

	vhk_table_put(t);
	return vhk_session_wait(s, ret, NULL);
}

static const char *why_not_added(int err)
{
	switch (err) {
	case -EEXIST:
		return "regions overlap";
	case -EMSGSIZE:
		return "no slot is free";
	case -EINVAL:
		return "a region is empty, wraps, or is longer than its file";
	case -EOPNOTSUPP:
		return "a region that may not be mapped as a whole";
	default:
		return "a region cannot be mapped";
	}
}

/* Region @i of the request, a table or one that comes alone. */
static int add_region(struct vhk_session *s, struct vhk_mem *m, unsigned int i)
{
	int ret, fd = vhk_msg_take_fd(&s->req, i);
	struct vhk_user_region wire;
	struct vhk_user_xen xen;
	struct vhk_region r;
	struct vhk_map map;

	vhk_proto_region(&s->st, &s->req, i, &wire, &xen);
	r = region_of(s, &wire);
	if (!xen.flags)
		return (vhk_session_keeps_fds(s) ? vhk_mem_add_keep_take_fd
						 : vhk_mem_add_take_fd)(m, &r, fd);
	ret = vhk_map_xen(&map, fd, r.gpa.v, r.size, xen.flags, xen.domid, s->backend->xen);
	vhk_fd_close(fd);
	return ret ? ret : vhk_mem_add_map(m, &r, &map);
}

int vhk_backend_set_mem_table(struct vhk_session *s)
{
	struct vhk_mem *m;
	unsigned int i, n = s->req.n_fds;
	int ret;

	ret = vhk_mem_new(&m);
	if (ret)
		return ret;
	for (i = 0; i < n && !ret; i++)
		ret = add_region(s, m, i);
	if (ret < 0)
		s->why = why_not_added(ret);
	else
		ret = vhk_session_check_log(s, m);
	if (!ret && s->postcopy.listening)
		return vhk_session_offer_bases(s, m);
	if (!ret)
		ret = vhk_mem_assign(s->mem, m);
	vhk_mem_free(m);
	return ret ? ret : vhk_session_spread_table(s, true);
}

int vhk_backend_get_max_mem_slots(struct vhk_session *s)
{
	uint64_t n = VHK_MEM_SLOTS_MAX;

	vhk_session_reply(s, &n, sizeof(n));
	return 0;
}

static struct vhk_region requested_region(const struct vhk_session *s)
{
	struct vhk_user_mem_reg reg;

	memcpy(&reg, s->req.bytes, sizeof(reg));
	return region_of(s, &reg.region);
}

/* @ret: of adding it to the table. */
static int added(struct vhk_session *s, const struct vhk_region *r, int ret)
{
	if (ret < 0)
		return vhk_session_refuse(s, ret, why_not_added(ret));
	ret = vhk_session_check_log(s, s->mem);
	if (ret) {
		vhk_mem_del(s->mem, r);
		return ret;
	}
	return vhk_session_spread_table(s, false);
}

static void add_mapped(struct vhk_work *w)
{
	struct vhk_session *s = vhk_container_of(w, struct vhk_session, adding.work);
	struct vhk_region r = requested_region(s);
	int ret;

	vhk_map_hide(&s->adding.map);
	ret = added(s, &r, vhk_mem_add_map(s->mem, &r, &s->adding.map));
	if (ret != VHK_SESSION_LATER)
		vhk_session_changed(s, ret, 0);
}

static void map_added(struct vhk_work *w)
{
	struct vhk_session *s = vhk_container_of(w, struct vhk_session, adding.work);
	struct vhk_region r = requested_region(s);
	int fd = vhk_msg_take_fd(&s->req, 0);
	int ret = vhk_map_range_shown(&s->adding.map, fd, r.offset, r.size);

	vhk_fd_close(fd);
	if (ret) {
		vhk_session_changed(s, vhk_session_refuse(s, ret, why_not_added(ret)), 0);
		return;
	}
	s->adding.work.fn = add_mapped;
	vhk_loop_post(s->backend->ctl, &s->adding.work);
}

/*
 * Queues that share the loop have their turn between any two steps: a front end that plugs memory
 * in sends hundreds of these while its machine goes on.
 */
static int add_in_steps(struct vhk_session *s)
{
	s->adding.work.fn = map_added;
	vhk_loop_post(s->backend->ctl, &s->adding.work);
	return vhk_session_wait(s, 0, NULL);
}

int vhk_backend_add_mem_reg(struct vhk_session *s)
{
	struct vhk_region r = requested_region(s);
	int ret;

	if (s->backend->take || vhk_session_keeps_fds(s) ||
	    (s->st.protocol & VHK_USER_PF(XEN_MMAP)))
		return added(s, &r, add_region(s, s->mem, 0));
	ret = vhk_mem_check(s->mem, &r);
	return ret ? vhk_session_refuse(s, ret, why_not_added(ret)) : add_in_steps(s);
}

/* An fd that came with it is closed with the message (vhost-user, "REM_MEM_REG"). */
int vhk_backend_rem_mem_reg(struct vhk_session *s)
{
	struct vhk_region r = requested_region(s);
	int ret = vhk_mem_del(s->mem, &r);

	if (ret < 0)
		return vhk_session_refuse(s, ret, "no such region");
	return vhk_session_spread_table(s, true);
}
