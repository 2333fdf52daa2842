// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The table of watched fds, for the caller's own (level-triggered), for kicks and for the loop's
 * wake-ups; signals, which are fds too.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "loop_impl.h"

#define POLLS_MAX (1u << 20)

uint32_t vhk_poll_find(const struct vhk_loop *l, uint64_t tag)
{
	uint32_t i = (uint32_t)tag >> 2;
	const struct vhk_poll *p = &l->polls[i];

	if (i >= l->n_polls || p->gen != tag >> 32 || p->gone)
		return VHK_NO_POLL;
	return p->kind == VHK_POLL_FREE ? VHK_NO_POLL : i;
}

static int grow(struct vhk_loop *l)
{
	uint32_t i, n = l->n_polls ? l->n_polls * 2 : 32;
	struct vhk_poll *p;

	if (n > POLLS_MAX)
		return -ENOMEM;
	p = realloc(l->polls, n * sizeof(*p));
	if (!p)
		return -ENOMEM;
	for (i = l->n_polls; i < n; i++)
		p[i] = (struct vhk_poll){ .kind = VHK_POLL_FREE,
					  .next = i + 1 < n ? i + 1 : VHK_NO_POLL };
	l->polls = p;
	l->free_poll = l->n_polls;
	l->n_polls = n;
	return 0;
}

int vhk_poll_add(struct vhk_loop *l, const struct vhk_poll *p, uint32_t *out)
{
	uint32_t i, gen;
	int ret;

	if (l->free_poll == VHK_NO_POLL) {
		ret = grow(l);
		if (ret)
			return ret;
	}
	i = l->free_poll;
	l->free_poll = l->polls[i].next;
	gen = l->polls[i].gen;
	l->polls[i] = *p;
	l->polls[i].gen = gen;
	ret = l->engine->watch(l, i);
	if (ret) {
		vhk_poll_put(l, i);
		return ret;
	}
	*out = i;
	return 0;
}

void vhk_poll_put(struct vhk_loop *l, uint32_t i)
{
	struct vhk_poll *p = &l->polls[i];

	p->gen++;
	p->kind = VHK_POLL_FREE;
	p->next = l->free_poll;
	l->free_poll = i;
}

void vhk_poll_del(struct vhk_loop *l, uint32_t i)
{
	l->polls[i].gone = true;
	l->engine->unwatch(l, i);
}

unsigned int vhk_poll_fire(struct vhk_loop *l, uint32_t i, uint32_t events)
{
	struct vhk_poll p = l->polls[i];

	switch (p.kind) {
	case VHK_POLL_KICK:
		vhk_source_kick(l, p.source, events);
		return 1;
	case VHK_POLL_FD:
		/* What was fetched before another callback changed them is asked for no more. */
		events &= p.events | EPOLLHUP | EPOLLERR;
		if (!events)
			return 0;
		p.fn(p.arg, events);
		return 1;
	case VHK_POLL_TIMER:
		return vhk_timers_fd_fired(l);
	default:
		return 0;
	}
}

static uint32_t find_fd(const struct vhk_loop *l, int fd)
{
	uint32_t i;

	for (i = 0; i < l->n_polls; i++)
		if (l->polls[i].kind == VHK_POLL_FD && l->polls[i].fd == fd && !l->polls[i].gone)
			return i;
	return VHK_NO_POLL;
}

int vhk_loop_add_fd(struct vhk_loop *l, int fd, uint32_t events, vhk_fd_fn *fn, void *arg)
{
	struct vhk_poll p = {
		.kind = VHK_POLL_FD, .fd = fd, .events = events, .fn = fn, .arg = arg
	};
	uint32_t i;
	int ret;

	if (!fn || fd < 0 || (events & ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR)))
		return -EINVAL;
	if (find_fd(l, fd) != VHK_NO_POLL)
		return -EBUSY;
	ret = vhk_poll_add(l, &p, &i);
	if (!ret)
		vhk_loop_touch(l);
	return ret;
}

int vhk_loop_mod_fd(struct vhk_loop *l, int fd, uint32_t events)
{
	uint32_t old, i = find_fd(l, fd);
	int ret;

	if (i == VHK_NO_POLL || (events & ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR)))
		return -EINVAL;
	old = l->polls[i].events;
	if (old == events)
		return 0;
	l->polls[i].events = events;
	ret = l->engine->rewatch(l, i);
	if (ret)
		l->polls[i].events = old;
	else
		vhk_loop_touch(l);
	return ret;
}

int vhk_loop_del_fd(struct vhk_loop *l, int fd)
{
	uint32_t i = find_fd(l, fd);

	if (i == VHK_NO_POLL)
		return -EINVAL;
	vhk_poll_del(l, i);
	return 0;
}

static void signal_fired(void *arg, uint32_t events)
{
	struct vhk_signal *s = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(s->fd, &info, sizeof(info)) == sizeof(info))
		s->fn(s->arg);
}

int vhk_loop_add_signal(struct vhk_loop *l, int signo, void (*fn)(void *arg), void *arg)
{
	struct vhk_signal *s;
	sigset_t set;
	int ret;

	sigemptyset(&set);
	if (!fn || sigaddset(&set, signo))
		return -EINVAL;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct vhk_signal){ .loop = l, .fn = fn, .arg = arg };
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ret = s->fd < 0 ? -errno : vhk_loop_add_fd(l, s->fd, EPOLLIN, signal_fired, s);
	if (!ret)
		ret = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!ret) {
		s->next = l->signals;
		l->signals = s;
		return 0;
	}
	if (s->fd >= 0) {
		vhk_loop_del_fd(l, s->fd);
		close(s->fd);
	}
	free(s);
	return ret;
}

static void stop_on_signal(void *arg)
{
	vhk_loop_stop(arg);
}

int vhk_loop_stop_on_signal(struct vhk_loop *l, int signo)
{
	return vhk_loop_add_signal(l, signo, stop_on_signal, l);
}

void vhk_signals_fini(struct vhk_loop *l)
{
	struct vhk_signal *s;

	while ((s = l->signals)) {
		l->signals = s->next;
		vhk_loop_del_fd(l, s->fd);
		close(s->fd);
		free(s);
	}
}
