// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Reads, writes and flushes: straight between the image and the driver's memory, or through a
 * buffer where O_DIRECT does not take the driver's addresses. Short transfers go on; what a read
 * misses at the end of the file is zeros.
 */
#include "barrier.h"
#include "blk_impl.h"

/*
 * The buffer of a request whose memory does not suit O_DIRECT; longer ones go through it bit by
 * bit.
 */
#define BOUNCE_MAX (128u << 10)
#define BOUNCE_ALIGN 4096u
/*
 * One operation moves no more: data that is in memory is copied by the loop's own thread, which has
 * others to serve between two of them. A multiple of every unit of O_DIRECT.
 */
#define PIECE (2u << 20)
/* What a signal or a lack of kernel memory cut short is tried so many times more. */
#define TRY_AGAIN 8

static void next_piece(struct vhk_blk_req *req);

static bool is_read(const struct vhk_blk_req *req)
{
	return req->kind == VHK_BLK_READ;
}

static void end(struct vhk_blk_req *req, uint8_t status)
{
	if (is_read(req))
		req->filled = (uint32_t)req->moved;
	vhk_blk_finish(req, status);
}


static void end_failed(struct vhk_blk_req *req, int err)
{
	/* the kernel found nothing behind the driver's memory */
	if (err == -EFAULT) {
		vhk_blk_touch(req->bq->q, req->io.iov, req->io.n_iov);
		end(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (is_read(req))
		req->filled = (uint32_t)req->moved;
	vhk_blk_fail(req, err);
}

static void zero(const struct vhk_blk_req *req, size_t n)
{
	const struct iovec *seg;
	size_t part;

	for (seg = req->iov; n; seg++, n -= part) {
		part = vhk_min(n, seg->iov_len);
		vhk_shared_zero(seg->iov_base, part);
	}
}

/*
 * Past the end of the image a disk of this size has zeros to read, but no room to write. What is
 * left is read on piece by piece, at O_DIRECT's units, so that zeros take no longer than data.
 */
static void end_of_file(struct vhk_blk_req *req)
{
	uint64_t left = req->len - req->moved, n = vhk_min(left, (uint64_t)PIECE);

	if (!is_read(req)) {
		end_failed(req, -ENOSPC);
		return;
	}
	if (n < left)
		n -= (req->moved + n) % req->bq->blk->file.io_align;
	zero(req, n);
	req->moved += n;
	if (n == left) {
		end(req, VIRTIO_BLK_S_OK);
		return;
	}
	vhk_blk_advance(req, n);
	next_piece(req);
}

static bool worth_another_try(struct vhk_blk_req *req, int res)
{
	return (res == -EINTR || res == -EAGAIN) && req->again++ < TRY_AGAIN;
}

static void rw_done(struct vhk_io *io, int res)
{
	struct vhk_blk_req *req = vhk_container_of(io, struct vhk_blk_req, io);

	if (res > 0) {
		if (req->mem && is_read(req))
			vhk_blk_scatter(req, req->mem, (size_t)res);
		req->moved += (uint64_t)res;
		if (vhk_likely(req->moved == req->len)) {
			vhk_blk_present_note(&req->bq->blk->present, req->start, req->len);
			end(req, VIRTIO_BLK_S_OK);
			return;
		}
		vhk_blk_advance(req, (size_t)res);
		/*
		 * O_DIRECT goes on at its own units only; where a transfer ended inside one, so
		 * does the file.
		 */
		if (req->moved % req->bq->blk->file.io_align)
			end_of_file(req);
		else
			next_piece(req);
	} else if (res == 0) {
		end_of_file(req);
	} else if (worth_another_try(req, res)) {
		next_piece(req);
	} else {
		end_failed(req, res);
	}
}

/* As many whole segments as go into one piece, or the beginning of one that does not. */
static void point_at_piece(struct vhk_blk_req *req)
{
	uint64_t room = PIECE;
	unsigned int n = 0;

	while (n < req->n_iov && req->iov[n].iov_len <= room)
		room -= req->iov[n++].iov_len;
	req->io.iov = req->iov;
	req->io.n_iov = n;
	if (room < PIECE)
		return;
	req->flat = (struct iovec){ req->iov[n].iov_base, PIECE };
	req->io.iov = &req->flat;
	req->io.n_iov = 1;
}

/*
 * Of memory that is lost nothing is handed over: a page that is met later becomes zeros, which the
 * kernel would write as well, as it does where the file is cut between this look and its own.
 * Where pages come late the kernel alone waits for them.
 */
static bool is_sound(const struct vhk_blk_req *req)
{
	const struct vhk_blk_queue *bq = req->bq;

	if (is_read(req) || req->mem || bq->late)
		return !vhk_queue_torn(bq->q);
	return vhk_blk_touch(bq->q, req->io.iov, req->io.n_iov);
}

static void next_piece(struct vhk_blk_req *req)
{
	uint64_t left = req->len - req->moved;

	if (vhk_unlikely(vhk_queue_suspending(req->bq->q))) {
		vhk_blk_give_back(req);
		return;
	}
	req->io.iov = req->iov;
	req->io.n_iov = req->n_iov;
	if (left > PIECE)
		point_at_piece(req);
	if (req->mem) {
		req->flat.iov_base = req->mem;
		req->flat.iov_len = vhk_min(left, (uint64_t)BOUNCE_MAX);
		req->io.iov = &req->flat;
		req->io.n_iov = 1;
		if (!is_read(req))
			vhk_blk_gather(req, req->mem, req->flat.iov_len);
	}
	if (vhk_unlikely(!is_sound(req))) {
		end(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	vhk_blk_submit(req, is_read(req) ? VHK_IO_READ : VHK_IO_WRITE, req->start + req->moved,
		       left, rw_done);
}

static bool suits_direct(const struct vhk_blk_req *req, const struct vhk_blk_file *f)
{
	const struct iovec *seg;

	for (seg = req->iov; seg < req->iov + req->n_iov; seg++)
		if ((uintptr_t)seg->iov_base % f->mem_align || seg->iov_len % f->io_align)
			return false;
	return true;
}

static int get_bounce(struct vhk_blk_req *req)
{
	size_t size = vhk_min(vhk_align_up(req->len, BOUNCE_ALIGN), (uint64_t)BOUNCE_MAX);

	if (posix_memalign(&req->mem, BOUNCE_ALIGN, size)) {
		req->mem = NULL;
		return -ENOMEM;
	}
	vhk_blk_count(&req->bq->counters.bounced, 1);
	return 0;
}

/* Whole sectors, on the disk, in the medium's units, and the right way. */
static bool fits(const struct vhk_blk_req *req, uint64_t sector)
{
	const struct vhk_blk *blk = req->bq->blk;

	if (req->len % VHK_BLK_SECTOR || !vhk_blk_on_disk(blk, sector, req->len / VHK_BLK_SECTOR))
		return false;
	if (req->len % blk->file.io_align || sector * VHK_BLK_SECTOR % blk->file.io_align)
		return false;
	return is_read(req) || !blk->file.read_only;
}

void vhk_blk_rw(struct vhk_blk_req *req, uint64_t sector)
{
	struct vhk_blk *blk = req->bq->blk;

	req->len = is_read(req) ? req->chain->in_len - 1
				: req->chain->out_len - sizeof(struct virtio_blk_outhdr);
	if (!fits(req, sector)) {
		vhk_blk_finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	if (!req->len) {
		vhk_blk_finish(req, VIRTIO_BLK_S_OK);
		return;
	}
	req->start = sector * VHK_BLK_SECTOR;
	if (!is_read(req) && atomic_load_explicit(&blk->write_through, memory_order_relaxed))
		req->io.flags = VHK_IO_F_DSYNC;
	if (vhk_blk_map_copy(req)) {
		req->moved = req->len;
		end(req, VIRTIO_BLK_S_OK);
		return;
	}
	if (blk->file.direct && !suits_direct(req, &blk->file) && get_bounce(req))
		end_failed(req, -ENOMEM);
	else
		next_piece(req);
}

static void flush_done(struct vhk_io *io, int res)
{
	struct vhk_blk_req *req = vhk_container_of(io, struct vhk_blk_req, io);
	struct vhk_blk *blk = req->bq->blk;

	/* Another one, that was under way as well, may have been told instead. */
	if (res >= 0) {
		vhk_blk_finish(req, atomic_load_explicit(&blk->lost, memory_order_relaxed) ?
				       VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
		return;
	}
	if (!blk->file.direct)
		atomic_store_explicit(&blk->lost, true, memory_order_relaxed);
	vhk_blk_fail(req, res);
}

void vhk_blk_flush(struct vhk_blk_req *req)
{
	struct vhk_blk *blk = req->bq->blk;

	/*
	 * Memory has no medium behind it to wait for; what was opened for reading has nothing to
	 * flush.
	 */
	if (blk->file.memory || blk->file.read_only)
		vhk_blk_finish(req, VIRTIO_BLK_S_OK);
	else if (atomic_load_explicit(&blk->lost, memory_order_relaxed))
		vhk_blk_finish(req, VIRTIO_BLK_S_IOERR);
	else
		vhk_blk_submit(req, VHK_IO_FSYNC, 0, 0, flush_done);
}
