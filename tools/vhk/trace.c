// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk trace: stands between a front end and a back end, passes everything on, and prints what they
 * say.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <vhostkit/trace.h>

#include "commands.h"
#include "say.h"
#include "trace_out.h"
#include "trace_show.h"
#include "uri.h"

/* Lines that a slow reader has not taken yet. */
#define BUFFER_SIZE (1u << 20)

struct tracer {
	char *front, *back; /* URIs */
	bool json, quiet, once, check;
	uint64_t poll_ns;
	bool in_session, closed; /* @closed: nobody reads what is printed */
	struct show show;
	char *text; /* the line that is made: what show.f writes to */
	size_t len;
	struct out *out;
	struct vhk_work work; /* output_closed() */
	struct vhk_loop *loop;
	struct vhk_trace *trace;
};

/* What was printed to the stream becomes one entry of the buffer. */
static void hand_on(struct tracer *t)
{
	fflush(t->show.f);
	out_line(t->out, t->text, t->len);
	rewind(t->show.f);
}

/* A session is not cut off for what happens to its onlooker. */
static void output_closed(struct vhk_work *w)
{
	struct tracer *t = (struct tracer *)((char *)w - offsetof(struct tracer, work));

	t->closed = true;
	say("standard output: %s%s", strerror(-out_error(t->out)),
	    t->in_session ? "; the session goes on unseen, and is the last one" : "");
	if (!t->in_session)
		vhk_loop_stop(t->loop);
}

static void output_failed(void *arg)
{
	struct tracer *t = arg;

	vhk_loop_post(t->loop, &t->work);
}

static void on_begin(void *arg, uint64_t session)
{
	struct tracer *t = arg;

	t->in_session = true;
	t->show.n_sessions++;
	if (t->json)
		show_json_begin(&t->show, session, t->front, t->back);
	else
		show_text_begin(&t->show, session, t->front, t->back);
	hand_on(t);
}

static void on_message(void *arg, const struct vhk_trace_msg *m)
{
	struct tracer *t = arg;

	show_count(&t->show, m);
	if (t->quiet && !m->n_wrong)
		return;
	if (t->json)
		show_json_message(&t->show, m);
	else
		show_text_message(&t->show, m);
	hand_on(t);
}

static void on_raw(void *arg, uint64_t session, enum vhk_trace_side from, bool back_channel,
		   const char *why)
{
	struct tracer *t = arg;

	t->show.n_raw++;
	if (t->json)
		show_json_raw(&t->show, session, from, back_channel, why);
	else
		show_text_raw(&t->show, from, back_channel, why);
	hand_on(t);
}

static void on_end(void *arg, const struct vhk_trace_end *e)
{
	struct tracer *t = arg;

	t->in_session = false;
	t->show.n_unanswered += e->unanswered;
	if (t->json)
		show_json_end(&t->show, e);
	else
		show_text_end(&t->show, e);
	hand_on(t);
	if (t->closed)
		vhk_loop_stop(t->loop);
}

static const struct vhk_trace_ops ops = {
	.sz = sizeof(ops),
	.begin = on_begin,
	.message = on_message,
	.raw = on_raw,
	.end = on_end,
};

static void log_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	say("%s", text);
}

static bool wants_color(const char *when)
{
	const char *no = getenv("NO_COLOR");

	if (!strcmp(when, "auto"))
		return isatty(STDOUT_FILENO) && !(no && *no);
	return !strcmp(when, "always");
}

