// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Cards that lead nowhere, in every layout: what is sent comes back byte for byte, or with its
 * addresses exchanged, or is counted; packets come as long as there are buffers.
 */
#include "t_net.h"

static unsigned char sent[70000], got[70000];

static const struct layout {
	uint64_t features;
	const char *name;
} layouts[] = {
	{ VHK_F_VERSION_1, "split" },
	{ 0, "legacy" },
	{ VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_INDIRECT_DESC, "split, event index" },
	{ VHK_F_VERSION_1 | VHK_F_IN_ORDER | T_NF(MRG_RXBUF), "split, in order, mergeable" },
	{ VHK_F_VERSION_1 | VHK_F_RING_PACKED, "packed" },
	{ VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_EVENT_IDX | T_NF(MRG_RXBUF),
	  "packed, event index, mergeable" },
	{ VHK_F_VERSION_1 | VHK_F_RING_PACKED | VHK_F_IN_ORDER | T_NF(MRG_RXBUF),
	  "packed, in order, mergeable" },
};

static struct vhk_device *card(enum vhk_net_port port)
{
	struct vhk_net_opts o = { .sz = sizeof(o), .port = port, .mac = { 2, 0, 0, 0, 0, 1 } };
	struct vhk_device *d;

	T_MUST(!vhk_net_new(&d, &o));
	return d;
}

static void in_every_layout(enum vhk_net_port port,
			    void (*fn)(struct t_net *t, struct vhk_device *d))
{
	struct vhk_device *d;
	struct t_net t;
	unsigned int i;
	int bad;

	for (i = 0; i < vhk_array_size(layouts); i++) {
		bad = t_bad;
		d = card(port);
		T_EQ(t_net_open(&t, d, layouts[i].features, 2), 0);
		fn(&t, d);
		t_net_adds_up(d, 0);
		t_net_adds_up(d, 1);
		t_net_close(&t);
		vhk_device_free(d);
		if (bad != t_bad)
			printf("# %s\n", layouts[i].name);
	}
}

static void back_and_forth(struct t_net *t, struct vhk_device *d)
{
	static const unsigned int lens[] = { 14, 15, 60, 64, 65, 127, 128, 300, 1514, 2036 };
	struct virtio_net_hdr_v1 hdr;
	unsigned int i, k;

	(void)d;
	t_net_fill(t, 0, 48);
	for (k = 0; k < 30; k++)
		for (i = 0; i < vhk_array_size(lens); i++) {
			t_frame(sent, lens[i], i + k);
			T_EQ(t_net_send(t, 1, NULL, sent, lens[i]), 0);
			T_EQ(t_net_recv(t, 0, &hdr, got), (int)lens[i]);
			T_EQ(memcmp(sent, got, lens[i]), 0);
			T_EQ(hdr.flags | hdr.gso_type, 0);
		}
}

static void what_is_sent_comes_back(void)
{
	in_every_layout(VHK_NET_IO, back_and_forth);
}

static void turned(struct t_net *t, struct vhk_device *d)
{
	struct virtio_net_hdr_v1 hdr;
	unsigned int len;

	(void)d;
	t_net_fill(t, 0, 8);
	for (len = 14; len < 200; len += 31) {
		t_frame(sent, len, len);
		T_EQ(t_net_send(t, 1, NULL, sent, len), 0);
		T_EQ(t_net_recv(t, 0, &hdr, got), (int)len);
		T_EQ(memcmp(sent, got + 6, 6), 0);
		T_EQ(memcmp(sent + 6, got, 6), 0);
		T_EQ(memcmp(sent + 12, got + 12, len - 12), 0);
	}
}

static void addresses_are_exchanged(void)
{
	in_every_layout(VHK_NET_MAC, turned);
}

static void swallowed(struct t_net *t, struct vhk_device *d)
{
	struct vhk_net_stats s;
	unsigned int i;

	t_frame(sent, 100, 0);
	for (i = 0; i < 100; i++)
		T_EQ(t_net_send(t, 1, NULL, sent, 14 + i), 0);
	T_EQ(vhk_net_stats(d, 1, &s), 0);
	T_EQ(s.packets, 100);
	T_EQ(s.bytes, 100 * 14 + 99 * 50);
}

static void what_is_sent_is_counted(void)
{
	in_every_layout(VHK_NET_RXONLY, swallowed);
}

static void showered(struct t_net *t, struct vhk_device *d)
{
	static const unsigned char everybody[] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1 };
	struct virtio_net_hdr_v1 hdr;
	unsigned int i;

	t_net_fill(t, 0, 33);
	for (i = 0; i < 300; i++) {
		T_EQ(t_net_recv(t, 0, &hdr, got), 60);
		T_EQ(memcmp(got, everybody, 12), 0);
	}
	t_frame(sent, 100, 0);
	T_EQ(t_net_send(t, 1, NULL, sent, 100), 0);
	T_EQ(t_net_dropped(d, 1, VHK_NET_DROP_PORT), 1);
}

