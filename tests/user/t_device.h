/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A device that answers every chain with the bytes it was sent, a driver's queue in the same
 * process, and a door that starts and stops it: what tests of the device layer stand on.
 */
#ifndef VHK_TESTS_T_DEVICE_H
#define VHK_TESTS_T_DEVICE_H

#include <pthread.h>
#include <sys/eventfd.h>
#include <vhostkit/vq.h>

#include "base.h"
#include "device.h"
#include "ring.h"
#include "t.h"

#define ECHO_QUEUES 4
#ifndef ECHO_SIZE
#define ECHO_SIZE 256
#endif
#define ECHO_BUF 64

/*
 * The device holds chains back while @hold is set, and answers them in the next work or by
 * echo_let_go().
 */
struct echo {
	struct vhk_device *dev;
	bool hold[ECHO_QUEUES];
	struct vhk_chain *held[ECHO_QUEUES][ECHO_SIZE];
	unsigned int n_held[ECHO_QUEUES];
	struct vhk_queue *queue[ECHO_QUEUES];
	unsigned int starts, stops, frees;
	bool refuse_start;
	unsigned int begins, begins_refused; /* so many begins fail: another has what it needs */
};

static inline void echo_answer(struct vhk_queue *q, struct vhk_chain *c)
{
	uint32_t n = 0;

	if (c->n_out == 1 && c->n_in == 1 && !(c->flags & VHK_CHAIN_F_FAULT)) {
		n = vhk_min((uint32_t)c->seg[0].iov_len, (uint32_t)c->seg[1].iov_len);
		memcpy(c->seg[1].iov_base, c->seg[0].iov_base, n);
	}
	vhk_queue_done(q, c, n);
}

static inline void echo_work(void *priv, struct vhk_queue *q, struct vhk_chain **chains,
			     unsigned int n)
{
	struct echo *e = priv;
	unsigned int i, at = vhk_queue_index(q);

	for (i = 0; i < n; i++) {
		if (!e->hold[at]) {
			echo_answer(q, chains[i]);
			continue;
		}
		e->held[at][e->n_held[at]] = chains[i];
		__atomic_store_n(&e->n_held[at], e->n_held[at] + 1, __ATOMIC_RELEASE);
	}
}

static inline void echo_let_go(struct echo *e, unsigned int at)
{
	unsigned int i, n = e->n_held[at];

	e->n_held[at] = 0;
	for (i = 0; i < n; i++)
		echo_answer(e->queue[at], e->held[at][i]);
}

static inline int echo_begin(void *priv)
{
	struct echo *e = priv;

	return e->begins++ < e->begins_refused ? -EBUSY : 0;
}

static inline int echo_start(void *priv, struct vhk_queue *q)
{
	struct echo *e = priv;

	e->queue[vhk_queue_index(q)] = q;
	__atomic_add_fetch(&e->starts, 1, __ATOMIC_RELAXED);
	return e->refuse_start ? -EIO : 0;
}

static inline void echo_stop(void *priv, struct vhk_queue *q)
{
	struct echo *e = priv;

	(void)q;
	__atomic_add_fetch(&e->stops, 1, __ATOMIC_RELAXED);
}

static inline void echo_free(void *priv)
{
	((struct echo *)priv)->frees++;
}

static inline void echo_new(struct echo *e)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.work = echo_work,
		.begin = echo_begin,
		.queue_start = echo_start,
		.queue_stop = echo_stop,
		.free = echo_free,
	};
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 0xffff,
		.features = VHK_F_RING_ALL,
		.n_queues = ECHO_QUEUES,
		.queue_size = ECHO_SIZE,
		.ctx_size = 16,
	};

	memset(e, 0, sizeof(*e));
	T_EQ(vhk_device_new(&e->dev, &info, &ops, e), 0);
}

/* The driver's end of one queue, with buffers in the same memory. */
struct driver {
	struct vhk_mem *mem;
	struct vhk_vq *vq;
	unsigned char *buf; /* ECHO_SIZE pairs of ECHO_BUF bytes */
	int kick, call, err;
	unsigned int next;
	uint64_t features;
};

