// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations of the vDPA bus that are the same for every kind of device.
 */
#include <linux/cc_platform.h>
#include <linux/cpumask.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/sched.h>
#include <linux/netlink.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vdpa.h>
#include <linux/virtio_ids.h>
#include <uapi/linux/vhost_types.h>
#include <xen/xen.h>

#include "compat_vdpa.h"
#include "status.h"
#include "trace.h"
#include "vdev.h"

#define VENDOR_ID 0x76686b /* "vhk" */

static struct vhk_vq *vq_of(struct vdpa_device *vdpa, u16 index)
{
	return &vhk_dev_of(vdpa)->vqs[index];
}

/* virtio-vdpa hands out addresses of this kernel, vhost-vdpa maps what it uses. */
static bool is_own_kernel(const struct vhk_dev *dev)
{
	const struct device_driver *drv = dev->vdpa.dev.driver;

	return drv && !strcmp(drv->name, "virtio_vdpa");
}

/*
 * Whether the addresses that a driver of this kernel gives are those of memory. In a paravirtual
 * domain of Xen they are the machine's. A driver that knows of a platform between asks it: what is
 * encrypted may have a copy's, and what else maps for the device gives what it likes.
 */
static bool has_own_addresses(struct vhk_dev *dev, u64 features)
{
	if (xen_pv_domain())
		return false;
	return !(features & BIT_ULL(VIRTIO_F_ACCESS_PLATFORM)) ||
	       (!cc_platform_has(CC_ATTR_MEM_ENCRYPT) && !get_dma_ops(&dev->vdpa.dev));
}

static bool may_run(const struct vhk_vq *vq)
{
	const struct vhk_dev *dev = vq->dev;

	return vq->ready && !dev->suspended && vhk_status_runs(READ_ONCE(dev->status));
}

static void start_ready(struct vhk_dev *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < dev->n_vqs; i++)
		if (may_run(&dev->vqs[i]))
			vhk_vq_start(&dev->vqs[i]);
}

static void stop_all(struct vhk_dev *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < dev->n_vqs; i++)
		vhk_vq_stop(&dev->vqs[i]);
}

/* Nobody waits for what the requests under way were to do. */
static void give_up_all(struct vhk_dev *dev)
{
	WRITE_ONCE(dev->gives_up, true);
	stop_all(dev);
	WRITE_ONCE(dev->gives_up, false);
}

static int op_set_vq_address(struct vdpa_device *vdpa, u16 index, u64 desc, u64 driver, u64 device)
{
	struct vhk_vq *vq = vq_of(vdpa, index);
	int ret = 0;

	mutex_lock(&vq->dev->lock);
	if (vq->state != VHK_VQ_IDLE) {
		ret = -EBUSY;
	} else {
		vq->desc = desc;
		vq->driver = driver;
		vq->device = device;
	}
	mutex_unlock(&vq->dev->lock);
	return ret;
}

static void op_set_vq_num(struct vdpa_device *vdpa, u16 index, u32 num)
{
	struct vhk_vq *vq = vq_of(vdpa, index);

	mutex_lock(&vq->dev->lock);
	if (vq->state == VHK_VQ_IDLE && num && num <= vq->dev->max_queue_size)
		vq->num = num;
	mutex_unlock(&vq->dev->lock);
}

/* Interrupts are off, or locks of who kicks are held: only wakes. */
static void op_kick_vq(struct vdpa_device *vdpa, u16 index)
{
	vhk_vq_kick(vq_of(vdpa, index));
}

/*
 * NULL: anywhere. What is kept is what was asked for, also where none of it is online: a driver
 * maps its processors to queues by it.
 */
static int op_set_vq_affinity(struct vdpa_device *vdpa, u16 index, const struct cpumask *mask)
{
	struct vhk_vq *vq = vq_of(vdpa, index);

	vq->has_affinity = mask;
	if (mask)
		cpumask_copy(&vq->affinity, mask);
	if (!vq->worker || (mask && !cpumask_intersects(mask, cpu_online_mask)))
		return 0;
	return set_cpus_allowed_ptr(vq->worker, mask ?: cpu_possible_mask);
}

