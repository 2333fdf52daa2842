/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A driver of a network card over vhost-user, built on the library's own front end: receive buffers
 * that are filled again, packets sent and fetched, control requests.
 */
#ifndef VHK_TESTS_T_NET_H
#define VHK_TESTS_T_NET_H

#include <endian.h>
#include <linux/virtio_net.h>

#include <vhostkit/net.h>

#include "t_both.h"

#define T_NET_QUEUES 9
#define T_NET_SIZE 64
#define T_NET_BUF 2048
#define T_NET_HDR sizeof(struct virtio_net_hdr_v1)
#define T_NF(bit) (1ULL << VIRTIO_NET_F_##bit)

struct t_net {
	struct t_both both;
	struct vhk_mem *mem;
	struct vhk_ctl *ctl;
	unsigned int n_queues, hdr_len;
	uint32_t rx_len; /* of a receive buffer */
	uint64_t features;
	struct vhk_vq *vq[T_NET_QUEUES];
	unsigned char *buf; /* T_NET_SIZE of T_NET_BUF for each queue */
	unsigned int next;
};

static inline unsigned char *t_net_buf(struct t_net *t, unsigned int queue, unsigned int i)
{
	return t->buf + ((size_t)queue * T_NET_SIZE + i % T_NET_SIZE) * T_NET_BUF;
}

static inline void t_net_kick(struct t_net *t, unsigned int queue)
{
	int ret = vhk_vq_publish(t->vq[queue]);

	T_OK(ret >= 0);
	if (ret > 0)
		T_EQ(vhk_ctl_kick(t->ctl, queue), 0);
}

static inline void t_net_post(struct t_net *t, unsigned int queue, unsigned char *buf)
{
	const struct iovec seg = { buf, t->rx_len };

	T_EQ(vhk_vq_add(t->vq[queue], &seg, 0, 1, buf), 0);
}

/* Posts @n fresh receive buffers. */
static inline void t_net_fill(struct t_net *t, unsigned int queue, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		t_net_post(t, queue, t_net_buf(t, queue, i));
	t_net_kick(t, queue);
}

/* Connected already: features, memory, queues. 0 or what failed. */
static inline int t_net_setup(struct t_net *t, uint64_t want, unsigned int n_queues)
{
	struct vhk_vq_opts vo = { .sz = sizeof(vo), .size = T_NET_SIZE, .max_indirect = 16 };
	void *va;
	unsigned int i;
	int ret;

	t->n_queues = n_queues;
	t->rx_len = T_NET_BUF;
	T_MUST(!vhk_mem_new(&t->mem));
	T_MUST(!vhk_mem_alloc(t->mem, (struct vhk_gpa){ 0x1000000 },
			      (size_t)T_NET_QUEUES * T_NET_SIZE * T_NET_BUF, &va));
	t->buf = va;
	ret = vhk_ctl_setup(t->ctl, want, 0, t->mem);
	if (ret)
		return ret;
	t->features = vo.features = vhk_ctl_features(t->ctl);
	t->hdr_len = t->features & (VHK_F_VERSION_1 | T_NF(MRG_RXBUF)) ? T_NET_HDR : 10;
	for (i = 0; i < n_queues; i++) {
		vo.gpa.v = 0x10000000 + i * 0x1000000ULL;
		T_MUST(!vhk_vq_new(&t->vq[i], t->mem, &vo));
	}
	return vhk_ctl_start_all(t->ctl, t->vq, n_queues);
}

/* The card @d behind a socket pair. */
static inline int t_net_open(struct t_net *t, struct vhk_device *d, uint64_t want,
			     unsigned int n_queues)
{
	struct vhk_ctl_opts o = { .n_queues = (uint16_t)n_queues, .queue_size = T_NET_SIZE,
				  .also = VHK_PF_MTU | VHK_PF_RARP };

	memset(t, 0, sizeof(*t));
	t_both_open(&t->both, d, NULL, o);
	t->ctl = t->both.ctl;
	return t_net_setup(t, want, n_queues);
}

static inline void t_net_drop_queues(struct t_net *t)
{
	unsigned int i;

	for (i = 0; i < t->n_queues; i++)
		vhk_vq_free(t->vq[i]);
	vhk_mem_free(t->mem);
}

/* The front end hangs up, the back end ends. The device is the caller's to free. */
static inline void t_net_close(struct t_net *t)
{
	t_both_close(&t->both);
	t_net_drop_queues(t);
}

