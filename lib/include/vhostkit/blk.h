/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio disk (virtio 1.3, section 5.2) on a file or block device, as a device object that any door serves.
 */
#ifndef VHOSTKIT_BLK_H
#define VHOSTKIT_BLK_H

#include <vhostkit/device.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VHK_BLK_F_READ_ONLY 0x1
/** O_DIRECT: the page cache is left out. */
#define VHK_BLK_F_DIRECT 0x2
#define VHK_BLK_F_ALL 0x3

/**
 * struct vhk_blk_opts - a disk
 * @sz:         sizeof(struct vhk_blk_opts)
 * @path:       image or block device
 * @serial:     what GET_ID answers, up to 20 bytes; NULL: made from device and inode number
 * @flags:      VHK_BLK_F_*
 * @num_queues: 1 to 256, 0: 1
 * @queue_size: 4 to 32768, a power of two, 0: 256
 * @block_size: logical block size, 512 to 4096, a power of two, 0: the device's own, or 512
 * @lock_ms:    how long to wait for another server's lock on the image, ms. 0: default (2,000)
 * @log:        where lines go; copied
 */
struct vhk_blk_opts {
	size_t sz;
	const char *path;
	const char *serial;
	uint32_t flags;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t block_size;
	uint32_t lock_ms;
	struct vhk_log log;
};

/**
 * struct vhk_blk_stats - one queue's counters; may be read from any thread
 * @ops:    requests answered, by kind (enum vhk_blk_kind)
 * @bytes:  bytes moved, by kind
 * @errors: requests answered with an error
 * @bounced: requests that took a copy because of alignment
 */
enum vhk_blk_kind {
	VHK_BLK_READ,
	VHK_BLK_WRITE,
	VHK_BLK_FLUSH,
	VHK_BLK_DISCARD,
	VHK_BLK_WRITE_ZEROES,
	VHK_BLK_GET_ID,
	VHK_BLK_KINDS,
};

struct vhk_blk_stats {
	uint64_t ops[VHK_BLK_KINDS];
	uint64_t bytes[VHK_BLK_KINDS];
	uint64_t errors;
	uint64_t bounced;
};

VHK_API int vhk_blk_new(struct vhk_device **out, const struct vhk_blk_opts *o);
/* Looks at the image's size again and tells the driver when it changed: 1 changed, 0 not. Control thread. */
VHK_API int vhk_blk_resize(struct vhk_device *d);
VHK_API int vhk_blk_stats(const struct vhk_device *d, unsigned int queue, struct vhk_blk_stats *out);

#ifdef __cplusplus
}
#endif

#endif