static const struct cpumask *op_get_vq_affinity(struct vdpa_device *vdpa, u16 index)
{
	const struct vhk_vq *vq = vq_of(vdpa, index);

	return vq->has_affinity ? &vq->affinity : NULL;
}

static void op_set_vq_cb(struct vdpa_device *vdpa, u16 index, struct vdpa_callback *cb)
{
	struct vhk_vq *vq = vq_of(vdpa, index);

	/* The eventfd in cb->trigger may be freed before its successor is named: not kept. */
	spin_lock_bh(&vq->cb_lock);
	vq->cb.callback = cb->callback;
	vq->cb.private = cb->private;
	spin_unlock_bh(&vq->cb_lock);
}

static void op_set_vq_ready(struct vdpa_device *vdpa, u16 index, bool ready)
{
	struct vhk_vq *vq = vq_of(vdpa, index);
	struct vhk_dev *dev = vq->dev;

	mutex_lock(&dev->lock);
	if (!ready)
		vhk_vq_stop(vq);
	else if (!vq->ready)
		vhk_map_set_identity(vhk_vq_map(vq), dev->own_kernel);
	vq->ready = ready;
	if (may_run(vq))
		vhk_vq_start(vq);
	mutex_unlock(&dev->lock);
}

static bool op_get_vq_ready(struct vdpa_device *vdpa, u16 index)
{
	return READ_ONCE(vq_of(vdpa, index)->ready);
}

static int op_set_vq_state(struct vdpa_device *vdpa, u16 index, const struct vdpa_vq_state *state)
{
	struct vhk_vq *vq = vq_of(vdpa, index);
	int ret = 0;

	mutex_lock(&vq->dev->lock);
	if (vq->state != VHK_VQ_IDLE)
		ret = -EBUSY;
	else
		vq->pos = *state;
	mutex_unlock(&vq->dev->lock);
	return ret;
}

/* Says where a queue stands that was stopped, suspended or never started. */
static int op_get_vq_state(struct vdpa_device *vdpa, u16 index, struct vdpa_vq_state *state)
{
	struct vhk_vq *vq = vq_of(vdpa, index);
	int ret = 0;

	mutex_lock(&vq->dev->lock);
	if (vq->state != VHK_VQ_IDLE)
		ret = -EBUSY;
	else
		*state = vq->pos;
	mutex_unlock(&vq->dev->lock);
	return ret;
}

static u32 op_get_vq_align(struct vdpa_device *vdpa)
{
	return PAGE_SIZE;
}

/*
 * A disk's driver of this kernel gives addresses of memory as they are, and has no mapping to make
 * for each: that is to be had by not offering ACCESS_PLATFORM (virtio 1.3, 6.1). A card's driver
 * needs it for AF_XDP.
 */
static u64 offered(const struct vhk_dev *dev)
{
	if (dev->ops->id == VIRTIO_ID_BLOCK && READ_ONCE(dev->own_kernel))
		return dev->offered & ~BIT_ULL(VIRTIO_F_ACCESS_PLATFORM);
	return dev->offered;
}

static u64 op_get_device_features(struct vdpa_device *vdpa)
{
	return offered(vhk_dev_of(vdpa));
}

static u64 op_get_backend_features(const struct vdpa_device *vdpa)
{
	return BIT_ULL(VHOST_BACKEND_F_ENABLE_AFTER_DRIVER_OK);
}

static int op_set_driver_features(struct vdpa_device *vdpa, u64 features)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);
	int ret;

	mutex_lock(&dev->lock);
	ret = vhk_status_features(dev->status, offered(dev), features);
	if (!ret && features && dev->ops->check_features)
		ret = dev->ops->check_features(features);
	/* A driver sees that, and does not see that a queue is not ready. */
	if (!ret && dev->own_kernel && !has_own_addresses(dev, features))
		ret = -EOPNOTSUPP;
	if (!ret)
		dev->features = features;
	mutex_unlock(&dev->lock);
	return ret;
}

