// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A device's own state of some MiB, out of one back end and into another, by messages and by the
 * front end's two functions for it; and every way in which that can end early: a device that fails,
 * a pipe that is closed, a peer that dies or stops, requests that come at the wrong time.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include <vhostkit/ctl.h>

#include "t_user.h"

#define STATE_SIZE (5u << 20)
#define STATE_ODD 17u /* not a multiple of anything */

/* Its state is so many bytes, which depend on a seed; a loaded one counts when its end has come. */
struct stateful {
	struct vhk_device *dev;
	size_t size, loaded;
	unsigned int seed, n_saves, n_loads, n_taken;
	bool wrong;
	int fail_at_end, fail_save; /* -errno */
	uint64_t fail_from;
};

static unsigned char state_byte(unsigned int seed, uint64_t at)
{
	return (unsigned char)(at * 7 + (at >> 8) + seed);
}

static ssize_t state_save(void *priv, uint64_t off, void *buf, size_t len)
{
	struct stateful *d = priv;
	unsigned char *to = buf;
	size_t i, n = vhk_min(len, d->size - (size_t)off);

	if (d->fail_save && off >= d->fail_from)
		return d->fail_save;
	if (!off)
		d->n_saves++;
	for (i = 0; i < n; i++)
		to[i] = state_byte(d->seed, off + i);
	return (ssize_t)n;
}

static int state_load(void *priv, uint64_t off, const void *buf, size_t len)
{
	struct stateful *d = priv;
	const unsigned char *from = buf;
	size_t i;

	if (!off && len) {
		d->n_loads++;
		d->loaded = 0;
		d->wrong = false;
	}
	if (!len) {
		if (d->fail_at_end || d->wrong || d->loaded != d->size)
			return d->fail_at_end ? d->fail_at_end : -EBADMSG;
		d->n_taken++;
		return 0;
	}
	for (i = 0; i < len; i++)
		d->wrong |= from[i] != state_byte(d->seed, off + i);
	d->loaded += len;
	return d->loaded > d->size ? -EMSGSIZE : 0;
}

static void state_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	(void)priv;
	while (n--)
		vhk_queue_done(q, *c++, 0);
}

static void stateful_init(struct stateful *d, size_t size)
{
	static const struct vhk_device_ops ops = {
		.sz = sizeof(ops),
		.work = state_work,
		.save = state_save,
		.load = state_load,
	};
	static const struct vhk_device_info info = {
		.sz = sizeof(info),
		.device_id = 2,
		.features = T_FEATURES & ~(VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL),
		.n_queues = T_QUEUES,
		.queue_size = T_QUEUE_SIZE,
	};

	*d = (struct stateful){ .size = size, .seed = 3 };
	T_MUST(!vhk_device_new(&d->dev, &info, &ops, d));
}

struct side {
	struct t_user u;
	struct stateful d;
};

static void side_init(struct side *s, size_t size)
{
	struct vhk_backend_opts o;
	uint64_t protocol;
	int fd[2];

	t_user_init(&s->u, VHK_LOOP_AUTO);
	stateful_init(&s->d, size);
	o = t_user_opts(&s->u);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	s->u.fd = fd[0];
	T_MUST(!vhk_backend_take_fd(&s->u.be, s->u.loop, s->d.dev, fd[1], &o));
	t_alive(&s->u);
	protocol = t_get_u64(&s->u, VHK_USER_GET_PROTOCOL_FEATURES) & ~VHK_USER_PF(GPA_ADDRESSES);
	T_OK(protocol & VHK_USER_PF(DEVICE_STATE));
	t_send(&s->u, VHK_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
	T_EQ(t_ask(&s->u, VHK_USER_SET_OWNER, NULL, 0), 0);
	T_EQ(t_ask_u64(&s->u, VHK_USER_SET_FEATURES, T_SPLIT), 0);
}

static void side_fini(struct side *s)
{
	t_user_hang_up(&s->u);
	vhk_backend_close(s->u.be);
	s->u.be = NULL;
	vhk_device_free(s->d.dev);
	t_user_fini(&s->u);
}

static uint64_t ask_state(struct t_user *u, uint32_t direction, int fd)
{
	struct vhk_user_state_transfer t = { direction, 0 };

	return t_ask_fds(u, VHK_USER_SET_DEVICE_STATE_FD, &t, sizeof(t), &fd, fd >= 0);
}

static uint64_t check(struct t_user *u)
{
	return t_ask(u, VHK_USER_CHECK_DEVICE_STATE, NULL, 0);
}

/* Everything until the end of the pipe, the back end being stepped. */
static size_t read_all(struct side *s, int fd)
{
	unsigned char buf[10000];
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) && t_now_ns() < end) {
		for (ssize_t i = 0; i < n; i++)
			T_MUST(buf[i] == state_byte(s->d.seed, at + (size_t)i));
		at += n > 0 ? (size_t)n : 0;
		if (n < 0)
			t_step(&s->u);
	}
	T_EQ(n, 0);
	return at;
}

