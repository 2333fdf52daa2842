/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Serving a device over vhost-user: the back end of the protocol, as socket server or client. One
 * session at a time per back end; when a front end is gone the next one is taken.
 *
 * Every message is served: features and protocol features; memory as a table and by slots, by user
 * or by guest addresses; rings whose notifications are eventfds, pipes, messages or none; the
 * configuration space and notices of its change; inflight tracking, reset and status; of live
 * migration the dirty log, which may be switched while rings run (VHOST_F_LOG_ALL, SET_LOG_BASE
 * with an fd or an address, SET_LOG_FD), rings that stop without waiting for their requests, the
 * device's own state, and, where it is asked for, postcopy. What means something to some device
 * types only goes to operations of the device, and is offered where it has them. Where
 * VHK_F_ACCESS_PLATFORM and BACKEND_REQ are negotiated, rings and descriptors hold IOVAs, which the
 * front end translates: IOTLB_MSG and BACKEND_IOTLB_MSG, up to VHK_IOTLB_LIMIT translations
 * (`iotlb.h`). Each part of a ring has to lie in one piece of the front end's memory. What is
 * malformed, not negotiated or out of place is refused, with a non-zero answer where one is due (a
 * reply without payload in place of a payload), and the session goes on. It ends when the front end
 * hangs up, when its byte stream cannot be understood, when it does not read its answers, when it
 * does not ask whether a ring starts and the device cannot be had, or when a file of its memory is
 * cut short.
 */
#ifndef VHOSTKIT_BACKEND_H
#define VHOSTKIT_BACKEND_H

#include <vhostkit/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A device served over vhost-user. Belongs to the thread that runs its control loop. */
struct vhk_backend;

/**
 * Postcopy migration is offered (VHK_PF_PAGEFAULT), and regions one by one are not, since the two
 * exclude each other. This process needs userfaultfd(2) for the kernel's faults, too: root or
 * CAP_SYS_PTRACE, vm.unprivileged_userfaultfd=1, or rights on /dev/userfaultfd. Queues have to run
 * on other loops than the control loop (vhk_device_set_loops()): one of theirs may wait for a page
 * as long as the front end likes, or until it hangs up. It waits for rings, descriptors and what
 * the device reads itself; files are read and written by others meanwhile, where the loop has
 * io_uring (vhk_queue_late()).
 *
 * A session that ends before all memory has arrived takes it away from whoever waits: the kernel
 * fails with -EFAULT, and this process gets a SIGBUS, which is for vhk_mem_fault(). Nothing reads
 * zeros in place of what did not arrive and acts upon them (vhk_queue_torn()).
 */
#define VHK_BACKEND_F_POSTCOPY 0x1
/**
 * Memory may be that of another Xen domain (VHK_PF_XEN_MMAP): regions come with a device file of
 * Xen's, and are mapped by frame number or by grant. Regions that may not be mapped as a whole are
 * refused.
 */
#define VHK_BACKEND_F_XEN 0x2
/**
 * vhk_backend_hand_over() may be called: files of the front end's memory and rings are kept open,
 * one more for each region and each ring that runs.
 */
#define VHK_BACKEND_F_HAND_OVER 0x4
#define VHK_BACKEND_F_ALL 0x7

/**
 * struct vhk_backend_opts - how a device is served
 * @sz:         sizeof(struct vhk_backend_opts)
 * @log:        where lines go; copied. Each names the socket. Of warnings and errors that peers
 *              cause 32 are logged, then one in ten seconds, which says how many were not
 * @on_session: called when a front end came (@up) or went and its queues have stopped; control
 *              thread. Also when its session was handed over, after vhk_backend_hand_over()'s @fn:
 *              the front end is still there, but is no longer ours. It must not close the back
 *              end. Optional
 * @arg:        handed to @on_session
 * @flags:      VHK_BACKEND_F_*
 * @over_ms:    vhk_backend_hand_over(): how long the other process may take before the rings rest
 *              for it, ms; 0: 10,000
 * @rest_ms:    and while they rest, which the guest notices: front ends give up after five seconds,
 *              some of them; ms, 0: 3,000
 */
struct vhk_backend_opts {
	size_t sz;
	struct vhk_log log;
	void (*on_session)(void *arg, bool up);
	void *arg;
	uint32_t flags;
	uint32_t over_ms;
	uint32_t rest_ms;
};

