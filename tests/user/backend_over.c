// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A session handed from one back end to another: what goes with it, what the front end sees of it,
 * and what either end makes of a partner that is hostile, dies, or is not what it should be.
 */
#include <sys/un.h>

#include "backend_over.h"
#include "t_user.h"

#define MESSAGES_MAX 64

/* The second process, in the same one. */
struct heir {
	struct t_echo echo;
	struct vhk_backend *be;
	struct t_log log;
	int n_done, ret;
	unsigned int n_up, n_down;
};

static struct t_user u;
static struct heir heir;
static struct t_ring ring;
static int n_given, given_ret;
static char over[128], front[128];

static void on_given(void *arg, int ret, int pid)
{
	(void)arg;
	T_EQ(pid, getpid());
	n_given++;
	given_ret = ret;
}

static void on_taken(void *arg, int ret, int pid)
{
	struct heir *h = arg;

	T_EQ(pid, getpid());
	h->n_done++;
	h->ret = ret;
}

static void heir_session(void *arg, bool up)
{
	struct heir *h = arg;

	h->n_up += up;
	h->n_down += !up;
}

static int dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	T_MUST(!connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

/* A server that may be taken over, with a front end that has said nothing. */
static void open_server(void)
{
	struct vhk_backend_opts o;

	snprintf(over, sizeof(over), "%s/over", t_dir());
	snprintf(front, sizeof(front), "%s/front", t_dir());
	n_given = 0;
	t_user_init(&u, VHK_LOOP_AUTO);
	o = t_user_opts(&u);
	o.flags = VHK_BACKEND_F_HAND_OVER;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, front, &o));
	T_MUST(!vhk_backend_hand_over(u.be, over, on_given, NULL));
	u.fd = dial(front);
}

static void begin_ring(uint64_t features)
{
	t_ring_init(&u, &ring, 0, features);
	T_EQ(t_ask_mem_table(&u), 0);
	t_ring_start(&u, &ring, ring.kick);
	t_ring_echo(&u, &ring, 3);
}

/* The same with one whose ring runs. */
static void open_old(uint64_t features)
{
	open_server();
	t_negotiate(&u, features);
	begin_ring(features);
}

static void close_old(void)
{
	t_ring_fini(&ring);
	t_user_fini(&u);
}

static int begin_heir(const char *from)
{
	struct vhk_backend_opts o = {
		.sz = sizeof(o),
		.log = { t_log_line, &heir.log, VHK_LOG_DEBUG },
		.on_session = heir_session,
		.arg = &heir,
		.flags = VHK_BACKEND_F_HAND_OVER,
	};

	memset(&heir, 0, sizeof(heir));
	t_echo_init(&heir.echo);
	return vhk_backend_take_over(&heir.be, u.loop, heir.echo.dev, from, front, &o, on_taken,
				     &heir);
}

static void close_heir(void)
{
	vhk_backend_close(heir.be);
	vhk_device_free(heir.echo.dev);
}

static void taken_over(void)
{
	T_MUST(!begin_heir(over));
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	T_EQ(given_ret, 0);
	T_EQ(heir.n_up, 1);
	T_UNTIL(&u, u.n_down == 1);
}

