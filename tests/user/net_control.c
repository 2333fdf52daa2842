// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The control queue: every command does what it says, each that is malformed, unknown or not
 * negotiated is refused; the configuration space follows.
 */
#include "t_net.h"

#define CTRL 4 /* of two pairs */
#define ALL                                                                                        \
	(VHK_F_VERSION_1 | T_NF(CSUM) | T_NF(GUEST_CSUM) | T_NF(MAC) | T_NF(STATUS) |            \
	 T_NF(CTRL_VQ) | T_NF(CTRL_RX) | T_NF(CTRL_RX_EXTRA) | T_NF(CTRL_VLAN) |                  \
	 T_NF(CTRL_MAC_ADDR) | T_NF(GUEST_ANNOUNCE) | T_NF(MQ) | T_NF(CTRL_GUEST_OFFLOADS) |     \
	 T_NF(MTU))

static const uint8_t my_mac[6] = { 2, 0, 0, 0, 0, 1 };

static struct vhk_device *card(unsigned int pairs)
{
	struct vhk_net_opts o = { .sz = sizeof(o), .port = VHK_NET_IO,
				  .num_pairs = (uint16_t)pairs, .mtu = 1400,
				  .mac = { 2, 0, 0, 0, 0, 1 } };
	struct vhk_device *d;

	T_MUST(!vhk_net_new(&d, &o));
	return d;
}

static const struct {
	uint8_t class, cmd;
	unsigned int len;
	uint8_t data[40];
} refused[] = {
	{ 0, 0, 0, { 0 } },		/* RX without a value */
	{ 0, 0, 2, { 1, 1 } },		/* RX with two */
	{ 0, 6, 1, { 1 } },		/* no such mode */
	{ 1, 0, 3, { 0 } },		/* MAC table: half a number */
	{ 1, 0, 4, { 0 } },		/* one list */
	{ 1, 0, 8, { 1 } },		/* an address that is not there */
	{ 1, 0, 9, { 0 } },		/* a byte too many */
	{ 1, 0, 8, { 0, 0, 0, 0, 1 } }, /* in the second list */
	{ 1, 0, 8, { 255, 255, 255, 255, 0 } },
	{ 1, 0, 14, { 171, 170, 170, 42 } }, /* so many that six times it wraps */
	{ 1, 1, 5, { 2, 0, 0, 0, 0 } },	/* address too short */
	{ 1, 1, 7, { 2 } },		/* too long */
	{ 1, 1, 6, { 1 } },		/* a group's */
	{ 1, 2, 6, { 2 } },		/* no such command */
	{ 2, 0, 1, { 1 } },		/* VLAN: half an id */
	{ 2, 0, 2, { 0, 16 } },		/* 4096 */
	{ 2, 1, 2, { 255, 255 } },
	{ 2, 2, 2, { 1, 0 } },		/* no such command */
	{ 3, 0, 1, { 0 } },		/* ACK with data */
	{ 3, 1, 0, { 0 } },		/* no such command */
	{ 4, 0, 2, { 0, 0 } },		/* no pairs */
	{ 4, 0, 2, { 3, 0 } },		/* more than there are */
	{ 4, 0, 1, { 1 } },
	{ 4, 1, 2, { 1, 0 } },		/* RSS is not offered */
	{ 5, 0, 7, { 0 } },		/* offloads: too short */
	{ 5, 0, 8, { 0x80 } },		/* TSO4 was not negotiated */
	{ 5, 0, 8, { 0, 0, 0, 0, 0, 0, 0, 1 } },
	{ 5, 1, 8, { 0 } },
	{ 6, 0, 8, { 0 } },		/* no such class */
	{ 255, 255, 30, { 255 } },
};

