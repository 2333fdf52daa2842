// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * IOTLB messages of the kernel's devices: both formats to the byte, what is judged before a vDPA
 * device sees it, and misses that a device tells of.
 */
#include <sys/resource.h>

#include <vhostkit/vq.h>

#include "t_kern.h"

#define NET VHK_CTL_KIND_NET
#define VDPA VHK_CTL_KIND_VDPA
#define PAGE 4096ull

static struct vhk_ctl *open_net(uint64_t backend, const struct vhk_ctl_opts *o)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2;
	c = t_kern_open(NET, o);
	T_MUST(!vhk_ctl_set_owner(c));
	T_MUST(!vhk_ctl_set_backend_features(c, backend));
	T_MUST(!vhk_ctl_set_features(c, t_kern.features));
	return c;
}

static struct vhk_ctl *open_vdpa(uint64_t backend)
{
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_BATCH | VHK_BF_IOTLB_ASID;
	c = t_kern_open(VDPA, NULL);
	T_MUST(!vhk_ctl_set_backend_features(c, backend));
	T_MUST(!vhk_ctl_set_owner(c));
	return c;
}

static struct vhk_iotlb_msg msg(unsigned int type, uint64_t iova, uint64_t size, uint64_t uva)
{
	return (struct vhk_iotlb_msg){ .iova = { iova }, .size = size, .uva = { uva },
				       .perm = VHK_IOTLB_PERM_RW, .type = (uint8_t)type };
}

/* Format 1 has a hole behind its type, format 2 the address space in its place. */
static void formats(void)
{
	const struct vhk_iotlb_msg m = msg(VHK_IOTLB_UPDATE, 0x1000, 0x2000, 0x3000);
	struct t_iotlb got;
	struct vhk_ctl *c;

	c = open_net(0, NULL);
	T_EQ(vhk_ctl_iotlb(c, &m), 0);
	T_OK(t_kern_written(&got));
	T_EQ(got.type, 1);
	T_EQ(got.iova, 0x1000);
	T_EQ(got.size, 0x2000);
	T_EQ(got.uva, 0x3000);
	T_EQ(got.perm, 3);
	T_EQ(got.kind, 2);
	t_kern_close(c);

	c = open_net(VHK_BF_IOTLB_MSG_V2, NULL);
	T_EQ(vhk_ctl_iotlb(c, &m), 0);
	T_OK(t_kern_written(&got));
	T_EQ(got.type, 2);
	T_EQ(got.asid, 0);
	T_EQ(got.iova, 0x1000);
	T_EQ(got.uva, 0x3000);
	T_EQ(got.kind, 2);
	t_kern_close(c);
}

static void vhost_refuses(void)
{
	struct vhk_iotlb_msg m = msg(VHK_IOTLB_UPDATE, 0x1000, 0x1000, 0);
	struct t_iotlb got;
	struct vhk_ctl *c;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	c = t_kern_open(NET, NULL);
	T_OK(!vhk_ctl_can(c, VHK_CTL_IOTLB_MSG));
	T_EQ(vhk_ctl_iotlb(c, &m), -EOPNOTSUPP);
	t_kern_close(c);

	c = open_net(VHK_BF_IOTLB_MSG_V2, NULL);
	T_OK(vhk_ctl_can(c, VHK_CTL_IOTLB_MSG));
	m.asid = 1;
	T_EQ(vhk_ctl_iotlb(c, &m), -EINVAL);
	m = msg(VHK_IOTLB_UPDATE, 0x1000, 0, 0);
	T_EQ(vhk_ctl_iotlb(c, &m), -EINVAL);
	m = msg(VHK_IOTLB_UPDATE, 0x1000, UINT64_MAX, 0);
	T_EQ(vhk_ctl_iotlb(c, &m), -EINVAL);
	m = msg(VHK_IOTLB_MISS, 0x1000, 0x1000, 0);
	T_EQ(vhk_ctl_iotlb(c, &m), -EINVAL);
	m = msg(VHK_IOTLB_BATCH_BEGIN, 0, 0, 0);
	T_EQ(vhk_ctl_iotlb(c, &m), -EOPNOTSUPP);
	T_OK(!t_kern_written(&got));
	t_kern_close(c);
}

