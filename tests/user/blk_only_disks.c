// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What is asked of a disk is refused for devices of other authors, whatever id they have.
 */
#include <vhostkit/blk.h>

#include "t.h"

static void work(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n)
{
	(void)priv, (void)q, (void)chains, (void)n;
}

static void another_authors_disk(void)
{
	static const uint32_t ids[] = { 1, 2 };
	static const struct vhk_device_ops ops = { .sz = sizeof(ops), .work = work };
	struct vhk_blk_stats stats;
	struct vhk_device *d;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct vhk_device_info info = {
			.sz = sizeof(info), .device_id = ids[i], .n_queues = 1, .queue_size = 16
		};

		T_EQ(vhk_device_new(&d, &info, &ops, NULL), 0);
		T_EQ(vhk_blk_resize(d), -EINVAL);
		T_EQ(vhk_blk_stats(d, 0, &stats), -EINVAL);
		vhk_device_free(d);
	}
}

static void our_own(void)
{
	struct vhk_blk_opts o = { .sz = sizeof(o) };
	struct vhk_blk_stats stats;
	struct vhk_device *d;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/image", t_dir());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	T_MUST(fd >= 0 && !ftruncate(fd, 1 << 20));
	o.path = path;
	T_EQ(vhk_blk_new(&d, &o), 0);
	T_EQ(vhk_blk_resize(d), 0);
	T_MUST(!ftruncate(fd, 2 << 20));
	T_EQ(vhk_blk_resize(d), 1);
	T_EQ(vhk_blk_stats(d, 0, &stats), 0);
	T_EQ(vhk_blk_stats(d, 1, &stats), -EINVAL);
	vhk_device_free(d);
	close(fd);
}

int main(void)
{
	T_RUN(another_authors_disk);
	T_RUN(our_own);
	return t_end();
}
