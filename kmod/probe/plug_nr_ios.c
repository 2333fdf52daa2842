// SPDX-License-Identifier: GPL-2.0-only
#include <linux/blkdev.h>

void probe(struct blk_plug *plug);

void probe(struct blk_plug *plug)
{
	plug->nr_ios = 1;
}
