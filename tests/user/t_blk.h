/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The disk alone: its files compiled against a device, a queue and a loop of the test's own, so
 * that chains can have any shape and the medium any fault. One request is under way at a time; I/O
 * is done at once.
 */
#ifndef VHK_TESTS_T_BLK_H
#define VHK_TESTS_T_BLK_H

#define vhk_device_new t_device_new
#define vhk_device_free t_device_free
#define vhk_device_priv t_device_priv
#define vhk_device_info t_device_info
#define vhk_device_does t_device_does
#define vhk_device_config_changed t_config_changed
#define vhk_queue_index t_queue_index
#define vhk_queue_loop t_queue_loop
#define vhk_queue_set_priv t_queue_set_priv
#define vhk_queue_priv t_queue_priv
#define vhk_queue_done t_queue_done
#define vhk_queue_fail t_queue_fail
#define vhk_queue_give_back t_queue_give_back
#define vhk_queue_suspending t_queue_suspending
#define vhk_queue_late t_queue_late
#define vhk_queue_torn t_queue_torn
#define vhk_loop_add_file t_add_file
#define vhk_loop_del_file t_del_file
#define vhk_loop_submit t_submit

#include "blk.c"
#include "blk_config.c"
#include "blk_file.c"
#include "blk_io.c"
#include "blk_limits.c"
#include "blk_lock.c"
#include "blk_map.c"
#include "blk_over.c"
#include "blk_range.c"
#include "blk_req.c"

#include "t.h"

#define T_SEGS 132

struct vhk_queue {
	void *priv;
	unsigned int idx, done, failed;
	uint32_t written;
	struct vhk_chain *answered;
	bool suspending, late, torn;
	unsigned int given_back;
};

struct vhk_loop {
	int fd;
	uint32_t file_flags;
};

struct vhk_device {
	struct vhk_device_info info;
	struct vhk_device_ops ops;
	void *priv;
	unsigned int changed;
};

/* What the medium did, and is to do: fault[i] (0: as it should) is the result of operation i. */
static struct t_medium {
	int fd;
	unsigned int n, at_once;
	struct {
		enum vhk_io_op op;
		uint32_t flags, n_iov;
		uint64_t off, len;
		bool aligned;
	} io[64];
	int fault[64];
	uint64_t most; /* bytes in one operation; 0: any */
	unsigned int suspend_at; /* the queue is suspended while operation number so many runs */
} t_medium;

static struct vhk_queue t_queue;
static struct vhk_loop t_loop;

void vhk_queue_give_back(struct vhk_queue *q, struct vhk_chain *c)
{
	q->given_back++;
	q->answered = c;
}

bool vhk_queue_suspending(const struct vhk_queue *q)
{
	return q->suspending;
}

bool vhk_queue_late(const struct vhk_queue *q)
{
	return q->late;
}

bool vhk_queue_torn(const struct vhk_queue *q)
{
	return q->torn;
}

int vhk_device_new(struct vhk_device **out, const struct vhk_device_info *info,
		   const struct vhk_device_ops *ops, void *priv)
{
	struct vhk_device *d = calloc(1, sizeof(*d));

	T_MUST(d);
	d->info = *info;
	d->ops = *ops;
	d->priv = priv;
	*out = d;
	return 0;
}

void vhk_device_free(struct vhk_device *d)
{
	if (!d)
		return;
	d->ops.free(d->priv);
	free(d);
}

void *vhk_device_priv(const struct vhk_device *d)
{
	return d->priv;
}

const struct vhk_device_info *vhk_device_info(const struct vhk_device *d)
{
	return &d->info;
}

bool vhk_device_does(const struct vhk_device *d, const struct vhk_device_ops *ops)
{
	return d->ops.work == ops->work;
}

int vhk_device_config_changed(struct vhk_device *d)
{
	d->changed++;
	return 0;
}

unsigned int vhk_queue_index(const struct vhk_queue *q)
{
	return q->idx;
}

struct vhk_loop *vhk_queue_loop(const struct vhk_queue *q)
{
	(void)q;
	return &t_loop;
}

