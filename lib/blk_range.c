// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Discard and write zeroes (virtio 1.3, 5.2.6): every range of a request is copied and judged
 * before the first one is carried out.
 */
#include <endian.h>

#include "blk_impl.h"

static void next_range(struct vhk_blk_req *req);

static void synced(struct vhk_io *io, int res)
{
	struct vhk_blk_req *req = vhk_container_of(io, struct vhk_blk_req, io);

	if (res < 0)
		vhk_blk_fail(req, res);
	else
		vhk_blk_finish(req, VIRTIO_BLK_S_OK);
}

/* Zeros are data: without a write-back cache they are on the medium before the answer. */
static void all_done(struct vhk_blk_req *req)
{
	if (req->kind == VHK_BLK_WRITE_ZEROES && !req->bq->blk->file.memory &&
	    atomic_load_explicit(&req->bq->blk->write_through, memory_order_relaxed))
		vhk_blk_submit(req, VHK_IO_FSYNC, 0, 0, synced);
	else
		vhk_blk_finish(req, VIRTIO_BLK_S_OK);
}

static void range_done(struct vhk_io *io, int res)
{
	struct vhk_blk_req *req = vhk_container_of(io, struct vhk_blk_req, io);
	struct vhk_blk_range *r = (struct vhk_blk_range *)req->mem + req->range;

	/* Unmapping was allowed, not asked for. */
	if (res == -EOPNOTSUPP && req->kind == VHK_BLK_WRITE_ZEROES && r->op == VHK_IO_PUNCH) {
		r->op = VHK_IO_ZERO;
		next_range(req);
		return;
	}
	if (res < 0) {
		vhk_blk_fail(req, res);
		return;
	}
	req->moved += r->len;
	req->range++;
	next_range(req);
}

static void begin_range(struct vhk_blk_req *req, const struct vhk_blk_range *r)
{
	vhk_blk_present_forget(&req->bq->blk->present, r->off, r->len);
	vhk_blk_submit(req, r->op, r->off, r->len, range_done);
}

static void next_range(struct vhk_blk_req *req)
{
	const struct vhk_blk_range *r = (struct vhk_blk_range *)req->mem + req->range;

	while (req->range < req->n_ranges && !r->len) {
		req->range++;
		r++;
	}
	if (req->range == req->n_ranges)
		all_done(req);
	else if (vhk_queue_suspending(req->bq->q))
		vhk_blk_give_back(req);
	else
		begin_range(req, r);
}

/* A virtio status, and where that is OK the range in bytes. */
static uint8_t judge(const struct vhk_blk_req *req,
		     const struct virtio_blk_discard_write_zeroes *seg, struct vhk_blk_range *r)
{
	uint64_t sector = le64toh(seg->sector), n = le32toh(seg->num_sectors);
	uint32_t flags = le32toh(seg->flags), known = 0;
	const struct vhk_blk *blk = req->bq->blk;

	if (req->kind == VHK_BLK_WRITE_ZEROES)
		known = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	if (flags & ~known)
		return VIRTIO_BLK_S_UNSUPP;
	if (n > blk->file.range_max || !vhk_blk_on_disk(blk, sector, n))
		return VIRTIO_BLK_S_IOERR;
	r->off = sector * VHK_BLK_SECTOR;
	r->len = n * VHK_BLK_SECTOR;
	r->op = VHK_IO_PUNCH;
	if (req->kind == VHK_BLK_WRITE_ZEROES && (!flags || !blk->file.discard))
		r->op = VHK_IO_ZERO;
	return VIRTIO_BLK_S_OK;
}

static uint8_t judge_all(struct vhk_blk_req *req)
{
	struct virtio_blk_discard_write_zeroes seg;
	struct vhk_blk_range *r = req->mem;
	uint8_t status = VIRTIO_BLK_S_OK;
	unsigned int i;

	for (i = 0; i < req->n_ranges && status == VIRTIO_BLK_S_OK; i++) {
		vhk_blk_gather(req, &seg, sizeof(seg));
		vhk_blk_advance(req, sizeof(seg));
		status = judge(req, &seg, r + i);
	}
	return status;
}

static bool negotiated(const struct vhk_blk_req *req)
{
	uint64_t features = atomic_load_explicit(&req->bq->blk->features, memory_order_relaxed);

	if (req->kind == VHK_BLK_DISCARD)
		return features & VHK_BLK_F(DISCARD);
	return features & VHK_BLK_F(WRITE_ZEROES);
}

static uint8_t prepare(struct vhk_blk_req *req)
{
	uint32_t len = req->chain->out_len - (uint32_t)sizeof(struct virtio_blk_outhdr);
	const uint32_t one = sizeof(struct virtio_blk_discard_write_zeroes);

	if (req->bq->blk->file.read_only)
		return VIRTIO_BLK_S_IOERR;
	if (!negotiated(req))
		return VIRTIO_BLK_S_UNSUPP;
	if (!len || len % one || len / one > VHK_BLK_RANGES)
		return VIRTIO_BLK_S_IOERR;
	req->n_ranges = (uint16_t)(len / one);
	req->mem = calloc(req->n_ranges, sizeof(struct vhk_blk_range));
	if (!req->mem)
		return VIRTIO_BLK_S_IOERR;
	return judge_all(req);
}

void vhk_blk_ranges(struct vhk_blk_req *req)
{
	uint8_t status = prepare(req);

	/* ranges may be zeros in place of what they were */
	if (status == VIRTIO_BLK_S_OK && vhk_unlikely(vhk_queue_torn(req->bq->q)))
		status = VIRTIO_BLK_S_IOERR;
	if (status != VIRTIO_BLK_S_OK) {
		vhk_blk_finish(req, status);
		return;
	}
	atomic_store_explicit(&req->bq->blk->file.holes, true, memory_order_relaxed);
	next_range(req);
}
