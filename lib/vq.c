// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A driver's queue: its memory, the way from host pointers to guest addresses, and what both
 * layouts share. What the parts look like in memory is in vq_split.c and vq_packed.c.
 */
#include "vq_impl.h"

#define PAGE 4096u
#define PART 128u /* parts that different sides write share no pair of cache lines */
#define INDIRECT_MIN 3

struct layout { /* offsets in the queue's block */
	uint64_t driver;
	uint64_t device;
	uint64_t indirect;
	uint64_t size;
};

static int opts_read(struct vhk_vq_opts *o, const struct vhk_vq_opts *in)
{
	int ret = vhk_opts_read(o, sizeof(*o), in);

	if (ret)
		return ret;
	if (!o->size || o->size > VHK_QUEUE_SIZE_MAX)
		return -EINVAL;
	if (!(o->features & VHK_F_RING_PACKED) && !vhk_is_power_of_2(o->size))
		return -EINVAL;
	if (!(o->features & VHK_F_INDIRECT_DESC))
		o->max_indirect = 0;
	if (!o->indirect_min)
		o->indirect_min = INDIRECT_MIN;
	return 0;
}

static void layout_of(struct layout *l, const struct vhk_vq_opts *o)
{
	struct ring_parts p = ring_parts_of(o->size, o->features & VHK_F_RING_PACKED);

	l->driver = vhk_align_up(p.desc, PART);
	l->device = l->driver + vhk_align_up(p.driver, PART);
	l->indirect = l->device + vhk_align_up(p.device, PART);
	l->size = l->indirect + (uint64_t)o->size * o->max_indirect * sizeof(struct vq_desc);
	l->size = vhk_align_up(l->size, PAGE);
}

size_t vhk_vq_bytes(const struct vhk_vq_opts *in)
{
	struct vhk_vq_opts o;
	struct layout l;

	if (opts_read(&o, in))
		return 0;
	layout_of(&l, &o);
	return l.size <= SIZE_MAX ? l.size : 0;
}

static void start_over(struct vhk_vq *q)
{
	q->n_free = q->size;
	q->free = q->avail = q->used = q->first = 0;
	q->n_added = q->n_staged = q->n_out = q->batch_left = q->n_chains = 0;
	q->armed = false;
	q->error = 0;
	if (q->packed)
		vhk_vq_packed_init(q);
	else
		vhk_vq_split_init(q);
}

static int shadow_alloc(struct vhk_vq *q)
{
	q->slot = calloc(q->size, sizeof(*q->slot));
	q->piece = calloc(q->max_pieces, sizeof(*q->piece));
	q->next = calloc(q->size, sizeof(*q->next));
	return q->slot && q->piece && q->next ? 0 : -ENOMEM;
}

static void hits_forget(struct vhk_vq *q)
{
	unsigned int i;

	for (i = 0; i < VHK_VQ_HITS; i++)
		q->hit[i] = &q->table->by_va[0];
}

/* Memory for the block: a region of its own, or a part of another, as the options say. */
static int block_find(struct vhk_vq *q, const struct vhk_vq_opts *o, size_t size, void **va)
{
	int ret;

	q->region.gpa = o->gpa;
	if (!o->block)
		return vhk_mem_alloc(q->mem, o->gpa, size, va);
	if ((uintptr_t)o->block % PAGE)
		return -EINVAL;
	ret = vhk_mem_gpa(q->mem, o->block, size, &q->region.gpa);
	if (ret)
		return ret;
	q->lent = true;
	*va = o->block;
	memset(o->block, 0, size);
	return 0;
}

static int block_alloc(struct vhk_vq *q, const struct vhk_vq_opts *o)
{
	struct layout l;
	void *va;
	int ret;

	layout_of(&l, o);
	if (l.size > SIZE_MAX)
		return -EINVAL;
	ret = block_find(q, o, l.size, &va);
	if (ret)
		return ret;
	q->block = va;
	q->region.uva.v = (uintptr_t)va;
	q->region.size = l.size;
	q->desc = va;
	q->driver = q->block + l.driver;
	q->device = q->block + l.device;
	q->indirect = (struct vq_desc *)(void *)(q->block + l.indirect);
	q->indirect_gpa = q->region.gpa.v + l.indirect;
	q->table = vhk_mem_table(q->mem);
	hits_forget(q);
	return 0;
}

