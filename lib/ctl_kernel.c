// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The kernel's doors of the front end: a device is opened, lost and opened again. What it is asked
 * is in ctl_kernel_req.c, what is special about vDPA in ctl_vdpa.c.
 */
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ctl_kernel.h"
#include "fd.h"

/* Messages taken in one go, so that a device that asks without end cannot keep us. */
#define BURST 64

static const struct vhk_ctl_ops vhost_ops, vdpa_ops;

static void kernel_disconnect(struct vhk_ctl *c, int why)
{
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);

	(void)why;
	if (k->fd < 0)
		return;
	vhk_ctl_vdpa_fini(k);
	vhk_ctl_unwatch(c, k->fd);
	close(k->fd);
	k->fd = -1;
}

static void kernel_free(struct vhk_ctl *c)
{
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);

	vhk_fd_close(k->given_fd);
	free(k->uri);
	free(k);
}

static int kernel_open(struct vhk_ctl_kernel *k)
{
	int fd = k->given_fd;

	if (k->uri)
		return vhk_kern_open(&vhk_bus_root, k->uri, &k->kind, &k->c.log);
	if (fd < 0)
		return -EOPNOTSUPP;
	k->given_fd = -1;
	/* What is read from it must not wait. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static int kernel_connect(struct vhk_ctl *c, bool again)
{
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);
	int ret;

	(void)again;
	k->fd = kernel_open(k);
	if (k->fd < 0)
		return k->fd;
	c->ops = k->kind == VHK_CTL_KIND_VDPA ? &vdpa_ops : &vhost_ops;
	memset(&k->offer, 0, sizeof(k->offer));
	k->absent = k->backend_offered = k->backend = 0;
	k->endpoint[0] = 0;
	/* vhost-vDPA and vhost-scsi have nothing to read, and cannot be watched. */
	ret = vhk_ctl_watch(c, k->fd, EPOLLIN, VHK_CTL_TAG_PEER);
	if (ret && ret != -EPERM) {
		kernel_disconnect(c, ret);
		return ret;
	}
	vhk_ctl_kernel_probe(k);
	if (k->kind == VHK_CTL_KIND_VDPA)
		vhk_ctl_vdpa_init(k);
	return k->fd < 0 ? -ENODEV : 0;
}

static int kernel_link(const struct vhk_ctl *c)
{
	return vhk_ctl_kernel_of(c)->fd < 0 ? -ENOTCONN : 1;
}

static bool kernel_can(const struct vhk_ctl *c, enum vhk_ctl_op op)
{
	return vhk_ctl_kernel_can(vhk_ctl_kernel_of(c), op);
}

static int kernel_submit(struct vhk_ctl *c, struct vhk_ctl_req *r, uint64_t deadline)
{
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);

	(void)deadline;
	if (k->fd < 0)
		return -ENOTCONN;
	if (!vhk_ctl_kernel_can(k, r->op))
		return -EOPNOTSUPP;
	r->ret = vhk_ctl_kernel_do(k, r);
	if (r->done)
		r->done(r);
	return 0;
}

static void kernel_messages(struct vhk_ctl_kernel *k)
{
	struct vhk_iotlb_msg m;
	int i, ret = 1;

	for (i = 0; i < BURST && ret > 0 && k->fd >= 0; i++) {
		ret = vhk_kern_iotlb_recv(k->fd, &m);
		if (ret > 0)
			vhk_ctl_iotlb_event(&k->c, &m);
	}
	if (ret >= 0 || k->fd < 0)
		return;
	vhk_log(&k->c.log, VHK_LOG_ERROR, "the device's messages cannot be read: %s",
		strerror(-ret));
	vhk_ctl_unwatch(&k->c, k->fd);
}

static int kernel_event(struct vhk_ctl *c, uint32_t tag, uint32_t events)
{
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);
	uint64_t n;

	(void)events;
	if (tag == VHK_CTL_TAG_PEER && k->fd >= 0)
		kernel_messages(k);
	else if (tag == VHK_CTL_TAG_BACK && k->vdpa.config_fd >= 0 &&
		 read(k->vdpa.config_fd, &n, sizeof(n)) == sizeof(n) && c->opts.on_config)
		c->opts.on_config(c->opts.arg);
	return 0;
}

static uint64_t kernel_expire(struct vhk_ctl *c, uint64_t now)
{
	(void)c;
	(void)now;
	return UINT64_MAX;
}

static int kernel_peer_pid(const struct vhk_ctl *c)
{
	return vhk_ctl_kernel_of(c)->fd < 0 ? -ENOTCONN : -EOPNOTSUPP;
}

