/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Level 1 of the front end: everything that can be asked of a data plane, as a request that is
 * submitted and as one function per message that waits. "A code as above" is one of those that open
 * vhostkit/ctl.h, which includes this.
 */
#ifndef VHOSTKIT_CTL_MSG_H
#define VHOSTKIT_CTL_MSG_H

#include <vhostkit/iotlb.h>
#include <vhostkit/mem.h>
#include <vhostkit/share.h>
#include <vhostkit/vhk.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vhk_ctl; /* one thread at a time */

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
 * message types"); the kernel's ioctls that mean the same go by the same names. What only the
 * kernel knows is 0x100 + the number of its ioctl (<linux/vhost.h>).
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
	VHK_CTL_OP_MAX = 45, /* the last message */

	VHK_CTL_SET_LOG_BASE_UVA = 0x104,
	VHK_CTL_NEW_WORKER = 0x108,
	VHK_CTL_FREE_WORKER = 0x109,
	VHK_CTL_SET_VRING_ADDR_IOVA = 0x111,
	VHK_CTL_GET_VRING_ENDIAN = 0x114,
	VHK_CTL_ATTACH_VRING_WORKER = 0x115,
	VHK_CTL_GET_VRING_WORKER = 0x116,
	VHK_CTL_SET_VRING_BUSYLOOP_TIMEOUT = 0x123,
	VHK_CTL_GET_VRING_BUSYLOOP_TIMEOUT = 0x124,
	VHK_CTL_SET_BACKEND_FEATURES = 0x125,
	VHK_CTL_GET_BACKEND_FEATURES = 0x126,
	VHK_CTL_NET_SET_BACKEND = 0x130,
	VHK_CTL_SCSI_SET_ENDPOINT = 0x140,
	VHK_CTL_SCSI_CLEAR_ENDPOINT = 0x141,
	VHK_CTL_SCSI_GET_ABI_VERSION = 0x142,
	VHK_CTL_SCSI_SET_EVENTS_MISSED = 0x143,
	VHK_CTL_SCSI_GET_EVENTS_MISSED = 0x144,
	VHK_CTL_VSOCK_SET_GUEST_CID = 0x160,
	VHK_CTL_VSOCK_SET_RUNNING = 0x161,
	VHK_CTL_GET_DEVICE_ID = 0x170,
	VHK_CTL_GET_VRING_NUM = 0x176,
	VHK_CTL_SET_CONFIG_CALL = 0x177,
	VHK_CTL_GET_IOVA_RANGE = 0x178,
	VHK_CTL_GET_CONFIG_SIZE = 0x179,
	VHK_CTL_GET_AS_NUM = 0x17a,
	VHK_CTL_GET_VRING_GROUP = 0x17b,
	VHK_CTL_SET_GROUP_ASID = 0x17c,
	VHK_CTL_SUSPEND = 0x17d,
	VHK_CTL_RESUME = 0x17e,
	VHK_CTL_GET_VRING_DESC_GROUP = 0x17f,
	VHK_CTL_GET_GROUP_NUM = 0x181,
	VHK_CTL_GET_VRING_SIZE = 0x182,
	VHK_CTL_GET_FEATURES_ARRAY = 0x183,
	VHK_CTL_SET_FEATURES_ARRAY = 0x283, /* has the number of the question */
	VHK_CTL_SET_FORK_FROM_OWNER = 0x184,
	VHK_CTL_GET_FORK_FROM_OWNER = 0x185,
	VHK_CTL_MAP_DOORBELL = 0x300, /* no ioctl, but mmap(2) */
	VHK_CTL_SET_MEM_TABLE_BASES = 0x305, /* SET_MEM_TABLE after POSTCOPY_LISTEN */
	VHK_CTL_ACCEPT_BASES = 0x405,	     /* and what follows its answer */
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

/**
 * struct vhk_ctl_vring_addr_iova - where a ring lies, for a device behind an IOMMU
 * @index:  ring
 * @flags:  VHK_CTL_ADDR_F_*
 * @desc:   descriptors, 16-byte aligned
 * @driver: available ring or driver event, at least 2-byte aligned
 * @device: used ring or device event, at least 4-byte aligned
 * @log:    guest address of the used ring
 */
