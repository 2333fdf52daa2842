// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The back-end channel: requests are answered while the front end waits for an answer of its own,
 * refusals are acknowledged, and a channel that is misused ends without the connection.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include <vhostkit/ctl.h>

#include "t_peer.h"

#define PF (VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_CONFIG)

static unsigned int n_changes;

static void on_config(void *arg)
{
	struct vhk_ctl *c = *(struct vhk_ctl **)arg;
	uint64_t v;

	n_changes++;
	/* Waiting in here would never end. */
	T_EQ(vhk_ctl_get_features(c, &v), -EBUSY);
	T_EQ(vhk_ctl_process(c), -EBUSY);
}

static struct vhk_ctl *ctl;
static int sock, channel;

static void begin(void)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o),
				  .timeout_ms = 80,
				  .on_config = on_config,
				  .arg = &ctl };
	struct t_peer_msg m;

	sock = t_peer_open(&ctl, &o);
	t_peer_negotiate(ctl, sock, VHK_F_VERSION_1, PF);
	t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, 0);
	T_MUST(!vhk_ctl_set_backend_req_fd(ctl));
	T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
	channel = m.fd[0];
	n_changes = 0;
}

static void end(void)
{
	vhk_ctl_close(ctl);
	close(channel);
	close(sock);
}

/* A back end that simply reads its end takes -EAGAIN for a failure; ours never waits. */
static void its_end_waits_as_sockets_do(void)
{
	begin();
	T_EQ(fcntl(channel, F_GETFL) & O_NONBLOCK, 0);
	T_EQ(vhk_ctl_process(ctl), 0);
	end();
}

/* The back end asks and waits for its answer before it gives ours: both arrive. */
static void request_during_request(void)
{
	struct vhk_ctl_req r = { .op = VHK_CTL_GET_FEATURES, .fd = -1, .u64 = 0, .ret = 1 };
	struct t_peer_msg m;

	begin();
	T_EQ(vhk_ctl_submit(ctl, &r), 0);
	t_peer_send(channel, 2, T_PEER_ASK_ACK, NULL, 0, NULL, 0);
	T_MUST(t_readable(vhk_ctl_fd(ctl), 1000));
	T_EQ(vhk_ctl_process(ctl), 0);
	T_EQ(n_changes, 1);
	T_MUST(t_peer_recv(channel, &m));
	T_EQ(m.request, 2);
	T_EQ(m.flags, 5);
	T_EQ(m.size, 8);
	T_EQ(m.u64, 0);
	T_EQ(r.ret, 1);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 9);
	T_EQ(vhk_ctl_process(ctl), 0);
	T_EQ(r.ret, 0);
	T_EQ(r.u64, 9);
	end();
}

/* A call that waits serves the channel too, and gives up in time when that is all that happens. */
static void request_during_wait(void)
{
	uint64_t before, v;

	begin();
	t_peer_send(channel, 2, T_PEER_ASK, NULL, 0, NULL, 0);
	before = t_now_ns();
	T_EQ(vhk_ctl_get_features(ctl, &v), -ETIMEDOUT);
	T_OK(t_now_ns() - before < 2000000000u);
	T_EQ(n_changes, 1);
	T_EQ(t_peer_drain(channel), 0);
	end();
}

