// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of a disk: from a chain to what is asked for, and back to a status byte. Every chain
 * that was taken is answered.
 */
#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_ids.h>

#include "blk.h"
#include "compat.h"

static bool copy_in(const struct vhk_chain *c, const void *from, u32 len)
{
	unsigned int i;

	for (i = c->n_out; i < c->n_out + c->n_in && len; i++) {
		const struct vhk_seg *s = &c->seg[i];
		const u32 part = min(len, s->len);

		if (!s->va)
			return false;
		memcpy(s->va, from, part);
		from += part;
		len -= part;
	}
	return !len;
}

/* Until the request is over. False: the memory is about to go. */
static __always_inline bool hold(struct vhk_blk_req *req, struct vhk_mapping *m)
{
	if (m->lasting || (req->n_held && req->held[req->n_held - 1] == m))
		return true;
	if (!vhk_mapping_hold(m))
		return false;
	req->held[req->n_held++] = m;
	return true;
}

static __always_inline bool add_bv(struct vhk_blk_req *req, const struct vhk_seg *s, u32 off,
				   u32 len)
{
	void *va = s->va + off;

	if (!hold(req, s->m))
		return false;
	bvec_set_page(&req->bv[req->n_bv++], virt_to_page(va), len, offset_in_page(va));
	req->starts |= offset_in_page(va);
	req->lens |= len;
	return true;
}

/* @n pieces, without @skip bytes before and with req->bytes in all. */
static bool fill_pieces(struct vhk_blk_req *req, const struct vhk_seg *seg, unsigned int n,
			u32 skip)
{
	u32 left = req->bytes;

	for (; n && left; n--, seg++) {
		const u32 off = min(skip, seg->len);
		const u32 len = min(seg->len - off, left);

		skip -= off;
		if (len && !add_bv(req, seg, off, len))
			return false;
		left -= len;
	}
	return true;
}

/* The same. Mostly one piece has it all, and a header one of its own. */
static __always_inline bool fill_bv(struct vhk_blk_req *req, const struct vhk_seg *seg,
				    unsigned int n, u32 skip)
{
	if (skip && seg->len == skip) {
		skip = 0;
		seg++;
		n--;
	}
	if (likely(!skip && seg->len >= req->bytes))
		return add_bv(req, seg, 0, req->bytes);
	return fill_pieces(req, seg, n, skip);
}

/* For @n pieces: each takes a place of each kind at most, be it for the status. */
static size_t room(unsigned int n)
{
	return n * (sizeof(struct bio_vec) + sizeof(struct vhk_mapping *));
}

static void use_own_room(struct vhk_blk_req *req)
{
	req->held = req->held_inline;
	req->bv = req->bv_inline;
}

static bool make_room(struct vhk_blk_req *req, unsigned int n)
{
	req->more = kmalloc(room(n), GFP_NOWAIT | __GFP_NOWARN);
	if (!req->more)
		swap(req->more, req->q->spare);
	if (!req->more)
		return false;
	req->bv = req->more;
	req->held = req->more + n * sizeof(*req->bv);
	return true;
}

/* Where it may wait. One large request finds room then, so that the others get their turn. */
static void blk_prepare(struct vhk_vq *vq)
{
	struct vhk_blk_queue *q = vq->priv;

	if (unlikely(!q->spare))
		q->spare = kvmalloc(room(vq->dev->max_segs), GFP_NOIO | __GFP_NOWARN);
	q->starved = !q->spare;
	q->before = NULL;
}

static inline bool has_data(const struct vhk_blk_req *req)
{
	return req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_OUT;
}

static inline bool fills_memory(const struct vhk_blk_req *req)
{
	return req->type == VIRTIO_BLK_T_IN || req->type == VIRTIO_BLK_T_GET_ID;
}