void vhk_queue_set_priv(struct vhk_queue *q, void *priv)
{
	q->priv = priv;
}

void *vhk_queue_priv(const struct vhk_queue *q)
{
	return q->priv;
}

void vhk_queue_done(struct vhk_queue *q, struct vhk_chain *c, uint32_t written)
{
	q->done++;
	q->written = written;
	q->answered = c;
}

void vhk_queue_fail(struct vhk_queue *q)
{
	q->failed++;
}

int vhk_loop_add_file(struct vhk_loop *l, int fd, uint32_t flags)
{
	l->fd = fd;
	l->file_flags = flags;
	return 7;
}

void vhk_loop_del_file(struct vhk_loop *l, int file)
{
	T_EQ(file, 7);
	l->fd = -1;
}

static ssize_t t_move(const struct vhk_io *io)
{
	struct iovec iov[T_SEGS];
	uint64_t left = t_medium.most ? t_medium.most : UINT64_MAX;
	int n = 0;
	ssize_t ret;

	T_MUST(io->n_iov > 0 && io->n_iov <= T_SEGS);
	for (; n < (int)io->n_iov && left; n++) {
		iov[n] = io->iov[n];
		iov[n].iov_len = vhk_min(iov[n].iov_len, left);
		left -= iov[n].iov_len;
	}
	ret = io->op == VHK_IO_READ ? preadv(t_loop.fd, iov, n, (off_t)io->off)
				    : pwritev(t_loop.fd, iov, n, (off_t)io->off);
	return ret < 0 ? -errno : ret;
}

static int t_carry_out(const struct vhk_io *io)
{
	int mode = io->op == VHK_IO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (io->op == VHK_IO_READ || io->op == VHK_IO_WRITE)
		return (int)t_move(io);
	if (io->op == VHK_IO_FSYNC)
		return 0;
	return fallocate(t_loop.fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->off, (off_t)io->len)
		       ? -errno
		       : 0;
}

void vhk_loop_submit(struct vhk_loop *l, struct vhk_io *io)
{
	unsigned int i = t_medium.n++;
	uint32_t s;

	T_EQ(l == &t_loop, 1);
	T_EQ(io->file, 7);
	T_MUST(i < vhk_array_size(t_medium.io));
	t_medium.io[i].op = io->op;
	t_medium.io[i].flags = io->flags;
	t_medium.io[i].n_iov = io->n_iov;
	t_medium.io[i].off = io->off;
	t_medium.io[i].len = io->len;
	t_medium.io[i].aligned = true;
	for (s = 0; s < io->n_iov && io->op <= VHK_IO_WRITE; s++)
		if ((uintptr_t)io->iov[s].iov_base % 512 || io->iov[s].iov_len % 512)
			t_medium.io[i].aligned = false;
	if (t_medium.n == t_medium.suspend_at)
		t_queue.suspending = true;
	io->done(io, t_medium.fault[i] ? t_medium.fault[i] : t_carry_out(io));
}

/*
 * A chain whose segments are allocations of their own, of the lengths given; -1: it lies nowhere.
 */
struct t_chain {
	struct iovec seg[T_SEGS], was[T_SEGS];
	struct vhk_chain *c;
};

static inline void t_chain_make(struct t_chain *t, const void *out, const int *out_len,
				unsigned int n_out, const int *in_len, unsigned int n_in)
{
	const unsigned char *from = out;
	unsigned int i;
	int len;

	memset(t, 0, sizeof(*t));
	T_MUST(n_out + n_in <= T_SEGS);
	t->c = aligned_alloc(16, vhk_align_up(sizeof(*t->c) + sizeof(struct vhk_blk_req), 16));
	T_MUST(t->c);
	memset(t->c, 0xa5, sizeof(*t->c) + sizeof(struct vhk_blk_req));
	*t->c = (struct vhk_chain){ .n_out = (uint16_t)n_out,
				    .n_in = (uint16_t)n_in,
				    .seg = t->seg };
	for (i = 0; i < n_out + n_in; i++) {
		len = i < n_out ? out_len[i] : in_len[i - n_out];
		t->seg[i].iov_len = len < 0 ? 1 : (size_t)len;
		if (len < 0)
			t->c->flags |= VHK_CHAIN_F_FAULT;
		else
			t->seg[i].iov_base = malloc(len ? (size_t)len : 1);
		if (i < n_out) {
			if (len > 0)
				memcpy(t->seg[i].iov_base, from, (size_t)len);
			from += t->seg[i].iov_len;
			t->c->out_len += (uint32_t)t->seg[i].iov_len;
		} else {
			if (len > 0)
				memset(t->seg[i].iov_base, 0xee, (size_t)len);
			t->c->in_len += (uint32_t)t->seg[i].iov_len;
		}
	}
	memcpy(t->was, t->seg, sizeof(t->was));
}

