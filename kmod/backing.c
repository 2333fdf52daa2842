// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands behind a disk: which files and block devices are taken, and how they are held.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "disk.h"

static int check_rights(const struct vhk_disk *disk)
{
	const struct file *file = disk->file;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	if (!disk->read_only && !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (file->f_flags & O_APPEND || IS_APPEND(file_inode(file)))
		return -EPERM;
	return 0;
}

static int open_file(struct vhk_disk *disk)
{
	const struct file *file = disk->file;

	if (IS_SWAPFILE(file_inode(file)))
		return -ETXTBSY;
	/* What is made up on the fly, as in procfs, has no such ways in. */
	if (!file->f_op->read_iter || (!disk->read_only && !file->f_op->write_iter))
		return -EINVAL;
	if (!disk->block_size)
		disk->block_size = SECTOR_SIZE;
	return 0;
}

static int check_bdev(struct vhk_disk *disk)
{
	const unsigned int lbs = bdev_logical_block_size(disk->bdev);

	if (!disk->read_only && bdev_read_only(disk->bdev))
		return -EACCES;
	if (bdev_is_zoned(disk->bdev))
		return -EINVAL;
	if (!disk->block_size)
		disk->block_size = lbs;
	return disk->block_size < lbs ? -EINVAL : 0;
}

/* The owner's file proves the right; the claim keeps everybody else away. */
static int open_bdev(struct vhk_disk *disk)
{
	int ret;

	if (disk->flags & VHOSTKIT_DISK_F_BUFFERED)
		return -EINVAL;
	ret = vhk_claim_open(&disk->claim, file_inode(disk->file)->i_rdev, !disk->read_only, disk);
	if (ret)
		return ret;
	disk->bdev = vhk_claim_bdev(&disk->claim);
	ret = check_bdev(disk);
	/* Requests go past the page cache, which may still hold what others wrote. */
	if (!ret)
		ret = sync_blockdev(disk->bdev);
	if (!ret)
		invalidate_bdev(disk->bdev);
	return ret;
}

static bool can_direct(const struct vhk_disk *disk)
{
	return disk->bdev || (!(disk->flags & VHOSTKIT_DISK_F_BUFFERED) &&
			      disk->file->f_mode & FMODE_CAN_ODIRECT);
}

/* On failure the caller closes what there is. */
int vhk_backing_open(struct vhk_disk *disk, int fd)
{
	umode_t mode;
	int ret;

	disk->file = fget(fd);
	if (!disk->file)
		return -EBADF;
	mode = file_inode(disk->file)->i_mode;
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return -ENOTBLK;
	ret = check_rights(disk);
	if (!ret)
		ret = S_ISBLK(mode) ? open_bdev(disk) : open_file(disk);
	if (ret)
		return ret;
	disk->direct = can_direct(disk);
	return vhk_backing_bytes(disk) ? 0 : -EINVAL;
}

void vhk_backing_close(struct vhk_disk *disk)
{
	if (disk->bdev)
		vhk_claim_close(&disk->claim);
	if (disk->file)
		fput(disk->file);
}

u64 vhk_backing_bytes(const struct vhk_disk *disk)
{
	const loff_t bytes = disk->bdev ? (loff_t)bdev_nr_bytes(disk->bdev) :
					  i_size_read(file_inode(disk->file));

	return (u64)bytes & ~(u64)(disk->block_size - 1);
}

/* A block device is kept apart by its claim. */
bool vhk_backing_clash(const struct vhk_disk *a, const struct vhk_disk *b)
{
	return file_inode(a->file) == file_inode(b->file) && !a->bdev &&
	       !(a->read_only && b->read_only);
}
