// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a disk offers: features and the config space (virtio 1.3, 5.2.3 and 5.2.4).
 */
#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "blk.h"

#define MAX_SEGS 254

#define ALWAYS (BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) |		\
		BIT_ULL(VIRTIO_F_RING_PACKED) | BIT_ULL(VIRTIO_F_IN_ORDER) |			\
		BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |	\
		BIT_ULL(VIRTIO_BLK_F_SEG_MAX) | BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |		\
		BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) | BIT_ULL(VIRTIO_BLK_F_MQ))
#define WRITABLE (BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE))

const u64 vhk_blk_all_features = ALWAYS | WRITABLE | BIT_ULL(VIRTIO_BLK_F_RO) |
				 BIT_ULL(VIRTIO_BLK_F_DISCARD) |
				 BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);

static bool can_discard(const struct vhk_disk *disk)
{
	return disk->bdev ? bdev_max_discard_sectors(disk->bdev) > 0 :
			    disk->file->f_op->fallocate != NULL;
}

u64 vhk_blk_features(const struct vhk_disk *disk)
{
	u64 features = ALWAYS;

	if (disk->read_only)
		return features | BIT_ULL(VIRTIO_BLK_F_RO);
	features |= WRITABLE;
	if (can_discard(disk))
		features |= BIT_ULL(VIRTIO_BLK_F_DISCARD);
	if (disk->bdev || can_discard(disk))
		features |= BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	return features;
}

/* The registry is locked. */
void vhk_blk_set_size(struct vhk_blk *blk, u64 bytes)
{
	const __le64 sectors = cpu_to_le64(bytes >> SECTOR_SHIFT);
	const unsigned int at = offsetof(struct virtio_blk_config, capacity);

	WRITE_ONCE(blk->sectors, bytes >> SECTOR_SHIFT);
	spin_lock_bh(&blk->dev.config_lock);
	memcpy(blk->dev.config + at, &sectors, sizeof(sectors));
	spin_unlock_bh(&blk->dev.config_lock);
}

static void fill_topology(struct virtio_blk_config *c, const struct vhk_disk *disk)
{
	struct block_device *bdev = disk->bdev;

	if (!bdev) {
		const u32 fs = i_blocksize(file_inode(disk->file));

		if (is_power_of_2(fs) && fs > disk->block_size)
			c->physical_block_exp = ilog2(fs / disk->block_size);
		return;
	}
	if (bdev_physical_block_size(bdev) > disk->block_size)
		c->physical_block_exp = ilog2(bdev_physical_block_size(bdev) / disk->block_size);
	c->min_io_size = __cpu_to_virtio16(true, min_t(u32, U16_MAX,
						       bdev_io_min(bdev) / disk->block_size));
	c->opt_io_size = __cpu_to_virtio32(true, bdev_io_opt(bdev) / disk->block_size);
}

static u32 discard_align(const struct vhk_disk *disk)
{
	const u32 bytes = disk->bdev ? bdev_discard_granularity(disk->bdev) :
				       i_blocksize(file_inode(disk->file));

	return max(bytes, disk->block_size) >> SECTOR_SHIFT;
}

void vhk_blk_fill_config(struct vhk_blk *blk)
{
	const struct vhk_disk *disk = blk->disk;
	struct virtio_blk_config c = {
		.blk_size = __cpu_to_virtio32(true, disk->block_size),
		.seg_max = __cpu_to_virtio32(true, min(disk->queue_size - 2, (u32)MAX_SEGS)),
		.wce = 1,
		.num_queues = __cpu_to_virtio16(true, disk->n_queues),
		.max_discard_sectors = __cpu_to_virtio32(true, VHK_BLK_MAX_RANGE_SECTORS),
		.max_discard_seg = __cpu_to_virtio32(true, VHK_BLK_MAX_RANGES),
		.discard_sector_alignment = __cpu_to_virtio32(true, discard_align(disk)),
		.max_write_zeroes_sectors = __cpu_to_virtio32(true, VHK_BLK_MAX_RANGE_SECTORS),
		.max_write_zeroes_seg = __cpu_to_virtio32(true, VHK_BLK_MAX_RANGES),
		.write_zeroes_may_unmap = 1,
	};

	BUILD_BUG_ON(sizeof(c) > VHK_CONFIG_MAX);
	fill_topology(&c, disk);
	memcpy(blk->dev.config, &c, sizeof(c));
	blk->dev.config_size = sizeof(c);
	blk->write_cache = true;
}
