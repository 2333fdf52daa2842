/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A virtio device, written once and served through any door: what a device author implements, and
 * what the library gives him for it. Knows no socket and no protocol.
 */
#ifndef VHOSTKIT_DEVICE_H
#define VHOSTKIT_DEVICE_H

#include <sys/types.h>

#include <vhostkit/loop.h>
#include <vhostkit/ring.h>
#include <vhostkit/share.h>
#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A device: what it is, its configuration space and its queues. Its control thread is the one that
 * runs the loop of the door which serves it.
 */
struct vhk_device;
/** A queue of a device, while it runs. Belongs to the thread of its loop; vhk_queue_loop() */
struct vhk_queue;

/** Bytes and files of a device that another process goes on with, at most. */
#define VHK_PARCEL_BYTES 1024
#define VHK_PARCEL_FDS 16
/** Of the line that says why a parcel is not taken, its end included. */
#define VHK_PARCEL_WHY 160

/**
 * struct vhk_parcel - what a device hands to the process that goes on with it
 * (vhk_backend_hand_over())
 * @len:   bytes used, up to VHK_PARCEL_BYTES
 * @n_fds: files, up to VHK_PARCEL_FDS
 * @fd:    the files: borrowed from the device that hands over; of those that come, the device that
 *         takes over puts -1 in the place of what it keeps
 * @at_rest: false: the queues still run there, and the parcel is for being judged, nothing of it to
 *         be kept; true: they rest, and it is taken over. Each hand-over has both, in this order
 * @why:   where vhk_device_ops.take_over may say why it refuses, in some words for the log
 * @bytes: in a form of the device type's own, which is the same machine's
 */
struct vhk_parcel {
	uint32_t len;
	uint32_t n_fds;
	int fd[VHK_PARCEL_FDS];
	bool at_rest;
	char why[VHK_PARCEL_WHY];
	unsigned char bytes[VHK_PARCEL_BYTES];
};