struct vhk_ctl_vring_addr_iova {
	uint32_t index;
	uint32_t flags;
	struct vhk_iova desc;
	struct vhk_iova driver;
	struct vhk_iova device;
	struct vhk_gpa log;
};

/**
 * struct vhk_ctl_features - more feature bits than one word holds
 * @word: @n words, the caller's until the request is done; bit 0 of the first one is feature 0
 * @n:    words, 1 to 16
 */
struct vhk_ctl_features {
	uint64_t *word;
	unsigned int n;
};

/**
 * struct vhk_ctl_scsi - a target of the kernel's (configfs, "vhost")
 * @wwpn: its name, "naa." and 16 digits, up to 223 bytes; the caller's until the request is done
 * @tpgt: its portal group. The kernel ignores it since ABI version 1
 */
struct vhk_ctl_scsi {
	const char *wwpn;
	uint16_t tpgt;
};

/**
 * struct vhk_ctl_iova_range - what a vDPA device can address
 * @first: the first address
 * @last:  the last one
 */
struct vhk_ctl_iova_range {
	struct vhk_iova first;
	struct vhk_iova last;
};

/** A SET_CONFIG that restores a migrated device: read-only fields may be written. */
#define VHK_CTL_CONFIG_F_MIGRATION 0x1

/**
 * struct vhk_ctl_config - a part of the configuration space
 * @offset: bytes from its start
 * @len:    bytes, not 0. vhost-user: @offset + @len is at most 256
 * @flags:  VHK_CTL_CONFIG_F_*; vhost-user only
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

/**
 * struct vhk_ctl_crypto - what describes a crypto session
 * @data: @len bytes in the layout that both ends agreed on; CREATE_CRYPTO_SESSION: the back end's
 *        answer, which has the same length, takes their place. The caller's until the request is
 *        done
 * @len:  bytes, 1 to 4096
 */
struct vhk_ctl_crypto {
	void *data;
	uint32_t len;
};

/**
 * struct vhk_ctl_shmem - the shared memory regions of a device (virtio 1.3, 2.10)
 * @n:    how many there are
 * @size: bytes by id, multiples of the page size; 0: there is no such region
 */
struct vhk_ctl_shmem {
	uint32_t n;
	uint64_t size[VHK_SHMEM_MAX];
};

/**
 * struct vhk_ctl_bases - a memory table, and where the back end has it
 * @mem:  the table, as for SET_MEM_TABLE
 * @base: of each region, in the order of vhk_mem_get(), the address in the back end: an answer. The
 *        caller's until the request is done, with room for 32
 */
struct vhk_ctl_bases {
	const struct vhk_mem *mem;
	uint64_t *base;
};

/** Do not ask for an acknowledgement: done as soon as it is sent. */
#define VHK_CTL_REQ_F_NO_ACK 0x1
#define VHK_CTL_REQ_F_ALL 0x1

/**
 * struct vhk_ctl_log - a dirty log: a bit for each 4 KiB page of guest memory, bit 0 of byte 0 for
 * the page at 0 (vhost-user, "Migration")
 * @size:   bytes, with VHK_PF_LOG_SHMFD
 * @offset: where it starts in its file, bytes, with VHK_PF_LOG_SHMFD
 * @at:     without it: where the log is, in memory that is shared
 */
struct vhk_ctl_log {
	uint64_t size;
	uint64_t offset;
	struct vhk_uva at;
};

/**
 * enum vhk_ctl_state - which way a device's state goes
 * @VHK_CTL_STATE_SAVE: out of the back end
 * @VHK_CTL_STATE_LOAD: into the back end
 */
enum vhk_ctl_state {
	VHK_CTL_STATE_SAVE = 0,
	VHK_CTL_STATE_LOAD = 1,
};

