// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Taking a session over from another process (backend_over.h). Until COMMIT this is a session like
 * any other, with the old process in place of the front end, but for rings, which start and take
 * nothing; then the connection is exchanged and they begin. Whatever fails before that ends it
 * here, and the old process goes on.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "backend_over.h"
#include "fd.h"

/* For all of it: what the old process waits for has a deadline of its own, which is shorter. */
#define DEADLINE_NS 30000000000u

struct vhk_take {
	struct vhk_backend *backend;
	vhk_backend_over_fn *fn;
	void *arg;
	bool greeted, offered; /* those came */
	unsigned int n_device; /* DEVICE, since the last READY */
	bool described;	       /* the first READY came */
	struct vhk_over_hello hello;
	int failed; /* the first refusal; what follows does not mend it */
	char why[VHK_PARCEL_WHY];
	bool committed;
	bool config_differs;
	uint64_t n_state; /* bytes of the device's own */
	int front_end, listen_fd;
	int pid;
	int timer; /* 0: none */
};

static struct vhk_take *take_of(const struct vhk_session *s)
{
	return s->backend->take;
}

void vhk_take_note(struct vhk_session *s, int err, const struct vhk_proto *row, const char *why)
{
	struct vhk_take *t = take_of(s);
	const bool own = !row || vhk_over_row(s->req.hdr.request) == row;

	if (t->failed)
		return;
	t->failed = err;
	if (!why)
		why = strerrordesc_np(-err);
	vhk_session_log(s, s->backend->closing ? VHK_LOG_INFO : VHK_LOG_ERROR,
			"not taken over from process %d: %s%s%s", t->pid, own ? "" : row->name,
			own ? "" : " refused: ", why);
}

void vhk_take_free(struct vhk_take *t)
{
	if (!t)
		return;
	if (t->timer > 0)
		vhk_loop_del_timer(t->backend->ctl, t->timer);
	/* from COMMIT to its answer the loop has it already */
	if (t->committed && t->front_end >= 0)
		vhk_loop_del_fd(t->backend->ctl, t->front_end);
	vhk_fd_close(t->front_end);
	vhk_fd_close(t->listen_fd);
	free(t);
}

/* Refuses a message of the old process for what it says. */
__attribute__((format(printf, 3, 4))) static int take_refuse(struct vhk_session *s, int err,
							      const char *fmt, ...)
{
	struct vhk_take *t = take_of(s);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	return vhk_session_refuse(s, err, t->why);
}

/* Whether front ends go on coming to, or are met at, the path that was said here. */
static bool same_door(const struct vhk_backend *b, const struct vhk_over_hello *h)
{
	const struct vhk_sock_file door = { (dev_t)h->dev, (ino_t)h->ino };

	if (!b->path || (h->kind == VHK_BACKEND_CONNECT && !h->ino))
		return true;
	return vhk_sock_is_file(&door, b->path);
}

static int check_hello(struct vhk_session *s, const struct vhk_over_hello *h)
{
	const struct vhk_device_info *info = vhk_device_info(s->backend->dev);

	if (h->version != VHK_OVER_VERSION)
		return take_refuse(s, -EOPNOTSUPP,
				   "it speaks version %u of the hand-over, this one %u", h->version,
				   VHK_OVER_VERSION);
	if (h->kind > VHK_BACKEND_CONNECTED || h->session > 1 || h->padding)
		return vhk_session_refuse(s, -EINVAL, "what it says makes no sense");
	if (h->device_id != info->device_id)
		return take_refuse(s, -EINVAL, "its device is of type %u, not %u", h->device_id,
				   info->device_id);
	if (h->n_queues > s->st.n_queues)
		return take_refuse(s, -EINVAL, "it has %u queues, more than the %u here",
				   h->n_queues, s->st.n_queues);
	if (h->queue_size > info->queue_size)
		return take_refuse(s, -EINVAL, "its queues have a size of up to %u, here of %u",
				   h->queue_size, info->queue_size);
	if (h->config_size > info->config_size)
		return take_refuse(s, -EINVAL,
				   "its configuration space has %u bytes, more than the %u here",
				   h->config_size, info->config_size);
	if (!same_door(s->backend, h))
		return take_refuse(s, -EINVAL, "its socket for front ends is not %s",
				   s->backend->path);
	return 0;
}

