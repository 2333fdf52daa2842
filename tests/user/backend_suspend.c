// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Rings that stop without waiting for their requests (GET_VRING_BASE_SKIP_DRAIN, and GET_VRING_BASE
 * where only GET_VRING_BASE_INFLIGHT was negotiated): what the device gives back is not answered
 * here and is done by whoever goes on with the inflight region; what it answers is.
 */
#include "t_user.h"

/* A device that gives back all it holds, but the first @done of it, which it answers, and not
 * before it is told to (@busy). */
struct holder {
	struct vhk_device *dev;
	struct vhk_queue *queue;
	struct vhk_chain *chain[64];
	unsigned int n, done, n_work, n_suspended, n_stopped;
	bool busy;
};

static void holder_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	struct holder *h = priv;

	h->queue = q;
	h->n_work += n;
	while (n--)
		h->chain[h->n++] = *c++;
}

static void holder_let_go(struct holder *h)
{
	unsigned int i, n = h->n;

	h->n = 0;
	for (i = 0; i < n; i++) {
		if (i < h->done)
			vhk_queue_done(h->queue, h->chain[i], h->chain[i]->in_len);
		else
			vhk_queue_give_back(h->queue, h->chain[i]);
	}
}

static void holder_suspend(void *priv, struct vhk_queue *q)
{
	struct holder *h = priv;

	T_OK(vhk_queue_suspending(q));
	h->n_suspended++;
	if (!h->busy)
		holder_let_go(h);
}

static void holder_stop(void *priv, struct vhk_queue *q)
{
	(void)q;
	((struct holder *)priv)->n_stopped++;
}

static const struct vhk_device_info info = {
	.sz = sizeof(info),
	.device_id = 2,
	.features = T_FEATURES & ~(VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL),
	.n_queues = T_QUEUES,
	.queue_size = T_QUEUE_SIZE,
};

static void holder_init(struct holder *h, bool can_suspend)
{
	struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.queue_stop = holder_stop,
		.work = holder_work,
		.queue_suspend = can_suspend ? holder_suspend : NULL,
	};

	memset(h, 0, sizeof(*h));
	T_MUST(!vhk_device_new(&h->dev, &info, &ops, h));
}

struct side {
	struct t_user u;
	struct holder h;
};

static void side_init(struct side *s, bool can_suspend, uint64_t features, uint64_t protocol)
{
	struct vhk_backend_opts o;
	int fd[2];

	t_user_init(&s->u, VHK_LOOP_AUTO);
	holder_init(&s->h, can_suspend);
	o = t_user_opts(&s->u);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	s->u.fd = fd[0];
	T_MUST(!vhk_backend_take_fd(&s->u.be, s->u.loop, s->h.dev, fd[1], &o));
	t_alive(&s->u);
	t_send(&s->u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	T_EQ(t_ask(&s->u, VHK_USER_SET_OWNER, NULL, 0), 0);
	T_EQ(t_ask_u64(&s->u, VHK_USER_SET_FEATURES, features), 0);
}

static void side_fini(struct side *s)
{
	t_user_hang_up(&s->u);
	vhk_backend_close(s->u.be);
	s->u.be = NULL;
	vhk_device_free(s->h.dev);
	t_user_fini(&s->u);
}

#define ALWAYS (VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(INFLIGHT_SHMFD) |         \
		VHK_USER_PF(STATUS) | VHK_USER_PF(RESET_DEVICE))
#define SUSPEND VHK_USER_PF(GET_VRING_BASE_INFLIGHT)
#define SKIP (SUSPEND | VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN))

static struct vhk_user_inflight get_region(struct t_user *u, int *fd)
{
	struct vhk_user_inflight in = { .num_queues = 1, .queue_size = 64 };
	struct vhk_msg m;

	T_MUST(t_get(u, VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &m));
	T_MUST(m.n_fds == 1);
	memcpy(&in, m.bytes, sizeof(in));
	*fd = m.fd[0];
	return in;
}

static uint64_t set_region(struct t_user *u, struct vhk_user_inflight in, int fd)
{
	return t_ask_fds(u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), &fd, 1);
}

/* The answer's position. */
static uint32_t stop(struct t_user *u, uint32_t request)
{
	struct vhk_user_vring_state v = { 0, 0 };
	struct vhk_msg m;

	T_MUST(t_get(u, request, &v, sizeof(v), &m));
	T_EQ(m.hdr.size, sizeof(v));
	memcpy(&v, m.bytes, sizeof(v));
	return v.num;
}

