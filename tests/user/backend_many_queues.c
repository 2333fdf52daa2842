// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * As many queues as a message can name, on two loops: each is served, to the last one, alone and
 * with all others; the number behind it is refused, not cut to one that there is.
 */
#define T_QUEUES 256
#include <sys/resource.h>

#include "t_user.h"

struct many {
	struct t_user u;
	struct t_ring ring[T_QUEUES];
	int call; /* of all rings */
};

static void rings_init(struct many *m)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = 64, .features = T_SPLIT };
	size_t bytes = vhk_vq_bytes(&o);
	unsigned char *blocks;
	unsigned int i;

	m->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(m->call >= 0 && !vhk_mem_alloc(m->u.mem, (struct vhk_gpa){ 1 << 30 },
					      T_QUEUES * bytes, (void **)&blocks));
	for (i = 0; i < T_QUEUES; i++) {
		m->ring[i] = (struct t_ring){ .idx = i, .features = T_SPLIT, .call = m->call };
		o.block = blocks + i * bytes;
		T_MUST(!vhk_vq_new(&m->ring[i].vq, m->u.mem, &o));
		m->ring[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		T_MUST(m->ring[i].kick >= 0);
	}
}

static void many_init(struct many *m)
{
	const struct vhk_loop_opts o = { .sz = sizeof(o), .engine = t_engine };
	struct vhk_loop *loops[2];
	unsigned int i;

	t_user_init(&m->u, VHK_LOOP_AUTO);
	T_MUST(!vhk_loop_new(&m->u.queue_loop, &o));
	loops[0] = m->u.loop;
	loops[1] = m->u.queue_loop;
	T_MUST(!vhk_device_set_loops(m->u.echo.dev, loops, 2));
	t_user_open(&m->u);
	t_negotiate(&m->u, T_SPLIT);
	rings_init(m);
	T_EQ(t_ask_mem_table(&m->u), 0);
	for (i = 0; i < T_QUEUES; i++)
		t_ring_start(&m->u, &m->ring[i], m->ring[i].kick);
}

static void many_fini(struct many *m)
{
	unsigned int i;

	for (i = 0; i < T_QUEUES; i++) {
		vhk_vq_free(m->ring[i].vq);
		close(m->ring[i].kick);
	}
	close(m->call);
	t_user_hang_up(&m->u);
	T_UNTIL(&m->u, m->u.n_down == 1);
	vhk_backend_close(m->u.be);
	vhk_device_free(m->u.echo.dev);
	vhk_loop_free(m->u.queue_loop);
	vhk_loop_free(m->u.loop);
	vhk_mem_free(m->u.mem);
}

static void each_is_served(void)
{
	static struct many m;
	unsigned int i;

	many_init(&m);
	for (i = 0; i < T_QUEUES; i++) {
		t_ring_echo(&m.u, &m.ring[i], 2);
		T_EQ(vhk_queue_index(m.u.echo.last), i);
	}
	for (i = 0; i < T_QUEUES; i++)
		t_ring_add(&m.u, &m.ring[i]);
	for (i = 0; i < T_QUEUES; i++)
		T_OK(t_ring_get(&m.u, &m.ring[i]));
	T_EQ(m.u.echo.n_work, 3 * T_QUEUES);
	T_OK(t_ask_state(&m.u, VHK_USER_SET_VRING_ENABLE, T_QUEUES, 0) != 0);
	T_EQ(t_stop_ring(&m.u, T_QUEUES - 1), 3);
	t_ring_echo(&m.u, &m.ring[0], 1);
	many_fini(&m);
}

/* Four to a ring, at both ends: more than the usual limit. */
static void allow_descriptors(void)
{
	struct rlimit l;

	T_MUST(!getrlimit(RLIMIT_NOFILE, &l));
	l.rlim_cur = l.rlim_max;
	T_MUST(!setrlimit(RLIMIT_NOFILE, &l));
}

int main(void)
{
	allow_descriptors();
	T_RUN_ON_BOTH(each_is_served);
	return t_end();
}