static void write_some(struct side *s, int fd, size_t size)
{
	unsigned char buf[10000];
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;
	size_t at, i, len;
	ssize_t n;

	for (at = 0; at < size && t_now_ns() < end; at += n > 0 ? (size_t)n : 0) {
		len = vhk_min(sizeof(buf), size - at);
		for (i = 0; i < len; i++)
			buf[i] = state_byte(s->d.seed, at + i);
		n = write(fd, buf, len);
		if (n < 0)
			t_step(&s->u);
	}
	T_EQ(at, size);
}

static void make_pipe(int fd[2])
{
	T_MUST(!pipe2(fd, O_CLOEXEC | O_NONBLOCK));
}

static void saves(void)
{
	static const size_t sizes[] = { 0, 1, 65536, STATE_SIZE, STATE_SIZE + STATE_ODD };
	struct side s;
	unsigned int i;
	int fd[2], fds;

	for (i = 0; i < vhk_array_size(sizes); i++) {
		side_init(&s, sizes[i]);
		fds = t_count_fds();
		make_pipe(fd);
		T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), VHK_USER_STATE_NO_FD);
		close(fd[1]);
		/* requests are served meanwhile */
		t_alive(&s.u);
		T_EQ(read_all(&s, fd[0]), sizes[i]);
		close(fd[0]);
		T_EQ(check(&s.u), 0);
		/* once */
		T_OK(check(&s.u) != 0);
		T_EQ(t_count_fds(), fds);
		side_fini(&s);
	}
}

/* One that was asked for before the end has come is that once. */
static void checked_once_while_under_way(void)
{
	struct vhk_msg a;
	struct side s;
	int fd[2];

	side_init(&s, STATE_SIZE);
	make_pipe(fd);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), VHK_USER_STATE_NO_FD);
	close(fd[1]);
	t_send(&s.u, VHK_USER_CHECK_DEVICE_STATE, 0, NULL, 0, NULL, 0);
	T_EQ(read_all(&s, fd[0]), STATE_SIZE);
	close(fd[0]);
	T_MUST(t_recv(&s.u, &a));
	T_EQ(a.u64, 0);
	T_EQ(check(&s.u), ENODATA);
	side_fini(&s);
}

static void loads(void)
{
	static const size_t sizes[] = { 1, 65536, STATE_SIZE, STATE_SIZE + STATE_ODD };
	struct side s;
	unsigned int i;
	int fd[2], fds;

	for (i = 0; i < vhk_array_size(sizes); i++) {
		side_init(&s, sizes[i]);
		fds = t_count_fds();
		make_pipe(fd);
		T_EQ(ask_state(&s.u, VHK_USER_STATE_LOAD, fd[0]), VHK_USER_STATE_NO_FD);
		close(fd[0]);
		write_some(&s, fd[1], sizes[i]);
		T_EQ(s.d.n_taken, 0);
		close(fd[1]);
		/* waits for the end itself */
		T_EQ(check(&s.u), 0);
		T_EQ(s.d.n_taken, 1);
		T_EQ(t_count_fds(), fds);
		side_fini(&s);
	}
}

/* A socket is as good as a pipe. */
static void moves_through_a_socket(void)
{
	struct side s;
	int fd[2];

	side_init(&s, STATE_SIZE);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd));
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), VHK_USER_STATE_NO_FD);
	close(fd[1]);
	T_EQ(read_all(&s, fd[0]), STATE_SIZE);
	close(fd[0]);
	T_EQ(check(&s.u), 0);
	side_fini(&s);
}

/* Sends @fd, which the back end cannot open a second time. */
static uint64_t ask_shared(struct side *s, uint32_t direction, int fd)
{
	const bool root = !geteuid();
	uint64_t ret;

	T_MUST(!fchmod(fd, 0));
	/* root may open everything */
	T_MUST(!root || !seteuid(65534));
	ret = ask_state(&s->u, direction, fd);
	T_MUST(!root || !seteuid(0));
	return ret;
}