static u64 op_get_driver_features(struct vdpa_device *vdpa)
{
	return READ_ONCE(vhk_dev_of(vdpa)->features);
}

static void op_set_config_cb(struct vdpa_device *vdpa, struct vdpa_callback *cb)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	spin_lock_bh(&dev->config_lock);
	dev->config_cb.callback = cb->callback;
	dev->config_cb.private = cb->private;
	spin_unlock_bh(&dev->config_lock);
}

static u16 op_get_vq_num_max(struct vdpa_device *vdpa)
{
	return vhk_dev_of(vdpa)->max_queue_size;
}

static u32 op_get_device_id(struct vdpa_device *vdpa)
{
	return vhk_dev_of(vdpa)->ops->id;
}

static u32 op_get_vendor_id(struct vdpa_device *vdpa)
{
	return VENDOR_ID;
}

static u8 op_get_status(struct vdpa_device *vdpa)
{
	return READ_ONCE(vhk_dev_of(vdpa)->status);
}

/* The process that sets a device off is the one it works for; a driver of this kernel is none. */
static void find_charged(struct vhk_dev *dev)
{
	/* Workers use it from then on. */
	if (!(dev->status & VIRTIO_CONFIG_S_DRIVER_OK) && !dev->own_kernel && current->mm)
		vhk_charge_set(&dev->charge);
}

static void op_set_status(struct vdpa_device *vdpa, u8 status)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	mutex_lock(&dev->lock);
	if (status & VIRTIO_CONFIG_S_DRIVER_OK)
		find_charged(dev);
	spin_lock_bh(&dev->status_lock);
	dev->status = vhk_status_next(dev->status, status, offered(dev), dev->features);
	spin_unlock_bh(&dev->status_lock);
	start_ready(dev);
	mutex_unlock(&dev->lock);
}

static void forget_callbacks(struct vhk_dev *dev)
{
	struct vdpa_callback none = { };
	unsigned int i;

	for (i = 0; i < dev->n_vqs; i++)
		op_set_vq_cb(&dev->vdpa, i, &none);
	op_set_config_cb(&dev->vdpa, &none);
}

/* The map stays, since there is reset_map; the identity was not the driver's to set. */
static int op_reset(struct vdpa_device *vdpa)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);
	unsigned int i;

	mutex_lock(&dev->lock);
	trace_vhk_reset(dev);
	give_up_all(dev);
	forget_callbacks(dev);
	vhk_charge_drop(&dev->charge);
	for (i = 0; i < dev->n_vqs; i++) {
		struct vhk_vq *vq = &dev->vqs[i];

		vq->desc = 0;
		vq->driver = 0;
		vq->device = 0;
		vq->num = dev->max_queue_size;
		vq->ready = false;
		memset(&vq->pos, 0, sizeof(vq->pos));
	}
	for (i = 0; i < VHK_MAX_AS; i++) {
		vhk_map_set_identity(&dev->maps[i], false);
		dev->asid[i] = 0;
	}
	/* The drivers of the bus begin with a reset. */
	WRITE_ONCE(dev->own_kernel, is_own_kernel(dev));
	dev->features = 0;
	dev->suspended = false;
	spin_lock_bh(&dev->status_lock);
	dev->status = 0;
	spin_unlock_bh(&dev->status_lock);
	dev->ops->config(dev, 0, NULL, 0);
	mutex_unlock(&dev->lock);
	return 0;
}

