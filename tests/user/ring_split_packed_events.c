// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * When a call is wanted, and what the driver is told about kicks: EVENT_IDX over its wraps, and the
 * flags without it.
 */
#include "t_ring.h"

/* The driver's wish: after entry number @event (split: used index; packed: slot and lap). */
static void wish(struct peer *p, uint16_t event, bool wrap)
{
	if (!p->packed) {
		p->driver[2 + p->size] = htole16(event);
		return;
	}
	p->driver[0] = htole16(event | (wrap ? 0x8000 : 0));
	p->driver[1] = htole16(2);
}

static void give(struct peer *p, unsigned int n)
{
	const struct peer_buf b = { PEER_GPA + 0x10000, 8, 0 };

	for (; n; n--)
		T_MUST(peer_add(p, &b, 1) >= 0);
}

static int answer(struct peer *p, struct vhk_ring *r, unsigned int n)
{
	struct vhk_chain *c[64];
	uint32_t len;
	uint16_t id;
	unsigned int i;
	int call;

	give(p, n);
	T_EQ(vhk_ring_pop(r, c, 64), n);
	for (i = 0; i < n; i++)
		vhk_ring_push(r, c[i]);
	call = vhk_ring_publish(r);
	while (peer_get(p, &id, &len))
		;
	return call;
}

struct event_case {
	uint16_t start; /* entries answered before */
	uint16_t event;
	bool wrap;
	unsigned int n;
	int want;
};

