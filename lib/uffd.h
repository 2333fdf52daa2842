/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The only door to userfaultfd(2): pages of shared memory that have not arrived yet, which somebody
 * else fills in.
 */
#ifndef VHK_LIB_UFFD_H
#define VHK_LIB_UFFD_H

#include <stddef.h>

/*
 * A userfaultfd that knows shared memory and the kernel's own faults; -EPERM: this process may not
 * have one; -ENOSYS: the kernel has none, or for private memory only; what else it said.
 */
int vhk_uffd_open(void);
/* Whole pages: who touches one that is not there waits for whoever reads @fd. 0 or -errno. */
int vhk_uffd_register(int fd, void *base, size_t len);
/* Who waits for any of them looks again. */
void vhk_uffd_wake(int fd, void *base, size_t len);
/* Nobody waits any more: what is not there is zeros. */
void vhk_uffd_unregister(int fd, void *base, size_t len);

#endif
