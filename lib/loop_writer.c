// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A writer: a thread of the caller's that makes the writes which would hold up a loop. It is woken
 * up once for what a loop has for it at a time, and gives back several at once.
 */
#include <pthread.h>

#include "loop_impl.h"

/* So many are given back together: the driver works on the first while others are made. */
#define TOGETHER 16

struct vhk_writer {
	pthread_mutex_t lock; /* of all below, and of a loop that something is given back to */
	pthread_cond_t more;
	struct vhk_io *first, **last;
	bool waits, stop;
};

int vhk_writer_new(struct vhk_writer **out)
{
	struct vhk_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->last = &w->first;
	*out = w;
	return 0;
}

void vhk_writer_free(struct vhk_writer *w)
{
	if (!w)
		return;
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void vhk_writer_stop(struct vhk_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

/* All that there is; NULL: the end. */
static struct vhk_io *take(struct vhk_writer *w)
{
	struct vhk_io *io;

	pthread_mutex_lock(&w->lock);
	while (!w->first && !w->stop) {
		w->waits = true;
		pthread_cond_wait(&w->more, &w->lock);
	}
	w->waits = false;
	io = w->first;
	w->first = NULL;
	w->last = &w->first;
	pthread_mutex_unlock(&w->lock);
	return io;
}

/*
 * [@first, @last], newest first. Under the lock, since the loop may be freed once it has them. The
 * push, then the look at sleeping, pair with the loop's store to sleeping, then its look at what
 * was made.
 */
static void give_back(struct vhk_writer *w, struct vhk_loop *l, struct vhk_io *first,
		      struct vhk_io *last)
{
	struct vhk_io *next;

	pthread_mutex_lock(&w->lock);
	next = atomic_load_explicit(&l->made, memory_order_relaxed);
	do {
		last->next = next;
	} while (!atomic_compare_exchange_weak(&l->made, &next, first));
	if (atomic_load(&l->sleeping) && atomic_exchange(&l->sleeping, false))
		vhk_loop_wake(l);
	pthread_mutex_unlock(&w->lock);
}

/* Makes a group of one loop's; returns what is left. */
static struct vhk_io *make(struct vhk_writer *w, struct vhk_io *io)
{
	struct vhk_loop *l = io->loop;
	struct vhk_io *next, *made = NULL, *last = io;
	unsigned int n;

	for (n = 0; io && io->loop == l && n < TOGETHER; n++, io = next) {
		next = io->next;
		io->res = vhk_io_now(io->fd, io);
		io->next = made;
		made = io;
	}
	give_back(w, l, made, last);
	return io;
}

void vhk_writer_run(struct vhk_writer *w)
{
	struct vhk_io *io;

	while ((io = take(w)))
		while (io)
			io = make(w, io);
}

void vhk_io_leave_writer(struct vhk_loop *l)
{
	if (!l->writer)
		return;
	pthread_mutex_lock(&l->writer->lock);
	pthread_mutex_unlock(&l->writer->lock);
	l->writer = NULL;
}

int vhk_loop_set_writer(struct vhk_loop *l, struct vhk_writer *w)
{
	if (l->n_io)
		return -EBUSY;
	vhk_io_leave_writer(l);
	l->writer = w;
	return 0;
}

void vhk_io_write_later(struct vhk_loop *l, struct vhk_io *io)
{
	io->loop = l;
	io->fd = l->files[io->file].fd;
	io->next = NULL;
	*l->to_write_tail = io;
	l->to_write_tail = &io->next;
}

void vhk_io_send_writes(struct vhk_loop *l)
{
	struct vhk_writer *w = l->writer;

	if (!l->to_write)
		return;
	pthread_mutex_lock(&w->lock);
	*w->last = l->to_write;
	w->last = l->to_write_tail;
	if (w->waits)
		pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	l->to_write = NULL;
	l->to_write_tail = &l->to_write;
}

static struct vhk_io *reversed(struct vhk_io *io)
{
	struct vhk_io *done = NULL, *next;

	for (; io; io = next) {
		next = io->next;
		io->next = done;
		done = io;
	}
	return done;
}

unsigned int vhk_io_take_made(struct vhk_loop *l)
{
	struct vhk_io *io, *next;
	unsigned int n;

	if (!vhk_io_made(l))
		return 0;
	io = reversed(atomic_exchange_explicit(&l->made, NULL, memory_order_acquire));
	for (n = 0; io; n++, io = next) {
		next = io->next;
		vhk_io_end(l, io, io->res);
	}
	l->n_learn += n;
	return n;
}