static void events(bool packed, const struct event_case *c, unsigned int n_cases)
{
	unsigned int i, k;

	for (i = 0; i < n_cases; i++) {
		struct vhk_ring *r;
		struct peer p;

		peer_init(&p, packed, 8, VHK_F_EVENT_IDX);
		if (!packed)
			peer_start_at(&p, c[i].start);
		r = peer_ring(&p);
		for (k = 0; packed && k < c[i].start; k++)
			answer(&p, r, 1);
		wish(&p, c[i].event, c[i].wrap);
		T_EQ(answer(&p, r, c[i].n), c[i].want);
		if (t_bad)
			printf("# case %u\n", i);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

static void split_calls_by_event(void)
{
	static const struct event_case cases[] = {
		{ 0, 0, 0, 1, 1 },     { 0, 1, 0, 1, 0 },     { 0, 1, 0, 2, 1 },
		{ 0, 65535, 0, 1, 0 }, { 65535, 65535, 0, 1, 1 }, { 65534, 0, 0, 2, 0 },
		{ 65534, 0, 0, 3, 1 }, { 65534, 65535, 0, 3, 1 }, { 100, 99, 0, 8, 0 },
		{ 100, 107, 0, 8, 1 }, { 100, 108, 0, 8, 0 },
	};

	events(false, cases, vhk_array_size(cases));
}

static void packed_calls_by_event(void)
{
	static const struct event_case cases[] = {
		{ 0, 0, true, 1, 1 },  { 0, 1, true, 1, 0 },  { 0, 1, true, 2, 1 },
		{ 0, 7, false, 1, 0 }, { 6, 7, true, 1, 0 },  { 6, 7, true, 2, 1 },
		{ 6, 0, false, 2, 0 }, { 6, 0, false, 3, 1 }, { 7, 7, true, 4, 1 },
		{ 8, 7, true, 4, 0 },  { 8, 0, false, 1, 1 }, { 8, 3, false, 4, 1 },
		{ 8, 4, false, 4, 0 }, { 0, 7, true, 8, 1 },  { 8, 0, true, 8, 0 },
	};

	events(true, cases, vhk_array_size(cases));
}

/* Every event from just behind to just beyond, every number of answers, over two laps. */
static void calls_exact_to_one(void)
{
	unsigned int start, n, packed;
	int ahead, at;

	for (packed = 0; packed < 2; packed++)
		for (start = 0; start < 17; start++)
			for (n = 1; n <= 8; n++)
				for (ahead = start ? -1 : 0; ahead <= 7; ahead++) {
					struct event_case c = { .start = start, .n = n };

					at = (int)start + ahead;
					c.want = ahead >= 0 && ahead < (int)n;
					c.event = packed ? at % 8 : (65530 + at) & 0xffff;
					c.wrap = at / 8 % 2 == 0;
					if (!packed)
						c.start = (65530 + start) & 0xffff;
					events(packed, &c, 1);
				}
}

static void calls_by_flag(bool packed, const uint16_t *flags, const int *want, unsigned int n)
{
	struct vhk_ring *r;
	struct peer p;
	unsigned int i;

	peer_init(&p, packed, 8, 0);
	r = peer_ring(&p);
	for (i = 0; i < n; i++) {
		p.driver[packed ? 1 : 0] = htole16(flags[i]);
		T_EQ(answer(&p, r, 2), want[i]);
	}
	vhk_ring_free(r);
	peer_fini(&p);
}

static void flags_without_events(void)
{
	static const uint16_t split[] = { 0, 1, 0 };
	static const int split_want[] = { 1, 0, 1 };
	/* 2, "at an event", is not to be used without EVENT_IDX; a call too many does no harm. */
	static const uint16_t packed[] = { 0, 1, 2 };
	static const int packed_want[] = { 1, 0, 1 };

	calls_by_flag(false, split, split_want, 3);
	calls_by_flag(true, packed, packed_want, 3);
}

static void nothing_published_is_no_call(void)
{
	struct vhk_ring *r;
	struct peer p;
	int packed;

	for (packed = 0; packed < 2; packed++) {
		peer_init(&p, packed, 8, 0);
		r = peer_ring(&p);
		T_EQ(vhk_ring_publish(r), 0);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

static void kicks_by_flag(void)
{
	struct vhk_ring *r;
	struct peer p;
	int packed;

	for (packed = 0; packed < 2; packed++) {
		const unsigned int at = packed ? 1 : 0;

		peer_init(&p, packed, 8, 0);
		r = peer_ring(&p);
		vhk_ring_disarm(r);
		T_EQ(le16toh(p.device[at]), 1);
		T_EQ(vhk_ring_arm(r), 0);
		T_EQ(le16toh(p.device[at]), 0);
		vhk_ring_disarm(r);
		give(&p, 1);
		T_EQ(vhk_ring_arm(r), 1);
		vhk_ring_free(r);
		peer_fini(&p);
	}
}

static void split_kicks_by_event(void)
{
	struct vhk_ring *r;
	struct peer p;

	peer_init(&p, false, 8, VHK_F_EVENT_IDX);
	peer_start_at(&p, 65533);
	r = peer_ring(&p);
	answer(&p, r, 5);
	T_EQ(vhk_ring_arm(r), 0);
	T_EQ(le16toh(p.device[2 + 4 * p.size]), 2);
	vhk_ring_disarm(r);
	T_EQ(le16toh(p.device[2 + 4 * p.size]), 2);
	T_EQ(le16toh(p.device[0]), 0);
	give(&p, 1);
	T_EQ(vhk_ring_arm(r), 1);
	vhk_ring_free(r);
	peer_fini(&p);
}

static void packed_kicks_by_event(void)
{
	struct vhk_ring *r;
	struct peer p;

	peer_init(&p, true, 8, VHK_F_EVENT_IDX);
	r = peer_ring(&p);
	vhk_ring_disarm(r);
	T_EQ(le16toh(p.device[1]), 2);
	answer(&p, r, 5);
	T_EQ(vhk_ring_arm(r), 0);
	T_EQ(le16toh(p.device[0]), 5 | 0x8000);
	answer(&p, r, 5);
	T_EQ(le16toh(p.device[0]), 5 | 0x8000);
	T_EQ(vhk_ring_arm(r), 0);
	T_EQ(le16toh(p.device[0]), 2);
	give(&p, 1);
	T_EQ(vhk_ring_arm(r), 1);
	vhk_ring_free(r);
	peer_fini(&p);
}

int main(void)
{
	T_RUN(split_calls_by_event);
	T_RUN(packed_calls_by_event);
	T_RUN(calls_exact_to_one);
	T_RUN(flags_without_events);
	T_RUN(nothing_published_is_no_call);
	T_RUN(kicks_by_flag);
	T_RUN(split_kicks_by_event);
	T_RUN(packed_kicks_by_event);
	return t_end();
}