static void add(struct side *s, struct t_ring *r, unsigned int n)
{
	unsigned int want = s->h.n_work + n;

	while (n--)
		t_ring_add(&s->u, r);
	T_UNTIL(&s->u, s->h.n_work == want);
}

/* @done of six requests are answered by the first back end, the rest by the second. */
static void goes_on(uint64_t features, uint64_t protocol, uint32_t request, unsigned int done)
{
	struct vhk_user_inflight in;
	struct side a, b;
	struct t_ring r;
	uint32_t base;
	unsigned int i;
	int fd;

	side_init(&a, true, features, ALWAYS | protocol);
	t_ring_init(&a.u, &r, 0, features);
	T_EQ(t_ask_mem_table(&a.u), 0);
	in = get_region(&a.u, &fd);
	T_EQ(set_region(&a.u, in, fd), 0);
	t_ring_start(&a.u, &r, r.kick);
	a.h.done = done;
	add(&a, &r, 6);
	base = stop(&a.u, request);
	T_EQ(a.h.n_suspended, 1);
	T_EQ(a.h.n_stopped, 1);
	for (i = 0; i < done; i++)
		T_OK(t_ring_get(&a.u, &r));
	T_EQ(vhk_vq_in_flight(r.vq), 6 - done);
	/* a reset of the status, which front ends send behind it, does not forget them */
	T_EQ(t_ask_u64(&a.u, VHK_USER_SET_STATUS, 0), 0);

	side_init(&b, true, features, ALWAYS | protocol);
	vhk_mem_free(b.u.mem);
	b.u.mem = a.u.mem;
	b.u.buf = a.u.buf;
	T_EQ(t_ask_mem_table(&b.u), 0);
	T_EQ(set_region(&b.u, in, fd), 0);
	t_ring_set_up(&b.u, &r, base);
	T_EQ(t_ask_vring_fd(&b.u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	T_EQ(t_ask_state(&b.u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
	T_UNTIL(&b.u, b.h.n == 6 - done);
	for (i = 0; i < b.h.n; i++)
		T_OK(b.h.chain[i]->flags & VHK_CHAIN_F_RESUBMITTED);
	b.h.done = 64;
	holder_let_go(&b.h);
	for (i = done; i < 6; i++)
		T_OK(t_ring_get(&b.u, &r));
	add(&b, &r, 3);
	holder_let_go(&b.h);
	for (i = 0; i < 3; i++)
		T_OK(t_ring_get(&b.u, &r));
	b.u.mem = NULL;
	side_fini(&b);
	close(fd);
	t_ring_fini(&r);
	side_fini(&a);
}

static const uint64_t layouts[] = { T_SPLIT, T_PACKED, T_SPLIT | VHK_F_IN_ORDER,
				    T_PACKED | VHK_F_IN_ORDER };

static void the_next_back_end_goes_on(void)
{
	unsigned int k, done;

	for (k = 0; k < vhk_array_size(layouts); k++) {
		for (done = 0; done <= 6; done += 2) {
			goes_on(layouts[k], SKIP, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, done);
			goes_on(layouts[k], SUSPEND, VHK_USER_GET_VRING_BASE, done);
		}
	}
}

/* What is under way must not write behind the answer: it is waited for. */
static void waits_for_what_cannot_be_given_back(void)
{
	struct vhk_user_vring_state v = { 0, 0 };
	struct vhk_user_inflight in;
	struct vhk_msg m;
	struct t_ring r;
	struct side s;
	int fd;

	side_init(&s, true, T_SPLIT, ALWAYS | SKIP);
	t_ring_init(&s.u, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&s.u), 0);
	in = get_region(&s.u, &fd);
	T_EQ(set_region(&s.u, in, fd), 0);
	t_ring_start(&s.u, &r, r.kick);
	s.h.busy = true;
	add(&s, &r, 4);
	t_send(&s.u, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, 0, &v, sizeof(v), NULL, 0);
	T_UNTIL(&s.u, s.h.n_suspended == 1);
	t_settle(&s.u);
	T_OK(!t_readable(s.u.fd, 0));
	/* more work is not taken */
	t_ring_add(&s.u, &r);
	t_settle(&s.u);
	T_EQ(s.h.n_work, 4);
	holder_let_go(&s.h);
	T_MUST(t_recv(&s.u, &m));
	memcpy(&v, m.bytes, sizeof(v));
	T_EQ(v.num, 4);
	T_EQ(vhk_vq_in_flight(r.vq), 5);
	/* the same back end may go on, too: what was left comes first */
	T_EQ(t_ask_vring_fd(&s.u, VHK_USER_SET_VRING_KICK, 0, r.kick), 0);
	T_UNTIL(&s.u, s.h.n == 5);
	s.h.done = 64;
	holder_let_go(&s.h);
	T_OK(t_ring_get(&s.u, &r) && t_ring_get(&s.u, &r) && t_ring_get(&s.u, &r));
	close(fd);
	t_ring_fini(&r);
	side_fini(&s);
}

/* With both bits, without a region, or without the device's help, all is waited for. */
static void drains(uint64_t protocol, uint32_t request, bool region, bool can)
{
	struct vhk_user_vring_state v = { 0, 0 };
	struct vhk_user_inflight in;
	struct vhk_msg m;
	struct t_ring r;
	struct side s;
	int fd = -1, i;

	side_init(&s, can, T_SPLIT, ALWAYS | protocol);
	t_ring_init(&s.u, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&s.u), 0);
	if (region) {
		in = get_region(&s.u, &fd);
		T_EQ(set_region(&s.u, in, fd), 0);
	}
	t_ring_start(&s.u, &r, r.kick);
	s.h.done = 64;
	add(&s, &r, 4);
	t_send(&s.u, request, 0, &v, sizeof(v), NULL, 0);
	t_settle(&s.u);
	T_EQ(s.h.n_suspended, 0);
	T_OK(!t_readable(s.u.fd, 0));
	holder_let_go(&s.h);
	T_MUST(t_recv(&s.u, &m));
	memcpy(&v, m.bytes, sizeof(v));
	T_EQ(v.num, 4);
	for (i = 0; i < 4; i++)
		T_OK(t_ring_get(&s.u, &r));
	if (fd >= 0)
		close(fd);
	t_ring_fini(&r);
	side_fini(&s);
}

static void drains_otherwise(void)
{
	drains(SKIP, VHK_USER_GET_VRING_BASE, true, true);
	drains(0, VHK_USER_GET_VRING_BASE, true, true);
	drains(SKIP, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, false, true);
	drains(SUSPEND, VHK_USER_GET_VRING_BASE, false, true);
	drains(SKIP, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, true, false);
}

static void refused(void)
{
	struct vhk_user_vring_state v = { 0, 0 }, far = { T_QUEUES, 0 };
	struct vhk_msg m;
	struct side s;

	side_init(&s, true, T_SPLIT, ALWAYS | SKIP);
	T_MUST(t_get(&s.u, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, &far, sizeof(far), &m));
	T_EQ(m.hdr.size, 0);
	T_MUST(t_get(&s.u, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, &v, 7, &m));
	T_EQ(m.hdr.size, 0);
	/* a ring that does not run has its position all the same */
	T_EQ(t_ask_state(&s.u, VHK_USER_SET_VRING_BASE, 0, 5), 0);
	T_EQ(stop(&s.u, VHK_USER_GET_VRING_BASE_SKIP_DRAIN), 5);
	side_fini(&s);
	side_init(&s, true, T_SPLIT, ALWAYS | SUSPEND);
	T_MUST(t_get(&s.u, VHK_USER_GET_VRING_BASE_SKIP_DRAIN, &v, sizeof(v), &m));
	T_EQ(m.hdr.size, 0);
	t_alive(&s.u);
	side_fini(&s);
}

/* A real reset forgets what was left. */
static void a_reset_forgets(void)
{
	struct vhk_user_inflight in;
	struct t_ring r;
	struct side s;
	int fd;

	side_init(&s, true, T_SPLIT, ALWAYS | SKIP);
	t_ring_init(&s.u, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&s.u), 0);
	in = get_region(&s.u, &fd);
	T_EQ(set_region(&s.u, in, fd), 0);
	t_ring_start(&s.u, &r, r.kick);
	add(&s, &r, 4);
	stop(&s.u, VHK_USER_GET_VRING_BASE_SKIP_DRAIN);
	T_EQ(t_ask(&s.u, VHK_USER_RESET_DEVICE, NULL, 0), 0);
	t_ring_start(&s.u, &r, r.kick);
	T_UNTIL(&s.u, s.h.n == 4);
	T_OK(!(s.h.chain[0]->flags & VHK_CHAIN_F_RESUBMITTED));
	s.h.done = 64;
	holder_let_go(&s.h);
	close(fd);
	t_ring_fini(&r);
	side_fini(&s);
}

int main(void)
{
	T_RUN(the_next_back_end_goes_on);
	T_RUN_ON_BOTH(waits_for_what_cannot_be_given_back);
	T_RUN_ON_BOTH(drains_otherwise);
	T_RUN(refused);
	T_RUN(a_reset_forgets);
	return t_end();
}
