// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of a disk: from a chain to what is asked for, and back to a status byte. Every chain
 * that was taken is answered.
 */
#include <linux/blkdev.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_ids.h>

#include "blk.h"

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

/* The status is the last byte that we may write (virtio 1.3, 5.2.6). */
static u8 *find_status(const struct vhk_chain *c)
{
	const struct vhk_seg *last;

	if (!c->n_in)
		return NULL;
	last = &c->seg[c->n_out + c->n_in - 1];
	return last->va ? last->va + last->len - 1 : NULL;
}

static void set_bv(struct bio_vec *bv, void *va, u32 len)
{
	bvec_set_page(bv, virt_to_page(va), len, offset_in_page(va));
}

/* The pieces [first, first + n), without @skip bytes before and with @bytes in all. */
static void fill_bv(struct vhk_blk_req *req, const struct vhk_seg *seg, unsigned int n, u32 skip,
		    u32 bytes)
{
	unsigned int i;

	for (i = 0; i < n && bytes; i++) {
		const u32 off = min(skip, seg[i].len);
		const u32 len = min(seg[i].len - off, bytes);

		skip -= off;
		if (!len)
			continue;
		set_bv(&req->bv[req->n_bv++], seg[i].va + off, len);
		bytes -= len;
	}
}

static bool make_room(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	const unsigned int n = c->n_out + c->n_in;
	const size_t held = n * sizeof(*req->held);

	req->held = req->held_inline;
	req->bv = req->bv_inline;
	req->more = NULL;
	if (n <= VHK_BLK_INLINE_SEGS && c->n_held <= VHK_BLK_INLINE_HELD)
		return true;
	req->more = kvmalloc(held + n * sizeof(*req->bv), GFP_NOIO | __GFP_NOWARN);
	if (!req->more)
		return false;
	req->held = req->more;
	req->bv = req->more + held;
	return true;
}

static void put_held(struct vhk_mapping *const *held, unsigned int n)
{
	while (n)
		vhk_mapping_put(held[--n]);
}

/* In the worker, once for each request. */
static void count(struct vhk_blk_req *req)
{
	struct vhk_blk_stats *s = &req->q->stats;

	if (req->status == VIRTIO_BLK_S_UNSUPP) {
		s->unsupported++;
	} else if (req->status != VIRTIO_BLK_S_OK || !req->status_at) {
		s->errors++;
	} else if (req->type == VIRTIO_BLK_T_IN) {
		s->reads++;
		s->read_bytes += req->bytes;
	} else if (req->type == VIRTIO_BLK_T_OUT) {
		s->writes++;
		s->write_bytes += req->bytes;
	} else if (req->type == VIRTIO_BLK_T_FLUSH) {
		s->flushes++;
	} else if (req->type == VIRTIO_BLK_T_DISCARD) {
		s->discards++;
	} else if (req->type == VIRTIO_BLK_T_WRITE_ZEROES) {
		s->zeroes++;
	}
}

