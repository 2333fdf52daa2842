// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a session cannot be handed over in the middle of, or with: each time the successor is sent
 * away, the reason is said, and the session goes on where it is.
 */
#include <sys/mman.h>

#include "map_xen.h"
#include "t_over.h"

/* A successor comes, and goes away again with that in the log. */
static void sent_away(const char *why)
{
	struct vhk_msg m;
	int fd = dial(over);

	while (t_recv_from(&u, fd, &m))
		vhk_msg_fini(&m);
	close(fd);
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	T_OK(strstr(u.log.last, "not handed over"));
	T_OK(strstr(u.log.last, why));
	if (!strstr(u.log.last, why))
		printf("# %s\n", u.log.last);
	T_EQ(n_given, 0);
	t_alive(&u);
}

/* One that comes now is told the session, and goes. */
static void told(void)
{
	struct vhk_msg m;
	int fd = dial(over);

	T_MUST(t_recv_from(&u, fd, &m));
	T_EQ(m.hdr.request, VHK_OVER_HELLO);
	close(fd);
	T_UNTIL(&u, u.be->s.state == VHK_SESSION_READY);
	t_alive(&u);
}

static void during_postcopy(void)
{
	struct vhk_msg m;

	open_server_of(NULL, VHK_BACKEND_F_POSTCOPY);
	t_negotiate(&u, T_SPLIT);
	told();
	T_MUST(t_get(&u, VHK_USER_POSTCOPY_ADVISE, NULL, 0, &m));
	if (m.n_fds != 1) {
		t_user_fini(&u);
		vhk_loop_free(queue_loop);
		T_SKIP("no userfaultfd for this user");
	}
	close(m.fd[0]);
	sent_away("a migration is under way");
	T_EQ(t_ask(&u, VHK_USER_POSTCOPY_LISTEN, NULL, 0), 0);
	sent_away("a migration is under way");
	T_EQ(t_get_u64(&u, VHK_USER_POSTCOPY_END), 0);
	told();
	t_user_fini(&u);
	vhk_loop_free(queue_loop);
}

#define STATE_SIZE (1u << 20)

static ssize_t state_save(void *priv, uint64_t off, void *buf, size_t len)
{
	const size_t n = vhk_min(len, STATE_SIZE - (size_t)off);

	(void)priv;
	memset(buf, 7, n);
	return (ssize_t)n;
}

static int state_load(void *priv, uint64_t off, const void *buf, size_t len)
{
	(void)priv, (void)off, (void)buf, (void)len;
	return 0;
}

static void state_work(void *priv, struct vhk_queue *q, struct vhk_chain **c, unsigned int n)
{
	(void)priv;
	while (n--)
		vhk_queue_done(q, *c++, 0);
}

static struct vhk_device *stateful(void)
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
		.features = VHK_F_RING_ALL,
		.n_queues = T_QUEUES,
		.queue_size = T_QUEUE_SIZE,
	};
	struct vhk_device *d;

	T_MUST(!vhk_device_new(&d, &info, &ops, NULL));
	return d;
}

/* From its beginning until its end was asked for. */
static void during_a_transfer_of_state(void)
{
	struct vhk_user_state_transfer t = { VHK_USER_STATE_SAVE, 0 };
	static char bytes[STATE_SIZE];
	size_t got = 0;
	struct vhk_device *d = stateful();
	int fd[2];

	open_server_of(d, 0);
	T_MUST(!pipe2(fd, O_CLOEXEC));
	t_negotiate(&u, T_SPLIT);
	told();
	T_EQ(t_ask_fds(&u, VHK_USER_SET_DEVICE_STATE_FD, &t, sizeof(t), &fd[1], 1),
	     VHK_USER_STATE_NO_FD);
	close(fd[1]);
	sent_away("a migration is under way");
	while (got < STATE_SIZE) {
		ssize_t n;

		T_MUST(t_wait_readable(&u, fd[0]));
		n = read(fd[0], bytes, sizeof(bytes));
		T_MUST(n > 0);
		got += (size_t)n;
	}
	sent_away("a migration is under way");
	T_EQ(t_ask(&u, VHK_USER_CHECK_DEVICE_STATE, NULL, 0), 0);
	told();
	close(fd[0]);
	t_user_hang_up(&u);
	vhk_backend_close(u.be);
	u.be = NULL;
	vhk_device_free(d);
	t_user_fini(&u);
}

/* Another domain's memory, in place of which there is a file. */
static int domain;

static int map(void **va, int fd, size_t len, uint64_t offset)
{
	(void)fd, (void)offset;
	return vhk_map_file(va, domain, len, 0);
}

static int control(int fd, unsigned long request, void *arg)
{
	(void)fd, (void)request, (void)arg;
	return 0;
}

static const struct vhk_xen_calls calls = { .map = map, .control = control };

static void with_memory_of_a_xen_domain(void)
{
	struct {
		struct vhk_user_mem_reg reg;
		struct vhk_user_xen xen;
	} m = {
		.reg = { .region = { 0x10000, 0x4000, 0x10000, 0 } },
		.xen = { .flags = VHK_XEN_FOREIGN, .domid = 9 },
	};

	domain = memfd_create("domain", MFD_CLOEXEC);
	T_MUST(domain >= 0 && !ftruncate(domain, 1 << 20));
	open_server_of(NULL, VHK_BACKEND_F_XEN);
	u.be->xen = &calls;
	t_negotiate(&u, T_SPLIT);
	told();
	T_EQ(t_ask_fds(&u, VHK_USER_ADD_MEM_REG, &m, sizeof(m), &domain, 1), 0);
	sent_away("its memory has no files to be handed over");
	T_EQ(t_ask(&u, VHK_USER_REM_MEM_REG, &m, sizeof(m)), 0);
	told();
	close(domain);
	t_user_fini(&u);
}

int main(void)
{
	T_RUN(during_postcopy);
	T_RUN(during_a_transfer_of_state);
	T_RUN(with_memory_of_a_xen_domain);
	return t_end();
}
