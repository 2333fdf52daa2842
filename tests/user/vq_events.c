// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Kicks and calls are asked for and given exactly: with an event index, with flags only, in both
 * layouts, over the wrap of every index.
 */
#include "vq_t.h"

#define SIZE 8

enum { NONE = 0, ALWAYS = 1, AT = 2 };

/*
 * The device's wish: @at counts descriptors (packed) or chains (split) since the start, both one
 * each here.
 */
static void device_wants(struct t_vq *t, bool event_idx, int wish, unsigned int at)
{
	if (!t->packed) {
		if (event_idx)
			t_put16(t->at.device, 4 + 8u * SIZE, wish == NONE ? at - 1 : at);
		else
			t_put16(t->at.device, 0, wish == NONE);
		return;
	}
	t_put16(t->at.device, 0, at % SIZE | (at / SIZE % 2 ? 0 : 0x8000));
	t_put16(t->at.device, 2, wish == NONE ? 1 : wish == ALWAYS ? 0 : 2);
}

static unsigned int answer_all(struct t_vq *t)
{
	struct vhk_done done[SIZE];
	struct t_chain c;

	while (t_dev_pop(t, &c))
		t_dev_use(t, c.id, 0, 1, c.n_desc);
	return vhk_vq_get(t->vq, done, SIZE);
}

static void add(struct t_vq *t, unsigned int n)
{
	while (n--)
		T_MUST(!t_vq_add(t, 1, 0, 0));
}

/*
 * For each place an event can have in a burst of each length: wanted exactly if the burst makes
 * that place available.
 */
static void kicks_by_index(uint64_t layout)
{
	unsigned int at = 0, step, burst;
	struct t_vq t;

	t_vq_open(&t, SIZE, layout | VHK_F_EVENT_IDX);
	for (step = 0; step < 70000; step++) {
		/* From before the burst to behind it. */
		int ahead = (int)(step / 4 % (SIZE + 2)) - 2;

		burst = 1 + step % 4;
		if (at == 0 && ahead < 0)
			ahead = 0;
		device_wants(&t, true, AT, at + ahead);
		add(&t, burst);
		T_MUST(vhk_vq_publish(t.vq) == (ahead >= 0 && ahead < (int)burst));
		T_MUST(vhk_vq_publish(t.vq) == 0);
		at += burst;
		T_MUST(answer_all(&t) == burst);
	}
	t_vq_close(&t);
}

static void split_kicks_by_index(void)
{
	kicks_by_index(0);
}

static void packed_kicks_by_index(void)
{
	kicks_by_index(VHK_F_RING_PACKED);
}

