// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a driver may get wrong: packets without headers, too short, too long, with offload fields
 * that point outside; buffers that hold no header. Each is dropped, counted by its cause, and told
 * once; the next packet goes through.
 */
#include "t_net.h"

static unsigned char sent[2048], got[70000];
static unsigned int lines;

static void line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)text;
	__atomic_add_fetch(&lines, level == VHK_LOG_WARN, __ATOMIC_RELAXED);
}

static struct vhk_device *card(enum vhk_net_port port, uint16_t mtu)
{
	struct vhk_net_opts o = { .sz = sizeof(o), .port = port, .mtu = mtu,
				  .log = { .fn = line, .level = VHK_LOG_WARN } };
	struct vhk_device *d;

	T_MUST(!vhk_net_new(&d, &o));
	return d;
}

#define WANT                                                                                       \
	(VHK_F_VERSION_1 | T_NF(CSUM) | T_NF(GUEST_CSUM) | T_NF(HOST_TSO4) | T_NF(HOST_TSO6) |   \
	 T_NF(HOST_ECN))

static const struct {
	const char *name;
	struct virtio_net_hdr_v1 hdr;
	bool ok;
} headers[] = {
	{ "nothing", { 0 }, true },
	{ "sum", { .flags = 1, .csum_start = 34, .csum_offset = 6 }, true },
	{ "sum at the end", { .flags = 1, .csum_start = 34, .csum_offset = 164 }, true },
	{ "sum over the end", { .flags = 1, .csum_start = 34, .csum_offset = 165 }, false },
	{ "sum far off", { .flags = 1, .csum_start = 65535, .csum_offset = 65535 }, false },
	{ "sum wraps", { .flags = 1, .csum_start = 65530, .csum_offset = 10 }, false },
	{ "sum in front", { .flags = 1, .csum_start = 13, .csum_offset = 6 }, false },
	{ "tso4", { .flags = 1, .gso_type = 1, .gso_size = 100, .hdr_len = 54, .csum_start = 34 },
	  true },
	{ "tso6 ecn",
	  { .flags = 1, .gso_type = 0x84, .gso_size = 9, .hdr_len = 200, .csum_start = 34 },
	  true },
	{ "no size", { .flags = 1, .gso_type = 1, .hdr_len = 54, .csum_start = 34 }, false },
	{ "no sum", { .gso_type = 1, .gso_size = 100, .hdr_len = 54 }, false },
	{ "headers longer than all",
	  { .flags = 1, .gso_type = 1, .gso_size = 9, .hdr_len = 201, .csum_start = 34 },
	  false },
	{ "ufo was not negotiated",
	  { .flags = 1, .gso_type = 3, .gso_size = 9, .hdr_len = 54, .csum_start = 34 },
	  false },
	{ "no such type",
	  { .flags = 1, .gso_type = 7, .gso_size = 9, .hdr_len = 54, .csum_start = 34 },
	  false },
	{ "ecn alone",
	  { .flags = 1, .gso_type = 0x80, .gso_size = 9, .hdr_len = 54, .csum_start = 34 },
	  false },
};

static void offload_fields_are_judged(void)
{
	struct vhk_device *d = card(VHK_NET_RXONLY, 0);
	struct vhk_net_stats s;
	struct t_net t;
	unsigned int i, good = 0;

	T_EQ(t_net_open(&t, d, WANT, 2), 0);
	t_frame(sent, 200, 1);
	for (i = 0; i < vhk_array_size(headers); i++) {
		struct virtio_net_hdr_v1 h = headers[i].hdr;

		h.csum_start = htole16(h.csum_start);
		h.csum_offset = htole16(h.csum_offset);
		h.gso_size = htole16(h.gso_size);
		h.hdr_len = htole16(h.hdr_len);
		T_EQ(t_net_send(&t, 1, &h, sent, 200), 0);
		good += headers[i].ok;
		T_EQ(vhk_net_stats(d, 1, &s), 0);
		if (s.packets != good) {
			T_EQ(s.packets, good);
			printf("# %s\n", headers[i].name);
			good = (unsigned int)s.packets;
		}
	}
	T_EQ(s.dropped[VHK_NET_DROP_OFFLOAD], i - good);
	t_net_adds_up(d, 1);
	t_net_close(&t);
	vhk_device_free(d);
}

