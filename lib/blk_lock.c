// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One server per image. The lock belongs to the open file, not to the process: the kernel lets go
 * of it when the last request of a killed server has left the file, so whoever gets it cannot be
 * overtaken by a dead one's writes.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "blk_file.h"
#include "clock.h"

#define TRY_AGAIN_MS 2

static int try_lock(const struct vhk_blk_file *f)
{
	struct flock lock = {
		.l_type = f->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = VHK_BLK_LOCK_BYTE,
		.l_len = 1,
	};

	return fcntl(f->fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

int vhk_blk_file_lock(const struct vhk_blk_file *f, uint32_t ms)
{
	const struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000 };
	uint64_t until = vhk_now_ns() + ms * 1000000ull;
	int ret;

	/* A waiting F_OFD_SETLKW has no deadline, and a timer signal is not a library's to use. */
	while ((ret = try_lock(f)) == -EAGAIN || ret == -EACCES || ret == -EINTR) {
		if (vhk_now_ns() >= until)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return ret;
}
