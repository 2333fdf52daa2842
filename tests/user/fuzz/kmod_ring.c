// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The module's rings on memory full of anything, while mappings come and go: no access outside of
 * what is mapped, no reference left behind, no end that never comes.
 */
#include "../kernel/kring.h"

#define SIZE_MAX_LOG 5
#define SEGS 12
#define PAGES 24
#define STEPS 64

struct input {
	const uint8_t *p;
	size_t left;
};

static unsigned int take(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static void remap(struct vhk_map *map, unsigned int at, unsigned int perm)
{
	const u64 iova = (u64)(at % PAGES) * PAGE_SIZE;

	if (perm & 4)
		vhk_map_del(map, iova, PAGE_SIZE);
	else
		vhk_map_add(map, iova, PAGE_SIZE,
			    virt_to_phys(t_arena) + (u64)(at * 7 % PAGES) * PAGE_SIZE, perm & 3);
}

/* What is handed out is memory, all of it, and adds up. */
static void use(const struct vhk_chain *c)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < c->n_out + c->n_in; i++) {
		sum += c->seg[i].len;
		if (c->seg[i].va && i >= c->n_out)
			memset(c->seg[i].va, (int)i, c->seg[i].len);
		if (!c->seg[i].va && !c->fault)
			abort();
	}
	if (!c->fault && sum != (u64)c->out_len + c->in_len)
		abort();
}

struct given {
	u16 id, n_desc;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct given given[1 << SIZE_MAX_LOG];
	unsigned int n_given = 0, i, step;
	struct vhk_ring_opts o = { .map = NULL };
	struct vhk_chain c;
	struct vhk_ring r;
	struct vhk_map map;

	if (!t_arena)
		t_arena_new();
	vhk_map_init(&map);
	o.map = &map;
	i = take(&in);
	o.packed = i & 1;
	o.indirect = take(&in) & 1;
	o.event_idx = take(&in) & 1;
	o.max_indirect = 6;
	o.size = (u16)(1u << take(&in) % (SIZE_MAX_LOG + 1));
	o.desc = (u64)take(&in) << 8;
	o.driver = (u64)take(&in) << 8;
	o.device = (u64)take(&in) << 8;
	o.avail_wrap = o.used_wrap = o.packed;
	if (!o.packed)
		o.avail = o.used = (u16)(take(&in) << 8 | take(&in));
	for (i = 0; i < PAGES; i++)
		remap(&map, i, take(&in) & 3 ? 3 : take(&in));
	for (i = 0; i < in.left; i++)
		t_arena[i * 13 % (PAGES * PAGE_SIZE)] = in.p[i];
	memcpy(t_arena + (o.desc * 7 % (PAGES * PAGE_SIZE)), in.p,
	       min_t(size_t, in.left, 16u << SIZE_MAX_LOG) % (PAGE_SIZE * 2));
	if (vhk_ring_init(&r, 1 << SIZE_MAX_LOG, SEGS))
		abort();
	if (vhk_ring_start(&r, &o))
		goto out;
	for (step = 0; step < STEPS; step++) {
		vhk_ring_refresh(&r);
		switch (take(&in) % 8) {
		case 0:
		case 1:
		case 2:
			if (vhk_ring_pop(&r, &c) != 1)
				break;
			if (n_given == o.size)
				abort();
			use(&c);
			given[n_given++] = (struct given){ c.id, c.n_desc };
			break;
		case 3:
			if (!n_given)
				break;
			n_given--;
			vhk_ring_push(&r, given[n_given].id, given[n_given].n_desc, take(&in));
			break;
		case 4:
			vhk_ring_publish(&r);
			break;
		case 5:
			vhk_ring_arm(&r);
			break;
		case 6:
			vhk_ring_disarm(&r);
			break;
		case 7:
			remap(&map, take(&in), take(&in));
			break;
		}
	}
out:
	vhk_ring_fini(&r);
	vhk_map_fini(&map);
	if (t_page_refs())
		abort();
	return 0;
}