static void nothing_is_put_off_that_was_not_negotiated(void)
{
	struct vhk_device *d = card(VHK_NET_RXONLY, 0);
	const struct virtio_net_hdr_v1 sum = { .flags = 1, .csum_start = htole16(34) };
	struct t_net t;

	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1, 2), 0);
	t_frame(sent, 200, 1);
	T_EQ(t_net_send(&t, 1, &sum, sent, 200), 0);
	T_EQ(t_net_dropped(d, 1, VHK_NET_DROP_OFFLOAD), 1);
	t_net_close(&t);
	vhk_device_free(d);
}

static void lengths_are_judged(uint64_t layout)
{
	struct vhk_device *d = card(VHK_NET_RXONLY, 100);
	struct vhk_net_stats s;
	struct t_net t;
	unsigned int len, i;

	lines = 0;
	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | VHK_F_INDIRECT_DESC | layout, 2), 0);
	memset(sent, 0, sizeof(sent));
	memset(t_net_buf(&t, 1, 0), 0, 512);
	for (len = 1; len < 140; len++) {
		const struct iovec seg = { t_net_buf(&t, 1, 0), len };

		T_EQ(t_net_send_segs(&t, 1, &seg, 1), 0);
	}
	T_EQ(vhk_net_stats(d, 1, &s), 0);
	T_EQ(s.dropped[VHK_NET_DROP_HEADER], 11);
	T_EQ(s.dropped[VHK_NET_DROP_RUNT], 14);
	/* 100 bytes, 14 of Ethernet, two tags */
	T_EQ(s.packets, 100 + 14 + 8 - 14 + 1);
	T_EQ(s.dropped[VHK_NET_DROP_LONG], 139 - 11 - 14 - 109);
	/* 11: at 1, 2, 4, 8; 14: likewise; 5: at 1, 2, 4 */
	T_EQ(__atomic_load_n(&lines, __ATOMIC_RELAXED), 4 + 4 + 3);
	for (i = 0; i < 500; i++) {
		const struct iovec seg = { t_net_buf(&t, 1, 0), 3 };

		T_EQ(t_net_send_segs(&t, 1, &seg, 1), 0);
	}
	T_OK(__atomic_load_n(&lines, __ATOMIC_RELAXED) < 20);
	T_EQ(t_net_send(&t, 1, NULL, sent, 60), 0);
	T_EQ(vhk_net_stats(d, 1, &s), 0);
	T_EQ(s.packets, 110);
	t_net_adds_up(d, 1);
	t_net_close(&t);
	vhk_device_free(d);
}

static void lengths_are_judged_split(void)
{
	lengths_are_judged(0);
}

static void lengths_are_judged_packed(void)
{
	lengths_are_judged(VHK_F_RING_PACKED);
}

/* Writable parts among what is sent, readable ones among what is to be filled. */
static void chains_of_the_wrong_direction(void)
{
	struct vhk_device *d = card(VHK_NET_IO, 0);
	unsigned char *buf;
	struct virtio_net_hdr_v1 hdr;
	struct vhk_done done;
	struct iovec seg[2];
	struct t_net t;

	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1, 2), 0);
	buf = t_net_buf(&t, 1, 0);
	memset(buf, 0, 2048);
	/* all of it writable: no header to read */
	seg[0] = (struct iovec){ buf, 100 };
	T_EQ(vhk_vq_add(t.vq[1], seg, 0, 1, &t), 0);
	t_net_kick(&t, 1);
	T_EQ(t_net_get(&t, 1, &done), 1);
	T_EQ(done.written, 0);
	T_EQ(t_net_dropped(d, 1, VHK_NET_DROP_HEADER), 1);
	/* a receive buffer that is readable, one that is too small, one that is right */
	seg[1] = (struct iovec){ t_net_buf(&t, 0, 1), 11 };
	T_EQ(vhk_vq_add(t.vq[0], seg, 1, 0, buf), 0);
	T_EQ(vhk_vq_add(t.vq[0], seg + 1, 0, 1, buf), 0);
	t_net_fill(&t, 0, 1);
	t_frame(sent, 60, 1);
	T_EQ(t_net_send(&t, 1, NULL, sent, 60), 0);
	T_EQ(t_net_get(&t, 0, &done), 1);
	T_EQ(done.written, 0);
	T_EQ(t_net_get(&t, 0, &done), 1);
	T_EQ(done.written, 0);
	T_EQ(t_net_recv(&t, 0, &hdr, got), 60);
	T_EQ(memcmp(sent, got, 60), 0);
	t_net_adds_up(d, 0);
	t_net_close(&t);
	vhk_device_free(d);
}