static void ring_goes_on(uint64_t features)
{
	unsigned int at;
	int fds;

	open_old(features);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_STATUS, 0xf), 0);
	at = u.echo.n_work;
	taken_over();
	T_OK(vhk_backend_is_over(u.be));
	T_OK(!vhk_backend_is_over(heir.be));
	t_ring_echo(&u, &ring, 70);
	T_EQ(u.echo.n_work, at);
	T_EQ(heir.echo.n_work, 70);
	T_EQ(heir.echo.features, features & ~VHK_F_PROTOCOL_FEATURES);
	T_EQ(t_get_u64(&u, VHK_USER_GET_STATUS), 0xf);
	t_alive(&u);
	/* owned, so not to be owned again */
	T_OK(t_ask(&u, VHK_USER_SET_OWNER, NULL, 0) != 0);
	/* stops where it stands, and goes on from there */
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, t_stop_ring(&u, 0)), 0);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_KICK, 0, ring.kick), 0);
	t_ring_echo(&u, &ring, 3);
	/* the second is as good as the first */
	T_EQ(vhk_backend_hand_over(heir.be, over, on_given, NULL), 0);
	T_EQ(vhk_backend_hand_over(heir.be, over, on_given, NULL), -EBUSY);
	T_EQ(vhk_backend_hand_over(u.be, over, on_given, NULL), -EBUSY);
	fds = t_count_fds();
	T_OK(fds > 0);
	/* the socket is the heir's now */
	t_user_hang_up(&u);
	T_UNTIL(&u, heir.n_down == 1);
	vhk_backend_close(u.be);
	u.be = NULL;
	T_OK(!access(front, F_OK));
	u.fd = dial(front);
	t_alive(&u);
	close_heir();
	T_OK(access(front, F_OK) < 0);
	T_OK(access(over, F_OK) < 0);
	close_old();
}

static void split_ring_goes_on(void)
{
	ring_goes_on(T_SPLIT);
}

static void packed_ring_goes_on(void)
{
	ring_goes_on(T_PACKED);
}

static void step(unsigned int n)
{
	uint64_t protocol;

	switch (n) {
	case 0:
		t_alive(&u);
		return;
	case 1:
		protocol = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES);
		protocol &= ~VHK_USER_PF(GPA_ADDRESSES);
		t_send(&u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
		return;
	case 2:
		T_EQ(t_ask(&u, VHK_USER_SET_OWNER, NULL, 0), 0);
		return;
	case 3:
		T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_CALL, 0, -1), 0);
		return;
	case 4:
		T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
		return;
	}
}

/* A guest that has no driver yet: its front end said little, or nothing. */
static void after_every_step(void)
{
	unsigned int i, k;

	for (i = 0; i <= 5; i++) {
		open_server();
		T_UNTIL(&u, u.n_up == 1);
		for (k = 0; k < i; k++)
			step(k);
		if (i > 1)
			t_alive(&u);
		taken_over();
		for (; k < 5; k++)
			step(k);
		begin_ring(T_SPLIT);
		T_EQ(u.echo.n_work, 0);
		close_heir();
		close_old();
	}
}

/* What the front end sends meanwhile is answered by the one that serves in the end; what the device
 * has in hand is answered first. */
static void nothing_is_lost_meanwhile(void)
{
	struct vhk_msg m;

	open_old(T_SPLIT);
	u.echo.hold = true;
	t_ring_add(&u, &ring);
	T_UNTIL(&u, u.echo.n_held == 1);
	T_MUST(!begin_heir(over));
	t_settle(&u);
	t_settle(&u);
	t_send(&u, VHK_USER_GET_QUEUE_NUM, 0, NULL, 0, NULL, 0);
	t_ring_add(&u, &ring);
	t_settle(&u);
	T_EQ(n_given, 0);
	T_EQ(u.echo.n_held, 1);
	t_echo_release(&u.echo);
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.hdr.request, VHK_USER_GET_QUEUE_NUM);
	T_EQ(m.u64, T_QUEUES);
	T_OK(t_ring_get(&u, &ring));
	T_OK(t_ring_get(&u, &ring));
	T_EQ(heir.echo.n_work, 1);
	close_heir();
	close_old();
}

/* Half of a message is here: the rest has to come first. */
static void waits_for_whole_messages(void)
{
	struct vhk_msg_hdr h = { VHK_USER_GET_FEATURES, VHK_MSG_VERSION, 0 };
	struct vhk_msg m;

	open_old(T_SPLIT);
	t_send_bytes(u.fd, &h, 5, NULL, 0);
	t_settle(&u);
	T_MUST(!begin_heir(over));
	t_settle(&u);
	t_settle(&u);
	T_EQ(heir.n_done, 0);
	t_send_bytes(u.fd, (char *)&h + 5, sizeof(h) - 5, NULL, 0);
	T_MUST(t_recv(&u, &m));
	T_EQ(m.u64, T_FEATURES);
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	t_ring_echo(&u, &ring, 3);
	close_heir();
	close_old();
}