static int op_suspend(struct vdpa_device *vdpa)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	mutex_lock(&dev->lock);
	dev->suspended = true;
	stop_all(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

static int op_resume(struct vdpa_device *vdpa)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	mutex_lock(&dev->lock);
	dev->suspended = false;
	start_ready(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

static size_t op_get_config_size(struct vdpa_device *vdpa)
{
	return vhk_dev_of(vdpa)->config_size;
}

static bool in_config(const struct vhk_dev *dev, unsigned int offset, unsigned int len)
{
	return offset <= dev->config_size && len <= dev->config_size - offset;
}

/* What is not there reads as zero: no byte of the caller's buffer stays as it was. */
static void op_get_config(struct vdpa_device *vdpa, unsigned int offset, void *buf,
			  unsigned int len)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	memset(buf, 0, len);
	if (!in_config(dev, offset, len))
		return;
	spin_lock_bh(&dev->config_lock);
	memcpy(buf, dev->config + offset, len);
	spin_unlock_bh(&dev->config_lock);
}

static void op_set_config(struct vdpa_device *vdpa, unsigned int offset, const void *buf,
			  unsigned int len)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	if (!in_config(dev, offset, len) || !len)
		return;
	mutex_lock(&dev->lock);
	dev->ops->config(dev, offset, buf, len);
	mutex_unlock(&dev->lock);
}

static u32 op_get_generation(struct vdpa_device *vdpa)
{
	return READ_ONCE(vhk_dev_of(vdpa)->generation);
}

static int op_dma_map(struct vdpa_device *vdpa, unsigned int asid, u64 iova, u64 size, u64 pa,
		      u32 perm, void *opaque)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);
	int ret;

	if (asid >= VHK_MAX_AS)
		return -EINVAL;
	ret = vhk_map_add(&dev->maps[asid], iova, size, pa, perm);
	trace_vhk_map(dev, asid, iova, size, perm, ret);
	return ret;
}

static int op_dma_unmap(struct vdpa_device *vdpa, unsigned int asid, u64 iova, u64 size)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);
	int ret;

	if (asid >= VHK_MAX_AS)
		return -EINVAL;
	ret = vhk_map_del(&dev->maps[asid], iova, size);
	trace_vhk_map(dev, asid, iova, size, 0, ret);
	return ret;
}

static int op_reset_map(struct vdpa_device *vdpa, unsigned int asid)
{
	if (asid >= VHK_MAX_AS)
		return -EINVAL;
	vhk_map_clear(&vhk_dev_of(vdpa)->maps[asid]);
	return 0;
}

static u32 op_get_vq_group(struct vdpa_device *vdpa, u16 index)
{
	return vhk_vq_group(vq_of(vdpa, index));
}

static int op_set_group_asid(struct vdpa_device *vdpa, unsigned int group, unsigned int asid)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);
	int ret = 0;

	if (group >= vdpa->ngroups || asid >= vdpa->nas)
		return -EINVAL;
	mutex_lock(&dev->lock);
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		ret = -EBUSY;
	else
		dev->asid[group] = asid;
	mutex_unlock(&dev->lock);
	return ret;
}

static int op_get_vendor_vq_stats(struct vdpa_device *vdpa, u16 index, struct sk_buff *msg,
				  struct netlink_ext_ack *extack)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	if (!dev->ops->stats)
		return -EOPNOTSUPP;
	if (index >= dev->n_vqs) {
		NL_SET_ERR_MSG_MOD(extack, "there is no such queue");
		return -EINVAL;
	}
	return dev->ops->stats(&dev->vqs[index], msg);
}

static void op_free(struct vdpa_device *vdpa)
{
	struct vhk_dev *dev = vhk_dev_of(vdpa);

	dev->ops->free(dev);
}

const struct vdpa_config_ops vhk_config_ops = {
	.set_vq_address = op_set_vq_address,
	.set_vq_num = op_set_vq_num,
	.kick_vq = op_kick_vq,
	.set_vq_cb = op_set_vq_cb,
	.set_vq_affinity = op_set_vq_affinity,
	.get_vq_affinity = op_get_vq_affinity,
	.set_vq_ready = op_set_vq_ready,
	.get_vq_ready = op_get_vq_ready,
	.set_vq_state = op_set_vq_state,
	.get_vq_state = op_get_vq_state,
	.get_vendor_vq_stats = op_get_vendor_vq_stats,
	.get_vq_align = op_get_vq_align,
	.get_vq_group = op_get_vq_group,
	.get_device_features = op_get_device_features,
	.get_backend_features = op_get_backend_features,
	.set_driver_features = op_set_driver_features,
	.get_driver_features = op_get_driver_features,
	.set_config_cb = op_set_config_cb,
	.get_vq_num_max = op_get_vq_num_max,
	.get_device_id = op_get_device_id,
	.get_vendor_id = op_get_vendor_id,
	.get_status = op_get_status,
	.set_status = op_set_status,
	.reset = op_reset,
	.suspend = op_suspend,
	.resume = op_resume,
	.get_config_size = op_get_config_size,
	.get_config = op_get_config,
	.set_config = op_set_config,
	.get_generation = op_get_generation,
	.set_group_asid = op_set_group_asid,
	.dma_map = op_dma_map,
	.dma_unmap = op_dma_unmap,
	.reset_map = op_reset_map,
	.free = op_free,
};

