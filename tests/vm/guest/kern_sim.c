// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: the kernel's simulator of a network card, which receives
 * what it sends where that is for its own address, driven through the library.
 *
 *   kern_sim URI    its address is 2:7:7:7:9:1, it has a control queue and two address spaces
 */
#include "kern.h"

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#define F(name) (1ull << VIRTIO_NET_F_##name)
#define MUST (VHK_F_VERSION_1 | VHK_F_ACCESS_PLATFORM)
#define COMMANDS (MUST | F(MAC) | F(CTRL_VQ) | F(CTRL_MAC_ADDR))
#define RX 0
#define TX 1
#define CMDS 2
#define SIZE 64u
#define HEAD sizeof(struct virtio_net_hdr_v1)
#define FRAME 1514u
#define BUF 2048u

static const char *uri;
static struct kern k;
/* Without a 0: the simulator compares no further than that. */
static const unsigned char ours[6] = { 2, 7, 7, 7, 9, 1 }, other[6] = { 2, 7, 7, 7, 9, 2 };

static unsigned char *rx_buf(unsigned int i)
{
	return k.data + i * BUF;
}

static unsigned char *tx_buf(void)
{
	return k.data + SIZE * BUF;
}

static void offer(unsigned char *buf)
{
	const struct iovec seg = { buf, BUF };

	kern_add(&k, RX, &seg, 0, 1, buf);
	kern_publish(&k, RX);
}

static void start(uint64_t features, unsigned int n)
{
	unsigned int i;

	kern_open(&k, uri);
	kern_setup(&k, features, n, SIZE);
	T_EQ(vhk_ctl_start_all(k.ctl, k.vq, n), 0);
	T_MUST(!t_bad);
	for (i = 0; i < SIZE; i++)
		offer(rx_buf(i));
}

/* Sends a frame of @len bytes behind the addresses. */
static void send_to(const unsigned char *to, uint32_t len, uint32_t seed)
{
	unsigned char *p = tx_buf();
	const struct iovec seg = { p, HEAD + len };

	memset(p, 0, HEAD);
	kern_fill(p + HEAD, 0, len, seed);
	memcpy(p + HEAD, to, 6);
	kern_do(&k, TX, &seg, 1, 0);
}

/* Whether the next frame is that one. */
static bool comes_back(const unsigned char *to, uint32_t len, uint32_t seed)
{
	struct vhk_done done;
	unsigned char *p;
	bool same;

	if (!kern_get(&k, RX, &done, WAIT))
		return false;
	p = done.token;
	same = done.written == HEAD + len && !memcmp(p + HEAD, to, 6) &&
	       kern_same(p + HEAD + 6, 6, len - 6, seed);
	offer(p);
	return same;
}

static void knows_the_card(void)
{
	uint32_t id, groups, spaces, group;
	uint64_t offered, backend;
	unsigned char mac[6];

	kern_open(&k, uri);
	T_EQ(vhk_ctl_set_owner(k.ctl), 0);
	T_EQ(vhk_ctl_get_device_id(k.ctl, &id), 0);
	T_EQ(id, VIRTIO_ID_NET);
	T_EQ(vhk_ctl_get_features(k.ctl, &offered), 0);
	T_EQ(offered & COMMANDS, COMMANDS);
	T_EQ(vhk_ctl_get_backend_features(k.ctl, &backend), 0);
	T_EQ(backend & VHK_BF_IOTLB_ASID, VHK_BF_IOTLB_ASID);
	T_EQ(vhk_ctl_get_group_num(k.ctl, &groups), 0);
	T_EQ(groups, 2);
	T_EQ(vhk_ctl_get_as_num(k.ctl, &spaces), 0);
	T_EQ(spaces, 2);
	T_EQ(vhk_ctl_get_vring_group(k.ctl, TX, &group), 0);
	T_EQ(group, 0);
	T_EQ(vhk_ctl_get_vring_group(k.ctl, CMDS, &group), 0);
	T_EQ(group, 1);
	T_EQ(vhk_ctl_get_config(k.ctl, 0, mac, sizeof(mac)), 0);
	T_OK(!memcmp(mac, ours, sizeof(mac)));
	T_EQ(vhk_ctl_set_group_asid(k.ctl, 2, 0), -EINVAL);
	T_EQ(vhk_ctl_set_group_asid(k.ctl, 1, 2), -EINVAL);
	kern_close(&k);
}

