// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a driver's queue takes and what it refuses: options, segments, regions that come and go, a
 * full ring. A refusal leaves nothing for the device to see.
 */
#include <sys/mman.h>

#include "vq_t.h"

#define SIZE 4
#define HUGE_GPA (1ull << 40)
#define HUGE_SIZE (3ull << 30)

static void options(void)
{
	static const struct {
		struct vhk_vq_opts o;
		int want;
	} cases[] = {
		{ { .size = 0 }, -EINVAL },
		{ { .size = 3 }, -EINVAL },
		{ { .size = 32769 }, -EINVAL },
		{ { .size = 0, .features = VHK_F_RING_PACKED }, -EINVAL },
		{ { .size = 32769, .features = VHK_F_RING_PACKED }, -EINVAL },
		{ { .size = 4, .gpa = { UINT64_MAX - 4094 } }, -EINVAL },
		{ { .size = 4, .gpa = { UINT64_MAX - 4095 } }, 0 },
		{ { .size = 4, .gpa = { T_DATA_GPA } }, -EEXIST },
		{ { .size = 4, .gpa = { T_DATA_GPA - 4096 } }, 0 },
		{ { .size = 1 }, 0 },
		{ { .size = 3, .features = VHK_F_RING_PACKED }, 0 },
		{ { .size = 32768, .gpa = { 1ull << 33 } }, 0 },
	};
	struct vhk_mem *m;
	unsigned int i;
	void *va;

	T_MUST(!vhk_mem_new(&m));
	T_MUST(!vhk_mem_alloc(m, (struct vhk_gpa){ T_DATA_GPA }, 4096, &va));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhk_vq_opts o = cases[i].o;
		struct vhk_vq *q;

		o.sz = sizeof(o);
		T_EQ(vhk_vq_new(&q, m, &o), cases[i].want);
		T_EQ(!q, cases[i].want != 0);
		T_EQ(vhk_mem_count(m), q ? 2 : 1);
		if (q)
			T_EQ(vhk_vq_bytes(&o) % 4096, 0);
		vhk_vq_free(q);
		T_EQ(vhk_mem_count(m), 1);
	}
	T_EQ(vhk_vq_bytes(&(struct vhk_vq_opts){ .sz = sizeof(struct vhk_vq_opts) }), 0);
	vhk_vq_free(NULL);
	vhk_mem_free(m);
}

/* A queue in memory of the caller's. */
static void a_block_of_the_callers(void)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = 16, .features = VHK_F_INDIRECT_DESC,
				 .max_indirect = 4, .gpa = { T_DATA_GPA } };
	const size_t bytes = vhk_vq_bytes(&o);
	struct vhk_vq *a, *b;
	struct vhk_vq_addr at;
	struct vhk_mem *m;
	unsigned char *va;
	struct iovec v;

	T_MUST(!vhk_mem_new(&m));
	T_MUST(!vhk_mem_alloc(m, (struct vhk_gpa){ T_DATA_GPA }, 2 * bytes + 64, (void **)&va));
	memset(va, 0x5a, 2 * bytes + 64);
	v = (struct iovec){ va + 2 * bytes, 64 };
	o.block = va + 1;
	T_EQ(vhk_vq_new(&a, m, &o), -EINVAL);
	o.block = va + 2 * bytes;
	T_EQ(vhk_vq_new(&a, m, &o), -EFAULT);
	T_EQ(va[2 * bytes], 0x5a);
	o.block = va;
	T_MUST(!vhk_vq_new(&a, m, &o));
	o.block = va + bytes;
	T_MUST(!vhk_vq_new(&b, m, &o));
	T_EQ(vhk_mem_count(m), 1);
	T_EQ(va[2 * bytes], 0x5a);
	T_EQ(vhk_vq_addr(b, &at), 0);
	T_OK(at.desc == va + bytes);
	T_EQ(vhk_vq_add(b, &v, 1, 0, NULL), 0);
	T_EQ(vhk_vq_publish(b), 1);
	/* the table is another one, and the block is still there */
	T_MUST(!vhk_mem_alloc(m, (struct vhk_gpa){ 1ull << 40 }, 4096, (void **)&v.iov_base));
	T_EQ(vhk_vq_add(b, &v, 1, 0, NULL), 0);
	vhk_vq_free(a);
	vhk_vq_free(b);
	T_EQ(vhk_mem_count(m), 2);
	vhk_mem_free(m);
}

