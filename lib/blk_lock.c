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
#define TELL_MS	     200

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

/* -EAGAIN: try again, -EBUSY: that took too long. Told when it is no blink. */
static int keep_waiting(struct vhk_blk *blk)
{
	const uint64_t now = vhk_now_ns();

	if (!blk->lock_since) {
		blk->lock_since = now;
		blk->lock_told = false;
	}
	if (now - blk->lock_since >= blk->lock_ms * 1000000ull) {
		blk->lock_since = 0;
		return in_use(blk);
	}
	if (!blk->lock_told && now - blk->lock_since >= TELL_MS * 1000000ull) {
		blk->lock_told = true;
		vhk_log(&blk->log, VHK_LOG_WARN,
			"%s: in use by another server: waiting up to %u ms", blk->path,
			blk->lock_ms);
	}
	return -EAGAIN;
}

int vhk_blk_lock_open(struct vhk_blk *blk)
{
	const struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000 };
	int ret;

	/* A waiting F_OFD_SETLKW has no deadline, and a timer signal is not a library's to use. */
	while ((ret = try_lock(&blk->file)) == -EAGAIN) {
		if (keep_waiting(blk) == -EBUSY)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	blk->lock_since = 0;
	if (ret)
		vhk_log(&blk->log, VHK_LOG_WARN, "%s: no lock against a second server: %s",
			blk->path, strerror(-ret));
	return 0;
}

/* Where there are no locks a disk is served without. */
int vhk_blk_begin(void *priv)
{
	struct vhk_blk *blk = priv;

	if (try_lock(&blk->file) == -EAGAIN)
		return keep_waiting(blk);
	blk->lock_since = 0;
	vhk_blk_map_look(&blk->file);
	return 0;
}

/* A machine whose memory was logged may go on elsewhere, and its disk with it. */
void vhk_blk_end(void *priv, bool logged)
{
	struct vhk_blk *blk = priv;

	blk->lock_since = 0;
	if (logged)
		unlock(&blk->file);
}