static void packets_come_as_long_as_there_is_room(void)
{
	in_every_layout(VHK_NET_TXONLY, showered);
}

/* Segments at odd places, on both sides. */
static void any_layout(struct t_net *t, struct vhk_device *d)
{
	static const unsigned int cuts[][3] = {
		{ 0, 0, 0 },  { 1, 0, 0 },    { 12, 0, 0 },
		{ 5, 11, 0 }, { 12, 26, 90 }, { 13, 14, 15 },
	};
	unsigned char *buf = t_net_buf(t, 1, 60);
	struct virtio_net_hdr_v1 hdr;
	struct iovec seg[4];
	unsigned int i, k, n, at;
	const unsigned int all = t->hdr_len + 200;

	(void)d;
	t_net_fill(t, 0, 8);
	for (i = 0; i < vhk_array_size(cuts); i++) {
		t_frame(sent, 200, i);
		memset(buf, 0, t->hdr_len);
		memcpy(buf + t->hdr_len, sent, 200);
		for (k = n = at = 0; k < 3; k++)
			if (cuts[i][k]) {
				seg[n++] = (struct iovec){ buf + at, cuts[i][k] - at };
				at = cuts[i][k];
			}
		seg[n++] = (struct iovec){ buf + at, all - at };
		T_EQ(t_net_send_segs(t, 1, seg, n), 0);
		T_EQ(t_net_recv(t, 0, &hdr, got), 200);
		T_EQ(memcmp(sent, got, 200), 0);
	}
}

static void segments_may_end_anywhere(void)
{
	in_every_layout(VHK_NET_IO, any_layout);
}

/* A buffer in pieces, then many small ones for one packet. */
static void scattered(struct t_net *t, struct vhk_device *d)
{
	unsigned char *buf = t_net_buf(t, 0, 0);
	struct iovec seg[3] = { { buf, 5 }, { buf + 5, 20 }, { buf + 25, 2000 } };
	struct virtio_net_hdr_v1 hdr;
	struct vhk_done done;
	unsigned int i;

	T_EQ(vhk_vq_add(t->vq[0], seg, 0, 3, buf), 0);
	t_net_kick(t, 0);
	t_frame(sent, 700, 1);
	T_EQ(t_net_send(t, 1, NULL, sent, 700), 0);
	T_EQ(t_net_get(t, 0, &done), 1);
	T_EQ(done.written, t->hdr_len + 700);
	T_EQ(memcmp(buf + t->hdr_len, sent, 700), 0);
	if (!(t->features & T_NF(MRG_RXBUF)))
		return;
	t->rx_len = 100;
	t_net_fill(t, 0, 24);
	for (i = 14; i < 1990; i += 97) {
		t_frame(sent, i, i);
		T_EQ(t_net_send(t, 1, NULL, sent, i), 0);
		T_EQ(t_net_recv(t, 0, &hdr, got), (int)i);
		T_EQ(le16toh(hdr.num_buffers), (i + t->hdr_len + 99) / 100);
		T_EQ(memcmp(sent, got, i), 0);
	}
	/* one that takes more than there are leaves them for the next */
	t_frame(sent, 2036, 5);
	for (i = 0; i < 3; i++)
		T_EQ(vhk_net_stats(d, 0, &(struct vhk_net_stats){ 0 }), 0);
	t->rx_len = 60;
}

static void buffers_may_be_in_pieces(void)
{
	in_every_layout(VHK_NET_IO, scattered);
}

static void too_few(struct t_net *t, struct vhk_device *d)
{
	struct virtio_net_hdr_v1 hdr;

	if (!(t->features & T_NF(MRG_RXBUF)))
		return;
	t->rx_len = 100;
	t_net_fill(t, 0, 4);
	t_frame(sent, 500, 1);
	T_EQ(t_net_send(t, 1, NULL, sent, 500), 0);
	T_EQ(t_net_dropped(d, 0, VHK_NET_DROP_ROOM), 1);
	T_EQ(t_net_send(t, 1, NULL, sent, 380), 0);
	T_EQ(t_net_recv(t, 0, &hdr, got), 380);
	T_EQ(le16toh(hdr.num_buffers), 4);
}

static void buffers_that_are_too_few_stay_for_the_next(void)
{
	in_every_layout(VHK_NET_IO, too_few);
}

int main(void)
{
	T_RUN(what_is_sent_comes_back);
	T_RUN(addresses_are_exchanged);
	T_RUN(what_is_sent_is_counted);
	T_RUN(packets_come_as_long_as_there_is_room);
	T_RUN(segments_may_end_anywhere);
	T_RUN(buffers_may_be_in_pieces);
	T_RUN(buffers_that_are_too_few_stay_for_the_next);
	return t_end();
}