/* What a session may have besides. */
struct extras {
	int channel, bits, call, err;
	uint8_t *marks;
};

#define LOG_SIZE 0x10000
#define LOG_GPA 0x12345000

static void add_log(struct extras *x)
{
	struct vhk_user_log log = { .size = LOG_SIZE };
	struct vhk_msg m;

	x->bits = memfd_create("log", MFD_CLOEXEC);
	T_MUST(!ftruncate(x->bits, LOG_SIZE));
	x->marks = mmap(NULL, LOG_SIZE, PROT_READ, MAP_SHARED, x->bits, 0);
	x->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(x->marks != MAP_FAILED && x->call >= 0);
	T_EQ(t_ask_fds(&u, VHK_USER_SET_LOG_FD, NULL, 0, &x->call, 1), 0);
	t_send(&u, VHK_USER_SET_LOG_BASE, 0, &log, sizeof(log), &x->bits, 1);
	T_MUST(t_recv(&u, &m));
}

/* Inflight region, dirty log, back-end channel and an fd for errors, for a ring that runs. */
static void add_extras(struct extras *x)
{
	struct vhk_user_inflight in = { .num_queues = T_QUEUES, .queue_size = 64 };
	struct vhk_user_vring_addr addr;
	struct vhk_msg m;
	int channel[2];

	t_stop_ring(&u, 0);
	T_MUST(t_get(&u, VHK_USER_GET_INFLIGHT_FD, &in, sizeof(in), &m));
	memcpy(&in, m.bytes, sizeof(in));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_INFLIGHT_FD, &in, sizeof(in), m.fd, 1), 0);
	close(m.fd[0]);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	x->channel = channel[0];
	x->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_EQ(t_ask_vring_fd(&u, VHK_USER_SET_VRING_ERR, 0, x->err), 0);
	add_log(x);
	t_ring_start(&u, &ring, ring.kick);
	addr = t_ring_wire_addr(&ring);
	T_EQ(t_ask_u64(&u, VHK_USER_SET_FEATURES, ring.features | VHK_F_LOG_ALL), 0);
	addr.flags = VHK_USER_VRING_LOG;
	addr.log = LOG_GPA;
	T_EQ(t_ask(&u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
}

static void close_extras(struct extras *x)
{
	close(x->channel);
	close(x->bits);
	close(x->call);
	close(x->err);
	munmap(x->marks, LOG_SIZE);
}

static bool is_marked(const struct extras *x, uint64_t gpa)
{
	return x->marks[gpa >> 15] & 1 << ((gpa >> 12) & 7);
}

static void what_else_goes_along(void)
{
	struct extras x;
	struct vhk_msg m;

	open_old(T_SPLIT);
	add_extras(&x);
	/* a question that is answered when the other one serves */
	vhk_device_config_changed(u.echo.dev);
	T_MUST(t_recv_from(&u, x.channel, &m));
	T_EQ(m.hdr.request, VHK_USER_BACK_CONFIG_CHANGE_MSG);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	T_OK(is_marked(&x, T_GPA + 4096));
	T_OK(is_marked(&x, LOG_GPA));
	T_OK(t_readable(x.call, 0));
	vhk_device_config_changed(heir.echo.dev);
	T_MUST(t_recv_from(&u, x.channel, &m));
	T_EQ(m.hdr.request, VHK_USER_BACK_CONFIG_CHANGE_MSG);
	/* the memory is the same: a region more is one more, and the ring runs on */
	t_ring_echo(&u, &ring, 3);
	vhk_queue_fail(heir.echo.last);
	T_UNTIL(&u, t_readable(x.err, 0));
	close_heir();
	close_extras(&x);
	close_old();
}

/* The driver is told of a configuration space that is not what it was. */
static void other_configuration_is_told(void)
{
	struct extras x;
	struct vhk_msg m;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		open_old(T_SPLIT);
		add_extras(&x);
		T_MUST(!begin_heir(over));
		heir.echo.config[5] = (unsigned char)(heir.echo.config[5] + i);
		T_UNTIL(&u, heir.n_done && n_given);
		T_EQ(t_readable(x.channel, 0), i);
		if (i)
			T_OK(t_recv_from(&u, x.channel, &m) &&
			     m.hdr.request == VHK_USER_BACK_CONFIG_CHANGE_MSG);
		close_heir();
		close_extras(&x);
		close_old();
	}
}