static const struct {
	const char *name;
	uint32_t request, flags, size;
	unsigned int n_fds;
	bool answered, closed;
} cases[] = {
	{ "IOTLB", 1, 9, 32, 0, true, false },
	{ "host notifier", 3, 9, 24, 0, true, false },
	{ "in-band call", 4, 9, 8, 0, true, false },
	{ "in-band error", 5, 9, 8, 0, true, false },
	{ "shared object add", 6, 9, 16, 0, true, false },
	{ "shared object remove", 7, 9, 16, 0, true, false },
	{ "shared object lookup, always answered", 8, 1, 16, 0, true, false },
	{ "shmem map", 9, 9, 40, 1, true, false },
	{ "shmem unmap", 10, 9, 40, 0, true, false },
	{ "unknown", 11, 9, 0, 0, true, false },
	{ "unknown, far", 0xffffffff, 9, 8, 0, true, false },
	{ "number 0", 0, 9, 0, 0, true, false },
	{ "config change with a payload", 2, 9, 8, 0, true, false },
	{ "config change with an fd", 2, 9, 0, 1, true, false },
	{ "too many fds", 2, 9, 0, 40, true, false },
	{ "refused without ack", 4, 1, 8, 0, false, false },
	{ "a reply", 2, 5, 8, 0, false, true },
	{ "version 0", 2, 8, 0, 0, false, true },
	{ "beyond any size", 2, 9, 5000, 0, false, true },
};

static void one_case(size_t i)
{
	static const unsigned char zero[8192];
	struct t_peer_msg m = { 0 };
	int fds[40], k;
	uint64_t v;
	bool got;

	for (k = 0; k < 40; k++)
		fds[k] = 1;
	begin();
	t_peer_send(channel, cases[i].request, cases[i].flags, zero, cases[i].size, fds,
		    cases[i].n_fds);
	T_EQ(vhk_ctl_process(ctl), 0);
	T_EQ(n_changes, 0);
	got = t_peer_recv(channel, &m);
	if (got != cases[i].answered || (got && !m.u64))
		printf("# %s:\n", cases[i].name);
	T_EQ(got, cases[i].answered);
	if (got) {
		T_EQ(m.request, cases[i].request);
		T_EQ(m.flags, 5);
		T_EQ(m.size, 8);
		T_OK(m.u64);
	}
	T_EQ(send(channel, "", 0, MSG_NOSIGNAL) < 0 || recv(channel, &m, 1, MSG_DONTWAIT) == 0,
	     cases[i].closed);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 9);
	T_EQ(vhk_ctl_get_features(ctl, &v), 0);
	end();
}

static void refusals(void)
{
	int before = t_count_fds();
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_case(i);
	T_EQ(t_count_fds(), before);
}

static void hung_up_channel(void)
{
	uint64_t v;

	begin();
	close(channel);
	channel = dup(sock);
	T_EQ(vhk_ctl_process(ctl), 0);
	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, 9);
	T_EQ(vhk_ctl_get_features(ctl, &v), 0);
	/* Another one may be made. */
	t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, 0);
	T_EQ(vhk_ctl_set_backend_req_fd(ctl), 0);
	end();
	t_peer_drain(sock);
}

static unsigned int n_named, named;
static int file;

static void on_ring(void *arg, unsigned int idx)
{
	(void)arg;
	n_named++;
	named = idx;
}

static int on_notifier(void *arg, unsigned int idx, int fd, uint64_t offset, uint64_t size)
{
	(void)offset;
	(void)size;
	on_ring(arg, idx);
	if (fd >= 0)
		close(fd);
	return 0;
}

/* A call, an error, and a notifier, whose index has 8 bits. */
static void ask_about(unsigned int message, uint32_t idx)
{
	const uint32_t call[2] = { idx, 0 };
	const uint64_t area[3] = { idx, 4096, 0 };

	n_named = 0;
	t_peer_send(channel, message, T_PEER_ASK_ACK, message == 3 ? (void *)area : (void *)call,
		    message == 3 ? sizeof(area) : sizeof(call), &file, message == 3);
	T_EQ(vhk_ctl_process(ctl), 0);
}

static void check_ring(uint32_t idx, bool is_one)
{
	unsigned int message;
	struct t_peer_msg m;
	bool want;

	for (message = 3; message <= 5; message++) {
		want = is_one && (message != 3 || idx < 256);
		ask_about(message, idx);
		T_MUST(t_peer_recv(channel, &m));
		if (!m.u64 != want)
			printf("# ring %u by message %u:\n", idx, message);
		T_EQ(!m.u64, want);
		T_EQ(n_named, want);
		if (want)
			T_EQ(named, idx);
	}
}

