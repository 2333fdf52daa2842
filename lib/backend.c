// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Where sessions come from: a socket listened on, one connected to again and again, or one handed
 * over. One session at a time; what happens inside one is in backend_session.c.
 */
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend_over.h"
#include "clock.h"
#include "map_xen.h"
#include "uffd.h"

#define PAUSE_MIN_NS 100000000u
#define PAUSE_MAX_NS 5000000000u
#define CLOSE_NS 1000000000

static void backend_config_changed(void *arg)
{
	struct vhk_backend *b = arg;

	if (b->s.state != VHK_SESSION_NONE && b->s.state != VHK_SESSION_ENDING)
		vhk_session_config_changed(&b->s);
}

static void backend_queue_error(void *arg, unsigned int idx, int err)
{
	struct vhk_backend *b = arg;
	struct vhk_session *s = &b->s;

	if (s->state == VHK_SESSION_NONE || s->doomed || idx >= s->st.n_queues)
		return;
	s->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	vhk_session_tell_error(s, idx);
	/* A ring that was moved out of the table is an error of that ring, and said; a file cut
	 * short is one of the session. */
	if (err == -EFAULT && s->ring[idx].lost)
		return;
	if (err == -EFAULT)
		vhk_session_fail(s, "a file of its memory was cut short");
	else
		vhk_session_log(s, VHK_LOG_WARN, "queue %u stopped: %s", idx,
				err == -EBADMSG ? "what the driver put into its ring makes no sense"
						: strerrordesc_np(-err));
}

static int backend_ask(void *arg, const struct vhk_ask *a)
{
	struct vhk_backend *b = arg;

	if (b->s.state == VHK_SESSION_NONE || b->s.doomed)
		return -ENOTCONN;
	return vhk_session_ask_for(&b->s, a);
}

static void backend_queue_lacks(void *arg, unsigned int idx, uint64_t iova, uint8_t perm,
				bool denied)
{
	struct vhk_session *s = &((struct vhk_backend *)arg)->s;

	if (s->state != VHK_SESSION_NONE && !s->doomed && idx < s->st.n_queues)
		vhk_session_missed(s, idx, iova, perm, denied);
}

static const struct vhk_door_ops door_ops = {
	.config_changed = backend_config_changed,
	.queue_error = backend_queue_error,
	.queue_lacks = backend_queue_lacks,
	.ask = backend_ask,
};

void vhk_backend_session_up(struct vhk_backend *b)
{
	b->up = true;
	if (b->o.on_session)
		b->o.on_session(b->o.arg, true);
}

static int session_begin_take_fd(struct vhk_backend *b, int fd)
{
	int ret = vhk_session_begin_take_fd(b, fd);

	if (ret)
		vhk_log_rationed(&b->o.log, &b->door, VHK_LOG_ERROR,
				 "%s: cannot serve a front end: %s", b->name,
				 strerrordesc_np(-ret));
	else
		vhk_backend_session_up(b);
	return ret;
}

static void backend_set_timer(struct vhk_backend *b, vhk_timer_fn *fn)
{
	int ret = vhk_loop_add_timer(b->ctl, b->pause_ns, fn, b);

	if (ret < 0)
		vhk_log(&b->o.log, VHK_LOG_ERROR, "%s: no timer: %s", b->name,
			strerrordesc_np(-ret));
	else
		b->timer = ret;
}

static void backend_accept(void *arg, uint32_t events);

void vhk_backend_watch(struct vhk_backend *b)
{
	if (b->listening || b->listen_fd < 0)
		return;
	b->listening = !vhk_loop_add_fd(b->ctl, b->listen_fd, EPOLLIN, backend_accept, b);
}

void vhk_backend_unwatch(struct vhk_backend *b)
{
	if (b->listening)
		vhk_loop_del_fd(b->ctl, b->listen_fd);
	b->listening = false;
}

static void backend_watch_again(void *arg)
{
	struct vhk_backend *b = arg;

	b->timer = 0;
	vhk_backend_watch(b);
	if (!b->listening)
		backend_set_timer(b, backend_watch_again);
}

static bool session_leaves(const struct vhk_session *s)
{
	return s->state == VHK_SESSION_ENDING || s->doomed || vhk_sock_hung_up(s->sock.fd);
}

/* A front end that comes while another is served is told so by a closed connection, and not left
 * waiting for an answer; one that follows a dead front end waits until that one's queues have
 * stopped. */