/* Rings that are kicked by messages, and call by them. */
static void notifications_as_messages(void)
{
	struct vhk_user_vring_state v = { 0, 0 };
	uint64_t protocol;
	int channel[2];

	open_old(T_SPLIT);
	t_stop_ring(&u, 0);
	protocol = t_get_u64(&u, VHK_USER_GET_PROTOCOL_FEATURES) & ~VHK_USER_PF(GPA_ADDRESSES);
	T_OK(protocol & VHK_USER_PF(INBAND_NOTIFICATIONS));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	T_EQ(t_ask_state(&u, VHK_USER_SET_VRING_BASE, 0, t_ring_base(&ring)), 0);
	T_EQ(t_ask(&u, VHK_USER_VRING_KICK, &v, sizeof(v)), 0);
	taken_over();
	vhk_vq_arm(ring.vq);
	t_ring_add(&u, &ring);
	T_EQ(t_ask(&u, VHK_USER_VRING_KICK, &v, sizeof(v)), 0);
	T_OK(t_ring_get(&u, &ring));
	T_EQ(heir.echo.n_work, 1);
	/* the call fd of before is still there */
	T_OK(t_readable(ring.call, 0));
	close_heir();
	close(channel[0]);
	close_old();
}

static void translate(uint64_t iova, const struct vhk_region *r)
{
	struct vhk_user_iotlb t = {
		.iova = iova,
		.size = r->size,
		.uaddr = r->uva.v,
		.perm = VHK_IOTLB_PERM_RW,
		.type = VHK_IOTLB_UPDATE,
	};
	struct vhk_msg m;

	T_MUST(t_get(&u, VHK_USER_IOTLB_MSG, &t, sizeof(t), &m));
	T_EQ(m.u64, 0);
}

/* Translations go along, so the heir has nothing to ask. */
static void behind_an_iommu(void)
{
	const uint64_t features = T_SPLIT | VHK_F_ACCESS_PLATFORM;
	struct vhk_backend_opts o;
	struct vhk_region r;
	int channel[2];
	unsigned int i;

	t_user_init(&u, VHK_LOOP_AUTO);
	n_given = 0;
	o = t_user_opts(&u);
	o.flags = VHK_BACKEND_F_HAND_OVER;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, front, &o));
	T_MUST(!vhk_backend_hand_over(u.be, over, on_given, NULL));
	u.fd = dial(front);
	t_negotiate(&u, features);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel));
	T_EQ(t_ask_fds(&u, VHK_USER_SET_BACKEND_REQ_FD, NULL, 0, &channel[1], 1), 0);
	close(channel[1]);
	t_ring_init(&u, &ring, 0, features);
	T_EQ(t_ask_mem_table(&u), 0);
	for (i = 0; i < vhk_mem_count(u.mem); i++) {
		T_MUST(!vhk_mem_get(u.mem, i, &r, NULL));
		/* descriptors hold guest addresses, the ring's own are what they are here */
		translate(r.gpa.v, &r);
		translate(r.uva.v, &r);
	}
	t_ring_start(&u, &ring, ring.kick);
	t_ring_echo(&u, &ring, 3);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	T_EQ(heir.echo.n_work, 3);
	T_OK(!t_readable(channel[0], 0));
	close_heir();
	close(channel[0]);
	close_old();
}

/* ---- A scripted successor. ---- */

struct script {
	unsigned int n;
	struct vhk_msg m[MESSAGES_MAX];
};

static void script_fini(struct script *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		vhk_msg_fini(&s->m[i]);
	s->n = 0;
}