/* Nothing was said of rings yet, then the front end names one, then the back end says how many. */
enum said { NOTHING, UP_TO_2, THERE_ARE_256, N_SAID };

static void say_rings(enum said said)
{
	struct t_peer_msg m;
	uint64_t v;

	if (said == UP_TO_2) {
		t_peer_reply_u64(sock, VHK_CTL_SET_VRING_NUM, 0);
		T_EQ(vhk_ctl_set_vring_num(ctl, 2, 64), 0);
		T_MUST(t_peer_recv(sock, &m));
		/* what is refused names none */
		T_EQ(vhk_ctl_set_vring_num(ctl, 1u << 16, 64), -EINVAL);
	} else if (said == THERE_ARE_256) {
		t_peer_reply_u64(sock, VHK_CTL_GET_QUEUE_NUM, 256);
		T_EQ(vhk_ctl_get_queue_num(ctl, &v), 0);
	}
}

static const struct vhk_ctl_back back = {
	.sz = sizeof(back), .call = on_ring, .error = on_ring, .host_notifier = on_notifier
};

/* A channel on which rings are called, and told where to kick. */
static void begin_with_rings(void)
{
	static const struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 80, .back = &back };
	struct t_peer_msg m;

	sock = t_peer_open(&ctl, &o);
	t_peer_negotiate(ctl, sock, VHK_F_VERSION_1,
			 PF | VHK_PF_MQ | VHK_PF_INBAND_NOTIFICATIONS | VHK_PF_BACKEND_SEND_FD |
				 VHK_PF_HOST_NOTIFIER);
	t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, 0);
	T_MUST(!vhk_ctl_set_backend_req_fd(ctl));
	T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
	channel = m.fd[0];
	file = memfd_create("doorbell", MFD_CLOEXEC);
	T_MUST(file >= 0 && !ftruncate(file, 8192));
}

static const struct {
	const char *path; /* NULL: a file of 8,192 bytes */
	uint64_t size, offset;
	bool granted;
} doorbells[] = {
	{ NULL, 4096, 0, true },
	{ NULL, 8192, 0, true },
	{ NULL, 4096, 4096, true },
	{ NULL, 0, 0, false },
	{ NULL, 4096, 8192, false },
	{ NULL, 8192, 4096, false },
	{ NULL, 2048, 0, false },
	{ NULL, 4096, 2048, false },
	{ NULL, 1ull << 63, 1ull << 63, false },
	{ NULL, 4096, 1ull << 63, false },
	{ NULL, 4096, UINT64_MAX - 4095, false },
	{ NULL, UINT64_MAX - 4095, 8192, false },
	{ "/dev/null", 4096, 0, false },
	{ "/", 4096, 0, false },
	{ "/proc/self/exe", 4096, 0, false },
	{ "pipe", 4096, 0, false },
	{ "socket", 4096, 0, false },
};

static void one_doorbell(size_t i)
{
	const uint64_t area[3] = { 0, doorbells[i].size, doorbells[i].offset };
	const char *path = doorbells[i].path;
	int fd = -1, other[2] = { -1, -1 };
	struct t_peer_msg m;

	if (!path)
		fd = dup(file);
	else if (!strcmp(path, "pipe"))
		T_MUST(!pipe2(other, O_CLOEXEC));
	else if (!strcmp(path, "socket"))
		T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other));
	else if (!strcmp(path, "/dev/null"))
		fd = open(path, O_RDWR | O_CLOEXEC);
	else
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (other[0] >= 0)
		fd = other[0];
	n_named = 0;
	t_peer_send(channel, 3, T_PEER_ASK_ACK, area, sizeof(area), &fd, 1);
	close(fd);
	if (other[1] >= 0)
		close(other[1]);
	T_EQ(vhk_ctl_process(ctl), 0);
	T_MUST(t_peer_recv(channel, &m));
	if (!m.u64 != doorbells[i].granted)
		printf("# doorbell %zu:\n", i);
	T_EQ(!m.u64, doorbells[i].granted);
	T_EQ(n_named, doorbells[i].granted);
}