/* The writable part in one piece; how many bytes. What lies nowhere reads as 0xdd. */
static inline size_t t_chain_in(const struct t_chain *t, unsigned char *to, size_t max)
{
	size_t n = 0, len;
	unsigned int i;

	for (i = t->c->n_out; i < (unsigned int)t->c->n_out + t->c->n_in; i++) {
		len = t->seg[i].iov_len;
		T_MUST(n + len <= max);
		memset(to + n, 0xdd, len);
		if (t->seg[i].iov_base)
			memcpy(to + n, t->seg[i].iov_base, len);
		n += len;
	}
	return n;
}

static inline void t_chain_free(struct t_chain *t)
{
	unsigned int i;

	for (i = 0; i < T_SEGS; i++)
		free(t->was[i].iov_base);
	free(t->c);
}

/*
 * Sends the chain through the disk. It is answered exactly once, and its segments are as they were.
 */
static inline void t_chain_run(struct vhk_device *d, struct t_chain *t)
{
	unsigned int done = t_queue.done;

	t_medium.n = 0;
	t_queue.failed = 0;
	d->ops.work(d->priv, &t_queue, &t->c, 1);
	T_EQ(t_queue.done, done + 1);
	T_OK(t_queue.answered == t->c);
	T_EQ(memcmp(t->seg, t->was, sizeof(t->seg)), 0);
}

/* t_dir() on a file system with a medium behind it, which /tmp need not have. */
static inline const char *t_disk_dir(void)
{
	if (!t_folder[0]) {
		strcpy(t_folder, "/var/tmp/vhk-test-XXXXXX");
		T_MUST(mkdtemp(t_folder));
		atexit(t_remove_folder);
	}
	return t_folder;
}

static inline struct virtio_blk_outhdr t_header(uint32_t type, uint64_t sector)
{
	return (struct virtio_blk_outhdr){ .type = htole32(type), .sector = htole64(sector) };
}

/* Sector i of a fresh image is full of its own number. */
static inline void t_image(const char *path, unsigned int sectors)
{
	unsigned char sector[512];
	unsigned int i, k;
	FILE *f = fopen(path, "we");

	T_MUST(f);
	for (i = 0; i < sectors; i++) {
		for (k = 0; k < sizeof(sector); k++)
			sector[k] = (unsigned char)(k % 2 ? i >> 8 : i + 1);
		T_MUST(fwrite(sector, sizeof(sector), 1, f) == 1);
	}
	T_MUST(!fclose(f));
}

/* The disk on @path, features negotiated as far as offered, one queue started. */
static inline struct vhk_device *t_disk(const char *path, uint32_t flags, uint64_t without)
{
	struct vhk_blk_opts o = {
		.sz = sizeof(o), .path = path, .serial = "serial-0", .flags = flags
	};
	struct vhk_device *d = NULL;

	T_EQ(vhk_blk_new(&d, &o), 0);
	T_MUST(d);
	memset(&t_medium, 0, sizeof(t_medium));
	memset(&t_queue, 0, sizeof(t_queue));
	T_EQ(d->ops.set_features(d->priv, d->info.features & ~without), 0);
	T_EQ(d->ops.queue_start(d->priv, &t_queue), 0);
	return d;
}

static inline void t_disk_free(struct vhk_device *d)
{
	d->ops.queue_stop(d->priv, &t_queue);
	vhk_device_free(d);
}

#endif
