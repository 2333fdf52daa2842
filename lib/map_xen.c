// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The calls that map another Xen domain's memory. The structures of /dev/xen/privcmd and
 * gntdev are declared here, since their headers need types of the hypervisor.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base.h"
#include "map_xen.h"

#define XEN_PAGE 4096u
#define XEN_SHIFT 12
/* Says of an address that it is a grant's. */
#define XEN_GRANT_ADDR (1ull << 63)
#define FRAMES_MAX (64ull << 30 >> XEN_SHIFT)

struct privcmd_batch {
	unsigned int num;
	uint16_t domid;
	uint64_t addr;
	const unsigned long *frame;
	int *err;
};
#define PRIVCMD_MMAPBATCH_V2 _IOC(_IOC_NONE, 'P', 4, sizeof(struct privcmd_batch))

struct gnt_ref {
	uint32_t domid;
	uint32_t ref;
};

struct gnt_map {
	uint32_t count;
	uint32_t pad;
	uint64_t index; /* the answer: offset for mmap(2) */
	struct gnt_ref ref[1];
};
#define GNTDEV_MAP _IOC(_IOC_NONE, 'G', 0, sizeof(struct gnt_map))

struct gnt_unmap {
	uint64_t index;
	uint32_t count;
	uint32_t pad;
};
#define GNTDEV_UNMAP _IOC(_IOC_NONE, 'G', 1, sizeof(struct gnt_unmap))

/* What has to be told when a grant is not used any more. */
struct vhk_xen_mapping {
	const struct vhk_xen_calls *calls;
	int fd;
	uint64_t index;
	uint32_t count;
};

static int system_control(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) ? -errno : 0;
}

const struct vhk_xen_calls vhk_xen_system = {
	.map = vhk_map_file,
	.control = system_control,
};

static int map_frames(struct vhk_map *m, int fd, uint64_t first, uint32_t count, uint32_t domid,
		      const struct vhk_xen_calls *calls)
{
	unsigned long *frame = malloc(count * sizeof(*frame));
	int *err = calloc(count, sizeof(*err));
	struct privcmd_batch batch = { .num = count, .domid = (uint16_t)domid, .frame = frame,
				       .err = err };
	void *va = NULL;
	uint32_t i;
	int ret = frame && err ? calls->map(&va, fd, m->len, 0) : -ENOMEM;

	for (i = 0; !ret && i < count; i++)
		frame[i] = (unsigned long)(first + i);
	batch.addr = (uintptr_t)va;
	m->base = va;
	if (!ret)
		ret = calls->control(fd, PRIVCMD_MMAPBATCH_V2, &batch);
	for (i = 0; !ret && i < count; i++)
		ret = err[i] < 0 ? err[i] : 0;
	free(frame);
	free(err);
	return ret;
}

static void drop_grants(const struct vhk_xen_mapping *x)
{
	struct gnt_unmap r = { .index = x->index, .count = x->count };

	x->calls->control(x->fd, GNTDEV_UNMAP, &r);
}

static int ask_grants(struct vhk_xen_mapping *x, uint64_t first, uint32_t domid)
{
	struct gnt_map *r;
	uint32_t i;
	int ret;

	r = calloc(1, sizeof(*r) + x->count * sizeof(r->ref[0]));
	if (!r)
		return -ENOMEM;
	r->count = x->count;
	for (i = 0; i < x->count; i++) {
		r->ref[i].domid = domid;
		r->ref[i].ref = (uint32_t)first + i;
	}
	ret = x->calls->control(x->fd, GNTDEV_MAP, r);
	x->index = r->index;
	free(r);
	return ret;
}

/* The fd is kept: the grants are given back through it. */
static int map_grants(struct vhk_map *m, int fd, uint64_t first, uint32_t count, uint32_t domid,
		      const struct vhk_xen_calls *calls)
{
	struct vhk_xen_mapping *x = malloc(sizeof(*x));
	void *va = NULL;
	int ret;

	if (!x)
		return -ENOMEM;
	*x = (struct vhk_xen_mapping){ .calls = calls, .count = count,
				       .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0) };
	ret = x->fd < 0 ? -errno : ask_grants(x, first, domid);
	if (!ret) {
		ret = calls->map(&va, x->fd, m->len, x->index);
		if (ret)
			drop_grants(x);
	}
	if (ret) {
		if (x->fd >= 0)
			close(x->fd);
		free(x);
		return ret;
	}
	m->base = va;
	m->xen = x;
	return 0;
}

void vhk_xen_release(struct vhk_map *m)
{
	if (!m->xen)
		return;
	drop_grants(m->xen);
	close(m->xen->fd);
	free(m->xen);
	m->xen = NULL;
}

static int check(uint64_t gpa, uint64_t size, uint32_t flags)
{
	const uint32_t kind = flags & (VHK_XEN_FOREIGN | VHK_XEN_GRANT);

	if (flags & ~(VHK_XEN_FOREIGN | VHK_XEN_GRANT | VHK_XEN_NO_ADVANCE))
		return -EINVAL;
	if (!vhk_is_power_of_2(kind) || !size || size > FRAMES_MAX << XEN_SHIFT ||
	    !vhk_range_ok(gpa, size))
		return -EINVAL;
	return flags & VHK_XEN_NO_ADVANCE ? -EOPNOTSUPP : 0;
}

int vhk_map_xen(struct vhk_map *m, int fd, uint64_t gpa, uint64_t size, uint32_t flags,
		uint32_t domid, const struct vhk_xen_calls *calls)
{
	const uint64_t head = gpa & (XEN_PAGE - 1);
	uint64_t first = gpa >> XEN_SHIFT;
	uint32_t count;
	int ret;

	*m = (struct vhk_map){ .block = vhk_page_size() };
	ret = check(gpa, size, flags);
	if (ret)
		return ret;
	m->len = vhk_align_up(head + size, XEN_PAGE);
	count = (uint32_t)(m->len >> XEN_SHIFT);
	if (flags & VHK_XEN_GRANT) {
		first = (gpa & ~XEN_GRANT_ADDR) >> XEN_SHIFT;
		ret = map_grants(m, fd, first, count, domid, calls);
	} else {
		ret = map_frames(m, fd, first, count, domid, calls);
	}
	if (ret) {
		vhk_unmap_range(m);
		return ret;
	}
	m->va = m->base + head;
	return 0;
}
