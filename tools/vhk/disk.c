// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Opening a disk and moving requests to and from it. Requests and their buffers are made once and
 * reused.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "disk.h"
#include "say.h"
#include "uri.h"

#define USUAL_RING 1024 /* what most back ends and QEMU take at most */
#define SEGS 3 /* header, data, status */
#define MEM_AT 0x100000000ull
#define PAGE 4096u
#define HDR_STEP 64u /* a header and its status share a cache line with nobody */

static const uint64_t features_known =
	VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC | VHK_F_RING_PACKED |
	1ull << VIRTIO_BLK_F_RO | 1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_MQ |
	1ull << VIRTIO_BLK_F_FLUSH;

/* Of the kernel's devices only one is a disk, and says so. Positive: has been said. */
static int disk_kind(struct disk *d)
{
	const enum vhk_ctl_kind kind = vhk_ctl_kind(d->ctl);
	uint32_t id = 0;
	int ret;

	if (kind == VHK_CTL_KIND_USER)
		return 0;
	ret = kind == VHK_CTL_KIND_VDPA ? vhk_ctl_get_device_id(d->ctl, &id) : 0;
	if (ret)
		return say_error(ret, "%s: GET_DEVICE_ID", d->uri);
	if (id == VIRTIO_ID_BLOCK)
		return 0;
	say("%s: is no disk", d->uri);
	return EXIT_FAILED;
}

/* Positive: has been said. */
static int disk_negotiate(struct disk *d, const struct disk_opts *o)
{
	uint64_t want = features_known, must = VHK_F_VERSION_1, offered;
	int ret;

	if (o->packed)
		must |= VHK_F_RING_PACKED;
	else
		want &= ~VHK_F_RING_PACKED;
	if (o->no_event_idx)
		want &= ~VHK_F_EVENT_IDX;
	if (!o->indirect)
		want &= ~VHK_F_INDIRECT_DESC;
	if (o->in_order)
		must |= VHK_F_IN_ORDER;
	want |= must;
	ret = disk_why(d->ctl, vhk_ctl_get_features(d->ctl, &offered));
	if (ret == -ENOTCONN) {
		say("%s: " DISK_BUSY, d->uri);
		return EXIT_FAILED;
	}
	if (ret)
		return say_error(ret, "%s: GET_FEATURES", d->uri);
	return vhk_ctl_setup(d->ctl, want, must, d->mem);
}

/* Positive: has been said. */
static int disk_config(struct disk *d, const struct disk_opts *o)
{
	uint64_t features = vhk_ctl_features(d->ctl);
	struct virtio_blk_config c = { 0 };
	uint64_t sectors;
	int ret;

	ret = vhk_ctl_get_config(d->ctl, 0, &c, offsetof(struct virtio_blk_config, blk_size) + 4);
	if (ret)
		return say_error(disk_why(d->ctl, ret), "%s: GET_CONFIG", d->uri);
	sectors = le64toh(c.capacity);
	if (sectors > INT64_MAX / DISK_SECTOR) {
		say("%s: claims %" PRIu64 " sectors, more than a disk can have", d->uri, sectors);
		return EXIT_FAILED;
	}
	d->size = sectors * DISK_SECTOR;
	d->sector = DISK_SECTOR;
	if (features & 1ull << VIRTIO_BLK_F_BLK_SIZE)
		d->sector = le32toh(c.blk_size);
	if (d->sector < DISK_SECTOR || d->sector > 1u << 20 || d->sector & (d->sector - 1)) {
		say("%s: claims blocks of %u bytes", d->uri, d->sector);
		return EXIT_FAILED;
	}
	d->read_only = features & 1ull << VIRTIO_BLK_F_RO;
	if (o->queues > 1 && o->queues > vhk_ctl_n_queues(d->ctl)) {
		say("%s: has %u queues, %u wanted", d->uri, vhk_ctl_n_queues(d->ctl), o->queues);
		return EXIT_FAILED;
	}
	return 0;
}

static uint16_t ring_size(const struct disk_opts *o)
{
	uint32_t need = o->depth * (o->indirect ? 1 : SEGS), size = 16;

	while (size < need)
		size *= 2;
	return (uint16_t)size;
}

static int queue_init(struct disk *d, unsigned int i, const struct disk_opts *o,
		      const struct vhk_vq_opts *vo, unsigned char *hdr, unsigned char *data)
{
	struct disk_queue *q = &d->queue[i];
	struct disk_req *r;
	unsigned int k;

	q->req = calloc(d->depth, sizeof(*q->req));
	if (!q->req)
		return -ENOMEM;
	for (k = 0; k < d->depth; k++) {
		r = &q->req[k];
		r->queue = i;
		r->hdr = (void *)(hdr + k * HDR_STEP);
		r->status = hdr + k * HDR_STEP + sizeof(*r->hdr);
		r->data = data + (size_t)k * o->block;
		r->next = q->free;
		q->free = r;
	}
	return vhk_vq_new(&q->vq, d->mem, vo);
}

