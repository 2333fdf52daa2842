// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Class 1: a thread rewrites descriptors, indirect tables and the available ring while chains are
 * popped. Each chain must be made of one copy: segments inside memory, sums that fit, and no more
 * of anything than was allowed.
 */
#include <pthread.h>

#include "t_ring.h"

#define SIZE 8
#define ROUNDS 100000
#define SEEN 100
#define TABLE_GPA (PEER_GPA + 0x4000)
#define TABLE_N 8
#define MAX_SEGS 12

struct flipper {
	struct peer *p;
	atomic_bool stop;
	atomic_ulong writes;
};

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Values that are each nearly right. */
static uint64_t some_addr(uint64_t x)
{
	switch (x % 8) {
	case 0: return TABLE_GPA;
	case 1: return TABLE_GPA + 8;
	case 2: return PEER_GPA + PEER_RAM - 16;
	case 3: return 0xffffffffffffff00ull;
	default: return PEER_GPA + 0x8000 + (x >> 8) % 0x1000;
	}
}

static uint32_t some_len(uint64_t x)
{
	static const uint32_t lens[] = { 0, 1, 16, 32, 48, 128, 512, 0x80000000u };

	return lens[x % vhk_array_size(lens)];
}

static void flip(struct peer_desc *d, uint64_t x, bool packed)
{
	/* NEXT and WRITE often, INDIRECT sometimes, and in a packed ring the marks of the first
	 * lap. */
	const uint16_t mask = x >> 30 & 1 ? 7 : 3;
	const uint16_t flags = (uint16_t)((x >> 20 & mask) | (packed ? D_AVAIL : 0));
	const uint16_t other = (uint16_t)(x >> 24 & 0x3ff) < 1000 ? (x >> 34) % SIZE : 0xfff0;

	switch (x >> 16 & 3) {
	case 0: __atomic_store_n(&d->addr, htole64(some_addr(x >> 40)), __ATOMIC_RELAXED); break;
	case 1: __atomic_store_n(&d->len, htole32(some_len(x >> 40)), __ATOMIC_RELAXED); break;
	case 2: __atomic_store_n(&d->a, htole16(packed ? other : flags), __ATOMIC_RELAXED); break;
	case 3: __atomic_store_n(&d->b, htole16(packed ? flags : other), __ATOMIC_RELAXED); break;
	}
}

static void *flips(void *arg)
{
	struct flipper *f = arg;
	struct peer_desc *table = peer_at(f->p, TABLE_GPA);
	uint64_t s = 88172645463325252ull;

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		const uint64_t x = next_random(&s);

		if (x & 1)
			flip(&f->p->desc[(x >> 1) % SIZE], x, f->p->packed);
		else
			flip(&table[(x >> 1) % TABLE_N], x, f->p->packed);
		if (!f->p->packed && x % 5 == 0)
			__atomic_store_n(&f->p->driver[2 + (x >> 8) % SIZE],
					 htole16((uint16_t)(x >> 50) % SIZE), __ATOMIC_RELAXED);
		atomic_fetch_add_explicit(&f->writes, 1, memory_order_relaxed);
	}
	return NULL;
}

static void check(const struct peer *p, const struct vhk_chain *c)
{
	uint64_t sum[2] = { 0, 0 };
	unsigned int i, n = c->n_out + c->n_in;

	T_OK(n <= MAX_SEGS);
	for (i = 0; i < n && n <= MAX_SEGS; i++) {
		const unsigned char *va = c->seg[i].iov_base;

		sum[i >= c->n_out] += c->seg[i].iov_len;
		T_OK(c->seg[i].iov_len > 0);
		T_OK(va ? va >= p->ram && va + c->seg[i].iov_len <= p->ram + PEER_RAM
			: (c->flags & VHK_CHAIN_F_FAULT) != 0);
	}
	T_EQ(sum[0], c->out_len);
	T_EQ(sum[1], c->in_len);
	T_OK(c->n_desc >= 1 && c->n_desc <= SIZE);
	T_OK(c->id < SIZE);
}

static struct vhk_ring *fresh_ring(struct peer *p)
{
	struct vhk_ring_opts o = peer_opts(p);
	struct vhk_ring *r = NULL;

	o.base = p->packed ? 0x80008000u : 0;
	o.max_segs = MAX_SEGS;
	T_MUST(!vhk_ring_new(&r, p->mem, &o));
	return r;
}

static void pop_while_flipped(bool packed)
{
	unsigned int i, chains = 0, broken = 0;
	struct flipper f = { 0 };
	struct vhk_chain *c[SIZE];
	struct peer p;
	uint64_t end = t_now_ns() + 20000000000u;
	pthread_t t;
	int n, k;

	peer_init(&p, packed, SIZE, VHK_F_INDIRECT_DESC);
	if (!packed)
		p.driver[1] = htole16(SIZE);
	f.p = &p;
	T_MUST(!pthread_create(&t, NULL, flips, &f));
	while (!atomic_load(&f.writes))
		sched_yield();
	/* On a busy machine all rounds may fall into one pause of the other thread. */
	for (i = 0; (i < ROUNDS || chains <= SEEN || broken <= SEEN) && !t_bad; i++) {
		struct vhk_ring *r = fresh_ring(&p);

		n = vhk_ring_pop(r, c, SIZE);
		for (k = 0; k < n; k++)
			check(&p, c[k]);
		chains += n > 0 ? (unsigned int)n : 0;
		broken += vhk_ring_error(r) != 0;
		vhk_ring_free(r);
		if (i >= ROUNDS && t_now_ns() > end)
			break;
	}
	atomic_store(&f.stop, true);
	pthread_join(t, NULL);
	printf("# %s: %u chains, %u rings broken, %lu writes\n", packed ? "packed" : "split",
	       chains, broken, atomic_load(&f.writes));
	T_OK(chains > SEEN);
	T_OK(broken > SEEN);
	peer_fini(&p);
}

static void split_ring(void)
{
	pop_while_flipped(false);
}

static void packed_ring(void)
{
	pop_while_flipped(true);
}

int main(void)
{
	T_RUN(split_ring);
	T_RUN(packed_ring);
	return t_end();
}
