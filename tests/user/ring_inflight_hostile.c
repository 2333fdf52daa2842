// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Inflight regions that contradict themselves: refused, or taken for what they are within bounds;
 * never believed. The region is the front end's memory, so it may also change while the ring runs.
 */
#include "inflight.h"
#include "t_ring.h"

#define SIZE 16
#define ROOM 8192

struct world {
	struct peer p;
	struct vhk_ring_opts o;
	union {
		unsigned char bytes[ROOM];
		struct inflight_split split;
		struct inflight_packed packed;
	} *region;
};

static void world_init(struct world *w, bool packed)
{
	peer_init(&w->p, packed, SIZE, VHK_F_INDIRECT_DESC);
	w->region = aligned_alloc(64, ROOM);
	T_MUST(w->region);
	memset(w->region, 0, ROOM);
	vhk_inflight_init(w->region, SIZE, packed);
	w->o = peer_opts(&w->p);
	w->o.inflight = w->region;
	w->o.inflight_size = vhk_inflight_size(SIZE, packed);
}

static void world_fini(struct world *w)
{
	free(w->region);
	peer_fini(&w->p);
}

/* Three chains in flight (of one, two and three descriptors), two answered. */
static void live(struct world *w)
{
	const struct peer_buf b[3] = { { PEER_GPA + 0x8000, 8, 0 },
				       { PEER_GPA + 0x9000, 8, 0 },
				       { PEER_GPA + 0xa000, 8, D_WRITE } };
	struct vhk_chain *c[5];
	struct vhk_ring *r;
	int i;

	T_MUST(!vhk_ring_new(&r, w->p.mem, &w->o));
	for (i = 0; i < 5; i++)
		T_MUST(peer_add(&w->p, b, 1 + (unsigned int)i % 3) >= 0);
	T_MUST(vhk_ring_pop(r, c, 5) == 5);
	vhk_ring_push(r, c[3]);
	vhk_ring_publish(r);
	vhk_ring_push(r, c[1]);
	vhk_ring_publish(r);
	vhk_ring_free(r);
}

/* Takes over and works; whatever happens must end. */
static int take_over(struct world *w, unsigned int *resubmitted)
{
	struct vhk_chain *c[8];
	struct vhk_ring *r = NULL;
	unsigned int rounds;
	int ret, i;

	*resubmitted = 0;
	ret = vhk_ring_new(&r, w->p.mem, &w->o);
	for (rounds = 0; !ret && rounds < 4 * SIZE; rounds++) {
		const int n = vhk_ring_pop(r, c, 8);

		if (n <= 0) {
			ret = n;
			break;
		}
		for (i = 0; i < n; i++) {
			*resubmitted += c[i]->flags & VHK_CHAIN_F_RESUBMITTED ? 1 : 0;
			vhk_ring_push(r, c[i]);
		}
		vhk_ring_publish(r);
	}
	T_OK(rounds < 4 * SIZE);
	vhk_ring_free(r);
	return ret;
}

enum field {
	NOTHING, VERSION, DESC_NUM, BYTES, LAST_BATCH, USED, MARK, MARK_FREE, NEXT, USED_AND_LAST,
	WRAP, FREE_HEAD, OLD_FREE_HEAD, NUM, LAST, SELF_NEXT, ID, FLAGS, ADDR,
};

struct bad_case {
	const char *name;
	enum field f;
	uint32_t v;
	int want;
	int resubmitted; /* -1: does not matter */
};

static void spoil_split(struct world *w, const struct bad_case *b)
{
	struct inflight_split *s = &w->region->split;
	unsigned int i, marked = 0;

	for (i = 0; i < SIZE; i++)
		if (s->desc[i].inflight)
			marked = i;
	switch (b->f) {
	case VERSION: s->version = (uint16_t)b->v; break;
	case DESC_NUM: s->desc_num = (uint16_t)b->v; break;
	case BYTES: w->o.inflight_size = b->v; break;
	case LAST_BATCH: s->last_batch_head = (uint16_t)b->v; break;
	case USED: s->used_idx = (uint16_t)(s->used_idx - b->v); break;
	case USED_AND_LAST:
		s->used_idx--;
		s->last_batch_head = (uint16_t)b->v;
		break;
	case MARK: s->desc[marked].inflight = (uint8_t)b->v; break;
	case NEXT:
		s->used_idx = (uint16_t)(s->used_idx - 3);
		s->desc[s->last_batch_head].next = (uint16_t)b->v;
		break;
	default: break;
	}
}

