// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Opening an image: which kind of file it is decides how it is read and written. Limits are in
 * blk_limits.c, the lock in blk_lock.c.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base.h"
#include "blk_file.h"
#include "fd.h"

static int refuse(const struct vhk_blk_opts *o, int err, const char *why)
{
	vhk_log(&o->log, VHK_LOG_ERROR, "%s: %s", o->path, why ? why : strerror(-err));
	return err;
}

static bool on_memory(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	return fs.f_type == TMPFS_MAGIC || (uint32_t)fs.f_type == RAMFS_MAGIC;
}

/* A mapping shows what system calls write, and the other way round; not everywhere on a network. */
static bool on_local_disk(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	switch ((uint32_t)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
		return true;
	default:
		return false;
	}
}

/* Whose writes through the page cache io_uring makes in threads of its own only. */
static bool hands_over(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (uint32_t)fs.f_type == EXT4_SUPER_MAGIC;
}

static int look_at_kind(struct vhk_blk_file *f, const struct vhk_blk_opts *o)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return refuse(o, -errno, NULL);
	if (S_ISDIR(st.st_mode))
		return refuse(o, -EISDIR, NULL);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(o, -EINVAL, "neither a file nor a block device");
	f->block = S_ISBLK(st.st_mode);
	f->memory = !f->block && on_memory(f->fd);
	f->direct = (o->flags & VHK_BLK_F_DIRECT) && !f->memory;
	f->hands_over = !f->block && !f->direct && hands_over(f->fd);
	f->cached = (o->flags & VHK_BLK_F_MAP) && !f->memory && !f->direct &&
		    (f->block || on_local_disk(f->fd));
	return 0;
}

/*
 * Reads of a memory file stay in the thread that submits them only where the file says O_NONBLOCK;
 * anywhere else it must not, because a network file system would take it at its word.
 */
static int set_status_flags(struct vhk_blk_file *f, const struct vhk_blk_opts *o)
{
	int flags = fcntl(f->fd, F_GETFL);

	if (flags < 0)
		return refuse(o, -errno, NULL);
	flags = f->memory ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	if (f->direct)
		flags |= O_DIRECT;
	if (!fcntl(f->fd, F_SETFL, flags))
		return 0;
	return refuse(o, -EOPNOTSUPP, "the file system has no O_DIRECT");
}

static int check_size(const struct vhk_blk_file *f, const struct vhk_blk_opts *o)
{
	struct stat st;

	if (f->block)
		return 0;
	if (fstat(f->fd, &st))
		return refuse(o, -errno, NULL);
	if (!((uint64_t)st.st_size % f->block_size))
		return 0;
	vhk_log(&o->log, VHK_LOG_ERROR,
		"%s: its %lld bytes are not a multiple of the block size, %u", o->path,
		(long long)st.st_size, f->block_size);
	return -EINVAL;
}

int vhk_blk_file_open(struct vhk_blk_file *f, const struct vhk_blk_opts *o)
{
	int mode = o->flags & VHK_BLK_F_READ_ONLY ? O_RDONLY : O_RDWR;
	int ret;

	memset(f, 0, sizeof(*f));
	f->read_only = mode == O_RDONLY;
	/* Non-blocking until it is known not to be a FIFO or a tape. */
	f->fd = open(o->path, mode | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (f->fd < 0)
		return refuse(o, -errno, NULL);
	ret = look_at_kind(f, o);
	if (!ret)
		ret = set_status_flags(f, o);
	if (!ret)
		ret = vhk_blk_file_limits(f, o);
	if (!ret)
		ret = check_size(f, o);
	if (ret)
		vhk_blk_file_close(f);
	else
		vhk_blk_map_open(f);
	return ret;
}

void vhk_blk_file_close(struct vhk_blk_file *f)
{
	vhk_blk_map_close(f);
	vhk_fd_close(f->fd);
	f->fd = -1;
}

int64_t vhk_blk_file_size(const struct vhk_blk_file *f)
{
	struct stat st;
	off_t size;

	if (f->block) {
		/* Transfers name their own offset, so the position of the file is free to move. */
		size = lseek(f->fd, 0, SEEK_END);
		if (size < 0)
			return -errno;
	} else {
		if (fstat(f->fd, &st))
			return -errno;
		size = st.st_size;
	}
	return (int64_t)((uint64_t)size / 512 * 512);
}
