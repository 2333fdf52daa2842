// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Runs in the guest, as a static program: a network card of /dev/vhost-net and a tap, driven
 * through the library. What the other side of the tap sees is an IP stack with ordinary sockets.
 */
#include "kern_stream.h"

#define URI "/dev/vhost-net"
#define RING_BITS (VHK_F_VERSION_1 | VHK_F_INDIRECT_DESC | VHK_F_EVENT_IDX)

static void mergeable(void)
{
	nic_open(&nic, URI, RING_BITS | NIC_F_MRG);
	tcp_both_ways();
	T_OK(nic.n_merged > 0);
	T_OK(nic.n_gso > 0);
	T_OK(nic.n_csum > 0);
	printf("# %u frames in pieces, %u long ones, %u with half a checksum\n",
	       nic.n_merged, nic.n_gso, nic.n_csum);
	nic_close(&nic);
}

static void whole_frames(void)
{
	nic_open(&nic, URI, RING_BITS);
	tcp_both_ways();
	T_EQ(nic.n_merged, 0);
	T_OK(nic.n_gso > 0);
	nic_close(&nic);
}

static void flags_for_events(void)
{
	nic_open(&nic, URI, VHK_F_VERSION_1 | NIC_F_MRG);
	tcp_both_ways();
	nic_close(&nic);
}

static int udp_at(uint16_t port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	T_MUST(s >= 0 && !bind(s, (const void *)&a, sizeof(a)));
	return s;
}

enum sum { SUM_LEFT, SUM_RIGHT, SUM_WRONG };

static void send_udp(const char *text, enum sum sum)
{
	const uint16_t len = (uint16_t)(8 + strlen(text));
	unsigned char mac[6];
	struct udphdr *h;

	tap_mac(TAP, mac);
	h = frame_ip(&out, mac, IPPROTO_UDP, len);
	*h = (struct udphdr){ htons(4444), htons(PORT), htons(len), 0 };
	memcpy(h + 1, text, strlen(text));
	if (sum == SUM_LEFT)
		frame_leave_sum(&out, 6);
	else
		h->check = htons((uint16_t)(~sum_l4(&out) + (sum == SUM_WRONG)));
	nic_send(&nic, &out);
}

/* The stack takes what is summed, or left to be; it would not take what is summed wrongly. */
static void checksums(void)
{
	const char *const want[] = { "left", "right", "left again" };
	char buf[64];
	unsigned int i;
	ssize_t n;
	int s;

	nic_open(&nic, URI, RING_BITS | NIC_F_MRG);
	s = udp_at(PORT);
	send_udp("left", SUM_LEFT);
	send_udp("wrong", SUM_WRONG);
	send_udp("right", SUM_RIGHT);
	send_udp("wrong too", SUM_WRONG);
	send_udp("left again", SUM_LEFT);
	for (i = 0; i < 3; i++) {
		T_MUST(t_readable(s, 20000));
		n = recv(s, buf, sizeof(buf) - 1, 0);
		buf[n > 0 ? n : 0] = '\0';
		T_STR(buf, want[i]);
	}
	close(s);
	nic_close(&nic);
}

/* Rings are stopped, started again, and go on where they were. */
static void stop_and_go(void)
{
	unsigned int i, round;
	uint32_t base;

	nic_open(&nic, URI, RING_BITS | NIC_F_MRG);
	for (round = 0; round < 3; round++) {
		tcp_both_ways();
		nic_backend(&nic, -1);
		for (i = 0; i < 2; i++) {
			T_EQ(vhk_ctl_stop(nic.k.ctl, i, &base), 0);
			T_OK(base > 0 && base < 65536);
		}
		kern_start(&nic.k, 2);
		kern_publish(&nic.k, RX);
		nic_backend(&nic, nic.tap);
	}
	nic_close(&nic);
}

/* The same with rings that are polled, by threads of the kernel's own. */
static void polled_by_the_kernel(void)
{
	unsigned int i;

	memset(&nic, 0, sizeof(nic));
	nic.tap = tap_open(TAP);
	kern_open(&nic.k, URI);
	T_EQ(vhk_ctl_set_fork_from_owner(nic.k.ctl, false), 0);
	nic_start(&nic, RING_BITS | NIC_F_MRG);
	for (i = 0; i < 2; i++)
		T_EQ(vhk_ctl_set_vring_busyloop_timeout(nic.k.ctl, i, 50), 0);
	tcp_both_ways();
	nic_close(&nic);
}

/* A device that somebody else has opened. */
static void by_its_fd(void)
{
	char uri[16];

	snprintf(uri, sizeof(uri), "fd:%d", open(URI, O_RDWR | O_CLOEXEC));
	nic_open(&nic, uri, RING_BITS | NIC_F_MRG);
	T_EQ(vhk_ctl_kind(nic.k.ctl), VHK_CTL_KIND_NET);
	tcp_both_ways();
	nic_close(&nic);
}

/* The device is opened and set up anew, its queues begin anew, and it gets the tap once more. */
static void opened_anew(void)
{
	unsigned int round, i;

	nic_open(&nic, URI, RING_BITS | NIC_F_MRG);
	for (round = 0; round < 3; round++) {
		tcp_both_ways();
		for (i = 0; i < 2; i++)
			vhk_vq_reset(nic.k.vq[i], NULL, NULL);
		T_EQ(vhk_ctl_reconnect(nic.k.ctl), 0);
		for (i = 0; i < NIC_SIZE; i++)
			nic_offer(&nic, nic.k.data + i * nic.buf_size);
		kern_publish(&nic.k, RX);
		nic_backend(&nic, nic.tap);
	}
	tcp_both_ways();
	nic_close(&nic);
}

