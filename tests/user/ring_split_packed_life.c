// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What changes while a ring runs: memory tables, the dirty log, blocks of segments running out,
 * detaching, breaking; and a driver that scribbles over what is the device's.
 */
#include "t_ring.h"

static const int layouts[] = { false, true };

static void give(struct peer *p, unsigned int n, unsigned int len)
{
	struct peer_buf b[64];
	unsigned int i;

	for (i = 0; i < n; i++)
		b[i] = (struct peer_buf){ PEER_GPA + 0x10000u + i * 0x1000u, len, D_WRITE };
	T_MUST(peer_add(p, b, n) >= 0);
}

static void set_table(struct vhk_ring *r, struct vhk_table *t, const struct peer *p)
{
	const struct vhk_ring_place at = {
		.desc = p->desc,
		.driver = p->driver,
		.device = p->device,
	};

	vhk_ring_set_table(r, t, &at);
}

static unsigned int drain(struct peer *p)
{
	uint32_t len;
	uint16_t id;
	unsigned int n;

	for (n = 0; peer_get(p, &id, &len); n++)
		;
	return n;
}

static void long_chains_take_blocks(void)
{
	unsigned int l;

	for (l = 0; l < 2; l++) {
		struct vhk_chain *c[16];
		struct vhk_ring *r;
		struct peer p;
		int n, i;

		peer_init(&p, layouts[l], 512, 0);
		r = peer_ring(&p);
		for (i = 0; i < 15; i++)
			give(&p, 33, 16);
		n = vhk_ring_pop(r, c, 15);
		/* 512 / 32 blocks of 128 segments; the short block each takes first goes back. */
		T_EQ(n, 15);
		for (i = 0; i < n; i++)
			vhk_ring_push(r, c[i]);
		vhk_ring_publish(r);
		drain(&p);
		vhk_ring_free(r);
		peer_fini(&p);

		peer_init(&p, layouts[l], 256, 0);
		r = peer_ring(&p);
		for (i = 0; i < 6; i++)
			give(&p, 40, 16);
		give(&p, 1, 16);
		n = vhk_ring_pop(r, c, 16);
		T_EQ(n, 7);
		for (i = 0; i < n; i++) {
			T_EQ(c[i]->n_in, i < 6 ? 40 : 1);
			T_EQ(c[i]->seg[c[i]->n_in - 1].iov_len, 16);
			vhk_ring_push(r, c[i]);
		}
		vhk_ring_publish(r);
		T_EQ(drain(&p), 7);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

static void blocks_come_back(void)
{
	unsigned int l;

	for (l = 0; l < 2; l++) {
		struct vhk_chain *c[64], *more[64];
		struct vhk_ring *r;
		struct peer p;
		int n, i, round;

		peer_init(&p, layouts[l], 64, 0);
		r = peer_ring(&p);
		/* 8 blocks of 32 segments, then 4 of 128. */
		for (i = 0; i < 12; i++)
			give(&p, 5, 16);
		n = vhk_ring_pop(r, c, 64);
		T_EQ(n, 12);
		for (round = 0; round < 3; round++) {
			for (i = 0; i < n; i++)
				vhk_ring_push(r, c[i]);
			vhk_ring_publish(r);
			T_EQ(drain(&p), n);
			n = 0;
			for (i = 0; i < 12; i++)
				give(&p, 5, 16);
			n = vhk_ring_pop(r, c, 64);
			T_EQ(n, 12);
			give(&p, 1, 16);
			give(&p, 2, 16);
			T_EQ(vhk_ring_pop(r, more, 1), 1);
			T_EQ(vhk_ring_pop(r, more + 1, 1), 1);
			vhk_ring_push(r, more[0]);
			vhk_ring_push(r, more[1]);
			vhk_ring_publish(r);
			T_EQ(drain(&p), 2);
		}
		vhk_ring_push(r, c[0]);
		vhk_ring_publish(r);
		drain(&p);
		give(&p, 5, 16);
		T_EQ(vhk_ring_pop(r, more, 64), 1);
		for (i = 1; i < n; i++)
			vhk_ring_push(r, c[i]);
		vhk_ring_push(r, more[0]);
		vhk_ring_publish(r);
		T_EQ(drain(&p), n);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

/* Indirect tables, so that more long chains are available than there are blocks. */
static void no_block_left_is_no_error(void)
{
	const struct peer_buf table = { PEER_GPA + 0x80000, 5 * 16, D_INDIRECT };
	unsigned int l;
	int i;

	for (l = 0; l < 2; l++) {
		struct peer_desc *d;
		struct vhk_chain *c[16];
		struct vhk_ring *r;
		struct peer p;

		peer_init(&p, layouts[l], 16, VHK_F_INDIRECT_DESC);
		r = peer_ring(&p);
		d = peer_at(&p, table.gpa);
		for (i = 0; i < 5; i++) {
			const uint16_t flags = layouts[l] || i == 4 ? 0 : D_NEXT;

			d[i] = (struct peer_desc){ htole64(PEER_GPA + 0x10000u), htole32(8),
						   htole16(layouts[l] ? 0 : flags),
						   htole16(layouts[l] ? flags : i + 1) };
		}
		for (i = 0; i < 16; i++)
			T_MUST(peer_add(&p, &table, 1) >= 0);
		/* 4 small blocks and 4 big ones. */
		T_EQ(vhk_ring_pop(r, c, 16), 8);
		T_EQ(vhk_ring_pop(r, c + 8, 8), 0);
		T_EQ(vhk_ring_error(r), 0);
		T_OK(!vhk_ring_ready(r));
		T_EQ(vhk_ring_arm(r), 0);
		vhk_ring_push(r, c[3]);
		T_OK(vhk_ring_ready(r));
		T_EQ(vhk_ring_pop(r, c + 8, 8), 1);
		T_EQ(c[8]->n_out, 5);
		for (i = 0; i < 9; i++)
			if (i != 3)
				vhk_ring_push(r, c[i]);
		T_EQ(vhk_ring_pop(r, c, 16), 7);
		for (i = 0; i < 7; i++)
			vhk_ring_push(r, c[i]);
		vhk_ring_publish(r);
		T_EQ(drain(&p), 16);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

/* Chains in flight keep their pointers; later ones get the other table's. */
static void tables_change_hands(void)
{
	unsigned int l;

	for (l = 0; l < 2; l++) {
		const struct vhk_region r2 = { { 0x900000 }, { 0x900000 }, 0x1000, 0 };
		unsigned char *extra = calloc(1, 0x1000);
		const struct peer_buf b = { 0x900010, 8, D_WRITE };
		struct vhk_chain *c[4];
		struct vhk_table *t;
		struct vhk_ring *r;
		struct peer p;

		peer_init(&p, layouts[l], 16, 0);
		T_MUST(extra && !vhk_mem_add_va(p.mem, &r2, extra));
		r = peer_ring(&p);
		T_MUST(peer_add(&p, &b, 1) >= 0);
		give(&p, 1, 8);
		T_EQ(vhk_ring_pop(r, c, 4), 2);
		T_OK(c[0]->seg[0].iov_base == extra + 0x10);
		T_EQ(vhk_ring_old_in_flight(r), 0);
		T_MUST(!vhk_mem_del(p.mem, &r2));
		t = vhk_mem_table(p.mem);
		set_table(r, t, &p);
		vhk_table_put(t);
		T_EQ(vhk_ring_old_in_flight(r), 2);
		T_MUST(peer_add(&p, &b, 1) >= 0);
		give(&p, 1, 8);
		T_EQ(vhk_ring_pop(r, c + 2, 2), 2);
		T_EQ(c[2]->flags, VHK_CHAIN_F_FAULT);
		T_OK(!c[2]->seg[0].iov_base);
		T_EQ(c[3]->flags, 0);
		T_EQ(vhk_ring_old_in_flight(r), 2);
		vhk_ring_push(r, c[2]);
		T_EQ(vhk_ring_old_in_flight(r), 2);
		vhk_ring_push(r, c[0]);
		vhk_ring_push(r, c[1]);
		T_EQ(vhk_ring_old_in_flight(r), 0);
		vhk_ring_push(r, c[3]);
		vhk_ring_publish(r);
		T_EQ(drain(&p), 4);
		vhk_ring_free(r);
		peer_fini(&p);
		free(extra);
	}
}

/* Another copy of the ring's memory, as after SET_MEM_TABLE. */
static void ring_moves(void)
{
	unsigned int l;

	for (l = 0; l < 2; l++) {
		const struct vhk_region r2 = { { PEER_GPA }, { PEER_GPA }, PEER_RAM, 0 };
		unsigned char *other = aligned_alloc(4096, PEER_RAM);
		struct vhk_chain *c[2];
		struct vhk_table *t;
		struct vhk_ring *r;
		struct peer p, old;

		peer_init(&p, layouts[l], 16, 0);
		r = peer_ring(&p);
		give(&p, 1, 8);
		T_EQ(vhk_ring_pop(r, c, 1), 1);
		old = p;
		T_MUST(other && !vhk_mem_del(p.mem, &r2));
		T_MUST(!vhk_mem_add_va(p.mem, &r2, other));
		memcpy(other, p.ram, PEER_RAM);
		p.ram = other;
		p.desc = (struct peer_desc *)(void *)(other + ((char *)old.desc - (char *)old.ram));
		p.driver = (uint16_t *)(void *)(other + ((char *)old.driver - (char *)old.ram));
		p.device = (uint16_t *)(void *)(other + ((char *)old.device - (char *)old.ram));
		t = vhk_mem_table(p.mem);
		set_table(r, t, &p);
		vhk_table_put(t);
		munmap(old.ram, PEER_RAM);
		give(&p, 1, 8);
		T_EQ(vhk_ring_pop(r, c + 1, 1), 1);
		vhk_ring_push(r, c[1]);
		vhk_ring_push(r, c[0]);
		vhk_ring_publish(r);
		T_EQ(drain(&p), 2);
		vhk_ring_free(r);
		vhk_mem_free(p.mem);
		free(other);
	}
}

static bool page_marked(const uint8_t *bits, uint64_t gpa)
{
	return bits[gpa >> 15] >> (gpa >> 12 & 7) & 1;
}

static void writes_are_logged(void)
{
	static uint8_t bits[(PEER_GPA + PEER_RAM) >> 15];
	const struct vhk_dirty d = { .bits = (atomic_uchar *)(void *)bits,
				     .size = sizeof(bits) };
	const struct peer_buf b[3] = { { PEER_GPA + 0x10ff0, 0x10, 0 },
				       { PEER_GPA + 0x20ff8, 16, D_WRITE },
				       { PEER_GPA + 0x30000, 0x3000, D_WRITE } };
	unsigned int l, i;

	for (l = 0; l < 2; l++) {
		struct vhk_chain *c;
		struct vhk_ring *r;
		unsigned int n = 0;
		struct peer p;

		memset(bits, 0, sizeof(bits));
		peer_init(&p, layouts[l], 256, VHK_F_EVENT_IDX);
		r = peer_ring(&p);
		vhk_ring_set_dirty(r, &d, PEER_GPA + (uint64_t)((uint8_t *)p.device - p.ram));
		T_MUST(peer_add(&p, b, 3) >= 0);
		T_EQ(vhk_ring_pop(r, &c, 1), 1);
		for (i = 0; i < sizeof(bits); i++)
			n += bits[i] != 0;
		T_EQ(n, 0);
		c->written = 16 + 0x1001;
		vhk_ring_push(r, c);
		vhk_ring_publish(r);
		T_OK(!page_marked(bits, PEER_GPA + 0x10000));
		T_OK(page_marked(bits, PEER_GPA + 0x20000));
		T_OK(page_marked(bits, PEER_GPA + 0x21000));
		T_OK(page_marked(bits, PEER_GPA + 0x30000));
		T_OK(page_marked(bits, PEER_GPA + 0x31000));
		T_OK(!page_marked(bits, PEER_GPA + 0x32000));
		if (p.packed)
			T_OK(page_marked(bits, PEER_GPA));
		else
			T_OK(page_marked(bits, PEER_GPA + (uint64_t)((uint8_t *)p.device - p.ram)));
		memset(bits, 0, sizeof(bits));
		vhk_ring_arm(r);
		T_OK(page_marked(bits, PEER_GPA + (uint64_t)((uint8_t *)p.device - p.ram) +
					       (p.packed ? 0 : 4 + 8 * 256)));
		memset(bits, 0, sizeof(bits));
		vhk_ring_set_dirty(r, NULL, UINT64_MAX);
		T_EQ(drain(&p), 1);
		T_MUST(peer_add(&p, b, 3) >= 0);
		T_EQ(vhk_ring_pop(r, &c, 1), 1);
		c->written = c->in_len;
		vhk_ring_push(r, c);
		vhk_ring_publish(r);
		for (i = 0; i < sizeof(bits); i++)
			T_EQ(bits[i], 0);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

/* A chain points into the table that it was popped with, wherever its addresses lie in the next. */
static void writes_to_a_former_table_are_logged(void)
{
	static uint8_t bits[(PEER_GPA + PEER_RAM) >> 15];
	const struct vhk_dirty d = { .bits = (atomic_uchar *)(void *)bits,
				     .size = sizeof(bits) };
	const struct vhk_region gone = { { 0x40000 }, { 0x40000 }, 0x2000, 0 };
	const struct peer_buf b = { gone.gpa.v + 0x800, 0x1000, D_WRITE };
	unsigned int l;

	for (l = 0; l < 2; l++) {
		unsigned char *extra = calloc(1, 0x2000);
		struct vhk_chain *c[2];
		struct vhk_table *t;
		struct vhk_ring *r;
		struct peer p;

		memset(bits, 0, sizeof(bits));
		peer_init(&p, layouts[l], 16, 0);
		T_MUST(extra && !vhk_mem_add_va(p.mem, &gone, extra));
		r = peer_ring(&p);
		vhk_ring_set_dirty(r, &d, UINT64_MAX);
		T_MUST(peer_add(&p, &b, 1) >= 0);
		give(&p, 1, 8);
		T_EQ(vhk_ring_pop(r, &c[0], 1), 1);
		T_MUST(!vhk_mem_del(p.mem, &gone));
		t = vhk_mem_table(p.mem);
		set_table(r, t, &p);
		vhk_table_put(t);
		T_EQ(vhk_ring_pop(r, &c[1], 1), 1);
		c[0]->written = 0x1000;
		c[1]->written = 8;
		vhk_ring_push(r, c[1]);
		vhk_ring_publish(r);
		T_OK(page_marked(bits, PEER_GPA + 0x10000));
		T_OK(!page_marked(bits, gone.gpa.v));
		vhk_ring_push(r, c[0]);
		vhk_ring_publish(r);
		T_OK(page_marked(bits, gone.gpa.v));
		T_OK(page_marked(bits, gone.gpa.v + 0x1000));
		T_EQ(drain(&p), 2);
		vhk_ring_free(r);
		peer_fini(&p);
		free(extra);
	}
}

static void detached_rings_are_not_written(void)
{
	unsigned int l;

	for (l = 0; l < 2; l++) {
		unsigned char before[8192];
		struct vhk_chain *c[4], *again[4];
		struct vhk_ring_opts o;
		struct vhk_ring *r;
		struct peer p;
		void *region;
		size_t bytes;

		peer_init(&p, layouts[l], 16, 0);
		bytes = vhk_inflight_size(16, layouts[l]);
		region = aligned_alloc(64, bytes);
		T_MUST(region);
		vhk_inflight_init(region, 16, layouts[l]);
		o = peer_opts(&p);
		o.inflight = region;
		o.inflight_size = bytes;
		T_MUST(!vhk_ring_new(&r, p.mem, &o));
		give(&p, 1, 8);
		give(&p, 2, 8);
		give(&p, 3, 8);
		T_EQ(vhk_ring_pop(r, c, 4), 3);
		vhk_ring_push(r, c[1]);
		vhk_ring_publish(r);
		T_EQ(drain(&p), 1);
		vhk_ring_push(r, c[0]);
		vhk_ring_detach(r);
		memcpy(before, p.ram, sizeof(before));
		vhk_ring_push(r, c[2]);
		T_EQ(vhk_ring_publish(r), 0);
		T_EQ(vhk_ring_pop(r, c, 4), 0);
		T_OK(!vhk_ring_ready(r));
		T_EQ(vhk_ring_arm(r), 0);
		vhk_ring_disarm(r);
		T_EQ(vhk_ring_in_flight(r), 0);
		T_OK(!memcmp(before, p.ram, sizeof(before)));
		vhk_ring_free(r);

		/* Whoever comes next does them again. */
		T_MUST(!vhk_ring_new(&r, p.mem, &o));
		T_OK(vhk_ring_ready(r));
		T_EQ(vhk_ring_left_over(r), 2);
		T_EQ(vhk_ring_pop(r, again, 4), 2);
		T_EQ(vhk_ring_left_over(r), 0);
		T_EQ(again[0]->flags, VHK_CHAIN_F_RESUBMITTED);
		T_EQ(again[0]->in_len, 8);
		T_EQ(again[1]->in_len, 24);
		vhk_ring_push(r, again[0]);
		vhk_ring_push(r, again[1]);
		vhk_ring_publish(r);
		T_EQ(drain(&p), 2);
		vhk_ring_free(r);
		free(region);
		peer_fini(&p);
	}
}

static void broken_from_outside(void)
{
	unsigned int l;

	for (l = 0; l < 2; l++) {
		struct vhk_chain *c[2];
		struct vhk_ring *r;
		struct peer p;

		peer_init(&p, layouts[l], 16, 0);
		r = peer_ring(&p);
		give(&p, 1, 8);
		give(&p, 1, 8);
		T_EQ(vhk_ring_pop(r, c, 1), 1);
		vhk_ring_break(r);
		T_EQ(vhk_ring_pop(r, c + 1, 1), -EBADMSG);
		T_OK(!vhk_ring_ready(r));
		vhk_ring_push(r, c[0]);
		vhk_ring_publish(r);
		T_EQ(vhk_ring_in_flight(r), 0);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

/* Used index and ring, event area, used descriptors: nothing of it is read back. */
static void the_devices_part_is_not_read_back(void)
{
	unsigned int l, i;

	for (l = 0; l < 2; l++) {
		struct vhk_chain *c;
		struct vhk_ring *r;
		uint32_t len = 0;
		uint16_t id = 0;
		struct peer p;

		peer_init(&p, layouts[l], 16, VHK_F_EVENT_IDX);
		r = peer_ring(&p);
		for (i = 0; i < 100; i++) {
			memset(p.device, 0xa5, layouts[l] ? 4 : 4 + 8 * 16 + 2);
			give(&p, 2, 8);
			T_EQ(vhk_ring_pop(r, &c, 1), 1);
			memset(p.device, 0x5a, layouts[l] ? 4 : 4 + 8 * 16 + 2);
			c->written = i;
			vhk_ring_push(r, c);
			vhk_ring_publish(r);
			T_OK(peer_get(&p, &id, &len));
			T_EQ(len, i);
			T_OK(!peer_peek(&p));
			vhk_ring_arm(r);
		}
		T_EQ(vhk_ring_error(r), 0);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

static void context_is_the_devices(void)
{
	struct vhk_chain *c[4];
	struct vhk_ring *r;
	struct peer p;
	int i, k;

	peer_init(&p, false, 4, 0);
	r = peer_ring(&p);
	for (i = 0; i < 4; i++)
		give(&p, 1, 8);
	T_EQ(vhk_ring_pop(r, c, 4), 4);
	for (i = 0; i < 4; i++) {
		T_EQ((uintptr_t)c[i]->ctx % 16, 0);
		for (k = 0; k < 32; k++)
			T_EQ(c[i]->ctx[k], 0);
		memset(c[i]->ctx, i + 1, 32);
	}
	for (i = 0; i < 4; i++)
		T_EQ(c[i]->ctx[31], i + 1);
	for (i = 0; i < 4; i++)
		vhk_ring_push(r, c[i]);
	vhk_ring_free(r);
	peer_fini(&p);
}

int main(void)
{
	T_RUN(long_chains_take_blocks);
	T_RUN(blocks_come_back);
	T_RUN(no_block_left_is_no_error);
	T_RUN(tables_change_hands);
	T_RUN(ring_moves);
	T_RUN(writes_are_logged);
	T_RUN(writes_to_a_former_table_are_logged);
	T_RUN(detached_rings_are_not_written);
	T_RUN(broken_from_outside);
	T_RUN(the_devices_part_is_not_read_back);
	T_RUN(context_is_the_devices);
	return t_end();
}
