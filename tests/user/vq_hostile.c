// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device that lies to the driver's queue: what was never added is never returned, and the queue
 * stays broken.
 */
#include "vq_t.h"

#define SIZE 8

static void expect_broken(struct t_vq *t)
{
	struct vhk_done done[SIZE];
	struct vhk_vq_addr at;

	T_EQ(vhk_vq_get(t->vq, done, SIZE), -EBADMSG);
	T_EQ(vhk_vq_get(t->vq, done, SIZE), -EBADMSG);
	T_EQ(t_vq_add(t, 16, 16, 9), -EBADMSG);
	T_EQ(vhk_vq_publish(t->vq), -EBADMSG);
	T_EQ(vhk_vq_addr(t->vq, &at), -EBADMSG);
	T_EQ(vhk_vq_arm(t->vq), 1);
	T_OK(vhk_vq_ready(t->vq));
}

/*
 * Two requests are outstanding, with ids 0 and what split (1 descriptor each) or packed gave the
 * second.
 */
static void open_with_two(struct t_vq *t, uint64_t features)
{
	t_vq_open(t, SIZE, features);
	T_EQ(t_vq_add(t, 0, 100, 1), 0);
	T_EQ(t_vq_add(t, 0, 200, 2), 0);
	T_EQ(vhk_vq_publish(t->vq) >= 0, 1);
}

static const uint64_t orders[] = { 0, VHK_F_IN_ORDER };

static void split_lies(void)
{
	static const struct {
		uint16_t idx;
		uint32_t id[3];
		int got; /* before it breaks */
		bool in_order_too;
	} cases[] = {
		{ 3, { 0, 1, 1 }, 0, true },		 /* jump over all that is outstanding */
		{ 0x8000, { 0, 1, 0 }, 0, true },
		{ 0xffff, { 0, 1, 0 }, 0, true },	 /* backwards */
		{ 1, { 2, 0, 0 }, 0, true },		 /* a free descriptor */
		{ 1, { SIZE, 0, 0 }, 0, true },		 /* no descriptor at all */
		{ 1, { 0x10000, 0, 0 }, 0, true },	 /* 0 in the lower half */
		{ 1, { UINT32_MAX, 0, 0 }, 0, true },
		{ 2, { 0, 0, 0 }, 1, true },		 /* twice */
		{ 2, { 1, 1, 0 }, 1, false },
	};
	unsigned int i, k, o;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (o = 0; o < 2; o++) {
			struct vhk_done done[SIZE];
			struct t_vq t;

			if (orders[o] && !cases[i].in_order_too)
				continue;
			open_with_two(&t, orders[o]);
			for (k = 0; k < 3; k++)
				t_split_set_elem(&t, k, cases[i].id[k], 1);
			t_split_set_used_idx(&t, cases[i].idx);
			if (cases[i].got)
				T_EQ(vhk_vq_get(t.vq, done, SIZE), cases[i].got);
			expect_broken(&t);
			t_vq_close(&t);
		}
	}
}

static void packed_lies(void)
{
	static const struct {
		uint16_t id[2];
		int used;
		int got;
		bool in_order_too;
	} cases[] = {
		{ { 2, 0 }, 1, 0, true },	  /* a free id */
		{ { SIZE, 0 }, 1, 0, true },	  /* no id at all */
		{ { 0xffff, 0 }, 1, 0, true },
		{ { 0, 0 }, 2, 1, true },	  /* twice */
		{ { 1, 1 }, 2, 1, false },
	};
	unsigned int i, o;
	int k;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (o = 0; o < 2; o++) {
			struct vhk_done done[SIZE];
			struct t_vq t;

			if (orders[o] && !cases[i].in_order_too)
				continue;
			open_with_two(&t, VHK_F_RING_PACKED | orders[o]);
			for (k = 0; k < cases[i].used; k++)
				t_packed_set_used(&t, k, cases[i].id[k], 1, 0x8080);
			if (cases[i].got)
				T_EQ(vhk_vq_get(t.vq, done, SIZE), cases[i].got);
			expect_broken(&t);
			t_vq_close(&t);
		}
	}
}

