// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every case of vectors.h on the module's rings: what is popped is what the table says, a broken
 * ring stays broken, and no reference to a page is left.
 */
#include <linux/maple_tree.h>

/* Every search in the table of mappings is counted. */
static unsigned long t_lookups;
#define mtree_load(tree, at) (t_lookups++, mtree_load(tree, at))

#include "kernel/kring.h"

#include "t.h"

#include "../vectors.h"

/* Where the ring lies, and the regions behind it: A and B swapped, so that no seam disappears. */
#define RING_DESC 0x1000u
#define RING_DRIVER 0x2000u
#define RING_DEVICE 0x3000u
#define RING_PAGES 4

static const struct {
	u64 iova, size, off;
} regions[] = {
	{ RING_DESC, 0x3000, 0x1000 },	   { VEC_A, VEC_A_SIZE, 0x20000 },
	{ VEC_B, VEC_B_SIZE, 0x10000 },	   { VEC_C, VEC_C_SIZE, 0x40000 },
	{ VEC_TOP, VEC_TOP_SIZE, 0x50000 },
};

#define N_REGIONS (sizeof(regions) / sizeof(regions[0]))

static void bed_init(struct vhk_map *map)
{
	unsigned int i;

	vhk_map_init(map);
	for (i = 0; i < N_REGIONS; i++)
		T_MUST(!vhk_map_add(map, regions[i].iova, regions[i].size,
				    virt_to_phys(t_arena) + regions[i].off,
				    VHK_MAY_READ | VHK_MAY_WRITE));
}

static u8 *bed_at(u64 iova)
{
	unsigned int i;

	for (i = 0; i < N_REGIONS; i++)
		if (iova - regions[i].iova < regions[i].size)
			return t_arena + regions[i].off + (iova - regions[i].iova);
	return NULL;
}

static void put_desc(u64 at, const struct vec_desc *d, bool packed, u16 id, u16 more)
{
	const u16 flags = d->flags | more;
	const struct ring_raw raw = {
		cpu_to_le64(d->addr),
		cpu_to_le64(d->len | (u64)(packed ? id : flags) << 32 |
			    (u64)(packed ? flags : d->next) << 48),
	};
	unsigned int k;

	/* byte by byte: a table may lie over a seam */
	for (k = 0; k < sizeof(raw); k++) {
		u8 *to = bed_at(at + k);

		if (to)
			*to = ((const u8 *)&raw)[k];
	}
}

static void put_case(const struct vec_case *v, bool packed)
{
	__le16 *driver = (__le16 *)(void *)bed_at(RING_DRIVER);
	u16 head = 0;
	unsigned int i;

	memset(bed_at(RING_DESC), 0, 0x3000);
	for (i = 0; i < VEC_SIZE; i++) {
		put_desc(RING_DESC + 16 * i, &v->desc[i], packed, v->ids ? v->id : head,
			 packed && i < v->avail_idx ? DESC_AVAIL : 0);
		if (!(v->desc[i].flags & VEC_N))
			head = (u16)(i + 1);
		if (!packed)
			driver[2 + i] = cpu_to_le16(v->avail[i]);
	}
	if (!packed)
		driver[1] = cpu_to_le16(v->avail_idx);
	for (i = 0; v->table_at && i < sizeof(v->table) / sizeof(v->table[0]); i++)
		put_desc(v->table_at + 16 * i, &v->table[i], packed, 0, 0);
}

static void check_chain(const struct vhk_chain *c, const struct vec_chain *w, bool packed)
{
	u64 out = 0, in = 0;
	unsigned int i;

	T_EQ(c->id, w->id);
	T_EQ(c->n_desc, packed ? w->n_desc : 1);
	T_EQ(c->out_len, w->out_len);
	T_EQ(c->in_len, w->in_len);
	T_EQ(c->fault, w->fault);
	/* of a faulty chain the pieces are nobody's business */
	if (w->fault)
		return;
	T_EQ(c->n_out, w->n_out);
	T_EQ(c->n_in, w->n_in);
	for (i = 0; i < c->n_out + c->n_in && i < VEC_MAX_SEGS; i++) {
		*(i < c->n_out ? &out : &in) += c->seg[i].len;
		T_OK(c->seg[i].va == (w->seg[i] ? bed_at(w->seg[i]) : NULL));
	}
	T_EQ(out, w->out_len);
	T_EQ(in, w->in_len);
}

