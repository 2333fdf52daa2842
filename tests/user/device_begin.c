// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a device shares with other servers is taken before its first queue starts and let go of
 * behind the last: it may have to be waited for, may not be had at all, and the front end may be
 * gone before.
 */
#include "t_user.h"

struct sharer {
	struct vhk_device *dev;
	unsigned int n_asked, n_begun, n_ended, n_started, n_stopped, n_given_up;
	unsigned int busy; /* so many times it is not to be had yet */
	int ret;
	bool held, waiting;
};

static int sharer_begin(void *priv)
{
	struct sharer *d = priv;

	d->n_asked++;
	T_OK(!d->held);
	d->waiting = d->busy && d->busy--;
	if (d->waiting)
		return -EAGAIN;
	if (d->ret)
		return d->ret;
	d->held = true;
	d->n_begun++;
	return 0;
}

static void sharer_end(void *priv, bool logged)
{
	struct sharer *d = priv;

	T_OK(!logged);
	if (d->waiting) {
		d->waiting = false;
		d->n_given_up++;
		return;
	}
	T_OK(d->held);
	T_EQ(d->n_stopped, d->n_started);
	d->held = false;
	d->n_ended++;
}

static int sharer_start(void *priv, struct vhk_queue *q)
{
	struct sharer *d = priv;

	(void)q;
	T_OK(d->held);
	d->n_started++;
	return 0;
}

static void sharer_stop(void *priv, struct vhk_queue *q)
{
	struct sharer *d = priv;

	(void)q;
	T_OK(d->held);
	d->n_stopped++;
}

static void sharer_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	(void)priv;
	while (n--) {
		vhk_queue_done(q, *c, (*c)->in_len);
		c++;
	}
}

struct side {
	struct t_user u;
	struct sharer d;
	struct t_ring r[T_QUEUES];
};

static void begin(struct side *s)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.begin = sharer_begin,
		.end = sharer_end,
		.queue_start = sharer_start,
		.queue_stop = sharer_stop,
		.work = sharer_work,
	};
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 2,
		.features = T_FEATURES & ~(VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL),
		.n_queues = T_QUEUES,
		.queue_size = T_QUEUE_SIZE,
	};
	struct vhk_backend_opts o;
	unsigned int i;
	int fd[2];

	memset(s, 0, sizeof(*s));
	t_user_init(&s->u, VHK_LOOP_AUTO);
	T_MUST(!vhk_device_new(&s->d.dev, &info, &ops, &s->d));
	o = t_user_opts(&s->u);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	s->u.fd = fd[0];
	T_MUST(!vhk_backend_take_fd(&s->u.be, s->u.loop, s->d.dev, fd[1], &o));
	t_negotiate(&s->u, T_SPLIT);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_init(&s->u, &s->r[i], i, T_SPLIT);
	T_EQ(t_ask_mem_table(&s->u), 0);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_set_up(&s->u, &s->r[i], 0);
}

static void end(struct side *s)
{
	unsigned int i;

	t_user_hang_up(&s->u);
	vhk_backend_close(s->u.be);
	s->u.be = NULL;
	T_OK(!s->d.held);
	T_EQ(s->d.n_begun, s->d.n_ended);
	vhk_device_free(s->d.dev);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_fini(&s->r[i]);
	t_user_fini(&s->u);
}

static uint64_t start(struct side *s, unsigned int i)
{
	return t_ask_vring_fd(&s->u, VHK_USER_SET_VRING_KICK, i, s->r[i].kick);
}

static void from_the_first_queue_to_the_last(void)
{
	struct side s;

	begin(&s);
	T_EQ(s.d.n_asked, 0);
	T_EQ(start(&s, 0), 0);
	T_EQ(start(&s, 1), 0);
	T_EQ(s.d.n_begun, 1);
	t_stop_ring(&s.u, 0);
	T_OK(s.d.held);
	T_EQ(start(&s, 0), 0);
	T_EQ(s.d.n_begun, 1);
	t_stop_ring(&s.u, 0);
	t_stop_ring(&s.u, 1);
	/* before the answer */
	T_EQ(s.d.n_ended, 1);
	T_EQ(start(&s, 1), 0);
	T_EQ(s.d.n_begun, 2);
	end(&s);
}

static void waited_for(void)
{
	struct side s;

	begin(&s);
	s.d.busy = 5;
	T_EQ(start(&s, 0), 0);
	T_EQ(s.d.n_asked, 6);
	T_EQ(s.d.n_given_up, 0);
	T_EQ(t_ask_state(&s.u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	t_ring_echo(&s.u, &s.r[0], 3);
	end(&s);
}

static void not_to_be_had(void)
{
	struct side s;

	begin(&s);
	s.d.ret = -EBUSY;
	s.d.busy = 2;
	T_EQ(start(&s, 0), EBUSY);
	T_EQ(s.d.n_started, 0);
	s.d.ret = -EIO;
	T_EQ(start(&s, 0), EIO);
	t_alive(&s.u);
	s.d.ret = 0;
	T_EQ(start(&s, 0), 0);
	end(&s);
}

/* A front end that does not ask would wait for ever on a ring that does not run. */
static void nobody_asks(void)
{
	struct side s;
	uint64_t v = 0;

	begin(&s);
	s.d.ret = -EBUSY;
	t_send(&s.u, VHK_USER_SET_VRING_KICK, 0, &v, sizeof(v), &s.r[0].kick, 1);
	T_OK(t_closed(&s.u, s.u.fd));
	T_UNTIL(&s.u, s.u.n_down == 1);
	end(&s);
}

static void the_front_end_goes(void)
{
	struct side s;
	uint64_t v = 0;

	begin(&s);
	s.d.busy = UINT32_MAX;
	t_send(&s.u, VHK_USER_SET_VRING_KICK, 0, &v, sizeof(v), &s.r[0].kick, 1);
	T_UNTIL(&s.u, s.d.n_asked >= 3);
	t_user_hang_up(&s.u);
	T_UNTIL(&s.u, s.u.n_down == 1);
	T_EQ(s.d.n_begun, 0);
	T_EQ(s.d.n_given_up, 1);
	end(&s);
	/* and the back end itself */
	begin(&s);
	s.d.busy = UINT32_MAX;
	t_send(&s.u, VHK_USER_SET_VRING_KICK, 0, &v, sizeof(v), &s.r[0].kick, 1);
	T_UNTIL(&s.u, s.d.n_asked >= 3);
	vhk_backend_close(s.u.be);
	s.u.be = NULL;
	T_EQ(s.u.n_down, 1);
	T_EQ(s.d.n_given_up, 1);
	end(&s);
}

int main(void)
{
	T_RUN_ON_BOTH(from_the_first_queue_to_the_last);
	T_RUN_ON_BOTH(waited_for);
	T_RUN_ON_BOTH(not_to_be_had);
	T_RUN_ON_BOTH(nobody_asks);
	T_RUN_ON_BOTH(the_front_end_goes);
	return t_end();
}
