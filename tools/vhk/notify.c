// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The two ends of vhk bench notify. The rings are the same for all ways to be notified, and so is
 * what the back end does with a request: what differs is how it learns of it and tells of it.
 * epoll_*() is a back end as others write it, loop_*() and device_work() are the library's.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "notify.h"
#include "say.h"

#define RING_SIZE NOTIFY_DEPTH_MAX
#define REQUEST_BYTES 64
#define BUF_BYTES 4096
#define EVENTS_MAX 64
#define LOOK_MS 50 /* how soon a back end sees that it is over */

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* it was found to be ours */
}

static uint64_t features_of(const struct notify_opts *o)
{
	return VHK_F_VERSION_1 | (o->event_idx ? VHK_F_EVENT_IDX : 0) |
	       (o->packed ? VHK_F_RING_PACKED : 0);
}

/* One writer: no atomic addition is needed. */
static void epoll_note(struct notify *n, unsigned int syscalls)
{
	atomic_store_explicit(&n->syscalls,
			      atomic_load_explicit(&n->syscalls, memory_order_relaxed) + syscalls,
			      memory_order_relaxed);
}

static void epoll_serve(struct notify *n, struct notify_ring *r)
{
	const uint64_t one = 1;
	struct vhk_chain *c[RING_SIZE];
	int i, got;

	do {
		got = vhk_ring_pop(r->dev, c, RING_SIZE);
		if (got < 0)
			atomic_store(&n->err, got);
		if (got > 0)
			atomic_store_explicit(&n->came, now_ns(), memory_order_relaxed);
		for (i = 0; i < got; i++) {
			c[i]->written = 1;
			vhk_ring_push(r->dev, c[i]);
		}
		if (got > 0 && vhk_ring_publish(r->dev) > 0) {
			epoll_note(n, 1);
			if (write(r->call_fd, &one, sizeof(one)) < 0)
				atomic_store(&n->err, -errno);
		}
	} while (vhk_ring_arm(r->dev) > 0);
}

static void *epoll_run(void *arg)
{
	struct notify *n = arg;
	struct epoll_event ev[EVENTS_MAX];
	struct notify_ring *r;
	uint64_t count;
	int i, got;

	pin(n->o.back_cpu);
	for (i = 0; i < (int)n->o.n_rings; i++)
		vhk_ring_arm(n->ring[i].dev);
	while (!atomic_load_explicit(&n->over, memory_order_relaxed)) {
		epoll_note(n, 1);
		got = epoll_wait(n->kicks, ev, EVENTS_MAX, LOOK_MS);
		for (i = 0; i < got; i++) {
			r = &n->ring[ev[i].data.u32];
			epoll_note(n, 1);
			if (read(r->kick_fd, &count, sizeof(count)) == sizeof(count))
				epoll_serve(n, r);
		}
	}
	return NULL;
}

static int epoll_ring(struct notify *n, unsigned int i)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = i };
	struct vhk_ring_opts o = { .sz = sizeof(o), .features = features_of(&n->o) };
	struct notify_ring *r = &n->ring[i];
	struct vhk_vq_addr a;
	int ret;

	r->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->kick_fd < 0 || r->call_fd < 0 ||
	    epoll_ctl(n->kicks, EPOLL_CTL_ADD, r->kick_fd, &ev))
		return -errno;
	ret = vhk_vq_addr(r->vq, &a);
	if (ret)
		return ret;
	o.size = a.size;
	o.base = a.base;
	o.desc = a.desc;
	o.driver = a.driver;
	o.device = a.device;
	return vhk_ring_new(&r->dev, n->mem, &o);
}

static int epoll_begin(struct notify *n)
{
	unsigned int i;
	int ret = 0;

	n->kicks = epoll_create1(EPOLL_CLOEXEC);
	if (n->kicks < 0)
		return -errno;
	for (i = 0; i < n->o.n_rings && !ret; i++)
		ret = epoll_ring(n, i);
	if (!ret)
		ret = -pthread_create(&n->thread, NULL, epoll_run, n);
	n->started = !ret;
	return ret;
}

