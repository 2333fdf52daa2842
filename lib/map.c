// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * mmap(2), munmap(2) and mincore(2), and nothing else: lengths are held against the file before
 * anything is mapped, and pages of every size are unmapped whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base.h"
#include "map.h"
#include "map_xen.h"

size_t vhk_page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int check_length(const struct stat *st, uint64_t offset, uint64_t size)
{
	if (!size || size > INT64_MAX || offset > INT64_MAX - size)
		return -EINVAL;
	if (S_ISREG(st->st_mode) && (uint64_t)st->st_size < offset + size)
		return -EINVAL;
	return 0;
}

/* hugetlbfs maps and unmaps in its own page size only, which is its files' block size, too. */
static int find_block(int fd, const struct stat *st, size_t *block)
{
	struct statfs fs;

	if ((uint64_t)st->st_blksize <= *block)
		return 0;
	if (fstatfs(fd, &fs))
		return -errno;
	if (fs.f_type == HUGETLBFS_MAGIC && vhk_is_power_of_2((uint64_t)fs.f_bsize))
		*block = vhk_max(*block, (size_t)fs.f_bsize);
	return 0;
}

static int map_range(struct vhk_map *m, int fd, uint64_t offset, uint64_t size, int flags)
{
	struct stat st;
	uint64_t head;
	int ret;

	*m = (struct vhk_map){ .block = vhk_page_size() };
	if (fstat(fd, &st))
		return -errno;
	ret = check_length(&st, offset, size);
	if (!ret)
		ret = find_block(fd, &st, &m->block);
	if (ret)
		return ret;
	head = offset & (m->block - 1);
	if (size > SIZE_MAX - head - m->block)
		return -EINVAL;
	m->len = vhk_align_up(head + size, m->block);
	m->base = mmap(NULL, m->len, PROT_READ | PROT_WRITE, flags, fd, (off_t)(offset - head));
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return -errno;
	}
	m->va = m->base + head;
	return 0;
}

/* A guest's memory has no place in a core file. */
void vhk_map_hide(const struct vhk_map *m)
{
	madvise(m->base, m->len, MADV_DONTDUMP);
}

static int map_hidden(struct vhk_map *m, int fd, uint64_t offset, uint64_t size, int flags)
{
	int ret = map_range(m, fd, offset, size, flags);

	if (!ret)
		vhk_map_hide(m);
	return ret;
}

int vhk_map_range(struct vhk_map *m, int fd, uint64_t offset, uint64_t size)
{
	return map_hidden(m, fd, offset, size, MAP_SHARED);
}

int vhk_map_range_private(struct vhk_map *m, int fd, uint64_t offset, uint64_t size)
{
	return map_hidden(m, fd, offset, size, MAP_PRIVATE);
}

int vhk_map_range_shown(struct vhk_map *m, int fd, uint64_t offset, uint64_t size)
{
	return map_range(m, fd, offset, size, MAP_SHARED);
}

void vhk_unmap_range(struct vhk_map *m)
{
	if (m->base)
		munmap(m->base, m->len);
	m->base = NULL;
	vhk_xen_release(m);
}

int vhk_map_file(void **va, int fd, size_t len, uint64_t offset)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	if (at == MAP_FAILED)
		return -errno;
	madvise(at, len, MADV_DONTDUMP);
	*va = at;
	return 0;
}

int vhk_map_fd(void **va, int fd, uint64_t offset, uint64_t size)
{
	struct vhk_map m;
	int ret;

	ret = vhk_map_range(&m, fd, offset, size);
	if (ret)
		return ret;
	if (m.block != vhk_page_size()) {
		vhk_unmap_range(&m);
		return -EINVAL;
	}
	*va = m.va;
	return 0;
}

void vhk_unmap_fd(void *va, uint64_t offset, uint64_t size)
{
	uint64_t head = offset & (vhk_page_size() - 1);

	if (va)
		munmap((unsigned char *)va - head, vhk_align_up(head + size, vhk_page_size()));
}

static int open_sealed(const char *name, size_t len)
{
	int fd, ret;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)len) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

int vhk_map_memfd(void **va, const char *name, size_t size)
{
	size_t page = vhk_page_size(), len;
	void *at;
	int fd, ret;

	if (!size || size > INT64_MAX - page)
		return -EINVAL;
	len = vhk_align_up(size, page);
	fd = open_sealed(name, len);
	if (fd < 0)
		return fd;
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*va = at;
	return fd;
}

int vhk_map_replace(void *page, size_t size)
{
	int saved = errno;
	void *at;
	int ret;

	at = mmap(page, size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	ret = at == MAP_FAILED ? -errno : 0;
	errno = saved;
	return ret;
}

int vhk_map_nothing(void)
{
	int fd = memfd_create("vhostkit-nothing", MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int vhk_map_take_away(const struct vhk_map *m, int nothing)
{
	void *at = mmap(m->base, m->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, nothing,
			0);

	return at == MAP_FAILED ? -errno : 0;
}

int vhk_map_resident(const void *page, size_t size, unsigned char *in)
{
	return mincore((void *)page, size, in) ? -errno : 0;
}

int vhk_map_reserve(void **va, size_t size)
{
	void *at = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	*va = at;
	return 0;
}

/*
 * What cannot be copied shows at a place of the kernel's choice: at @at it would leave a hole that
 * other threads' mappings could fill. The move has no reason to fail but want of memory; a hole
 * that it left is closed again.
 */
int vhk_map_again(void *at, void *va, size_t len)
{
	void *copy = mremap(va, 0, len, MREMAP_MAYMOVE);

	if (copy == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	if (mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at)
		return 0;
	munmap(copy, len);
	(void)!mmap(at, len, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	return -ENOMEM;
}

int vhk_map_anon(void **va, size_t size)
{
	void *at;

	if (!size)
		return -EINVAL;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	*va = at;
	return 0;
}

int vhk_map_doorbell(void **va, int fd, unsigned int idx)
{
	const size_t page = vhk_page_size();
	void *at = mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, (off_t)idx * (off_t)page);

	if (at == MAP_FAILED)
		return -errno;
	*va = at;
	return 0;
}

void vhk_unmap(void *va, size_t size)
{
	if (va)
		munmap(va, vhk_align_up(size, vhk_page_size()));
}
