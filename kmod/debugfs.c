// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/vhostkit/DEVICE/queueN: where a queue stands. For people; nothing to rely on.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "vdev.h"

static struct dentry *root;

static const char *state_name(enum vhk_vq_state state)
{
	switch (state) {
	case VHK_VQ_IDLE:
		return "idle";
	case VHK_VQ_RUNNING:
		return "running";
	default:
		return "stopping";
	}
}

/* Without a lock, which a device that waits for its medium holds: all of it is read as it is. */
static int queue_show(struct seq_file *m, void *unused)
{
	const struct vhk_vq *vq = m->private;
	const struct vhk_ring *r = &vq->ring;

	seq_printf(m, "ready %d\nstate %s\n", READ_ONCE(vq->ready), state_name(vhk_vq_state(vq)));
	seq_printf(m, "desc 0x%llx\ndriver 0x%llx\ndevice 0x%llx\nentries %u\n",
		   READ_ONCE(vq->desc), READ_ONCE(vq->driver), READ_ONCE(vq->device),
		   READ_ONCE(vq->num));
	seq_printf(m, "layout %s\nindirect %d\nevent_idx %d\nin_order %d\n",
		   READ_ONCE(r->packed) ? "packed" : "split", READ_ONCE(r->indirect),
		   READ_ONCE(r->event_idx), READ_ONCE(vq->in_order));
	seq_printf(m, "avail %u\nused %u\ntaken %u\nin_flight %u\nerror %d\n", READ_ONCE(r->avail),
		   READ_ONCE(r->used), READ_ONCE(r->n_slots), READ_ONCE(vq->n_in_flight),
		   READ_ONCE(r->err));
	seq_printf(m, "kicks %ld\ncalls %llu\n", atomic_long_read(&vq->n_kicks),
		   READ_ONCE(vq->n_calls));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queue);

void vhk_debugfs_add(struct vhk_dev *dev)
{
	char name[16];
	unsigned int i;

	dev->debugfs = debugfs_create_dir(dev_name(&dev->vdpa.dev), root);
	for (i = 0; i < dev->n_vqs; i++) {
		snprintf(name, sizeof(name), "queue%u", i);
		debugfs_create_file(name, 0400, dev->debugfs, &dev->vqs[i], &queue_fops);
	}
}

void vhk_debugfs_del(struct vhk_dev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
}

void vhk_debugfs_init(void)
{
	root = debugfs_create_dir("vhostkit", NULL);
}

void vhk_debugfs_exit(void)
{
	debugfs_remove_recursive(root);
}
