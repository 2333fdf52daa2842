// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The front end's side of translations over vhost-user: IOTLB_MSG to the byte and what its answer
 * means, ring addresses by IOVA, and misses that the back end tells of.
 */
#include "t_peer.h"

#define PF (VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ)
#define MISS 1
#define UPDATE 2
#define ACCESS_FAIL 4

static struct vhk_ctl *ctl;
static int sock;

static void begin(uint64_t features, const struct vhk_ctl_opts *o)
{
	sock = t_peer_open(&ctl, o);
	t_peer_negotiate(ctl, sock, features, PF);
}

static void end(void)
{
	vhk_ctl_close(ctl);
	close(sock);
}

static const struct vhk_iotlb_msg update = {
	.iova = { 0x1000 }, .size = 0x2000, .uva = { 0x7000 }, .perm = 3, .type = UPDATE,
};

static void to_the_byte(void)
{
	struct t_peer_msg m;

	begin(VHK_F_ACCESS_PLATFORM, NULL);
	T_OK(vhk_ctl_can(ctl, VHK_CTL_IOTLB_MSG));
	t_peer_reply_u64(sock, 22, 0);
	T_EQ(vhk_ctl_iotlb(ctl, &update), 0);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 22);
	T_EQ(m.flags, 9);
	T_EQ(m.size, 32);
	T_EQ(m.w[0], 0x1000);
	T_EQ(m.w[1], 0x2000);
	T_EQ(m.w[2], 0x7000);
	T_EQ(m.w[3], 0x203);
	t_peer_reply_u64(sock, 22, 1);
	T_EQ(vhk_ctl_iotlb(ctl, &update), -EREMOTEIO);
	T_EQ(vhk_ctl_process(ctl), 0);
	end();
}

static void refused_before_it_is_sent(void)
{
	static const struct vhk_iotlb_msg bad[] = {
		{ .iova = { 0x1000 }, .size = 0x1000, .asid = 1, .perm = 3, .type = UPDATE },
		{ .iova = { 0x1000 }, .size = UINT64_MAX, .perm = 3, .type = UPDATE },
		{ .iova = { 0x1000 }, .size = 0x1000, .perm = 4, .type = UPDATE },
		{ .iova = { 0x1000 }, .size = 0x1000, .perm = 3, .type = 0 },
		{ .iova = { 0x1000 }, .size = 0x1000, .perm = 3, .type = 7 },
		{ .iova = { 0x1000 }, .size = 0x1000, .perm = 0, .type = UPDATE },
		{ .iova = { 0x1000 }, .size = 0, .perm = 3, .type = UPDATE },
		{ .iova = { 0x1000 }, .size = 0x1000, .perm = 1, .type = MISS },
		{ .iova = { 0x1000 }, .size = 0x1000, .perm = 1, .type = ACCESS_FAIL },
	};
	static const struct vhk_iotlb_msg batch[] = {
		{ .type = VHK_IOTLB_BATCH_BEGIN }, { .type = VHK_IOTLB_BATCH_END },
	};
	size_t i;

	begin(VHK_F_ACCESS_PLATFORM, NULL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		T_EQ(vhk_ctl_iotlb(ctl, &bad[i]), -EINVAL);
	for (i = 0; i < sizeof(batch) / sizeof(batch[0]); i++)
		T_EQ(vhk_ctl_iotlb(ctl, &batch[i]), -EOPNOTSUPP);
	T_EQ(t_peer_drain(sock), 0);
	end();
	begin(VHK_F_VERSION_1, NULL);
	T_OK(!vhk_ctl_can(ctl, VHK_CTL_IOTLB_MSG));
	T_EQ(vhk_ctl_iotlb(ctl, &update), -EOPNOTSUPP);
	T_EQ(t_peer_drain(sock), 0);
	end();
}

/* Both are SET_VRING_ADDR; ACCESS_PLATFORM says which it is. */
static void ring_addresses(void)
{
	const struct vhk_ctl_vring_addr uva = { .index = 3, .desc = { 0x1000 },
						.driver = { 0x2000 }, .device = { 0x3000 } };
	const struct vhk_ctl_vring_addr_iova iova = { .index = 3, .desc = { 0x1000 },
						      .driver = { 0x2000 },
						      .device = { 0x3000 } };
	struct t_peer_msg m[2];

	begin(VHK_F_VERSION_1, NULL);
	T_EQ(vhk_ctl_set_vring_addr_iova(ctl, &iova), -EOPNOTSUPP);
	t_peer_reply_u64(sock, 9, 0);
	T_EQ(vhk_ctl_set_vring_addr(ctl, &uva), 0);
	T_MUST(t_peer_recv(sock, &m[0]));
	end();
	begin(VHK_F_ACCESS_PLATFORM, NULL);
	T_EQ(vhk_ctl_set_vring_addr(ctl, &uva), -EOPNOTSUPP);
	t_peer_reply_u64(sock, 9, 0);
	T_EQ(vhk_ctl_set_vring_addr_iova(ctl, &iova), 0);
	T_MUST(t_peer_recv(sock, &m[1]));
	T_EQ(m[1].request, 9);
	T_EQ(m[1].size, 40);
	T_OK(!memcmp(m[0].bytes, m[1].bytes, 40));
	t_peer_reply_u64(sock, 9, 1);
	T_EQ(vhk_ctl_set_vring_addr_iova(ctl, &iova), -EREMOTEIO);
	end();
}

static struct vhk_iotlb_msg heard;
static unsigned int n_heard;

static void on_iotlb(void *arg, const struct vhk_iotlb_msg *m)
{
	T_OK(arg == &n_heard);
	heard = *m;
	n_heard++;
}

static int open_channel(void)
{
	struct t_peer_msg m;

	t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, 0);
	T_MUST(!vhk_ctl_set_backend_req_fd(ctl));
	T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
	return m.fd[0];
}

