// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Requests of a virtio disk (virtio 1.3, 5.2.6): the header is copied and judged, the request sent
 * to whoever does its kind, and answered here. No layout is assumed: the header is the first 16
 * readable bytes and the status the last writable one, wherever segments begin and end.
 */
#include <endian.h>

#include "barrier.h"
#include "blk_impl.h"

#define TOUCH_STEP 4096u /* no page is smaller */

void vhk_blk_advance(struct vhk_blk_req *req, size_t n)
{
	if (req->cut) {
		n += req->whole.iov_len - req->cut->iov_len;
		*req->cut = req->whole;
		req->cut = NULL;
	}
	while (req->n_iov && n >= req->iov->iov_len) {
		n -= req->iov->iov_len;
		req->iov++;
		req->n_iov--;
	}
	if (!req->n_iov || !n)
		return;
	req->whole = *req->iov;
	req->cut = req->iov;
	req->cut->iov_base = (char *)req->cut->iov_base + n;
	req->cut->iov_len -= n;
}

void vhk_blk_gather(const struct vhk_blk_req *req, void *to, size_t n)
{
	unsigned int i;
	size_t part;

	for (i = 0; i < req->n_iov && n; i++) {
		part = vhk_min(n, req->iov[i].iov_len);
		vhk_shared_copy(to, req->iov[i].iov_base, part);
		to = (char *)to + part;
		n -= part;
	}
}

void vhk_blk_scatter(const struct vhk_blk_req *req, const void *from, size_t n)
{
	unsigned int i;
	size_t part;

	for (i = 0; i < req->n_iov && n; i++) {
		part = vhk_min(n, req->iov[i].iov_len);
		vhk_shared_copy(req->iov[i].iov_base, from, part);
		from = (const char *)from + part;
		n -= part;
	}
}

bool vhk_blk_touch(const struct vhk_queue *q, const struct iovec *seg, unsigned int n)
{
	const volatile unsigned char *at;
	size_t i;

	for (; n; n--, seg++) {
		at = seg->iov_base;
		for (i = 0; i < seg->iov_len; i += TOUCH_STEP) {
			(void)__atomic_load_n(at + i, __ATOMIC_RELAXED);
			if (vhk_unlikely(vhk_queue_torn(q)))
				return false;
		}
		if (seg->iov_len)
			(void)__atomic_load_n(at + seg->iov_len - 1, __ATOMIC_RELAXED);
	}
	return !vhk_queue_torn(q);
}

bool vhk_blk_on_disk(const struct vhk_blk *blk, uint64_t sector, uint64_t n)
{
	uint64_t capacity = atomic_load_explicit(&blk->capacity, memory_order_relaxed);

	return sector <= capacity && n <= capacity - sector;
}

void vhk_blk_submit(struct vhk_blk_req *req, enum vhk_io_op op, uint64_t off, uint64_t len,
		    void (*done)(struct vhk_io *io, int res))
{
	if (vhk_unlikely(req->bq->late))
		req->io.flags |= VHK_IO_F_LATE;
	req->io.op = op;
	req->io.file = req->bq->file;
	req->io.off = off;
	req->io.len = len;
	req->io.done = done;
	vhk_loop_submit(req->bq->loop, &req->io);
}

/*
 * The driver may take that many bytes, from the first writable one on, for written: what nobody
 * filled must not look filled, and the status may lie behind it (virtio 1.3, 2.7.8.2: the length
 * may be an underestimate). To fill it instead would take as long as a driver likes, which may
 * offer close to 4 GiB of room to a request that fails.
 */
static uint32_t written(const struct vhk_blk_req *req)
{
	uint32_t room = req->chain->in_len - 1;

	return vhk_likely(req->filled == room) ? room + 1 : req->filled;
}

static void count(struct vhk_blk_req *req, uint8_t status)
{
	struct vhk_blk_counters *c = &req->bq->counters;

	if (status != VIRTIO_BLK_S_OK)
		vhk_blk_count(&c->errors, 1);
	if (req->kind == VHK_BLK_KINDS)
		return;
	vhk_blk_count(&c->ops[req->kind], 1);
	vhk_blk_count(&c->bytes[req->kind], req->moved);
}

/* The chain's segments are as they came. */
static void make_whole(struct vhk_blk_req *req)
{
	free(req->mem);
	req->mem = NULL;
	if (req->cut)
		*req->cut = req->whole;
	req->status->iov_len++;
}

void vhk_blk_finish(struct vhk_blk_req *req, uint8_t status)
{
	struct vhk_chain *c = req->chain;
	uint32_t n = written(req);

	make_whole(req);
	vhk_shared_copy((char *)req->status->iov_base + req->status->iov_len - 1, &status, 1);
	count(req, status);
	if (n != c->in_len)
		c->flags |= VHK_CHAIN_F_SCATTERED;
	vhk_queue_done(req->bq->q, c, n);
}

void vhk_blk_give_back(struct vhk_blk_req *req)
{
	make_whole(req);
	vhk_queue_give_back(req->bq->q, req->chain);
}

/* A medium that fails goes on failing: each line stands for twice as many errors as the one
 * before. */
