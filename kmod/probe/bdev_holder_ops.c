// SPDX-License-Identifier: GPL-2.0-only
/* Whoever claims a block device has operations, and gives it back by name. */
#include <linux/blkdev.h>

void probe(dev_t dev, void *holder);
void probe(dev_t dev, void *holder)
{
	struct block_device *bdev = blkdev_get_by_dev(dev, BLK_OPEN_READ, holder, NULL);

	blkdev_put(bdev, holder);
}