/* A region that nobody touches: only its addresses matter. */
static unsigned char *reserve(uint64_t size)
{
	void *va = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	T_MUST(va != MAP_FAILED);
	return va;
}

static struct vhk_region region_at(uint64_t gpa, unsigned char *va, uint64_t size)
{
	return (struct vhk_region){ .gpa = { gpa }, .uva = { (uintptr_t)va }, .size = size };
}

static void segments(void)
{
	enum { DATA, PAST, HUGE_A, NOWHERE };
	static const struct {
		struct {
			int base;
			uint64_t len;
		} seg[6];
		unsigned int n_out, n_in;
		int want;
	} cases[] = {
		{ { { DATA, 1 } }, 0, 0, -EINVAL },
		{ { { DATA, 1 } }, 65536, 0, -EINVAL },
		{ { { DATA, 1 } }, 0, UINT32_MAX, -EINVAL },
		{ { { DATA, 1 } }, UINT32_MAX, 1, -EINVAL },
		{ { { DATA, 0 } }, 1, 0, -EINVAL },
		{ { { DATA, 1 }, { DATA, 0 } }, 1, 1, -EINVAL },
		{ { { NOWHERE, 1 } }, 1, 0, -EFAULT },
		{ { { DATA, 1 }, { NOWHERE, 1 } }, 1, 1, -EFAULT },
		{ { { PAST, 1 } }, 1, 0, 0 },
		{ { { PAST, 2 } }, 1, 0, -EFAULT },
		{ { { DATA, SIZE_MAX } }, 1, 0, -EINVAL },
		{ { { DATA, UINT32_MAX } }, 1, 0, -EFAULT },
		{ { { DATA, 1ull << 32 } }, 1, 0, -EMSGSIZE },
		{ { { HUGE_A, HUGE_SIZE } }, 1, 0, 0 },
		{ { { HUGE_A, HUGE_SIZE }, { HUGE_A, (1u << 30) - 1 } }, 1, 1, 0 },
		{ { { HUGE_A, HUGE_SIZE }, { HUGE_A, 1u << 30 } }, 1, 1, -EMSGSIZE },
		{ { { HUGE_A, HUGE_SIZE }, { HUGE_A, HUGE_SIZE } }, 0, 2, -EMSGSIZE },
		{ { { DATA, 1 }, { DATA, 1 }, { DATA, 1 }, { DATA, 1 } }, 2, 2, 0 },
		{ { { DATA, 1 }, { DATA, 1 }, { DATA, 1 }, { DATA, 1 }, { DATA, 1 } },
		  2,
		  3,
		  -EMSGSIZE },
	};
	/* The page behind it belongs to nobody. */
	unsigned char *huge = reserve(HUGE_SIZE + 4096);
	struct vhk_region r = region_at(HUGE_GPA, huge, HUGE_SIZE);
	unsigned int i, k, packed;

	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int at = i / 2;
		struct iovec seg[6];
		struct t_chain c;
		struct t_vq t;

		packed = i % 2;
		t_vq_open(&t, SIZE, packed ? VHK_F_RING_PACKED : 0);
		T_MUST(!vhk_mem_add_va(t.mem, &r, huge));
		for (k = 0; k < 6; k++) {
			unsigned char *base[] = { t.data, huge + HUGE_SIZE - 1, huge,
						  (unsigned char *)(uintptr_t)4096 };

			seg[k].iov_base = base[cases[at].seg[k].base];
			seg[k].iov_len = cases[at].seg[k].len;
		}
		T_EQ(vhk_vq_add(t.vq, seg, cases[at].n_out, cases[at].n_in, NULL), cases[at].want);
		T_EQ(vhk_vq_in_flight(t.vq), cases[at].want == 0);
		vhk_vq_publish(t.vq);
		T_EQ(t_dev_pop(&t, &c), cases[at].want == 0);
		t_vq_close(&t);
	}
	munmap(huge, HUGE_SIZE + 4096);
}

