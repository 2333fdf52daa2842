/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A software vDPA device: what every kind of device has. vdev.c has the operations of the bus,
 * vq.c the queues, worker.c a way to work on them; what requests mean is the business of struct
 * vhk_dev_ops.
 */
#ifndef VHK_VDEV_H
#define VHK_VDEV_H

#include <linux/cache.h>
#include <linux/cpumask.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vdpa.h>

#include "charge.h"
#include "map.h"
#include "ring.h"

#define VHK_CONFIG_MAX 128
#define VHK_MAX_AS 2 /* groups of queues, and address spaces */

struct vhk_dev;
struct vhk_vq;

/* What became of a chain: on its way from vhk_vq_done() to the worker. */
struct vhk_done {
	struct llist_node node;
	struct vhk_vq *vq;
	/* What goes into the ring. */
	u16 id, n_desc;
	u32 len;
};

/* How the queues of a kind of device are worked on. But for @kick, the device's lock is held. */
struct vhk_queue_ops {
	bool reads; /* a queue that runs may be in a read section of its map at any time */
	int (*init)(struct vhk_vq *vq);
	void (*fini)(struct vhk_vq *vq);
	/* The ring is set up. */
	void (*start)(struct vhk_vq *vq);
	/*
	 * Returns when all that was taken is answered and published, nobody looks at the ring, and
	 * the driver is not called any more.
	 */
	void (*stop)(struct vhk_vq *vq);
	/* Interrupts are off, or locks of who kicks are held: only wakes. */
	void (*kick)(struct vhk_vq *vq);
};

struct vhk_dev_ops {
	u32 id; /* VIRTIO_ID_* */
	const struct vhk_queue_ops *queues;
	/* The group of a queue, which can depend on what was negotiated. NULL: there is one. */
	u32 (*group)(const struct vhk_vq *vq);
	/* -EINVAL: features that need others. NULL: there are none such. */
	int (*check_features)(u64 features);
	/* Adds attributes to a netlink message. NULL: there are no statistics of this kind. */
	int (*stats)(struct vhk_vq *vq, struct sk_buff *msg);
	/*
	 * Of devices whose queues have workers:
	 *
	 * Before chains are taken, where it may wait.
	 */
	void (*prepare)(struct vhk_vq *vq);
	/*
	 * Takes a chain, within the read section in which it was found: holds what is needed for
	 * longer, and does not wait. NULL: not before the next prepare().
	 */
	struct vhk_done *(*take)(struct vhk_vq *vq, const struct vhk_chain *c);
	/*
	 * The @n that were taken last are begun. Each goes to vhk_vq_done(), before or later,
	 * whatever happens.
	 */
	void (*begin)(struct vhk_vq *vq, unsigned int n);
	/*
	 * Ends what vhk_vq_done() announced: the worker calls it. Gives the references back.
	 */
	void (*finish)(struct vhk_done *done);
	/*
	 * The driver wrote to the config space, or nothing at a reset: what it wrote before is to
	 * be forgotten then. The device's lock is held.
	 */
	void (*config)(struct vhk_dev *dev, unsigned int offset, const void *buf, unsigned int len);
	/* Goes with the last reference. */
	void (*free)(struct vhk_dev *dev);
};

enum vhk_vq_state { VHK_VQ_IDLE, VHK_VQ_RUNNING, VHK_VQ_STOPPING };

/*
 * Queues are worked on by processors of their own: no two have a line of memory together that is
 * written while they run, but for the map's count of readers, which a worker changes as it wakes
 * and sleeps. In each, what others write lies apart.
 */
struct vhk_vq {
	struct vhk_dev *dev ____cacheline_aligned_in_smp;
	u16 index;

	/* As the driver set them, under the device's lock. */
	u64 desc;
	u64 driver;
	u64 device;
	u32 num;
	bool ready;
	struct vdpa_vq_state pos;

	/* Changes under the device's lock. They release what was set up, and looks acquire it. */
	enum vhk_vq_state state;

	/* As it was asked for: the driver's thread alone. */
	bool has_affinity;
	struct cpumask affinity;

