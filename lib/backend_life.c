// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The life of a session: it begins with a connection, waits for changes that a request asked the
 * device for, and ends when its queues have stopped.
 */
#include <sys/epoll.h>

#include "backend_over.h"

#define PATIENCE_NS 5000000000u

static void session_impatient(void *arg)
{
	struct vhk_session *s = arg;

	s->patience = 0;
	vhk_session_log(s, VHK_LOG_WARN,
			"%s waits for requests that are not completed, or for memory",
			s->state == VHK_SESSION_ENDING ? "the next session" : s->row->name);
}

static void session_wait(struct vhk_session *s, enum vhk_session_state state)
{
	s->patience = vhk_loop_add_timer(s->backend->ctl, PATIENCE_NS, session_impatient, s);
	s->state = state;
}

static void session_calm(struct vhk_session *s)
{
	if (s->patience > 0)
		vhk_loop_del_timer(s->backend->ctl, s->patience);
	s->patience = 0;
}

int vhk_session_wait(struct vhk_session *s, int ret, vhk_session_finish_fn *finish)
{
	if (ret < 0)
		return ret;
	s->finish = finish;
	if (s->state != VHK_SESSION_WAITING)
		session_wait(s, VHK_SESSION_WAITING);
	return VHK_SESSION_LATER;
}

static void session_fini(struct vhk_session *s)
{
	unsigned int i;

	vhk_sock_fini(&s->sock);
	vhk_session_drop_channel(s);
	vhk_session_drop_inflight(s);
	vhk_session_abandon_postcopy(s);
	vhk_session_drop_log(s);
	vhk_session_drop_state(s);
	vhk_mem_free(s->mem);
	vhk_msg_fini(&s->req);
	vhk_msg_fini(&s->reply);
	if (s->ring)
		vhk_session_fini_inband(s);
	for (i = 0; s->ring && i < s->st.n_queues; i++) {
		vhk_notify_fini(&s->ring[i].call);
		vhk_notify_fini(&s->ring[i].err);
		vhk_session_stop_waiting(s, i);
	}
	vhk_session_drop_iotlb(s);
	free(s->ring);
	memset(s, 0, sizeof(*s));
}

static void session_stopped(void *arg, int ret, uint32_t base)
{
	struct vhk_session *s = arg;
	struct vhk_backend *b = s->backend;
	bool served = s->n_served;

	(void)ret;
	(void)base;
	session_calm(s);
	session_fini(s);
	vhk_backend_session_gone(b, served);
}

void vhk_session_stop(struct vhk_session *s)
{
	int ret;

	session_wait(s, VHK_SESSION_ENDING);
	ret = vhk_device_stop_all(s->backend->dev, session_stopped, s);
	if (ret)
		vhk_session_log(s, VHK_LOG_ERROR, "queues cannot be stopped: %s",
				strerrordesc_np(-ret));
}

static bool session_torn(const struct vhk_session *s)
{
	return vhk_table_torn(s->mem->table) ||
	       (s->inflight.mem && vhk_table_torn(s->inflight.mem->table));
}

static void session_end(struct vhk_session *s, enum vhk_log_level level, const char *why)
{
	if (s->state == VHK_SESSION_NONE || s->state == VHK_SESSION_ENDING)
		return;
	if (s->doomed)
		return;
	s->doomed = true;
	vhk_session_untime(s);
	vhk_session_unwatch(s);
	/* Who waits for a page that nobody will bring would never drain. */
	if (vhk_session_abandon_postcopy(s)) {
		vhk_session_log(s, VHK_LOG_WARN,
				"session ends before all memory has arrived: %s", why);
		goto drain;
	}
	/* A front end that hears of it from its ring may hang up before the error is here. */
	if (session_torn(s)) {
		level = VHK_LOG_WARN;
		why = "a file of its memory was cut short";
	}
	if (s->backend->take)
		vhk_take_note(s, -ENOTCONN, NULL, why);
	else if (why)
		vhk_session_log(s, level, "session ends: %s", why);
drain:
	vhk_device_hurry(s->backend->dev);
	vhk_session_drop_state(s);
	/* The socket stays open until the queues have stopped: who sees it close may send the same
	 * requests elsewhere. */
	if (s->state == VHK_SESSION_READY)
		vhk_session_stop(s);
	else if (s->state == VHK_SESSION_GIVEN)
		vhk_give_session_ends(s->backend->give);
}

void vhk_session_end(struct vhk_session *s, const char *why)
{
	session_end(s, VHK_LOG_INFO, why);
}

void vhk_session_fail(struct vhk_session *s, const char *why)
{
	session_end(s, VHK_LOG_WARN, why);
}

void vhk_session_changed(void *arg, int ret, uint32_t base)
{
	struct vhk_session *s = arg;

	if (s->finish)
		ret = s->finish(s, ret, base);
	if (ret == VHK_SESSION_LATER)
		return;
	session_calm(s);
	if (s->doomed) {
		vhk_session_stop(s);
		return;
	}
	vhk_session_answer(s, ret);
	vhk_session_watch(s);
}

static int session_init(struct vhk_session *s, struct vhk_backend *b)
{
	unsigned int i;
	int ret;

	s->backend = b;
	vhk_session_init_channel(s);
	vhk_session_init_postcopy(s);
	vhk_session_init_log(s);
	s->moved = -ENODATA;
	vhk_msg_init(&s->req, 0, 0);
	vhk_msg_init(&s->reply, 0, 0);
	vhk_backend_offer(b, &s->st);
	ret = vhk_mem_new(&s->mem);
	if (ret)
		return ret;
	s->ring = calloc(s->st.n_queues, sizeof(*s->ring));
	if (!s->ring)
		return -ENOMEM;
	for (i = 0; i < s->st.n_queues; i++)
		s->ring[i].call.fd = s->ring[i].err.fd = s->ring[i].kick = -1;
	vhk_session_init_inband(s);
	return 0;
}

int vhk_session_begin_take_fd(struct vhk_backend *b, int fd)
{
	struct vhk_session *s = &b->s;
	int ret;

	vhk_sock_init_take_fd(&s->sock, fd);
	ret = session_init(s, b);
	if (!ret)
		ret = vhk_loop_add_fd(b->ctl, fd, EPOLLIN, vhk_session_event, s);
	if (ret) {
		session_fini(s);
		return ret;
	}
	s->watched = true;
	s->events = EPOLLIN;
	s->state = VHK_SESSION_READY;
	if (!b->take)
		vhk_session_log(s, VHK_LOG_INFO, "front end connected");
	return 0;
}