/* Refused behind a staged one: what follows takes the refused one's place. */
static void refusal_in_the_middle_of_a_batch(void)
{
	unsigned int packed;

	for (packed = 0; packed < 2; packed++) {
		struct iovec bad[3];
		struct t_chain c;
		struct t_vq t;

		t_vq_open(&t, SIZE, packed ? VHK_F_RING_PACKED : 0);
		bad[0] = (struct iovec){ t.data, 5 };
		bad[1] = (struct iovec){ t.data + 50, 5 };
		bad[2] = (struct iovec){ NULL, 5 };
		T_EQ(t_vq_add(&t, 1, 0, 1), 0);
		T_EQ(vhk_vq_add(t.vq, bad, 1, 2, NULL), -EFAULT);
		T_EQ(t_vq_add(&t, 2, 0, 2), 0);
		T_EQ(t_dev_pop(&t, &c), 0);
		vhk_vq_publish(t.vq);
		T_OK(t_dev_pop(&t, &c));
		T_EQ(c.seg[0].len, 1);
		T_OK(t_dev_pop(&t, &c));
		T_EQ(c.seg[0].len, 2);
		T_EQ(t_dev_pop(&t, &c), 0);
		t_vq_close(&t);
	}
}

static void a_full_ring(void)
{
	static const struct {
		uint64_t features;
		uint16_t max_indirect;
		int first, then; /* requests of 4 and of 1 segment that fit into 8 descriptors */
	} cases[] = {
		{ 0, 0, 2, 0 },
		{ VHK_F_RING_PACKED, 0, 2, 0 },
		{ 0, 4, 2, 0 }, /* not negotiated */
		{ VHK_F_INDIRECT_DESC, 0, 2, 0 },
		{ VHK_F_INDIRECT_DESC, 3, 2, 0 }, /* tables too short */
		{ VHK_F_INDIRECT_DESC, 4, 8, 0 },
		{ VHK_F_INDIRECT_DESC | VHK_F_RING_PACKED, 4, 8, 0 },
	};
	unsigned int i, k;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhk_done done[8];
		struct iovec seg[4];
		struct t_chain c;
		struct t_vq t;
		int n = 0;

		t_vq_open_indirect(&t, 8, cases[i].features, cases[i].max_indirect);
		for (k = 0; k < 4; k++)
			seg[k] = (struct iovec){ t.data + 64 * k, 8 + k };
		while (n < 9 && !vhk_vq_add(t.vq, seg, 1, 3, NULL))
			n++;
		T_EQ(n, cases[i].first);
		T_EQ(vhk_vq_add(t.vq, seg, 1, 3, NULL), -ENOBUFS);
		T_EQ(vhk_vq_add(t.vq, seg, 1, 0, NULL), -ENOBUFS);
		vhk_vq_publish(t.vq);
		for (; n; n--) {
			T_OK(t_dev_pop(&t, &c));
			T_EQ(c.n_out, 1);
			T_EQ(c.n_in, 3);
			for (k = 0; k < 4; k++) {
				T_EQ(c.seg[k].gpa, T_DATA_GPA + 64 * k);
				T_EQ(c.seg[k].len, 8 + k);
			}
		}
		T_EQ(t_dev_pop(&t, &c), 0);
		t_dev_use(&t, c.id, 0, 1, c.n_desc);
		T_EQ(vhk_vq_get(t.vq, done, 8), 1);
		T_EQ(vhk_vq_add(t.vq, seg, 1, 3, NULL), 0);
		T_EQ(vhk_vq_add(t.vq, seg, 1, 0, NULL), -ENOBUFS);
		t_vq_close(&t);
	}
}

