// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One way of a connection. A header is read alone, since fds come with its first byte (vhost-user,
 * "Communication") and what it says decides about them; its payload follows as it comes, and leaves
 * at once. What is no message leaves in the pieces that it was read in.
 */
#include "clock.h"
#include "fd.h"
#include "fd_kind.h"
#include "trace_impl.h"

#define BATCH 64
/* Longer than any message is, so that unknown ones pass, too; no length that noise would have. */
#define SIZE_MAX_SHOWN (1u << 20)

void vhk_lane_init(struct vhk_lane *l, struct vhk_span *sp, enum vhk_trace_side side)
{
	memset(l, 0, sizeof(*l));
	l->span = sp;
	l->side = side;
	l->from = &sp->port[side];
	l->to = &sp->port[!side];
	l->from->out = l;
	l->to->in = l;
}

void vhk_lane_fini(struct vhk_lane *l)
{
	vhk_sock_fds_close(&l->fds);
	vhk_sock_fds_close(&l->late);
}

static bool header_is_whole(const struct vhk_lane *l)
{
	return l->got == VHK_LANE_HDR;
}

bool vhk_lane_holds(const struct vhk_lane *l)
{
	if (l->at == l->len || l->state == VHK_LANE_CLOSED)
		return false;
	return l->span->raw || header_is_whole(l) || l->state == VHK_LANE_ENDING || !l->got;
}

static void note_first(struct vhk_lane *l, enum vhk_trace_side side)
{
	struct vhk_trace_session *s = l->span->session;

	if (l->span->back_channel || s->has_first)
		return;
	s->has_first = true;
	s->first = side;
}

static void close_lane(struct vhk_lane *l)
{
	vhk_lane_fini(l);
	l->state = VHK_LANE_CLOSED;
	l->nap = false;
}

void vhk_lane_abandon(struct vhk_lane *l)
{
	if (l->state == VHK_LANE_CLOSED)
		return;
	if (l->at < l->len)
		l->span->session->undelivered++;
	note_first(l, !l->side);
	close_lane(l);
	vhk_sock_shut(l->from->fd, true);
}

/* Everything of it was sent. */
static void end_lane(struct vhk_lane *l)
{
	close_lane(l);
	vhk_sock_shut(l->to->fd, false);
}

static void note_fds(struct vhk_lane *l, const struct vhk_sock_fds *fds)
{
	unsigned int i;

	for (i = 0; i < fds->n; i++, l->n_fds++)
		if (l->n_fds < VHK_TRACE_FDS_MAX)
			l->fd[l->n_fds] = vhk_fd_kind(fds->fd[i]);
}

/* What they are is looked at when they have left: it takes time. */
static void release_fds(struct vhk_lane *l, struct vhk_sock_fds *fds)
{
	if (!l->fds_noted)
		note_fds(l, fds);
	vhk_sock_fds_close(fds);
}

/* The fds that leave with the byte at @at, and where the bytes end that may leave with them. */
static struct vhk_sock_fds *fds_at(struct vhk_lane *l, uint32_t *end)
{
	static const struct vhk_sock_fds none;

	*end = l->late.n && l->at < l->late_at ? l->late_at : l->len;
	if (!l->at && l->fds.n)
		return &l->fds;
	if (l->late.n && l->at == l->late_at)
		return &l->late;
	return (struct vhk_sock_fds *)&none;
}

static int send_held(struct vhk_lane *l)
{
	struct vhk_sock_fds *fds;
	uint32_t end;
	ssize_t n;

	while (l->at < l->len) {
		fds = fds_at(l, &end);
		n = vhk_sock_write(l->to->fd, l->held + l->at, end - l->at, fds);
		if (n < 0)
			return (int)n;
		l->at += (uint32_t)n;
		l->moved = true;
		if (fds->n)
			release_fds(l, fds);
	}
	l->at = l->len = 0;
	l->fds_noted = false;
	return 0;
}

/* 0: nothing is held any more; another: not now, or never. */
static int flush(struct vhk_lane *l)
{
	int ret;

	if (l->at < l->len && !vhk_lane_holds(l))
		return 0;
	ret = send_held(l);
	l->nap = ret == -ENOBUFS;
	if (l->nap)
		vhk_trace_session_nap(l->span->session);
	else if (ret && ret != -EAGAIN)
		vhk_lane_abandon(l);
	return ret;
}

/* Those of a header that came in pieces come together. */
static void add_fds(struct vhk_lane *l, struct vhk_sock_fds *to, struct vhk_sock_fds *more)
{
	unsigned int n = vhk_min(more->n, VHK_SOCK_FDS_MAX - to->n);

	memcpy(to->fd + to->n, more->fd, n * sizeof(int));
	to->n += n;
	l->fds_lost |= more->lost || n < more->n;
	while (more->n > n)
		vhk_fd_close(more->fd[--more->n]);
}

