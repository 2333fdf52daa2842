/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front end: drives a data plane, whichever door it stands behind: another process
 * (vhost-user), the kernel (vhost-net, vhost-vsock, vhost-scsi) or a vDPA device. Level 2 sets up
 * and starts in a few calls; level 1 has one function per message, so that a VMM can replay an
 * order of its own. Both come in two forms: a call that waits, never longer than its deadline, and
 * a request or job whose end is told to a function, for callers with an event loop of their own
 * (vhk_ctl_fd(), vhk_ctl_process()).
 *
 * What differs between the doors:
 *   addresses    vDPA devices take IOVAs, and many do nothing without ACCESS_PLATFORM: want it
 *                (vhk_ctl_setup() takes it for them wherever it is offered). The others take it if
 *                it is wanted, and ask for translations then (opts.on_iotlb)
 *   memory       vhost-user shares files (vhk_mem_add_keep_take_fd(), vhk_mem_alloc()); the
 *                kernel's doors take any memory of this process
 *   ring sizes   vDPA: vhk_ctl_get_vring_num() tells the largest; vhost-user: no larger than the
 *                inflight region is made for (opts.queue_size); nothing tells what a back end takes
 *                beyond, it refuses the rest (-EREMOTEIO)
 *   start        vDPA: several queues by vhk_ctl_start_all(). For one that is added later the
 *                device is reset, and all are started anew: -EBUSY while one has requests in
 *                flight. vhost-net, -vsock and -scsi want one ioctl more (vhk_ctl_start())
 *   stop         vDPA: the device is reset with the last of its queues; vhost-net loses the queue's
 *                tap; vhost-vsock and vhost-scsi stop altogether
 *   reconnect    vhost-user goes on with what was outstanding where it has an inflight region; a
 *                device of the kernel's is set up anew
 *   messages     vhk_ctl_can() tells which there are; those of ctl_kern.h are the kernel's
 *
 * Codes that any function which talks to the peer may return, beside those of its own:
 *   -EOPNOTSUPP  this front end or the connection does not have the message (not negotiated, not
 *                implemented)
 *   -EREMOTEIO   the peer answered that it refuses or that it failed; the connection lives
 *   -ETIMEDOUT   no answer within the deadline; the connection lives, a late answer is thrown away,
 *                and none at all is found out by the answer to another message
 *   -ENOTCONN    the peer is gone, or was given up after -EPROTO: vhk_ctl_reconnect() is the way on
 *   -EPROTO      the peer sent what it must not; the connection is closed
 *   -EINVAL      an argument is out of range; nothing was sent
 *   -EBUSY       called from within a completion function, or a job is under way; kernel: the
 *                device has an owner already, or runs
 *   -EPERM       kernel: this process is not the owner (vhk_ctl_set_owner())
 *   -ENOBUFS     kernel: there is no such ring
 *   -ENOMEM
 * and what an ioctl(2) gave that is none of these. Requests to the kernel are done on return.
 */
#ifndef VHOSTKIT_CTL_H
#define VHOSTKIT_CTL_H

#include <sys/types.h>

#include <vhostkit/ctl_kern.h>
#include <vhostkit/ctl_back.h>
#include <vhostkit/ctl_msg.h>
#include <vhostkit/iotlb.h>
#include <vhostkit/mem.h>
#include <vhostkit/vhk.h>
#include <vhostkit/vq.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Open returns at once, with the connection still on its way; requests wait for it. */
#define VHK_CTL_F_NONBLOCK 0x1
/**
 * "unix:": nobody there yet is no error; connecting is tried again. Open itself waits for that,
 * opts.timeout_ms at most (-ETIMEDOUT); with VHK_CTL_F_NONBLOCK the first request does.
 */
#define VHK_CTL_F_WAIT 0x2
#define VHK_CTL_F_ALL 0x3

