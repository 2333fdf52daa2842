// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Sources: which of them are looked at every round, and which wait for a kick. An active source has
 * its kicks suppressed; a parked one has asked for them and costs nothing.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop_impl.h"

#define EMPTY_ROUNDS 8 /* without work, then a source is parked */
#define BUDGET 32      /* requests of one source in one round */
#define DRAIN_BYTES  4096
#define DRAINS	     256 /* at once: more than a socket or a pipe holds, mostly */

enum {
	SOURCE_OUT,
	SOURCE_ACTIVE,
	SOURCE_PARKED,
};

/* What a kick leaves in the fd, and how it is taken out so that the sender never finds it full. */
enum {
	DRAIN_NONE, /* an eventfd: counts, never read */
	DRAIN_PIPE,
	DRAIN_SOCKET,
};

void vhk_sources_init(struct vhk_loop *l)
{
	l->active.next = l->active.prev = &l->active;
}

static bool is_blind(const struct vhk_source *s)
{
	return s->slot == VHK_NO_POLL && s->ring == VHK_NO_RING && !s->hung_up;
}

static void append(struct vhk_loop *l, struct vhk_source *s)
{
	s->prev = l->active.prev;
	s->next = &l->active;
	s->prev->next = s;
	l->active.prev = s;
}

static void unlink_source(struct vhk_source *s)
{
	s->prev->next = s->next;
	s->next->prev = s->prev;
	s->next = s->prev = NULL;
}

static void leave_active(struct vhk_loop *l, struct vhk_source *s, uint8_t state)
{
	if (s->state == SOURCE_ACTIVE) {
		unlink_source(s);
		l->n_active--;
		l->n_blind -= s->blind;
	}
	s->blind = false;
	s->state = state;
}

static void activate(struct vhk_loop *l, struct vhk_source *s)
{
	s->empty = 0;
	s->vain = 0;
	if (s->state == SOURCE_ACTIVE)
		return;
	s->state = SOURCE_ACTIVE;
	s->blind = is_blind(s);
	l->n_blind += s->blind;
	l->n_active++;
	append(l, s);
	s->ops->disarm(s);
}

static uint8_t drain_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return DRAIN_NONE;
	if (S_ISFIFO(st.st_mode))
		return DRAIN_PIPE;
	return S_ISSOCK(st.st_mode) ? DRAIN_SOCKET : DRAIN_NONE;
}

/*
 * Without waiting, even where the fd is in blocking mode; for pipes before Linux 6.4, which do not
 * know RWF_NOWAIT, only as long as nobody else takes the bytes between the look and the read.
 */
static ssize_t drain_once(struct vhk_loop *l, const struct vhk_source *s)
{
	char bytes[DRAIN_BYTES];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct pollfd p = { .fd = s->kick_fd, .events = POLLIN };
	ssize_t n;

	vhk_loop_note_syscalls(l, 1);
	if (s->drain == DRAIN_SOCKET)
		return recv(s->kick_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	n = preadv2(s->kick_fd, &iov, 1, -1, RWF_NOWAIT);
	if (n >= 0 || errno != EOPNOTSUPP)
		return n;
	vhk_loop_note_syscalls(l, 2);
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLIN))
		n = read(s->kick_fd, bytes, sizeof(bytes));
	return n;
}

/* A peer that finds it full does not write, and what was there is told no second time. */
static void drain(struct vhk_loop *l, const struct vhk_source *s)
{
	unsigned int i;

	if (s->drain == DRAIN_NONE)
		return;
	for (i = 0; i < DRAINS && drain_once(l, s) >= DRAIN_BYTES; i++)
		;
}

