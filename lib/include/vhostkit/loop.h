/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The event loop that back ends run on: vring kicks, storage I/O, timers, other file descriptors
 * and messages from other threads, by io_uring, or by epoll and Linux AIO where io_uring is
 * refused. The caller owns it and its thread.
 *
 * Threads. A loop may be made in one thread and run in another; from its first run or step on it
 * belongs to that thread. Only vhk_loop_post() and vhk_loop_stop() may be called from others while
 * it runs. Callbacks are called in the loop's thread, and may call every function of the loop but
 * vhk_loop_run(), vhk_loop_step() and vhk_loop_free().
 *
 * Waiting. A loop with nothing to do lets other threads of its processor run where that has brought
 * requests lately, looks around without a system call for as long as that has paid (see struct
 * vhk_loop_opts), then sleeps. Sleeping it costs nothing, whatever the
 * number of its rings.
 *
 * Memory. What an operation reads or writes is looked up when it is submitted, page by page; files
 * are registered with io_uring, guest memory on request only (VHK_LOOP_F_PIN). Registered, it is
 * looked up once and stays pinned: some of the kernel's work on a small O_DIRECT request is saved,
 * but a page that a virtual machine monitor gives back meanwhile (balloon, virtio-mem, free page
 * reporting) and the guest then touches is another one, and what the kernel goes on reading from
 * and writing to the former is wrong without an error. Monitors know who pins memory of theirs in
 * the kernel, not that a back end does: whoever asks for it sees to it that the guest has none of
 * these.
 */
#ifndef VHOSTKIT_LOOP_H
#define VHOSTKIT_LOOP_H

#include <sys/uio.h>

#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_loop;
struct vhk_writer;

/**
 * enum vhk_loop_engine - what waits
 * @VHK_LOOP_AUTO:     io_uring, or epoll where the kernel or a filter refuses it. One line at
 *                     VHK_LOG_INFO tells which, and why not the first
 * @VHK_LOOP_IO_URING: io_uring or an error. Linux 5.13 at least; 6.1 for the cheapest mode
 * @VHK_LOOP_EPOLL:    epoll and Linux AIO. Reads and writes that the page cache has to serve, and
 *                     all of VHK_IO_PUNCH and VHK_IO_ZERO, for which Linux AIO has no operation,
 *                     are then done while the loop waits for them; O_DIRECT and VHK_IO_FSYNC are
 *                     not
 */
enum vhk_loop_engine {
	VHK_LOOP_AUTO,
	VHK_LOOP_IO_URING,
	VHK_LOOP_EPOLL,
};

/**
 * enum vhk_loop_notify - how a loop learns of kicks and makes calls
 * @VHK_LOOP_NOTIFY_AUTO: the first two rings by the engine, which for so few is as cheap as
 *                        anything; further ones by a multiplexer of the kernel module vhostkit, if
 *                        /dev/vhostkit can be opened, else by the engine. What is no eventfd always
 *                        goes by the engine
 * @VHK_LOOP_NOTIFY_MUX:  all eventfds by a multiplexer, or an error of vhk_loop_new(). Up to 256
 *                        rings, further ones by the engine
 * @VHK_LOOP_NOTIFY_POLL: all by the engine
 *
 * With a multiplexer a loop waits for one file, reads a bitmap without a system call while it
 * spins, and makes the calls of a round by one system call where several rings are at work.
 */
enum vhk_loop_notify {
	VHK_LOOP_NOTIFY_AUTO,
	VHK_LOOP_NOTIFY_MUX,
	VHK_LOOP_NOTIFY_POLL,
};

/** The loop is driven from a foreign event loop: see vhk_loop_fd(). */
#define VHK_LOOP_F_EMBED 0x1
/**
 * Guest memory of the queues that the loop serves is registered with io_uring, in pieces of up to
 * 1 GiB, when a queue starts and when memory comes; see "Memory" above for when that is right.
 * What the kernel does not register (RLIMIT_MEMLOCK, of which each loop takes its own share, twice
 * that while a front end exchanges its memory; a file on a disk; a page that is not there) is used
 * as without this flag, and one line at VHK_LOG_WARN
 * says so. Neither is memory of a guest that comes by postcopy. Starting a queue takes as long as
 * the kernel takes to find, or make, all pages of the guest.
 */