/* One region for everything: there are back ends that take eight, and no more. */
static int queues_init(struct disk *d, const struct disk_opts *o)
{
	struct vhk_vq_opts vo = { .sz = sizeof(vo),
				  .size = ring_size(o),
				  .features = vhk_ctl_features(d->ctl),
				  .max_indirect = o->indirect ? 4 : 0 };
	size_t hdrs = ((size_t)d->depth * HDR_STEP + PAGE - 1) & ~(size_t)(PAGE - 1);
	size_t data = ((size_t)d->depth * o->block + PAGE - 1) & ~(size_t)(PAGE - 1);
	size_t per = vhk_vq_bytes(&vo) + hdrs + data;
	unsigned char *at;
	unsigned int i;
	void *va;
	int ret;

	d->queue = calloc(d->n_queues, sizeof(*d->queue));
	if (!d->queue)
		return -ENOMEM;
	ret = vhk_mem_alloc(d->mem, (struct vhk_gpa){ MEM_AT }, per * d->n_queues, &va);
	for (i = 0; i < d->n_queues && !ret; i++) {
		at = (unsigned char *)va + i * per;
		vo.block = at;
		at += vhk_vq_bytes(&vo);
		ret = queue_init(d, i, o, &vo, at, at + hdrs);
	}
	return ret;
}

/* Calls are edges: their eventfds are never read. */
static int disk_watch(struct disk *d)
{
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned int i;

	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (d->epoll_fd < 0)
		return -errno;
	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, vhk_ctl_fd(d->ctl), &ev))
		return -errno;
	ev.events = EPOLLIN | EPOLLET;
	ev.data.u32 = 1;
	for (i = 0; i < d->n_queues; i++)
		if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, vhk_ctl_call_fd(d->ctl, i), &ev))
			return -errno;
	return 0;
}

/* Positive: has been said. */
static int disk_start(struct disk *d, const struct disk_opts *o)
{
	struct vhk_vq **vq = calloc(d->n_queues, sizeof(*vq));
	unsigned int i;
	int ret;

	if (!vq)
		return -ENOMEM;
	for (i = 0; i < d->n_queues; i++)
		vq[i] = d->queue[i].vq;
	ret = vhk_ctl_start_all(d->ctl, vq, d->n_queues);
	free(vq);
	/* The limit itself is not told: GET_INFLIGHT_FD or SET_VRING_NUM are refused. */
	if (ret == -EREMOTEIO && ring_size(o) > USUAL_RING)
		return say_error(ret, "%s: --depth %u needs rings of %u entries%s, and many back "
				      "ends take no more than %u",
				 d->uri, o->depth, ring_size(o),
				 o->indirect ? "" : " (fewer with --indirect)", USUAL_RING);
	if (ret != -EMSGSIZE)
		return ret;
	say("%s: takes no memory", d->uri);
	return EXIT_FAILED;
}

static int disk_connect(struct disk *d, const struct disk_opts *o)
{
	struct vhk_ctl_opts co = { .sz = sizeof(co),
				   .timeout_ms = o->timeout_ms,
				   .log = say_log(),
				   .n_queues = (uint16_t)o->queues };
	int ret = vhk_mem_new(&d->mem);

	if (!ret)
		ret = vhk_ctl_open(&d->ctl, o->uri, &co);
	if (ret)
		return uri_say_closed(o->uri, ret);
	ret = disk_kind(d);
	if (!ret)
		ret = disk_negotiate(d, o);
	if (!ret)
		ret = disk_config(d, o);
	if (!ret)
		ret = queues_init(d, o);
	if (!ret)
		ret = disk_start(d, o);
	return ret ? ret : disk_watch(d);
}

int disk_open(struct disk **out, const struct disk_opts *o)
{
	struct disk *d = calloc(1, sizeof(*d));
	int ret;

	if (!d)
		return say_error(-ENOMEM, "%s", o->uri);
	d->uri = o->uri;
	d->n_queues = o->queues;
	d->depth = o->depth;
	d->epoll_fd = -1;
	ret = disk_connect(d, o);
	if (ret) {
		ret = d->ctl ? disk_why(d->ctl, ret) : ret;
		disk_close(d);
		return ret > 0 ? ret : say_error(ret, "%s", o->uri);
	}
	*out = d;
	return 0;
}

void disk_close(struct disk *d)
{
	unsigned int i;

	if (!d)
		return;
	vhk_ctl_close(d->ctl);
	for (i = 0; d->queue && i < d->n_queues; i++) {
		vhk_vq_free(d->queue[i].vq);
		free(d->queue[i].req);
	}
	free(d->queue);
	vhk_mem_free(d->mem);
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
	free(d);
}

struct disk_req *disk_get(struct disk *d, unsigned int queue)
{
	struct disk_queue *q = &d->queue[queue];
	struct disk_req *r = q->free;

	if (r)
		q->free = r->next;
	return r;
}

void disk_put(struct disk *d, struct disk_req *r)
{
	r->next = d->queue[r->queue].free;
	d->queue[r->queue].free = r;
}