static void kicks_by_flags(void)
{
	static const struct {
		uint64_t features;
		uint16_t flags; /* split: used flags; packed: event flags */
		int want;
	} cases[] = {
		{ 0, 0, 1 },
		{ 0, 1, 0 },
		{ 0, 2, 1 },
		{ 0, 3, 0 },
		{ VHK_F_EVENT_IDX, 1, 1 }, /* the flag has no meaning beside an event index */
		{ VHK_F_RING_PACKED, 0, 1 },
		{ VHK_F_RING_PACKED, 1, 0 },
		{ VHK_F_RING_PACKED, 2, 1 }, /* reserved: rather once too often */
		{ VHK_F_RING_PACKED, 3, 1 },
		{ VHK_F_RING_PACKED | VHK_F_EVENT_IDX, 0, 1 },
		{ VHK_F_RING_PACKED | VHK_F_EVENT_IDX, 1, 0 },
		{ VHK_F_RING_PACKED | VHK_F_EVENT_IDX, 3, 1 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct t_vq t;

		t_vq_open(&t, SIZE, cases[i].features);
		T_EQ(vhk_vq_publish(t.vq), 0);
		t_put16(t.at.device, t.packed ? 2 : 0, cases[i].flags);
		add(&t, 2);
		T_EQ(vhk_vq_publish(t.vq), cases[i].want);
		T_EQ(vhk_vq_publish(t.vq), 0);
		t_vq_close(&t);
	}
}

/* Whether a device that has just used request number @at (from 0) must call. */
static bool call_due(const struct t_vq *t, bool event_idx, unsigned int at)
{
	uint16_t off, flags;

	if (!t->packed)
		return event_idx ? t_get16(t->at.driver, 4 + 2u * SIZE) == (uint16_t)at :
				   !(t_get16(t->at.driver, 0) & 1);
	off = t_get16(t->at.driver, 0);
	flags = t_get16(t->at.driver, 2);
	if (flags != 2)
		return flags == 0;
	T_OK(event_idx);
	return off == (at % SIZE | (at / SIZE % 2 ? 0 : 0x8000));
}

/*
 * Armed, exactly the next answer calls; disarmed none does, but for the one that an index left
 * behind allows.
 */
static void calls(void)
{
	static const uint64_t features[] = { 0, VHK_F_EVENT_IDX, VHK_F_RING_PACKED,
					     VHK_F_RING_PACKED | VHK_F_EVENT_IDX };
	unsigned int i, at;

	for (i = 0; i < 4; i++) {
		bool event_idx = features[i] & VHK_F_EVENT_IDX;
		struct vhk_done done[2];
		struct t_chain c;
		struct t_vq t;

		t_vq_open(&t, SIZE, features[i]);
		for (at = 0; at < 66000; at += 3) {
			unsigned int k;

			add(&t, 3);
			vhk_vq_publish(t.vq);
			vhk_vq_disarm(t.vq);
			T_MUST(!call_due(&t, event_idx, at));
			T_MUST(vhk_vq_arm(t.vq) == 0);
			T_MUST(call_due(&t, event_idx, at));
			if (event_idx)
				T_MUST(!call_due(&t, true, at + 1) && !call_due(&t, true, at + 2));
			for (k = 0; k < 3; k++) {
				T_MUST(t_dev_pop(&t, &c));
				t_dev_use(&t, c.id, 0, 1, 1);
			}
			T_MUST(vhk_vq_arm(t.vq) == 1);
			vhk_vq_disarm(t.vq);
			T_MUST(vhk_vq_get(t.vq, done, 2) == 2);
			T_MUST(vhk_vq_arm(t.vq) == 1);
			vhk_vq_disarm(t.vq);
			T_MUST(vhk_vq_get(t.vq, done, 2) == 1);
			T_MUST(!call_due(&t, event_idx, at));
		}
		t_vq_close(&t);
	}
}

static void notification_data(void)
{
	struct t_vq t;
	unsigned int at;

	t_vq_open(&t, SIZE, 0);
	for (at = 0; at < 70000; at++) {
		T_MUST(vhk_vq_notification_data(t.vq, 7) == ((uint32_t)(uint16_t)at << 16 | 7));
		add(&t, 1);
		T_MUST(vhk_vq_notification_data(t.vq, 7) == ((uint32_t)(uint16_t)at << 16 | 7));
		vhk_vq_publish(t.vq);
		T_MUST(answer_all(&t) == 1);
	}
	t_vq_close(&t);

	t_vq_open(&t, 5, VHK_F_RING_PACKED);
	for (at = 0; at < 100; at++) {
		uint32_t want = (at % 5 | (at / 5 % 2 ? 0 : 0x8000)) << 16 | 0xffff;

		T_MUST(vhk_vq_notification_data(t.vq, 0xffff) == want);
		add(&t, 1);
		T_MUST(vhk_vq_notification_data(t.vq, 0xffff) == want);
		vhk_vq_publish(t.vq);
		T_MUST(answer_all(&t) == 1);
	}
	t_vq_close(&t);
}

int main(void)
{
	T_RUN(split_kicks_by_index);
	T_RUN(packed_kicks_by_index);
	T_RUN(kicks_by_flags);
	T_RUN(calls);
	T_RUN(notification_data);
	return t_end();
}
