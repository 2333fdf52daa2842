/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio disk behind a front end: the driver of virtio 1.3, section 5.2, as little of it as the
 * tool needs.
 */
#ifndef VHK_TOOL_DISK_H
#define VHK_TOOL_DISK_H

#include <errno.h>
#include <linux/virtio_blk.h>

#include <vhostkit/ctl.h>

#define DISK_SECTOR 512u
/* What a front end hears that its first request was not answered. */
#define DISK_BUSY "the back end closed the connection: another front end may be connected"

struct disk_opts {
	const char *uri;
	uint32_t timeout_ms;
	unsigned int queues, depth;
	uint32_t block; /* largest request, bytes */
	bool packed, no_event_idx, indirect, in_order;
};

/*
 * One request; its memory is shared with the back end and is the caller's between disk_get() and
 * disk_submit().
 */
struct disk_req {
	struct disk_req *next; /* while free */
	struct virtio_blk_outhdr *hdr;
	unsigned char *status;
	unsigned char *data;
	uint32_t type, len;
	uint64_t at; /* bytes */
	unsigned int queue;
	bool out; /* outstanding */
	bool done;
	uint64_t begun, tag; /* the caller's */
};

struct disk_queue {
	struct vhk_vq *vq;
	struct disk_req *req, *free;
	unsigned int n_out;
	bool staged;
};

struct disk {
	const char *uri;
	struct vhk_ctl *ctl;
	struct vhk_mem *mem;
	struct disk_queue *queue;
	unsigned int n_queues, depth;
	uint64_t size; /* bytes */
	uint32_t sector; /* logical block, bytes */
	bool read_only;
	int epoll_fd;
};

/* @ret, or -EPROTO where -ENOTCONN means that the peer was given up for what it sent. */
static inline int disk_why(const struct vhk_ctl *c, int ret)
{
	return ret == -ENOTCONN && vhk_ctl_fault(c, 0) == -EPROTO ? -EPROTO : ret;
}

/* 0, or what was said as an error (an exit code). */
int disk_open(struct disk **out, const struct disk_opts *o);
void disk_close(struct disk *d);

/* A free request of @queue, or NULL. */
struct disk_req *disk_get(struct disk *d, unsigned int queue);
/* Stages @r: type, at and len are set, data is filled. 0 or -errno. */
int disk_submit(struct disk *d, struct disk_req *r);
/* Publishes what is staged and kicks where the device wants it. */
int disk_publish(struct disk *d, unsigned int queue);
/*
 * Answered requests, up to @max; each is to be given back with disk_put(). Negative: the ring is
 * broken.
 */
int disk_reap(struct disk *d, unsigned int queue, struct disk_req **out, int max);
void disk_put(struct disk *d, struct disk_req *r);
/* 0 or -EIO, -EOPNOTSUPP: what the device said about an answered request. */
int disk_result(const struct disk_req *r);
/* True: some queue has answers. */
bool disk_ready(const struct disk *d);
/* 0, or why what is outstanding stays so: -ENOTCONN, -EPROTO, -EBADMSG. */
int disk_fault(const struct disk *d);
/* Sleeps until some queue has answers: 0, -ETIMEDOUT, or as disk_fault(). */
int disk_wait(struct disk *d, int timeout_ms);
unsigned int disk_outstanding(const struct disk *d);
/*
 * After -ENOTCONN or -EPROTO, until the back end is back. Requests stay outstanding and will be
 * answered.
 */
int disk_reconnect(struct disk *d);

#endif