/**
 * vhk_backend_check() - whether this process can do what flags ask for
 * @flags: VHK_BACKEND_F_*
 *
 * Every back end with these flags begins with the same.
 *
 * Return: 0; -EPERM: VHK_BACKEND_F_POSTCOPY, and this process may not have a userfaultfd(2);
 * -ENOSYS: the kernel has none for shared memory; -EOPNOTSUPP: unknown flags; what the kernel said.
 */
VHK_API int vhk_backend_check(uint32_t flags);

/**
 * vhk_backend_listen() - serve a device on a listening socket
 * @out:  the back end, the caller's; NULL on failure
 * @ctl:  loop that runs the protocol; outlives the back end
 * @d:    the device; outlives the back end, and is served by no other
 * @path: of the socket, up to 107 bytes. A socket that a dead server left is replaced
 * @o:    options, or NULL
 *
 * A front end that connects while another is served finds its connection closed at once; one that
 * follows a front end that hung up waits until that one's queues have stopped (vhost-user,
 * "Communication").
 *
 * Return: 0; -EADDRINUSE: a live server has @path; -EBUSY: the device is served already; -EINVAL or
 * -EOPNOTSUPP: an option is wrong or unknown; as vhk_backend_check(); -ENOMEM; what the kernel
 * said of @path.
 */
VHK_API int vhk_backend_listen(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
			       const char *path, const struct vhk_backend_opts *o);

/**
 * vhk_backend_connect() - serve a device to a front end that listens
 * @out:  the back end, the caller's; NULL on failure
 * @ctl:  loop that runs the protocol; outlives the back end
 * @d:    the device; outlives the back end, and is served by no other
 * @path: of the front end's socket, up to 107 bytes. Nobody needs to listen there yet
 * @o:    options, or NULL
 *
 * Connects again whenever the front end is gone, with pauses that grow from 100 ms to 5 s as long
 * as no front end sends a request.
 *
 * Return: 0; -EBUSY: the device is served already; -EINVAL or -EOPNOTSUPP: an option is wrong or
 * unknown; as vhk_backend_check(); -ENOMEM; what the kernel said of @path, other than that nobody
 * is there.
 */
VHK_API int vhk_backend_connect(struct vhk_backend **out, struct vhk_loop *ctl,
				struct vhk_device *d, const char *path,
				const struct vhk_backend_opts *o);

/**
 * vhk_backend_take_fd() - serve a device on a socket that is there already
 * @out: the back end, the caller's; NULL on failure
 * @ctl: loop that runs the protocol; outlives the back end
 * @d:   the device; outlives the back end, and is served by no other
 * @fd:  a listening or a connected stream socket, told apart by SO_ACCEPTCONN; the library's, and
 *       closed even on failure. After a connected one has ended (opts.on_session) there is no other
 *       session
 * @o:   options, or NULL
 *
 * Return: 0; -EINVAL: @fd is no socket, or an option is wrong; -EAFNOSUPPORT: not a UNIX socket;
 * -EPROTOTYPE: not a stream socket; -ENOTCONN: neither listening nor connected; -EBUSY: the device
 * is served already; -EOPNOTSUPP: an option is unknown; as vhk_backend_check(); -ENOMEM.
 */
VHK_API int vhk_backend_take_fd(struct vhk_backend **out, struct vhk_loop *ctl,
				struct vhk_device *d, int fd, const struct vhk_backend_opts *o);

/**
 * typedef vhk_backend_over_fn - a hand-over has come to its end
 * @arg: the caller's own
 * @ret: vhk_backend_hand_over(): 0: process @pid serves; -ENOTCONN: it died with the session in
 *       its hands, which front ends see as the death of a back end. This back end serves nobody any
 *       more either way, and is only to be closed.
 *       vhk_backend_take_over(): 0: this back end serves. Else the other process goes on, and this
 *       back end is only to be closed: -EOPNOTSUPP, -EINVAL: what it has cannot be had here, and
 *       the log says what; -ENOTCONN: it hung up, be it that it died; -ETIMEDOUT; -EFAULT or what
 *       the device or the kernel said
 * @pid: the other process
 *
 * Control thread. It must not close the back end.
 */
typedef void vhk_backend_over_fn(void *arg, int ret, int pid);

