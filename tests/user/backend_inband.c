// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Kicks, calls and errors as messages: a ring that is started and kicked by VRING_KICK, calls one
 * message at a time until it is acknowledged, and tells of its end; fds that were given come first.
 */
#include "t_user.h"

struct fixture {
	struct t_user u;
	struct t_ring ring;
	int channel;
};

static void open_channel(struct fixture *f)
{
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_EQ(t_ask_fds(&f->u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &fd[1], 1), 0);
	close(fd[1]);
	f->channel = fd[0];
}

/* Up to a ring that is set up, without a call fd, and stopped. */
static void fixture_init(struct fixture *f, bool channel)
{
	struct vhk_user_vring_addr addr;

	t_user_init(&f->u, VHK_LOOP_AUTO);
	t_user_open(&f->u);
	t_negotiate(&f->u, T_SPLIT);
	f->channel = -1;
	if (channel)
		open_channel(f);
	t_ring_init(&f->u, &f->ring, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&f->u), 0);
	addr = t_ring_wire_addr(&f->ring);
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_NUM, 0, 64), 0);
	T_EQ(t_ask(&f->u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	T_EQ(t_ask_state(&f->u, VHK_USER_SET_VRING_ENABLE, 0, 1), 0);
}

static void fixture_fini(struct fixture *f)
{
	t_ring_fini(&f->ring);
	if (f->channel >= 0)
		close(f->channel);
	t_user_fini(&f->u);
}

/* One request, told of by a message. */
static void offer(struct fixture *f)
{
	struct iovec seg[2] = { { f->u.buf, 16 }, { f->u.buf + 4096, 32 } };

	vhk_vq_arm(f->ring.vq);
	T_MUST(!vhk_vq_add(f->ring.vq, seg, 1, 1, f));
	vhk_vq_publish(f->ring.vq);
	T_EQ(t_ask_state(&f->u, VHK_USER_VRING_KICK, 0, 0), 0);
}

static void ack(struct fixture *f, uint32_t request, uint64_t v)
{
	struct {
		struct vhk_msg_hdr h;
		uint64_t v;
	} __attribute__((packed)) m = { { request, VHK_MSG_VERSION | VHK_MSG_REPLY, 8 }, v };

	t_send_bytes(f->channel, &m, sizeof(m), NULL, 0);
}

/* The next message of the channel is one about ring 0. */
static void expect(struct fixture *f, uint32_t request, uint32_t flags)
{
	struct vhk_user_vring_state v;
	struct vhk_msg m;

	T_MUST(t_recv_from(&f->u, f->channel, &m));
	T_EQ(m.hdr.request, request);
	T_EQ(m.hdr.flags, VHK_MSG_VERSION | flags);
	T_EQ(m.hdr.size, sizeof(v));
	memcpy(&v, m.bytes, sizeof(v));
	T_EQ(v.index, 0);
	T_EQ(v.num, 0);
}

static void expect_call(struct fixture *f)
{
	expect(f, VHK_USER_BACK_VRING_CALL, VHK_MSG_NEED_REPLY);
}

static void kicked_and_called(void)
{
	struct fixture f;
	unsigned int i;

	fixture_init(&f, true);
	for (i = 0; i < 5; i++) {
		offer(&f);
		T_MUST(t_ring_get(&f.u, &f.ring));
		expect_call(&f);
		/* nothing more before that is acknowledged, and something after it */
		offer(&f);
		T_MUST(t_ring_get(&f.u, &f.ring));
		t_settle(&f.u);
		T_OK(!t_readable(f.channel, 0));
		ack(&f, VHK_USER_BACK_VRING_CALL, i & 1);
		expect_call(&f);
		ack(&f, VHK_USER_BACK_VRING_CALL, 0);
		t_alive(&f.u);
	}
	/* stopped, and started again by a message */
	T_EQ(t_stop_ring(&f.u, 0), 10);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	fixture_fini(&f);
}

/* Calls that nobody could hear are made up for when somebody can. */
static void channel_comes_late_and_goes(void)
{
	struct fixture f;

	fixture_init(&f, false);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	t_settle(&f.u);
	open_channel(&f);
	expect_call(&f);
	/* gone with a call on its way: the next one says it again */
	close(f.channel);
	t_settle(&f.u);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	open_channel(&f);
	expect_call(&f);
	t_alive(&f.u);
	fixture_fini(&f);
}

static void fds_come_first(void)
{
	struct fixture f;

	fixture_init(&f, true);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, f.ring.call), 0);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	T_OK(t_wait_readable(&f.u, f.ring.call));
	t_settle(&f.u);
	T_OK(!t_readable(f.channel, 0));
	/* a kick fd in place of the messages, which still wake the ring */
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, f.ring.kick), 0);
	t_ring_echo(&f.u, &f.ring, 3);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	/* polled */
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, -1), 0);
	t_ring_echo(&f.u, &f.ring, 3);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	/* a driver that polls is not called at all */
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	t_settle(&f.u);
	T_OK(!t_readable(f.channel, 0));
	fixture_fini(&f);
}

/* A descriptor outside of memory is the request's; a head outside of the ring is the ring's. */
static void break_ring(struct fixture *f)
{
	struct vhk_vq_addr a;
	uint16_t *avail;

	T_MUST(!vhk_vq_addr(f->ring.vq, &a));
	avail = (uint16_t *)a.driver;
	avail[2 + avail[1] % 64] = 64;
	__atomic_store_n(&avail[1], (uint16_t)(avail[1] + 1), __ATOMIC_RELEASE);
	T_EQ(t_ask_state(&f->u, VHK_USER_VRING_KICK, 0, 0), 0);
}