/**
 * struct vhk_ctl_opts - how a front end talks
 * @sz:         sizeof(struct vhk_ctl_opts)
 * @timeout_ms: longest wait for the peer in one call, ms. 0: default (5,000)
 * @flags:      VHK_CTL_F_*
 * @log:        where lines go; copied
 * @on_config:  the device's configuration space changed; from within a call or vhk_ctl_process().
 *              Optional
 * @arg:        handed to @on_config and @on_iotlb
 * @without:    protocol features (VHK_PF_*) that vhk_ctl_setup() leaves out even where both ends
 *              know them
 * @n_queues:   queues that the inflight region is made for. 0: as many as the back end has
 * @queue_size: largest ring that the inflight region is made for. 0: the largest of the first start
 * @on_iotlb:   the device lacks a translation (VHK_IOTLB_MISS) or was refused one
 *              (VHK_IOTLB_ACCESS_FAIL); from within a call or vhk_ctl_process(). May call
 *              vhk_ctl_submit(), with a request that outlives it; @m is lent. NULL: a miss is
 *              answered from the memory of vhk_ctl_setup(), where an IOVA is a guest address. vDPA
 *              devices tell of neither
 * @back:       what serves the back end's requests; copied. NULL: they are refused, but for notices
 *              of changed configuration
 * @also:       protocol features (VHK_PF_*) that vhk_ctl_setup() takes beside those which it uses
 *              by itself, where the back end offers them. What means nothing without others that
 *              are not taken is left out, with a line at VHK_LOG_INFO.
 *              VHK_PF_INBAND_NOTIFICATIONS: queues are started, kicked and called by messages.
 *              VHK_PF_GPA_ADDRESSES: the back end is told guest addresses in place of ours
 * @xen_flags:  with VHK_PF_XEN_MMAP: how the back end maps each region. 1: by frame number, 2: by
 *              grant; its file is a device file of Xen's then. 0: like any file
 * @xen_domid:  and of which domain it is
 */
struct vhk_ctl_opts {
	size_t sz;
	uint32_t timeout_ms;
	uint32_t flags;
	struct vhk_log log;
	void (*on_config)(void *arg);
	void *arg;
	uint64_t without;
	uint16_t n_queues;
	uint16_t queue_size;
	void (*on_iotlb)(void *arg, const struct vhk_iotlb_msg *m);
	const struct vhk_ctl_back *back;
	uint64_t also;
	uint32_t xen_flags;
	uint32_t xen_domid;
};

/**
 * typedef vhk_ctl_done_fn - end of a job
 * @arg: the caller's own
 * @ret: what the waiting form returns
 *
 * May submit and begin the next job, may not wait or close.
 */
typedef void vhk_ctl_done_fn(void *arg, int ret);

/**
 * vhk_ctl_open() - connect to a data plane
 * @out: the front end; NULL on failure
 * @uri: "unix:PATH" (connects to a vhost-user socket), "listen:PATH" (the back end connects to us),
 *       "/dev/vhost-net", "/dev/vhost-vsock", "/dev/vhost-scsi", "/dev/vhost-vdpa-N" or any other
 *       path of such a device, "vdpa:NAME" (a vDPA device by its name, bound to vhost_vdpa), "fd:N"
 *       (a connected or listening vhost-user socket, or such a device; closed even on failure)
 * @o:   NULL: defaults
 *
 * What a device is is told by its number (/sys/dev/char), or else by the name of its node. Where
 * opening a device by path or name fails and opts.log listens, one line says what to do; other URIs
 * fail by their code alone.
 *
 * Return: 0; -EINVAL unknown kind of URI, or neither a socket nor a device that is known;
 * -EOPNOTSUPP unknown flag; -ENOENT or -ECONNREFUSED nobody serves PATH; -EADDRINUSE somebody else
 * listens at PATH; -ETIMEDOUT no back end came, or the one at PATH took no connection; -ENOENT
 * there is no such device; -ENODEV there is its node, but no driver: the module is missing;
 * "vdpa:": -ENXIO the device is bound to no driver, or to another one, or its node leads to another
 * device; -EBUSY a vDPA device is open elsewhere; -EACCES, -EPERM no rights; "fd:" of a socket:
 * -EAFNOSUPPORT not a UNIX one, -EPROTOTYPE not a stream, -ENOTCONN neither listening nor
 * connected; or what the system call gave.
 */
