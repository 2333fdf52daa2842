// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One writer per image. vhk-blk locks a byte of its own; QEMU has a byte for each thing that a user
 * does, and one for each that it does not want others to do, and looks for the one where it sets
 * the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "image.h"
#include "say.h"

#define VHK_BLK_BYTE 0x76686b /* VHK_BLK_LOCK_BYTE of the library */
#define QEMU_DOES 100
#define QEMU_DENIES 200
#define QEMU_END 300

/* What QEMU tells apart; bit numbers. */
enum { READ_CONSISTENT = 0, WRITE = 1, RESIZE = 3 };

static int set(int fd, short type, off_t byte)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* Whether another open file has any lock there. */
static bool taken(int fd, off_t byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte,
			      .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

static int in_use(const char *path, const char *by, const char *hint)
{
	say("%s: in use by %s%s", path, by, hint);
	return EXIT_FAILED;
}

/*
 * QEMU's locks are shared ones, for which a file has to be open for reading. One that is not gets
 * exclusive ones, which QEMU finds as well, and does not read.
 */
static int set_qemu(int fd, bool read_only)
{
	const bool reads = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY;
	const short type = reads ? F_RDLCK : F_WRLCK;
	int ret = 0;

	if (reads)
		ret = set(fd, type, QEMU_DOES + READ_CONSISTENT);
	if (!ret && !read_only)
		ret = set(fd, type, QEMU_DOES + WRITE);
	if (!ret)
		ret = set(fd, type, QEMU_DENIES + WRITE);
	return ret ? ret : set(fd, type, QEMU_DENIES + RESIZE);
}

/* First ours are set, then others' looked for: of two at once no more than one gets it. */
int image_lock(int fd, bool read_only, const char *path, const char *hint)
{
	int ret = set(fd, read_only ? F_RDLCK : F_WRLCK, VHK_BLK_BYTE);

	if (ret == -EAGAIN || ret == -EACCES)
		return in_use(path, "another server: vhk-blk, vhk disk or vhk blk", hint);
	/* A file system without locks has none of others either. */
	if (ret)
		return 0;
	if (set_qemu(fd, read_only))
		return in_use(path, "QEMU, or a program that locks all of it", hint);
	if (taken(fd, QEMU_DENIES + READ_CONSISTENT) ||
	    (!read_only && taken(fd, QEMU_DENIES + WRITE)))
		return in_use(path, "QEMU", hint);
	if (taken(fd, QEMU_DOES + WRITE) || taken(fd, QEMU_DOES + RESIZE))
		return in_use(path, "QEMU, which writes it", hint);
	return 0;
}

void image_unlock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = QEMU_DOES,
			      .l_len = QEMU_END - QEMU_DOES };

	fcntl(fd, F_OFD_SETLK, &lock);
	set(fd, F_UNLCK, VHK_BLK_BYTE);
}
