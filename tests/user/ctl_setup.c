// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Setting up, starting, stopping and reconnecting: what is sent, in which order, in how many round
 * trips, with back ends that offer everything, little, or nothing. Driven without blocking, by the
 * front end's one fd.
 */
#include <pthread.h>
#include <sys/un.h>

#include <vhostkit/ctl.h>

#include "t_peer.h"

#define EVERYTHING                                                                                 \
	(VHK_PF_MQ | VHK_PF_REPLY_ACK | VHK_PF_BACKEND_REQ | VHK_PF_CONFIG |                       \
	 VHK_PF_INFLIGHT_SHMFD | VHK_PF_RESET_DEVICE | VHK_PF_CONFIGURE_MEM_SLOTS |               \
	 VHK_PF_STATUS | VHK_PF_RARP | VHK_PF_PAGEFAULT)
#define FEATURES (VHK_F_VERSION_1 | VHK_F_EVENT_IDX | VHK_F_PROTOCOL_FEATURES)
#define N_MAX 64
#define SEEN_MAX 2048

static struct t_back {
	int sock;
	uint64_t features, protocol;
	int inflight;
	unsigned int seen[SEEN_MAX], n_seen;
	unsigned int refuse;	/* a message that is refused */
	uint32_t base[N_MAX];	/* of SET_VRING_BASE */
	int call[N_MAX], kick[N_MAX];
	uint64_t protocol_set;
	int inflight_set;
} back;

static bool finished;
static int result;

static void done(void *arg, int ret)
{
	(void)arg;
	finished = true;
	result = ret;
}

static void keep_fd(int *slot, struct t_peer_msg *m)
{
	if (*slot >= 0)
		close(*slot);
	*slot = m->n_fds ? m->fd[0] : -1;
	m->n_fds = 0;
}

static void look(struct t_peer_msg *m)
{
	unsigned int idx = m->u32[0] & 0xff;

	if (back.n_seen < SEEN_MAX)
		back.seen[back.n_seen++] = m->request;
	if (m->request == VHK_CTL_SET_VRING_BASE)
		back.base[idx] = m->u32[1];
	if (m->request == VHK_CTL_SET_VRING_CALL)
		keep_fd(&back.call[idx], m);
	if (m->request == VHK_CTL_SET_VRING_KICK)
		keep_fd(&back.kick[idx], m);
	if (m->request == VHK_CTL_SET_INFLIGHT_FD)
		keep_fd(&back.inflight_set, m);
	if (m->request == VHK_CTL_SET_PROTOCOL_FEATURES)
		back.protocol_set = m->u64;
}

/* Reads everything, then answers everything: one round trip. False: nothing came. */
static bool round_trip(struct vhk_ctl *c)
{
	static struct t_peer_msg m[256];
	unsigned int i, n = 0;

	while (n < 256 && t_peer_recv(back.sock, &m[n])) {
		look(&m[n]);
		t_peer_close_fds(&m[n++]);
	}
	for (i = 0; i < n; i++) {
		if (m[i].request == back.refuse)
			t_peer_reply_u64(back.sock, m[i].request, 1);
		else
			t_peer_answer(back.sock, &m[i], back.features, back.protocol,
				      back.inflight);
	}
	vhk_ctl_process(c);
	return n;
}

static unsigned int run(struct vhk_ctl *c)
{
	unsigned int trips = 0;

	while (!finished) {
		T_MUST(round_trip(c) || finished);
		trips++;
	}
	finished = false;
	return trips;
}

static void back_reset(uint64_t features, uint64_t protocol)
{
	unsigned int i;

	memset(&back, 0, sizeof(back));
	back.features = features;
	back.protocol = protocol;
	back.inflight = 1;
	back.inflight_set = -1;
	for (i = 0; i < N_MAX; i++)
		back.call[i] = back.kick[i] = -1;
}

static void back_end(void)
{
	unsigned int i;

	for (i = 0; i < N_MAX; i++) {
		if (back.call[i] >= 0)
			close(back.call[i]);
		if (back.kick[i] >= 0)
			close(back.kick[i]);
	}
	if (back.inflight_set >= 0)
		close(back.inflight_set);
	close(back.sock);
}

static unsigned int count_seen(unsigned int request)
{
	unsigned int i, n = 0;

	for (i = 0; i < back.n_seen; i++)
		n += back.seen[i] == request;
	return n;
}

