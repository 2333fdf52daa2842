/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the front end's generic half (requests that wait, jobs, queues) asks of a door, and what it
 * keeps.
 */
#ifndef VHK_LIB_CTL_IMPL_H
#define VHK_LIB_CTL_IMPL_H

#include <vhostkit/ctl.h>

#include "base.h"
#include "bell.h"
#include "clock.h"
#include "ration.h"

/* What woke us: kind in the upper half, queue number in the lower one. */
enum vhk_ctl_tag {
	VHK_CTL_TAG_TIMER = 0x10000,
	VHK_CTL_TAG_LISTEN = 0x20000,
	VHK_CTL_TAG_PEER = 0x30000,
	VHK_CTL_TAG_BACK = 0x40000,
	VHK_CTL_TAG_ERR = 0x50000,
};
#define VHK_CTL_TAG_KIND 0xffff0000u

struct vhk_ctl_ops {
	void (*free)(struct vhk_ctl *c);
	/*
	 * Begins a connection; the former one has ended. @again: the peer may need time to come
	 * back.
	 */
	int (*connect)(struct vhk_ctl *c, bool again);
	/* Ends the connection; everything under way is done with @why. */
	void (*disconnect)(struct vhk_ctl *c, int why);
	/* 1: up, 0: on its way, -ENOTCONN. */
	int (*link)(const struct vhk_ctl *c);
	bool (*can)(const struct vhk_ctl *c, enum vhk_ctl_op op);
	/* @deadline: CLOCK_MONOTONIC, ns. */
	int (*submit)(struct vhk_ctl *c, struct vhk_ctl_req *r, uint64_t deadline);
	/* A watched fd is ready: 0, or why the connection ended. */
	int (*event)(struct vhk_ctl *c, uint32_t tag, uint32_t events);
	/*
	 * Ends what has passed its deadline at @now (0: nothing has); the next deadline, or
	 * UINT64_MAX.
	 */
	uint64_t (*expire)(struct vhk_ctl *c, uint64_t now);
	int (*peer_pid)(const struct vhk_ctl *c);
	enum vhk_ctl_kind (*kind)(const struct vhk_ctl *c);
	const struct vhk_ctl_offer *(*offer)(const struct vhk_ctl *c);
	/*
	 * Before queues are set up; 1: those that run are to be set up again. NULL: nothing to be
	 * done, and so below.
	 */
	int (*prepare)(struct vhk_ctl *c);
	/* Before queues are asked where they stopped: whatever works on them ends. */
	int (*halt)(struct vhk_ctl *c, unsigned int first, unsigned int n);
	/* Queues are gone. */
	void (*unbind)(struct vhk_ctl *c, unsigned int first, unsigned int n);
	uint64_t always;	/* features that are taken wherever they are offered */
	unsigned int table_max; /* regions in one SET_MEM_TABLE */
	bool at_once;		/* requests are done when they were submitted */
	bool own_addresses;	/* a region is where it is mapped here, not at its uva */
	bool reads_used;	/* starts with the used ring's translation, without asking for it */
};

/* What both ends have settled. */
struct vhk_ctl_offer {
	uint64_t features_offered, features;
	uint64_t protocol_offered, protocol;
	unsigned int n_queues; /* 0: not told */
};

#define VHK_CTL_QUEUES_MAX 256

/* A kick as a message; lives until it is acknowledged, be the queue gone by then. */
struct vhk_ctl_kick;

struct vhk_ctl_queue {
	struct vhk_vq *vq;
	int kick_fd, call_fd, err_fd;
	struct vhk_ctl_kick *kick; /* NULL: none was needed */
	bool told; /* the back end may run it */
	bool running;
	bool broken;
};

struct vhk_ctl_job;

struct vhk_ctl {
	const struct vhk_ctl_ops *ops;
	struct vhk_ctl_opts opts;
	struct vhk_ctl_back back;
	struct vhk_log log;
	int epoll_fd, timer_fd;
	struct vhk_bell bell;
	struct vhk_ration lines; /* that the peer can cause without end */
	unsigned int n_translations; /* answers to misses that are under way */
	bool busy;	/* inside vhk_ctl_process() */
	bool loss_told; /* vhk_ctl_process() has returned that the peer is gone */
	int loss;	/* why the door lost it, where it says so; 0 otherwise */

	/* What setup was asked for and did; replayed by a reconnect. */
	uint64_t want, must;
	bool was_setup;
	uint64_t protocol; /* settled by the first connection; so are want and must from then on */
	struct vhk_mem *mem;
	struct vhk_region *shared; /* what the back end knows */
	unsigned int n_shared;
	uint64_t slots, slots_had; /* of this connection; of the first */
	unsigned int queues_had;
	struct vhk_ctl_inflight inflight;
	int inflight_fd;
	struct vhk_ctl_queue *queue[VHK_CTL_QUEUES_MAX];
	struct vhk_ctl_job *job;
};

