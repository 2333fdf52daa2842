/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver of a network card, built on the library's front end: pairs of queues, frames in memory
 * that is shared with a back end which gives back all that it is sent, in order, and a look at
 * every byte that comes back.
 */
#ifndef VHK_TESTS_T_NIC_H
#define VHK_TESTS_T_NIC_H

#include <vhostkit/ctl.h>

#include "t_frame.h"

#define T_NIC_PAIRS 4
#define T_NIC_SIZE 256 /* of each ring */
#define T_NIC_ROOM 2048
#define T_NIC_RX 128 /* buffers to receive with */
#define T_NIC_TX 32  /* frames on their way */
#define T_NIC_AT 0x1000000
#define T_NIC_STEP 0x1000000
#define T_NIC_WAIT 20000000000LL
#define T_NET_F_MRG_RXBUF (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define T_NET_F_MTU (1ULL << VIRTIO_NET_F_MTU)
#define T_NET_F_MQ (1ULL << VIRTIO_NET_F_MQ)
#define T_NET_F_GUEST_ANNOUNCE (1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE)

struct t_nic_pair {
	struct vhk_vq *vq[2]; /* to receive with, to send with */
	unsigned char (*rx)[T_NIC_ROOM];
	unsigned char (*tx)[T_NIC_ROOM];
	uint32_t sent, got, gave_back;
	/* The frame that is coming in, over several buffers. */
	unsigned char frame[T_NET_HDR + T_FRAME_MAX];
	uint32_t have;
	unsigned int left;
};

struct t_nic {
	struct vhk_mem *mem;
	struct vhk_ctl *ctl;
	struct t_nic_pair pair[T_NIC_PAIRS];
	unsigned int n_pairs;
	uint64_t features;
	uint32_t rx_room;     /* bytes of each buffer to receive with */
	unsigned int tx_segs; /* pieces that a frame is sent in, its header apart: 1 to 4 */
	/* Of queues that were started message by message, without vhk_ctl_start(). */
	bool by_hand;
	int kick[2 * T_NIC_PAIRS], call[2 * T_NIC_PAIRS];
	/* RFC 903: what came with that type, and from where the last one. */
	unsigned int n_rarp;
	unsigned char rarp[6];
};

/* Rings and frames of pair @i, in one region: there are back ends that take eight, and no more. */
static inline void t_nic_make(struct t_nic *n, unsigned int i)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = T_NIC_SIZE, .features = n->features,
				 .max_indirect = 8, .indirect_min = 2 };
	const size_t frames = (T_NIC_RX + T_NIC_TX) * T_NIC_ROOM, ring = vhk_vq_bytes(&o);
	unsigned char(*p)[T_NIC_ROOM];
	unsigned int q;

	T_MUST(!vhk_mem_alloc(n->mem, (struct vhk_gpa){ T_NIC_AT + i * T_NIC_STEP },
			      frames + 2 * ring, (void **)&p));
	n->pair[i].rx = p;
	n->pair[i].tx = p + T_NIC_RX;
	for (q = 0; q < 2; q++) {
		o.block = (unsigned char *)p + frames + q * ring;
		T_MUST(!vhk_vq_new(&n->pair[i].vq[q], n->mem, &o));
	}
}

static inline void t_nic_post(struct t_nic *n, struct t_nic_pair *p, void *buf)
{
	struct iovec v = { buf, n->rx_room };

	T_EQ(vhk_vq_add(p->vq[0], &v, 0, 1, buf), 0);
}

static inline int t_nic_kick(struct t_nic *n, unsigned int i, unsigned int q)
{
	int ret = vhk_vq_publish(n->pair[i].vq[q]);
	const uint64_t one = 1;

	if (ret <= 0)
		return ret;
	if (!n->by_hand)
		return vhk_ctl_kick(n->ctl, 2 * i + q);
	return write(n->kick[2 * i + q], &one, sizeof(one)) == sizeof(one) ? 0 : -EIO;
}