static void backend_accept(void *arg, uint32_t events)
{
	struct vhk_backend *b = arg;
	int fd;

	(void)events;
	if (b->s.state != VHK_SESSION_NONE && session_leaves(&b->s)) {
		vhk_backend_unwatch(b);
		return;
	}
	fd = vhk_sock_accept(b->listen_fd);
	if (fd == -EAGAIN)
		return;
	if (fd < 0) {
		/* no descriptor is free, for example: the connection stays readable, and must not
		 * be spun on */
		vhk_log_rationed(&b->o.log, &b->door, VHK_LOG_ERROR, "%s: cannot accept: %s",
				 b->name, strerrordesc_np(-fd));
		vhk_backend_unwatch(b);
		backend_set_timer(b, backend_watch_again);
		return;
	}
	if (b->s.state == VHK_SESSION_NONE) {
		session_begin_take_fd(b, fd);
		return;
	}
	vhk_log_rationed(&b->o.log, &b->door, VHK_LOG_WARN,
			 "%s: a second front end was turned away", b->name);
	close(fd);
}

static void backend_redial(void *arg);

static void backend_redial_later(struct vhk_backend *b)
{
	backend_set_timer(b, backend_redial);
	b->pause_ns = vhk_min(2 * b->pause_ns, (uint64_t)PAUSE_MAX_NS);
}

static int backend_dial(struct vhk_backend *b)
{
	int fd = vhk_sock_connect(b->path);

	return fd < 0 ? fd : session_begin_take_fd(b, fd);
}

static void backend_redial(void *arg)
{
	struct vhk_backend *b = arg;
	int ret;

	b->timer = 0;
	ret = backend_dial(b);
	if (!ret)
		return;
	vhk_log(&b->o.log, VHK_LOG_DEBUG, "%s: not connected: %s", b->name, strerrordesc_np(-ret));
	backend_redial_later(b);
}

void vhk_backend_free(struct vhk_backend *b)
{
	vhk_give_free(b->give);
	vhk_take_free(b->take);
	vhk_device_drop(b->dev);
	free(b->path);
	free(b);
}

void vhk_backend_next(struct vhk_backend *b)
{
	switch (b->kind) {
	case VHK_BACKEND_LISTEN:
		if (!b->timer)
			backend_watch_again(b);
		break;
	case VHK_BACKEND_CONNECT:
		backend_redial_later(b);
		break;
	case VHK_BACKEND_CONNECTED:
		vhk_log(&b->o.log, VHK_LOG_INFO, "%s: the only connection has ended", b->name);
		break;
	}
}

void vhk_backend_session_gone(struct vhk_backend *b, bool served)
{
	if (b->left_behind) {
		vhk_backend_free(b);
		return;
	}
	if (b->take) {
		vhk_take_failed(b);
		return;
	}
	if (b->up && b->o.on_session)
		b->o.on_session(b->o.arg, false);
	b->up = false;
	if (b->closing || b->over)
		return;
	if (served)
		b->pause_ns = PAUSE_MIN_NS;
	vhk_backend_next(b);
}

