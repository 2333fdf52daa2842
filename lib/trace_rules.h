/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What an onlooker makes of a vhost-user conversation: which rule of the protocol a message breaks,
 * which request a reply answers, what both ends have settled. Pure: it is told of each message
 * once, in order.
 */
#ifndef VHK_LIB_TRACE_RULES_H
#define VHK_LIB_TRACE_RULES_H

#include <vhostkit/trace.h>

#include "proto.h"

#define VHK_RULES_RINGS 256
#define VHK_RULES_WAITING 64
#define VHK_VERDICT_TEXT 96

/* A request whose answer is due, or may come. */
struct vhk_rules_wait {
	uint32_t request, size;
	uint64_t when, undo;
	bool must;
};

struct vhk_rules_ring {
	bool started, has_size, has_addr;
	struct vhk_user_vring_addr addr;
};

struct vhk_rules {
	struct vhk_proto_state st;
	bool has_mem, postcopy;
	struct vhk_rules_ring ring[VHK_RULES_RINGS];
	struct vhk_rules_queue {
		struct vhk_rules_wait wait[VHK_RULES_WAITING];
		unsigned int first, n;
	} queue[2]; /* of the main channel, of the back end's */
};

struct vhk_verdict {
	bool answers, refused;
	uint64_t latency_ns;
	unsigned int n_wrong;
	char wrong[VHK_TRACE_WRONG_MAX][VHK_VERDICT_TEXT];
};

/* A message as it was seen. */
struct vhk_seen {
	const struct vhk_msg *msg; /* its fds do not count: */
	const struct vhk_trace_fd *fd; /* the first VHK_TRACE_FDS_MAX of them */
	unsigned int n_fds;
	enum vhk_trace_side from;
	bool back_channel;
	bool late_fds; /* some came behind its first byte */
	uint64_t when;
};

void vhk_rules_init(struct vhk_rules *r);
void vhk_rules_judge(struct vhk_rules *r, const struct vhk_seen *s, struct vhk_verdict *v);
/* An answer is due. */
bool vhk_rules_awaits(const struct vhk_rules *r);
/* How many answers are due; @first: the name of the request that waits longest. */
unsigned int vhk_rules_unanswered(const struct vhk_rules *r, const char **first);

#endif