/* A packet that does not fit its one buffer costs that buffer, and no more. */
static void buffers_that_are_too_short(void)
{
	struct vhk_device *d = card(VHK_NET_IO, 0);
	struct virtio_net_hdr_v1 hdr;
	struct vhk_done done;
	struct t_net t;

	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1, 2), 0);
	t.rx_len = 200;
	t_net_fill(&t, 0, 2);
	t_frame(sent, 400, 1);
	T_EQ(t_net_send(&t, 1, NULL, sent, 400), 0);
	T_EQ(t_net_dropped(d, 0, VHK_NET_DROP_ROOM), 1);
	T_EQ(t_net_get(&t, 0, &done), 1);
	T_EQ(done.written, 0);
	T_EQ(t_net_send(&t, 1, NULL, sent, 188), 0);
	T_EQ(t_net_recv(&t, 0, &hdr, got), 188);
	/* and without any buffer it is lost */
	t.n_queues = 2;
	T_EQ(t_net_send(&t, 1, NULL, sent, 100), 0);
	T_EQ(t_net_send(&t, 1, NULL, sent, 100), 0);
	T_EQ(t_net_dropped(d, 0, VHK_NET_DROP_ROOM), 2);
	t_net_adds_up(d, 0);
	t_net_adds_up(d, 1);
	t_net_close(&t);
	vhk_device_free(d);
}

/* NEEDS_CSUM of a sender is carried out for a receiver that does not take it. */
static void sums_are_made_where_they_are_missing(void)
{
	struct vhk_device *d = card(VHK_NET_IO, 0);
	struct virtio_net_hdr_v1 hdr = { .flags = 1 };
	unsigned int len, i;
	uint32_t sum;
	struct t_net t;

	T_EQ(t_net_open(&t, d, VHK_F_VERSION_1 | T_NF(CSUM), 2), 0);
	t_net_fill(&t, 0, 16);
	for (len = 60; len < 200; len += 7) {
		t_frame(sent, len, len);
		hdr = (struct virtio_net_hdr_v1){ .flags = 1, .csum_start = htole16(34),
						  .csum_offset = htole16(6) };
		T_EQ(t_net_send(&t, 1, &hdr, sent, len), 0);
		T_EQ(t_net_recv(&t, 0, &hdr, got), (int)len);
		T_EQ(hdr.flags, 0);
		T_EQ(memcmp(sent, got, 40), 0);
		T_EQ(memcmp(sent + 42, got + 42, len - 42), 0);
		/* with the sum in its place, and what stood there before, all of it is none */
		for (sum = 0, i = 34; i < len; i++)
			sum += (uint32_t)sent[i] << (i % 2 ? 0 : 8);
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		T_EQ((got[40] << 8 | got[41]), ~sum & 0xffff);
	}
	t_net_close(&t);
	vhk_device_free(d);
}

int main(void)
{
	T_RUN(offload_fields_are_judged);
	T_RUN(nothing_is_put_off_that_was_not_negotiated);
	T_RUN(lengths_are_judged_split);
	T_RUN(lengths_are_judged_packed);
	T_RUN(chains_of_the_wrong_direction);
	T_RUN(buffers_that_are_too_short);
	T_RUN(sums_are_made_where_they_are_missing);
	return t_end();
}