#define VHK_LOOP_F_PIN 0x2
#define VHK_LOOP_F_ALL 0x3

/**
 * struct vhk_loop_opts - how a loop runs
 * @sz:      sizeof(struct vhk_loop_opts)
 * @engine:  VHK_LOOP_AUTO by default
 * @flags:   VHK_LOOP_F_*
 * @entries: submission queue entries of io_uring, operations under way of Linux AIO; 0: 256, at
 *           most 4096. More may be submitted: they wait
 * @poll_ns: longest time to spin before sleeping, ns; the loop learns from the gaps between
 *           requests how much of it pays, and spins no longer. 0: default (64,000; on a machine
 *           with one processor: never); UINT64_MAX: never spin
 * @wake_ns: what a sleep and a wake-up cost on this machine, ns. 0: default (25,000)
 * @log:     where lines go; copied
 * @notify:  VHK_LOOP_NOTIFY_AUTO by default
 * @notify_fd: a multiplexer (VHOSTKIT_NOTIFY_NEW) for this loop alone, made by somebody who may
 *           open /dev/vhostkit; borrowed while the loop is made and until it has its third ring.
 *           0: none, the loop opens /dev/vhostkit itself
 */
struct vhk_loop_opts {
	size_t sz;
	enum vhk_loop_engine engine;
	uint32_t flags;
	uint32_t entries;
	uint64_t poll_ns;
	uint64_t wake_ns;
	struct vhk_log log;
	enum vhk_loop_notify notify;
	int notify_fd;
};

/**
 * struct vhk_work - a message to a loop; the sender keeps it until @fn was called
 * @next: the loop's own
 * @fn:   called in the loop's thread; the work may be posted again, or freed, from then on
 */
struct vhk_work {
	struct vhk_work *next;
	void (*fn)(struct vhk_work *w);
};

/**
 * typedef vhk_fd_fn - news of a watched file descriptor
 * @arg:    from vhk_loop_add_fd()
 * @events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR
 */
typedef void vhk_fd_fn(void *arg, uint32_t events);

/**
 * typedef vhk_timer_fn - a timer's time has come
 * @arg: from vhk_loop_add_timer()
 */
typedef void vhk_timer_fn(void *arg);

/**
 * vhk_loop_new() - make a loop
 * @out: the loop, the caller's; untouched on failure
 * @o:   borrowed; NULL: defaults
 *
 * Any thread, not only the one that will run it.
 *
 * Return: 0; -EINVAL: unknown engine or way to notify, or @o->sz absurd; -EOPNOTSUPP: unknown
 * flag, an io_uring without what is needed, or VHK_LOOP_F_PIN without an io_uring of Linux 5.19;
 * -ENOMEM; what the kernel said to io_uring (-EPERM, -ENOSYS, ...) or to /dev/vhostkit (-ENOENT,
 * -EACCES, ...) where that was asked for by name, or to the loop's own file descriptors (-EMFILE);
 * -ENOTTY: @o->notify_fd is no multiplexer, with VHK_LOOP_NOTIFY_MUX.
 */
VHK_API int vhk_loop_new(struct vhk_loop **out, const struct vhk_loop_opts *o);

/**
 * vhk_loop_free() - end a loop
 * @l: or NULL
 *
 * In the thread that stepped it, or after vhk_loop_run() has returned. Sources, watched fds and
 * files may still be there; none of their functions is called any more. Operations on files are
 * cancelled where that is possible and waited for, up to 5 s, so that the kernel writes to no
 * memory that their owner frees afterwards; each is done once, with its result or -ECANCELED. What
 * a writer has not made by then leaves the loop behind, for good.
 * Messages not yet delivered stay undelivered.
 */
VHK_API void vhk_loop_free(struct vhk_loop *l);

