// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Out of file descriptors, out of address space: every call fails with a code, keeps what was
 * there, loses no fd.
 */
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <vhostkit/backend.h>
#include <vhostkit/blk.h>

#include "map.h"
#include "mem.h"
#include "ration.h"
#include "sock.h"
#include "t.h"

static struct rlimit saved;

/* Leaves room for @n more fds. */
static void limit_fds(unsigned int n)
{
	struct rlimit tight;
	int fd[16], k = 0, last = -1;

	T_MUST(n < 16 && !getrlimit(RLIMIT_NOFILE, &saved));
	while (k < (int)n)
		T_MUST((fd[k++] = last = eventfd(0, EFD_CLOEXEC)) >= 0);
	if (last < 0) {
		last = eventfd(0, EFD_CLOEXEC);
		close(last--);
	}
	tight = saved;
	tight.rlim_cur = (rlim_t)last + 1;
	T_MUST(!setrlimit(RLIMIT_NOFILE, &tight));
	while (k--)
		close(fd[k]);
}

static void unlimit(void)
{
	T_MUST(!setrlimit(RLIMIT_NOFILE, &saved));
}

static struct vhk_msg with_fds(unsigned int n)
{
	struct vhk_msg m;

	vhk_msg_init(&m, 1, 0);
	while (m.n_fds < n)
		T_MUST((m.fd[m.n_fds++] = eventfd(0, EFD_CLOEXEC)) >= 0);
	return m;
}

static void truncated_fds_spoil_one_message_only(void)
{
	struct vhk_sock a, b;
	struct vhk_msg m = with_fds(5), got;
	int fd[2], before;

	T_MUST(!vhk_sock_pair(fd));
	vhk_sock_init_take_fd(&a, fd[0]);
	vhk_sock_init_take_fd(&b, fd[1]);
	before = t_count_fds();
	T_EQ(vhk_sock_send(&a, &m), 0);
	T_EQ(vhk_sock_send(&a, &m), 0);
	limit_fds(2);
	T_EQ(vhk_sock_recv(&b, &got), -EBADF);
	T_EQ(got.n_fds, 0);
	unlimit();
	T_EQ(t_count_fds(), before);
	T_EQ(vhk_sock_recv(&b, &got), 0);
	T_EQ(got.n_fds, 5);
	vhk_msg_fini(&got);
	vhk_msg_fini(&m);
	vhk_sock_fini(&a);
	vhk_sock_fini(&b);
}

