// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: a network card of ours behind vhost-vDPA, driven through
 * the library. What is on the other side is the interface n0, with an IP stack and raw sockets.
 *
 *   kern_vnic streams|commands URI
 *   kern_vnic pairs URI                a card that has two
 */
#define TAP "n0"
#include "kern_stream.h"

#include <linux/if_packet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define F(name) (1ull << VIRTIO_NET_F_##name)
#define MUST (VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM)
#define RING (MUST | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX)
#define OFFLOADS (F(CSUM) | F(GUEST_CSUM) | F(HOST_TSO4) | F(GUEST_TSO4) | F(HOST_ECN) | \
		  F(GUEST_ECN))
#define CMDS (nic.n_queues - 1)
#define COMMANDS (F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_MAC_ADDR) | \
		  F(CTRL_GUEST_OFFLOADS) | F(GUEST_ANNOUNCE) | F(STATUS) | F(MAC))

static const char *uri;

static void open_nic(uint64_t features)
{
	memset(&nic, 0, sizeof(nic));
	nic.tap = -1;
	nic.n_queues = features & F(MQ) ? 5 : features & F(CTRL_VQ) ? 3 : 2;
	kern_open(&nic.k, uri);
	nic_start(&nic, features);
	tap_up(TAP);
}

static void close_nic(void)
{
	kern_close(&nic.k);
}

/* A counter of the interface. */
static uint64_t count(const char *name)
{
	char path[128];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/" TAP "/statistics/%s", name);
	f = fopen(path, "r");
	T_MUST(f && fscanf(f, "%llu", &n) == 1);
	fclose(f);
	return n;
}

static const uint64_t layouts[] = {
	RING,
	MUST,
	RING | VHK_F_IN_ORDER,
	RING | VHK_F_RING_PACKED,
	MUST | VHK_F_RING_PACKED,
	RING | VHK_F_RING_PACKED | VHK_F_IN_ORDER,
};

#define N_LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static void every_layout(void)
{
	unsigned int i;

	for (i = 0; i < N_LAYOUTS; i++) {
		open_nic(layouts[i] | OFFLOADS | F(MRG_RXBUF));
		T_EQ(vhk_ctl_features(nic.k.ctl) & layouts[i], layouts[i]);
		tcp_both_ways();
		T_OK(nic.n_merged > 0 && nic.n_gso > 0 && nic.n_csum > 0);
		close_nic();
	}
}

static void whole_frames(void)
{
	unsigned int i;

	for (i = 0; i < N_LAYOUTS; i += 3) {
		open_nic(layouts[i] | OFFLOADS);
		tcp_both_ways();
		T_EQ(nic.n_merged, 0);
		T_OK(nic.n_gso > 0);
		close_nic();
	}
}

/* What the driver does not take is summed, and cut, before it comes. */
static void takes_no_offloads(void)
{
	open_nic(RING | F(CSUM) | F(HOST_TSO4) | F(MRG_RXBUF));
	tcp_both_ways();
	T_OK(nic.n_gso == 0 && nic.n_csum == 0);
	close_nic();
}

static void stops_and_goes_on(void)
{
	unsigned int i, n;
	uint32_t base;

	for (i = 0; i < N_LAYOUTS; i += 3) {
		open_nic(layouts[i] | OFFLOADS | F(MRG_RXBUF));
		for (n = 0; n < 3; n++) {
			struct vhk_vq_addr a;

			tcp_both_ways();
			T_EQ(vhk_ctl_suspend(nic.k.ctl), 0);
			T_EQ(vhk_ctl_resume(nic.k.ctl), 0);
			tcp_both_ways();
			T_EQ(vhk_ctl_stop(nic.k.ctl, TX, &base), 0);
			T_EQ(vhk_vq_addr(nic.k.vq[TX], &a), 0);
			T_EQ(base, a.base);
			T_EQ(vhk_ctl_stop(nic.k.ctl, RX, &base), 0);
			T_EQ(vhk_ctl_start_all(nic.k.ctl, nic.k.vq, 2), 0);
			T_MUST(!t_bad);
		}
		tcp_both_ways();
		close_nic();
	}
}

static uint16_t status(void)
{
	struct virtio_net_config c;

	memset(&c, 0xff, sizeof(c));
	T_EQ(vhk_ctl_get_config(nic.k.ctl, 0, &c, sizeof(c)), 0);
	return c.status;
}

