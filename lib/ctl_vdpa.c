// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What is special about vDPA at the kernel's doors: a device status that queues must be set up
 * before, and a reset that all of them share. Translations are in ctl_vdpa_map.c.
 */
#include <linux/virtio_config.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctl_kernel.h"
#include "fd.h"

#define STATUS_DRIVER (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define STATUS_FEATURES (STATUS_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)

static void config_watch(struct vhk_ctl_kernel *k)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_SET_CONFIG_CALL };
	int ret;

	r.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = r.fd < 0 ? -errno : vhk_ctl_kernel_do(k, &r);
	if (!ret)
		ret = vhk_ctl_watch(&k->c, r.fd, EPOLLIN, VHK_CTL_TAG_BACK);
	if (!ret) {
		k->vdpa.config_fd = r.fd;
		return;
	}
	vhk_log(&k->c.log, VHK_LOG_WARN, "changes of the configuration go unseen: %s",
		strerror(-ret));
	vhk_fd_close(r.fd);
}

void vhk_ctl_vdpa_init(struct vhk_ctl_kernel *k)
{
	struct vhk_ctl_req range = { .op = VHK_CTL_GET_IOVA_RANGE, .fd = -1 };
	struct vhk_ctl_req asids = { .op = VHK_CTL_GET_AS_NUM, .fd = -1 };

	k->vdpa.range.first.v = 0;
	k->vdpa.range.last.v = UINT64_MAX;
	k->vdpa.n_asids = 1;
	k->vdpa.status = 0;
	if (!vhk_ctl_kernel_do(k, &range))
		k->vdpa.range = range.range;
	if (k->fd >= 0 && !vhk_ctl_kernel_do(k, &asids))
		k->vdpa.n_asids = (uint32_t)asids.u64;
	if (k->fd >= 0 && k->c.opts.on_config)
		config_watch(k);
}

void vhk_ctl_vdpa_fini(struct vhk_ctl_kernel *k)
{
	struct vhk_ctl_vdpa *v = &k->vdpa;

	if (v->config_fd >= 0) {
		vhk_ctl_unwatch(&k->c, v->config_fd);
		close(v->config_fd);
	}
	free(v->map);
	memset(v, 0, sizeof(*v));
	v->config_fd = -1;
}

static int get_status(struct vhk_ctl_kernel *k)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_STATUS, .fd = -1 };

	return vhk_ctl_kernel_do(k, &r);
}

/* From a reset up to where queues are set up (virtio 1.3, 3.1.1), with what was settled before. */
static int negotiate_again(struct vhk_ctl_kernel *k)
{
	int ret = vhk_ctl_kernel_set(k, VHK_CTL_SET_STATUS, STATUS_DRIVER);

	if (!ret)
		ret = vhk_ctl_kernel_set(k, VHK_CTL_SET_FEATURES, k->c.want);
	if (!ret)
		ret = vhk_ctl_kernel_set(k, VHK_CTL_SET_STATUS, STATUS_FEATURES);
	if (!ret)
		ret = get_status(k);
	if (!ret && !(k->vdpa.status & VIRTIO_CONFIG_S_FEATURES_OK))
		ret = -EREMOTEIO;
	if (!ret && !(k->backend & VHK_BF_IOTLB_PERSIST))
		ret = vhk_ctl_vdpa_remap(k);
	return ret;
}

static bool all_idle(const struct vhk_ctl *c)
{
	unsigned int i;

	for (i = 0; i < VHK_CTL_QUEUES_MAX; i++)
		if (c->queue[i] && c->queue[i]->running && vhk_vq_in_flight(c->queue[i]->vq))
			return false;
	return true;
}

/*
 * Queues cannot be added to a device that runs: it is reset, which loses what is in flight. 1: the
 * queues that ran before are to be set up again.
 */
int vhk_ctl_vdpa_prepare(struct vhk_ctl_kernel *k)
{
	int ret = 0, again = 0;

	if (k->fd < 0)
		return -ENOTCONN;
	if (k->vdpa.status & VIRTIO_CONFIG_S_DRIVER_OK) {
		if (!all_idle(&k->c)) {
			vhk_log(&k->c.log, VHK_LOG_ERROR, "the device runs, and requests are in "
				"flight: start all of its queues in one call");
			return -EBUSY;
		}
		again = 1;
		ret = vhk_ctl_kernel_set(k, VHK_CTL_SET_STATUS, 0);
	}
	if (!ret && !(k->vdpa.status & VIRTIO_CONFIG_S_FEATURES_OK))
		ret = negotiate_again(k);
	return ret ? ret : again;
}

static bool others_run(const struct vhk_ctl *c, unsigned int first, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < VHK_CTL_QUEUES_MAX; i++)
		if (c->queue[i] && i - first >= n)
			return true;
	return false;
}

int vhk_ctl_vdpa_halt(struct vhk_ctl_kernel *k, unsigned int first, unsigned int n)
{
	unsigned int i;
	int ret = -EOPNOTSUPP;

	if (!others_run(&k->c, first, n) && vhk_ctl_kernel_can(k, VHK_CTL_SUSPEND))
		ret = vhk_ctl_kernel_set(k, VHK_CTL_SUSPEND, 0);
	if (ret != -EOPNOTSUPP)
		return ret;
	for (i = first, ret = 0; i < first + n && !ret; i++)
		ret = vhk_ctl_kernel_set_vring(k, VHK_CTL_SET_VRING_ENABLE, i, 0, -1);
	return ret;
}

/* Without a queue there is nothing that a running device could be good for. */
void vhk_ctl_vdpa_settle(struct vhk_ctl_kernel *k)
{
	if (!others_run(&k->c, 0, 0))
		vhk_ctl_kernel_set(k, VHK_CTL_SET_STATUS, 0);
}