/* What the front end was told when it came has to stay true. */
static int take_hello(struct vhk_session *s)
{
	struct vhk_take *t = take_of(s);
	struct vhk_over_hello h;
	int ret;

	if (t->greeted)
		return vhk_session_refuse(s, -EBUSY, "it greets twice");
	memcpy(&h, s->req.bytes, sizeof(h));
	ret = check_hello(s, &h);
	if (ret)
		return ret;
	t->greeted = true;
	t->hello = h;
	return 0;
}

static int take_offer(struct vhk_session *s)
{
	struct vhk_over_offer o;

	memcpy(&o, s->req.bytes, sizeof(o));
	if (o.features & ~s->st.features_offered)
		return take_refuse(s, -EOPNOTSUPP,
				   "it offers features 0x%" PRIx64 ", which are not here",
				   o.features & ~s->st.features_offered);
	if (o.protocol & ~s->st.protocol_offered)
		return take_refuse(s, -EOPNOTSUPP,
				   "it offers protocol features 0x%" PRIx64 ", which are not here",
				   o.protocol & ~s->st.protocol_offered);
	take_of(s)->offered = true;
	return 0;
}

static int take_session(struct vhk_session *s)
{
	struct vhk_over_session v;

	memcpy(&v, s->req.bytes, sizeof(v));
	if ((v.flags & ~VHK_OVER_OWNED) || v.status > UINT8_MAX)
		return vhk_session_refuse(s, -EINVAL, "unknown bits");
	s->st.owned = v.flags & VHK_OVER_OWNED;
	s->status = (uint8_t)v.status;
	return 0;
}

/* What the other device is has been looked at, if this one looks at it. */
static bool device_came(const struct vhk_session *s)
{
	return take_of(s)->n_device || !vhk_device_ops(s->backend->dev)->take_over;
}

static int take_ready(struct vhk_session *s)
{
	struct vhk_take *t = take_of(s);

	if (t->failed)
		return t->failed;
	if (!t->greeted || !t->offered || !device_came(s))
		return vhk_session_refuse(s, -EINVAL, "it does not say what it has");
	t->described = true;
	t->n_device = 0;
	return 0;
}

static int take_device(struct vhk_session *s)
{
	const struct vhk_device_ops *ops = vhk_device_ops(s->backend->dev);
	struct vhk_parcel p = { .len = s->req.hdr.size, .n_fds = s->req.n_fds };
	struct vhk_take *t = take_of(s);
	unsigned int i;
	int ret;

	if (!t->greeted)
		return vhk_session_refuse(s, -EINVAL, "it does not say which device it has");
	if (!ops->take_over)
		return vhk_session_refuse(s, -EOPNOTSUPP, "this device takes nothing over");
	if (vhk_session_runs_any(s))
		return vhk_session_refuse(s, -EBUSY, "a ring is running");
	t->n_device++;
	p.at_rest = t->described;
	memcpy(p.bytes, s->req.bytes, p.len);
	for (i = 0; i < p.n_fds; i++)
		p.fd[i] = vhk_msg_take_fd(&s->req, i);
	ret = ops->take_over(vhk_device_priv(s->backend->dev), &p);
	for (i = 0; i < p.n_fds; i++)
		vhk_fd_close(p.fd[i]);
	p.why[sizeof(p.why) - 1] = 0;
	if (ret >= 0)
		return 0;
	return take_refuse(s, ret, "%s", p.why[0] ? p.why : "the device is not as it is here");
}

static int take_state(struct vhk_session *s)
{
	struct vhk_device *d = s->backend->dev;
	struct vhk_take *t = take_of(s);
	int ret;

	if (!vhk_device_has_state(d))
		return vhk_session_refuse(s, -EOPNOTSUPP, "this device has no state");
	if (vhk_session_runs_any(s))
		return vhk_session_refuse(s, -EBUSY, "a ring is running");
	ret = vhk_device_load(d, t->n_state, s->req.bytes, s->req.hdr.size);
	t->n_state += s->req.hdr.size;
	return ret < 0 ? vhk_session_refuse(s, ret, "the device cannot take over its state") : 0;
}

