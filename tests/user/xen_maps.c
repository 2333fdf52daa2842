// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Memory of another Xen domain, without Xen: the calls that map it are the test's own, and map a
 * file instead. By frame number and by grant, from the front end's words to a device that works on
 * it; what cannot be mapped is refused; grants are given back.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "backend_impl.h"
#include "map_xen.h"
#include "t_both.h"
#include "t_types.h"

#define PAGE 4096u
#define GRANT (1ull << 63)

/* The numbers are Xen's: 'P' 4 and 'G' 0 and 1. */
#define NR(request) (_IOC_TYPE(request) << 8 | _IOC_NR(request))

/* The domain's memory, and what was asked of "Xen". */
static struct xen {
	int file;
	int fail;	   /* what the calls answer */
	int frame_error;   /* of the last frame */
	unsigned int n_maps, n_grants, n_released;
	uint32_t domid, count;
	uint64_t first;
} xen;

struct batch {
	unsigned int num;
	uint16_t domid;
	uint64_t addr;
	const unsigned long *frame;
	int *err;
};

struct grants {
	uint32_t count, pad;
	uint64_t index;
	struct {
		uint32_t domid, ref;
	} ref[1];
};

/* Pages 0 on of the file stand for whatever was asked for. */
static int map(void **va, int fd, size_t len, uint64_t offset)
{
	(void)fd;
	if (xen.fail)
		return xen.fail;
	T_OK(offset == 0 || offset == 0x5000);
	xen.n_maps++;
	return vhk_map_file(va, xen.file, len, 0);
}

static void see_frames(const struct batch *b)
{
	unsigned int i;

	xen.domid = b->domid;
	xen.count = b->num;
	xen.first = b->frame[0];
	T_OK(b->addr);
	for (i = 0; i < b->num; i++)
		T_EQ(b->frame[i], b->frame[0] + i);
	b->err[b->num - 1] = xen.frame_error;
}

static void see_grants(struct grants *g)
{
	unsigned int i;

	xen.n_grants++;
	xen.domid = g->ref[0].domid;
	xen.count = g->count;
	xen.first = g->ref[0].ref;
	for (i = 0; i < g->count; i++)
		T_EQ(g->ref[i].ref, g->ref[0].ref + i);
	g->index = 0x5000;
}

static int control(int fd, unsigned long request, void *arg)
{
	T_OK(fcntl(fd, F_GETFD) >= 0);
	switch (NR(request)) {
	case 'P' << 8 | 4:
		see_frames(arg);
		return 0;
	case 'G' << 8 | 0:
		see_grants(arg);
		return 0;
	case 'G' << 8 | 1:
		T_EQ(*(uint64_t *)arg, 0x5000);
		xen.n_released++;
		return 0;
	default:
		T_OK(!"a call of Xen's");
		return -ENOTTY;
	}
}

static const struct vhk_xen_calls calls = { .map = map, .control = control };

static void reset(void)
{
	if (xen.file)
		close(xen.file);
	xen = (struct xen){ .file = memfd_create("domain", MFD_CLOEXEC) };
	T_MUST(xen.file >= 0 && !ftruncate(xen.file, 1 << 20));
}

static const struct {
	uint64_t gpa, size;
	uint32_t flags;
	int want;
	uint64_t first;
	uint32_t count;
} cases[] = {
	{ 0x10000, 0x4000, VHK_XEN_FOREIGN, 0, 0x10, 4 },
	{ 0x10080, 0x1000, VHK_XEN_FOREIGN, 0, 0x10, 2 },
	{ GRANT | 0x10000, 0x4000, VHK_XEN_GRANT, 0, 0x10, 4 },
	{ GRANT | 0x10ff0, 0x20, VHK_XEN_GRANT, 0, 0x10, 2 },
	{ 0x10000, 0x4000, 0, -EINVAL, 0, 0 },
	{ 0x10000, 0x4000, VHK_XEN_FOREIGN | VHK_XEN_GRANT, -EINVAL, 0, 0 },
	{ 0x10000, 0x4000, VHK_XEN_FOREIGN | 4, -EINVAL, 0, 0 },
	{ 0x10000, 0x4000, VHK_XEN_FOREIGN | VHK_XEN_NO_ADVANCE, -EOPNOTSUPP, 0, 0 },
	{ 0x10000, 0, VHK_XEN_FOREIGN, -EINVAL, 0, 0 },
	{ 0, 1ull << 40, VHK_XEN_FOREIGN, -EINVAL, 0, 0 },
	{ UINT64_MAX, 2, VHK_XEN_FOREIGN, -EINVAL, 0, 0 },
};

