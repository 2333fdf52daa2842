// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The vhost-user engine: requests leave in order, answers come back in the same order (vhost-user,
 * "Communication"), so the oldest request that expects one is whose answer it is. Each has its
 * deadline; nothing here waits.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ctl_user.h"

/*
 * Unanswered at once: answers fit a socket buffer of default size, and fds in flight stay far from
 * their limit.
 */
#define WINDOW 256
/* Answers taken in one go, so that a peer that talks without end cannot keep us. */
#define BURST WINDOW

void vhk_ctl_user_lists_init(struct vhk_ctl_user *u)
{
	u->unsent.first = u->sent.first = NULL;
	u->unsent.end = &u->unsent.first;
	u->sent.end = &u->sent.first;
}

static void list_add(struct vhk_ctl_user_list *l, struct vhk_ctl_user_slot *s)
{
	s->next = NULL;
	*l->end = s;
	l->end = &s->next;
}

static struct vhk_ctl_user_slot *list_take(struct vhk_ctl_user_list *l)
{
	struct vhk_ctl_user_slot *s = l->first;

	l->first = s->next;
	if (!l->first)
		l->end = &l->first;
	return s;
}

/* What the gates of later requests look at: as if accepted, from the moment it is asked for. */
static void settle(struct vhk_ctl_user *u, const struct vhk_ctl_req *r, struct vhk_ctl_user_slot *s)
{
	if (r->op == VHK_CTL_SET_FEATURES) {
		s->settled = true;
		s->former = u->st.features;
		u->st.features = r->u64;
		u->st.features_set = true;
	} else if (r->op == VHK_CTL_SET_PROTOCOL_FEATURES) {
		s->settled = true;
		s->former = u->st.protocol;
		u->st.protocol = r->u64;
		u->st.protocol_set = true;
	} else if (r->op == VHK_CTL_SET_OWNER) {
		u->st.owned = true;
	}
}

static struct vhk_ctl_user_slot *find_next(struct vhk_ctl_user_slot *l,
					   const struct vhk_ctl_user_slot *s)
{
	while (l && (l->op != s->op || !l->settled || l->n <= s->n))
		l = l->next;
	return l;
}

/* Once: an answer that comes after the deadline takes nothing back. */
static void unsettle(struct vhk_ctl_user *u, struct vhk_ctl_user_slot *s)
{
	struct vhk_ctl_user_slot *next;

	if (!s->settled)
		return;
	s->settled = false;
	next = find_next(u->sent.first, s);
	if (!next)
		next = find_next(u->unsent.first, s);
	/* What a later request has replaced is in force no more, but may be again. */
	if (next)
		next->former = s->former;
	else if (s->op == VHK_CTL_SET_FEATURES)
		u->st.features = s->former;
	else if (s->op == VHK_CTL_SET_PROTOCOL_FEATURES)
		u->st.protocol = s->former;
}

static void learn(struct vhk_ctl_user *u, const struct vhk_ctl_req *r)
{
	if (r->op == VHK_CTL_GET_SHMEM_CONFIG)
		vhk_ctl_user_lent_sizes(&u->lent, r->shmem);
	/* A reset takes what the device maps with it (vhost-user, BACKEND_SHMEM_MAP). */
	if (r->op == VHK_CTL_RESET_DEVICE || (r->op == VHK_CTL_SET_STATUS && !r->u64))
		vhk_ctl_user_lent_unmap(&u->lent, &u->c);
	if (r->op == VHK_CTL_GET_FEATURES)
		u->st.features_offered = r->u64;
	else if (r->op == VHK_CTL_GET_PROTOCOL_FEATURES)
		u->st.protocol_offered = r->u64;
	else if (r->op == VHK_CTL_GET_QUEUE_NUM)
		u->st.n_queues = (uint32_t)vhk_min(r->u64, UINT16_MAX + 1u);
}

/* Frees the slot and tells the caller; the request may be gone afterwards. */
static void finish(struct vhk_ctl_user *u, struct vhk_ctl_user_slot *s, int ret)
{
	struct vhk_ctl_req *r = s->req;

	if (ret)
		unsettle(u, s);
	else if (r)
		learn(u, r);
	if (s->op == VHK_CTL_SET_BACKEND_REQ_FD && r && r->fd < 0)
		vhk_ctl_user_back_settle(u, ret);
	free(s);
	if (!r)
		return;
	r->ret = ret;
	if (r->done)
		r->done(r);
}

