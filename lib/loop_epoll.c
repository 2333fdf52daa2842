// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The epoll engine, for where io_uring is refused. Files go through Linux AIO by raw system calls
 * (loop_aio.c), whose eventfd epoll watches too.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loop_aio.h"
#include "loop_impl.h"

#define EVENTS_MAX 64
#define LOOK_EVERY 4  /* busy rounds between two looks at fds: each is a system call */
#define PEEK_EVERY 32 /* turns of a spin likewise */

struct vhk_epoll {
	int fd;
	unsigned int rounds, peeks;
	bool no_pwait2;
	int n_events; /* fetched, not yet told; or an error, of no meaning */
	struct epoll_event events[EVENTS_MAX];
	struct vhk_aio aio;
};

/* Of no poll: the AIO eventfd only ends a wait. */
#define AIO_TAG 0

static void ep_close(struct vhk_loop *l)
{
	vhk_aio_fini(&l->epoll->aio, l->n_io);
	if (l->epoll->fd >= 0)
		close(l->epoll->fd);
	free(l->epoll);
	l->epoll = NULL;
}

static int ep_open(struct vhk_loop *l, const struct vhk_loop_opts *o)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = AIO_TAG };
	struct vhk_epoll *e = calloc(1, sizeof(*e));
	int ret;

	if (!e)
		return -ENOMEM;
	l->epoll = e;
	vhk_aio_preinit(&e->aio);
	e->fd = epoll_create1(EPOLL_CLOEXEC);
	ret = e->fd < 0 ? -errno : 0;
	if (!ret)
		ret = vhk_aio_init(&e->aio, o->entries ? o->entries : 256);
	if (!ret && e->aio.event_fd >= 0 &&
	    epoll_ctl(e->fd, EPOLL_CTL_ADD, e->aio.event_fd, &ev))
		ret = -errno;
	if (ret)
		ep_close(l);
	else if (e->aio.event_fd < 0)
		vhk_log(&l->log, VHK_LOG_WARN,
			"loop: no Linux AIO: file operations block the loop");
	return ret;
}

static int ep_bind(struct vhk_loop *l)
{
	(void)l;
	return 0;
}

static void ep_unbind(struct vhk_loop *l)
{
	(void)l;
}

static int ep_watch(struct vhk_loop *l, uint32_t i)
{
	const struct vhk_poll *p = &l->polls[i];
	struct epoll_event ev = { .events = p->events, .data.u64 = vhk_poll_tag(l, i) };

	if (vhk_poll_is_edge(p))
		ev.events |= EPOLLET;
	if (!epoll_ctl(l->epoll->fd, EPOLL_CTL_ADD, p->fd, &ev))
		return 0;
	if (errno == EEXIST)
		return -EBUSY;
	return errno == EPERM ? -EINVAL : -errno;
}

static int ep_rewatch(struct vhk_loop *l, uint32_t i)
{
	const struct vhk_poll *p = &l->polls[i];
	struct epoll_event ev = { .events = p->events, .data.u64 = vhk_poll_tag(l, i) };

	return epoll_ctl(l->epoll->fd, EPOLL_CTL_MOD, p->fd, &ev) ? -errno : 0;
}

static void ep_unwatch(struct vhk_loop *l, uint32_t i)
{
	epoll_ctl(l->epoll->fd, EPOLL_CTL_DEL, l->polls[i].fd, NULL);
	vhk_poll_put(l, i);
}

static void ep_add_file(struct vhk_loop *l, int file)
{
	(void)l;
	(void)file;
}

static void ep_del_file(struct vhk_loop *l, int file)
{
	(void)l;
	(void)file;
}

static bool ep_begin(struct vhk_loop *l, struct vhk_io *io)
{
	struct vhk_aio *a = &l->epoll->aio;
	int fd = l->files[io->file].fd;

	/*
	 * Linux AIO has no operation for holes and zeros. In a file they are a matter of extents; a
	 * block device may have to write them, byte by byte.
	 */
	if (a->event_fd < 0 || io->op == VHK_IO_PUNCH || io->op == VHK_IO_ZERO) {
		vhk_io_own(l, io);
		return true;
	}
	return vhk_aio_begin(a, fd, io);
}

static int ep_submit(struct vhk_loop *l)
{
	vhk_aio_submit(&l->epoll->aio, l);
	return 0;
}

static int wait_ms(int64_t ns)
{
	if (ns < 0)
		return -1;
	return ns > 1000000000000 ? 1000000 : (int)((ns + 999999) / 1000000);
}

/* epoll_pwait2() counts nanoseconds, where the kernel and its filters let us. */
static int ep_fetch(struct vhk_loop *l, int64_t ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	struct vhk_epoll *e = l->epoll;
	int n;

	vhk_loop_note_syscalls(l, 1);
	if (ns > 0 && !e->no_pwait2) {
		n = (int)syscall(SYS_epoll_pwait2, e->fd, e->events, EVENTS_MAX, &ts, NULL, 0);
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return n < 0 ? -errno : n;
		e->no_pwait2 = true;
	}
	n = epoll_wait(e->fd, e->events, EVENTS_MAX, wait_ms(ns));
	return n < 0 ? -errno : n;
}

static bool ep_peek(struct vhk_loop *l)
{
	struct vhk_epoll *e = l->epoll;

	if (e->n_events <= 0 && !(++e->peeks % PEEK_EVERY))
		e->n_events = ep_fetch(l, 0);
	return e->n_events > 0 || vhk_aio_peek(&e->aio);
}

static int ep_wait(struct vhk_loop *l, int64_t ns)
{
	struct vhk_epoll *e = l->epoll;
	int n;

	/* What ended is to be published first. */
	if (vhk_aio_submit(&e->aio, l))
		ns = 0;
	if (e->n_events > 0)
		return 0;
	n = ep_fetch(l, ns);
	e->n_events = n;
	return n < 0 && n != -EINTR ? n : 0;
}

static unsigned int tell(struct vhk_loop *l, const struct epoll_event *ev)
{
	uint32_t i;

	if (ev->data.u64 == AIO_TAG)
		return 0;
	i = vhk_poll_find(l, ev->data.u64);
	return i == VHK_NO_POLL ? 0 : vhk_poll_fire(l, i, ev->events);
}

static unsigned int ep_reap(struct vhk_loop *l, bool idle)
{
	struct vhk_epoll *e = l->epoll;
	unsigned int n = 0;
	int i;

	if (e->n_events <= 0 && (idle || !(++e->rounds % LOOK_EVERY)))
		e->n_events = ep_fetch(l, 0);
	for (i = 0; i < e->n_events && !l->closing; i++)
		n += tell(l, &e->events[i]);
	e->n_events = 0;
	return n + vhk_aio_reap(&e->aio, l);
}

static void ep_cancel(struct vhk_loop *l)
{
	(void)l;
}

static int ep_fd(const struct vhk_loop *l)
{
	return l->epoll->fd;
}

const struct vhk_engine vhk_engine_epoll = {
	.name = "epoll",
	.open = ep_open,
	.close = ep_close,
	.bind = ep_bind,
	.unbind = ep_unbind,
	.watch = ep_watch,
	.rewatch = ep_rewatch,
	.unwatch = ep_unwatch,
	.add_file = ep_add_file,
	.del_file = ep_del_file,
	.begin = ep_begin,
	.submit = ep_submit,
	.peek = ep_peek,
	.reap = ep_reap,
	.wait = ep_wait,
	.cancel = ep_cancel,
	.fd = ep_fd,
};
