// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What the module's network card takes from a driver and gives to one: features that need others,
 * headers, the place of the queue of commands, filters.
 */
#include <linux/types.h>
#include <linux/virtio_net.h>

/* Later than Debian 12's headers. */
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#include "../../kmod/net_filter.c"
#include "../../kmod/net_rules.c"
#include "t.h"

static void features_need_others(void)
{
	static const struct {
		u64 features;
		int want;
	} cases[] = {
		{ 0, 0 },
		{ F(MAC) | F(MTU) | F(STATUS) | F(MRG_RXBUF), 0 },
		{ F(GUEST_CSUM), 0 },
		{ F(GUEST_TSO4), -EINVAL },
		{ F(GUEST_CSUM) | F(GUEST_TSO6), 0 },
		{ F(CSUM) | F(GUEST_TSO6), -EINVAL },
		{ F(GUEST_CSUM) | F(GUEST_ECN), -EINVAL },
		{ F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_ECN), 0 },
		{ F(HOST_TSO4), -EINVAL },
		{ F(CSUM) | F(HOST_TSO4), 0 },
		{ F(CSUM) | F(HOST_ECN), -EINVAL },
		{ F(HOST_USO), -EINVAL },
		{ F(MQ), -EINVAL },
		{ F(CTRL_VQ) | F(MQ), 0 },
		{ F(CTRL_RX), -EINVAL },
		{ F(CTRL_VQ) | F(CTRL_RX_EXTRA), -EINVAL },
		{ F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA), 0 },
		{ F(CTRL_VLAN), -EINVAL },
		{ F(CTRL_MAC_ADDR), -EINVAL },
		{ F(GUEST_ANNOUNCE), -EINVAL },
		{ F(CTRL_GUEST_OFFLOADS), -EINVAL },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		T_EQ(vhk_net_check_features(cases[i].features), cases[i].want);
	T_EQ(vhk_net_check_features(vhk_net_all_features), 0);
}

static void commands_come_last(void)
{
	T_EQ(vhk_net_ctrl_index(0, 4), -1);
	T_EQ(vhk_net_ctrl_index(F(MQ), 4), -1);
	T_EQ(vhk_net_ctrl_index(F(CTRL_VQ), 4), 2);
	T_EQ(vhk_net_ctrl_index(F(CTRL_VQ) | F(MQ), 4), 8);
	T_EQ(vhk_net_ctrl_index(F(CTRL_VQ) | F(MQ), 1), 2);
}

/* Every type with every flag: what was not negotiated is not taken, and what was is. */
static void headers_ask_for_what_was_negotiated(void)
{
	static const struct {
		u8 type;
		u64 need;
	} types[] = {
		{ VIRTIO_NET_HDR_GSO_NONE, 0 },
		{ VIRTIO_NET_HDR_GSO_TCPV4, F(HOST_TSO4) },
		{ VIRTIO_NET_HDR_GSO_TCPV6, F(HOST_TSO6) },
		{ VIRTIO_NET_HDR_GSO_UDP_L4, F(HOST_USO) },
		{ VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, F(HOST_TSO4) | F(HOST_ECN) },
		{ VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN, F(HOST_TSO6) | F(HOST_ECN) },
	};
	unsigned int type, flags, i;
	struct virtio_net_hdr_v1 hdr = { 0 };

	for (type = 0; type < 256; type++) {
		for (flags = 0; flags < 8; flags++) {
			u64 need = flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? F(CSUM) : 0;
			bool known = false;

			hdr.gso_type = (u8)type;
			hdr.flags = (u8)flags;
			for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
				if (types[i].type != type)
					continue;
				known = true;
				need |= types[i].need;
			}
			T_EQ(vhk_net_check_header(vhk_net_all_features, &hdr),
			     known ? VHK_NET_SENT : VHK_NET_DROP_HEADER);
			T_EQ(vhk_net_check_header(need, &hdr),
			     known ? VHK_NET_SENT : VHK_NET_DROP_HEADER);
			for (i = 0; i < 64; i++) {
				const u64 less = vhk_net_all_features & ~BIT_ULL(i);

				if (need >> i & 1)
					T_EQ(vhk_net_check_header(less, &hdr), VHK_NET_DROP_HEADER);
			}
		}
	}
}

