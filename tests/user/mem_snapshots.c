// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A snapshot stays as it was taken, whatever becomes of its table, and what it needs stays mapped.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "mem.h"
#include "t.h"

#define PAGE 4096ull

static void add_file(struct vhk_mem *m, uint64_t gpa)
{
	struct vhk_region r = { .gpa = { gpa }, .uva = { gpa + (1ull << 40) }, .size = PAGE };
	int fd = memfd_create("region", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, PAGE));
	T_MUST(!vhk_mem_add_take_fd(m, &r, fd));
}

static void del(struct vhk_mem *m, uint64_t gpa)
{
	struct vhk_region r = { .gpa = { gpa }, .uva = { gpa + (1ull << 40) }, .size = PAGE };

	T_EQ(vhk_mem_del(m, &r), 0);
}

/* Whether a page of ours is mapped. */
static bool mapped(void *page)
{
	unsigned char vec;

	return !mincore(page, 1, &vec);
}

static void outlives_a_region_and_the_table(void)
{
	struct vhk_table *old, *next;
	unsigned char *va;
	struct vhk_mem *m;
	unsigned int hint = 0;

	T_MUST(!vhk_mem_new(&m));
	add_file(m, 0x1000);
	add_file(m, 0x5000);
	old = vhk_mem_table(m);
	va = vhk_table_at(old, 0x1000, PAGE, &hint);
	T_MUST(va);
	del(m, 0x1000);
	next = vhk_mem_table(m);
	T_OK(next->gen != old->gen);
	T_EQ(next->n, 1);
	T_OK(!vhk_table_at(next, 0x1000, PAGE, &hint));
	T_OK(vhk_table_at(old, 0x1000, PAGE, &hint) == va);
	va[0] = 1;
	vhk_mem_free(m);
	va[0] = 2;
	vhk_table_put(old);
	T_OK(!mapped(va));
	T_OK(vhk_table_at(next, 0x5000, PAGE, &hint));
	vhk_table_put(next);
	vhk_table_put(NULL);
}

static void a_whole_table_is_taken_over_at_once(void)
{
	struct vhk_mem *m, *with;
	struct vhk_table *old, *next;
	unsigned int hint = 0;
	uint32_t gen;

	T_MUST(!vhk_mem_new(&m) && !vhk_mem_new(&with));
	add_file(m, 0x1000);
	add_file(m, 0x2000);
	add_file(with, 0x2000);
	add_file(with, 0x9000);
	old = vhk_mem_table(m);
	gen = old->gen;
	T_EQ(vhk_mem_assign(m, with), 0);
	vhk_mem_free(with);
	next = vhk_mem_table(m);
	T_OK(next->gen != gen);
	T_OK(!vhk_table_at(next, 0x1000, 1, &hint));
	T_OK(vhk_table_at(next, 0x2000, PAGE, &hint));
	T_OK(vhk_table_at(next, 0x9000, PAGE, &hint));
	T_OK(vhk_table_at(old, 0x1000, PAGE, &hint));
	vhk_table_put(old);
	vhk_table_put(next);
	del(m, 0x9000);
	T_EQ(vhk_mem_count(m), 1);
	vhk_mem_free(m);
}

static void *use_and_put(void *arg)
{
	struct vhk_table *t = arg;
	unsigned int hint = 0, i;
	volatile unsigned char *va;

	for (i = 0; i < 1000; i++) {
		va = vhk_table_at(t, 0x5000, PAGE, &hint);
		if (!va || va[i])
			return NULL;
	}
	vhk_table_put(t);
	return arg;
}

static void is_put_from_any_thread(void)
{
	struct vhk_mem *m;
	pthread_t thread[4];
	void *ret;
	int i;

	T_MUST(!vhk_mem_new(&m));
	add_file(m, 0x5000);
	for (i = 0; i < 4; i++)
		T_MUST(!pthread_create(&thread[i], NULL, use_and_put, vhk_mem_table(m)));
	for (i = 0; i < 200; i++) {
		add_file(m, 0x100000);
		del(m, 0x100000);
	}
	vhk_mem_free(m);
	for (i = 0; i < 4; i++) {
		T_MUST(!pthread_join(thread[i], &ret));
		T_OK(ret);
	}
}

int main(void)
{
	T_RUN(outlives_a_region_and_the_table);
	T_RUN(a_whole_table_is_taken_over_at_once);
	T_RUN(is_put_from_any_thread);
	return t_end();
}