/* Sends a command; the answer. */
static int command(uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	unsigned char *p = nic.tx + 70000;
	const struct iovec seg[3] = { { p, 2 }, { p + 64, len }, { p + 32, 1 } };
	const struct iovec bare[2] = { seg[0], seg[2] };

	p[0] = class;
	p[1] = cmd;
	p[32] = 0xaa;
	memcpy(p + 64, data, len);
	T_EQ(kern_do(&nic.k, CMDS, len ? seg : bare, len ? 2 : 1, 1), 1);
	return p[32];
}

static const unsigned char mac_a[6] = { 2, 0, 0, 0, 9, 1 }, mac_b[6] = { 2, 0, 0, 0, 9, 2 };
static const unsigned char group_a[6] = { 1, 0, 0x5e, 1, 1, 1 };
static const unsigned char group_b[6] = { 1, 0, 0x5e, 1, 1, 2 };
static const unsigned char everybody[6] = { 255, 255, 255, 255, 255, 255 };
static int raw = -1;

static void raw_open(void)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };

	raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	a.sll_ifindex = (int)if_nametoindex(TAP);
	T_MUST(raw >= 0 && !bind(raw, (void *)&a, sizeof(a)));
}

/* Whether a frame to @to arrives, with a VLAN tag or without one (vid < 0). */
static bool arrives(const unsigned char *to, int vid)
{
	static uint32_t serial;
	unsigned char f[64] = { 0 };
	unsigned int at = 12, n;

	memcpy(f, to, 6);
	memcpy(f + 6, our_mac, 6);
	f[6] = 6;
	if (vid >= 0) {
		f[at++] = 0x81;
		f[at++] = 0;
		f[at++] = (unsigned char)(vid >> 8);
		f[at++] = (unsigned char)vid;
	}
	f[at++] = 0x88;
	f[at++] = 0xb5;
	serial++;
	memcpy(f + at, &serial, 4);
	T_MUST(send(raw, f, sizeof(f), 0) == sizeof(f));
	/* Behind it comes one that arrives for sure, or nothing does. */
	for (n = 0; n < 100 && nic_receive(&nic, &in, n ? SECOND / 50 : SECOND / 10); n++)
		if (in.len == sizeof(f) && !memcmp(in.data, f, sizeof(f)))
			return true;
	return false;
}

static int set_mode(uint8_t cmd, uint8_t on)
{
	return command(VIRTIO_NET_CTRL_RX, cmd, &on, 1);
}

static int set_macs(const unsigned char *uni, const unsigned char *multi)
{
	unsigned char t[20] = { (unsigned char)(uni != NULL) };
	unsigned int at = 4;

	if (uni) {
		memcpy(t + at, uni, 6);
		at += 6;
	}
	t[at] = multi != NULL;
	at += 4;
	if (multi) {
		memcpy(t + at, multi, 6);
		at += 6;
	}
	return command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, t, at);
}

static void filters_frames(void)
{
	uint16_t vid = 5;

	open_nic(RING | COMMANDS | F(MRG_RXBUF));
	raw_open();
	T_OK(arrives(mac_a, -1) && arrives(group_a, -1) && arrives(everybody, 7));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), 0);
	T_OK(!arrives(mac_a, -1) && !arrives(group_a, -1) && arrives(everybody, -1));
	T_EQ(set_macs(mac_a, group_a), 0);
	T_OK(arrives(mac_a, -1) && !arrives(mac_b, -1));
	T_OK(arrives(group_a, -1) && !arrives(group_b, -1));
	T_EQ(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac_b, 6), 0);
	T_OK(arrives(mac_b, -1));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1), 0);
	T_OK(arrives(group_b, -1));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1), 0);
	T_OK(!arrives(group_a, -1));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1), 0);
	T_OK(!arrives(everybody, -1));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 0), 0);
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_ALLUNI, 1), 0);
	T_OK(arrives(our_mac, -1));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_NOUNI, 1), 0);
	T_OK(!arrives(mac_a, -1));
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_NOUNI, 0), 0);
	T_OK(!arrives(everybody, 5));
	T_EQ(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vid, 2), 0);
	T_OK(arrives(everybody, 5) && !arrives(everybody, 6));
	T_EQ(command(VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &vid, 2), 0);
	T_OK(!arrives(everybody, 5));
	close(raw);
	close_nic();
}