/* Kernels learnt it one after the other; without it such a pipe ends the transfer. */
static bool nowait_is_known(int pipe_fd)
{
	char byte;
	const struct iovec iov = { &byte, 1 };

	return preadv2(pipe_fd, &iov, 1, -1, RWF_NOWAIT) >= 0 || errno != EOPNOTSUPP;
}

/* The back end would stop here for good if it relied on a flag that the front end has, too. */
static void a_shared_pipe_that_blocks(void)
{
	const uint64_t no = VHK_USER_STATE_NO_FD;
	struct side s;
	int fd[2], i;
	bool known;

	side_init(&s, STATE_SIZE);
	make_pipe(fd);
	known = nowait_is_known(fd[0]);
	T_EQ(ask_shared(&s, VHK_USER_STATE_SAVE, fd[1]), no);
	T_MUST(!fcntl(fd[1], F_SETFL, 0));
	for (i = 0; i < 10; i++)
		t_alive(&s.u);
	if (!known) {
		T_EQ(check(&s.u), EOPNOTSUPP);
		close(fd[0]);
		close(fd[1]);
		side_fini(&s);
		return;
	}
	close(fd[1]);
	T_EQ(read_all(&s, fd[0]), STATE_SIZE);
	T_EQ(check(&s.u), 0);
	close(fd[0]);
	make_pipe(fd);
	T_EQ(ask_shared(&s, VHK_USER_STATE_LOAD, fd[0]), no);
	T_MUST(!fcntl(fd[0], F_SETFL, 0));
	close(fd[0]);
	for (i = 0; i < 10; i++)
		t_alive(&s.u);
	write_some(&s, fd[1], STATE_SIZE);
	for (i = 0; i < 10; i++)
		t_alive(&s.u);
	close(fd[1]);
	T_EQ(check(&s.u), 0);
	side_fini(&s);
}

static void the_device_fails(void)
{
	struct side s;
	int fd[2];

	side_init(&s, STATE_SIZE);
	/* at once, in the middle, at the end */
	s.d.fail_save = -EIO;
	make_pipe(fd);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), VHK_USER_STATE_NO_FD);
	close(fd[1]);
	T_EQ(read_all(&s, fd[0]), 0);
	close(fd[0]);
	T_EQ(check(&s.u), EIO);
	s.d.fail_from = 1 << 20;
	make_pipe(fd);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), VHK_USER_STATE_NO_FD);
	close(fd[1]);
	T_EQ(read_all(&s, fd[0]), 1 << 20);
	close(fd[0]);
	T_EQ(check(&s.u), EIO);
	s.d.fail_at_end = -EILSEQ;
	make_pipe(fd);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_LOAD, fd[0]), VHK_USER_STATE_NO_FD);
	close(fd[0]);
	write_some(&s, fd[1], STATE_SIZE);
	close(fd[1]);
	T_EQ(check(&s.u), EILSEQ);
	T_EQ(s.d.n_taken, 0);
	t_alive(&s.u);
	side_fini(&s);
}

/* Half a state, a state too long, none. */
static void a_stream_that_is_no_state(void)
{
	static const size_t sizes[] = { 0, 1, STATE_SIZE / 2, STATE_SIZE - 1, STATE_SIZE + 100000 };
	struct side s;
	unsigned int i;
	int fd[2];

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < vhk_array_size(sizes); i++) {
		side_init(&s, STATE_SIZE);
		make_pipe(fd);
		T_EQ(ask_state(&s.u, VHK_USER_STATE_LOAD, fd[0]), VHK_USER_STATE_NO_FD);
		close(fd[0]);
		if (sizes[i] <= STATE_SIZE)
			write_some(&s, fd[1], sizes[i]);
		else
			write_some(&s, fd[1], STATE_SIZE + 1);
		close(fd[1]);
		T_OK(check(&s.u) != 0);
		T_EQ(s.d.n_taken, 0);
		t_alive(&s.u);
		side_fini(&s);
	}
	signal(SIGPIPE, SIG_DFL);
}

/* The reader goes away: no SIGPIPE, an error. */
static void the_reader_goes_away(void)
{
	struct side s;
	int fd[2];

	side_init(&s, STATE_SIZE);
	make_pipe(fd);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), VHK_USER_STATE_NO_FD);
	close(fd[1]);
	t_step(&s.u);
	close(fd[0]);
	T_EQ(check(&s.u), EPIPE);
	t_alive(&s.u);
	side_fini(&s);
}