	/* Works on it, and goes where it is told to; NULL: nobody in particular. */
	struct task_struct *worker;
	struct completion stopped;
	struct vhk_done **order; /* chains as they were taken, a ring of the queue's size */
	bool in_order;
	void *priv; /* of the kind of device */

	/* Who kicks, and who finishes chains. */
	unsigned long kicked ____cacheline_aligned_in_smp;
	atomic_long_t n_kicks;
	struct llist_head done; /* chains that others finished */

	/* Of whoever works on the queue. */
	struct vhk_ring ring ____cacheline_aligned_in_smp;
	u64 n_calls;
	/* Those that the worker itself did, in order. */
	struct llist_node *own, **own_end;
	/* Set up before the queue runs, then changed by the worker alone; statistics look. */
	unsigned int n_in_flight;
	bool charged; /* to whom the device is */
	bool alone; /* one request came, and none behind it */
	u16 order_head, order_tail;

	spinlock_t cb_lock; /* @cb, held while it runs */
	struct vdpa_callback cb;
};

struct vhk_dev {
	struct vdpa_device vdpa; /* first: the core allocates and frees all of it */
	const struct vhk_dev_ops *ops;
	struct vhk_map maps[VHK_MAX_AS];
	u16 max_queue_size;
	u16 max_segs;
	u16 max_indirect;
	u64 offered;

	struct mutex lock; /* negotiation, queues' set-up, starting and stopping */
	u64 features;
	bool suspended;
	bool gives_up; /* a reset, or the end, waits for the requests */
	bool own_kernel; /* a driver of this kernel uses it */
	u8 asid[VHK_MAX_AS]; /* of each group */
	u16 n_vqs;
	struct vhk_vq *vqs;
	struct vhk_charge charge;
	u32 poll_us; /* how long a worker looks before it sleeps */
	struct dentry *debugfs;

	spinlock_t status_lock; /* changes of @status: also workers make some */
	u8 status;

	spinlock_t config_lock; /* the config space, and @config_cb while it runs */
	u8 config[VHK_CONFIG_MAX];
	u16 config_size;
	u32 generation; /* of @config */
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

/* vdpa_main.c: the module stays while there is one. */
void vhk_dev_born(void);
void vhk_dev_gone(void);

/* debugfs.c: the files of a device whose queues are initialised, and of none any more. */
void vhk_debugfs_init(void);
void vhk_debugfs_exit(void);
void vhk_debugfs_add(struct vhk_dev *dev);
void vhk_debugfs_del(struct vhk_dev *dev);

/* vq.c: under the device's lock, but for the kick. */
int vhk_vq_init(struct vhk_vq *vq, struct vhk_dev *dev, u16 index);
void vhk_vq_fini(struct vhk_vq *vq);
void vhk_vq_start(struct vhk_vq *vq);
void vhk_vq_stop(struct vhk_vq *vq);
void vhk_vq_kick(struct vhk_vq *vq);
struct vhk_map *vhk_vq_map(struct vhk_vq *vq);
u32 vhk_vq_group(const struct vhk_vq *vq);

/* The chain that was taken as the @pos-th, while it or one behind it is not given back. */
static inline struct vhk_done **vhk_vq_taken(const struct vhk_vq *vq, u16 pos)
{
	return &vq->order[pos & (vq->dev->max_queue_size - 1)];
}

static inline enum vhk_vq_state vhk_vq_state(const struct vhk_vq *vq)
{
	/* pairs with the release in vhk_vq_set_state() */
	return smp_load_acquire(&vq->state);
}

static inline void vhk_vq_set_state(struct vhk_vq *vq, enum vhk_vq_state state)
{
	/* pairs with the acquire in vhk_vq_state() */
	smp_store_release(&vq->state, state);
}

/* For whoever works on a running queue. */
void vhk_vq_call(struct vhk_vq *vq);
/* Makes visible what was given back, and calls the driver where it wants that. */
static inline void vhk_vq_publish(struct vhk_vq *vq)
{
	if (vhk_ring_publish(&vq->ring) > 0)
		vhk_vq_call(vq);
}

/* worker.c */
extern const struct vhk_queue_ops vhk_worker_ops;
/* From any context. The chain's memory is not touched after this by whoever calls. */
void vhk_vq_done(struct vhk_done *done);

#endif
