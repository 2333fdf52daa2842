/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * For tests of a vhost-user back end: a raw front end that sends whatever bytes and fds a test
 * wants, a device that gives every chain back, and both ends in one thread, the back end's loop
 * being stepped while the front end waits.
 */
#ifndef VHK_TESTS_T_USER_H
#define VHK_TESTS_T_USER_H

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <vhostkit/backend.h>
#include <vhostkit/vq.h>

#include "base.h"
#include "proto.h"
#include "t.h"

#define T_DEADLINE_MS 10000
#ifndef T_QUEUES
#define T_QUEUES 2
#endif
#ifndef T_QUEUE_SIZE
#define T_QUEUE_SIZE 256
#endif
#define T_CONFIG_SIZE 60
#define T_FEATURES                                                                                 \
	(VHK_F_RING_ALL | VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL | VHK_F_ACCESS_PLATFORM)
/* As acknowledged by most tests: split, without EVENT_IDX. */
#define T_SPLIT (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES)
#define T_PACKED (T_SPLIT | VHK_F_RING_PACKED)

/* The device: answers at once, or holds what it gets until t_echo_release(). */
struct t_echo {
	struct vhk_device *dev;
	bool hold;
	unsigned int n_held;
	struct vhk_queue *queue[4 * T_QUEUE_SIZE];
	struct vhk_chain *held[4 * T_QUEUE_SIZE];
	struct vhk_queue *last; /* that had work */
	unsigned int n_work, n_reset, n_free, n_begin, n_end, n_end_logged;
	uint64_t features, refused_features;
	unsigned char config[T_CONFIG_SIZE];
};

static inline void t_echo_work(void *priv, struct vhk_queue *q, struct vhk_chain **c,
			       unsigned int n)
{
	struct t_echo *e = priv;
	unsigned int i;

	__atomic_store_n(&e->last, q, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++) {
		__atomic_add_fetch(&e->n_work, 1, __ATOMIC_RELAXED);
		if (!e->hold) {
			vhk_queue_done(q, c[i], c[i]->in_len);
			continue;
		}
		e->queue[e->n_held] = q;
		e->held[e->n_held++] = c[i];
	}
}

static inline void t_echo_release(struct t_echo *e)
{
	unsigned int i, n = e->n_held;

	e->hold = false;
	e->n_held = 0;
	for (i = 0; i < n; i++)
		vhk_queue_done(e->queue[i], e->held[i], e->held[i]->in_len);
}

static inline int t_echo_set_features(void *priv, uint64_t features)
{
	struct t_echo *e = priv;

	if (features & e->refused_features)
		return -EINVAL;
	e->features = features;
	return 0;
}

static inline int t_echo_get_config(void *priv, uint32_t off, void *buf, uint32_t len)
{
	memcpy(buf, ((struct t_echo *)priv)->config + off, len);
	return 0;
}

/* Byte 0 may be written. */
static inline int t_echo_set_config(void *priv, uint32_t off, const void *buf, uint32_t len)
{
	if (off || len != 1)
		return -EINVAL;
	memcpy(((struct t_echo *)priv)->config, buf, 1);
	return 0;
}

static inline void t_echo_reset(void *priv)
{
	((struct t_echo *)priv)->n_reset++;
}

static inline int t_echo_begin(void *priv)
{
	((struct t_echo *)priv)->n_begin++;
	return 0;
}

static inline void t_echo_end(void *priv, bool logged)
{
	struct t_echo *e = priv;

	e->n_end++;
	e->n_end_logged += logged;
}

static inline void t_echo_free(void *priv)
{
	((struct t_echo *)priv)->n_free++;
}

static inline void t_echo_init_offer(struct t_echo *e, uint64_t features)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.set_features = t_echo_set_features,
		.get_config = t_echo_get_config,
		.set_config = t_echo_set_config,
		.work = t_echo_work,
		.reset = t_echo_reset,
		.free = t_echo_free,
		.begin = t_echo_begin,
		.end = t_echo_end,
	};
	const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 2,
		.features = features,
		.n_queues = T_QUEUES,
		.queue_size = T_QUEUE_SIZE,
		.config_size = T_CONFIG_SIZE,
	};
	unsigned int i;

	memset(e, 0, sizeof(*e));
	for (i = 0; i < T_CONFIG_SIZE; i++)
		e->config[i] = (unsigned char)(i + 1);
	T_MUST(!vhk_device_new(&e->dev, &info, &ops, e));
}