/* The driver is told when it is not what it has read. */
static int take_config(struct vhk_session *s)
{
	unsigned char ours[VHK_USER_CONFIG_MAX];
	int ret = vhk_device_get_config(s->backend->dev, 0, ours, s->req.hdr.size);

	if (ret < 0)
		return ret;
	take_of(s)->config_differs = memcmp(ours, s->req.bytes, s->req.hdr.size);
	return 0;
}

static int check_ring(struct vhk_session *s, const struct vhk_over_ring *v, int kick)
{
	if (v->flags & ~VHK_OVER_RING_ALL)
		return vhk_session_refuse(s, -EINVAL, "unknown bits");
	if (vhk_session_runs(s, v->index) || s->ring[v->index].waits)
		return vhk_session_refuse(s, -EBUSY, "the ring is running");
	if (kick >= 0 && !(v->flags & VHK_OVER_RUNS))
		return vhk_session_refuse(s, -EINVAL, "an fd for a ring that does not run");
	if ((v->flags & VHK_OVER_INBAND) &&
	    (kick < 0 || !(s->st.protocol & VHK_USER_PF(INBAND_NOTIFICATIONS))))
		return vhk_session_refuse(s, -EINVAL, "a ring that cannot be kicked by messages");
	return 0;
}

static int keep_inband_kick(struct vhk_session *s, unsigned int idx, int kick)
{
	struct vhk_backend_inband *in = &s->ring[idx].inband;

	vhk_session_drop_inband_kick(s, idx);
	in->kick_fd = fcntl(kick, F_DUPFD_CLOEXEC, 0);
	return in->kick_fd < 0 ? -errno : 0;
}

/* It starts disabled: what can fail has failed before the old process lets go. */
static int take_ring(struct vhk_session *s)
{
	struct vhk_backend_ring *r;
	struct vhk_over_ring v;
	struct vhk_notify kick;
	int fd, ret = vhk_session_take_fd(s, &fd);

	if (ret)
		return ret;
	memcpy(&v, s->req.bytes, sizeof(v));
	ret = check_ring(s, &v, fd);
	if (ret) {
		vhk_fd_close(fd);
		return ret;
	}
	if (vhk_notify_init_take_fd(&kick, fd))
		return vhk_session_refuse(s, -EINVAL, "neither eventfd, pipe nor socket");
	r = &s->ring[v.index];
	r->enabled = false;
	r->taken_enabled = v.flags & VHK_OVER_ENABLED;
	if (v.flags & VHK_OVER_INBAND)
		ret = keep_inband_kick(s, v.index, kick.fd);
	if (ret || !(v.flags & VHK_OVER_RUNS)) {
		vhk_notify_fini(&kick);
		r->left = v.flags & VHK_OVER_LEFT;
		r->drained = v.flags & VHK_OVER_DRAINED;
		return ret;
	}
	return vhk_session_start_ring(s, v.index, kick.fd);
}

static int check_commit(struct vhk_session *s, const struct vhk_over_commit *c)
{
	const struct vhk_take *t = take_of(s);
	const bool channel = c->flags & VHK_OVER_CHANNEL;

	if (t->failed || !t->greeted)
		return vhk_session_refuse(s, -EINVAL, "it does not say what it has");
	if ((c->flags & ~VHK_OVER_COMMIT_ALL) || c->n_asked > VHK_OVER_ASKED_MAX ||
	    s->req.hdr.size != VHK_OVER_COMMIT_MIN + c->n_asked * sizeof(c->asked[0]) ||
	    s->req.n_fds != (unsigned int)__builtin_popcount(c->flags))
		return vhk_session_refuse(s, -EINVAL, "it makes no sense");
	if (!(c->flags & VHK_OVER_SOCKET) != !t->hello.session ||
	    !(c->flags & VHK_OVER_LISTEN) != (t->hello.kind != VHK_BACKEND_LISTEN))
		return vhk_session_refuse(s, -EINVAL, "other sockets than it said");
	if (channel && !(t->hello.session && (s->st.protocol & VHK_USER_PF(BACKEND_REQ))))
		return vhk_session_refuse(s, -EINVAL, "a channel that was not negotiated");
	return channel || !c->n_asked
		       ? 0
		       : vhk_session_refuse(s, -EINVAL, "questions without a channel");
}

