/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only door to mmap(2): regions, inflight regions, logs, memory of our own.
 */
#ifndef VHK_LIB_MAP_H
#define VHK_LIB_MAP_H

#include <stddef.h>
#include <stdint.h>

struct vhk_xen_mapping;

/* A mapped piece of a file: what was asked for starts at @va, what was mapped for it is [base, base
 * + len). */
struct vhk_map {
	unsigned char *va;
	unsigned char *base;
	size_t len;
	size_t block; /* pages of the mapping are this large */
	struct vhk_xen_mapping *xen; /* a Xen domain's grants; NULL: anything else */
};

/*
 * Maps [offset, offset + size) of @fd shared, readable and writable; any alignment of offset; huge
 * pages, too. -EINVAL: size 0, no file offset can be that large, or the file is shorter than that.
 * The length of what is no regular file (a DAX device) is unknown: only vhk_mem_fault() guards it.
 */
int vhk_map_range(struct vhk_map *m, int fd, uint64_t offset, uint64_t size);
/* The same of a file that must not be written: what is written stays here. */
int vhk_map_range_private(struct vhk_map *m, int fd, uint64_t offset, uint64_t size);
/* In two calls, for whoever has little time at once: until vhk_map_hide() a core file has it. */
int vhk_map_range_shown(struct vhk_map *m, int fd, uint64_t offset, uint64_t size);
void vhk_map_hide(const struct vhk_map *m);
void vhk_unmap_range(struct vhk_map *m);

/* The same for files of ordinary pages, without the structure; -EINVAL for huge pages, too. */
int vhk_map_fd(void **va, int fd, uint64_t offset, uint64_t size);
void vhk_unmap_fd(void *va, uint64_t offset, uint64_t size);

/* @len bytes of @fd from @offset on, both in whole pages, whatever @fd is. 0 or -errno. */
int vhk_map_file(void **va, int fd, size_t len, uint64_t offset);

/* A sealed memfd of at least @size bytes (shrink is impossible), mapped: fd or -errno. Undone by
 * vhk_unmap() and close(2). */
int vhk_map_memfd(void **va, const char *name, size_t size);

/* Room for vhk_map_again(): nothing is there, and nothing comes there. Undone by vhk_unmap(). */
int vhk_map_reserve(void **va, size_t size);

/*
 * Maps the @len bytes at @va, in whole pages and of one shared mapping, once more at @at, where
 * there is room reserved, which stays so on failure. -EOPNOTSUPP: they are private or of a device;
 * -ENOMEM. Undone by vhk_unmap().
 */
int vhk_map_again(void *at, void *va, size_t len);

/* Replaces whole pages by private zeros; async-signal-safe. */
int vhk_map_replace(void *page, size_t size);

/* An empty file for the following: fd or -errno. */
int vhk_map_nothing(void);
/*
 * Replaces what @m maps by @nothing, for whoever uses it: a SIGBUS for this process, -EFAULT for
 * the kernel. 0 or -errno: all is as it was.
 */
int vhk_map_take_away(const struct vhk_map *m, int nothing);

/*
 * Which of the pages of [page, page + size), both in whole pages, can be read without a wait for
 * what they are on: the lowest bit of a byte for each. 0 or -errno.
 */
int vhk_map_resident(const void *page, size_t size, unsigned char *in);

/* Anonymous private memory, page-aligned, zeroed. */
int vhk_map_anon(void **va, size_t size);
void vhk_unmap(void *va, size_t size);

/* The page of doorbells of ring @idx of a vDPA device, for writes only; undone by vhk_unmap(). */
int vhk_map_doorbell(void **va, int fd, unsigned int idx);

size_t vhk_page_size(void);

#endif