/* In the worker, once for each request. */
static void count(struct vhk_blk_req *req)
{
	struct vhk_blk_stats *s = &req->q->stats;

	if (req->status == VIRTIO_BLK_S_UNSUPP)
		s->unsupported++;
	else if (req->status != VIRTIO_BLK_S_OK || !req->status_at)
		s->errors++;
	else if (req->type == VIRTIO_BLK_T_FLUSH)
		s->flushes++;
	else if (req->type == VIRTIO_BLK_T_DISCARD)
		s->discards++;
	else if (req->type == VIRTIO_BLK_T_WRITE_ZEROES)
		s->zeroes++;
}

static inline void count_data(struct vhk_blk_req *req)
{
	struct vhk_blk_stats *s = &req->q->stats;

	if (req->type == VIRTIO_BLK_T_IN) {
		s->reads++;
		s->read_bytes += req->bytes;
	} else {
		s->writes++;
		s->write_bytes += req->bytes;
	}
}

/* What a room is from its request's end on. */
struct room_over {
	struct rcu_head rcu;
};

/*
 * At once: a driver must not fill memory that waits for read sections. This is one, where what has
 * pages of its own, which only a spare can have, is not freed.
 */
static void free_room(struct vhk_blk_req *req)
{
	if (!is_vmalloc_addr(req->more))
		kfree(req->more);
	else if (!req->q->spare)
		req->q->spare = req->more;
	else
		kvfree_rcu((struct room_over *)req->more, rcu);
	req->more = NULL;
	use_own_room(req);
}

static void blk_finish(struct vhk_done *done)
{
	struct vhk_blk_req *req = container_of(done, struct vhk_blk_req, done);

	done->len = 0;
	if (likely(req->status_at)) {
		WRITE_ONCE(*req->status_at, req->status);
		/* A length claims all bytes up to it. */
		if (req->in_len == 1 || (req->status == VIRTIO_BLK_S_OK && fills_memory(req)))
			done->len = req->in_len;
	}
	if (likely(req->status == VIRTIO_BLK_S_OK && req->status_at && has_data(req)))
		count_data(req);
	else
		count(req);
	while (req->n_held)
		vhk_mapping_put(req->held[--req->n_held]);
	if (unlikely(req->more))
		free_room(req);
}

void vhk_blk_end(struct vhk_blk_req *req, u8 status)
{
	req->status = status;
	vhk_vq_done(&req->done);
}

/* A driver that has the one or the other also flushes (virtio 1.3, 5.2.5). */
bool vhk_blk_is_durable(const struct vhk_blk *blk)
{
	const u64 flushes = BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE);

	return !(blk->dev.features & flushes) || !READ_ONCE(blk->write_cache);
}

static bool in_disk(const struct vhk_blk *blk, u64 sector, u64 n)
{
	const u64 sectors = READ_ONCE(blk->sectors);

	return sector <= sectors && n <= sectors - sector;
}

/* Nothing is to be done for it. */
static void answer(struct vhk_blk_req *req, u8 status)
{
	req->status = status;
	req->ended = true;
}

/* The layers below need not look for neighbours of a request that has none in its batch. */
static void see_neighbour(struct vhk_blk_req *req)
{
	struct vhk_blk_req *before = req->q->before;

	req->q->before = req;
	if (before && (before->sector + before->bytes / SECTOR_SIZE == req->sector ||
		       req->sector + req->bytes / SECTOR_SIZE == before->sector))
		before->follows = req->follows = true;
}

static void take_data(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	struct vhk_blk *blk = req->q->blk;
	const bool write = req->type == VIRTIO_BLK_T_OUT;
	const u32 bytes = write ? c->out_len - sizeof(struct virtio_blk_outhdr) : c->in_len - 1;
	const struct vhk_seg *seg = write ? c->seg : c->seg + c->n_out;

	if (c->fault || !bytes || bytes % SECTOR_SIZE || bytes > VHK_BLK_MAX_BYTES ||
	    (write && blk->disk->read_only) ||
	    !in_disk(blk, req->sector, bytes / SECTOR_SIZE)) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->bytes = bytes;
	see_neighbour(req);
	if (unlikely(!fill_bv(req, seg, write ? c->n_out : c->n_in,
			      write ? sizeof(struct virtio_blk_outhdr) : 0)))
		answer(req, VIRTIO_BLK_S_IOERR);
}

