// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * An image handed from one process to the next: as the open file that it is, since the lock belongs
 * to it and at no time is with neither of them.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk_impl.h"

/* What of the state that is not in the driver's hands goes with it, and what a driver may have
 * read. Its size it is told of where it changes. */
struct blk_parcel {
	uint32_t writeback;
	uint32_t lost;
	uint32_t block_size;
	unsigned char id[VIRTIO_BLK_ID_BYTES];
};

int vhk_blk_hand_over(void *priv, struct vhk_parcel *p)
{
	const struct vhk_blk *blk = priv;
	struct blk_parcel parcel = {
		.writeback = blk->writeback,
		.lost = atomic_load_explicit(&blk->lost, memory_order_relaxed),
		.block_size = blk->file.block_size,
	};

	memcpy(parcel.id, blk->id, sizeof(parcel.id));
	memcpy(p->bytes, &parcel, sizeof(parcel));
	p->len = sizeof(parcel);
	p->fd[p->n_fds++] = blk->file.fd;
	return 0;
}

static bool same_image(const struct vhk_blk_file *f, int fd)
{
	struct stat ours, theirs;

	if (fstat(f->fd, &ours) || fstat(fd, &theirs) ||
	    (ours.st_mode & S_IFMT) != (theirs.st_mode & S_IFMT))
		return false;
	return f->block ? ours.st_rdev == theirs.st_rdev
			: ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

__attribute__((format(printf, 2, 3))) static int not_taken(struct vhk_parcel *p, const char *fmt,
							    ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int check_way(const struct vhk_blk *blk, struct vhk_parcel *p)
{
	int ours = fcntl(blk->file.fd, F_GETFL), theirs = fcntl(p->fd[0], F_GETFL);

	if (ours < 0 || theirs < 0)
		return -errno;
	if ((ours ^ theirs) & O_ACCMODE)
		return not_taken(p, "its disk is %s, this one is not",
				 blk->file.read_only ? "writable" : "read-only");
	if ((ours ^ theirs) & O_DIRECT)
		return not_taken(p, "it has the image open %s O_DIRECT, this one %s",
				 theirs & O_DIRECT ? "with" : "without",
				 ours & O_DIRECT ? "with" : "without");
	/* how io_uring reads a memory file */
	if ((ours ^ theirs) & O_NONBLOCK)
		return not_taken(p, "it has the image open in another way");
	return 0;
}

/* What a driver has read of the disk stays true. */
static int check_disk(const struct vhk_blk *blk, const struct blk_parcel *theirs,
		      struct vhk_parcel *p)
{
	if (!same_image(&blk->file, p->fd[0]))
		return not_taken(p, "it has another image than %s", blk->path);
	if (theirs->block_size != blk->file.block_size)
		return not_taken(p, "its disk has a block size of %u bytes, this one of %u",
				 theirs->block_size, blk->file.block_size);
	if (memcmp(theirs->id, blk->id, sizeof(blk->id)))
		return not_taken(p, "its disk has the serial \"%.*s\", this one \"%.*s\"",
				 VIRTIO_BLK_ID_BYTES, (const char *)theirs->id,
				 VIRTIO_BLK_ID_BYTES, (const char *)blk->id);
	return check_way(blk, p);
}

int vhk_blk_take_over(void *priv, struct vhk_parcel *p)
{
	struct vhk_blk *blk = priv;
	struct blk_parcel parcel;
	int ret;

	if (p->len != sizeof(parcel) || p->n_fds != 1)
		return not_taken(p, "what it has is no disk");
	memcpy(&parcel, p->bytes, sizeof(parcel));
	if (parcel.writeback > 1 || parcel.lost > 1)
		return not_taken(p, "what it has is no disk");
	ret = check_disk(blk, &parcel, p);
	if (ret || !p->at_rest)
		return ret;
	if (dup3(p->fd[0], blk->file.fd, O_CLOEXEC) < 0)
		return -errno;
	blk->writeback = parcel.writeback;
	vhk_blk_set_features(blk, atomic_load_explicit(&blk->features, memory_order_relaxed));
	atomic_store_explicit(&blk->lost, parcel.lost, memory_order_relaxed);
	/* it may have told its driver of a size that the image did not have before */
	ret = vhk_blk_look_at_size(blk);
	return ret < 0 ? ret : 0;
}
