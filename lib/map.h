/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only door to mmap(2): regions, inflight regions, logs, memory of our own.
 */
#ifndef VHK_LIB_MAP_H
#define VHK_LIB_MAP_H

#include <stddef.h>
#include <stdint.h>

/* Maps [offset, offset + size) of @fd shared; any alignment of offset. -EINVAL: the file is shorter than that.
 * *va is the first byte of the range. */
int vhk_map_fd(void **va, int fd, uint64_t offset, uint64_t size);
void vhk_unmap_fd(void *va, uint64_t offset, uint64_t size);

/* A sealed memfd of @size bytes (shrink is impossible), mapped: fd or -errno. */
int vhk_map_memfd(void **va, const char *name, size_t size);

/* Replaces whole pages by private zeros; async-signal-safe. */
int vhk_map_replace(void *page, size_t size);

/* Anonymous private memory, page-aligned, zeroed. */
int vhk_map_anon(void **va, size_t size);
void vhk_unmap(void *va, size_t size);

#endif
