// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Regions that a table does not take: overlaps, wraps, sizes, one too many. A refusal leaves the
 * table as it was, and no fd and no mapping behind.
 */
#include <sys/mman.h>

#include "mem.h"
#include "t.h"

#define PAGE 4096ull
#define FILE_SIZE (16 * PAGE)

static int new_file(uint64_t size)
{
	int fd = memfd_create("region", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, (off_t)size));
	return fd;
}

static int count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:") != NULL;
	fclose(f);
	return n;
}

static struct vhk_region region(uint64_t gpa, uint64_t uva, uint64_t size, uint64_t offset)
{
	return (struct vhk_region){
		.gpa = { gpa }, .uva = { uva }, .size = size, .offset = offset
	};
}

/* Beside one region: gpa 0x100000, uva 0x900000, 4 pages. */
static const struct {
	const char *what;
	uint64_t gpa, uva, size, offset;
	int want;
} adds[] = {
	{ "before", 0x100000 - PAGE, 0x800000, PAGE, 0, 0 },
	{ "behind", 0x100000 + 4 * PAGE, 0x800000, PAGE, 0, 0 },
	{ "odd size, odd offset", 0x200000, 0x800000, 777, 13, 0 },
	{ "up to the end of the file", 0x200000, 0x800000, PAGE + 1, 15 * PAGE - 1, 0 },
	{ "up to 2^64", UINT64_MAX - PAGE + 1, 0x800000, PAGE, 0, 0 },
	{ "same gpa", 0x100000, 0x800000, PAGE, 0, -EEXIST },
	{ "last byte", 0x100000 + 4 * PAGE - 1, 0x800000, PAGE, 0, -EEXIST },
	{ "first byte", 0x100000 - PAGE + 1, 0x800000, PAGE, 0, -EEXIST },
	{ "around", 0x100000 - PAGE, 0x800000, 6 * PAGE, 0, -EEXIST },
	{ "inside", 0x100000 + PAGE, 0x800000, PAGE, 0, -EEXIST },
	{ "same uva", 0x200000, 0x900000, PAGE, 0, -EEXIST },
	{ "uva, last byte", 0x200000, 0x900000 + 4 * PAGE - 1, PAGE, 0, -EEXIST },
	{ "uva, first byte", 0x200000, 0x900000 - 1, 2, 0, -EEXIST },
	{ "size 0", 0x200000, 0x800000, 0, 0, -EINVAL },
	{ "gpa wraps", UINT64_MAX - PAGE + 2, 0x800000, PAGE, 0, -EINVAL },
	{ "uva wraps", 0x200000, UINT64_MAX - PAGE + 2, PAGE, 0, -EINVAL },
	{ "offset wraps", 0x200000, 0x800000, 2 * PAGE, UINT64_MAX - PAGE, -EINVAL },
	{ "offset wraps to 0", 0x200000, 0x800000, PAGE, 0 - PAGE, -EINVAL },
	{ "offset above off_t", 0x200000, 0x800000, PAGE, 1ull << 63, -EINVAL },
	{ "size above off_t", 0, 0x800000, 1ull << 63, 0, -EINVAL },
	{ "all there is", 0, 0, UINT64_MAX, 0, -EINVAL },
	{ "file too short by one", 0x200000, 0x800000, PAGE + 1, 15 * PAGE, -EINVAL },
	{ "file too short, odd", 0x200000, 0x800000, FILE_SIZE, 1, -EINVAL },
	{ "behind the file", 0x200000, 0x800000, PAGE, 16 * PAGE, -EINVAL },
};

static void add_checks_the_region(void)
{
	struct vhk_region first = region(0x100000, 0x900000, 4 * PAGE, 0), r;
	struct vhk_mem *m;
	int fds = t_count_fds(), maps = count_mappings(), ret;
	struct vhk_table *t;
	size_t i;

	for (i = 0; i < sizeof(adds) / sizeof(adds[0]); i++) {
		T_MUST(!vhk_mem_new(&m));
		T_EQ(vhk_mem_add_take_fd(m, &first, new_file(FILE_SIZE)), 0);
		t = vhk_mem_table(m);
		r = region(adds[i].gpa, adds[i].uva, adds[i].size, adds[i].offset);
		ret = vhk_mem_add_take_fd(m, &r, new_file(FILE_SIZE));
		if (ret != adds[i].want)
			printf("# %s\n", adds[i].what);
		T_EQ(ret, adds[i].want);
		T_EQ(vhk_mem_count(m), ret ? 1 : 2);
		T_EQ(count_mappings(), maps + (ret ? 1 : 2));
		T_EQ(t_count_fds(), fds);
		vhk_table_put(t);
		t = vhk_mem_table(m);
		T_EQ(t->gen, ret ? 1 : 2);
		vhk_table_put(t);
		vhk_mem_free(m);
		T_EQ(count_mappings(), maps);
	}
}

