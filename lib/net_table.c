// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A table of addresses in buckets of one size: what does not fit its bucket is not learnt. Where an
 * address goes depends on a secret, so that nobody can aim at a bucket.
 */
#include "base.h"
#include "net_table.h"

#define WAYS 8
#define SWEEP 16 /* buckets looked through for old addresses when there is no room */

struct entry {
	uint64_t mac;
	uint32_t heard;
	uint8_t port;
	bool used;
};

struct net_table {
	uint64_t seed;
	uint32_t n_buckets, limit, age, count;
	uint32_t swept;
	uint32_t of_port[NET_TABLE_PORTS];
	struct entry entry[];
};

struct net_table *vhk_net_table_new(uint32_t limit, uint32_t age, uint64_t seed)
{
	struct net_table *t;
	uint32_t n = 1;

	/* half full at most, so that few buckets are */
	while (n * WAYS < 2 * limit)
		n *= 2;
	t = calloc(1, sizeof(*t) + (size_t)n * WAYS * sizeof(t->entry[0]));
	if (!t)
		return NULL;
	t->seed = seed;
	t->n_buckets = n;
	t->limit = limit;
	t->age = age;
	return t;
}

void vhk_net_table_free(struct net_table *t)
{
	free(t);
}

static struct entry *bucket_of(struct net_table *t, uint64_t mac)
{
	uint64_t h = (mac ^ t->seed) * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 32 ^ t->seed >> 17) * 0xd6e8feb86659fd93ULL;
	return &t->entry[((h >> 32) & (t->n_buckets - 1)) * WAYS];
}

static void drop(struct net_table *t, struct entry *e)
{
	e->used = false;
	t->count--;
	t->of_port[e->port]--;
}

static bool is_old(const struct net_table *t, const struct entry *e, uint32_t now)
{
	return now - e->heard > t->age;
}

static struct entry *find(struct net_table *t, uint64_t mac, uint32_t now)
{
	struct entry *e = bucket_of(t, mac), *end = e + WAYS;

	for (; e < end; e++) {
		if (!e->used || e->mac != mac)
			continue;
		if (!is_old(t, e, now))
			return e;
		drop(t, e);
		return NULL;
	}
	return NULL;
}

int vhk_net_table_find(struct net_table *t, uint64_t mac, uint32_t now)
{
	const struct entry *e = find(t, mac, now);

	return e ? e->port : -1;
}

/* Some of what is old goes, here and there. */
static void sweep(struct net_table *t, uint32_t now)
{
	struct entry *e;
	unsigned int i;

	for (i = 0; i < SWEEP; i++) {
		t->swept = (t->swept + 1) & (t->n_buckets - 1);
		for (e = &t->entry[t->swept * WAYS]; e < &t->entry[(t->swept + 1) * WAYS]; e++)
			if (e->used && is_old(t, e, now))
				drop(t, e);
	}
}

static bool has_room(struct net_table *t, unsigned int port)
{
	return t->count < t->limit && t->of_port[port] < (t->limit + 1) / 2;
}

static struct entry *free_entry(struct net_table *t, uint64_t mac, uint32_t now)
{
	struct entry *e = bucket_of(t, mac), *end = e + WAYS;

	for (; e < end; e++) {
		if (e->used && is_old(t, e, now))
			drop(t, e);
		if (!e->used)
			return e;
	}
	return NULL;
}

void vhk_net_table_learn(struct net_table *t, uint64_t mac, unsigned int port, uint32_t now)
{
	struct entry *e = find(t, mac, now);

	if (e && e->port == port) {
		e->heard = now;
		return;
	}
	if (!has_room(t, port))
		sweep(t, now);
	if (!has_room(t, port))
		return;
	if (e)
		drop(t, e);
	else
		e = free_entry(t, mac, now);
	if (!e)
		return;
	*e = (struct entry){ .mac = mac, .heard = now, .port = (uint8_t)port, .used = true };
	t->count++;
	t->of_port[port]++;
}

void vhk_net_table_forget_port(struct net_table *t, unsigned int port)
{
	struct entry *e, *end = &t->entry[(size_t)t->n_buckets * WAYS];

	for (e = t->entry; e < end && t->of_port[port]; e++)
		if (e->used && e->port == port)
			drop(t, e);
}

unsigned int vhk_net_table_count(const struct net_table *t)
{
	return t->count;
}
