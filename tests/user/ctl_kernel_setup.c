// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Level 2 over the kernel's devices: what setup, start, stop and a restart ask for, and in which
 * order.
 */
#include <vhostkit/vq.h>

#include "t_kern.h"

#define NET VHK_CTL_KIND_NET
#define VSOCK VHK_CTL_KIND_VSOCK
#define SCSI VHK_CTL_KIND_SCSI
#define VDPA VHK_CTL_KIND_VDPA

static struct vhk_mem *mem;
static struct vhk_vq *vq[3];
static unsigned char *ram;

static void driver_init(uint64_t features)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = 64, .features = features };
	size_t i;
	void *va;

	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x100000 }, 65536, &va));
	ram = va;
	for (i = 0; i < vhk_array_size(vq); i++) {
		o.gpa.v = 0x200000 + 0x10000 * i;
		T_MUST(!vhk_vq_new(&vq[i], mem, &o));
	}
}

static void driver_fini(void)
{
	size_t i;

	for (i = 0; i < vhk_array_size(vq); i++)
		vhk_vq_free(vq[i]);
	vhk_mem_free(mem);
}

/* The calls since the last look are these, in this order; IOTLB messages do not count. */
static void saw(const unsigned long *want, size_t n)
{
	size_t i;

	T_EQ(t_kern.n_calls, n);
	for (i = 0; i < n && i < t_kern.n_calls; i++)
		T_EQ(t_kern.call[i].nr, want[i]);
	t_kern.n_calls = 0;
}
#define SAW(...)                                                                                   \
	saw((const unsigned long[]){ __VA_ARGS__ },                                                \
	    sizeof((const unsigned long[]){ __VA_ARGS__ }) / sizeof(long))

#define RING 0x4008af10, 0x4008af12, 0x4028af11, 0x4008af21, 0x4008af22, 0x4008af20
#define UNBIND 0x4008af20, 0x4008af21, 0x4008af22
#define ENABLE 0x4008af75
#define SET_STATUS 0x4001af72
#define GET_STATUS 0x8001af71
#define PROBE 0x4008af14, 0x4008af24, 0xc008af16 /* of what only an owner may ask */

static void vhost_net(void)
{
	uint64_t addr[4];
	struct vhk_vq_addr a;
	struct vhk_ctl *c;
	uint32_t base = 99;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_EVENT_IDX;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2;
	c = t_kern_open(NET, NULL);
	driver_init(VHK_F_VERSION_1);
	T_EQ(vhk_ctl_kind(c), NET);
	T_EQ(vhk_ctl_start(c, 0, vq[0]), -EBUSY);
	T_EQ(vhk_ctl_setup(c, VHK_F_VERSION_1 | VHK_F_RING_PACKED, VHK_F_VERSION_1, mem), 0);
	SAW(0x8008af00, 0x8008af26, 0x4008af25, 0xaf01, PROBE, 0x4008af00, 0x4008af03);
	T_EQ(vhk_ctl_features(c), VHK_F_VERSION_1);
	T_EQ(t_kern.backend_set, VHK_BF_IOTLB_MSG_V2);
	T_EQ(vhk_ctl_start(c, 1, vq[0]), 0);
	T_EQ(t_kern.call[0].arg[0], 1);
	T_EQ(t_kern.call[0].arg[4], 64);
	T_MUST(!vhk_vq_addr(vq[0], &a));
	memcpy(addr, t_kern.call[2].arg + 8, sizeof(addr));
	T_EQ(addr[0], (uintptr_t)a.desc);
	T_EQ(addr[1], (uintptr_t)a.device);
	T_EQ(addr[2], (uintptr_t)a.driver);
	SAW(RING);
	T_EQ(vhk_ctl_kick(c, 1), 0);
	T_EQ(vhk_ctl_wait(c, 1, 0), -ETIMEDOUT);
	T_EQ(vhk_ctl_net_set_backend(c, 1, 5), 0);
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_stop(c, 1, &base), 0);
	T_EQ(base, 0);
	T_EQ(t_kern.call[0].arg[0], 1);
	T_EQ(t_kern.call[0].arg[4], 0xff);
	SAW(0x4008af30, 0xc008af12, UNBIND);
	T_EQ(vhk_ctl_kick(c, 1), -EBUSY);
	t_kern_close(c);
	driver_fini();
}

