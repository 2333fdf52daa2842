// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What is said of a session that is handed over (backend_over.h), message by message.
 */
#include "backend_give.h"

static const struct vhk_session *session_of(const struct vhk_give *g)
{
	return &g->backend->s;
}

static int put(struct vhk_msg *m, uint32_t request, const void *payload, size_t size)
{
	vhk_msg_init(m, request, 0);
	if (size)
		memcpy(m->bytes, payload, size);
	m->hdr.size = (uint32_t)size;
	return 1;
}

static void put_fd(struct vhk_msg *m, int fd)
{
	m->fd[m->n_fds++] = fd;
}

/* Where front ends come to, or are met: known by the name that a listening socket has where it was
 * made elsewhere. */
static struct vhk_sock_file door_of(const struct vhk_backend *b)
{
	struct vhk_sock_file f = b->bound;

	if (b->kind == VHK_BACKEND_CONNECT)
		vhk_sock_note_file(&f, b->path);
	else if (b->listen_fd >= 0 && !f.ino)
		vhk_sock_note_name(&f, b->listen_fd);
	return f;
}

static int tell_hello(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_backend *b = g->backend;
	const struct vhk_device_info *info = vhk_device_info(b->dev);
	const struct vhk_sock_file door = door_of(b);
	const struct vhk_over_hello h = {
		.version = VHK_OVER_VERSION,
		.kind = b->kind,
		.device_id = info->device_id,
		.n_queues = vhk_min((uint32_t)info->n_queues, (uint32_t)VHK_BACKEND_QUEUES_MAX),
		.queue_size = info->queue_size,
		.config_size = info->config_size,
		.session = g->session,
		.dev = door.dev,
		.ino = door.ino,
	};

	(void)why;
	return g->at ? 0 : put(m, VHK_OVER_HELLO, &h, sizeof(h));
}

/* Where nobody is there, somebody may come back who was. */
static int tell_offer(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	struct vhk_proto_state st;
	struct vhk_over_offer o;

	(void)why;
	vhk_backend_offer(g->backend, &st);
	o = (struct vhk_over_offer){ st.features_offered, st.protocol_offered };
	return g->at ? 0 : put(m, VHK_OVER_OFFER, &o, sizeof(o));
}

static int tell_protocol(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);

	(void)why;
	if (g->at || !g->session || !s->st.protocol_set)
		return 0;
	return put(m, VHK_USER_SET_PROTOCOL_FEATURES, &s->st.protocol, sizeof(s->st.protocol));
}

static int tell_features(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);

	(void)why;
	if (g->at || !g->session || !s->st.features_set)
		return 0;
	return put(m, VHK_USER_SET_FEATURES, &s->st.features, sizeof(s->st.features));
}

static int tell_status(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);
	const struct vhk_over_session v = {
		.flags = s->st.owned ? VHK_OVER_OWNED : 0,
		.status = s->status,
	};

	(void)why;
	return g->at || !g->session ? 0 : put(m, VHK_OVER_SESSION, &v, sizeof(v));
}

/* Region @i, as the front end gave it. */
static int put_region(const struct vhk_session *s, unsigned int i, struct vhk_msg *m, size_t at)
{
	const size_t size = vhk_proto_region_size(&s->st);
	struct vhk_user_region wire;
	struct vhk_region r;
	int fd;

	if (vhk_mem_get(s->mem, i, &r, &fd) || fd < 0)
		return -EOPNOTSUPP;
	wire = (struct vhk_user_region){ r.gpa.v, r.size, r.uva.v, r.offset };
	memcpy(m->bytes + at, &wire, sizeof(wire));
	m->hdr.size = (uint32_t)(at + size);
	put_fd(m, fd);
	return 1;
}

static int tell_table(const struct vhk_session *s, struct vhk_msg *m, unsigned int n)
{
	const size_t size = vhk_proto_region_size(&s->st);
	const uint64_t count = n;
	unsigned int i;
	int ret = 1;

	put(m, VHK_USER_SET_MEM_TABLE, &count, sizeof(count));
	for (i = 0; i < n && ret > 0; i++)
		ret = put_region(s, i, m, sizeof(count) + i * size);
	return ret;
}

static int tell_memory(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);
	unsigned int n = g->session ? vhk_mem_count(s->mem) : 0;

	*why = "its memory has no files to be handed over";
	if (g->at >= n)
		return 0;
	if (s->st.protocol & VHK_USER_PF(CONFIGURE_MEM_SLOTS)) {
		vhk_msg_init(m, VHK_USER_ADD_MEM_REG, 0);
		return put_region(s, g->at, m, offsetof(struct vhk_user_mem_reg, region));
	}
	return g->at || n > VHK_USER_TABLE_MAX ? 0 : tell_table(s, m, n);
}