static bool always_answered(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r)
{
	return vhk_proto_answers(&u->st, vhk_ctl_user_row(r->op));
}

static bool expects_answer(const struct vhk_ctl_user *u, const struct vhk_ctl_req *r)
{
	if (always_answered(u, r))
		return true;
	/* The message that negotiates acknowledgements comes before them, the first time. */
	return u->acks && !(r->flags & VHK_CTL_REQ_F_NO_ACK);
}

/* One message on its way, or finished. False: the socket takes no more. */
static bool send_one(struct vhk_ctl_user *u)
{
	struct vhk_ctl_req *r = u->unsent.first->req;
	bool answer = expects_answer(u, r);
	struct vhk_msg m;
	int ret;

	ret = vhk_ctl_user_encode(u, r, &m);
	if (!ret) {
		if (answer && (!always_answered(u, r) || vhk_ctl_user_row(r->op)->ask_always))
			m.hdr.flags |= VHK_MSG_NEED_REPLY;
		ret = vhk_sock_send(&u->sock, &m);
	}
	if (ret == -ENOBUFS)
		return false;
	if (ret == -ENOTCONN) {
		/* What it said before it hung up is still to be read. */
		u->deaf = true;
		return false;
	}
	if (!ret && r->op == VHK_CTL_SET_PROTOCOL_FEATURES)
		u->acks = r->u64 & VHK_PF_REPLY_ACK;
	if (!ret && answer) {
		list_add(&u->sent, list_take(&u->unsent));
		u->n_sent++;
	} else {
		finish(u, list_take(&u->unsent), ret);
	}
	return true;
}

void vhk_ctl_user_pump(struct vhk_ctl_user *u)
{
	uint32_t events;

	if (u->pumping)
		return;
	u->pumping = true;
	while (u->link == VHK_CTL_USER_UP && !u->deaf && u->unsent.first && u->n_sent < WINDOW &&
	       !u->sock.n_tx && send_one(u))
		;
	u->pumping = false;
	if (u->link != VHK_CTL_USER_UP)
		return;
	events = EPOLLIN | (u->sock.n_tx ? EPOLLOUT : 0);
	if (events != u->events)
		vhk_ctl_rewatch(&u->c, u->sock.fd, events, VHK_CTL_TAG_PEER);
	u->events = events;
	/* An answer to the back end that could not be sent has made room. */
	vhk_ctl_user_back_watch(u);
}

int vhk_ctl_user_submit(struct vhk_ctl *c, struct vhk_ctl_req *r, uint64_t deadline)
{
	bool back = r->op == VHK_CTL_SET_BACKEND_REQ_FD && r->fd < 0;
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);
	struct vhk_ctl_user_slot *s;
	int ret;

	if (u->link == VHK_CTL_USER_DOWN)
		return -ENOTCONN;
	if (!vhk_ctl_user_code_can(u, r->op))
		return -EOPNOTSUPP;
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	ret = back ? vhk_ctl_user_back_open(u) : 0;
	if (ret)
		goto err;
	ret = vhk_ctl_user_check(u, r);
	if (ret && back)
		vhk_ctl_user_back_settle(u, ret);
	if (ret)
		goto err;
	*s = (struct vhk_ctl_user_slot){
		.req = r,
		.op = r->op,
		.deadline = deadline,
		.n = u->n_asked++,
	};
	settle(u, r, s);
	list_add(&u->unsent, s);
	vhk_ctl_user_pump(u);
	return 0;
err:
	free(s);
	return ret;
}

/* Nobody waits for these any more, and @m answers none of them: they were never answered. */
static void forget_unanswered(struct vhk_ctl_user *u, const struct vhk_msg *m)
{
	struct vhk_ctl_user_slot *s;

	while ((s = u->sent.first) && !s->req && s->next &&
	       vhk_ctl_user_message(s->op) != m->hdr.request) {
		list_take(&u->sent);
		u->n_sent--;
		free(s);
	}
}

static int answered_badly(struct vhk_ctl_user *u, enum vhk_ctl_op op, const char *why)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", vhk_ctl_op_name(op), why);
	return vhk_ctl_user_lost(u, -EPROTO, text);
}

