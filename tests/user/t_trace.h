/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A trace between two sockets whose other ends are here, and a loop that is stepped: what it passes
 * on, and what it says of that.
 */
#ifndef VHK_TESTS_T_TRACE_H
#define VHK_TESTS_T_TRACE_H

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <vhostkit/trace.h>

#include "t_peer.h"

#define DEADLINE_NS 20000000000ull
#define LOG_MAX 4096

struct bed {
	struct vhk_loop *loop;
	struct vhk_trace *trace;
	int front, back; /* our ends */
	unsigned int n_msgs, n_raw, n_ends, n_wrong, n_fds, n_back;
	uint32_t last;
	enum vhk_trace_fd_kind kind[VHK_TRACE_FDS_MAX];
	uint64_t size[VHK_TRACE_FDS_MAX];
	char wrong[256];
	struct vhk_trace_end end;
	int n_open; /* before */
};

static inline void on_message(void *arg, const struct vhk_trace_msg *m)
{
	struct bed *b = arg;
	unsigned int i;

	b->n_msgs++;
	b->n_back += m->back_channel;
	b->last = m->request;
	b->n_wrong += m->n_wrong;
	b->n_fds = m->n_fds;
	for (i = 0; i < m->n_fds && i < VHK_TRACE_FDS_MAX; i++) {
		b->kind[i] = m->fd[i].kind;
		b->size[i] = m->fd[i].size;
	}
	if (m->n_wrong)
		snprintf(b->wrong, sizeof(b->wrong), "%s", m->wrong[0]);
}

static inline void on_raw(void *arg, uint64_t session, enum vhk_trace_side from,
			  bool back_channel, const char *why)
{
	struct bed *b = arg;

	(void)session;
	(void)from;
	(void)back_channel;
	T_OK(*why);
	b->n_raw++;
}

static inline void on_end(void *arg, const struct vhk_trace_end *e)
{
	struct bed *b = arg;

	b->n_ends++;
	b->end = *e;
	b->end.left_alone = NULL;
}

static const struct vhk_trace_ops ops = {
	.sz = sizeof(ops), .message = on_message, .raw = on_raw, .end = on_end
};

static const struct vhk_loop_opts engines[] = {
	{ .sz = sizeof(engines[0]), .engine = VHK_LOOP_EPOLL },
	{ .sz = sizeof(engines[0]), .engine = VHK_LOOP_AUTO },
};
static unsigned int engine;

static inline void set_up(struct bed *b)
{
	char front[32], back[32];
	int f[2], k[2];

	memset(b, 0, sizeof(*b));
	b->n_open = t_count_fds();
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f));
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, k));
	snprintf(front, sizeof(front), "fd:%d", f[1]);
	snprintf(back, sizeof(back), "fd:%d", k[1]);
	T_MUST(!vhk_loop_new(&b->loop, &engines[engine]));
	T_MUST(!vhk_trace_open(&b->trace, b->loop, front, back, &ops, b, NULL));
	b->front = f[0];
	b->back = k[0];
}

static inline void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What was open before is open afterwards, and nothing else. */
static inline void tear_down(struct bed *b)
{
	vhk_trace_close(b->trace);
	vhk_loop_free(b->loop);
	hang_up(&b->front);
	hang_up(&b->back);
	T_EQ(b->n_ends, 1);
	T_EQ(t_count_fds(), b->n_open);
}

static inline bool waits(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Steps until @fd can be read. */
static inline void wait_for(struct bed *b, int fd)
{
	uint64_t end = t_now_ns() + DEADLINE_NS;

	while (!waits(fd) && t_now_ns() < end)
		T_MUST(vhk_loop_step(b->loop, 1000000) >= 0);
	T_MUST(waits(fd));
}

/* Steps until nothing more happens at once. */
static inline void settle(struct bed *b)
{
	unsigned int quiet = 0;

	while (quiet < 3)
		quiet = vhk_loop_step(b->loop, 0) ? 0 : quiet + 1;
}

static inline void recv_msg(struct bed *b, int fd, struct t_peer_msg *m)
{
	wait_for(b, fd);
	T_MUST(t_peer_recv(fd, m));
}

static inline bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static inline int memfd_of(off_t size)
{
	int fd = memfd_create("t", MFD_CLOEXEC);

	T_MUST(fd >= 0 && !ftruncate(fd, size));
	return fd;
}

static inline void on_both_engines(void (*fn)(void), const char *name)
{
	char called[128];

	for (engine = 0; engine < 2; engine++) {
		snprintf(called, sizeof(called), "%s (%s)", name, engine ? "default" : "epoll");
		t_run(called, fn);
	}
}

#define RUN(fn) on_both_engines(fn, #fn)

#endif