/* What cannot be mapped is no doorbell, and leaves nothing behind. */
static void doorbells_that_are_none(void)
{
	size_t i;
	int before;

	begin_with_rings();
	say_rings(THERE_ARE_256);
	before = t_count_fds();
	for (i = 0; i < sizeof(doorbells) / sizeof(doorbells[0]); i++)
		one_doorbell(i);
	T_EQ(t_count_fds(), before);
	close(file);
	end();
}

static void rings_that_are_none(void)
{
	static const struct {
		uint32_t idx;
		bool is_one[N_SAID];
	} rings[] = {
		{ 0, { false, true, true } },
		{ 2, { false, true, true } },
		{ 3, { false, false, true } },
		{ 255, { false, false, true } },
		{ 256, { false, false, false } },
		{ 65535, { false, false, false } },
		{ 65536, { false, false, false } },
		{ 65538, { false, false, false } },
		{ UINT32_MAX, { false, false, false } },
	};
	enum said said;
	unsigned int i;

	begin_with_rings();
	for (said = NOTHING; said < N_SAID; said++) {
		say_rings(said);
		for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
			check_ring(rings[i].idx, rings[i].is_one[said]);
	}
	close(file);
	end();
}

/* A back end that asks without end and reads no answer: each call still returns. */
static void flood(void)
{
	uint32_t ask[3] = { 2, 1, 0 };
	uint64_t before, v;
	unsigned int sent = 0;

	begin();
	while (send(channel, ask, sizeof(ask), MSG_DONTWAIT) == sizeof(ask))
		sent++;
	T_OK(sent > 128);
	before = t_now_ns();
	T_EQ(vhk_ctl_process(ctl), 0);
	T_OK(n_changes > 0 && n_changes < sent);
	T_EQ(vhk_ctl_get_features(ctl, &v), -ETIMEDOUT);
	T_OK(t_now_ns() - before < 2000000000u);
	T_EQ(n_changes, sent);
	end();
}

/* The channel that works is given up for one that was accepted, and for no other. */
static void another_channel(void)
{
	struct t_peer_msg m;
	unsigned int ret;

	for (ret = 0; ret < 2; ret++) {
		begin();
		t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, ret);
		T_EQ(vhk_ctl_set_backend_req_fd(ctl), ret ? -EREMOTEIO : 0);
		T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
		if (!ret) {
			T_EQ(recv(channel, &m.u64, 1, MSG_DONTWAIT), 0);
			close(channel);
			channel = m.fd[0];
			m.n_fds = 0;
		}
		t_peer_close_fds(&m);
		t_peer_send(channel, 2, T_PEER_ASK_ACK, NULL, 0, NULL, 0);
		T_EQ(vhk_ctl_process(ctl), 0);
		T_EQ(n_changes, 1);
		T_MUST(t_peer_recv(channel, &m));
		T_EQ(m.u64, 0);
		end();
	}
}

static void refused_channel(void)
{
	struct t_peer_msg m;

	begin();
	t_peer_reply_u64(sock, VHK_CTL_SET_BACKEND_REQ_FD, 1);
	T_EQ(vhk_ctl_set_backend_req_fd(ctl), -EREMOTEIO);
	T_MUST(t_peer_recv(sock, &m) && m.n_fds == 1);
	T_EQ(recv(m.fd[0], &m.u64, 1, MSG_DONTWAIT), 0);
	t_peer_close_fds(&m);
	end();
}

int main(void)
{
	T_RUN(its_end_waits_as_sockets_do);
	T_RUN(request_during_request);
	T_RUN(request_during_wait);
	T_RUN(refusals);
	T_RUN(doorbells_that_are_none);
	T_RUN(rings_that_are_none);
	T_RUN(hung_up_channel);
	T_RUN(flood);
	T_RUN(another_channel);
	T_RUN(refused_channel);
	return t_end();
}