static int tell_inflight(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);
	struct vhk_user_inflight in = { 0 };
	struct vhk_region r;
	int fd;

	if (g->at || !g->session || !s->inflight.mem)
		return 0;
	*why = "its inflight region has no file";
	if (vhk_mem_get(s->inflight.mem, 0, &r, &fd) || fd < 0)
		return -EOPNOTSUPP;
	in.mmap_size = r.size;
	in.mmap_offset = r.offset;
	in.num_queues = s->inflight.n_queues;
	in.queue_size = s->inflight.queue_size;
	put(m, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in));
	put_fd(m, fd);
	return 1;
}

static int tell_log_call(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);

	(void)why;
	if (g->at || !g->session || s->log_call.fd < 0)
		return 0;
	put(m, VHK_USER_SET_LOG_FD, NULL, 0);
	put_fd(m, s->log_call.fd);
	return 1;
}

static int tell_log(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	*why = "its log has no file";
	return g->at || !g->session ? 0 : vhk_session_log_message(session_of(g), m);
}

static int tell_translation(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_session *s = session_of(g);
	struct vhk_user_iotlb t = { .type = VHK_IOTLB_UPDATE };
	struct vhk_iotlb_entry e;

	(void)why;
	if (!g->session || !vhk_session_has_iotlb(s) || (g->at && !g->iova) ||
	    !vhk_iotlb_next(s->iotlb.cache, (struct vhk_iova){ g->iova }, &e))
		return 0;
	t.iova = e.iova.v;
	t.size = e.size;
	t.uaddr = e.uva.v;
	t.perm = e.perm;
	g->iova = e.iova.v + e.size;
	return put(m, VHK_USER_IOTLB_MSG, &t, sizeof(t));
}

typedef int tell_ring_fn(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m);

static int each_ring(struct vhk_give *g, struct vhk_msg *m, tell_ring_fn *fn)
{
	const struct vhk_session *s = session_of(g);
	int ret = 0;

	for (; g->session && g->at < s->st.n_queues; g->at++) {
		ret = fn(s, g->at, m);
		if (ret)
			break;
	}
	return ret;
}

static int put_state(struct vhk_msg *m, uint32_t request, unsigned int idx, uint32_t num)
{
	const struct vhk_user_vring_state v = { idx, num };

	return put(m, request, &v, sizeof(v));
}

static int ring_num(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m)
{
	const struct vhk_backend_ring *r = &s->ring[idx];

	return r->size ? put_state(m, VHK_USER_SET_VRING_NUM, idx, r->size) : 0;
}

/* Where it is logged was said while there was logging. */
static int ring_addr(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m)
{
	struct vhk_user_vring_addr a = s->ring[idx].addr;

	if (!s->ring[idx].has_addr)
		return 0;
	a.index = idx;
	if (!(s->st.features & VHK_F_LOG_ALL))
		a.flags = 0;
	return put(m, VHK_USER_SET_VRING_ADDR, &a, sizeof(a));
}

static int put_vring_fd(struct vhk_msg *m, uint32_t request, unsigned int idx, int fd)
{
	const uint64_t v = idx | (fd < 0 ? VHK_USER_VRING_FD_NONE : 0);

	put(m, request, &v, sizeof(v));
	if (fd >= 0)
		put_fd(m, fd);
	return 1;
}

static int ring_call(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m)
{
	const struct vhk_backend_ring *r = &s->ring[idx];

	return r->call_said ? put_vring_fd(m, VHK_USER_SET_VRING_CALL, idx, r->call.fd) : 0;
}

static int ring_err(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m)
{
	const struct vhk_backend_ring *r = &s->ring[idx];

	return r->err.fd >= 0 ? put_vring_fd(m, VHK_USER_SET_VRING_ERR, idx, r->err.fd) : 0;
}

static int ring_base(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m)
{
	const uint32_t base = s->ring[idx].base;

	/* There is none before the features say of which layout. */
	if (!s->st.features_set)
		return 0;
	return put_state(m, VHK_USER_SET_VRING_BASE, idx,
			 vhk_session_packed(s) ? base : base & UINT16_MAX);
}

