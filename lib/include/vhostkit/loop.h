/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The event loop that back ends run on: vring kicks, storage I/O, timers, other file descriptors and messages from
 * other threads, by io_uring, or by epoll and Linux AIO where io_uring is refused. The caller owns it and its thread.
 */
#ifndef VHOSTKIT_LOOP_H
#define VHOSTKIT_LOOP_H

#include <sys/uio.h>

#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_loop;

/**
 * enum vhk_loop_engine - what waits
 * @VHK_LOOP_AUTO:     io_uring, or epoll where the kernel refuses it
 * @VHK_LOOP_IO_URING: io_uring or an error
 * @VHK_LOOP_EPOLL:    epoll and Linux AIO
 */
enum vhk_loop_engine {
	VHK_LOOP_AUTO,
	VHK_LOOP_IO_URING,
	VHK_LOOP_EPOLL,
};

/** The loop is driven through vhk_loop_fd() from a foreign event loop. */
#define VHK_LOOP_F_EMBED 0x1
#define VHK_LOOP_F_ALL 0x1

/**
 * struct vhk_loop_opts - how a loop runs
 * @sz:         sizeof(struct vhk_loop_opts)
 * @engine:     VHK_LOOP_AUTO by default
 * @flags:      VHK_LOOP_F_*
 * @entries:    submission queue entries, 0: 256
 * @poll_ns:    longest time to spin before sleeping, ns; the loop learns how much of it pays. 0: default (64,000);
 *              UINT64_MAX: never spin
 * @wake_ns:    what a sleep costs on this machine, ns. 0: default (25,000)
 * @log:        where lines go; copied
 */
struct vhk_loop_opts {
	size_t sz;
	enum vhk_loop_engine engine;
	uint32_t flags;
	uint32_t entries;
	uint64_t poll_ns;
	uint64_t wake_ns;
	struct vhk_log log;
};

/**
 * struct vhk_work - a message to a loop; the sender keeps it until @fn was called
 * @next: the loop's own
 * @fn:   called in the loop's thread; the work may be reused or freed from then on
 */
struct vhk_work {
	struct vhk_work *next;
	void (*fn)(struct vhk_work *w);
};

typedef void vhk_fd_fn(void *arg, uint32_t events);
typedef void vhk_timer_fn(void *arg);

VHK_API int vhk_loop_new(struct vhk_loop **out, const struct vhk_loop_opts *o);
VHK_API void vhk_loop_free(struct vhk_loop *l);
/* Runs until vhk_loop_stop(); 0, or a negative errno when the loop cannot go on. */
VHK_API int vhk_loop_run(struct vhk_loop *l);
/* One round; waits up to @timeout_ns (-1: no limit, 0: not at all). The number of things done, 0 on timeout. */
VHK_API int vhk_loop_step(struct vhk_loop *l, int64_t timeout_ns);
/* Any thread, or a signal handler. */
VHK_API void vhk_loop_stop(struct vhk_loop *l);
/* VHK_LOOP_F_EMBED: readable when vhk_loop_step(l, 0) has something to do. */
VHK_API int vhk_loop_fd(const struct vhk_loop *l);
/* "io_uring" or "epoll". */
VHK_API const char *vhk_loop_engine_name(const struct vhk_loop *l);

/* @fn is called with EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as poll(2) sees them, level-triggered. @fd is borrowed. */
VHK_API int vhk_loop_add_fd(struct vhk_loop *l, int fd, uint32_t events, vhk_fd_fn *fn, void *arg);
VHK_API int vhk_loop_mod_fd(struct vhk_loop *l, int fd, uint32_t events);
/* After it returns @fn is not called again; @fd may be closed. */
VHK_API int vhk_loop_del_fd(struct vhk_loop *l, int fd);

/* Once, @ns from now. Return: a handle > 0 for vhk_loop_del_timer(). */
VHK_API int vhk_loop_add_timer(struct vhk_loop *l, uint64_t ns, vhk_timer_fn *fn, void *arg);
VHK_API int vhk_loop_del_timer(struct vhk_loop *l, int handle);

/* Any thread. In order per sender. Cannot fail. */
VHK_API void vhk_loop_post(struct vhk_loop *l, struct vhk_work *w);
/* Blocks @signo in the calling thread, and ends vhk_loop_run() when it arrives. */
VHK_API int vhk_loop_stop_on_signal(struct vhk_loop *l, int signo);
/* @fn in the loop's thread for each arrival of @signo, which is blocked in the calling thread. */
VHK_API int vhk_loop_add_signal(struct vhk_loop *l, int signo, void (*fn)(void *arg), void *arg);

/** Memory file system: system calls on it never wait, so they are made at once, in the loop's thread. */
#define VHK_FILE_F_INLINE_READ 0x1
#define VHK_FILE_F_INLINE_WRITE 0x2
#define VHK_FILE_F_ALL 0x3

/**
 * enum vhk_io_op - what to do with a file
 * @VHK_IO_READ:   into iov
 * @VHK_IO_WRITE:  from iov
 * @VHK_IO_FSYNC:  data (and what is needed to find it) on the medium
 * @VHK_IO_PUNCH:  make a hole (discard)
 * @VHK_IO_ZERO:   make zeros, allocated
 */
enum vhk_io_op {
	VHK_IO_READ,
	VHK_IO_WRITE,
	VHK_IO_FSYNC,
	VHK_IO_PUNCH,
	VHK_IO_ZERO,
};

/** A write is on the medium before it completes (RWF_DSYNC). */
#define VHK_IO_F_DSYNC 0x1

/**
 * struct vhk_io - one operation on a file; the caller's memory until @done
 * @op:    what
 * @file:  from vhk_loop_add_file() of this loop
 * @flags: VHK_IO_F_*
 * @n_iov: segments, up to 1024
 * @iov:   borrowed until @done
 * @off:   bytes from the start of the file
 * @len:   VHK_IO_PUNCH, VHK_IO_ZERO: bytes
 * @done:  called once, in the loop's thread, from the loop or from within vhk_loop_submit(): bytes moved, 0, or a
 *         negative errno. Short transfers are handed on, not repeated
 * @next:  the loop's own
 */
struct vhk_io {
	enum vhk_io_op op;
	int file;
	uint32_t flags;
	uint32_t n_iov;
	const struct iovec *iov;
	uint64_t off;
	uint64_t len;
	void (*done)(struct vhk_io *io, int res);
	struct vhk_io *next;
};

/* Makes a file known to the loop (registers it with io_uring). Loop's thread, or before it runs. @fd is borrowed. */
VHK_API int vhk_loop_add_file(struct vhk_loop *l, int fd, uint32_t flags);
VHK_API void vhk_loop_del_file(struct vhk_loop *l, int file);
/* Loop's thread. Cannot fail: what cannot be queued completes with an error. */
VHK_API void vhk_loop_submit(struct vhk_loop *l, struct vhk_io *io);
/* Operations submitted and not done. */
VHK_API unsigned int vhk_loop_io_in_flight(const struct vhk_loop *l);

#ifdef __cplusplus
}
#endif

#endif
