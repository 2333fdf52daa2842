/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver's queue over one region of data, and the plainest possible device for it, written
 * against the specification and not against the library: it can be told to lie.
 */
#ifndef VHK_TESTS_VQ_T_H
#define VHK_TESTS_VQ_T_H

#include <vhostkit/vq.h>

#include "t.h"

#define T_DATA_GPA 0x100000ull
#define T_DATA_SIZE (1u << 20)
#define T_VQ_GPA 0x10000000ull

struct t_vq {
	struct vhk_mem *mem;
	struct vhk_vq *vq;
	unsigned char *data;
	/* the device */
	struct vhk_vq_addr at;
	bool packed;
	bool in_order;
	uint16_t avail, used; /* split: free-running; packed: slots */
	bool avail_wrap, used_wrap;
};

struct t_chain {
	uint16_t id, n_desc;
	unsigned int n_out, n_in;
	struct {
		uint64_t gpa;
		uint32_t len;
	} seg[64];
};

static inline void t_vq_open_indirect(struct t_vq *t, uint16_t size, uint64_t features,
				      uint16_t max_indirect)
{
	struct vhk_vq_opts o = { .sz = sizeof(o),
				 .size = size,
				 .features = features | VHK_F_VERSION_1,
				 .gpa = { T_VQ_GPA },
				 .max_indirect = max_indirect };
	void *data;

	memset(t, 0, sizeof(*t));
	T_MUST(!vhk_mem_new(&t->mem));
	T_MUST(!vhk_mem_alloc(t->mem, (struct vhk_gpa){ T_DATA_GPA }, T_DATA_SIZE, &data));
	t->data = data;
	T_MUST(!vhk_vq_new(&t->vq, t->mem, &o));
	T_MUST(!vhk_vq_addr(t->vq, &t->at));
	t->packed = features & VHK_F_RING_PACKED;
	t->in_order = features & VHK_F_IN_ORDER;
	t->avail_wrap = t->used_wrap = true;
}

static inline void t_vq_open(struct t_vq *t, uint16_t size, uint64_t features)
{
	t_vq_open_indirect(t, size, features, 0);
}

static inline void t_vq_close(struct t_vq *t)
{
	vhk_vq_free(t->vq);
	vhk_mem_free(t->mem);
}

/* One request of a readable and a writable segment. */
static inline int t_vq_add(struct t_vq *t, uint32_t out, uint32_t in, uintptr_t token)
{
	struct iovec seg[2] = { { t->data, out }, { t->data + 4096, in } };

	return out ? vhk_vq_add(t->vq, seg, 1, in != 0, (void *)token) :
		     vhk_vq_add(t->vq, seg + 1, 0, 1, (void *)token);
}

static inline uint16_t t_get16(const void *at, size_t off)
{
	return __atomic_load_n((const uint16_t *)(const void *)((const char *)at + off),
			       __ATOMIC_ACQUIRE);
}

static inline void t_put16(void *at, size_t off, uint16_t v)
{
	__atomic_store_n((uint16_t *)(void *)((char *)at + off), v, __ATOMIC_RELEASE);
}

static inline void t_put32(void *at, size_t off, uint32_t v)
{
	__atomic_store_n((uint32_t *)(void *)((char *)at + off), v, __ATOMIC_RELEASE);
}

static inline uint32_t t_get32(const void *at, size_t off)
{
	return __atomic_load_n((const uint32_t *)(const void *)((const char *)at + off),
			       __ATOMIC_RELAXED);
}

static inline uint64_t t_get64(const void *at, size_t off)
{
	return __atomic_load_n((const uint64_t *)(const void *)((const char *)at + off),
			       __ATOMIC_RELAXED);
}

/* split: index that the device says it has used up to */
static inline void t_split_set_used_idx(struct t_vq *t, uint16_t idx)
{
	t_put16(t->at.device, 2, idx);
}

static inline void t_split_set_elem(struct t_vq *t, uint16_t idx, uint32_t id, uint32_t len)
{
	size_t off = 4 + 8u * (idx & (t->at.size - 1));

	t_put32(t->at.device, off, id);
	t_put32(t->at.device, off + 4, len);
}