static int watch_kick(struct vhk_loop *l, struct vhk_source *s, int fd)
{
	struct vhk_poll p = { .kind = VHK_POLL_KICK, .fd = fd, .events = EPOLLIN, .source = s };
	uint32_t i = VHK_NO_POLL, ring = VHK_NO_RING;
	int ret = -ENOENT;

	if (fd >= 0)
		ret = vhk_loop_mux_watch(l, s, fd, &ring);
	if (ret)
		ret = fd < 0 ? 0 : vhk_poll_add(l, &p, &i);
	if (ret)
		return ret;
	l->n_polled += i != VHK_NO_POLL;
	s->kick_fd = fd;
	s->slot = i;
	s->ring = ring;
	s->hung_up = false;
	s->drain = fd >= 0 ? drain_of(fd) : (uint8_t)DRAIN_NONE;
	return 0;
}

/* The way that @s had, which is @s's no more: @slot, @ring. */
static void unwatch_kick(struct vhk_loop *l, struct vhk_source *s, uint32_t slot, uint32_t ring)
{
	if (slot != VHK_NO_POLL) {
		vhk_poll_del(l, slot);
		l->n_polled--;
	}
	if (ring != VHK_NO_RING)
		vhk_loop_mux_unwatch(l, s, ring);
}

int vhk_loop_add_source(struct vhk_loop *l, struct vhk_source *s)
{
	int ret;

	s->call_fd = -1;
	s->calls_ring = VHK_NO_RING;
	s->call_slot = VHK_NO_SLOT;
	s->state = SOURCE_OUT;
	s->blind = false;
	s->staged = false;
	ret = watch_kick(l, s, s->kick_fd);
	if (ret)
		return ret;
	activate(l, s);
	vhk_loop_touch(l);
	return 0;
}

void vhk_loop_del_source(struct vhk_loop *l, struct vhk_source *s)
{
	leave_active(l, s, SOURCE_OUT);
	if (s->staged)
		l->n_staged--;
	s->staged = false;
	vhk_loop_forget_call(l, s);
	unwatch_kick(l, s, s->slot, s->ring);
	s->slot = VHK_NO_POLL;
	s->ring = VHK_NO_RING;
	if (l->current == s)
		l->current = NULL;
	s->ops->gone(s);
}

int vhk_loop_set_kick(struct vhk_loop *l, struct vhk_source *s, int kick_fd)
{
	uint32_t old = s->slot, ring = s->ring;
	int ret;

	/* An fd number is watched once only. */
	if (kick_fd >= 0 && kick_fd == s->kick_fd) {
		unwatch_kick(l, s, old, ring);
		old = s->slot = VHK_NO_POLL;
		ring = s->ring = VHK_NO_RING;
	}
	ret = watch_kick(l, s, kick_fd);
	if (!ret)
		unwatch_kick(l, s, old, ring);
	vhk_loop_set_call(l, s, s->call_fd);
	/* The driver may have kicked neither: look. */
	leave_active(l, s, SOURCE_PARKED);
	activate(l, s);
	vhk_loop_touch(l);
	return ret;
}

void vhk_loop_activate(struct vhk_loop *l, struct vhk_source *s)
{
	if (s->state == SOURCE_OUT)
		return;
	activate(l, s);
	vhk_loop_touch(l);
}

void vhk_loop_staged(struct vhk_loop *l, struct vhk_source *s)
{
	if (s->state == SOURCE_OUT)
		return;
	l->n_staged += !s->staged;
	s->staged = true;
	activate(l, s);
	vhk_loop_touch(l);
}

void vhk_source_kick(struct vhk_loop *l, struct vhk_source *s, uint32_t events)
{
	l->n_learn++;
	drain(l, s);
	if ((events & (EPOLLHUP | EPOLLERR)) && s->drain != DRAIN_NONE) {
		/* No kick will come any more: one last look. */
		unwatch_kick(l, s, s->slot, VHK_NO_RING);
		s->slot = VHK_NO_POLL;
		s->hung_up = true;
	}
	activate(l, s);
	s->ops->kicked(s);
}

