// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Taps and packet sockets as ports: a file descriptor for each pair. It is read only as long as the
 * driver has buffers, so that what has to be dropped is dropped by the kernel.
 */
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net_fd.h"
#include "net_impl.h"
#include "net_open.h"

#define ROUND 64 /* packets read before others have their turn */

struct fd_port {
	bool packet;
	bool many; /* of several queues of a tap */
};

/* What a pair's receive queue has: its reader. */
struct fd_rx {
	struct net_reader reader;
	bool watched, hung_up;
	uint32_t events;
};

static const struct fd_port *port_of(const struct vhk_net *net)
{
	return net->port;
}

ssize_t vhk_net_write(int fd, bool packet, const struct net_frame *f)
{
	struct virtio_net_hdr_v1 hdr = f->hdr;
	struct iovec iov[1 + NET_SEGS];
	unsigned int i, n = vhk_min(f->n_seg, (unsigned int)NET_SEGS);
	ssize_t ret;

	iov[0].iov_base = &hdr;
	iov[0].iov_len = packet ? sizeof(struct virtio_net_hdr) : sizeof(hdr);
	for (i = 0; i < n; i++)
		iov[1 + i] = f->seg[i];
	iov[1].iov_base = (char *)iov[1].iov_base + f->off;
	iov[1].iov_len -= f->off;
	ret = writev(fd, iov, (int)n + 1);
	return ret < 0 ? -errno : ret;
}

enum vhk_net_drop vhk_net_write_failed(struct vhk_net *net, int err)
{
	switch (err) {
	case -EBADFD:
	case -ENODEV:
	case -ENXIO:
		if (net)
			vhk_net_lose_port(net, err);
		return VHK_NET_DROP_LINK;
	case -EIO: /* a tap that is down */
	case -ENETDOWN:
		return VHK_NET_DROP_LINK;
	case -EAGAIN:
	case -ENOBUFS:
		return VHK_NET_DROP_ROOM;
	case -EMSGSIZE:
		return VHK_NET_DROP_LONG;
	default:
		return VHK_NET_DROP_PORT;
	}
}

static void fd_send(struct net_queue *tx, const struct net_frame *f, unsigned int n)
{
	const int fd = tx->net->fds[tx->pair];
	const bool packet = port_of(tx->net)->packet;
	uint64_t packets = 0, bytes = 0;
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < n; i++) {
		ret = vhk_net_write(fd, packet, &f[i]);
		if (ret < 0) {
			vhk_net_dropped(tx, vhk_net_write_failed(tx->net, (int)ret), 1);
			continue;
		}
		packets++;
		bytes += f[i].len;
	}
	net_passed(tx, packets, bytes);
}

static ssize_t read_tap(int fd, struct virtio_net_hdr_v1 *hdr, unsigned char *buf, size_t size)
{
	struct iovec iov[2] = { { hdr, sizeof(*hdr) }, { buf, size } };
	ssize_t n = readv(fd, iov, 2);

	if (n < 0)
		return -errno;
	hdr->num_buffers = 0;
	return n < (ssize_t)sizeof(*hdr) ? -EMSGSIZE : n - (ssize_t)sizeof(*hdr);
}

int vhk_net_reader_init(struct net_reader *r, int fd, bool packet)
{
	*r = (struct net_reader){ .fd = fd, .packet = packet };
	r->buf = malloc(NET_READ_BUF);
	return r->buf ? 0 : -ENOMEM;
}

void vhk_net_reader_fini(struct net_reader *r)
{
	free(r->buf);
	r->buf = NULL;
}

int vhk_net_reader_next(struct net_reader *r, struct net_frame *f)
{
	unsigned char *at = r->buf + NET_READ_GAP;
	ssize_t n;

	if (r->packet)
		n = vhk_net_packet_read(r->fd, &f->hdr, &at, NET_FRAME_MAX);
	else
		n = read_tap(r->fd, &f->hdr, at, NET_FRAME_MAX);
	if (n < 0)
		return (int)n;
	r->seg = (struct iovec){ at, (size_t)n };
	f->seg = &r->seg;
	f->n_seg = 1;
	f->off = 0;
	f->len = (uint32_t)n;
	return 0;
}

static void watch(struct net_queue *rx, bool on)
{
	struct fd_rx *p = rx->port;
	struct vhk_loop *l = vhk_queue_loop(rx->q);
	const uint32_t events = on ? EPOLLIN : 0;

	if (p->hung_up || p->events == events)
		return;
	p->events = events;
	vhk_loop_mod_fd(l, p->reader.fd, events);
}

static void hang_up(struct net_queue *rx, int err)
{
	struct fd_rx *p = rx->port;

	p->hung_up = true;
	vhk_loop_del_fd(vhk_queue_loop(rx->q), p->reader.fd);
	vhk_net_lose_port(rx->net, err);
}

/* The driver's buffers first: what is not read can wait in the kernel. */
static void wait_for_room(struct net_queue *rx)
{
	watch(rx, false);
	vhk_queue_want(rx->q, true);
}