/**
 * vhk_loop_run() - run in this thread until vhk_loop_stop()
 * @l: a loop
 *
 * A stop that came before counts. Before it returns, operations under way are waited for, up to 1
 * s: the thread may end, and what it submitted would end unseen.
 *
 * Return: 0 after a stop; -EBUSY: called from within the loop, or another thread has run it before
 * (io_uring is bound to one); another negative errno when the loop cannot go on.
 */
VHK_API int vhk_loop_run(struct vhk_loop *l);

/**
 * vhk_loop_step() - do what there is to do, once
 * @l:          a loop
 * @timeout_ns: how long to wait for something, ns; -1: no limit, 0: not at all
 *
 * Ends early after vhk_loop_stop(). Always in the same thread.
 *
 * Return: the number of things done; 0: timeout, or stopped; -EBUSY as for vhk_loop_run(); another
 * negative errno when the loop cannot go on.
 */
VHK_API int vhk_loop_step(struct vhk_loop *l, int64_t timeout_ns);

/**
 * vhk_loop_stop() - make vhk_loop_run() return
 * @l: a loop
 *
 * Any thread, any callback, any signal handler. Ends one run, the present one or the next.
 */
VHK_API void vhk_loop_stop(struct vhk_loop *l);

/**
 * vhk_loop_fd() - what a foreign event loop waits for
 * @l: a loop made with VHK_LOOP_F_EMBED
 *
 * The fd is readable (level-triggered) when vhk_loop_step(@l, 0) has something to do, be it a kick,
 * a timer, a message or an operation's end. Nothing but polling may be done with it. Waiting for it
 * may return early with EINTR.
 *
 * Return: the fd, the loop's own; -EINVAL: not such a loop.
 */
VHK_API int vhk_loop_fd(const struct vhk_loop *l);

/**
 * vhk_loop_engine_name() - what the loop runs on
 * @l: a loop
 *
 * Return: "io_uring" or "epoll", static.
 */
VHK_API const char *vhk_loop_engine_name(const struct vhk_loop *l);

/**
 * struct vhk_loop_stats - counters of a loop since it was made
 * @rounds:   rounds gone
 * @sleeps:   waits that no work ended before they began
 * @syscalls: system calls by which the loop waited, handed operations over and fetched their ends,
 *            made those that it makes itself, took kicks out of pipes and sockets and called
 *            drivers. Those that add and remove things, and those of callbacks, do not count
 * @pinned:   bytes of guest memory that are registered now (VHK_LOOP_F_PIN)
 */
struct vhk_loop_stats {
	uint64_t rounds;
	uint64_t sleeps;
	uint64_t syscalls;
	uint64_t pinned;
};

/**
 * vhk_loop_stats() - read a loop's counters
 * @l:   a loop
 * @out: filled in; each counter is right, though not all of the same moment
 *
 * Any thread.
 */
VHK_API void vhk_loop_stats(const struct vhk_loop *l, struct vhk_loop_stats *out);

/**
 * vhk_loop_add_fd() - watch a file descriptor
 * @l:      a loop
 * @fd:     borrowed until vhk_loop_del_fd(); each is watched once
 * @events: EPOLLIN, EPOLLOUT, or none; EPOLLHUP and EPOLLERR come unasked
 * @fn:     called for as long as one of them holds (level-triggered)
 * @arg:    for @fn
 *
 * Return: 0; -EINVAL: no @fn, unknown @events, or a file that cannot be polled; -EBADF; -EBUSY: @fd
 * is watched already; -ENOMEM, -ENOSPC.
 */
VHK_API int vhk_loop_add_fd(struct vhk_loop *l, int fd, uint32_t events, vhk_fd_fn *fn, void *arg);

/**
 * vhk_loop_mod_fd() - watch for other events
 * @l:      a loop
 * @fd:     a watched one
 * @events: as for vhk_loop_add_fd()
 *
 * Return: 0; -EINVAL: @fd is not watched, or unknown @events; -ENOMEM, -ENOSPC: and not watched
 * now.
 */
