// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One server per image, from the moment it is opened; except while a virtual machine moves from one
 * server to another: the one that it comes to takes the lock when its first queue starts, the one
 * that it leaves has let go when its last one stopped. The lock belongs to the open file, not to
 * the process: the kernel lets go of it when the last request of a killed server has left the file,
 * so whoever gets it cannot be overtaken by a dead one's writes.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "blk_impl.h"
#include "clock.h"

#define TRY_AGAIN_MS 2

static int set_lock(const struct vhk_blk_file *f, short type)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = VHK_BLK_LOCK_BYTE,
		.l_len = 1,
	};
	int ret = fcntl(f->fd, F_OFD_SETLK, &lock) ? -errno : 0;

	return ret == -EACCES || ret == -EINTR ? -EAGAIN : ret;
}

static int try_lock(const struct vhk_blk_file *f)
{
	return set_lock(f, f->read_only ? F_RDLCK : F_WRLCK);
}

static void unlock(const struct vhk_blk_file *f)
{
	set_lock(f, F_UNLCK);
}

static int in_use(const struct vhk_blk *blk)
{
	vhk_log(&blk->log, VHK_LOG_ERROR, "%s: in use by another server", blk->path);
	return -EBUSY;
}

int vhk_blk_lock_open(const struct vhk_blk *blk)
{
	const struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000 };
	uint64_t until = vhk_now_ns() + blk->lock_ms * 1000000ull;
	int ret;

	/* A waiting F_OFD_SETLKW has no deadline, and a timer signal is not a library's to use. */
	while ((ret = try_lock(&blk->file)) == -EAGAIN) {
		if (vhk_now_ns() >= until)
			return in_use(blk);
		nanosleep(&pause, NULL);
	}
	if (ret)
		vhk_log(&blk->log, VHK_LOG_WARN, "%s: no lock against a second server: %s",
			blk->path, strerror(-ret));
	return 0;
}

/* Where there are no locks a disk is served without. */
int vhk_blk_begin(void *priv)
{
	struct vhk_blk *blk = priv;
	int ret = try_lock(&blk->file);

	if (ret != -EAGAIN) {
		blk->lock_until = 0;
		vhk_blk_map_look(&blk->file);
		return 0;
	}
	if (!blk->lock_until) {
		blk->lock_until = vhk_now_ns() + blk->lock_ms * 1000000ull;
		return -EAGAIN;
	}
	if (vhk_now_ns() < blk->lock_until)
		return -EAGAIN;
	blk->lock_until = 0;
	return in_use(blk);
}

/* A machine whose memory was logged may go on elsewhere, and its disk with it. */
void vhk_blk_end(void *priv, bool logged)
{
	struct vhk_blk *blk = priv;

	blk->lock_until = 0;
	if (logged)
		unlock(&blk->file);
}
