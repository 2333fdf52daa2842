// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Mapped images: a read or a write is a copy, and takes half the time of the system call that makes
 * the same copy. In a memory file system only where all of the image is there, since a look at a
 * hole through a mapping fills it with a page; on a disk only what is in the page cache already,
 * and only reads. Always with the queue's fault scope around, since the image may be cut short at
 * any time.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "blk_impl.h"

/* Longer ones take the way on which others have their turn in between. */
#define COPY_MAX (128u << 10)

void vhk_blk_map_look(struct vhk_blk_file *f)
{
	struct stat st;
	bool holes = fstat(f->fd, &st) || (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size;

	atomic_store_explicit(&f->holes, holes, memory_order_relaxed);
}

void vhk_blk_map_open(struct vhk_blk_file *f)
{
	int64_t size = vhk_blk_file_size(f);
	void *va;
	int fd;

	vhk_blk_map_look(f);
	/* what is open for reading only cannot be mapped as guest memory is */
	if (!(f->memory || f->cached) || f->read_only || size <= 0)
		return;
	fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (vhk_mem_new_file_take_fd(&f->mem, 0, (uint64_t)size, fd, false, &va))
		return;
	f->table = vhk_mem_table(f->mem);
	f->mapped = va;
	f->mapped_size = (uint64_t)size;
}

void vhk_blk_map_close(struct vhk_blk_file *f)
{
	vhk_table_put(f->table);
	vhk_mem_free(f->mem);
	f->table = NULL;
	f->mem = NULL;
	f->mapped = NULL;
	f->mapped_size = 0;
}

static bool is_there(struct vhk_blk_req *req)
{
	const struct vhk_blk_file *f = &req->bq->blk->file;

	if (f->memory)
		return !atomic_load_explicit(&f->holes, memory_order_relaxed);
	return req->kind == VHK_BLK_READ &&
	       vhk_blk_present_has(&req->bq->reader, req->start, req->len);
}

/*
 * A write behind the end of an image that was cut short goes nowhere, and without a fault where the
 * end is in the middle of a page. The file is asked once for all requests of a batch, which were
 * all under way then: one that is cut off later was written before.
 */
static bool arrived(const struct vhk_blk_req *req)
{
	struct vhk_blk_queue *bq = req->bq;

	if (req->kind == VHK_BLK_READ)
		return true;
	if (bq->image_end < 0)
		bq->image_end = vhk_blk_file_size(&bq->blk->file);
	return bq->image_end >= (int64_t)(req->start + req->len);
}

bool vhk_blk_map_copy(struct vhk_blk_req *req)
{
	const struct vhk_blk_file *f = &req->bq->blk->file;

	if (!f->mapped || !req->len || req->len > COPY_MAX || req->start > f->mapped_size ||
	    req->len > f->mapped_size - req->start)
		return false;
	if (vhk_table_torn(f->table) || !is_there(req))
		return false;
	/* this thread would wait for the driver's memory, and might write zeros in its place */
	if (vhk_unlikely(req->bq->late))
		return false;
	if (req->kind == VHK_BLK_READ)
		vhk_blk_scatter(req, f->mapped + req->start, req->len);
	/* zeros in place of lost pages would be in the image at once */
	else if (vhk_blk_touch(req->bq->q, req->iov, req->n_iov))
		vhk_blk_gather(req, f->mapped + req->start, req->len);
	/* the image was cut short, perhaps under this copy: the file itself knows where it ends */
	return !vhk_table_torn(f->table) && arrived(req);
}