/* The tap goes away under the rings: the device says so, and with another tap it goes on with the
 * frame that it could not send. */
static void tap_vanishes(void)
{
	struct vhk_done done;

	nic_open(&nic, URI, RING_BITS | NIC_F_MRG);
	tcp_both_ways();
	T_MUST(!system("ip link del " TAP));
	frame_ip(&out, our_mac, IPPROTO_UDP, 8);
	nic_stage(&nic, &out);
	T_EQ(vhk_ctl_wait(nic.k.ctl, TX, WAIT), -EBADMSG);
	close(nic.tap);
	nic.tap = tap_open(TAP);
	T_EQ(vhk_ctl_stop(nic.k.ctl, RX, NULL), 0);
	T_EQ(vhk_ctl_stop(nic.k.ctl, TX, NULL), 0);
	kern_start(&nic.k, 2);
	kern_publish(&nic.k, RX);
	nic_backend(&nic, nic.tap);
	T_OK(kern_get(&nic.k, TX, &done, WAIT));
	tcp_both_ways();
	nic_close(&nic);
}

/* Every address is asked for, and what is asked is answered from the memory. */
static void behind_an_iommu(void)
{
	nic_open(&nic, URI, RING_BITS | NIC_F_MRG | VHK_F_ACCESS_PLATFORM);
	tcp_both_ways();
	nic_close(&nic);
}

static unsigned int n_misses;
static struct vhk_ctl_req answer;

/* Answers with as little as can be: one page. */
static void on_iotlb(void *arg, const struct vhk_iotlb_msg *m)
{
	struct iovec seg;
	const struct vhk_gpa page = { m->iova.v & ~4095ull };

	(void)arg;
	T_EQ(m->type, VHK_IOTLB_MISS);
	T_EQ(vhk_mem_find(nic.k.mem, page, 4096, &seg, 1), 1);
	answer = (struct vhk_ctl_req){ .op = VHK_CTL_IOTLB_MSG, .fd = -1 };
	answer.iotlb = (struct vhk_iotlb_msg){
		.iova = { page.v },
		.size = 4096,
		.uva = { (uintptr_t)seg.iov_base },
		.perm = VHK_IOTLB_PERM_RW,
		.type = VHK_IOTLB_UPDATE,
	};
	T_EQ(vhk_ctl_submit(nic.k.ctl, &answer), 0);
	T_EQ(answer.ret, 0);
	n_misses++;
}

/* What was told is asked for again once it is taken back, and not before. */
static void asks_again(void)
{
	const struct vhk_iotlb_msg all = { .size = 1ull << 40, .type = VHK_IOTLB_INVALIDATE };
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .on_iotlb = on_iotlb };
	unsigned int round, before;

	nic_open_with(&nic, URI, RING_BITS | NIC_F_MRG | VHK_F_ACCESS_PLATFORM, &o);
	tcp_both_ways();
	for (round = 0; round < 3; round++) {
		before = n_misses;
		T_OK(before > 0);
		T_EQ(vhk_ctl_iotlb(nic.k.ctl, &all), 0);
		tcp_both_ways();
		T_OK(n_misses > before);
	}
	printf("# %u misses\n", n_misses);
	nic_close(&nic);
}

/* Whether the log has a page of the receive buffers, and takes note of it. */
static bool take_bit(unsigned char *log, const void *at)
{
	const size_t page = (size_t)((const unsigned char *)at - nic.k.data) / 4096;
	const bool set = log[page / 8] >> page % 8 & 1;

	log[page / 8] &= (unsigned char)~(1u << page % 8);
	return set;
}

static bool is_zero(const unsigned char *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

/* What the card writes into memory is logged, from the moment on when that is asked for. */
static void logs_what_it_writes(void)
{
	static unsigned char log[QUEUES_AT / 4096 / 8 + 4096];
	const uint64_t features = RING_BITS | NIC_F_MRG;
	unsigned int i, n = 0;

	nic_open(&nic, URI, features);
	tcp_both_ways();
	T_EQ(vhk_ctl_set_log_base_uva(nic.k.ctl, (struct vhk_uva){ (uintptr_t)log }), 0);
	T_EQ(vhk_ctl_set_features(nic.k.ctl, features | VHK_F_LOG_ALL), 0);
	tcp_both_ways();
	for (i = 0; i < NIC_SIZE; i += 2)
		n += take_bit(log, nic.k.data + i * NIC_BUF);
	T_OK(n > 0);
	/* Nothing is written there: what is sent lies in pages of its own. */
	T_OK(!take_bit(log, nic.tx));
	T_EQ(vhk_ctl_set_features(nic.k.ctl, features), 0);
	memset(log, 0, sizeof(log));
	tcp_both_ways();
	T_OK(is_zero(log, sizeof(log)));
	nic_close(&nic);
}

int main(void)
{
	T_RUN(mergeable);
	T_RUN(whole_frames);
	T_RUN(flags_for_events);
	T_RUN(checksums);
	T_RUN(stop_and_go);
	T_RUN(polled_by_the_kernel);
	T_RUN(by_its_fd);
	T_RUN(opened_anew);
	T_RUN(tap_vanishes);
	T_RUN(behind_an_iommu);
	T_RUN(asks_again);
	T_RUN(logs_what_it_writes);
	return t_end();
}
