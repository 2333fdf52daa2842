// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Cards joined by a switch: it learns, forgets, floods within limits; a port that never reads or
 * that floods is not noticed by the others.
 */
#include "net_table.h"
#include "t_net.h"

#define PORTS 3
#define WANT (VHK_F_VERSION_1 | T_NF(CSUM) | T_NF(GUEST_CSUM) | T_NF(MRG_RXBUF))

static unsigned char sent[2048], got[70000];

/* All cards and the switch are served by one loop, in a thread of its own. */
static struct net {
	struct vhk_loop *loop;
	struct vhk_switch *sw;
	struct vhk_device *card[PORTS];
	struct vhk_backend *be[PORTS];
	struct t_net t[PORTS];
	pthread_t thread;
} net;

static void *run(void *arg)
{
	unsigned int i;

	(void)arg;
	vhk_loop_run(net.loop);
	for (i = 0; i < PORTS; i++)
		vhk_backend_close(net.be[i]);
	return NULL;
}

static void plug(unsigned int i)
{
	struct vhk_ctl_opts co = { .sz = sizeof(co), .timeout_ms = 20000, .n_queues = 2,
				   .queue_size = T_NET_SIZE };
	struct vhk_net_opts o = { .sz = sizeof(o), .port = VHK_NET_SWITCH, .sw = net.sw };
	char uri[32];
	int fd[2];

	T_MUST(!vhk_net_new(&net.card[i], &o));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_backend_take_fd(&net.be[i], net.loop, net.card[i], fd[1], NULL));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	memset(&net.t[i], 0, sizeof(net.t[i]));
	T_MUST(!vhk_ctl_open(&net.t[i].ctl, uri, &co));
}

static void open_net(uint32_t addresses, uint32_t flood_pps, const uint64_t *features)
{
	struct vhk_switch_opts o = { .sz = sizeof(o), .addresses = addresses,
				     .flood_pps = flood_pps };
	unsigned int i;

	T_MUST(!vhk_loop_new(&net.loop, NULL));
	o.loop = net.loop;
	T_MUST(!vhk_switch_new(&net.sw, &o));
	for (i = 0; i < PORTS; i++)
		plug(i);
	T_MUST(!pthread_create(&net.thread, NULL, run, NULL));
	for (i = 0; i < PORTS; i++)
		T_EQ(t_net_setup(&net.t[i], features[i], 2), 0);
}

static void note(struct vhk_work *w)
{
	w->fn = NULL;
}

/* A guest announces itself and goes before the switch's thread has heard of it: the card takes its
 * message along, and no other's. */
static void a_card_that_goes_with_its_announcement(void)
{
	const struct vhk_ctl_opts co = { .n_queues = 2, .queue_size = T_NET_SIZE,
					 .also = VHK_PF_RARP };
	struct vhk_work before = { .fn = note }, behind = { .fn = note };
	struct vhk_switch_opts so = { .sz = sizeof(so) };
	struct vhk_net_opts o = { .sz = sizeof(o), .port = VHK_NET_SWITCH };
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
	struct vhk_device *card[2];
	struct vhk_mem *mem;
	struct t_both both;
	struct vhk_loop *l;
	unsigned int i;
	void *va;

	T_MUST(!vhk_loop_new(&l, NULL));
	so.loop = l;
	T_MUST(!vhk_switch_new(&o.sw, &so));
	for (i = 0; i < 2; i++)
		T_MUST(!vhk_net_new(&card[i], &o));
	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x1000000 }, 4096, &va));
	vhk_loop_post(l, &before);
	t_both_open(&both, card[0], NULL, co);
	T_MUST(!vhk_ctl_setup(both.ctl, VHK_F_VERSION_1, 0, mem));
	T_EQ(vhk_ctl_send_rarp(both.ctl, mac), 0);
	t_both_close(&both);
	vhk_loop_post(l, &behind);
	vhk_device_free(card[0]);
	for (i = 0; i < 4; i++)
		vhk_loop_step(l, 0);
	T_OK(!before.fn && !behind.fn);
	T_EQ(vhk_switch_addresses(o.sw), 0);
	vhk_device_free(card[1]);
	vhk_mem_free(mem);
	vhk_switch_free(o.sw);
	vhk_loop_free(l);
}

static void close_net(void)
{
	unsigned int i;

	for (i = 0; i < PORTS; i++)
		vhk_ctl_close(net.t[i].ctl);
	vhk_loop_stop(net.loop);
	pthread_join(net.thread, NULL);
	for (i = 0; i < PORTS; i++) {
		t_net_adds_up(net.card[i], 0);
		t_net_adds_up(net.card[i], 1);
		vhk_device_free(net.card[i]);
		t_net_drop_queues(&net.t[i]);
	}
	vhk_switch_free(net.sw);
	vhk_loop_free(net.loop);
}