static inline void driver_init(struct driver *d, uint64_t features)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = ECHO_SIZE, .features = features,
				 .gpa = { 1 << 20 }, .max_indirect = 8 };
	void *va;

	memset(d, 0, sizeof(*d));
	d->features = features;
	T_MUST(!vhk_mem_new(&d->mem));
	T_MUST(!vhk_mem_alloc(d->mem, (struct vhk_gpa){ 0 }, ECHO_SIZE * 2 * ECHO_BUF, &va));
	d->buf = va;
	T_MUST(!vhk_vq_new(&d->vq, d->mem, &o));
	d->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static inline void driver_fini(struct driver *d)
{
	vhk_vq_free(d->vq);
	vhk_mem_free(d->mem);
	close(d->kick);
	close(d->call);
	close(d->err);
}

static inline void driver_kick(struct driver *d)
{
	const uint64_t one = 1;

	T_EQ(write(d->kick, &one, sizeof(one)), sizeof(one));
}

/* Sends one request whose bytes are all @value. */
static inline void driver_send(struct driver *d, unsigned char value)
{
	unsigned char *out = d->buf + (d->next++ % ECHO_SIZE) * 2 * ECHO_BUF;
	struct iovec seg[2] = { { out, ECHO_BUF }, { out + ECHO_BUF, ECHO_BUF } };

	memset(out, value, ECHO_BUF);
	memset(out + ECHO_BUF, ~value, ECHO_BUF);
	T_EQ(vhk_vq_add(d->vq, seg, 1, 1, out), 0);
	if (vhk_vq_publish(d->vq))
		driver_kick(d);
}

/* Takes answers without waiting; each is as it was sent. */
static inline unsigned int driver_take(struct driver *d)
{
	struct vhk_done done[ECHO_SIZE];
	int i, n = vhk_vq_get(d->vq, done, ECHO_SIZE);

	T_OK(n >= 0);
	for (i = 0; i < n; i++) {
		T_EQ(done[i].written, ECHO_BUF);
		T_EQ(memcmp(done[i].token, (char *)done[i].token + ECHO_BUF, ECHO_BUF), 0);
	}
	return n > 0 ? (unsigned int)n : 0;
}

static inline void driver_setup(struct driver *d, struct vhk_queue_setup *s)
{
	struct vhk_vq_addr a;

	T_EQ(vhk_vq_addr(d->vq, &a), 0);
	*s = (struct vhk_queue_setup){
		.size = a.size,
		.features = d->features,
		.base = a.base,
		.at = { .desc = a.desc, .driver = a.driver, .device = a.device },
		.table = vhk_mem_table(d->mem),
		.used_gpa = UINT64_MAX,
		.kick_fd = fcntl(d->kick, F_DUPFD_CLOEXEC, 0),
		.call_fd = fcntl(d->call, F_DUPFD_CLOEXEC, 0),
		.err_fd = fcntl(d->err, F_DUPFD_CLOEXEC, 0),
		.enabled = true,
	};
}

/* A door: what it was answered and told. */
struct door {
	struct vhk_loop *ctl;
	int answers, ret;
	uint32_t base;
	int errors, error;
	int config_changes;
	int misses;
	uint64_t miss_at, miss_len;
};

static inline void door_answer(void *arg, int ret, uint32_t base)
{
	struct door *d = arg;

	d->answers++;
	d->ret = ret;
	d->base = base;
}

static inline void door_config(void *arg)
{
	((struct door *)arg)->config_changes++;
}

static inline void door_error(void *arg, unsigned int idx, int err)
{
	struct door *d = arg;

	(void)idx;
	d->errors++;
	d->error = err;
}

static inline void door_misses(void *arg, unsigned int idx, uint64_t at, uint64_t len)
{
	struct door *d = arg;

	(void)idx;
	d->misses++;
	d->miss_at = at;
	d->miss_len = len;
}

static const struct vhk_door_ops door_ops = {
	.config_changed = door_config,
	.queue_error = door_error,
	.queue_misses = door_misses,
};

