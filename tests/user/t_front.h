/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver of a disk over vhost-user, built on the library's own front end: queues, and requests
 * with room for their data in memory that is shared with the back end.
 */
#ifndef VHK_TESTS_T_FRONT_H
#define VHK_TESTS_T_FRONT_H

#include <endian.h>
#include <linux/virtio_blk.h>

#include <vhostkit/ctl.h>

#include "t.h"

#define T_REQUESTS 64
#define T_ROOM 16384
#define T_QUEUES 4
#define T_DATA_GPA 0x1000000
#define T_RING_GPA 0x8000000
#define T_SECOND 1000000000LL

/* What the device sees of one request. The data begins a page. */
struct t_shared {
	unsigned char data[T_ROOM];
	struct virtio_blk_outhdr hdr;
	unsigned char status;
	unsigned char pad[4096 - sizeof(struct virtio_blk_outhdr) - 1];
};

struct t_req {
	struct t_shared *s;
	unsigned int queue;
	uint32_t type;
	uint64_t sector;
	size_t len;
	bool busy;
	void *arg;
};

struct t_front {
	struct vhk_mem *mem;
	struct vhk_ctl *ctl;
	struct vhk_vq *vq[T_QUEUES];
	unsigned int n_queues;
	unsigned int n_config; /* notices of a changed configuration */
	struct t_req req[T_REQUESTS];
};

static inline void t_front_config(void *arg)
{
	((struct t_front *)arg)->n_config++;
}

/* @path: of a socket, or another URI. 0, or what connecting or setting up failed with. */
static inline int t_front_open(struct t_front *f, const char *path, uint64_t want,
			       unsigned int n_queues, uint16_t queue_size)
{
	struct vhk_ctl_opts co = { .sz = sizeof(co),
				   .flags = VHK_CTL_F_WAIT,
				   .timeout_ms = 10000,
				   .on_config = t_front_config,
				   .arg = f,
				   .n_queues = (uint16_t)n_queues,
				   .queue_size = queue_size };
	struct vhk_vq_opts vo = { .sz = sizeof(vo), .size = queue_size, .max_indirect = 8 };
	struct t_shared *s;
	char uri[160];
	unsigned int i;
	int ret;

	memset(f, 0, sizeof(*f));
	f->n_queues = n_queues;
	snprintf(uri, sizeof(uri), *path == '/' ? "unix:%s" : "%s", path);
	T_MUST(!vhk_mem_new(&f->mem));
	T_MUST(!vhk_mem_alloc(f->mem, (struct vhk_gpa){ T_DATA_GPA }, T_REQUESTS * sizeof(*s),
			      (void **)&s));
	for (i = 0; i < T_REQUESTS; i++)
		f->req[i].s = s + i;
	ret = vhk_ctl_open(&f->ctl, uri, &co);
	if (!ret)
		ret = vhk_ctl_setup(f->ctl, want, VHK_F_VERSION_1, f->mem);
	if (ret)
		return ret;
	vo.features = vhk_ctl_features(f->ctl);
	for (i = 0; i < n_queues; i++) {
		vo.gpa.v = T_RING_GPA + i * 0x1000000ULL;
		T_MUST(!vhk_vq_new(&f->vq[i], f->mem, &vo));
	}
	return vhk_ctl_start_all(f->ctl, f->vq, n_queues);
}

static inline void t_front_close(struct t_front *f)
{
	unsigned int i;

	vhk_ctl_close(f->ctl);
	for (i = 0; i < f->n_queues; i++)
		vhk_vq_free(f->vq[i]);
	vhk_mem_free(f->mem);
}

static inline struct t_req *t_front_idle(struct t_front *f)
{
	unsigned int i;

	for (i = 0; i < T_REQUESTS; i++)
		if (!f->req[i].busy)
			return &f->req[i];
	return NULL;
}

/* Stages @r on its queue; -ENOBUFS: full. Data to be written is in r->s->data. */
static inline int t_front_add(struct t_front *f, struct t_req *r)
{
	bool out = r->type != VIRTIO_BLK_T_IN && r->type != VIRTIO_BLK_T_GET_ID;
	struct iovec seg[3] = { { &r->s->hdr, sizeof(r->s->hdr) } };
	unsigned int n = 1;
	int ret;

	r->s->hdr = (struct virtio_blk_outhdr){ .type = htole32(r->type),
						.sector = htole64(r->sector) };
	r->s->status = 0xee;
	if (r->len)
		seg[n++] = (struct iovec){ r->s->data, r->len };
	seg[n++] = (struct iovec){ &r->s->status, 1 };
	ret = out ? vhk_vq_add(f->vq[r->queue], seg, n - 1, 1, r)
		  : vhk_vq_add(f->vq[r->queue], seg, 1, n - 1, r);
	r->busy = !ret;
	return ret;
}

static inline int t_front_publish(struct t_front *f)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < f->n_queues && !ret; i++)
		if (vhk_vq_publish(f->vq[i]) > 0)
			ret = vhk_ctl_kick(f->ctl, i);
	return ret;
}

/* The next answered request of queue @q, or NULL. */
static inline struct t_req *t_front_get(struct t_front *f, unsigned int q)
{
	struct vhk_done done;
	struct t_req *r;
	int n = vhk_vq_get(f->vq[q], &done, 1);

	T_OK(n >= 0);
	if (n <= 0)
		return NULL;
	r = done.token;
	r->busy = false;
	return r;
}

/* One request from beginning to end: its status, or -errno. */
static inline int t_front_do(struct t_front *f, unsigned int queue, uint32_t type, uint64_t sector,
			     void *data, size_t len)
{
	struct t_req *r = t_front_idle(f);
	int ret;

	T_MUST(r && len <= T_ROOM);
	r->queue = queue;
	r->type = type;
	r->sector = sector;
	r->len = len;
	if (len && type != VIRTIO_BLK_T_IN && type != VIRTIO_BLK_T_GET_ID)
		memcpy(r->s->data, data, len);
	ret = t_front_add(f, r);
	if (!ret)
		ret = t_front_publish(f);
	while (!ret && t_front_get(f, queue) != r)
		ret = vhk_ctl_wait(f->ctl, queue, 10 * T_SECOND);
	if (ret)
		return ret;
	if (len && (type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID))
		memcpy(data, r->s->data, len);
	return r->s->status;
}

#endif
