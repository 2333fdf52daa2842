/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of the block device share: the disk, its queues, and a request on its way. blk.c
 * is the device, blk_config.c what the driver reads and sets, blk_req.c takes requests and answers
 * them, blk_io.c moves data, blk_range.c discards and zeroes.
 */
#ifndef VHK_LIB_BLK_IMPL_H
#define VHK_LIB_BLK_IMPL_H

#include <linux/virtio_blk.h>
#include <stdatomic.h>

#include <vhostkit/blk.h>

#include "base.h"
#include "blk_file.h"

#define VHK_BLK_SECTOR 512u
#define VHK_BLK_F(bit) (1ULL << VIRTIO_BLK_F_##bit)

/* A request has at most that many segments, header and status included. */
#define VHK_BLK_SEGS 128
/* Ranges in one discard or write-zeroes request. */
#define VHK_BLK_RANGES 64
/* The configuration space ends before the fields of features that are not offered. */
#define VHK_BLK_CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

struct vhk_blk;

/* Written by the queue's thread only; any thread may look. */
struct vhk_blk_counters {
	_Atomic uint64_t ops[VHK_BLK_KINDS];
	_Atomic uint64_t bytes[VHK_BLK_KINDS];
	_Atomic uint64_t errors;
	_Atomic uint64_t bounced;
};

/*
 * What of the mapped image is in the page cache, or was a moment ago. Every queue's thread reads
 * and writes it, one word at a time.
 */
struct vhk_blk_present {
	_Atomic(uint64_t) *part; /* NULL: nothing is known, and nobody asks */
	uint64_t n_parts;	 /* a power of two; what does not fit is forgotten */
	const unsigned char *mapped;
	uint64_t size;		 /* of the mapping, whole pages */
	uint32_t page;		 /* bytes */
	_Atomic uint32_t resume; /* ms; until then nothing is believed */
};

/* A queue's part in it. Queue's thread. */
struct vhk_blk_reader {
	struct vhk_blk_present *present; /* NULL: the image is not read through a mapping */
	uint32_t looked;		 /* at major faults, ms */
	long faults;
	uint32_t skip, pause; /* questions left out, now and after the next useless answer */
};

struct vhk_blk_queue {
	struct vhk_blk *blk;
	struct vhk_queue *q;
	struct vhk_loop *loop;
	int file; /* the image, as this loop knows it */
	bool late; /* vhk_queue_late() */
	struct vhk_fault_scope scope; /* of the image's mapping */
	struct vhk_blk_reader reader;
	int64_t image_end; /* bytes, within ops.work; -1: not asked for there */
	_Alignas(64) struct vhk_blk_counters counters;
};

struct vhk_blk {
	struct vhk_device *dev;
	struct vhk_log log;
	char *path;
	struct vhk_blk_file file;
	struct vhk_blk_present present;
	uint64_t offered;
	uint16_t queue_size;
	unsigned char id[VIRTIO_BLK_ID_BYTES];
	uint32_t lock_ms;
	uint64_t lock_since; /* 0: the lock is not waited for; control thread */
	bool lock_told;	     /* that it is; control thread */
	/* Written by the control thread, read by every queue's. */
	_Atomic uint64_t features;
	_Atomic uint64_t capacity; /* sectors */
	atomic_bool write_through;
	/*
	 * A flush failed: what the page cache then drops cannot be flushed again, so no later flush
	 * may succeed.
	 */
	atomic_bool lost;
	bool writeback; /* the driver's choice in the configuration space; control thread */
	unsigned int n_queues;
	struct vhk_blk_queue queue[];
};

struct vhk_blk_range {
	uint64_t off, len; /* bytes */
	enum vhk_io_op op;
};

/*
 * A request; it lives in the chain's context. @iov is what is still to be moved: segments of the
 * chain, without header and status. Of the chain's segments the one with the status byte is shorter
 * by it, and @cut may be moved in part, while the request is under way; both are whole again when
 * it is answered.
 */