static bool is_connected(const struct vhk_session *s, int fd)
{
	return !vhk_sock_check(fd) && !vhk_sock_is_listening(fd) && fd != s->sock.fd &&
	       !vhk_sock_is_peer(s->sock.fd, fd);
}

/* The sockets of the request into @t and the session. */
static int take_sockets(struct vhk_session *s, struct vhk_take *t, const struct vhk_over_commit *c)
{
	unsigned int i = 0;
	int fd, ret = 0;

	if (c->flags & VHK_OVER_SOCKET) {
		t->front_end = vhk_msg_take_fd(&s->req, i++);
		if (!is_connected(s, t->front_end))
			return -EINVAL;
	}
	if (c->flags & VHK_OVER_CHANNEL) {
		fd = vhk_msg_take_fd(&s->req, i++);
		if (!is_connected(s, fd))
			ret = -EINVAL;
		if (ret)
			vhk_fd_close(fd);
		else
			ret = vhk_session_adopt_channel_take_fd(s, fd, c->asked, c->n_asked);
	}
	if (!ret && (c->flags & VHK_OVER_LISTEN)) {
		t->listen_fd = vhk_msg_take_fd(&s->req, i);
		if (vhk_sock_check(t->listen_fd) || !vhk_sock_is_listening(t->listen_fd))
			ret = -EINVAL;
	}
	return ret;
}

/* Rings begin, from the cursor on. That a started ring is enabled cannot fail. */
static int enable_next(struct vhk_session *s, int ret, uint32_t base)
{
	(void)base;
	(void)ret;
	while (s->cursor < s->st.n_queues) {
		unsigned int idx = s->cursor++;
		struct vhk_backend_ring *r = &s->ring[idx];

		r->enabled = r->taken_enabled;
		if (!r->enabled || !vhk_session_runs(s, idx))
			continue;
		ret = vhk_device_set_enabled(s->backend->dev, idx, true, vhk_session_changed, s);
		ret = vhk_session_wait(s, ret, enable_next);
		if (ret == VHK_SESSION_LATER)
			return ret;
	}
	return 0;
}

static int take_commit(struct vhk_session *s)
{
	struct vhk_take *t = take_of(s);
	struct vhk_over_commit c = { 0 };
	int ret;

	memcpy(&c, s->req.bytes, vhk_min(sizeof(c), (size_t)s->req.hdr.size));
	ret = check_commit(s, &c);
	if (ret)
		return ret;
	ret = take_sockets(s, t, &c);
	if (!ret && t->front_end >= 0)
		ret = vhk_loop_add_fd(s->backend->ctl, t->front_end, 0, vhk_session_event, s);
	if (ret)
		return vhk_session_refuse(s, ret, "its sockets cannot be served");
	t->committed = true;
	vhk_device_share(s->backend->dev, false);
	s->cursor = 0;
	return enable_next(s, 0, 0);
}

int vhk_take_handle(struct vhk_session *s)
{
	switch (s->req.hdr.request) {
	case VHK_OVER_HELLO:
		return take_hello(s);
	case VHK_OVER_OFFER:
		return take_offer(s);
	case VHK_OVER_SESSION:
		return take_session(s);
	case VHK_OVER_READY:
		return take_ready(s);
	case VHK_OVER_DEVICE:
		return take_device(s);
	case VHK_OVER_STATE:
		return take_state(s);
	case VHK_OVER_CONFIG:
		return take_config(s);
	case VHK_OVER_RING:
		return take_ring(s);
	case VHK_OVER_COMMIT:
		return take_commit(s);
	default:
		return -EOPNOTSUPP;
	}
}