static enum vhk_ctl_kind kernel_kind(const struct vhk_ctl *c)
{
	return vhk_ctl_kernel_of(c)->kind;
}

static const struct vhk_ctl_offer *kernel_offer(const struct vhk_ctl *c)
{
	return &vhk_ctl_kernel_of(c)->offer;
}

/* A device that works on no ring lets go of its backend first: it is what runs, not the ring. */
static int vhost_halt(struct vhk_ctl *c, unsigned int first, unsigned int n)
{
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);
	struct vhk_ctl_req r = { .op = VHK_CTL_SCSI_CLEAR_ENDPOINT, .fd = -1 };
	unsigned int i;
	int ret = 0;

	switch (k->kind) {
	case VHK_CTL_KIND_NET:
		for (i = first; i < first + n && !ret; i++)
			ret = vhk_ctl_kernel_set_vring(k, VHK_CTL_NET_SET_BACKEND, i, 0, -1);
		return ret;
	case VHK_CTL_KIND_VSOCK:
		return vhk_ctl_kernel_set(k, VHK_CTL_VSOCK_SET_RUNNING, 0);
	case VHK_CTL_KIND_SCSI:
		r.scsi.wwpn = k->endpoint;
		r.scsi.tpgt = k->tpgt;
		return k->endpoint[0] ? vhk_ctl_kernel_do(k, &r) : 0;
	default:
		return 0;
	}
}

/* The kernel keeps eventfds for as long as it is not told otherwise. */
static void kernel_unbind(struct vhk_ctl *c, unsigned int first, unsigned int n)
{
	const enum vhk_ctl_op op[] = { VHK_CTL_SET_VRING_KICK, VHK_CTL_SET_VRING_CALL,
				       VHK_CTL_SET_VRING_ERR };
	struct vhk_ctl_kernel *k = vhk_ctl_kernel_of(c);
	unsigned int i, j;

	for (i = first; i < first + n && k->fd >= 0; i++)
		for (j = 0; j < vhk_array_size(op) && k->fd >= 0; j++)
			vhk_ctl_kernel_set_vring(k, op[j], i, 0, -1);
	if (k->kind == VHK_CTL_KIND_VDPA && k->fd >= 0)
		vhk_ctl_vdpa_settle(k);
}

static int vdpa_prepare(struct vhk_ctl *c)
{
	return vhk_ctl_vdpa_prepare(vhk_ctl_kernel_of(c));
}

static int vdpa_halt(struct vhk_ctl *c, unsigned int first, unsigned int n)
{
	return vhk_ctl_vdpa_halt(vhk_ctl_kernel_of(c), first, n);
}

#define KERNEL_OPS                                                                                 \
	.free = kernel_free, .connect = kernel_connect, .disconnect = kernel_disconnect,           \
	.link = kernel_link, .can = kernel_can, .submit = kernel_submit, .event = kernel_event,    \
	.expire = kernel_expire, .peer_pid = kernel_peer_pid, .kind = kernel_kind,                 \
	.offer = kernel_offer, .unbind = kernel_unbind, .table_max = VHK_MEM_SLOTS_MAX,            \
	.at_once = true, .own_addresses = true

static const struct vhk_ctl_ops vhost_ops = {
	KERNEL_OPS,
	.halt = vhost_halt,
	.reads_used = true,
};

static const struct vhk_ctl_ops vdpa_ops = {
	KERNEL_OPS,
	.prepare = vdpa_prepare,
	.halt = vdpa_halt,
	.always = VHK_F_ACCESS_PLATFORM,
};

static struct vhk_ctl_kernel *kernel_alloc(int fd)
{
	struct vhk_ctl_kernel *k = calloc(1, sizeof(*k));

	if (!k) {
		vhk_fd_close(fd);
		return NULL;
	}
	vhk_ctl_init_empty(&k->c, &vhost_ops);
	k->given_fd = fd;
	k->fd = -1;
	k->vdpa.config_fd = -1;
	return k;
}

int vhk_ctl_kernel_adopt_take_fd(struct vhk_ctl **out, int fd, enum vhk_ctl_kind kind)
{
	struct vhk_ctl_kernel *k = kernel_alloc(fd);

	*out = k ? &k->c : NULL;
	if (!k)
		return -ENOMEM;
	k->kind = kind;
	return 0;
}

int vhk_ctl_kernel_new(struct vhk_ctl **out, const char *uri)
{
	struct vhk_ctl_kernel *k = kernel_alloc(-1);

	*out = NULL;
	if (!k)
		return -ENOMEM;
	k->uri = strdup(uri);
	if (!k->uri) {
		kernel_free(&k->c);
		return -ENOMEM;
	}
	*out = &k->c;
	return 0;
}