/* 0: go on; -EAGAIN: that was all; -ENOBUFS: no buffers are left; or the fd is of no use. */
static int read_some(struct net_queue *rx, struct net_give *g)
{
	struct fd_rx *p = rx->port;
	struct net_frame f;
	unsigned int i, used;
	int ret;

	for (i = 0; i < NET_BATCH; i++) {
		if (!vhk_net_give_room(g, vhk_max(p->reader.chains, 1u)))
			return -ENOBUFS;
		ret = vhk_net_reader_next(&p->reader, &f);
		if (ret == -EMSGSIZE) {
			g->seen++;
			vhk_net_dropped(rx, VHK_NET_DROP_LONG, 1);
			continue;
		}
		if (ret)
			return ret;
		used = g->used;
		if (vhk_net_give(g, &f) && g->used >= used)
			/* the next one may be as long; what it does not need goes back */
			p->reader.chains = g->used - used;
	}
	return 0;
}

static void read_all(struct net_queue *rx)
{
	struct net_give g;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ROUND && !ret; i += NET_BATCH) {
		vhk_net_give_begin(&g, rx, 4);
		ret = read_some(rx, &g);
		vhk_net_give_end(&g);
	}
	if (ret == -ENOBUFS)
		wait_for_room(rx);
	else if (ret && ret != -EAGAIN && ret != -EINTR && ret != -EIO && ret != -ENETDOWN)
		hang_up(rx, ret);
}

static void fd_ready(void *arg, uint32_t events)
{
	struct net_queue *rx = arg;
	struct fd_rx *p = rx->port;

	if (p->events & EPOLLIN)
		read_all(rx);
	else if (events & (EPOLLERR | EPOLLHUP))
		hang_up(rx, -ENODEV);
}

static void fd_room(struct net_queue *rx)
{
	watch(rx, true);
}

static int fd_start(struct net_queue *nq)
{
	struct vhk_net *net = nq->net;
	const struct fd_port *port = port_of(net);
	const int fd = net->fds[nq->pair];
	struct fd_rx *p;
	int ret;

	if (!nq->rx)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	ret = vhk_net_reader_init(&p->reader, fd, port->packet);
	if (ret)
		goto err;
	nq->port = p;
	/* a port that is gone has the driver see a link that is down, and no error */
	p->hung_up = atomic_load(&net->gone);
	if (p->hung_up)
		return 0;
	p->events = EPOLLIN;
	ret = vhk_loop_add_fd(vhk_queue_loop(nq->q), fd, EPOLLIN, fd_ready, nq);
	if (ret)
		goto err;
	if (port->many)
		vhk_net_tap_attach(fd, true);
	return 0;
err:
	nq->port = NULL;
	vhk_net_reader_fini(&p->reader);
	free(p);
	return ret;
}

static void fd_stop(struct net_queue *nq)
{
	const struct vhk_net *net = nq->net;
	struct fd_rx *p = nq->port;

	if (!nq->rx)
		return;
	if (!p->hung_up)
		vhk_loop_del_fd(vhk_queue_loop(nq->q), p->reader.fd);
	/* else the kernel would go on sending flows there that nobody reads */
	if (port_of(net)->many)
		vhk_net_tap_attach(p->reader.fd, false);
	vhk_net_reader_fini(&p->reader);
	free(p);
	nq->port = NULL;
}

static int tap_offload(struct vhk_net *net, uint64_t guest)
{
	return atomic_load(&net->gone) ? 0 : vhk_net_tap_offload(net->fds[0], guest);
}

/* A packet socket hands out what there is: what the driver cannot take is made fit, or dropped. */
static int packet_offload(struct vhk_net *net, uint64_t guest)
{
	(void)net;
	(void)guest;
	return 0;
}

static void fd_announce(struct vhk_net *net, const void *frame, size_t len)
{
	const struct iovec seg = { (void *)frame, len };
	const struct net_frame f = { .len = (uint32_t)len, .seg = &seg, .n_seg = 1 };

	vhk_net_write(net->fds[0], port_of(net)->packet, &f);
}

static void fd_free(struct vhk_net *net)
{
	free(net->port);
}

static const struct net_port_ops tap_ops = {
	.features = NET_HOST | NET_GUEST,
	.set_offload = tap_offload,
	.start = fd_start,
	.stop = fd_stop,
	.send = fd_send,
	.room = fd_room,
	.announce = fd_announce,
	.free = fd_free,
};

static const struct net_port_ops packet_ops = {
	.features = NET_HOST | NET_GUEST,
	.set_offload = packet_offload,
	.start = fd_start,
	.stop = fd_stop,
	.send = fd_send,
	.room = fd_room,
	.announce = fd_announce,
	.free = fd_free,
};

int vhk_net_fd_open(struct vhk_net *net, bool packet)
{
	struct fd_port *p = calloc(1, sizeof(*p));
	unsigned int i;
	int ret = 0;

	if (!p)
		return -ENOMEM;
	net->port = p;
	net->ops = packet ? &packet_ops : &tap_ops;
	p->packet = packet;
	p->many = net->n_fds > 1;
	for (i = 0; i < net->n_fds && !ret; i++) {
		ret = packet ? vhk_net_packet_init(net->fds[i]) : vhk_net_tap_init(net->fds[i]);
		if (!ret && p->many)
			ret = vhk_net_tap_attach(net->fds[i], false);
	}
	return ret;
}
