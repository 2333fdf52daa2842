/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What vhk bench notify measures: rings between two threads of this process. The driver is the
 * caller; the back end answers each request at once, and is told of work in one of several ways.
 */
#ifndef VHK_TOOL_NOTIFY_H
#define VHK_TOOL_NOTIFY_H

#include <pthread.h>
#include <stdatomic.h>

#include <vhostkit/backend.h>
#include <vhostkit/ctl.h>
#include <vhostkit/ring.h>

#define NOTIFY_RINGS_MAX 256
#define NOTIFY_DEPTH_MAX 64

enum notify_way {
	NOTIFY_EPOLL, /* level-triggered, a read and a write each time: what most back ends do */
	NOTIFY_SLEEP, /* the library's loop, which never spins */
	NOTIFY_SPIN,  /* the same as it is by default */
	NOTIFY_MUX,   /* NOTIFY_SLEEP by a multiplexer of /dev/vhostkit */
	NOTIFY_WAYS,
};

struct notify_opts {
	enum notify_way way;
	unsigned int n_rings;
	bool packed, event_idx;
	int driver_cpu, back_cpu; /* -1: anywhere */
};

struct notify_ring {
	struct vhk_vq *vq;
	int kick_fd, call_fd; /* NOTIFY_EPOLL: our own */
	void *buf;	      /* of one request for all */
	struct vhk_ring *dev; /* NOTIFY_EPOLL: the back end's view */
};

struct notify {
	struct notify_opts o;
	struct vhk_mem *mem;
	struct notify_ring ring[NOTIFY_RINGS_MAX];
	int calls; /* an epoll of the call fds, edge-triggered, as the driver waits for it */

	/* The back end. */
	pthread_t thread;
	bool started;
	atomic_bool over;
	atomic_int err;
	_Atomic(uint64_t) came; /* when the last batch of requests was begun with, ns */
	int kicks;		/* NOTIFY_EPOLL */
	_Atomic(uint64_t) syscalls;
	struct vhk_loop *loop; /* otherwise */
	struct vhk_device *dev;
	struct vhk_backend *back;
	struct vhk_ctl *ctl;
};

/* Both ends, with nothing under way. Says what failed; EXIT_FAILED. -ENODEV: no such way here. */
int notify_open(struct notify **out, const struct notify_opts *o);
void notify_close(struct notify *n);

/* The driver's side; 0 or -errno, and nothing is said. */
int notify_add(struct notify *n, unsigned int ring);
int notify_kick(struct notify *n, unsigned int ring);

/* Spent by the back end so far. */
uint64_t notify_cpu_ns(const struct notify *n);
uint64_t notify_syscalls(const struct notify *n);

#endif
