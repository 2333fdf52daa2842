/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver of the tests' own: writes descriptors raw, in either layout, and knows nothing of the
 * library's driver side. Every add is visible at once. RAM is one region unless a test adds more.
 */
#ifndef VHK_TESTS_T_RING_H
#define VHK_TESTS_T_RING_H

#include <endian.h>
#include <sys/mman.h>

#include "base.h"
#include "ring.h"
#include "t.h"

#define PEER_GPA 0x100000ull
#define PEER_RAM (1u << 20)
#define PEER_SIZE_MAX 1024

#define D_NEXT 1
#define D_WRITE 2
#define D_INDIRECT 4
#define D_AVAIL 0x80
#define D_USED 0x8000

struct peer_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a, b; /* split: flags, next; packed: id, flags */
};

struct peer_buf {
	uint64_t gpa;
	uint32_t len;
	uint16_t flags;
};

struct peer {
	bool packed;
	uint16_t size;
	uint64_t features;
	struct vhk_mem *mem;
	unsigned char *ram;
	struct peer_desc *desc;
	uint16_t *driver;
	uint16_t *device;
	uint16_t avail, used; /* split: indices; packed: slots */
	bool avail_wrap, used_wrap;
	uint16_t free[PEER_SIZE_MAX]; /* split: descriptors; packed: ids */
	unsigned int n_free;	      /* of those */
	unsigned int room;	      /* slots of the ring */
	uint16_t next[PEER_SIZE_MAX];
	uint16_t count[PEER_SIZE_MAX];
};

static inline void *peer_at(struct peer *p, uint64_t gpa)
{
	return p->ram + (gpa - PEER_GPA);
}

static inline uint32_t peer_base(const struct peer *p)
{
	if (!p->packed)
		return p->avail;
	return p->avail | (uint32_t)p->avail_wrap << 15 | (uint32_t)p->used << 16 |
	       (uint32_t)p->used_wrap << 31;
}

static inline void peer_init(struct peer *p, bool packed, uint16_t size, uint64_t features)
{
	const struct vhk_region r = { { PEER_GPA }, { PEER_GPA }, PEER_RAM, 0 };
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->packed = packed;
	p->size = size;
	p->features = features | VHK_F_VERSION_1 | (packed ? VHK_F_RING_PACKED : 0);
	p->ram = mmap(NULL, PEER_RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_MUST(p->ram != MAP_FAILED);
	T_MUST(!vhk_mem_new(&p->mem));
	T_MUST(!vhk_mem_add_va(p->mem, &r, p->ram));
	p->desc = (struct peer_desc *)(void *)p->ram;
	p->driver = (uint16_t *)(void *)(p->ram + size * 16u);
	p->device = (uint16_t *)(void *)(p->ram + ((size * 18u + 6 + 63) & ~63u));
	p->avail_wrap = true;
	p->used_wrap = true;
	p->room = size;
	for (i = size; i--;)
		p->free[p->n_free++] = (uint16_t)i;
}

/* Split: both indices begin at @at, as after a long life. */
static inline void peer_start_at(struct peer *p, uint16_t at)
{
	p->avail = at;
	p->used = at;
	p->driver[1] = htole16(at);
	p->device[1] = htole16(at);
}

static inline void peer_fini(struct peer *p)
{
	vhk_mem_free(p->mem);
	munmap(p->ram, PEER_RAM);
}

static inline struct vhk_ring_opts peer_opts(const struct peer *p)
{
	return (struct vhk_ring_opts){
		.sz = sizeof(struct vhk_ring_opts),
		.size = p->size,
		.features = p->features,
		.desc = p->desc,
		.driver = p->driver,
		.device = p->device,
		.base = peer_base(p),
		.ctx_size = 32,
	};
}

static inline struct vhk_ring *peer_ring(const struct peer *p)
{
	const struct vhk_ring_opts o = peer_opts(p);
	struct vhk_ring *r = NULL;

	T_MUST(!vhk_ring_new(&r, p->mem, &o));
	return r;
}

static inline void peer_put_split(struct peer *p, const struct peer_buf *b, unsigned int n)
{
	uint16_t at = p->free[p->n_free - 1], head = at;
	unsigned int i;

	for (i = 0; i < n; i++) {
		uint16_t next = i + 1 < n ? p->free[p->n_free - 2 - i] : 0;

		p->desc[at].addr = htole64(b[i].gpa);
		p->desc[at].len = htole32(b[i].len);
		p->desc[at].a = htole16(b[i].flags | (i + 1 < n ? D_NEXT : 0));
		p->desc[at].b = htole16(next);
		p->next[at] = next;
		at = next;
	}
	p->n_free -= n;
	p->count[head] = (uint16_t)n;
	p->driver[2 + p->avail % p->size] = htole16(head);
	p->avail++;
	__atomic_store_n(&p->driver[1], htole16(p->avail), __ATOMIC_RELEASE);
}

static inline void peer_put_packed(struct peer *p, const struct peer_buf *b, unsigned int n)
{
	const uint16_t id = p->free[--p->n_free], first = p->avail;
	uint16_t first_flags = 0, flags;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct peer_desc *d = &p->desc[p->avail];

		flags = b[i].flags | (i + 1 < n ? D_NEXT : 0) | (p->avail_wrap ? D_AVAIL : D_USED);
		d->addr = htole64(b[i].gpa);
		d->len = htole32(b[i].len);
		d->a = htole16(id);
		if (i)
			d->b = htole16(flags);
		else
			first_flags = flags;
		if (++p->avail == p->size) {
			p->avail = 0;
			p->avail_wrap = !p->avail_wrap;
		}
	}
	p->count[id] = (uint16_t)n;
	__atomic_store_n(&p->desc[first].b, htole16(first_flags), __ATOMIC_RELEASE);
}