static void say_u64(int fd, uint32_t request, uint64_t v)
{
	unsigned char bytes[sizeof(struct vhk_msg_hdr) + 8];
	struct vhk_msg_hdr h = { request, VHK_MSG_VERSION | VHK_MSG_REPLY, 8 };

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &v, 8);
	T_MUST(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes));
}

/* All that the old one says up to and with COMMIT, which is refused. */
static void record(struct script *s)
{
	int fd = dial(over);

	s->n = 0;
	do {
		T_MUST(s->n < MESSAGES_MAX);
		T_MUST(t_recv_from(&u, fd, &s->m[s->n]));
		if (s->m[s->n].hdr.request == VHK_OVER_READY)
			say_u64(fd, VHK_OVER_READY, 0);
	} while (s->m[s->n++].hdr.request != VHK_OVER_COMMIT);
	say_u64(fd, VHK_OVER_COMMIT, 5);
	T_OK(t_closed(&u, fd));
	close(fd);
	T_EQ(n_given, 0);
	t_ring_echo(&u, &ring, 3);
}

/* One that answers no more while the rings rest is given up before front ends lose patience. */
static void a_successor_that_falls_silent(void)
{
	struct script s;
	uint64_t begun;
	unsigned int i;
	int fd;

	open_old(T_SPLIT);
	record(&s);
	fd = dial(over);
	for (i = 0; s.m[i].hdr.request != VHK_OVER_RING; i++) {
		struct vhk_msg m;

		T_MUST(t_recv_from(&u, fd, &m));
		if (m.hdr.request == VHK_OVER_READY)
			say_u64(fd, VHK_OVER_READY, 0);
		vhk_msg_fini(&m);
	}
	t_settle(&u);
	begun = t_now_ns();
	t_ring_add(&u, &ring);
	t_settle(&u);
	T_EQ(u.be->s.state == VHK_SESSION_READY, false);
	T_OK(t_ring_get(&u, &ring));
	T_OK(t_now_ns() - begun < 5000000000u);
	T_EQ(n_given, 0);
	close(fd);
	script_fini(&s);
	t_ring_echo(&u, &ring, 3);
	close_old();
}

/* The old one goes on, wherever its successor stops. */
static void successors_that_hang_up(void)
{
	struct script s;
	struct extras x;
	unsigned int i, k;
	int fd, fds;

	open_old(T_PACKED);
	add_extras(&x);
	record(&s);
	fds = t_count_fds();
	for (i = 0; i < s.n; i++) {
		fd = dial(over);
		for (k = 0; k < i; k++) {
			struct vhk_msg m;

			T_MUST(t_recv_from(&u, fd, &m));
			if (m.hdr.request == VHK_OVER_READY)
				say_u64(fd, VHK_OVER_READY, 0);
			vhk_msg_fini(&m);
		}
		/* the last of them has COMMIT before it, and has not read it */
		t_settle(&u);
		t_settle(&u);
		close(fd);
		T_UNTIL(&u, !access(over, F_OK) &&
				    u.be->s.state == VHK_SESSION_READY);
		T_EQ(n_given, 0);
		t_ring_echo(&u, &ring, 3);
		t_alive(&u);
	}
	T_EQ(t_count_fds(), fds);
	script_fini(&s);
	taken_over();
	t_ring_echo(&u, &ring, 3);
	close_heir();
	close_extras(&x);
	close_old();
}

/* It has read COMMIT, so it may have begun: the old one must not. */
static void a_successor_that_dies_with_it(void)
{
	struct vhk_msg m;
	int fd;

	open_old(T_SPLIT);
	fd = dial(over);
	do {
		T_MUST(t_recv_from(&u, fd, &m));
		if (m.hdr.request == VHK_OVER_READY)
			say_u64(fd, VHK_OVER_READY, 0);
		vhk_msg_fini(&m);
	} while (m.hdr.request != VHK_OVER_COMMIT);
	t_settle(&u);
	T_EQ(n_given, 0);
	close(fd);
	T_UNTIL(&u, n_given == 1);
	T_EQ(given_ret, -ENOTCONN);
	/* the front end sees a dead back end */
	T_OK(t_closed(&u, u.fd));
	T_OK(vhk_backend_is_over(u.be));
	close_old();
	T_OK(access(front, F_OK) < 0);
}

