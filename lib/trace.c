// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Finding the two ends, one session after another: who connects to us is waited for, then the other
 * one is connected to.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/epoll.h>

#include "fd.h"
#include "trace_impl.h"

#define RETRY_NS 100000000u
#define LINGER_NS 200000u
#define LINGER_MAX_NS 10000000u

static const char *const side_name[] = { "front end", "back end" };

static void seek(struct vhk_trace *t);

static void listen_event(void *arg, uint32_t events)
{
	struct vhk_side *side = arg;
	int fd;

	(void)events;
	fd = vhk_sock_accept(side->listen_fd);
	if (fd == -EAGAIN)
		return;
	if (fd >= 0)
		side->fd = fd;
	else
		side->error = fd;
	seek(side->trace);
}

static int side_watch(struct vhk_side *side, bool on)
{
	struct vhk_loop *loop = side->trace->loop;
	int ret = 0;

	if (side->listen_fd < 0 || side->watched == on)
		return 0;
	if (on)
		ret = vhk_loop_add_fd(loop, side->listen_fd, EPOLLIN, listen_event, side);
	else
		vhk_loop_del_fd(loop, side->listen_fd);
	side->watched = on && !ret;
	return ret;
}

static void retry(void *arg)
{
	struct vhk_trace *t = arg;

	t->retry = 0;
	seek(t);
}

static void retry_later(struct vhk_trace *t)
{
	int ret;

	if (t->retry)
		return;
	ret = vhk_loop_add_timer(t->loop, RETRY_NS, retry, t);
	t->retry = ret > 0 ? ret : 0;
}

static void side_drop(struct vhk_side *side)
{
	vhk_fd_close(side->fd);
	side->fd = -1;
}

static bool is_once(const struct vhk_trace *t)
{
	return (t->flags & VHK_TRACE_F_ONCE) || t->side[0].kind == VHK_SIDE_GIVEN ||
	       t->side[1].kind == VHK_SIDE_GIVEN;
}

/* Who came is turned away, since the other end cannot be reached. */
static void turn_away(struct vhk_side *side)
{
	side_drop(side);
	if (is_once(side->trace))
		vhk_loop_stop(side->trace->loop);
}

/* Says what is in the way once, not with every try, whoever's try it is. */
static void say_failed(struct vhk_side *side, int error, bool again)
{
	struct vhk_trace *t = side->trace;

	if (side->error != error)
		vhk_log(&t->log, VHK_LOG_WARN, "%s, %s: %s%s", side_name[side - t->side],
			side->path ? side->path : "fd", strerror(-error),
			again ? "; trying again" : "");
	side->error = error;
}

/* The side that has to be connected to, when the other one is there or has to be, too. */
static void side_connect(struct vhk_side *side, struct vhk_side *other)
{
	struct vhk_trace *t = side->trace;
	int fd;

	if (side->kind != VHK_SIDE_CONNECT || side->fd >= 0)
		return;
	if (other->kind == VHK_SIDE_LISTEN && other->fd < 0)
		return;
	fd = vhk_sock_connect(side->path);
	if (fd >= 0) {
		side->fd = fd;
		side->error = 0;
		return;
	}
	say_failed(side, fd, other->kind != VHK_SIDE_LISTEN);
	if (other->kind == VHK_SIDE_LISTEN)
		turn_away(other);
	else
		retry_later(t);
}

static void side_listen(struct vhk_side *side)
{
	int ret;

	if (side->error && side->kind == VHK_SIDE_LISTEN) {
		say_failed(side, side->error, false);
		side->error = 0;
		side_watch(side, false);
		retry_later(side->trace);
		return;
	}
	ret = side_watch(side, side->fd < 0 && !side->trace->retry);
	if (ret)
		retry_later(side->trace);
}

static void start(struct vhk_trace *t)
{
	int front = t->side[VHK_TRACE_FRONT].fd, back = t->side[VHK_TRACE_BACK].fd, ret;

	t->side[VHK_TRACE_FRONT].fd = t->side[VHK_TRACE_BACK].fd = -1;
	ret = vhk_trace_session_new(t, front, back);
	if (!ret)
		return;
	vhk_log(&t->log, VHK_LOG_ERROR, "session: %s", strerror(-ret));
	retry_later(t);
}

static void seek(struct vhk_trace *t)
{
	struct vhk_side *front = &t->side[VHK_TRACE_FRONT], *back = &t->side[VHK_TRACE_BACK];

	if (t->session)
		return;
	side_connect(front, back);
	side_connect(back, front);
	/* the first may have had to wait for the second */
	if (back->fd >= 0)
		side_connect(front, back);
	side_listen(front);
	side_listen(back);
	if (front->fd >= 0 && back->fd >= 0)
		start(t);
}

