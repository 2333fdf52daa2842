/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The front end: drives a data plane, whichever door it stands behind. Level 2 sets up and starts
 * in a few calls; level 1 has one function per message, so that a VMM can replay an order of its
 * own. Both come in two forms: a call that waits, never longer than its deadline, and a request or
 * job whose end is told to a function, for callers with an event loop of their own (vhk_ctl_fd(),
 * vhk_ctl_process()).
 *
 * Codes that any function which talks to the peer may return, beside those of its own:
 *   -EOPNOTSUPP  this front end or the connection does not have the message (not negotiated, not
 *                implemented)
 *   -EREMOTEIO   the peer answered that it refuses or that it failed; the connection lives
 *   -ETIMEDOUT   no answer within the deadline; the connection lives, and a late answer is thrown
 *                away
 *   -ENOTCONN    the peer is gone, or was given up after -EPROTO: vhk_ctl_reconnect() is the way on
 *   -EPROTO      the peer sent what it must not; the connection is closed
 *   -EINVAL      an argument is out of range; nothing was sent
 *   -EBUSY       called from within a completion function, or a job is under way
 *   -ENOMEM
 */
#ifndef VHOSTKIT_CTL_H
#define VHOSTKIT_CTL_H

#include <sys/types.h>

#include <vhostkit/mem.h>
#include <vhostkit/vhk.h>
#include <vhostkit/vq.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_ctl; /* one thread at a time */

/** Open returns at once, with the connection still on its way; requests wait for it. */
#define VHK_CTL_F_NONBLOCK 0x1
/**
 * "unix:": nobody there yet is no error; connecting is tried again until the first request's
 * deadline.
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
 * @arg:        handed to @on_config
 * @without:    protocol features (VHK_PF_*) that vhk_ctl_setup() leaves out even where both ends
 *              know them
 * @n_queues:   queues that the inflight region is made for. 0: as many as the back end has
 * @queue_size: largest ring that the inflight region is made for. 0: the largest of the first start
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
};

/* Protocol features (vhost-user, "Protocol features"), masks. */
#define VHK_PF_MQ (1ULL << 0)
#define VHK_PF_LOG_SHMFD (1ULL << 1)
#define VHK_PF_RARP (1ULL << 2)
#define VHK_PF_REPLY_ACK (1ULL << 3)
#define VHK_PF_MTU (1ULL << 4)
#define VHK_PF_BACKEND_REQ (1ULL << 5)
#define VHK_PF_CROSS_ENDIAN (1ULL << 6)
#define VHK_PF_CRYPTO_SESSION (1ULL << 7)
#define VHK_PF_PAGEFAULT (1ULL << 8)
#define VHK_PF_CONFIG (1ULL << 9)
#define VHK_PF_BACKEND_SEND_FD (1ULL << 10)
#define VHK_PF_HOST_NOTIFIER (1ULL << 11)
#define VHK_PF_INFLIGHT_SHMFD (1ULL << 12)
#define VHK_PF_RESET_DEVICE (1ULL << 13)
#define VHK_PF_INBAND_NOTIFICATIONS (1ULL << 14)
#define VHK_PF_CONFIGURE_MEM_SLOTS (1ULL << 15)
#define VHK_PF_STATUS (1ULL << 16)
#define VHK_PF_XEN_MMAP (1ULL << 17)
#define VHK_PF_SHARED_OBJECT (1ULL << 18)
#define VHK_PF_DEVICE_STATE (1ULL << 19)
#define VHK_PF_GET_VRING_BASE_INFLIGHT (1ULL << 20)
#define VHK_PF_GPA_ADDRESSES (1ULL << 21)
#define VHK_PF_SHMEM (1ULL << 22)
#define VHK_PF_GET_VRING_BASE_SKIP_DRAIN (1ULL << 23)

/**
 * vhk_ctl_protocol_name() - name of a protocol feature
 * @bit: its number
 *
 * Return: the name in the specification without its prefix, static; NULL: unknown.
 */
