// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the driver finds in the configuration space and in the feature bits, what it may write
 * there, and how a resize reaches it.
 */
#include "t_blk.h"

#define SECTORS 64
#define WCE_AT 32

static const char *image(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/image", t_disk_dir());
	t_image(path, SECTORS);
	return path;
}

static struct virtio_blk_config config_of(struct vhk_device *d)
{
	struct virtio_blk_config c;

	memset(&c, 0xcc, sizeof(c));
	T_EQ(d->info.config_size, 60);
	T_EQ(d->ops.get_config(d->priv, 0, &c, d->info.config_size), 0);
	return c;
}

static struct vhk_device *disk_of(struct vhk_blk_opts o, int want)
{
	struct vhk_device *d = NULL;

	o.sz = sizeof(o);
	T_EQ(vhk_blk_new(&d, &o), want);
	return d;
}

static void the_driver_reads_what_the_disk_is(void)
{
	struct vhk_blk_opts o = {
		.path = image(), .num_queues = 4, .queue_size = 64, .block_size = 4096
	};
	struct vhk_device *d = disk_of(o, 0);
	struct virtio_blk_config c = config_of(d);

	T_EQ(le64toh(c.capacity), SECTORS);
	T_EQ(le32toh(c.seg_max), 62);
	T_EQ(le32toh(c.blk_size), 4096);
	T_EQ(c.physical_block_exp, 0);
	T_EQ(le16toh(c.num_queues), 4);
	T_EQ(c.wce, 1);
	T_EQ(le32toh(c.max_discard_seg), VHK_BLK_RANGES);
	T_EQ(le32toh(c.discard_sector_alignment), 8);
	T_EQ(le32toh(c.max_write_zeroes_seg), VHK_BLK_RANGES);
	T_EQ(c.write_zeroes_may_unmap, 1);
	T_EQ(d->info.n_queues, 4);
	T_EQ(d->info.queue_size, 64);
	T_EQ(d->info.device_id, 2);
	T_OK(d->info.features & VHK_BLK_F(MQ));
	T_OK(!(d->info.features & VHK_F_IN_ORDER));
	vhk_device_free(d);
}

static void defaults_are_what_the_header_says(void)
{
	struct vhk_device *d = disk_of((struct vhk_blk_opts){ .path = image() }, 0);
	struct virtio_blk_config c = config_of(d);

	T_EQ(le32toh(c.seg_max), 126);
	T_EQ(le32toh(c.blk_size), 512);
	T_EQ(c.physical_block_exp, 3);
	T_EQ(le16toh(c.num_queues), 1);
	T_EQ(d->info.queue_size, 1024);
	T_OK(!(d->info.features & VHK_BLK_F(MQ)));
	vhk_device_free(d);
}

static void only_whole_ranges_inside_are_read(void)
{
	static const struct {
		uint32_t off, len;
		int want;
	} cases[] = {
		{ 0, 60, 0 },
		{ 59, 1, 0 },
		{ 60, 0, 0 },
		{ 60, 1, -EINVAL },
		{ 0, 61, -EINVAL },
		{ UINT32_MAX, 1, -EINVAL },
		{ 1, UINT32_MAX, -EINVAL },
	};
	struct vhk_device *d = disk_of((struct vhk_blk_opts){ .path = image() }, 0);
	unsigned char buf[64];
	unsigned int i, k;

	for (i = 0; i < vhk_array_size(cases); i++) {
		memset(buf, 0xcc, sizeof(buf));
		T_EQ(d->ops.get_config(d->priv, cases[i].off, buf, cases[i].len), cases[i].want);
		for (k = cases[i].want ? 0 : cases[i].len; k < sizeof(buf); k++)
			T_EQ(buf[k], 0xcc);
	}
	vhk_device_free(d);
}

static void only_the_cache_mode_is_written(void)
{
	static const struct {
		uint32_t off, len;
		int byte, ro, want;
	} cases[] = {
		{ WCE_AT, 1, 0, 0, 0 },
		{ WCE_AT, 1, 1, 0, 0 },
		{ WCE_AT, 1, 2, 0, -EINVAL },
		{ WCE_AT, 1, 0, 1, -EOPNOTSUPP },
		{ WCE_AT, 1, 1, 1, 0 },
		{ 0, 60, 0, 0, 0 },	 /* all of it, the rest as it is */
		{ 0, 8, 7, 0, -EINVAL }, /* the capacity */
		{ WCE_AT + 1, 1, 1, 0, -EINVAL },
		{ 60, 1, 0, 0, -EINVAL },
		{ UINT32_MAX, 2, 0, 0, -EINVAL },
	};
	struct vhk_blk_opts o = { .path = image() };
	struct virtio_blk_config c;
	unsigned char buf[64];
	struct vhk_device *d;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		o.flags = cases[i].ro ? VHK_BLK_F_READ_ONLY : 0;
		d = disk_of(o, 0);
		d->ops.set_features(d->priv, d->info.features);
		memset(buf, cases[i].byte, sizeof(buf));
		if (cases[i].len == 60) {
			c = config_of(d);
			memcpy(buf, &c, 60);
			buf[WCE_AT] = 0;
		}
		T_EQ(d->ops.set_config(d->priv, cases[i].off, buf, cases[i].len), cases[i].want);
		if (!cases[i].want)
			T_EQ(config_of(d).wce, cases[i].byte);
		d->ops.reset(d->priv);
		T_EQ(config_of(d).wce, 1);
		vhk_device_free(d);
	}
}

static void a_new_size_is_told(void)
{
	const char *path = image();
	struct vhk_device *d =
		disk_of((struct vhk_blk_opts){ .path = path, .block_size = 4096 }, 0);

	T_EQ(vhk_blk_resize(d), 0);
	T_EQ(d->changed, 0);
	T_MUST(!truncate(path, 512 * 80));
	T_EQ(vhk_blk_resize(d), 1);
	T_EQ(d->changed, 1);
	T_EQ(le64toh(config_of(d).capacity), 80);
	/* half a block is not one */
	T_MUST(!truncate(path, 512 * 8 + 4095));
	T_EQ(vhk_blk_resize(d), 1);
	T_EQ(le64toh(config_of(d).capacity), 8);
	T_EQ(vhk_blk_on_disk(d->priv, 8, 1), false);
	vhk_device_free(d);
}

int main(void)
{
	T_RUN(the_driver_reads_what_the_disk_is);
	T_RUN(defaults_are_what_the_header_says);
	T_RUN(only_whole_ranges_inside_are_read);
	T_RUN(only_the_cache_mode_is_written);
	T_RUN(a_new_size_is_told);
	return t_end();
}
