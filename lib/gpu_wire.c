// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Payloads of the vhost-user-gpu protocol, out and in: what is checked on the way out is checked on
 * the way in.
 */
#include <endian.h>

#include "base.h"
#include "gpu.h"

#define CURSOR_BYTES (VHK_GPU_CURSOR_SIDE * VHK_GPU_CURSOR_SIDE * 4)
#define UPDATE_MAX (VHK_GPU_SIDE_MAX * VHK_GPU_SIDE_MAX * 4u)
/* virtio 1.3, 5.7.6.7: what opens each answer of a device; of it only the type matters here. */
#define RESP_HDR 24
#define RESP_OK_DISPLAY_INFO 0x1101
#define RESP_OK_EDID 0x1104
#define DISPLAY_INFO (RESP_HDR + VHK_GPU_SCANOUTS_MAX * sizeof(struct vhk_gpu_display))
#define EDID_HEAD (RESP_HDR + 8)

#define U64 .size_min = 8, .size_max = 8
#define POS .size_min = 12, .size_max = 12

static const struct vhk_gpu_row rows[VHK_GPU_OP_MAX + 1] = {
	[VHK_GPU_GET_PROTOCOL_FEATURES] = {
		.name = "GET_PROTOCOL_FEATURES", .answered = true, .answer_min = 8, .answer_max = 8,
	},
	[VHK_GPU_SET_PROTOCOL_FEATURES] = { .name = "SET_PROTOCOL_FEATURES", U64 },
	[VHK_GPU_GET_DISPLAY_INFO] = {
		.name = "GET_DISPLAY_INFO", .answered = true, .answer_min = DISPLAY_INFO,
		.answer_max = DISPLAY_INFO,
	},
	[VHK_GPU_CURSOR_POS] = { .name = "CURSOR_POS", POS },
	[VHK_GPU_CURSOR_POS_HIDE] = { .name = "CURSOR_POS_HIDE", POS },
	[VHK_GPU_CURSOR_UPDATE] = {
		.name = "CURSOR_UPDATE", .size_min = 20 + CURSOR_BYTES,
		.size_max = 20 + CURSOR_BYTES,
	},
	[VHK_GPU_SCANOUT] = { .name = "SCANOUT", POS },
	[VHK_GPU_UPDATE] = { .name = "UPDATE", .size_min = 24, .size_max = 20 + UPDATE_MAX },
	[VHK_GPU_DMABUF_SCANOUT] = {
		.name = "DMABUF_SCANOUT", .size_min = 40, .size_max = 40, .takes_fd = true,
	},
	[VHK_GPU_DMABUF_UPDATE] = {
		.name = "DMABUF_UPDATE", .size_min = 20, .size_max = 20, .answered = true,
	},
	[VHK_GPU_GET_EDID] = {
		.name = "GET_EDID", .size_min = 4, .size_max = 4, .answered = true,
		.answer_min = EDID_HEAD + VHK_GPU_EDID_MAX,
		.answer_max = EDID_HEAD + VHK_GPU_EDID_MAX, .need = VHK_GPU_F_EDID,
	},
	[VHK_GPU_DMABUF_SCANOUT2] = {
		.name = "DMABUF_SCANOUT2", .size_min = 48, .size_max = 48, .takes_fd = true,
		.need = VHK_GPU_F_DMABUF2,
	},
};

const struct vhk_gpu_row *vhk_gpu_row(uint32_t op)
{
	return op && op <= VHK_GPU_OP_MAX ? &rows[op] : NULL;
}

const char *vhk_gpu_op_name(enum vhk_gpu_op op)
{
	const struct vhk_gpu_row *row = vhk_gpu_row(op);

	return row ? row->name : NULL;
}

static void put32(struct vhk_gpu_out *out, uint32_t v)
{
	memcpy(out->head + out->n_head, &v, sizeof(v));
	out->n_head += sizeof(v);
}

static void put64(struct vhk_gpu_out *out, uint64_t v)
{
	memcpy(out->head + out->n_head, &v, sizeof(v));
	out->n_head += sizeof(v);
}

static uint32_t get32(const unsigned char **at)
{
	uint32_t v;

	memcpy(&v, *at, sizeof(v));
	*at += sizeof(v);
	return v;
}

static int check_scanout(uint32_t scanout)
{
	return scanout < VHK_GPU_SCANOUTS_MAX ? 0 : -EINVAL;
}

static uint64_t pixel_bytes(const struct vhk_gpu_rect *r)
{
	return r->w <= VHK_GPU_SIDE_MAX && r->h <= VHK_GPU_SIDE_MAX ? 4ull * r->w * r->h : 0;
}

/* An update of nothing is none. */
static int check_update(const struct vhk_gpu_rect *r, uint64_t len)
{
	return !check_scanout(r->scanout) && len && pixel_bytes(r) == len ? 0 : -EINVAL;
}