/**
 * struct vhk_device_ops - what a device type does
 * @sz:          sizeof(struct vhk_device_ops)
 * @set_features: what was negotiated. Control thread, no queue runs. May refuse. Optional
 * @get_config:  copy @len bytes from @off of the configuration space; [off, off + len) is inside
 *               it. Control thread
 * @set_config:  the driver writes it; -EOPNOTSUPP or -EINVAL refuses. Control thread. Optional
 * @queue_start: a queue begins. Its loop's thread. Optional
 * @queue_stop:  a queue has ended; nothing of it is in flight. Its loop's thread. Optional
 * @work:        @n chains were popped: answer each of them, now or later, with vhk_queue_done().
 *               Queue's thread. @n is 0: there are some in a queue that is pulled
 *               (vhk_queue_pull())
 * @reset:       the driver reset the device; no queue runs. Control thread. Optional
 * @free:        last call; frees priv. Optional
 * @restore_config: a migration writes it, read-only fields included (vhost-user, SET_CONFIG, flag
 *               1); a negative code refuses. Control thread. Optional: @set_config has its place
 *
 * Messages that mean something to some device types only; each comes in the control thread, and a
 * negative code refuses it. Where one is absent, its protocol feature is not offered.
 *
 * @send_rarp:   tell the network that the guest with this address is here (vhost-user, SEND_RARP)
 * @set_mtu:     the host's MTU; a negative code: it does not suit (NET_SET_MTU)
 * @set_endian:  byte order of a legacy driver's queue, before it starts (SET_VRING_ENDIAN). The
 *               library's rings are little endian: @big is false, since it refuses the other order
 *               by itself
 * @open_crypto: make a crypto session out of the @len bytes at @data, in the layout that both ends
 *               agreed on, and write the answer in their place (CREATE_CRYPTO_SESSION)
 * @close_crypto: end it. Needed with @open_crypto (CLOSE_CRYPTO_SESSION)
 * @set_gpu_take_fd: the socket for vhk_gpu_new(), the device's even on failure (GPU_SET_SOCKET)
 * @get_object:  the file of an object of ours into *@fd, the library's from then on
 *               (GET_SHARED_OBJECT). Needed for vhk_device_add_object() and the like
 * @get_shmem:   sizes of the shared memory regions by id, multiples of the page size, 0 where there
 *               is none, into the VHK_SHMEM_MAX zeros at @size; always the same. Returns how many
 *               there are. Needed for vhk_device_map_shmem() (GET_SHMEM_CONFIG)
 * @begin:       the first queue is about to start: take hold of what is shared with other servers.
 *               -EAGAIN: not to be had yet, asked again in 2 ms. Control thread. Optional
 * @end:         the last queue has stopped: let go of it, before the front end hears of it;
 *               @logged: what the device wrote was logged up to the end, so the virtual machine may
 *               go on elsewhere. Also, with false, when @begin said -EAGAIN and is not asked again:
 *               the wait is over, nothing is held. Control thread. Optional
 * @queue_suspend: the queue ends without waiting: what has not been done goes to
 *               vhk_queue_give_back(), what has been to vhk_queue_done(), as soon as nothing of it
 *               can touch the driver's memory or the medium any more. Its loop's thread. Optional:
 *               all that is in hand is waited for
 * @queue_enable: a queue that has started is enabled or disabled (vhost-user, SET_VRING_ENABLE);
 *               its loop's thread. Optional
 * @save:        fill @buf with up to @len bytes of the device's state, from its byte @off on, in
 *               order; @off 0 begins anew. Return: how many, 0: that was all, or -errno. Control
 *               thread, no queue runs. Optional, with @load
 * @load:        @len bytes of a state that @save made, in order; @off 0 begins anew, and @len 0
 *               follows the last: only then the state is to be taken over. Anybody may have sent
 *               it. 0 or -errno. Control thread, no queue runs. Optional, with @save
 * @hand_over:   fill in what another process needs to go on with the device, beside what @save
 *               has (vhk_backend_hand_over()). It may come to nothing, and the queues start here
 *               again; @end is not called in between. Called twice, before and after the queues
 *               come to rest (vhk_parcel.at_rest). Control thread. Optional
 * @take_over:   the other side of it, before a queue starts: refuses what is not as drivers know it
 *               from the other process, and at rest goes on with it. Anybody may have sent it: a
 *               negative code refuses, and the other process goes on. Control thread. Needed for
 *               what has @hand_over there, and needs it there
 */
struct vhk_device_ops {
	size_t sz;
	int (*set_features)(void *priv, uint64_t features);
	int (*get_config)(void *priv, uint32_t off, void *buf, uint32_t len);
	int (*set_config)(void *priv, uint32_t off, const void *buf, uint32_t len);
	int (*queue_start)(void *priv, struct vhk_queue *q);
	void (*queue_stop)(void *priv, struct vhk_queue *q);
	void (*work)(void *priv, struct vhk_queue *q, struct vhk_chain **chains, unsigned int n);
	void (*reset)(void *priv);
	void (*free)(void *priv);
	int (*restore_config)(void *priv, uint32_t off, const void *buf, uint32_t len);
	int (*send_rarp)(void *priv, const uint8_t mac[6]);
	int (*set_mtu)(void *priv, uint16_t mtu);
	int (*set_endian)(void *priv, unsigned int queue, bool big);
	int (*open_crypto)(void *priv, void *data, uint32_t len);
	int (*close_crypto)(void *priv, uint64_t id);
	int (*set_gpu_take_fd)(void *priv, int fd);
	int (*get_object)(void *priv, const struct vhk_uuid *id, int *fd);
	unsigned int (*get_shmem)(void *priv, uint64_t *size);
	int (*begin)(void *priv);
	void (*end)(void *priv, bool logged);
	void (*queue_suspend)(void *priv, struct vhk_queue *q);
	ssize_t (*save)(void *priv, uint64_t off, void *buf, size_t len);
	int (*load)(void *priv, uint64_t off, const void *buf, size_t len);
	int (*hand_over)(void *priv, struct vhk_parcel *p);
	int (*take_over)(void *priv, struct vhk_parcel *p);
	void (*queue_enable)(void *priv, struct vhk_queue *q, bool on);
};

