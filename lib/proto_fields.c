// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Takes payloads apart by their layouts. Nothing is asked of a payload: what is not there is not
 * told.
 */
#include "base.h"
#include "proto.h"
#include "proto_fields.h"

struct walk {
	const unsigned char *payload;
	uint32_t len;
	vhk_trace_field_fn *fn;
	void *arg;
};

/* Payloads are in the byte order of the machine. */
static uint64_t read_number(const unsigned char *at, unsigned int size)
{
	uint64_t v = 0;

	memcpy(&v, at, size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v >>= 8 * (sizeof(v) - size);
#endif
	return v;
}

static void tell(const struct walk *w, const struct vhk_field *f, uint32_t from,
		 struct vhk_trace_field *out)
{
	const unsigned char *at = w->payload + from + f->at;

	out->name = f->name;
	out->kind = f->kind;
	if (f->kind == VHK_TRACE_BYTES || f->kind == VHK_TRACE_UUID) {
		out->bytes = at;
		out->len = f->size;
	} else {
		out->value = read_number(at, f->size);
	}
	if (f->mask)
		out->value = (out->value & f->mask) / (f->mask & -f->mask);
	if (f->if_set && !out->value)
		return;
	if (f->kind == VHK_TRACE_CHOICE && out->value < f->n_choices)
		out->text = f->choice[out->value];
	w->fn(w->arg, out);
}

/* Where what was told ends. */
static uint32_t tell_fields(const struct walk *w, const struct vhk_field *f, uint32_t from,
			    uint32_t size, const char *list, unsigned int item)
{
	struct vhk_trace_field out;
	uint32_t end = 0;

	for (; f->name; f++) {
		if ((uint32_t)f->at + f->size > size)
			continue;
		out = (struct vhk_trace_field){ .list = list, .item = item };
		tell(w, f, from, &out);
		end = vhk_max(end, (uint32_t)f->at + f->size);
	}
	return from + end;
}

/* Elements may be longer than the layout's where all are: Xen adds to a region. Returns the end. */
static uint32_t tell_list(const struct walk *w, const struct vhk_layout *l)
{
	uint32_t size = l->item_size, n, i, at = l->list_at;

	n = (uint32_t)read_number(w->payload, sizeof(uint32_t));
	if (n && (w->len - at) % n == 0 && (w->len - at) / n == size + 8u)
		size += 8;
	for (i = 0; i < n && w->len - at >= size; i++, at += size)
		tell_fields(w, l->item, at, size, l->list, i);
	return at;
}

static void tell_rest(const struct walk *w, const char *name, uint32_t from)
{
	const struct vhk_trace_field rest = {
		.name = name,
		.kind = VHK_TRACE_BYTES,
		.bytes = w->payload + from,
		.len = w->len - from,
	};

	if (from < w->len)
		w->fn(w->arg, &rest);
}

void vhk_trace_fields(const struct vhk_trace_msg *m, vhk_trace_field_fn *fn, void *arg)
{
	const struct walk w = { m->payload, m->payload_len, fn, arg };
	const struct vhk_layout *l =
		vhk_proto_layout(m->request, m->back_channel, m->reply, m->payload_len);
	uint32_t end;

	if (!l) {
		tell_rest(&w, m->name ? "rest" : "payload", 0);
		return;
	}
	end = tell_fields(&w, l->fields, 0, w.len, NULL, 0);
	if (l->list && w.len >= l->list_at)
		end = tell_list(&w, l);
	tell_rest(&w, l->rest ? l->rest : "rest", end);
}

const char *vhk_trace_name(uint32_t request, bool back_channel)
{
	const struct vhk_proto *row = back_channel ? vhk_proto_back_request(request) :
						     vhk_proto_request(request);

	return row ? row->name : NULL;
}
