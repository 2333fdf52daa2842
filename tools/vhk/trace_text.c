// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Lines for people. One for each message: time, direction, name, fields, file descriptors, answer,
 * and what is wrong with it.
 */
#include <string.h>
#include <time.h>

#include "trace_show.h"

#define BYTES_SHOWN 64
#define NEED_REPLY 0x8

static const char *paint(const struct show *s, const char *code)
{
	return s->color ? code : "";
}

#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define CYAN "\033[36m"
#define BOLD "\033[1m"
#define FAINT "\033[2m"
#define PLAIN "\033[0m"

static void put_time(struct show *s, uint64_t when)
{
	uint64_t ns = when + s->wall_ns;
	time_t sec = (time_t)(ns / 1000000000u);
	struct tm tm;

	localtime_r(&sec, &tm);
	fprintf(s->f, "%s%02d:%02d:%02d.%06u%s ", paint(s, FAINT), tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned int)(ns % 1000000000u / 1000), paint(s, PLAIN));
}

static void put_size(FILE *f, uint64_t v)
{
	static const char units[] = "\0KMGT";
	unsigned int i = 0;

	while (v && !(v & 1023) && i < 4) {
		v >>= 10;
		i++;
	}
	fprintf(f, "%llu%.1s", (unsigned long long)v, units + i);
}

static void put_bits(const struct show *s, enum vhk_trace_field_kind kind, uint64_t bits)
{
	const char *name, *comma = "";
	unsigned int i;

	fprintf(s->f, "0x%llx", (unsigned long long)bits);
	if (!bits)
		return;
	fputc('(', s->f);
	for (i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;
		name = show_bit(s, kind, i);
		if (name)
			fprintf(s->f, "%s%s", comma, name);
		else
			fprintf(s->f, "%s%u", comma, i);
		comma = ",";
	}
	fputc(')', s->f);
}

static bool all_zero(const struct vhk_trace_field *p)
{
	uint32_t i;

	for (i = 0; i < p->len; i++)
		if (p->bytes[i])
			return false;
	return true;
}

static void put_bytes(FILE *f, const struct vhk_trace_field *p)
{
	uint32_t i;

	if (p->len > 8 && all_zero(p)) {
		fprintf(f, "zeros(%u bytes)", p->len);
		return;
	}
	for (i = 0; i < p->len && i < BYTES_SHOWN; i++)
		fprintf(f, "%02x", p->bytes[i]);
	if (p->len > BYTES_SHOWN)
		fprintf(f, "...(%u bytes)", p->len);
}

static void put_uuid(FILE *f, const unsigned char *b)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		fprintf(f, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
}

static void put_value(struct show *s, const struct vhk_trace_field *p)
{
	switch (p->kind) {
	case VHK_TRACE_ADDRESS:
		fprintf(s->f, "0x%llx", (unsigned long long)p->value);
		break;
	case VHK_TRACE_SIZE:
		put_size(s->f, p->value);
		break;
	case VHK_TRACE_FEATURES:
	case VHK_TRACE_PROTOCOL:
	case VHK_TRACE_STATUS:
		put_bits(s, p->kind, p->value);
		break;
	case VHK_TRACE_BYTES:
		put_bytes(s->f, p);
		break;
	case VHK_TRACE_UUID:
		put_uuid(s->f, p->bytes);
		break;
	case VHK_TRACE_CHOICE:
		if (p->text) {
			fputs(p->text, s->f);
			break;
		}
		/* fall through */
	default:
		fprintf(s->f, "%llu", (unsigned long long)p->value);
	}
}

struct fields {
	struct show *s;
	const char *list; /* the one that is open */
	unsigned int item;
};

static void end_item(struct fields *c)
{
	if (c->list)
		fputc('}', c->s->f);
	c->list = NULL;
}

static void put_field(void *arg, const struct vhk_trace_field *p)
{
	struct fields *c = arg;
	bool first = false;

	if (c->list && (!p->list || p->item != c->item))
		end_item(c);
	if (p->list && !c->list) {
		fprintf(c->s->f, " %s%u={", p->list, p->item);
		c->list = p->list;
		c->item = p->item;
		first = true;
	}
	if (!strcmp(p->name, "result") && !p->value) {
		fputs(" ok", c->s->f);
		return;
	}
	fprintf(c->s->f, "%s%s=", first ? "" : " ", p->name);
	put_value(c->s, p);
}

static void put_fds(struct show *s, const struct vhk_trace_msg *m)
{
	unsigned int i;

	if (!m->n_fds)
		return;
	fputs(" fds=[", s->f);
	for (i = 0; i < m->n_fds && i < VHK_TRACE_FDS_MAX; i++) {
		fprintf(s->f, "%s%s", i ? "," : "", show_fd_kind(m->fd[i].kind));
		if (m->fd[i].size) {
			fputc(' ', s->f);
			put_size(s->f, m->fd[i].size);
		}
	}
	if (m->n_fds > VHK_TRACE_FDS_MAX)
		fprintf(s->f, ",+%u", m->n_fds - VHK_TRACE_FDS_MAX);
	fputc(']', s->f);
}

static void put_wrong(struct show *s, const struct vhk_trace_msg *m)
{
	unsigned int i;

	if (!m->n_wrong)
		return;
	fprintf(s->f, " %s!! ", paint(s, RED));
	for (i = 0; i < m->n_wrong; i++)
		fprintf(s->f, "%s%s", i ? "; " : "", m->wrong[i]);
	fputs(paint(s, PLAIN), s->f);
}