static void vhost_vsock(void)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1;
	c = t_kern_open(VSOCK, NULL);
	driver_init(VHK_F_VERSION_1);
	T_EQ(vhk_ctl_setup(c, 0, VHK_F_VERSION_1, mem), 0);
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_start_all(c, vq, 2), 0);
	SAW(RING, RING);
	T_EQ(vhk_ctl_vsock_set_running(c, true), 0);
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_stop(c, 0, NULL), 0);
	T_EQ(t_kern.call[0].arg[0], 0);
	SAW(0x4004af61, 0xc008af12, UNBIND);
	t_kern_close(c);
	driver_fini();
}

static void vhost_scsi(void)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1;
	t_kern.fail_nr = 0x8008af26; /* vhost-scsi has no backend features */
	t_kern.fail_with = -EPERM;
	c = t_kern_open(SCSI, NULL);
	driver_init(VHK_F_VERSION_1);
	T_OK(!vhk_ctl_can(c, VHK_CTL_GET_BACKEND_FEATURES));
	T_OK(!vhk_ctl_can(c, VHK_CTL_SET_BACKEND_FEATURES));
	T_EQ(vhk_ctl_setup(c, 0, VHK_F_VERSION_1, mem), 0);
	SAW(0x8008af00, 0xaf01, PROBE, 0x4008af00, 0x4008af03);
	T_EQ(vhk_ctl_start_all(c, vq, 3), 0);
	SAW(RING, RING, RING);
	T_EQ(vhk_ctl_scsi_set_endpoint(c, "naa.1", 1), 0);
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_stop(c, 2, NULL), 0);
	T_OK(!memcmp(t_kern.call[0].arg + 4, "naa.1", 6));
	SAW(0x40e8af41, 0xc008af12, UNBIND);
	T_EQ(vhk_ctl_stop(c, 1, NULL), 0);
	SAW(0xc008af12, UNBIND);
	t_kern_close(c);
	driver_fini();
}

static unsigned int messages(struct t_iotlb *m, unsigned int max)
{
	unsigned int n = 0;

	while (n < max && t_kern_written(&m[n]))
		n++;
	return n;
}

static void vdpa_setup_and_start(void)
{
	struct t_iotlb m[16];
	struct vhk_ctl *c;
	uint64_t addr[4];
	struct vhk_vq_addr a;
	struct vhk_gpa gpa;
	unsigned int i, n;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	t_kern.backend = 0x1fe;
	c = t_kern_open(VDPA, NULL);
	driver_init(VHK_F_VERSION_1);
	T_EQ(vhk_ctl_setup(c, VHK_F_VERSION_1, 0, mem), 0);
	SAW(0x8008af00, 0x8004af80, 0x8008af26, 0x4008af25, 0xaf01, SET_STATUS, 0x4008af00,
	    SET_STATUS, GET_STATUS);
	T_EQ(t_kern.status, 11);
	T_EQ(vhk_ctl_features(c), VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM);
	T_EQ(t_kern.backend_set, 0x1fe);
	n = messages(m, 16);
	T_EQ(n, vhk_mem_count(mem) + 2);
	T_EQ(m[0].type, 2);
	T_EQ(m[0].kind, VHK_IOTLB_BATCH_BEGIN);
	T_EQ(m[n - 1].kind, VHK_IOTLB_BATCH_END);
	for (i = 1; i < n - 1; i++) {
		struct vhk_region r;

		T_MUST(!vhk_mem_get(mem, i - 1, &r, NULL));
		T_EQ(m[i].kind, VHK_IOTLB_UPDATE);
		T_EQ(m[i].perm, 3);
		T_EQ(m[i].asid, 0);
		T_EQ(m[i].iova, r.gpa.v);
		T_OK(m[i].size >= r.size && !(m[i].size & 4095));
		T_EQ(m[i].uva, r.uva.v);
	}
	T_EQ(vhk_ctl_start_all(c, vq, 2), 0);
	T_MUST(!vhk_vq_addr(vq[0], &a));
	T_MUST(!vhk_mem_gpa(mem, a.device, 4, &gpa));
	memcpy(addr, t_kern.call[2].arg + 8, sizeof(addr));
	T_EQ(addr[1], gpa.v);
	SAW(RING, ENABLE, RING, ENABLE, SET_STATUS);
	T_EQ(t_kern.status, 15);
	T_EQ(messages(m, 16), 0);
	t_kern_close(c);
	driver_fini();
}

