/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the guest's programs share that drive the kernel's data planes through the library: memory,
 * a front end, queues, and requests that are waited for. Everything ends with T_MUST().
 */
#ifndef VHK_VM_KERN_H
#define VHK_VM_KERN_H

#include "t.h"

#include <vhostkit/ctl.h>

#define SECOND 1000000000ll
#define WAIT (20 * SECOND)
#define DATA_SIZE (4u << 20)
#define QUEUES_AT (64ull << 20) /* guest address of the first queue; a MiB each */
#define N_QUEUES 5

struct kern {
	struct vhk_ctl *ctl;
	struct vhk_mem *mem;
	unsigned char *data; /* DATA_SIZE bytes from guest address 0 on */
	struct vhk_vq *vq[N_QUEUES];
};

/* An open device, memory, and nothing told to it. */
static inline void kern_open_with(struct kern *k, const char *uri, const struct vhk_ctl_opts *o)
{
	int ret;

	memset(k, 0, sizeof(*k));
	T_MUST(!vhk_mem_new(&k->mem));
	T_MUST(!vhk_mem_alloc(k->mem, (struct vhk_gpa){ 0 }, DATA_SIZE, (void **)&k->data));
	ret = vhk_ctl_open(&k->ctl, uri, o);
	if (ret)
		printf("# %s: %s\n", uri, strerror(-ret));
	T_MUST(!ret);
}

static inline void kern_open(struct kern *k, const char *uri)
{
	kern_open_with(k, uri, NULL);
}

/* Makes @n queues of @size entries for @features, and agrees on these. */
static inline void kern_setup(struct kern *k, uint64_t features, unsigned int n, uint16_t size)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = size, .features = features };
	unsigned int i;

	if (features & VHK_F_INDIRECT_DESC)
		o.max_indirect = 4;
	for (i = 0; i < n; i++) {
		o.gpa.v = QUEUES_AT + ((uint64_t)i << 20);
		T_MUST(!vhk_vq_new(&k->vq[i], k->mem, &o));
	}
	T_EQ(vhk_ctl_setup(k->ctl, features, features, k->mem), 0);
}

static inline void kern_start(struct kern *k, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		T_EQ(vhk_ctl_start(k->ctl, i, k->vq[i]), 0);
		T_MUST(!t_bad);
	}
}

static inline void kern_close(struct kern *k)
{
	unsigned int i;

	vhk_ctl_close(k->ctl);
	for (i = 0; i < N_QUEUES; i++)
		vhk_vq_free(k->vq[i]);
	vhk_mem_free(k->mem);
}

static inline void kern_publish(struct kern *k, unsigned int idx)
{
	if (vhk_vq_publish(k->vq[idx]) > 0)
		T_MUST(!vhk_ctl_kick(k->ctl, idx));
}

static inline void kern_add(struct kern *k, unsigned int idx, const struct iovec *seg,
			    unsigned int n_out, unsigned int n_in, void *token)
{
	T_MUST(!vhk_vq_add(k->vq[idx], seg, n_out, n_in, token));
}

/* The next answer of a queue: true, or false after @ns. */
static inline bool kern_get(struct kern *k, unsigned int idx, struct vhk_done *done, int64_t ns)
{
	int ret;

	for (;;) {
		ret = vhk_vq_get(k->vq[idx], done, 1);
		T_MUST(ret >= 0);
		if (ret)
			return true;
		ret = vhk_ctl_wait(k->ctl, idx, ns);
		if (ret == -ETIMEDOUT)
			return vhk_vq_get(k->vq[idx], done, 1) == 1;
		if (ret)
			printf("# queue %u: %s\n", idx, strerror(-ret));
		T_MUST(!ret);
	}
}

/* One request from start to end: bytes that the device wrote. */
static inline uint32_t kern_do(struct kern *k, unsigned int idx, const struct iovec *seg,
			       unsigned int n_out, unsigned int n_in)
{
	struct vhk_done done;

	kern_add(k, idx, seg, n_out, n_in, k);
	kern_publish(k, idx);
	T_MUST(kern_get(k, idx, &done, WAIT) && done.token == k);
	return done.written;
}

/* Bytes that tell their place in a stream: they repeat, but after a prime number of them. */
#define KERN_PERIOD 65521u

static unsigned char kern_stream[KERN_PERIOD];

/* Before there are threads. */
static __attribute__((constructor)) void kern_make_stream(void)
{
	uint32_t i;

	for (i = 0; i < KERN_PERIOD; i++)
		kern_stream[i] = (unsigned char)((i + 1) * 2654435761u >> 23);
}

/* So many of the next @n bytes lie in one piece, at *from. */
static inline uint32_t kern_piece(const unsigned char **from, uint32_t at, uint32_t n,
				  uint32_t seed)
{
	const uint32_t start = (uint32_t)(((uint64_t)at + seed) % KERN_PERIOD);

	*from = kern_stream + start;
	return n < KERN_PERIOD - start ? n : KERN_PERIOD - start;
}

static inline void kern_fill(unsigned char *p, uint32_t at, uint32_t n, uint32_t seed)
{
	const unsigned char *from;
	uint32_t i, len;

	for (i = 0; i < n; i += len) {
		len = kern_piece(&from, at + i, n - i, seed);
		memcpy(p + i, from, len);
	}
}

static inline bool kern_same(const unsigned char *p, uint32_t at, uint32_t n, uint32_t seed)
{
	const unsigned char *from;
	uint32_t i, len;

	for (i = 0; i < n; i += len) {
		len = kern_piece(&from, at + i, n - i, seed);
		if (!memcmp(p + i, from, len))
			continue;
		printf("# bytes from %u of the stream on are others\n", at + i);
		return false;
	}
	return true;
}

#endif
