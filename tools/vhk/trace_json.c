// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The same as JSON, one object a line; "event" says what it is. Addresses and feature masks are
 * strings, since many readers keep numbers in 53 bits.
 */
#include <string.h>

#include "trace_show.h"

#define NEED_REPLY 0x8

static const char *side_name(enum vhk_trace_side side)
{
	return side == VHK_TRACE_FRONT ? "front" : "back";
}

static void put_head(struct show *s, struct json *j, const char *event, uint64_t when)
{
	json_begin_line(j, s->f);
	json_text(j, "event", event);
	json_seconds(j, "time", when + s->wall_ns);
}

static void put_hex(struct json *j, const char *key, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v);
	json_text(j, key, text);
}

static void put_bits(const struct show *s, struct json *j, const char *key,
		     enum vhk_trace_field_kind kind, uint64_t bits)
{
	char number[16];
	const char *name;
	unsigned int i;

	json_open(j, key, '{');
	put_hex(j, "mask", bits);
	json_open(j, "names", '[');
	for (i = 0; i < 64; i++) {
		if (!(bits >> i & 1))
			continue;
		name = show_bit(s, kind, i);
		snprintf(number, sizeof(number), "%u", i);
		json_text(j, NULL, name ? name : number);
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void put_bytes(struct json *j, const struct vhk_trace_field *p)
{
	char text[2 * VHK_TRACE_PAYLOAD_MAX + 1];
	uint32_t i;

	*text = 0;
	for (i = 0; i < p->len && i < VHK_TRACE_PAYLOAD_MAX; i++)
		snprintf(text + 2 * i, 3, "%02x", p->bytes[i]);
	json_text(j, p->name, text);
}

static void put_value(const struct show *s, struct json *j, const struct vhk_trace_field *p)
{
	switch (p->kind) {
	case VHK_TRACE_ADDRESS:
		put_hex(j, p->name, p->value);
		break;
	case VHK_TRACE_FEATURES:
	case VHK_TRACE_PROTOCOL:
	case VHK_TRACE_STATUS:
		put_bits(s, j, p->name, p->kind, p->value);
		break;
	case VHK_TRACE_BYTES:
	case VHK_TRACE_UUID:
		put_bytes(j, p);
		break;
	case VHK_TRACE_CHOICE:
		if (p->text) {
			json_text(j, p->name, p->text);
			break;
		}
		/* fall through */
	default:
		json_u64(j, p->name, p->value);
	}
}

struct fields {
	const struct show *s;
	struct json *j;
	const char *list; /* the one that is open */
	unsigned int item;
};

static void end_list(struct fields *c)
{
	if (!c->list)
		return;
	json_close(c->j, '}');
	json_close(c->j, ']');
	c->list = NULL;
}

static void put_field(void *arg, const struct vhk_trace_field *p)
{
	struct fields *c = arg;

	if (c->list && !p->list)
		end_list(c);
	if (c->list && p->item != c->item) {
		json_close(c->j, '}');
		json_open(c->j, NULL, '{');
	}
	if (!c->list && p->list) {
		json_open(c->j, p->list, '[');
		json_open(c->j, NULL, '{');
	}
	c->list = p->list;
	c->item = p->item;
	put_value(c->s, c->j, p);
}

static void put_fds(struct json *j, const struct vhk_trace_msg *m)
{
	unsigned int i;

	json_u64(j, "n_fds", m->n_fds);
	json_open(j, "fds", '[');
	for (i = 0; i < m->n_fds && i < VHK_TRACE_FDS_MAX; i++) {
		json_open(j, NULL, '{');
		json_text(j, "kind", show_fd_kind(m->fd[i].kind));
		if (m->fd[i].size)
			json_u64(j, "size", m->fd[i].size);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_wrong(struct json *j, const struct vhk_trace_msg *m)
{
	unsigned int i;

	json_open(j, "broken", '[');
	for (i = 0; i < m->n_wrong; i++)
		json_text(j, NULL, m->wrong[i]);
	json_close(j, ']');
}

void show_json_message(struct show *s, const struct vhk_trace_msg *m)
{
	struct json j;
	struct fields c = { .s = s, .j = &j };

	put_head(s, &j, "message", m->when_ns);
	json_u64(&j, "session", m->session);
	json_text(&j, "from", side_name(m->from));
	json_text(&j, "channel", m->back_channel ? "back" : "main");
	json_u64(&j, "request", m->request);
	if (m->name)
		json_text(&j, "name", m->name);
	json_bool(&j, "reply", m->reply);
	json_bool(&j, "need_reply", m->flags & NEED_REPLY);
	json_u64(&j, "size", m->size);
	json_open(&j, "fields", '{');
	vhk_trace_fields(m, put_field, &c);
	end_list(&c);
	json_close(&j, '}');
	put_fds(&j, m);
	if (m->reply)
		json_bool(&j, "refused", m->refused);
	if (m->answers)
		json_real(&j, "latency_us", (double)m->latency_ns / 1e3);
	put_wrong(&j, m);
	json_end(&j);
}

void show_json_begin(struct show *s, uint64_t session, const char *front, const char *back)
{
	struct json j;

	put_head(s, &j, "begin", now_ns());
	json_u64(&j, "session", session);
	json_text(&j, "front", front);
	json_text(&j, "back", back);
	json_end(&j);
}

void show_json_raw(struct show *s, uint64_t session, enum vhk_trace_side from, bool back_channel,
		   const char *why)
{
	struct json j;

	put_head(s, &j, "unseen", now_ns());
	json_u64(&j, "session", session);
	json_text(&j, "from", side_name(from));
	json_text(&j, "channel", back_channel ? "back" : "main");
	json_text(&j, "why", why);
	json_end(&j);
}

void show_json_end(struct show *s, const struct vhk_trace_end *e)
{
	struct json j;

	put_head(s, &j, "end", now_ns());
	json_u64(&j, "session", e->session);
	json_text(&j, "first", side_name(e->first));
	put_bits(s, &j, "features", VHK_TRACE_FEATURES, e->features);
	put_bits(s, &j, "protocol_features", VHK_TRACE_PROTOCOL, e->protocol);
	json_u64(&j, "unanswered", e->unanswered);
	if (e->left_alone)
		json_text(&j, "first_unanswered", e->left_alone);
	json_u64(&j, "undelivered", e->undelivered);
	if (e->error)
		json_text(&j, "error", strerror(-e->error));
	json_end(&j);
}

static void put_sum(struct json *j, const struct show_sum *sum, unsigned int request, bool back)
{
	const struct hist *h = &sum->latency;

	json_open(j, NULL, '{');
	json_text(j, "name", show_name(request, back));
	json_text(j, "channel", back ? "back" : "main");
	json_u64(j, "count", sum->n);
	json_u64(j, "answered", h->n);
	if (h->n) {
		json_real(j, "median_us", (double)hist_quantile(h, 0.5) / 1e3);
		json_real(j, "p99_us", (double)hist_quantile(h, 0.99) / 1e3);
		json_real(j, "max_us", (double)h->max / 1e3);
	}
	json_u64(j, "refused", sum->n_refused);
	json_u64(j, "broken", sum->n_wrong);
	json_close(j, '}');
}

void show_json_sum(struct show *s, uint64_t lost)
{
	unsigned int c, i;
	struct json j;

	put_head(s, &j, "summary", now_ns());
	json_u64(&j, "sessions", s->n_sessions);
	json_u64(&j, "messages", s->n_messages);
	json_u64(&j, "broken", s->n_wrong);
	json_u64(&j, "unanswered", s->n_unanswered);
	json_u64(&j, "unseen", s->n_raw);
	json_u64(&j, "lost_lines", lost);
	json_open(&j, "requests", '[');
	for (c = 0; c < 2; c++)
		for (i = 0; i < SHOW_REQUESTS; i++)
			if (s->sum[c][i].n || s->sum[c][i].n_wrong)
				put_sum(&j, &s->sum[c][i], i, c);
	json_close(&j, ']');
	json_end(&j);
}