/* Waits until the device has answered something of @queue. */
static inline int t_net_get(struct t_net *t, unsigned int queue, struct vhk_done *done)
{
	int n, ret;

	for (;;) {
		n = vhk_vq_get(t->vq[queue], done, 1);
		if (n)
			return n;
		ret = vhk_ctl_wait(t->ctl, queue, 10 * T_SECOND);
		if (ret)
			return ret;
	}
}

/* Sends what is in @seg, header included, and waits until the card is through with it. */
static inline int t_net_send_segs(struct t_net *t, unsigned int queue, const struct iovec *seg,
				  unsigned int n)
{
	struct vhk_done done;
	int ret = vhk_vq_add(t->vq[queue], seg, n, 0, t);

	if (ret)
		return ret;
	t_net_kick(t, queue);
	ret = t_net_get(t, queue, &done);
	return ret == 1 ? 0 : ret;
}

/* Sends a packet with @hdr (NULL: zeros) in one piece. */
static inline int t_net_send(struct t_net *t, unsigned int queue,
			     const struct virtio_net_hdr_v1 *hdr, const void *frame, size_t len)
{
	unsigned char *buf = t_net_buf(t, queue, t->next++);
	struct iovec seg = { buf, t->hdr_len + len };

	T_MUST(seg.iov_len <= T_NET_BUF);
	memset(buf, 0, t->hdr_len);
	if (hdr)
		memcpy(buf, hdr, t->hdr_len);
	memcpy(buf + t->hdr_len, frame, len);
	return t_net_send_segs(t, queue, &seg, 1);
}

/*
 * The next packet of @queue into @frame (room for 65,550 bytes) and its header into *@hdr; the
 * buffers are posted again. Its length, or -errno.
 */
static inline int t_net_recv(struct t_net *t, unsigned int queue, struct virtio_net_hdr_v1 *hdr,
			     unsigned char *frame)
{
	unsigned int i, n = 1, len = 0, skip;
	struct vhk_done done;
	int ret;

	memset(hdr, 0, sizeof(*hdr));
	for (i = 0; i < n; i++) {
		ret = t_net_get(t, queue, &done);
		if (ret != 1)
			return ret;
		skip = i ? 0 : t->hdr_len;
		T_MUST(done.written >= skip);
		if (!i)
			memcpy(hdr, done.token, t->hdr_len);
		if (!i && t->hdr_len == T_NET_HDR)
			n = le16toh(hdr->num_buffers);
		T_MUST(n && n <= T_NET_SIZE && len + done.written <= 70000);
		memcpy(frame + len, (char *)done.token + skip, done.written - skip);
		len += done.written - skip;
		t_net_post(t, queue, done.token);
	}
	t_net_kick(t, queue);
	return (int)len;
}

/* A control request: the device's answer, or -errno. */
static inline int t_net_ctrl(struct t_net *t, unsigned int queue, uint8_t class, uint8_t cmd,
			     const void *data, size_t len)
{
	unsigned char *buf = t_net_buf(t, queue, 0);
	struct iovec seg[3] = { { buf, 2 }, { buf + 2, len }, { buf + 2040, 1 } };
	struct vhk_done done;
	int ret;

	T_MUST(len < 2000);
	buf[0] = class;
	buf[1] = cmd;
	if (len)
		memcpy(buf + 2, data, len);
	else
		seg[1] = seg[2];
	buf[2040] = 0xee;
	ret = vhk_vq_add(t->vq[queue], seg, len ? 2 : 1, 1, t);
	if (ret)
		return ret;
	t_net_kick(t, queue);
	ret = t_net_get(t, queue, &done);
	return ret == 1 ? buf[2040] : ret;
}

static inline uint64_t t_net_dropped(const struct vhk_device *d, unsigned int queue,
				     enum vhk_net_drop cause)
{
	struct vhk_net_stats s;

	T_MUST(!vhk_net_stats(d, queue, &s));
	return s.dropped[cause];
}

/* What was seen went on or was dropped. */
static inline void t_net_adds_up(const struct vhk_device *d, unsigned int queue)
{
	struct vhk_net_stats s;
	uint64_t sum;
	unsigned int i;

	T_MUST(!vhk_net_stats(d, queue, &s));
	sum = s.packets;
	for (i = 0; i < VHK_NET_DROPS; i++)
		sum += s.dropped[i];
	T_EQ(s.seen, sum);
}

static inline void t_frame(unsigned char *frame, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		frame[i] = (unsigned char)(i * 7 + (i >> 8) + seed);
	frame[0] &= 0xfe;
	frame[6] &= 0xfe;
	if (len > 14)
		frame[12] = 0x88;
	if (len > 14)
		frame[13] = 0xb5;
}

#endif