/* A chain longer than the ring goes through a table even where tables are for still longer ones. */
static void longer_than_the_ring(void)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = 2, .features = VHK_F_INDIRECT_DESC,
				 .gpa = { T_VQ_GPA }, .max_indirect = 8, .indirect_min = 6 };
	struct iovec seg[9];
	struct t_vq t;
	int k;

	t_vq_open(&t, 2, 0);
	for (k = 0; k < 9; k++)
		seg[k] = (struct iovec){ t.data, 1 };
	vhk_vq_free(t.vq);
	T_MUST(!vhk_vq_new(&t.vq, t.mem, &o));
	T_EQ(vhk_vq_add(t.vq, seg, 9, 0, NULL), -EMSGSIZE);
	T_EQ(vhk_vq_add(t.vq, seg, 3, 0, NULL), 0);
	T_EQ(vhk_vq_add(t.vq, seg, 2, 0, NULL), -ENOBUFS);
	T_EQ(vhk_vq_add(t.vq, seg, 1, 7, NULL), 0);
	t_vq_close(&t);
}

/* Two regions side by side here, far apart in the guest; the second starts at guest address 0. */
static void a_segment_over_two_regions(void)
{
	unsigned char *va = reserve(8192);
	struct vhk_region lo = region_at(0x5000000, va, 4096), hi = region_at(0, va + 4096, 4096);
	struct iovec seg[2] = { { va + 4000, 200 }, { va + 4096, 4096 } };
	struct t_chain c;
	struct t_vq t;

	t_vq_open(&t, SIZE, 0);
	T_EQ(vhk_vq_add(t.vq, seg, 1, 1, NULL), -EFAULT);
	T_MUST(!vhk_mem_add_va(t.mem, &lo, va));
	T_EQ(vhk_vq_add(t.vq, seg, 1, 1, NULL), -EFAULT);
	T_MUST(!vhk_mem_add_va(t.mem, &hi, va + 4096));
	T_EQ(vhk_vq_add(t.vq, seg, 1, 1, NULL), 0);
	vhk_vq_publish(t.vq);
	T_OK(t_dev_pop(&t, &c));
	T_EQ(c.n_out, 2);
	T_EQ(c.n_in, 1);
	T_EQ(c.seg[0].gpa, 0x5000000 + 4000);
	T_EQ(c.seg[0].len, 96);
	T_EQ(c.seg[1].gpa, 0);
	T_EQ(c.seg[1].len, 104);
	T_EQ(c.seg[2].gpa, 0);
	T_EQ(c.seg[2].len, 4096);
	t_vq_close(&t);
	munmap(va, 8192);
}

static void regions_come_and_go(void)
{
	unsigned char *va = reserve(4096);
	struct vhk_region here = region_at(0x5000000, va, 4096);
	struct vhk_region there = region_at(0x6000000, va, 4096);
	struct iovec seg = { va, 16 };
	struct vhk_region own;
	struct t_chain c;
	struct t_vq t;
	int fd;

	t_vq_open(&t, SIZE, 0);
	T_MUST(!vhk_mem_add_va(t.mem, &here, va));
	T_EQ(vhk_vq_add(t.vq, &seg, 1, 0, NULL), 0);
	T_MUST(!vhk_mem_del(t.mem, &here));
	T_EQ(vhk_vq_add(t.vq, &seg, 1, 0, NULL), -EFAULT);
	T_MUST(!vhk_mem_add_va(t.mem, &there, va));
	T_EQ(vhk_vq_add(t.vq, &seg, 1, 0, NULL), 0);
	vhk_vq_publish(t.vq);
	T_OK(t_dev_pop(&t, &c));
	T_EQ(c.seg[0].gpa, 0x5000000);
	T_OK(t_dev_pop(&t, &c));
	T_EQ(c.seg[0].gpa, 0x6000000);

	T_MUST(vhk_mem_get(t.mem, 2, &own, &fd) >= 0);
	T_EQ(own.gpa.v, T_VQ_GPA);
	T_MUST(!vhk_mem_del(t.mem, &own));
	T_EQ(vhk_vq_add(t.vq, &seg, 1, 0, NULL), -EFAULT);
	T_EQ(vhk_vq_publish(t.vq), 0);
	t_vq_close(&t);
	munmap(va, 4096);
}

int main(void)
{
	T_RUN(options);
	T_RUN(a_block_of_the_callers);
	T_RUN(segments);
	T_RUN(refusal_in_the_middle_of_a_batch);
	T_RUN(a_full_ring);
	T_RUN(longer_than_the_ring);
	T_RUN(a_segment_over_two_regions);
	T_RUN(regions_come_and_go);
	return t_end();
}