/**
 * vhk_backend_hand_over() - let another process go on with the session
 * @b:    made with VHK_BACKEND_F_HAND_OVER
 * @path: of a socket that vhk_backend_take_over() of the other process connects to, up to 107
 *        bytes. A socket that a dead process left is replaced
 * @fn:   called once, after a hand-over that came to its end; not for those that failed and left
 *        the session here, which a line of the log tells of
 * @arg:  handed to @fn
 *
 * From now on, until the back end is closed, any process of the same user or of root may take over
 * what is served: the listening socket, the front end's connection with all that was settled on it,
 * its memory, its rings where they stand and the device (vhk_device_ops.hand_over). The front end
 * sees a pause in which nothing is answered: requests under way are completed first. At any time
 * one of the two processes serves, or none: where the other one refuses, dies or takes longer than
 * opts.over_ms before the rings rest for it, or opts.rest_ms while they do, this one goes on.
 *
 * Who hangs after it was given everything is waited for without limit, since it serves as soon as
 * it goes on, and two must not. The log says so after opts.rest_ms and then at intervals that grow
 * to a minute. Whoever kills that process has it decided: if it had not read what it was given,
 * this one goes on; else @fn is called with -ENOTCONN, and the front end is to connect again.
 *
 * During a live migration's postcopy phase, during a transfer of the device's state and with memory
 * of a Xen domain nothing is handed over, which is a failure as above.
 *
 * Return: 0; -EOPNOTSUPP: not made for it; -EBUSY: called before, or the back end has not taken
 * over or has handed over itself; -EADDRINUSE: a live process listens at @path; -ENOMEM; what the
 * kernel said of @path.
 */
VHK_API int vhk_backend_hand_over(struct vhk_backend *b, const char *path, vhk_backend_over_fn *fn,
				  void *arg);

/**
 * vhk_backend_take_over() - go on with what another process serves
 * @out:  the back end, the caller's; NULL on failure
 * @ctl:  loop that runs the protocol; outlives the back end
 * @d:    the device, which offers no less than the other process's: features, queues and their
 *        size, bytes of configuration space, and what its type compares (vhk_device_ops.take_over);
 *        outlives the back end, and is served by no other. Its loops run, or will
 * @from: of the socket that the other process's vhk_backend_hand_over() listens at
 * @path: of the socket that front ends come to, up to 107 bytes: where the listening socket that
 *        is taken over is found, to be removed at the end, or where to connect again. Refused
 *        where the other process has it elsewhere, known by the file. NULL: neither
 * @o:    options, or NULL. on_session tells of a front end that is taken over
 * @fn:   called once
 * @arg:  handed to @fn
 *
 * What the other process says is checked like a front end's messages, and judged before it lets
 * go: where something cannot be had here, one line of @o->log (VHK_LOG_ERROR) says what. The other
 * process needs to be of the same user or root. A configuration space of other contents is no
 * reason: the driver is told, as of any change.
 *
 * Return: 0: @fn will be called; -ENOENT, -ECONNREFUSED: nobody hands over at @from; -EPERM: it is
 * another user's; -EBUSY: the device is served already; -EINVAL or -EOPNOTSUPP: an option is wrong
 * or unknown; as vhk_backend_check(); -ENOMEM; what the kernel said.
 */
VHK_API int vhk_backend_take_over(struct vhk_backend **out, struct vhk_loop *ctl,
				  struct vhk_device *d, const char *from, const char *path,
				  const struct vhk_backend_opts *o, vhk_backend_over_fn *fn,
				  void *arg);

/**
 * vhk_backend_is_over() - whether nobody is served and nobody will be
 * @b: the back end
 *
 * Return: true: its only connection has ended (vhk_backend_take_fd()), or it was handed over; it is
 * only to be closed. Within opts.on_session, too.
 */
VHK_API bool vhk_backend_is_over(const struct vhk_backend *b);

/**
 * vhk_backend_close() - end the session and stop serving
 * @b: the back end; NULL is accepted
 *
 * Takes no more front ends, stops all queues and waits up to a second for requests under way,
 * running the control loop meanwhile; the device's other loops must still run. Then the connection
 * is closed, and the socket removed if it is the one that vhk_backend_listen() made. A device that
 * does not come to rest in time keeps what it works with, the device stays held, and the process
 * should end: with inflight tracking nothing is lost.
 */
VHK_API void vhk_backend_close(struct vhk_backend *b);

#ifdef __cplusplus
}
#endif

#endif
