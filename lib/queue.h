/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A queue of a device. While it is started, everything in the first part belongs to the thread of
 * its loop; the control thread reaches it only by the one message embedded here, which travels
 * there and back.
 */
#ifndef VHK_LIB_QUEUE_H
#define VHK_LIB_QUEUE_H

#include "device.h"
#include "loop.h"
#include "notify.h"
#include "ring.h"

/* Chains handed to the device at once, at most. */
#define VHK_QUEUE_BATCH 32

enum vhk_queue_ask {
	VHK_ASK_START,
	VHK_ASK_STOP,
	VHK_ASK_SUSPEND,
	VHK_ASK_CALL,
	VHK_ASK_KICK,
	VHK_ASK_ERR,
	VHK_ASK_ENABLE,
	VHK_ASK_TABLE,
	VHK_ASK_IOTLB,
	VHK_ASK_DIRTY,
	VHK_ASK_MISS,
};

/* One change on its way. The answer is the same node, posted back. */
struct vhk_queue_msg {
	struct vhk_work work;
	enum vhk_queue_ask ask;
	int ret;
	uint32_t base;
	struct vhk_notify notify; /* CALL, ERR: the new one in, the old one out */
	int kick_fd;		  /* KICK: likewise */
	/* START: what the ring is made from; what it owns is in the queue. */
	struct vhk_queue_setup start;
	bool on;		  /* ENABLE; MISS: it is nowhere */
	struct vhk_table *table;  /* TABLE: the new one in, the old one out */
	struct vhk_ring_place at; /* TABLE: where the ring lies in it; its view: as @table */
	bool drain;
	const struct vhk_dirty *dirty; /* DIRTY */
	uint64_t used_gpa;	       /* DIRTY */
	struct vhk_iotlb_table *iotlb; /* IOTLB: the new one in, the old one out */
	const struct iovec *gone;
	unsigned int n_gone;
};

/*
 * An IOVA that is told to the other thread, to eight bytes. What is told before the former was
 * taken takes its place.
 */
struct vhk_queue_iova {
	struct vhk_work work;
	atomic_bool posted;
	_Atomic(uint64_t) what; /* with VHK_LACKS_* in its low bits */
};
#define VHK_LACKS_PERM 0x3ull
#define VHK_LACKS_DENIED 0x4ull
#define VHK_LACKS_FLAGS 0x7ull

enum vhk_queue_state {
	VHK_QUEUE_RUNNING,
	VHK_QUEUE_LEAVING,  /* asked to stop, still in the loop */
	VHK_QUEUE_DRAINING, /* out of the loop, chains in flight */
	VHK_QUEUE_OUT,
};

struct vhk_queue {
	/* Loop's thread. */
	_Alignas(64) struct vhk_source source;
	struct vhk_ring *ring;
	struct vhk_notify call;
	int call_timer; /* > 0: a call is held back until then */
	struct vhk_device *dev;
	struct vhk_loop *loop;
	void *priv;
	uint64_t features;
	enum vhk_queue_state state;
	bool enabled;
	bool broken;
	bool suspending; /* leaves chains unanswered */
	bool pulls;	 /* the device takes chains by itself */
	bool wants;	 /* and waits for some */
	bool batch;	 /* VHK_DEVICE_F_BATCH */
	unsigned int n_pulled;
	bool table_pending; /* the answer to the message waits for chains of the old table */
	struct vhk_notify err;
	struct vhk_table *table;
	struct vhk_fault_scope scope;
	struct vhk_table *view; /* of a ring that is scattered, or NULL */
	struct vhk_fault_scope view_scope;
	const struct vhk_table *old_table; /* while @table_pending */
	struct vhk_fault_scope old_scope;
	struct vhk_table *inflight_table;
	struct vhk_fault_scope inflight_scope;
	const struct vhk_dirty *dirty; /* or NULL */
	struct vhk_fault_scope dirty_scope;
	struct vhk_iotlb_table *iotlb;
	uint64_t told; /* what it lacks, since the IOTLB changed; 0: nothing */
	int error;
	struct vhk_work error_work; /* tells the control thread of @error; once per start */
	/* Until VHK_ASK_MISS what follows is the control thread's. */
	bool miss_told;
	struct vhk_work miss_work;
	uint64_t miss_at, miss_len;
	struct vhk_queue_stats stats; /* one writer, read by anybody */

	/* To the control thread: missed or not permitted; from there: it will not be translated. */
	struct vhk_queue_iova lacks, denied;

	/* In the hand of whoever has the message. */
	struct vhk_queue_msg msg;

	/* Control thread. */
	unsigned int idx;
	bool started;
	bool rests; /* stopped for a while: the device keeps what it works with */
	bool rests_logged;
	bool starting; /* the answer to the start is not there */
};

extern const struct vhk_source_ops vhk_queue_source_ops;

/* Chains may be had from it, sooner or later. Its thread. */
static inline bool vhk_queue_usable(const struct vhk_queue *q)
{
	return q->state == VHK_QUEUE_RUNNING && q->enabled && !q->broken;
}

/* Control thread: sends q->msg, filled in, to the queue's loop. */
void vhk_queue_ask(struct vhk_queue *q);
/* Control thread, called when the message is back; device.c's. */
void vhk_queue_answered(struct vhk_work *w);
void vhk_queue_failed(struct vhk_work *w);
void vhk_queue_missed(struct vhk_work *w);
/* Makes the ring from q->msg.start, within the queue's fault scopes; whatever is there of it is the
 * queue's, even on failure. Loop's thread. */
int vhk_queue_make_ring(struct vhk_queue *q);
/* vhk_ring_miss_fn; @arg is the queue. Loop's thread. */
void vhk_queue_lacks(void *arg, uint64_t iova, uint8_t perm, bool denied);

#endif