int disk_submit(struct disk *d, struct disk_req *r)
{
	struct disk_queue *q = &d->queue[r->queue];
	bool write = r->type == VIRTIO_BLK_T_OUT;
	struct iovec seg[SEGS] = { { r->hdr, sizeof(*r->hdr) },
				   { r->data, r->len },
				   { r->status, 1 } };
	int ret;

	r->hdr->type = htole32(r->type);
	r->hdr->ioprio = 0;
	r->hdr->sector = htole64(r->at / DISK_SECTOR);
	*r->status = 0xff;
	r->done = false;
	if (!r->len)
		seg[1] = seg[2];
	ret = vhk_vq_add(q->vq, seg, r->len && write ? 2 : 1, r->len && !write ? 2 : 1, r);
	if (ret)
		return ret;
	r->out = true;
	q->n_out++;
	q->staged = true;
	return 0;
}

int disk_publish(struct disk *d, unsigned int queue)
{
	struct disk_queue *q = &d->queue[queue];
	int ret;

	if (!q->staged)
		return 0;
	q->staged = false;
	ret = vhk_vq_publish(q->vq);
	return ret == 1 ? vhk_ctl_kick(d->ctl, queue) : ret;
}

int disk_reap(struct disk *d, unsigned int queue, struct disk_req **out, int max)
{
	struct disk_queue *q = &d->queue[queue];
	struct vhk_done done[64];
	int i, n;

	n = vhk_vq_get(q->vq, done, max < 64 ? (unsigned int)max : 64);
	for (i = 0; i < n; i++) {
		out[i] = done[i].token;
		out[i]->out = false;
		out[i]->done = true;
	}
	if (n > 0)
		q->n_out -= (unsigned int)n;
	return n;
}

int disk_result(const struct disk_req *r)
{
	switch (__atomic_load_n(r->status, __ATOMIC_RELAXED)) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

bool disk_ready(const struct disk *d)
{
	unsigned int i;

	for (i = 0; i < d->n_queues; i++)
		if (vhk_vq_ready(d->queue[i].vq))
			return true;
	return false;
}

unsigned int disk_outstanding(const struct disk *d)
{
	unsigned int i, n = 0;

	for (i = 0; i < d->n_queues; i++)
		n += d->queue[i].n_out;
	return n;
}

int disk_fault(const struct disk *d)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < d->n_queues && !ret; i++)
		if (d->queue[i].n_out && !vhk_vq_ready(d->queue[i].vq))
			ret = vhk_ctl_fault(d->ctl, i);
	return ret;
}

static bool disk_arm(struct disk *d)
{
	bool some = false;
	unsigned int i;

	for (i = 0; i < d->n_queues; i++)
		if (d->queue[i].n_out && vhk_vq_arm(d->queue[i].vq))
			some = true;
	return some;
}

static int disk_sleep(struct disk *d, int timeout_ms)
{
	struct epoll_event ev[2];
	int i, n;

	n = epoll_wait(d->epoll_fd, ev, 2, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n; i++)
		if (!ev[i].data.u32)
			vhk_ctl_process(d->ctl);
	return n ? 0 : -ETIMEDOUT;
}

int disk_wait(struct disk *d, int timeout_ms)
{
	uint64_t end = now_ns() + (uint64_t)timeout_ms * 1000000u, now;
	unsigned int i;
	int ret;

	while (!(ret = disk_fault(d)) && !disk_arm(d)) {
		now = now_ns();
		ret = now >= end ? -ETIMEDOUT :
				   disk_sleep(d, (int)((end - now) / 1000000u) + 1);
		if (ret)
			break;
	}
	for (i = 0; i < d->n_queues; i++)
		vhk_vq_disarm(d->queue[i].vq);
	return ret == -ETIMEDOUT && disk_ready(d) ? 0 : ret;
}

static void forget(void *arg, void *token)
{
	(void)arg;
	(void)token;
}

/* Without an inflight region nobody knows what was done: all of it is asked for again. */
static int disk_ask_again(struct disk *d)
{
	unsigned int i, k;
	int ret = 0;

	for (i = 0; i < d->n_queues; i++) {
		for (k = 0; k < d->depth && !ret; k++)
			if (d->queue[i].req[k].out) {
				d->queue[i].n_out--;
				ret = disk_submit(d, &d->queue[i].req[k]);
			}
		if (!ret)
			ret = disk_publish(d, i);
		vhk_ctl_kick(d->ctl, i);
	}
	return ret;
}

int disk_reconnect(struct disk *d)
{
	bool kept = vhk_ctl_protocol_features(d->ctl) & VHK_PF_INFLIGHT_SHMFD;
	unsigned int i;
	int ret;

	for (i = 0; !kept && i < d->n_queues; i++)
		vhk_vq_reset(d->queue[i].vq, forget, NULL);
	/* It may die again while it is told. */
	do
		ret = vhk_ctl_reconnect(d->ctl);
	while (ret == -ENOTCONN);
	if (!ret)
		say_forget();
	return ret || kept ? ret : disk_ask_again(d);
}