VHK_API int vhk_ctl_open(struct vhk_ctl **out, const char *uri, const struct vhk_ctl_opts *o);
/**
 * vhk_ctl_close() - hang up and free; requests and jobs under way end with -ENOTCONN
 * @c: NULL is accepted. Queues and memory are the caller's and stay
 *
 * May take some ten milliseconds where vhk_ctl_kick() was used with vhost-user: the kernel takes so
 * long to end what rang for it.
 */
VHK_API void vhk_ctl_close(struct vhk_ctl *c);

/**
 * vhk_ctl_fd() - readable (poll, epoll) when vhk_ctl_process() has something to do, a deadline that
 * passed included
 * @c: the front end
 *
 * Return: the fd, borrowed, the same for the whole life of @c.
 */
VHK_API int vhk_ctl_fd(const struct vhk_ctl *c);

/**
 * vhk_ctl_process() - receive, send and finish whatever is ready; never waits
 * @c: the front end
 *
 * Return: 0; -ENOTCONN there is no peer; -EPROTO it has just been given up; -EBUSY from within a
 * completion function.
 */
VHK_API int vhk_ctl_process(struct vhk_ctl *c);

/**
 * vhk_ctl_peer_pid() - who is at the other end (SO_PEERCRED)
 * @c: the front end
 *
 * Return: process id; -ENOTCONN; -EOPNOTSUPP where there is none.
 */
VHK_API int vhk_ctl_peer_pid(const struct vhk_ctl *c);

/* Level 2. One job at a time. */
/**
 * vhk_ctl_setup() - negotiate, claim, share memory: pipelined, at most four round trips
 * @c:    freshly opened
 * @want: features to take where they are offered
 * @must: features that have to be offered
 * @m:    may be empty; borrowed until vhk_ctl_close(); each vhk_ctl_start() shares what changed in
 *        it. Regions of queues that run stay
 *
 * vhost-user shares memory by file: of vhk_mem_alloc(), or a VMM's own by
 * vhk_mem_add_keep_take_fd(). A region without (vhk_mem_add_va(), vhk_mem_add_take_fd()) fails with
 * -EINVAL and the line "region 0x...: it has no file to share". The kernel's doors take all of
 * them.
 * vhost-user: negotiates every protocol feature both ends know but opts.without. Kernel vhost:
 * owner, features, backend features, and memory where @m has it mapped. vDPA: the same, with @m
 * mapped at the IOVA that its guest address is and with VHK_F_ACCESS_PLATFORM where it is offered.
 * Return: 0; -EOPNOTSUPP one of @must is missing; -EMSGSIZE more regions than the back end takes,
 * which without VHK_PF_CONFIGURE_MEM_SLOTS is 8;
 * -EINVAL @m is NULL, or has a region without fd (vhost-user); -EBUSY it was set up before, a job
 * is under way, or the kernel's device has an owner; vDPA: as vhk_ctl_iotlb(); or a code as above.
 */
VHK_API int vhk_ctl_setup(struct vhk_ctl *c, uint64_t want, uint64_t must, struct vhk_mem *m);

/**
 * vhk_ctl_features() - what setup, or SET_FEATURES, settled on
 * @c: the front end
 *
 * Return: feature bits, a mask, vhost-user's own bit 30 included; 0: nothing so far.
 */
VHK_API uint64_t vhk_ctl_features(const struct vhk_ctl *c);

/**
 * vhk_ctl_protocol_features() - what setup, or SET_PROTOCOL_FEATURES, settled on
 * @c: the front end
 *
 * Return: VHK_PF_*, a mask; 0: nothing so far.
 */
VHK_API uint64_t vhk_ctl_protocol_features(const struct vhk_ctl *c);