static void epoll_end(struct notify *n)
{
	unsigned int i;

	for (i = 0; i < n->o.n_rings; i++) {
		struct notify_ring *r = &n->ring[i];

		vhk_ring_free(r->dev);
		if (r->kick_fd >= 0)
			close(r->kick_fd);
		if (r->call_fd >= 0)
			close(r->call_fd);
	}
	if (n->kicks >= 0)
		close(n->kicks);
}

static void device_work(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	struct notify *notify = priv;
	unsigned int i;

	atomic_store_explicit(&notify->came, now_ns(), memory_order_relaxed);
	for (i = 0; i < n; i++)
		vhk_queue_done(q, chains[i], 1);
}

static void *loop_run(void *arg)
{
	struct notify *n = arg;
	int ret;

	pin(n->o.back_cpu);
	ret = vhk_loop_run(n->loop);
	if (ret)
		atomic_store(&n->err, ret);
	vhk_backend_close(n->back);
	return NULL;
}

/* What /dev/vhostkit says where it is not there, not for us, or too old. */
static bool is_no_way_here(int ret)
{
	return ret == -ENOENT || ret == -ENODEV || ret == -ENXIO || ret == -EACCES ||
	       ret == -EPERM || ret == -ENOTTY;
}

static int make_device(struct notify *n)
{
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = device_work };
	const struct vhk_device_info info = {
		.sz = sizeof(info),
		.features = VHK_F_RING_ALL,
		.n_queues = (uint16_t)n->o.n_rings,
		.queue_size = RING_SIZE,
	};
	struct vhk_loop_opts o = {
		.sz = sizeof(o),
		.poll_ns = n->o.way == NOTIFY_SPIN ? 0 : UINT64_MAX,
		.notify = n->o.way == NOTIFY_MUX ? VHK_LOOP_NOTIFY_MUX : VHK_LOOP_NOTIFY_POLL,
	};
	int ret = vhk_loop_new(&n->loop, &o);

	if (n->o.way == NOTIFY_MUX && is_no_way_here(ret))
		return -ENODEV;
	return ret ? ret : vhk_device_new(&n->dev, &info, &ops, n);
}

static int connect_ends(struct notify *n)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .log = say_log() };
	char uri[16];
	int ret, sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return -errno;
	ret = vhk_backend_take_fd(&n->back, n->loop, n->dev, sv[0], NULL);
	if (!ret)
		ret = -pthread_create(&n->thread, NULL, loop_run, n);
	n->started = !ret;
	if (ret) {
		close(sv[1]);
		return ret;
	}
	snprintf(uri, sizeof(uri), "fd:%d", sv[1]);
	return vhk_ctl_open(&n->ctl, uri, &o);
}

static int loop_begin(struct notify *n)
{
	struct vhk_vq *q[NOTIFY_RINGS_MAX];
	unsigned int i;
	int ret = make_device(n);

	if (!ret)
		ret = connect_ends(n);
	if (!ret)
		ret = vhk_ctl_setup(n->ctl, features_of(&n->o), features_of(&n->o), n->mem);
	for (i = 0; i < n->o.n_rings; i++)
		q[i] = n->ring[i].vq;
	if (!ret)
		ret = vhk_ctl_start_all(n->ctl, q, n->o.n_rings);
	for (i = 0; i < n->o.n_rings && !ret; i++) {
		n->ring[i].kick_fd = vhk_ctl_kick_fd(n->ctl, i);
		n->ring[i].call_fd = vhk_ctl_call_fd(n->ctl, i);
	}
	return ret;
}

static void loop_end(struct notify *n)
{
	if (n->back && !n->started)
		vhk_backend_close(n->back);
	vhk_device_free(n->dev);
	vhk_loop_free(n->loop);
}

