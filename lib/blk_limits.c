// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What an image wants and can: block sizes, alignment of O_DIRECT, discards, zeros. Block devices
 * are asked through sysfs, files through statx(2) and by calls that change none of their contents.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base.h"
#include "blk_file.h"

#define SECTOR 512u
#define PAGE 4096u

/* Memory is worked on in the loop's thread, which has others to serve. */
#define RANGE_MAX (1u << 22)
#define RANGE_MAX_MEMORY (1u << 16)

/* A limit of the block layer; @otherwise where sysfs does not tell. A partition has its disk's. */
static uint64_t block_limit(dev_t dev, const char *name, uint64_t otherwise)
{
	static const char *const places[] = { "queue", "../queue" };
	unsigned long long value;
	unsigned int i;
	char path[128];
	FILE *file;
	int n;

	for (i = 0; i < vhk_array_size(places); i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/%s", major(dev), minor(dev),
			 places[i], name);
		file = fopen(path, "re");
		if (!file)
			continue;
		n = fscanf(file, "%llu", &value);
		fclose(file);
		return n == 1 ? value : otherwise;
	}
	return otherwise;
}

static uint32_t block_size_limit(dev_t dev, const char *name, uint32_t otherwise)
{
	uint64_t v = block_limit(dev, name, otherwise);

	return vhk_is_power_of_2(v) && v >= SECTOR && v <= 1u << 30 ? (uint32_t)v : otherwise;
}

static void block_limits(struct vhk_blk_file *f, dev_t dev)
{
	f->block_size = block_size_limit(dev, "logical_block_size", SECTOR);
	f->phys_size = block_size_limit(dev, "physical_block_size", f->block_size);
	f->io_min = (uint32_t)block_limit(dev, "minimum_io_size", f->phys_size);
	f->io_opt = (uint32_t)block_limit(dev, "optimal_io_size", 0);
	/* A hole in a block device is REQ_OP_WRITE_ZEROES without a fallback; zeros have one. */
	if (block_limit(dev, "discard_max_bytes", 0) &&
	    block_limit(dev, "write_zeroes_max_bytes", 0))
		f->discard = block_size_limit(dev, "discard_granularity", f->block_size);
	f->write_zeroes = true;
}

/*
 * Beyond the end there is nothing to lose: a hole there is nothing at all, zeros are at most one
 * reserved block.
 */
static bool can_fallocate(const struct vhk_blk_file *f, const struct stat *st, int mode)
{
	off_t at = (off_t)vhk_align_up((uint64_t)st->st_size, PAGE);

	if (!fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, at, PAGE))
		return true;
	return errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EPERM;
}

static void file_limits(struct vhk_blk_file *f, const struct stat *st)
{
	f->block_size = SECTOR;
	f->phys_size = PAGE;
	f->io_min = PAGE;
	if (f->read_only)
		return;
	if (can_fallocate(f, st, FALLOC_FL_PUNCH_HOLE))
		f->discard = PAGE;
	/* The loop makes zeros out of a hole where a memory file system knows no better. */
	f->write_zeroes = can_fallocate(f, st, FALLOC_FL_ZERO_RANGE) || (f->memory && f->discard);
}

static bool sectors_are_enough(int fd)
{
	void *buf;
	bool ok;

	if (posix_memalign(&buf, PAGE, PAGE))
		return false;
	/* An odd multiple of a sector as address and offset: what wants more says -EINVAL. */
	ok = pread(fd, (char *)buf + SECTOR, SECTOR, SECTOR) >= 0;
	free(buf);
	return ok;
}

static bool statx_direct(int fd, uint32_t *mem, uint32_t *off)
{
	struct statx x;

	memset(&x, 0, sizeof(x));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &x) || !(x.stx_mask & STATX_DIOALIGN))
		return false;
	*mem = x.stx_dio_mem_align;
	*off = x.stx_dio_offset_align;
	return vhk_is_power_of_2(*mem) && vhk_is_power_of_2(*off) && *off <= 64 * PAGE;
}

static void direct_align(struct vhk_blk_file *f)
{
	f->mem_align = 1;
	f->io_align = 1;
	if (!f->direct || statx_direct(f->fd, &f->mem_align, &f->io_align))
		return;
	f->io_align = f->block ? f->block_size : sectors_are_enough(f->fd) ? SECTOR : PAGE;
	f->mem_align = f->io_align;
}

/*
 * The block size that the driver sees is the one asked for, if the medium can be written in such
 * units.
 */
static int choose_block_size(struct vhk_blk_file *f, const struct vhk_blk_opts *o)
{
	uint32_t least = f->block ? f->block_size : SECTOR;

	least = vhk_max(least, f->io_align);
	f->block_size = o->block_size ? o->block_size : least;
	if (f->block_size < least || (f->direct && f->block_size % f->io_align)) {
		vhk_log(&o->log, VHK_LOG_ERROR,
			"%s: a block size of %u is smaller than the medium's (%u)", o->path,
			f->block_size, least);
		return -EINVAL;
	}
	f->phys_size = vhk_max(f->phys_size, f->block_size);
	return 0;
}

int vhk_blk_file_limits(struct vhk_blk_file *f, const struct vhk_blk_opts *o)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return -errno;
	if (f->block)
		block_limits(f, st.st_rdev);
	else
		file_limits(f, &st);
	f->range_max = f->memory ? RANGE_MAX_MEMORY : RANGE_MAX;
	direct_align(f);
	return choose_block_size(f, o);
}
