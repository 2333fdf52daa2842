// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One-shot timers: a heap by time. In an embedded loop a timerfd carries the earliest one to the
 * foreign loop.
 */
#include <limits.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loop_impl.h"

uint64_t vhk_timers_next(const struct vhk_loop *l)
{
	return l->n_timers ? l->timers[0].at : VHK_NEVER;
}

static void put_at(struct vhk_loop *l, unsigned int i, struct vhk_timer t)
{
	struct vhk_timer *h = l->timers;
	unsigned int child;

	for (; i && h[(i - 1) / 2].at > t.at; i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	for (; (child = 2 * i + 1) < l->n_timers; i = child) {
		if (child + 1 < l->n_timers && h[child + 1].at < h[child].at)
			child++;
		if (h[child].at >= t.at)
			break;
		h[i] = h[child];
	}
	h[i] = t;
}

static void remove_at(struct vhk_loop *l, unsigned int i)
{
	struct vhk_timer last = l->timers[--l->n_timers];

	if (i < l->n_timers)
		put_at(l, i, last);
}

static bool handle_used(const struct vhk_loop *l, int handle)
{
	unsigned int i;

	for (i = 0; i < l->n_timers; i++)
		if (l->timers[i].handle == handle)
			return true;
	return false;
}

static int next_handle(struct vhk_loop *l)
{
	do {
		l->last_timer = l->last_timer == INT_MAX ? 1 : l->last_timer + 1;
	} while (handle_used(l, l->last_timer));
	return l->last_timer;
}

static int grow(struct vhk_loop *l)
{
	unsigned int room = l->room_timers ? l->room_timers * 2 : 16;
	struct vhk_timer *t = realloc(l->timers, room * sizeof(*t));

	if (!t)
		return -ENOMEM;
	l->timers = t;
	l->room_timers = room;
	return 0;
}

static void changed(struct vhk_loop *l)
{
	if (l->timer_fd >= 0 && !l->inside)
		vhk_timers_set_fd(l, vhk_timers_next(l));
}

int vhk_loop_add_timer(struct vhk_loop *l, uint64_t ns, vhk_timer_fn *fn, void *arg)
{
	struct vhk_timer t = { .fn = fn, .arg = arg };
	uint64_t now = vhk_now_ns();
	int ret;

	if (!fn)
		return -EINVAL;
	if (l->n_timers == l->room_timers) {
		ret = grow(l);
		if (ret)
			return ret;
	}
	t.at = ns < VHK_NEVER - 1 - now ? now + ns : VHK_NEVER - 1;
	t.handle = next_handle(l);
	put_at(l, l->n_timers++, t);
	changed(l);
	return t.handle;
}

int vhk_loop_del_timer(struct vhk_loop *l, int handle)
{
	unsigned int i;

	for (i = 0; i < l->n_timers; i++) {
		if (l->timers[i].handle != handle)
			continue;
		remove_at(l, i);
		changed(l);
		return 0;
	}
	return -EINVAL;
}

unsigned int vhk_timers_fire(struct vhk_loop *l)
{
	unsigned int n = 0, max = l->n_timers;
	struct vhk_timer t;
	uint64_t now;

	if (!max)
		return 0;
	now = vhk_now_ns();
	/* Those that a callback adds wait for the next round. */
	while (n < max && l->n_timers && l->timers[0].at <= now) {
		t = l->timers[0];
		remove_at(l, 0);
		t.fn(t.arg);
		n++;
	}
	return n;
}

unsigned int vhk_timers_fd_fired(struct vhk_loop *l)
{
	uint64_t count;

	if (read(l->timer_fd, &count, sizeof(count)) == sizeof(count))
		l->timer_fd_at = VHK_NEVER;
	return vhk_timers_fire(l);
}

int vhk_timers_init_fd(struct vhk_loop *l)
{
	struct vhk_poll p = { .kind = VHK_POLL_TIMER, .events = EPOLLIN };
	uint32_t i;

	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->timer_fd < 0)
		return -errno;
	l->timer_fd_at = VHK_NEVER;
	p.fd = l->timer_fd;
	return vhk_poll_add(l, &p, &i);
}

void vhk_timers_set_fd(struct vhk_loop *l, uint64_t at)
{
	struct itimerspec t = { 0 };

	if (at == l->timer_fd_at)
		return;
	if (at != VHK_NEVER) {
		t.it_value.tv_sec = (time_t)(at / 1000000000u);
		t.it_value.tv_nsec = (long)(at % 1000000000u) + !at;
	}
	if (!timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &t, NULL))
		l->timer_fd_at = at;
}