/** The device lends host notifiers: vhk_device_lend_notifier(). */
#define VHK_DEVICE_F_NOTIFIER 0x1
/**
 * ops.work gets as many chains as there are, up to 32, and not as many as the loop gathers answers
 * for: for devices that answer a batch at once (vhk_queue_done_all()).
 */
#define VHK_DEVICE_F_BATCH 0x2
#define VHK_DEVICE_F_ALL 0x3

/**
 * struct vhk_device_info - what a device is
 * @sz:          sizeof(struct vhk_device_info)
 * @device_id:   virtio device id (virtio 1.3, section 5)
 * @features:    offered: the device type's bits and, of VHK_F_RING_ALL and VHK_F_RING_RESET, the
 *               rings'. Not VHK_F_NOTIFICATION_DATA: kicks come by eventfd or message, without data
 * @n_queues:    1 to 1024
 * @queue_size:  largest ring size, 1 to 32768. Over vhost-user the front end is not told: QEMU 10
 *               lets drivers choose 1024, and a larger ring than this is refused
 * @ctx_size:    bytes of context per chain
 * @max_segs:    segments per chain at most; 0: 128
 * @config_size: bytes of configuration space, up to 256
 * @flags:       VHK_DEVICE_F_*
 */
struct vhk_device_info {
	size_t sz;
	uint32_t device_id;
	uint64_t features;
	uint16_t n_queues;
	uint16_t queue_size;
	uint32_t ctx_size;
	uint16_t max_segs;
	uint32_t config_size;
	uint32_t flags;
};

/**
 * vhk_device_new() - make a device (virtio 1.3, section 2)
 * @out:  the device, the caller's; NULL on failure
 * @info: what it is; copied
 * @ops:  what it does; copied. work is needed, and get_config where there is a configuration space
 * @priv: handed to each of @ops; the caller's if this fails, else freed by ops.free
 *
 * Return: 0; -EINVAL: a number is out of range, or an operation is missing; -EOPNOTSUPP: an unknown
 * member or flag is set, or VHK_F_NOTIFICATION_DATA is; -ENOMEM.
 */
VHK_API int vhk_device_new(struct vhk_device **out, const struct vhk_device_info *info,
			   const struct vhk_device_ops *ops, void *priv);

/**
 * vhk_device_free() - end a device
 * @d: no door serves it any more; NULL is accepted
 *
 * Calls ops.free. One whose queues did not come to rest (vhk_backend_close()) stays as it is,
 * because the kernel may still write into what it works with.
 */
VHK_API void vhk_device_free(struct vhk_device *d);

/**
 * vhk_device_priv() - the device author's own
 * @d: the device
 *
 * Any thread. Return: priv, as given to vhk_device_new().
 */
VHK_API void *vhk_device_priv(const struct vhk_device *d);

/**
 * vhk_device_info() - what a device is
 * @d: the device
 *
 * Any thread. Return: the device's copy, which lives as long as it does.
 */
VHK_API const struct vhk_device_info *vhk_device_info(const struct vhk_device *d);

/**
 * vhk_device_set_loops() - spread a device's queues over loops: queue i runs on loop i % @n
 * @d:     the device; never served so far
 * @loops: the array is copied; each loop outlives the device, and somebody runs it
 * @n:     how many, not 0
 *
 * Without it all queues run on the loop of the door.
 * Return: 0; -EINVAL: @n is 0; -EBUSY: the device is or was served; -ENOMEM.
 */
VHK_API int vhk_device_set_loops(struct vhk_device *d, struct vhk_loop *const *loops,
				 unsigned int n);

