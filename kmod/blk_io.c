// SPDX-License-Identifier: GPL-2.0-only
/*
 * What requests do: bios of the driver's own pages to a block device, asynchronous reads and writes
 * of a file from and to the same. What may block goes to a workqueue.
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "blk.h"

static u8 status_of(long err)
{
	if (err == -EOPNOTSUPP)
		return VIRTIO_BLK_S_UNSUPP;
	return err ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

static void later(struct vhk_blk_req *req, work_func_t fn)
{
	INIT_WORK(&req->work, fn);
	queue_work(req->q->blk->workqueue, &req->work);
}

/* How a thread of the workqueue works for a device. */
struct blocking {
	unsigned int noio;
	struct mem_cgroup *memcg;
};

/* Writers of a backing that is throttled for us must not be throttled by us. */
static struct blocking enter_blocking(const struct vhk_blk_req *req)
{
	current->flags |= PF_LOCAL_THROTTLE;
	return (struct blocking){
		.noio = memalloc_noio_save(),
		.memcg = vhk_charge_begin(&req->q->blk->dev.charge),
	};
}

static void leave_blocking(struct blocking before)
{
	vhk_charge_end(before.memcg);
	memalloc_noio_restore(before.noio);
	current->flags &= ~PF_LOCAL_THROTTLE;
}

