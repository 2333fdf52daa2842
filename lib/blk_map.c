// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Images in memory file systems, mapped: a read or a write is a copy, and takes half the time of
 * the system call that makes the same copy. Only where all of the image is there, since a look at
 * a hole through a mapping fills it with a page; and with the queue's fault scope around, since the
 * image may be cut short at any time.
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
	struct vhk_region r = { 0 };
	struct iovec seg;
	int64_t size = vhk_blk_file_size(f);
	int fd;

	vhk_blk_map_look(f);
	/* what is open for reading only cannot be mapped as guest memory is */
	if (!f->memory || f->read_only || size <= 0 || vhk_mem_new(&f->mem))
		return;
	r.size = (uint64_t)size;
	fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || vhk_mem_add_take_fd(f->mem, &r, fd) ||
	    vhk_mem_find(f->mem, (struct vhk_gpa){ 0 }, r.size, &seg, 1) != 1) {
		vhk_blk_map_close(f);
		return;
	}
	f->table = vhk_mem_table(f->mem);
	f->mapped = seg.iov_base;
	f->mapped_size = r.size;
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

bool vhk_blk_map_copy(struct vhk_blk_req *req)
{
	const struct vhk_blk_file *f = &req->bq->blk->file;

	if (!f->mapped || req->len > COPY_MAX || req->start > f->mapped_size ||
	    req->len > f->mapped_size - req->start)
		return false;
	if (atomic_load_explicit(&f->holes, memory_order_relaxed) || vhk_table_torn(f->table))
		return false;
	if (req->kind == VHK_BLK_READ)
		vhk_blk_scatter(req, f->mapped + req->start, req->len);
	else
		vhk_blk_gather(req, f->mapped + req->start, req->len);
	/* the image was cut short, perhaps under this copy: the file itself knows where it ends */
	return !vhk_table_torn(f->table);
}
