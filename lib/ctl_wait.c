// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Running queues of a front end: kick the back end, sleep until it calls.
 */
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "ctl_impl.h"

static struct vhk_ctl_queue *queue_running(const struct vhk_ctl *c, unsigned int idx)
{
	struct vhk_ctl_queue *q = idx < VHK_CTL_QUEUES_MAX ? c->queue[idx] : NULL;

	return q && q->running ? q : NULL;
}

int vhk_ctl_call_fd(const struct vhk_ctl *c, unsigned int idx)
{
	const struct vhk_ctl_queue *q = queue_running(c, idx);

	return q ? q->call_fd : -EBUSY;
}

int vhk_ctl_kick_fd(const struct vhk_ctl *c, unsigned int idx)
{
	const struct vhk_ctl_queue *q = queue_running(c, idx);

	return q ? q->kick_fd : -EBUSY;
}

int vhk_ctl_fault(const struct vhk_ctl *c, unsigned int idx)
{
	const struct vhk_ctl_queue *q = queue_running(c, idx);

	if (c->ops->link(c) != 1)
		return c->loss ? c->loss : -ENOTCONN;
	if (!q)
		return -EBUSY;
	return q->broken ? -EBADMSG : 0;
}

struct vhk_ctl_kick {
	struct vhk_ctl_req req;
	struct vhk_ctl *c; /* NULL: the queue is gone */
	bool busy;	   /* on its way and not acknowledged */
	bool again;	   /* another one is due after it */
};

static int send_kick(struct vhk_ctl_kick *k);

static void kick_done(struct vhk_ctl_req *r)
{
	struct vhk_ctl_kick *k = vhk_container_of(r, struct vhk_ctl_kick, req);

	k->busy = false;
	if (!k->c) {
		free(k);
		return;
	}
	if (k->again && !r->ret)
		send_kick(k);
}

static int send_kick(struct vhk_ctl_kick *k)
{
	int ret;

	k->again = k->busy;
	if (k->busy)
		return 0;
	k->busy = true;
	ret = k->c->ops->submit(k->c, &k->req, vhk_ctl_deadline(k->c, 0));
	if (ret)
		k->busy = false;
	return ret;
}

/* One kick of a queue is on its way at most: more would only fill the socket. */
static int kick_inband(struct vhk_ctl *c, struct vhk_ctl_queue *q, unsigned int idx)
{
	int ret;

	if (!q->kick) {
		q->kick = calloc(1, sizeof(*q->kick));
		if (!q->kick)
			return -ENOMEM;
		q->kick->c = c;
		q->kick->req = (struct vhk_ctl_req){ .op = VHK_CTL_VRING_KICK,
						     .fd = -1,
						     .vring = { .index = idx },
						     .done = kick_done };
	}
	ret = send_kick(q->kick);
	if (!c->busy)
		vhk_ctl_rearm(c);
	return ret;
}

void vhk_ctl_kick_drop(struct vhk_ctl_kick *k)
{
	if (k && k->busy)
		k->c = NULL;
	else
		free(k);
}

int vhk_ctl_kick(struct vhk_ctl *c, unsigned int idx)
{
	struct vhk_ctl_queue *q = queue_running(c, idx);
	const uint64_t one = 1;

	if (!q)
		return -EBUSY;
	if (vhk_ctl_can(c, VHK_CTL_VRING_KICK))
		return kick_inband(c, q, idx);
	if (vhk_ctl_kind(c) == VHK_CTL_KIND_USER)
		return vhk_bell_ring(&c->bell, q->kick_fd);
	/* The kernel shares no flags. A counter that is full wakes it as well as any other. */
	return write(q->kick_fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

/* Until the call, the control socket or the deadline. */
static int wait_sleep(struct vhk_ctl *c, const struct vhk_ctl_queue *q, uint64_t deadline)
{
	struct pollfd p[] = { { .fd = q->call_fd, .events = POLLIN },
			      { .fd = c->epoll_fd, .events = POLLIN } };
	uint64_t now, left = 0;
	struct timespec ts, *limit = NULL;

	if (deadline != UINT64_MAX) {
		now = vhk_now_ns();
		left = deadline > now ? deadline - now : 0;
		ts.tv_sec = (time_t)(left / 1000000000u);
		ts.tv_nsec = (long)(left % 1000000000u);
		limit = &ts;
	}
	if (ppoll(p, vhk_array_size(p), limit, NULL) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		vhk_bell_take(q->call_fd);
	if (p[1].revents)
		vhk_ctl_process(c);
	return limit && !left ? -ETIMEDOUT : 0;
}

static int wait_look(const struct vhk_ctl *c, const struct vhk_ctl_queue *q)
{
	if (vhk_vq_ready(q->vq) || vhk_vq_arm(q->vq))
		return 1;
	if (q->broken)
		return -EBADMSG;
	return c->ops->link(c) == 1 ? 0 : -ENOTCONN;
}

int vhk_ctl_wait(struct vhk_ctl *c, unsigned int idx, int64_t timeout_ns)
{
	uint64_t deadline = timeout_ns < 0 ? UINT64_MAX : vhk_now_ns() + (uint64_t)timeout_ns;
	struct vhk_ctl_queue *q = queue_running(c, idx);
	int ret = 0;

	if (!q || c->busy)
		return -EBUSY;
	for (;;) {
		int found = wait_look(c, q);

		if (found)
			ret = vhk_min(found, 0);
		if (found || ret)
			break;
		ret = wait_sleep(c, q, deadline);
		/* A callback may have stopped the queue. */
		if (q != queue_running(c, idx))
			return -EBUSY;
	}
	vhk_vq_disarm(q->vq);
	return ret;
}