static int ring_start(const struct vhk_session *s, unsigned int idx, struct vhk_msg *m)
{
	const struct vhk_backend_ring *r = &s->ring[idx];
	const bool runs = r->given || r->waits;
	const struct vhk_over_ring v = {
		.index = idx,
		.flags = (runs ? VHK_OVER_RUNS : 0) | (r->enabled ? VHK_OVER_ENABLED : 0) |
			 (r->left ? VHK_OVER_LEFT : 0) | (r->drained ? VHK_OVER_DRAINED : 0) |
			 (runs && r->kick >= 0 && r->inband.kick_fd >= 0 ? VHK_OVER_INBAND : 0),
	};

	put(m, VHK_OVER_RING, &v, sizeof(v));
	m->hdr.flags |= VHK_MSG_NEED_REPLY;
	if (runs && r->kick >= 0)
		put_fd(m, r->kick);
	return 1;
}

static int tell_nums(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return each_ring(g, m, ring_num);
}

static int tell_addrs(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return each_ring(g, m, ring_addr);
}

static int tell_calls(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return each_ring(g, m, ring_call);
}

static int tell_errs(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return each_ring(g, m, ring_err);
}

static int tell_bases(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return each_ring(g, m, ring_base);
}

static int tell_starts(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return each_ring(g, m, ring_start);
}

static int tell_ready(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	(void)why;
	return g->at ? 0 : put(m, VHK_OVER_READY, NULL, 0);
}

static int tell_device(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	struct vhk_device *d = g->backend->dev;
	struct vhk_parcel p = { .at_rest = g->state == GIVE_POSITIONS };
	unsigned int i;
	int ret;

	if (g->at || !vhk_device_ops(d)->hand_over)
		return 0;
	*why = "the device cannot be handed over";
	ret = vhk_device_ops(d)->hand_over(vhk_device_priv(d), &p);
	if (ret < 0)
		return ret;
	if (p.len > VHK_PARCEL_BYTES || p.n_fds > VHK_PARCEL_FDS)
		return -EINVAL;
	put(m, VHK_OVER_DEVICE, p.bytes, p.len);
	for (i = 0; i < p.n_fds; i++)
		put_fd(m, p.fd[i]);
	return 1;
}

/* An empty piece is the last one. */
static int tell_state(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	struct vhk_device *d = g->backend->dev;
	ssize_t n;

	if (g->told_state || !vhk_device_has_state(d))
		return 0;
	*why = "the device's state cannot be saved";
	put(m, VHK_OVER_STATE, NULL, 0);
	n = vhk_device_save(d, g->n_state, m->bytes, VHK_MSG_PAYLOAD_MAX);
	if (n < 0)
		return (int)n;
	m->hdr.size = (uint32_t)n;
	g->n_state += (uint64_t)n;
	g->told_state = !n;
	return 1;
}

static int tell_config(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const uint32_t size = vhk_device_info(g->backend->dev)->config_size;
	int ret;

	(void)why;
	if (g->at || !size)
		return 0;
	put(m, VHK_OVER_CONFIG, NULL, 0);
	ret = vhk_device_get_config(g->backend->dev, 0, m->bytes, size);
	m->hdr.size = size;
	return ret < 0 ? ret : 1;
}

static int tell_commit(struct vhk_give *g, struct vhk_msg *m, const char **why)
{
	const struct vhk_backend *b = g->backend;
	struct vhk_over_commit c = { 0 };

	(void)why;
	if (g->at)
		return 0;
	if (g->session && b->s.channel.fd >= 0)
		c.n_asked = vhk_session_asked(&b->s, c.asked, VHK_OVER_ASKED_MAX);
	if (g->session)
		c.flags |= VHK_OVER_SOCKET;
	if (g->session && b->s.channel.fd >= 0)
		c.flags |= VHK_OVER_CHANNEL;
	if (b->listen_fd >= 0)
		c.flags |= VHK_OVER_LISTEN;
	put(m, VHK_OVER_COMMIT, &c, VHK_OVER_COMMIT_MIN + c.n_asked * sizeof(c.asked[0]));
	if (c.flags & VHK_OVER_SOCKET)
		put_fd(m, b->s.sock.fd);
	if (c.flags & VHK_OVER_CHANNEL)
		put_fd(m, b->s.channel.fd);
	if (c.flags & VHK_OVER_LISTEN)
		put_fd(m, b->listen_fd);
	return 1;
}

vhk_tell_fn *const vhk_tell_session[] = {
	tell_hello,    tell_device,   tell_offer, tell_protocol,    tell_features, tell_status,
	tell_memory,   tell_inflight, tell_log_call, tell_log,      tell_translation, tell_nums,
	tell_addrs,    tell_calls,    tell_errs,     tell_ready,    NULL,
};

vhk_tell_fn *const vhk_tell_positions[] = {
	tell_device, tell_state, tell_config, tell_bases, tell_starts, tell_ready, NULL,
};

vhk_tell_fn *const vhk_tell_commit[] = { tell_commit, NULL };