static void check_seen(const unsigned char *want, size_t n)
{
	size_t i;

	T_EQ(back.n_seen, n);
	for (i = 0; i < n && i < back.n_seen; i++) {
		if (back.seen[i] != want[i])
			printf("# message %zu\n", i);
		T_EQ(back.seen[i], want[i]);
	}
}

static struct vhk_vq *new_vq(struct vhk_mem *mem, unsigned int i)
{
	struct vhk_vq_opts o = { .sz = sizeof(o),
				 .size = 16,
				 .features = back.features,
				 .gpa = { 0x10000000 + i * 0x100000ull } };
	struct vhk_vq *q;

	T_MUST(!vhk_vq_new(&q, mem, &o));
	return q;
}

static struct vhk_mem *new_mem(unsigned int n)
{
	struct vhk_mem *mem;
	unsigned int i;
	void *va;

	T_MUST(!vhk_mem_new(&mem));
	for (i = 0; i < n; i++)
		T_MUST(!vhk_mem_alloc(mem, (struct vhk_gpa){ i * 0x2000ull }, 0x1000, &va));
	return mem;
}

static void order_with_everything(void)
{
	static const unsigned char setup[] = { 1, 15, 16, 17, 36, 21, 3, 39, 2, 39, 40, 37 };
	static const unsigned char start[] = { 37, 31, 32, 8, 10, 9, 13, 14, 12, 18, 39 };
	struct vhk_mem *mem = new_mem(1);
	struct vhk_ctl *c;
	struct vhk_vq *q;

	back_reset(FEATURES, EVERYTHING);
	back.sock = t_peer_open(&c, NULL);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, VHK_F_VERSION_1, mem, done, NULL), 0);
	T_EQ(run(c), 4);
	T_EQ(result, 0);
	check_seen(setup, sizeof(setup));
	T_EQ(vhk_ctl_features(c), FEATURES);
	T_EQ(back.protocol_set, EVERYTHING & ~(VHK_PF_RARP | VHK_PF_PAGEFAULT));
	T_EQ(vhk_ctl_protocol_features(c), back.protocol_set);
	T_EQ(vhk_ctl_n_queues(c), 64);

	back.n_seen = 0;
	q = new_vq(mem, 0);
	T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), 0);
	T_EQ(vhk_ctl_start_async(c, 1, &q, 1, done, NULL), -EBUSY);
	T_EQ(run(c), 2);
	T_EQ(result, 0);
	check_seen(start, sizeof(start));
	T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), -EBUSY);
	T_OK(vhk_ctl_kick(c, 0) == 0 && t_readable(back.kick[0], 0));

	T_EQ(vhk_ctl_stop_async(c, 0, 1, done, NULL), 0);
	T_EQ(run(c), 1);
	T_EQ(result, 0);
	T_EQ(vhk_ctl_kick(c, 0), -EBUSY);
	T_EQ(vhk_ctl_stop_async(c, 0, 1, done, NULL), -EBUSY);
	vhk_ctl_close(c);
	back_end();
	vhk_vq_free(q);
	vhk_mem_free(mem);
}

/* A back end from before protocol features: no acks, so a question ends each step. */
static void order_with_nothing(void)
{
	static const unsigned char want[] = { 1, 3, 2, 1, 5, 1, 5, 8, 10, 9, 13, 14, 12, 1 };
	struct vhk_mem *mem = new_mem(1);
	struct vhk_ctl *c;
	struct vhk_vq *q;

	back_reset(VHK_F_VERSION_1, 0);
	back.sock = t_peer_open(&c, NULL);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	run(c);
	T_EQ(result, 0);
	q = new_vq(mem, 0);
	T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), 0);
	run(c);
	T_EQ(result, 0);
	check_seen(want, sizeof(want));
	T_EQ(vhk_ctl_features(c), VHK_F_VERSION_1);
	vhk_ctl_close(c);
	back_end();
	vhk_vq_free(q);
	vhk_mem_free(mem);
}