/**
 * struct vhk_ctl_req - one request; the caller's memory until @done was called
 * @op:         what
 * @flags:      VHK_CTL_REQ_F_*. Where the peer acknowledges (VHK_PF_REPLY_ACK) every request asks
 *              for it otherwise
 * @timeout_ms: longest wait for the answer, ms. 0: that of the front end
 * @fd:         sent with it and borrowed until done, or -1; what is less is refused.
 *              GET_INFLIGHT_FD, GET_SHARED_OBJECT, POSTCOPY_ADVISE: the answer's, owned by the
 *              caller
 * @u64:        features of any kind, status, id, number of anything, the first 6 bytes of a MAC
 *              address: argument or answer
 * @vring:      SET_VRING_*, GET_VRING_* (answer in num), SET_GROUP_ASID (group and address space),
 *              ATTACH_VRING_WORKER (num is the worker), NET_SET_BACKEND, VRING_KICK (num is 0)
 * @addr:       SET_VRING_ADDR
 * @addr_iova:  SET_VRING_ADDR_IOVA
 * @region:     ADD_MEM_REG, REM_MEM_REG
 * @mem:        SET_MEM_TABLE
 * @config:     GET_CONFIG (answer in *data), SET_CONFIG
 * @inflight:   GET_INFLIGHT_FD, SET_INFLIGHT_FD
 * @log:        SET_LOG_BASE
 * @state:      SET_DEVICE_STATE_FD; its answer's fd, or -1, replaces @fd, and is the caller's
 * @iotlb:      IOTLB_MSG
 * @features:   GET_FEATURES_ARRAY (answer in *word), SET_FEATURES_ARRAY
 * @scsi:       SCSI_SET_ENDPOINT, SCSI_CLEAR_ENDPOINT
 * @range:      GET_IOVA_RANGE
 * @va:         MAP_DOORBELL: the answer
 * @crypto:     CREATE_CRYPTO_SESSION
 * @bases:      SET_MEM_TABLE_BASES
 * @uuid:       GET_SHARED_OBJECT
 * @shmem:      GET_SHMEM_CONFIG: filled in; the caller's until the request is done
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
		struct vhk_ctl_log log;
		enum vhk_ctl_state state;
		struct vhk_ctl_vring_addr_iova addr_iova;
		struct vhk_iotlb_msg iotlb;
		struct vhk_ctl_features features;
		struct vhk_ctl_scsi scsi;
		struct vhk_ctl_iova_range range;
		void *va;
		struct vhk_ctl_crypto crypto;
		struct vhk_ctl_bases bases;
		struct vhk_uuid uuid;
		struct vhk_ctl_shmem *shmem;
	};
	void (*done)(struct vhk_ctl_req *r);
	void *arg;
	int ret;
};

/**
 * vhk_ctl_can() - would a request be sent: known, implemented, and negotiated as far as it must be
 * @c:  the front end
 * @op: the request
 *
 * Of the kernel's devices: whether its kind knows the request. What an older kernel lacks is found
 * out at open as far as it can be asked for, with SET_OWNER for workers, and otherwise with the
 * first use, which says -EOPNOTSUPP.
 *
 * Return: true or false.
 */
VHK_API bool vhk_ctl_can(const struct vhk_ctl *c, enum vhk_ctl_op op);

/**
 * vhk_ctl_op_name() - name of a request
 * @op: the request
 *
 * Requests have gaps between them: who goes through all, up to VHK_CTL_ACCEPT_BASES, leaves out
 * those without a name.
 *
 * Return: the name in the specification, or in <linux/vhost.h>, without its prefix, static; NULL:
 * unknown.
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

#ifdef __cplusplus
}
#endif

/*
 * Level 1: one function per message (vhost-user, "Front-end message types"); each waits for its
 * answer, or for its acknowledgement where that was negotiated (VHK_PF_REPLY_ACK), and returns 0 or
 * one of the codes of vhostkit/ctl.h. Where a function names codes they are those with a meaning of
 * their own.
 */
#include <vhostkit/ctl_dev.h>
#include <vhostkit/ctl_mem.h>
#include <vhostkit/ctl_ring.h>

#endif
