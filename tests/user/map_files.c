// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The door to mmap by itself: any offset and size inside a file, nothing outside of it, everything
 * unmapped again.
 */
#include <sys/mman.h>

#include "fd.h"
#include "map.h"
#include "mem.h"
#include "t.h"

#define PAGE 4096ull

static int count_maps(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, name) != NULL;
	fclose(f);
	return n;
}

static const struct {
	uint64_t offset, size;
	int want;
} pieces[] = {
	{ 0, 1, 0 },
	{ 0, PAGE, 0 },
	{ 1, PAGE, 0 },
	{ PAGE - 1, 2, 0 },
	{ PAGE + 64, 2 * PAGE, 0 },
	{ 0, 4 * PAGE + 100, 0 },
	{ 4 * PAGE, 100, 0 },
	{ 4 * PAGE + 99, 1, 0 },
	{ 4 * PAGE + 99, 2, -EINVAL },
	{ 4 * PAGE, 101, -EINVAL },
	{ 0, 4 * PAGE + 101, -EINVAL },
	{ 4 * PAGE + 100, 0, -EINVAL },
	{ 0, 0, -EINVAL },
	{ UINT64_MAX, 2, -EINVAL },
	{ 2, UINT64_MAX, -EINVAL },
	{ INT64_MAX, 1, -EINVAL },
};

static void pieces_of_a_file(void)
{
	unsigned char byte[2];
	unsigned char *va;
	void *at;
	size_t i;
	int fd = memfd_create("pieces", MFD_CLOEXEC), ret;

	T_MUST(fd >= 0 && !ftruncate(fd, 4 * PAGE + 100));
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		at = NULL;
		ret = vhk_map_fd(&at, fd, pieces[i].offset, pieces[i].size);
		T_EQ(ret, pieces[i].want);
		T_EQ(count_maps("memfd:pieces"), ret ? 0 : 1);
		if (ret)
			continue;
		va = at;
		va[0] = (unsigned char)(i + 1);
		va[pieces[i].size - 1] = (unsigned char)(i + 1);
		T_EQ(pread(fd, byte, 1, (off_t)pieces[i].offset), 1);
		T_EQ(pread(fd, byte + 1, 1, (off_t)(pieces[i].offset + pieces[i].size - 1)), 1);
		T_OK(byte[0] == i + 1 && byte[1] == i + 1);
		vhk_unmap_fd(at, pieces[i].offset, pieces[i].size);
		T_EQ(count_maps("memfd:pieces"), 0);
	}
	vhk_unmap_fd(NULL, 0, PAGE);
	close(fd);
}

static void memory_of_our_own(void)
{
	static const size_t sizes[] = { 1, PAGE - 1, PAGE, PAGE + 1, 10 * PAGE };
	unsigned char vec[1];
	size_t i;
	void *va;
	int fd;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fd = vhk_map_memfd(&va, "own", sizes[i]);
		T_MUST(fd >= 0);
		memset(va, 1, sizes[i]);
		vhk_unmap(va, sizes[i]);
		T_EQ(count_maps("memfd:own"), 0);
		vhk_fd_close(fd);
		T_EQ(fcntl(fd, F_GETFD), -1);
		T_EQ(vhk_map_anon(&va, sizes[i]), 0);
		T_OK(!((uintptr_t)va & (PAGE - 1)) && !*(unsigned char *)va);
		memset(va, 1, sizes[i]);
		vhk_unmap(va, sizes[i]);
		T_EQ(mincore(va, 1, vec), -1);
	}
	T_EQ(vhk_map_memfd(&va, "own", 0), -EINVAL);
	T_EQ(vhk_map_memfd(&va, "own", SIZE_MAX), -EINVAL);
	vhk_fd_close(-1);
	vhk_unmap(NULL, PAGE);
}

static void replaced_pages_are_zero_and_private(void)
{
	unsigned char byte;
	void *va;
	int fd = vhk_map_memfd(&va, "own", 2 * PAGE);

	T_MUST(fd >= 0);
	memset(va, 7, 2 * PAGE);
	errno = 33;
	T_EQ(vhk_map_replace((unsigned char *)va + PAGE, PAGE), 0);
	T_EQ(errno, 33);
	T_OK(*(unsigned char *)va == 7 && !((unsigned char *)va)[PAGE]);
	((unsigned char *)va)[PAGE] = 9;
	T_EQ(pread(fd, &byte, 1, PAGE), 1);
	T_EQ(byte, 7);
	T_EQ(vhk_map_replace((unsigned char *)va + 1, PAGE), -EINVAL);
	T_EQ(errno, 33);
	vhk_unmap(va, 2 * PAGE);
	close(fd);
}

static void half_built_things_are_let_go(void)
{
	struct vhk_map m = { .base = NULL };
	struct vhk_region r;
	struct vhk_mem *mem;
	int fd;

	vhk_unmap_range(&m);
	vhk_mem_free(NULL);
	T_MUST(!vhk_mem_new(&mem));
	T_EQ(vhk_mem_get(mem, 0, &r, &fd), -EINVAL);
	vhk_mem_free(mem);
}

int main(void)
{
	T_RUN(pieces_of_a_file);
	T_RUN(memory_of_our_own);
	T_RUN(replaced_pages_are_zero_and_private);
	T_RUN(half_built_things_are_let_go);
	return t_end();
}
