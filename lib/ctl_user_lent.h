/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a back end was granted over its channel: objects that it offers, pieces of shared memory
 * that it maps. Who granted it keeps the books, so that nothing is granted twice, only what was
 * granted is taken back, and all of it is when the back end is gone.
 */
#ifndef VHK_LIB_CTL_USER_LENT_H
#define VHK_LIB_CTL_USER_LENT_H

#include "ctl_impl.h"

struct vhk_ctl_user_lent {
	struct vhk_uuid *object;
	unsigned int n_objects;
	struct vhk_shmem_map *map;
	unsigned int n_maps;
	bool sizes_known;
	uint64_t size[VHK_SHMEM_MAX]; /* of the shared memory regions */
};

void vhk_ctl_user_lent_sizes(struct vhk_ctl_user_lent *l, const struct vhk_ctl_shmem *s);
/* Takes all pieces of shared memory back (a reset), or all that was granted. */
void vhk_ctl_user_lent_unmap(struct vhk_ctl_user_lent *l, struct vhk_ctl *c);
void vhk_ctl_user_lent_drop(struct vhk_ctl_user_lent *l, struct vhk_ctl *c);
int vhk_ctl_user_lent_add(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			  const struct vhk_uuid *id);
int vhk_ctl_user_lent_remove(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			     const struct vhk_uuid *id);
/* Whether the page of @fd that kicks are to go to can be mapped, to be written: 0 or why not. */
int vhk_ctl_user_lent_doorbell(int fd, uint64_t at, uint64_t len);
/* Owns @fd. */
int vhk_ctl_user_lent_map(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			  const struct vhk_shmem_map *m, int fd);
int vhk_ctl_user_lent_take(struct vhk_ctl_user_lent *l, struct vhk_ctl *c,
			   const struct vhk_shmem_map *m);

#endif