static void tell(const struct vhk_blk_req *req, int err)
{
	static const char *const names[] = { "read", "write", "flush", "discard", "write zeroes" };
	const struct vhk_blk_queue *bq = req->bq;
	uint64_t n = atomic_load_explicit(&bq->counters.errors, memory_order_relaxed) + 1;

	if (vhk_is_power_of_2(n))
		vhk_log(&bq->blk->log, VHK_LOG_WARN, "%s: %s at byte %llu: %s (error %llu)",
			bq->blk->path, names[req->kind], (unsigned long long)req->io.off,
			strerror(-err), (unsigned long long)n);
}

void vhk_blk_fail(struct vhk_blk_req *req, int err)
{
	if (err == -EOPNOTSUPP) {
		vhk_blk_finish(req, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	tell(req, err);
	vhk_blk_finish(req, VIRTIO_BLK_S_IOERR);
}

/* GET_ID: up to 20 bytes, without a terminator where all are used (virtio 1.3, 5.2.6). */
static void get_id(struct vhk_blk_req *req)
{
	req->moved = vhk_min(req->chain->in_len - 1, (uint32_t)VIRTIO_BLK_ID_BYTES);
	vhk_blk_scatter(req, req->bq->blk->id, req->moved);
	req->filled = (uint32_t)req->moved;
	vhk_blk_finish(req, req->moved ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
}

static enum vhk_blk_kind kind_of(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_IN:
		return VHK_BLK_READ;
	case VIRTIO_BLK_T_OUT:
		return VHK_BLK_WRITE;
	case VIRTIO_BLK_T_FLUSH:
		return VHK_BLK_FLUSH;
	case VIRTIO_BLK_T_DISCARD:
		return VHK_BLK_DISCARD;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return VHK_BLK_WRITE_ZEROES;
	case VIRTIO_BLK_T_GET_ID:
		return VHK_BLK_GET_ID;
	default:
		return VHK_BLK_KINDS;
	}
}

static void dispatch(struct vhk_blk_req *req, uint64_t sector)
{
	switch (req->kind) {
	case VHK_BLK_READ:
	case VHK_BLK_WRITE:
		vhk_blk_rw(req, sector);
		break;
	case VHK_BLK_FLUSH:
		vhk_blk_flush(req);
		break;
	case VHK_BLK_DISCARD:
	case VHK_BLK_WRITE_ZEROES:
		vhk_blk_ranges(req);
		break;
	case VHK_BLK_GET_ID:
		get_id(req);
		break;
	case VHK_BLK_KINDS:
		vhk_blk_finish(req, VIRTIO_BLK_S_UNSUPP);
	}
}

/* The data's direction is that of the request's kind, whatever else the chain holds. */
static void point_at_data(struct vhk_blk_req *req)
{
	struct vhk_chain *c = req->chain;

	if (req->kind != VHK_BLK_READ && req->kind != VHK_BLK_GET_ID) {
		vhk_blk_advance(req, sizeof(struct virtio_blk_outhdr));
		return;
	}
	req->iov = c->seg + c->n_out;
	req->n_iov = (unsigned int)(req->status - req->iov) + (req->status->iov_len > 0);
}

/*
 * The segment that ends with the status byte, made shorter by it; NULL where there is no such byte
 * to be written.
 */
static struct iovec *cut_status(struct vhk_chain *c)
{
	struct iovec *seg = c->seg + c->n_out + c->n_in;
	unsigned int i;

	for (i = 0; i < c->n_in; i++) {
		seg--;
		if (!seg->iov_len)
			continue;
		if (!seg->iov_base)
			return NULL;
		seg->iov_len--;
		return seg;
	}
	return NULL;
}

static void begin(struct vhk_blk_queue *bq, struct vhk_chain *c)
{
	struct vhk_blk_req *req = (struct vhk_blk_req *)c->ctx;
	struct virtio_blk_outhdr hdr;

	memset(req, 0, sizeof(*req));
	req->bq = bq;
	req->chain = c;
	req->kind = VHK_BLK_KINDS;
	req->status = cut_status(c);
	if (!req->status) {
		vhk_queue_fail(bq->q);
		vhk_queue_done(bq->q, c, 0);
		return;
	}
	req->iov = c->seg;
	req->n_iov = c->n_out;
	if ((c->flags & VHK_CHAIN_F_FAULT) || c->out_len < sizeof(hdr)) {
		vhk_blk_finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	vhk_blk_gather(req, &hdr, sizeof(hdr));
	/* what looks like a request may be half of one, or of zeros */
	if (vhk_unlikely(vhk_queue_torn(bq->q))) {
		vhk_blk_finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->kind = kind_of(le32toh(hdr.type));
	point_at_data(req);
	dispatch(req, le64toh(hdr.sector));
}

void vhk_blk_work(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	struct vhk_blk_queue *bq = vhk_queue_priv(q);
	unsigned int i;

	(void)priv;
	bq->late = vhk_queue_late(q);
	bq->image_end = -1;
	for (i = 0; i < n; i++)
		begin(bq, chains[i]);
}
