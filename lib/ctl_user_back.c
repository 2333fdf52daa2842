// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The back-end channel (vhost-user, "Back-end message types"): the back end asks, we answer, also
 * while we wait for an answer of its own. A channel that is misused is closed; the connection
 * itself goes on.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "ctl_user.h"

/* Requests served in one go, so that a peer that asks without end cannot keep us. */
#define BURST 64

static int back_begin_take_fd(struct vhk_ctl_user *u, int fd)
{
	int ret = vhk_ctl_watch(&u->c, fd, EPOLLIN, VHK_CTL_TAG_BACK);

	if (ret) {
		close(fd);
		return ret;
	}
	vhk_sock_init_take_fd(&u->back, fd);
	u->back_up = true;
	u->back_events = EPOLLIN;
	return 0;
}

static void back_end(struct vhk_ctl_user *u)
{
	if (!u->back_up)
		return;
	vhk_ctl_unwatch(&u->c, u->back.fd);
	vhk_sock_fini(&u->back);
	u->back_up = false;
	vhk_ctl_user_lent_drop(&u->lent, &u->c);
}

static void drop_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The first one is served at once. One that works goes on until the next is accepted. */
int vhk_ctl_user_back_open(struct vhk_ctl_user *u)
{
	int fd[2], ret;

	if (u->back_peer >= 0)
		return -EBUSY;
	ret = vhk_sock_pair(fd);
	if (ret)
		return ret;
	u->back_peer = fd[1];
	if (u->back_up) {
		u->back_next = fd[0];
		return 0;
	}
	ret = back_begin_take_fd(u, fd[0]);
	if (ret)
		drop_fd(&u->back_peer);
	return ret;
}

void vhk_ctl_user_back_settle(struct vhk_ctl_user *u, int ret)
{
	int next = u->back_next;

	drop_fd(&u->back_peer);
	if (ret && next >= 0) {
		drop_fd(&u->back_next);
		return;
	}
	u->back_next = -1;
	if (ret || next >= 0)
		back_end(u);
	if (next >= 0 && back_begin_take_fd(u, next))
		vhk_log(&u->c.log, VHK_LOG_WARN, "back-end channel closed: it cannot be watched");
}

void vhk_ctl_user_back_close(struct vhk_ctl_user *u)
{
	drop_fd(&u->back_peer);
	drop_fd(&u->back_next);
	back_end(u);
}

/* @why: what made it end. */
static void back_lost(struct vhk_ctl_user *u, int why)
{
	const char *text = strerror(-why);

	if (why == -ENOTCONN)
		text = "it hung up";
	else if (why == -ENOBUFS)
		text = "it does not read its answers";
	else if (why == -EBADMSG)
		text = "it answered what was not asked";
	else if (why == -EPROTO)
		text = u->back.cut ? "it hung up in the middle of a message" :
				     "what it sent is no message";
	vhk_log(&u->c.log, VHK_LOG_WARN, "back-end channel closed: %s", text);
	back_end(u);
}

/* @fd, the answer's, is closed here. */
static int back_answer(struct vhk_ctl_user *u, const struct vhk_msg *m, uint64_t v, int fd)
{
	const struct vhk_proto *row = vhk_proto_back_request(m->hdr.request);
	struct vhk_msg out;
	int ret;

	if (!(m->hdr.flags & VHK_MSG_NEED_REPLY) && (!row || row->reply == VHK_REPLY_NONE))
		return 0;
	vhk_msg_init(&out, m->hdr.request, VHK_MSG_VERSION | VHK_MSG_REPLY);
	out.u64 = v;
	out.hdr.size = sizeof(v);
	if (fd >= 0)
		out.fd[out.n_fds++] = fd;
	ret = vhk_sock_send(&u->back, &out);
	vhk_msg_fini(&out);
	return ret;
}

static void say_refused(struct vhk_ctl_user *u, uint32_t request, const char *why)
{
	const struct vhk_proto *row = vhk_proto_back_request(request);

	if (row && row->name)
		vhk_log_rationed(&u->c.log, &u->c.lines, VHK_LOG_WARN, "back end's %s refused: %s",
				 row->name, why);
	else
		vhk_log_rationed(&u->c.log, &u->c.lines, VHK_LOG_WARN,
				 "back end's request %u refused: %s", request, why);
}

/* 0: done, else what the refusal says. */
static uint64_t back_serve(struct vhk_ctl_user *u, struct vhk_msg *m, int *fd)
{
	struct vhk_proto_state st = u->st;
	const char *why = NULL;
	int ret;

	/* One that was not asked knows of no rings but those that it was told of. */
	if (!st.n_queues)
		st.n_queues = u->n_named;
	ret = vhk_proto_check_any(&st, m, true, &why);
	if (!ret) {
		ret = vhk_ctl_user_back_do(u, m, fd);
		why = ret == -EOPNOTSUPP ? "nobody serves it" : strerror(-ret);
	}
	if (ret >= 0)
		return 0;
	say_refused(u, m->hdr.request, why);
	return (uint64_t)-ret;
}

static int back_receive(struct vhk_ctl_user *u)
{
	struct vhk_msg m;
	int fd = -1, ret = vhk_sock_recv(&u->back, &m);
	uint64_t v;

	if (ret == -EBADF)
		return back_answer(u, &m, EPROTO, -1);
	if (ret)
		return ret;
	if (m.hdr.flags & VHK_MSG_REPLY) {
		ret = -EBADMSG;
	} else {
		v = back_serve(u, &m, &fd);
		ret = back_answer(u, &m, v, fd);
	}
	vhk_msg_fini(&m);
	return ret;
}

/*
 * Who asks for translations and takes none is not read: each would wait, with what it needs, for
 * the front end's deadline.
 */
static bool is_full(const struct vhk_ctl_user *u)
{
	return u->c.n_translations >= VHK_CTL_TRANSLATIONS_MAX;
}

void vhk_ctl_user_back_watch(struct vhk_ctl_user *u)
{
	uint32_t events;

	if (!u->back_up)
		return;
	events = (is_full(u) ? 0 : EPOLLIN) | (u->back.n_tx ? EPOLLOUT : 0);
	if (events != u->back_events)
		vhk_ctl_rewatch(&u->c, u->back.fd, events, VHK_CTL_TAG_BACK);
	u->back_events = events;
}

/* 0 or -EAGAIN: the channel goes on. */
static int back_serve_some(struct vhk_ctl_user *u, uint32_t events)
{
	int i, ret = events & EPOLLOUT ? vhk_sock_flush(&u->back) : 0;

	if (ret == -EAGAIN)
		ret = 0;
	for (i = 0; i < BURST && !ret && u->back_up && !is_full(u); i++)
		ret = back_receive(u);
	/* what it said last stays unread, since nothing would end this event otherwise */
	if (!ret && u->back_up && is_full(u) && events & (EPOLLHUP | EPOLLERR))
		ret = -ENOTCONN;
	return ret;
}

void vhk_ctl_user_back_event(struct vhk_ctl_user *u, uint32_t events)
{
	int ret;

	if (!u->back_up)
		return;
	ret = back_serve_some(u, events);
	if (u->back_up && ret && ret != -EAGAIN)
		back_lost(u, ret);
	vhk_ctl_user_back_watch(u);
}
