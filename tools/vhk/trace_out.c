// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The buffer is a ring under a lock; the writing thread takes pieces out of it and writes them
 * without the lock. It pauses between pieces, so that a burst of lines wakes it once, not with each
 * line: being woken costs who wakes, too, and takes a processor from the ends that are traced.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "trace_out.h"

#define PIECE 16384
/* The reader is given up when it takes nothing for so long. */
#define PATIENCE_S 3
#define PAUSE_NS 2000000

struct out {
	struct out_opts opts;
	pthread_t thread;
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t filled, emptied;
	size_t from, len;
	uint64_t lost, lost_told; /* lines */
	bool waiting, over, done;
	bool deaf; /* the reader was given up */
	int error;
	char data[];
};

static size_t take(struct out *o, char *piece)
{
	size_t n = o->len < PIECE ? o->len : PIECE, end = o->opts.size - o->from;

	if (n > end)
		n = end;
	memcpy(piece, o->data + o->from, n);
	return n;
}

static void put(struct out *o, const char *text, size_t len)
{
	size_t at = (o->from + o->len) % o->opts.size, first = o->opts.size - at;

	if (first > len)
		first = len;
	memcpy(o->data + at, text, first);
	memcpy(o->data, text + first, len - first);
	o->len += len;
}

/* 0 or -errno; a descriptor that does not block is waited for. */
static int write_all(int fd, const char *text, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EAGAIN) {
			poll(&p, 1, -1);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static struct timespec from_now(time_t sec, long ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += sec;
	t.tv_nsec += ns;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Returns when there is something to write, or nothing ever will be. */
static void wait_for_lines(struct out *o)
{
	struct timespec end = from_now(0, PAUSE_NS);
	int ret = 0;

	while (!o->over && !ret && o->len < PIECE)
		ret = pthread_cond_timedwait(&o->filled, &o->lock, &end);
	while (!o->len && !o->over) {
		o->waiting = true;
		pthread_cond_wait(&o->filled, &o->lock);
		o->waiting = false;
	}
}

static void *write_on(void *arg)
{
	struct out *o = arg;
	static char piece[PIECE];
	size_t n;
	int ret;

	pthread_mutex_lock(&o->lock);
	while (!o->error) {
		wait_for_lines(o);
		if (!o->len)
			break;
		n = take(o, piece);
		pthread_mutex_unlock(&o->lock);
		ret = write_all(o->opts.fd, piece, n);
		pthread_mutex_lock(&o->lock);
		o->from = (o->from + n) % o->opts.size;
		o->len -= n;
		o->error = ret;
		if (ret && !o->over)
			o->opts.failed(o->opts.arg);
		pthread_cond_signal(&o->emptied);
	}
	o->done = true;
	pthread_cond_signal(&o->emptied);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

int out_open(struct out **out, const struct out_opts *opts)
{
	struct out *o = malloc(sizeof(*o) + opts->size);
	pthread_condattr_t attr;
	int ret;

	if (!o)
		return -ENOMEM;
	memset(o, 0, sizeof(*o));
	o->opts = *opts;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->filled, &attr);
	pthread_cond_init(&o->emptied, &attr);
	pthread_condattr_destroy(&attr);
	ret = pthread_create(&o->thread, NULL, write_on, o);
	if (ret) {
		free(o);
		return -ret;
	}
	*out = o;
	return 0;
}

/* What is missing is told first, in one piece with what follows it. */
static void put_with_note(struct out *o, const char *text, size_t len)
{
	char note[128] = "";
	size_t n = 0;

	if (o->lost > o->lost_told)
		n = (size_t)snprintf(note, sizeof(note), o->opts.lost_fmt,
				     (unsigned long long)(o->lost - o->lost_told));
	if (o->opts.size - o->len < n + len) {
		o->lost++;
		return;
	}
	put(o, note, n);
	put(o, text, len);
	o->lost_told = o->lost;
}

void out_line(struct out *o, const char *text, size_t len)
{
	bool wake;

	pthread_mutex_lock(&o->lock);
	if (!o->error)
		put_with_note(o, text, len);
	wake = o->waiting && o->len;
	pthread_mutex_unlock(&o->lock);
	if (wake)
		pthread_cond_signal(&o->filled);
}

uint64_t out_lost(struct out *o)
{
	uint64_t lost;

	pthread_mutex_lock(&o->lock);
	lost = o->lost;
	pthread_mutex_unlock(&o->lock);
	return lost;
}

int out_error(struct out *o)
{
	int error;

	pthread_mutex_lock(&o->lock);
	error = o->error;
	pthread_mutex_unlock(&o->lock);
	return error;
}

/* Until the thread is done, has at least written something, or the reader is given up. */
static void wait_for_reader(struct out *o)
{
	struct timespec until = from_now(PATIENCE_S, 0);
	size_t before = o->len;
	int ret = 0;

	while (!o->done && o->len == before && !ret)
		ret = pthread_cond_timedwait(&o->emptied, &o->lock, &until);
	o->deaf = !o->done && o->len == before;
}

void out_make_room(struct out *o)
{
	pthread_mutex_lock(&o->lock);
	while (!o->done && !o->deaf && o->len > o->opts.size / 2)
		wait_for_reader(o);
	pthread_mutex_unlock(&o->lock);
}

int out_close(struct out *o)
{
	int ret;

	pthread_mutex_lock(&o->lock);
	o->over = true;
	pthread_cond_signal(&o->filled);
	while (!o->done && !o->deaf)
		wait_for_reader(o);
	ret = o->done ? o->error : -ETIMEDOUT;
	pthread_mutex_unlock(&o->lock);
	/* A thread that is still writing needs all of this; it ends with the process. */
	if (ret == -ETIMEDOUT)
		return ret;
	pthread_join(o->thread, NULL);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->filled);
	pthread_cond_destroy(&o->emptied);
	free(o);
	return ret;
}