static void errors_are_told(void)
{
	struct fixture f;
	int err;

	fixture_init(&f, true);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
	break_ring(&f);
	expect(&f, VHK_USER_BACK_VRING_ERR, 0);
	t_alive(&f.u);
	fixture_fini(&f);

	fixture_init(&f, true);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
	err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_ERR, 0, err), 0);
	break_ring(&f);
	T_OK(t_wait_readable(&f.u, err));
	t_settle(&f.u);
	T_OK(!t_readable(f.channel, 0));
	close(err);
	fixture_fini(&f);
}

/* Rings of pipes: eight bytes are a signal, whatever they say. */
static void pipes_in_place_of_eventfds(void)
{
	const uint64_t nonsense = 0xdeadbeefdeadbeef;
	int kick[2], call[2], err[2];
	struct fixture f;
	char bytes[64];

	T_MUST(!pipe2(kick, O_CLOEXEC) && !pipe2(call, O_CLOEXEC | O_NONBLOCK) &&
	       !pipe2(err, O_CLOEXEC | O_NONBLOCK));
	fixture_init(&f, true);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, call[1]), 0);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_ERR, 0, err[1]), 0);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_KICK, 0, kick[0]), 0);
	close(f.ring.kick);
	f.ring.kick = dup(kick[1]);
	t_ring_echo(&f.u, &f.ring, 5);
	T_OK(t_wait_readable(&f.u, call[0]));
	T_EQ(read(call[0], bytes, sizeof(bytes)) % 8, 0);
	T_EQ(write(kick[1], &nonsense, sizeof(nonsense)), sizeof(nonsense));
	t_ring_echo(&f.u, &f.ring, 5);
	break_ring(&f);
	T_OK(t_wait_readable(&f.u, err[0]));
	T_EQ(read(err[0], bytes, sizeof(bytes)), 8);
	t_alive(&f.u);
	fixture_fini(&f);
	close(kick[0]);
	close(kick[1]);
	close(call[0]);
	close(call[1]);
	close(err[0]);
	close(err[1]);
}

static void refused(void)
{
	struct vhk_user_vring_state v = { 0, 0 };
	struct fixture f;

	fixture_init(&f, true);
	T_OK(t_ask_state(&f.u, VHK_USER_VRING_KICK, 0, 1) != 0);
	T_OK(t_ask_state(&f.u, VHK_USER_VRING_KICK, T_QUEUES, 0) != 0);
	T_OK(t_ask(&f.u, VHK_USER_VRING_KICK, &v, 4) != 0);
	T_OK(t_ask_fds(&f.u, VHK_USER_VRING_KICK, &v, sizeof(v), &f.ring.kick, 1) != 0);
	/* ring 1 has neither size nor addresses */
	T_OK(t_ask_state(&f.u, VHK_USER_VRING_KICK, 1, 0) != 0);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	fixture_fini(&f);
}

/* An fd that cannot be signalled is none: calls go on as messages. */
static void a_refused_fd_changes_nothing(void)
{
	const int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct fixture f;

	fixture_init(&f, true);
	T_EQ(t_ask_vring_fd(&f.u, VHK_USER_SET_VRING_CALL, 0, fd), EINVAL);
	close(fd);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	expect_call(&f);
	fixture_fini(&f);
}

static void not_negotiated(void)
{
	const uint64_t ack = VHK_USER_PF(REPLY_ACK);
	struct t_user u;

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_alive(&u);
	t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &ack, 8, NULL, 0);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
	T_OK(t_ask_state(&u, VHK_USER_VRING_KICK, 0, 0) != 0);
	t_alive(&u);
	t_user_fini(&u);
}

/* Without a channel and acknowledgements there is no way to go on (vhost-user, "In-band
 * notifications"). */
static void alone_it_ends_the_session(void)
{
	static const uint64_t sets[] = {
		VHK_USER_PF(INBAND_NOTIFICATIONS),
		VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(REPLY_ACK),
		VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(BACKEND_REQ),
	};
	struct t_user u;
	unsigned int i;

	for (i = 0; i < vhk_array_size(sets); i++) {
		t_user_init(&u, VHK_LOOP_AUTO);
		t_user_open(&u);
		t_alive(&u);
		t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &sets[i], 8, NULL, 0);
		T_OK(t_closed(&u, u.fd));
		T_UNTIL(&u, u.n_down == 1);
		t_user_fini(&u);
	}
}

/* A front end that neither reads nor acknowledges costs one message for each ring. */
static void nobody_reads(void)
{
	struct fixture f;
	unsigned int i;
	int fds;

	fixture_init(&f, true);
	offer(&f);
	T_MUST(t_ring_get(&f.u, &f.ring));
	fds = t_count_fds();
	for (i = 0; i < 2000; i++) {
		offer(&f);
		T_MUST(t_ring_get(&f.u, &f.ring));
	}
	T_EQ(t_count_fds(), fds);
	expect_call(&f);
	t_settle(&f.u);
	T_OK(!t_readable(f.channel, 0));
	t_alive(&f.u);
	fixture_fini(&f);
}

int main(void)
{
	T_RUN_ON_BOTH(kicked_and_called);
	T_RUN_ON_BOTH(channel_comes_late_and_goes);
	T_RUN_ON_BOTH(fds_come_first);
	T_RUN_ON_BOTH(errors_are_told);
	T_RUN_ON_BOTH(pipes_in_place_of_eventfds);
	T_RUN(refused);
	T_RUN_ON_BOTH(a_refused_fd_changes_nothing);
	T_RUN(not_negotiated);
	T_RUN(alone_it_ends_the_session);
	T_RUN(nobody_reads);
	return t_end();
}