static void spoil_packed(struct world *w, const struct bad_case *b)
{
	struct inflight_packed *s = &w->region->packed;
	unsigned int i, head = 0, idle = s->free.free_head;

	for (i = 0; i < SIZE; i++)
		if (s->desc[i].inflight && s->desc[i].num == 3)
			head = i;
	switch (b->f) {
	case VERSION: s->free.version = (uint16_t)b->v; break;
	case DESC_NUM: s->free.desc_num = (uint16_t)b->v; break;
	case BYTES: w->o.inflight_size = b->v; break;
	case USED: s->used.used_idx = s->used.old_used_idx = (uint16_t)b->v; break;
	case WRAP: s->used.used_wrap = s->used.old_used_wrap = (uint8_t)b->v; break;
	case FREE_HEAD: s->free.free_head = (uint16_t)b->v; break;
	case OLD_FREE_HEAD: s->free.old_free_head = (uint16_t)b->v; break;
	case MARK: s->desc[head].inflight = (uint8_t)b->v; break;
	case MARK_FREE: s->desc[idle].inflight = (uint8_t)b->v; break;
	case NEXT: s->desc[idle].next = (uint16_t)b->v; break;
	case SELF_NEXT: s->desc[idle].next = (uint16_t)idle; break;
	case NUM: s->desc[head].num = (uint16_t)b->v; break;
	case LAST: s->desc[head].last = (uint16_t)b->v; break;
	case ID: s->desc[s->desc[head].last].id = (uint16_t)b->v; break;
	case FLAGS: s->desc[head].flags = (uint16_t)b->v; break;
	case ADDR: s->desc[head].addr = b->v; break;
	default: break;
	}
}

static const struct bad_case split_cases[] = {
	{ "as it was left", NOTHING, 0, 0, 3 },
	{ "uninitialised", VERSION, 0, -EBADMSG, 0 },
	{ "version 2", VERSION, 2, -EPROTO, 0 },
	{ "no entries", DESC_NUM, 0, -EPROTO, 0 },
	{ "too few entries", DESC_NUM, SIZE - 1, -EPROTO, 0 },
	{ "more entries than bytes", DESC_NUM, 1000, -EPROTO, 0 },
	{ "65535 entries", DESC_NUM, 65535, -EPROTO, 0 },
	{ "no bytes", BYTES, 0, -EINVAL, 0 },
	{ "too few bytes", BYTES, 16 + 16 * SIZE - 1, -EINVAL, 0 },
	{ "last batch out of range, settled", LAST_BATCH, 65535, 0, 3 },
	{ "last batch out of range", USED_AND_LAST, SIZE, -EPROTO, 0 },
	{ "batch longer than the ring", USED, SIZE + 1, -EPROTO, 0 },
	{ "used index ahead", USED, 65535, -EPROTO, 0 },
	{ "mark 2", MARK, 2, -EPROTO, 0 },
	{ "mark 255", MARK, 255, -EPROTO, 0 },
	{ "next out of range", NEXT, SIZE, -EPROTO, 0 },
	{ "batch that loops", NEXT, 0, -1, -1 },
};

static const struct bad_case packed_cases[] = {
	{ "as it was left", NOTHING, 0, 0, 3 },
	{ "version 2", VERSION, 2, -EPROTO, 0 },
	{ "no entries", DESC_NUM, 0, -EPROTO, 0 },
	{ "too few entries", DESC_NUM, SIZE - 1, -EPROTO, 0 },
	{ "more entries than bytes", DESC_NUM, 1000, -EPROTO, 0 },
	{ "no bytes", BYTES, 0, -EINVAL, 0 },
	{ "too few bytes", BYTES, 32 + 32 * SIZE - 1, -EINVAL, 0 },
	{ "used slot out of range", USED, SIZE, -EPROTO, 0 },
	{ "wrap counter 2", WRAP, 2, -EPROTO, 0 },
	{ "free head is rolled back", FREE_HEAD, 3, 0, 3 },
	{ "free list empty", OLD_FREE_HEAD, 65535, -EPROTO, 0 },
	{ "free list into a chain", OLD_FREE_HEAD, 3, -EPROTO, -1 },
	{ "mark 2", MARK, 2, -EPROTO, 0 },
	{ "mark on a free entry is wiped", MARK_FREE, 1, 0, 3 },
	{ "a chain forgotten", MARK, 0, -EPROTO, 0 },
	{ "free list cut", NEXT, SIZE, -EPROTO, 0 },
	{ "free list loops", SELF_NEXT, 0, -EPROTO, 0 },
	{ "chain of no descriptors", NUM, 0, -EPROTO, 0 },
	{ "chain too short", NUM, 2, -EPROTO, 0 },
	{ "chain too long", NUM, 4, -EPROTO, 0 },
	{ "chain of 65535", NUM, 65535, -EPROTO, 0 },
	{ "last out of range", LAST, 65535, -EPROTO, 0 },
	{ "id out of range", ID, SIZE, -EBADMSG, -1 },
	{ "chain ends too early", FLAGS, 0, -EBADMSG, -1 },
	{ "indirect in a chain", FLAGS, D_NEXT | D_INDIRECT, -EBADMSG, -1 },
	{ "address in no region", ADDR, 0x10, 0, 3 },
};