int vhk_vq_new(struct vhk_vq **out, struct vhk_mem *m, const struct vhk_vq_opts *in)
{
	struct vhk_vq_opts o;
	struct vhk_vq *q;
	int ret = opts_read(&o, in);

	*out = NULL;
	if (ret)
		return ret;
	q = aligned_alloc(64, vhk_align_up(sizeof(*q), 64));
	if (!q)
		return -ENOMEM;
	memset(q, 0, sizeof(*q));
	q->mem = m;
	q->size = o.size;
	q->packed = o.features & VHK_F_RING_PACKED;
	q->event_idx = o.features & VHK_F_EVENT_IDX;
	q->in_order = o.features & VHK_F_IN_ORDER;
	q->max_indirect = o.max_indirect;
	q->indirect_min = o.indirect_min;
	q->max_pieces = vhk_max(o.size, o.max_indirect);
	q->direct_single = q->packed && !(o.max_indirect && o.indirect_min <= 1);
	ret = shadow_alloc(q);
	if (!ret)
		ret = block_alloc(q, &o);
	if (ret) {
		vhk_vq_free(q);
		return ret;
	}
	start_over(q);
	*out = q;
	return 0;
}

void vhk_vq_free(struct vhk_vq *q)
{
	if (!q)
		return;
	if (q->table)
		vhk_table_put(q->table);
	if (q->block && !q->lent)
		vhk_mem_del(q->mem, &q->region);
	free(q->slot);
	free(q->piece);
	free(q->next);
	free(q);
}

uint64_t vhk_vq_features(const struct vhk_vq *q)
{
	return (q->packed ? VHK_F_RING_PACKED : 0) | (q->event_idx ? VHK_F_EVENT_IDX : 0) |
	       (q->in_order ? VHK_F_IN_ORDER : 0) | (q->max_indirect ? VHK_F_INDIRECT_DESC : 0);
}

/*
 * Takes over the current table, unless the queue's own block has gone from it: that would pull away
 * the ground.
 */
static int table_renew(struct vhk_vq *q)
{
	struct vhk_table *t = vhk_mem_table(q->mem);
	const struct vhk_span *s;
	unsigned int hint = 0;

	s = vhk_span_find(t->by_va, t->n, (uintptr_t)q->block, q->region.size, &hint);
	if (!s || (uintptr_t)s->va + ((uintptr_t)q->block - s->start) != q->region.gpa.v) {
		vhk_table_put(t);
		return -EFAULT;
	}
	vhk_table_put(q->table);
	q->table = t;
	hits_forget(q);
	return 0;
}

/* One segment: a piece for each region it touches, from piece @n on. Returns their end. */
static int pieces_of(struct vhk_vq *q, unsigned int n, const struct iovec *seg,
		     const struct vhk_span **hit)
{
	uint64_t va = (uintptr_t)seg->iov_base, len = seg->iov_len;
	const struct vhk_span *spans = q->table->by_va;

	if (!len || !vhk_range_ok(va, len))
		return -EINVAL;
	if (len > UINT32_MAX)
		return -EMSGSIZE;
	while (len) {
		unsigned int hint = (unsigned int)(*hit - spans);
		const struct vhk_span *s = vhk_span_find(spans, q->table->n, va, 1, &hint);
		uint64_t off, part;

		if (!s)
			return -EFAULT;
		if (n == q->max_pieces)
			return -EMSGSIZE;
		*hit = s;
		off = va - s->start;
		part = vhk_min(len, s->size - off);
		q->piece[n].gpa = (uintptr_t)s->va + off;
		q->piece[n++].len = (uint32_t)part;
		va += part;
		len -= part;
	}
	return (int)n;
}

/*
 * Translates all segments, whatever they cross; *out becomes the number of readable pieces. Returns
 * that of all.
 */