struct vhk_blk_req {
	struct vhk_io io;
	struct vhk_blk_queue *bq;
	struct vhk_chain *chain;
	struct iovec *status; /* the segment that ends with the status byte */
	struct iovec *iov;
	unsigned int n_iov;
	enum vhk_blk_kind kind; /* VHK_BLK_KINDS: none of ours */
	struct iovec *cut, whole;
	uint64_t start;	 /* byte on the disk */
	uint64_t len;	 /* bytes to move */
	uint64_t moved;	 /* bytes moved */
	uint32_t filled; /* of the writable part, from its first byte on */
	uint8_t again;
	uint16_t n_ranges, range;
	struct iovec flat; /* the bounce buffer */
	void *mem;	   /* freed with the request: bounce buffer, ranges */
};

/* vhk_device_ops.work; blk_req.c */
void vhk_blk_work(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n);
/* Answers @req: a status of virtio 1.3, 5.2.6. @req is gone. */
void vhk_blk_finish(struct vhk_blk_req *req, uint8_t status);
/* Leaves @req to whoever runs the queue next: nothing of it is under way. @req is gone. */
void vhk_blk_give_back(struct vhk_blk_req *req);
/* The medium failed with @err (negative errno). */
void vhk_blk_fail(struct vhk_blk_req *req, int err);
/*
 * Looks at each page of @seg[0 .. n), as only an access of our own tells the fault scope of memory
 * that is missing. False: some is, or was already.
 */
bool vhk_blk_touch(const struct vhk_queue *q, const struct iovec *seg, unsigned int n);
/* Leaves the next @n bytes of @req->iov behind. */
void vhk_blk_advance(struct vhk_blk_req *req, size_t n);
/* Copies the next @n bytes of @req->iov out. */
void vhk_blk_gather(const struct vhk_blk_req *req, void *to, size_t n);
/* Copies @n bytes into the next ones of @req->iov. */
void vhk_blk_scatter(const struct vhk_blk_req *req, const void *from, size_t n);
/* One operation on the image. */
void vhk_blk_submit(struct vhk_blk_req *req, enum vhk_io_op op, uint64_t off, uint64_t len,
		    void (*done)(struct vhk_io *io, int res));
/* [sector, sector + n) is on the disk. */
bool vhk_blk_on_disk(const struct vhk_blk *blk, uint64_t sector, uint64_t n);

void vhk_blk_rw(struct vhk_blk_req *req, uint64_t sector);
void vhk_blk_flush(struct vhk_blk_req *req);
void vhk_blk_ranges(struct vhk_blk_req *req);

/* blk_map.c: moves the data of @req; false: it has to be moved otherwise. */
bool vhk_blk_map_copy(struct vhk_blk_req *req);

/* blk_present.c */
/* @mapped: @size bytes of the image, for as long as @p is used. */
void vhk_blk_present_init(struct vhk_blk_present *p, const unsigned char *mapped, uint64_t size);
void vhk_blk_present_fini(struct vhk_blk_present *p);
void vhk_blk_reader_init(struct vhk_blk_reader *r, struct vhk_blk_present *p);
/* All of [off, off + len), not empty, can be copied without a wait for the medium. */
bool vhk_blk_present_has(struct vhk_blk_reader *r, uint64_t off, uint64_t len);
/* A request moved [off, off + len), not empty, through the page cache. */
void vhk_blk_present_note(struct vhk_blk_present *p, uint64_t off, uint64_t len);
void vhk_blk_present_forget(struct vhk_blk_present *p, uint64_t off, uint64_t len);

/* blk_lock.c */
/* -EBUSY: another server has the image, still after blk->lock_ms. */
int vhk_blk_lock_open(struct vhk_blk *blk);
int vhk_blk_begin(void *priv);
void vhk_blk_end(void *priv, bool logged);

/* blk.c: as the image has it. 1: it is another one, 0: it is not. */
int vhk_blk_look_at_size(struct vhk_blk *blk);

/* blk_over.c */
int vhk_blk_hand_over(void *priv, struct vhk_parcel *p);
int vhk_blk_take_over(void *priv, struct vhk_parcel *p);

/* blk_config.c */
int vhk_blk_set_features(void *priv, uint64_t features);
int vhk_blk_get_config(void *priv, uint32_t off, void *buf, uint32_t len);
int vhk_blk_set_config(void *priv, uint32_t off, const void *buf, uint32_t len);
void vhk_blk_reset(void *priv);
uint64_t vhk_blk_offer(const struct vhk_blk *blk);

static inline void vhk_blk_count(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction is needed. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