int vhk_backend_check(uint32_t flags)
{
	int fd;

	if (flags & ~(uint32_t)VHK_BACKEND_F_ALL)
		return -EOPNOTSUPP;
	if (!(flags & VHK_BACKEND_F_POSTCOPY))
		return 0;
	fd = vhk_uffd_open();
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int vhk_backend_new(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
		       enum vhk_backend_kind kind, const struct vhk_backend_opts *o)
{
	struct vhk_backend *b = calloc(1, sizeof(*b));
	int ret;

	*out = NULL;
	if (!b)
		return -ENOMEM;
	b->ctl = ctl;
	b->dev = d;
	b->kind = kind;
	b->xen = &vhk_xen_system;
	b->listen_fd = -1;
	b->pause_ns = PAUSE_MIN_NS;
	ret = vhk_opts_read(&b->o, sizeof(b->o), o);
	if (!ret)
		ret = vhk_backend_check(b->o.flags);
	if (!ret)
		ret = vhk_device_hold(d, ctl, &door_ops, b);
	if (!ret && b->o.flags & VHK_BACKEND_F_POSTCOPY && vhk_device_runs_in(d, ctl)) {
		vhk_device_drop(d);
		ret = -EINVAL;
	}
	if (ret) {
		free(b);
		return ret;
	}
	*out = b;
	return 0;
}

int vhk_backend_set_path(struct vhk_backend *b, const char *path)
{
	snprintf(b->name, sizeof(b->name), "%s", path);
	b->path = strdup(path);
	return b->path ? 0 : -ENOMEM;
}

static int backend_start_listening(struct vhk_backend *b)
{
	vhk_backend_watch(b);
	return b->listening ? 0 : -ENOMEM;
}

void vhk_backend_stop_listening(struct vhk_backend *b)
{
	vhk_backend_unwatch(b);
	if (b->path)
		vhk_sock_remove_file(&b->bound, b->path);
	if (b->listen_fd >= 0)
		close(b->listen_fd);
	b->listen_fd = -1;
}

int vhk_backend_listen(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
		       const char *path, const struct vhk_backend_opts *o)
{
	struct vhk_backend *b;
	int ret;

	*out = NULL;
	ret = vhk_backend_new(&b, ctl, d, VHK_BACKEND_LISTEN, o);
	if (ret)
		return ret;
	ret = vhk_backend_set_path(b, path);
	if (!ret)
		ret = vhk_sock_listen(path);
	if (ret < 0)
		goto err;
	b->listen_fd = ret;
	vhk_sock_note_file(&b->bound, path);
	ret = backend_start_listening(b);
	if (ret)
		goto err;
	*out = b;
	return 0;
err:
	vhk_backend_stop_listening(b);
	vhk_backend_free(b);
	return ret;
}

static bool nobody_there(int err)
{
	return err == -ENOENT || err == -ECONNREFUSED || err == -EAGAIN;
}

int vhk_backend_connect(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
			const char *path, const struct vhk_backend_opts *o)
{
	struct vhk_backend *b;
	int ret;

	*out = NULL;
	ret = vhk_backend_new(&b, ctl, d, VHK_BACKEND_CONNECT, o);
	if (ret)
		return ret;
	ret = vhk_backend_set_path(b, path);
	if (!ret)
		ret = backend_dial(b);
	if (nobody_there(ret)) {
		vhk_log(&b->o.log, VHK_LOG_INFO, "%s: no front end listens yet", b->name);
		backend_redial_later(b);
		ret = 0;
	}
	if (ret) {
		vhk_backend_free(b);
		return ret;
	}
	*out = b;
	return 0;
}

static int take_listening(struct vhk_backend *b, int fd)
{
	b->kind = VHK_BACKEND_LISTEN;
	b->listen_fd = fd;
	return backend_start_listening(b);
}

int vhk_backend_take_fd(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
			int fd, const struct vhk_backend_opts *o)
{
	struct vhk_backend *b;
	int ret = vhk_sock_check(fd);

	*out = NULL;
	if (!ret)
		ret = vhk_backend_new(&b, ctl, d, VHK_BACKEND_CONNECTED, o);
	if (ret) {
		close(fd);
		return ret;
	}
	snprintf(b->name, sizeof(b->name), "fd %d", fd);
	if (vhk_sock_is_listening(fd))
		ret = take_listening(b, fd);
	else
		ret = session_begin_take_fd(b, fd);
	if (ret) {
		vhk_backend_stop_listening(b);
		vhk_backend_free(b);
		return ret;
	}
	*out = b;
	return 0;
}

bool vhk_backend_is_over(const struct vhk_backend *b)
{
	return b->over || (b->kind == VHK_BACKEND_CONNECTED && !b->take &&
			   b->s.state == VHK_SESSION_NONE);
}

static void wait_for_session(struct vhk_backend *b)
{
	uint64_t now, end = vhk_now_ns() + CLOSE_NS;

	while (b->s.state != VHK_SESSION_NONE && (now = vhk_now_ns()) < end)
		if (vhk_loop_step(b->ctl, (int64_t)(end - now)) < 0)
			return;
}

void vhk_backend_close(struct vhk_backend *b)
{
	if (!b)
		return;
	b->closing = true;
	vhk_give_close(b->give);
	vhk_backend_stop_listening(b);
	if (b->timer > 0)
		vhk_loop_del_timer(b->ctl, b->timer);
	vhk_session_end(&b->s, "the back end closes");
	wait_for_session(b);
	if (b->s.state != VHK_SESSION_NONE) {
		/* Requests under way still write into the guest's memory and into the inflight
		 * region. */
		vhk_log(&b->o.log, VHK_LOG_ERROR,
			"%s: the device does not come to rest; left behind", b->name);
		b->o = (struct vhk_backend_opts){ .sz = sizeof(b->o) };
		b->left_behind = true;
		return;
	}
	vhk_backend_free(b);
}