static __attribute__((noinline)) int pieces_slow(struct vhk_vq *q, const struct iovec *seg,
						 unsigned int *out, unsigned int n_seg)
{
	unsigned int i, n_out = *out;
	uint64_t sum[2] = { 0, 0 };
	int n = 0;

	for (i = 0; i < n_seg; i++) {
		n = pieces_of(q, (unsigned int)n, &seg[i], &q->hit[i % VHK_VQ_HITS]);
		if (n < 0)
			return n;
		sum[i >= n_out] += seg[i].iov_len;
		if (i + 1 == n_out)
			*out = (unsigned int)n;
	}
	if (sum[0] + sum[1] > UINT32_MAX)
		return -EMSGSIZE;
	q->in_len = (uint32_t)sum[1];
	return n;
}

/*
 * Segments [i, n), each whole in the region where its like was found last. Their length, 0: not so.
 */
static inline uint64_t pieces_hit(struct vhk_vq *q, const struct iovec *seg, unsigned int i,
				  unsigned int n)
{
	uint64_t sum = 0;

	for (; i < n; i++) {
		const struct vhk_span *s = q->hit[i % VHK_VQ_HITS];
		uint64_t va = (uintptr_t)seg[i].iov_base, len = seg[i].iov_len;

		if (vhk_unlikely(!vhk_span_has(s, va, len) || len > UINT32_MAX))
			return 0;
		q->piece[i].gpa = (uintptr_t)s->va + (va - s->start);
		q->piece[i].len = (uint32_t)len;
		sum += len;
	}
	return sum;
}

/* As pieces_slow(), which does all that is out of the ordinary. A chain carries less than 4 GiB. */
static inline int pieces_make(struct vhk_vq *q, const struct iovec *seg, unsigned int *out,
			      unsigned int n)
{
	uint64_t out_len = pieces_hit(q, seg, 0, *out), in_len = pieces_hit(q, seg, *out, n);

	if (vhk_unlikely((*out && !out_len) || (*out < n && !in_len) ||
			 out_len + in_len > UINT32_MAX))
		return pieces_slow(q, seg, out, n);
	q->in_len = (uint32_t)in_len;
	return (int)n;
}

/*
 * Whether the pieces of one chain go into a table of their own. -EMSGSIZE: they fit neither there
 * nor into the ring.
 */
static inline int goes_indirect(const struct vhk_vq *q, unsigned int n)
{
	if (n <= q->max_indirect && (n >= q->indirect_min || n > q->size))
		return 1;
	return n > q->size ? -EMSGSIZE : 0;
}

/* What is to be seen to before a chain of @n_seg segments can be translated. */
static inline int add_begin(struct vhk_vq *q, unsigned int n_seg)
{
	if (vhk_unlikely(q->error))
		return q->error;
	if (vhk_unlikely(!n_seg))
		return -EINVAL;
	if (vhk_unlikely(n_seg > q->max_pieces))
		return -EMSGSIZE;
	return vhk_likely(q->mem->table == q->table) ? 0 : table_renew(q);
}

static __attribute__((noinline)) int add_any(struct vhk_vq *q, const struct iovec *seg,
					     unsigned int n_out, unsigned int n_in, void *token)
{
	unsigned int out = n_out;
	int n, indirect;

	if (vhk_unlikely((n_out | n_in) > UINT16_MAX))
		return -EINVAL;
	n = add_begin(q, n_out + n_in);
	if (!n)
		n = pieces_make(q, seg, &out, n_out + n_in);
	if (vhk_unlikely(n < 0))
		return n;
	indirect = goes_indirect(q, (unsigned int)n);
	if (vhk_unlikely(indirect < 0))
		return indirect;
	if (vhk_unlikely((indirect ? 1 : n) > q->n_free))
		return -ENOBUFS;
	if (q->packed)
		vhk_vq_packed_add(q, out, (unsigned int)n, indirect, token);
	else
		vhk_vq_split_add(q, out, (unsigned int)n, indirect, token);
	return 0;
}

