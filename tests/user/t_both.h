/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Both ends of vhost-user out of the library: a back end in a thread of its own, a front end here.
 * What has to run in the back end's thread is sent there, and waited for.
 */
#ifndef VHK_TESTS_T_BOTH_H
#define VHK_TESTS_T_BOTH_H

#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>

#include <vhostkit/backend.h>
#include <vhostkit/ctl.h>

#include "base.h"
#include "t.h"

#define T_SECOND 1000000000LL

struct t_both {
	struct vhk_loop *loop;
	struct vhk_backend *be;
	struct vhk_ctl *ctl;
	pthread_t thread;
};

/* A loop is its thread's, to the end. */
static inline void *t_both_run(void *arg)
{
	struct t_both *b = arg;

	vhk_loop_run(b->loop);
	vhk_backend_close(b->be);
	return NULL;
}

/* @o: timeout and log are filled in where they are not given. */
static inline void t_both_open(struct t_both *b, struct vhk_device *dev,
			       const struct vhk_backend_opts *bo, struct vhk_ctl_opts o)
{
	char uri[32];
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_loop_new(&b->loop, NULL));
	T_MUST(!vhk_backend_take_fd(&b->be, b->loop, dev, fd[1], bo));
	T_MUST(!pthread_create(&b->thread, NULL, t_both_run, b));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	o.sz = sizeof(o);
	o.timeout_ms = o.timeout_ms ? o.timeout_ms : 20000;
	T_MUST(!vhk_ctl_open(&b->ctl, uri, &o));
}

/* The front end hangs up first. The loop is left, for queues on other loops to post to. */
static inline void t_both_stop(struct t_both *b)
{
	vhk_ctl_close(b->ctl);
	vhk_loop_stop(b->loop);
	pthread_join(b->thread, NULL);
}

/* The device is the caller's to free after this. */
static inline void t_both_close(struct t_both *b)
{
	t_both_stop(b);
	vhk_loop_free(b->loop);
}

struct t_both_call {
	struct vhk_work work;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static inline void t_both_work(struct vhk_work *w)
{
	struct t_both_call *c = vhk_container_of(w, struct t_both_call, work);

	c->fn(c->arg);
	sem_post(&c->done);
}

/* @fn runs in the back end's thread, and has returned after this. */
static inline void t_both_call(struct t_both *b, void (*fn)(void *arg), void *arg)
{
	struct t_both_call c = { .work = { .fn = t_both_work }, .fn = fn, .arg = arg };

	sem_init(&c.done, 0, 0);
	vhk_loop_post(b->loop, &c.work);
	while (sem_wait(&c.done) && errno == EINTR)
		;
	sem_destroy(&c.done);
}

/* Serves the back end's requests until *@done, or ten seconds are over. */
static inline bool t_both_serve(struct t_both *b, const int *done)
{
	uint64_t end = t_now_ns() + 10 * T_SECOND;

	while (!__atomic_load_n(done, __ATOMIC_ACQUIRE) && t_now_ns() < end) {
		struct pollfd p = { .fd = vhk_ctl_fd(b->ctl), .events = POLLIN };

		poll(&p, 1, 10);
		vhk_ctl_process(b->ctl);
	}
	return __atomic_load_n(done, __ATOMIC_ACQUIRE);
}

#endif
