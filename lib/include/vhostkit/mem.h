/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory: a table of regions, each known by its guest-physical address, by the front end's address and by
 * where it is mapped here. The table is what a front end shares and a back end receives.
 */
#ifndef VHOSTKIT_MEM_H
#define VHOSTKIT_MEM_H

#include <sys/uio.h>

#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Largest number of regions in one table (what QEMU asks for at most). */
#define VHK_MEM_SLOTS_MAX 509

struct vhk_mem;

/**
 * struct vhk_region - one piece of guest memory
 * @gpa:    guest-physical address of its first byte
 * @uva:    the front end's address of its first byte
 * @size:   bytes, not 0; neither @gpa + @size nor @uva + @size wraps
 * @offset: where the region starts in its file, bytes
 */
struct vhk_region {
	struct vhk_gpa gpa;
	struct vhk_uva uva;
	uint64_t size;
	uint64_t offset;
};

VHK_API int vhk_mem_new(struct vhk_mem **out);
VHK_API void vhk_mem_free(struct vhk_mem *m);

/* Maps @fd shared, readable and writable, checks that the file is long enough, closes @fd in every case. */
VHK_API int vhk_mem_add_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd);

/* Memory that the caller mapped and keeps mapped until the region is gone; no fd, so it cannot be shared by socket. */
VHK_API int vhk_mem_add_va(struct vhk_mem *m, const struct vhk_region *r, void *va);

/* A region made here: sealed memfd, uva = our own address, kept open for sharing. */
VHK_API int vhk_mem_alloc(struct vhk_mem *m, struct vhk_gpa at, size_t size, void **va);

VHK_API int vhk_mem_del(struct vhk_mem *m, const struct vhk_region *r);
VHK_API unsigned int vhk_mem_count(const struct vhk_mem *m);
/* Region @i in the order of guest addresses; *fd is borrowed, -1 where it was closed or never was. */
VHK_API int vhk_mem_get(const struct vhk_mem *m, unsigned int i, struct vhk_region *r, int *fd);

/* Number of segments (a range may cross adjacent regions), -EFAULT, -ENOBUFS when @max is too small. */
VHK_API int vhk_mem_find(const struct vhk_mem *m, struct vhk_gpa at, uint64_t len,
			 struct iovec *seg, int max);
VHK_API int vhk_mem_find_uva(const struct vhk_mem *m, struct vhk_uva at, uint64_t len,
			     struct iovec *seg, int max);
VHK_API int vhk_mem_gpa(const struct vhk_mem *m, const void *va, size_t len, struct vhk_gpa *out);

/* For a SIGBUS handler: true when the address lay in a region of a loop's current table and was replaced by zeros. */
VHK_API bool vhk_mem_fault(void *addr);

#ifdef __cplusplus
}
#endif

#endif
