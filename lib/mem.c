// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The memory table as its owner sees it: regions come and go, each change makes the next snapshot.
 * A change that fails leaves the table as it was.
 */
#include "base.h"
#include "fd.h"
#include "mem.h"

int vhk_mem_new(struct vhk_mem **out)
{
	struct vhk_mem *m = calloc(1, sizeof(*m));

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->table = vhk_table_empty(m->gen);
	if (!m->table) {
		free(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

void vhk_mem_free(struct vhk_mem *m)
{
	if (!m)
		return;
	vhk_table_put(m->table);
	free(m);
}

struct vhk_table *vhk_mem_table(const struct vhk_mem *m)
{
	return vhk_table_get(m->table);
}

static int swap_table(struct vhk_mem *m, struct vhk_table *next)
{
	if (!next)
		return -ENOMEM;
	m->gen = next->gen;
	vhk_table_put(m->table);
	m->table = next;
	return 0;
}

int vhk_mem_assign(struct vhk_mem *m, const struct vhk_mem *from)
{
	return swap_table(m, vhk_table_copy(from->table, m->gen + 1));
}

static bool overlaps(const struct vhk_span *spans, unsigned int n, uint64_t at, uint64_t size)
{
	const unsigned int i = vhk_span_rank(spans, n, at);

	/* By last bytes: a region may end at 2^64. */
	return (i < n && spans[i].start <= at + (size - 1)) ||
	       (i && at <= spans[i - 1].start + (spans[i - 1].size - 1));
}

int vhk_mem_check(const struct vhk_mem *m, const struct vhk_region *r)
{
	const struct vhk_table *t = m->table;

	if (!r->size || r->size > INT64_MAX || !vhk_range_ok(r->gpa.v, r->size) ||
	    !vhk_range_ok(r->uva.v, r->size) || !vhk_range_ok(r->offset, r->size))
		return -EINVAL;
	if (overlaps(t->by_gpa, t->n, r->gpa.v, r->size) ||
	    overlaps(t->by_uva, t->n, r->uva.v, r->size))
		return -EEXIST;
	if (t->n >= VHK_MEM_SLOTS_MAX)
		return -EMSGSIZE;
	return 0;
}

/* Owns @fd and @map from the call on. */
static int add_mapping(struct vhk_mem *m, const struct vhk_region *r, const struct vhk_map *map,
		       int fd, bool owned)
{
	struct vhk_mapping *mapping = malloc(sizeof(*mapping));
	struct vhk_map undo = *map;
	int ret;

	if (!mapping) {
		if (owned)
			vhk_unmap_range(&undo);
		vhk_fd_close(fd);
		return -ENOMEM;
	}
	atomic_init(&mapping->refs, 1);
	mapping->map = *map;
	mapping->fd = fd;
	mapping->owned = owned;
	ret = swap_table(m, vhk_table_with(m->table, m->gen + 1, r, mapping));
	vhk_mapping_put(mapping);
	return ret;
}

typedef int map_fn(struct vhk_map *m, int fd, uint64_t offset, uint64_t size);

static int add_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd, map_fn *fn, bool keep)
{
	struct vhk_map map;
	int ret;

	ret = fd < 0 ? -EINVAL : vhk_mem_check(m, r);
	if (!ret)
		ret = fn(&map, fd, r->offset, r->size);
	if (ret || !keep)
		vhk_fd_close(fd);
	return ret ? ret : add_mapping(m, r, &map, keep ? fd : -1, true);
}

int vhk_mem_add_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd)
{
	return add_take_fd(m, r, fd, vhk_map_range, false);
}

int vhk_mem_add_keep_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd)
{
	return add_take_fd(m, r, fd, vhk_map_range, true);
}

int vhk_mem_add_private_take_fd(struct vhk_mem *m, const struct vhk_region *r, int fd)
{
	return add_take_fd(m, r, fd, vhk_map_range_private, false);
}

int vhk_mem_new_file_take_fd(struct vhk_mem **out, uint64_t offset, uint64_t size, int fd,
			     bool keep, void **va)
{
	const struct vhk_region r = { .size = size, .offset = offset };
	int ret = vhk_mem_new(out);

	if (ret) {
		vhk_fd_close(fd);
		return ret;
	}
	ret = add_take_fd(*out, &r, fd, vhk_map_range, keep);
	if (ret) {
		vhk_mem_free(*out);
		*out = NULL;
		return ret;
	}
	*va = (*out)->table->by_gpa[0].va;
	return 0;
}