static void successors_that_talk_nonsense(void)
{
	static const struct {
		uint32_t request;
		uint64_t v;
		unsigned int after; /* messages that are read first */
	} cases[] = {
		{ VHK_OVER_READY, 0, 1 },   { VHK_OVER_READY, 1, 1 },
		{ VHK_OVER_COMMIT, 0, 1 },  { VHK_OVER_COMMIT, 1, 2 },
		{ VHK_OVER_READY, 9, 99 },
	};
	struct vhk_msg m;
	unsigned int i, k;
	int fd;

	open_old(T_SPLIT);
	for (i = 0; i < vhk_array_size(cases); i++) {
		fd = dial(over);
		for (k = 0; k < cases[i].after; k++) {
			T_MUST(t_recv_from(&u, fd, &m));
			vhk_msg_fini(&m);
			if (m.hdr.request == VHK_OVER_READY)
				break;
		}
		if (cases[i].after < 99)
			say_u64(fd, cases[i].request, cases[i].v);
		say_u64(fd, cases[i].request, cases[i].v);
		shutdown(fd, SHUT_WR);
		T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY && !access(over, F_OK));
		t_ring_echo(&u, &ring, 3);
		close(fd);
		T_EQ(n_given, 0);
	}
	/* not a message at all */
	fd = dial(over);
	T_MUST(send(fd, "garbage garbage garbage", 23, MSG_NOSIGNAL) == 23);
	T_UNTIL(&u, u.log.n[VHK_LOG_WARN] > i);
	close(fd);
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	t_ring_echo(&u, &ring, 3);
	/* one at a time */
	fd = dial(over);
	T_MUST(t_recv_from(&u, fd, &m));
	k = (unsigned int)dial(over);
	T_OK(t_closed(&u, (int)k));
	close((int)k);
	close(fd);
	close_old();
}

/* Closed, behind what was said before. */
static bool closed_after_all(int fd)
{
	char bytes[4096];

	while (t_wait_readable(&u, fd))
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return true;
	return false;
}

/* The front end goes while the session is on its way. */
static void front_ends_that_hang_up(void)
{
	struct vhk_msg m;
	struct script s;
	unsigned int i, k;
	int fd;

	open_old(T_SPLIT);
	record(&s);
	for (i = 1; i < s.n - 1; i += 3) {
		fd = dial(over);
		for (k = 0; k < i; k++) {
			T_MUST(t_recv_from(&u, fd, &m));
			if (m.hdr.request == VHK_OVER_READY)
				say_u64(fd, VHK_OVER_READY, 0);
			vhk_msg_fini(&m);
		}
		t_user_hang_up(&u);
		T_UNTIL(&u, u.n_down == u.n_up);
		T_OK(closed_after_all(fd));
		close(fd);
		u.fd = dial(front);
		t_negotiate(&u, T_SPLIT);
		T_EQ(t_ask_mem_table(&u), 0);
		t_ring_start(&u, &ring, ring.kick);
		t_ring_echo(&u, &ring, 3);
	}
	script_fini(&s);
	T_EQ(n_given, 0);
	close_old();
}

/* Either back end is closed in the middle. */
static void closed_in_the_middle(void)
{
	unsigned int i, k;
	int fds = t_count_fds();

	for (i = 0; i < 24; i++) {
		open_old(T_SPLIT);
		T_MUST(!begin_heir(over));
		for (k = 0; k < i / 2; k++)
			vhk_loop_step(u.loop, 0);
		if (i % 2) {
			close_heir();
			T_UNTIL(&u, u.be->over || u.be->s.state == VHK_SESSION_READY);
			if (!u.be->over)
				t_ring_echo(&u, &ring, 3);
		} else {
			vhk_backend_close(u.be);
			u.be = NULL;
			T_UNTIL(&u, heir.n_done);
			if (!heir.ret)
				t_ring_echo(&u, &ring, 3);
			close_heir();
		}
		close_old();
		T_EQ(t_count_fds(), fds);
	}
}

