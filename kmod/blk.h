/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disk: virtio-blk (virtio 1.3, 5.2) on a disk of the registry. blk.c knows requests, blk_io.c
 * does what they ask for, blk_config.c says what is offered, blk_disk.c is what the registry calls.
 */
#ifndef VHK_BLK_H
#define VHK_BLK_H

#include <linux/bio.h>
#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/workqueue.h>

#include "disk.h"
#include "vdev.h"

#define VHK_BLK_INLINE_SEGS 16
#define VHK_BLK_MAX_RANGES 16
#define VHK_BLK_MAX_RANGE_SECTORS (1u << 22)
/* Of data in one request: more than any driver asks for at once. */
#define VHK_BLK_MAX_BYTES (256u << 20)

struct vhk_blk;

struct vhk_blk_stats {
	u64 reads, read_bytes, writes, write_bytes, flushes, discards, zeroes, errors, unsupported;
};

/* A queue's part of the disk, in lines of memory of its own. */
struct vhk_blk_queue {
	struct vhk_blk *blk ____cacheline_aligned_in_smp;
	struct vhk_blk_req *reqs; /* by id */
	struct blk_plug plug;
	void *spare;  /* for the one request that needs more room while there is no memory */
	bool starved; /* there is not even that */
	struct vhk_blk_req *before; /* data of the same batch */
	struct vhk_blk_stats stats; /* the worker's */
};

struct vhk_blk_req {
	struct vhk_done done; /* first */
	struct vhk_blk_queue *q;
	u16 n_held;
	u16 n_bv;
	u16 starts; /* all that starts of the data's pieces have of low bits */
	u16 lens;   /* and their lengths */
	u8 status;  /* VIRTIO_BLK_S_* */
	bool ended; /* nothing is to be done for it */
	bool follows; /* one of its batch, or one of those this */
	struct virtio_blk_outhdr hdr; /* our copy */
	u32 type;
	u32 in_len;
	u32 bytes;  /* of data; of a discard, the number of ranges */
	u64 sector;
	u8 *status_at; /* NULL: there is no place for it */
	struct vhk_mapping **held;
	struct bio_vec *bv;
	void *more; /* @bv and @held, where they do not fit in here */
	struct vhk_mapping *held_inline[VHK_BLK_INLINE_SEGS];
	union {
		struct bio_vec bv_inline[VHK_BLK_INLINE_SEGS];
		struct virtio_blk_discard_write_zeroes ranges[VHK_BLK_MAX_RANGES];
	};
	union {
		struct bio bio;
		struct {
			struct kiocb iocb;
			atomic_t iocb_refs; /* who began it, and who ends it */
			long ret;
		};
	};
	struct work_struct work;
};

struct vhk_blk {
	struct vhk_dev dev; /* first */
	struct vhk_disk *disk;
	struct vhk_blk_queue *queues;
	struct workqueue_struct *workqueue; /* for what may wait */
	u64 sectors;
	bool gone; /* the backing: every request fails */
	bool lost; /* something that was answered: no flush is good any more */
	errseq_t lost_since; /* of the file */
	bool write_cache; /* as the driver set it */
	u32 mem_align; /* of direct I/O to a file, less one; and of its offsets */
	u32 offset_align;
};

static inline struct vhk_blk *vhk_blk_of(struct vhk_dev *dev)
{
	return container_of(dev, struct vhk_blk, dev);
}

/* blk.c */
extern const struct vhk_dev_ops vhk_blk_ops;
int vhk_blk_init_queues(struct vhk_blk *blk, u16 n, u16 size);
void vhk_blk_fini_queues(struct vhk_blk *blk);
/* From any context: the request is over, with req->status. */
void vhk_blk_end(struct vhk_blk_req *req, u8 status);
/* Writes must be on the medium before they are answered. */
bool vhk_blk_is_durable(const struct vhk_blk *blk);

/* blk_config.c */
u64 vhk_blk_features(const struct vhk_disk *disk);
void vhk_blk_fill_config(struct vhk_blk *blk);
void vhk_blk_set_size(struct vhk_blk *blk, u64 bytes);
extern const u64 vhk_blk_all_features;

/* blk_disk.c */
extern const struct vhk_disk_user_ops vhk_blk_disk_ops;

/* blk_sysfs.c */
extern const struct attribute_group *vhk_blk_groups[];

/* blk_io.c: each ends by vhk_blk_end(). */
int vhk_blk_io_init(struct vhk_blk *blk);
/* Also of one that is not initialised. */
void vhk_blk_io_fini(struct vhk_blk *blk);
void vhk_blk_submit(struct vhk_blk_req *req); /* VIRTIO_BLK_T_IN and _OUT */
void vhk_blk_flush(struct vhk_blk_req *req);
void vhk_blk_ranges(struct vhk_blk_req *req); /* discard, write zeroes */

#endif
