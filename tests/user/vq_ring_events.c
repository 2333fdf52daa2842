// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Kicks and calls between the library's own two sides, counted: with an event index one for each
 * time that a side asked for it, with flags one for each publication while asked, and none
 * otherwise.
 */
#include "vq_ring_t.h"

static const uint64_t features[] = {
	0,
	VHK_F_EVENT_IDX,
	VHK_F_RING_PACKED,
	VHK_F_RING_PACKED | VHK_F_EVENT_IDX,
	VHK_F_EVENT_IDX | VHK_F_IN_ORDER,
	VHK_F_RING_PACKED | VHK_F_EVENT_IDX | VHK_F_IN_ORDER,
};

#define N_FEATURES (sizeof(features) / sizeof(features[0]))
#define SIZE 16

static void add(struct t_pair *p, unsigned int n)
{
	struct iovec seg = { p->t.data, 8 };

	while (n--)
		T_MUST(!vhk_vq_add(p->t.vq, &seg, 0, 1, NULL));
}

/* Pops and answers all; returns how many calls are due when it publishes @at_once at a time. */
static unsigned int serve(struct t_pair *p, unsigned int at_once)
{
	struct vhk_chain *c[SIZE];
	unsigned int calls = 0;
	int i, n;

	while ((n = vhk_ring_pop(p->ring, c, at_once)) > 0) {
		for (i = 0; i < n; i++)
			vhk_ring_push(p->ring, c[i]);
		n = vhk_ring_publish(p->ring);
		T_MUST(n >= 0);
		calls += (unsigned int)n;
	}
	T_MUST(n == 0);
	return calls;
}

static void drain(struct t_pair *p, unsigned int n)
{
	struct vhk_done done[SIZE];

	T_MUST(vhk_vq_get(p->t.vq, done, SIZE) == (int)n);
}

static void kicks(void)
{
	unsigned int i, k, round;

	for (i = 0; i < N_FEATURES; i++) {
		bool event_idx = features[i] & VHK_F_EVENT_IDX;
		struct t_pair p;

		t_pair_open(&p, SIZE, features[i]);
		vhk_ring_disarm(p.ring);
		for (round = 0; round < 5000; round++) {
			unsigned int bursts = 1 + round % 4, armed_kicks = 0, other_kicks = 0;

			T_MUST(vhk_ring_arm(p.ring) == 0);
			for (k = 0; k < bursts; k++) {
				add(&p, 1 + k % 3);
				armed_kicks += (unsigned int)vhk_vq_publish(p.t.vq);
			}
			T_MUST(armed_kicks == (event_idx ? 1 : bursts));
			T_MUST(vhk_ring_arm(p.ring) == 1);
			vhk_ring_disarm(p.ring);
			serve(&p, SIZE);
			drain(&p, 1 + 2 * (bursts > 1) + 3 * (bursts > 2) + (bursts > 3));
			add(&p, 2);
			other_kicks += (unsigned int)vhk_vq_publish(p.t.vq);
			add(&p, 1);
			other_kicks += (unsigned int)vhk_vq_publish(p.t.vq);
			/* The index that the second arm left behind may be crossed once. */
			T_MUST(other_kicks <= (event_idx ? 1 : 0));
			serve(&p, SIZE);
			drain(&p, 3);
		}
		t_pair_close(&p);
	}
}

static void calls(void)
{
	unsigned int i, round;

	for (i = 0; i < N_FEATURES; i++) {
		bool event_idx = features[i] & VHK_F_EVENT_IDX;
		struct t_pair p;

		t_pair_open(&p, SIZE, features[i]);
		for (round = 0; round < 10000; round++) {
			unsigned int n = 1 + round % SIZE, at_once = 1 + round % 3;
			unsigned int publications = (n + at_once - 1) / at_once;

			add(&p, n);
			vhk_vq_publish(p.t.vq);
			T_MUST(vhk_vq_arm(p.t.vq) == 0);
			T_MUST(serve(&p, at_once) == (event_idx ? 1 : publications));
			T_MUST(vhk_vq_arm(p.t.vq) == 1);
			drain(&p, n);
			vhk_vq_disarm(p.t.vq);
			add(&p, n);
			vhk_vq_publish(p.t.vq);
			T_MUST(serve(&p, at_once) == 0);
			drain(&p, n);
		}
		t_pair_close(&p);
	}
}

int main(void)
{
	T_RUN(kicks);
	T_RUN(calls);
	return t_end();
}