/* With the change: who reads in pieces is not to take a half of each for a whole. */
static void tell(struct vhk_dev *dev)
{
	lockdep_assert_held(&dev->config_lock);
	dev->generation++;
	if (dev->config_cb.callback)
		dev->config_cb.callback(dev->config_cb.private);
}

void vhk_dev_config_changed(struct vhk_dev *dev)
{
	spin_lock_bh(&dev->config_lock);
	tell(dev);
	spin_unlock_bh(&dev->config_lock);
}

void vhk_dev_set_config(struct vhk_dev *dev, unsigned int offset, const void *buf,
			unsigned int len)
{
	spin_lock_bh(&dev->config_lock);
	memcpy(dev->config + offset, buf, len);
	tell(dev);
	spin_unlock_bh(&dev->config_lock);
}

void vhk_dev_needs_reset(struct vhk_dev *dev)
{
	bool told;

	spin_lock_bh(&dev->status_lock);
	told = dev->status & VIRTIO_CONFIG_S_NEEDS_RESET || !dev->status;
	if (!told)
		dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	spin_unlock_bh(&dev->status_lock);
	if (told)
		return;
	dev_notice_ratelimited(&dev->vdpa.dev,
			       "a ring is broken; its driver has to reset the device\n");
	vhk_dev_config_changed(dev);
}

int vhk_dev_init(struct vhk_dev *dev, const struct vhk_dev_ops *ops, u16 n_vqs)
{
	unsigned int i;
	int ret;

	dev->ops = ops;
	vhk_vdpa_set_dma(&dev->vdpa, &dev->vdpa.dev);
	dev->vdpa.dev.dma_mask = &dev->vdpa.dev.coherent_dma_mask;
	ret = dma_set_mask_and_coherent(&dev->vdpa.dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;
	mutex_init(&dev->lock);
	spin_lock_init(&dev->status_lock);
	spin_lock_init(&dev->config_lock);
	for (i = 0; i < VHK_MAX_AS; i++)
		vhk_map_init(&dev->maps[i]);
	dev->vqs = kvcalloc(n_vqs, sizeof(*dev->vqs), GFP_KERNEL_ACCOUNT);
	if (!dev->vqs)
		return -ENOMEM;
	for (i = 0; i < n_vqs; i++) {
		/* Where one fails, those behind it are nobody's. */
		dev->n_vqs = i + 1;
		ret = vhk_vq_init(&dev->vqs[i], dev, i);
		if (ret) {
			vhk_dev_stop(dev);
			return ret;
		}
		dev->vqs[i].num = dev->max_queue_size;
	}
	vhk_debugfs_add(dev);
	return 0;
}

/* Bus drivers are gone and have reset the device, or there never was one. */
void vhk_dev_stop(struct vhk_dev *dev)
{
	unsigned int i;

	vhk_debugfs_del(dev);
	mutex_lock(&dev->lock);
	give_up_all(dev);
	vhk_charge_drop(&dev->charge);
	mutex_unlock(&dev->lock);
	/* Who finished the last request may still be about to wake a worker. */
	synchronize_rcu();
	for (i = 0; i < dev->n_vqs; i++)
		vhk_vq_fini(&dev->vqs[i]);
	for (i = 0; i < VHK_MAX_AS; i++)
		vhk_map_fini(&dev->maps[i]);
}
