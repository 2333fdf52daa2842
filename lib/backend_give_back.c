// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The way back from a hand-over that came to nothing: rings that rest start again, and the front
 * end's requests are read.
 */
#include "backend_give.h"
#include "fd.h"

/* The session, if there is one, goes on here. */
static void go_on(struct vhk_give *g)
{
	struct vhk_backend *b = g->backend;
	struct vhk_session *s = &b->s;

	g->state = GIVE_IDLE;
	vhk_device_share(b->dev, false);
	if (!b->closing)
		vhk_give_listen(g);
	if (!g->session) {
		if (!b->closing)
			vhk_backend_next(b);
		return;
	}
	if (s->doomed) {
		vhk_session_stop(s);
		return;
	}
	vhk_session_resume_channel(s);
	vhk_backend_watch(b);
	s->state = VHK_SESSION_READY;
	vhk_session_rewatch(s);
}

static void resume_next(struct vhk_give *g);

static void not_resumed(struct vhk_session *s, unsigned int idx, int err)
{
	vhk_session_log(s, VHK_LOG_ERROR, "queue %u does not start again: %s", idx,
			strerrordesc_np(-err));
	s->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	vhk_session_stop_waiting(s, idx);
	vhk_notify_send(&s->ring[idx].err);
}

static void resumed(void *arg, int ret, uint32_t base)
{
	struct vhk_give *g = arg;

	(void)base;
	g->changing = false;
	if (ret)
		not_resumed(&g->backend->s, g->cursor - 1, ret);
	resume_next(g);
}

static int resume_ring(struct vhk_give *g, unsigned int idx)
{
	struct vhk_session *s = &g->backend->s;
	struct vhk_queue_setup q;
	int ret, fd = -1;

	ret = vhk_fd_duplicate(&fd, s->ring[idx].kick);
	if (!ret)
		ret = vhk_session_fill_setup(s, idx, fd, &q);
	if (!ret)
		ret = vhk_device_start_queue(s->backend->dev, idx, &q, resumed, g);
	return ret;
}

/* Rings that rest start again, from the cursor on, one by one. */
static void resume_next(struct vhk_give *g)
{
	struct vhk_session *s = &g->backend->s;
	unsigned int idx;
	int ret;

	while (g->session && !s->doomed && g->cursor < s->st.n_queues) {
		idx = g->cursor++;
		if (!s->ring[idx].given)
			continue;
		s->ring[idx].given = false;
		ret = resume_ring(g, idx);
		if (!ret) {
			g->changing = true;
			return;
		}
		not_resumed(s, idx, ret);
	}
	go_on(g);
}

void vhk_give_back(struct vhk_give *g)
{
	g->state = GIVE_RESUME;
	g->cursor = 0;
	resume_next(g);
}