static inline void t_echo_init(struct t_echo *e)
{
	t_echo_init_offer(e, VHK_F_RING_ALL);
}

/* Lines that the back end logged; the last one is kept. */
struct t_log {
	unsigned int n[VHK_LOG_DEBUG + 1];
	char last[256];
};

static inline void t_log_line(void *arg, enum vhk_log_level level, const char *text)
{
	struct t_log *l = arg;

	l->n[level]++;
	if (level <= VHK_LOG_WARN)
		snprintf(l->last, sizeof(l->last), "%s", text);
	if (getenv("T_VERBOSE"))
		printf("# %s\n", text);
}

struct t_user {
	struct vhk_loop *loop; /* NULL: runs in a thread of its own */
	struct vhk_loop *queue_loop; /* of the device, stepped as well; NULL: there is none */
	struct t_echo echo;
	struct vhk_backend *be;
	struct t_log log;
	unsigned int n_up, n_down;
	int fd; /* the front end's end */
	struct vhk_mem *mem;
	unsigned char *buf;
};

static inline void t_user_session(void *arg, bool up)
{
	struct t_user *u = arg;

	__atomic_add_fetch(up ? &u->n_up : &u->n_down, 1, __ATOMIC_RELEASE);
}

static inline struct vhk_backend_opts t_user_opts(struct t_user *u)
{
	return (struct vhk_backend_opts){
		.sz = sizeof(struct vhk_backend_opts),
		.log = { t_log_line, &u->log, VHK_LOG_DEBUG },
		.on_session = t_user_session,
		.arg = u,
	};
}

/* One step of the back end, if it is stepped here. */
static inline void t_step(struct t_user *u)
{
	if (u->queue_loop)
		T_MUST(vhk_loop_step(u->queue_loop, 0) >= 0);
	if (u->loop)
		T_MUST(vhk_loop_step(u->loop, u->queue_loop ? 0 : 1000000) >= 0);
	else
		poll(NULL, 0, 1);
}

/* Steps the loop until @cond holds or the deadline passes. */
#define T_UNTIL(u, cond)                                                                           \
	do {                                                                                       \
		uint64_t t_end_ns = t_now_ns() + T_DEADLINE_MS * 1000000ull;                       \
		while (!(cond) && t_now_ns() < t_end_ns)                                           \
			t_step(u);                                                                 \
		T_OK(cond);                                                                        \
	} while (0)

static inline bool t_wait_readable(struct t_user *u, int fd)
{
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;

	while (!t_readable(fd, 0) && t_now_ns() < end)
		t_step(u);
	return t_readable(fd, 0);
}

/* Lets the back end do whatever it has to do. */
static inline void t_settle(struct t_user *u)
{
	int i;

	for (i = 0; i < 8 && u->loop; i++) {
		if (u->queue_loop)
			vhk_loop_step(u->queue_loop, 0);
		vhk_loop_step(u->loop, 0);
	}
}

