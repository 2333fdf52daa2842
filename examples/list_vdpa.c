// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The vDPA devices of this machine, and what became of each: a node for a virtual machine monitor,
 * a network interface, a disk, or nothing yet.
 *
 *   list_vdpa
 */
#include <stdio.h>
#include <string.h>
#include <vhostkit/vdpa.h>

static int print(void *arg, const struct vhk_vdpa_dev *d)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	struct vhk_vdpa_config c = { .sz = sizeof(c) };
	const char *what;

	if (vhk_vdpa_place(d->name, &p))
		return 0; /* it went meanwhile */
	what = *p.node ? p.node : *p.net ? p.net : *p.block ? p.block : "free";
	printf("%s (virtio device %u, %u queues): %s", d->name, d->id, d->max_vqs, what);
	if (!vhk_vdpa_config_get(arg, d->name, &c) && c.has & VHK_VDPA_BLK_CAPACITY)
		printf(", %llu bytes", (unsigned long long)c.blk.capacity * 512);
	putchar('\n');
	return 0;
}

int main(void)
{
	struct vhk_vdpa *v;
	int ret = vhk_vdpa_open(&v, NULL);

	if (ret) {
		fprintf(stderr, "vDPA: %s (modprobe vdpa?)\n", strerror(-ret));
		return 1;
	}
	ret = vhk_vdpa_dev_dump(v, print, v);
	if (ret)
		fprintf(stderr, "vDPA: %s\n", vhk_vdpa_error(v));
	vhk_vdpa_close(v);
	return ret != 0;
}