/* Used although nothing at all is outstanding, at start and after everything came back. */
static void packed_used_out_of_nothing(void)
{
	struct vhk_done done[SIZE];
	struct t_vq t;

	t_vq_open(&t, SIZE, VHK_F_RING_PACKED);
	t_packed_set_used(&t, 0, 0, 0, 0x8080);
	expect_broken(&t);
	t_vq_close(&t);

	open_with_two(&t, VHK_F_RING_PACKED);
	t_packed_set_used(&t, 0, 1, 0, 0x8080);
	t_packed_set_used(&t, 1, 0, 0, 0x8080);
	T_EQ(vhk_vq_get(t.vq, done, SIZE), 2);
	t_packed_set_used(&t, 2, 0, 0, 0x8080);
	expect_broken(&t);
	t_vq_close(&t);
}

/* What is staged is not outstanding: the device cannot know of it. */
static void staged_is_not_outstanding(void)
{
	unsigned int packed, o;

	for (packed = 0; packed < 2; packed++) {
		for (o = 0; o < 2; o++) {
			struct t_vq t;

			t_vq_open(&t, SIZE, orders[o] | (packed ? VHK_F_RING_PACKED : 0));
			T_EQ(t_vq_add(&t, 0, 100, 1), 0);
			t_dev_use(&t, 0, 1, 1, 1);
			expect_broken(&t);
			t_vq_close(&t);
		}
	}
}

/* Flags that toggle without both bits equal to the wrap counter mean nothing. */
static void packed_flags_toggle(void)
{
	static const struct {
		uint16_t flags;
		bool used;
	} cases[] = {
		{ 0x0000, false }, { 0x0080, false }, { 0x8000, false }, { 0x7f7f, false },
		{ 0x80ff, true },  { 0xffff, true },  { 0x8080, true },
	};
	struct vhk_done done[SIZE];
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct t_vq t;

		open_with_two(&t, VHK_F_RING_PACKED);
		t_packed_set_used(&t, 0, 0, 5, cases[i].flags);
		T_EQ(vhk_vq_ready(t.vq), cases[i].used);
		T_EQ(vhk_vq_get(t.vq, done, SIZE), cases[i].used);
		T_EQ(vhk_vq_in_flight(t.vq), 2 - cases[i].used);
		t_vq_close(&t);
	}
}

static void length_is_held_against_the_offer(void)
{
	static const struct {
		uint32_t told, got;
	} cases[] = { { 0, 0 }, { 1, 1 }, { 100, 100 }, { 101, 100 }, { UINT32_MAX, 100 } };
	unsigned int i, packed;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (packed = 0; packed < 2; packed++) {
			struct vhk_done done[SIZE];
			struct t_vq t;

			t_vq_open(&t, SIZE, packed ? VHK_F_RING_PACKED : 0);
			T_EQ(t_vq_add(&t, 50, 100, 7), 0);
			vhk_vq_publish(t.vq);
			t_dev_use(&t, 0, cases[i].told, 1, 2);
			T_EQ(vhk_vq_get(t.vq, done, SIZE), 1);
			T_EQ(done[0].written, cases[i].got);
			T_EQ((uintptr_t)done[0].token, 7);
			t_vq_close(&t);
		}
	}
}

/* The device scribbles over what only the driver writes: the driver goes by its shadow. */
static void own_writes_are_never_read_back(void)
{
	unsigned int packed, o, i;

	for (packed = 0; packed < 2; packed++) {
		for (o = 0; o < 2; o++) {
			struct vhk_done done[SIZE];
			struct t_vq t;

			t_vq_open(&t, SIZE, orders[o] | (packed ? VHK_F_RING_PACKED : 0));
			for (i = 0; i < 100; i++) {
				struct t_chain c;

				T_EQ(t_vq_add(&t, 10, 20, i), 0);
				vhk_vq_publish(t.vq);
				T_OK(t_dev_pop(&t, &c));
				T_EQ(c.n_desc, 2);
				memset(t.at.driver, 0xa5, packed ? 4 : 6 + 2 * SIZE);
				if (!packed)
					memset(t.at.desc, 0xff, 16 * SIZE);
				t_dev_use(&t, c.id, 20, 1, 2);
				T_EQ(vhk_vq_get(t.vq, done, SIZE), 1);
				T_EQ((uintptr_t)done[0].token, i);
				T_EQ(vhk_vq_in_flight(t.vq), 0);
			}
			t_vq_close(&t);
		}
	}
}

