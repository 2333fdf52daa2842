/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The inside of the VDUSE door. vduse.c opens and closes, vduse_msg.c reads requests and answers
 * them, vduse_queue.c starts and stops queues, vduse_mem.c keeps the memory table, vduse_log.c the
 * file of what is in flight. Control thread only.
 */
#ifndef VHK_LIB_VDUSE_IMPL_H
#define VHK_LIB_VDUSE_IMPL_H

#include <linux/virtio_config.h>

#include <vhostkit/vduse.h>

#include "base.h"
#include "device.h"
#include "ration.h"
#include "vduse_kernel.h"

struct vduse_log {
	struct vhk_mem *mem; /* the file by itself; NULL: none */
	unsigned char *va;
	char path[512];
};

struct vduse_queue {
	uint32_t base; /* where it stopped */
	bool has_base;
	bool started;
	bool wanted; /* SET_VQ_READY says so, and the kernel will */
	bool waits;  /* for what another server has, which was told */
	bool misses;
	uint64_t miss_at, miss_len;
	int kick;     /* eventfd, -1: none */
	bool watched; /* @kick, by the control loop: it tells when a queue becomes ready */
	uint16_t size;
	uint64_t desc, driver, device; /* IOVAs of a started queue */
};

/* What is done with the device in steps, one at a time. */
enum vduse_task {
	VDUSE_TASK_NONE,
	VDUSE_TASK_REQUEST, /* serves v->req, answered at its end */
	VDUSE_TASK_START,   /* queues that are ready */
	VDUSE_TASK_MISS,
};

struct vhk_vduse;
/* What the answer to a change leads to: 0 or -errno, or VDUSE_LATER: the device was asked again. */
typedef int vduse_step_fn(struct vhk_vduse *v, int ret, uint32_t base);
#define VDUSE_LATER 1

struct vhk_vduse {
	struct vhk_loop *ctl;
	struct vhk_device *dev;
	struct vhk_vduse_opts o;
	char name[VDUSE_NAME_MAX];
	int control, fd;
	uint64_t api;
	uint64_t offered; /* virtio features, as the kernel knows them */
	uint64_t extras;  /* VHK_VDUSE_F_* in force */
	uint16_t n_queues;
	bool created; /* by us, in this open */
	bool watched; /* the loop watches fd */
	bool broken;
	bool closing;
	bool stopped;	  /* closing, and all queues are out */
	bool left_behind; /* closed, but the device still works with the memory */

	uint8_t status;
	bool features_set;
	uint64_t features; /* negotiated, as the queues see them */
	bool running;	   /* DRIVER_OK */
	bool suspended;
	bool config_owed; /* the driver is to be told of a change once it runs */
	struct vhk_mem *mem;
	struct vduse_log log;
	struct vduse_queue *queue; /* n_queues */

	enum vduse_task task;
	vduse_step_fn *step;
	int (*then)(struct vhk_vduse *v); /* what follows when queues have stopped */
	unsigned int cursor;
	struct vduse_dev_request req;
	struct vduse_dev_response resp;
	const char *why; /* the request fails, static */
	int patience;	 /* timer, 0: none */
	bool answered_up; /* what the request brings begins with its answer */

	bool starting; /* as soon as the kernel lets interrupts through */
	bool recovering;
	int start_timer; /* 0: none */
	uint64_t start_pause;
	struct vhk_ration lines;
};

#define vduse_log_line(v, level, fmt, ...)                                                         \
	vhk_log_rationed(&(v)->o.log, &(v)->lines, level, "%s: " fmt, (v)->name, ##__VA_ARGS__)

static inline bool vduse_packed(const struct vhk_vduse *v)
{
	return v->features & VHK_F_RING_PACKED;
}

/* vduse_msg.c */
/* Tasks run one at a time: false, another one does. */
bool vhk_vduse_begin(struct vhk_vduse *v, enum vduse_task task);
/* @ret: of the first step. */
void vhk_vduse_go(struct vhk_vduse *v, int ret);
/* For vhk_device_*(): the task goes on with v->step. */
void vhk_vduse_changed(void *arg, int ret, uint32_t base);
/* @ret is what asking the device returned. */
int vhk_vduse_wait(struct vhk_vduse *v, int ret, vduse_step_fn *step);
int vhk_vduse_watch(struct vhk_vduse *v);
void vhk_vduse_unwatch(struct vhk_vduse *v);
/* The kernel has given the device up. */
void vhk_vduse_break(struct vhk_vduse *v);
void vhk_vduse_tell(struct vhk_vduse *v, enum vhk_vduse_state state);

/* vduse_queue.c */
int vhk_vduse_accept_features(struct vhk_vduse *v);
/* Queues can be started once the driver is known to run: looked at now and again. */
void vhk_vduse_start_soon(struct vhk_vduse *v);
/* Those that could not be, again: after a pause that is twice as long each time. */
void vhk_vduse_start_wanted(struct vhk_vduse *v);
void vhk_vduse_start_never(struct vhk_vduse *v);
/* Steps: stop all started queues, or the one that the cursor stands at; note where. */
int vhk_vduse_stop_all(struct vhk_vduse *v, int (*then)(struct vhk_vduse *v));
int vhk_vduse_stop_one(struct vhk_vduse *v, unsigned int idx, int (*then)(struct vhk_vduse *v));
/* Starts the queue that v->cursor stands at, if it is ready. */
int vhk_vduse_start_one(struct vhk_vduse *v, vduse_step_fn *step);
bool vhk_vduse_any_started(const struct vhk_vduse *v);
/* Of queues that are not ready: nothing is begun for them any more. */
void vhk_vduse_unwatch_kicks(struct vhk_vduse *v);
void vhk_vduse_drop_kicks(struct vhk_vduse *v);
/* For vhk_device_set_table(). */
int vhk_vduse_find_ring(void *arg, unsigned int idx, struct vhk_ring_place *at);
/* Where a queue that is not started would go on. */
int vhk_vduse_position(struct vhk_vduse *v, unsigned int idx, uint32_t *base);
/* Whether the driver has set DRIVER_OK; tells it that the configuration may have changed. */
bool vhk_vduse_probe(struct vhk_vduse *v);

/* vduse_mem.c */
/* Maps what the kernel has in [start, last] and the table has not, as far as there is room. */
int vhk_vduse_map(struct vhk_vduse *v, uint64_t start, uint64_t last);
/* The same for all that a queue is in. */
int vhk_vduse_map_ring(struct vhk_vduse *v, const struct vduse_queue *q);
/* Regions that touch [start, last] leave the table. */
int vhk_vduse_unmap(struct vhk_vduse *v, uint64_t start, uint64_t last);
/* For queues that miss something, one after the other. */
void vhk_vduse_serve_misses(struct vhk_vduse *v);

/* vduse_log.c */
void vhk_vduse_log_path(struct vhk_vduse *v, const char *path);
int vhk_vduse_log_make(struct vhk_vduse *v);
/* -ENODATA: it is not there, or is no such file; -EEXIST: of a device of another shape. */
int vhk_vduse_log_open(struct vhk_vduse *v);
void vhk_vduse_log_close(struct vhk_vduse *v);
void vhk_vduse_log_remove(struct vhk_vduse *v);
/* Nothing is in flight; positions start anew. */
void vhk_vduse_log_reset(struct vhk_vduse *v, unsigned int idx);
void vhk_vduse_log_find(const struct vhk_vduse *v, unsigned int idx, void **va, size_t *size);

#endif
