// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Statistics on request: one line for each queue that was ever used.
 */
#include <inttypes.h>

#include "vhk-blk.h"

static void print_queue(unsigned int i, const struct vhk_queue_stats *q,
			const struct vhk_blk_stats *b)
{
	say("queue %u: requests %" PRIu64 " in-flight %" PRIu64 " kicks %" PRIu64 " calls %" PRIu64
	    " batches %" PRIu64 " read %" PRIu64 " (%" PRIu64 " bytes) write %" PRIu64 " (%" PRIu64
	    " bytes) flush %" PRIu64 " discard %" PRIu64 " zero %" PRIu64 " errors %" PRIu64
	    " bounced %" PRIu64,
	    i, q->requests, q->in_flight, q->kicks, q->calls, q->rounds, b->ops[VHK_BLK_READ],
	    b->bytes[VHK_BLK_READ], b->ops[VHK_BLK_WRITE], b->bytes[VHK_BLK_WRITE],
	    b->ops[VHK_BLK_FLUSH], b->ops[VHK_BLK_DISCARD], b->ops[VHK_BLK_WRITE_ZEROES], b->errors,
	    b->bounced);
}

void stats_print(const struct vhk_device *d)
{
	unsigned int i, used = 0, n = vhk_device_info(d)->n_queues;
	struct vhk_queue_stats q;
	struct vhk_blk_stats b;

	for (i = 0; i < n; i++) {
		if (vhk_device_stats(d, i, &q) || vhk_blk_stats(d, i, &b) ||
		    !(q.requests + q.kicks))
			continue;
		print_queue(i, &q, &b);
		used++;
	}
	if (!used)
		say("%u queues, none used yet", n);
}
