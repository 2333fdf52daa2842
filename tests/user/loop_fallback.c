// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Where io_uring is refused the loop runs on epoll and Linux AIO, and says so once; asked for by
 * name it fails. (Class: a seccomp filter that answers EPERM or ENOSYS.)
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "loop_t.h"

#define OK_STATUS 42

static void refuse(const int *calls, int n, int err)
{
	struct sock_filter f[32];
	struct sock_fprog prog = { .filter = f };
	unsigned short k = 0;
	int i;

	f[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					      offsetof(struct seccomp_data, nr));
	for (i = 0; i < n; i++) {
		f[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						      (unsigned int)calls[i], 0, 1);
		f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						      SECCOMP_RET_ERRNO | (unsigned int)err);
	}
	f[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = k;
	T_MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	T_MUST(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

static int n_lines;
static char line[256];

static void take_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	if (level != VHK_LOG_INFO)
		return;
	n_lines++;
	snprintf(line, sizeof(line), "%s", text);
}

static int result;

static void read_done(struct vhk_io *io, int res)
{
	(void)io;
	result = res;
}

/* Kicks, timers, messages' wake-ups and files all work. */
static void use(struct vhk_loop *l)
{
	char in[8] = { 0 };
	struct iovec iov = { in, 4 };
	struct vhk_io io = { .op = VHK_IO_READ, .iov = &iov, .n_iov = 1, .done = read_done };
	int fd = memfd_create("vhk-test", MFD_CLOEXEC), i;
	struct t_ring r;

	T_MUST(fd >= 0 && pwrite(fd, "data", 4, 0) == 4);
	t_ring_init(&r, l, -2);
	T_EQ(vhk_loop_add_source(l, &r.s), 0);
	t_settle(l);
	T_OK(t_ring_add(&r));
	for (i = 0; i < 10 && !r.seen; i++)
		T_OK(vhk_loop_step(l, 1000 * T_MS) > 0);
	T_EQ(r.seen, 1);
	io.file = vhk_loop_add_file(l, fd, 0);
	result = -1;
	vhk_loop_submit(l, &io);
	for (i = 0; i < 10 && result == -1; i++)
		T_OK(vhk_loop_step(l, 1000 * T_MS) >= 0);
	T_EQ(result, 4);
	T_OK(!memcmp(in, "data", 4));
	io.op = VHK_IO_FSYNC;
	result = -1;
	vhk_loop_submit(l, &io);
	for (i = 0; i < 10 && result == -1; i++)
		T_OK(vhk_loop_step(l, 1000 * T_MS) >= 0);
	T_EQ(result, 0);
	vhk_loop_del_source(l, &r.s);
	t_ring_fini(&r);
	close(fd);
}

struct refusal {
	const char *what;
	int calls[8];
	int n, err;
};

static int in_the_dark(const struct refusal *c, uint32_t flags)
{
	struct vhk_loop_opts o = { .sz = sizeof(o),
				   .flags = flags,
				   .log = { take_line, NULL, VHK_LOG_INFO } };
	struct vhk_loop *l = NULL;

	t_bad = 0;
	refuse(c->calls, c->n, c->err);
	T_MUST(!vhk_loop_new(&l, &o));
	T_STR(vhk_loop_engine_name(l), "epoll");
	T_EQ(n_lines, 1);
	T_OK(strstr(line, "epoll") && strstr(line, strerror(c->err)));
	use(l);
	vhk_loop_free(l);
	l = NULL;
	o.engine = VHK_LOOP_IO_URING;
	T_EQ(vhk_loop_new(&l, &o), -c->err);
	T_OK(!l);
	fflush(stdout);
	_exit(t_bad ? 1 : OK_STATUS);
}

static void refused_io_uring_falls_back(void)
{
	static const struct refusal cases[] = {
		{ "setup", { SYS_io_uring_setup }, 1, EPERM },
		{ "setup, unknown", { SYS_io_uring_setup }, 1, ENOSYS },
		{ "setup, access", { SYS_io_uring_setup }, 1, EACCES },
		{ "enter only", { SYS_io_uring_enter }, 1, EPERM },
		{ "and no AIO, no epoll_pwait2",
		  { SYS_io_uring_setup, SYS_io_setup, SYS_epoll_pwait2 }, 3, ENOSYS },
	};
	unsigned int i, flags;
	int status;
	pid_t pid;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (flags = 0; flags <= VHK_LOOP_F_EMBED; flags++) {
			fflush(stdout);
			pid = fork();
			if (!pid)
				in_the_dark(&cases[i], flags);
			T_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
			if (!WIFEXITED(status) || WEXITSTATUS(status) != OK_STATUS)
				printf("# case: %s\n", cases[i].what);
			T_OK(WIFEXITED(status) && WEXITSTATUS(status) == OK_STATUS);
		}
	}
}

/* Newer kernels count the rings themselves as locked: without a right to lock there is none. */
static void no_memory_may_be_locked(void)
{
	const struct rlimit none = { 0, 0 };
	int status, flags;
	struct vhk_loop *l;
	pid_t pid;

	for (flags = 0; flags <= VHK_LOOP_F_EMBED; flags++) {
		const struct vhk_loop_opts o = { .sz = sizeof(o), .flags = (uint32_t)flags };

		fflush(stdout);
		pid = fork();
		if (!pid) {
			t_bad = 0;
			T_MUST(!setrlimit(RLIMIT_MEMLOCK, &none));
			T_MUST(geteuid() || !setresuid(65534, 65534, 65534));
			T_MUST(!vhk_loop_new(&l, &o));
			use(l);
			vhk_loop_free(l);
			fflush(stdout);
			_exit(t_bad ? 1 : OK_STATUS);
		}
		T_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
		T_OK(WIFEXITED(status) && WEXITSTATUS(status) == OK_STATUS);
	}
}

/* Without room for fds nothing is left behind, on whichever step it fails. */
static void no_fds_left(void)
{
	struct rlimit was, few;
	const struct t_mode *m;
	struct vhk_loop *l;
	rlim_t room;
	int before, first, ret;

	T_MUST(!getrlimit(RLIMIT_NOFILE, &was));
	before = t_count_fds();
	first = dup(0);
	close(first);
	T_EACH_MODE(m) {
		for (room = 0, ret = -1; ret && room < 16; room++) {
			struct vhk_loop_opts o = { .sz = sizeof(o),
						   .engine = m->engine,
						   .flags = m->flags };

			few = was;
			few.rlim_cur = (rlim_t)first + room;
			T_MUST(!setrlimit(RLIMIT_NOFILE, &few));
			l = NULL;
			ret = vhk_loop_new(&l, &o);
			T_OK(ret == 0 || ret == -EMFILE);
			vhk_loop_free(l);
			T_MUST(!setrlimit(RLIMIT_NOFILE, &was));
			T_EQ(t_count_fds(), before);
		}
		T_EQ(ret, 0);
		T_OK(room > 2);
	}
}

int main(void)
{
	T_RUN(refused_io_uring_falls_back);
	T_RUN(no_memory_may_be_locked);
	T_RUN(no_fds_left);
	return t_end();
}