/* All are in hand before the first is given back. */
static int pop_all(struct vhk_ring *r, const struct vec_case *v, bool packed)
{
	struct vhk_chain again;
	struct vhk_chain c[VEC_SIZE + 1];
	unsigned int i, n;
	int ret;

	/* to be compared, with what is between their members */
	memset(c, 0, sizeof(c));
	memset(&again, 0, sizeof(again));
	for (n = 0; n <= VEC_SIZE && (ret = vhk_ring_pop(r, &c[n])) > 0; n++) {
		/* What was not taken after all is there as before. */
		vhk_ring_unpop(r, c[n].id, c[n].n_desc);
		T_EQ(vhk_ring_pop(r, &again), 1);
		T_OK(!memcmp(&again, &c[n], sizeof(again)));
		if (v->many)
			T_OK(c[n].fault && c[n].n_out + c[n].n_in <= VEC_MAX_SEGS);
		else if (n < 2 && v->want != VEC_BROKEN)
			check_chain(&c[n], &v->chain[n], packed);
	}
	T_EQ(n, v->many ? 1 : v->want == VEC_BROKEN ? 0 : v->want);
	for (i = 0; i < n; i++)
		T_EQ(vhk_ring_push(r, c[i].id, c[i].n_desc, c[i].in_len), ret);
	return ret;
}

static void run_case(const struct vec_case *v, bool packed)
{
	struct vhk_map map;
	const struct vhk_ring_opts o = {
		.map = &map,
		.desc = RING_DESC,
		.driver = RING_DRIVER,
		.device = RING_DEVICE,
		.size = VEC_SIZE,
		.packed = packed,
		.indirect = v->features & VEC_INDIRECT,
		.max_indirect = VEC_MAX_INDIRECT,
		.avail_wrap = packed,
		.used_wrap = packed,
	};
	const int before = t_bad;
	struct vhk_chain c;
	static struct vhk_ring r; /* large for a stack of the kernel's */
	int ret;

	bed_init(&map);
	put_case(v, packed);
	T_MUST(!vhk_ring_init(&r, VEC_SIZE, VEC_MAX_SEGS));
	T_EQ(vhk_ring_start(&r, &o), 0);
	ret = pop_all(&r, v, packed);
	if ((v->want == VEC_BROKEN && !v->many) || v->broken) {
		T_EQ(ret, -EBADMSG);
		T_EQ(vhk_ring_pop(&r, &c), -EBADMSG);
		T_EQ(vhk_ring_arm(&r), -EBADMSG);
		T_EQ(vhk_ring_publish(&r), -EBADMSG);
	} else {
		T_EQ(ret, 0);
		T_EQ(vhk_ring_publish(&r), v->want != 0);
		T_EQ(vhk_ring_arm(&r), 0);
		T_EQ(vhk_ring_disarm(&r), 0);
	}
	vhk_ring_fini(&r);
	vhk_map_fini(&map);
	T_EQ(t_page_refs(), 0);
	if (t_bad != before)
		printf("# case \"%s\", %s\n", v->name, packed ? "packed" : "split");
}

static void run_all(bool packed)
{
	unsigned int i;

	for (i = 0; i < sizeof(vec_cases) / sizeof(vec_cases[0]); i++) {
		if (!(vec_cases[i].layouts & (packed ? VEC_PACKED : VEC_SPLIT)))
			continue;
		run_case(&vec_cases[i], packed);
	}
}

static void split_cases(void)
{
	run_all(false);
}

static void packed_cases(void)
{
	run_all(true);
}

/* What vhost-vdpa can be told, and no driver would. */
static void places_that_cannot_be_are_refused(void)
{
	static const struct vhk_ring_opts bad[] = {
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 0 },
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 3 },
		{ .desc = RING_DESC + 8, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 8 },
		{ .desc = RING_DESC, .driver = RING_DRIVER + 1, .device = RING_DEVICE, .size = 8 },
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = RING_DEVICE + 2, .size = 8 },
		{ .desc = -16ull, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 8 },
		{ .desc = RING_DESC, .driver = -2ull, .device = RING_DEVICE, .size = 8 },
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = -4ull, .size = 8 },
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 8,
		  .avail = 1, .used = 0 },
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 8,
		  .packed = true, .avail = 8, .used = 8 },
		{ .desc = RING_DESC, .driver = RING_DRIVER + 2, .device = RING_DEVICE, .size = 8,
		  .packed = true },
		{ .desc = RING_DESC, .driver = RING_DRIVER, .device = RING_DEVICE, .size = 8,
		  .packed = true, .avail_wrap = true },
	};
	struct vhk_chain c;
	static struct vhk_ring r; /* large for a stack of the kernel's */
	struct vhk_map map;
	unsigned int i;

	bed_init(&map);
	T_MUST(!vhk_ring_init(&r, VEC_SIZE, VEC_MAX_SEGS));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		T_EQ(vhk_ring_start(&r, &bad[i]), -EINVAL);
	/* In no mapping at all: that shows when it is looked at. */
	for (i = 0; i < 2; i++) {
		const struct vhk_ring_opts o = {
			.map = &map,
			.desc = VEC_HOLE, .driver = VEC_HOLE, .device = VEC_HOLE, .size = 8,
			.packed = i,
		};

		T_EQ(vhk_ring_start(&r, &o), 0);
		T_EQ(vhk_ring_pop(&r, &c), -EFAULT);
		T_EQ(vhk_ring_pop(&r, &c), -EFAULT);
	}
	vhk_ring_fini(&r);
	vhk_map_fini(&map);
}