/**
 * vhk_device_set_call_delay() - let one call tell of the answers of some time
 * @d:  the device; never served so far
 * @us: longest time that a call is held back, microseconds, up to 1,000,000; 0, the default: none
 *
 * A call that the driver wants is held back while further requests of its queue are in hand, and
 * made when the last of them is answered or the time is over: fewer interrupts for a later answer.
 * Requests that wait alone are answered as without it. The time is looked at between rounds of the
 * queue's loop.
 *
 * Return: 0; -EINVAL: @us is too large; -EBUSY: the device is or was served.
 */
VHK_API int vhk_device_set_call_delay(struct vhk_device *d, uint32_t us);

/**
 * vhk_device_config_changed() - tell the driver that the configuration space changed (virtio 1.3,
 * 2.3; vhost-user, BACKEND_CONFIG_CHANGE_MSG)
 * @d: the device. Control thread
 *
 * Return: 0: told, or the front end does not listen to it; -ENOTCONN: no door serves the device.
 */
VHK_API int vhk_device_config_changed(struct vhk_device *d);

/**
 * vhk_queue_index() - which of its device's queues it is
 * @q: the queue
 *
 * Return: 0 to n_queues - 1.
 */
VHK_API unsigned int vhk_queue_index(const struct vhk_queue *q);

/**
 * vhk_queue_loop() - where a queue runs, for I/O and timers of the device
 * @q: the queue
 *
 * Return: the loop, which outlives the device.
 */
VHK_API struct vhk_loop *vhk_queue_loop(const struct vhk_queue *q);

/**
 * vhk_queue_features() - what was negotiated when the queue started (virtio 1.3, 2.2)
 * @q: the queue. Its thread
 *
 * Return: feature bits, a mask; vhost-user's own are among them.
 */
VHK_API uint64_t vhk_queue_features(const struct vhk_queue *q);

/**
 * vhk_queue_set_priv() - keep something with a queue
 * @q:    the queue. Its thread
 * @priv: stays the device's; NULL until it is set for the first time, kept over starts and stops
 */
VHK_API void vhk_queue_set_priv(struct vhk_queue *q, void *priv);

/**
 * vhk_queue_priv() - what vhk_queue_set_priv() kept
 * @q: the queue. Its thread
 *
 * Return: that, or NULL.
 */
VHK_API void *vhk_queue_priv(const struct vhk_queue *q);

/**
 * vhk_queue_done() - answer a chain (virtio 1.3, 2.7.8 and 2.8.7)
 * @q:       the queue. Its thread
 * @c:       from ops.work; the library's again
 * @written: bytes, from the first writable byte on; at most @c->in_len
 *
 * The driver sees it, with others, when the loop's round ends or enough are gathered.
 */
VHK_API void vhk_queue_done(struct vhk_queue *q, struct vhk_chain *c, uint32_t written);

/**
 * vhk_queue_give_back() - leave a chain unanswered (vhost-user, GET_VRING_BASE_SKIP_DRAIN)
 * @q: the queue, which is being suspended (ops.queue_suspend). Its thread
 * @c: from ops.work; the library's again
 *
 * It stays in the inflight region, and whoever runs the queue next does all of it again.
 */
VHK_API void vhk_queue_give_back(struct vhk_queue *q, struct vhk_chain *c);

/**
 * vhk_queue_pull() - take chains when there is something for them, and not as soon as they come
 * @q: the queue, from ops.queue_start
 *
 * For queues whose buffers wait for news of the device's (received packets, events): none is handed
 * to ops.work, and vhk_queue_pop() takes them. Chains that a former back end had in hand stay in
 * the inflight region when such a queue stops before they were popped.
 */
VHK_API void vhk_queue_pull(struct vhk_queue *q);

/**
 * vhk_queue_pop() - take chains out of a queue that is pulled
 * @q:      the queue. Its thread
 * @chains: where pointers to them go; each to be given to vhk_queue_done() or vhk_queue_unpop()
 * @max:    at most so many; 64 a call are enough for all
 *
 * Return: how many; 0: there are none, the queue is disabled, or it broke.
 */
