// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Counting latencies and telling what they were like.
 */
#include "hist.h"

#define BAR_WIDTH 40

static unsigned int bucket_of(uint64_t v)
{
	unsigned int top;

	if (v < HIST_SUB)
		return (unsigned int)v;
	top = 63u - (unsigned int)__builtin_clzll(v);
	return (top - 3) * HIST_SUB + (unsigned int)(v >> (top - 4) & (HIST_SUB - 1));
}

/* The first value that falls into bucket @b. */
static uint64_t bucket_start(unsigned int b)
{
	unsigned int top = b / HIST_SUB + 3;

	if (b < HIST_SUB)
		return b;
	return (uint64_t)(HIST_SUB + b % HIST_SUB) << (top - 4);
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->n++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
	h->bucket[bucket_of(ns)]++;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t want = (uint64_t)(q * (double)h->n), seen = 0, end;
	unsigned int b;

	for (b = 0; b < HIST_BUCKETS; b++) {
		seen += h->bucket[b];
		if (seen > want) {
			end = (bucket_start(b) + bucket_start(b + 1)) / 2;
			return end < h->max ? end : h->max;
		}
	}
	return h->max;
}

static uint64_t power_count(const struct hist *h, unsigned int first)
{
	uint64_t n = 0;
	unsigned int i;

	for (i = 0; i < HIST_SUB; i++)
		n += h->bucket[first + i];
	return n;
}

void hist_print(const struct hist *h, FILE *f)
{
	uint64_t most = 1, n;
	unsigned int b, i;

	for (b = 0; b < HIST_BUCKETS; b += HIST_SUB)
		if (power_count(h, b) > most)
			most = power_count(h, b);
	for (b = 0; b < HIST_BUCKETS; b += HIST_SUB) {
		n = power_count(h, b);
		if (!n)
			continue;
		fprintf(f, "  %10.1f us  %10llu  ", (double)bucket_start(b) / 1e3,
			(unsigned long long)n);
		for (i = 0; i < (n * BAR_WIDTH + most - 1) / most; i++)
			fputc('#', f);
		fputc('\n', f);
	}
}

void hist_json(const struct hist *h, struct json *j)
{
	unsigned int b;

	json_open(j, "histogram", '[');
	for (b = 0; b < HIST_BUCKETS; b++) {
		if (!h->bucket[b])
			continue;
		json_open(j, NULL, '{');
		json_u64(j, "from_ns", bucket_start(b));
		json_u64(j, "count", h->bucket[b]);
		json_close(j, '}');
	}
	json_close(j, ']');
}