static u8 get_id(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	const u32 len = min_t(u32, c->in_len - 1, VIRTIO_BLK_ID_BYTES);

	if (!copy_in(c, req->q->blk->disk->serial, len))
		return VIRTIO_BLK_S_IOERR;
	/* Then the status does not follow it. */
	if (len < c->in_len - 1)
		req->in_len = len;
	return VIRTIO_BLK_S_OK;
}

/* Says what is wrong with the ranges of a discard or write-zeroes (virtio 1.3, 5.2.6.2). */
static u8 check_ranges(const struct vhk_blk_req *req)
{
	const u32 known = req->type == VIRTIO_BLK_T_WRITE_ZEROES ?
				  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	unsigned int i;
	u32 n;

	for (i = 0; i < req->bytes; i++) {
		if (le32_to_cpu(req->ranges[i].flags) & ~known)
			return VIRTIO_BLK_S_UNSUPP;
		n = le32_to_cpu(req->ranges[i].num_sectors);
		if (n > VHK_BLK_MAX_RANGE_SECTORS ||
		    !in_disk(req->q->blk, le64_to_cpu(req->ranges[i].sector), n))
			return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

static void take_ranges(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	const u32 len = c->out_len - sizeof(struct virtio_blk_outhdr);
	const u32 n = len / sizeof(req->ranges[0]);
	u8 status = VIRTIO_BLK_S_IOERR;

	if (n && n <= VHK_BLK_MAX_RANGES && !(len % sizeof(req->ranges[0])) &&
	    !req->q->blk->disk->read_only &&
	    vhk_chain_read(c, sizeof(struct virtio_blk_outhdr), req->ranges, len)) {
		req->bytes = n;
		status = check_ranges(req);
	}
	if (status != VIRTIO_BLK_S_OK)
		answer(req, status);
}

static bool has(const struct vhk_blk_req *req, unsigned int feature)
{
	return req->q->blk->dev.features & BIT_ULL(feature);
}

static void take_by_type(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	if (unlikely(READ_ONCE(req->q->blk->gone)) && req->type != VIRTIO_BLK_T_GET_ID) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		take_data(req, c);
		return;
	case VIRTIO_BLK_T_GET_ID:
		answer(req, get_id(req, c));
		return;
	case VIRTIO_BLK_T_FLUSH:
		return;
	case VIRTIO_BLK_T_DISCARD:
		if (!has(req, VIRTIO_BLK_F_DISCARD))
			break;
		take_ranges(req, c);
		return;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		if (!has(req, VIRTIO_BLK_F_WRITE_ZEROES))
			break;
		take_ranges(req, c);
		return;
	}
	answer(req, VIRTIO_BLK_S_UNSUPP);
}

/* The status is the last byte that we may write (virtio 1.3, 5.2.6). */
static void take_status(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	const struct vhk_seg *last = c->n_in ? &c->seg[c->n_out + c->n_in - 1] : NULL;

	if (last && last->va && hold(req, last->m))
		req->status_at = last->va + last->len - 1;
	else
		answer(req, VIRTIO_BLK_S_IOERR);
}

static inline void take_request(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	if (unlikely(!c->n_in || !vhk_chain_read_head(c, &req->hdr, sizeof(req->hdr)))) {
		answer(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->type = __virtio32_to_cpu(true, req->hdr.type);
	req->sector = __virtio64_to_cpu(true, req->hdr.sector);
	take_by_type(req, c);
}

static struct vhk_done *blk_take(struct vhk_vq *vq, const struct vhk_chain *c)
{
	struct vhk_blk_queue *q = vq->priv;
	struct vhk_blk_req *req = &q->reqs[c->id];
	const unsigned int n = c->n_out + c->n_in;

	req->done.id = c->id;
	req->done.n_desc = c->n_desc;
	req->n_bv = 0;
	req->n_held = 0;
	req->starts = 0;
	req->lens = 0;
	req->ended = false;
	req->follows = false;
	req->type = ~0u;
	req->in_len = c->in_len;
	req->bytes = 0;
	req->status_at = NULL;
	if (unlikely(n > VHK_BLK_INLINE_SEGS && !make_room(req, n))) {
		/* Later, but what cannot be held then is answered. */
		if (!q->starved)
			return NULL;
		answer(req, VIRTIO_BLK_S_IOERR);
	} else {
		take_request(req, c);
	}
	take_status(req, c);
	return &req->done;
}

static inline void begin(struct vhk_blk_req *req)
{
	if (unlikely(req->ended))
		vhk_vq_done(&req->done);
	else if (likely(has_data(req)))
		vhk_blk_submit(req);
	else if (req->type == VIRTIO_BLK_T_FLUSH)
		vhk_blk_flush(req);
	else
		vhk_blk_ranges(req);
}

static inline struct vhk_blk_req *taken(const struct vhk_vq *vq, u16 pos)
{
	return container_of(*vhk_vq_taken(vq, pos), struct vhk_blk_req, done);
}

/* Tags are found together in one word of their map, and a device that has few has short words. */
#define TAGS_AT_ONCE 8u

static void blk_begin(struct vhk_vq *vq, unsigned int n)
{
	struct blk_plug *plug = &((struct vhk_blk_queue *)vq->priv)->plug;
	const u16 end = vq->order_tail;

	blk_start_plug(plug);
	vhk_plug_expect(plug, n % TAGS_AT_ONCE);
	for (; n; n--) {
		if (!(n % TAGS_AT_ONCE))
			vhk_plug_expect(plug, TAGS_AT_ONCE);
		begin(taken(vq, end - n));
	}
	blk_finish_plug(plug);
}

/* The write cache is the one thing that a driver can change. */
static void blk_config(struct vhk_dev *dev, unsigned int offset, const void *buf, unsigned int len)
{
	struct vhk_blk *blk = vhk_blk_of(dev);
	const unsigned int wce = offsetof(struct virtio_blk_config, wce);
	bool on = true;

	if (len) {
		if (!(dev->features & BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE)) || offset > wce ||
		    wce - offset >= len)
			return;
		on = ((const u8 *)buf)[wce - offset];
	}
	WRITE_ONCE(blk->write_cache, on);
	spin_lock_bh(&dev->config_lock);
	dev->config[wce] = on;
	spin_unlock_bh(&dev->config_lock);
}

static void blk_free(struct vhk_dev *dev)
{
	struct vhk_blk *blk = vhk_blk_of(dev);

	vhk_blk_io_fini(blk);
	vhk_blk_fini_queues(blk);
	kvfree(dev->vqs);
}

const struct vhk_dev_ops vhk_blk_ops = {
	.id = VIRTIO_ID_BLOCK,
	.queues = &vhk_worker_ops,
	.prepare = blk_prepare,
	.take = blk_take,
	.begin = blk_begin,
	.finish = blk_finish,
	.config = blk_config,
	.free = blk_free,
};

int vhk_blk_init_queues(struct vhk_blk *blk, u16 n, u16 size)
{
	unsigned int i, j;

	blk->queues = kvcalloc(n, sizeof(*blk->queues), GFP_KERNEL_ACCOUNT);
	if (!blk->queues)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct vhk_blk_queue *q = &blk->queues[i];

		q->blk = blk;
		q->reqs = kvcalloc(size, sizeof(*q->reqs), GFP_KERNEL_ACCOUNT);
		if (!q->reqs)
			return -ENOMEM;
		for (j = 0; j < size; j++) {
			q->reqs[j].q = q;
			use_own_room(&q->reqs[j]);
			q->reqs[j].done.vq = &blk->dev.vqs[i];
		}
		blk->dev.vqs[i].priv = q;
	}
	return 0;
}

void vhk_blk_fini_queues(struct vhk_blk *blk)
{
	unsigned int i;

	for (i = 0; blk->queues && i < blk->dev.n_vqs; i++) {
		kvfree(blk->queues[i].reqs);
		kvfree(blk->queues[i].spare);
	}
	kvfree(blk->queues);
	blk->queues = NULL;
}
