// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One front end with one back end, from connecting to hanging up: the connection, the channels that
 * were asked for over it, and what is told of it.
 */
#include "clock.h"
#include "fd.h"
#include "fd_kind.h"
#include "trace_impl.h"

#define NAP_NS 10000000u
/* Others have their turn after so long. */
#define TURN_NS 2000000u
/* Less than this is not worth a look at the clock. */
#define LINGER_MIN_NS 10000u

static void message_fill(const struct vhk_lane *l, const struct vhk_verdict *v,
			 const char *const *wrong, struct vhk_trace_msg *m)
{
	const struct vhk_msg_hdr *h = &l->msg.hdr;

	*m = (struct vhk_trace_msg){
		.session = l->span->session->number,
		.from = l->side,
		.back_channel = l->span->back_channel,
		.reply = h->flags & VHK_MSG_REPLY,
		.request = h->request,
		.flags = h->flags,
		.size = h->size,
		.name = vhk_trace_name(h->request, l->span->back_channel),
		.payload = l->msg.bytes,
		.payload_len = vhk_min(h->size, (uint32_t)VHK_TRACE_PAYLOAD_MAX),
		.n_fds = l->n_fds,
		.fd = l->fd,
		.answers = v->answers,
		.latency_ns = v->latency_ns,
		.refused = v->refused,
		.n_wrong = v->n_wrong,
		.wrong = wrong,
	};
}

void vhk_trace_session_message(struct vhk_lane *l)
{
	struct vhk_trace_session *s = l->span->session;
	const char *wrong[VHK_TRACE_WRONG_MAX];
	struct vhk_trace_msg m;
	struct vhk_verdict v;
	struct vhk_seen seen = {
		.msg = &l->msg,
		.fd = l->fd,
		.n_fds = vhk_min(l->n_fds, (unsigned int)VHK_TRACE_FDS_MAX),
		.from = l->side,
		.back_channel = l->span->back_channel,
		.late_fds = l->late_fds,
		.when = l->when,
	};
	unsigned int i;

	l->msg.n_fds = l->n_fds;
	vhk_rules_judge(&s->rules, &seen, &v);
	l->msg.n_fds = 0;
	for (i = 0; i < v.n_wrong; i++)
		wrong[i] = v.wrong[i];
	if (l->fds_lost && !s->said_lost)
		vhk_log(&s->trace->log, VHK_LOG_ERROR,
			"file descriptors were lost: no more can be open");
	s->said_lost |= l->fds_lost;
	if (!s->trace->ops.message)
		return;
	message_fill(l, &v, wrong, &m);
	m.when_ns = l->when;
	s->trace->ops.message(s->trace->arg, &m);
}

void vhk_trace_session_raw(struct vhk_lane *l, const char *why)
{
	struct vhk_trace *t = l->span->session->trace;

	l->span->raw = true;
	if (t->ops.raw)
		t->ops.raw(t->arg, l->span->session->number, l->side, l->span->back_channel, why);
}

static struct vhk_span **free_slot(struct vhk_trace_session *s)
{
	unsigned int i;

	for (i = 1; i < VHK_TRACE_SPANS; i++)
		if (!s->span[i])
			return &s->span[i];
	return NULL;
}

/* A socket that is an end of our own connection would be read twice. */
static bool can_adopt(const struct vhk_trace_session *s, int fd)
{
	return !vhk_sock_check(fd) && !vhk_sock_is_listening(fd) &&
	       !vhk_sock_is_peer(s->span[0]->port[VHK_TRACE_FRONT].fd, fd);
}

/* Once: a front end could have it said without end. */
static void say_untraced(struct vhk_trace_session *s, const char *why)
{
	if (!s->said_untraced)
		vhk_log(&s->trace->log, VHK_LOG_WARN, "a channel of the back end is not traced: %s",
			why);
	s->said_untraced = true;
}

void vhk_trace_session_adopt(struct vhk_trace_session *s, int *fd)
{
	struct vhk_span **slot = free_slot(s);
	int pair[2], front, ret;

	if (!can_adopt(s, *fd)) {
		say_untraced(s, "it is none that can be");
		return;
	}
	ret = slot ? vhk_sock_pair(pair) : 0;
	if (!slot || ret) {
		say_untraced(s, slot ? strerror(-ret) : "too many of them are open");
		return;
	}
	front = *fd;
	*fd = pair[1];
	ret = vhk_span_new(slot, s, true, front, pair[0]);
	if (!ret)
		vhk_span_settle(*slot);
}

