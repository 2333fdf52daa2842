// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Our front end and driver against a back end that nobody here wrote, DPDK's vhost driver under
 * testpmd: what it offers, every frame there and back byte by byte, over each form of ring and each
 * layout of buffers.
 */
#include <sys/mman.h>

#include "t_nic.h"
#include "t_testpmd.h"

#define FRAMES 3000
#define MERGED (VHK_F_VERSION_1 | T_NET_F_MRG_RXBUF)

static struct t_alien pmd;
static char sock[80], uri[100];

static bool begin(const char *options, unsigned int n_pairs)
{
	char vdev[200];

	if (!t_alien_find(TESTPMD))
		return false;
	snprintf(sock, sizeof(sock), "%s/pmd", t_dir());
	snprintf(uri, sizeof(uri), "unix:%s", sock);
	snprintf(vdev, sizeof(vdev), "net_vhost0,iface=%s,queues=%u%s", sock, n_pairs, options);
	t_testpmd_start(&pmd, vdev, n_pairs, NULL);
	return true;
}

static const struct {
	const char *name;
	uint64_t features;
	unsigned int n_pairs;
	uint32_t rx_room;
	unsigned int tx_segs;
} cases[] = {
	{ "split", VHK_F_VERSION_1, 1, T_NIC_ROOM, 1 },
	{ "split, events", VHK_F_VERSION_1 | VHK_F_EVENT_IDX, 1, T_NIC_ROOM, 2 },
	{ "split, merged", MERGED, 1, 300, 3 },
	{ "split, indirect", MERGED | VHK_F_INDIRECT_DESC, 1, 512, 4 },
	{ "split, in order", MERGED | VHK_F_IN_ORDER, 1, T_NIC_ROOM, 1 },
	{ "split, in order, merged", MERGED | VHK_F_IN_ORDER, 1, 200, 3 },
	{ "packed", VHK_F_VERSION_1 | VHK_F_RING_PACKED, 1, T_NIC_ROOM, 1 },
	{ "packed, events", MERGED | VHK_F_RING_PACKED | VHK_F_EVENT_IDX, 1, 300, 3 },
	{ "packed, indirect", MERGED | VHK_F_RING_PACKED | VHK_F_INDIRECT_DESC, 1, 512, 4 },
	{ "packed, in order", MERGED | VHK_F_RING_PACKED | VHK_F_IN_ORDER, 1, T_NIC_ROOM, 2 },
	{ "packed, in order, merged", MERGED | VHK_F_RING_PACKED | VHK_F_IN_ORDER, 1, 200, 1 },
	{ "split, four pairs", MERGED | T_NET_F_MQ, 4, 700, 2 },
	{ "packed, four pairs", MERGED | T_NET_F_MQ | VHK_F_RING_PACKED | VHK_F_EVENT_IDX, 4, 700,
	  2 },
};

static void every_form_of_ring(void)
{
	struct t_nic nic;
	size_t i;
	int ret;

	if (!begin("", 4))
		T_SKIP("no " TESTPMD);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("# %s\n", cases[i].name);
		nic = (struct t_nic){ .rx_room = cases[i].rx_room, .tx_segs = cases[i].tx_segs };
		ret = t_nic_open(&nic, uri, cases[i].features, cases[i].n_pairs, NULL);
		if (!ret)
			ret = t_nic_echo(&nic, FRAMES);
		T_EQ(ret, 0);
		t_nic_close(&nic);
	}
	if (t_bad)
		t_alien_show(&pmd);
	t_testpmd_stop(&pmd);
}


/* What of vhost-user it offers, and what both ends settled on. */
static void messages(void)
{
	const uint64_t knows = VHK_PF_MQ | VHK_PF_LOG_SHMFD | VHK_PF_RARP | VHK_PF_REPLY_ACK |
			       VHK_PF_MTU | VHK_PF_BACKEND_REQ | VHK_PF_BACKEND_SEND_FD |
			       VHK_PF_STATUS;
	const struct vhk_ctl_opts o = { .also = VHK_PF_RARP | VHK_PF_MTU | VHK_PF_BACKEND_SEND_FD };
	const uint64_t want = MERGED | T_NET_F_MTU | T_NET_F_GUEST_ANNOUNCE;
	struct t_nic nic = { 0 };
	static const uint8_t mac[] = { 2, 3, 4, 5, 6, 7 };
	uint64_t n_queues;
	uint32_t count;
	uint8_t status;

	if (!begin("", 1))
		T_SKIP("no " TESTPMD);
	T_EQ(t_nic_open(&nic, uri, want, 1, &o), 0);
	T_EQ(nic.features & ~VHK_F_PROTOCOL_FEATURES, want);
	T_EQ(vhk_ctl_protocol_features(nic.ctl) & knows, knows);
	T_EQ(vhk_ctl_get_queue_num(nic.ctl, &n_queues), 0);
	T_OK(n_queues >= 1);
	T_EQ(vhk_ctl_get_status(nic.ctl, &status), 0);
	T_EQ(status, 0xf);
	T_EQ(vhk_ctl_net_set_mtu(nic.ctl, 9000), 0);
	/* it sends the RARP itself, as if it came from us */
	T_EQ(vhk_ctl_send_rarp(nic.ctl, mac), 0);
	for (count = 10; !nic.n_rarp && count < 10000; count += 10)
		T_EQ(t_nic_echo(&nic, count), 0);
	T_EQ(nic.n_rarp, 1);
	T_EQ(memcmp(nic.rarp, mac, 6), 0);
	T_OK(!vhk_ctl_can(nic.ctl, VHK_CTL_ADD_MEM_REG));
	T_OK(!vhk_ctl_can(nic.ctl, VHK_CTL_RESET_DEVICE));
	t_nic_close(&nic);
	t_testpmd_stop(&pmd);
}

