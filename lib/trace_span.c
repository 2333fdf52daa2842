// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Two sockets and the two ways between them: which events to wait for, and when it is over. A peer
 * that is gone is not watched for anything but what it left behind, so that no event returns for
 * ever; and who does not read that keeps nobody.
 */
#include <sys/epoll.h>

#include "fd.h"
#include "trace_impl.h"

/* So long, and up to twice as long, somebody may take nothing of what a dead peer left. */
#define PATIENCE_NS 1000000000u

static void port_unwatch(struct vhk_port *p)
{
	if (p->watched)
		vhk_loop_del_fd(p->span->session->trace->loop, p->fd);
	p->watched = false;
}

static void port_event(void *arg, uint32_t events)
{
	struct vhk_port *p = arg;
	bool came = false;

	if (events & (EPOLLHUP | EPOLLERR))
		p->gone = true;
	if (events & EPOLLOUT)
		vhk_lane_pump(p->in);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		came = vhk_lane_pump(p->out);
	if (p->gone)
		vhk_lane_abandon(p->in);
	if (came && !p->gone)
		vhk_trace_session_linger(p->span->session);
	vhk_trace_session_settle(p->span->session);
}

static int port_watch(struct vhk_port *p, uint32_t events)
{
	struct vhk_loop *loop = p->span->session->trace->loop;
	int ret;

	if (p->watched && p->events == events)
		return 0;
	ret = p->watched ? vhk_loop_mod_fd(loop, p->fd, events) :
			   vhk_loop_add_fd(loop, p->fd, events, port_event, p);
	p->watched = !ret;
	p->events = events;
	return ret;
}

static int port_settle(struct vhk_port *p)
{
	uint32_t events = 0;

	if (p->out->state == VHK_LANE_OPEN && !vhk_lane_holds(p->out))
		events |= EPOLLIN;
	if (p->in->state != VHK_LANE_CLOSED && vhk_lane_holds(p->in) && !p->in->nap)
		events |= EPOLLOUT;
	if (events || !p->gone)
		return port_watch(p, events);
	port_unwatch(p);
	return 0;
}

static bool span_is_closed(const struct vhk_span *sp)
{
	return sp->lane[0].state == VHK_LANE_CLOSED && sp->lane[1].state == VHK_LANE_CLOSED;
}

static bool has_left_something(const struct vhk_port *p)
{
	return p->gone && p->out->state != VHK_LANE_CLOSED;
}

static void patience_over(void *arg)
{
	struct vhk_span *sp = arg;
	struct vhk_lane *l;
	int i;

	sp->patience = 0;
	for (i = 0; i < 2; i++) {
		l = &sp->lane[i];
		/* a socket is only told writable when three quarters of it are free: look */
		if (has_left_something(l->from) && !l->moved)
			vhk_lane_pump(l);
		if (has_left_something(l->from) && !l->moved)
			vhk_lane_abandon(l);
	}
	vhk_trace_session_settle(sp->session);
}

static int span_start_patience(struct vhk_span *sp)
{
	int ret;

	if (sp->patience)
		return 0;
	if (!has_left_something(&sp->port[0]) && !has_left_something(&sp->port[1]))
		return 0;
	sp->lane[0].moved = sp->lane[1].moved = false;
	ret = vhk_loop_add_timer(sp->session->trace->loop, PATIENCE_NS, patience_over, sp);
	sp->patience = ret > 0 ? ret : 0;
	return vhk_min(ret, 0);
}

void vhk_span_settle(struct vhk_span *sp)
{
	struct vhk_trace_session *s = sp->session;
	int ret;

	if (!span_is_closed(sp)) {
		ret = port_settle(&sp->port[0]);
		if (!ret)
			ret = port_settle(&sp->port[1]);
		if (!ret)
			ret = span_start_patience(sp);
		if (!ret)
			return;
		s->error = ret;
	}
	vhk_trace_session_span_closed(s, sp);
}

bool vhk_span_pump(struct vhk_span *sp)
{
	bool came = vhk_lane_pump(&sp->lane[0]);

	return vhk_lane_pump(&sp->lane[1]) || came;
}

int vhk_span_new(struct vhk_span **out, struct vhk_trace_session *s, bool back_channel, int front,
		 int back)
{
	struct vhk_span *sp = malloc(sizeof(*sp));
	int i;

	if (!sp) {
		vhk_fd_close(front);
		vhk_fd_close(back);
		return -ENOMEM;
	}
	sp->session = s;
	sp->back_channel = back_channel;
	sp->raw = false;
	sp->patience = 0;
	for (i = 0; i < 2; i++)
		sp->port[i] = (struct vhk_port){ .span = sp, .fd = i ? back : front };
	vhk_lane_init(&sp->lane[0], sp, VHK_TRACE_FRONT);
	vhk_lane_init(&sp->lane[1], sp, VHK_TRACE_BACK);
	*out = sp;
	return 0;
}

void vhk_span_free(struct vhk_span *sp)
{
	int i;

	if (!sp)
		return;
	if (sp->patience)
		vhk_loop_del_timer(sp->session->trace->loop, sp->patience);
	for (i = 0; i < 2; i++) {
		port_unwatch(&sp->port[i]);
		vhk_lane_fini(&sp->lane[i]);
		vhk_fd_close(sp->port[i].fd);
	}
	free(sp);
}