static int answered(struct vhk_ctl_user *u, struct vhk_msg *m)
{
	struct vhk_ctl_user_slot *s;
	const char *why = NULL;
	int ret;

	forget_unanswered(u, m);
	s = u->sent.first;
	if (!s)
		return vhk_ctl_user_lost(u, -EPROTO, "it answered what was not asked");
	ret = vhk_ctl_user_decode(s->op, s->req, m, &why);
	if (ret == -EPROTO)
		return answered_badly(u, s->op, why);
	list_take(&u->sent);
	u->n_sent--;
	finish(u, s, ret);
	return 0;
}

static int receive_one(struct vhk_ctl_user *u)
{
	struct vhk_msg m;
	int ret = vhk_sock_recv(&u->sock, &m);

	switch (ret) {
	case 0:
		ret = answered(u, &m);
		vhk_msg_fini(&m);
		return ret;
	case -EAGAIN:
		return ret;
	case -ENOTCONN:
		return vhk_ctl_user_lost(u, ret, "it hung up");
	case -EBADF:
		return vhk_ctl_user_lost(u, -EPROTO, "a message with fds that cannot be");
	default:
		if (u->sock.cut)
			return vhk_ctl_user_lost(u, -ENOTCONN,
						 "it hung up in the middle of a message");
		return vhk_ctl_user_lost(u, -EPROTO, "what it sent is no message");
	}
}

int vhk_ctl_user_receive(struct vhk_ctl_user *u)
{
	int i, ret = 0;

	for (i = 0; i < BURST && !ret && u->link == VHK_CTL_USER_UP; i++)
		ret = receive_one(u);
	vhk_ctl_user_pump(u);
	vhk_ctl_user_back_watch(u);
	return ret == -EAGAIN ? 0 : ret;
}

/* The first one of @l whose time is up and that somebody waits for. */
static struct vhk_ctl_user_slot **find_late(struct vhk_ctl_user_list *l, uint64_t now,
					   uint64_t *next)
{
	struct vhk_ctl_user_slot **at;

	for (at = &l->first; *at; at = &(*at)->next) {
		if (!(*at)->req)
			continue;
		if ((*at)->deadline <= now)
			return at;
		*next = vhk_min(*next, (*at)->deadline);
	}
	return NULL;
}

static void expire_unsent(struct vhk_ctl_user *u, struct vhk_ctl_user_slot **at)
{
	struct vhk_ctl_user_slot *s = *at;

	*at = s->next;
	if (!s->next)
		u->unsent.end = at;
	finish(u, s, -ETIMEDOUT);
}

/* Its answer may still come: the slot stays, to keep the others in step. */
static void expire_sent(struct vhk_ctl_user *u, struct vhk_ctl_user_slot *s)
{
	struct vhk_ctl_req *r = s->req;

	s->req = NULL;
	unsettle(u, s);
	if (s->op == VHK_CTL_SET_BACKEND_REQ_FD && r->fd < 0)
		vhk_ctl_user_back_settle(u, -ETIMEDOUT);
	r->ret = -ETIMEDOUT;
	if (r->done)
		r->done(r);
}

uint64_t vhk_ctl_user_expire_slots(struct vhk_ctl_user *u, uint64_t now)
{
	struct vhk_ctl_user_slot **at;
	uint64_t next;

	for (;;) {
		next = UINT64_MAX;
		at = find_late(&u->sent, now, &next);
		if (at) {
			expire_sent(u, *at);
			continue;
		}
		at = find_late(&u->unsent, now, &next);
		if (!at)
			break;
		expire_unsent(u, at);
	}
	vhk_ctl_user_back_watch(u);
	return next;
}

void vhk_ctl_user_fail_all(struct vhk_ctl_user *u, int why)
{
	struct vhk_ctl_user_list sent = u->sent, unsent = u->unsent;
	struct vhk_ctl_user_slot *s;

	for (s = sent.first; s; s = s->next)
		unsettle(u, s);
	for (s = unsent.first; s; s = s->next)
		unsettle(u, s);
	vhk_ctl_user_lists_init(u);
	u->n_sent = 0;
	while (sent.first)
		finish(u, list_take(&sent), why);
	while (unsent.first)
		finish(u, list_take(&unsent), why);
}
