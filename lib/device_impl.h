/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The inside of a device, shared by device.c, device_start.c, device_change.c and queue.c.
 */
#ifndef VHK_LIB_DEVICE_IMPL_H
#define VHK_LIB_DEVICE_IMPL_H

#include "queue.h"

/* The one change that is under way. Control thread. */
struct vhk_change {
	unsigned int pending; /* messages that are not back, and the answer itself */
	vhk_change_fn *fn;    /* NULL: whoever asked is gone */
	void *arg;
	int ret;
	uint32_t base;
	struct vhk_work answer; /* keeps the answer out of the call that asked */
};

struct vhk_device {
	struct vhk_device_info info;
	struct vhk_device_ops ops;
	void *priv;
	struct vhk_queue *queue; /* info.n_queues */
	struct vhk_loop **loops;
	unsigned int n_loops;
	uint64_t call_delay_ns;
	struct vhk_loop *ctl; /* of the last door that held it */
	const struct vhk_door_ops *door;
	void *door_arg;
	struct vhk_change change;
	bool shared; /* vhk_device_share() */
	bool begun;  /* ops.begin() was, ops.end() is to come */
	bool hurry;  /* a start that waits for ops.begin() is not worth it any more */
};

/* device_change.c: one change at a time, -EBUSY. It is answered when what was asked is back, and
 * vhk_change_end() was called. */
int vhk_change_begin(struct vhk_device *d, vhk_change_fn *fn, void *arg);
void vhk_change_end(struct vhk_device *d);

void vhk_queue_init(struct vhk_queue *q, struct vhk_device *d, unsigned int idx);

#endif