/* Returns the id that the chain will come back with, or -1: no room. */
static inline int peer_add(struct peer *p, const struct peer_buf *b, unsigned int n)
{
	int id;

	if (p->room < n || p->n_free < (p->packed ? 1 : n))
		return -1;
	p->room -= n;
	id = p->free[p->n_free - 1];
	if (p->packed)
		peer_put_packed(p, b, n);
	else
		peer_put_split(p, b, n);
	return id;
}

static inline void peer_reclaim(struct peer *p, uint16_t id)
{
	uint16_t at = id, i;

	T_MUST(id < p->size && p->count[id]);
	p->room += p->count[id];
	if (p->packed)
		p->free[p->n_free++] = id;
	else
		for (i = 0; i < p->count[id]; i++, at = p->next[at])
			p->free[p->n_free++] = at;
	p->count[id] = 0;
}

static inline bool peer_peek_packed(struct peer *p)
{
	const uint16_t flags = le16toh(__atomic_load_n(&p->desc[p->used].b, __ATOMIC_ACQUIRE));

	return !!(flags & D_AVAIL) == p->used_wrap && !!(flags & D_USED) == p->used_wrap;
}

static inline bool peer_peek(struct peer *p)
{
	if (p->packed)
		return peer_peek_packed(p);
	return le16toh(__atomic_load_n(&p->device[1], __ATOMIC_ACQUIRE)) != p->used;
}

/* The entry at the used position, which moves on by @slots (packed) or one (split). */
static inline void peer_read_used(struct peer *p, uint16_t *id, uint32_t *len)
{
	if (p->packed) {
		*id = le16toh(p->desc[p->used].a);
		*len = le32toh(p->desc[p->used].len);
	} else {
		const uint32_t *e = (const uint32_t *)(const void *)&p->device[2];

		*id = (uint16_t)le32toh(e[2 * (p->used % p->size)]);
		*len = le32toh(e[2 * (p->used % p->size) + 1]);
	}
}

static inline void peer_step_used(struct peer *p, unsigned int slots)
{
	if (!p->packed) {
		p->used++;
		return;
	}
	p->used = (uint16_t)(p->used + slots);
	if (p->used >= p->size) {
		p->used = (uint16_t)(p->used - p->size);
		p->used_wrap = !p->used_wrap;
	}
}

/* One answered chain. */
static inline bool peer_get(struct peer *p, uint16_t *id, uint32_t *len)
{
	if (!peer_peek(p))
		return false;
	peer_read_used(p, id, len);
	T_MUST(*id < p->size);
	peer_step_used(p, p->count[*id]);
	peer_reclaim(p, *id);
	return true;
}

#endif
