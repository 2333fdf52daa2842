// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Regions in hugetlbfs: mapped and unmapped by whole huge pages wherever they start, and torn by
 * whole huge pages. On a machine without free huge pages the same calls must fail without leaving
 * anything behind.
 */
#include <linux/memfd.h>
#include <sys/mman.h>

#include "map.h"
#include "mem.h"
#include "t.h"

#define HUGE ((uint64_t)2 << 20)

static int huge_file(uint64_t size)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);

	if (fd >= 0)
		T_MUST(!ftruncate(fd, (off_t)size));
	return fd;
}

static int count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:huge") != NULL;
	fclose(f);
	return n;
}

static void odd_pieces_are_mapped_and_unmapped(void)
{
	static const struct vhk_region pieces[] = {
		{ .size = 2 * HUGE },
		{ .size = HUGE, .offset = HUGE },
		{ .size = 4096, .offset = HUGE - 4096 },
		{ .size = 8192, .offset = HUGE - 4096 },
		{ .size = 1, .offset = 2 * HUGE - 1 },
	};
	struct vhk_mem *m;
	const size_t n = sizeof(pieces) / sizeof(pieces[0]);
	struct iovec seg;
	size_t i;
	int ret, fd, fds = t_count_fds();

	/* All of them once more, with their files kept. */
	for (i = 0; i < 2 * n; i++) {
		const struct vhk_region *piece = &pieces[i % n];

		T_MUST(!vhk_mem_new(&m));
		ret = (i < n ? vhk_mem_add_take_fd : vhk_mem_add_keep_take_fd)(
			m, piece, huge_file(2 * HUGE));
		if (!ret) {
			T_EQ(vhk_mem_get(m, 0, NULL, &fd), 0);
			T_EQ(fd >= 0, i >= n);
			T_EQ(vhk_mem_find(m, (struct vhk_gpa){ 0 }, piece->size, &seg, 1), 1);
			memset(seg.iov_base, 1, seg.iov_len);
			T_EQ(count_maps(), 1);
		} else {
			T_OK(ret == -ENOMEM || ret == -EINVAL);
		}
		vhk_mem_free(m);
		T_EQ(count_maps(), 0);
		T_EQ(t_count_fds(), fds);
	}
}

static void a_fault_tears_whole_huge_pages(void)
{
	struct vhk_region r = { .size = 2 * HUGE - 4096, .offset = 4096 };
	struct vhk_fault_scope s;
	struct vhk_table *t;
	struct vhk_mem *m;
	struct iovec seg;
	unsigned char *va;

	T_MUST(!vhk_mem_new(&m));
	if (!vhk_mem_add_take_fd(m, &r, huge_file(2 * HUGE))) {
		T_EQ(vhk_mem_find(m, (struct vhk_gpa){ 0 }, r.size, &seg, 1), 1);
		va = seg.iov_base;
		va[0] = 1;
		va[HUGE + 4096] = 1;
		t = vhk_mem_table(m);
		vhk_fault_enter(&s, t);
		T_OK(vhk_mem_fault(va + HUGE + 4096));
		vhk_fault_leave(&s);
		T_OK(s.torn && va[0] == 1 && !va[HUGE + 4096]);
		vhk_table_put(t);
	}
	vhk_mem_free(m);
	T_EQ(count_maps(), 0);
}

static void the_simple_door_refuses_huge_pages(void)
{
	void *va;
	int fd = huge_file(HUGE), ret;

	ret = vhk_map_fd(&va, fd, 0, 4096);
	T_OK(ret == -EINVAL || ret == -ENOMEM || (fd < 0 && ret == -EBADF));
	T_EQ(count_maps(), 0);
	if (fd >= 0)
		close(fd);
}

int main(void)
{
	T_RUN(odd_pieces_are_mapped_and_unmapped);
	T_RUN(a_fault_tears_whole_huge_pages);
	T_RUN(the_simple_door_refuses_huge_pages);
	return t_end();
}