static const u8 own[6] = { 2, 0, 0, 0, 0, 1 }, other[6] = { 2, 0, 0, 0, 0, 2 };
static const u8 group[6] = { 1, 0, 0x5e, 0, 0, 1 }, everybody[6] = { 255, 255, 255, 255, 255, 255 };
static struct vhk_net_filter f;

static bool wants(const u8 *to, int vid)
{
	u8 frame[64] = { 0 };

	memcpy(frame, to, 6);
	if (vid >= 0) {
		frame[12] = 0x81;
		frame[14] = (u8)(0xe0 | vid >> 8);
		frame[15] = (u8)vid;
	}
	return vhk_net_filter_wants(&f, vhk_net_mac(own), frame, sizeof(frame));
}

static void mode(enum vhk_net_mode m, bool on)
{
	f.modes = on ? f.modes | BIT(m) : f.modes & ~BIT(m);
}

static void after_a_reset_all_is_wanted(void)
{
	vhk_net_filter_reset(&f, true);
	T_OK(wants(own, -1) && wants(other, -1) && wants(group, -1) && wants(everybody, 4095));
}

static void addresses_are_told_apart(void)
{
	vhk_net_filter_reset(&f, false);
	mode(VHK_NET_PROMISC, false);
	T_OK(wants(own, -1) && wants(everybody, -1) && !wants(other, -1) && !wants(group, -1));
	f.uni.mac[0] = vhk_net_mac(other);
	T_OK(!wants(other, -1));
	f.uni.n = 1;
	T_OK(wants(other, -1));
	f.multi = f.uni;
	T_OK(!wants(group, -1));
	f.multi.mac[VHK_NET_FILTER_MACS - 1] = vhk_net_mac(group);
	f.multi.n = VHK_NET_FILTER_MACS;
	T_OK(wants(group, -1));
	f.multi.n = 0;
	f.multi.all = true;
	T_OK(wants(group, -1));
	mode(VHK_NET_NOMULTI, true);
	T_OK(!wants(group, -1) && wants(everybody, -1));
	mode(VHK_NET_NOBCAST, true);
	T_OK(!wants(everybody, -1) && wants(own, -1));
	f.uni.n = 0;
	mode(VHK_NET_ALLUNI, true);
	T_OK(wants(other, -1));
	mode(VHK_NET_NOUNI, true);
	T_OK(!wants(other, -1) && !wants(own, -1));
	mode(VHK_NET_PROMISC, true);
	T_OK(wants(own, -1) && wants(group, -1) && wants(everybody, -1));
}

static void vlans_are_told_apart(void)
{
	unsigned int vid;
	u8 frame[18] = { 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x81, 0, 0x0f, 0xff };

	vhk_net_filter_reset(&f, true);
	mode(VHK_NET_PROMISC, false);
	T_OK(wants(own, -1));
	for (vid = 0; vid < VHK_NET_N_VLANS; vid += 63) {
		T_OK(!wants(own, (int)vid));
		f.vlans[vid / 64] |= 1ul << vid % 64;
		T_OK(wants(own, (int)vid) && !wants(other, (int)vid));
		f.vlans[vid / 64] = 0;
	}
	/* A tag that is cut off is none. */
	T_OK(vhk_net_filter_wants(&f, vhk_net_mac(own), frame, 17));
	T_OK(!vhk_net_filter_wants(&f, vhk_net_mac(own), frame, 18));
}

int main(void)
{
	T_RUN(features_need_others);
	T_RUN(commands_come_last);
	T_RUN(headers_ask_for_what_was_negotiated);
	T_RUN(after_a_reset_all_is_wanted);
	T_RUN(addresses_are_told_apart);
	T_RUN(vlans_are_told_apart);
	return t_end();
}