static ssize_t read_more(struct vhk_lane *l, uint32_t len, struct vhk_sock_fds *fds)
{
	ssize_t n = vhk_sock_read(l->from->fd, l->held + l->len, len, fds);

	if (n > 0)
		l->len += (uint32_t)n;
	return n;
}

static void look_at_header(struct vhk_lane *l)
{
	struct vhk_trace_session *s = l->span->session;

	memcpy(&l->msg.hdr, l->held, VHK_LANE_HDR);
	if ((l->msg.hdr.flags & VHK_MSG_VERSION_MASK) != VHK_MSG_VERSION) {
		vhk_trace_session_raw(l, "unknown version");
		return;
	}
	if (l->msg.hdr.size > SIZE_MAX_SHOWN) {
		vhk_trace_session_raw(l, "no message is that long");
		return;
	}
	l->left = l->msg.hdr.size;
	if (l->msg.hdr.request == VHK_USER_SET_BACKEND_REQ_FD && l->fds.n == 1 &&
	    l->side == VHK_TRACE_FRONT && !l->span->back_channel)
		vhk_trace_session_adopt(s, &l->fds.fd[0]);
}

static int read_header(struct vhk_lane *l)
{
	struct vhk_sock_fds fds;
	ssize_t n = read_more(l, VHK_LANE_HDR - l->got, &fds);

	if (n < 0)
		return (int)n;
	add_fds(l, &l->fds, &fds);
	l->got += (uint32_t)n;
	if (!header_is_whole(l))
		return -EAGAIN;
	look_at_header(l);
	return 0;
}

static void keep_payload(struct vhk_lane *l, const unsigned char *from, uint32_t n)
{
	uint32_t at = l->msg.hdr.size - l->left;

	if (at < VHK_TRACE_PAYLOAD_MAX)
		memcpy(l->msg.bytes + at, from, vhk_min(n, VHK_TRACE_PAYLOAD_MAX - at));
	l->left -= n;
}

static int read_payload(struct vhk_lane *l)
{
	uint32_t from = l->len;
	ssize_t n = read_more(l, vhk_min(l->left, VHK_LANE_CHUNK), &l->late);

	if (n < 0)
		return (int)n;
	l->fds_lost |= l->late.lost;
	if (l->late.n) {
		l->late_fds = true;
		l->late_at = from;
	}
	keep_payload(l, l->held + from, (uint32_t)n);
	return 0;
}

static int read_raw(struct vhk_lane *l)
{
	struct vhk_sock_fds fds;
	ssize_t n = read_more(l, VHK_LANE_CHUNK, &fds);

	if (n < 0)
		return (int)n;
	add_fds(l, &l->fds, &fds);
	return 0;
}

static void next_message(struct vhk_lane *l)
{
	uint32_t shown = vhk_min(l->msg.hdr.size, (uint32_t)VHK_TRACE_PAYLOAD_MAX);

	memset(l->msg.bytes, 0, shown);
	l->got = 0;
	l->n_fds = 0;
	l->late_fds = l->fds_lost = false;
}

/* Header and payload, as far as they are here, into an empty buffer. */
static int read_on(struct vhk_lane *l)
{
	int ret;

	if (l->span->raw)
		return read_raw(l);
	if (!header_is_whole(l)) {
		ret = read_header(l);
		/* A header that cannot be one leaves as it is. */
		if (ret || l->span->raw || !l->left)
			return ret;
		ret = read_payload(l);
		return ret == -EAGAIN ? 0 : ret;
	}
	return read_payload(l);
}

static void show_if_whole(struct vhk_lane *l)
{
	if (l->span->raw || !header_is_whole(l) || l->left)
		return;
	note_fds(l, &l->fds);
	note_fds(l, &l->late);
	l->fds_noted = l->at < l->len;
	vhk_trace_session_message(l);
	next_message(l);
}

/* The sender has ended; what came of its last message is all that will. */
static void read_to_its_end(struct vhk_lane *l)
{
	note_first(l, l->side);
	l->state = VHK_LANE_ENDING;
	if (!flush(l) && l->state == VHK_LANE_ENDING)
		end_lane(l);
}

static bool pump_once(struct vhk_lane *l)
{
	int ret;

	if (l->state == VHK_LANE_CLOSED || flush(l) || l->state == VHK_LANE_CLOSED)
		return false;
	if (l->state == VHK_LANE_ENDING) {
		end_lane(l);
		return false;
	}
	ret = read_on(l);
	l->when = vhk_now_ns();
	if (ret == -ENOTCONN) {
		read_to_its_end(l);
		return false;
	}
	if (ret)
		return false;
	flush(l);
	show_if_whole(l);
	return true;
}

bool vhk_lane_pump(struct vhk_lane *l)
{
	const enum vhk_lane_state was = l->state;
	unsigned int i;

	for (i = 0; i < BATCH && pump_once(l); i++)
		;
	return i || l->state != was;
}