static inline int t_nic_wait(struct t_nic *n, unsigned int i, unsigned int q)
{
	uint64_t count;

	if (!n->by_hand)
		return vhk_ctl_wait(n->ctl, 2 * i + q, T_NIC_WAIT);
	if (vhk_vq_arm(n->pair[i].vq[q]))
		return 0;
	if (!t_readable(n->call[2 * i + q], T_NIC_WAIT / 1000000))
		return -ETIMEDOUT;
	return read(n->call[2 * i + q], &count, sizeof(count)) == sizeof(count) ? 0 : -EIO;
}

/* All buffers to receive with, of a pair whose queues have just been started. */
static inline void t_nic_fill(struct t_nic *n, unsigned int i)
{
	struct t_nic_pair *p = &n->pair[i];
	unsigned int b;

	for (b = 0; b < T_NIC_RX; b++)
		t_nic_post(n, p, p->rx[b]);
	p->sent = p->got = p->gave_back = 0;
	p->have = p->left = 0;
	T_EQ(t_nic_kick(n, i, 0), 0);
}

/*
 * Everything up to running queues. @uri as of vhk_ctl_open(); n->rx_room and n->tx_segs are the
 * caller's to set, or 0. 0, or what connecting or setting up
 * failed with; t_nic_close() in any case.
 */
static inline int t_nic_open(struct t_nic *n, const char *uri, uint64_t want, unsigned int n_pairs,
			     const struct vhk_ctl_opts *opts)
{
	struct vhk_ctl_opts o = opts ? *opts : (struct vhk_ctl_opts){ 0 };
	struct vhk_vq *vq[2 * T_NIC_PAIRS];
	unsigned int i;
	int ret;

	n->rx_room = n->rx_room ? n->rx_room : T_NIC_ROOM;
	n->tx_segs = n->tx_segs ? n->tx_segs : 1;
	n->n_pairs = n_pairs;
	o.sz = sizeof(o);
	o.flags |= VHK_CTL_F_WAIT;
	o.timeout_ms = 20000;
	T_MUST(!vhk_mem_new(&n->mem));
	ret = vhk_ctl_open(&n->ctl, uri, &o);
	if (!ret)
		ret = vhk_ctl_setup(n->ctl, want, want, n->mem);
	if (ret)
		return ret;
	n->features = vhk_ctl_features(n->ctl);
	for (i = 0; i < n_pairs; i++) {
		t_nic_make(n, i);
		vq[2 * i] = n->pair[i].vq[0];
		vq[2 * i + 1] = n->pair[i].vq[1];
	}
	ret = vhk_ctl_start_all(n->ctl, vq, 2 * n_pairs);
	for (i = 0; i < n_pairs && !ret; i++)
		t_nic_fill(n, i);
	return ret;
}

/* After the back end's death: the rings as new, and another back end. */
static inline int t_nic_reconnect(struct t_nic *n)
{
	unsigned int i;
	int ret;

	for (i = 0; i < 2 * n->n_pairs; i++)
		vhk_vq_reset(n->pair[i / 2].vq[i % 2], NULL, NULL);
	ret = vhk_ctl_reconnect(n->ctl);
	for (i = 0; i < n->n_pairs && !ret; i++)
		t_nic_fill(n, i);
	return ret;
}

static inline void t_nic_close(struct t_nic *n)
{
	unsigned int i;

	vhk_ctl_close(n->ctl);
	for (i = 0; i < 2 * T_NIC_PAIRS; i++)
		vhk_vq_free(n->pair[i / 2].vq[i % 2]);
	vhk_mem_free(n->mem);
}