static void blk_finish(struct vhk_done *done, u16 *id, u16 *n_desc, u32 *len)
{
	struct vhk_blk_req *req = container_of(done, struct vhk_blk_req, done);

	*id = req->id;
	*n_desc = req->n_desc;
	*len = 0;
	if (req->status_at) {
		WRITE_ONCE(*req->status_at, req->status);
		/* A length claims all bytes up to it. */
		if (req->status == VIRTIO_BLK_S_OK || req->in_len == 1)
			*len = req->in_len;
	}
	count(req);
	put_held(req->held, req->n_held);
	kvfree(req->more);
	req->more = NULL;
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

static void do_data(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	struct vhk_blk *blk = req->q->blk;
	const bool write = req->type == VIRTIO_BLK_T_OUT;
	const u32 bytes = write ? c->out_len - sizeof(struct virtio_blk_outhdr) : c->in_len - 1;

	if (c->fault || !bytes || bytes % SECTOR_SIZE || (write && blk->disk->read_only) ||
	    !in_disk(blk, req->sector, bytes / SECTOR_SIZE)) {
		vhk_blk_end(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	req->bytes = bytes;
	if (write)
		fill_bv(req, c->seg, c->n_out, sizeof(struct virtio_blk_outhdr), bytes);
	else
		fill_bv(req, c->seg + c->n_out, c->n_in, 0, bytes);
	vhk_blk_submit(req);
}

static void do_get_id(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	const u32 len = min_t(u32, c->in_len - 1, VIRTIO_BLK_ID_BYTES);

	vhk_blk_end(req, copy_in(c, req->q->blk->disk->serial, len) ? VIRTIO_BLK_S_OK :
								       VIRTIO_BLK_S_IOERR);
}

/* Says what is wrong with the ranges of a discard or write-zeroes (virtio 1.3, 5.2.6.2). */
static u8 check_ranges(const struct vhk_blk_req *req)
{
	const u32 known = req->type == VIRTIO_BLK_T_WRITE_ZEROES ?
				  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	unsigned int i;

	for (i = 0; i < req->bytes; i++) {
		if (le32_to_cpu(req->ranges[i].flags) & ~known)
			return VIRTIO_BLK_S_UNSUPP;
		if (!in_disk(req->q->blk, le64_to_cpu(req->ranges[i].sector),
			     le32_to_cpu(req->ranges[i].num_sectors)))
			return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

static void do_ranges(struct vhk_blk_req *req, const struct vhk_chain *c)
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
	if (status == VIRTIO_BLK_S_OK)
		vhk_blk_ranges(req);
	else
		vhk_blk_end(req, status);
}

static bool has(const struct vhk_blk_req *req, unsigned int feature)
{
	return req->q->blk->dev.features & BIT_ULL(feature);
}

static void dispatch(struct vhk_blk_req *req, const struct vhk_chain *c)
{
	if (unlikely(READ_ONCE(req->q->blk->gone)) && req->type != VIRTIO_BLK_T_GET_ID) {
		vhk_blk_end(req, VIRTIO_BLK_S_IOERR);
		return;
	}
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		do_data(req, c);
		return;
	case VIRTIO_BLK_T_GET_ID:
		do_get_id(req, c);
		return;
	case VIRTIO_BLK_T_FLUSH:
		vhk_blk_flush(req);
		return;
	case VIRTIO_BLK_T_DISCARD:
		if (!has(req, VIRTIO_BLK_F_DISCARD))
			break;
		do_ranges(req, c);
		return;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		if (!has(req, VIRTIO_BLK_F_WRITE_ZEROES))
			break;
		do_ranges(req, c);
		return;
	}
	vhk_blk_end(req, VIRTIO_BLK_S_UNSUPP);
}

static struct vhk_done *blk_take(struct vhk_vq *vq, const struct vhk_chain *c)
{
	struct vhk_blk_queue *q = vq->priv;
	struct vhk_blk_req *req = &q->reqs[c->id];
	struct virtio_blk_outhdr hdr;

	req->id = c->id;
	req->n_desc = c->n_desc;
	req->n_bv = 0;
	req->n_held = 0;
	req->type = ~0u;
	req->in_len = c->in_len;
	req->bytes = 0;
	req->status_at = find_status(c);
	if (!make_room(req, c)) {
		/* Nothing is kept of a request that cannot be held: it is answered at once. */
		if (req->status_at)
			WRITE_ONCE(*req->status_at, VIRTIO_BLK_S_IOERR);
		req->status_at = NULL;
		put_held(c->held, c->n_held);
		vhk_blk_end(req, VIRTIO_BLK_S_IOERR);
		return &req->done;
	}
	req->n_held = c->n_held;
	memcpy(req->held, c->held, c->n_held * sizeof(*c->held));
	if (!req->status_at || !vhk_chain_read(c, 0, &hdr, sizeof(hdr))) {
		vhk_blk_end(req, VIRTIO_BLK_S_IOERR);
		return &req->done;
	}
	req->type = __virtio32_to_cpu(true, hdr.type);
	req->sector = __virtio64_to_cpu(true, hdr.sector);
	dispatch(req, c);
	return &req->done;
}

static void blk_batch(struct vhk_vq *vq, bool begin)
{
	struct vhk_blk_queue *q = vq->priv;

	if (begin)
		blk_start_plug(&q->plug);
	else
		blk_finish_plug(&q->plug);
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

	vhk_blk_fini_queues(blk);
	kvfree(dev->vqs);
}

const struct vhk_dev_ops vhk_blk_ops = {
	.id = VIRTIO_ID_BLOCK,
	.queues = &vhk_worker_ops,
	.take = blk_take,
	.finish = blk_finish,
	.batch = blk_batch,
	.config = blk_config,
	.free = blk_free,
};

static void disk_resized(void *user, u64 bytes)
{
	struct vhk_blk *blk = user;

	vhk_blk_set_size(blk, bytes);
	vhk_dev_config_changed(&blk->dev);
}

/* What was sent below before comes back by itself, with errors. */
static void disk_gone(void *user)
{
	struct vhk_blk *blk = user;

	WRITE_ONCE(blk->gone, true);
	vhk_dev_config_changed(&blk->dev);
}

static void add_stats(struct vhostkit_disk_stats *out, const struct vhk_vq *vq)
{
	const struct vhk_blk_queue *q = vq->priv;
	const struct vhk_blk_stats *s = &q->stats;

	out->in_flight += READ_ONCE(vq->n_in_flight);
	out->reads += READ_ONCE(s->reads);
	out->read_bytes += READ_ONCE(s->read_bytes);
	out->writes += READ_ONCE(s->writes);
	out->write_bytes += READ_ONCE(s->write_bytes);
	out->flushes += READ_ONCE(s->flushes);
	out->discards += READ_ONCE(s->discards);
	out->zeroes += READ_ONCE(s->zeroes);
	out->errors += READ_ONCE(s->errors);
	out->unsupported += READ_ONCE(s->unsupported);
	out->kicks += atomic_long_read(&vq->n_kicks);
	out->calls += READ_ONCE(vq->n_calls);
}

static int disk_stats(void *user, struct vhostkit_disk_stats *out)
{
	struct vhk_dev *dev = &((struct vhk_blk *)user)->dev;
	const u32 queue = out->queue;
	unsigned int i;

	if (queue != VHOSTKIT_ALL_QUEUES && queue >= dev->n_vqs)
		return -EINVAL;
	memset_after(out, 0, queue);
	for (i = 0; i < dev->n_vqs; i++)
		if (queue == VHOSTKIT_ALL_QUEUES || queue == i)
			add_stats(out, &dev->vqs[i]);
	return 0;
}

const struct vhk_disk_user_ops vhk_blk_disk_ops = {
	.resized = disk_resized,
	.stats = disk_stats,
	.gone = disk_gone,
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
			q->reqs[j].done.vq = &blk->dev.vqs[i];
		}
		blk->dev.vqs[i].priv = q;
	}
	return 0;
}

void vhk_blk_fini_queues(struct vhk_blk *blk)
{
	unsigned int i;

	for (i = 0; blk->queues && i < blk->dev.n_vqs; i++)
		kvfree(blk->queues[i].reqs);
	kvfree(blk->queues);
	blk->queues = NULL;
}
