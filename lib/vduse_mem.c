// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Memory through VDUSE's IOTLB: the kernel is asked for regions and their files, which are mapped
 * into a table under their IOVA. It says when regions go, but not when they come: those are asked
 * for when a queue meets them.
 */
#include <unistd.h>

#include "ring_layout.h"
#include "vduse_impl.h"

/* What the kernel says of a region is believed only as far as it answers the question. */
static bool makes_sense(const struct vduse_iotlb_entry *e, uint64_t start, uint64_t last)
{
	const uint64_t size = e->last - e->start + 1;

	return e->start <= e->last && size && size <= INT64_MAX && e->start <= last &&
	       e->last >= start && vhk_range_ok(e->offset, size);
}

/* What must not be written is mapped so that writes stay with whoever makes them. */
static int add_take_fd(struct vhk_vduse *v, const struct vduse_iotlb_entry *e, int fd)
{
	const struct vhk_region r = { .gpa = { e->start },
				      .uva = { e->start },
				      .size = e->last - e->start + 1,
				      .offset = e->offset };

	if (e->perm == VDUSE_ACCESS_RO)
		return vhk_mem_add_private_take_fd(v->mem, &r, fd);
	return vhk_mem_add_take_fd(v->mem, &r, fd);
}

/* The next region from @start on, mapped unless it is already. *next: where to look after it. */
static int map_next(struct vhk_vduse *v, uint64_t start, uint64_t last, uint64_t *next)
{
	struct vduse_iotlb_entry e = { .start = start, .last = last };
	int fd = vhk_vduse_find_region(v->fd, &e);
	int ret;

	if (fd < 0)
		return fd;
	if (!makes_sense(&e, start, last)) {
		close(fd);
		return -EPROTO;
	}
	ret = add_take_fd(v, &e, fd);
	*next = e.last + 1;
	return ret == -EEXIST ? 0 : ret;
}

int vhk_vduse_map(struct vhk_vduse *v, uint64_t start, uint64_t last)
{
	uint64_t next;
	int ret;

	for (;; start = next) {
		next = 0;
		ret = map_next(v, start, last, &next);
		if (ret == -EMSGSIZE || !next)
			return ret == -ENOENT ? 0 : ret;
		if (ret)
			vduse_log_line(v, VHK_LOG_WARN, "memory up to 0x%llx cannot be mapped: %s",
				       (unsigned long long)(next - 1), strerrordesc_np(-ret));
		if (next > last)
			return 0;
	}
}

static int map_part(struct vhk_vduse *v, uint64_t at, uint64_t len)
{
	return vhk_range_ok(at, len) ? vhk_vduse_map(v, at, at + (len - 1)) : -EFAULT;
}

int vhk_vduse_map_ring(struct vhk_vduse *v, const struct vduse_queue *q)
{
	const struct ring_parts p = ring_parts_of(q->size, vduse_packed(v));
	int ret = map_part(v, q->desc, p.desc);

	if (!ret)
		ret = map_part(v, q->driver, p.driver);
	return ret ? ret : map_part(v, q->device, p.device);
}

/* The first region that touches the range, by its place in the table. */
static int find_touching(const struct vhk_mem *m, uint64_t start, uint64_t last,
			 struct vhk_region *r)
{
	unsigned int i;

	for (i = 0; i < vhk_mem_count(m); i++) {
		vhk_mem_get(m, i, r, NULL);
		if (r->gpa.v <= last && r->gpa.v + (r->size - 1) >= start)
			return 0;
	}
	return -ENOENT;
}

int vhk_vduse_unmap(struct vhk_vduse *v, uint64_t start, uint64_t last)
{
	struct vhk_region r;
	int ret;

	while (!find_touching(v->mem, start, last, &r)) {
		ret = vhk_mem_del(v->mem, &r);
		if (ret)
			return ret;
	}
	return 0;
}

/* The first address of the range that the table lacks; false: it has all. */
static bool find_hole(const struct vhk_mem *m, uint64_t at, uint64_t len, uint64_t *hole)
{
	struct vhk_region r;
	const uint64_t last = at + (len - 1);

	while (!find_touching(m, at, at, &r)) {
		if (r.gpa.v + (r.size - 1) >= last)
			return false;
		at = r.gpa.v + r.size;
	}
	*hole = at;
	return true;
}

/* A table that is full makes room: what queues need for themselves stays. */
static int make_room(struct vhk_vduse *v)
{
	unsigned int i;
	int ret = vhk_vduse_unmap(v, 0, UINT64_MAX);

	for (i = 0; i < v->n_queues && !ret; i++) {
		const struct vduse_queue *q = &v->queue[i];

		if (!q->started)
			continue;
		ret = vhk_vduse_map_ring(v, q);
	}
	return ret;
}

/* 0: the table has the range. *less: regions left it on the way. */
static int map_missed(struct vhk_vduse *v, uint64_t at, uint64_t len, bool *less)
{
	uint64_t hole;
	int ret;

	*less = false;
	if (!len || !vhk_range_ok(at, len))
		return -EFAULT;
	while (find_hole(v->mem, at, len, &hole)) {
		ret = vhk_vduse_map(v, hole, hole);
		if (ret == -EMSGSIZE && !*less) {
			*less = true;
			ret = make_room(v);
		} else if (!ret && find_hole(v->mem, hole, 1, &hole)) {
			ret = -EFAULT;
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int miss_done(struct vhk_vduse *v, int ret, uint32_t base)
{
	(void)base;
	v->queue[v->cursor].misses = false;
	return ret;
}

static int miss_over(struct vhk_vduse *v, bool nowhere)
{
	int ret = vhk_device_miss_over(v->dev, v->cursor, nowhere, vhk_vduse_changed, v);

	return vhk_vduse_wait(v, ret, miss_done);
}

static int miss_mapped(struct vhk_vduse *v, int ret, uint32_t base)
{
	(void)base;
	return miss_over(v, ret != 0);
}

static int serve_miss(struct vhk_vduse *v)
{
	const struct vduse_queue *q = &v->queue[v->cursor];
	struct vhk_table *t;
	bool less;
	int ret = map_missed(v, q->miss_at, q->miss_len, &less);

	if (ret)
		vduse_log_line(v, VHK_LOG_DEBUG, "queue %u: no memory at 0x%llx, %llu bytes: %s",
			       v->cursor, (unsigned long long)q->miss_at,
			       (unsigned long long)q->miss_len, strerrordesc_np(-ret));
	if (ret && !less)
		return miss_over(v, true);
	t = vhk_mem_table(v->mem);
	ret = vhk_device_set_table(v->dev, t, less, vhk_vduse_find_ring, vhk_vduse_changed, v);
	vhk_table_put(t);
	return vhk_vduse_wait(v, ret, miss_mapped);
}

void vhk_vduse_serve_misses(struct vhk_vduse *v)
{
	unsigned int i;

	for (i = 0; i < v->n_queues; i++)
		if (v->queue[i].misses && v->queue[i].started)
			break;
	if (i == v->n_queues || !vhk_vduse_begin(v, VDUSE_TASK_MISS))
		return;
	v->cursor = i;
	vhk_vduse_go(v, serve_miss(v));
}