static uint64_t tell(int channel, uint64_t iova, uint8_t perm, uint8_t type)
{
	const uint64_t w[4] = { iova, 0, 0, perm | (uint64_t)type << 8 };
	struct t_peer_msg m;

	t_peer_send(channel, 1, T_PEER_ASK_ACK, w, 32, NULL, 0);
	T_EQ(vhk_ctl_process(ctl), 0);
	T_MUST(t_peer_recv(channel, &m));
	return m.u64;
}

static void told_of_misses(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .on_iotlb = on_iotlb, .arg = &n_heard };
	int channel;

	begin(VHK_F_ACCESS_PLATFORM, &o);
	channel = open_channel();
	n_heard = 0;
	T_EQ(tell(channel, 0x5000, 1, MISS), 0);
	T_EQ(n_heard, 1);
	T_EQ(heard.iova.v, 0x5000);
	T_EQ(heard.perm, VHK_IOTLB_PERM_RO);
	T_EQ(heard.type, VHK_IOTLB_MISS);
	T_EQ(tell(channel, 0x6000, 2, ACCESS_FAIL), 0);
	T_EQ(n_heard, 2);
	T_EQ(heard.type, VHK_IOTLB_ACCESS_FAIL);
	/* A back end does not map. */
	T_OK(tell(channel, 0x6000, 2, UPDATE));
	T_OK(tell(channel, 0x6000, 2, 9));
	T_EQ(n_heard, 2);
	T_EQ(t_peer_drain(sock), 0);
	close(channel);
	end();
}

static bool setup_done;
static int setup_ret;

static void on_setup(void *arg, int ret)
{
	(void)arg;
	setup_ret = ret;
	setup_done = true;
}

/* Serves the front end's setup; the channel that it hands over. */
static int serve_setup(uint64_t features)
{
	struct t_peer_msg m;
	int channel = -1;

	while (!setup_done) {
		T_MUST(t_readable(sock, 10000));
		while (t_peer_recv(sock, &m)) {
			if (m.request == VHK_CTL_SET_BACKEND_REQ_FD) {
				channel = m.fd[0];
				m.n_fds = 0;
			}
			t_peer_close_fds(&m);
			t_peer_answer(sock, &m, features, PF, -1);
		}
		T_EQ(vhk_ctl_process(ctl), 0);
	}
	return channel;
}

static struct vhk_mem *mem;

/* A front end with memory; the channel. @at: where that is. */
static int begin_with_memory(const struct vhk_ctl_opts *o, void **at)
{
	const uint64_t features = VHK_F_ACCESS_PLATFORM | VHK_F_PROTOCOL_FEATURES;
	int channel;

	T_MUST(!vhk_mem_new(&mem));
	T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ 0x800000 }, 8192, at));
	sock = t_peer_open(&ctl, o);
	setup_done = false;
	T_MUST(!vhk_ctl_setup_async(ctl, 0, VHK_F_ACCESS_PLATFORM, mem, on_setup, NULL));
	channel = serve_setup(features);
	T_EQ(setup_ret, 0);
	T_MUST(channel >= 0);
	return channel;
}

