// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module, and the management device of disks: `vdpa dev add name NAME mgmtdev vhostkit_blk`
 * makes a vDPA device of the disk NAME of the registry. That of network cards is in net.c.
 */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/vdpa.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/wait.h>
#include <uapi/linux/vdpa.h>

#include "blk.h"
#include "compat_vdpa.h"
#include "net.h"
#include "version.h"

#define NEEDED BIT_ULL(VIRTIO_F_VERSION_1)
/* Who uses the device decides about it: what a disk shows in use by this kernel lacks it. */
#define BY_USE BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)
#define MAX_SEGS 1024

static struct device *root;

/* Devices whose last reference has not gone: the code of their operations must stay. */
static atomic_t n_live = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(none_live);

void vhk_dev_born(void)
{
	atomic_inc(&n_live);
}

void vhk_dev_gone(void)
{
	if (atomic_dec_and_test(&n_live))
		wake_up_all(&none_live);
}

static void blk_free(struct vhk_dev *dev)
{
	vhk_blk_ops.free(dev);
	vhk_dev_gone();
}

static struct vhk_dev_ops blk_ops;

/* What the administrator leaves of what the disk can. */
static int provision(struct vhk_blk *blk, const struct vdpa_dev_set_config *config)
{
	u64 features = vhk_blk_features(blk->disk);

	if (config->mask & BIT_ULL(VDPA_ATTR_DEV_FEATURES)) {
		if (config->device_features & ~features)
			return -EINVAL;
		if ((config->device_features & NEEDED) != NEEDED)
			return -EOPNOTSUPP;
		features = config->device_features | BY_USE;
	}
	blk->dev.offered = features;
	return 0;
}

/* Everything but the registration: workers serve the driver's probe already. */
static int prepare(struct vhk_blk *blk)
{
	struct vhk_disk *disk = blk->disk;
	int ret;

	ret = vhk_blk_io_init(blk);
	if (ret)
		return ret;
	blk->dev.max_queue_size = disk->queue_size;
	blk->dev.max_segs = MAX_SEGS;
	blk->dev.max_indirect = disk->queue_size;
	ret = vhk_dev_init(&blk->dev, &blk_ops, disk->n_queues);
	if (ret)
		return ret;
	ret = vhk_blk_init_queues(blk, disk->n_queues, disk->queue_size);
	if (ret) {
		vhk_dev_stop(&blk->dev);
		return ret;
	}
	vhk_blk_fill_config(blk);
	vhk_disk_attach(disk, &vhk_blk_disk_ops, blk);
	return 0;
}

static void undo(struct vhk_blk *blk)
{
	if (!IS_ERR_OR_NULL(blk->disk))
		vhk_disk_release(blk->disk);
	put_device(&blk->dev.vdpa.dev);
}

static struct vhk_blk *blk_new(struct vdpa_mgmt_dev *mdev, const char *name,
			       const struct vdpa_dev_set_config *config)
{
	struct vhk_blk *blk;
	int ret;

	blk = vhk_vdpa_alloc(struct vhk_blk, dev.vdpa, root, &vhk_config_ops, 1, 1, name);
	if (IS_ERR(blk))
		return blk;
	vhk_dev_born();
	blk->dev.ops = &blk_ops;
	blk->dev.vdpa.mdev = mdev;
	blk->dev.vdpa.dev.groups = vhk_blk_groups;
	blk->disk = vhk_disk_claim(name);
	ret = PTR_ERR_OR_ZERO(blk->disk);
	if (!ret)
		ret = provision(blk, config);
	if (!ret)
		ret = prepare(blk);
	if (!ret)
		return blk;
	undo(blk);
	return ERR_PTR(ret);
}

static int blk_add(struct vdpa_mgmt_dev *mdev, const char *name,
		   const struct vdpa_dev_set_config *config)
{
	struct vhk_blk *blk;
	int ret;

	/* The core takes no reference, and waits without end for who has a device open. */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	blk = blk_new(mdev, name, config);
	if (IS_ERR(blk)) {
		ret = PTR_ERR(blk);
		goto err;
	}
	ret = _vdpa_register_device(&blk->dev.vdpa, blk->dev.n_vqs);
	if (!ret)
		return 0;
	vhk_dev_stop(&blk->dev);
	undo(blk);
err:
	module_put(THIS_MODULE);
	if (ret == -ENOENT)
		pr_info_ratelimited("vhostkit: no disk \"%s\" in the registry\n", name);
	return ret;
}

/* Operations run until the device is unregistered, and need the workers. */
static void blk_del(struct vdpa_mgmt_dev *mdev, struct vdpa_device *vdpa)
{
	struct vhk_blk *blk = vhk_blk_of(vhk_dev_of(vdpa));
	struct vhk_disk *disk = blk->disk;

	get_device(&vdpa->dev);
	_vdpa_unregister_device(vdpa);
	vhk_dev_stop(&blk->dev);
	vhk_disk_release(disk);
	put_device(&vdpa->dev);
	module_put(THIS_MODULE);
}

static const struct vdpa_mgmtdev_ops blk_mgmt_ops = {
	.dev_add = blk_add,
	.dev_del = blk_del,
};

static struct virtio_device_id blk_ids[] = {
	{ VIRTIO_ID_BLOCK, VIRTIO_DEV_ANY_ID },
	{ },
};

static struct vdpa_mgmt_dev blk_mgmt = {
	.ops = &blk_mgmt_ops,
	.id_table = blk_ids,
	.config_attr_mask = BIT_ULL(VDPA_ATTR_DEV_FEATURES),
	.max_supported_vqs = VHOSTKIT_MAX_QUEUES,
};

static int __init vhostkit_vdpa_init(void)
{
	int ret;

	blk_ops = vhk_blk_ops;
	blk_ops.free = blk_free;
	blk_mgmt.supported_features = vhk_blk_all_features;
	vhk_debugfs_init();
	root = root_device_register("vhostkit_blk");
	if (IS_ERR(root)) {
		ret = PTR_ERR(root);
		goto err_debugfs;
	}
	blk_mgmt.device = root;
	ret = vdpa_mgmtdev_register(&blk_mgmt);
	if (ret)
		goto err_root;
	ret = vhk_net_init();
	if (ret)
		goto err_blk;
	return 0;

err_blk:
	vdpa_mgmtdev_unregister(&blk_mgmt);
err_root:
	root_device_unregister(root);
err_debugfs:
	vhk_debugfs_exit();
	return ret;
}

static void __exit vhostkit_vdpa_exit(void)
{
	vhk_net_unregister();
	vdpa_mgmtdev_unregister(&blk_mgmt);
	wait_event(none_live, !atomic_read(&n_live));
	/* Whoever dropped the last reference may still be on its way out of our code. */
	synchronize_rcu_tasks();
	vhk_net_exit();
	root_device_unregister(root);
	vhk_debugfs_exit();
}

module_init(vhostkit_vdpa_init);
module_exit(vhostkit_vdpa_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VHK_MODULE_VERSION);
MODULE_DESCRIPTION("Software vDPA devices: disks and network cards");
MODULE_AUTHOR("The vhostkit authors");