/* Off has neither a size nor a buffer. */
static int check_dmabuf(const struct vhk_gpu_dmabuf *d)
{
	return !d->rect.w == !d->rect.h ? check_scanout(d->rect.scanout) : -EINVAL;
}

static void put_rect(struct vhk_gpu_out *out, const struct vhk_gpu_rect *r)
{
	put32(out, r->scanout);
	put32(out, r->x);
	put32(out, r->y);
	put32(out, r->w);
	put32(out, r->h);
}

static struct vhk_gpu_rect get_rect(const unsigned char **at)
{
	struct vhk_gpu_rect r;

	r.scanout = get32(at);
	r.x = get32(at);
	r.y = get32(at);
	r.w = get32(at);
	r.h = get32(at);
	return r;
}

static int put_dmabuf(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	const struct vhk_gpu_dmabuf *d = &m->dmabuf;

	if (m->fd >= 0 && !d->rect.w)
		return -EINVAL;
	put_rect(out, &d->rect);
	put32(out, d->fd_w);
	put32(out, d->fd_h);
	put32(out, d->stride);
	put32(out, d->flags);
	put32(out, (uint32_t)d->fourcc);
	if (m->op == VHK_GPU_DMABUF_SCANOUT2)
		put64(out, d->modifier);
	return check_dmabuf(d);
}

static int put_cursor(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	put32(out, m->cursor.scanout);
	put32(out, m->cursor.x);
	put32(out, m->cursor.y);
	if (m->op == VHK_GPU_CURSOR_UPDATE) {
		put32(out, m->cursor.hot_x);
		put32(out, m->cursor.hot_y);
		out->data = m->data;
		out->n_data = CURSOR_BYTES;
		if (m->len != CURSOR_BYTES)
			return -EINVAL;
	}
	return check_scanout(m->cursor.scanout);
}

static int put_scanout(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	put32(out, m->rect.scanout);
	put32(out, m->rect.w);
	put32(out, m->rect.h);
	return check_scanout(m->rect.scanout);
}

static int put_update(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	put_rect(out, &m->rect);
	if (m->op == VHK_GPU_DMABUF_UPDATE)
		return check_scanout(m->rect.scanout);
	out->data = m->data;
	out->n_data = (uint32_t)m->len;
	return check_update(&m->rect, m->len);
}

static void put_resp(struct vhk_gpu_out *out, uint32_t type)
{
	memset(out->head, 0, RESP_HDR);
	put32(out, htole32(type));
	out->n_head = RESP_HDR;
}

static void put_displays(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	unsigned int i;

	put_resp(out, RESP_OK_DISPLAY_INFO);
	for (i = 0; i < VHK_GPU_SCANOUTS_MAX; i++) {
		put32(out, htole32(m->display[i].x));
		put32(out, htole32(m->display[i].y));
		put32(out, htole32(m->display[i].w));
		put32(out, htole32(m->display[i].h));
		put32(out, htole32(m->display[i].enabled));
		put32(out, htole32(m->display[i].flags));
	}
}

static int encode_request(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	switch (m->op) {
	case VHK_GPU_SET_PROTOCOL_FEATURES:
		put64(out, m->features);
		return 0;
	case VHK_GPU_CURSOR_POS:
	case VHK_GPU_CURSOR_POS_HIDE:
	case VHK_GPU_CURSOR_UPDATE:
		return put_cursor(m, out);
	case VHK_GPU_SCANOUT:
		return put_scanout(m, out);
	case VHK_GPU_UPDATE:
	case VHK_GPU_DMABUF_UPDATE:
		return put_update(m, out);
	case VHK_GPU_DMABUF_SCANOUT:
	case VHK_GPU_DMABUF_SCANOUT2:
		return put_dmabuf(m, out);
	case VHK_GPU_GET_EDID:
		put32(out, m->scanout);
		return check_scanout(m->scanout);
	default:
		return 0;
	}
}

/* An EDID is shorter than its room: the connection adds the zeros behind it. */
static int encode_answer(const struct vhk_gpu_msg *m, struct vhk_gpu_out *out)
{
	switch (m->op) {
	case VHK_GPU_GET_PROTOCOL_FEATURES:
		put64(out, m->features);
		return 0;
	case VHK_GPU_GET_DISPLAY_INFO:
		put_displays(m, out);
		return 0;
	case VHK_GPU_GET_EDID:
		if (!m->len || m->len > VHK_GPU_EDID_MAX)
			return -EINVAL;
		put_resp(out, RESP_OK_EDID);
		put32(out, htole32((uint32_t)m->len));
		put32(out, 0);
		out->data = m->data;
		out->n_data = (uint32_t)m->len;
		return 0;
	default:
		return 0;
	}
}

int vhk_gpu_encode(const struct vhk_gpu_msg *m, bool answer, struct vhk_gpu_out *out)
{
	out->n_head = out->n_data = 0;
	out->data = NULL;
	return answer ? encode_answer(m, out) : encode_request(m, out);
}