static void what_is_wrong_is_refused(void)
{
	struct vhk_device *d = card(2);
	struct vhk_net_stats s;
	struct t_net t;
	unsigned int i;

	T_EQ(t_net_open(&t, d, ALL, 5), 0);
	for (i = 0; i < vhk_array_size(refused); i++) {
		T_EQ(t_net_ctrl(&t, CTRL, refused[i].class, refused[i].cmd, refused[i].data,
				refused[i].len),
		     VIRTIO_NET_ERR);
		if (t_bad)
			printf("# case %u\n", i);
	}
	T_EQ(vhk_net_stats(d, CTRL, &s), 0);
	T_EQ(s.seen, i);
	T_EQ(s.packets, 0);
	t_net_adds_up(d, CTRL);
	t_net_close(&t);
	vhk_device_free(d);
}

/* Each command without the feature that brings it. */
static void what_was_not_negotiated_is_refused(void)
{
	static const struct {
		uint64_t bit;
		uint8_t class, cmd;
		unsigned int len;
		uint8_t data[8];
	} cases[] = {
		{ T_NF(CTRL_RX), 0, 0, 1, { 1 } },
		{ T_NF(CTRL_RX_EXTRA), 0, 3, 1, { 1 } },
		{ T_NF(CTRL_RX), 1, 0, 8, { 0 } },
		{ T_NF(CTRL_MAC_ADDR), 1, 1, 6, { 2 } },
		{ T_NF(CTRL_VLAN), 2, 0, 2, { 1 } },
		{ T_NF(GUEST_ANNOUNCE), 3, 0, 0, { 0 } },
		{ T_NF(CTRL_GUEST_OFFLOADS), 5, 0, 8, { 0 } },
	};
	struct vhk_device *d;
	struct t_net t;
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		d = card(2);
		T_EQ(t_net_open(&t, d, ALL & ~cases[i].bit, 5), 0);
		T_EQ(t_net_ctrl(&t, CTRL, cases[i].class, cases[i].cmd, cases[i].data,
				cases[i].len),
		     VIRTIO_NET_ERR);
		t_net_close(&t);
		T_EQ(t_net_open(&t, d, ALL, 5), 0);
		T_EQ(t_net_ctrl(&t, CTRL, cases[i].class, cases[i].cmd, cases[i].data,
				cases[i].len),
		     VIRTIO_NET_OK);
		t_net_close(&t);
		vhk_device_free(d);
	}
}

/* Sends a packet to @to through the card; true when the driver received it. */
static bool arrives(struct t_net *t, struct vhk_device *d, const uint8_t *to, int vlan)
{
	const uint64_t before = t_net_dropped(d, 0, VHK_NET_DROP_FILTER);
	struct virtio_net_hdr_v1 hdr;
	unsigned char frame[64], got[70000];

	t_frame(frame, sizeof(frame), 3);
	memcpy(frame, to, 6);
	if (vlan >= 0) {
		frame[12] = 0x81;
		frame[13] = 0;
		frame[14] = (unsigned char)(0xe0 | vlan >> 8);
		frame[15] = (unsigned char)vlan;
	}
	T_EQ(t_net_send(t, 1, NULL, frame, sizeof(frame)), 0);
	if (t_net_dropped(d, 0, VHK_NET_DROP_FILTER) != before)
		return false;
	T_EQ(t_net_recv(t, 0, &hdr, got), sizeof(frame));
	T_EQ(memcmp(frame, got, sizeof(frame)), 0);
	return true;
}

static const uint8_t all_ff[6] = { 255, 255, 255, 255, 255, 255 };
static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 1 }, other_group[6] = { 1, 0, 0x5e, 0, 0, 2 };
static const uint8_t other[6] = { 2, 0, 0, 0, 0, 2 }, third[6] = { 2, 0, 0, 0, 0, 3 };

static void mode(struct t_net *t, uint8_t cmd, uint8_t on)
{
	T_EQ(t_net_ctrl(t, CTRL, 0, cmd, &on, 1), VIRTIO_NET_OK);
}

