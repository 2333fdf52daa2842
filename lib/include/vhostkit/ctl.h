/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front end: drives a data plane, whichever door it stands behind. Level 2 sets up and starts in a few calls;
 * level 1 has one function per message, so that a VMM can replay an order of its own.
 */
#ifndef VHOSTKIT_CTL_H
#define VHOSTKIT_CTL_H

#include <vhostkit/mem.h>
#include <vhostkit/vhk.h>
#include <vhostkit/vq.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_ctl;

/**
 * struct vhk_ctl_opts - how a front end talks
 * @sz:         sizeof(struct vhk_ctl_opts)
 * @timeout_ms: longest wait for the peer in one call, ms. 0: default (5,000)
 * @flags:      VHK_CTL_F_*
 * @log:        where lines go; copied
 */
struct vhk_ctl_opts {
	size_t sz;
	uint32_t timeout_ms;
	uint32_t flags;
	struct vhk_log log;
};

/* "unix:PATH", "fd:N" (a connected or listening vhost-user socket; taken), "listen:PATH" (waits for the back end). */
VHK_API int vhk_ctl_open(struct vhk_ctl **out, const char *uri, const struct vhk_ctl_opts *o);
VHK_API void vhk_ctl_close(struct vhk_ctl *c);

/* Level 2. */
/* Negotiates @want (fails with -EOPNOTSUPP where one of @must is missing), claims, shares @m: pipelined. */
VHK_API int vhk_ctl_setup(struct vhk_ctl *c, uint64_t want, uint64_t must, struct vhk_mem *m);
/* What setup settled on. */
VHK_API uint64_t vhk_ctl_features(const struct vhk_ctl *c);
VHK_API uint64_t vhk_ctl_protocol_features(const struct vhk_ctl *c);
/* The queue is started and enabled; kick and call eventfds are made here. */
VHK_API int vhk_ctl_start(struct vhk_ctl *c, unsigned int idx, struct vhk_vq *q);
/* Stops it after what is in flight is answered; *base may be NULL. */
VHK_API int vhk_ctl_stop(struct vhk_ctl *c, unsigned int idx, uint32_t *base);
VHK_API int vhk_ctl_kick(struct vhk_ctl *c, unsigned int idx);
/* Arms, looks, sleeps until a call or @timeout_ns (-1: no limit): 0, -ETIMEDOUT, -ENOTCONN. */
VHK_API int vhk_ctl_wait(struct vhk_ctl *c, unsigned int idx, int64_t timeout_ns);
/* Connects anew after -ENOTCONN and replays features, memory, inflight region and started queues. */
VHK_API int vhk_ctl_reconnect(struct vhk_ctl *c);

#ifdef __cplusplus
}
#endif

#endif
