// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What packets cost a network card's back end, without another processor: driver and back end take
 * turns in this thread, a burst each, and only the back end's turns are of interest. packet.sh
 * counts their instructions. Alone, it prints nanoseconds, in which no line of memory changes
 * hands.
 *
 * MODE: rxonly, txonly or io, of the back end; LAYOUT: split, packed or inorder (packed, in order,
 * mergeable); SIZE of a packet, bytes; BURSTS of 32 packets each.
 */
#include <sys/socket.h>

#include <linux/virtio_net.h>

#include <vhostkit/backend.h>
#include <vhostkit/ctl.h>
#include <vhostkit/net.h>

#include "t.h"

#define RING 256
#define BURST 32
#define BUFS (2 * RING)
#define BUF 2048u
#define HDR 12u
#define RINGS_GPA 0x10000000000ull
#define BLOCK (64u << 10)

enum { RX, TX };

static struct vhk_loop *loop;
static struct vhk_ctl *ctl;
static struct vhk_mem *mem;
static struct vhk_vq *vq[2];
static unsigned char *buf;
static unsigned int next, len;
static enum vhk_net_port port;
static int done, result;

static void set_done(void *arg, int ret)
{
	(void)arg;
	result = ret;
	done = 1;
}

/* Both ends take their turns until the front end's job is done. */
static void finish(void)
{
	const uint64_t end = t_now_ns() + 60000000000ull;

	while (!done) {
		T_MUST(vhk_loop_step(loop, 0) >= 0);
		vhk_ctl_process(ctl);
		T_MUST(t_now_ns() < end);
	}
	T_MUST(!result);
	done = 0;
}

static uint64_t features_of(const char *layout)
{
	const uint64_t both = VHK_F_VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF;

	if (!strcmp(layout, "split"))
		return both;
	T_MUST(!strcmp(layout, "packed") || !strcmp(layout, "inorder"));
	return both | VHK_F_RING_PACKED | (*layout == 'i' ? VHK_F_IN_ORDER : 0);
}

static enum vhk_net_port port_of(const char *mode)
{
	if (!strcmp(mode, "rxonly"))
		return VHK_NET_RXONLY;
	if (!strcmp(mode, "txonly"))
		return VHK_NET_TXONLY;
	T_MUST(!strcmp(mode, "io"));
	return VHK_NET_IO;
}

static void make_queues(void)
{
	struct vhk_vq_opts o = { .sz = sizeof(o), .size = RING, .features = vhk_ctl_features(ctl) };
	unsigned char *rings;
	unsigned int i;

	T_MUST(vhk_vq_bytes(&o) && vhk_vq_bytes(&o) <= BLOCK);
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ RINGS_GPA }, 2 * BLOCK, (void **)&rings));
	for (i = 0; i < 2; i++) {
		o.block = rings + i * BLOCK;
		T_MUST(!vhk_vq_new(&vq[i], mem, &o));
	}
}

static void begin(uint64_t want)
{
	const struct vhk_loop_opts lo = { .sz = sizeof(lo), .poll_ns = UINT64_MAX };
	const struct vhk_net_opts no = { .sz = sizeof(no),
					 .port = port,
					 .frame_len = port == VHK_NET_TXONLY ? len : 0 };
	/* front ends of network cards ask for no inflight region */
	const struct vhk_ctl_opts co = { .sz = sizeof(co),
					 .timeout_ms = 60000,
					 .without = VHK_PF_INFLIGHT_SHMFD };
	struct vhk_device *dev;
	struct vhk_backend *be;
	char uri[32];
	void *va;
	int fd[2];

	T_MUST(!vhk_net_new(&dev, &no));
	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x1000000 }, BUFS * BUF, &va));
	buf = va;
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_loop_new(&loop, &lo));
	T_MUST(!vhk_backend_take_fd(&be, loop, dev, fd[1], NULL));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	T_MUST(!vhk_ctl_open(&ctl, uri, &co));
	T_MUST(!vhk_ctl_setup_async(ctl, want, want, mem, set_done, NULL));
	finish();
	make_queues();
	T_MUST(!vhk_ctl_start_async(ctl, 0, vq, 2, set_done, NULL));
	finish();
}

/* Headers are where virtio drivers that have their buffers to themselves put them: in the line
 * before the packet's first. */
static void add(unsigned int queue, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		unsigned char *at = buf + next++ % BUFS * BUF + 128 - HDR;
		const struct iovec seg = { at, HDR + (queue == TX ? len : BUF - 256) };

		if (queue == TX)
			memset(at, 0, HDR);
		T_MUST(!vhk_vq_add(vq[queue], &seg, queue == TX, queue == RX, at));
	}
	if (vhk_vq_publish(vq[queue]) > 0)
		T_MUST(!vhk_ctl_kick(ctl, queue));
}

static void collect(unsigned int queue)
{
	struct vhk_done d[RING];
	unsigned int i;

	T_MUST(vhk_vq_get(vq[queue], d, RING) == BURST);
	for (i = 0; queue == RX && i < BURST; i++)
		T_MUST(d[i].written == HDR + len);
}

/* The back end's turn; what packet.sh counts. */
static __attribute__((noinline)) void turn(void)
{
	while (vhk_loop_step(loop, 0) > 0)
		;
}

static uint64_t run(unsigned int bursts)
{
	uint64_t t, ns = 0;

	if (port == VHK_NET_IO)
		add(RX, RING - BURST);
	while (bursts--) {
		if (port != VHK_NET_RXONLY)
			add(RX, BURST);
		if (port != VHK_NET_TXONLY)
			add(TX, BURST);
		t = t_now_ns();
		turn();
		ns += t_now_ns() - t;
		if (port != VHK_NET_RXONLY)
			collect(RX);
		if (port != VHK_NET_TXONLY)
			collect(TX);
	}
	return ns;
}

int main(int argc, char **argv)
{
	unsigned int bursts;

	T_MUST(argc == 5);
	port = port_of(argv[1]);
	len = (unsigned int)atoi(argv[3]);
	bursts = (unsigned int)atoi(argv[4]);
	T_MUST(len >= 60 && len <= 1518 && bursts > 0);
	begin(features_of(argv[2]));
	printf("%.1f ns a packet\n", (double)run(bursts) / bursts / BURST);
	return 0;
}
