// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The polling window: of all windows, the one that would have cost least over the gaps seen lately.
 * And whether others are let through first.
 */
#include "base.h"
#include "learn.h"

/* Shorter windows differ by less than a look at the clock. */
#define FIRST_WINDOW 10
/* What is lost by tries in vain: a 64th of the time, soon no more than a 512th. */
#define YIELD_SHIFT 6
#define YIELD_FAILED_MAX 3u

void vhk_learn_init(struct vhk_learn *w, uint64_t max, uint64_t cost)
{
	*w = (struct vhk_learn){ .max = max, .cost = cost };
}

static unsigned int bucket_of(uint64_t gap)
{
	unsigned int k = gap ? 63 - (unsigned int)__builtin_clzll(gap) : 0;

	return vhk_min(k, VHK_LEARN_BUCKETS - 1u);
}

/*
 * A gap within the window costs itself (counted by its bucket's lower edge, so that a tie goes to
 * spinning: time to answer weighs more than processor time), a longer one the whole window and then
 * a sleep.
 */
static uint64_t cost_of(const struct vhk_learn *w, uint64_t window, unsigned int inside)
{
	uint64_t sum = 0;
	unsigned int k;

	for (k = 0; k < VHK_LEARN_BUCKETS; k++)
		sum += w->hist[k] * (k < inside ? 1ull << k : window + w->cost);
	return sum;
}

static void decide(struct vhk_learn *w)
{
	uint64_t best = cost_of(w, 0, 0), cost, window;
	unsigned int k;

	w->window = 0;
	for (k = FIRST_WINDOW; k < VHK_LEARN_BUCKETS && 1ull << (k - 1) < w->max; k++) {
		window = vhk_min(1ull << k, w->max);
		cost = cost_of(w, window, k);
		if (cost < best) {
			best = cost;
			w->window = window;
		}
	}
	for (k = 0; k < VHK_LEARN_BUCKETS; k++)
		w->hist[k] /= 2;
}

void vhk_learn_gap(struct vhk_learn *w, uint64_t gap)
{
	w->hist[bucket_of(gap)]++;
	if (++w->n < VHK_LEARN_GAPS)
		return;
	w->n = 0;
	decide(w);
}

void vhk_yields_note(struct vhk_yields *y, bool came, uint64_t now, uint64_t ns, uint64_t limit)
{
	if (came && ns >= VHK_YIELD_LEAST && ns <= limit) {
		y->failed = 0;
		y->next = 0;
		return;
	}
	y->next = now + (ns << (YIELD_SHIFT + y->failed));
	y->failed = vhk_min(y->failed + 1, YIELD_FAILED_MAX);
}