VHK_API const char *vhk_ctl_protocol_name(unsigned int bit);

/**
 * enum vhk_ctl_op - everything that can be asked of a data plane
 *
 * 1 to 45 are the vhost-user front-end messages by their own numbers (vhost-user, "Front-end
 * message types").
 */
enum vhk_ctl_op {
	VHK_CTL_GET_FEATURES = 1,
	VHK_CTL_SET_FEATURES = 2,
	VHK_CTL_SET_OWNER = 3,
	VHK_CTL_RESET_OWNER = 4,
	VHK_CTL_SET_MEM_TABLE = 5,
	VHK_CTL_SET_LOG_BASE = 6,
	VHK_CTL_SET_LOG_FD = 7,
	VHK_CTL_SET_VRING_NUM = 8,
	VHK_CTL_SET_VRING_ADDR = 9,
	VHK_CTL_SET_VRING_BASE = 10,
	VHK_CTL_GET_VRING_BASE = 11,
	VHK_CTL_SET_VRING_KICK = 12,
	VHK_CTL_SET_VRING_CALL = 13,
	VHK_CTL_SET_VRING_ERR = 14,
	VHK_CTL_GET_PROTOCOL_FEATURES = 15,
	VHK_CTL_SET_PROTOCOL_FEATURES = 16,
	VHK_CTL_GET_QUEUE_NUM = 17,
	VHK_CTL_SET_VRING_ENABLE = 18,
	VHK_CTL_SEND_RARP = 19,
	VHK_CTL_NET_SET_MTU = 20,
	VHK_CTL_SET_BACKEND_REQ_FD = 21,
	VHK_CTL_IOTLB_MSG = 22,
	VHK_CTL_SET_VRING_ENDIAN = 23,
	VHK_CTL_GET_CONFIG = 24,
	VHK_CTL_SET_CONFIG = 25,
	VHK_CTL_CREATE_CRYPTO_SESSION = 26,
	VHK_CTL_CLOSE_CRYPTO_SESSION = 27,
	VHK_CTL_POSTCOPY_ADVISE = 28,
	VHK_CTL_POSTCOPY_LISTEN = 29,
	VHK_CTL_POSTCOPY_END = 30,
	VHK_CTL_GET_INFLIGHT_FD = 31,
	VHK_CTL_SET_INFLIGHT_FD = 32,
	VHK_CTL_GPU_SET_SOCKET = 33,
	VHK_CTL_RESET_DEVICE = 34,
	VHK_CTL_VRING_KICK = 35,
	VHK_CTL_GET_MAX_MEM_SLOTS = 36,
	VHK_CTL_ADD_MEM_REG = 37,
	VHK_CTL_REM_MEM_REG = 38,
	VHK_CTL_SET_STATUS = 39,
	VHK_CTL_GET_STATUS = 40,
	VHK_CTL_GET_SHARED_OBJECT = 41,
	VHK_CTL_SET_DEVICE_STATE_FD = 42,
	VHK_CTL_CHECK_DEVICE_STATE = 43,
	VHK_CTL_GET_SHMEM_CONFIG = 44,
	VHK_CTL_GET_VRING_BASE_SKIP_DRAIN = 45,
	VHK_CTL_OP_MAX = 45,
};

/**
 * struct vhk_ctl_vring - a number that belongs to a ring
 * @index: ring, 0 to 65,535 (0 to 255 where the message carries an fd)
 * @num:   size, base or 0/1 for enable
 */
struct vhk_ctl_vring {
	uint32_t index;
	uint32_t num;
};

/** The back end logs what it writes into the used ring, at @log. */
#define VHK_CTL_ADDR_F_LOG 0x1