VHK_API int vhk_loop_mod_fd(struct vhk_loop *l, int fd, uint32_t events);

/**
 * vhk_loop_del_fd() - watch no longer
 * @l:  a loop
 * @fd: a watched one
 *
 * Also from a callback, its own or another's. When it returns the callback is not called again, and
 * @fd may be closed.
 *
 * Return: 0; -EINVAL: @fd is not watched.
 */
VHK_API int vhk_loop_del_fd(struct vhk_loop *l, int fd);

/**
 * vhk_loop_add_timer() - call a function once
 * @l:   a loop
 * @ns:  from now, ns; not called earlier
 * @fn:  called once; the timer is gone by then
 * @arg: for @fn
 *
 * Return: a handle > 0 for vhk_loop_del_timer(); -EINVAL: no @fn; -ENOMEM.
 */
VHK_API int vhk_loop_add_timer(struct vhk_loop *l, uint64_t ns, vhk_timer_fn *fn, void *arg);

/**
 * vhk_loop_del_timer() - call it not after all
 * @l:      a loop
 * @handle: from vhk_loop_add_timer()
 *
 * Return: 0; -EINVAL: there is no such timer, perhaps because it was called.
 */
VHK_API int vhk_loop_del_timer(struct vhk_loop *l, int handle);

/**
 * vhk_loop_post() - have a function called in the loop's thread
 * @l: a loop; it need not run yet
 * @w: the loop's until @w->fn is called
 *
 * Any thread; takes no lock and cannot fail. Messages of one sender arrive in order, and never from
 * within this call.
 */
VHK_API void vhk_loop_post(struct vhk_loop *l, struct vhk_work *w);

/**
 * vhk_loop_stop_on_signal() - end vhk_loop_run() when a signal arrives
 * @l:     a loop
 * @signo: blocked in the calling thread from now on; other threads must block it too
 *
 * Return: 0; as for vhk_loop_add_signal().
 */
VHK_API int vhk_loop_stop_on_signal(struct vhk_loop *l, int signo);

/**
 * vhk_loop_add_signal() - have a function called when a signal arrives
 * @l:     a loop
 * @signo: blocked in the calling thread from now on; other threads must block it too
 * @fn:    called in the loop's thread, as any other callback; arrivals in between count as one
 * @arg:   for @fn
 *
 * Return: 0; -EINVAL: no @fn, or no such signal; -ENOMEM, -EMFILE.
 */
VHK_API int vhk_loop_add_signal(struct vhk_loop *l, int signo, void (*fn)(void *arg), void *arg);

/** Memory file system: system calls on it do not wait, so they are made at once (reads). */
#define VHK_FILE_F_INLINE_READ 0x1
/** The same for writes, syncs, holes and zeros. */
#define VHK_FILE_F_INLINE_WRITE 0x2
/**
 * A write may wait: the loop's writer makes it (vhk_loop_set_writer()). Without one io_uring hands
 * it to a thread of its own at once.
 */
#define VHK_FILE_F_ASYNC_WRITE 0x4
#define VHK_FILE_F_ALL 0x7

/**
 * enum vhk_io_op - what to do with a file
 * @VHK_IO_READ:  into iov
 * @VHK_IO_WRITE: from iov
 * @VHK_IO_FSYNC: data, and what is needed to find it, on the medium (fdatasync)
 * @VHK_IO_PUNCH: make a hole (discard)
 * @VHK_IO_ZERO:  make zeros, allocated; -EOPNOTSUPP where the file system cannot
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
 * What iov points to may have to be waited for (vhk_queue_late()): io_uring has a thread of its own
 * do it, with epoll the loop waits.
 */
#define VHK_IO_F_LATE 0x2
#define VHK_IO_F_ALL 0x3