static void many_queues_few_round_trips(void)
{
	struct vhk_mem *mem = new_mem(1);
	struct vhk_vq *q[N_MAX];
	unsigned int i, trips;
	struct vhk_ctl *c;

	back_reset(FEATURES, EVERYTHING);
	back.sock = t_peer_open(&c, NULL);
	for (i = 0; i < N_MAX; i++)
		q[i] = new_vq(mem, i);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	trips = run(c);
	T_EQ(vhk_ctl_start_async(c, 0, q, N_MAX, done, NULL), 0);
	trips += run(c);
	T_EQ(result, 0);
	T_EQ(count_seen(VHK_CTL_SET_VRING_ENABLE), N_MAX);
	T_EQ(count_seen(VHK_CTL_ADD_MEM_REG), N_MAX + 1);

	printf("# %u round trips\n", trips);
	T_OK(trips <= 8);
	vhk_ctl_close(c);
	back_end();
	for (i = 0; i < N_MAX; i++)
		vhk_vq_free(q[i]);
	vhk_mem_free(mem);
}

static void all_slots(void)
{
	struct vhk_mem *mem = new_mem(509);
	struct vhk_region r;
	struct vhk_ctl *c;
	struct vhk_vq *q;
	int fd;

	back_reset(FEATURES, EVERYTHING);
	back.sock = t_peer_open(&c, NULL);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	run(c);
	T_EQ(result, 0);
	T_EQ(count_seen(VHK_CTL_ADD_MEM_REG), 509);
	/* Only what changed is told. */
	T_MUST(!vhk_mem_get(mem, 300, &r, &fd));
	T_MUST(!vhk_mem_del(mem, &r));
	q = new_vq(mem, 0);
	back.n_seen = 0;
	T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), 0);
	run(c);
	T_EQ(result, 0);
	T_EQ(count_seen(VHK_CTL_REM_MEM_REG), 1);
	T_EQ(count_seen(VHK_CTL_ADD_MEM_REG), 1);
	vhk_ctl_close(c);
	back_end();
	vhk_vq_free(q);
	vhk_mem_free(mem);
}

static void too_many_regions(void)
{
	struct vhk_mem *mem = new_mem(9);
	struct vhk_ctl *c;

	/* vhost-user, "Multiple Memory regions description": up to eight */
	back_reset(FEATURES, EVERYTHING & ~VHK_PF_CONFIGURE_MEM_SLOTS);
	back.sock = t_peer_open(&c, NULL);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	run(c);
	T_EQ(result, -EMSGSIZE);
	vhk_ctl_close(c);
	back_end();
	vhk_mem_free(mem);
}

static void missing_feature(void)
{
	struct vhk_mem *mem = new_mem(1);
	struct vhk_ctl *c;
	struct vhk_vq *q = new_vq(mem, 0);

	back_reset(FEATURES, EVERYTHING);
	back.sock = t_peer_open(&c, NULL);
	/* without memory nothing is asked */
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, NULL, done, NULL), -EINVAL);
	T_EQ(vhk_ctl_setup(c, ~0ull, 0, NULL), -EINVAL);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, VHK_F_RING_PACKED, mem, done, NULL), 0);
	run(c);
	T_EQ(result, -EOPNOTSUPP);
	T_EQ(back.n_seen, 1);
	T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), -EBUSY);
	vhk_ctl_close(c);
	back_end();
	vhk_vq_free(q);
	vhk_mem_free(mem);
}

/*
 * Each refusal ends the job with its own code; nothing hangs, and a ring that may run is taken
 * back.
 */
static void refused_steps(void)
{
	static const unsigned char at[] = { 2, 3, 21, 37, 39, 32, 8, 10, 9, 13, 14, 12, 18 };
	int before = t_count_fds(), started;
	struct vhk_mem *mem;
	struct vhk_ctl *c;
	struct vhk_vq *q;
	size_t i;

	for (i = 0; i < sizeof(at); i++) {
		mem = new_mem(1);
		back_reset(FEATURES, EVERYTHING);
		back.sock = t_peer_open(&c, NULL);
		back.refuse = at[i];
		T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
		run(c);
		started = !result;
		q = new_vq(mem, 0);
		if (started) {
			T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), 0);
			run(c);
			round_trip(c);
			T_EQ(count_seen(VHK_CTL_GET_VRING_BASE), at[i] != 37);
		}
		T_EQ(result, -EREMOTEIO);
		vhk_ctl_close(c);
		back_end();
		vhk_vq_free(q);
		vhk_mem_free(mem);
	}
	T_EQ(t_count_fds(), before);
}

static int listen_at(char *uri, size_t len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/s", t_dir());
	snprintf(uri, len, "unix:%s", sun.sun_path);
	unlink(sun.sun_path);
	T_MUST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)) && !listen(fd, 4));
	return fd;
}