/* Stages the next frame; in as many pieces as are wanted, the header in one of its own. */
static inline void t_nic_send(struct t_nic *n, unsigned int i)
{
	struct t_nic_pair *p = &n->pair[i];
	unsigned char *buf = p->tx[p->sent % T_NIC_TX], *at = buf + T_NET_HDR;
	uint32_t len = t_frame_make(at, i, p->sent), piece = len / n->tx_segs;
	struct iovec v[5] = { { buf, T_NET_HDR } };
	unsigned int s;

	memset(buf, 0, T_NET_HDR);
	for (s = 1; s <= n->tx_segs; s++, at += piece)
		v[s] = (struct iovec){ at, piece };
	v[n->tx_segs].iov_len = len - (n->tx_segs - 1) * piece;
	/* A single piece has the header in front. */
	if (n->tx_segs == 1)
		T_EQ(vhk_vq_add(p->vq[1], &(struct iovec){ buf, T_NET_HDR + len }, 1, 0, NULL), 0);
	else
		T_EQ(vhk_vq_add(p->vq[1], v, n->tx_segs + 1, 0, NULL), 0);
	p->sent++;
}

/* One buffer that came back full: a frame, or a part of one (VIRTIO_NET_F_MRG_RXBUF). */
static inline void t_nic_take(struct t_nic *n, unsigned int i, const struct vhk_done *d)
{
	struct t_nic_pair *p = &n->pair[i];
	struct virtio_net_hdr_v1 h;

	T_MUST(p->have + d->written <= sizeof(p->frame));
	memcpy(p->frame + p->have, d->token, d->written);
	if (!p->have) {
		T_MUST(d->written >= T_NET_HDR);
		memcpy(&h, p->frame, T_NET_HDR);
		p->left = n->features & T_NET_F_MRG_RXBUF ? h.num_buffers : 1;
	}
	p->have += d->written;
	t_nic_post(n, p, d->token);
	if (--p->left)
		return;
	if (!memcmp(p->frame + T_NET_HDR + 12, "\x80\x35", 2)) {
		memcpy(n->rarp, p->frame + T_NET_HDR + 6, 6);
		n->n_rarp++;
	} else {
		T_MUST(t_frame_is(p->frame + T_NET_HDR, p->have - T_NET_HDR, i, p->got));
		p->got++;
	}
	p->have = 0;
}

/* So many frames find buffers, however long they are: none may be dropped. */
static inline uint32_t t_nic_window(const struct t_nic *n)
{
	uint32_t most = T_NIC_RX / ((T_NET_HDR + T_FRAME_MAX + n->rx_room - 1) / n->rx_room);

	return most < T_NIC_TX ? most : T_NIC_TX;
}

/* Whatever can be done for pair @i without waiting, until it has sent @count frames. */
static inline bool t_nic_step(struct t_nic *n, unsigned int i, uint32_t count)
{
	struct t_nic_pair *p = &n->pair[i];
	struct vhk_done done[T_NIC_TX];
	const uint32_t before = p->sent;
	int j, out, in;

	out = vhk_vq_get(p->vq[1], done, T_NIC_TX);
	in = vhk_vq_get(p->vq[0], done, T_NIC_TX);
	T_MUST(out >= 0 && in >= 0);
	p->gave_back += (uint32_t)out;
	for (j = 0; j < in; j++)
		t_nic_take(n, i, &done[j]);
	if (in)
		T_EQ(t_nic_kick(n, i, 0), 0);
	while (p->sent < count && p->sent - p->gave_back < T_NIC_TX && 
	       p->sent - p->got < t_nic_window(n))
		t_nic_send(n, i);
	if (p->sent != before)
		T_EQ(t_nic_kick(n, i, 1), 0);
	return in || out || p->sent != before;
}

/*
 * Until each pair has got @count frames back, byte for byte; sleeps where there is nothing to do.
 * 0, or what ended it.
 */
static inline int t_nic_echo(struct t_nic *n, uint32_t count)
{
	uint64_t end = t_now_ns() + 3 * T_NIC_WAIT;
	unsigned int i;
	bool moved;
	int ret = 0;

	for (;;) {
		moved = false;
		for (i = 0; i < n->n_pairs; i++)
			moved |= t_nic_step(n, i, count);
		for (i = 0; i < n->n_pairs && n->pair[i].got == count; i++)
			;
		if (i == n->n_pairs)
			return 0;
		if (!moved)
			ret = t_nic_wait(n, i, n->pair[i].sent == n->pair[i].got);
		if (ret || t_now_ns() > end)
			return ret ? ret : -ETIMEDOUT;
	}
}

#endif