/*
 * A job: steps, each of which submits requests; the next step comes when all of them are answered.
 */
struct vhk_ctl_job {
	struct vhk_ctl *c;
	/* Sets the next one, or leaves NULL: it was the last. Negative: the job fails. */
	int (*step)(struct vhk_ctl_job *j);
	void (*undo)(struct vhk_ctl_job *j);
	vhk_ctl_done_fn *done;
	void *arg;
	unsigned int pending;
	bool running;
	int ret;
	uint64_t deadline;
	unsigned int first, n; /* queues */
	uint32_t *base;
	bool set_inflight;
	bool replay;
	bool again; /* the queues that run are set up, too */
	uint64_t features, protocol;
};

int vhk_ctl_watch(struct vhk_ctl *c, int fd, uint32_t events, uint32_t tag);
int vhk_ctl_rewatch(struct vhk_ctl *c, int fd, uint32_t events, uint32_t tag);
void vhk_ctl_unwatch(struct vhk_ctl *c, int fd);
/* Arms the timer for the door's next deadline. */
void vhk_ctl_rearm(struct vhk_ctl *c);
/* @timeout_ms from now; 0: the front end's own. */
uint64_t vhk_ctl_deadline(const struct vhk_ctl *c, uint32_t timeout_ms);
/* Processes until *done; deadlines of whatever is under way see to it that it comes. */
void vhk_ctl_wait_until(struct vhk_ctl *c, const bool *done);

/* Takes the job; 0: its end will be told, or was. */
int vhk_ctl_job_start(struct vhk_ctl *c, const struct vhk_ctl_job *j);
/* One request of the current step. @r is copied. */
int vhk_ctl_job_ask(struct vhk_ctl_job *j, const struct vhk_ctl_req *r,
		    int (*answer)(struct vhk_ctl_job *j, struct vhk_ctl_req *r));
/* The same, for a request that is an op and a number. */
int vhk_ctl_job_ask_u64(struct vhk_ctl_job *j, enum vhk_ctl_op op, uint64_t v,
			int (*answer)(struct vhk_ctl_job *j, struct vhk_ctl_req *r));
/*
 * Where the peer does not acknowledge: one question more, so that the step ends when all before it
 * was read.
 */
int vhk_ctl_job_sync(struct vhk_ctl_job *j);

/* Lends a job's end to a caller that waits. */
struct vhk_ctl_waiter {
	bool done;
	int ret;
};
void vhk_ctl_waiter_done(void *arg, int ret);
int vhk_ctl_waiter_wait(struct vhk_ctl *c, struct vhk_ctl_waiter *w);

/* ctl_setup.c: tell the back end what changed in the memory. */
int vhk_ctl_share(struct vhk_ctl_job *j);

/* ctl_ring.c: all that ring @idx needs to run, which it may do then. */
int vhk_ctl_ring_ask(struct vhk_ctl_job *j, unsigned int idx);

/* ctl_queue.c */
int vhk_ctl_queue_replay(struct vhk_ctl_job *j);
void vhk_ctl_queues_free(struct vhk_ctl *c);
/* One more than the highest queue that is started, or for which there is room to note requests. */
unsigned int vhk_ctl_queues_used(const struct vhk_ctl *c);
void vhk_ctl_queue_err(struct vhk_ctl *c, unsigned int idx);

/* ctl_wait.c */
void vhk_ctl_kick_drop(struct vhk_ctl_kick *k);

/* A front end without connection: the part that is the same for every door. */
void vhk_ctl_init_empty(struct vhk_ctl *c, const struct vhk_ctl_ops *ops);

/* From a door to a front end that can be used; closes it on failure. */
int vhk_ctl_begin(struct vhk_ctl *c, const struct vhk_ctl_opts *o);

/* ctl_iotlb.c: no more is asked for translations while so many are under way. */
#define VHK_CTL_TRANSLATIONS_MAX 64
/* The device told of a translation that it lacks, or was refused one. */
void vhk_ctl_iotlb_event(struct vhk_ctl *c, const struct vhk_iotlb_msg *m);

/* ctl_user.c. "unix:PATH", "listen:PATH"; a socket. */
int vhk_ctl_user_new(struct vhk_ctl **out, const char *uri);
int vhk_ctl_user_adopt_take_fd(struct vhk_ctl **out, int fd);

/* ctl_kernel.c. "/dev/...", "vdpa:NAME"; a device. */
int vhk_ctl_kernel_new(struct vhk_ctl **out, const char *uri);
int vhk_ctl_kernel_adopt_take_fd(struct vhk_ctl **out, int fd, enum vhk_ctl_kind kind);

#endif
