// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The front end's core: opening by URI, one fd for everything that can happen, requests that wait.
 * Knows no door; each is an ops table. Messages are in ctl_msg.c, jobs in ctl_job.c, queues in
 * ctl_queue.c.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ctl_impl.h"
#include "fd.h"
#include "kern.h"
#include "proto.h"
#include "sock.h"

#define DEFAULT_TIMEOUT_MS 5000
#define EVENTS_MAX 16

uint64_t vhk_ctl_deadline(const struct vhk_ctl *c, uint32_t timeout_ms)
{
	return vhk_now_ns() + (timeout_ms ? timeout_ms : c->opts.timeout_ms) * 1000000ull;
}

static int ctl_epoll(struct vhk_ctl *c, int how, int fd, uint32_t events, uint32_t tag)
{
	struct epoll_event ev = { .events = events, .data.u32 = tag };

	return epoll_ctl(c->epoll_fd, how, fd, &ev) ? -errno : 0;
}

int vhk_ctl_watch(struct vhk_ctl *c, int fd, uint32_t events, uint32_t tag)
{
	return ctl_epoll(c, EPOLL_CTL_ADD, fd, events, tag);
}

int vhk_ctl_rewatch(struct vhk_ctl *c, int fd, uint32_t events, uint32_t tag)
{
	return ctl_epoll(c, EPOLL_CTL_MOD, fd, events, tag);
}