static ino_t inode_of(int fd)
{
	char path[64], to[64] = { 0 };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)!readlink(path, to, sizeof(to) - 1);
	return (ino_t)strlen(to);
}

static bool same_eventfd(int ours, int theirs)
{
	uint64_t one = 1, n = 0;

	T_OK(inode_of(ours) == inode_of(theirs));
	return write(theirs, &one, sizeof(one)) == sizeof(one) &&
	       read(ours, &n, sizeof(n)) == sizeof(n) && n == 1;
}

static void reconnect_replays(void)
{
	static const unsigned char want[] = { 1, 15, 16, 17, 36, 21, 3, 39, 2, 39, 40, 37,
					      37, 32, 8, 10, 9, 13, 14, 12, 18, 39 };
	struct vhk_mem *mem = new_mem(1);
	struct vhk_vq_addr a;
	struct vhk_ctl *c;
	struct vhk_vq *q;
	char uri[128];
	struct iovec seg;
	int server, i;

	server = listen_at(uri, sizeof(uri));
	back_reset(FEATURES, EVERYTHING);
	T_MUST(!vhk_ctl_open(&c, uri, NULL));
	back.sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, VHK_F_VERSION_1, mem, done, NULL), 0);
	run(c);
	q = new_vq(mem, 0);
	T_EQ(vhk_ctl_start_async(c, 0, &q, 1, done, NULL), 0);
	run(c);
	T_EQ(result, 0);
	T_EQ(back.base[0], 0);
	/* As if three requests had been answered, and not fetched yet. */
	T_MUST(!vhk_vq_addr(q, &a));
	T_MUST(vhk_mem_find(mem, (struct vhk_gpa){ 0 }, 16, &seg, 1) == 1);
	for (i = 0; i < 5; i++)
		T_MUST(!vhk_vq_add(q, &seg, 1, 0, NULL));
	T_MUST(vhk_vq_publish(q) >= 0);
	((uint16_t *)a.device)[1] = 3;

	close(back.sock);
	back.sock = -1;
	T_MUST(t_readable(vhk_ctl_fd(c), 1000));
	T_EQ(vhk_ctl_fault(c, 0), 0);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	T_EQ(vhk_ctl_fault(c, 0), -ENOTCONN);
	T_EQ(vhk_ctl_wait(c, 0, 0), 0);
	T_EQ(vhk_ctl_reconnect_async(c, done, NULL), 0);
	back.sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	T_MUST(back.sock >= 0);
	back.n_seen = 0;
	run(c);
	T_EQ(result, 0);
	check_seen(want, sizeof(want));
	T_EQ(vhk_ctl_fault(c, 0), 0);
	T_EQ(back.base[0], 3);
	/* The same fds, and one kick. */
	T_OK(same_eventfd(vhk_ctl_call_fd(c, 0), back.call[0]));
	T_OK(t_readable(back.kick[0], 0));
	T_OK(back.inflight_set >= 0);

	/* It comes back with less than it had. */
	shutdown(back.sock, SHUT_RDWR);
	close(back.sock);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	back.protocol &= ~VHK_PF_INFLIGHT_SHMFD;
	T_EQ(vhk_ctl_reconnect_async(c, done, NULL), 0);
	back.sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	run(c);
	T_EQ(result, -EOPNOTSUPP);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	vhk_ctl_close(c);
	back_end();
	close(server);
	vhk_vq_free(q);
	vhk_mem_free(mem);
}

/* It dies in the moment in which a waiting call ends well: the fd tells, and the next call. */
static void death_during_a_call(void)
{
	struct vhk_ctl *c;
	uint64_t v;

	back_reset(FEATURES, EVERYTHING);
	back.sock = t_peer_open(&c, NULL);
	t_peer_reply_u64(back.sock, VHK_CTL_GET_FEATURES, 1);
	T_MUST(!shutdown(back.sock, SHUT_WR));
	T_EQ(vhk_ctl_get_features(c, &v), 0);
	T_OK(t_readable(vhk_ctl_fd(c), 1000));
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	T_OK(!t_readable(vhk_ctl_fd(c), 0));
	vhk_ctl_close(c);
	back_end();
}