static int get_cursor(const unsigned char *at, struct vhk_gpu_msg *m)
{
	m->cursor = (struct vhk_gpu_cursor){ 0 };
	m->cursor.scanout = get32(&at);
	m->cursor.x = get32(&at);
	m->cursor.y = get32(&at);
	if (m->op == VHK_GPU_CURSOR_UPDATE) {
		m->cursor.hot_x = get32(&at);
		m->cursor.hot_y = get32(&at);
		m->data = at;
		m->len = CURSOR_BYTES;
	}
	return check_scanout(m->cursor.scanout);
}

static int get_scanout(const unsigned char *at, struct vhk_gpu_msg *m)
{
	m->rect = (struct vhk_gpu_rect){ .scanout = get32(&at) };
	m->rect.w = get32(&at);
	m->rect.h = get32(&at);
	return check_scanout(m->rect.scanout);
}

static int get_update(const unsigned char *at, uint32_t size, struct vhk_gpu_msg *m)
{
	const unsigned char *start = at;

	m->rect = get_rect(&at);
	if (m->op == VHK_GPU_DMABUF_UPDATE)
		return check_scanout(m->rect.scanout);
	m->data = at;
	m->len = size - (size_t)(at - start);
	return check_update(&m->rect, m->len);
}

static int get_dmabuf(const unsigned char *at, struct vhk_gpu_msg *m)
{
	struct vhk_gpu_dmabuf *d = &m->dmabuf;

	d->rect = get_rect(&at);
	d->fd_w = get32(&at);
	d->fd_h = get32(&at);
	d->stride = get32(&at);
	d->flags = get32(&at);
	d->fourcc = (int32_t)get32(&at);
	d->modifier = 0;
	if (m->op == VHK_GPU_DMABUF_SCANOUT2)
		memcpy(&d->modifier, at, sizeof(d->modifier));
	return check_dmabuf(d);
}

static int decode_request(const unsigned char *at, uint32_t size, struct vhk_gpu_msg *m)
{
	switch (m->op) {
	case VHK_GPU_SET_PROTOCOL_FEATURES:
		memcpy(&m->features, at, sizeof(m->features));
		return 0;
	case VHK_GPU_CURSOR_POS:
	case VHK_GPU_CURSOR_POS_HIDE:
	case VHK_GPU_CURSOR_UPDATE:
		return get_cursor(at, m);
	case VHK_GPU_SCANOUT:
		return get_scanout(at, m);
	case VHK_GPU_UPDATE:
	case VHK_GPU_DMABUF_UPDATE:
		return get_update(at, size, m);
	case VHK_GPU_DMABUF_SCANOUT:
	case VHK_GPU_DMABUF_SCANOUT2:
		return get_dmabuf(at, m);
	case VHK_GPU_GET_EDID:
		m->scanout = get32(&at);
		return check_scanout(m->scanout);
	default:
		return 0;
	}
}

static int get_displays(const unsigned char *at, struct vhk_gpu_room *room, struct vhk_gpu_msg *m)
{
	unsigned int i;

	if (le32toh(get32(&at)) != RESP_OK_DISPLAY_INFO)
		return -EINVAL;
	at += RESP_HDR - 4;
	for (i = 0; i < VHK_GPU_SCANOUTS_MAX; i++) {
		room->display[i].x = le32toh(get32(&at));
		room->display[i].y = le32toh(get32(&at));
		room->display[i].w = le32toh(get32(&at));
		room->display[i].h = le32toh(get32(&at));
		room->display[i].enabled = le32toh(get32(&at));
		room->display[i].flags = le32toh(get32(&at));
	}
	m->display = room->display;
	return 0;
}

static int get_edid(const unsigned char *at, struct vhk_gpu_msg *m)
{
	if (le32toh(get32(&at)) != RESP_OK_EDID)
		return -EINVAL;
	at += RESP_HDR - 4;
	m->len = le32toh(get32(&at));
	m->data = at + 4;
	return m->len && m->len <= VHK_GPU_EDID_MAX ? 0 : -EINVAL;
}

static int decode_answer(const unsigned char *at, struct vhk_gpu_room *room, struct vhk_gpu_msg *m)
{
	switch (m->op) {
	case VHK_GPU_GET_PROTOCOL_FEATURES:
		memcpy(&m->features, at, sizeof(m->features));
		return 0;
	case VHK_GPU_GET_DISPLAY_INFO:
		return get_displays(at, room, m);
	case VHK_GPU_GET_EDID:
		return get_edid(at, m);
	default:
		return 0;
	}
}

int vhk_gpu_decode(enum vhk_gpu_op op, bool answer, const unsigned char *payload, uint32_t size,
		   struct vhk_gpu_room *room, struct vhk_gpu_msg *m)
{
	int ret;

	*m = (struct vhk_gpu_msg){ .op = op, .fd = -1 };
	ret = answer ? decode_answer(payload, room, m) : decode_request(payload, size, m);
	return ret ? -EPROTO : 0;
}