static uint64_t time_of_day(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A path is where the front end connects, and where the back end listens. */
static char *make_uri(const char *text, const char *scheme)
{
	char *uri = NULL;

	if (uri_is(text))
		return strdup(text);
	return asprintf(&uri, "%s:%s", scheme, text) < 0 ? NULL : uri;
}

/* File descriptors pass through this process, many at once if somebody does not read. */
static void open_many(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
}

static int open_output(struct tracer *t)
{
	const struct out_opts o = {
		.fd = STDOUT_FILENO,
		.size = BUFFER_SIZE,
		.lost_fmt = t->json ? "{\"event\": \"lost\", \"lines\": %llu}\n" :
				      "--- %llu lines lost: they are not read fast enough\n",
		.failed = output_failed,
		.arg = t,
	};
	int ret;

	t->show.f = open_memstream(&t->text, &t->len);
	if (!t->show.f)
		return say_error(-errno, "memory");
	t->work.fn = output_closed;
	ret = out_open(&t->out, &o);
	return ret ? say_error(ret, "standard output") : 0;
}

static int open_loop(struct tracer *t)
{
	struct vhk_loop_opts o = { .sz = sizeof(o), .engine = VHK_LOOP_EPOLL,
				   .poll_ns = UINT64_MAX };
	int ret = vhk_loop_new(&t->loop, &o);

	if (!ret)
		ret = vhk_loop_stop_on_signal(t->loop, SIGINT);
	if (!ret)
		ret = vhk_loop_stop_on_signal(t->loop, SIGTERM);
	return ret ? say_error(ret, "event loop") : 0;
}

static int open_trace(struct tracer *t)
{
	const struct vhk_trace_opts o = {
		.sz = sizeof(o),
		.flags = t->once ? VHK_TRACE_F_ONCE : 0,
		.log = { .fn = log_line, .level = VHK_LOG_WARN },
		.poll_ns = t->poll_ns,
	};
	int ret = vhk_trace_open(&t->trace, t->loop, t->front, t->back, &ops, t, &o);

	return ret ? say_error(ret, "%s, %s", t->front, t->back) : 0;
}

static void put_sum(struct tracer *t)
{
	uint64_t lost;

	out_make_room(t->out);
	lost = out_lost(t->out);
	if (t->json)
		show_json_sum(&t->show, lost);
	else
		show_text_sum(&t->show, lost);
	hand_on(t);
}

static int close_output(struct tracer *t)
{
	int ret;

	if (!t->out)
		return 0;
	if (t->trace)
		put_sum(t);
	ret = out_close(t->out);
	if (ret == -ETIMEDOUT)
		say("standard output: nobody reads; what was left is lost");
	else if (ret && !t->closed)
		say("standard output: %s", strerror(-ret));
	return ret ? EXIT_FAILED : 0;
}

static int run(struct tracer *t)
{
	int ret, end;

	/* Signals are blocked before the writing thread is made, which inherits that. */
	ret = open_loop(t);
	if (!ret)
		ret = open_output(t);
	if (!ret)
		ret = open_trace(t);
	if (!ret) {
		ret = vhk_loop_run(t->loop);
		ret = ret ? say_error(ret, "event loop") : 0;
	}
	vhk_trace_close(t->trace);
	end = close_output(t);
	vhk_loop_free(t->loop);
	if (!ret)
		ret = end;
	if (!ret && t->once && !t->show.n_sessions)
		ret = EXIT_FAILED;
	if (!ret && t->check && (t->show.n_wrong || t->show.n_raw || t->show.n_unanswered))
		ret = EXIT_FAILED;
	return ret;
}

static bool take_poll(struct tracer *t, const char *text)
{
	char *end;
	unsigned long us = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || us > 10000)
		return false;
	t->poll_ns = us ? us * 1000 : UINT64_MAX;
	return true;
}

static int parse(struct tracer *t, int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "quiet", no_argument, NULL, 'q' },
						 { "once", no_argument, NULL, '1' },
						 { "check", no_argument, NULL, 'c' },
						 { "device", required_argument, NULL, 'd' },
						 { "color", required_argument, NULL, 'C' },
						 { "poll-us", required_argument, NULL, 'p' },
						 { 0 } };
	const char *color = "auto";
	int opt;

	while ((opt = say_getopt(argc, argv, "jq1cd:", options, NULL)) >= 0) {
		switch (opt) {
		case 'j':
			t->json = true;
			break;
		case 'q':
			t->quiet = true;
			break;
		case '1':
			t->once = true;
			break;
		case 'c':
			t->check = true;
			break;
		case 'd':
			t->show.device = feature_device(optarg);
			if (!t->show.device)
				return say_usage("--device: %s is none of %s", optarg,
						 feature_devices());
			break;
		case 'C':
			color = optarg;
			if (strcmp(color, "auto") && strcmp(color, "always") &&
			    strcmp(color, "never"))
				return say_usage("--color: %s is none of auto, always, never",
						 color);
			break;
		case 'p':
			if (!take_poll(t, optarg))
				return say_usage("--poll-us takes 0 to 10000, not \"%s\"",
						 optarg);
			break;
		default:
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 2)
		return say_usage("trace takes two sockets: where the front end comes, and where "
				 "the back end is");
	t->show.color = !t->json && wants_color(color);
	t->front = make_uri(argv[optind], "listen");
	t->back = make_uri(argv[optind + 1], "unix");
	if (!t->front || !t->back)
		return say_error(-ENOMEM, "memory");
	return uri_check(t->front) || uri_check(t->back) ? EXIT_USAGE : 0;
}

int trace(int argc, char **argv)
{
	struct tracer *t = calloc(1, sizeof(*t));
	int ret;

	if (!t)
		return say_error(-ENOMEM, "memory");
	t->show.wall_ns = time_of_day() - now_ns();
	signal(SIGPIPE, SIG_IGN);
	open_many();
	ret = parse(t, argc, argv);
	if (!ret)
		ret = run(t);
	if (t->show.f)
		fclose(t->show.f);
	free(t->text);
	free(t->front);
	free(t->back);
	free(t);
	return ret;
}