/* The fake's range is 0x1000 to 2^40 - 1, and it has two address spaces. */
static void vdpa_judges(void)
{
	static const struct {
		unsigned int type;
		uint64_t iova, size, uva;
		uint32_t asid;
		uint8_t perm;
		int want;
	} cases[] = {
		{ VHK_IOTLB_UPDATE, 0x10000, 4 * PAGE, 0x70000, 0, 3, 0 },
		{ VHK_IOTLB_UPDATE, 0x10000, 4 * PAGE, 0x70000, 0, 3, -EEXIST },
		{ VHK_IOTLB_UPDATE, 0xf000, 2 * PAGE, 0x70000, 0, 3, -EEXIST },
		{ VHK_IOTLB_UPDATE, 0x13000, PAGE, 0x70000, 0, 3, -EEXIST },
		{ VHK_IOTLB_UPDATE, 0x14000, PAGE, 0x70000, 0, 1, 0 },
		{ VHK_IOTLB_UPDATE, 0xf000, PAGE, 0x70000, 0, 2, 0 },
		{ VHK_IOTLB_UPDATE, 0x10000, PAGE, 0x70000, 1, 3, 0 },
		{ VHK_IOTLB_UPDATE, 0x10000, PAGE, 0x70000, 2, 3, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0, PAGE, 0x70000, 0, 3, -ERANGE },
		{ VHK_IOTLB_UPDATE, 0xfffffff000, PAGE, 0x70000, 0, 3, 0 },
		{ VHK_IOTLB_UPDATE, 0xfffffff000, 2 * PAGE, 0x70000, 0, 3, -ERANGE },
		{ VHK_IOTLB_UPDATE, 0x20000, 0, 0x70000, 0, 3, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0x20001, PAGE, 0x70000, 0, 3, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0x20000, PAGE + 1, 0x70000, 0, 3, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0x20000, PAGE, 0x70001, 0, 3, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0x20000, PAGE, 0x70000, 0, 0, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0x20000, PAGE, 0x70000, 0, 4, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0x20000, UINT64_MAX & ~4095ull, 0x70000, 0, 3, -EINVAL },
		{ VHK_IOTLB_INVALIDATE, 0x10000, PAGE, 0, 0, 0, -EINVAL },
		{ VHK_IOTLB_INVALIDATE, 0x12000, 3 * PAGE, 0, 0, 0, -EINVAL },
		{ VHK_IOTLB_INVALIDATE, 0xf000, 6 * PAGE, 0, 0, 0, 0 },
		{ VHK_IOTLB_UPDATE, 0xf000, 6 * PAGE, 0x70000, 0, 3, 0 },
		{ VHK_IOTLB_INVALIDATE, 0, UINT64_MAX, 0, 1, 0, 0 },
		{ VHK_IOTLB_UPDATE, 0x10000, PAGE, 0x70000, 1, 3, 0 },
		{ VHK_IOTLB_MISS, 0x30000, PAGE, 0, 0, 3, -EINVAL },
		{ 7, 0x30000, PAGE, 0, 0, 3, -EINVAL },
	};
	struct vhk_ctl *c = open_vdpa(VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_ASID);
	struct t_iotlb got;
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		struct vhk_iotlb_msg m = msg(cases[i].type, cases[i].iova, cases[i].size,
					     cases[i].uva);
		int ret;

		m.asid = cases[i].asid;
		m.perm = cases[i].perm;
		ret = vhk_ctl_iotlb(c, &m);
		if (ret != cases[i].want)
			printf("# case %zu\n", i);
		T_EQ(ret, cases[i].want);
		T_EQ(t_kern_written(&got), !cases[i].want);
		if (!ret) {
			T_EQ(got.asid, cases[i].asid);
			T_EQ(got.iova, cases[i].iova);
		}
	}
	t_kern_close(c);
}

static void vdpa_without_spaces_or_batches(void)
{
	struct vhk_ctl *c = open_vdpa(VHK_BF_IOTLB_MSG_V2);
	struct vhk_iotlb_msg m = msg(VHK_IOTLB_UPDATE, 0x10000, PAGE, 0x70000);
	struct t_iotlb got;

	m.asid = 1;
	T_EQ(vhk_ctl_iotlb(c, &m), -EINVAL);
	m = msg(VHK_IOTLB_BATCH_BEGIN, 0, 0, 0);
	T_EQ(vhk_ctl_iotlb(c, &m), -EOPNOTSUPP);
	T_OK(!t_kern_written(&got));
	t_kern_close(c);
}