static void bio_end(struct bio *bio)
{
	struct vhk_blk_req *req = bio->bi_private;

	vhk_blk_end(req, bio->bi_status == BLK_STS_NOTSUPP ? VIRTIO_BLK_S_UNSUPP :
			 bio->bi_status ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

static void start_bio(struct vhk_blk_req *req, blk_opf_t op)
{
	struct bio *bio = &req->bio;

	bio_init(bio, req->q->blk->disk->bdev, req->bv, req->n_bv, op);
	bio->bi_vcnt = req->n_bv;
	bio->bi_iter.bi_size = req->bytes;
	bio->bi_iter.bi_sector = req->sector;
	bio->bi_end_io = bio_end;
	bio->bi_private = req;
	submit_bio(bio);
}

static blk_opf_t op_of(const struct vhk_blk_req *req)
{
	if (req->type == VIRTIO_BLK_T_IN)
		return REQ_OP_READ;
	return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
	       (vhk_blk_is_durable(req->q->blk) ? REQ_FUA : 0);
}

/* Who resets or closes a device waits, and nobody for what the request was to do. */
static int given_up(const struct vhk_blk_req *req)
{
	return READ_ONCE(req->q->blk->dev.gives_up) ? -ECANCELED : 0;
}

static void bounce(struct work_struct *work);

/* A scheduler below may have a neighbour from before. */
static bool may_merge(const struct vhk_blk_req *req, struct block_device *bdev)
{
	return req->follows || bdev_get_queue(bdev)->elevator;
}

/*
 * Nobody below checks alignment for requests of the kernel's own: each piece must be one that the
 * device can reach, and whole blocks, or what is split between pieces is no block. A driver can
 * change pages while they are written, which a device with checksums must not see.
 */
static void submit_bdev(struct vhk_blk_req *req)
{
	struct block_device *bdev = req->q->blk->disk->bdev;
	const u32 mask = bdev_logical_block_size(bdev) - 1;

	if ((req->sector << SECTOR_SHIFT | req->bytes) & mask)
		vhk_blk_end(req, VIRTIO_BLK_S_IOERR);
	else if (req->starts & bdev_dma_alignment(bdev) || req->lens & mask ||
		 (req->type == VIRTIO_BLK_T_OUT && bdev_stable_writes(bdev)))
		later(req, bounce);
	else
		start_bio(req, op_of(req) | (may_merge(req, bdev) ? 0 : REQ_NOMERGE));
}

static void rw_blocking(struct work_struct *work);

static bool is_short(const struct vhk_blk_req *req, long ret)
{
	return ret >= 0 && ret < req->bytes;
}

/* A try that must not wait has been in vain, or only half done: all of it once more. */
static bool again(const struct vhk_blk_req *req, long ret)
{
	return req->iocb.ki_flags & IOCB_NOWAIT &&
	       (ret == -EAGAIN || ret == -EOPNOTSUPP || is_short(req, ret));
}

/* A file that shrank has less than the disk. */
static void file_done(struct vhk_blk_req *req, long ret)
{
	if (again(req, ret))
		later(req, rw_blocking);
	else
		vhk_blk_end(req, ret == req->bytes ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
}

/* The file takes requests of this place and size past the page cache. */
static bool can_direct(const struct vhk_blk_req *req)
{
	const struct vhk_blk *blk = req->q->blk;

	return blk->disk->direct &&
	       !(((req->sector << SECTOR_SHIFT) | req->bytes) & blk->offset_align);
}

/*
 * But not from where its pieces lie, or not while a driver can change them. It does not go through
 * the page cache then, which would write whole blocks, and over neighbours that did not.
 */
static bool must_bounce(const struct vhk_blk_req *req)
{
	const struct vhk_blk *blk = req->q->blk;

	return req->lens & blk->offset_align || req->starts & blk->mem_align ||
	       (req->type == VIRTIO_BLK_T_OUT &&
		mapping_stable_writes(blk->disk->file->f_mapping));
}

static bool try_start_write(struct kiocb *iocb)
{
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	if (!sb_start_write_trylock(sb))
		return false;
	/* Who completes may be another thread. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

/* The file may end it while we are still in there; who is through last goes on. */
static void file_complete(struct kiocb *iocb, long ret)
{
	struct vhk_blk_req *req = container_of(iocb, struct vhk_blk_req, iocb);

	if (iocb->ki_flags & IOCB_WRITE)
		kiocb_end_write(iocb);
	req->ret = ret;
	if (atomic_dec_and_test(&req->iocb_refs))
		file_done(req, ret);
}

static void init_iocb(struct kiocb *iocb, const struct vhk_blk_req *req, int flags)
{
	init_sync_kiocb(iocb, req->q->blk->disk->file);
	iocb->ki_pos = req->sector << SECTOR_SHIFT;
	/* An owner who opened the file for synchronous writes gets them. */
	iocb->ki_flags &= IOCB_DSYNC | IOCB_SYNC;
	iocb->ki_flags |= flags | (can_direct(req) ? IOCB_DIRECT : 0);
	if (req->type != VIRTIO_BLK_T_OUT)
		return;
	iocb->ki_flags |= IOCB_WRITE;
	if (vhk_blk_is_durable(req->q->blk))
		iocb->ki_flags |= IOCB_DSYNC;
}

static ssize_t call_file(struct kiocb *iocb, struct bio_vec *bv, unsigned int n_bv, u32 bytes)
{
	const bool write = iocb->ki_flags & IOCB_WRITE;
	const struct file_operations *f_op = iocb->ki_filp->f_op;
	const struct cred *cred = override_creds(iocb->ki_filp->f_cred);
	struct iov_iter iter;
	ssize_t ret;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, bv, n_bv, bytes);
	ret = write ? f_op->write_iter(iocb, &iter) : f_op->read_iter(iocb, &iter);
	revert_creds(cred);
	return ret;
}

/* Without a function that is called at the end the file waits for it. */
static ssize_t call_file_and_wait(struct kiocb *iocb, struct bio_vec *bv, unsigned int n_bv,
				  u32 bytes)
{
	const bool write = iocb->ki_flags & IOCB_WRITE;
	ssize_t ret;

	if (write)
		kiocb_start_write(iocb);
	ret = call_file(iocb, bv, n_bv, bytes);
	if (write)
		kiocb_end_write(iocb);
	return ret;
}

static void rw_nowait(struct vhk_blk_req *req)
{
	struct kiocb *iocb = &req->iocb;
	ssize_t ret;

	init_iocb(iocb, req, IOCB_NOWAIT);
	iocb->ki_complete = file_complete;
	if (iocb->ki_flags & IOCB_WRITE && !try_start_write(iocb)) {
		later(req, rw_blocking);
		return;
	}
	atomic_set(&req->iocb_refs, 2);
	ret = call_file(iocb, req->bv, req->n_bv, req->bytes);
	if (ret == -EIOCBQUEUED) {
		if (atomic_dec_and_test(&req->iocb_refs))
			file_done(req, req->ret);
		return;
	}
	/* Then nobody else ends it. */
	if (iocb->ki_flags & IOCB_WRITE)
		kiocb_end_write(iocb);
	file_done(req, ret);
}

static void rw_blocking(struct work_struct *work)
{
	struct vhk_blk_req *req = container_of(work, struct vhk_blk_req, work);
	const struct blocking before = enter_blocking(req);
	ssize_t ret;

	init_iocb(&req->iocb, req, 0);
	ret = call_file_and_wait(&req->iocb, req->bv, req->n_bv, req->bytes);
	leave_blocking(before);
	file_done(req, ret);
}

static int rw_bdev_piece(struct vhk_blk_req *req, struct bio_vec *bv, u32 at)
{
	struct bio bio;
	int ret;

	bio_init(&bio, req->q->blk->disk->bdev, bv, 1, op_of(req));
	bio.bi_vcnt = 1;
	bio.bi_iter.bi_size = bv->bv_len;
	bio.bi_iter.bi_sector = req->sector + (at >> SECTOR_SHIFT);
	ret = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return ret;
}

static int rw_file_piece(struct vhk_blk_req *req, struct bio_vec *bv, u32 at)
{
	ssize_t ret;

	init_iocb(&req->iocb, req, 0);
	req->iocb.ki_pos += at;
	ret = call_file_and_wait(&req->iocb, bv, 1, bv->bv_len);
	if (ret < 0)
		return ret;
	return ret == bv->bv_len ? 0 : -EIO;
}

/* One piece of a request by way of @buf, and on with @iter. */
static int bounce_piece(struct vhk_blk_req *req, void *buf, u32 at, u32 len, struct iov_iter *iter)
{
	const bool write = req->type == VIRTIO_BLK_T_OUT;
	struct bio_vec bv;
	int ret;

	if (write && copy_from_iter(buf, len, iter) != len)
		return -EFAULT;
	bvec_set_page(&bv, virt_to_page(buf), len, offset_in_page(buf));
	ret = req->q->blk->disk->bdev ? rw_bdev_piece(req, &bv, at) : rw_file_piece(req, &bv, at);
	if (!ret && !write && copy_to_iter(buf, len, iter) != len)
		ret = -EFAULT;
	return ret;
}

/* Much at once where there is memory, and aligned to its size. */
#define BOUNCE_ORDER 4u

static void bounce(struct work_struct *work)
{
	struct vhk_blk_req *req = container_of(work, struct vhk_blk_req, work);
	const unsigned int dir = req->type == VIRTIO_BLK_T_OUT ? ITER_SOURCE : ITER_DEST;
	const struct blocking before = enter_blocking(req);
	/* Each piece but the last has to end where direct I/O can. */
	const unsigned int least = get_order(req->q->blk->offset_align + 1);
	unsigned int order = req->bytes > PAGE_SIZE << least ? max(BOUNCE_ORDER, least) : least;
	struct iov_iter iter;
	struct page *page;
	int ret = 0;
	u32 at, len;

	page = alloc_pages(GFP_NOIO | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN, order);
	if (!page) {
		order = least;
		page = alloc_pages(GFP_NOIO | __GFP_COMP, order);
		ret = page ? 0 : -ENOMEM;
	}
	iov_iter_bvec(&iter, dir, req->bv, req->n_bv, req->bytes);
	for (at = 0; at < req->bytes && !ret; at += len) {
		len = min_t(u32, req->bytes - at, PAGE_SIZE << order);
		ret = given_up(req) ?: bounce_piece(req, page_address(page), at, len, &iter);
	}
	if (page)
		__free_pages(page, order);
	leave_blocking(before);
	vhk_blk_end(req, status_of(ret));
}

static void submit_file(struct vhk_blk_req *req)
{
	const bool direct = can_direct(req);

	/* What goes through the page cache mostly waits; reads of what is there do not. */
	if (direct && must_bounce(req))
		later(req, bounce);
	else if (req->q->blk->disk->file->f_mode & FMODE_NOWAIT &&
		 (req->type == VIRTIO_BLK_T_IN || direct))
		rw_nowait(req);
	else
		later(req, rw_blocking);
}

void vhk_blk_submit(struct vhk_blk_req *req)
{
	if (req->q->blk->disk->bdev)
		submit_bdev(req);
	else
		submit_file(req);
}

/*
 * The file tells whoever asks first that it could not keep what it took, and only once: that may
 * have been another flush, a write, or somebody who has it open as well.
 */
static int sync_file(struct vhk_blk *blk)
{
	struct file *file = blk->disk->file;

	if (vfs_fsync(file, 1) || filemap_check_wb_err(file->f_mapping, blk->lost_since))
		WRITE_ONCE(blk->lost, true);
	return READ_ONCE(blk->lost) ? -EIO : 0;
}

static void flush_file(struct work_struct *work)
{
	struct vhk_blk_req *req = container_of(work, struct vhk_blk_req, work);
	const struct blocking before = enter_blocking(req);
	const int ret = sync_file(req->q->blk);

	leave_blocking(before);
	vhk_blk_end(req, ret ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
}

/* Covers what was answered before; nothing else has to wait. */
void vhk_blk_flush(struct vhk_blk_req *req)
{
	struct block_device *bdev = req->q->blk->disk->bdev;

	if (!bdev) {
		later(req, flush_file);
	} else if (bdev_write_cache(bdev)) {
		req->sector = 0;
		start_bio(req, REQ_OP_WRITE | REQ_PREFLUSH);
	} else {
		vhk_blk_end(req, VIRTIO_BLK_S_OK);
	}
}

static int bdev_range(struct vhk_blk_req *req, u64 sector, u32 n, bool unmap)
{
	struct block_device *bdev = req->q->blk->disk->bdev;

	if (((sector | n) << SECTOR_SHIFT) & (bdev_logical_block_size(bdev) - 1))
		return -EIO;
	if (req->type == VIRTIO_BLK_T_DISCARD)
		return blkdev_issue_discard(bdev, sector, n, GFP_NOIO);
	return blkdev_issue_zeroout(bdev, sector, n, GFP_NOIO,
				    unmap ? 0 : BLKDEV_ZERO_NOUNMAP);
}

static int fallocate(struct vhk_blk_req *req, int mode, u64 sector, u32 n)
{
	return vfs_fallocate(req->q->blk->disk->file, mode | FALLOC_FL_KEEP_SIZE,
			     sector << SECTOR_SHIFT, (loff_t)n << SECTOR_SHIFT);
}

static int file_range(struct vhk_blk_req *req, u64 sector, u32 n, bool unmap)
{
	int ret = -EOPNOTSUPP;

	if (req->type == VIRTIO_BLK_T_WRITE_ZEROES && !unmap)
		ret = fallocate(req, FALLOC_FL_ZERO_RANGE, sector, n);
	if (ret != -EOPNOTSUPP)
		return ret;
	ret = fallocate(req, FALLOC_FL_PUNCH_HOLE, sector, n);
	/* The space stays the disk's where it was not given up. */
	if (!ret && req->type == VIRTIO_BLK_T_WRITE_ZEROES && !unmap)
		ret = fallocate(req, 0, sector, n);
	return ret;
}

/* So much of a range is done without a look at whether anybody wants it; ends at a multiple. */
#define RANGE_STEP (1u << 17)

static int do_range(struct vhk_blk_req *req, unsigned int i)
{
	const bool unmap = le32_to_cpu(req->ranges[i].flags) & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	const bool is_bdev = req->q->blk->disk->bdev;
	u64 sector = le64_to_cpu(req->ranges[i].sector);
	u32 n = le32_to_cpu(req->ranges[i].num_sectors);
	int ret = 0;
	u32 step;

	for (; n && !ret; sector += step, n -= step) {
		step = min_t(u32, n, RANGE_STEP - sector % RANGE_STEP);
		ret = given_up(req);
		if (!ret)
			ret = is_bdev ? bdev_range(req, sector, step, unmap) :
					file_range(req, sector, step, unmap);
	}
	return ret;
}

static void do_ranges(struct work_struct *work)
{
	struct vhk_blk_req *req = container_of(work, struct vhk_blk_req, work);
	const struct cred *cred = override_creds(req->q->blk->disk->file->f_cred);
	const struct blocking before = enter_blocking(req);
	unsigned int i;
	int ret = 0;

	for (i = 0; i < req->bytes && !ret; i++)
		ret = do_range(req, i);
	if (!ret && vhk_blk_is_durable(req->q->blk))
		ret = req->q->blk->disk->bdev ? blkdev_issue_flush(req->q->blk->disk->bdev) :
						sync_file(req->q->blk);
	leave_blocking(before);
	revert_creds(cred);
	vhk_blk_end(req, status_of(ret));
}

void vhk_blk_ranges(struct vhk_blk_req *req)
{
	later(req, do_ranges);
}

/* What direct I/O to the file wants; a file system that does not say gets pages. */
static int learn_alignment(struct vhk_blk *blk)
{
	struct kstat stat;
	int ret;

	blk->mem_align = PAGE_SIZE - 1;
	blk->offset_align = PAGE_SIZE - 1;
	if (blk->disk->bdev)
		return 0;
	ret = vfs_getattr(&blk->disk->file->f_path, &stat, STATX_DIOALIGN, 0);
	if (!ret && stat.result_mask & STATX_DIOALIGN && stat.dio_offset_align) {
		blk->mem_align = stat.dio_mem_align - 1;
		blk->offset_align = stat.dio_offset_align - 1;
	}
	return ret;
}

/*
 * A queue of its own: what waits in there may wait for another disk of ours, below the file. Not
 * one of those that promise progress without memory, since file systems wait for queues that do
 * not. Not freezable: a worker freezes when its last request is through.
 */
int vhk_blk_io_init(struct vhk_blk *blk)
{
	int ret = learn_alignment(blk);

	if (ret)
		return ret;
	if (!blk->disk->bdev)
		blk->lost_since = filemap_sample_wb_err(blk->disk->file->f_mapping);
	blk->workqueue =
		alloc_workqueue("vhostkit-%.22s", WQ_UNBOUND, 0, dev_name(&blk->dev.vdpa.dev));
	return blk->workqueue ? 0 : -ENOMEM;
}

/* Every request is answered, but who answered it may not be out of there. */
void vhk_blk_io_fini(struct vhk_blk *blk)
{
	if (blk->workqueue)
		destroy_workqueue(blk->workqueue);
	blk->workqueue = NULL;
}
