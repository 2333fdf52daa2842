/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory over the front end: tables and regions, translations, the dirty log, and memory that
 * arrives late (postcopy). Level 1: one function for each message. "A code as above" is one of
 * those that open vhostkit/ctl.h, which includes this.
 */
#ifndef VHOSTKIT_CTL_MEM_H
#define VHOSTKIT_CTL_MEM_H

#include <vhostkit/ctl_msg.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * vhk_ctl_set_mem_table() - SET_MEM_TABLE: share memory, in place of what was shared
 * @c: the front end
 * @m: 1 to 32 regions, all of them are sent; borrowed for the call, and so are their fds
 *
 * Kernel vhost: needs no fds; the regions are known to it by where @m has them mapped. vDPA: each
 * region is mapped at the IOVA that its guest address is, in address space 0 and in one batch.
 * Return: 0; -EINVAL there is no region, or one has no fd; -EMSGSIZE more than 32 (kernel vhost: as
 * many as its module takes, 64 by default); vDPA: as vhk_ctl_iotlb(); or a code as above.
 */
VHK_API int vhk_ctl_set_mem_table(struct vhk_ctl *c, const struct vhk_mem *m);

/**
 * vhk_ctl_get_max_mem_slots() - GET_MAX_MEM_SLOTS: how many regions the back end takes one by one
 * @c:   the front end
 * @out: their number, as the back end says it
 *
 * Needs VHK_PF_CONFIGURE_MEM_SLOTS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_max_mem_slots(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_add_mem_reg() - ADD_MEM_REG: share one region more
 * @c:  the front end
 * @r:  where it lies; borrowed for the call
 * @fd: its file; borrowed for the call
 *
 * Needs VHK_PF_CONFIGURE_MEM_SLOTS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_add_mem_reg(struct vhk_ctl *c, const struct vhk_region *r, int fd);

/**
 * vhk_ctl_rem_mem_reg() - REM_MEM_REG: share one region less
 * @c: the front end
 * @r: guest address, front-end address and size say which; borrowed for the call
 *
 * Needs VHK_PF_CONFIGURE_MEM_SLOTS. When it is acknowledged the back end has unmapped it.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_rem_mem_reg(struct vhk_ctl *c, const struct vhk_region *r);

/**
 * vhk_ctl_iotlb() - IOTLB_MSG: map, unmap, or frame a batch of both
 * @c: the front end
 * @m: UPDATE, INVALIDATE, BATCH_BEGIN or BATCH_END; borrowed for the call
 *
 * Kernel vhost and vhost-user need VHK_F_ACCESS_PLATFORM. There, an UPDATE replaces what it
 * overlaps. On a vDPA device it pins memory (unless the device works on virtual addresses), @m->uva
 * lies in this process, all of it comes in whole pages, and overlap is an error; batches and
 * address spaces are for vDPA only, and need their bits in the backend features. An INVALIDATE
 * there covers whole mappings. To vhost-user, batches are -EOPNOTSUPP; an address space, an UPDATE
 * that is empty or permits nothing, and whatever a back end would send are -EINVAL.
 *
 * The kernel says -EFAULT to whatever is wrong with a vDPA mapping. What can be known is told
 * apart:
 * Return: 0; -EEXIST it overlaps a mapping of this front end; -ERANGE it lies outside the device's
 * range (vhk_ctl_get_iova_range()); -ENOMEM it exceeds RLIMIT_MEMLOCK, the log says by how much;
 * -EINVAL there is no such address space, a batch of another one is under way, or it is empty,
 * wraps around, is not in whole pages or cuts a mapping in two; -EFAULT the kernel refused it for
 * another reason; or a code as above.
 */
VHK_API int vhk_ctl_iotlb(struct vhk_ctl *c, const struct vhk_iotlb_msg *m);

/**
 * vhk_ctl_set_log_fd() - SET_LOG_FD: what tells of writes into the log
 * @c:  the front end
 * @fd: eventfd, borrowed for the call; -1 (kernel vhost only): none
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_log_fd(struct vhk_ctl *c, int fd);

/**
 * vhk_ctl_set_log_base() - SET_LOG_BASE: where the back end notes the pages that it writes
 * @c:  the front end
 * @l:  borrowed for the call
 * @fd: its file with VHK_PF_LOG_SHMFD, borrowed for the call; -1 without
 *
 * It does so while VHK_F_LOG_ALL is set, which may be set and taken back while rings run
 * (vhk_ctl_set_features()); used rings are noted where vhk_ctl_set_vring_addr() says so. Bits are
 * taken with an atomic exchange, before their pages are copied.
 * Return: 0; -EINVAL the log is of size 0 or wraps around, or there is a file without
 * VHK_PF_LOG_SHMFD; -EREMOTEIO: it is smaller than the
 * memory, for example; or a code as above.
 */
VHK_API int vhk_ctl_set_log_base(struct vhk_ctl *c, const struct vhk_ctl_log *l, int fd);

/**
 * vhk_ctl_get_shmem_config() - GET_SHMEM_CONFIG: the device's shared memory regions
 * @c:   the front end
 * @out: filled in
 *
 * Needs VHK_PF_SHMEM. The back end's requests to map are granted from then on.
 * Return: 0; -EPROTO a size is no multiple of the page size; or a code as above.
 */
VHK_API int vhk_ctl_get_shmem_config(struct vhk_ctl *c, struct vhk_ctl_shmem *out);

/**
 * vhk_ctl_postcopy_advise() - POSTCOPY_ADVISE: memory may arrive after the guest has started
 * @c:  the front end
 * @fd: a userfaultfd of the back end's, the caller's to close; -1 on failure. Its faults are to be
 *      served by another thread than the one that talks to the back end
 *
 * Needs VHK_PF_PAGEFAULT, and that VHK_PF_CONFIGURE_MEM_SLOTS was not negotiated.
 * Return: 0; -EREMOTEIO the back end cannot; or a code as above.
 */
VHK_API int vhk_ctl_postcopy_advise(struct vhk_ctl *c, int *fd);

/**
 * vhk_ctl_postcopy_listen() - POSTCOPY_LISTEN: from here on pages may be missing
 * @c: the front end, after vhk_ctl_postcopy_advise()
 *
 * Memory is shared by vhk_ctl_set_mem_table_bases() from here on.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_postcopy_listen(struct vhk_ctl *c);

/**
 * vhk_ctl_set_mem_table_bases() - SET_MEM_TABLE between POSTCOPY_LISTEN and POSTCOPY_END
 * @c:    the front end
 * @m:    as for vhk_ctl_set_mem_table()
 * @base: of each region, in the order of vhk_mem_get(), its address in the back end: what the
 *        addresses of faults are relative to. Room for 32
 *
 * The memory is in force, and faults come, after vhk_ctl_accept_bases().
 * Return: as vhk_ctl_set_mem_table(); -EPROTO the answer is about other regions.
 */
VHK_API int vhk_ctl_set_mem_table_bases(struct vhk_ctl *c, const struct vhk_mem *m, uint64_t *base);

/**
 * vhk_ctl_accept_bases() - the second half of vhk_ctl_set_mem_table_bases()
 * @c:  the front end
 * @ok: false: the bases are of no use, the back end is to forget the table
 *
 * Not acknowledged.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_accept_bases(struct vhk_ctl *c, bool ok);

/**
 * vhk_ctl_postcopy_end() - POSTCOPY_END: all memory has arrived
 * @c: the front end
 *
 * The back end's userfaultfd tells of nothing after this.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_postcopy_end(struct vhk_ctl *c);

#ifdef __cplusplus
}
#endif

#endif