static void vdpa_batches(void)
{
	static const struct {
		unsigned int type;
		uint32_t asid;
		int want;
	} cases[] = {
		{ VHK_IOTLB_BATCH_END, 0, -EINVAL },
		{ VHK_IOTLB_BATCH_BEGIN, 2, -EINVAL },
		{ VHK_IOTLB_BATCH_BEGIN, 1, 0 },
		{ VHK_IOTLB_BATCH_BEGIN, 1, -EINVAL },
		{ VHK_IOTLB_UPDATE, 0, -EINVAL },
		{ VHK_IOTLB_UPDATE, 1, 0 },
		{ VHK_IOTLB_BATCH_END, 0, -EINVAL },
		{ VHK_IOTLB_BATCH_END, 1, 0 },
		{ VHK_IOTLB_UPDATE, 0, 0 },
	};
	struct vhk_ctl *c = open_vdpa(VHK_BF_IOTLB_MSG_V2 | VHK_BF_IOTLB_ASID |
				      VHK_BF_IOTLB_BATCH);
	struct t_iotlb got;
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		struct vhk_iotlb_msg m = msg(cases[i].type, 0x10000, PAGE, 0x70000);

		m.asid = cases[i].asid;
		T_EQ(vhk_ctl_iotlb(c, &m), cases[i].want);
		T_EQ(t_kern_written(&got), !cases[i].want);
	}
	t_kern_close(c);
}

static char last_line[256];

static void keep_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", text);
}

static bool write_fails;

/* The kernel's answer to whatever is wrong with a mapping. */
ssize_t write(int fd, const void *buf, size_t len)
{
	if (!write_fails || fd != t_kern.fd)
		return syscall(SYS_write, fd, buf, len);
	errno = EFAULT;
	return -1;
}

static void locked_memory(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .log = { .fn = keep_line } };
	struct vhk_iotlb_msg m = msg(VHK_IOTLB_UPDATE, 0x100000, 64 * PAGE, 0x70000);
	struct rlimit was, lim;
	struct vhk_ctl *c;

	t_kern.backend = VHK_BF_IOTLB_MSG_V2;
	c = t_kern_open(VDPA, &o);
	T_MUST(!vhk_ctl_set_backend_features(c, VHK_BF_IOTLB_MSG_V2));
	T_MUST(!getrlimit(RLIMIT_MEMLOCK, &was));
	lim = was;
	lim.rlim_cur = 16 * PAGE;
	T_MUST(!setrlimit(RLIMIT_MEMLOCK, &lim));
	/* A device that pins nothing takes it. */
	T_EQ(vhk_ctl_iotlb(c, &m), 0);
	m.iova.v += m.size;
	write_fails = true;
	T_EQ(vhk_ctl_iotlb(c, &m), -ENOMEM);
	T_OK(strstr(last_line, "RLIMIT_MEMLOCK is 64 KiB"));
	T_OK(strstr(last_line, "256 KiB cannot be mapped"));
	m.size = 16 * PAGE;
	T_EQ(vhk_ctl_iotlb(c, &m), -EFAULT);
	setrlimit(RLIMIT_MEMLOCK, &was);
	write_fails = false;
	/* What was refused is not held. */
	T_EQ(vhk_ctl_iotlb(c, &m), 0);
	t_kern_close(c);
}

/* Many mappings, in an order that is none: what is held stays right. */
static void vdpa_many(void)
{
	struct vhk_ctl *c = open_vdpa(VHK_BF_IOTLB_MSG_V2);
	struct t_iotlb got;
	unsigned int i, n = 4096;

	for (i = 0; i < n; i++) {
		struct vhk_iotlb_msg m = msg(VHK_IOTLB_UPDATE,
					     0x100000 + (i * 1237u % n) * 2 * PAGE, PAGE, 0x70000);

		T_EQ(vhk_ctl_iotlb(c, &m), 0);
		T_OK(t_kern_written(&got));
	}
	for (i = 0; i < n; i++) {
		struct vhk_iotlb_msg m = msg(VHK_IOTLB_UPDATE, 0x100000 + i * 2 * PAGE, PAGE,
					     0x70000);

		T_EQ(vhk_ctl_iotlb(c, &m), -EEXIST);
		m.iova.v += PAGE;
		if (!(i % 7)) {
			T_EQ(vhk_ctl_iotlb(c, &m), 0);
			T_OK(t_kern_written(&got));
		}
	}
	t_kern_close(c);
}

static struct vhk_iotlb_msg heard[8];
static unsigned int n_heard;
static struct vhk_ctl *hearing;
static struct vhk_ctl_req reply;

static void on_iotlb(void *arg, const struct vhk_iotlb_msg *m)
{
	T_OK(arg == &n_heard);
	T_MUST(n_heard < vhk_array_size(heard));
	heard[n_heard++] = *m;
	reply = (struct vhk_ctl_req){ .op = VHK_CTL_IOTLB_MSG, .fd = -1 };
	reply.iotlb = msg(VHK_IOTLB_UPDATE, m->iova.v & ~4095ull, PAGE, 0x70000);
	T_EQ(vhk_ctl_iotlb(hearing, &reply.iotlb), -EBUSY);
	T_EQ(vhk_ctl_submit(hearing, &reply), 0);
	T_EQ(reply.ret, 0);
}

