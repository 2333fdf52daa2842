/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As compat.h, of what only kernels with vDPA have.
 */
#ifndef VHK_COMPAT_VDPA_H
#define VHK_COMPAT_VDPA_H

#include <linux/vdpa.h>

#include "probes.h"

/* A device whose buffers are mapped by the DMA interface, for @dev. */
#ifdef HAVE_VDPA_MAP

#define vhk_vdpa_alloc(type, member, parent, ops, n_groups, n_as, name)                            \
	vdpa_alloc_device(type, member, parent, ops, NULL, n_groups, n_as, name, false)

static inline void vhk_vdpa_set_dma(struct vdpa_device *vdpa, struct device *dev)
{
	vdpa->vmap.dma_dev = dev;
}

#else

#define vhk_vdpa_alloc(type, member, parent, ops, n_groups, n_as, name)                            \
	vdpa_alloc_device(type, member, parent, ops, n_groups, n_as, name, false)

static inline void vhk_vdpa_set_dma(struct vdpa_device *vdpa, struct device *dev)
{
	vdpa->dma_dev = dev;
}

#endif

#endif