static void run(bool packed, const struct bad_case *cases, unsigned int n)
{
	unsigned int i, resubmitted;
	struct world w;

	for (i = 0; i < n; i++) {
		const int before = t_bad;
		int ret;

		world_init(&w, packed);
		live(&w);
		if (packed)
			spoil_packed(&w, &cases[i]);
		else
			spoil_split(&w, &cases[i]);
		ret = take_over(&w, &resubmitted);
		if (cases[i].want != -1)
			T_EQ(ret, cases[i].want);
		if (cases[i].resubmitted >= 0)
			T_EQ(resubmitted, cases[i].resubmitted);
		if (t_bad != before)
			printf("# case \"%s\", %s\n", cases[i].name, packed ? "packed" : "split");
		world_fini(&w);
	}
}

static void split_regions(void)
{
	run(false, split_cases, vhk_array_size(split_cases));
}

static void packed_regions(void)
{
	run(true, packed_cases, vhk_array_size(packed_cases));
}

/* Any few bytes changed: refused or not, it ends, and inside memory (the sanitizers' part). */
static void any_bytes_changed(void)
{
	unsigned int i, k, resubmitted;
	uint32_t seed = 1;

	for (i = 0; i < 4000; i++) {
		struct world w;

		world_init(&w, i % 2);
		live(&w);
		for (k = 0; k < 1 + i % 5; k++) {
			seed = seed * 1664525u + 1013904223u;
			w.region->bytes[(seed >> 8) % w.o.inflight_size] = (uint8_t)(seed >> 24);
		}
		take_over(&w, &resubmitted);
		world_fini(&w);
	}
}

/* A front end that scribbles over the region while the ring runs harms only its own recovery. */
static void region_changes_under_the_ring(void)
{
	int packed, i, k;

	for (packed = 0; packed < 2; packed++) {
		const struct peer_buf b[2] = { { PEER_GPA + 0x8000, 8, 0 },
					       { PEER_GPA + 0x9000, 8, D_WRITE } };
		struct vhk_chain *c[4];
		struct vhk_ring *r;
		struct world w;
		uint32_t len;
		uint16_t id;

		world_init(&w, packed);
		T_MUST(!vhk_ring_new(&r, w.p.mem, &w.o));
		for (i = 0; i < 100; i++) {
			memset(w.region, 0xff - i, w.o.inflight_size);
			for (k = 0; k < 4; k++)
				T_MUST(peer_add(&w.p, b, 2) >= 0);
			T_EQ(vhk_ring_pop(r, c, 4), 4);
			memset(w.region, i, w.o.inflight_size);
			for (k = 0; k < 4; k++)
				vhk_ring_push(r, c[3 - k]);
			vhk_ring_publish(r);
			for (k = 0; k < 4; k++)
				T_OK(peer_get(&w.p, &id, &len));
		}
		T_EQ(vhk_ring_error(r), 0);
		vhk_ring_free(r);
		world_fini(&w);
	}
}

static void sizes_of_the_specification(void)
{
	T_EQ(vhk_inflight_size(1, false), 64);
	T_EQ(vhk_inflight_size(128, false), 16 + 128 * 16 + 48);
	T_EQ(vhk_inflight_size(256, true), 32 + 256 * 32 + 32);
	T_EQ(vhk_inflight_size(32768, true), 32 + 32768 * 32 + 32);
	T_EQ(offsetof(struct inflight_split, used_idx), 14);
	T_EQ(offsetof(struct inflight_packed, free.free_head), 12);
	T_EQ(offsetof(struct inflight_packed, used.old_used_wrap), 21);
	T_EQ(offsetof(struct inflight_packed_desc, addr), 24);
}

int main(void)
{
	T_RUN(split_regions);
	T_RUN(packed_regions);
	T_RUN(any_bytes_changed);
	T_RUN(region_changes_under_the_ring);
	T_RUN(sizes_of_the_specification);
	return t_end();
}
