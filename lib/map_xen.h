/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory of another Xen domain (vhost-user, "Memory region description", XEN_MMAP): mapped by frame
 * number or by grant, through a device file of Xen's that the front end hands over.
 */
#ifndef VHK_LIB_MAP_XEN_H
#define VHK_LIB_MAP_XEN_H

#include "map.h"

/* As on the wire. */
#define VHK_XEN_FOREIGN 0x1u
#define VHK_XEN_GRANT 0x2u
/* Not to be mapped as a whole: every access by a mapping of its own. */
#define VHK_XEN_NO_ADVANCE 0x100u

/* How the system is asked; a test has calls of its own. Each: 0 or -errno. */
struct vhk_xen_calls {
	int (*map)(void **va, int fd, size_t len, uint64_t offset);
	int (*control)(int fd, unsigned long request, void *arg);
};
extern const struct vhk_xen_calls vhk_xen_system;

/*
 * Maps the pages that hold [@gpa, @gpa + @size) of domain @domid; undone by vhk_unmap_range(). @fd
 * is borrowed. -EINVAL: neither or both of FOREIGN and GRANT, or more than 64 GiB; -EOPNOTSUPP:
 * NO_ADVANCE; what the system said.
 */
int vhk_map_xen(struct vhk_map *m, int fd, uint64_t gpa, uint64_t size, uint32_t flags,
		uint32_t domid, const struct vhk_xen_calls *calls);
/* vhk_unmap_range()'s: what else there is to undo. */
void vhk_xen_release(struct vhk_map *m);

#endif