static void addresses_are_filtered(void)
{
	uint8_t tables[20] = { 1, 0, 0, 0, 2, 0, 0, 0, 0, 2, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1 };
	struct vhk_device *d = card(2);
	uint8_t vlan[2] = { 5, 0 };
	struct t_net t;

	T_EQ(t_net_open(&t, d, ALL & ~T_NF(CTRL_VLAN), 5), 0);
	t_net_fill(&t, 0, 16);
	T_OK(arrives(&t, d, other, -1)); /* promiscuous after a reset */
	mode(&t, VIRTIO_NET_CTRL_RX_PROMISC, 0);
	T_OK(arrives(&t, d, my_mac, -1));
	T_OK(arrives(&t, d, all_ff, -1));
	T_OK(!arrives(&t, d, other, -1));
	T_OK(!arrives(&t, d, group, -1));
	T_EQ(t_net_ctrl(&t, CTRL, 1, 0, tables, sizeof(tables)), VIRTIO_NET_OK);
	T_OK(arrives(&t, d, other, -1));
	T_OK(!arrives(&t, d, third, -1));
	T_OK(arrives(&t, d, group, -1));
	T_OK(!arrives(&t, d, other_group, -1));
	mode(&t, VIRTIO_NET_CTRL_RX_ALLMULTI, 1);
	T_OK(arrives(&t, d, other_group, -1));
	mode(&t, VIRTIO_NET_CTRL_RX_NOMULTI, 1);
	T_OK(!arrives(&t, d, group, -1));
	mode(&t, VIRTIO_NET_CTRL_RX_NOBCAST, 1);
	T_OK(!arrives(&t, d, all_ff, -1));
	mode(&t, VIRTIO_NET_CTRL_RX_ALLUNI, 1);
	T_OK(arrives(&t, d, third, -1));
	mode(&t, VIRTIO_NET_CTRL_RX_NOUNI, 1);
	T_OK(!arrives(&t, d, my_mac, -1));
	mode(&t, VIRTIO_NET_CTRL_RX_PROMISC, 1);
	T_OK(arrives(&t, d, third, 77));
	t_net_adds_up(d, 0);
	t_net_close(&t);

	T_EQ(t_net_open(&t, d, ALL, 5), 0);
	t_net_fill(&t, 0, 16);
	T_OK(arrives(&t, d, other, -1));
	T_OK(!arrives(&t, d, other, 5));
	T_EQ(t_net_ctrl(&t, CTRL, 2, 0, vlan, 2), VIRTIO_NET_OK);
	T_OK(arrives(&t, d, other, 5));
	T_OK(!arrives(&t, d, other, 6));
	T_EQ(t_net_ctrl(&t, CTRL, 2, 1, vlan, 2), VIRTIO_NET_OK);
	T_OK(!arrives(&t, d, other, 5));
	t_net_close(&t);
	vhk_device_free(d);
}

static void config(struct t_net *t, struct virtio_net_config *c)
{
	memset(c, 0, sizeof(*c));
	T_EQ(vhk_ctl_get_config(t->ctl, 0, c, 12), 0);
}

static struct vhk_device *dev;

static void pull_out(void *arg)
{
	(void)arg;
	T_EQ(vhk_net_set_link(dev, false), 0);
}

static void plug_in(void *arg)
{
	(void)arg;
	T_EQ(vhk_net_set_link(dev, true), 0);
}

static void announce(void *arg)
{
	(void)arg;
	T_EQ(vhk_net_announce(dev), 0);
}