static void tell(uint32_t type, uint64_t iova, uint8_t kind)
{
	struct t_iotlb m = { .type = type, .iova = iova, .perm = 1, .kind = kind };

	T_MUST(send(t_kern.peer, &m, 72, 0) == 72);
}

static void misses(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .on_iotlb = on_iotlb, .arg = &n_heard };
	struct vhk_ctl *c = open_net(VHK_BF_IOTLB_MSG_V2, &o);
	struct t_iotlb got;

	hearing = c;
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(n_heard, 0);
	tell(2, 0x12345, VHK_IOTLB_MISS);
	tell(1, 0x22345, VHK_IOTLB_ACCESS_FAIL);
	T_OK(t_readable(vhk_ctl_fd(c), 10000));
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(n_heard, 2);
	T_EQ(heard[0].iova.v, 0x12345);
	T_EQ(heard[0].type, VHK_IOTLB_MISS);
	T_EQ(heard[0].perm, VHK_IOTLB_PERM_RO);
	T_EQ(heard[1].type, VHK_IOTLB_ACCESS_FAIL);
	T_OK(t_kern_written(&got));
	T_EQ(got.iova, 0x12000);
	T_OK(t_kern_written(&got));
	T_OK(!t_readable(vhk_ctl_fd(c), 0));
	/* What is no message ends the listening, not the device. */
	tell(9, 0, 0);
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(n_heard, 2);
	T_OK(!t_readable(vhk_ctl_fd(c), 0));
	T_EQ(vhk_ctl_set_owner(c), 0);
	t_kern_close(c);
}

/* Nobody answers: the memory does. What left the memory is invalidated. */
static void answered_from_memory(void)
{
	const struct vhk_region r = { .gpa = { 0x800000 }, .uva = { 0x99999000 }, .size = 8192 };
	static unsigned char own[8192] __attribute__((aligned(4096)));
	const struct vhk_vq_opts qo = { .sz = sizeof(qo), .size = 16, .gpa = { 0x400000 } };
	struct vhk_mem *m;
	struct vhk_vq *q;
	struct t_iotlb got;
	struct vhk_ctl *c;
	void *va;

	t_kern.features = VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM;
	t_kern.backend = VHK_BF_IOTLB_MSG_V2;
	c = t_kern_open(NET, NULL);
	T_MUST(!vhk_mem_new(&m));
	T_MUST(!vhk_mem_alloc(m, (struct vhk_gpa){ 0x100000 }, 65536, &va));
	T_MUST(!vhk_mem_add_va(m, &r, own));
	T_MUST(!vhk_ctl_setup(c, 0, VHK_F_ACCESS_PLATFORM, m));
	tell(2, 0x100000 + 65535, VHK_IOTLB_MISS);
	tell(2, 0x800000, VHK_IOTLB_MISS);
	tell(2, 0x900000, VHK_IOTLB_MISS);
	tell(2, 0x100000, VHK_IOTLB_ACCESS_FAIL);
	T_EQ(vhk_ctl_process(c), 0);
	T_OK(t_kern_written(&got));
	T_EQ(got.kind, VHK_IOTLB_UPDATE);
	T_EQ(got.iova, 0x100000);
	T_EQ(got.size, 65536);
	T_EQ(got.uva, (uintptr_t)va);
	T_OK(t_kern_written(&got));
	T_EQ(got.iova, 0x800000);
	T_EQ(got.uva, (uintptr_t)own);
	T_OK(!t_kern_written(&got));
	T_MUST(!vhk_mem_del(m, &r));
	T_MUST(!vhk_vq_new(&q, m, &qo));
	T_EQ(vhk_ctl_start(c, 0, q), 0);
	T_OK(t_kern_written(&got));
	T_EQ(got.kind, VHK_IOTLB_INVALIDATE);
	T_EQ(got.iova, 0x800000);
	T_EQ(got.size, 8192);
	/* The used ring's, which the device does not ask for when it starts. */
	T_OK(t_kern_written(&got));
	T_EQ(got.kind, VHK_IOTLB_UPDATE);
	T_EQ(got.iova, 0x400000);
	T_OK(!t_kern_written(&got));
	t_kern_close(c);
	vhk_vq_free(q);
	vhk_mem_free(m);
}

int main(void)
{
	T_RUN(formats);
	T_RUN(vhost_refuses);
	T_RUN(vdpa_judges);
	T_RUN(vdpa_without_spaces_or_batches);
	T_RUN(vdpa_batches);
	T_RUN(locked_memory);
	T_RUN(vdpa_many);
	T_RUN(misses);
	T_RUN(answered_from_memory);
	return t_end();
}
