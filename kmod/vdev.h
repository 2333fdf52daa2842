/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A software vDPA device: what every kind of device has. vdev.c has the operations of the bus,
 * vq.c the queues and their workers; what requests mean is the business of struct vhk_dev_ops.
 */
#ifndef VHK_VDEV_H
#define VHK_VDEV_H

#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vdpa.h>

#include "map.h"
#include "ring.h"

#define VHK_CONFIG_MAX 128

struct vhk_dev;
struct vhk_vq;

/* What became of a chain: on its way from vhk_vq_done() to the worker. */
struct vhk_done {
	struct llist_node node;
	struct vhk_vq *vq;
};

struct vhk_dev_ops {
	u32 id; /* VIRTIO_ID_* */
	/*
	 * Takes a chain; its references are the callee's. What is returned goes to vhk_vq_done(),
	 * before or later, whatever happens.
	 */
	struct vhk_done *(*take)(struct vhk_vq *vq, const struct vhk_chain *c);
	/*
	 * Ends what vhk_vq_done() announced: the worker calls it. Gives the references back, and
	 * tells what goes into the ring.
	 */
	void (*finish)(struct vhk_done *done, u16 *id, u16 *n_desc, u32 *len);
	/* Around a batch of take(). */
	void (*batch)(struct vhk_vq *vq, bool begin);
	/*
	 * The driver wrote to the config space, or nothing at a reset: what it wrote before is to
	 * be forgotten then. The device's lock is held.
	 */
	void (*config)(struct vhk_dev *dev, unsigned int offset, const void *buf, unsigned int len);
	/* Goes with the last reference. */
	void (*free)(struct vhk_dev *dev);
};

enum vhk_vq_state { VHK_VQ_IDLE, VHK_VQ_RUNNING, VHK_VQ_STOPPING };

struct vhk_vq {
	struct vhk_dev *dev;
	u16 index;
	struct task_struct *worker;

	/* As the driver set them, under the device's lock. */
	u64 desc;
	u64 driver;
	u64 device;
	u32 num;
	bool ready;
	struct vdpa_vq_state pos;

	/*
	 * IDLE to RUNNING and RUNNING to STOPPING under the device's lock, back to IDLE by the
	 * worker. Changes release what was set up for them, and looks acquire it.
	 */
	enum vhk_vq_state state;
	struct completion stopped;
	unsigned long kicked;
	struct llist_head done;
	atomic_long_t n_kicks;

	/* The worker's alone. */
	struct vhk_ring ring;
	unsigned int n_in_flight;
	bool in_order;
	struct vhk_done **order; /* chains as they were taken, a ring of the queue's size */
	u16 order_head, order_tail;
	u64 n_calls;

	spinlock_t cb_lock; /* @cb, held while it runs */
	struct vdpa_callback cb;
	void *priv; /* of the kind of device */
};

struct vhk_dev {
	struct vdpa_device vdpa; /* first: the core allocates and frees all of it */
	const struct vhk_dev_ops *ops;
	struct vhk_map map;
	u16 max_queue_size;
	u16 max_segs;
	u16 max_indirect;
	u64 offered;

	struct mutex lock; /* negotiation, queues' set-up, starting and stopping */
	u64 features;
	bool suspended;
	u16 n_vqs;
	struct vhk_vq *vqs;

	spinlock_t status_lock; /* changes of @status: also workers make some */
	u8 status;

	spinlock_t config_lock; /* the config space, and @config_cb while it runs */
	u8 config[VHK_CONFIG_MAX];
	u16 config_size;
	u32 generation;
	struct vdpa_callback config_cb;
};

static inline struct vhk_dev *vhk_dev_of(const struct vdpa_device *vdpa)
{
	return container_of(vdpa, struct vhk_dev, vdpa);
}

/* @dev: from the core, zeroed but for what it set. A failure leaves nothing behind. */
int vhk_dev_init(struct vhk_dev *dev, const struct vhk_dev_ops *ops, u16 n_vqs);
/* After the device is unregistered: no request is left and no worker. */
void vhk_dev_stop(struct vhk_dev *dev);
/* Changes the config space and tells the driver. */
void vhk_dev_set_config(struct vhk_dev *dev, unsigned int offset, const void *buf,
			unsigned int len);
void vhk_dev_config_changed(struct vhk_dev *dev);
/* A ring is broken. */
void vhk_dev_needs_reset(struct vhk_dev *dev);
extern const struct vdpa_config_ops vhk_config_ops;

int vhk_vq_init(struct vhk_vq *vq, struct vhk_dev *dev, u16 index);
void vhk_vq_fini(struct vhk_vq *vq);
void vhk_vq_start(struct vhk_vq *vq);
void vhk_vq_stop(struct vhk_vq *vq);
void vhk_vq_kick(struct vhk_vq *vq);
/* From any context. The chain's memory is not touched after this by whoever calls. */
void vhk_vq_done(struct vhk_done *done);

#endif
