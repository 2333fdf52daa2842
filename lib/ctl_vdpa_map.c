// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Translations of a vDPA device. vhost-vDPA answers whatever is wrong with one by -EFAULT; so what
 * it holds is kept here as well, and judged first.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "ctl_kernel.h"
#include "map.h"

static bool comes_before(const struct vhk_ctl_vdpa_map *m, uint32_t asid, uint64_t first)
{
	return m->asid < asid || (m->asid == asid && m->last < first);
}

/* The first mapping of @asid that ends at @first or later, or where it would stand. */
static unsigned int map_find(const struct vhk_ctl_vdpa *v, uint32_t asid, uint64_t first)
{
	unsigned int low = 0, high = v->n_maps, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (comes_before(&v->map[mid], asid, first))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool overlaps(const struct vhk_ctl_vdpa *v, unsigned int i, uint32_t asid, uint64_t last)
{
	return i < v->n_maps && v->map[i].asid == asid && v->map[i].first <= last;
}

static int map_room(struct vhk_ctl_vdpa *v)
{
	unsigned int room = v->room ? 2 * v->room : 16;
	struct vhk_ctl_vdpa_map *map;

	if (v->n_maps < v->room)
		return 0;
	map = realloc(v->map, room * sizeof(*map));
	if (!map)
		return -ENOMEM;
	v->map = map;
	v->room = room;
	return 0;
}

static void map_insert(struct vhk_ctl_vdpa *v, const struct vhk_ctl_vdpa_map *m)
{
	unsigned int i = map_find(v, m->asid, m->first);

	memmove(&v->map[i + 1], &v->map[i], (v->n_maps - i) * sizeof(*m));
	v->map[i] = *m;
	v->n_maps++;
}

static void map_remove(struct vhk_ctl_vdpa *v, unsigned int i, unsigned int n)
{
	memmove(&v->map[i], &v->map[i + n], (v->n_maps - i - n) * sizeof(*v->map));
	v->n_maps -= n;
}

static struct vhk_iotlb_msg map_msg(const struct vhk_ctl_vdpa_map *m, enum vhk_iotlb_type type)
{
	return (struct vhk_iotlb_msg){ .iova = { m->first },
				       .size = m->last - m->first + 1,
				       .uva = { m->va },
				       .asid = m->asid,
				       .perm = m->perm,
				       .type = (uint8_t)type };
}

/* Bytes that this process has pinned; 0: the kernel does not tell. */
static uint64_t pinned_bytes(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmPin: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib * 1024;
}

/* Not asked beforehand: devices that work on virtual addresses pin nothing. */
static int why_refused(const struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	uint64_t pinned = pinned_bytes();
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim) || lim.rlim_cur == RLIM_INFINITY ||
	    (pinned <= lim.rlim_cur && m->size <= lim.rlim_cur - pinned))
		return -EFAULT;
	vhk_log(&k->c.log, VHK_LOG_ERROR,
		"%llu KiB cannot be mapped: RLIMIT_MEMLOCK is %llu KiB, %llu of it are in use",
		(unsigned long long)m->size / 1024, (unsigned long long)lim.rlim_cur / 1024,
		(unsigned long long)pinned / 1024);
	return -ENOMEM;
}

static int send(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	return vhk_kern_iotlb_send(k->fd, k->backend, m);
}

static bool whole_pages(const struct vhk_iotlb_msg *m)
{
	return !((m->iova.v | m->size | m->uva.v) & (vhk_page_size() - 1));
}

static int check_space(const struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	const struct vhk_ctl_vdpa *v = &k->vdpa;

	if (m->asid && !(k->backend & VHK_BF_IOTLB_ASID))
		return -EINVAL;
	if (m->asid >= v->n_asids)
		return -EINVAL;
	return v->in_batch && v->batch_asid != m->asid ? -EINVAL : 0;
}

static int check_update(const struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	const struct vhk_ctl_vdpa *v = &k->vdpa;
	uint64_t last = m->iova.v + m->size - 1;

	if (!m->size || !vhk_range_ok(m->iova.v, m->size) || !vhk_range_ok(m->uva.v, m->size) ||
	    !whole_pages(m) || !m->perm || m->perm > VHK_IOTLB_PERM_RW)
		return -EINVAL;
	if (m->iova.v < v->range.first.v || last > v->range.last.v)
		return -ERANGE;
	return overlaps(v, map_find(v, m->asid, m->iova.v), m->asid, last) ? -EEXIST : 0;
}

static int update(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m, bool table)
{
	const struct vhk_ctl_vdpa_map map = {
		.asid = m->asid, .perm = m->perm, .table = table, .first = m->iova.v,
		.last = m->iova.v + m->size - 1, .va = m->uva.v,
	};
	int ret = check_update(k, m);

	if (!ret)
		ret = map_room(&k->vdpa);
	if (!ret)
		ret = send(k, m);
	if (ret == -EFAULT)
		return why_refused(k, m);
	if (!ret)
		map_insert(&k->vdpa, &map);
	return ret;
}

/* The kernel takes a mapping away in pieces of its own choice: only whole ones are well defined. */
static int invalidate(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	struct vhk_ctl_vdpa *v = &k->vdpa;
	uint64_t last = m->iova.v + m->size - 1;
	unsigned int i, n = 0;
	int ret;

	if (!m->size || !vhk_range_ok(m->iova.v, m->size))
		return -EINVAL;
	for (i = map_find(v, m->asid, m->iova.v); overlaps(v, i + n, m->asid, last); n++)
		if (v->map[i + n].first < m->iova.v || v->map[i + n].last > last)
			return -EINVAL;
	if (!n)
		return 0;
	ret = send(k, m);
	if (!ret)
		map_remove(v, i, n);
	return ret;
}

