// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A loop's counters, held against what a tracer counts: rings that are kicked, file operations,
 * waits and yields, on both engines. What is added before and taken away afterwards does not count.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "loop_t.h"

#define N_KICKS 200
#define N_WAITS 5
#define MARK SYS_getppid /* nobody else's */

/* What the traced process says of itself. */
struct said {
	uint64_t own; /* between the marks, made by the test */
	struct vhk_loop_stats from, to;
};

static struct said *said;
static const struct t_mode *the_mode;

static void io_done(struct vhk_io *io, int res)
{
	T_MUST(res == (int)io->iov->iov_len);
}

static void read_file(struct vhk_loop *l, int file)
{
	char byte;
	struct iovec iov = { &byte, sizeof(byte) };
	struct vhk_io io = { .op = VHK_IO_READ, .file = file, .n_iov = 1, .iov = &iov,
			     .done = io_done };

	vhk_loop_submit(l, &io);
	while (vhk_loop_io_in_flight(l))
		vhk_loop_step(l, 100 * T_MS);
}

/* What is between the marks: kicks, reads of a file, and waits in vain. */
static void load(struct vhk_loop *l, struct t_ring *r, int file)
{
	int i;

	for (i = 0; i < N_KICKS; i++) {
		said->own += t_ring_add(r);
		while (r->seen != (unsigned int)i + 1)
			vhk_loop_step(l, 100 * T_MS);
		/* until it sleeps, and the next one has to kick */
		while (vhk_loop_step(l, T_MS) > 0)
			;
		if (!(i % 20))
			read_file(l, file);
	}
	for (i = 0; i < N_WAITS; i++)
		vhk_loop_step(l, T_MS);
}

static void traced(void)
{
	struct vhk_loop *l;
	struct t_ring r;
	int file, fd;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	l = t_loop_opts(the_mode, 0, UINT64_MAX);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	file = vhk_loop_add_file(l, fd, 0);
	t_ring_init(&r, l, -2);
	T_MUST(file >= 0 && !vhk_loop_add_source(l, &r.s));
	t_settle(l);
	raise(SIGSTOP);
	syscall(MARK);
	vhk_loop_stats(l, &said->from);
	load(l, &r, file);
	vhk_loop_stats(l, &said->to);
	syscall(MARK);
	_exit(0);
}

/* The number of the call that @pid is about to make; -1: it is returning from one. */
static long entered(pid_t pid)
{
	struct __ptrace_syscall_info info;

	T_MUST(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
	return info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

/* Calls between the two marks. */
static uint64_t count_calls(pid_t pid)
{
	unsigned int marks = 0;
	uint64_t n = 0;
	int status;
	long nr;

	T_MUST(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	T_MUST(!ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	while (!ptrace(PTRACE_SYSCALL, pid, NULL, NULL) && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status)) {
		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		nr = entered(pid);
		if (nr == MARK)
			marks++;
		else if (nr >= 0 && marks == 1)
			n++;
	}
	T_EQ(marks, 2);
	T_OK(WIFEXITED(status) && !WEXITSTATUS(status));
	return n;
}

static void agrees(const struct t_mode *m)
{
	uint64_t n, syscalls;
	pid_t pid;

	the_mode = m;
	memset(said, 0, sizeof(*said));
	fflush(stdout);
	pid = fork();
	T_MUST(pid >= 0);
	if (!pid)
		traced();
	n = count_calls(pid);
	syscalls = said->to.syscalls - said->from.syscalls;
	T_OK(said->own > N_KICKS / 2);
	T_EQ(syscalls + said->own, n);
	T_OK(said->to.sleeps - said->from.sleeps >= N_WAITS);
	T_OK(said->to.rounds - said->from.rounds >= N_KICKS);
}

static void io_uring(void)
{
	static const struct t_mode m = { VHK_LOOP_IO_URING, 0 };

	agrees(&m);
}

static void epoll(void)
{
	static const struct t_mode m = { VHK_LOOP_EPOLL, 0 };

	agrees(&m);
}

int main(void)
{
	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	T_MUST(said != MAP_FAILED);
	T_RUN(io_uring);
	T_RUN(epoll);
	return t_end();
}