static void what_cannot_be_queued_is_refused_whole(void)
{
	struct vhk_sock a, b;
	struct vhk_msg m = with_fds(5);
	int fd[2], before, small = 1, ret;

	T_MUST(!vhk_sock_pair(fd));
	T_MUST(!setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	vhk_sock_init_take_fd(&a, fd[0]);
	vhk_sock_init_take_fd(&b, fd[1]);
	while (!a.n_tx)
		T_MUST(!vhk_sock_send(&a, &m));
	before = t_count_fds();
	limit_fds(3);
	ret = vhk_sock_send(&a, &m);
	unlimit();
	T_EQ(ret, -EMFILE);
	T_EQ(a.n_tx, 1);
	T_EQ(t_count_fds(), before);
	vhk_msg_fini(&m);
	vhk_sock_fini(&a);
	vhk_sock_fini(&b);
}

static void no_fd_is_no_socket(void)
{
	char path[100];
	int fd[2], server, client, ret[4];

	snprintf(path, sizeof(path), "%s/socket", t_dir());
	server = vhk_sock_listen(path);
	client = vhk_sock_connect(path);
	T_MUST(server >= 0 && client >= 0);
	limit_fds(0);
	ret[0] = vhk_sock_accept(server);
	ret[1] = vhk_sock_connect(path);
	ret[2] = vhk_sock_listen(path);
	ret[3] = vhk_sock_pair(fd);
	unlimit();
	T_EQ(ret[0], -EMFILE);
	T_EQ(ret[1], -EMFILE);
	T_EQ(ret[2], -EMFILE);
	T_EQ(ret[3], -EMFILE);
	/* One for the socket, none to ask whether it is alive: it stays. */
	limit_fds(1);
	ret[0] = vhk_sock_listen(path);
	unlimit();
	T_EQ(ret[0], -EMFILE);
	T_OK(!access(path, F_OK));
	close(client);
	close(server);
}

static void count_refusals(void *arg, enum vhk_log_level level, const char *line)
{
	(void)level;
	*(unsigned int *)arg += strstr(line, "cannot accept") != NULL;
}

static void note_session(void *arg, bool up)
{
	*(bool *)arg |= up;
}

/* Tried ten times a second, told ever less often; taken when there is room. */
static void a_front_end_that_finds_no_fd_is_not_told_of_for_ever(void)
{
	unsigned int told = 0;
	bool up = false;
	struct vhk_backend_opts o = { .sz = sizeof(o),
				      .log = { count_refusals, &told, VHK_LOG_ERROR },
				      .on_session = note_session,
				      .arg = &up };
	char image[100], path[100];
	struct vhk_blk_opts disk = { .sz = sizeof(disk), .path = image };
	struct vhk_backend *b;
	struct vhk_device *d;
	struct vhk_loop *l;
	uint64_t until;
	int client;

	snprintf(image, sizeof(image), "%s/image", t_dir());
	snprintf(path, sizeof(path), "%s/backend", t_dir());
	T_MUST(!close(open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) && !truncate(image, 4096));
	T_MUST(!vhk_loop_new(&l, NULL) && !vhk_blk_new(&d, &disk));
	T_MUST(!vhk_backend_listen(&b, l, d, path, &o));
	client = vhk_sock_connect(path);
	T_MUST(client >= 0);
	limit_fds(0);
	until = t_now_ns() + 4500000000;
	while (t_now_ns() < until)
		T_MUST(vhk_loop_step(l, 50000000) >= 0);
	unlimit();
	T_OK(told >= 1 && told <= VHK_RATION_LINES);
	until = t_now_ns() + 10000000000;
	while (!up && t_now_ns() < until)
		T_MUST(vhk_loop_step(l, 50000000) >= 0);
	T_OK(up);
	vhk_backend_close(b);
	vhk_device_free(d);
	vhk_loop_free(l);
	close(client);
}

static void no_fd_is_no_memory(void)
{
	struct vhk_mem *m;
	void *va = NULL;
	int ret;

	T_MUST(!vhk_mem_new(&m));
	limit_fds(0);
	ret = vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, 4096, &va);
	unlimit();
	T_EQ(ret, -EMFILE);
	T_OK(!va && !vhk_mem_count(m));
	vhk_mem_free(m);
}

static void what_fits_no_address_space_is_refused(void)
{
	const uint64_t huge = 1ull << 50;
	struct vhk_region r = { .size = huge };
	int before = t_count_fds(), fd;
	struct vhk_mem *m;
	void *va = NULL;

	T_MUST(!vhk_mem_new(&m));
	T_EQ(vhk_mem_alloc(m, (struct vhk_gpa){ 0 }, huge, &va), -ENOMEM);
	fd = memfd_create("huge", MFD_CLOEXEC);
	T_MUST(fd >= 0 && !ftruncate(fd, (off_t)huge));
	T_EQ(vhk_mem_add_take_fd(m, &r, fd), -ENOMEM);
	T_EQ(vhk_map_anon(&va, huge), -ENOMEM);
	T_EQ(vhk_map_anon(&va, 0), -EINVAL);
	T_OK(!va && !vhk_mem_count(m));
	vhk_mem_free(m);
	T_EQ(t_count_fds(), before);
}

int main(void)
{
	T_RUN(truncated_fds_spoil_one_message_only);
	T_RUN(what_cannot_be_queued_is_refused_whole);
	T_RUN(no_fd_is_no_socket);
	T_RUN(a_front_end_that_finds_no_fd_is_not_told_of_for_ever);
	T_RUN(no_fd_is_no_memory);
	T_RUN(what_fits_no_address_space_is_refused);
	return t_end();
}