/* One of two is disabled; with the last one the device is suspended, asked, and reset. */
static void vdpa_stop(void)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	t_kern.backend = VHK_BF_SUSPEND;
	c = t_kern_open(VDPA, NULL);
	driver_init(VHK_F_VERSION_1);
	T_MUST(!vhk_ctl_setup(c, VHK_F_VERSION_1, 0, mem));
	T_MUST(!vhk_ctl_start_all(c, vq, 2));
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_stop(c, 1, NULL), 0);
	T_EQ(t_kern.call[0].arg[0], 1);
	T_EQ(t_kern.call[0].arg[4], 0);
	SAW(ENABLE, 0xc008af12, UNBIND);
	T_EQ(vhk_ctl_stop(c, 0, NULL), 0);
	SAW(0xaf7d, 0xc008af12, UNBIND, SET_STATUS);
	T_EQ(t_kern.status, 0);
	t_kern_close(c);
	driver_fini();
}

static void vdpa_cannot_suspend(void)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1;
	t_kern.backend = 0;
	c = t_kern_open(VDPA, NULL);
	driver_init(VHK_F_VERSION_1);
	T_MUST(!vhk_ctl_setup(c, VHK_F_VERSION_1, 0, mem));
	T_MUST(!vhk_ctl_start(c, 0, vq[0]));
	t_kern.n_calls = 0;
	T_OK(!vhk_ctl_can(c, VHK_CTL_SUSPEND));
	T_EQ(vhk_ctl_stop(c, 0, NULL), 0);
	SAW(ENABLE, 0xc008af12, UNBIND, SET_STATUS);
	t_kern_close(c);
	driver_fini();
}

/* After a reset the device is negotiated with anew; its translations have gone unless they stay. */
static void vdpa_starts_again(uint64_t backend, unsigned int n_messages)
{
	struct t_iotlb m[32];
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	t_kern.backend = backend;
	c = t_kern_open(VDPA, NULL);
	driver_init(VHK_F_VERSION_1);
	T_MUST(!vhk_ctl_setup(c, VHK_F_VERSION_1, 0, mem));
	T_MUST(!vhk_ctl_start(c, 0, vq[0]));
	T_MUST(!vhk_ctl_stop(c, 0, NULL));
	messages(m, 32);
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_start(c, 0, vq[0]), 0);
	SAW(SET_STATUS, 0x4008af00, SET_STATUS, GET_STATUS, RING, ENABLE, SET_STATUS);
	T_EQ(t_kern.features_set, t_kern.features);
	T_EQ(t_kern.status, 15);
	T_EQ(messages(m, 32), n_messages);
	t_kern_close(c);
	driver_fini();
}

static void vdpa_starts_again_and_maps(void)
{
	vdpa_starts_again(VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_BATCH, 2 + 2 * 4);
	vdpa_starts_again(VHK_BF_IOTLB_MSG_V2, 2 * 4);
}

