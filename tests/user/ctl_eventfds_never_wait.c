// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A back end shares the open files of kick, call and error eventfds: it fills them, empties them
 * and makes them wait, at the worst moment, which is that between a look and what is done after it.
 * Neither kicks nor waits last longer than they may; kicks arrive, with Linux AIO and without.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "t_peer.h"

#define PF VHK_PF_REPLY_ACK
#define FEATURES (VHK_F_VERSION_1 | VHK_F_PROTOCOL_FEATURES)
#define NS_PER_MS 1000000

static struct vhk_ctl *c;
static struct vhk_mem *mem;
static struct vhk_vq *vq;
static int sock, kick, call, err;

/* What the back end does after a look at @after. */
enum look { NO_LOOK, POLL, PPOLL, EPOLL };
static enum look after;
static int meddled; /* fd */
static bool fill;

static void meddle(int fd, bool full)
{
	const uint64_t most = UINT64_MAX - 1;
	uint64_t n;
	ssize_t ignored;

	T_MUST(!fcntl(fd, F_SETFL, O_NONBLOCK));
	ignored = read(fd, &n, sizeof(n));
	(void)ignored;
	if (full)
		T_MUST(write(fd, &most, sizeof(most)) == sizeof(most));
	T_MUST(!fcntl(fd, F_SETFL, 0));
}

static void looked(enum look what)
{
	if (what != after)
		return;
	after = NO_LOOK;
	meddle(meddled, fill);
}

/* In the place of libc's, so that the back end acts between two system calls of the library's. */
int poll(struct pollfd *p, nfds_t n, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * NS_PER_MS };
	int ret = (int)syscall(SYS_ppoll, p, n, ms < 0 ? NULL : &ts, NULL, 0L);

	looked(POLL);
	return ret;
}

int ppoll(struct pollfd *p, nfds_t n, const struct timespec *limit, const sigset_t *mask)
{
	struct timespec ts = limit ? *limit : (struct timespec){ 0 };
	int ret = (int)syscall(SYS_ppoll, p, n, limit ? &ts : NULL, mask, 8L);

	looked(PPOLL);
	return ret;
}

int epoll_wait(int fd, struct epoll_event *ev, int n, int ms)
{
	int ret = (int)syscall(SYS_epoll_pwait, fd, ev, n, ms, NULL, 8L);

	if (ret > 0)
		looked(EPOLL);
	return ret;
}

static bool finished;

static void done(void *arg, int ret)
{
	(void)arg;
	T_EQ(ret, 0);
	finished = true;
}

static void keep(const struct t_peer_msg *m)
{
	int *slot = m->request == VHK_CTL_SET_VRING_KICK ? &kick
		    : m->request == VHK_CTL_SET_VRING_CALL ? &call
		    : m->request == VHK_CTL_SET_VRING_ERR  ? &err
							   : NULL;

	if (slot)
		*slot = dup(m->fd[0]);
}

static void serve(void)
{
	struct t_peer_msg m;

	while (!finished) {
		while (t_peer_recv(sock, &m)) {
			keep(&m);
			t_peer_close_fds(&m);
			t_peer_answer(sock, &m, FEATURES, PF, -1);
		}
		vhk_ctl_process(c);
	}
	finished = false;
}

static void begin(void)
{
	struct vhk_ctl_opts o = { .sz = sizeof(o) };
	struct vhk_vq_opts v = { .sz = sizeof(v), .size = 8, .features = VHK_F_VERSION_1,
				 .gpa = { 1 << 20 } };
	void *va;

	T_MUST(!vhk_mem_new(&mem) && !vhk_mem_alloc(mem, (struct vhk_gpa){ 0 }, 65536, &va));
	T_MUST(!vhk_vq_new(&vq, mem, &v));
	sock = t_peer_open(&c, &o);
	T_MUST(!vhk_ctl_setup_async(c, VHK_F_VERSION_1, 0, mem, done, NULL));
	serve();
	T_MUST(!vhk_ctl_start_async(c, 0, &vq, 1, done, NULL));
	serve();
}

static void end(void)
{
	vhk_ctl_close(c);
	vhk_vq_free(vq);
	vhk_mem_free(mem);
	close(sock);
	close(kick);
	close(call);
	close(err);
}

static uint64_t count(int fd)
{
	uint64_t n = 0;
	ssize_t ignored;

	T_MUST(!fcntl(fd, F_SETFL, O_NONBLOCK));
	ignored = read(fd, &n, sizeof(n));
	(void)ignored;
	return n;
}

/* More than the kernel keeps ends for. */
static void kicks_arrive(void)
{
	int i;

	begin();
	count(kick);
	for (i = 0; i < 1000; i++)
		T_EQ(vhk_ctl_kick(c, 0), 0);
	T_EQ(count(kick), 1000);
	T_EQ(vhk_ctl_kick(c, 0), 0);
	T_EQ(t_readable(kick, 0), true);
	end();
}

static void kicks_do_not_wait(void)
{
	begin();
	meddle(kick, true);
	T_EQ(vhk_ctl_kick(c, 0), 0);
	meddle(kick, false);
	meddled = kick;
	fill = true;
	after = POLL;
	T_EQ(vhk_ctl_kick(c, 0), 0);
	after = NO_LOOK;
	T_OK(count(kick) > 0);
	end();
}

/* Emptied when the queue is woken, or just before the call is taken. */
static void waits_keep_their_limit(void)
{
	const uint64_t one = 1;
	enum look at;

	begin();
	for (at = POLL; at <= PPOLL; at++) {
		meddle(call, false);
		T_MUST(write(call, &one, sizeof(one)) == sizeof(one));
		meddled = call;
		fill = false;
		after = at;
		T_EQ(vhk_ctl_wait(c, 0, 20 * NS_PER_MS), -ETIMEDOUT);
		after = NO_LOOK;
	}
	end();
}

static void errors_are_taken_without_waiting(void)
{
	const uint64_t one = 1;

	begin();
	T_MUST(write(err, &one, sizeof(one)) == sizeof(one));
	meddled = err;
	fill = false;
	after = EPOLL;
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(after, NO_LOOK);
	T_EQ(vhk_ctl_fault(c, 0), 0);
	T_MUST(write(err, &one, sizeof(one)) == sizeof(one));
	T_EQ(vhk_ctl_process(c), 0);
	T_EQ(vhk_ctl_fault(c, 0), -EBADMSG);
	end();
}

static void refuse_aio(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { 4, f };

	T_MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	T_MUST(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

/* A full counter is met by a look then; the filter ends with the process. */
static void without_linux_aio(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		refuse_aio();
		begin();
		count(kick);
		T_MUST(!vhk_ctl_kick(c, 0) && !vhk_ctl_kick(c, 0) && count(kick) == 2);
		meddle(kick, true);
		T_MUST(!vhk_ctl_kick(c, 0));
		end();
		_exit(t_bad != 0);
	}
	T_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	T_EQ(status, 0);
}

int main(void)
{
	T_RUN(kicks_arrive);
	T_RUN(kicks_do_not_wait);
	T_RUN(waits_keep_their_limit);
	T_RUN(errors_are_taken_without_waiting);
	T_RUN(without_linux_aio);
	return t_end();
}