void vhk_trace_session_over(struct vhk_trace *t)
{
	const bool failed = t->session->error;

	vhk_trace_session_free(t->session);
	if (is_once(t))
		vhk_loop_stop(t->loop);
	else if (failed)
		retry_later(t);
	else if (t->side[0].kind == VHK_SIDE_CONNECT && t->side[1].kind == VHK_SIDE_CONNECT)
		retry_later(t);
	else
		seek(t);
}

static int given_fd(const char *number)
{
	char *end;
	long v;

	if (*number < '0' || *number > '9')
		return -EINVAL;
	errno = 0;
	v = strtol(number, &end, 10);
	return errno || *end || v > INT_MAX ? -EINVAL : (int)v;
}

/* Ours from here on. One that listens is accepted from. */
static int side_take_fd(struct vhk_side *side, int fd)
{
	int ret = vhk_sock_check(fd);

	if (ret)
		return -EINVAL;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (vhk_sock_is_listening(fd)) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		side->kind = VHK_SIDE_LISTEN;
		side->listen_fd = fd;
	} else {
		side->kind = VHK_SIDE_GIVEN;
		side->fd = fd;
	}
	return 0;
}

static int side_listen_at(struct vhk_side *side, const char *path)
{
	side->kind = VHK_SIDE_LISTEN;
	side->listen_fd = vhk_sock_listen(path);
	if (side->listen_fd < 0)
		return side->listen_fd;
	vhk_sock_note_file(&side->bound, path);
	return 0;
}

static int side_open(struct vhk_side *side, const char *uri)
{
	const char *path = uri ? strchr(uri, ':') : NULL;
	int fd;

	if (!path)
		return -EINVAL;
	path++;
	if (!strncmp(uri, "fd:", 3)) {
		fd = given_fd(path);
		return fd < 0 ? fd : side_take_fd(side, fd);
	}
	if (!*path)
		return -EINVAL;
	side->path = strdup(path);
	if (!side->path)
		return -ENOMEM;
	if (!strncmp(uri, "listen:", 7))
		return side_listen_at(side, path);
	side->kind = VHK_SIDE_CONNECT;
	return strncmp(uri, "unix:", 5) ? -EINVAL : 0;
}

static void side_close(struct vhk_side *side)
{
	side_watch(side, false);
	side_drop(side);
	if (side->listen_fd >= 0 && side->path)
		vhk_sock_remove_file(&side->bound, side->path);
	vhk_fd_close(side->listen_fd);
	free(side->path);
}

void vhk_trace_close(struct vhk_trace *t)
{
	if (!t)
		return;
	vhk_trace_session_free(t->session);
	if (t->retry)
		vhk_loop_del_timer(t->loop, t->retry);
	side_close(&t->side[0]);
	side_close(&t->side[1]);
	free(t);
}

/* On the only processor it would hold up whoever it waits for. */
static uint64_t longest_linger(const struct vhk_trace_opts *o)
{
	cpu_set_t set;

	if (o->poll_ns)
		return o->poll_ns == UINT64_MAX ? 0 : o->poll_ns;
	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1 ? 0 : LINGER_NS;
}

static struct vhk_trace *trace_alloc(struct vhk_loop *l, void *arg, const struct vhk_trace_opts *o)
{
	struct vhk_trace *t = calloc(1, sizeof(*t));
	int i;

	if (!t)
		return NULL;
	t->loop = l;
	t->arg = arg;
	t->flags = o->flags;
	t->linger_max = longest_linger(o);
	t->log = o->log;
	for (i = 0; i < 2; i++)
		t->side[i] = (struct vhk_side){ .trace = t, .listen_fd = -1, .fd = -1 };
	return t;
}

int vhk_trace_open(struct vhk_trace **out, struct vhk_loop *l, const char *front, const char *back,
		   const struct vhk_trace_ops *ops, void *arg, const struct vhk_trace_opts *o)
{
	struct vhk_trace_opts opts;
	struct vhk_trace *t;
	int ret;

	*out = NULL;
	ret = vhk_opts_read(&opts, sizeof(opts), o);
	if (ret)
		return ret;
	if (opts.flags & ~(uint32_t)VHK_TRACE_F_ALL)
		return -EOPNOTSUPP;
	if (opts.poll_ns > LINGER_MAX_NS && opts.poll_ns != UINT64_MAX)
		return -EINVAL;
	t = trace_alloc(l, arg, &opts);
	if (!t)
		return -ENOMEM;
	ret = vhk_opts_read(&t->ops, sizeof(t->ops), ops);
	if (!ret)
		ret = side_open(&t->side[VHK_TRACE_FRONT], front);
	if (!ret)
		ret = side_open(&t->side[VHK_TRACE_BACK], back);
	if (ret) {
		vhk_trace_close(t);
		return ret;
	}
	*out = t;
	seek(t);
	return 0;
}
