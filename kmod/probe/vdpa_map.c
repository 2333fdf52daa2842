// SPDX-License-Identifier: GPL-2.0-only
/* A vDPA device says by a structure of its own, and not by a device, how buffers are mapped for
 * it. */
#include <linux/vdpa.h>

void probe(struct vdpa_device *vdpa, struct device *dev);
void probe(struct vdpa_device *vdpa, struct device *dev)
{
	vdpa->map = NULL;
	vdpa->vmap.dma_dev = dev;
}
