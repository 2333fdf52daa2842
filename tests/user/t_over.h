/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Two back ends of one process, of which one hands its session to the other; and a script of what
 * is said meanwhile, for tests that are one of the two themselves.
 */
#ifndef VHK_TESTS_T_OVER_H
#define VHK_TESTS_T_OVER_H

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
	bool ended; /* it logged that a session ended */
	char said[200]; /* the last line of VHK_LOG_INFO */
};

static struct t_user u;
static struct heir heir;
static struct t_ring ring;
static int n_given, given_ret;
static uint32_t over_ms, rest_ms; /* the server's options */
static struct vhk_loop *heir_loop; /* of the heir's queues; NULL: as all else */
static struct vhk_loop *queue_loop; /* of the old server's, where it migrates by postcopy */
static char over[100], front[100];

static inline void on_given(void *arg, int ret, int pid)
{
	(void)arg;
	T_EQ(pid, getpid());
	n_given++;
	given_ret = ret;
}

static inline void on_taken(void *arg, int ret, int pid)
{
	struct heir *h = arg;

	T_EQ(pid, getpid());
	h->n_done++;
	h->ret = ret;
}

static inline void heir_session(void *arg, bool up)
{
	struct heir *h = arg;

	h->n_up += up;
	h->n_down += !up;
}

static inline void heir_line(void *arg, enum vhk_log_level level, const char *text)
{
	struct heir *h = arg;

	if (level == VHK_LOG_INFO)
		snprintf(h->said, sizeof(h->said), "%s", text);
	if (strstr(text, "session ends"))
		h->ended = true;
	t_log_line(&h->log, level, text);
}

static inline int dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_MUST(fd >= 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	T_MUST(!connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

/* A listening socket that somebody else made. */
static inline int bound_socket(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	T_MUST(fd >= 0 && !bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 4));
	return fd;
}

/* A server that may be taken over, with a front end that has said nothing. @d: or NULL, u's own;
 * @flags: VHK_BACKEND_F_*, besides. */
static inline void open_server_of(struct vhk_device *d, uint32_t flags)
{
	struct vhk_backend_opts o;

	snprintf(over, sizeof(over), "%s/over", t_dir());
	snprintf(front, sizeof(front), "%s/front", t_dir());
	n_given = 0;
	t_user_init(&u, VHK_LOOP_AUTO);
	o = t_user_opts(&u);
	o.flags = VHK_BACKEND_F_HAND_OVER | flags;
	o.over_ms = over_ms;
	o.rest_ms = rest_ms;
	/* What waits for memory is not what brings it; it need not run where no ring does. */
	if (flags & VHK_BACKEND_F_POSTCOPY) {
		T_MUST(!vhk_loop_new(&queue_loop, NULL));
		T_MUST(!vhk_device_set_loops(u.echo.dev, &queue_loop, 1));
	}
	T_MUST(!vhk_backend_listen(&u.be, u.loop, d ? d : u.echo.dev, front, &o));
	T_MUST(!vhk_backend_hand_over(u.be, over, on_given, NULL));
	u.fd = dial(front);
}

static inline void open_server(void)
{
	open_server_of(NULL, 0);
}

static inline void begin_ring(uint64_t features)
{
	t_ring_init(&u, &ring, 0, features);
	T_EQ(t_ask_mem_table(&u), 0);
	t_ring_start(&u, &ring, ring.kick);
	t_ring_echo(&u, &ring, 3);
}

/* The same with one whose ring runs. */
static inline void open_old(uint64_t features)
{
	open_server();
	t_negotiate(&u, features);
	begin_ring(features);
}

static inline void close_old(void)
{
	t_ring_fini(&ring);
	t_user_fini(&u);
}

/* @h takes over. @path: where it thinks that front ends come to, or NULL. @features: what its
 * device offers. */
static inline int begin_heir_at(struct heir *h, const char *path, uint64_t features)
{
	struct vhk_backend_opts o = {
		.sz = sizeof(o),
		.log = { heir_line, h, VHK_LOG_DEBUG },
		.on_session = heir_session,
		.arg = h,
		.flags = VHK_BACKEND_F_HAND_OVER,
	};

	memset(h, 0, sizeof(*h));
	t_echo_init_offer(&h->echo, features);
	if (heir_loop)
		T_MUST(!vhk_device_set_loops(h->echo.dev, &heir_loop, 1));
	return vhk_backend_take_over(&h->be, u.loop, h->echo.dev, over, path, &o, on_taken, h);
}

static inline int begin_heir(void)
{
	return begin_heir_at(&heir, front, VHK_F_RING_ALL);
}

static inline void close_heir(void)
{
	vhk_backend_close(heir.be);
	vhk_device_free(heir.echo.dev);
}

static inline void taken_over(void)
{
	T_MUST(!begin_heir());
	T_UNTIL(&u, heir.n_done && n_given);
	T_EQ(heir.ret, 0);
	T_EQ(given_ret, 0);
	T_EQ(heir.n_up, 1);
	T_UNTIL(&u, u.n_down == 1);
}

/* What a session may have besides. */
struct extras {
	int channel, bits, call, err;
	uint8_t *marks;
};

#define LOG_SIZE 0x10000
#define LOG_GPA 0x12345000

static inline void add_log(struct extras *x)
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
static inline void add_extras(struct extras *x)
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

static inline void close_extras(struct extras *x)
{
	close(x->channel);
	close(x->bits);
	close(x->call);
	close(x->err);
	munmap(x->marks, LOG_SIZE);
}

struct script {
	unsigned int n;
	struct vhk_msg m[MESSAGES_MAX];
};

static inline void script_fini(struct script *s)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		vhk_msg_fini(&s->m[i]);
	s->n = 0;
}

static inline void say_u64(int fd, uint32_t request, uint64_t v)
{
	unsigned char bytes[sizeof(struct vhk_msg_hdr) + 8];
	struct vhk_msg_hdr h = { request, VHK_MSG_VERSION | VHK_MSG_REPLY, 8 };

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &v, 8);
	T_MUST(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes));
}

/* All that the old one says up to and with COMMIT, which is refused. */
static inline void record(struct script *s)
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

#endif