/* One block of guest memory for all rings, with a buffer behind each. */
static int make_rings(struct notify *n)
{
	struct vhk_vq_opts o = { .sz = sizeof(o),
				 .size = RING_SIZE,
				 .features = features_of(&n->o) };
	const size_t each = vhk_vq_bytes(&o) + BUF_BYTES;
	unsigned int i;
	void *at;
	int ret = vhk_mem_new(&n->mem);

	if (!ret)
		ret = vhk_mem_alloc(n->mem, (struct vhk_gpa){ 0 }, each * n->o.n_rings, &at);
	for (i = 0; i < n->o.n_rings && !ret; i++) {
		o.block = (char *)at + i * each;
		n->ring[i].buf = (char *)o.block + each - BUF_BYTES;
		ret = vhk_vq_new(&n->ring[i].vq, n->mem, &o);
	}
	return ret;
}

/* As drivers wait for interrupts: each call is one, and nothing is read. */
static int watch_calls(struct notify *n)
{
	unsigned int i;

	n->calls = epoll_create1(EPOLL_CLOEXEC);
	if (n->calls < 0)
		return -errno;
	for (i = 0; i < n->o.n_rings; i++) {
		struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u32 = i };

		if (epoll_ctl(n->calls, EPOLL_CTL_ADD, n->ring[i].call_fd, &ev))
			return -errno;
	}
	return 0;
}

int notify_open(struct notify **out, const struct notify_opts *o)
{
	struct notify *n = calloc(1, sizeof(*n));
	unsigned int i;
	int ret;

	*out = NULL;
	if (!n)
		return say_error(-ENOMEM, "bench notify");
	n->o = *o;
	n->kicks = n->calls = -1;
	for (i = 0; i < o->n_rings; i++)
		n->ring[i].kick_fd = n->ring[i].call_fd = -1;
	pin(o->driver_cpu);
	ret = make_rings(n);
	if (!ret)
		ret = o->way == NOTIFY_EPOLL ? epoll_begin(n) : loop_begin(n);
	if (!ret)
		ret = watch_calls(n);
	if (!ret) {
		*out = n;
		return 0;
	}
	notify_close(n);
	if (o->way == NOTIFY_MUX && ret == -ENODEV)
		return ret;
	return say_error(ret, "bench notify: %u queues", o->n_rings);
}

void notify_close(struct notify *n)
{
	unsigned int i;

	if (!n)
		return;
	if (n->ctl)
		vhk_ctl_close(n->ctl);
	atomic_store(&n->over, true);
	if (n->started && n->loop)
		vhk_loop_stop(n->loop);
	if (n->started)
		pthread_join(n->thread, NULL);
	if (n->o.way == NOTIFY_EPOLL)
		epoll_end(n);
	else
		loop_end(n);
	if (n->calls >= 0)
		close(n->calls);
	for (i = 0; i < n->o.n_rings; i++)
		vhk_vq_free(n->ring[i].vq);
	vhk_mem_free(n->mem);
	free(n);
}

int notify_add(struct notify *n, unsigned int ring)
{
	struct notify_ring *r = &n->ring[ring];
	const struct iovec seg[2] = { { r->buf, REQUEST_BYTES },
				      { (char *)r->buf + REQUEST_BYTES, REQUEST_BYTES } };

	return vhk_vq_add(r->vq, seg, 1, 1, NULL);
}

int notify_kick(struct notify *n, unsigned int ring)
{
	const uint64_t one = 1;

	return write(n->ring[ring].kick_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -errno;
}

uint64_t notify_cpu_ns(const struct notify *n)
{
	struct timespec ts;
	clockid_t clock;

	if (pthread_getcpuclockid(n->thread, &clock) || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t notify_syscalls(const struct notify *n)
{
	struct vhk_loop_stats s;

	if (n->o.way == NOTIFY_EPOLL)
		return atomic_load_explicit(&n->syscalls, memory_order_relaxed);
	vhk_loop_stats(n->loop, &s);
	return s.syscalls;
}