void vhk_source_lose_kick(struct vhk_loop *l, struct vhk_source *s)
{
	vhk_log(&l->log, VHK_LOG_WARN, "loop: kick fd %d cannot be watched: looking by timer",
		s->kick_fd);
	unwatch_kick(l, s, s->slot, VHK_NO_RING);
	s->slot = VHK_NO_POLL;
	leave_active(l, s, SOURCE_PARKED);
	activate(l, s);
}

static void flush_source(struct vhk_loop *l, struct vhk_source *s)
{
	s->staged = false;
	l->n_staged--;
	s->ops->flush(s);
}

/* False: work is there. */
static bool park(struct vhk_loop *l, struct vhk_source *s)
{
	bool more = s->ops->arm(s);

	if (l->current != s)
		return true;
	/*
	 * A source that has work and does not take it, again and again, holds back: it is parked
	 * until it stages.
	 */
	if (more && s->vain++ < EMPTY_ROUNDS) {
		s->ops->disarm(s);
		s->empty = 0;
		return false;
	}
	leave_active(l, s, SOURCE_PARKED);
	return true;
}

/*
 * Takes up to BUDGET requests, published by the quantum. Storage that answers while it is asked is
 * asked by the quantum, too: the driver has its first answers while the rest is read.
 */
static unsigned int work(struct vhk_loop *l, struct vhk_source *s)
{
	unsigned int n, sum = 0, quantum = vhk_loop_quantum(l);

	l->current = s;
	do {
		n = s->ops->work(s, quantum);
		sum += n;
		if (n && l->n_io && l->prompt)
			vhk_loop_hand_over(l, false);
		if (l->current == s && s->staged)
			flush_source(l, s);
	} while (l->current == s && n >= quantum && sum < BUDGET);
	if (l->current != s)
		return sum;
	if (sum) {
		s->empty = 0;
		s->vain = 0;
		l->blind_worked |= s->blind;
	} else if (s->blind) {
		s->vain += s->vain < EMPTY_ROUNDS && s->ops->ready(s);
	} else if (++s->empty >= EMPTY_ROUNDS) {
		park(l, s);
	}
	l->current = NULL;
	return sum;
}

unsigned int vhk_sources_work(struct vhk_loop *l)
{
	unsigned int i, n = l->n_active, sum = 0;
	struct vhk_source *s;

	for (i = 0; i < n && l->n_active; i++) {
		s = l->active.next;
		unlink_source(s);
		append(l, s);
		sum += work(l, s);
	}
	l->n_learn += sum;
	l->depth = vhk_max(sum, l->depth - (l->depth + 7) / 8);
	return sum;
}

/* A blind source that holds back is looked at by timer only. */
static bool is_ready(const struct vhk_source *s)
{
	return (!s->blind || s->vain < EMPTY_ROUNDS) && s->ops->ready(s);
}

bool vhk_sources_ready(const struct vhk_loop *l)
{
	const struct vhk_source *s;

	for (s = l->active.next; s != &l->active; s = s->next)
		if (is_ready(s))
			return true;
	return false;
}

bool vhk_sources_arm(struct vhk_loop *l)
{
	unsigned int i, n = l->n_active;
	struct vhk_source *s;
	bool quiet = true;

	for (i = 0; i < n && l->n_active; i++) {
		s = l->active.next;
		unlink_source(s);
		append(l, s);
		l->current = s;
		if (s->blind)
			quiet &= !is_ready(s);
		else
			quiet &= park(l, s);
	}
	l->current = NULL;
	return quiet;
}

void vhk_sources_flush(struct vhk_loop *l)
{
	unsigned int i, n = l->n_active;
	struct vhk_source *s;

	for (i = 0; i < n && l->n_staged; i++) {
		s = l->active.next;
		unlink_source(s);
		append(l, s);
		if (s->staged)
			flush_source(l, s);
	}
}

unsigned int vhk_loop_quantum(const struct vhk_loop *l)
{
	unsigned int q = vhk_max(l->n_io, l->depth) / 2;

	return vhk_min(vhk_max(q, 4u), 32u);
}