/**
 * struct vhk_ctl_vring_addr - where a ring lies
 * @index:  ring
 * @flags:  VHK_CTL_ADDR_F_*
 * @desc:   descriptors, 16-byte aligned
 * @driver: available ring or driver event, at least 2-byte aligned
 * @device: used ring or device event, at least 4-byte aligned
 * @log:    guest address of the used ring
 */
struct vhk_ctl_vring_addr {
	uint32_t index;
	uint32_t flags;
	struct vhk_uva desc;
	struct vhk_uva driver;
	struct vhk_uva device;
	struct vhk_gpa log;
};

/** A SET_CONFIG that restores a migrated device: read-only fields may be written. */
#define VHK_CTL_CONFIG_F_MIGRATION 0x1

/**
 * struct vhk_ctl_config - a part of the configuration space
 * @offset: bytes from its start
 * @len:    bytes, 1 to 256; @offset + @len is at most 256
 * @flags:  VHK_CTL_CONFIG_F_*
 * @data:   @len bytes, the caller's until the request is done
 */
struct vhk_ctl_config {
	uint32_t offset;
	uint32_t len;
	uint32_t flags;
	void *data;
};

/**
 * struct vhk_ctl_inflight - an inflight region (vhost-user, "Inflight I/O tracking")
 * @size:       bytes; an answer
 * @offset:     where it starts in its file, bytes; an answer
 * @n_queues:   rings it has room for, not 0
 * @queue_size: descriptors per ring, not 0
 */
struct vhk_ctl_inflight {
	uint64_t size;
	uint64_t offset;
	uint16_t n_queues;
	uint16_t queue_size;
};

/** Do not ask for an acknowledgement: done as soon as it is sent. */
#define VHK_CTL_REQ_F_NO_ACK 0x1
#define VHK_CTL_REQ_F_ALL 0x1

/**
 * struct vhk_ctl_req - one request; the caller's memory until @done was called
 * @op:         what
 * @flags:      VHK_CTL_REQ_F_*. Where the peer acknowledges (VHK_PF_REPLY_ACK) every request asks
 *              for it otherwise
 * @timeout_ms: longest wait for the answer, ms. 0: that of the front end
 * @fd:         sent with it and borrowed until done, or -1. GET_INFLIGHT_FD: the answer's, owned by
 *              the caller
 * @u64:        features, protocol features, status, number of queues or slots: argument or answer
 * @vring:      SET_VRING_*, GET_VRING_BASE (answer in num)
 * @addr:       SET_VRING_ADDR
 * @region:     ADD_MEM_REG, REM_MEM_REG
 * @mem:        SET_MEM_TABLE
 * @config:     GET_CONFIG (answer in *data), SET_CONFIG
 * @inflight:   GET_INFLIGHT_FD, SET_INFLIGHT_FD
 * @done:       called once, perhaps before vhk_ctl_submit() returns; may submit, free or reuse the
 *              request, may not call what waits, nor vhk_ctl_close(). Optional
 * @arg:        the caller's own
 * @ret:        0, or why not: set before @done
 */