/* Queues that stop go on where they were, in the positions of either layout. */
static void stops_and_goes_on(void)
{
	static const uint64_t features[] = { MERGED, MERGED | VHK_F_RING_PACKED,
					     MERGED | VHK_F_RING_PACKED | VHK_F_IN_ORDER };
	uint32_t base[2], count;
	struct t_nic nic;
	size_t i;
	int q;

	if (!begin("", 1))
		T_SKIP("no " TESTPMD);
	for (i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		nic = (struct t_nic){ .tx_segs = 2 };
		T_EQ(t_nic_open(&nic, uri, features[i], 1, NULL), 0);
		for (count = 100; count < 600; count += 100) {
			T_EQ(t_nic_echo(&nic, count), 0);
			for (q = 1; q >= 0; q--)
				T_EQ(vhk_ctl_stop(nic.ctl, (unsigned int)q, &base[q]), 0);
			for (q = 0; q < 2; q++)
				T_EQ(vhk_ctl_start(nic.ctl, (unsigned int)q, nic.pair[0].vq[q]), 0);
		}
		T_EQ(t_nic_echo(&nic, count), 0);
		t_nic_close(&nic);
	}
	t_testpmd_stop(&pmd);
}

/* A table replaced while frames are on their way: a region more, its pair of queues, one less. */
static void memory_comes_and_goes(void)
{
	struct vhk_region r;
	struct t_nic nic;
	unsigned int n;
	void *va;

	if (!begin("", 2))
		T_SKIP("no " TESTPMD);
	for (n = 0; n < 6; n++) {
		nic = (struct t_nic){ .rx_room = 900 };
		T_EQ(t_nic_open(&nic, uri, MERGED | T_NET_F_MQ | (n & 1 ? VHK_F_RING_PACKED : 0), 1,
				NULL),
		     0);
		T_EQ(t_nic_echo(&nic, 50), 0);
		t_nic_step(&nic, 0, 100);
		t_nic_make(&nic, 1);
		T_EQ(vhk_ctl_start(nic.ctl, 2, nic.pair[1].vq[0]), 0);
		T_EQ(vhk_ctl_start(nic.ctl, 3, nic.pair[1].vq[1]), 0);
		nic.n_pairs = 2;
		t_nic_fill(&nic, 1);
		T_EQ(t_nic_echo(&nic, 200), 0);
		T_MUST(!vhk_mem_alloc(nic.mem, (struct vhk_gpa){ 0 }, 1 << 20, &va));
		t_nic_step(&nic, 0, 250);
		T_EQ(vhk_ctl_set_mem_table(nic.ctl, nic.mem), 0);
		T_EQ(t_nic_echo(&nic, 300), 0);
		T_MUST(!vhk_mem_get(nic.mem, 0, &r, NULL) && !r.gpa.v);
		T_MUST(!vhk_mem_del(nic.mem, &r));
		t_nic_step(&nic, 1, 350);
		T_EQ(vhk_ctl_set_mem_table(nic.ctl, nic.mem), 0);
		T_EQ(t_nic_echo(&nic, 400), 0);
		t_nic_close(&nic);
	}
	t_testpmd_stop(&pmd);
}

#define LOG_SIZE 4096 /* of memory up to 128 MiB */
#define MARK 0xee

static bool page_was_written(const unsigned char *page)
{
	unsigned int i;

	for (i = 0; i < 4096 && page[i] == MARK; i++)
		;
	return i < 4096;
}