VHK_API unsigned int vhk_queue_pop(struct vhk_queue *q, struct vhk_chain **chains,
				   unsigned int max);

/**
 * vhk_queue_unpop() - put chains back that nothing was found for
 * @q:      the queue, which is pulled. Its thread
 * @chains: those popped last, in the order in which they were popped
 * @n:      how many
 *
 * The next vhk_queue_pop() finds them again. One that a former back end had in hand
 * (VHK_CHAIN_F_RESUBMITTED) is answered as empty, and so are all that are put back with it.
 */
VHK_API void vhk_queue_unpop(struct vhk_queue *q, struct vhk_chain **chains, unsigned int n);

/**
 * vhk_queue_want() - have ops.work called, with no chains, once there are some to be popped
 * @q:  the queue, which is pulled. Its thread
 * @on: false: not after all. Otherwise once, at the next round where there are some already
 *
 * As long as nobody wants any, the driver is asked for no kicks.
 */
VHK_API void vhk_queue_want(struct vhk_queue *q, bool on);

/**
 * vhk_queue_done_all() - answer chains, and show the driver at once
 * @q:      the queue. Its thread
 * @chains: from ops.work or vhk_queue_pop(), @chains[i]->written set; the library's again
 * @n:      how many
 *
 * For devices that answer in batches of their own: everything answered so far is published here,
 * with one index update and at most one call.
 */
VHK_API void vhk_queue_done_all(struct vhk_queue *q, struct vhk_chain **chains, unsigned int n);

/**
 * vhk_queue_suspending() - whether chains may be given back (vhk_queue_give_back())
 * @q: the queue. Its thread
 *
 * Return: true from ops.queue_suspend on until the queue has ended.
 */
VHK_API bool vhk_queue_suspending(const struct vhk_queue *q);

/**
 * vhk_queue_late() - whether chains may point to memory that has not arrived
 * @q: the queue. Its thread
 *
 * Who touches such a page, be it the kernel for this process, waits until the front end has brought
 * it (postcopy, see VHK_BACKEND_F_POSTCOPY). Files are best read and written by others meanwhile
 * (VHK_IO_F_LATE).
 *
 * Return: true: it may be so.
 */
VHK_API bool vhk_queue_late(const struct vhk_queue *q);

/**
 * vhk_queue_torn() - whether memory of chains has gone
 * @q: the queue. Its thread
 *
 * From then on what is read out of the front end's memory may be zeros (vhk_mem_fault()), and
 * nothing is answered any more. What a request says that was read before this was asked, and its
 * data, must not be acted upon where that changes something for good.
 *
 * Return: true: some has gone.
 */
VHK_API bool vhk_queue_torn(const struct vhk_queue *q);

/**
 * vhk_queue_fail() - a request cannot even be answered with an error: stop the ring
 * @q: the queue. Its thread
 *
 * Nothing more is popped, and the front end is told (vhost-user, VHOST_USER_SET_VRING_ERR). Chains
 * in hand are still to be given to vhk_queue_done().
 */
VHK_API void vhk_queue_fail(struct vhk_queue *q);

/**
 * struct vhk_queue_stats - counters of a queue since the device was made; may be read from any
 * thread
 * @requests: chains popped
 * @kicks:    notifications that arrived
 * @calls:    notifications sent
 * @rounds:   batches popped
 * @in_flight: chains popped and not answered
 */
struct vhk_queue_stats {
	uint64_t requests;
	uint64_t kicks;
	uint64_t calls;
	uint64_t rounds;
	uint64_t in_flight;
};

/**
 * vhk_device_stats() - read a queue's counters
 * @d:     the device
 * @queue: 0 to n_queues - 1
 * @out:   filled in; each counter is right, though not all of the same moment
 *
 * Any thread. Return: 0; -EINVAL: there is no such queue.
 */
VHK_API int vhk_device_stats(const struct vhk_device *d, unsigned int queue,
			     struct vhk_queue_stats *out);

#ifdef __cplusplus
}
#endif

#endif
