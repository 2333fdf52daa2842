// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device that changes what it told while the driver reads it: ids, lengths, indices and flags
 * flip all the time, in every part of the queue. No token comes back that is not outstanding, no
 * length exceeds the offer, nothing else is touched, and a reset mends the queue.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "vq_t.h"

#define SIZE 8
#define GETS 20000
#define SEEN 100 /* times that the device is to be caught at the truth, and at lies */

struct flipper {
	struct t_vq t;
	size_t bytes;
	atomic_bool stop;
};

/*
 * Mostly what could be true: small ids and lengths, indices close to the driver's, flags of both
 * laps.
 */
static void flip(struct flipper *f, uint64_t x)
{
	unsigned int slot = x >> 8 & (SIZE - 1), id = x >> 16 & (x & 0x80 ? 0xffff : SIZE - 1);

	switch (x & 7) {
	case 0:
		t_put32(f->t.at.desc, (x >> 32) % (f->bytes / 4) * 4, (uint32_t)(x >> 8));
		break;
	case 1:
		t_put16(f->t.at.device, 2, f->t.packed ? id & 3 : (x >> 20 & 15));
		break;
	default:
		if (f->t.packed) {
			t_packed_set_used(&f->t, slot, id, x >> 40, x & 0x40 ? 0x8080 : 0);
		} else {
			t_split_set_elem(&f->t, slot, id, x >> 40);
			t_split_set_used_idx(&f->t, x >> 20 & 15);
		}
	}
}

static void *flipping(void *arg)
{
	struct flipper *f = arg;
	uint64_t x = 88172645463325252ull;

	while (!f->stop) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		flip(f, x);
	}
	return NULL;
}

static void token_back(void *arg, void *token)
{
	uint32_t *busy = arg;

	T_MUST((uintptr_t)token < SIZE && *busy & 1u << (uintptr_t)token);
	*busy &= ~(1u << (uintptr_t)token);
}

static void fill(struct flipper *f, uint32_t *busy)
{
	uintptr_t k;

	for (k = 0; k < SIZE; k++) {
		int ret = *busy & 1u << k ? -EAGAIN : t_vq_add(&f->t, 0, 100 + k, k);

		T_MUST(!ret || ret == -EAGAIN || ret == -ENOBUFS || ret == -EBADMSG);
		if (!ret)
			*busy |= 1u << k;
	}
	vhk_vq_publish(f->t.vq);
}

static void run(uint64_t features)
{
	struct flipper f = { .stop = false };
	unsigned int i, broken = 0, got = 0;
	struct vhk_done done[SIZE];
	uint32_t busy = 0;
	uint64_t deadline = t_now_ns() + 30000000000u;
	pthread_t other;

	t_vq_open(&f.t, SIZE, features);
	f.bytes = f.t.packed ? 16 * SIZE + 256 : 16 * SIZE + 384;
	T_MUST(!pthread_create(&other, NULL, flipping, &f));
	for (i = 0; i < GETS || broken < SEEN || got < SEEN; i++) {
		int k, n;

		T_MUST(t_now_ns() < deadline);
		fill(&f, &busy);
		n = vhk_vq_get(f.t.vq, done, SIZE);
		if (n < 0) {
			T_MUST(n == -EBADMSG);
			broken++;
			vhk_vq_reset(f.t.vq, token_back, &busy);
			T_MUST(!busy);
		}
		for (k = 0; k < n; k++) {
			T_MUST(done[k].written <= 100 + (uintptr_t)done[k].token);
			token_back(&busy, done[k].token);
		}
		got += n > 0 ? (unsigned int)n : 0;
		T_MUST(vhk_vq_in_flight(f.t.vq) == (unsigned int)__builtin_popcount(busy));
	}
	f.stop = true;
	T_MUST(!pthread_join(other, NULL));
	t_vq_close(&f.t);
}

static void split(void)
{
	run(0);
	run(VHK_F_IN_ORDER | VHK_F_EVENT_IDX);
}

static void packed(void)
{
	run(VHK_F_RING_PACKED);
	run(VHK_F_RING_PACKED | VHK_F_IN_ORDER | VHK_F_EVENT_IDX);
}

int main(void)
{
	T_RUN(split);
	T_RUN(packed);
	return t_end();
}
