// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Views: pages from here and there in one piece, where each is in guest memory, how long they stay;
 * and what cannot be one, of which nothing may stay behind.
 */
#include <sys/mman.h>

#include "mem_view.h"
#include "t.h"

#define PAGE 4096ull
#define GPA (1ull << 32)
#define SIZE (16 * PAGE)

/* Three regions: of a file, of memory that has none, and one that counts as of huge pages. */
struct memory {
	struct vhk_mem *m;
	struct vhk_table *t;
	unsigned char *shared, *private, *huge;
};

static unsigned char *region_va(struct memory *g, uint64_t gpa)
{
	struct iovec seg;

	T_MUST(vhk_mem_find(g->m, (struct vhk_gpa){ gpa }, SIZE, &seg, 1) == 1);
	return seg.iov_base;
}

static void memory_init(struct memory *g)
{
	struct vhk_region r = { .gpa = { GPA }, .uva = { GPA }, .size = SIZE };
	int fd = memfd_create("seen", MFD_CLOEXEC);
	struct vhk_map map;
	void *va;

	T_MUST(fd >= 0 && !ftruncate(fd, 2 * SIZE));
	T_MUST(!vhk_mem_new(&g->m));
	T_MUST(!vhk_map_range(&map, fd, SIZE, SIZE));
	T_MUST(!vhk_mem_add_take_fd(g->m, &r, fd));
	g->shared = region_va(g, r.gpa.v);
	r.gpa.v = r.uva.v += SIZE;
	va = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	T_MUST(va != MAP_FAILED && !vhk_mem_add_va(g->m, &r, va));
	g->private = va;
	r.gpa.v = r.uva.v += SIZE;
	map.block = 512 * PAGE;
	T_MUST(!vhk_mem_add_map(g->m, &r, &map));
	g->huge = region_va(g, r.gpa.v);
	g->t = vhk_mem_table(g->m);
}

static void memory_fini(struct memory *g)
{
	vhk_table_put(g->t);
	vhk_mem_free(g->m);
	munmap(g->private, SIZE);
}

/* Such lines of this process's memory map. */
static unsigned int count_maps(const char *of)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned int n = 0;

	T_MUST(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, of) != NULL;
	fclose(f);
	return n;
}

static void pieces_become_one(void)
{
	struct vhk_table *view = NULL;
	const struct vhk_span *s;
	unsigned int hint = 0;
	unsigned char *at;
	struct memory g;
	void *va;

	memory_init(&g);
	const struct iovec one[] = { { g.shared + 100, 2 * PAGE } };
	const struct iovec next[] = { { g.shared + 100, PAGE - 100 }, { g.shared + PAGE, 7 } };
	const struct iovec apart[] = { { g.shared + 5 * PAGE + 100, PAGE - 100 },
				       { g.shared + 2 * PAGE, 2 * PAGE },
				       { g.shared + 5 * PAGE, 50 } };

	/* no view for what is in one piece already */
	T_EQ(vhk_view_add(&view, g.t, one, 1, &va), 0);
	T_OK(va == one[0].iov_base && !view);
	T_EQ(vhk_view_add(&view, g.t, next, 2, &va), 0);
	T_OK(va == next[0].iov_base && !view);
	T_EQ(vhk_view_add(&view, g.t, apart, 3, &va), 0);
	T_MUST(view);
	at = va;
	at[0] = 1;
	at[PAGE - 100] = 2;
	at[3 * PAGE - 101] = 3;
	T_EQ(g.shared[5 * PAGE + 100], 1);
	T_EQ(g.shared[2 * PAGE], 2);
	T_EQ(g.shared[4 * PAGE - 1], 3);
	g.shared[5 * PAGE + 49] = 4;
	T_EQ(at[3 * PAGE - 100 + 49], 4);
	s = vhk_span_find(view->by_va, view->n, (uintptr_t)at + PAGE, 1, &hint);
	T_MUST(s);
	T_EQ((uintptr_t)s->va + ((uintptr_t)at + PAGE - s->start), GPA + 2 * PAGE + 100);
	/* the view has its own hold on the pages */
	memory_fini(&g);
	T_EQ(at[3 * PAGE - 100 + 49], 4);
	vhk_table_put(view);
	T_EQ(count_maps("/memfd:seen"), 0);
}

static void what_cannot_be_one(void)
{
	struct vhk_table *view = NULL, *former;
	unsigned int i, seen, reserved;
	struct memory g;
	void *va;

	memory_init(&g);
	const struct {
		struct iovec seg[3];
		int ret;
	} c[] = {
		{ { { g.shared, PAGE }, { g.private, PAGE }, { g.shared, PAGE } }, -EOPNOTSUPP },
		{ { { g.shared, PAGE }, { g.shared, PAGE }, { g.huge, PAGE } }, -EOPNOTSUPP },
		{ { { g.huge, PAGE }, { g.huge + 2 * PAGE, PAGE }, { g.huge, 1 } }, -EOPNOTSUPP },
		{ { { g.shared, PAGE }, { g.shared + 8, PAGE - 8 }, { g.shared, 1 } },
		  -EOPNOTSUPP },
		{ { { g.shared, 8 }, { g.shared + PAGE, PAGE }, { g.shared, 1 } }, -EOPNOTSUPP },
		{ { { g.shared, PAGE }, { g.shared + 2 * PAGE, 8 }, { g.shared, 1 } },
		  -EOPNOTSUPP },
	};
	const struct iovec fine[] = { { g.shared, PAGE }, { g.shared, PAGE } };

	T_EQ(vhk_view_add(&view, g.t, fine, 2, &va), 0);
	former = view;
	/* An allocator that reserves memory has its own by then. */
	T_EQ(vhk_view_add(&view, g.t, c[0].seg, 3, &va), c[0].ret);
	seen = count_maps("/memfd:seen");
	reserved = count_maps("---p");
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		T_EQ(vhk_view_add(&view, g.t, c[i].seg, 3, &va), c[i].ret);
		T_OK(view == former);
		T_EQ(count_maps("/memfd:seen"), seen);
		T_EQ(count_maps("---p"), reserved);
	}
	vhk_table_put(view);
	memory_fini(&g);
	T_EQ(count_maps("/memfd:seen"), 0);
}

int main(void)
{
	T_RUN(pieces_become_one);
	T_RUN(what_cannot_be_one);
	return t_end();
}