static void refuses_commands(void)
{
	static const uint64_t all = ~0ull, none = 0;
	static unsigned char big[6 * 70 + 8];
	static const struct {
		uint8_t class, cmd;
		uint32_t len;
		const void *data;
	} bad[] = {
		{ 99, 0, 1, &all },
		{ 255, 255, 0, &all },
		{ VIRTIO_NET_CTRL_RX, 6, 1, &all },
		{ VIRTIO_NET_CTRL_RX, 0, 0, &all },
		{ VIRTIO_NET_CTRL_MAC, 0, 3, &none },
		{ VIRTIO_NET_CTRL_MAC, 0, 4, &none },
		{ VIRTIO_NET_CTRL_MAC, 0, 8, &all },
		{ VIRTIO_NET_CTRL_MAC, 1, 5, &none },
		{ VIRTIO_NET_CTRL_MAC, 1, 6, &none },
		{ VIRTIO_NET_CTRL_MAC, 1, 6, &all },
		{ VIRTIO_NET_CTRL_MAC, 2, 6, &none },
		{ VIRTIO_NET_CTRL_VLAN, 0, 2, &all },
		{ VIRTIO_NET_CTRL_VLAN, 0, 1, &none },
		{ VIRTIO_NET_CTRL_VLAN, 2, 2, &none },
		{ VIRTIO_NET_CTRL_ANNOUNCE, 1, 0, &none },
		{ VIRTIO_NET_CTRL_MQ, 0, 2, &none },
		{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 8, &all },
		{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, 7, &none },
	};
	unsigned int i;

	open_nic(RING | COMMANDS | F(MRG_RXBUF));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		T_EQ(command(bad[i].class, bad[i].cmd, bad[i].data, bad[i].len), 1);
	/* More addresses than there is room for: all are wanted. */
	big[0] = 70;
	T_EQ(command(VIRTIO_NET_CTRL_MAC, 0, big, sizeof(big)), 0);
	big[0] = 71;
	T_EQ(command(VIRTIO_NET_CTRL_MAC, 0, big, sizeof(big)), 1);
	T_EQ(kern_do(&nic.k, CMDS, &(struct iovec){ nic.tx, 16 }, 1, 0), 0);
	T_EQ(kern_do(&nic.k, CMDS, &(struct iovec){ nic.tx, 1 }, 0, 1), 1);
	T_EQ(nic.tx[0], 1);
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_PROMISC, 1), 0);
	close_nic();
}

/* Commands by somebody who shares nothing with the data but the device. */
static void commands_have_their_own_memory(void)
{
	struct kern *k = &nic.k;
	struct vhk_region r;
	uint32_t n = 0, group = 9;
	unsigned int i;

	memset(&nic, 0, sizeof(nic));
	nic.tap = -1;
	nic.n_queues = 3;
	kern_open(k, uri);
	kern_setup(k, RING | COMMANDS, 3, NIC_SIZE);
	T_EQ(vhk_ctl_get_group_num(k->ctl, &n), 0);
	T_EQ(n, 2);
	T_EQ(vhk_ctl_get_as_num(k->ctl, &n), 0);
	T_EQ(n, 2);
	for (i = 0; i < 3; i++) {
		T_EQ(vhk_ctl_get_vring_group(k->ctl, i, &group), 0);
		T_EQ(group, i == CMDS);
	}
	T_EQ(vhk_ctl_set_group_asid(k->ctl, 1, 1), 0);
	T_EQ(vhk_ctl_set_group_asid(k->ctl, 1, 2), -EINVAL);
	T_EQ(vhk_ctl_set_group_asid(k->ctl, 2, 0), -EINVAL);
	nic.tx = k->data + 16;
	for (i = 0; !vhk_mem_get(k->mem, i, &r, NULL); i++) {
		const struct vhk_iotlb_msg m = {
			.iova = { r.gpa.v },
			.size = r.size,
			.uva = r.uva,
			.asid = 1,
			.perm = VHK_IOTLB_PERM_RW,
			.type = VHK_IOTLB_UPDATE,
		};

		T_EQ(vhk_ctl_iotlb(k->ctl, &m), 0);
	}
	T_EQ(vhk_ctl_start_all(k->ctl, k->vq, 3), 0);
	T_EQ(set_mode(VIRTIO_NET_CTRL_RX_ALLMULTI, 1), 0);
	T_EQ(vhk_ctl_set_group_asid(k->ctl, 1, 0), -EBUSY);
	close_nic();
}