static void sends_to_itself(void)
{
	uint32_t i, len;

	start(MUST, 2);
	for (i = 0; i < 1000; i++) {
		len = 60 + i * 7 % (FRAME - 60);
		send_to(ours, len, i);
		T_MUST(comes_back(ours, len, i));
		/* What is for others is not for it. */
		send_to(other, 60, i);
	}
	kern_close(&k);
}

static void stops_and_goes_on(void)
{
	struct vhk_vq_addr a;
	uint32_t base, i;

	start(MUST, 2);
	for (i = 0; i < 20; i++) {
		send_to(ours, 100, i);
		T_MUST(comes_back(ours, 100, i));
		T_EQ(vhk_ctl_stop(k.ctl, TX, &base), 0);
		T_EQ(vhk_vq_addr(k.vq[TX], &a), 0);
		T_EQ(base, a.base);
		T_EQ(vhk_ctl_stop(k.ctl, RX, NULL), 0);
		T_EQ(vhk_ctl_start_all(k.ctl, k.vq, 2), 0);
		T_MUST(!t_bad);
	}
	kern_close(&k);
}

static int map_all(uint32_t asid, uint8_t type)
{
	struct vhk_region r;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && !vhk_mem_get(k.mem, i, &r, NULL); i++) {
		const struct vhk_iotlb_msg m = {
			.iova = { r.gpa.v },
			.size = r.size,
			.uva = r.uva,
			.asid = asid,
			.perm = VHK_IOTLB_PERM_RW,
			.type = type,
		};

		ret = vhk_ctl_iotlb(k.ctl, &m);
	}
	return ret;
}

/* Has the card take another address; false: no answer in @ns. */
static bool set_mac(const unsigned char *mac, int64_t ns)
{
	unsigned char *p = tx_buf() + BUF;
	const struct iovec seg[3] = { { p, 2 }, { p + 64, 6 }, { p + 32, 1 } };
	struct vhk_done done;

	p[0] = VIRTIO_NET_CTRL_MAC;
	p[1] = VIRTIO_NET_CTRL_MAC_ADDR_SET;
	p[32] = 0xaa;
	memcpy(p + 64, mac, 6);
	kern_add(&k, CMDS, seg, 2, 1, p);
	kern_publish(&k, CMDS);
	if (!kern_get(&k, CMDS, &done, ns))
		return false;
	T_EQ(p[32], VIRTIO_NET_OK);
	return true;
}

/* The control queue lives in an address space of its own, data does not. */
static void start_apart(bool mapped)
{
	kern_open(&k, uri);
	kern_setup(&k, COMMANDS, 3, SIZE);
	T_EQ(vhk_ctl_set_group_asid(k.ctl, 1, 1), 0);
	if (mapped) {
		T_EQ(map_all(1, VHK_IOTLB_UPDATE), 0);
		T_EQ(map_all(1, VHK_IOTLB_UPDATE), -EEXIST);
	}
	T_EQ(vhk_ctl_start_all(k.ctl, k.vq, 3), 0);
	T_MUST(!t_bad);
	offer(rx_buf(0));
}

static void address_spaces_are_apart(void)
{
	unsigned char mac[6];

	start_apart(true);
	T_OK(set_mac(other, WAIT));
	T_EQ(vhk_ctl_get_config(k.ctl, 0, mac, sizeof(mac)), 0);
	T_OK(!memcmp(mac, other, sizeof(mac)));
	send_to(other, 80, 3);
	T_OK(comes_back(other, 80, 3));
	T_OK(set_mac(ours, WAIT));
	kern_close(&k);

	start_apart(false);
	T_OK(!set_mac(other, SECOND / 10));
	send_to(ours, 80, 4);
	T_OK(comes_back(ours, 80, 4));
	kern_close(&k);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	uri = argv[1];
	T_RUN(knows_the_card);
	T_RUN(sends_to_itself);
	T_RUN(stops_and_goes_on);
	T_RUN(address_spaces_are_apart);
	return t_end();
}
