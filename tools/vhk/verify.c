// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A model of what the disk must hold. Every write has a stamp of its own, and at most one request
 * at a time touches a block: so whatever the back end lived through, a block holds exactly its last
 * answered write.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "blk.h"
#include "say.h"

struct disk_verify {
	const char *uri;
	uint64_t first; /* byte */
	uint64_t n, next_final, stamp, seed, random;
	uint32_t block;
	uint64_t *held; /* stamp of the last answered write, 0: none */
	bool *busy;
};

static uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

int verify_new(struct disk_verify **out, const struct disk *d, const struct blk_args *a,
	       uint64_t size)
{
	struct disk_verify *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->uri = d->uri;
	v->first = a->offset;
	v->block = a->disk.block;
	v->n = size / v->block;
	v->seed = v->random = a->seed;
	v->held = calloc(v->n, sizeof(*v->held));
	v->busy = calloc(v->n, sizeof(*v->busy));
	if (!v->held || !v->busy) {
		verify_free(v);
		return -ENOMEM;
	}
	*out = v;
	return 0;
}

void verify_free(struct disk_verify *v)
{
	if (!v)
		return;
	free(v->held);
	free(v->busy);
	free(v);
}

static uint64_t word(const struct disk_verify *v, uint64_t at, uint64_t stamp, uint32_t i)
{
	return i ? mix(v->seed ^ at * 0x9e3779b97f4a7c15ull ^ stamp << 20 ^ i) : stamp;
}

static void fill(const struct disk_verify *v, struct disk_req *r)
{
	uint64_t w;
	uint32_t i;

	for (i = 0; i < v->block / sizeof(w); i++) {
		w = word(v, r->at, r->tag, i);
		memcpy(r->data + i * sizeof(w), &w, sizeof(w));
	}
}

static uint64_t pick(struct disk_verify *v)
{
	uint64_t block, tries;

	v->random += 0x9e3779b97f4a7c15ull;
	block = mix(v->random) % v->n;
	for (tries = 0; tries < v->n && v->busy[block]; tries++)
		block = (block + 1) % v->n;
	return v->busy[block] ? UINT64_MAX : block;
}

bool verify_prepare(struct disk_verify *v, struct disk_req *r)
{
	uint64_t block = pick(v);

	if (block == UINT64_MAX)
		return false;
	v->busy[block] = true;
	r->at = v->first + block * v->block;
	r->len = v->block;
	if (v->held[block] && mix(v->random ^ 1) & 1) {
		r->type = VIRTIO_BLK_T_IN;
		return true;
	}
	r->type = VIRTIO_BLK_T_OUT;
	r->tag = ++v->stamp;
	fill(v, r);
	return true;
}

bool verify_prepare_final(struct disk_verify *v, struct disk_req *r)
{
	while (v->next_final < v->n && !v->held[v->next_final])
		v->next_final++;
	if (v->next_final == v->n)
		return false;
	v->busy[v->next_final] = true;
	r->at = v->first + v->next_final++ * v->block;
	r->len = v->block;
	r->type = VIRTIO_BLK_T_IN;
	return true;
}

static int compare(const struct disk_verify *v, const struct disk_req *r, uint64_t stamp)
{
	uint64_t got;
	uint32_t i;

	for (i = 0; i < v->block / sizeof(got); i++) {
		memcpy(&got, r->data + i * sizeof(got), sizeof(got));
		if (got == word(v, r->at, stamp, i))
			continue;
		if (!i)
			say("%s: block at %" PRIu64 " holds write %" PRIu64
			    ", the last one answered was %" PRIu64,
			    v->uri, r->at, got, stamp);
		else
			say("%s: block at %" PRIu64 " differs from write %" PRIu64 " in byte %zu",
			    v->uri, r->at, stamp, i * sizeof(got));
		return 1;
	}
	return 0;
}

int verify_check(struct disk_verify *v, struct disk_req *r)
{
	uint64_t block = (r->at - v->first) / v->block;

	v->busy[block] = false;
	if (r->type == VIRTIO_BLK_T_OUT) {
		v->held[block] = r->tag;
		return 0;
	}
	return compare(v, r, v->held[block]);
}