static inline void t_packed_set_used(struct t_vq *t, uint16_t slot, uint16_t id, uint32_t len,
				     uint16_t flags)
{
	t_put32(t->at.desc, 16u * slot + 8, len);
	t_put16(t->at.desc, 16u * slot + 12, id);
	t_put16(t->at.desc, 16u * slot + 14, flags);
}

static inline uint16_t t_packed_used_flags(bool wrap)
{
	return wrap ? 0x8080 : 0;
}

static inline void t_chain_seg(struct t_chain *c, const void *desc, size_t off, uint16_t flags)
{
	unsigned int n = c->n_out + c->n_in;

	T_MUST(n < 64);
	c->seg[n].gpa = t_get64(desc, off);
	c->seg[n].len = t_get32(desc, off + 8);
	if (flags & 2)
		c->n_in++;
	else
		c->n_out++;
}

static inline void t_chain_indirect(struct t_vq *t, struct t_chain *c, size_t off)
{
	uint32_t i, len = t_get32(t->at.desc, off + 8);
	struct iovec seg;

	T_EQ(vhk_mem_find(t->mem, (struct vhk_gpa){ t_get64(t->at.desc, off) }, len, &seg, 1), 1);
	for (i = 0; i < len; i += 16)
		t_chain_seg(c, seg.iov_base, i, t_get16(seg.iov_base, i + (t->packed ? 14 : 12)));
}

static inline bool t_split_pop(struct t_vq *t, struct t_chain *c)
{
	uint16_t flags, d;

	if (t_get16(t->at.driver, 2) == t->avail)
		return false;
	d = c->id = t_get16(t->at.driver, 4 + 2u * (t->avail++ & (t->at.size - 1)));
	for (;;) {
		flags = t_get16(t->at.desc, 16u * d + 12);
		c->n_desc++;
		if (flags & 4)
			t_chain_indirect(t, c, 16u * d);
		else
			t_chain_seg(c, t->at.desc, 16u * d, flags);
		if (!(flags & 1))
			return true;
		/* virtio 1.3, 2.7.5.2 */
		if (t->in_order)
			T_EQ(t_get16(t->at.desc, 16u * d + 14), (d + 1) & (t->at.size - 1));
		d = t_get16(t->at.desc, 16u * d + 14);
	}
}

static inline bool t_packed_pop(struct t_vq *t, struct t_chain *c)
{
	uint16_t flags = t_get16(t->at.desc, 16u * t->avail + 14);

	if (!!(flags & 0x80) != t->avail_wrap || !!(flags & 0x8000) == t->avail_wrap)
		return false;
	for (;;) {
		flags = t_get16(t->at.desc, 16u * t->avail + 14);
		c->id = t_get16(t->at.desc, 16u * t->avail + 12);
		c->n_desc++;
		if (flags & 4)
			t_chain_indirect(t, c, 16u * t->avail);
		else
			t_chain_seg(c, t->at.desc, 16u * t->avail, flags);
		if (++t->avail == t->at.size) {
			t->avail = 0;
			t->avail_wrap = !t->avail_wrap;
		}
		if (!(flags & 1))
			return true;
	}
}

static inline bool t_dev_pop(struct t_vq *t, struct t_chain *c)
{
	memset(c, 0, sizeof(*c));
	return t->packed ? t_packed_pop(t, c) : t_split_pop(t, c);
}

/*
 * @id is used and with it @n chains of @n_desc descriptors together; in order, n may be more than
 * one.
 */
static inline void t_dev_use(struct t_vq *t, uint16_t id, uint32_t len, uint16_t n, uint16_t n_desc)
{
	if (!t->packed) {
		t_split_set_elem(t, t->used, id, len);
		t->used += n;
		t_split_set_used_idx(t, t->used);
		return;
	}
	t_packed_set_used(t, t->used, id, len, t_packed_used_flags(t->used_wrap));
	t->used += n_desc;
	if (t->used >= t->at.size) {
		t->used -= t->at.size;
		t->used_wrap = !t->used_wrap;
	}
}

#endif
