/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A kernel with VDUSE, in the test's own process: open() and ioctl() of the library end here, its
 * device file is one end of a socket pair. What it was told is kept, what it answers can be set.
 */
#ifndef VHK_TESTS_T_VDUSE_H
#define VHK_TESTS_T_VDUSE_H

#include <linux/virtio_config.h>
#include <linux/vduse.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <vhostkit/vduse.h>

#include "t_device.h"
#include "vduse_kernel.h"

#define K_QUEUES ECHO_QUEUES
#define K_REGIONS 600
#define K_GET_FEATURES _IOR(VDUSE_BASE, 0x04, __u64)
#define K_SET_FEATURES _IOW(VDUSE_BASE, 0x05, __u64)

struct kernel_region {
	struct vduse_iotlb_entry e;
	int fd;
};

static struct kernel {
	/* What it can do. */
	int open_error, device_error, create_error, destroy_error; /* errno, 0: none */
	unsigned int device_busy; /* so many opens find it busy */
	uint64_t api, extras;
	bool refuse_v1;
	bool reset_behind_refusal; /* of the set-up of a queue: the driver is gone then */

	/* What it has. */
	bool exists, attached, driver_ok;
	int sock[2]; /* [0]: ours, [1]: handed out as the device's file */
	unsigned char config[256];
	uint64_t set_api, set_extras;
	uint64_t features;
	struct vduse_vq_info vq[K_QUEUES];
	uint16_t vq_max[K_QUEUES];
	int kick[K_QUEUES];
	struct kernel_region region[K_REGIONS];
	unsigned int n_regions;

	/* What it was told. */
	unsigned int creates, destroys, irqs, config_irqs, configs, asked;
	uint32_t next_id;

	/* What the device was made from, but for its configuration space. */
	struct vduse_dev_config made;
} k;

static inline void k_init(void)
{
	unsigned int i;

	memset(&k, 0, sizeof(k));
	T_MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, k.sock));
	for (i = 0; i < K_QUEUES; i++)
		k.kick[i] = -1;
	k.next_id = 77;
}

static inline void k_drop_kick(unsigned int i)
{
	if (k.kick[i] >= 0)
		close(k.kick[i]);
	k.kick[i] = -1;
}

static inline void k_drop_regions(void)
{
	while (k.n_regions)
		close(k.region[--k.n_regions].fd);
}

static inline void k_fini(void)
{
	unsigned int i;

	for (i = 0; i < K_QUEUES; i++)
		k_drop_kick(i);
	k_drop_regions();
	close(k.sock[0]);
	close(k.sock[1]);
}

static inline int k_error(int err)
{
	errno = err;
	return -1;
}

static inline int k_open_device(void)
{
	if (k.device_busy) {
		k.device_busy--;
		return k_error(EBUSY);
	}
	if (k.device_error || !k.exists)
		return k_error(k.device_error ? k.device_error : ENOENT);
	fcntl(k.sock[1], F_SETFL, O_NONBLOCK);
	return fcntl(k.sock[1], F_DUPFD_CLOEXEC, 0);
}

int open(const char *path, int flags, ...)
{
	static const char folder[] = "/dev/vduse/";
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (strncmp(path, folder, strlen(folder)))
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (strcmp(path + strlen(folder), "control"))
		return k_open_device();
	if (k.open_error)
		return k_error(k.open_error);
	return eventfd(0, EFD_CLOEXEC);
}

static inline int k_create(const struct vduse_dev_config *c)
{
	k.creates++;
	if (k.create_error)
		return k_error(k.create_error);
	if (k.refuse_v1 && k.set_api)
		return k_error(EINVAL);
	if (k.exists)
		return k_error(EEXIST);
	k.made = *c;
	memcpy(k.config, c->config, c->config_size);
	k.exists = true;
	return 0;
}

static inline int k_destroy(const char *name)
{
	k.destroys++;
	if (!k.exists || strcmp(name, k.made.name))
		return k_error(EINVAL);
	if (k.destroy_error || k.attached)
		return k_error(k.destroy_error ? k.destroy_error : EBUSY);
	k.exists = false;
	return 0;
}

static inline int k_find(struct vduse_iotlb_entry *e)
{
	unsigned int i;

	k.asked++;
	for (i = 0; i < k.n_regions; i++) {
		const struct kernel_region *r = &k.region[i];

		if (r->e.start > e->last || r->e.last < e->start)
			continue;
		*e = r->e;
		return fcntl(r->fd, F_DUPFD, 0);
	}
	return k_error(EINVAL);
}

static inline int k_kick(const struct vduse_vq_eventfd *e)
{
	if (e->index >= K_QUEUES)
		return k_error(EINVAL);
	k_drop_kick(e->index);
	if (e->fd >= 0)
		k.kick[e->index] = fcntl(e->fd, F_DUPFD_CLOEXEC, 0);
	return 0;
}

