/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the two ends of vhost-user lend each other beside the guest's memory: files that are known
 * by a UUID (vhost-user, "Shared objects"), and files that a device maps into shared memory regions
 * of its own (virtio 1.3, 2.10).
 */
#ifndef VHOSTKIT_SHARE_H
#define VHOSTKIT_SHARE_H

#include <vhostkit/vhk.h>

/**
 * struct vhk_uuid - the name of a shared object
 * @bytes: in the order of the wire: the first three fields big endian; neither all zeros nor all
 *         ones
 */
struct vhk_uuid {
	unsigned char bytes[16];
};

/** The driver may write to the piece as well as read it. */
#define VHK_SHMEM_F_WRITE 0x1
#define VHK_SHMEM_F_ALL 0x1

/** Shared memory regions that a device can have. */
#define VHK_SHMEM_MAX 256

/**
 * struct vhk_shmem_map - a piece of a file inside a shared memory region
 * @id:        which region (virtio's shmid)
 * @flags:     VHK_SHMEM_F_*
 * @fd_offset: where the piece starts in its file, bytes; 0 where it is taken away
 * @offset:    where it starts in the region, bytes, a multiple of the page size
 * @len:       bytes, a multiple of the page size, not 0
 */
struct vhk_shmem_map {
	uint8_t id;
	uint32_t flags;
	uint64_t fd_offset;
	uint64_t offset;
	uint64_t len;
};

#endif