/* ---- A scripted old process. ---- */

/* What is done to one message. */
enum harm {
	CUT_ALL, CUT_ONE, LONGER, NO_FDS, MORE_FDS, OTHER_FDS, TWICE, LEFT_OUT, LATER, FLAGS,
	FIRST_BYTE, LAST_BYTE, ALL_ONES, ZEROS, AS_REPLY, HANG_UP, HALF, HARMS,
};

static void play_bytes(int sock, const struct vhk_msg *m, size_t len)
{
	unsigned char bytes[sizeof(struct vhk_msg_hdr) + VHK_MSG_PAYLOAD_MAX];

	memcpy(bytes, &m->hdr, sizeof(m->hdr));
	memcpy(bytes + sizeof(m->hdr), m->bytes, m->hdr.size);
	t_send_bytes(sock, bytes, vhk_min(len, sizeof(m->hdr) + m->hdr.size), m->fd, m->n_fds);
}

/* True while it makes sense to go on. */
static bool play_harmed(int sock, const struct script *s, unsigned int i, enum harm h, int other)
{
	struct vhk_msg m = s->m[i];
	unsigned int k;

	switch (h) {
	case CUT_ALL:
		m.hdr.size = 0;
		break;
	case CUT_ONE:
		m.hdr.size -= m.hdr.size > 0;
		break;
	case LONGER:
		m.hdr.size = vhk_min(m.hdr.size + 8, VHK_MSG_PAYLOAD_MAX);
		break;
	case NO_FDS:
		m.n_fds = 0;
		break;
	case MORE_FDS:
		m.fd[m.n_fds++] = other;
		break;
	case OTHER_FDS:
		for (k = 0; k < m.n_fds; k++)
			m.fd[k] = other;
		break;
	case TWICE:
		play_bytes(sock, &m, SIZE_MAX);
		break;
	case LEFT_OUT:
		return true;
	case LATER:
		if (i + 1 < s->n)
			play_bytes(sock, &s->m[i + 1], SIZE_MAX);
		break;
	case FLAGS:
		m.hdr.flags ^= 0xf0;
		break;
	case FIRST_BYTE:
		m.bytes[0] ^= 0xff;
		break;
	case LAST_BYTE:
		m.bytes[m.hdr.size ? m.hdr.size - 1 : 0] ^= 0xff;
		break;
	case ALL_ONES:
		memset(m.bytes, 0xff, m.hdr.size);
		break;
	case ZEROS:
		memset(m.bytes, 0, m.hdr.size);
		break;
	case AS_REPLY:
		m.hdr.flags |= VHK_MSG_REPLY;
		break;
	case HANG_UP:
		return false;
	case HALF:
		play_bytes(sock, &m, sizeof(m.hdr) + m.hdr.size / 2);
		return false;
	case HARMS:
		break;
	}
	play_bytes(sock, &m, SIZE_MAX);
	return true;
}

/* Answers to READY and COMMIT, until the taker has none: whether it took the session. */
static bool took_it(int sock)
{
	struct vhk_msg m;
	bool took = false;

	while (t_wait_readable(&u, sock)) {
		if (!t_recv_from(&u, sock, &m))
			break;
		if (m.hdr.request == VHK_OVER_COMMIT && !m.u64)
			took = true;
		vhk_msg_fini(&m);
		if (took)
			break;
	}
	return took;
}

static unsigned int n_taken, n_refused;