/* Nobody there, then somebody: the reconnect goes on trying until its deadline. */
static void reconnect_waits(void)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 100 };
	struct vhk_mem *mem = new_mem(1);
	uint64_t before;
	struct vhk_ctl *c;
	char uri[128];
	int server;

	server = listen_at(uri, sizeof(uri));
	back_reset(FEATURES, EVERYTHING);
	T_MUST(!vhk_ctl_open(&c, uri, &o));
	back.sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	run(c);
	close(server);
	close(back.sock);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);
	before = t_now_ns();
	T_EQ(vhk_ctl_reconnect(c), -ETIMEDOUT);
	T_OK(t_now_ns() - before >= 100000000u);
	T_EQ(vhk_ctl_process(c), -ENOTCONN);

	T_EQ(vhk_ctl_reconnect_async(c, done, NULL), 0);
	T_EQ(vhk_ctl_process(c), 0);
	server = listen_at(uri, sizeof(uri));
	while (!t_readable(server, 0)) {
		T_MUST(t_readable(vhk_ctl_fd(c), 1000));
		T_EQ(vhk_ctl_process(c), 0);
	}
	back.sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	run(c);
	T_EQ(result, 0);
	vhk_ctl_close(c);
	back_end();
	close(server);
	vhk_mem_free(mem);
}

/* The socket of a server that was killed: it accepts, and hangs up. */
static void *hang_up(void *arg)
{
	const int *server = arg;
	struct pollfd p = { .fd = server[0], .events = POLLIN };
	intptr_t n = 0;
	int fd;

	while (poll(&p, 1, 5000) == 1 && !(p.revents & POLLHUP)) {
		fd = accept4(server[0], NULL, NULL, SOCK_CLOEXEC);
		n += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return (void *)n;
}

static void reconnect_outlasts_a_dying_server(void)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 150 };
	struct vhk_mem *mem = new_mem(1);
	pthread_t thread;
	struct vhk_ctl *c;
	char uri[128];
	int server = listen_at(uri, sizeof(uri));
	void *n;

	T_MUST(!vhk_ctl_open(&c, uri, &o));
	back_reset(FEATURES, EVERYTHING);
	back.sock = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	run(c);
	T_EQ(result, 0);
	back_end();
	T_MUST(!pthread_create(&thread, NULL, hang_up, &server));
	T_EQ(vhk_ctl_reconnect(c), -ETIMEDOUT);
	T_MUST(!shutdown(server, SHUT_RDWR));
	T_MUST(!pthread_join(thread, &n));
	T_OK((intptr_t)n > 1);
	vhk_ctl_close(c);
	close(server);
	vhk_mem_free(mem);
}

static void listening_front_end(void)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = 50 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct vhk_mem *mem = new_mem(1);
	struct vhk_ctl *c;
	char uri[128];
	int i;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/l", t_dir());
	snprintf(uri, sizeof(uri), "listen:%s", sun.sun_path);
	T_EQ(vhk_ctl_open(&c, uri, &o), -ETIMEDOUT);
	T_EQ(access(sun.sun_path, F_OK), -1);
	o.flags = VHK_CTL_F_NONBLOCK;
	o.timeout_ms = 2000;
	T_MUST(!vhk_ctl_open(&c, uri, &o));
	back_reset(FEATURES, EVERYTHING);
	T_EQ(vhk_ctl_setup_async(c, ~0ull, 0, mem, done, NULL), 0);
	for (i = 0; i < 2; i++) {
		back.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		T_MUST(!connect(back.sock, (struct sockaddr *)&sun, sizeof(sun)));
		T_EQ(vhk_ctl_process(c), 0);
		run(c);
		T_EQ(result, 0);
		close(back.sock);
		T_EQ(vhk_ctl_process(c), -ENOTCONN);
		if (!i)
			T_EQ(vhk_ctl_reconnect_async(c, done, NULL), 0);
	}
	vhk_ctl_close(c);
	T_EQ(access(sun.sun_path, F_OK), -1);
	vhk_mem_free(mem);
}

int main(void)
{
	T_RUN(order_with_everything);
	T_RUN(order_with_nothing);
	T_RUN(many_queues_few_round_trips);
	T_RUN(all_slots);
	T_RUN(too_many_regions);
	T_RUN(missing_feature);
	T_RUN(refused_steps);
	T_RUN(reconnect_replays);
	T_RUN(death_during_a_call);
	T_RUN(reconnect_waits);
	T_RUN(reconnect_outlasts_a_dying_server);
	T_RUN(listening_front_end);
	return t_end();
}