static inline int k_inject(uint32_t idx)
{
	if (idx >= K_QUEUES || !k.driver_ok)
		return k_error(EINVAL);
	__atomic_add_fetch(&k.irqs, 1, __ATOMIC_RELAXED);
	return 0;
}

static inline int k_info(struct vduse_vq_info *info)
{
	if (info->index >= K_QUEUES)
		return k_error(EINVAL);
	k.vq[info->index].index = info->index;
	*info = k.vq[info->index];
	return 0;
}

static inline int k_set_config(const struct vduse_config_data *c)
{
	if (c->offset > k.made.config_size || !c->length ||
	    c->length > k.made.config_size - c->offset)
		return k_error(EINVAL);
	memcpy(k.config + c->offset, c->buffer, c->length);
	k.configs++;
	return 0;
}

static inline int k_setup(const struct vduse_vq_config *c)
{
	if (c->index >= K_QUEUES || (k.set_api && k.driver_ok)) {
		k.driver_ok = k.driver_ok && !k.reset_behind_refusal;
		return k_error(EINVAL);
	}
	k.vq_max[c->index] = c->max_size;
	return 0;
}

static inline int k_ioctl(unsigned long request, void *arg)
{
	switch (request) {
	case VDUSE_GET_API_VERSION:
		*(uint64_t *)arg = k.api;
		return 0;
	case VDUSE_SET_API_VERSION:
		k.set_api = *(uint64_t *)arg;
		return k.set_api > k.api ? k_error(EINVAL) : 0;
	case K_GET_FEATURES:
		*(uint64_t *)arg = k.extras;
		return k.api ? 0 : k_error(EINVAL);
	case K_SET_FEATURES:
		k.set_extras = *(uint64_t *)arg;
		return k.set_extras & ~k.extras ? k_error(EINVAL) : 0;
	case VDUSE_CREATE_DEV:
		return k_create(arg);
	case VDUSE_DESTROY_DEV:
		return k_destroy(arg);
	case VDUSE_IOTLB_GET_FD:
		return k_find(arg);
	case VDUSE_DEV_GET_FEATURES:
		*(uint64_t *)arg = k.features;
		return 0;
	case VDUSE_DEV_SET_CONFIG:
		return k_set_config(arg);
	case VDUSE_DEV_INJECT_CONFIG_IRQ:
		if (!k.driver_ok)
			return k_error(EINVAL);
		k.config_irqs++;
		return 0;
	case VDUSE_VQ_SETUP:
		return k_setup(arg);
	case VDUSE_VQ_GET_INFO:
		return k_info(arg);
	case VDUSE_VQ_SETUP_KICKFD:
		return k_kick(arg);
	case VDUSE_VQ_INJECT_IRQ:
		return k_inject(*(uint32_t *)arg);
	}
	return k_error(ENOTTY);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (_IOC_TYPE(request) != VDUSE_BASE)
		return (int)syscall(SYS_ioctl, fd, request, arg);
	return k_ioctl(request, arg);
}

/* Regions as a driver's memory has them, IOVA for guest address; @from on. */
static inline void k_share(const struct vhk_mem *m, unsigned int from)
{
	struct vhk_region r;
	int fd;

	for (; from < vhk_mem_count(m); from++) {
		struct kernel_region *to = &k.region[k.n_regions++];

		T_MUST(!vhk_mem_get(m, from, &r, &fd));
		to->e = (struct vduse_iotlb_entry){ .offset = r.offset,
						    .start = r.gpa.v,
						    .last = r.gpa.v + r.size - 1,
						    .perm = VDUSE_ACCESS_RW };
		to->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	}
}

static inline uint64_t k_iova(const struct vhk_mem *m, void *va)
{
	struct vhk_gpa gpa;

	T_MUST(!vhk_mem_gpa(m, va, 4, &gpa));
	return gpa.v;
}

/* Queue 0 is where the driver has it. */
static inline void k_ready(const struct driver *d, unsigned int idx)
{
	struct vhk_vq_addr a;

	T_EQ(vhk_vq_addr(d->vq, &a), 0);
	k.vq[idx] = (struct vduse_vq_info){
		.index = idx,
		.num = a.size,
		.desc_addr = k_iova(d->mem, a.desc),
		.driver_addr = k_iova(d->mem, a.driver),
		.device_addr = k_iova(d->mem, a.device),
		.ready = 1,
	};
	if (d->features & VHK_F_RING_PACKED)
		k.vq[idx].packed = (struct vduse_vq_state_packed){ .last_avail_counter = 1,
								   .last_used_counter = 1 };
}

static inline void k_send(struct vduse_dev_request *req)
{
	req->request_id = k.next_id++;
	T_EQ(send(k.sock[0], req, sizeof(*req), 0), sizeof(*req));
}

