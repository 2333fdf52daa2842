// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Lines on stderr: whole ones, whichever thread they come from, and whatever names are in them.
 *
 * Whoever reads stderr may stop reading (a pipe, a socket, a terminal), and a disk may hang. One
 * thread writes, and waits where it has to; all others leave their lines with it and go on. Lines
 * that there is no room for are lost, and the next line that finds room says how many, or one of
 * its own when all others are written.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"

/* No longer than a pipe takes in one piece. */
#define LINE_MAX_BYTES 600
/* The statistics of as many queues as there can be, several times. */
#define ROOM (256u << 10)
/* The process's end waits that long for its last lines: if nobody reads them, and if somebody does
 * and the writer has had no processor yet. */
#define UNREAD_NS 300000000
#define LAST_NS 5000000000
#define TICK_NS 100000000

static char bytes[ROOM];

static struct {
	pthread_mutex_t lock; /* of all of this and of bytes[]; never held while something waits */
	pthread_cond_t filled, emptied;
	size_t from, to; /* the lines in bytes[] */
	uint64_t n_lost; /* and not yet told of */
	bool started;
	bool writing; /* a line that is not in bytes[] any more */
} out = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.filled = PTHREAD_COND_INITIALIZER,
	.emptied = PTHREAD_COND_INITIALIZER,
};

static bool write_line(const char *line, size_t n)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t ret;

	while (n) {
		ret = write(STDERR_FILENO, line, n);
		if (ret > 0) {
			line += ret;
			n -= (size_t)ret;
		} else if (ret < 0 && errno == EAGAIN) {
			/* others have the same stderr, and may have made it non-blocking */
			poll(&p, 1, -1);
		} else if (!ret || errno != EINTR) {
			return false;
		}
	}
	return true;
}

static void take_line(char *line, size_t *n)
{
	const char *first = bytes + out.from, *end = memchr(first, '\n', out.to - out.from);

	*n = (size_t)(end + 1 - first);
	memcpy(line, first, *n);
	out.from += *n;
	if (out.from == out.to)
		out.from = out.to = 0;
}

/* False: there is no room for it. */
static bool append(const char *line, size_t n)
{
	if (out.to - out.from + n > ROOM)
		return false;
	if (out.to + n > ROOM) {
		memmove(bytes, bytes + out.from, out.to - out.from);
		out.to -= out.from;
		out.from = 0;
	}
	memcpy(bytes + out.to, line, n);
	out.to += n;
	pthread_cond_signal(&out.filled);
	return true;
}

/* Says how many lines were lost, if any were; false: there is no room for that yet. */
static bool tell_lost(void)
{
	char line[LINE_MAX_BYTES];
	int n;

	if (!out.n_lost)
		return true;
	n = snprintf(line, sizeof(line), "%s: %" PRIu64 " lines were lost\n", say_name,
		     out.n_lost);
	if (!append(line, (size_t)n))
		return false;
	out.n_lost = 0;
	return true;
}

static void *write_lines(void *arg)
{
	char line[LINE_MAX_BYTES];
	bool written;
	size_t n;

	(void)arg;
	pthread_mutex_lock(&out.lock);
	for (;;) {
		while (out.from == out.to)
			pthread_cond_wait(&out.filled, &out.lock);
		take_line(line, &n);
		out.writing = true;
		pthread_mutex_unlock(&out.lock);
		written = write_line(line, n);
		pthread_mutex_lock(&out.lock);
		out.writing = false;
		out.n_lost += !written;
		if (written && out.from == out.to)
			tell_lost();
		pthread_cond_signal(&out.emptied);
	}
	return NULL;
}

static void add_line(const char *line, size_t n)
{
	if (!tell_lost() || !append(line, n))
		out.n_lost++;
}

/* As far as can be seen, writing would not wait. */
static bool is_read(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && !(p.revents & POLLNVAL);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* The last lines say why the process ends. */
static void finish(void)
{
	const int64_t began = now_ns();
	struct timespec tick;
	bool told;
	int64_t now;

	pthread_mutex_lock(&out.lock);
	told = tell_lost();
	while (out.from != out.to || out.writing) {
		told = told || tell_lost();
		now = now_ns();
		if (now - began > LAST_NS || (now - began > UNREAD_NS && !is_read()))
			break;
		now += TICK_NS;
		tick = (struct timespec){ now / 1000000000, now % 1000000000 };
		pthread_cond_clockwait(&out.emptied, &out.lock, CLOCK_MONOTONIC, &tick);
	}
	pthread_mutex_unlock(&out.lock);
}

/* Signals are for the control thread. */
static bool start_writing(void)
{
	sigset_t all, was;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	out.started = !pthread_create(&thread, NULL, write_lines, NULL);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (out.started) {
		pthread_detach(thread);
		atexit(finish);
	}
	return out.started;
}

/* What is left where no thread can be had: a line that need not wait is written. */
static void write_now(const char *line, size_t n)
{
	if (is_read())
		write_line(line, n);
}

static void put(const char *text)
{
	char line[LINE_MAX_BYTES];
	int i, n = snprintf(line, sizeof(line), "%s: %s\n", say_name, text);
	bool started;

	if (n >= (int)sizeof(line)) {
		n = (int)sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	for (i = 0; i < n - 1; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	pthread_mutex_lock(&out.lock);
	started = out.started || start_writing();
	if (started)
		add_line(line, (size_t)n);
	pthread_mutex_unlock(&out.lock);
	if (!started)
		write_now(line, (size_t)n);
}

void say(const char *fmt, ...)
{
	char text[560];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(text);
}

void say_log(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	put(text);
}