/**
 * struct vhk_io - one operation on a file; the caller's memory, the loop's until @done
 * @op:    what
 * @file:  from vhk_loop_add_file() of this loop
 * @flags: VHK_IO_F_*
 * @n_iov: segments, up to 1024
 * @iov:   borrowed until @done, and so is what it points to
 * @off:   bytes from the start of the file
 * @len:   VHK_IO_PUNCH, VHK_IO_ZERO: bytes. The file's size stays
 * @done:  called once, in the loop's thread, from the loop or from within vhk_loop_submit(): bytes
 *         moved, 0, or a negative errno. Short transfers are handed on, not repeated. The operation
 *         may be submitted again, or freed, from then on
 * @next:  the loop's own
 * @begun: the loop's own
 * @loop:  the loop's own
 * @fd:    the loop's own
 * @res:   the loop's own
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
	uint64_t begun;
	struct vhk_loop *loop;
	int fd;
	int res;
};

/**
 * vhk_writer_new() - make a writer, for loops that run in other threads
 * @out: the writer, the caller's; untouched on failure
 *
 * A file system that makes every write through the page cache wait for something, or might, is
 * served by a thread of the caller's at less cost than by threads of io_uring: the writer is woken
 * up once for a batch. Writes are made one after the other, each loop's in the order it had them.
 *
 * Return: 0; -ENOMEM.
 */
VHK_API int vhk_writer_new(struct vhk_writer **out);

/**
 * vhk_writer_free() - end a writer
 * @w: or NULL; vhk_writer_run() has returned, and no loop has it
 */
VHK_API void vhk_writer_free(struct vhk_writer *w);

/**
 * vhk_writer_run() - make writes until vhk_writer_stop()
 * @w: of one thread, the caller's, until this returns
 *
 * What loops had handed over is made before it returns.
 */
VHK_API void vhk_writer_run(struct vhk_writer *w);

/**
 * vhk_writer_stop() - have vhk_writer_run() return
 * @w: any thread; the loops that use it have nothing under way, and submit nothing more
 */
VHK_API void vhk_writer_stop(struct vhk_writer *w);

/**
 * vhk_loop_set_writer() - who makes writes to files with VHK_FILE_F_ASYNC_WRITE
 * @l: a loop; its thread, or before it runs
 * @w: borrowed until the loop is freed; NULL: io_uring's threads, or with epoll the loop's own way
 *
 * Return: 0; -EBUSY: an operation is under way.
 */
VHK_API int vhk_loop_set_writer(struct vhk_loop *l, struct vhk_writer *w);

/**
 * vhk_loop_add_file() - make a file known to the loop
 * @l:     a loop; its thread, or before it runs
 * @fd:    borrowed until vhk_loop_del_file()
 * @flags: VHK_FILE_F_*
 *
 * With io_uring the first 64 are registered with the kernel, which then keeps the open file until
 * vhk_loop_del_file() or, after the process has ended, until the last operation on it has. A file
 * that is there with the same flags is the same one, and is to be deleted as often as it was added.
 *
 * Return: the file, >= 0; -EOPNOTSUPP: unknown flag; -EBADF; -ENOMEM.
 */
VHK_API int vhk_loop_add_file(struct vhk_loop *l, int fd, uint32_t flags);

/**
 * vhk_loop_del_file() - forget a file
 * @l:    a loop
 * @file: from vhk_loop_add_file(), with nothing under way on it if this is the last time
 */
VHK_API void vhk_loop_del_file(struct vhk_loop *l, int file);

/**
 * vhk_loop_submit() - begin an operation
 * @l:  a loop; its thread
 * @io: the loop's until @io->done
 *
 * Cannot fail: what is refused is done at once with -EBADF (no such file), -EINVAL (operation,
 * number of segments, place), -EOPNOTSUPP (flag) or -ECANCELED (the loop is being freed); what
 * finds no room waits. Operations may end in any order.
 */
VHK_API void vhk_loop_submit(struct vhk_loop *l, struct vhk_io *io);

/**
 * vhk_loop_io_in_flight() - operations submitted and not done
 * @l: a loop; its thread
 *
 * Return: how many.
 */
VHK_API unsigned int vhk_loop_io_in_flight(const struct vhk_loop *l);

#ifdef __cplusplus
}
#endif

#endif