static void the_configuration_follows(void)
{
	const uint8_t new_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct virtio_net_config c;
	unsigned char frame[64];
	struct t_net t;

	dev = card(2);
	T_EQ(t_net_open(&t, dev, ALL, 5), 0);
	config(&t, &c);
	T_EQ(memcmp(c.mac, my_mac, 6), 0);
	T_EQ(le16toh(c.status), VIRTIO_NET_S_LINK_UP);
	T_EQ(le16toh(c.max_virtqueue_pairs), 2);
	T_EQ(le16toh(c.mtu), 1400);
	T_EQ(t_net_ctrl(&t, CTRL, 1, 1, new_mac, 6), VIRTIO_NET_OK);
	config(&t, &c);
	T_EQ(memcmp(c.mac, new_mac, 6), 0);

	t_both_call(&t.both, announce, NULL);
	config(&t, &c);
	T_EQ(le16toh(c.status), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	T_EQ(t_net_ctrl(&t, CTRL, 3, 0, NULL, 0), VIRTIO_NET_OK);
	config(&t, &c);
	T_EQ(le16toh(c.status), VIRTIO_NET_S_LINK_UP);

	t_both_call(&t.both, pull_out, NULL);
	config(&t, &c);
	T_EQ(le16toh(c.status), 0);
	t_frame(frame, sizeof(frame), 1);
	t_net_fill(&t, 0, 4);
	T_EQ(t_net_send(&t, 1, NULL, frame, sizeof(frame)), 0);
	T_EQ(t_net_dropped(dev, 1, VHK_NET_DROP_LINK), 1);
	t_both_call(&t.both, plug_in, NULL);
	T_OK(arrives(&t, dev, other, -1));
	T_EQ(vhk_ctl_net_set_mtu(t.ctl, 1400), 0);
	T_OK(vhk_ctl_net_set_mtu(t.ctl, 1401) < 0);
	T_OK(vhk_ctl_net_set_mtu(t.ctl, 67) < 0);
	t_net_close(&t);
	vhk_device_free(dev);
}

/* Without MQ the control queue is number 2, even of a card with more pairs. */
static void it_is_number_two_without_multiqueue(void)
{
	struct vhk_device *d = card(2);
	const uint8_t on = 1;
	struct t_net t;

	T_EQ(t_net_open(&t, d, ALL & ~T_NF(MQ), 3), 0);
	T_EQ(t_net_ctrl(&t, 2, 0, 0, &on, 1), VIRTIO_NET_OK);
	t_net_close(&t);
	vhk_device_free(d);
}

/* A request that has no place for its answer breaks the queue, and only that. */
static void a_request_without_answer(void)
{
	struct vhk_device *d = card(2);
	struct iovec seg;
	struct t_net t;

	T_EQ(t_net_open(&t, d, ALL & ~T_NF(CTRL_VLAN), 5), 0);
	t_net_fill(&t, 0, 4);
	seg = (struct iovec){ t_net_buf(&t, CTRL, 0), 3 };
	T_EQ(vhk_vq_add(t.vq[CTRL], &seg, 1, 0, &t), 0);
	t_net_kick(&t, CTRL);
	T_OK(t_net_get(&t, CTRL, &(struct vhk_done){ 0 }) != -ETIMEDOUT);
	T_OK(arrives(&t, d, other, -1));
	t_net_close(&t);
	vhk_device_free(d);
}

static int settle(struct vhk_device *d, uint64_t features)
{
	struct vhk_ctl_opts o = { .n_queues = 2 };
	struct vhk_mem *m;
	struct t_both b;
	int ret;

	T_MUST(!vhk_mem_new(&m));
	t_both_open(&b, d, NULL, o);
	ret = vhk_ctl_setup(b.ctl, VHK_F_VERSION_1 | features, 0, m);
	t_both_close(&b);
	vhk_mem_free(m);
	return ret;
}

static void features_that_contradict_each_other(void)
{
	struct vhk_net_opts o = { .sz = sizeof(o), .port = VHK_NET_RXONLY, .num_pairs = 2 };
	struct vhk_device *d;

	T_MUST(!vhk_net_new(&d, &o));
	T_OK(settle(d, T_NF(HOST_TSO4)) < 0);
	T_OK(settle(d, T_NF(CSUM) | T_NF(HOST_ECN)) < 0);
	T_EQ(settle(d, T_NF(CSUM) | T_NF(HOST_TSO6) | T_NF(HOST_ECN)), 0);
	/* the front end may serve the control queue, and say nothing of it */
	T_EQ(settle(d, T_NF(MQ) | T_NF(GUEST_ANNOUNCE)), 0);
	vhk_device_free(d);
}

int main(void)
{
	T_RUN(what_is_wrong_is_refused);
	T_RUN(what_was_not_negotiated_is_refused);
	T_RUN(addresses_are_filtered);
	T_RUN(the_configuration_follows);
	T_RUN(it_is_number_two_without_multiqueue);
	T_RUN(a_request_without_answer);
	T_RUN(features_that_contradict_each_other);
	return t_end();
}