/* Steps the control loop until *what reaches @want; false after five seconds. */
static inline bool door_until(struct door *d, const int *what, int want)
{
	uint64_t end = t_now_ns() + 5000000000u;

	while (*what < want && t_now_ns() < end)
		vhk_loop_step(d->ctl, 10000000);
	return *what >= want;
}

/* The answer to the change that was just asked for. */
static inline int door_wait(struct door *d)
{
	if (!door_until(d, &d->answers, d->answers + 1))
		return -ETIMEDOUT;
	return d->ret;
}

/* One driver, the device and its door; the queues on the control loop, or on loops of threads. */
#define RIG_LOOPS 2

struct rig {
	struct echo echo;
	struct driver drv;
	struct door door;
	struct vhk_loop *data[RIG_LOOPS];
	pthread_t thread[RIG_LOOPS];
	unsigned int n_data;
};

static inline void *rig_run_loop(void *arg)
{
	vhk_loop_run(arg);
	return NULL;
}

/* @flags: of the loops, VHK_LOOP_F_*. */
static inline void rig_init_flags(struct rig *r, enum vhk_loop_engine engine, unsigned int n_data,
				  uint64_t features, uint32_t flags)
{
	struct vhk_loop_opts o = { .sz = sizeof(o), .engine = engine, .flags = flags };
	unsigned int i;

	memset(r, 0, sizeof(*r));
	T_MUST(!vhk_loop_new(&r->door.ctl, &o));
	echo_new(&r->echo);
	for (i = 0; i < n_data; i++)
		T_MUST(!vhk_loop_new(&r->data[i], &o));
	if (n_data)
		T_EQ(vhk_device_set_loops(r->echo.dev, r->data, n_data), 0);
	for (; r->n_data < n_data; r->n_data++)
		T_MUST(!pthread_create(&r->thread[r->n_data], NULL, rig_run_loop,
				       r->data[r->n_data]));
	T_EQ(vhk_device_hold(r->echo.dev, r->door.ctl, &door_ops, &r->door), 0);
	driver_init(&r->drv, features);
}

static inline void rig_init(struct rig *r, enum vhk_loop_engine engine, unsigned int n_data,
			    uint64_t features)
{
	rig_init_flags(r, engine, n_data, features, 0);
}

static inline void rig_fini(struct rig *r)
{
	unsigned int i;

	vhk_device_drop(r->echo.dev);
	for (i = 0; i < r->n_data; i++) {
		vhk_loop_stop(r->data[i]);
		pthread_join(r->thread[i], NULL);
	}
	vhk_device_free(r->echo.dev);
	for (i = 0; i < r->n_data; i++)
		vhk_loop_free(r->data[i]);
	vhk_loop_free(r->door.ctl);
	driver_fini(&r->drv);
}

static inline void rig_start(struct rig *r)
{
	struct vhk_queue_setup s;

	driver_setup(&r->drv, &s);
	T_EQ(vhk_device_start_queue(r->echo.dev, 0, &s, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
}

static inline void rig_stop(struct rig *r)
{
	T_EQ(vhk_device_stop_queue(r->echo.dev, 0, door_answer, &r->door), 0);
	T_EQ(door_wait(&r->door), 0);
}

/* Until the device holds @n chains of queue @at; five seconds at most. */
static inline void rig_until_held(struct rig *r, unsigned int at, unsigned int n)
{
	uint64_t end = t_now_ns() + 5000000000u;
	unsigned int held;

	do {
		vhk_loop_step(r->door.ctl, 1000000);
		held = __atomic_load_n(&r->echo.n_held[at], __ATOMIC_ACQUIRE);
	} while (held < n && t_now_ns() < end);
	T_EQ(held, n);
}

/* Sends @n requests, which the device holds back, as it does with all that follow. */
static inline void rig_hold(struct rig *r, unsigned int n)
{
	unsigned int i;

	r->echo.hold[0] = true;
	for (i = 0; i < n; i++)
		driver_send(&r->drv, (unsigned char)i);
	rig_until_held(r, 0, n);
}

/* For vhk_device_set_table(): the ring lies nowhere any more. */
static inline int find_nothing(void *arg, unsigned int idx, struct vhk_ring_place *at)
{
	(void)arg, (void)idx, (void)at;
	return -EFAULT;
}

#endif