static void what_is_no_file_is_refused(void)
{
	struct vhk_region r = region(0, 0, PAGE, 0);
	struct vhk_mem *m;
	int fds = t_count_fds(), fd[2], ret;

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_mem_add_take_fd(m, &r, -1), -EINVAL);
	T_EQ(vhk_mem_add_take_fd(m, &r, 3999), -EBADF);
	T_MUST(!pipe(fd));
	ret = vhk_mem_add_take_fd(m, &r, fd[0]);
	T_OK(ret == -ENODEV || ret == -EACCES);
	ret = vhk_mem_add_take_fd(m, &r, fd[1]);
	T_OK(ret == -ENODEV || ret == -EACCES);
	ret = vhk_mem_add_take_fd(m, &r, open("/", O_RDONLY | O_DIRECTORY));
	T_OK(ret == -ENODEV || ret == -EACCES);
	/* Of no use without writing. */
	T_EQ(vhk_mem_add_take_fd(m, &r, open("/proc/self/exe", O_RDONLY)), -EACCES);
	T_EQ(vhk_mem_count(m), 0);
	vhk_mem_free(m);
	T_EQ(t_count_fds(), fds);
}

static void memory_of_the_caller_is_checked_too(void)
{
	static unsigned char mem[4 * PAGE];
	struct vhk_region a = region(0x1000, 0x1000, 2 * PAGE, 0);
	struct vhk_region b = region(0x8000, 0x8000, 2 * PAGE, 0);
	struct vhk_mem *m;

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_mem_add_va(m, &a, NULL), -EINVAL);
	T_EQ(vhk_mem_add_va(m, &a, (void *)(UINTPTR_MAX - PAGE)), -EINVAL);
	T_EQ(vhk_mem_add_va(m, &a, mem), 0);
	/* An alias would make the way back ambiguous. */
	T_EQ(vhk_mem_add_va(m, &b, mem), -EEXIST);
	T_EQ(vhk_mem_add_va(m, &b, mem + 2 * PAGE - 1), -EEXIST);
	T_EQ(vhk_mem_add_va(m, &b, mem + 2 * PAGE), 0);
	vhk_mem_free(m);
}

static void a_region_is_removed_by_all_three_of_its_numbers(void)
{
	struct vhk_region r = region(0x1000, 0x9000, 2 * PAGE, PAGE), wrong;
	struct vhk_mem *m;
	int maps = count_mappings();

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_mem_del(m, &r), -EFAULT);
	T_EQ(vhk_mem_add_take_fd(m, &r, new_file(FILE_SIZE)), 0);
	wrong = region(0x2000, 0x9000, 2 * PAGE, PAGE);
	T_EQ(vhk_mem_del(m, &wrong), -EFAULT);
	wrong = region(0x1000, 0xa000, 2 * PAGE, PAGE);
	T_EQ(vhk_mem_del(m, &wrong), -EFAULT);
	wrong = region(0x1000, 0x9000, PAGE, PAGE);
	T_EQ(vhk_mem_del(m, &wrong), -EFAULT);
	/* The offset says nothing. */
	r.offset = 77;
	T_EQ(vhk_mem_del(m, &r), 0);
	T_EQ(vhk_mem_del(m, &r), -EFAULT);
	T_EQ(count_mappings(), maps);
	vhk_mem_free(m);
}

static void the_510th_region_is_refused(void)
{
	struct vhk_mem *m;
	struct vhk_region r;
	int fds = t_count_fds(), maps = count_mappings();
	unsigned int i;

	T_MUST(!vhk_mem_new(&m));
	for (i = 0; i < VHK_MEM_SLOTS_MAX; i++) {
		r = region(i * PAGE, i * PAGE, PAGE, i % 16 * PAGE);
		T_EQ(vhk_mem_add_take_fd(m, &r, new_file(FILE_SIZE)), 0);
	}
	r = region(i * PAGE, i * PAGE, PAGE, 0);
	T_EQ(vhk_mem_add_take_fd(m, &r, new_file(FILE_SIZE)), -EMSGSIZE);
	T_EQ(vhk_mem_count(m), VHK_MEM_SLOTS_MAX);
	/* None of 509 fds stays open. */
	T_EQ(t_count_fds(), fds);
	r = region(7 * PAGE, 7 * PAGE, PAGE, 0);
	T_EQ(vhk_mem_del(m, &r), 0);
	T_EQ(vhk_mem_add_take_fd(m, &r, new_file(FILE_SIZE)), 0);
	vhk_mem_free(m);
	T_EQ(count_mappings(), maps);
}

static void alloc_checks_the_same(void)
{
	int fds = t_count_fds(), maps = count_mappings();
	struct vhk_mem *m;
	void *va = NULL;

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 0, &va), -EINVAL);
	T_OK(vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, SIZE_MAX, &va) < 0);
	T_OK(vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 1ull << 62, &va) < 0);
	T_EQ(vhk_mem_alloc(m, (struct vhk_gpa){ UINT64_MAX - 5 }, PAGE, &va), -EINVAL);
	T_OK(!va);
	T_EQ(vhk_mem_alloc(m, (struct vhk_gpa){ 0x1000 }, PAGE, &va), 0);
	T_OK(va);
	T_EQ(vhk_mem_alloc(m, (struct vhk_gpa){ 0x1fff }, 1, &va), -EEXIST);
	T_EQ(vhk_mem_count(m), 1);
	T_EQ(t_count_fds(), fds + 1);
	vhk_mem_free(m);
	T_EQ(t_count_fds(), fds);
	T_EQ(count_mappings(), maps);
}

int main(void)
{
	T_RUN(add_checks_the_region);
	T_RUN(what_is_no_file_is_refused);
	T_RUN(memory_of_the_caller_is_checked_too);
	T_RUN(a_region_is_removed_by_all_three_of_its_numbers);
	T_RUN(the_510th_region_is_refused);
	T_RUN(alloc_checks_the_same);
	return t_end();
}
