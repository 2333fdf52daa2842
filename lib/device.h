/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * How a door (a vhost-user session, VDUSE) drives a device: hold it, start and stop its queues,
 * change what they work with. Every change is one record on its way through the data loops; its
 * answer comes back in the control loop.
 */
#ifndef VHK_LIB_DEVICE_H
#define VHK_LIB_DEVICE_H

#include <sys/types.h>

#include <vhostkit/device.h>
#include <vhostkit/device_ask.h>

#include "iotlb_table.h"
#include "mem.h"
#include "ring.h"

struct vhk_ask;

/* What the door that holds the device wants to hear; control thread. */
struct vhk_door_ops {
	/* The configuration space changed. */
	void (*config_changed)(void *arg);
	/* A ring broke: @err is -EBADMSG or what failed. */
	void (*queue_error)(void *arg, unsigned int idx, int err);
	/* A queue that was started with @waits met [at, at + len), of which not all is in its
	 * table: it goes on with vhk_device_miss_over(). Optional. */
	void (*queue_misses)(void *arg, unsigned int idx, uint64_t at, uint64_t len);
	/* A queue with an IOTLB waits for a translation of the page at @iova; or, with @denied,
	 * was not permitted what it tried. Only what is latest is told. For queues with one. */
	void (*queue_lacks)(void *arg, unsigned int idx, uint64_t iova, uint8_t perm,
			     bool denied);
	/* A question for the front end, as vhostkit/device_ask.h has it. Optional. */
	int (*ask)(void *arg, const struct vhk_ask *ask);
};

enum vhk_ask_kind {
	VHK_ASK_FOR_NOTIFIER,
	VHK_ASK_FOR_SHMEM_MAP,
	VHK_ASK_FOR_SHMEM_UNMAP,
	VHK_ASK_FOR_OBJECT_ADD,
	VHK_ASK_FOR_OBJECT_REMOVE,
	VHK_ASK_FOR_OBJECT_LOOKUP,
};

/* The asker's until the call that asks returns, its fd as well. */
struct vhk_ask {
	enum vhk_ask_kind kind;
	int fd; /* -1: none */
	vhk_asked_fn *done;
	void *arg;
	union {
		struct {
			unsigned int queue;
			uint64_t offset, size;
		} notifier;
		struct vhk_shmem_map shmem;
		struct vhk_uuid uuid;
	};
};

/*
 * One door at a time: -EBUSY. @ctl is the loop in whose thread changes are asked for and answered.
 */
int vhk_device_hold(struct vhk_device *d, struct vhk_loop *ctl, const struct vhk_door_ops *ops,
		    void *arg);
/*
 * Answers that are still to come are not told any more. Queues that are started stay so until they
 * have drained.
 */
void vhk_device_drop(struct vhk_device *d);

/* Whether any of its queues runs in that loop. It is held. */
bool vhk_device_runs_in(const struct vhk_device *d, const struct vhk_loop *l);

/* While two processes have the device, none of them says that its machine goes on elsewhere: what
 * ops.end() would let go of is the other's as well. */
void vhk_device_share(struct vhk_device *d, bool on);
/* Whether @d does what @ops say, so that its vhk_device_priv() is theirs. */
bool vhk_device_does(const struct vhk_device *d, const struct vhk_device_ops *ops);

int vhk_device_set_features(struct vhk_device *d, uint64_t features);
int vhk_device_get_config(struct vhk_device *d, uint32_t off, void *buf, uint32_t len);
int vhk_device_set_config(struct vhk_device *d, uint32_t off, const void *buf, uint32_t len);
int vhk_device_restore_config(struct vhk_device *d, uint32_t off, const void *buf, uint32_t len);
/* For messages that go straight to the device: the members may be NULL, and take its priv. */
const struct vhk_device_ops *vhk_device_ops(const struct vhk_device *d);
/* Whether it has a state to be moved; then the two below do it piece by piece. */
bool vhk_device_has_state(const struct vhk_device *d);
ssize_t vhk_device_save(struct vhk_device *d, uint64_t off, void *buf, size_t len);
int vhk_device_load(struct vhk_device *d, uint64_t off, const void *buf, size_t len);

/*
 * Everything a queue starts with. The device owns the fds and the table references from the call
 * on, even on failure.
 */
struct vhk_queue_setup {
	uint16_t size;
	uint64_t features;
	uint32_t base;
	struct vhk_ring_place at;      /* with a reference of its view */
	struct vhk_table *table;
	struct vhk_iotlb_table *iotlb; /* or NULL: descriptors hold guest addresses */
	const struct vhk_dirty *dirty; /* or NULL; borrowed until replaced */
	uint64_t used_gpa;	       /* UINT64_MAX: the used ring is not logged */
	void *inflight;		       /* or NULL; inside of @inflight_table */
	size_t inflight_size;
	struct vhk_table *inflight_table; /* what keeps it mapped */
	int kick_fd, call_fd, err_fd; /* -1: none */
	bool vduse; /* @call_fd is the device's file, and calls are interrupts */
	bool waits; /* for memory that is mapped when it is first met */
	bool enabled;
};