static void refused(void)
{
	struct vhk_user_state_transfer t = { VHK_USER_STATE_SAVE, 0 };
	struct side s;
	struct t_ring r;
	int fd[2], file = memfd_create("x", MFD_CLOEXEC), fds;
	uint64_t no = VHK_USER_STATE_NO_FD;

	side_init(&s, STATE_SIZE);
	make_pipe(fd);
	fds = t_count_fds();
	T_OK(check(&s.u) != 0);
	/* the wrong end, not a pipe, our own connection, nothing */
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[0]), no | EINVAL);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_LOAD, fd[1]), no | EINVAL);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, file), no | EINVAL);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, s.u.fd), no | EINVAL);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, -1), no | EPROTO);
	T_EQ(ask_state(&s.u, 2, fd[1]), no | EINVAL);
	t.phase = 1;
	T_EQ(t_ask_fds(&s.u, VHK_USER_SET_DEVICE_STATE_FD, &t, 8, &fd[1], 1), no | EINVAL);
	T_EQ(t_ask_fds(&s.u, VHK_USER_SET_DEVICE_STATE_FD, &t, 7, &fd[1], 1), no | EPROTO);
	T_EQ(t_ask_fds(&s.u, VHK_USER_SET_DEVICE_STATE_FD, &t, 8, fd, 2), no | EPROTO);
	T_OK(t_ask(&s.u, VHK_USER_CHECK_DEVICE_STATE, &t, 8) != 0);
	T_EQ(t_count_fds(), fds);
	/* a second one, or a ring, while one is on its way; and one while a ring runs */
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), no);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), no | EBUSY);
	t_ring_init(&s.u, &r, 0, T_SPLIT);
	T_EQ(t_ask_mem_table(&s.u), 0);
	t_ring_set_up(&s.u, &r, 0);
	T_EQ(t_ask_vring_fd(&s.u, VHK_USER_SET_VRING_KICK, 0, r.kick), EBUSY);
	/* a reset ends it */
	T_EQ(t_ask(&s.u, VHK_USER_RESET_DEVICE, NULL, 0), 0);
	T_EQ(check(&s.u), ECANCELED);
	t_ring_start(&s.u, &r, r.kick);
	T_EQ(ask_state(&s.u, VHK_USER_STATE_SAVE, fd[1]), no | EBUSY);
	close(fd[0]);
	close(fd[1]);
	close(file);
	t_ring_fini(&r);
	side_fini(&s);
}

/* In the middle of either direction, and while it waits to be told of the end. */
static void the_front_end_dies(void)
{
	struct side s;
	int fd[2], i;

	for (i = 0; i < 3; i++) {
		side_init(&s, STATE_SIZE);
		make_pipe(fd);
		T_EQ(ask_state(&s.u, i ? VHK_USER_STATE_LOAD : VHK_USER_STATE_SAVE, fd[!i]),
		     VHK_USER_STATE_NO_FD);
		close(fd[!i]);
		if (i == 2)
			t_send(&s.u, VHK_USER_CHECK_DEVICE_STATE, 0, NULL, 0, NULL, 0);
		t_settle(&s.u);
		t_user_hang_up(&s.u);
		T_UNTIL(&s.u, s.u.n_down == 1);
		T_EQ(s.d.n_taken, 0);
		close(fd[!!i]);
		side_fini(&s);
	}
}

static void a_device_without_state(void)
{
	struct t_user u;
	int fd[2];

	t_user_init(&u, VHK_LOOP_AUTO);
	t_user_open(&u);
	t_negotiate(&u, T_SPLIT);
	make_pipe(fd);
	T_OK(ask_state(&u, VHK_USER_STATE_SAVE, fd[1]) & VHK_USER_STATE_ERROR);
	T_OK(check(&u) != 0);
	t_alive(&u);
	close(fd[0]);
	close(fd[1]);
	t_user_fini(&u);
}

/* The same with the front end of the library, each back end in a thread. */
struct server {
	struct vhk_loop *loop;
	struct stateful d;
	struct vhk_backend *be;
	struct vhk_ctl *c;
	struct vhk_mem *mem;
	bool down;
	pthread_t thread;
};

static void on_session(void *arg, bool up)
{
	__atomic_store_n(&((struct server *)arg)->down, !up, __ATOMIC_RELEASE);
}

static void *serve(void *arg)
{
	return (void *)(intptr_t)vhk_loop_run(((struct server *)arg)->loop);
}