static inline void t_send_bytes(int sock, const void *bytes, size_t len, const int *fd,
				unsigned int n_fds)
{
	union {
		char bytes[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { (void *)bytes, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	T_MUST(n_fds <= 64);
	if (n_fds) {
		memset(&control, 0, sizeof(control));
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fd, n_fds * sizeof(int));
	}
	T_MUST(sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)len);
}

/* A whole message; @size is what the header says and what is sent. */
static inline void t_send(struct t_user *u, uint32_t request, uint32_t flags, const void *payload,
			  uint32_t size, const int *fd, unsigned int n_fds)
{
	unsigned char bytes[sizeof(struct vhk_msg_hdr) + VHK_MSG_PAYLOAD_MAX];
	struct vhk_msg_hdr h = { request, flags | VHK_MSG_VERSION, size };

	memcpy(bytes, &h, sizeof(h));
	if (size)
		memcpy(bytes + sizeof(h), payload, size);
	t_send_bytes(u->fd, bytes, sizeof(h) + size, fd, n_fds);
}

/* The next message from @fd into @m; false when the peer closed or stays silent. */
static inline bool t_recv_from(struct t_user *u, int sock, struct vhk_msg *m)
{
	union {
		char bytes[CMSG_SPACE(VHK_MSG_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &m->hdr, sizeof(m->hdr) };
	struct msghdr h = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	memset(m, 0, sizeof(*m));
	if (!t_wait_readable(u, sock))
		return false;
	if (recvmsg(sock, &h, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(m->hdr))
		return false;
	c = CMSG_FIRSTHDR(&h);
	if (c) {
		m->n_fds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(m->fd, CMSG_DATA(c), m->n_fds * sizeof(int));
	}
	T_MUST(m->hdr.size <= VHK_MSG_PAYLOAD_MAX);
	return !m->hdr.size ||
	       recv(sock, m->bytes, m->hdr.size, MSG_WAITALL) == (ssize_t)m->hdr.size;
}

static inline bool t_recv(struct t_user *u, struct vhk_msg *m)
{
	return t_recv_from(u, u->fd, m);
}

/* True when the back end has closed the connection. */
static inline bool t_closed(struct t_user *u, int fd)
{
	char c;

	return t_wait_readable(u, fd) && recv(fd, &c, 1, MSG_DONTWAIT) <= 0;
}

#define T_NO_ANSWER UINT64_MAX

/* The u64 that answers a request with NEED_REPLY, T_NO_ANSWER when none comes. */
static inline uint64_t t_ask_fds(struct t_user *u, uint32_t request, const void *payload,
				 uint32_t size, const int *fd, unsigned int n_fds)
{
	struct vhk_msg m;

	t_send(u, request, VHK_MSG_NEED_REPLY, payload, size, fd, n_fds);
	if (!t_recv(u, &m))
		return T_NO_ANSWER;
	T_EQ(m.hdr.request, request);
	T_EQ(m.hdr.flags, VHK_MSG_VERSION | VHK_MSG_REPLY);
	T_EQ(m.hdr.size, 8);
	T_EQ(m.n_fds, 0);
	return m.u64;
}

static inline uint64_t t_ask(struct t_user *u, uint32_t request, const void *payload, uint32_t size)
{
	return t_ask_fds(u, request, payload, size, NULL, 0);
}

static inline uint64_t t_ask_u64(struct t_user *u, uint32_t request, uint64_t v)
{
	return t_ask(u, request, &v, sizeof(v));
}

static inline uint64_t t_ask_state(struct t_user *u, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhk_user_vring_state v = { index, num };

	return t_ask(u, request, &v, sizeof(v));
}

static inline uint64_t t_ask_vring_fd(struct t_user *u, uint32_t request, uint32_t index, int fd)
{
	uint64_t v = fd < 0 ? index | VHK_USER_VRING_FD_NONE : index;

	return t_ask_fds(u, request, &v, sizeof(v), &fd, fd >= 0);
}

/* A request whose answer is a payload of its own. */
static inline bool t_get(struct t_user *u, uint32_t request, const void *payload, uint32_t size,
			 struct vhk_msg *m)
{
	t_send(u, request, 0, payload, size, NULL, 0);
	if (!t_recv(u, m))
		return false;
	T_EQ(m->hdr.request, request);
	T_EQ(m->hdr.flags, VHK_MSG_VERSION | VHK_MSG_REPLY);
	return true;
}

static inline uint64_t t_get_u64(struct t_user *u, uint32_t request)
{
	struct vhk_msg m;

	if (!t_get(u, request, NULL, 0, &m))
		return T_NO_ANSWER;
	T_EQ(m.hdr.size, 8);
	return m.u64;
}

/* GET_VRING_BASE. */
static inline uint32_t t_stop_ring(struct t_user *u, uint32_t index)
{
	struct vhk_user_vring_state v = { index, 0 };
	struct vhk_msg m;

	T_MUST(t_get(u, VHK_USER_GET_VRING_BASE, &v, sizeof(v), &m));
	T_EQ(m.hdr.size, sizeof(v));
	memcpy(&v, m.bytes, sizeof(v));
	T_EQ(v.index, index);
	return v.num;
}

/* The session answers, whatever came before. */
static inline void t_alive(struct t_user *u)
{
	T_EQ(t_get_u64(u, VHK_USER_GET_FEATURES), T_FEATURES);
}

static inline struct vhk_user_region t_wire_region(const struct vhk_region *r)
{
	return (struct vhk_user_region){ r->gpa.v, r->size, r->uva.v, r->offset };
}

/* All regions of u->mem. */
static inline uint64_t t_ask_mem_table(struct t_user *u)
{
	struct vhk_user_mem_table t = { 0 };
	struct vhk_region r;
	int fd[VHK_USER_TABLE_MAX];

	for (t.n = 0; t.n < vhk_mem_count(u->mem); t.n++) {
		T_MUST(!vhk_mem_get(u->mem, t.n, &r, &fd[t.n]));
		t.region[t.n] = t_wire_region(&r);
	}
	return t_ask_fds(
		u, VHK_USER_SET_MEM_TABLE, &t,
		(uint32_t)(offsetof(struct vhk_user_mem_table, region) + t.n * sizeof(*t.region)),
		fd, t.n);
}

#define T_GPA 0x100000
#define T_BUF_SIZE 0x10000

/* What VHK_LOOP_AUTO is, for a test that runs on both. */
static enum vhk_loop_engine t_engine = VHK_LOOP_AUTO;

#define T_RUN_ON_BOTH(fn)                                                                          \
	do {                                                                                       \
		t_engine = VHK_LOOP_IO_URING;                                                      \
		t_run(#fn "(io_uring)", fn);                                                       \
		t_engine = VHK_LOOP_EPOLL;                                                         \
		t_run(#fn "(epoll)", fn);                                                          \
		t_engine = VHK_LOOP_AUTO;                                                          \
	} while (0)

static inline void t_user_init(struct t_user *u, enum vhk_loop_engine engine)
{
	struct vhk_loop_opts lo = { .sz = sizeof(lo), .engine = engine ? engine : t_engine };

	memset(u, 0, sizeof(*u));
	u->fd = -1;
	T_MUST(!vhk_loop_new(&u->loop, &lo));
	t_echo_init(&u->echo);
	T_MUST(!vhk_mem_new(&u->mem));
	T_MUST(!vhk_mem_alloc(u->mem, (struct vhk_gpa){ T_GPA }, T_BUF_SIZE, (void **)&u->buf));
}

/* A back end on one end of a socket pair, the other end in u->fd. */
static inline void t_user_open(struct t_user *u)
{
	struct vhk_backend_opts o = t_user_opts(u);
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	u->fd = fd[0];
	T_MUST(!vhk_backend_take_fd(&u->be, u->loop, u->echo.dev, fd[1], &o));
}

static inline void t_user_hang_up(struct t_user *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
}

static inline void t_user_fini(struct t_user *u)
{
	t_user_hang_up(u);
	vhk_backend_close(u->be);
	vhk_device_free(u->echo.dev);
	vhk_loop_free(u->loop);
	vhk_mem_free(u->mem);
}

/* Everything before memory and rings, as QEMU does it. */
static inline void t_negotiate(struct t_user *u, uint64_t features)
{
	uint64_t protocol;

	t_alive(u);
	/* but for what changes the meaning of addresses */
	protocol = t_get_u64(u, VHK_USER_GET_PROTOCOL_FEATURES) & ~VHK_USER_PF(GPA_ADDRESSES);
	t_send(u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	T_EQ(t_get_u64(u, VHK_USER_GET_QUEUE_NUM), T_QUEUES);
	T_EQ(t_ask(u, VHK_USER_SET_OWNER, NULL, 0), 0);
	T_EQ(t_ask_u64(u, VHK_USER_SET_FEATURES, features), 0);
}

/* A ring as the driver sees it. */
struct t_ring {
	struct vhk_vq *vq;
	unsigned int idx;
	int kick, call;
	uint64_t features;
};

/* Memory for ring @idx is added to u->mem; the table has yet to be sent. */
static inline void t_ring_init(struct t_user *u, struct t_ring *r, unsigned int idx,
			       uint64_t features)
{
	struct vhk_vq_opts o = {
		.sz = sizeof(o),
		.size = 64,
		.features = features,
		.gpa = { 0x10000000ull * (idx + 1) },
	};

	*r = (struct t_ring){ .idx = idx, .features = features };
	T_MUST(!vhk_vq_new(&r->vq, u->mem, &o));
	r->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	T_MUST(r->kick >= 0 && r->call >= 0);
}

static inline void t_ring_fini(struct t_ring *r)
{
	vhk_vq_free(r->vq);
	close(r->kick);
	close(r->call);
}

static inline struct vhk_user_vring_addr t_ring_wire_addr(const struct t_ring *r)
{
	struct vhk_vq_addr a;

	T_MUST(!vhk_vq_addr(r->vq, &a));
	return (struct vhk_user_vring_addr){
		.index = r->idx,
		.desc = (uintptr_t)a.desc,
		.avail = (uintptr_t)a.driver,
		.used = (uintptr_t)a.device,
	};
}

/* NUM, BASE, ADDR, CALL. */
static inline void t_ring_set_up(struct t_user *u, const struct t_ring *r, uint32_t base)
{
	struct vhk_user_vring_addr addr = t_ring_wire_addr(r);

	T_EQ(t_ask_state(u, VHK_USER_SET_VRING_NUM, r->idx, 64), 0);
	T_EQ(t_ask_state(u, VHK_USER_SET_VRING_BASE, r->idx, base), 0);
	T_EQ(t_ask(u, VHK_USER_SET_VRING_ADDR, &addr, sizeof(addr)), 0);
	T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_CALL, r->idx, r->call), 0);
}

static inline uint32_t t_ring_base(const struct t_ring *r)
{
	struct vhk_vq_addr a;

	T_MUST(!vhk_vq_addr(r->vq, &a));
	return a.base;
}

/* Set up, started and enabled. */
static inline void t_ring_start(struct t_user *u, const struct t_ring *r, int kick)
{
	t_ring_set_up(u, r, t_ring_base(r));
	T_EQ(t_ask_vring_fd(u, VHK_USER_SET_VRING_KICK, r->idx, kick), 0);
	if (r->features & VHK_F_PROTOCOL_FEATURES)
		T_EQ(t_ask_state(u, VHK_USER_SET_VRING_ENABLE, r->idx, 1), 0);
}

/* One request of 16 readable and 32 writable bytes, to be answered with a call; kicks if the device
 * wants it. */
static inline void t_ring_add(struct t_user *u, struct t_ring *r)
{
	struct iovec seg[2] = { { u->buf, 16 }, { u->buf + 4096, 32 } };
	const uint64_t one = 1;

	vhk_vq_arm(r->vq);
	T_MUST(!vhk_vq_add(r->vq, seg, 1, 1, r));
	if (vhk_vq_publish(r->vq))
		T_MUST(write(r->kick, &one, sizeof(one)) == sizeof(one));
}

/* One answered request is there within the deadline. */
static inline bool t_ring_get(struct t_user *u, struct t_ring *r)
{
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	struct vhk_done done;
	int n;

	while (!(n = vhk_vq_get(r->vq, &done, 1)) && t_now_ns() < end)
		t_step(u);
	if (n == 1)
		T_EQ(done.written, 32);
	return n == 1;
}

/* @n requests, one after the other. */
static inline void t_ring_echo(struct t_user *u, struct t_ring *r, unsigned int n)
{
	while (n--) {
		t_ring_add(u, r);
		T_MUST(t_ring_get(u, r));
	}
}

#endif
