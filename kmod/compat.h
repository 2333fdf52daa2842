/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels, as the probes found them. Nobody else reads probes.h, and code
 * outside is written for the newest form.
 */
#ifndef VHK_COMPAT_H
#define VHK_COMPAT_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/netdevice.h>
#include <linux/slab.h>

#include "probes.h"

/*
 * A block device that is ours alone. Newer kernels tell when it goes away; those between the oldest
 * and them would, each in a way of its own.
 */
#ifdef HAVE_BDEV_FILE

void vhk_disk_backing_gone(struct block_device *bdev);

static inline void vhk_claim_mark_dead(struct block_device *bdev, bool surprise)
	__releases(&bdev->bd_holder_lock)
{
	/* A holder's lock comes behind those that are held when it is let go. */
	mutex_unlock(&bdev->bd_holder_lock);
	vhk_disk_backing_gone(bdev);
}

struct vhk_claim {
	struct file *file;
};

static inline int vhk_claim_open(struct vhk_claim *c, dev_t dev, bool write, void *holder)
{
	static const struct blk_holder_ops ops = { .mark_dead = vhk_claim_mark_dead };

	c->file = bdev_file_open_by_dev(dev, BLK_OPEN_READ | (write ? BLK_OPEN_WRITE : 0), holder,
					&ops);
	return PTR_ERR_OR_ZERO(c->file);
}

static inline struct block_device *vhk_claim_bdev(const struct vhk_claim *c)
{
	return file_bdev(c->file);
}

static inline void vhk_claim_close(struct vhk_claim *c)
{
	/* The claim and its operations go at once, the file when it likes. */
	bdev_fput(c->file);
}

#elif defined(HAVE_BDEV_HANDLE)

struct vhk_claim {
	struct bdev_handle *handle;
};

static inline int vhk_claim_open(struct vhk_claim *c, dev_t dev, bool write, void *holder)
{
	c->handle = bdev_open_by_dev(dev, BLK_OPEN_READ | (write ? BLK_OPEN_WRITE : 0), holder,
				     NULL);
	return PTR_ERR_OR_ZERO(c->handle);
}

static inline struct block_device *vhk_claim_bdev(const struct vhk_claim *c)
{
	return c->handle->bdev;
}

static inline void vhk_claim_close(struct vhk_claim *c)
{
	bdev_release(c->handle);
}

#elif defined(HAVE_BDEV_HOLDER_OPS)

struct vhk_claim {
	struct block_device *bdev;
	void *holder;
};

static inline int vhk_claim_open(struct vhk_claim *c, dev_t dev, bool write, void *holder)
{
	c->holder = holder;
	c->bdev = blkdev_get_by_dev(dev, BLK_OPEN_READ | (write ? BLK_OPEN_WRITE : 0), holder,
				    NULL);
	return PTR_ERR_OR_ZERO(c->bdev);
}

static inline struct block_device *vhk_claim_bdev(const struct vhk_claim *c)
{
	return c->bdev;
}

static inline void vhk_claim_close(struct vhk_claim *c)
{
	blkdev_put(c->bdev, c->holder);
}

#else

struct vhk_claim {
	struct block_device *bdev;
	fmode_t mode;
};

static inline int vhk_claim_open(struct vhk_claim *c, dev_t dev, bool write, void *holder)
{
	c->mode = FMODE_READ | FMODE_EXCL | (write ? FMODE_WRITE : 0);
	c->bdev = blkdev_get_by_dev(dev, c->mode, holder);
	return PTR_ERR_OR_ZERO(c->bdev);
}

static inline struct block_device *vhk_claim_bdev(const struct vhk_claim *c)
{
	return c->bdev;
}

static inline void vhk_claim_close(struct vhk_claim *c)
{
	blkdev_put(c->bdev, c->mode);
}

#endif

/* So many requests come next under this plug, and find their tags together. */
static inline void vhk_plug_expect(struct blk_plug *plug, unsigned short n)
{
#ifdef HAVE_PLUG_NR_IOS
	plug->nr_ios = n;
#endif
}

/* NAPI in threads, of an interface that is not registered and has none so far. */
static inline void vhk_set_threaded(struct net_device *netdev)
{
#ifdef HAVE_NETIF_THREADED
	netif_threaded_enable(netdev);
#else
	dev_set_threaded(netdev, true);
#endif
}

#endif