/* What it writes while memory is logged is in the log, page by page, the used ring included. */
static void dirty_log(void)
{
	const struct vhk_ctl_log log = { .size = LOG_SIZE };
	struct vhk_ctl_vring_addr addr = { .flags = VHK_CTL_ADDR_F_LOG };
	unsigned int page, n_written = 0, n_logged = 0;
	struct t_nic nic = { .rx_room = T_NIC_ROOM };
	struct vhk_vq_addr a;
	unsigned char *bits;
	struct vhk_gpa gpa;
	int fd;

	if (!begin("", 1))
		T_SKIP("no " TESTPMD);
	fd = memfd_create("log", MFD_CLOEXEC);
	T_MUST(fd >= 0 && !ftruncate(fd, LOG_SIZE));
	bits = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_MUST(bits != MAP_FAILED);
	T_EQ(t_nic_open(&nic, uri, MERGED, 1, NULL), 0);
	T_EQ(t_nic_echo(&nic, 100), 0);
	memset(nic.pair[0].rx, MARK, T_NIC_RX * T_NIC_ROOM);
	T_EQ(vhk_ctl_set_log_base(nic.ctl, &log, fd), 0);
	T_EQ(vhk_ctl_set_features(nic.ctl, nic.features | VHK_F_LOG_ALL), 0);
	T_MUST(!vhk_vq_addr(nic.pair[0].vq[0], &a));
	T_MUST(!vhk_mem_gpa(nic.mem, a.device, 4, &addr.log));
	addr.desc.v = (uintptr_t)a.desc;
	addr.driver.v = (uintptr_t)a.driver;
	addr.device.v = (uintptr_t)a.device;
	T_EQ(vhk_ctl_set_vring_addr(nic.ctl, &addr), 0);
	T_EQ(t_nic_echo(&nic, 120), 0);
	for (page = 0; page < T_NIC_RX * T_NIC_ROOM / 4096; page++) {
		const unsigned char *va = nic.pair[0].rx[0] + (size_t)page * 4096;
		bool logged;

		T_MUST(!vhk_mem_gpa(nic.mem, va, 4096, &gpa));
		logged = bits[gpa.v / 4096 / 8] >> (gpa.v / 4096 % 8) & 1;
		n_written += page_was_written(va);
		n_logged += logged;
		if (page_was_written(va))
			T_OK(logged);
	}
	printf("# %u pages written, %u logged\n", n_written, n_logged);
	T_OK(n_written >= 10 && n_logged < T_NIC_RX * T_NIC_ROOM / 4096);
	T_OK(bits[addr.log.v / 4096 / 8] >> (addr.log.v / 4096 % 8) & 1);
	/* and not any more */
	T_EQ(vhk_ctl_set_features(nic.ctl, nic.features), 0);
	memset(bits, 0, LOG_SIZE);
	T_EQ(t_nic_echo(&nic, 200), 0);
	for (page = 0; page < LOG_SIZE && !bits[page]; page++)
		;
	T_EQ(page, LOG_SIZE);
	t_nic_close(&nic);
	munmap(bits, LOG_SIZE);
	close(fd);
	t_testpmd_stop(&pmd);
}

/*
 * Its misses of translations are answered out of our memory. What is taken back is given again
 * unasked: it does not always ask a second time.
 */
static void behind_an_iommu(void)
{
	static const uint64_t features[] = { MERGED, MERGED | VHK_F_RING_PACKED };
	const struct vhk_iotlb_msg gone = { .type = VHK_IOTLB_INVALIDATE,
					    .iova = { T_NIC_AT },
					    .size = 0x100000 };
	const struct vhk_ctl_opts o = { .also = VHK_PF_BACKEND_SEND_FD };
	struct vhk_iotlb_msg again = { .type = VHK_IOTLB_UPDATE, .perm = VHK_IOTLB_PERM_RW };
	struct vhk_region r;
	struct t_nic nic;
	size_t i;

	if (!begin(",iommu-support=1", 1))
		T_SKIP("no " TESTPMD);
	for (i = 0; i < 2; i++) {
		nic = (struct t_nic){ .tx_segs = 3, .rx_room = 500 };
		T_EQ(t_nic_open(&nic, uri, features[i] | VHK_F_ACCESS_PLATFORM, 1, &o), 0);
		T_EQ(t_nic_echo(&nic, 1000), 0);
		T_EQ(vhk_ctl_iotlb(nic.ctl, &gone), 0);
		T_MUST(!vhk_mem_get(nic.mem, 0, &r, NULL));
		again.iova.v = r.gpa.v;
		again.uva = r.uva;
		again.size = r.size;
		T_EQ(vhk_ctl_iotlb(nic.ctl, &again), 0);
		T_EQ(t_nic_echo(&nic, 2000), 0);
		t_nic_close(&nic);
	}
	t_testpmd_stop(&pmd);
}

int main(void)
{
	T_RUN(every_form_of_ring);
	T_RUN(messages);
	T_RUN(stops_and_goes_on);
	T_RUN(memory_comes_and_goes);
	T_RUN(dirty_log);
	T_RUN(behind_an_iommu);
	return t_end();
}
