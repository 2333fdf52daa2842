// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Postcopy from our front end to DPDK's back end: buffers that frames are received into do not
 * exist until somebody touches them, and then the back end waits until we have brought the page.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "t_nic.h"
#include "t_testpmd.h"

#define PAGE 4096u
#define PROTOCOL                                                                                   \
	(VHK_PF_MQ | VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_BACKEND_SEND_FD |              \
	 VHK_PF_PAGEFAULT)

static struct t_alien pmd;

/* Brings pages: makes them here, and wakes who waits for them there. */
struct bringer {
	pthread_t thread;
	int uffd, stop;
	uint64_t base; /* of our memory, over there */
	unsigned char *ours; /* a mapping of the bringer's own */
	size_t size;
	unsigned int n_faults;
};

static void bring(struct bringer *b, uint64_t at)
{
	struct uffdio_range range = { at & ~(uint64_t)(PAGE - 1), PAGE };
	uint64_t off = range.start - b->base;

	T_MUST(off < b->size);
	/* Who else waits for the page may be writing to it as soon as it is there. */
	__atomic_fetch_or(b->ours + off, 0, __ATOMIC_RELAXED);
	T_MUST(!ioctl(b->uffd, UFFDIO_WAKE, &range));
	b->n_faults++;
}

static void *bringer_run(void *arg)
{
	struct bringer *b = arg;
	struct pollfd p[] = { { b->uffd, POLLIN, 0 }, { b->stop, POLLIN, 0 } };
	struct uffd_msg m;

	while (poll(p, 2, -1) >= 0 && !p[1].revents)
		if (read(b->uffd, &m, sizeof(m)) == sizeof(m) && m.event == UFFD_EVENT_PAGEFAULT)
			bring(b, m.arg.pagefault.address);
	return NULL;
}

static void bringer_stop(struct bringer *b)
{
	const uint64_t one = 1;

	T_MUST(write(b->stop, &one, sizeof(one)) == sizeof(one));
	pthread_join(b->thread, NULL);
	close(b->stop);
	close(b->uffd);
}

static void start_ring(struct t_nic *n, unsigned int q)
{
	struct vhk_ctl_vring_addr addr = { .index = q };
	struct vhk_vq_addr a;

	n->kick[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	n->call[q] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(!vhk_vq_addr(n->pair[0].vq[q], &a));
	addr.desc.v = (uintptr_t)a.desc;
	addr.driver.v = (uintptr_t)a.driver;
	addr.device.v = (uintptr_t)a.device;
	T_EQ(vhk_ctl_set_vring_num(n->ctl, q, a.size), 0);
	T_EQ(vhk_ctl_set_vring_base(n->ctl, q, a.base), 0);
	T_EQ(vhk_ctl_set_vring_addr(n->ctl, &addr), 0);
	T_EQ(vhk_ctl_set_vring_call(n->ctl, q, n->call[q]), 0);
	T_EQ(vhk_ctl_set_vring_kick(n->ctl, q, n->kick[q]), 0);
	T_EQ(vhk_ctl_set_vring_enable(n->ctl, q, true), 0);
}

static void negotiate(struct t_nic *n)
{
	uint64_t v;

	T_MUST(!vhk_ctl_get_features(n->ctl, &v));
	T_EQ(v & n->features, n->features);
	T_MUST(!vhk_ctl_get_protocol_features(n->ctl, &v));
	T_EQ(v & PROTOCOL, PROTOCOL);
	T_MUST(!vhk_ctl_set_protocol_features(n->ctl, PROTOCOL));
	T_EQ(vhk_ctl_set_backend_req_fd(n->ctl), 0);
	T_EQ(vhk_ctl_set_owner(n->ctl), 0);
	T_EQ(vhk_ctl_set_features(n->ctl, n->features), 0);
}

static void pages_are_brought(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .flags = VHK_CTL_F_WAIT,
					.timeout_ms = 20000 };
	/* Locked memory would be brought whole before anybody listens. */
	static const char *const more[] = { "--no-mlockall", NULL };
	struct t_nic nic = { .n_pairs = 1, .rx_room = T_NIC_ROOM, .tx_segs = 1, .by_hand = true };
	struct bringer b = { 0 };
	char sock[80], uri[100], vdev[200];
	struct vhk_region r;
	uint64_t base[32];
	unsigned int q;
	int fd;

	if (!t_alien_find(TESTPMD))
		T_SKIP("no " TESTPMD);
	snprintf(sock, sizeof(sock), "%s/pmd", t_dir());
	snprintf(uri, sizeof(uri), "unix:%s", sock);
	snprintf(vdev, sizeof(vdev), "net_vhost0,iface=%s,queues=1,postcopy-support=1", sock);
	t_testpmd_start(&pmd, vdev, 1, more);
	nic.features = VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES;
	T_MUST(!vhk_mem_new(&nic.mem));
	t_nic_make(&nic, 0);
	T_MUST(!vhk_mem_get(nic.mem, 0, &r, &fd));
	T_MUST(!vhk_ctl_open(&nic.ctl, uri, &o));
	negotiate(&nic);
	T_EQ(vhk_ctl_postcopy_advise(nic.ctl, &b.uffd), 0);
	T_EQ(vhk_ctl_postcopy_listen(nic.ctl), 0);
	T_EQ(vhk_ctl_set_mem_table_bases(nic.ctl, nic.mem, base), 0);
	b.base = base[0];
	b.size = r.size;
	b.ours = mmap(NULL, b.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	T_MUST(b.ours != MAP_FAILED);
	b.stop = eventfd(0, EFD_CLOEXEC);
	T_MUST(!pthread_create(&b.thread, NULL, bringer_run, &b));
	T_EQ(vhk_ctl_accept_bases(nic.ctl, true), 0);
	for (q = 0; q < 2; q++)
		start_ring(&nic, q);
	t_nic_fill(&nic, 0);
	T_EQ(t_nic_echo(&nic, 500), 0);
	T_EQ(vhk_ctl_postcopy_end(nic.ctl), 0);
	bringer_stop(&b);
	printf("# %u pages were waited for\n", b.n_faults);
	T_OK(b.n_faults >= T_NIC_RX * T_NIC_ROOM / PAGE / 2);
	munmap(b.ours, b.size);
	T_EQ(t_nic_echo(&nic, 1000), 0);
	t_nic_close(&nic);
	for (q = 0; q < 2; q++) {
		close(nic.kick[q]);
		close(nic.call[q]);
	}
	if (t_bad)
		t_alien_show(&pmd);
	t_testpmd_stop(&pmd);
}

int main(void)
{
	T_RUN(pages_are_brought);
	return t_end();
}
