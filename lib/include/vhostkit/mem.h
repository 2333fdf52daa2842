/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory: a table of regions, each known by its guest-physical address, by the front end's
 * address and by where it is mapped here. The table is what a front end shares and a back end
 * receives (vhost-user, "Memory region description").
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

/*
 * A table belongs to one thread at a time. Rings and loops work on snapshots of it: whoever changes
 * a table need not wait for them, and what a snapshot needs stays mapped until its last user is
 * gone.
 */
struct vhk_mem;

/**
 * struct vhk_region - one piece of guest memory
 * @gpa:    guest-physical address of its first byte
 * @uva:    the front end's address of its first byte
 * @size:   bytes, 1 to INT64_MAX, no alignment asked for; its last byte is at 2^64 - 1 at most, by
 *          @gpa and by @uva
 * @offset: where the region starts in its file, bytes, no alignment asked for
 */
struct vhk_region {
	struct vhk_gpa gpa;
	struct vhk_uva uva;
	uint64_t size;
	uint64_t offset;
};

/**
 * vhk_mem_new() - make an empty table
 * @out: the table; the caller frees it
 *
 * Return: 0, or -ENOMEM.
 */
VHK_API int vhk_mem_new(struct vhk_mem **out);

/**
 * vhk_mem_free() - drop a table
 * @m: the table, or NULL. Its regions stay mapped until the last ring or loop that works on them is
 *     gone
 */
VHK_API void vhk_mem_free(struct vhk_mem *m);

/**
 * vhk_mem_add_take_fd() - map a region of a file into a table
 * @m:  the table; as it was if this fails
 * @r:  the region; copied
 * @fd: file of at least @r->offset + @r->size bytes; closed in every case, once it is mapped: what
 *      a back end received. Memory that a front end shares: vhk_mem_add_keep_take_fd()
 *
 * The mapping is shared, readable and writable. A file on huge pages is mapped by whole pages of
 * its own. If the file shrinks later, see vhk_mem_fault().
 *
 * Return: 0; -EINVAL: @fd is negative, the size is 0, something wraps around, or the file is too
 * short; -EEXIST: it overlaps a region of the table, by guest address or by front-end address;
 * -EMSGSIZE: the table is full; -ENOMEM; what mmap(2) reported (-EACCES, -ENODEV).
 */
VHK_API int vhk_mem_add_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd);

/**
 * vhk_mem_add_keep_take_fd() - the same, of memory that is to be shared
 * @m:  as there
 * @r:  as there; @r->uva is what the back end is told of it: where the caller has it mapped, or any
 *      other number
 * @fd: as there, but kept open on success; closed when the region was removed and no ring or loop
 *      works on it any more. To keep the file for oneself: dup(2)
 *
 * What a VMM hands to vhk_ctl_setup() as its guest's memory; vhk_mem_get() lends the fd. The table
 * maps the file, too, whether the caller has or not: rings and buffers are to be addressed as
 * vhk_mem_find() tells. Each region keeps an fd, two regions of one file two: up to
 * VHK_MEM_SLOTS_MAX of them count against RLIMIT_NOFILE. The file may lie on hugetlbfs. One that is
 * sealed against shrinking (F_SEAL_SHRINK) spares both ends what vhk_mem_fault() is about.
 *
 * Return: as vhk_mem_add_take_fd().
 */
VHK_API int vhk_mem_add_keep_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd);

/**
 * vhk_mem_add_va() - put memory of the caller's into a table
 * @m:  the table; as it was if this fails
 * @r:  the region; copied. @r->offset is kept, not used
 * @va: its first byte; stays mapped until the region and every snapshot of it is gone. It has no
 *      fd, so it cannot be shared by socket
 *
 * Return: as vhk_mem_add_take_fd(); -EINVAL: @va is NULL or wraps around; -EEXIST: also if it
 * overlaps another region's memory.
 */
VHK_API int vhk_mem_add_va(struct vhk_mem *m, const struct vhk_region *r, void *va);

/**
 * vhk_mem_alloc() - make memory that can be shared
 * @m:    the table; as it was if this fails
 * @at:   guest address of its first byte
 * @size: bytes, not 0
 * @va:   its first byte, page-aligned, zeroed; the table's. The front-end address of the region is
 *        the same number
 *
 * The memory is a memfd sealed against changes of its size; vhk_mem_get() lends its fd.
 *
 * Return: 0, or as vhk_mem_add_take_fd().
 */
VHK_API int vhk_mem_alloc(struct vhk_mem *m, struct vhk_gpa at, size_t size, void **va);

/**
 * vhk_mem_del() - take a region out of a table
 * @m: the table
 * @r: the region; guest address, front-end address and size all have to match (vhost-user,
 *     REM_MEM_REG)
 *
 * Return: 0; -EFAULT: there is no such region; -ENOMEM.
 */
VHK_API int vhk_mem_del(struct vhk_mem *m, const struct vhk_region *r);

/**
 * vhk_mem_count() - number of regions
 * @m: the table
 *
 * Return: 0 to VHK_MEM_SLOTS_MAX.
 */
VHK_API unsigned int vhk_mem_count(const struct vhk_mem *m);

/**
 * vhk_mem_get() - look at a region
 * @m:  the table
 * @i:  which, in the order of guest addresses, from 0
 * @r:  filled with the region, or NULL
 * @fd: filled with its fd, or NULL. Borrowed: valid until the region is removed; -1 where it was
 *      closed or never was
 *
 * Return: 0; -EINVAL: there is no region @i.
 */
VHK_API int vhk_mem_get(const struct vhk_mem *m, unsigned int i, struct vhk_region *r, int *fd);

/**
 * vhk_mem_find() - translate a guest range
 * @m:   the table
 * @at:  first guest address
 * @len: bytes
 * @seg: filled with the pieces, in order; a range may cross adjacent regions. Unspecified on error
 * @max: room in @seg
 *
 * Return: number of pieces, 0 for an empty range; -EFAULT: not all of it lies in regions; -ENOBUFS:
 * @max is too small.
 */
VHK_API int vhk_mem_find(const struct vhk_mem *m, struct vhk_gpa at, uint64_t len,
			 struct iovec *seg, int max);

/**
 * vhk_mem_find_uva() - translate a range of front-end addresses
 * @m:   the table
 * @at:  first front-end address
 * @len: bytes
 * @seg: as in vhk_mem_find()
 * @max: room in @seg
 *
 * Return: as vhk_mem_find().
 */
VHK_API int vhk_mem_find_uva(const struct vhk_mem *m, struct vhk_uva at, uint64_t len,
			     struct iovec *seg, int max);

/**
 * vhk_mem_gpa() - where the guest sees memory of ours
 * @m:   the table
 * @va:  first byte
 * @len: bytes, not 0, inside one region
 * @out: guest address of @va
 *
 * Return: 0; -EFAULT: it lies in no region.
 */
VHK_API int vhk_mem_gpa(const struct vhk_mem *m, const void *va, size_t len, struct vhk_gpa *out);

/**
 * vhk_mem_fault() - keep a process alive whose peer shrank a file of guest memory
 * @addr: si_addr of a SIGBUS
 *
 * For the application's SIGBUS handler; the library installs none. Where @addr lies in a region
 * that a loop works with in this very thread, the page is replaced by zeros of our own (after a
 * thousand of them all up to the region's end), the instruction may run again, and the loop ends
 * the session.
 * Async-signal-safe.
 *
 * Return: true: return from the handler; false: the fault is none of ours.
 */
VHK_API bool vhk_mem_fault(void *addr);

#ifdef __cplusplus
}
#endif

#endif
