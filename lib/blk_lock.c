// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One server per image, from the start of a disk's first queue to the stop of its last: two may
 * have it open while a virtual machine goes from one to the other. The lock belongs to the open
 * file, not to the process: the kernel lets go of it when the last request of a killed server has
 * left the file, so whoever gets it cannot be overtaken by a dead one's writes.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base.h"
#include "blk_impl.h"
#include "clock.h"

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

void vhk_blk_lock_look(const struct vhk_blk *blk)
{
	int ret = try_lock(&blk->file);

	if (ret == -EAGAIN)
		vhk_log(&blk->log, VHK_LOG_INFO, "%s: in use by another server, waited for when a "
			"driver comes", blk->path);
	else if (ret)
		vhk_log(&blk->log, VHK_LOG_WARN, "%s: no lock against a second server: %s",
			blk->path, strerror(-ret));
	else
		unlock(&blk->file);
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
	if (!blk->lock_until)
		blk->lock_until = vhk_now_ns() + blk->lock_ms * 1000000ull;
	if (vhk_now_ns() < blk->lock_until)
		return -EAGAIN;
	blk->lock_until = 0;
	vhk_log(&blk->log, VHK_LOG_ERROR, "%s: in use by another server", blk->path);
	return -EBUSY;
}

void vhk_blk_end(void *priv)
{
	struct vhk_blk *blk = priv;

	unlock(&blk->file);
}