/* Where nobody listens the memory answers: the whole region, by its front-end address. */
static void answered_from_memory(void)
{
	struct t_peer_msg m;
	void *va;
	int channel = begin_with_memory(NULL, &va);

	T_EQ(tell(channel, 0x801234, 1, MISS), 0);
	T_MUST(t_peer_recv(sock, &m));
	T_EQ(m.request, 22);
	T_EQ(m.w[0], 0x800000);
	T_EQ(m.w[1], 8192);
	T_EQ(m.w[2], (uintptr_t)va);
	T_EQ(m.w[3], 0x203);
	t_peer_reply_u64(sock, 22, 0);
	T_EQ(vhk_ctl_process(ctl), 0);
	/* Nothing is there, and an access that failed is no question. */
	T_EQ(tell(channel, 0x900000, 1, MISS), 0);
	T_EQ(tell(channel, 0x800000, 1, ACCESS_FAIL), 0);
	T_EQ(t_peer_drain(sock), 0);
	close(channel);
	end();
	vhk_mem_free(mem);
}

/* As many as it takes, at most @n: how many. */
static unsigned int send_misses(int channel, unsigned int n)
{
	const struct {
		uint32_t hdr[3];
		uint64_t w[4];
	} __attribute__((packed)) miss = { { 1, T_PEER_ASK, 32 }, { 0x801000, 0, 0, 0x101 } };
	unsigned int i;

	for (i = 0; i < n; i++)
		if (send(channel, &miss, sizeof(miss), MSG_DONTWAIT) < 0)
			break;
	return i;
}

/* Updates that have come; each is answered if they are to be. */
static unsigned int take_updates(bool answer)
{
	struct t_peer_msg m;
	unsigned int n = 0;

	while (t_peer_recv(sock, &m)) {
		T_EQ(m.request, 22);
		n++;
		if (answer)
			t_peer_reply_u64(sock, 22, 0);
	}
	return n;
}

#define UNDER_WAY 64

/* Who asks without end and takes no answer is not read any more; once it takes them it is. */
static void floods(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 10000 };
	unsigned int i, sent = 0, n, answered;
	uint64_t before = t_now_ns();
	void *va;
	int channel = begin_with_memory(&o, &va);

	for (i = 0; i < 100; i++) {
		sent += send_misses(channel, 100000);
		T_EQ(vhk_ctl_process(ctl), 0);
	}
	n = take_updates(false);
	T_EQ(n, UNDER_WAY);
	T_OK(sent < 10000);
	T_EQ(t_readable(vhk_ctl_fd(ctl), 0), false);
	for (i = 0; i < n; i++)
		t_peer_reply_u64(sock, 22, 0);
	for (answered = n; answered < sent;) {
		T_MUST(t_readable(vhk_ctl_fd(ctl), 10000));
		T_EQ(vhk_ctl_process(ctl), 0);
		n = take_updates(true);
		T_OK(n <= UNDER_WAY);
		answered += n;
	}
	T_EQ(answered, sent);
	T_OK(t_now_ns() - before < 10000000000u);
	close(channel);
	end();
	vhk_mem_free(mem);
}

/* The channel of one that is not read ends when it is closed, and does not keep us awake. */
static void floods_and_goes(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 10000 };
	void *va;
	int i, channel = begin_with_memory(&o, &va);

	T_OK(send_misses(channel, 200) > UNDER_WAY);
	for (i = 0; i < 10; i++)
		T_EQ(vhk_ctl_process(ctl), 0);
	T_EQ(take_updates(false), UNDER_WAY);
	close(channel);
	T_EQ(vhk_ctl_process(ctl), 0);
	T_EQ(t_readable(vhk_ctl_fd(ctl), 0), false);
	end();
	vhk_mem_free(mem);
}

/* Nothing that is not taken keeps the next ones: the deadline makes room. */
static void floods_and_is_late(void)
{
	const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 300 };
	void *va;
	unsigned int n;
	int channel = begin_with_memory(&o, &va);

	T_OK(send_misses(channel, 100) == 100);
	for (n = 0; n < 100; n += take_updates(false)) {
		T_MUST(t_readable(vhk_ctl_fd(ctl), 10000));
		T_EQ(vhk_ctl_process(ctl), 0);
	}
	T_EQ(n, 100);
	close(channel);
	end();
	vhk_mem_free(mem);
}

int main(void)
{
	T_RUN(to_the_byte);
	T_RUN(refused_before_it_is_sent);
	T_RUN(ring_addresses);
	T_RUN(told_of_misses);
	T_RUN(answered_from_memory);
	T_RUN(floods);
	T_RUN(floods_and_goes);
	T_RUN(floods_and_is_late);
	return t_end();
}