static void vdpa_starts_again_with_maps_kept(void)
{
	vdpa_starts_again(VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_PERSIST, 0);
}

/* A queue that comes later: the device is reset, and those before it are set up again. */
static void vdpa_one_by_one(void)
{
	struct vhk_ctl *c;
	struct iovec seg = { NULL, 16 };

	t_kern.features = VHK_F_VERSION_1;
	t_kern.backend = VHK_BF_IOTLB_PERSIST;
	c = t_kern_open(VDPA, NULL);
	driver_init(VHK_F_VERSION_1);
	T_MUST(!vhk_ctl_setup(c, VHK_F_VERSION_1, 0, mem));
	T_MUST(!vhk_ctl_start(c, 0, vq[0]));
	t_kern.n_calls = 0;
	T_EQ(vhk_ctl_start(c, 1, vq[1]), 0);
	SAW(SET_STATUS, SET_STATUS, 0x4008af00, SET_STATUS, GET_STATUS, RING, ENABLE, RING, ENABLE,
	    SET_STATUS);
	T_EQ(t_kern.status, 15);
	/* What is in flight would be lost. */
	seg.iov_base = ram;
	T_MUST(vhk_vq_add(vq[0], &seg, 1, 0, &c) >= 0);
	T_EQ(vhk_ctl_start(c, 2, vq[2]), -EBUSY);
	T_EQ(t_kern.n_calls, 0);
	T_EQ(vhk_ctl_kick(c, 0), 0);
	T_EQ(vhk_ctl_kick(c, 1), 0);
	T_EQ(vhk_ctl_kick(c, 2), -EBUSY);
	t_kern_close(c);
	driver_fini();
}

/* Memory that comes and goes between starts is mapped and unmapped, and nothing else is. */
static void vdpa_memory_changes(void)
{
	static unsigned char more[8192] __attribute__((aligned(4096)));
	const struct vhk_region r = { .gpa = { 0x4000000 }, .uva = { 0x4000000 }, .size = 8192 };
	struct t_iotlb m[8];
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_PERSIST;
	c = t_kern_open(VDPA, NULL);
	driver_init(VHK_F_VERSION_1);
	T_MUST(!vhk_ctl_setup(c, VHK_F_VERSION_1, 0, mem));
	while (t_kern_written(&m[0]))
		;
	T_MUST(!vhk_mem_add_va(mem, &r, more));
	T_MUST(!vhk_ctl_start(c, 0, vq[0]));
	T_EQ(messages(m, 8), 1);
	T_EQ(m[0].kind, VHK_IOTLB_UPDATE);
	T_EQ(m[0].iova, 0x4000000);
	T_EQ(m[0].uva, (uintptr_t)more);
	T_EQ(m[0].size, 8192);
	T_MUST(!vhk_ctl_stop(c, 0, NULL));
	T_MUST(!vhk_mem_del(mem, &r));
	T_MUST(!vhk_ctl_start(c, 0, vq[0]));
	T_EQ(messages(m, 8), 1);
	T_EQ(m[0].kind, VHK_IOTLB_INVALIDATE);
	T_EQ(m[0].iova, 0x4000000);
	t_kern_close(c);
	driver_fini();
}

static int refuse_features(unsigned long nr, void *arg)
{
	t_kern_model(&t_kern, nr, arg);
	if (nr == GET_STATUS)
		*(uint8_t *)arg &= (uint8_t)~8u;
	return 0;
}

