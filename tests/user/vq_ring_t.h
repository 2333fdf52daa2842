/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Both sides of the library on one queue: requests with patterns in their readable parts, which the
 * device checks and answers with patterns in the writable ones.
 */
#ifndef VHK_TESTS_VQ_RING_T_H
#define VHK_TESTS_VQ_RING_T_H

#include <vhostkit/ring.h>

#include "vq_t.h"

#define T_SEGS 6
#define T_SEG_SIZE 128
#define T_UNDER_WAY 64

struct t_request {
	bool busy;
	unsigned int number;
	unsigned int n_out, n_in;
	uint32_t in_len;
	struct iovec seg[T_SEGS];
};

struct t_pair {
	struct t_vq t;
	struct vhk_ring *ring;
	uint64_t seed;
	uint16_t size;
	unsigned int added, got, max;
	struct t_request req[T_UNDER_WAY];
};

static inline void t_pair_open(struct t_pair *p, uint16_t size, uint64_t features)
{
	struct vhk_ring_opts o = { .sz = sizeof(o),
				   .size = size,
				   .features = features | VHK_F_VERSION_1,
				   .max_indirect = T_SEGS };

	memset(p, 0, sizeof(*p));
	t_vq_open_indirect(&p->t, size, features, T_SEGS);
	o.base = p->t.at.base;
	o.desc = p->t.at.desc;
	o.driver = p->t.at.driver;
	o.device = p->t.at.device;
	T_MUST(!vhk_ring_new(&p->ring, p->t.mem, &o));
	p->size = size;
	p->seed = size + features;
	p->max = size < T_UNDER_WAY ? size : T_UNDER_WAY;
}

static inline void t_pair_close(struct t_pair *p)
{
	vhk_ring_free(p->ring);
	t_vq_close(&p->t);
}

static inline uint32_t t_rnd(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % below;
}

static inline unsigned char t_pattern(unsigned int number, unsigned int seg, unsigned int i)
{
	return (unsigned char)(number * 7 + seg * 31 + i);
}

static inline void t_request_make(struct t_pair *p, unsigned int k)
{
	struct t_request *q = &p->req[k];
	unsigned int most = p->size < T_SEGS ? p->size : T_SEGS, n = 1 + t_rnd(&p->seed, most);
	unsigned int i, at;

	q->number = p->added;
	q->n_out = t_rnd(&p->seed, n + 1);
	q->n_in = n - q->n_out;
	q->in_len = 0;
	for (i = 0; i < n; i++) {
		unsigned char *base = p->t.data + (k * T_SEGS + i) * T_SEG_SIZE;

		q->seg[i].iov_base = base;
		q->seg[i].iov_len = 1 + t_rnd(&p->seed, T_SEG_SIZE);
		if (i >= q->n_out)
			q->in_len += (uint32_t)q->seg[i].iov_len;
		for (at = 0; at < q->seg[i].iov_len; at++)
			base[at] = i < q->n_out ? t_pattern(q->number, i, at) : 0;
	}
}

/* One request, if there is room for it. */
static inline bool t_pair_add(struct t_pair *p)
{
	unsigned int k = p->added % p->max;
	struct t_request *q = &p->req[k];
	int ret;

	if (q->busy)
		return false;
	t_request_make(p, k);
	ret = vhk_vq_add(p->t.vq, q->seg, q->n_out, q->n_in, q);
	if (ret == -ENOBUFS)
		return false;
	T_MUST(!ret);
	q->busy = true;
	p->added++;
	return true;
}

static inline void t_request_check(const struct t_request *q, uint32_t written)
{
	unsigned int i, at;

	T_MUST(q->busy && written == q->in_len);
	for (i = q->n_out; i < q->n_out + q->n_in; i++)
		for (at = 0; at < q->seg[i].iov_len; at++)
			T_MUST(((unsigned char *)q->seg[i].iov_base)[at] ==
			       t_pattern(q->number, i, at));
}

static inline unsigned int t_pair_get(struct t_pair *p, unsigned int max)
{
	struct vhk_done done[16];
	int i, n = vhk_vq_get(p->t.vq, done, max < 16 ? max : 16);

	T_MUST(n >= 0);
	for (i = 0; i < n; i++) {
		struct t_request *q = done[i].token;

		t_request_check(q, done[i].written);
		q->busy = false;
		p->got++;
	}
	return (unsigned int)n;
}

/*
 * The device's work on a chain that was popped as number @number: all readable bytes are right, all
 * others filled.
 */
static inline void t_chain_serve(struct vhk_chain *c, unsigned int number)
{
	unsigned int i;
	size_t at;

	T_MUST(!c->flags);
	for (i = 0; i < (unsigned int)c->n_out + c->n_in; i++) {
		unsigned char *base = c->seg[i].iov_base;

		for (at = 0; at < c->seg[i].iov_len; at++)
			if (i < c->n_out)
				T_MUST(base[at] == t_pattern(number, i, at));
			else
				base[at] = t_pattern(number, i, at);
	}
	c->written = c->in_len;
}

#endif
