// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The polling window that gaps teach: none where sleeping is cheaper, just enough where the driver
 * returns soon; and when it is worth to let others run.
 */
#include "base.h"
#include "learn.h"
#include "t.h"

#define US 1000u

static void teach(struct vhk_learn *w, uint64_t gap, unsigned int n)
{
	while (n--)
		vhk_learn_gap(w, gap);
}

static void window_by_gaps(void)
{
	static const struct {
		const char *what;
		uint64_t max, cost, gap;
		unsigned int n;
		uint64_t other;
		unsigned int n_other;
		uint64_t want;
	} cases[] = {
		{ "too few gaps", 64 * US, 25 * US, 5 * US, 63, 0, 0, 0 },
		{ "5 us", 64 * US, 25 * US, 5 * US, 64, 0, 0, 8192 },
		{ "a driver that comes back in 26 us", 64 * US, 25 * US, 26 * US, 64, 0, 0, 32768 },
		{ "with one long gap in eight", 64 * US, 25 * US, 26 * US, 56, 900 * US, 8, 32768 },
		{ "with one long gap in two", 64 * US, 25 * US, 26 * US, 32, 900 * US, 32, 0 },
		{ "a disk that answers in 60 us", 64 * US, 25 * US, 60 * US, 64, 0, 0, 0 },
		{ "where a sleep costs 80 us", 64 * US, 80 * US, 60 * US, 64, 0, 0, 64 * US },
		{ "longer than allowed", 16 * US, 25 * US, 18 * US, 64, 0, 0, 0 },
		{ "allowed by a hair", 10 * US, 25 * US, 9 * US, 64, 0, 0, 10 * US },
		{ "never", 0, 25 * US, 1 * US, 64, 0, 0, 0 },
		{ "no gap at all", 64 * US, 25 * US, 0, 64, 0, 0, 1024 },
		{ "hours", 64 * US, 25 * US, UINT64_MAX, 64, 0, 0, 0 },
		{ "two kinds, both short", 64 * US, 25 * US, 2 * US, 32, 12 * US, 32, 16384 },
	};
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		struct vhk_learn w;

		vhk_learn_init(&w, cases[i].max, cases[i].cost);
		T_EQ(w.window, 0);
		teach(&w, cases[i].gap, cases[i].n);
		teach(&w, cases[i].other, cases[i].n_other);
		if (w.window != cases[i].want)
			printf("# case: %s\n", cases[i].what);
		T_EQ(w.window, cases[i].want);
	}
}

static void unlearns(void)
{
	struct vhk_learn w;

	vhk_learn_init(&w, 64 * US, 25 * US);
	teach(&w, 5 * US, 100 * VHK_LEARN_GAPS);
	T_EQ(w.window, 8192);
	teach(&w, 1000 * US, 4 * VHK_LEARN_GAPS);
	T_EQ(w.window, 0);
	teach(&w, 5 * US, 4 * VHK_LEARN_GAPS);
	T_EQ(w.window, 8192);
}

/*
 * Whatever the gaps, the window is within its bounds and costs no more than never spinning or
 * always.
 */
static void best_of_all(void)
{
	unsigned int i, k, seed = 1;
	struct vhk_learn w;
	uint64_t gap, always, never, mine;

	for (i = 0; i < 1000; i++) {
		uint64_t gaps[VHK_LEARN_GAPS];

		vhk_learn_init(&w, 65536, 25 * US);
		always = never = mine = 0;
		for (k = 0; k < VHK_LEARN_GAPS; k++) {
			seed = seed * 1103515245u + 12345u;
			gaps[k] = 1ull << ((seed >> 16) % (5 + i % 20));
			vhk_learn_gap(&w, gaps[k]);
		}
		T_OK(w.window <= w.max);
		for (k = 0; k < VHK_LEARN_GAPS; k++) {
			gap = gaps[k];
			never += 25 * US;
			always += gap < 65536 ? gap : 65536 + 25 * US;
			mine += gap < w.window ? gap : w.window + 25 * US;
		}
		T_OK(mine <= never && mine <= always);
	}
}

/* The processor is given away at once again where that brought a request, else ever later. */
static void yields_while_it_pays(void)
{
	static const struct {
		bool came;
		uint64_t ns, wait;
	} tries[] = {
		{ true, 5 * US, 0 },	      { true, 40 * US, 0 },
		/* longer than a driver takes: somebody else had it */
		{ true, 3000 * US, 3000 * US * 64 }, { true, 5 * US, 0 },
		/* too short for a change of threads: it came by itself */
		{ true, 300, 300 * 64 },      { true, 300, 300 * 128 },
		{ false, 300, 300 * 256 },    { false, 300, 300 * 512 },
		{ false, 300, 300 * 512 },    { false, 3000 * US, 3000 * US * 512 },
		{ true, 5 * US, 0 },	      { false, 20 * US, 20 * US * 64 },
	};
	struct vhk_yields y = { 0 };
	uint64_t now = 12345;
	unsigned int i;

	for (i = 0; i < vhk_array_size(tries); i++) {
		T_OK(vhk_yields_due(&y, now));
		vhk_yields_note(&y, tries[i].came, now, tries[i].ns, 50 * US);
		if (tries[i].wait)
			T_OK(!vhk_yields_due(&y, now + tries[i].wait - 1));
		now += tries[i].wait;
	}
}

int main(void)
{
	T_RUN(window_by_gaps);
	T_RUN(unlearns);
	T_RUN(best_of_all);
	T_RUN(yields_while_it_pays);
	return t_end();
}
