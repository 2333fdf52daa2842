// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What counts as recently moved, and so as being in the page cache: whole ranges only, for a while
 * only, and no other part of the image in its place.
 */
#include "blk_impl.h"
#include "t.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

struct range {
	uint64_t off, len;
	bool has;
};

static unsigned int wrong(struct vhk_blk_recent *r, const struct range *c, unsigned int n)
{
	unsigned int i, sum = 0;

	for (i = 0; i < n; i++) {
		if (vhk_blk_recent_has(r, c[i].off, c[i].len) == c[i].has)
			continue;
		printf("# [%" PRIu64 ", +%" PRIu64 "): not %d\n", c[i].off, c[i].len, c[i].has);
		sum++;
	}
	return sum;
}

static unsigned int wrong_in_a_run(void)
{
	static const struct range none[] = {
		{ 0, 512, false },
		{ KIB(64), KIB(4), false },
		{ GIB(9), KIB(128), false },
	};
	static const struct range some[] = {
		{ KIB(8), KIB(4), true },	  { KIB(8), KIB(8), true },
		{ KIB(8), 512, true },		  { KIB(12) + 512, 512, true },
		{ KIB(4), KIB(8), false },	  { KIB(12), KIB(8), false },
		{ KIB(8) - 512, 1024, false },	  { KIB(252), KIB(4), true },
		{ KIB(252), KIB(8), false },	  { KIB(256), KIB(4), false },
		{ GIB(1) + KIB(8), KIB(4), false }, { MIB(1), KIB(256), true },
		{ MIB(1) + KIB(255), 1024, true }, { MIB(2), KIB(4), false },
	};
	/* in the same place of the table */
	static const struct range other[] = {
		{ GIB(1) + KIB(8), KIB(4), true },
		{ KIB(8), KIB(4), false },
	};
	struct vhk_blk_recent r;
	unsigned int sum;

	vhk_blk_recent_init(&r);
	T_MUST(r.parts);
	sum = wrong(&r, none, 3);
	vhk_blk_recent_note(&r, KIB(8), KIB(8));
	vhk_blk_recent_note(&r, KIB(252), 512);
	vhk_blk_recent_note(&r, MIB(1), KIB(256));
	sum += wrong(&r, some, sizeof(some) / sizeof(some[0]));
	vhk_blk_recent_note(&r, GIB(1) + KIB(8), KIB(4));
	sum += wrong(&r, other, 2);
	vhk_blk_recent_forget(&r);
	sum += vhk_blk_recent_has(&r, MIB(1), KIB(4));
	vhk_blk_recent_fini(&r);
	sum += vhk_blk_recent_has(&r, MIB(1), KIB(4));
	vhk_blk_recent_note(&r, MIB(1), KIB(4));
	return sum;
}

/* A run that was held up for longer than things are recent says nothing. */
static void whole_ranges_count(void)
{
	unsigned int sum;
	uint64_t start;

	do {
		start = t_now_ns();
		sum = wrong_in_a_run();
	} while (t_now_ns() - start > 1000000000);
	T_EQ(sum, 0);
}

static void for_a_while(void)
{
	const uint64_t start = t_now_ns();
	struct vhk_blk_recent r;

	vhk_blk_recent_init(&r);
	T_MUST(r.parts);
	vhk_blk_recent_note(&r, MIB(7), KIB(4));
	T_OK(vhk_blk_recent_has(&r, MIB(7), KIB(4)) || t_now_ns() - start > 1000000000);
	while (vhk_blk_recent_has(&r, MIB(7), KIB(4))) {
		T_MUST(t_now_ns() - start < 60000000000);
		/* asking, or moving its neighbour, does not keep it */
		vhk_blk_recent_note(&r, MIB(7) + KIB(8), KIB(4));
		poll(NULL, 0, 20);
	}
	T_OK(t_now_ns() - start > 1900000000);
	vhk_blk_recent_fini(&r);
}

int main(void)
{
	T_RUN(whole_ranges_count);
	T_RUN(for_a_while);
	return t_end();
}