/* Thin arrows on the connection, thick ones on the back end's channel. */
static const char *arrow(enum vhk_trace_side from, bool back_channel)
{
	if (from == VHK_TRACE_FRONT)
		return back_channel ? "==>" : "-->";
	return back_channel ? "<==" : "<--";
}

void show_text_message(struct show *s, const struct vhk_trace_msg *m)
{
	struct fields c = { .s = s };

	put_time(s, m->when_ns);
	fprintf(s->f, "%s%s%s ", paint(s, m->from == VHK_TRACE_FRONT ? CYAN : GREEN),
		arrow(m->from, m->back_channel), paint(s, PLAIN));
	if (m->name)
		fprintf(s->f, "%s%s%s", paint(s, BOLD), m->name, paint(s, PLAIN));
	else
		fprintf(s->f, "%smessage %u%s", paint(s, BOLD), m->request, paint(s, PLAIN));
	fputs(m->reply ? " reply" : (m->flags & NEED_REPLY) ? " need_reply" : "", s->f);
	if (m->size > m->payload_len)
		fprintf(s->f, " size=%u", m->size);
	vhk_trace_fields(m, put_field, &c);
	end_item(&c);
	put_fds(s, m);
	if (m->refused)
		fputs(" refused", s->f);
	if (m->answers)
		fprintf(s->f, " after %.1f us", (double)m->latency_ns / 1e3);
	put_wrong(s, m);
	fputc('\n', s->f);
}

void show_text_begin(struct show *s, uint64_t session, const char *front, const char *back)
{
	put_time(s, now_ns());
	fprintf(s->f, "--- session %llu: front end %s, back end %s\n", (unsigned long long)session,
		front, back);
}

void show_text_raw(struct show *s, enum vhk_trace_side from, bool back_channel, const char *why)
{
	put_time(s, now_ns());
	fprintf(s->f,
		"%s%s%s %s!! the %s end sends what is no message (%s): %s passes unseen from here "
		"on%s\n",
		paint(s, from == VHK_TRACE_FRONT ? CYAN : GREEN), arrow(from, back_channel),
		paint(s, PLAIN), paint(s, RED), from == VHK_TRACE_FRONT ? "front" : "back", why,
		back_channel ? "this channel" : "the connection", paint(s, PLAIN));
}

void show_text_end(struct show *s, const struct vhk_trace_end *e)
{
	put_time(s, now_ns());
	fprintf(s->f, "--- session %llu: the %s end hung up", (unsigned long long)e->session,
		e->first == VHK_TRACE_FRONT ? "front" : "back");
	if (e->unanswered)
		fprintf(s->f, "; %u unanswered, first %s", e->unanswered, e->left_alone);
	if (e->undelivered)
		fprintf(s->f, "; %llu undelivered", (unsigned long long)e->undelivered);
	if (e->error)
		fprintf(s->f, "; %s", strerror(-e->error));
	fputs("\n    features settled: ", s->f);
	put_bits(s, VHK_TRACE_FEATURES, e->features);
	fputs("\n    protocol features settled: ", s->f);
	put_bits(s, VHK_TRACE_PROTOCOL, e->protocol);
	fputc('\n', s->f);
}

static void put_sum(struct show *s, const struct show_sum *sum, const char *name)
{
	const struct hist *h = &sum->latency;

	fprintf(s->f, "    %-32s %8llu", name, (unsigned long long)sum->n);
	if (h->n)
		fprintf(s->f, " %8llu %10.1f %10.1f %10.1f", (unsigned long long)h->n,
			(double)hist_quantile(h, 0.5) / 1e3, (double)hist_quantile(h, 0.99) / 1e3,
			(double)h->max / 1e3);
	else
		fprintf(s->f, " %8s %10s %10s %10s", "-", "", "", "");
	if (sum->n_refused)
		fprintf(s->f, "  %llu refused", (unsigned long long)sum->n_refused);
	if (sum->n_wrong)
		fprintf(s->f, "  %s%llu !!%s", paint(s, RED), (unsigned long long)sum->n_wrong,
			paint(s, PLAIN));
	fputc('\n', s->f);
}

static void put_count(FILE *f, const char *before, uint64_t n, const char *what)
{
	fprintf(f, "%s%llu %s%s", before, (unsigned long long)n, what, n == 1 ? "" : "s");
}

void show_text_sum(struct show *s, uint64_t lost)
{
	const struct show_sum *sum;
	unsigned int c, i;

	put_count(s->f, "--- ", s->n_sessions, "session");
	put_count(s->f, ", ", s->n_messages, "message");
	put_count(s->f, ", ", s->n_wrong, "broken rule");
	if (s->n_unanswered)
		put_count(s->f, ", ", s->n_unanswered, "unanswered request");
	if (s->n_raw)
		put_count(s->f, ", ", s->n_raw, "unseen channel");
	if (lost)
		put_count(s->f, ", ", lost, "lost line");
	fputc('\n', s->f);
	if (s->n_messages)
		fprintf(s->f, "    %-32s %8s %8s %10s %10s %10s\n", "request", "count", "answered",
			"median us", "p99 us", "max us");
	for (c = 0; c < 2; c++)
		for (i = 0; i < SHOW_REQUESTS; i++) {
			sum = &s->sum[c][i];
			if (sum->n || sum->n_wrong)
				put_sum(s, sum, show_name(i, c));
		}
}