/* The answer to the last request, within ten seconds; its result. */
static inline int k_answer(struct vhk_loop *l, struct vduse_dev_response *resp)
{
	const uint64_t end = t_now_ns() + 10000000000u;

	while (!t_readable(k.sock[0], 0) && t_now_ns() < end)
		vhk_loop_step(l, 1000000);
	if (recv(k.sock[0], resp, sizeof(*resp), MSG_DONTWAIT) != sizeof(*resp))
		return -ETIMEDOUT;
	T_EQ(resp->request_id, k.next_id - 1);
	return (int)resp->result;
}

static inline int k_ask(struct vhk_loop *l, struct vduse_dev_request *req,
			struct vduse_dev_response *resp)
{
	k_send(req);
	return k_answer(l, resp);
}

/* As the kernel does: it notes a status behind the answer. */
static inline int k_status(struct vhk_loop *l, uint8_t status)
{
	struct vduse_dev_request req = { .type = VDUSE_SET_STATUS, .s.status = status };
	struct vduse_dev_response resp;
	int ret = k_ask(l, &req, &resp);

	if (!ret)
		k.driver_ok = status & VIRTIO_CONFIG_S_DRIVER_OK;
	return ret;
}

#define K_FEATURES_OK                                                                              \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define K_DRIVER_OK (K_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK)

/* The device with its door, and a driver. */
struct served {
	struct echo echo;
	struct driver drv;
	struct vhk_loop *ctl;
	struct vhk_vduse *v;
	char log[128];
	int state; /* as last told */
};

static inline void served_state(void *arg, enum vhk_vduse_state state)
{
	((struct served *)arg)->state = (int)state;
}

static inline int served_open(struct served *s)
{
	const struct vhk_vduse_opts o = { .sz = sizeof(o),
					  .inflight = s->log,
					  .wait_ms = 100,
					  .on_state = served_state,
					  .arg = s };

	return vhk_vduse_open(&s->v, s->ctl, s->echo.dev, "t0", &o);
}

static inline void served_init(struct served *s, uint64_t features)
{
	memset(s, 0, sizeof(*s));
	snprintf(s->log, sizeof(s->log), "%s/inflight", t_dir());
	T_MUST(!vhk_loop_new(&s->ctl, NULL));
	echo_new(&s->echo);
	driver_init(&s->drv, features);
	close(s->drv.kick);
	s->drv.kick = -1;
	k.features = features | VHK_F_ACCESS_PLATFORM;
}

static inline void served_fini(struct served *s)
{
	vhk_device_free(s->echo.dev);
	vhk_loop_free(s->ctl);
	vhk_vq_free(s->drv.vq);
	vhk_mem_free(s->drv.mem);
	close(s->drv.call);
	close(s->drv.err);
}

/* Up to DRIVER_OK, with all memory; queue 0 is ready. */
static inline void served_up(struct served *s)
{
	k_share(s->drv.mem, 0);
	k_ready(&s->drv, 0);
	T_EQ(k_status(s->ctl, K_FEATURES_OK), 0);
	T_EQ(k_status(s->ctl, K_DRIVER_OK), 0);
}

/* The driver's kick arrives once the library has given the kernel a file for it. */
static inline void served_kick(struct served *s, unsigned int idx)
{
	const uint64_t one = 1, end = t_now_ns() + 10000000000u;

	while (k.kick[idx] < 0 && t_now_ns() < end)
		vhk_loop_step(s->ctl, 1000000);
	T_EQ(write(k.kick[idx], &one, sizeof(one)), sizeof(one));
}

static inline void served_send(struct served *s, unsigned char value)
{
	unsigned char *out = s->drv.buf + (s->drv.next++ % ECHO_SIZE) * 2 * ECHO_BUF;
	struct iovec seg[2] = { { out, ECHO_BUF }, { out + ECHO_BUF, ECHO_BUF } };

	memset(out, value, ECHO_BUF);
	memset(out + ECHO_BUF, ~value, ECHO_BUF);
	T_EQ(vhk_vq_add(s->drv.vq, seg, 1, 1, out), 0);
	if (vhk_vq_publish(s->drv.vq))
		served_kick(s, 0);
}

/* Takes @n answers, within ten seconds; each is as it was sent. */
static inline unsigned int served_take(struct served *s, unsigned int n)
{
	const uint64_t end = t_now_ns() + 10000000000u;
	unsigned int got = 0;

	while (got < n && t_now_ns() < end) {
		got += driver_take(&s->drv);
		if (got < n)
			vhk_loop_step(s->ctl, 1000000);
	}
	return got;
}

static inline void served_until_held(struct served *s, unsigned int n)
{
	const uint64_t end = t_now_ns() + 10000000000u;

	while (s->echo.n_held[0] < n && t_now_ns() < end)
		vhk_loop_step(s->ctl, 1000000);
	T_EQ(s->echo.n_held[0], n);
}

#endif