static void setup_refusals(void)
{
	static const struct {
		enum vhk_ctl_kind kind;
		unsigned long nr;
		int with, want;
	} cases[] = {
		{ NET, 0xaf01, -EBUSY, -EBUSY },	{ NET, 0x4008af00, -EOPNOTSUPP, -EINVAL },
		{ NET, 0x4008af03, -EFAULT, -EFAULT },	{ VSOCK, 0x8008af00, -EIO, -EREMOTEIO },
		{ VDPA, SET_STATUS, -EIO, -EREMOTEIO }, { VDPA, 0x4008af25, -EOPNOTSUPP, -EINVAL },
		{ VDPA, GET_STATUS, -ENODEV, -ENOTCONN },
	};
	struct vhk_ctl *c;
	size_t i;

	driver_init(VHK_F_VERSION_1);
	for (i = 0; i < vhk_array_size(cases); i++) {
		t_kern.features = VHK_F_VERSION_1;
		t_kern.backend = VHK_BF_IOTLB_MSG_V2;
		c = t_kern_open(cases[i].kind, NULL);
		t_kern.fail_nr = cases[i].nr;
		t_kern.fail_with = cases[i].with;
		T_EQ(vhk_ctl_setup(c, 0, 0, mem), cases[i].want);
		/* Nothing follows what failed. */
		T_EQ(t_kern.call[t_kern.n_calls - 1].nr, cases[i].nr);
		T_EQ(vhk_ctl_start(c, 0, vq[0]), -EBUSY);
		t_kern_close(c);
	}
	t_kern.features = VHK_F_VERSION_1;
	t_kern.answer = refuse_features;
	c = t_kern_open(VDPA, NULL);
	T_EQ(vhk_ctl_setup(c, 0, VHK_F_RING_PACKED, mem), -EOPNOTSUPP);
	T_EQ(vhk_ctl_setup(c, 0, 0, mem), -EREMOTEIO);
	t_kern_close(c);
	driver_fini();
}

static void start_refusals(void)
{
	static const unsigned long fails[] = { RING, ENABLE, SET_STATUS };
	struct vhk_ctl *c;
	int n_fds;
	size_t i;

	driver_init(VHK_F_VERSION_1);
	for (i = 0; i < vhk_array_size(fails); i++) {
		t_kern.features = VHK_F_VERSION_1;
		t_kern.backend = VHK_BF_SUSPEND | VHK_BF_IOTLB_PERSIST;
		c = t_kern_open(VDPA, NULL);
		T_MUST(!vhk_ctl_setup(c, 0, 0, mem));
		n_fds = t_count_fds();
		t_kern.fail_nr = fails[i];
		t_kern.fail_with = -EINVAL;
		T_EQ(vhk_ctl_start_all(c, vq, 2), -EINVAL);
		T_EQ(t_count_fds(), n_fds);
		T_EQ(vhk_ctl_kick(c, 0), -EBUSY);
		t_kern.fail_nr = 0;
		T_EQ(vhk_ctl_start_all(c, vq, 2), 0);
		T_EQ(t_kern.status, 15);
		t_kern_close(c);
	}
	driver_fini();
}

/* What a device that was given as an fd cannot do is to be opened again. */
static void no_reconnect(void)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1;
	c = t_kern_open(NET, NULL);
	driver_init(VHK_F_VERSION_1);
	T_EQ(vhk_ctl_reconnect(c), -EBUSY);
	T_MUST(!vhk_ctl_setup(c, 0, 0, mem));
	T_EQ(vhk_ctl_reconnect(c), -EOPNOTSUPP);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	T_EQ(vhk_ctl_set_owner(c), -ENOTCONN);
	t_kern.fd = -1;
	t_kern_close(c);
	driver_fini();
}

int main(void)
{
	T_RUN(vhost_net);
	T_RUN(vhost_vsock);
	T_RUN(vhost_scsi);
	T_RUN(vdpa_setup_and_start);
	T_RUN(vdpa_stop);
	T_RUN(vdpa_cannot_suspend);
	T_RUN(vdpa_starts_again_and_maps);
	T_RUN(vdpa_starts_again_with_maps_kept);
	T_RUN(vdpa_one_by_one);
	T_RUN(vdpa_memory_changes);
	T_RUN(setup_refusals);
	T_RUN(start_refusals);
	T_RUN(no_reconnect);
	return t_end();
}