void vhk_trace_session_settle(struct vhk_trace_session *s)
{
	unsigned int i;

	/* the connection last: with it the session ends */
	for (i = VHK_TRACE_SPANS; i--;)
		if (s->span[i])
			vhk_span_settle(s->span[i]);
}

static void nap_over(void *arg)
{
	struct vhk_trace_session *s = arg;
	unsigned int i;

	s->nap = 0;
	for (i = 0; i < VHK_TRACE_SPANS; i++)
		if (s->span[i] && (s->span[i]->lane[0].nap || s->span[i]->lane[1].nap))
			vhk_span_pump(s->span[i]);
	vhk_trace_session_settle(s);
}

static bool pump_all(struct vhk_trace_session *s)
{
	bool came = false;
	unsigned int i;

	for (i = 0; i < VHK_TRACE_SPANS; i++)
		if (s->span[i])
			came |= vhk_span_pump(s->span[i]);
	return came;
}

/* True when something came within @ns, or ended. */
static bool comes_within(struct vhk_trace_session *s, uint64_t from, uint64_t ns)
{
	do {
		if (pump_all(s))
			return true;
	} while (vhk_now_ns() - from < ns);
	return false;
}

/*
 * Messages come in bursts, and an idle processor takes longer to wake than a message to pass. Each
 * time that nothing comes the next wait is half as long, down to none, so that lone messages cost
 * none; one that does come, or would have come within the longest wait, makes it the longest again.
 * While a request is without its answer, that is waited for.
 */
void vhk_trace_session_linger(struct vhk_trace_session *s)
{
	const uint64_t most = s->trace->linger_max;
	uint64_t now = vhk_now_ns(), end = now + TURN_NS, ns;

	if (!most)
		return;
	if (now - s->when < most)
		s->linger = most;
	do {
		ns = vhk_rules_awaits(&s->rules) ? most : s->linger;
		s->when = now;
		if (ns < LINGER_MIN_NS)
			return;
		if (!comes_within(s, now, ns)) {
			s->linger /= 2;
			return;
		}
		s->linger = most;
		now = vhk_now_ns();
	} while (now < end);
	s->when = now;
}

void vhk_trace_session_nap(struct vhk_trace_session *s)
{
	int ret;

	if (s->nap)
		return;
	ret = vhk_loop_add_timer(s->trace->loop, NAP_NS, nap_over, s);
	s->nap = ret > 0 ? ret : 0;
}

int vhk_trace_session_new(struct vhk_trace *t, int front, int back)
{
	struct vhk_trace_session *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		vhk_fd_close(front);
		vhk_fd_close(back);
		return -ENOMEM;
	}
	s->trace = t;
	s->number = ++t->n_sessions;
	s->linger = t->linger_max;
	vhk_rules_init(&s->rules);
	ret = vhk_span_new(&s->span[0], s, false, front, back);
	if (ret) {
		free(s);
		return ret;
	}
	t->session = s;
	if (t->ops.begin)
		t->ops.begin(t->arg, s->number);
	vhk_span_settle(s->span[0]);
	return 0;
}

/* What the ends wrote before they hung up is on its way still. */
static void drain_channels(struct vhk_trace_session *s)
{
	unsigned int i;

	for (i = 1; i < VHK_TRACE_SPANS; i++)
		if (s->span[i])
			vhk_span_pump(s->span[i]);
}

static void tell_end(const struct vhk_trace_session *s)
{
	struct vhk_trace_end e = {
		.session = s->number,
		.first = s->first,
		.features = s->rules.st.features & s->rules.st.features_offered,
		.protocol = s->rules.st.protocol & s->rules.st.protocol_offered,
		.undelivered = s->undelivered,
		.error = s->error,
	};

	e.unanswered = vhk_rules_unanswered(&s->rules, &e.left_alone);
	if (s->trace->ops.end)
		s->trace->ops.end(s->trace->arg, &e);
}

void vhk_trace_session_free(struct vhk_trace_session *s)
{
	unsigned int i;

	if (!s)
		return;
	drain_channels(s);
	tell_end(s);
	if (s->nap)
		vhk_loop_del_timer(s->trace->loop, s->nap);
	for (i = 0; i < VHK_TRACE_SPANS; i++)
		vhk_span_free(s->span[i]);
	s->trace->session = NULL;
	free(s);
}

void vhk_trace_session_span_closed(struct vhk_trace_session *s, struct vhk_span *sp)
{
	unsigned int i;

	for (i = 1; i < VHK_TRACE_SPANS; i++) {
		if (s->span[i] != sp)
			continue;
		s->span[i] = NULL;
		vhk_span_free(sp);
		return;
	}
	vhk_trace_session_over(s->trace);
}
