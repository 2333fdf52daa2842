/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio disk (virtio 1.3, section 5.2) on a file or block device, as a device object that any
 * door serves. Requests go straight between the driver's memory and the image; a flush is on the
 * medium before it is answered.
 */
#ifndef VHOSTKIT_BLK_H
#define VHOSTKIT_BLK_H

#include <vhostkit/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The image is opened for reading, and the driver told so (VIRTIO_BLK_F_RO). */
#define VHK_BLK_F_READ_ONLY 0x1
/**
 * O_DIRECT: the page cache is left out. Memory of the driver that is not aligned as the medium asks
 * goes through a buffer; requests in smaller units than the medium's are errors. No effect on a
 * memory file system.
 */
#define VHK_BLK_F_DIRECT 0x2
/**
 * Reads of what is in the page cache are copied from a mapping of the image, which takes half the
 * time of reading it from there by system call; the kernel is asked now and then what is there. For
 * images on disk file systems and block devices, without O_DIRECT; ignored for others. An error of
 * the medium may be met as a SIGBUS then: for applications whose handler of it calls
 * vhk_mem_fault() (vhostkit/mem.h).
 */
#define VHK_BLK_F_MAP 0x4
/**
 * A virtual machine comes here from another server, which works on the image still: the lock on it
 * is taken when the first queue starts.
 */
#define VHK_BLK_F_INCOMING 0x8
#define VHK_BLK_F_ALL 0xf

/**
 * struct vhk_blk_opts - a disk
 * @sz:         sizeof(struct vhk_blk_opts)
 * @path:       image or block device; borrowed for the call. An image on a memory file system is
 *               mapped: as for guest memory, the application's SIGBUS handler calls
 *               vhk_mem_fault() (vhostkit/mem.h), for the day that the image is cut short
 * @serial:     what GET_ID answers, up to 20 bytes; NULL: made from device and inode number
 * @flags:      VHK_BLK_F_*
 * @num_queues: 1 to 256, 0: 1
 * @queue_size: 4 to 32768, a power of two, 0: 1024, which QEMU 10 lets drivers
 *              choose whatever its device was configured with
 * @block_size: logical block size, bytes: 512 to 4096, a power of two, not less than the medium's;
 *              0: the medium's own, or 512
 * @lock_ms:    how long to wait for another server's lock on the image, ms. 0: default (5,000)
 * @log:        where lines go; copied. Queues' threads call it, too
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
 * enum vhk_blk_kind - kinds of requests (virtio 1.3, 5.2.6), as statistics count them
 * @VHK_BLK_READ:         VIRTIO_BLK_T_IN
 * @VHK_BLK_WRITE:        VIRTIO_BLK_T_OUT
 * @VHK_BLK_FLUSH:        VIRTIO_BLK_T_FLUSH
 * @VHK_BLK_DISCARD:      VIRTIO_BLK_T_DISCARD
 * @VHK_BLK_WRITE_ZEROES: VIRTIO_BLK_T_WRITE_ZEROES
 * @VHK_BLK_GET_ID:       VIRTIO_BLK_T_GET_ID
 * @VHK_BLK_KINDS:        how many there are
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

/**
 * struct vhk_blk_stats - one queue's counters since the disk was made
 * @ops:     requests answered, by kind (enum vhk_blk_kind); those of unknown kind are only errors
 * @bytes:   bytes moved, by kind
 * @errors:  requests answered with VIRTIO_BLK_S_IOERR or VIRTIO_BLK_S_UNSUPP
 * @bounced: requests that took a copy because of alignment
 */
struct vhk_blk_stats {
	uint64_t ops[VHK_BLK_KINDS];
	uint64_t bytes[VHK_BLK_KINDS];
	uint64_t errors;
	uint64_t bounced;
};

/**
 * vhk_blk_new() - make a disk
 * @out: the device; the caller's, freed by vhk_device_free()
 * @o:   which image, and how; borrowed for the call
 *
 * Locks one byte of the image (an OFD lock far behind what QEMU and libvirt lock): exclusively, or
 * shared where the disk is read-only. The lock of a server that was killed is held until its last
 * request has left the kernel, so that none of its writes can land after a later one of this disk;
 * it is waited for. Blocks for up to @o->lock_ms, and for what opening a file takes.
 *
 * A disk that stops while its driver's writes are logged (VHK_F_LOG_ALL) lets go of the lock: the
 * virtual machine has moved. It takes it again when a queue starts, as a disk with
 * VHK_BLK_F_INCOMING does; a queue that does not get it in time is not started (-EBUSY).
 *
 * Every failure but -ENOMEM and wrong options is told to @o->log in one line that names the image.
 *
 * Return: 0, -EINVAL (options; image neither file nor block device, or not a multiple of the block
 * size), -EBUSY (another server has the image), -EISDIR, -EOPNOTSUPP (unknown flag, or no O_DIRECT
 * on that file system), -ENOMEM, or what opening the image failed with.
 */
VHK_API int vhk_blk_new(struct vhk_device **out, const struct vhk_blk_opts *o);

/**
 * vhk_blk_resize() - look at the image's size again
 * @d: from vhk_blk_new()
 *
 * Tells the driver of a new size (virtio 1.3, 5.2.5 "configuration change"). Requests beyond the
 * end fail from then on; those under way go on, reading zeros beyond the end. Control thread.
 *
 * Return: 1 changed, 0 not, -EINVAL (@d is no disk), or what asking for the size failed with.
 */
VHK_API int vhk_blk_resize(struct vhk_device *d);

/**
 * vhk_blk_wants_writer() - whether writes of the image are worth a writer
 * @d: from vhk_blk_new()
 *
 * They are where the image is a file of ext4 that is written through the page cache: each write may
 * wait there, for the journal, say. See vhk_loop_set_writer().
 *
 * Return: true: they are.
 */
VHK_API bool vhk_blk_wants_writer(const struct vhk_device *d);

/**
 * vhk_blk_stats() - read a queue's counters
 * @d:     from vhk_blk_new()
 * @queue: 0 to num_queues - 1
 * @out:   the caller's; each counter is right, though not all of the same moment
 *
 * Any thread, while the disk exists.
 *
 * Return: 0, -EINVAL (@d is no disk, or has no such queue).
 */
VHK_API int vhk_blk_stats(const struct vhk_device *d, unsigned int queue,
			  struct vhk_blk_stats *out);

#ifdef __cplusplus
}
#endif

#endif
