// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The disk as a device object: made from options, its queues started and stopped, resized, counted,
 * freed.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "blk_impl.h"
#include "device.h"

#define DEVICE_ID_BLOCK 2
#define QUEUES_MAX 256
#define QUEUE_SIZE_DEFAULT 1024
#define BLOCK_SIZE_MAX 4096
#define LOCK_MS_DEFAULT 5000

static int queue_start(void *priv, struct vhk_queue *q)
{
	struct vhk_blk *blk = priv;
	struct vhk_blk_queue *bq = &blk->queue[vhk_queue_index(q)];
	uint32_t flags = 0;
	int file;

	if (blk->file.memory)
		flags = VHK_FILE_F_INLINE_WRITE;
	else if (blk->file.hands_over)
		flags = VHK_FILE_F_ASYNC_WRITE;
	bq->q = q;
	bq->loop = vhk_queue_loop(q);
	file = vhk_loop_add_file(bq->loop, blk->file.fd, flags);
	if (file < 0)
		return file;
	bq->file = file;
	vhk_fault_enter(&bq->scope, blk->file.table);
	if (blk->file.cached && blk->file.mapped)
		vhk_blk_reader_init(&bq->reader, &blk->present);
	vhk_queue_set_priv(q, bq);
	return 0;
}

static void queue_stop(void *priv, struct vhk_queue *q)
{
	struct vhk_blk_queue *bq = vhk_queue_priv(q);

	(void)priv;
	bq->reader.present = NULL;
	vhk_fault_leave(&bq->scope);
	vhk_loop_del_file(bq->loop, bq->file);
	vhk_queue_set_priv(q, NULL);
}

static void blk_free(void *priv)
{
	struct vhk_blk *blk = priv;

	if (!blk)
		return;
	vhk_blk_present_fini(&blk->present);
	vhk_blk_file_close(&blk->file);
	free(blk->path);
	free(blk);
}

static const struct vhk_device_ops blk_ops = {
	.sz = sizeof(blk_ops),
	.set_features = vhk_blk_set_features,
	.get_config = vhk_blk_get_config,
	.set_config = vhk_blk_set_config,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.work = vhk_blk_work,
	.reset = vhk_blk_reset,
	.free = blk_free,
	.begin = vhk_blk_begin,
	.end = vhk_blk_end,
	.hand_over = vhk_blk_hand_over,
	.take_over = vhk_blk_take_over,
};

static int check_opts(struct vhk_blk_opts *o)
{
	if (!o->path || (o->flags & ~VHK_BLK_F_ALL))
		return o->path ? -EOPNOTSUPP : -EINVAL;
	if (!o->num_queues)
		o->num_queues = 1;
	if (!o->queue_size)
		o->queue_size = QUEUE_SIZE_DEFAULT;
	if (o->num_queues > QUEUES_MAX || o->queue_size < 4 || o->queue_size > VHK_QUEUE_SIZE_MAX ||
	    !vhk_is_power_of_2(o->queue_size))
		return -EINVAL;
	if (o->block_size && (o->block_size < VHK_BLK_SECTOR || o->block_size > BLOCK_SIZE_MAX ||
			      !vhk_is_power_of_2(o->block_size)))
		return -EINVAL;
	if (o->serial && strlen(o->serial) > VIRTIO_BLK_ID_BYTES)
		return -EINVAL;
	return 0;
}

static int make_id(struct vhk_blk *blk, const char *serial)
{
	char text[2 * VIRTIO_BLK_ID_BYTES];
	struct stat st;

	if (!serial) {
		if (fstat(blk->file.fd, &st))
			return -errno;
		snprintf(text, sizeof(text), "%llx-%llx",
			 (unsigned long long)(blk->file.block ? st.st_rdev : st.st_dev),
			 (unsigned long long)(blk->file.block ? 0 : st.st_ino));
		serial = text;
	}
	memcpy(blk->id, serial, strnlen(serial, sizeof(blk->id)));
	return 0;
}

int vhk_blk_look_at_size(struct vhk_blk *blk)
{
	int64_t size = vhk_blk_file_size(&blk->file);
	uint64_t sectors;

	if (size < 0)
		return (int)size;
	vhk_blk_map_look(&blk->file);
	/* Whole blocks: a driver that works in them must not find half of one at the end. */
	sectors = (uint64_t)size / blk->file.block_size * (blk->file.block_size / VHK_BLK_SECTOR);
	return atomic_exchange_explicit(&blk->capacity, sectors, memory_order_relaxed) != sectors;
}

static uint64_t sectors_of(const struct vhk_blk *blk)
{
	return atomic_load_explicit(&blk->capacity, memory_order_relaxed);
}

