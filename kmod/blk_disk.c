// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the registry of disks tells the device that has one, and asks it: another size, the end of
 * its backing, and how much was done.
 */
#include <linux/string.h>

#include "blk.h"

static void disk_resized(void *user, u64 bytes)
{
	struct vhk_blk *blk = user;

	vhk_blk_set_size(blk, bytes);
	vhk_dev_config_changed(&blk->dev);
}

/* What was sent below before comes back by itself, with errors. */
static void disk_gone(void *user)
{
	struct vhk_blk *blk = user;

	WRITE_ONCE(blk->gone, true);
	vhk_dev_config_changed(&blk->dev);
}

static void add_stats(struct vhostkit_disk_stats *out, const struct vhk_vq *vq)
{
	const struct vhk_blk_queue *q = vq->priv;
	const struct vhk_blk_stats *s = &q->stats;

	out->in_flight += READ_ONCE(vq->n_in_flight);
	out->reads += READ_ONCE(s->reads);
	out->read_bytes += READ_ONCE(s->read_bytes);
	out->writes += READ_ONCE(s->writes);
	out->write_bytes += READ_ONCE(s->write_bytes);
	out->flushes += READ_ONCE(s->flushes);
	out->discards += READ_ONCE(s->discards);
	out->zeroes += READ_ONCE(s->zeroes);
	out->errors += READ_ONCE(s->errors);
	out->unsupported += READ_ONCE(s->unsupported);
	out->kicks += atomic_long_read(&vq->n_kicks);
	out->calls += READ_ONCE(vq->n_calls);
}

static int disk_stats(void *user, struct vhostkit_disk_stats *out)
{
	struct vhk_dev *dev = &((struct vhk_blk *)user)->dev;
	const u32 queue = out->queue;
	unsigned int i;

	if (queue != VHOSTKIT_ALL_QUEUES && queue >= dev->n_vqs)
		return -EINVAL;
	memset_after(out, 0, queue);
	for (i = 0; i < dev->n_vqs; i++)
		if (queue == VHOSTKIT_ALL_QUEUES || queue == i)
			add_stats(out, &dev->vqs[i]);
	return 0;
}

const struct vhk_disk_user_ops vhk_blk_disk_ops = {
	.resized = disk_resized,
	.stats = disk_stats,
	.gone = disk_gone,
};