struct vhk_ctl_req {
	enum vhk_ctl_op op;
	uint32_t flags;
	uint32_t timeout_ms;
	int fd;
	union {
		uint64_t u64;
		struct vhk_ctl_vring vring;
		struct vhk_ctl_vring_addr addr;
		struct vhk_region region;
		const struct vhk_mem *mem;
		struct vhk_ctl_config config;
		struct vhk_ctl_inflight inflight;
	};
	void (*done)(struct vhk_ctl_req *r);
	void *arg;
	int ret;
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
 * @uri: "unix:PATH" (connects), "listen:PATH" (the back end connects to us), "fd:N" (a connected or
 *       listening vhost-user socket; closed even on failure)
 * @o:   NULL: defaults
 *
 * Return: 0; -EINVAL unknown kind of URI, or not a socket; -EOPNOTSUPP unknown flag; -ENOENT or
 * -ECONNREFUSED nobody serves PATH; -EADDRINUSE somebody else listens at PATH; -ETIMEDOUT no back
 * end came; or what the system call gave.
 */
VHK_API int vhk_ctl_open(struct vhk_ctl **out, const char *uri, const struct vhk_ctl_opts *o);
/**
 * vhk_ctl_close() - hang up and free; requests and jobs under way end with -ENOTCONN
 * @c: NULL is accepted. Queues and memory are the caller's and stay
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
 * vhk_ctl_can() - would a request be sent: known, implemented, and negotiated as far as it must be
 * @c:  the front end
 * @op: the request
 *
 * Return: true or false.
 */
VHK_API bool vhk_ctl_can(const struct vhk_ctl *c, enum vhk_ctl_op op);

/**
 * vhk_ctl_op_name() - name of a request
 * @op: the request
 *
 * Return: the name in the specification without its prefix, static; NULL: unknown.
 */
VHK_API const char *vhk_ctl_op_name(enum vhk_ctl_op op);

/**
 * vhk_ctl_submit() - ask, without waiting; answers come in the order of the requests
 * @c: the front end
 * @r: what; the caller's memory, left alone until r->done is called
 *
 * Return: 0: r->done will be called or was. Negative: it will not be; codes as above.
 */
VHK_API int vhk_ctl_submit(struct vhk_ctl *c, struct vhk_ctl_req *r);

/**
 * vhk_ctl_call() - submit and process until it is done
 * @c: the front end
 * @r: what; the caller's. Its done and arg are replaced
 *
 * Return: r->ret, or what vhk_ctl_submit() refused it with; codes as above.
 */
VHK_API int vhk_ctl_call(struct vhk_ctl *c, struct vhk_ctl_req *r);

/**
 * vhk_ctl_peer_pid() - who is at the other end (SO_PEERCRED)
 * @c: the front end
 *
 * Return: process id; -ENOTCONN; -EOPNOTSUPP where there is none.
 */
VHK_API int vhk_ctl_peer_pid(const struct vhk_ctl *c);

/*
 * Level 1: one function per message (vhost-user, "Front-end message types"); each waits for its
 * answer, or for its acknowledgement where that was negotiated (VHK_PF_REPLY_ACK), and returns 0 or
 * one of the codes above. Where a function names codes they are those with a meaning of their own.
 */
/**
 * vhk_ctl_get_features() - GET_FEATURES: what the back end offers
 * @c:   the front end
 * @out: feature bits, a mask: VHK_F_* and those of the device; 0 on failure
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_features(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_set_features() - SET_FEATURES: what the driver took
 * @c:        the front end
 * @features: a mask, out of what was offered
 *
 * Return: 0; -EINVAL a bit was not offered; or a code as above.
 */
VHK_API int vhk_ctl_set_features(struct vhk_ctl *c, uint64_t features);

/**
 * vhk_ctl_get_protocol_features() - GET_PROTOCOL_FEATURES: what of the protocol the back end knows
 * @c:   the front end
 * @out: VHK_PF_*, a mask
 *
 * Return: 0; -EOPNOTSUPP VHK_F_PROTOCOL_FEATURES was not offered; or a code as above.
 */
VHK_API int vhk_ctl_get_protocol_features(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_set_protocol_features() - SET_PROTOCOL_FEATURES: what of the protocol will be used
 * @c:        the front end
 * @features: VHK_PF_*, a mask, out of what was offered
 *
 * Return: 0; -EINVAL a bit was not offered, or lacks another one that it needs; -EOPNOTSUPP as for
 * the question; or a code as above.
 */
VHK_API int vhk_ctl_set_protocol_features(struct vhk_ctl *c, uint64_t features);

/**
 * vhk_ctl_set_owner() - SET_OWNER: claim the back end
 * @c: the front end
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_owner(struct vhk_ctl *c);

/**
 * vhk_ctl_reset_owner() - RESET_OWNER: deprecated by the specification, which has RESET_DEVICE
 * instead
 * @c: the front end
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_reset_owner(struct vhk_ctl *c);

/**
 * vhk_ctl_reset_device() - RESET_DEVICE: stop all rings and forget their state
 * @c: the front end
 *
 * Needs VHK_PF_RESET_DEVICE.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_reset_device(struct vhk_ctl *c);

/**
 * vhk_ctl_get_status() - GET_STATUS: the device status (virtio 1.3, 2.1)
 * @c:   the front end
 * @out: VIRTIO_CONFIG_S_*, a mask
 *
 * Needs VHK_PF_STATUS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_status(struct vhk_ctl *c, uint8_t *out);

/**
 * vhk_ctl_set_status() - SET_STATUS: the device status (virtio 1.3, 2.1)
 * @c:      the front end
 * @status: VIRTIO_CONFIG_S_*, a mask; 0 resets the device
 *
 * Needs VHK_PF_STATUS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_status(struct vhk_ctl *c, uint8_t status);

/**
 * vhk_ctl_get_queue_num() - GET_QUEUE_NUM: how many queues there are
 * @c:   the front end
 * @out: their number, as the back end says it
 *
 * Needs VHK_PF_MQ.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_queue_num(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_set_mem_table() - SET_MEM_TABLE: share memory, in place of what was shared
 * @c: the front end
 * @m: 1 to 32 regions, all of them are sent; borrowed for the call, and so are their fds
 *
 * Return: 0; -EINVAL there is no region, or one has no fd; -EMSGSIZE more than 32; or a code as
 * above.
 */
VHK_API int vhk_ctl_set_mem_table(struct vhk_ctl *c, const struct vhk_mem *m);

/**
 * vhk_ctl_get_max_mem_slots() - GET_MAX_MEM_SLOTS: how many regions the back end takes one by one
 * @c:   the front end
 * @out: their number, as the back end says it
 *
 * Needs VHK_PF_CONFIGURE_MEM_SLOTS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_max_mem_slots(struct vhk_ctl *c, uint64_t *out);

/**
 * vhk_ctl_add_mem_reg() - ADD_MEM_REG: share one region more
 * @c:  the front end
 * @r:  where it lies; borrowed for the call
 * @fd: its file; borrowed for the call
 *
 * Needs VHK_PF_CONFIGURE_MEM_SLOTS.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_add_mem_reg(struct vhk_ctl *c, const struct vhk_region *r, int fd);

/**
 * vhk_ctl_rem_mem_reg() - REM_MEM_REG: share one region less
 * @c: the front end
 * @r: guest address, front-end address and size say which; borrowed for the call
 *
 * Needs VHK_PF_CONFIGURE_MEM_SLOTS. When it is acknowledged the back end has unmapped it.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_rem_mem_reg(struct vhk_ctl *c, const struct vhk_region *r);

/**
 * vhk_ctl_set_vring_num() - SET_VRING_NUM: size of a ring that is stopped
 * @c:   the front end
 * @idx: ring, 0 to 65,535
 * @num: descriptors, 1 to 32768; a power of two for a split ring
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_num(struct vhk_ctl *c, unsigned int idx, uint32_t num);

/**
 * vhk_ctl_set_vring_addr() - SET_VRING_ADDR: where a ring lies
 * @c: the front end
 * @a: which ring, and its parts by front-end address; borrowed for the call
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_addr(struct vhk_ctl *c, const struct vhk_ctl_vring_addr *a);

/**
 * vhk_ctl_set_vring_base() - SET_VRING_BASE: where a ring that is stopped goes on
 * @c:    the front end
 * @idx:  ring, 0 to 65,535
 * @base: as in struct vhk_ring_opts: 16 bits for a split ring, 32 for a packed one
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_base(struct vhk_ctl *c, unsigned int idx, uint32_t base);

/**
 * vhk_ctl_get_vring_base() - GET_VRING_BASE: stop a ring
 * @c:    the front end
 * @idx:  ring, 0 to 65,535
 * @base: where it would go on, as in struct vhk_ring_opts
 *
 * The answer comes after the last request in flight is answered.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_vring_base(struct vhk_ctl *c, unsigned int idx, uint32_t *base);

/**
 * vhk_ctl_set_vring_kick() - SET_VRING_KICK: what the back end is woken by; starts the ring
 * @c:   the front end
 * @idx: ring, 0 to 255
 * @fd:  eventfd, borrowed for the call; -1: none, the back end polls
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_kick(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_set_vring_call() - SET_VRING_CALL: what the driver is woken by
 * @c:   the front end
 * @idx: ring, 0 to 255
 * @fd:  eventfd, borrowed for the call; -1: none, the driver polls
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_call(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_set_vring_err() - SET_VRING_ERR: what tells that a ring broke
 * @c:   the front end
 * @idx: ring, 0 to 255
 * @fd:  eventfd, borrowed for the call; -1: none
 *
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_err(struct vhk_ctl *c, unsigned int idx, int fd);

/**
 * vhk_ctl_set_vring_enable() - SET_VRING_ENABLE: let a ring work, or pause it
 * @c:   the front end
 * @idx: ring, 0 to 65,535
 * @on:  true: it works
 *
 * Needs VHK_F_PROTOCOL_FEATURES.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_vring_enable(struct vhk_ctl *c, unsigned int idx, bool on);

/**
 * vhk_ctl_get_config() - GET_CONFIG: read the configuration space (virtio 1.3, 2.5)
 * @c:   the front end
 * @off: bytes from its start
 * @buf: @len bytes, the caller's; filled in on success only
 * @len: bytes, 1 to 256; @off + @len is at most 256
 *
 * Needs VHK_PF_CONFIG. What lies beyond the end of the device's space is for the back end to
 * decide: ours answers zeros where @off is inside, and refuses otherwise; others refuse both.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_config(struct vhk_ctl *c, uint32_t off, void *buf, uint32_t len);

/**
 * vhk_ctl_set_config() - SET_CONFIG: write the configuration space (virtio 1.3, 2.5)
 * @c:     the front end
 * @off:   bytes from its start
 * @buf:   @len bytes; borrowed for the call
 * @len:   bytes, 1 to 256; @off + @len is at most 256
 * @flags: VHK_CTL_CONFIG_F_*
 *
 * Needs VHK_PF_CONFIG. All of it has to be inside the device's space.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_config(struct vhk_ctl *c, uint32_t off, const void *buf, uint32_t len,
			       uint32_t flags);

/**
 * vhk_ctl_set_backend_req_fd() - SET_BACKEND_REQ_FD: let the back end ask, too
 * @c: the front end
 *
 * Makes a pair of sockets and keeps one; requests are answered by vhk_ctl_process() and by whatever
 * waits. Needs VHK_PF_BACKEND_REQ.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_set_backend_req_fd(struct vhk_ctl *c);

/**
 * vhk_ctl_get_inflight_fd() - GET_INFLIGHT_FD: have a region made that survives the back end
 * @c:  the front end
 * @i:  n_queues and queue_size are arguments, size and offset answers
 * @fd: its file, the caller's to close; -1 on failure
 *
 * Needs VHK_PF_INFLIGHT_SHMFD.
 * Return: 0, or a code as above.
 */
VHK_API int vhk_ctl_get_inflight_fd(struct vhk_ctl *c, struct vhk_ctl_inflight *i, int *fd);

/**
 * vhk_ctl_set_inflight_fd() - SET_INFLIGHT_FD: hand such a region to a back end, before any ring
 * starts
 * @c:  the front end
 * @i:  as vhk_ctl_get_inflight_fd() left it; borrowed for the call
 * @fd: its file; borrowed for the call
 *
 * Needs VHK_PF_INFLIGHT_SHMFD.
 * Return: 0; -EINVAL the region is of size 0 or wraps around; or a code as above.
 */
VHK_API int vhk_ctl_set_inflight_fd(struct vhk_ctl *c, const struct vhk_ctl_inflight *i, int fd);

/* Level 2. One job at a time. */
/**
 * vhk_ctl_setup() - negotiate, claim, share memory: pipelined, at most four round trips
 * @c:    freshly opened
 * @want: features to take where they are offered
 * @must: features that have to be offered
 * @m:    borrowed until vhk_ctl_close(); each vhk_ctl_start() shares what changed in it. Regions of
 *        queues that run stay
 *
 * Negotiates every protocol feature both ends know but opts.without.
 * Return: 0; -EOPNOTSUPP one of @must is missing; -EMSGSIZE more regions than the back end takes;
 * -EINVAL a region without fd; -EBUSY it was set up before, or a job is under way; or a code as
 * above.
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
 * vhk_ctl_n_queues() - queues that the back end has, where it said so (VHK_PF_MQ)
 * @c: the front end
 *
 * Return: their number; 0: unknown.
 */
VHK_API unsigned int vhk_ctl_n_queues(const struct vhk_ctl *c);

/**
 * vhk_ctl_start() - start and enable a queue; kick, call and error eventfds are made here
 * @c:   set up
 * @idx: 0 to 255
 * @q:   borrowed until vhk_ctl_stop() or vhk_ctl_close()
 *
 * Return: 0; -EBUSY it runs, or @c is not set up; -EINVAL @idx or the ring's size exceeds the
 * inflight region (see opts); -EFAULT @q is not in the memory; -EMSGSIZE as vhk_ctl_setup();
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
 * @base: the position, as in struct vhk_ring_opts; may be NULL. A queue that is started again goes
 *        on there
 *
 * Return: 0; -EBUSY it does not run. After another error the queue is stopped on our side.
 */
VHK_API int vhk_ctl_stop(struct vhk_ctl *c, unsigned int idx, uint32_t *base);

/**
 * vhk_ctl_kick() - tell the back end of work (virtio 1.3, 2.9)
 * @c:   the front end
 * @idx: 0 to 255
 *
 * Return: 0; -EBUSY the queue does not run; or what write(2) gave.
 */
VHK_API int vhk_ctl_kick(struct vhk_ctl *c, unsigned int idx);

/**
 * vhk_ctl_wait() - arm, look, sleep until the queue has answers
 * @c:          the front end
 * @idx:        0 to 255
 * @timeout_ns: ns; -1: no limit, 0: only look
 *
 * The peer's other messages are served meanwhile.
 * Return: 0; -ETIMEDOUT; -ENOTCONN the peer is gone; -EBADMSG it gave the ring up (error eventfd);
 * -EBUSY the queue does not run.
 */
VHK_API int vhk_ctl_wait(struct vhk_ctl *c, unsigned int idx, int64_t timeout_ns);

/**
 * vhk_ctl_call_fd() - the eventfd that the back end calls with
 * @c:   the front end
 * @idx: 0 to 255
 *
 * Return: the fd, borrowed until the queue stops; the caller may read it. -EBUSY: does not run.
 */
VHK_API int vhk_ctl_call_fd(const struct vhk_ctl *c, unsigned int idx);

/**
 * vhk_ctl_kick_fd() - the eventfd that the back end is kicked by
 * @c:   the front end
 * @idx: 0 to 255
 *
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
 * adds the requests again afterwards.
 * Return: 0; -EBUSY setup never succeeded; -EOPNOTSUPP the back end came back with less than it
 * had, or the socket was given as a connected fd; -ETIMEDOUT it did not come back; -EBADMSG a
 * queue's ring is broken (vhk_vq_addr()). May be called again.
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
 * Return: 0: @done will be called or was. Negative: it will not be; -EBUSY or -ENOMEM.
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
 * Return: as vhk_ctl_setup_async(); -EINVAL: @first and @n are out of range.
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
