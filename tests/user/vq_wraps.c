// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Requests until every index has wrapped: random chains, random bursts, answered in random order or
 * told of in batches by a plain device. Each segment arrives as it was added, each token comes back
 * once.
 */
#include "vq_t.h"

#define REQUESTS (65530 + 70000)
#define SEGS 6

struct request {
	bool busy;
	unsigned int n_out, n_in;
	uint32_t in_len, written;
	struct iovec seg[SEGS];
};

struct run {
	struct t_vq t;
	uint64_t seed;
	uint16_t size;
	unsigned int max; /* requests under way at most */
	unsigned int added, popped, used, got;
	struct request *req;	/* by number modulo max */
	struct t_chain *chain;	/* those popped and not used */
	unsigned int *number;	/* whose they are */
	unsigned int n_chain;
};

static uint32_t rnd(struct run *r, uint32_t below)
{
	r->seed = r->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(r->seed >> 33) % below;
}

static void request_make(struct run *r, struct request *q)
{
	unsigned int most = r->size < SEGS ? r->size : SEGS, n = 1 + rnd(r, most), i;

	memset(q, 0, sizeof(*q));
	q->n_out = rnd(r, n + 1);
	q->n_in = n - q->n_out;
	for (i = 0; i < n; i++) {
		q->seg[i].iov_base = r->t.data + rnd(r, T_DATA_SIZE - 4096);
		q->seg[i].iov_len = 1 + rnd(r, 4096);
		if (i >= q->n_out)
			q->in_len += q->seg[i].iov_len;
	}
}

static void add_some(struct run *r)
{
	unsigned int n = 1 + rnd(r, 40);

	while (n-- && r->added < REQUESTS && r->added - r->got < r->max) {
		struct request *q = &r->req[r->added % r->max];
		int ret;

		if (q->busy)
			break;
		request_make(r, q);
		ret = vhk_vq_add(r->t.vq, q->seg, q->n_out, q->n_in, q);
		if (ret == -ENOBUFS)
			break;
		T_MUST(!ret);
		q->busy = true;
		r->added++;
	}
	T_MUST(vhk_vq_publish(r->t.vq) >= 0);
}

static void check_chain(struct run *r, const struct t_chain *c, const struct request *q)
{
	unsigned int i;

	T_MUST(c->n_out == q->n_out && c->n_in == q->n_in);
	for (i = 0; i < q->n_out + q->n_in; i++) {
		T_MUST(c->seg[i].gpa ==
		       T_DATA_GPA + (uint64_t)((unsigned char *)q->seg[i].iov_base - r->t.data));
		T_MUST(c->seg[i].len == q->seg[i].iov_len);
	}
}

static void pop_all(struct run *r)
{
	while (t_dev_pop(&r->t, &r->chain[r->n_chain])) {
		check_chain(r, &r->chain[r->n_chain], &r->req[r->popped % r->max]);
		r->number[r->n_chain++] = r->popped++;
	}
	T_MUST(r->popped == r->added);
}

/* The oldest @n chains are told of by the last one's entry. */
static void use_batch(struct run *r, unsigned int n)
{
	unsigned int i, n_desc = 0;

	for (i = 0; i < n; i++) {
		struct request *q = &r->req[r->number[i] % r->max];

		n_desc += r->chain[i].n_desc;
		q->written = i + 1 == n ? rnd(r, q->in_len + 1) : q->in_len;
	}
	t_dev_use(&r->t, r->chain[n - 1].id, r->req[r->number[n - 1] % r->max].written, n, n_desc);
	r->n_chain -= n;
	memmove(r->chain, r->chain + n, r->n_chain * sizeof(*r->chain));
	memmove(r->number, r->number + n, r->n_chain * sizeof(*r->number));
}

static void use_one(struct run *r, unsigned int i)
{
	struct request *q = &r->req[r->number[i] % r->max];

	q->written = rnd(r, q->in_len + 1);
	t_dev_use(&r->t, r->chain[i].id, q->written, 1, r->chain[i].n_desc);
	r->chain[i] = r->chain[--r->n_chain];
	r->number[i] = r->number[r->n_chain];
}

static void use_some(struct run *r)
{
	unsigned int n = r->n_chain ? 1 + rnd(r, r->n_chain) : 0;

	if (r->t.in_order && n)
		use_batch(r, n);
	else
		while (n--)
			use_one(r, rnd(r, r->n_chain));
}

static void get_some(struct run *r)
{
	struct vhk_done done[16];
	int i, n = vhk_vq_get(r->t.vq, done, 1 + rnd(r, 16));

	T_MUST(n >= 0);
	for (i = 0; i < n; i++) {
		struct request *q = done[i].token;

		T_MUST(q->busy);
		T_MUST(done[i].written == q->written);
		q->busy = false;
		r->got++;
	}
}

static void run(uint16_t size, uint64_t features, uint16_t max_indirect)
{
	struct run r = { .seed = size + features, .size = size };
	unsigned int rounds = 0;

	t_vq_open_indirect(&r.t, size, features, max_indirect);
	r.max = size < 64 ? size : 64;
	r.req = calloc(r.max, sizeof(*r.req));
	r.chain = calloc(r.max + 1, sizeof(*r.chain));
	r.number = calloc(r.max + 1, sizeof(*r.number));
	T_MUST(r.req && r.chain && r.number);
	while (r.got < REQUESTS) {
		T_MUST(++rounds < 4 * REQUESTS);
		add_some(&r);
		pop_all(&r);
		use_some(&r);
		get_some(&r);
	}
	T_EQ(vhk_vq_in_flight(r.t.vq), 0);
	free(r.req);
	free(r.chain);
	free(r.number);
	t_vq_close(&r.t);
}

static void all(uint64_t layout, const uint16_t *sizes, unsigned int n)
{
	static const uint64_t features[] = {
		0,
		VHK_F_IN_ORDER,
		VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX,
		VHK_F_IN_ORDER | VHK_F_INDIRECT_DESC,
	};
	unsigned int i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < sizeof(features) / sizeof(features[0]); k++)
			run(sizes[i], layout | features[k], SEGS);
}

static void split(void)
{
	static const uint16_t sizes[] = { 1, 2, 8, 256, 32768 };

	all(0, sizes, 5);
}

static void packed(void)
{
	static const uint16_t sizes[] = { 1, 2, 7, 255, 32768 };

	all(VHK_F_RING_PACKED, sizes, 5);
}

int main(void)
{
	T_RUN(split);
	T_RUN(packed);
	return t_end();
}
