// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Errors in one line, numbers with suffixes, progress.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void say(const char *fmt, ...)
{
	char text[1024], *at;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Names that others chose must not begin a line. */
	for (at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	fprintf(stderr, "vhk: %s\n", text);
}

/* The library's codes in words where strerror() says something else. */
static const char *meaning(int ret)
{
	switch (-ret) {
	case EOPNOTSUPP:
		return "not supported by the back end";
	case EREMOTEIO:
		return "refused by the back end";
	case ENOTCONN:
		return "the back end is gone";
	case EPROTO:
		return "the back end broke the protocol";
	case ETIMEDOUT:
		return "no answer in time";
	case EBADMSG:
		return "the ring is broken";
	default:
		return strerror(-ret);
	}
}

/* Of several lines the first is the cause. */
static char reason[256];

static void keep_reason(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	if (!*reason)
		snprintf(reason, sizeof(reason), "%s", text);
}

struct vhk_log say_log(void)
{
	return (struct vhk_log){ .fn = keep_reason, .level = VHK_LOG_WARN };
}

void say_forget(void)
{
	*reason = 0;
}

/* Without the words for the code, which come before it. */
static void cut_reason(int ret)
{
	size_t n = strlen(reason), tail = strlen(strerror(-ret));

	if (n > tail + 2 && !strcmp(reason + n - tail, strerror(-ret)))
		reason[n - tail - 2] = 0;
}

int say_error(int ret, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cut_reason(ret);
	/* A line that begins with what this is about says all of it. */
	if (*reason && !strncmp(reason, text, strlen(text)) && reason[strlen(text)] == ':')
		say("%s", reason);
	else if (*reason && strcmp(reason, text) && ret != -ENOTCONN)
		say("%s: %s (%s)", text, meaning(ret), reason);
	else
		say("%s: %s", text, meaning(ret));
	return EXIT_FAILED;
}

int say_getopt(int argc, char **argv, const char *letters, const struct option *options, int *at)
{
	static char name[] = "vhk";
	char *word = argv[0];
	int opt;

	argv[0] = name;
	opt = getopt_long(argc, argv, letters, options, at);
	argv[0] = word;
	return opt;
}

static const char *usage = "vhk --help";

void say_usage_is(const char *command)
{
	usage = command;
}

int say_usage(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("%s (see %s)", text, usage);
	return EXIT_USAGE;
}

static int shift_of(char c)
{
	static const char suffixes[] = "kmgt";
	const char *at = c ? strchr(suffixes, c | 0x20) : NULL;

	return at ? 10 * (int)(at - suffixes + 1) : -1;
}

bool parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned long long v;
	int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoull(text, &end, 0);
	if (*end) {
		shift = shift_of(*end);
		if (shift < 0 || end[1])
			return false;
	}
	if (errno || v > UINT64_MAX >> shift)
		return false;
	*out = (uint64_t)v << shift;
	return *out >= min && *out <= max;
}

bool parse_seconds(const char *text, uint64_t *ns)
{
	char *end;
	double v;

	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	errno = 0;
	v = strtod(text, &end);
	if (errno || *end || !(v > 0 && v <= 1e6))
		return false;
	*ns = (uint64_t)(v * 1e9);
	return true;
}

#define BAR_WIDTH 40
#define BAR_PAUSE_NS 100000000u
#define BAR_FIRST_NS 500000000u

void progress_begin(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){ .what = what, .total = total, .begun = now_ns() };
	p->shown = p->begun + BAR_FIRST_NS - BAR_PAUSE_NS;
	p->on = total && isatty(STDERR_FILENO);
}

static void progress_draw(const struct progress *p, uint64_t done, uint64_t now)
{
	double part = (double)done / (double)p->total;
	unsigned int i, full = (unsigned int)(part * BAR_WIDTH);
	double s = (double)(now - p->begun) / 1e9;
	char bar[BAR_WIDTH + 1];

	for (i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < full ? '#' : '.';
	bar[BAR_WIDTH] = 0;
	fprintf(stderr, "\r%s [%s] %3u%% %.0f s ", p->what, bar,
		(unsigned int)(part * 100), s);
	fflush(stderr);
}

void progress_set(struct progress *p, uint64_t done)
{
	uint64_t now;

	if (!p->on)
		return;
	now = now_ns();
	if (now < p->shown + BAR_PAUSE_NS)
		return;
	p->shown = now;
	p->drawn = true;
	progress_draw(p, done < p->total ? done : p->total, now);
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->on = p->drawn = false;
}
