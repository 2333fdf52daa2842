// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a disk tells its driver and what the driver sets: features and the configuration space
 * (virtio 1.3, 5.2.3 and 5.2.4). Control thread only.
 */
#include <endian.h>

#include "blk_impl.h"

uint64_t vhk_blk_offer(const struct vhk_blk *blk)
{
	/* Not RING_RESET: see VHK_F_RING_ALL. */
	uint64_t f = VHK_F_RING_ALL & ~VHK_F_IN_ORDER;

	f |= VHK_BLK_F(SEG_MAX) | VHK_BLK_F(BLK_SIZE) | VHK_BLK_F(TOPOLOGY) | VHK_BLK_F(FLUSH);
	if (blk->n_queues > 1)
		f |= VHK_BLK_F(MQ);
	if (blk->file.read_only)
		return f | VHK_BLK_F(RO);
	f |= VHK_BLK_F(CONFIG_WCE);
	if (blk->file.discard)
		f |= VHK_BLK_F(DISCARD);
	if (blk->file.write_zeroes)
		f |= VHK_BLK_F(WRITE_ZEROES);
	return f;
}

static unsigned int log2_of(uint32_t v)
{
	return 31 - (unsigned int)__builtin_clz(v);
}

static void fill_topology(const struct vhk_blk_file *f, struct virtio_blk_config *c)
{
	uint32_t min = f->io_min / f->block_size;

	c->physical_block_exp = (uint8_t)(log2_of(f->phys_size) - log2_of(f->block_size));
	c->min_io_size = htole16((uint16_t)vhk_min(min, (uint32_t)UINT16_MAX));
	c->opt_io_size = htole32(f->io_opt / f->block_size);
}

static void fill_ranges(const struct vhk_blk_file *f, struct virtio_blk_config *c)
{
	if (f->discard) {
		c->max_discard_sectors = htole32(f->range_max);
		c->max_discard_seg = htole32(VHK_BLK_RANGES);
		c->discard_sector_alignment =
			htole32(vhk_max(f->discard, f->block_size) / VHK_BLK_SECTOR);
	}
	if (f->write_zeroes) {
		c->max_write_zeroes_sectors = htole32(f->range_max);
		c->max_write_zeroes_seg = htole32(VHK_BLK_RANGES);
		c->write_zeroes_may_unmap = f->discard != 0;
	}
}

static void fill(const struct vhk_blk *blk, struct virtio_blk_config *c)
{
	/*
	 * Header and status take a segment each; without indirect tables a chain is no longer than
	 * the ring.
	 */
	uint32_t segs = vhk_min((uint32_t)VHK_BLK_SEGS, (uint32_t)blk->queue_size) - 2;

	memset(c, 0, sizeof(*c));
	c->capacity = htole64(atomic_load_explicit(&blk->capacity, memory_order_relaxed));
	c->seg_max = htole32(segs);
	c->blk_size = htole32(blk->file.block_size);
	c->wce = blk->writeback;
	c->num_queues = htole16((uint16_t)blk->n_queues);
	fill_topology(&blk->file, c);
	fill_ranges(&blk->file, c);
}

int vhk_blk_get_config(void *priv, uint32_t off, void *buf, uint32_t len)
{
	struct virtio_blk_config c;

	if (off > VHK_BLK_CONFIG_SIZE || len > VHK_BLK_CONFIG_SIZE - off)
		return -EINVAL;
	fill(priv, &c);
	memcpy(buf, (char *)&c + off, len);
	return 0;
}

/* A write is lasting when it was answered without a cache (virtio 1.3, 5.2.6.2). */
static void choose_write_through(struct vhk_blk *blk)
{
	uint64_t f = atomic_load_explicit(&blk->features, memory_order_relaxed);
	bool cached = f & VHK_BLK_F(CONFIG_WCE) ? blk->writeback : !!(f & VHK_BLK_F(FLUSH));

	atomic_store_explicit(&blk->write_through, !cached, memory_order_relaxed);
}

/*
 * The driver's one field is `wce`; a write that spans others is good if it leaves them as they are.
 */
int vhk_blk_set_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	const uint32_t at = offsetof(struct virtio_blk_config, wce);
	struct vhk_blk *blk = priv;
	struct virtio_blk_config is, want;

	if (off > VHK_BLK_CONFIG_SIZE || len > VHK_BLK_CONFIG_SIZE - off)
		return -EINVAL;
	fill(blk, &is);
	want = is;
	memcpy((char *)&want + off, buf, len);
	if (want.wce > 1)
		return -EINVAL;
	if (want.wce != is.wce && !(blk->offered & VHK_BLK_F(CONFIG_WCE)))
		return -EOPNOTSUPP;
	((unsigned char *)&is)[at] = want.wce;
	if (memcmp(&is, &want, sizeof(is)))
		return -EINVAL;
	blk->writeback = want.wce;
	choose_write_through(blk);
	return 0;
}

int vhk_blk_set_features(void *priv, uint64_t features)
{
	struct vhk_blk *blk = priv;

	atomic_store_explicit(&blk->features, features, memory_order_relaxed);
	choose_write_through(blk);
	return 0;
}

void vhk_blk_reset(void *priv)
{
	struct vhk_blk *blk = priv;

	blk->writeback = true;
	vhk_blk_set_features(blk, 0);
}