/*
 * The short way of a packed queue, for one segment that lies where the last one lay: what a NIC's
 * driver adds. False: take the long one, which also finds out what is wrong.
 */
static inline bool add_single(struct vhk_vq *q, const struct iovec *seg, bool write, void *token)
{
	const struct vhk_span *s = q->hit[0];
	uint64_t va = (uintptr_t)seg->iov_base, len = seg->iov_len;

	if (q->error || !q->direct_single || !q->n_free || q->mem->table != q->table ||
	    !vhk_span_has(s, va, len) || len > UINT32_MAX)
		return false;
	vhk_vq_packed_add_single(q, (uintptr_t)s->va + (va - s->start), (uint32_t)len, write,
				 token);
	return true;
}

int vhk_vq_add(struct vhk_vq *q, const struct iovec *seg, unsigned int n_out, unsigned int n_in,
	       void *token)
{
	if (n_out <= 1 && n_in == 1 - n_out && add_single(q, seg, n_in, token))
		return 0;
	return add_any(q, seg, n_out, n_in, token);
}

int vhk_vq_publish(struct vhk_vq *q)
{
	if (q->error)
		return q->error;
	if (!q->n_staged)
		return 0;
	return q->packed ? vhk_vq_packed_publish(q) : vhk_vq_split_publish(q);
}

int vhk_vq_get(struct vhk_vq *q, struct vhk_done *out, unsigned int max)
{
	if (q->error)
		return q->error;
	return q->packed ? vhk_vq_packed_get(q, out, max) : vhk_vq_split_get(q, out, max);
}

bool vhk_vq_ready(const struct vhk_vq *q)
{
	if (q->batch_left || q->error)
		return true;
	return q->packed ? vhk_vq_packed_ready(q) : vhk_vq_split_ready(q);
}

int vhk_vq_arm(struct vhk_vq *q)
{
	if (q->packed)
		vhk_vq_packed_arm(q);
	else
		vhk_vq_split_arm(q);
	q->armed = true;
	/* Pairs with the fence of a device that publishes and then looks at the event. */
	vhk_full_fence();
	return vhk_vq_ready(q);
}

void vhk_vq_disarm(struct vhk_vq *q)
{
	if (!q->armed)
		return;
	q->armed = false;
	if (q->packed)
		vhk_vq_packed_disarm(q);
	else
		vhk_vq_split_disarm(q);
}

unsigned int vhk_vq_in_flight(const struct vhk_vq *q)
{
	return q->n_out + q->n_staged;
}

int vhk_vq_addr(const struct vhk_vq *q, struct vhk_vq_addr *out)
{
	out->size = q->size;
	out->base = 0;
	out->desc = q->desc;
	out->driver = q->driver;
	out->device = q->device;
	if (q->error)
		return q->error;
	return q->packed ? vhk_vq_packed_told(q, &out->base) : vhk_vq_split_told(q, &out->base);
}

uint32_t vhk_vq_notification_data(const struct vhk_vq *q, uint16_t idx)
{
	uint32_t at;

	if (!q->packed)
		at = (uint16_t)(q->avail - q->n_staged);
	else if (q->n_added)
		at = q->gate | (q->gate_flags & DESC_F_AVAIL ? 0x8000u : 0);
	else
		at = q->avail | (q->avail_flags & DESC_F_AVAIL ? 0x8000u : 0);
	return at << 16 | idx;
}

/* Piece by piece: a device that was to stop may be writing all the same. */
static void shared_clear(struct vhk_vq *q)
{
	uint64_t *at = (uint64_t *)(void *)q->block;

	for (; (void *)at < (void *)q->indirect; at++)
		vhk_store64(at, 0);
}

void vhk_vq_reset(struct vhk_vq *q, void (*fn)(void *arg, void *token), void *arg)
{
	unsigned int i;

	for (i = 0; i < q->size; i++) {
		if (q->slot[i].n_desc && fn)
			fn(arg, q->slot[i].token);
		q->slot[i].n_desc = 0;
	}
	shared_clear(q);
	start_over(q);
}