/**
 * vhk_ctl_n_queues() - queues that the back end has, where it said so (VHK_PF_MQ, vDPA)
 * @c: the front end
 *
 * Return: their number; 0: unknown.
 */
VHK_API unsigned int vhk_ctl_n_queues(const struct vhk_ctl *c);

/**
 * vhk_ctl_start() - start and enable a queue; kick, call and error eventfds are made here
 * @c:   set up
 * @idx: 0 to 255
 * @q:   borrowed until vhk_ctl_stop() or vhk_ctl_close(). Made for what vhk_ctl_features() says:
 *        RING_PACKED, EVENT_IDX and IN_ORDER as there, no indirect tables without INDIRECT_DESC;
 *        to make none where it was negotiated is fine
 *
 * Of the kernel's devices some want one thing more before they work: vhost-net
 * vhk_ctl_net_set_backend() for each queue, vhost-vsock vhk_ctl_vsock_set_guest_cid() and
 * vhk_ctl_vsock_set_running(), vhost-scsi vhk_ctl_scsi_set_endpoint() when all queues are started.
 * A vDPA device takes its queues all at once, with DRIVER_OK: another one that comes later has the
 * device reset and all of them started anew, which fails with -EBUSY where one has requests in
 * flight. vhk_ctl_start_all() has none of this.
 *
 * Return: 0; -EBUSY it runs, @q is another queue's, or @c is not set up; -EINVAL @q was made for
 * other features than were negotiated (a line names the first), or @idx or the ring's size exceeds
 * the inflight region (see opts); -EFAULT @q is not in the memory; -EMSGSIZE as vhk_ctl_setup();
 * -EBADMSG @q is broken (vhk_vq_addr()); or a code as above.
 */
VHK_API int vhk_ctl_start(struct vhk_ctl *c, unsigned int idx, struct vhk_vq *q);

/**
 * vhk_ctl_start_all() - start queues 0 to @n - 1, all in one or two round trips; all or none
 * @c: set up
 * @q: the queues, each borrowed as by vhk_ctl_start(); the array for the call
 * @n: how many, 1 to 256
 *
 * Return: as vhk_ctl_start().
 */
VHK_API int vhk_ctl_start_all(struct vhk_ctl *c, struct vhk_vq *const *q, unsigned int n);

/**
 * vhk_ctl_stop() - stop a queue after what is in flight is answered
 * @c:    the front end
 * @idx:  0 to 255
 * @base: the position, as for vhk_ctl_set_vring_base(); may be NULL. A queue that is started again
 *        goes on there
 *
 * vhost-net loses the queue's tap or socket; vhost-vsock and vhost-scsi stop altogether. A vDPA
 * device is suspended, where it can be, and reset with the last of its queues; one of several is
 * disabled.
 *
 * To reset one queue of a vhost-user back end (VHK_F_RING_RESET; virtio 1.3, 2.6.1) while the
 * others go on: vhk_ctl_stop(), vhk_vq_get() for what was answered until then, vhk_vq_reset() or
 * another struct vhk_vq, of another size too, vhk_ctl_start().
 * Return: 0; -EBUSY it does not run. After another error the queue is stopped on our side.
 */
VHK_API int vhk_ctl_stop(struct vhk_ctl *c, unsigned int idx, uint32_t *base);

/**
 * vhk_ctl_kick() - tell the back end of work (virtio 1.3, 2.9)
 * @c:   the front end
 * @idx: 0 to 255
 *
 * A vhost-user back end shares the open file of the kick eventfd, and may fill it and make it one
 * that waits at any moment. This never waits for it all the same: the kernel raises the eventfd, by
 * Linux AIO (one context for each front end that kicks, of fs.aio-max-nr). Where that is refused
 * the eventfd is looked at and then written to, and a back end that acts exactly between the two
 * can keep the caller.
 * Return: 0; -EBUSY the queue does not run; or what write(2) gave.
 */
VHK_API int vhk_ctl_kick(struct vhk_ctl *c, unsigned int idx);