static void until_status(uint16_t want)
{
	unsigned int i;

	for (i = 0; i < 500 && status() != want; i++)
		usleep(20000);
	T_EQ(status(), want);
}

static void tells_of_the_link(void)
{
	open_nic(RING | COMMANDS);
	until_status(VIRTIO_NET_S_LINK_UP);
	T_MUST(!system("ip link set " TAP " down"));
	until_status(0);
	T_MUST(!system("ip link set " TAP " up"));
	until_status(VIRTIO_NET_S_LINK_UP);
	T_MUST(!system("brctl addbr br9 && brctl addif br9 " TAP));
	until_status(VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	T_EQ(command(VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0), 0);
	T_EQ(status(), VIRTIO_NET_S_LINK_UP);
	T_MUST(!system("brctl delif br9 " TAP " && brctl delbr br9"));
	close_nic();
	T_MUST(!system("! grep -q 1 /sys/class/net/" TAP "/carrier"));
}

/* Sends frames with headers that no driver should write; all are counted, by cause. */
static void counts_what_is_wrong(void)
{
	static const struct {
		const char *counter;
		struct virtio_net_hdr_v1 hdr;
		uint32_t len;
	} bad[] = {
		{ "rx_length_errors", { 0 }, 0 },
		{ "rx_length_errors", { 0 }, 13 },
		{ "rx_length_errors", { 0 }, 1519 },
		{ "rx_length_errors", { .gso_type = 1, .gso_size = 1000 }, 65555 },
		{ "rx_frame_errors", { .gso_type = 2 }, 1000 },
		{ "rx_frame_errors", { .gso_type = 3, .gso_size = 100 }, 1000 },
		{ "rx_frame_errors", { .gso_type = 4, .gso_size = 100 }, 1000 },
		{ "rx_frame_errors", { .gso_type = 1, .gso_size = 0 }, 1000 },
		{ "rx_frame_errors", { .gso_type = 0x7f, .gso_size = 9 }, 1000 },
		{ "rx_frame_errors", { .flags = 1, .csum_start = 999, .csum_offset = 0 }, 1000 },
		{ "rx_frame_errors",
		  { .flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff }, 60 },
		{ "rx_frame_errors",
		  { .flags = 1, .gso_type = 1, .gso_size = 0xffff,
		    .csum_start = 34, .csum_offset = 16 }, 1000 },
	};
	uint64_t before, errors, packets;
	unsigned int i;

	open_nic(RING | OFFLOADS | F(MRG_RXBUF));
	memset(&out, 0, sizeof(out));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		before = count(bad[i].counter);
		errors = count("rx_errors");
		packets = count("rx_packets");
		out.hdr = bad[i].hdr;
		out.len = bad[i].len;
		if (out.len) {
			nic_send(&nic, &out);
		} else {
			T_EQ(kern_do(&nic.k, TX, &(struct iovec){ nic.tx, 12 }, 1, 0), 0);
		}
		if (count(bad[i].counter) != before + 1)
			printf("# case %u\n", i);
		T_EQ(count(bad[i].counter), before + 1);
		T_EQ(count("rx_errors"), errors + 1);
		T_EQ(count("rx_packets"), packets);
	}
	tcp_both_ways();
	close_nic();
}

/* A driver that gives no buffers holds nothing up for long, and gets frames again when it does. */
static void stalls(void)
{
	unsigned int i, n;

	open_nic(RING | F(MRG_RXBUF));
	raw_open();
	T_OK(arrives(mac_a, -1));
	/* Take all, give nothing back. */
	for (n = 0; n < 3000; n++) {
		unsigned char f[1400] = { 2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 9, 0x88, 0xb5 };

		if (send(raw, f, sizeof(f), MSG_DONTWAIT) < 0)
			break;
	}
	T_OK(n >= NIC_SIZE - 1);
	for (i = 0; i < 500 && !count("tx_dropped"); i++)
		usleep(20000);
	T_OK(count("tx_dropped") > 0);
	/* The socket has its memory back, so it can send again. */
	for (i = 0; i < 500; i++) {
		struct pollfd p = { .fd = raw, .events = POLLOUT };

		if (poll(&p, 1, 20) == 1 && p.revents & POLLOUT)
			break;
	}
	T_OK(i < 500);
	while (nic_receive(&nic, &in, SECOND / 5))
		;
	T_OK(arrives(mac_a, -1));
	close(raw);
	close_nic();
}

