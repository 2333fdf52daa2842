// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Sources whose kicks and calls go through a multiplexer of the kernel module: which of its rings
 * is whose, when there is one at all, and the calls of a round.
 *
 * One ring alone gains nothing by it, so the first few are polled as without it.
 */
#include <sys/epoll.h>

#include "loop_impl.h"
#include "notify_mux.h"

#define RINGS 256
#define WORDS (RINGS / 64)
#define POLLED 2     /* so many are polled before one is asked for */
#define CALLS_MAX 32 /* staged; a round of many rings is long */

struct vhk_loop_mux {
	struct vhk_mux mux;
	uint32_t poll; /* of its fd: it only wakes */
	unsigned int n;
	struct vhk_source *source[RINGS];
};

static int start(struct vhk_loop *l)
{
	struct vhk_poll p = { .kind = VHK_POLL_WAKE, .events = EPOLLIN };
	struct vhk_loop_mux *x = calloc(1, sizeof(*x));
	int ret;

	if (!x)
		return -ENOMEM;
	ret = vhk_mux_open(&x->mux, l->notify_fd, RINGS);
	if (ret)
		goto err_free;
	p.fd = x->mux.fd;
	ret = vhk_poll_add(l, &p, &x->poll);
	if (ret)
		goto err_close;
	l->mux = x;
	vhk_log(&l->log, VHK_LOG_INFO, "loop: kicks and calls by /dev/vhostkit");
	return 0;

err_close:
	vhk_mux_close(&x->mux);
err_free:
	free(x);
	return ret;
}

int vhk_loop_mux_init(struct vhk_loop *l, const struct vhk_loop_opts *o)
{
	if (o->notify > VHK_LOOP_NOTIFY_POLL || o->notify_fd < 0)
		return -EINVAL;
	l->notify_fd = o->notify_fd ? o->notify_fd : -1;
	l->notify = o->notify;
	if (l->notify == VHK_LOOP_NOTIFY_MUX)
		return start(l);
	return 0;
}

/* When no poll of it is left. */
void vhk_loop_mux_free(struct vhk_loop *l)
{
	if (!l->mux)
		return;
	vhk_mux_close(&l->mux->mux);
	free(l->mux);
	l->mux = NULL;
}

/* The fd is asked for no more often than once: what is refused is polled from then on. */
static bool is_wanted(struct vhk_loop *l)
{
	if (l->mux)
		return true;
	if (l->notify != VHK_LOOP_NOTIFY_AUTO || l->n_polled < POLLED)
		return false;
	if (start(l))
		l->notify = VHK_LOOP_NOTIFY_POLL;
	return l->mux;
}

int vhk_loop_mux_watch(struct vhk_loop *l, struct vhk_source *s, int fd, uint32_t *out)
{
	struct vhk_loop_mux *x;
	uint32_t i;
	int ret;

	if (!is_wanted(l))
		return -ENOENT;
	x = l->mux;
	for (i = 0; i < RINGS && x->source[i]; i++)
		;
	if (i == RINGS)
		return -ENOENT;
	ret = vhk_mux_bind(&x->mux, i, fd, -1);
	/*
	 * No eventfd, or no room: it may be polled all the same. A kick from before is looked for.
	 */
	if (ret < 0)
		return -ENOENT;
	x->source[i] = s;
	x->n++;
	*out = i;
	return 0;
}

void vhk_loop_mux_unwatch(struct vhk_loop *l, struct vhk_source *s, uint32_t ring)
{
	struct vhk_loop_mux *x = l->mux;

	/* The calls are bound to the same ring. */
	if (s->calls_ring == ring)
		vhk_loop_mux_forget_call(l, s);
	vhk_mux_unbind_kick(&x->mux, ring);
	x->source[ring] = NULL;
	x->n--;
}

void vhk_loop_mux_set_call(struct vhk_loop *l, struct vhk_source *s)
{
	if (s->ring != VHK_NO_RING && !vhk_mux_bind(&l->mux->mux, s->ring, -1, s->call_fd))
		s->calls_ring = s->ring;
}

/* With what is staged, which would find no eventfd any more. */
void vhk_loop_mux_forget_call(struct vhk_loop *l, struct vhk_source *s)
{
	vhk_loop_mux_send(l);
	vhk_mux_unbind_call(&l->mux->mux, s->calls_ring);
	s->calls_ring = VHK_NO_RING;
}

void vhk_loop_mux_stage_call(struct vhk_loop *l, struct vhk_source *s)
{
	vhk_mux_stage(&l->mux->mux, s->calls_ring);
	if (l->mux->mux.n_staged >= CALLS_MAX)
		vhk_loop_mux_send(l);
}

void vhk_loop_mux_send(struct vhk_loop *l)
{
	if (l->mux)
		vhk_loop_note_syscalls(l, vhk_mux_send(&l->mux->mux));
}

bool vhk_loop_mux_peek(const struct vhk_loop *l)
{
	unsigned int w;

	for (w = 0; l->mux && w < WORDS; w++)
		if (__atomic_load_n(&l->mux->mux.kicks[w], __ATOMIC_RELAXED))
			return true;
	return false;
}

static unsigned int kick(struct vhk_loop *l, unsigned int ring)
{
	struct vhk_source *s = l->mux->source[ring];

	/* Unbound meanwhile. */
	if (!s)
		return 0;
	vhk_source_kick(l, s, EPOLLIN);
	return 1;
}

unsigned int vhk_loop_mux_reap(struct vhk_loop *l)
{
	unsigned int w, n = 0;
	uint64_t bits;

	for (w = 0; l->mux && w < WORDS; w++)
		for (bits = vhk_mux_take(&l->mux->mux, w); bits; bits &= bits - 1)
			n += kick(l, w * 64 + (unsigned int)__builtin_ctzll(bits));
	return n;
}
