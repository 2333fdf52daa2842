// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Every case of vectors.h on the library's rings: what is popped is what the table says, and a
 * broken ring stays broken.
 */
#include "t_ring.h"

#include "vectors.h"

/* Host memory for all regions: A and B swapped, so that no seam disappears. */
struct bed {
	struct vhk_mem *mem;
	unsigned char *ram;
	struct peer_desc *desc;
	uint16_t *driver, *device;
};

static const struct {
	uint64_t gpa, size, off;
} regions[] = {
	{ VEC_A, VEC_A_SIZE, 0x20000 },
	{ VEC_B, VEC_B_SIZE, 0x10000 },
	{ VEC_C, VEC_C_SIZE, 0x40000 },
	{ VEC_TOP, VEC_TOP_SIZE, 0x50000 },
};

static void bed_init(struct bed *b)
{
	unsigned int i;

	b->ram = aligned_alloc(4096, 0x60000);
	T_MUST(b->ram && !vhk_mem_new(&b->mem));
	memset(b->ram, 0, 0x60000);
	for (i = 0; i < vhk_array_size(regions); i++) {
		const struct vhk_region r = { { regions[i].gpa }, { regions[i].gpa },
					      regions[i].size, 0 };

		T_MUST(!vhk_mem_add_va(b->mem, &r, b->ram + regions[i].off));
	}
	b->desc = (struct peer_desc *)(void *)b->ram;
	b->driver = (uint16_t *)(void *)(b->ram + 0x1000);
	b->device = (uint16_t *)(void *)(b->ram + 0x2000);
}

static void bed_fini(struct bed *b)
{
	vhk_mem_free(b->mem);
	free(b->ram);
}

static unsigned char *bed_at(const struct bed *b, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < vhk_array_size(regions); i++)
		if (gpa - regions[i].gpa < regions[i].size)
			return b->ram + regions[i].off + (gpa - regions[i].gpa);
	return NULL;
}

static struct peer_desc encode(const struct vec_desc *d, bool packed, uint16_t id, uint16_t more)
{
	const uint16_t flags = d->flags | more;

	return (struct peer_desc){ htole64(d->addr), htole32(d->len),
				   htole16(packed ? id : flags),
				   htole16(packed ? flags : d->next) };
}

/* Byte by byte: a table may lie over a seam. */
static void put_table(const struct bed *b, const struct vec_case *v, bool packed)
{
	unsigned int i, k;

	for (i = 0; v->table_at && i < vhk_array_size(v->table); i++) {
		const struct peer_desc d = encode(&v->table[i], packed, 0, 0);

		for (k = 0; k < sizeof(d); k++) {
			unsigned char *to = bed_at(b, v->table_at + i * sizeof(d) + k);

			if (to)
				*to = ((const unsigned char *)&d)[k];
		}
	}
}

static void put_ring(const struct bed *b, const struct vec_case *v, bool packed)
{
	uint16_t head = 0;
	unsigned int i;

	memset(b->ram, 0, 0x3000);
	for (i = 0; i < VEC_SIZE; i++) {
		const bool more = v->desc[i].flags & VEC_N;

		b->desc[i] = encode(&v->desc[i], packed, v->ids ? v->id : head,
				    packed && i < v->avail_idx ? D_AVAIL : 0);
		if (!more)
			head = (uint16_t)(i + 1);
		b->driver[2 + i] = htole16(v->avail[i]);
	}
	if (packed)
		memset(b->driver, 0, 32);
	else
		b->driver[1] = htole16(v->avail_idx);
}

static struct vhk_ring *case_ring(const struct bed *b, const struct vec_case *v, bool packed)
{
	const struct vhk_ring_opts o = {
		.sz = sizeof(o),
		.size = VEC_SIZE,
		.features = (v->features & VEC_INDIRECT ? VHK_F_INDIRECT_DESC : 0) |
			    (packed ? VHK_F_RING_PACKED : 0) | VHK_F_VERSION_1,
		.desc = b->desc,
		.driver = b->driver,
		.device = b->device,
		.base = packed ? 0x80008000u : 0,
		.max_segs = VEC_MAX_SEGS,
		.max_indirect = VEC_MAX_INDIRECT,
	};
	struct vhk_ring *r = NULL;

	T_MUST(!vhk_ring_new(&r, b->mem, &o));
	return r;
}

static void check_chain(const struct bed *b, const struct vhk_chain *c, const struct vec_chain *w)
{
	uint64_t out = 0, in = 0;
	unsigned int i;

	T_EQ(c->id, w->id);
	T_EQ(c->n_desc, w->n_desc);
	T_EQ(c->n_out, w->n_out);
	T_EQ(c->n_in, w->n_in);
	T_EQ(c->out_len, w->out_len);
	T_EQ(c->in_len, w->in_len);
	T_EQ(!!(c->flags & VHK_CHAIN_F_FAULT), w->fault);
	for (i = 0; i < c->n_out + c->n_in && i < VEC_MAX_SEGS; i++) {
		*(i < c->n_out ? &out : &in) += c->seg[i].iov_len;
		T_OK(c->seg[i].iov_base == (w->seg[i] ? bed_at(b, w->seg[i]) : NULL));
	}
	T_EQ(out, w->out_len);
	T_EQ(in, w->in_len);
}

static void run_case(const struct bed *b, const struct vec_case *v, bool packed)
{
	struct vhk_chain *c[VEC_SIZE];
	struct vhk_ring *r;
	int before = t_bad, n, i;

	put_ring(b, v, packed);
	put_table(b, v, packed);
	r = case_ring(b, v, packed);
	n = vhk_ring_pop(r, c, VEC_SIZE);
	T_EQ(n, v->want == VEC_BROKEN ? -EBADMSG : v->want);
	for (i = 0; i < n && i < 2; i++)
		check_chain(b, c[i], &v->chain[i]);
	for (i = 0; i < n; i++)
		vhk_ring_push(r, c[i]);
	vhk_ring_publish(r);
	if (v->want != VEC_BROKEN && !v->broken) {
		T_EQ(vhk_ring_error(r), 0);
	} else {
		T_EQ(vhk_ring_error(r), -EBADMSG);
		T_EQ(vhk_ring_pop(r, c, VEC_SIZE), -EBADMSG);
		T_OK(!vhk_ring_ready(r));
		T_EQ(vhk_ring_arm(r), 0);
	}
	T_EQ(vhk_ring_in_flight(r), 0);
	vhk_ring_free(r);
	if (t_bad != before)
		printf("# case \"%s\", %s\n", v->name, packed ? "packed" : "split");
}

static void run_all(bool packed)
{
	struct bed b;
	unsigned int i;

	bed_init(&b);
	for (i = 0; i < vhk_array_size(vec_cases); i++)
		if (vec_cases[i].layouts & (packed ? VEC_PACKED : VEC_SPLIT))
			run_case(&b, &vec_cases[i], packed);
	bed_fini(&b);
}

static void split_cases(void)
{
	run_all(false);
}

static void packed_cases(void)
{
	run_all(true);
}

int main(void)
{
	T_RUN(split_cases);
	T_RUN(packed_cases);
	return t_end();
}