/*
 * One entry for several requests: what lies behind the published ones, or before the oldest, is
 * refused.
 */
static void in_order_batches(void)
{
	static const struct {
		int published, staged;
		int last; /* request that the entry names, from 0 */
		uint16_t idx; /* split: entries told */
		int got;
	} cases[] = {
		{ 4, 0, 0, 1, 1 },  { 4, 0, 3, 4, 4 },	{ 4, 0, 2, 3, 3 },
		{ 4, 0, 2, 2, -1 }, /* the index is short of the batch */
		{ 3, 1, 3, 3, -1 }, /* names a staged one */
	};
	unsigned int i, packed;
	int k;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (packed = 0; packed < 2; packed++) {
			struct vhk_done done[SIZE];
			struct t_vq t;

			if (packed && cases[i].idx != cases[i].last + 1 && !cases[i].staged)
				continue;
			t_vq_open(&t, SIZE, VHK_F_IN_ORDER | (packed ? VHK_F_RING_PACKED : 0));
			for (k = 0; k < cases[i].published; k++)
				T_EQ(t_vq_add(&t, 0, 10 + k, 1 + k), 0);
			vhk_vq_publish(t.vq);
			for (; k < cases[i].published + cases[i].staged; k++)
				T_EQ(t_vq_add(&t, 0, 10 + k, 1 + k), 0);
			t_dev_use(&t, cases[i].last, 3, cases[i].idx, cases[i].last + 1);
			if (cases[i].got < 0) {
				expect_broken(&t);
			} else {
				/*
				 * In two pieces, so that the rest of a batch waits for the next
				 * call.
				 */
				T_EQ(vhk_vq_get(t.vq, done, 1), 1);
				T_EQ(vhk_vq_ready(t.vq), cases[i].got > 1);
				T_EQ(vhk_vq_get(t.vq, done + 1, SIZE - 1), cases[i].got - 1);
				for (k = 0; k < cases[i].got; k++) {
					T_EQ((uintptr_t)done[k].token, 1 + k);
					T_EQ(done[k].written, k == cases[i].last ? 3 : 10 + k);
				}
			}
			t_vq_close(&t);
		}
	}
}

static void note_token(void *arg, void *token)
{
	*(unsigned int *)arg |= 1u << (uintptr_t)token;
}

static void reset_mends(void)
{
	unsigned int packed, o;

	for (packed = 0; packed < 2; packed++) {
		for (o = 0; o < 2; o++) {
			struct vhk_done done[SIZE];
			unsigned int tokens = 0;
			struct t_vq t;

			open_with_two(&t, orders[o] | (packed ? VHK_F_RING_PACKED : 0));
			t_dev_use(&t, 5, 1, 1, 1);
			expect_broken(&t);
			T_EQ(vhk_vq_in_flight(t.vq), 2);
			vhk_vq_reset(t.vq, note_token, &tokens);
			T_EQ(tokens, 1u << 1 | 1u << 2);
			T_EQ(vhk_vq_in_flight(t.vq), 0);
			t.used = 0;
			T_EQ(vhk_vq_get(t.vq, done, SIZE), 0);
			T_EQ(t_vq_add(&t, 0, 8, 3), 0);
			T_EQ(vhk_vq_publish(t.vq) >= 0, 1);
			t_dev_use(&t, 0, 8, 1, 1);
			T_EQ(vhk_vq_get(t.vq, done, SIZE), 1);
			T_EQ((uintptr_t)done[0].token, 3);
			t_vq_close(&t);
		}
	}
}

int main(void)
{
	T_RUN(split_lies);
	T_RUN(packed_lies);
	T_RUN(packed_used_out_of_nothing);
	T_RUN(staged_is_not_outstanding);
	T_RUN(packed_flags_toggle);
	T_RUN(length_is_held_against_the_offer);
	T_RUN(own_writes_are_never_read_back);
	T_RUN(in_order_batches);
	T_RUN(reset_mends);
	return t_end();
}
