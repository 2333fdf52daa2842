// SPDX-License-Identifier: GPL-2.0-only
/* What a disk offers: features and config space, by what stands behind it. */
#include "t_kunit.h"

#include "../../kmod/blk_config.c"

static long t_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	return 0;
}

static const struct file_operations with_holes = { .fallocate = t_fallocate }, plain = { };
static struct inode t_inode;
static struct file t_file = { .f_inode = &t_inode };
static struct vhk_disk t_disk;

static struct vhk_blk *begin(const struct file_operations *fops, u32 block, unsigned int fs_bits)
{
	struct vhk_blk *blk = kunit_kzalloc(t_test, sizeof(*blk), GFP_KERNEL);

	T_MUST(blk);
	t_inode.i_blkbits = fs_bits;
	t_file.f_op = fops;
	t_disk = (struct vhk_disk){
		.file = &t_file,
		.block_size = block,
		.queue_size = 128,
		.n_queues = 3,
	};
	blk->disk = &t_disk;
	spin_lock_init(&blk->dev.config_lock);
	return blk;
}

#define HAS(disk, feature) (!!(vhk_blk_features(disk) & BIT_ULL(feature)))

static void features_follow_the_backing(void)
{
	begin(&with_holes, 512, 12);
	T_EQ(vhk_blk_features(&t_disk) & ~vhk_blk_all_features, 0);
	T_OK(HAS(&t_disk, VIRTIO_BLK_F_DISCARD) && HAS(&t_disk, VIRTIO_BLK_F_WRITE_ZEROES));
	T_OK(HAS(&t_disk, VIRTIO_BLK_F_FLUSH) && HAS(&t_disk, VIRTIO_BLK_F_CONFIG_WCE));
	T_OK(!HAS(&t_disk, VIRTIO_BLK_F_RO));
	t_disk.read_only = true;
	T_OK(HAS(&t_disk, VIRTIO_BLK_F_RO) && !HAS(&t_disk, VIRTIO_BLK_F_DISCARD));
	T_OK(!HAS(&t_disk, VIRTIO_BLK_F_WRITE_ZEROES) && !HAS(&t_disk, VIRTIO_BLK_F_FLUSH));
	T_OK(!HAS(&t_disk, VIRTIO_BLK_F_CONFIG_WCE));
	T_EQ(vhk_blk_features(&t_disk) & ~vhk_blk_all_features, 0);
	begin(&plain, 512, 12);
	T_OK(!HAS(&t_disk, VIRTIO_BLK_F_DISCARD) && !HAS(&t_disk, VIRTIO_BLK_F_WRITE_ZEROES));
	T_OK(HAS(&t_disk, VIRTIO_BLK_F_FLUSH));
}

static void the_config_space_is_filled(void)
{
	static const struct {
		u32 block, fs_bits, exp, align;
	} cases[] = {
		{ 512, 12, 3, 8 }, { 512, 9, 0, 1 }, { 4096, 12, 0, 8 }, { 4096, 9, 0, 8 },
		{ 1024, 12, 2, 8 },
	};
	struct virtio_blk_config c;
	struct vhk_blk *blk;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		blk = begin(&with_holes, cases[i].block, cases[i].fs_bits);
		vhk_blk_fill_config(blk);
		memcpy(&c, blk->dev.config, sizeof(c));
		T_EQ(blk->dev.config_size, sizeof(c));
		T_EQ(le32_to_cpu((__force __le32)c.blk_size), cases[i].block);
		T_EQ(c.physical_block_exp, cases[i].exp);
		T_EQ(le32_to_cpu((__force __le32)c.discard_sector_alignment), cases[i].align);
		T_EQ(le16_to_cpu((__force __le16)c.num_queues), 3);
		/* Two descriptors of a request are not data. */
		T_EQ(le32_to_cpu((__force __le32)c.seg_max), 126);
		T_EQ(c.wce, 1);
		T_OK(blk->write_cache);
	}
}

static void the_size_is_in_sectors(void)
{
	struct vhk_blk *blk = begin(&plain, 512, 9);
	struct virtio_blk_config c;

	vhk_blk_fill_config(blk);
	vhk_blk_set_size(blk, U64_MAX);
	T_EQ(blk->sectors, U64_MAX >> 9);
	vhk_blk_set_size(blk, 4096);
	T_EQ(blk->sectors, 8);
	memcpy(&c, blk->dev.config, sizeof(c));
	T_EQ(le64_to_cpu((__force __le64)c.capacity), 8);
	T_EQ(le32_to_cpu((__force __le32)c.blk_size), 512);
}

T_CASE(features_follow_the_backing)
T_CASE(the_config_space_is_filled)
T_CASE(the_size_is_in_sectors)

T_SUITE("vhostkit_config",
	T_ENTRY(features_follow_the_backing),
	T_ENTRY(the_config_space_is_filled),
	T_ENTRY(the_size_is_in_sectors));