static void no_memory_is_no_ring(void)
{
	static struct vhk_ring r; /* large for a stack of the kernel's */
	unsigned int i;

	for (i = 1; i <= 2; i++) {
		t_allocs = 0;
		t_alloc_fails = i;
		T_EQ(vhk_ring_init(&r, VEC_SIZE, VEC_MAX_SEGS), -ENOMEM);
	}
	t_alloc_fails = 0;
}

#define MANY_AT 0x100000000ull
#define MANY 1000u
#define MANY_SIZE (MANY * PAGE_SIZE)

/* A page mapped so often that a descriptor has far more pieces than there is room for. */
static void map_many(struct vhk_map *map)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		T_MUST(!vhk_map_add(map, MANY_AT + i * PAGE_SIZE, PAGE_SIZE,
				    virt_to_phys(t_arena) + 0x60000,
				    VHK_MAY_READ | VHK_MAY_WRITE));
}

/* All of a ring for one chain, of which @n_out descriptors are read. */
static void put_many(unsigned int n_out, bool packed)
{
	struct vec_case v = { .avail_idx = packed ? VEC_SIZE : 1, .ids = 1, .id = 3 };
	unsigned int i;

	for (i = 0; i < VEC_SIZE; i++) {
		v.desc[i].addr = MANY_AT + 16 * i;
		v.desc[i].len = (u32)(MANY_SIZE - PAGE_SIZE);
		v.desc[i].flags = (i < n_out ? 0 : VEC_W) | (i + 1 < VEC_SIZE ? VEC_N : 0);
		v.desc[i].next = (u16)(i + 1);
	}
	put_case(&v, packed);
}

static void check_many(struct vhk_ring *r, unsigned int n_out, bool packed)
{
	const u32 each = (u32)(MANY_SIZE - PAGE_SIZE);
	const struct vhk_seg *last;
	struct vhk_chain c;

	put_many(n_out, packed);
	t_lookups = 0;
	T_EQ(vhk_ring_pop(r, &c), 1);
	/* Those of the areas of the ring, too. */
	T_OK(t_lookups <= VEC_MAX_SEGS + 2 * VEC_SIZE + 3);
	T_EQ(c.fault, true);
	T_EQ(c.out_len, n_out * each);
	T_EQ(c.in_len, (VEC_SIZE - n_out) * each);
	T_EQ(c.n_out + c.n_in, VEC_MAX_SEGS);
	/* Where a status is expected, the byte is the right one. */
	T_MUST(c.n_in);
	last = &c.seg[c.n_out + c.n_in - 1];
	T_OK((u8 *)last->va + last->len == t_arena + 0x60000 + 16 * (VEC_SIZE - 1));
	T_EQ(vhk_ring_push(r, c.id, c.n_desc, 1), 0);
	T_EQ(vhk_ring_publish(r), 1);
	T_EQ(((__le32 *)(void *)bed_at(packed ? RING_DESC : RING_DEVICE))[2], cpu_to_le32(1));
}

static void pieces_without_room_are_not_looked_for(void)
{
	static struct vhk_ring r; /* large for a stack of the kernel's */
	struct vhk_map map;
	unsigned int n_out;
	int packed;

	bed_init(&map);
	map_many(&map);
	T_MUST(!vhk_ring_init(&r, VEC_SIZE, VEC_MAX_SEGS));
	for (packed = 0; packed < 2; packed++) {
		const struct vhk_ring_opts o = {
			.map = &map,
			.desc = RING_DESC,
			.driver = RING_DRIVER,
			.device = RING_DEVICE,
			.size = VEC_SIZE,
			.packed = packed,
			.avail_wrap = packed,
			.used_wrap = packed,
		};

		for (n_out = 0; n_out < VEC_SIZE; n_out++) {
			T_EQ(vhk_ring_start(&r, &o), 0);
			check_many(&r, n_out, packed);
		}
	}
	vhk_ring_fini(&r);
	vhk_map_fini(&map);
	T_EQ(t_page_refs(), 0);
}

int main(void)
{
	t_arena_new();
	T_RUN(split_cases);
	T_RUN(packed_cases);
	T_RUN(places_that_cannot_be_are_refused);
	T_RUN(no_memory_is_no_ring);
	T_RUN(pieces_without_room_are_not_looked_for);
	free(t_arena);
	return t_end();
}