static int set_mac(const unsigned char mac[6])
{
	char line[128];

	snprintf(line, sizeof(line),
		 "vhk vdpa dev set name n0 mac %02x:%02x:%02x:%02x:%02x:%02x >/tmp/set 2>&1",
		 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return system(line);
}

static bool has_mac(const unsigned char mac[6])
{
	unsigned char got[6] = { 0 };

	T_EQ(vhk_ctl_get_config(nic.k.ctl, 0, got, sizeof(got)), 0);
	return !memcmp(got, mac, 6);
}

/* What the administrator sets, a driver that does not run yet is told; one that runs keeps. */
static void gets_another_address(void)
{
	const int told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t n = 0;

	T_MUST(told >= 0);
	memset(&nic, 0, sizeof(nic));
	nic.tap = -1;
	nic.n_queues = 2;
	kern_open(&nic.k, uri);
	T_EQ(vhk_ctl_set_config_call(nic.k.ctl, told), 0);
	T_OK(read(told, &n, sizeof(n)) < 0);
	T_OK(!set_mac(mac_a));
	T_EQ(read(told, &n, sizeof(n)), sizeof(n));
	T_EQ(n, 1);
	T_OK(has_mac(mac_a));
	T_OK(set_mac(group_a));
	T_OK(has_mac(mac_a));
	T_OK(read(told, &n, sizeof(n)) < 0);
	kern_close(&nic.k);

	open_nic(RING | COMMANDS);
	T_OK(has_mac(mac_a));
	T_OK(set_mac(mac_b));
	T_MUST(!system("grep -q 'a driver uses the device' /tmp/set"));
	T_OK(has_mac(mac_a));
	/* It has a say itself, up to the reset. */
	T_EQ(command(VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, mac_b, 6), 0);
	T_OK(has_mac(mac_b));
	close_nic();
	open_nic(RING | COMMANDS);
	T_OK(has_mac(mac_a));
	close_nic();
	T_OK(!set_mac(mac_b));
	close(told);
}

static int set_pairs(uint16_t n)
{
	return command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &n, sizeof(n));
}

/* How many pairs are used is the driver's to say, up to the reset; what cannot be is refused. */
static void uses_pairs(void)
{
	static const uint16_t bad[] = { 0, 3, 0x102, 0x8000, 0xffff };
	const uint8_t half = 2;
	unsigned int i;

	open_nic(RING | COMMANDS | F(MQ) | F(MRG_RXBUF));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		T_EQ(set_pairs(bad[i]), 1);
	T_EQ(command(VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &half, 1), 1);
	T_EQ(command(VIRTIO_NET_CTRL_MQ, 1, &bad[1], 2), 1);
	T_MUST(!system("nic channels " TAP " | grep -q '^1 of 2'"));
	T_EQ(set_pairs(2), 0);
	T_MUST(!system("nic channels " TAP " | grep -q '^2 of 2'"));
	close_nic();
	T_MUST(!system("nic channels " TAP " | grep -q '^1 of 2'"));
}

int main(int argc, char **argv)
{
	/* Two address spaces may have the same memory, and it counts twice. */
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (argc < 3)
		return 2;
	T_MUST(!setrlimit(RLIMIT_MEMLOCK, &all));
	uri = argv[2];
	if (!strcmp(argv[1], "streams")) {
		T_RUN(every_layout);
		T_RUN(whole_frames);
		T_RUN(takes_no_offloads);
		T_RUN(stops_and_goes_on);
	} else if (!strcmp(argv[1], "commands")) {
		T_RUN(filters_frames);
		T_RUN(refuses_commands);
		T_RUN(commands_have_their_own_memory);
		T_RUN(tells_of_the_link);
		T_RUN(counts_what_is_wrong);
		T_RUN(stalls);
		T_RUN(gets_another_address);
	} else if (!strcmp(argv[1], "pairs")) {
		T_RUN(uses_pairs);
	} else {
		return 2;
	}
	return t_end();
}