static void maps(void)
{
	struct vhk_map m;
	size_t i;
	int fds;

	reset();
	fds = t_count_fds();
	for (i = 0; i < vhk_array_size(cases); i++) {
		T_EQ(vhk_map_xen(&m, xen.file, cases[i].gpa, cases[i].size, cases[i].flags, 7,
				 &calls),
		     cases[i].want);
		if (cases[i].want)
			continue;
		T_EQ(xen.domid, 7);
		T_EQ(xen.first, cases[i].first);
		T_EQ(xen.count, cases[i].count);
		T_EQ((uintptr_t)m.va % PAGE, cases[i].gpa % PAGE);
		m.va[0] = m.va[cases[i].size - 1] = 1;
		vhk_unmap_range(&m);
	}
	T_EQ(xen.n_maps, 4);
	T_EQ(xen.n_grants, 2);
	T_EQ(xen.n_released, 2);
	T_EQ(t_count_fds(), fds);
}

static void calls_that_fail(void)
{
	struct vhk_map m;
	int fds;

	reset();
	fds = t_count_fds();
	xen.frame_error = -ENOENT;
	T_EQ(vhk_map_xen(&m, xen.file, 0, PAGE, VHK_XEN_FOREIGN, 7, &calls), -ENOENT);
	xen.fail = -EPERM;
	T_EQ(vhk_map_xen(&m, xen.file, 0, PAGE, VHK_XEN_FOREIGN, 7, &calls), -EPERM);
	T_EQ(vhk_map_xen(&m, xen.file, GRANT, PAGE, VHK_XEN_GRANT, 7, &calls), -EPERM);
	T_EQ(xen.n_grants, 1);
	T_EQ(xen.n_released, 1);
	T_EQ(t_count_fds(), fds);
	/* a file that is none of Xen's */
	T_OK(vhk_map_xen(&m, xen.file, GRANT, PAGE, VHK_XEN_GRANT, 7, &vhk_xen_system) < 0);
	T_OK(vhk_map_xen(&m, xen.file, 0, PAGE, VHK_XEN_FOREIGN, 7, &vhk_xen_system) < 0);
	T_EQ(t_count_fds(), fds);
}

static void use_calls(void *arg)
{
	((struct vhk_backend *)arg)->xen = &calls;
}

/* A queue in memory that is mapped so, from the library's front end to a device. */
static void both_ends(uint32_t flags, uint64_t without)
{
	const struct vhk_backend_opts bo = { .sz = sizeof(bo), .flags = VHK_BACKEND_F_XEN };
	const uint64_t at = flags & VHK_XEN_GRANT ? GRANT | 0x100000 : 0x100000;
	struct vhk_vq_opts vo = { .sz = sizeof(vo), .size = 64, .gpa = { at } };
	struct vhk_region region;
	struct vhk_done done;
	struct t_both both;
	struct t_types types;
	struct vhk_mem *mem;
	struct iovec seg[2];
	struct vhk_vq *vq;
	int fd;

	reset();
	t_types_init(&types);
	t_both_open(&both, types.dev, &bo,
		    (struct vhk_ctl_opts){ .also = VHK_PF_XEN_MMAP,
					   .without = without,
					   .xen_flags = flags,
					   .xen_domid = 9 });
	t_both_call(&both, use_calls, both.be);
	T_MUST(!vhk_mem_new(&mem));
	vo.features = VHK_F_VERSION_1;
	T_MUST(!vhk_vq_new(&vq, mem, &vo));
	/* what "Xen" maps is this very memory */
	T_MUST(!vhk_mem_get(mem, 0, &region, &fd));
	close(xen.file);
	xen.file = dup(fd);
	T_MUST(!vhk_ctl_setup(both.ctl, VHK_F_VERSION_1, VHK_F_VERSION_1, mem));
	T_OK(vhk_ctl_protocol_features(both.ctl) & VHK_PF_XEN_MMAP);
	T_MUST(!vhk_ctl_start(both.ctl, 0, vq));
	T_EQ(xen.domid, 9);
	T_EQ(xen.first, 0x100);
	/* a piece of the queue's own memory, whatever it holds */
	seg[0] = (struct iovec){ (char *)(uintptr_t)region.uva.v + region.size - 64, 16 };
	seg[1] = (struct iovec){ (char *)(uintptr_t)region.uva.v + region.size - 32, 32 };
	T_MUST(!vhk_vq_add(vq, seg, 1, 1, vq));
	if (vhk_vq_publish(vq) > 0)
		T_EQ(vhk_ctl_kick(both.ctl, 0), 0);
	while (!vhk_vq_get(vq, &done, 1))
		T_MUST(!vhk_ctl_wait(both.ctl, 0, 10 * T_SECOND));
	T_EQ(done.written, 32);
	t_both_close(&both);
	t_types_fini(&types);
	vhk_vq_free(vq);
	vhk_mem_free(mem);
	T_OK(xen.n_maps > 0);
	T_EQ(xen.n_grants, xen.n_released);
	T_EQ(xen.n_grants > 0, flags == VHK_XEN_GRANT);
}

