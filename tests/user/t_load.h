/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A verified load on a disk over vhost-user: reads and writes of blocks that no other request is
 * at, so that what is read can be one version only.
 */
#ifndef VHK_TESTS_T_LOAD_H
#define VHK_TESTS_T_LOAD_H

#include <sys/mman.h>

#include "t_front.h"

#define BLOCK 4096
#define BLOCKS 512
#define QUEUES 2
#define RING 64
#define DEPTH 32

static unsigned int load_seed;

/* What the driver knows of the disk, shared with processes that drive it in its place. */
struct load {
	uint64_t answered;
	struct {
		uint32_t version; /* of the last answered write */
		bool busy;	  /* a request is under way, of which a dead driver does not know */
	} block[BLOCKS];
};

static struct load *known;
static struct t_front front;

static inline void load_init(void)
{
	if (!known)
		known = mmap(NULL, sizeof(*known), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_MUST(known != MAP_FAILED);
	memset(known, 0, sizeof(*known));
}

static inline unsigned int random_below(unsigned int n)
{
	return (unsigned int)rand_r(&load_seed) % n;
}

static inline void fill(unsigned char *data, unsigned int b, uint32_t version)
{
	uint32_t *word = (uint32_t *)data;
	unsigned int i;

	if (!version) {
		memset(data, 0, BLOCK);
		return;
	}
	for (i = 0; i < BLOCK / 4; i++)
		word[i] = version * 2654435761u + b * 40503u + i;
}

static inline bool holds(const unsigned char *data, unsigned int b, uint32_t version)
{
	unsigned char want[BLOCK];

	fill(want, b, version);
	return !memcmp(data, want, BLOCK);
}

/* A read or a write of a block that no other request is at: one version can be there, and no
 * other. */
static inline bool add_one(void)
{
	struct t_req *r = t_front_idle(&front);
	unsigned int b = random_below(BLOCKS), i;

	for (i = 0; i < BLOCKS && known->block[b].busy; i++)
		b = (b + 1) % BLOCKS;
	if (!r || known->block[b].busy)
		return false;
	r->queue = random_below(QUEUES);
	r->type = random_below(3) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	r->sector = (uint64_t)b * (BLOCK / 512);
	r->len = BLOCK;
	if (r->type == VIRTIO_BLK_T_OUT)
		fill(r->s->data, b, known->block[b].version + 1);
	else
		memset(r->s->data, 0xee, BLOCK);
	if (t_front_add(&front, r))
		return false;
	known->block[b].busy = true;
	return true;
}

static inline void check_one(const struct t_req *r)
{
	unsigned int b = (unsigned int)(r->sector / (BLOCK / 512));

	known->answered++;
	T_EQ(r->s->status, 0);
	if (r->type == VIRTIO_BLK_T_OUT)
		known->block[b].version++;
	else if (!holds(r->s->data, b, known->block[b].version)) {
		printf("# block %u is not at version %u\n", b, known->block[b].version);
		T_OK(!"a completed write is there");
	}
	/* last: whoever dies before this leaves either version */
	known->block[b].busy = false;
}

static inline unsigned int outstanding(void)
{
	unsigned int q, n = 0;

	for (q = 0; q < QUEUES; q++)
		n += vhk_vq_in_flight(front.vq[q]);
	return n;
}

static inline void take_answers(void)
{
	struct t_req *r;
	unsigned int q;

	for (q = 0; q < QUEUES; q++)
		while ((r = t_front_get(&front, q)))
			check_one(r);
}

/* Waits for an answer on whichever queue has requests outstanding. */
static inline int wait_for_one(void)
{
	unsigned int q = random_below(QUEUES);

	if (!vhk_vq_in_flight(front.vq[q]))
		q = (q + 1) % QUEUES;
	return vhk_ctl_wait(front.ctl, q, 10 * T_SECOND);
}

/* Load until @n more requests are answered. 0, or what the connection said. */
static inline int load(uint64_t n)
{
	uint64_t until = known->answered + n;
	int ret = 0;

	while (known->answered < until && !ret && !t_bad) {
		while (outstanding() < DEPTH && add_one())
			;
		ret = t_front_publish(&front);
		if (!ret)
			ret = wait_for_one();
		take_answers();
	}
	return ret;
}

static inline int drain(void)
{
	int ret = 0;

	while (outstanding() && !ret && !t_bad) {
		ret = wait_for_one();
		take_answers();
	}
	return ret;
}

static inline void whole_image_is_right(const char *image)
{
	unsigned char data[BLOCK];
	unsigned int b;
	int fd = open(image, O_RDONLY | O_CLOEXEC);

	for (b = 0; b < BLOCKS; b++) {
		T_EQ(pread(fd, data, BLOCK, (off_t)b * BLOCK), BLOCK);
		T_OK(holds(data, b, known->block[b].version));
	}
	close(fd);
}

#endif
