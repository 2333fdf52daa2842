// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One writer per image. vhk-blk locks a byte of its own; QEMU has a byte for each thing that a user
 * does, and one for each that it does not want others to do, and looks for the one where it sets
 * the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "backing.h"

#define VHK_BLK_BYTE 0x76686b
#define QEMU_DOES 100
#define QEMU_DENIES 200

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

static int in_use(const char *path, const char *by)
{
	say("%s: in use by %s (--no-lock: do not look)", path, by);
	return EXIT_FAILED;
}

/* First ours are set, then others' looked for: of two at once no more than one gets it. */
int backing_lock(int fd, bool read_only, const char *path)
{
	static const off_t denied[] = { WRITE, RESIZE };
	const unsigned int n_done = read_only ? 1 : 2; /* reading; writing */
	unsigned int i;
	int ret;

	ret = set(fd, read_only ? F_RDLCK : F_WRLCK, VHK_BLK_BYTE);
	if (ret == -EAGAIN || ret == -EACCES)
		return in_use(path, "vhk-blk, or another disk of this registry");
	/* A file system without locks has none of others either. */
	if (ret)
		return 0;
	for (i = 0; i < n_done && !ret; i++)
		ret = set(fd, F_RDLCK, QEMU_DOES + i);
	for (i = 0; i < 2 && !ret; i++)
		ret = set(fd, F_RDLCK, QEMU_DENIES + denied[i]);
	if (ret)
		return in_use(path, "a program that locks all of it");
	for (i = 0; i < n_done; i++)
		if (taken(fd, QEMU_DENIES + i))
			return in_use(path, "QEMU");
	for (i = 0; i < 2; i++)
		if (taken(fd, QEMU_DOES + denied[i]))
			return in_use(path, "QEMU, which writes it");
	return 0;
}
