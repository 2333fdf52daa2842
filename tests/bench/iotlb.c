// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a translation costs with few entries and with many: the same address again, one address
 * after the other, and any; and what a change costs while a snapshot of the one before is in use.
 *   iotlb [runs]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base.h"
#include "iotlb_table.h"

#define PAGE 4096ull
#define N_FINDS 2000000u
#define N_CHANGES 100000u
#define RUNS_MAX 31

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "iotlb: failed\n");
		exit(1);
	}
}

/* Pages that do not continue one another. */
static struct vhk_iotlb_entry entry(unsigned int i)
{
	return (struct vhk_iotlb_entry){
		.iova = { i * 2 * PAGE },
		.size = PAGE,
		.uva = { i * 3 * PAGE },
		.perm = VHK_IOTLB_PERM_RW,
	};
}

static struct vhk_iotlb *fill(unsigned int n)
{
	struct vhk_iotlb_entry e;
	struct vhk_iotlb *t;
	unsigned int i;

	must(!vhk_iotlb_new(&t, NULL));
	for (i = 0; i < n; i++) {
		e = entry(i);
		must(!vhk_iotlb_add(t, &e));
	}
	must(vhk_iotlb_count(t) == n);
	return t;
}

enum order { SAME, NEXT, ANY, N_ORDERS };

static double find_ns(struct vhk_iotlb *t, unsigned int n, enum order order)
{
	struct vhk_iotlb_seg seg;
	unsigned int i, at = n / 2;
	uint32_t x = 1;
	double begin = now_ns();

	for (i = 0; i < N_FINDS; i++) {
		x = x * 1664525u + 1013904223u;
		if (order == NEXT)
			at = at + 1 == n ? 0 : at + 1;
		else if (order == ANY)
			at = (unsigned int)((uint64_t)x * n >> 32);
		must(vhk_iotlb_find(t, (struct vhk_iova){ at * 2 * PAGE + 8 }, 512,
				    VHK_IOTLB_PERM_RW, &seg, 1, NULL) == 1);
	}
	return (now_ns() - begin) / N_FINDS;
}

/* An entry away and there again, each with a snapshot that somebody else holds. */
static double change_ns(struct vhk_iotlb *t, unsigned int n)
{
	struct vhk_iotlb_table *held = vhk_iotlb_table(t);
	struct vhk_iotlb_entry e;
	unsigned int i;
	uint32_t x = 1;
	double begin = now_ns();

	for (i = 0; i < N_CHANGES; i++) {
		if (i % 2 == 0) {
			x = x * 1664525u + 1013904223u;
			e = entry((unsigned int)((uint64_t)x * n >> 32));
		}
		must(!(i % 2 ? vhk_iotlb_add(t, &e) : vhk_iotlb_del(t, e.iova, e.size)));
		vhk_iotlb_table_put(held);
		held = vhk_iotlb_table(t);
	}
	vhk_iotlb_table_put(held);
	return (now_ns() - begin) / N_CHANGES;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	static const unsigned int sizes[] = { 1, 64, 4096, 65536 };
	double v[N_ORDERS + 1][RUNS_MAX];
	unsigned int i, run, runs = argc > 1 ? (unsigned int)atoi(argv[1]) : 5;
	enum order o;

	runs = vhk_max(1u, vhk_min(runs, (unsigned int)RUNS_MAX));
	printf("IOTLB: ns, medians of %u runs\n%8s %10s %10s %10s %10s\n", runs, "entries",
	       "same", "next", "any", "change");
	for (i = 0; i < vhk_array_size(sizes); i++) {
		struct vhk_iotlb *t = fill(sizes[i]);

		for (run = 0; run < runs; run++) {
			for (o = SAME; o < N_ORDERS; o++)
				v[o][run] = find_ns(t, sizes[i], o);
			v[N_ORDERS][run] = change_ns(t, sizes[i]);
		}
		printf("%8u", sizes[i]);
		for (o = SAME; o <= N_ORDERS; o++)
			printf(" %10.1f", median(v[o], runs));
		printf("\n");
		vhk_iotlb_free(t);
	}
	return 0;
}