int vhk_mem_add_map(struct vhk_mem *m, const struct vhk_region *r, const struct vhk_map *map)
{
	struct vhk_map undo = *map;
	int ret = vhk_mem_check(m, r);

	if (ret) {
		vhk_unmap_range(&undo);
		return ret;
	}
	return add_mapping(m, r, map, -1, true);
}

/* The caller's memory, seen as the pages it lies on. */
static struct vhk_map foreign_map(void *va, uint64_t size)
{
	size_t page = vhk_page_size(), head = (uintptr_t)va & (page - 1);

	return (struct vhk_map){
		.va = va,
		.base = (unsigned char *)va - head,
		.len = vhk_align_up(head + size, page),
		.block = page,
	};
}

int vhk_mem_add_va(struct vhk_mem *m, const struct vhk_region *r, void *va)
{
	struct vhk_map map;
	int ret;

	ret = vhk_mem_check(m, r);
	if (ret)
		return ret;
	if (!va || !vhk_range_ok((uintptr_t)va, r->size + 2 * vhk_page_size()))
		return -EINVAL;
	if (overlaps(m->table->by_va, m->table->n, (uintptr_t)va, r->size))
		return -EEXIST;
	map = foreign_map(va, r->size);
	return add_mapping(m, r, &map, -1, false);
}

int vhk_mem_alloc(struct vhk_mem *m, struct vhk_gpa at, size_t size, void **va)
{
	struct vhk_region r = { .gpa = at, .size = size };
	struct vhk_map map;
	void *mem;
	int fd, ret;

	fd = vhk_map_memfd(&mem, "vhostkit-mem", size);
	if (fd < 0)
		return fd;
	map = foreign_map(mem, size);
	r.uva.v = (uintptr_t)mem;
	ret = vhk_mem_check(m, &r);
	if (ret) {
		vhk_unmap_range(&map);
		vhk_fd_close(fd);
		return ret;
	}
	ret = add_mapping(m, &r, &map, fd, true);
	if (!ret)
		*va = mem;
	return ret;
}

int vhk_mem_del(struct vhk_mem *m, const struct vhk_region *r)
{
	const struct vhk_table *t = m->table;
	unsigned int i;

	for (i = 0; i < t->n; i++)
		if (t->region[i].gpa.v == r->gpa.v && t->region[i].uva.v == r->uva.v &&
		    t->region[i].size == r->size)
			return swap_table(m, vhk_table_without(t, m->gen + 1, i));
	return -EFAULT;
}

unsigned int vhk_mem_count(const struct vhk_mem *m)
{
	return m->table->n;
}

int vhk_mem_get(const struct vhk_mem *m, unsigned int i, struct vhk_region *r, int *fd)
{
	if (i >= m->table->n)
		return -EINVAL;
	if (r)
		*r = m->table->region[i];
	if (fd)
		*fd = m->table->mapping[i]->fd;
	return 0;
}

int vhk_mem_find(const struct vhk_mem *m, struct vhk_gpa at, uint64_t len, struct iovec *seg,
		 int max)
{
	unsigned int hint = 0;

	return vhk_table_find(m->table, at.v, len, seg, max, &hint);
}

int vhk_mem_find_uva(const struct vhk_mem *m, struct vhk_uva at, uint64_t len, struct iovec *seg,
		     int max)
{
	unsigned int hint = 0;

	return vhk_table_find_uva(m->table, at.v, len, seg, max, &hint);
}

int vhk_mem_gpa(const struct vhk_mem *m, const void *va, size_t len, struct vhk_gpa *out)
{
	const struct vhk_table *t = m->table;
	const struct vhk_span *s;
	unsigned int hint = 0;

	s = vhk_span_find(t->by_va, t->n, (uintptr_t)va, len, &hint);
	if (!s)
		return -EFAULT;
	out->v = (uintptr_t)s->va + ((uintptr_t)va - s->start);
	return 0;
}
