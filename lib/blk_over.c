// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * An image handed from one process to the next: as the open file that it is, since the lock belongs
 * to it and at no time is with neither of them.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk_impl.h"

/* What of the state that is not in the driver's hands goes with it. */
struct blk_parcel {
	uint32_t writeback;
	uint32_t lost;
};

int vhk_blk_hand_over(void *priv, struct vhk_parcel *p)
{
	const struct vhk_blk *blk = priv;
	const struct blk_parcel parcel = {
		.writeback = blk->writeback,
		.lost = atomic_load_explicit(&blk->lost, memory_order_relaxed),
	};

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

static bool same_way(const struct vhk_blk_file *f, int fd)
{
	const int flags = O_ACCMODE | O_DIRECT | O_NONBLOCK;
	int ours = fcntl(f->fd, F_GETFL), theirs = fcntl(fd, F_GETFL);

	return ours >= 0 && theirs >= 0 && (ours & flags) == (theirs & flags);
}

static int not_taken(const struct vhk_blk *blk, int err, const char *why)
{
	vhk_log(&blk->log, VHK_LOG_ERROR, "%s: %s", blk->path, why);
	return err;
}

int vhk_blk_take_over(void *priv, struct vhk_parcel *p)
{
	struct vhk_blk *blk = priv;
	struct blk_parcel parcel;

	if (p->len != sizeof(parcel) || p->n_fds != 1)
		return not_taken(blk, -EINVAL, "what another server hands over is no disk");
	memcpy(&parcel, p->bytes, sizeof(parcel));
	if (parcel.writeback > 1 || parcel.lost > 1)
		return not_taken(blk, -EINVAL, "what another server hands over is no disk");
	if (!same_image(&blk->file, p->fd[0]))
		return not_taken(blk, -EINVAL, "the other server has another image");
	if (!same_way(&blk->file, p->fd[0]))
		return not_taken(blk, -EINVAL, "the other server has it open in another way");
	if (dup3(p->fd[0], blk->file.fd, O_CLOEXEC) < 0)
		return -errno;
	blk->writeback = parcel.writeback;
	vhk_blk_set_features(blk, atomic_load_explicit(&blk->features, memory_order_relaxed));
	atomic_store_explicit(&blk->lost, parcel.lost, memory_order_relaxed);
	return 0;
}
