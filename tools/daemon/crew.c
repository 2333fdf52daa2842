// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Data threads: a loop each, started after signals were blocked, so that only the control thread
 * sees any.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"

struct hand {
	struct vhk_loop *loop, *ctl;
	pthread_t thread;
	bool started;
	int ret;
};

struct crew {
	struct vhk_loop *ctl;
	struct vhk_writer *writer; /* or NULL */
	pthread_t writer_thread;
	bool writes;
	unsigned int n;
	struct vhk_loop **loops; /* the control loop alone where there are no threads */
	struct hand hand[];
};

static void *run(void *arg)
{
	struct hand *h = arg;

	h->ret = vhk_loop_run(h->loop);
	if (h->ret < 0) {
		say("a data thread ended: %s", strerror(-h->ret));
		vhk_loop_stop(h->ctl);
	}
	return NULL;
}

int crew_new(struct crew **out, unsigned int n, const struct vhk_loop_opts *o,
	     struct vhk_loop *ctl)
{
	struct crew *c = calloc(1, sizeof(*c) + n * sizeof(c->hand[0]));
	unsigned int i;
	int ret;

	if (!c)
		return -ENOMEM;
	c->n = n;
	c->ctl = ctl;
	c->loops = calloc(n + 1, sizeof(*c->loops));
	ret = c->loops ? 0 : -ENOMEM;
	for (i = 0; !ret && i < c->n; i++) {
		ret = vhk_loop_new(&c->hand[i].loop, o);
		c->hand[i].ctl = ctl;
		c->loops[i] = c->hand[i].loop;
	}
	if (ret) {
		crew_free(c);
		return ret;
	}
	if (!c->n)
		c->loops[0] = ctl;
	*out = c;
	return 0;
}

struct vhk_loop *const *crew_loops(const struct crew *c)
{
	return c->loops;
}

int crew_add_writer(struct crew *c)
{
	unsigned int i;
	int ret = vhk_writer_new(&c->writer);

	if (!ret)
		ret = vhk_loop_set_writer(c->ctl, c->writer);
	for (i = 0; i < c->n && !ret; i++)
		ret = vhk_loop_set_writer(c->hand[i].loop, c->writer);
	return ret;
}

static void *write_on(void *arg)
{
	vhk_writer_run(arg);
	return NULL;
}

int crew_start(struct crew *c)
{
	unsigned int i;
	int ret;

	if (c->writer) {
		ret = pthread_create(&c->writer_thread, NULL, write_on, c->writer);
		if (ret)
			return -ret;
		c->writes = true;
	}
	for (i = 0; i < c->n; i++) {
		ret = pthread_create(&c->hand[i].thread, NULL, run, &c->hand[i]);
		if (ret)
			return -ret;
		c->hand[i].started = true;
	}
	return 0;
}

int crew_stop(struct crew *c)
{
	unsigned int i;
	int ret = 0;

	if (!c)
		return 0;
	for (i = 0; i < c->n; i++) {
		if (!c->hand[i].started)
			continue;
		vhk_loop_stop(c->hand[i].loop);
		pthread_join(c->hand[i].thread, NULL);
		c->hand[i].started = false;
		if (c->hand[i].ret < 0)
			ret = c->hand[i].ret;
	}
	/* behind all who have something for it */
	if (c->writes) {
		vhk_writer_stop(c->writer);
		pthread_join(c->writer_thread, NULL);
		c->writes = false;
	}
	return ret;
}

void crew_free(struct crew *c)
{
	unsigned int i;

	if (!c)
		return;
	for (i = 0; i < c->n; i++)
		vhk_loop_free(c->hand[i].loop);
	vhk_writer_free(c->writer);
	free(c->loops);
	free(c);
}
