/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The image behind a disk: opened, and looked at once: what kind of file it is, how long, how it
 * wants to be read, and what it can do besides.
 */
#ifndef VHK_LIB_BLK_FILE_H
#define VHK_LIB_BLK_FILE_H

#include <stdatomic.h>

#include <vhostkit/blk.h>

#include "mem.h"

/*
 * The byte of the image that servers lock. It lies beyond what any other user of byte locks on
 * images is known to take: QEMU has bytes 100 to 203, libvirt 0 and 1. A lock needs no contents, so
 * the image may well be shorter.
 */
#define VHK_BLK_LOCK_BYTE 0x76686b

/**
 * struct vhk_blk_file - an open image
 * @fd:          ours alone: its file status flags and its lock belong to the way we use it
 * @read_only:   opened for reading
 * @block:       a block device
 * @memory:      on a memory file system: calls on it never wait, and nothing outlives the machine
 * @direct:      O_DIRECT
 * @cached:      mapped for reads of what is known to be in the page cache
 * @hands_over:  io_uring makes its writes in threads of its own, always
 * @mem_align:   what addresses of O_DIRECT buffers are multiples of; 1 without
 * @io_align:    what offsets and lengths are multiples of; 1 without
 * @block_size:  logical block size, bytes
 * @phys_size:   physical block size, bytes
 * @io_min:      smallest good transfer, bytes
 * @io_opt:      best transfer, bytes; 0: unknown
 * @discard:     granularity of discards, bytes; 0: it cannot discard
 * @write_zeroes: it can write zeros without being sent them
 * @range_max:   sectors in one range of a discard or of zeros
 * @mem:         the image as a memory of one region, or NULL: it is not mapped
 * @table:       what @mem was when it was mapped
 * @mapped:      its first byte
 * @mapped_size: bytes of it; the image may have grown since
 * @holes:       part of it may not be there; any thread
 */
struct vhk_blk_file {
	int fd;
	bool read_only;
	bool block;
	bool memory;
	bool direct;
	bool cached;
	bool hands_over;
	uint32_t mem_align;
	uint32_t io_align;
	uint32_t block_size;
	uint32_t phys_size;
	uint32_t io_min;
	uint32_t io_opt;
	uint32_t discard;
	bool write_zeroes;
	uint32_t range_max;
	struct vhk_mem *mem;
	struct vhk_table *table;
	unsigned char *mapped;
	uint64_t mapped_size;
	atomic_bool holes;
};

/* Each failure is told to @o->log with the image's name. */
int vhk_blk_file_open(struct vhk_blk_file *f, const struct vhk_blk_opts *o);
void vhk_blk_file_close(struct vhk_blk_file *f);
/* Bytes, rounded down to sectors, or -errno. */
int64_t vhk_blk_file_size(const struct vhk_blk_file *f);
/*
 * Reads limits and abilities into @f, of which fd, kind and way of access are known; blk_limits.c.
 */
int vhk_blk_file_limits(struct vhk_blk_file *f, const struct vhk_blk_opts *o);

/* Maps the image where copies from and to a mapping are cheaper; blk_map.c. */
void vhk_blk_map_open(struct vhk_blk_file *f);
void vhk_blk_map_close(struct vhk_blk_file *f);
/* Looks whether all of the image is there. */
void vhk_blk_map_look(struct vhk_blk_file *f);

#endif