static int fill_in(struct vhk_blk *blk, const struct vhk_blk_opts *o)
{
	unsigned int i;
	int ret;

	blk->log = o->log;
	blk->lock_ms = o->lock_ms ? o->lock_ms : LOCK_MS_DEFAULT;
	blk->queue_size = o->queue_size;
	blk->n_queues = o->num_queues;
	for (i = 0; i < blk->n_queues; i++)
		blk->queue[i].blk = blk;
	blk->path = strdup(o->path);
	if (!blk->path)
		return -ENOMEM;
	ret = vhk_blk_file_open(&blk->file, o);
	if (ret)
		return ret;
	if (blk->file.cached && blk->file.mapped)
		vhk_blk_present_init(&blk->present, blk->file.mapped, blk->file.mapped_size);
	if (!(o->flags & VHK_BLK_F_INCOMING))
		ret = vhk_blk_lock_open(blk);
	if (!ret)
		ret = make_id(blk, o->serial);
	if (ret)
		return ret;
	ret = vhk_blk_look_at_size(blk);
	if (ret >= 0 && !sectors_of(blk))
		vhk_log(&blk->log, VHK_LOG_WARN, "%s: is empty: a disk without blocks", blk->path);
	blk->offered = vhk_blk_offer(blk);
	vhk_blk_reset(blk);
	return ret < 0 ? ret : 0;
}

static struct vhk_blk *blk_alloc(unsigned int n_queues)
{
	size_t size = sizeof(struct vhk_blk) + n_queues * sizeof(struct vhk_blk_queue);
	struct vhk_blk *blk = aligned_alloc(64, vhk_align_up(size, 64));

	if (!blk)
		return NULL;
	memset(blk, 0, size);
	blk->file.fd = -1;
	return blk;
}

int vhk_blk_new(struct vhk_device **out, const struct vhk_blk_opts *opts)
{
	struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = DEVICE_ID_BLOCK,
		.ctx_size = sizeof(struct vhk_blk_req),
		.max_segs = VHK_BLK_SEGS,
		.config_size = VHK_BLK_CONFIG_SIZE,
	};
	struct vhk_blk_opts o;
	struct vhk_blk *blk;
	int ret;

	*out = NULL;
	ret = vhk_opts_read(&o, sizeof(o), opts);
	if (!ret)
		ret = check_opts(&o);
	if (ret)
		return ret;
	blk = blk_alloc(o.num_queues);
	if (!blk)
		return -ENOMEM;
	ret = fill_in(blk, &o);
	if (ret)
		goto err;
	info.features = blk->offered;
	info.n_queues = o.num_queues;
	info.queue_size = o.queue_size;
	ret = vhk_device_new(&blk->dev, &info, &blk_ops, blk);
	if (ret)
		goto err;
	*out = blk->dev;
	return 0;
err:
	blk_free(blk);
	return ret;
}

static bool is_blk(const struct vhk_device *d)
{
	return vhk_device_does(d, &blk_ops);
}

int vhk_blk_resize(struct vhk_device *d)
{
	struct vhk_blk *blk;
	uint64_t was, is;
	int ret;

	if (!is_blk(d))
		return -EINVAL;
	blk = vhk_device_priv(d);
	was = sectors_of(blk);
	ret = vhk_blk_look_at_size(blk);
	if (ret <= 0)
		return ret;
	is = sectors_of(blk);
	vhk_log(&blk->log, is < was ? VHK_LOG_WARN : VHK_LOG_INFO,
		"%s: %s to %llu sectors, in whole blocks", blk->path,
		is < was ? "shrunk" : "resized", (unsigned long long)is);
	/* Nobody there to be told is no failure: the next driver reads the new size. */
	vhk_device_config_changed(d);
	return 1;
}

bool vhk_blk_wants_writer(const struct vhk_device *d)
{
	const struct vhk_blk *blk = vhk_device_priv(d);

	return blk->file.hands_over && !blk->file.read_only;
}

int vhk_blk_stats(const struct vhk_device *d, unsigned int queue, struct vhk_blk_stats *out)
{
	const struct vhk_blk_counters *c;
	const struct vhk_blk *blk;
	unsigned int i;

	if (!is_blk(d) || queue >= vhk_device_info(d)->n_queues)
		return -EINVAL;
	blk = vhk_device_priv(d);
	c = &blk->queue[queue].counters;
	for (i = 0; i < VHK_BLK_KINDS; i++) {
		out->ops[i] = atomic_load_explicit(&c->ops[i], memory_order_relaxed);
		out->bytes[i] = atomic_load_explicit(&c->bytes[i], memory_order_relaxed);
	}
	out->errors = atomic_load_explicit(&c->errors, memory_order_relaxed);
	out->bounced = atomic_load_explicit(&c->bounced, memory_order_relaxed);
	return 0;
}