static const uint64_t plain[PORTS] = { WANT, WANT | VHK_F_RING_PACKED,
				       WANT | VHK_F_RING_PACKED | VHK_F_IN_ORDER };

/* A packet from port @from with addresses by number; 255 is everybody. */
static void transmit(unsigned int from, uint8_t src, uint8_t dst, unsigned int len)
{
	t_frame(sent, len, len);
	memset(sent, dst == 255 ? 255 : 0, 6);
	memset(sent + 6, 0, 6);
	sent[0] |= 2;
	sent[5] = dst;
	sent[6] = 2;
	sent[11] = src;
	T_EQ(t_net_send(&net.t[from], 1, NULL, sent, len), 0);
}

static uint64_t received(unsigned int port)
{
	struct vhk_net_stats s;

	T_MUST(!vhk_net_stats(net.card[port], 0, &s));
	return s.seen;
}

static void gets(unsigned int port, unsigned int len)
{
	struct virtio_net_hdr_v1 hdr;

	T_EQ(t_net_recv(&net.t[port], 0, &hdr, got), len);
	T_EQ(memcmp(sent, got, len), 0);
}

static void it_learns_where_addresses_are(void)
{
	unsigned int i;

	open_net(0, 0, plain);
	for (i = 0; i < PORTS; i++)
		t_net_fill(&net.t[i], 0, 16);
	transmit(0, 10, 11, 100); /* unknown: to all others */
	gets(1, 100);
	gets(2, 100);
	transmit(1, 11, 10, 200);
	gets(0, 200);
	transmit(0, 10, 11, 300);
	gets(1, 300);
	T_EQ(received(2), 1);
	transmit(2, 12, 255, 400);
	gets(0, 400);
	gets(1, 400);
	T_EQ(received(2), 1);
	/* an address that moves is followed */
	transmit(2, 11, 10, 150);
	gets(0, 150);
	transmit(0, 10, 11, 160);
	gets(2, 160);
	/* to one's own port it goes nowhere */
	transmit(2, 12, 11, 170);
	T_EQ(t_net_dropped(net.card[2], 1, VHK_NET_DROP_LINK), 1);
	close_net();
}

static void a_port_that_never_reads_is_not_missed(void)
{
	unsigned int i;

	open_net(0, 1000000, plain);
	t_net_fill(&net.t[0], 0, 16);
	t_net_fill(&net.t[1], 0, 16);
	transmit(2, 12, 255, 60);
	gets(0, 60);
	gets(1, 60);
	for (i = 0; i < 500; i++) {
		transmit(0, 10, 12, 100); /* to the one without buffers */
		transmit(0, 10, 255, 120);
		gets(1, 120);
	}
	T_EQ(t_net_dropped(net.card[2], 0, VHK_NET_DROP_ROOM), 1000);
	T_EQ(t_net_dropped(net.card[0], 1, VHK_NET_DROP_ROOM), 0);
	close_net();
}

static void a_port_that_floods_is_held_back(void)
{
	struct virtio_net_hdr_v1 hdr;
	struct vhk_net_stats s;
	unsigned int i;

	open_net(0, 100, plain);
	for (i = 0; i < PORTS; i++)
		t_net_fill(&net.t[i], 0, 32);
	for (i = 0; i < 2000; i++)
		transmit(0, 10, 255, 60);
	T_OK(t_net_dropped(net.card[0], 1, VHK_NET_DROP_FLOOD) > 1500);
	/* the others may still speak to everybody, and it to those that are known */
	T_OK(received(1) > 0 && received(1) < 500);
	transmit(1, 11, 255, 70);
	T_EQ(t_net_dropped(net.card[1], 1, VHK_NET_DROP_FLOOD), 0);
	T_MUST(!vhk_net_stats(net.card[1], 0, &s));
	while (s.packets--)
		T_EQ(t_net_recv(&net.t[1], 0, &hdr, got), 60);
	transmit(0, 10, 11, 80);
	gets(1, 80);
	close_net();
}

static void count_addresses(void *arg)
{
	*(unsigned int *)arg = vhk_switch_addresses(net.sw);
}

static void nobody_can_take_all_addresses(void)
{
	struct t_both b = { 0 };
	unsigned int i, n = 0;

	open_net(64, 1000000000, plain);
	b.loop = net.loop;
	for (i = 0; i < 250; i++)
		transmit(0, (uint8_t)i, 252, 60);
	T_EQ(t_net_dropped(net.card[0], 1, VHK_NET_DROP_FLOOD), 0);
	t_net_fill(&net.t[1], 0, 8);
	transmit(1, 254, 252, 60);
	t_net_fill(&net.t[0], 0, 8);
	transmit(0, 1, 254, 90);
	gets(1, 90);
	t_both_call(&b, count_addresses, &n);
	T_OK(n > 2 && n <= 33);
	close_net();
}