/**
 * vhk_ctl_wait() - arm, look, sleep until the queue has answers
 * @c:          the front end
 * @idx:        0 to 255
 * @timeout_ns: ns; -1, and any other number below 0: no limit; 0: only look
 *
 * The peer's other messages are served meanwhile. Whatever it does to the call eventfd, the limit
 * holds.
 * Return: 0; -ETIMEDOUT; -ENOTCONN the peer is gone; -EBADMSG it gave the ring up (error eventfd);
 * -EBUSY the queue does not run.
 */
VHK_API int vhk_ctl_wait(struct vhk_ctl *c, unsigned int idx, int64_t timeout_ns);

/**
 * vhk_ctl_fault() - why a queue gets no more answers, for who waits by vhk_ctl_fd() and
 * vhk_ctl_call_fd()
 * @c:   the front end
 * @idx: 0 to 255
 *
 * Tells what vhk_ctl_process() has met so far; of answers that came before it says nothing.
 * Return: 0: nothing is wrong; -ENOTCONN the peer is gone; -EPROTO it was given up for what it
 * sent; -EBADMSG it gave the ring up (error eventfd); -EBUSY the queue does not run.
 */
VHK_API int vhk_ctl_fault(const struct vhk_ctl *c, unsigned int idx);

/**
 * vhk_ctl_call_fd() - the eventfd that the back end calls with
 * @c:   the front end
 * @idx: 0 to 255
 *
 * A read may wait, if a vhost-user back end wants it to, unless by preadv2(2) with RWF_NOWAIT.
 * Return: the fd, borrowed until the queue stops; the caller may read it. -EBUSY: does not run.
 */
VHK_API int vhk_ctl_call_fd(const struct vhk_ctl *c, unsigned int idx);

/**
 * vhk_ctl_kick_fd() - the eventfd that the back end is kicked by
 * @c:   the front end
 * @idx: 0 to 255
 *
 * A write to it may wait, if a vhost-user back end wants it to (vhk_ctl_kick()).
 * Return: the fd, borrowed until the queue stops; the caller may write to it. -EBUSY: does not run.
 */
VHK_API int vhk_ctl_kick_fd(const struct vhk_ctl *c, unsigned int idx);

/**
 * vhk_ctl_reconnect() - connect anew after -ENOTCONN and replay features, memory, inflight region
 * and started queues
 * @c: set up once
 *
 * Waits for the back end to come back, and tries again when it hangs up at once, as a server does
 * that was just killed, until opts.timeout_ms have passed; an attempt that has begun by then has
 * as long again. Call and kick eventfds stay the same, and each queue is kicked once. With an
 * inflight region (VHK_PF_INFLIGHT_SHMFD) the back end goes on with every request that was
 * outstanding. Without, the caller first resets its queues (vhk_vq_reset()), and
 * adds the requests again afterwards. A device of the kernel's is opened and set up anew, as after
 * close; what vhk_ctl_start() asks for is to be done again, too.
 * Return: 0; -EBUSY setup never succeeded; -EOPNOTSUPP the back end came back with less than it
 * had (features, protocol features, queues that are in use, memory slots; a line says what), or
 * the socket was given as a connected fd; -ETIMEDOUT it did not come back; -EBADMSG a queue's ring
 * is broken (vhk_vq_addr()). May be called again.
 */
VHK_API int vhk_ctl_reconnect(struct vhk_ctl *c);

/**
 * vhk_ctl_setup_async() - vhk_ctl_setup() without waiting
 * @c:    as there
 * @want: as there
 * @must: as there
 * @m:    as there
 * @done: called once, with what vhk_ctl_setup() would return; perhaps before this returns
 * @arg:  handed to @done
 *
 * Return: 0: @done will be called or was. Negative: it will not be; -EBUSY, -ENOMEM, or -EINVAL: @m
 * is NULL.
 */
VHK_API int vhk_ctl_setup_async(struct vhk_ctl *c, uint64_t want, uint64_t must, struct vhk_mem *m,
				vhk_ctl_done_fn *done, void *arg);

