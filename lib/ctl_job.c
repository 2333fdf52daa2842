// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Jobs: what takes several round trips. A job is a chain of steps; a step submits any number of
 * requests at once, and the next one runs when all of them are answered, so that a step costs one
 * round trip however much it asks.
 */
#include "ctl_impl.h"

struct job_req {
	struct vhk_ctl_req req;
	struct vhk_ctl_job *job;
	int (*answer)(struct vhk_ctl_job *j, struct vhk_ctl_req *r);
};

static void job_end(struct vhk_ctl_job *j)
{
	struct vhk_ctl *c = j->c;

	if (j->ret && j->undo)
		j->undo(j);
	c->job = NULL;
	if (j->done)
		j->done(j->arg, j->ret);
	free(j);
}

static void job_run(struct vhk_ctl_job *j)
{
	int (*step)(struct vhk_ctl_job *j);
	int ret;

	if (j->running)
		return;
	j->running = true;
	while (!j->pending && !j->ret && j->step) {
		step = j->step;
		j->step = NULL;
		ret = step(j);
		if (ret < 0 && !j->ret)
			j->ret = ret;
	}
	j->running = false;
	if (!j->pending)
		job_end(j);
}

static void job_answered(struct vhk_ctl_req *r)
{
	struct job_req *q = vhk_container_of(r, struct job_req, req);
	struct vhk_ctl_job *j = q->job;
	int ret = r->ret;

	if (!ret && q->answer)
		ret = q->answer(j, r);
	if (ret && !j->ret) {
		j->ret = ret;
		vhk_log(&j->c->log, VHK_LOG_WARN, "%s: %s", vhk_ctl_op_name(r->op), strerror(-ret));
	}
	free(q);
	j->pending--;
	job_run(j);
}

int vhk_ctl_job_ask(struct vhk_ctl_job *j, const struct vhk_ctl_req *r,
		    int (*answer)(struct vhk_ctl_job *j, struct vhk_ctl_req *r))
{
	struct job_req *q;
	int ret;

	/* What was asked before is answered already, badly: nothing may follow it. */
	if (j->ret && j->c->ops->at_once)
		return j->ret;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->req = *r;
	q->req.done = job_answered;
	q->job = j;
	q->answer = answer;
	j->pending++;
	ret = j->c->ops->submit(j->c, &q->req, j->deadline);
	if (ret) {
		j->pending--;
		free(q);
	}
	return ret;
}

int vhk_ctl_job_ask_u64(struct vhk_ctl_job *j, enum vhk_ctl_op op, uint64_t v,
			int (*answer)(struct vhk_ctl_job *j, struct vhk_ctl_req *r))
{
	struct vhk_ctl_req r = { .op = op, .fd = -1, .u64 = v };

	return vhk_ctl_job_ask(j, &r, answer);
}

int vhk_ctl_job_sync(struct vhk_ctl_job *j)
{
	if (j->c->ops->at_once || (j->c->ops->offer(j->c)->protocol & VHK_PF_REPLY_ACK))
		return 0;
	return vhk_ctl_job_ask_u64(j, VHK_CTL_GET_FEATURES, 0, NULL);
}

int vhk_ctl_job_start(struct vhk_ctl *c, const struct vhk_ctl_job *like)
{
	struct vhk_ctl_job *j;

	if (c->job)
		return -EBUSY;
	j = malloc(sizeof(*j));
	if (!j)
		return -ENOMEM;
	*j = *like;
	j->c = c;
	j->deadline = vhk_ctl_deadline(c, 0);
	c->job = j;
	job_run(j);
	if (!c->busy)
		vhk_ctl_rearm(c);
	return 0;
}

void vhk_ctl_waiter_done(void *arg, int ret)
{
	struct vhk_ctl_waiter *w = arg;

	w->ret = ret;
	w->done = true;
}

int vhk_ctl_waiter_wait(struct vhk_ctl *c, struct vhk_ctl_waiter *w)
{
	vhk_ctl_wait_until(c, &w->done);
	return w->ret;
}