void vhk_ctl_unwatch(struct vhk_ctl *c, int fd)
{
	epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

void vhk_ctl_rearm(struct vhk_ctl *c)
{
	uint64_t next = c->ops->expire(c, 0);
	struct itimerspec at = { 0 };

	/* Who has only the fd to look at is to hear of a loss that was met inside another call. */
	if (c->ops->link(c) < 0 && !c->loss_told)
		next = 1;
	if (next != UINT64_MAX) {
		at.it_value.tv_sec = (time_t)(next / 1000000000u);
		at.it_value.tv_nsec = (long)(next % 1000000000u);
	}
	timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void vhk_ctl_init_empty(struct vhk_ctl *c, const struct vhk_ctl_ops *ops)
{
	c->ops = ops;
	c->epoll_fd = -1;
	c->timer_fd = -1;
	c->inflight_fd = -1;
}

static int ctl_init(struct vhk_ctl *c, const struct vhk_ctl_opts *o)
{
	int ret = vhk_opts_read(&c->opts, sizeof(c->opts), o);

	if (!ret)
		ret = vhk_opts_read(&c->back, sizeof(c->back), c->opts.back);
	if (ret)
		return ret;
	if (c->opts.flags & ~VHK_CTL_F_ALL)
		return -EOPNOTSUPP;
	if (!c->opts.timeout_ms)
		c->opts.timeout_ms = DEFAULT_TIMEOUT_MS;
	c->log = c->opts.log;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer_fd < 0)
		return -errno;
	return vhk_ctl_watch(c, c->timer_fd, EPOLLIN, VHK_CTL_TAG_TIMER);
}

/* Until the back end is there, for URIs that wait for one. */
static int ctl_wait_link(struct vhk_ctl *c)
{
	uint64_t now, end = vhk_ctl_deadline(c, 0);
	struct pollfd p = { .fd = c->epoll_fd, .events = POLLIN };

	while (!c->ops->link(c)) {
		now = vhk_now_ns();
		if (now >= end)
			return -ETIMEDOUT;
		poll(&p, 1, (int)((end - now) / 1000000u) + 1);
		vhk_ctl_process(c);
	}
	return 0;
}

int vhk_ctl_begin(struct vhk_ctl *c, const struct vhk_ctl_opts *o)
{
	int ret = ctl_init(c, o);

	if (!ret)
		ret = c->ops->connect(c, false);
	if (!ret)
		vhk_ctl_rearm(c);
	if (!ret && !(c->opts.flags & VHK_CTL_F_NONBLOCK))
		ret = ctl_wait_link(c);
	if (ret)
		vhk_ctl_close(c);
	return ret;
}

static int parse_fd(const char *text)
{
	char *end;
	long fd;

	/* A number, without what strtol() would skip. */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	fd = strtol(text, &end, 10);
	return errno || *end || fd < 0 || fd > INT32_MAX ? -EINVAL : (int)fd;
}

static int adopt(struct vhk_ctl **out, const char *text)
{
	int ret, fd = parse_fd(text);
	enum vhk_ctl_kind kind;
	struct stat st;

	if (fd < 0)
		return fd;
	if (!fstat(fd, &st) && S_ISSOCK(st.st_mode)) {
		ret = vhk_sock_check(fd);
		if (!ret)
			return vhk_ctl_user_adopt_take_fd(out, fd);
	} else {
		ret = vhk_kern_kind(&vhk_bus_root, fd, NULL, &kind);
		if (!ret)
			return vhk_ctl_kernel_adopt_take_fd(out, fd, kind);
	}
	close(fd);
	return ret == -EBADF ? -EINVAL : ret;
}

static int door_new(struct vhk_ctl **out, const char *uri)
{
	if (!uri)
		return -EINVAL;
	if (!strncmp(uri, "fd:", 3))
		return adopt(out, uri + 3);
	if (uri[0] == '/' || !strncmp(uri, "vdpa:", 5))
		return vhk_ctl_kernel_new(out, uri);
	return vhk_ctl_user_new(out, uri);
}

int vhk_ctl_open(struct vhk_ctl **out, const char *uri, const struct vhk_ctl_opts *o)
{
	struct vhk_ctl *c;
	int ret;

	*out = NULL;
	ret = door_new(&c, uri);
	if (!ret)
		ret = vhk_ctl_begin(c, o);
	if (!ret)
		*out = c;
	return ret;
}

void vhk_ctl_close(struct vhk_ctl *c)
{
	if (!c)
		return;
	c->ops->disconnect(c, -ENOTCONN);
	vhk_ctl_queues_free(c);
	free(c->shared);
	vhk_bell_fini(&c->bell);
	vhk_fd_close(c->inflight_fd);
	vhk_fd_close(c->timer_fd);
	vhk_fd_close(c->epoll_fd);
	c->ops->free(c);
}

int vhk_ctl_fd(const struct vhk_ctl *c)
{
	return c->epoll_fd;
}

static int ctl_dispatch(struct vhk_ctl *c, const struct epoll_event *ev)
{
	uint64_t n;

	switch (ev->data.u32 & VHK_CTL_TAG_KIND) {
	case VHK_CTL_TAG_TIMER:
		return read(c->timer_fd, &n, sizeof(n)) < 0 && errno != EAGAIN ? -errno : 0;
	case VHK_CTL_TAG_ERR:
		vhk_ctl_queue_err(c, ev->data.u32 & ~VHK_CTL_TAG_KIND);
		return 0;
	default:
		return c->ops->event(c, ev->data.u32, ev->events);
	}
}

static int ctl_process(struct vhk_ctl *c)
{
	struct epoll_event ev[EVENTS_MAX];
	int i, n, err, ret = 0;

	c->busy = true;
	n = epoll_wait(c->epoll_fd, ev, EVENTS_MAX, 0);
	for (i = 0; i < n; i++) {
		err = ctl_dispatch(c, &ev[i]);
		if (err && !ret)
			ret = err;
	}
	c->ops->expire(c, vhk_now_ns());
	c->busy = false;
	return ret ? ret : vhk_min(c->ops->link(c), 0);
}

int vhk_ctl_process(struct vhk_ctl *c)
{
	int ret;

	if (c->busy)
		return -EBUSY;
	ret = ctl_process(c);
	c->loss_told = ret < 0;
	vhk_ctl_rearm(c);
	return ret;
}

void vhk_ctl_wait_until(struct vhk_ctl *c, const bool *done)
{
	struct pollfd p = { .fd = c->epoll_fd, .events = POLLIN };

	while (!*done) {
		poll(&p, 1, -1);
		ctl_process(c);
		vhk_ctl_rearm(c);
	}
}

bool vhk_ctl_can(const struct vhk_ctl *c, enum vhk_ctl_op op)
{
	return c->ops->can(c, op);
}

const char *vhk_ctl_op_name(enum vhk_ctl_op op)
{
	const struct vhk_kern_row *kern = vhk_kern_row(op, VHK_KERN_ALL);
	const bool table = op == VHK_CTL_SET_MEM_TABLE_BASES || op == VHK_CTL_ACCEPT_BASES;
	const struct vhk_proto *row = vhk_proto_request(table ? VHK_CTL_SET_MEM_TABLE : op);

	if (row)
		return row->name;
	return kern ? kern->name : NULL;
}

enum vhk_ctl_kind vhk_ctl_kind(const struct vhk_ctl *c)
{
	return c->ops->kind(c);
}

int vhk_ctl_submit(struct vhk_ctl *c, struct vhk_ctl_req *r)
{
	int ret;

	if (r->flags & ~VHK_CTL_REQ_F_ALL)
		return -EOPNOTSUPP;
	if (r->fd < -1)
		return -EINVAL;
	ret = c->ops->submit(c, r, vhk_ctl_deadline(c, r->timeout_ms));
	if (!c->busy)
		vhk_ctl_rearm(c);
	return ret;
}

static void call_done(struct vhk_ctl_req *r)
{
	*(bool *)r->arg = true;
}

int vhk_ctl_call(struct vhk_ctl *c, struct vhk_ctl_req *r)
{
	bool done = false;
	int ret;

	if (c->busy)
		return -EBUSY;
	r->done = call_done;
	r->arg = &done;
	ret = vhk_ctl_submit(c, r);
	if (ret)
		return ret;
	vhk_ctl_wait_until(c, &done);
	return r->ret;
}

int vhk_ctl_peer_pid(const struct vhk_ctl *c)
{
	return c->ops->peer_pid(c);
}

uint64_t vhk_ctl_features(const struct vhk_ctl *c)
{
	return c->was_setup ? c->want : c->ops->offer(c)->features;
}

uint64_t vhk_ctl_protocol_features(const struct vhk_ctl *c)
{
	return c->was_setup ? c->protocol : c->ops->offer(c)->protocol;
}

unsigned int vhk_ctl_n_queues(const struct vhk_ctl *c)
{
	return c->ops->offer(c)->n_queues;
}