/**
 * vhk_ctl_start_async() - vhk_ctl_start_all() without waiting, from any queue on
 * @c:     set up
 * @first: index of the first queue, 0 to 255
 * @q:     the queues, each borrowed as by vhk_ctl_start(); the array for the call
 * @n:     how many
 * @done:  as in vhk_ctl_setup_async(); @ret as from vhk_ctl_start()
 * @arg:   handed to @done
 *
 * Return: as vhk_ctl_setup_async(); -EINVAL: @first and @n are out of range; what vhk_ctl_start()
 * says of @q's features and of one ring as two queues.
 */
VHK_API int vhk_ctl_start_async(struct vhk_ctl *c, unsigned int first, struct vhk_vq *const *q,
				unsigned int n, vhk_ctl_done_fn *done, void *arg);

/**
 * vhk_ctl_stop_async() - vhk_ctl_stop() without waiting, of several queues
 * @c:     the front end
 * @first: index of the first queue, 0 to 255
 * @n:     how many
 * @done:  as in vhk_ctl_setup_async(); @ret as from vhk_ctl_stop()
 * @arg:   handed to @done
 *
 * Return: as vhk_ctl_setup_async(); -EINVAL: @first and @n are out of range.
 */
VHK_API int vhk_ctl_stop_async(struct vhk_ctl *c, unsigned int first, unsigned int n,
			       vhk_ctl_done_fn *done, void *arg);

/**
 * typedef vhk_ctl_put_fn - takes a piece of a device's state
 * @arg: the caller's own
 * @buf: borrowed for the call
 * @len: bytes, not 0
 *
 * Return: 0, or what ends the transfer, negative.
 */
typedef int vhk_ctl_put_fn(void *arg, const void *buf, size_t len);

/**
 * typedef vhk_ctl_get_fn - gives the next piece of a device's state
 * @arg: the caller's own
 * @buf: where it goes
 * @len: room, bytes
 *
 * Return: bytes, 0 at the end, or what ends the transfer, negative.
 */
typedef ssize_t vhk_ctl_get_fn(void *arg, void *buf, size_t len);

/**
 * vhk_ctl_save_state() - take a device's own state out of a back end (vhost-user, "Migrating
 * back-end state")
 * @c:   the front end; no queue runs
 * @put: called with the pieces in order, from within this call only
 * @arg: handed to @put
 *
 * Return: 0: all of it was taken, and the back end says that it is whole; what @put returned;
 * -EREMOTEIO: the back end failed, or what it lent to move the state through did; -EPROTO: that is
 * no pipe or socket, or not to be used in this direction; -ETIMEDOUT: nothing came for so long;
 * -EBUSY; or a code as above.
 */
VHK_API int vhk_ctl_save_state(struct vhk_ctl *c, vhk_ctl_put_fn *put, void *arg);

/**
 * vhk_ctl_load_state() - give a back end the state that another one was in
 * @c:   the front end; no queue runs
 * @get: called for the pieces in order, from within this call only
 * @arg: handed to @get
 *
 * A transfer that @get ends is one that the back end may have taken for whole: the device is to be
 * reset.
 * Return: 0: the back end took all of it over; what @get returned; -EREMOTEIO: it did not; and the
 * rest as vhk_ctl_save_state().
 */
VHK_API int vhk_ctl_load_state(struct vhk_ctl *c, vhk_ctl_get_fn *get, void *arg);

/**
 * vhk_ctl_reconnect_async() - vhk_ctl_reconnect() without waiting
 * @c:    as there
 * @done: as in vhk_ctl_setup_async(); @ret as from vhk_ctl_reconnect()
 * @arg:  handed to @done
 *
 * Return: as vhk_ctl_setup_async().
 */
VHK_API int vhk_ctl_reconnect_async(struct vhk_ctl *c, vhk_ctl_done_fn *done, void *arg);

#ifdef __cplusplus
}
#endif

#endif