/*
 * The answer to a change, in the control thread, exactly once; never from within the call that
 * asked for it.
 * @ret: 0 or -errno. @base: vhk_device_stop_queue() only: the position, as in struct vhk_ring_opts.
 * One change is under way at a time per device: asking for a second one is -EBUSY at once.
 */
typedef void vhk_change_fn(void *arg, int ret, uint32_t base);

int vhk_device_start_queue(struct vhk_device *d, unsigned int idx, struct vhk_queue_setup *s,
			   vhk_change_fn *fn, void *arg);
/* A start that waits for what the device works with (vhk_device_ops.begin) is given up. */
void vhk_device_hurry(struct vhk_device *d);

/* Pops no more; answered when nothing is in flight and all is published. */
int vhk_device_stop_queue(struct vhk_device *d, unsigned int idx, vhk_change_fn *fn, void *arg);
/* The same for a queue that is started again soon: the device keeps what it works with (struct
 * vhk_device_ops, end) until that start, or vhk_device_rest_over(). */
int vhk_device_rest_queue(struct vhk_device *d, unsigned int idx, vhk_change_fn *fn, void *arg);
void vhk_device_rest_over(struct vhk_device *d, unsigned int idx);
/*
 * The same without waiting for requests: what the device gives back is left in the inflight region.
 * A queue that has none is drained.
 */
int vhk_device_suspend_queue(struct vhk_device *d, unsigned int idx, vhk_change_fn *fn, void *arg);
/*
 * Stops every queue (no answer to the driver is lost); answered when all are out. Started or not.
 */
int vhk_device_stop_all(struct vhk_device *d, vhk_change_fn *fn, void *arg);

/*
 * -1: none. The fd is owned by the device even on failure; the replaced one is closed when no loop
 * uses it.
 */
int vhk_device_set_call(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn,
			void *arg);
int vhk_device_set_kick(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn,
			void *arg);
int vhk_device_set_err(struct vhk_device *d, unsigned int idx, int fd, vhk_change_fn *fn,
			void *arg);
int vhk_device_set_enabled(struct vhk_device *d, unsigned int idx, bool on, vhk_change_fn *fn,
			   void *arg);

/*
 * A new memory table for all started queues (a reference is taken). @find tells where a queue lies
 * in it, and leaves the view's reference to the device; called in the control thread before
 * anything is sent: non-zero stops that queue with an error.
 * @arg: goes to @find and to @fn.
 * @drain: answered only when no chain uses an older table (regions went away), else when all loops
 *         have swapped.
 */
int vhk_device_set_table(struct vhk_device *d, struct vhk_table *t, bool drain,
			 int (*find)(void *arg, unsigned int idx, struct vhk_ring_place *at),
			 vhk_change_fn *fn, void *arg);
/*
 * The answer to queue_misses, behind the table that has it. @nowhere: there is no such memory, and
 * the chain is handed out with VHK_CHAIN_F_FAULT.
 */
int vhk_device_miss_over(struct vhk_device *d, unsigned int idx, bool nowhere, vhk_change_fn *fn,
			 void *arg);
/*
 * Other translations for all started queues, which have an IOTLB (a reference is taken). Answered
 * when no chain points into any of @gone, which is borrowed until then.
 */
int vhk_device_set_iotlb(struct vhk_device *d, struct vhk_iotlb_table *t, const struct iovec *gone,
			 unsigned int n_gone, vhk_change_fn *fn, void *arg);
/* The page at @iova, which queue @idx missed, will not be translated. */
void vhk_device_deny(struct vhk_device *d, unsigned int idx, uint64_t iova);
/*
 * Dirty log for all started queues; NULL: none. Answered when no loop writes into the former one.
 * @used_gpa tells where a queue's used ring is logged, called in the control thread before anything
 * is sent; UINT64_MAX: nowhere.
 * @arg: goes to @used_gpa and to @fn.
 */
int vhk_device_set_dirty(struct vhk_device *d, const struct vhk_dirty *dirty,
			 uint64_t (*used_gpa)(void *arg, unsigned int idx), vhk_change_fn *fn,
			 void *arg);
/* No queue is started. */
void vhk_device_reset(struct vhk_device *d);
bool vhk_device_queue_started(const struct vhk_device *d, unsigned int idx);

#endif