static int batch(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	bool begins = m->type == VHK_IOTLB_BATCH_BEGIN;
	int ret;

	if (!(k->backend & VHK_BF_IOTLB_BATCH))
		return -EOPNOTSUPP;
	if (k->vdpa.in_batch == begins)
		return -EINVAL;
	ret = send(k, m);
	if (!ret) {
		k->vdpa.in_batch = begins;
		k->vdpa.batch_asid = m->asid;
	}
	return ret;
}

int vhk_ctl_vdpa_iotlb(struct vhk_ctl_kernel *k, const struct vhk_iotlb_msg *m)
{
	int ret = check_space(k, m);

	if (ret)
		return ret;
	switch (m->type) {
	case VHK_IOTLB_UPDATE:
		return update(k, m, false);
	case VHK_IOTLB_INVALIDATE:
		return invalidate(k, m);
	case VHK_IOTLB_BATCH_BEGIN:
	case VHK_IOTLB_BATCH_END:
		return batch(k, m);
	default:
		return -EINVAL;
	}
}

/* Where a batch cannot be had, or is under way, messages do without one. */
static bool batch_begin(struct vhk_ctl_kernel *k, uint32_t asid)
{
	const struct vhk_iotlb_msg m = { .asid = asid, .type = VHK_IOTLB_BATCH_BEGIN };

	return !batch(k, &m);
}

static void batch_end(struct vhk_ctl_kernel *k, uint32_t asid, bool begun)
{
	const struct vhk_iotlb_msg m = { .asid = asid, .type = VHK_IOTLB_BATCH_END };

	if (begun)
		batch(k, &m);
}

/* A region as a mapping: whole pages, the last one's rest included. */
static int region_map(const struct vhk_ctl_kernel *k, const struct vhk_mem *mem, unsigned int i,
		      struct vhk_ctl_vdpa_map *out)
{
	const uint64_t page = vhk_page_size();
	struct vhk_region r;
	struct iovec seg;
	int ret = vhk_mem_get(mem, i, &r, NULL);

	if (!ret)
		ret = vhk_mem_find(mem, r.gpa, r.size, &seg, 1) == 1 ? 0 : -EFAULT;
	if (ret)
		return ret;
	*out = (struct vhk_ctl_vdpa_map){ .perm = VHK_IOTLB_PERM_RW,
					  .table = true,
					  .first = r.gpa.v,
					  .last = (r.gpa.v + r.size - 1) | (page - 1),
					  .va = (uintptr_t)seg.iov_base };
	if (!((out->first | out->va) & (page - 1)))
		return 0;
	vhk_log(&k->c.log, VHK_LOG_ERROR, "the region at 0x%llx does not start at a page",
		(unsigned long long)r.gpa.v);
	return -EINVAL;
}

static bool map_same(const struct vhk_ctl_vdpa_map *a, const struct vhk_ctl_vdpa_map *b)
{
	return a->table && b->table && a->first == b->first && a->last == b->last &&
	       a->va == b->va;
}

/* Takes away what @mem has no more. */
static int table_drop(struct vhk_ctl_kernel *k, const struct vhk_mem *mem)
{
	struct vhk_ctl_vdpa *v = &k->vdpa;
	unsigned int i = 0, j, n = vhk_mem_count(mem);
	struct vhk_ctl_vdpa_map want;
	struct vhk_iotlb_msg m;
	int ret = 0;

	while (i < v->n_maps && !ret) {
		bool keep = !v->map[i].table;

		for (j = 0; j < n && !keep && !ret; j++) {
			ret = region_map(k, mem, j, &want);
			keep = !ret && map_same(&v->map[i], &want);
		}
		m = map_msg(&v->map[i], VHK_IOTLB_INVALIDATE);
		if (keep)
			i++;
		else if (!ret)
			ret = invalidate(k, &m);
	}
	return ret;
}

static int table_add(struct vhk_ctl_kernel *k, const struct vhk_mem *mem)
{
	struct vhk_ctl_vdpa *v = &k->vdpa;
	unsigned int i, at, n = vhk_mem_count(mem);
	struct vhk_ctl_vdpa_map want;
	struct vhk_iotlb_msg m;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		ret = region_map(k, mem, i, &want);
		if (ret)
			break;
		at = map_find(v, 0, want.first);
		if (at < v->n_maps && map_same(&v->map[at], &want))
			continue;
		m = map_msg(&want, VHK_IOTLB_UPDATE);
		ret = update(k, &m, true);
	}
	return ret;
}

int vhk_ctl_vdpa_table(struct vhk_ctl_kernel *k, const struct vhk_mem *mem)
{
	bool begun;
	int ret;

	if (!vhk_mem_count(mem))
		return -EINVAL;
	if (k->vdpa.in_batch)
		return -EINVAL;
	begun = batch_begin(k, 0);
	ret = table_drop(k, mem);
	if (!ret)
		ret = table_add(k, mem);
	batch_end(k, 0, begun);
	return ret;
}

int vhk_ctl_vdpa_remap(struct vhk_ctl_kernel *k)
{
	struct vhk_ctl_vdpa *v = &k->vdpa;
	struct vhk_iotlb_msg m;
	bool begun = false;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < v->n_maps && !ret; i++) {
		if (!i || v->map[i].asid != v->map[i - 1].asid) {
			if (i)
				batch_end(k, v->map[i - 1].asid, begun);
			begun = batch_begin(k, v->map[i].asid);
		}
		m = map_msg(&v->map[i], VHK_IOTLB_INVALIDATE);
		ret = send(k, &m);
		m.type = VHK_IOTLB_UPDATE;
		if (!ret)
			ret = send(k, &m);
	}
	if (v->n_maps)
		batch_end(k, v->map[i - 1].asid, begun);
	return ret;
}