/* Where further front ends come from. */
static void go_on_listening(struct vhk_backend *b, struct vhk_take *t)
{
	b->kind = (enum vhk_backend_kind)t->hello.kind;
	if (b->kind == VHK_BACKEND_CONNECT && !b->path)
		b->kind = VHK_BACKEND_CONNECTED;
	b->listen_fd = t->listen_fd;
	t->listen_fd = -1;
	if (b->kind == VHK_BACKEND_LISTEN)
		b->bound = (struct vhk_sock_file){ (dev_t)t->hello.dev, (ino_t)t->hello.ino };
}

static void exchange_connection(struct vhk_session *s, struct vhk_take *t)
{
	vhk_session_untime(s);
	vhk_session_unwatch(s);
	vhk_sock_fini(&s->sock);
	vhk_sock_init_take_fd(&s->sock, t->front_end);
	t->front_end = -1;
	s->watched = true;
	s->events = 0;
	s->n_served = 1;
	if (t->config_differs)
		vhk_session_config_changed(s);
	vhk_session_call_again(s);
	if (vhk_session_has_iotlb(s))
		vhk_session_ask_misses(s);
}

bool vhk_take_answered(struct vhk_session *s)
{
	struct vhk_backend *b = s->backend;
	struct vhk_take *t = b->take;

	if (!t || !t->committed)
		return false;
	b->take = NULL;
	go_on_listening(b, t);
	if (t->front_end >= 0) {
		exchange_connection(s, t);
		vhk_session_log(s, VHK_LOG_INFO, "session taken over from process %d", t->pid);
		vhk_backend_session_up(b);
	} else {
		vhk_session_log(s, VHK_LOG_INFO, "taken over from process %d, which served nobody",
				t->pid);
		vhk_session_end(s, NULL);
	}
	vhk_backend_watch(b);
	t->fn(t->arg, 0, t->pid);
	vhk_take_free(t);
	return true;
}

void vhk_take_failed(struct vhk_backend *b)
{
	struct vhk_take *t = b->take;

	b->take = NULL;
	b->over = true;
	if (!b->closing)
		t->fn(t->arg, t->failed ? t->failed : -ENOTCONN, t->pid);
	vhk_take_free(t);
}

static void take_too_late(void *arg)
{
	struct vhk_take *t = arg;

	t->timer = 0;
	vhk_take_note(&t->backend->s, -ETIMEDOUT, NULL, "it takes too long");
	vhk_session_end(&t->backend->s, NULL);
}

static int take_new(struct vhk_backend *b, int fd, vhk_backend_over_fn *fn, void *arg)
{
	struct vhk_take *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*t = (struct vhk_take){ .backend = b, .fn = fn, .arg = arg, .front_end = -1,
				.listen_fd = -1 };
	b->take = t;
	t->pid = vhk_sock_peer_is_ours(fd);
	if (t->pid < 0)
		return t->pid;
	t->timer = vhk_loop_add_timer(b->ctl, DEADLINE_NS, take_too_late, t);
	return t->timer < 0 ? t->timer : 0;
}

int vhk_backend_take_over(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
			  const char *from, const char *path, const struct vhk_backend_opts *o,
			  vhk_backend_over_fn *fn, void *arg)
{
	struct vhk_backend *b;
	int fd, ret;

	*out = NULL;
	ret = vhk_backend_new(&b, ctl, d, VHK_BACKEND_CONNECTED, o);
	if (ret)
		return ret;
	snprintf(b->name, sizeof(b->name), "%s", from);
	fd = ret = path ? vhk_backend_set_path(b, path) : 0;
	if (!ret)
		fd = ret = vhk_sock_connect(from);
	if (ret < 0)
		goto err;
	ret = take_new(b, fd, fn, arg);
	if (!ret)
		ret = vhk_session_begin_take_fd(b, fd);
	else
		close(fd);
	if (ret)
		goto err;
	vhk_device_share(d, true);
	*out = b;
	return 0;
err:
	vhk_backend_free(b);
	return ret;
}