static void server_init(struct server *s, size_t size)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o), .timeout_ms = T_DEADLINE_MS };
	struct vhk_backend_opts bo = { .sz = sizeof(bo), .on_session = on_session, .arg = s };
	char uri[32];
	int fd[2];
	void *va;

	T_MUST(!vhk_loop_new(&s->loop, NULL));
	stateful_init(&s->d, size);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	T_MUST(!vhk_backend_take_fd(&s->be, s->loop, s->d.dev, fd[1], &bo));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	T_MUST(!pthread_create(&s->thread, NULL, serve, s));
	T_MUST(!vhk_ctl_open(&s->c, uri, &o));
	T_MUST(!vhk_mem_new(&s->mem));
	T_MUST(!vhk_mem_alloc(s->mem, (struct vhk_gpa){ 0 }, 4096, &va));
	T_EQ(vhk_ctl_setup(s->c, VHK_F_VERSION_1, 0, s->mem), 0);
}

static void server_fini(struct server *s)
{
	void *ret;
	uint64_t end = t_now_ns() + T_DEADLINE_MS * 1000000ull;

	vhk_ctl_close(s->c);
	while (!__atomic_load_n(&s->down, __ATOMIC_ACQUIRE) && t_now_ns() < end)
		poll(NULL, 0, 1);
	vhk_loop_stop(s->loop);
	T_MUST(!pthread_join(s->thread, &ret));
	vhk_backend_close(s->be);
	vhk_device_free(s->d.dev);
	vhk_loop_free(s->loop);
	vhk_mem_free(s->mem);
}

struct store {
	unsigned char *bytes;
	size_t n, at;
	int fail;
};

static int store_put(void *arg, const void *buf, size_t len)
{
	struct store *s = arg;

	if (s->fail)
		return s->fail;
	T_MUST(s->n + len <= 2 * STATE_SIZE);
	memcpy(s->bytes + s->n, buf, len);
	s->n += len;
	return 0;
}

static ssize_t store_get(void *arg, void *buf, size_t len)
{
	struct store *s = arg;
	size_t n = vhk_min(len, s->n - s->at);

	if (s->fail && s->at >= s->n / 2)
		return s->fail;
	memcpy(buf, s->bytes + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static void from_one_to_another(void)
{
	struct store store = { .bytes = malloc(2 * STATE_SIZE) };
	struct server a, b;
	int fds = t_count_fds();

	server_init(&a, STATE_SIZE + STATE_ODD);
	server_init(&b, STATE_SIZE + STATE_ODD);
	T_EQ(vhk_ctl_save_state(a.c, store_put, &store), 0);
	T_EQ(store.n, STATE_SIZE + STATE_ODD);
	T_EQ(vhk_ctl_load_state(b.c, store_get, &store), 0);
	T_EQ(vhk_ctl_check_device_state(b.c), -EREMOTEIO);
	/* whoever stores it may fail, and it may be tried again */
	store.fail = -ENOSPC;
	T_EQ(vhk_ctl_save_state(a.c, store_put, &store), -ENOSPC);
	store.at = 0;
	T_EQ(vhk_ctl_load_state(b.c, store_get, &store), -ENOSPC);
	store = (struct store){ .bytes = store.bytes };
	T_EQ(vhk_ctl_save_state(a.c, store_put, &store), 0);
	/* a bad byte */
	store.bytes[store.n / 2] ^= 1;
	T_EQ(vhk_ctl_load_state(b.c, store_get, &store), -EREMOTEIO);
	store.bytes[store.n / 2] ^= 1;
	/* too much: the back end closes the pipe, and says why */
	store.at = 0;
	memset(store.bytes + store.n, 0, STATE_SIZE / 2);
	store.n += STATE_SIZE / 2;
	T_EQ(vhk_ctl_load_state(b.c, store_get, &store), -EREMOTEIO);
	store.n -= STATE_SIZE / 2;
	store.at = 0;
	T_EQ(vhk_ctl_load_state(b.c, store_get, &store), 0);
	server_fini(&a);
	server_fini(&b);
	T_EQ(a.d.n_saves, 3);
	T_EQ(b.d.n_taken, 2);
	free(store.bytes);
	T_EQ(t_count_fds(), fds);
}

int main(void)
{
	T_RUN_ON_BOTH(saves);
	T_RUN(checked_once_while_under_way);
	T_RUN_ON_BOTH(loads);
	T_RUN(moves_through_a_socket);
	T_RUN(a_shared_pipe_that_blocks);
	T_RUN(the_device_fails);
	T_RUN(a_stream_that_is_no_state);
	T_RUN(the_reader_goes_away);
	T_RUN(refused);
	T_RUN_ON_BOTH(the_front_end_dies);
	T_RUN(a_device_without_state);
	T_RUN(from_one_to_another);
	return t_end();
}