static void play(const struct script *s, unsigned int at, enum harm h, int listener, int other)
{
	bool goes_on = true, took;
	unsigned int i;
	int sock;

	T_MUST(!begin_heir(over));
	sock = vhk_sock_accept(listener);
	T_MUST(sock >= 0);
	fcntl(sock, F_SETFL, 0);
	for (i = 0; i < s->n && goes_on; i++) {
		if (i == at)
			goes_on = play_harmed(sock, s, i, h, other);
		else if (h != LATER || i != at + 1)
			play_bytes(sock, &s->m[i], SIZE_MAX);
	}
	/* nothing more comes: it ends here, or has the session */
	shutdown(sock, SHUT_WR);
	took = took_it(sock);
	T_UNTIL(&u, heir.n_done);
	T_EQ(heir.n_done, 1);
	T_EQ(!heir.ret, took);
	T_EQ(heir.n_up, took);
	if (took)
		n_taken++;
	else
		n_refused++;
	close(sock);
	close_heir();
}

/* Every message, harmed in every way: it is refused, or means nothing, and no fd is left. */
static void old_processes_that_talk_nonsense(void)
{
	struct script s;
	struct extras x;
	unsigned int i, fds;
	int listener, other, h;

	open_old(T_PACKED);
	add_extras(&x);
	record(&s);
	vhk_backend_close(u.be);
	u.be = NULL;
	listener = vhk_sock_listen(over);
	other = memfd_create("other", MFD_CLOEXEC);
	T_MUST(listener >= 0 && other >= 0);
	fds = (unsigned int)t_count_fds();
	/* as it is, it is accepted */
	play(&s, s.n, HARMS, listener, other);
	T_EQ(n_taken, 1);
	for (i = 0; i < s.n && !t_bad; i++)
		for (h = 0; h < HARMS && !t_bad; h++) {
			play(&s, i, (enum harm)h, listener, other);
			if (t_bad)
				printf("# message %u (0x%x), harm %d\n", i, s.m[i].hdr.request, h);
			T_EQ(t_count_fds(), fds);
		}
	printf("# %u messages, harmed %u times: %u refused\n", s.n, n_taken + n_refused - 1,
	       n_refused);
	T_OK(n_refused > (n_taken + n_refused) / 2);
	script_fini(&s);
	close(listener);
	unlink(over);
	close(other);
	close_extras(&x);
	close_old();
}

static void what_cannot_be_opened(void)
{
	struct vhk_backend_opts o;
	char path[128];
	int fds;

	t_user_init(&u, VHK_LOOP_AUTO);
	fds = t_count_fds();
	snprintf(path, sizeof(path), "%s/front", t_dir());
	snprintf(over, sizeof(over), "%s/nobody", t_dir());
	o = t_user_opts(&u);
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, path, &o));
	T_EQ(vhk_backend_hand_over(u.be, over, on_given, NULL), -EOPNOTSUPP);
	vhk_backend_close(u.be);
	o.flags = VHK_BACKEND_F_HAND_OVER;
	T_MUST(!vhk_backend_listen(&u.be, u.loop, u.echo.dev, path, &o));
	T_OK(vhk_backend_hand_over(u.be, "/nowhere/at/all", on_given, NULL) < 0);
	T_EQ(vhk_backend_hand_over(u.be, path, on_given, NULL), -EADDRINUSE);
	T_EQ(begin_heir(over), -ENOENT);
	vhk_device_free(heir.echo.dev);
	T_OK(begin_heir("") < 0);
	vhk_device_free(heir.echo.dev);
	vhk_backend_close(u.be);
	u.be = NULL;
	T_EQ(t_count_fds(), fds);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN_ON_BOTH(split_ring_goes_on);
	T_RUN_ON_BOTH(packed_ring_goes_on);
	T_RUN(after_every_step);
	T_RUN(nothing_is_lost_meanwhile);
	T_RUN(waits_for_whole_messages);
	T_RUN(what_else_goes_along);
	T_RUN(other_configuration_is_told);
	T_RUN(notifications_as_messages);
	T_RUN(behind_an_iommu);
	T_RUN(a_successor_that_falls_silent);
	T_RUN(successors_that_hang_up);
	T_RUN(a_successor_that_dies_with_it);
	T_RUN(successors_that_talk_nonsense);
	T_RUN(front_ends_that_hang_up);
	T_RUN(closed_in_the_middle);
	T_RUN(old_processes_that_talk_nonsense);
	T_RUN(what_cannot_be_opened);
	return t_end();
}