/* A driver without GUEST_CSUM gets the sum that another one put off. */
static void sums_are_made_for_who_needs_them(void)
{
	static const uint64_t features[PORTS] = { WANT, WANT & ~T_NF(GUEST_CSUM), WANT };
	struct virtio_net_hdr_v1 hdr = { .flags = 1, .csum_start = htole16(34),
					 .csum_offset = htole16(6) };
	unsigned int i;

	open_net(0, 0, features);
	for (i = 0; i < PORTS; i++)
		t_net_fill(&net.t[i], 0, 8);
	t_frame(sent, 120, 1);
	memset(sent, 255, 6);
	T_EQ(t_net_send(&net.t[0], 1, &hdr, sent, 120), 0);
	T_EQ(t_net_recv(&net.t[2], 0, &hdr, got), 120);
	T_EQ(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	T_EQ(memcmp(sent, got, 120), 0);
	T_EQ(t_net_recv(&net.t[1], 0, &hdr, got), 120);
	T_EQ(hdr.flags, 0);
	T_OK(memcmp(sent + 40, got + 40, 2) != 0);
	close_net();
}

static void the_table_is_bounded_and_aged(void)
{
	struct net_table *t = vhk_net_table_new(100, 10, 0x1234567890abcdefULL);
	unsigned int i, found = 0;

	T_MUST(t);
	for (i = 0; i < 1000; i++)
		vhk_net_table_learn(t, i, i % 2, 1000);
	T_OK(vhk_net_table_count(t) <= 100 && vhk_net_table_count(t) > 60);
	for (i = 0; i < 1000; i++)
		if (vhk_net_table_find(t, i, 1000) >= 0) {
			T_EQ(vhk_net_table_find(t, i, 1000), i % 2);
			found++;
		}
	T_EQ(found, vhk_net_table_count(t));
	vhk_net_table_forget_port(t, 1);
	T_OK(vhk_net_table_count(t) <= 50);
	for (i = 0; i < 1000; i++)
		T_EQ(vhk_net_table_find(t, i, 1011), -1);
	T_EQ(vhk_net_table_count(t), 0);
	/* what is old makes room, wherever it is */
	for (i = 0; i < 50; i++)
		vhk_net_table_learn(t, 5000 + i, 3, 2000);
	for (i = 0; i < 500; i++)
		vhk_net_table_learn(t, 9000 + i, 3, 3000);
	T_OK(vhk_net_table_count(t) <= 50 && vhk_net_table_count(t) > 30);
	T_EQ(vhk_net_table_find(t, 5000, 3000), -1);
	vhk_net_table_free(t);
}

static void bad_options(void)
{
	struct vhk_switch_opts o = { .sz = sizeof(o) };
	struct vhk_net_opts n = { .sz = sizeof(n), .port = VHK_NET_SWITCH };
	struct vhk_device *d;
	struct vhk_switch *s;
	struct vhk_loop *l;
	unsigned int i;
	struct vhk_device *many[65];

	T_EQ(vhk_switch_new(&s, &o), -EINVAL);
	T_EQ(vhk_net_new(&d, &n), -EINVAL);
	T_MUST(!vhk_loop_new(&l, NULL));
	o.loop = l;
	o.addresses = 1048577;
	T_EQ(vhk_switch_new(&s, &o), -EINVAL);
	o.addresses = 1;
	T_EQ(vhk_switch_new(&s, &o), 0);
	T_EQ(vhk_switch_add_tap(s, open("/dev/null", O_RDWR | O_CLOEXEC)), -EINVAL);
	n.sw = s;
	for (i = 0; i < 64; i++)
		T_EQ(vhk_net_new(&many[i], &n), 0);
	T_EQ(vhk_net_new(&many[i], &n), -EMSGSIZE);
	while (i--)
		vhk_device_free(many[i]);
	vhk_switch_free(s);
	vhk_loop_free(l);
}

int main(void)
{
	T_RUN(it_learns_where_addresses_are);
	T_RUN(a_port_that_never_reads_is_not_missed);
	T_RUN(a_port_that_floods_is_held_back);
	T_RUN(nobody_can_take_all_addresses);
	T_RUN(sums_are_made_for_who_needs_them);
	T_RUN(the_table_is_bounded_and_aged);
	T_RUN(a_card_that_goes_with_its_announcement);
	T_RUN(bad_options);
	return t_end();
}