static void foreign_by_slots(void)
{
	both_ends(VHK_XEN_FOREIGN, 0);
}

static void foreign_by_table(void)
{
	both_ends(VHK_XEN_FOREIGN, VHK_PF_CONFIGURE_MEM_SLOTS);
}

static void grants_by_slots(void)
{
	both_ends(VHK_XEN_GRANT, 0);
}

static void grants_by_table(void)
{
	both_ends(VHK_XEN_GRANT, VHK_PF_CONFIGURE_MEM_SLOTS);
}

/* Sizes and flags on the wire: what came before it was negotiated is malformed after it. */
static void judged(void)
{
	struct vhk_proto_state st = { .features_set = true,
				      .protocol = VHK_USER_PF(XEN_MMAP) |
						  VHK_USER_PF(CONFIGURE_MEM_SLOTS) };
	struct vhk_user_region r = { 0x10000, 0x1000, 0x10000, 0 };
	static const struct {
		uint32_t request, size, flags;
		bool xen;
		int want;
	} words[] = {
		{ 37, 48, 1, true, 0 },	       { 37, 48, 2, true, 0 },	  { 37, 48, 0, true, 0 },
		{ 37, 48, 3, true, -EINVAL },  { 37, 48, 4, true, -EINVAL },
		{ 37, 40, 0, true, -EPROTO },  { 37, 44, 0, true, -EPROTO },
		{ 37, 48, 1, false, -EPROTO }, { 37, 40, 0, false, 0 },
		{ 38, 48, 1, true, 0 },	       { 38, 40, 0, true, -EPROTO },
		{ 5, 48, 1, true, 0 },	       { 5, 48, 3, true, -EINVAL },
		{ 5, 40, 0, true, -EPROTO },   { 5, 40, 0, false, 0 },
	};
	const char *why;
	struct vhk_msg m;
	uint32_t one = 1;
	size_t i;

	for (i = 0; i < vhk_array_size(words); i++) {
		vhk_msg_init(&m, words[i].request, 0);
		m.hdr.size = words[i].size;
		m.n_fds = words[i].request != 38;
		if (words[i].request == 5)
			memcpy(m.bytes, &one, sizeof(one));
		memcpy(m.bytes + 8, &r, sizeof(r));
		memcpy(m.bytes + 40, &words[i].flags, sizeof(uint32_t));
		st.protocol &= ~VHK_USER_PF(XEN_MMAP);
		st.protocol |= words[i].xen ? VHK_USER_PF(XEN_MMAP) : 0;
		if (vhk_proto_check(&st, &m, false, &why) != words[i].want)
			printf("# %zu: %s\n", i, why);
		T_EQ(vhk_proto_check(&st, &m, false, &why), words[i].want);
	}
}

int main(void)
{
	T_RUN(maps);
	T_RUN(calls_that_fail);
	T_RUN(foreign_by_slots);
	T_RUN(foreign_by_table);
	T_RUN(grants_by_slots);
	T_RUN(grants_by_table);
	T_RUN(judged);
	close(xen.file);
	return t_end();
}
