// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Judges requests and replies: against the message table, against each other, and what a single
 * message cannot tell: the order of things (vhost-user, "Ring states" and "Communication").
 */
#include <stdio.h>

#include "base.h"
#include "trace_rules.h"

/* Beside a ring's index: it ran before. */
#define RAN 0x100
/* What only network devices have, whose GET_QUEUE_NUM counts pairs. */
#define NET_ONLY (VHK_USER_PF(RARP) | VHK_USER_PF(MTU))

static void wrong(struct vhk_verdict *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void wrong(struct vhk_verdict *v, const char *fmt, ...)
{
	va_list ap;

	if (v->n_wrong == VHK_TRACE_WRONG_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(v->wrong[v->n_wrong++], VHK_VERDICT_TEXT, fmt, ap);
	va_end(ap);
}

void vhk_rules_init(struct vhk_rules *r)
{
	memset(r, 0, sizeof(*r));
	r->st.n_queues = VHK_RULES_RINGS;
}

static struct vhk_rules_wait *wait_at(struct vhk_rules_queue *q, unsigned int i)
{
	return &q->wait[(q->first + i) % VHK_RULES_WAITING];
}

static void wait_drop(struct vhk_rules_queue *q, unsigned int n)
{
	q->first = (q->first + n) % VHK_RULES_WAITING;
	q->n -= n;
}

static const struct vhk_proto *row_of(const struct vhk_seen *s)
{
	return s->back_channel ? vhk_proto_back_request(s->msg->hdr.request) :
				 vhk_proto_request(s->msg->hdr.request);
}

static const char *name_of(uint32_t request, bool back_channel)
{
	const char *name = vhk_trace_name(request, back_channel);

	return name ? name : "an unknown request";
}

/* How a request is answered; false: not at all. */
static bool is_awaited(const struct vhk_rules *r, const struct vhk_seen *s, bool clean, bool *must)
{
	const struct vhk_proto *row = row_of(s);
	const bool asked = s->msg->hdr.flags & VHK_MSG_NEED_REPLY;

	*must = false;
	if (!row)
		return true;
	if (!clean)
		return asked || row->reply != VHK_REPLY_NONE;
	if (row->reply != VHK_REPLY_NONE) {
		*must = true;
		return true;
	}
	/* While postcopy listens, a table is answered by where its regions came to lie. */
	if (!s->back_channel && s->msg->hdr.request == VHK_USER_SET_MEM_TABLE && r->postcopy)
		return true;
	/* Whether the message that settles acknowledgements has one already is not said. */
	*must = asked && (r->st.protocol & VHK_USER_PF(REPLY_ACK)) &&
		(s->back_channel || s->msg->hdr.request != VHK_USER_SET_PROTOCOL_FEATURES);
	return asked;
}

static void await(struct vhk_rules *r, const struct vhk_seen *s, uint64_t undo,
		  struct vhk_verdict *v)
{
	struct vhk_rules_queue *q = &r->queue[s->back_channel];
	bool must;

	if (!is_awaited(r, s, !v->n_wrong, &must))
		return;
	if (q->n == VHK_RULES_WAITING) {
		if (wait_at(q, 0)->must)
			wrong(v, "%s is unanswered, and too many requests followed",
			      name_of(wait_at(q, 0)->request, s->back_channel));
		wait_drop(q, 1);
	}
	*wait_at(q, q->n++) = (struct vhk_rules_wait){ .request = s->msg->hdr.request,
						       .size = s->msg->hdr.size,
						       .when = s->when,
						       .undo = undo,
						       .must = must };
}

static bool any_ring_runs(const struct vhk_rules *r)
{
	unsigned int i;

	for (i = 0; i < VHK_RULES_RINGS; i++)
		if (r->ring[i].started)
			return true;
	return false;
}

static void stop_rings(struct vhk_rules *r)
{
	unsigned int i;

	for (i = 0; i < VHK_RULES_RINGS; i++)
		r->ring[i].started = false;
}

/* LOG_ALL may come and go (vhost-user, "Migration"). */
static uint64_t set_features(struct vhk_rules *r, uint64_t features, struct vhk_verdict *v)
{
	uint64_t before = r->st.features;

	if (r->st.features_set && any_ring_runs(r) &&
	    ((features ^ before) & ~(uint64_t)VHK_F_LOG_ALL))
		wrong(v, "other features while rings run");
	r->st.features = features;
	r->st.features_set = true;
	return before;
}

static uint64_t set_protocol(struct vhk_rules *r, uint64_t protocol)
{
	uint64_t before = r->st.protocol;

	r->st.protocol = protocol;
	r->st.protocol_set = true;
	return before;
}

static void set_addr(struct vhk_rules_ring *ring, const struct vhk_msg *m, struct vhk_verdict *v)
{
	struct vhk_user_vring_addr a;

	memcpy(&a, m->bytes, sizeof(a));
	if (ring->started && (a.desc != ring->addr.desc || a.avail != ring->addr.avail ||
			      a.used != ring->addr.used))
		wrong(v, "moves a ring that runs");
	ring->addr = a;
	ring->has_addr = true;
}

/* Kick says more than "here it is": the ring starts (vhost-user, "Ring states"). */
static void start_ring(struct vhk_rules *r, struct vhk_rules_ring *ring, struct vhk_verdict *v)
{
	if (ring->started)
		wrong(v, "starts a ring that runs");
	if (!ring->has_size)
		wrong(v, "starts a ring without a size");
	if (!ring->has_addr)
		wrong(v, "starts a ring without addresses");
	if (!r->has_mem)
		wrong(v, "starts a ring before there is memory");
	ring->started = true;
}

static struct vhk_rules_ring *ring_of(struct vhk_rules *r, const struct vhk_msg *m)
{
	uint32_t idx;

	memcpy(&idx, m->bytes, sizeof(idx));
	return &r->ring[idx % VHK_RULES_RINGS];
}

/* What a well-formed request of the front end changes. Returns what a refusal brings back. */
static uint64_t follow(struct vhk_rules *r, const struct vhk_msg *m, struct vhk_verdict *v)
{
	struct vhk_rules_ring *ring = ring_of(r, m);
	uint64_t undo;

	switch (m->hdr.request) {
	case VHK_USER_SET_FEATURES:
		return set_features(r, m->u64, v);
	case VHK_USER_SET_PROTOCOL_FEATURES:
		return set_protocol(r, m->u64);
	case VHK_USER_SET_OWNER:
		r->st.owned = true;
		break;
	case VHK_USER_RESET_OWNER:
		r->st.owned = false;
		stop_rings(r);
		break;
	case VHK_USER_RESET_DEVICE:
		stop_rings(r);
		break;
	case VHK_USER_SET_STATUS:
		if (!m->u64) /* a reset */
			stop_rings(r);
		break;
	case VHK_USER_SET_MEM_TABLE:
	case VHK_USER_ADD_MEM_REG:
		r->has_mem = true;
		break;
	case VHK_USER_SET_VRING_NUM:
		if (ring->started)
			wrong(v, "sizes a ring that runs");
		ring->has_size = true;
		break;
	case VHK_USER_SET_VRING_BASE:
		if (ring->started)
			wrong(v, "sets the position of a ring that runs");
		break;
	case VHK_USER_SET_VRING_ADDR:
		set_addr(ring, m, v);
		break;
	case VHK_USER_SET_VRING_KICK:
		ring = &r->ring[m->u64 & VHK_USER_VRING_FD_INDEX];
		undo = (m->u64 & VHK_USER_VRING_FD_INDEX) | (ring->started ? RAN : 0);
		start_ring(r, ring, v);
		return undo;
	case VHK_USER_VRING_KICK:
		ring->started = true;
		break;
	case VHK_USER_GET_VRING_BASE:
	case VHK_USER_GET_VRING_BASE_SKIP_DRAIN:
		ring->started = false;
		break;
	case VHK_USER_POSTCOPY_LISTEN:
		r->postcopy = true;
		break;
	case VHK_USER_POSTCOPY_END:
		r->postcopy = false;
		break;
	}
	return 0;
}

static bool cannot_map(enum vhk_trace_fd_kind kind)
{
	return kind == VHK_TRACE_FD_EVENTFD || kind == VHK_TRACE_FD_SOCKET ||
	       kind == VHK_TRACE_FD_PIPE || kind == VHK_TRACE_FD_UFFD;
}

static bool cannot_signal(enum vhk_trace_fd_kind kind)
{
	return kind == VHK_TRACE_FD_MEMFD || kind == VHK_TRACE_FD_FILE ||
	       kind == VHK_TRACE_FD_DEVICE || kind == VHK_TRACE_FD_UFFD;
}

static void check_mapping(const struct vhk_trace_fd *fd, uint64_t offset, uint64_t size,
			  struct vhk_verdict *v)
{
	if (cannot_map(fd->kind))
		wrong(v, "memory that cannot be mapped");
	else if (fd->size && (offset > fd->size || size > fd->size - offset))
		wrong(v, "memory beyond the end of its file");
}

static void check_table_fds(const struct vhk_seen *s, struct vhk_verdict *v)
{
	struct vhk_user_mem_table t;
	unsigned int i;

	memcpy(&t, s->msg->bytes, sizeof(t));
	for (i = 0; i < s->n_fds && i < t.n && i < VHK_USER_TABLE_MAX; i++)
		check_mapping(&s->fd[i], t.region[i].offset, t.region[i].size, v);
}

/* Of requests whose number of fds is right. */
static void check_fds(const struct vhk_seen *s, struct vhk_verdict *v)
{
	struct vhk_user_mem_reg reg;

	if (!s->n_fds)
		return;
	switch (s->msg->hdr.request) {
	case VHK_USER_SET_MEM_TABLE:
		check_table_fds(s, v);
		break;
	case VHK_USER_ADD_MEM_REG:
		memcpy(&reg, s->msg->bytes, sizeof(reg));
		check_mapping(s->fd, reg.region.offset, reg.region.size, v);
		break;
	case VHK_USER_SET_LOG_BASE:
	case VHK_USER_SET_INFLIGHT_FD:
		check_mapping(s->fd, 0, 0, v);
		break;
	case VHK_USER_SET_VRING_KICK:
	case VHK_USER_SET_VRING_CALL:
	case VHK_USER_SET_VRING_ERR:
	case VHK_USER_SET_LOG_FD:
		if (cannot_signal(s->fd->kind))
			wrong(v, "an fd that cannot signal");
		break;
	case VHK_USER_SET_BACKEND_REQ_FD:
	case VHK_USER_GPU_SET_SOCKET:
		if (s->fd->kind != VHK_TRACE_FD_SOCKET)
			wrong(v, "an fd that is no socket");
		break;
	}
}

static bool may_need_reply(const struct vhk_rules *r, const struct vhk_seen *s)
{
	uint64_t protocol = r->st.protocol;

	if (!s->back_channel && s->msg->hdr.request == VHK_USER_SET_PROTOCOL_FEATURES)
		protocol |= s->msg->u64;
	return protocol & VHK_USER_PF(REPLY_ACK);
}

/* While postcopy listens a table is answered by one, and that by a number under the same name. */
static bool accepts_bases(const struct vhk_rules *r, const struct vhk_seen *s)
{
	return !s->back_channel && r->postcopy && !s->n_fds &&
	       s->msg->hdr.request == VHK_USER_SET_MEM_TABLE &&
	       s->msg->hdr.size == sizeof(uint64_t);
}

static void judge_request(struct vhk_rules *r, const struct vhk_seen *s, struct vhk_verdict *v)
{
	const char *why;
	uint64_t undo = 0;
	int ret;

	ret = vhk_proto_check_any(&r->st, s->msg, s->back_channel, &why);
	if (ret == -EPROTO && accepts_bases(r, s))
		return;
	if (ret)
		wrong(v, "%s", why);
	if ((s->msg->hdr.flags & VHK_MSG_NEED_REPLY) && !may_need_reply(r, s))
		wrong(v, "asks for a reply without REPLY_ACK");
	if (ret != -EPROTO && row_of(s) && !s->back_channel) {
		check_fds(s, v);
		undo = follow(r, s->msg, v);
	}
	await(r, s, undo, v);
}

static void learn(struct vhk_rules *r, const struct vhk_msg *m)
{
	uint64_t n = m->u64;

	switch (m->hdr.request) {
	case VHK_USER_GET_FEATURES:
		r->st.features_offered = n;
		break;
	case VHK_USER_GET_PROTOCOL_FEATURES:
		r->st.protocol_offered = n;
		break;
	case VHK_USER_GET_QUEUE_NUM:
		if (r->st.protocol_offered & NET_ONLY)
			n = vhk_min(n, (uint64_t)VHK_RULES_RINGS) * 2 + 1;
		r->st.n_queues = (uint32_t)vhk_min(n, (uint64_t)VHK_RULES_RINGS);
		break;
	}
}

/* A refused request has changed nothing. */
static void take_back(struct vhk_rules *r, const struct vhk_rules_wait *w)
{
	if (w->request == VHK_USER_SET_FEATURES)
		r->st.features = w->undo;
	if (w->request == VHK_USER_SET_PROTOCOL_FEATURES)
		r->st.protocol = w->undo;
	if (w->request == VHK_USER_SET_VRING_KICK)
		r->ring[w->undo & VHK_USER_VRING_FD_INDEX].started = w->undo & RAN;
}

/* The request that a reply belongs to, out of the queue; false: there is none. */
static bool find_request(struct vhk_rules_queue *q, const struct vhk_seen *s,
			 struct vhk_rules_wait *out, struct vhk_verdict *v)
{
	unsigned int i, k;

	for (i = 0; i < q->n; i++)
		if (wait_at(q, i)->request == s->msg->hdr.request)
			break;
	if (i == q->n)
		return false;
	for (k = 0; k < i; k++)
		if (wait_at(q, k)->must)
			wrong(v, "%s was not answered",
			      name_of(wait_at(q, k)->request, s->back_channel));
	*out = *wait_at(q, i);
	wait_drop(q, i + 1);
	return true;
}

/* An error of a device state transfer is in the low bits only. */
static bool says_no(const struct vhk_seen *s, const struct vhk_proto *row)
{
	if (row->reply == VHK_REPLY_PAYLOAD || s->msg->hdr.size != sizeof(uint64_t))
		return false;
	if (!s->back_channel && s->msg->hdr.request == VHK_USER_SET_DEVICE_STATE_FD)
		return s->msg->u64 & 0xff;
	return s->msg->u64;
}

static void judge_answer(struct vhk_rules *r, const struct vhk_seen *s,
			 const struct vhk_rules_wait *w, struct vhk_verdict *v)
{
	const struct vhk_proto *row = row_of(s);
	const char *why;
	int ret;

	if (!row)
		return;
	ret = vhk_proto_check_reply(w->request, s->back_channel, s->msg, &why);
	if (ret == -EPROTO && !s->back_channel && w->request == VHK_USER_SET_MEM_TABLE &&
	    r->postcopy)
		ret = 0;
	v->refused = ret == -EOPNOTSUPP || says_no(s, row);
	if (ret == -EPROTO)
		wrong(v, "%s", why);
	if (!ret && !s->back_channel && w->request == VHK_USER_GET_CONFIG &&
	    s->msg->hdr.size != w->size)
		wrong(v, "not as long as what was asked for");
	if (s->back_channel || ret)
		return;
	if (v->refused)
		take_back(r, w);
	else
		learn(r, s->msg);
}

static void judge_reply(struct vhk_rules *r, const struct vhk_seen *s, struct vhk_verdict *v)
{
	struct vhk_rules_wait w;

	if (!find_request(&r->queue[s->back_channel], s, &w, v)) {
		wrong(v, "a reply that nothing asked for");
		return;
	}
	v->answers = true;
	v->latency_ns = s->when - w.when;
	judge_answer(r, s, &w, v);
}

void vhk_rules_judge(struct vhk_rules *r, const struct vhk_seen *s, struct vhk_verdict *v)
{
	const bool asks = (s->from == VHK_TRACE_BACK) == s->back_channel;
	const bool reply = s->msg->hdr.flags & VHK_MSG_REPLY;

	memset(v, 0, offsetof(struct vhk_verdict, wrong));
	if (s->late_fds)
		wrong(v, "fds behind its first byte");
	if (asks && !reply)
		judge_request(r, s, v);
	else if (!asks && reply)
		judge_reply(r, s, v);
	else
		wrong(v, reply ? "a reply from the side that asks" :
				 "a request from the side that answers");
}

unsigned int vhk_rules_unanswered(const struct vhk_rules *r, const char **first)
{
	const struct vhk_rules_queue *q;
	const struct vhk_rules_wait *w;
	unsigned int i, c, n = 0;

	*first = NULL;
	for (c = 0; c < 2; c++) {
		q = &r->queue[c];
		for (i = 0; i < q->n; i++) {
			w = &q->wait[(q->first + i) % VHK_RULES_WAITING];
			if (w->must && !n++)
				*first = name_of(w->request, c);
		}
	}
	return n;
}

bool vhk_rules_awaits(const struct vhk_rules *r)
{
	const char *first;

	return vhk_rules_unanswered(r, &first);
}
