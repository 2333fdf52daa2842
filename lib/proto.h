/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * vhost-user messages: numbers, payloads, protocol features, and the one table that says of each
 * message what it looks like, who answers it, what must have been negotiated and when it is legal.
 * Both ends use it.
 */
#ifndef VHK_LIB_PROTO_H
#define VHK_LIB_PROTO_H

#include <linux/vhost_types.h>
#include <string.h>

#include <vhostkit/vhk.h>

#include "sock.h"

/* Front end to back end (vhost-user, "Front-end message types"). */
enum vhk_user_req {
	VHK_USER_GET_FEATURES = 1,
	VHK_USER_SET_FEATURES = 2,
	VHK_USER_SET_OWNER = 3,
	VHK_USER_RESET_OWNER = 4,
	VHK_USER_SET_MEM_TABLE = 5,
	VHK_USER_SET_LOG_BASE = 6,
	VHK_USER_SET_LOG_FD = 7,
	VHK_USER_SET_VRING_NUM = 8,
	VHK_USER_SET_VRING_ADDR = 9,
	VHK_USER_SET_VRING_BASE = 10,
	VHK_USER_GET_VRING_BASE = 11,
	VHK_USER_SET_VRING_KICK = 12,
	VHK_USER_SET_VRING_CALL = 13,
	VHK_USER_SET_VRING_ERR = 14,
	VHK_USER_GET_PROTOCOL_FEATURES = 15,
	VHK_USER_SET_PROTOCOL_FEATURES = 16,
	VHK_USER_GET_QUEUE_NUM = 17,
	VHK_USER_SET_VRING_ENABLE = 18,
	VHK_USER_SEND_RARP = 19,
	VHK_USER_NET_SET_MTU = 20,
	VHK_USER_SET_BACKEND_REQ_FD = 21,
	VHK_USER_IOTLB_MSG = 22,
	VHK_USER_SET_VRING_ENDIAN = 23,
	VHK_USER_GET_CONFIG = 24,
	VHK_USER_SET_CONFIG = 25,
	VHK_USER_CREATE_CRYPTO_SESSION = 26,
	VHK_USER_CLOSE_CRYPTO_SESSION = 27,
	VHK_USER_POSTCOPY_ADVISE = 28,
	VHK_USER_POSTCOPY_LISTEN = 29,
	VHK_USER_POSTCOPY_END = 30,
	VHK_USER_GET_INFLIGHT_FD = 31,
	VHK_USER_SET_INFLIGHT_FD = 32,
	VHK_USER_GPU_SET_SOCKET = 33,
	VHK_USER_RESET_DEVICE = 34,
	VHK_USER_VRING_KICK = 35,
	VHK_USER_GET_MAX_MEM_SLOTS = 36,
	VHK_USER_ADD_MEM_REG = 37,
	VHK_USER_REM_MEM_REG = 38,
	VHK_USER_SET_STATUS = 39,
	VHK_USER_GET_STATUS = 40,
	VHK_USER_GET_SHARED_OBJECT = 41,
	VHK_USER_SET_DEVICE_STATE_FD = 42,
	VHK_USER_CHECK_DEVICE_STATE = 43,
	VHK_USER_GET_SHMEM_CONFIG = 44,
	VHK_USER_GET_VRING_BASE_SKIP_DRAIN = 45,
	VHK_USER_REQ_MAX = 45,
};

/* Back end to front end, on the back-end channel. */
enum vhk_user_back_req {
	VHK_USER_BACK_IOTLB_MSG = 1,
	VHK_USER_BACK_CONFIG_CHANGE_MSG = 2,
	VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG = 3,
	VHK_USER_BACK_VRING_CALL = 4,
	VHK_USER_BACK_VRING_ERR = 5,
	VHK_USER_BACK_SHARED_OBJECT_ADD = 6,
	VHK_USER_BACK_SHARED_OBJECT_REMOVE = 7,
	VHK_USER_BACK_SHARED_OBJECT_LOOKUP = 8,
	VHK_USER_BACK_SHMEM_MAP = 9,
	VHK_USER_BACK_SHMEM_UNMAP = 10,
	VHK_USER_BACK_REQ_MAX = 10,
};

/* Protocol feature bit numbers. */
enum vhk_user_pf {
	VHK_USER_PF_MQ = 0,
	VHK_USER_PF_LOG_SHMFD = 1,
	VHK_USER_PF_RARP = 2,
	VHK_USER_PF_REPLY_ACK = 3,
	VHK_USER_PF_MTU = 4,
	VHK_USER_PF_BACKEND_REQ = 5,
	VHK_USER_PF_CROSS_ENDIAN = 6,
	VHK_USER_PF_CRYPTO_SESSION = 7,
	VHK_USER_PF_PAGEFAULT = 8,
	VHK_USER_PF_CONFIG = 9,
	VHK_USER_PF_BACKEND_SEND_FD = 10,
	VHK_USER_PF_HOST_NOTIFIER = 11,
	VHK_USER_PF_INFLIGHT_SHMFD = 12,
	VHK_USER_PF_RESET_DEVICE = 13,
	VHK_USER_PF_INBAND_NOTIFICATIONS = 14,
	VHK_USER_PF_CONFIGURE_MEM_SLOTS = 15,
	VHK_USER_PF_STATUS = 16,
	VHK_USER_PF_XEN_MMAP = 17,
	VHK_USER_PF_SHARED_OBJECT = 18,
	VHK_USER_PF_DEVICE_STATE = 19,
	VHK_USER_PF_GET_VRING_BASE_INFLIGHT = 20,
	VHK_USER_PF_GPA_ADDRESSES = 21,
	VHK_USER_PF_SHMEM = 22,
	VHK_USER_PF_GET_VRING_BASE_SKIP_DRAIN = 23,
	VHK_USER_PF_MAX = 23,
};
#define VHK_USER_PF(bit) (1ULL << VHK_USER_PF_##bit)

/* Payloads, in wire layout (native byte order). */
struct vhk_user_vring_state {
	uint32_t index;
	uint32_t num;
};

/* Log the used ring at @log. */
#define VHK_USER_VRING_LOG 1u
struct vhk_user_vring_addr {
	uint32_t index;
	uint32_t flags; /* VHK_USER_VRING_LOG */
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

#define VHK_USER_VRING_FD_INDEX 0xffULL
#define VHK_USER_VRING_FD_NONE 0x100ULL

struct vhk_user_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t offset;
};

/* What XEN_MMAP puts behind each region. */
#define VHK_USER_XEN_FOREIGN 0x1u
#define VHK_USER_XEN_GRANT 0x2u
#define VHK_USER_XEN_NO_ADVANCE 0x100u /* every access by a mapping of its own */
struct vhk_user_xen {
	uint32_t flags;
	uint32_t domid;
};

/* Regions in a table: what any back end takes, and what ours, and others, do. */
#define VHK_USER_TABLE_PROMISED 8
#define VHK_USER_TABLE_MAX 32
/* A table as it can be on the wire; the regions' distance depends on what was negotiated. */
#define VHK_USER_TABLE_SIZE                                                                        \
	(8 + VHK_USER_TABLE_MAX * (sizeof(struct vhk_user_region) + sizeof(struct vhk_user_xen)))
struct vhk_user_mem_table {
	uint32_t n;
	uint32_t padding;
	struct vhk_user_region region[VHK_USER_TABLE_MAX];
};

struct vhk_user_mem_reg {
	uint64_t padding;
	struct vhk_user_region region;
};

struct vhk_user_vring_area {
	uint64_t index; /* as in SET_VRING_KICK */
	uint64_t size;
	uint64_t offset;
};

struct vhk_user_iotlb {
	uint64_t iova;
	uint64_t size;
	uint64_t uaddr;
	uint8_t perm;
	uint8_t type;
	uint8_t padding[6];
};

struct vhk_user_uuid {
	unsigned char bytes[16];
};

enum vhk_user_state_direction {
	VHK_USER_STATE_SAVE = 0,
	VHK_USER_STATE_LOAD = 1,
};
struct vhk_user_state_transfer {
	uint32_t direction;
	uint32_t phase; /* 0 stopped */
};
/* In the answer, beside an error below it: no fd is there. */
#define VHK_USER_STATE_NO_FD 0x100u
#define VHK_USER_STATE_ERROR 0xffu

struct vhk_user_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags; /* bit 0: writable */
};

/* What sizes and places of shared memory are multiples of, at least. */
#define VHK_USER_PAGE 4096
#define VHK_USER_SHMEM_MAX 256
struct vhk_user_shmem_config {
	uint32_t n;
	uint32_t padding;
	uint64_t size[VHK_USER_SHMEM_MAX];
};

struct vhk_user_log {
	uint64_t size;
	uint64_t offset;
};

struct vhk_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding; /* on the wire from most peers; 20 bytes are accepted, 24 are sent */
};

#define VHK_USER_CONFIG_MAX 256
enum vhk_user_config_flags {
	VHK_USER_CONFIG_WRITABLE = 0,
	VHK_USER_CONFIG_MIGRATION = 1,
};
struct vhk_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	unsigned char data[VHK_USER_CONFIG_MAX];
};

/* What both ends have settled so far; the gates of the table look at it. */
struct vhk_proto_state {
	uint64_t features_offered;
	uint64_t features;
	uint64_t protocol_offered;
	uint64_t protocol;
	bool features_set;
	bool protocol_set;
	bool owned;
	uint32_t n_queues;
};

enum vhk_proto_reply {
	VHK_REPLY_NONE,	   /* an ack where NEED_REPLY asks for it */
	VHK_REPLY_PAYLOAD, /* always answered with a payload of its own; an empty one says no */
	VHK_REPLY_U64,	   /* always answered with a u64 that is 0 for success, asked for or not */
};

/* Where the ring index stands, for the table's own check of it. */
enum vhk_proto_index {
	VHK_INDEX_NONE,
	VHK_INDEX_U32, /* first 32 bits of the payload */
	VHK_INDEX_FD,  /* bits 0-7 of the u64, bit 8: no fd, the rest zero */
};

struct vhk_proto {
	const char *name;
	uint16_t size_min, size_max; /* payload of the request, bytes */
	uint8_t fds_min, fds_max;
	enum vhk_proto_reply reply;
	uint64_t reply_needs; /* the reply is due where all of these are negotiated */
	uint16_t reply_min, reply_max; /* payload of the reply, bytes */
	uint8_t reply_fds_max;
	enum vhk_proto_index index;
	uint64_t need_features; /* all of these must be negotiated */
	uint64_t need_protocol; /* all of these must be negotiated */
	bool served;		/* the back end implements it; the rest is refused */
	bool ask_always; /* NEED_REPLY though the answer is due anyway: some answer only then */
	/* Contents, or NULL; *why is set with an error. */
	int (*check)(const struct vhk_proto_state *st, const struct vhk_msg *m, const char **why);
};

/* The row of a message, NULL where the number is unknown. */
const struct vhk_proto *vhk_proto_request(uint32_t request);	  /* front end to back end */
const struct vhk_proto *vhk_proto_back_request(uint32_t request); /* back end to front end */
/*
 * SET_MEM_TABLE between POSTCOPY_LISTEN and POSTCOPY_END: answered by a table with the places of
 * the regions in the back end, and that accepted by a number in a second message of that name.
 */
const struct vhk_proto *vhk_proto_bases(void);
const struct vhk_proto *vhk_proto_bases_accepted(void);
const char *vhk_proto_feature_name(unsigned int bit); /* protocol features; NULL: unknown */

/* Bytes from one region of a table to the next. */
static inline size_t vhk_proto_region_size(const struct vhk_proto_state *st)
{
	return sizeof(struct vhk_user_region) +
	       (st->protocol & VHK_USER_PF(XEN_MMAP) ? sizeof(struct vhk_user_xen) : 0);
}

/* Region @i of a SET_MEM_TABLE; @xen: zeros where it has none. */
static inline void vhk_proto_region(const struct vhk_proto_state *st, const struct vhk_msg *m,
				    unsigned int i, struct vhk_user_region *r,
				    struct vhk_user_xen *xen)
{
	const unsigned char *at = m->bytes + 8 + i * vhk_proto_region_size(st);

	memcpy(r, at, sizeof(*r));
	memset(xen, 0, sizeof(*xen));
	if (st->protocol & VHK_USER_PF(XEN_MMAP))
		memcpy(xen, at + sizeof(*r), sizeof(*xen));
}

/* Whether a request is answered without being asked to (NEED_REPLY). */
static inline bool vhk_proto_answers(const struct vhk_proto_state *st, const struct vhk_proto *row)
{
	return row->reply != VHK_REPLY_NONE && !(row->reply_needs & ~st->protocol);
}

/* The part of it that no negotiation changes: version, flags, size, fds. 0 or -EPROTO. */
int vhk_proto_check_form(const struct vhk_proto *row, const struct vhk_msg *m, const char **why);
/*
 * Judges a whole request against its row. 0: hand it to its handler. -EPROTO: malformed;
 * -EOPNOTSUPP: unknown, not negotiated or not served; -EINVAL: contents out of range; *why is one
 * short static text.
 */
int vhk_proto_check(const struct vhk_proto_state *st, const struct vhk_msg *m, bool back_channel,
		    const char **why);
/* By a row of the caller's; NULL: an unknown message. */
int vhk_proto_check_row(const struct vhk_proto *row, const struct vhk_proto_state *st,
			const struct vhk_msg *m, const char **why);
/* The same, for onlookers: whether it is served here does not matter. */
int vhk_proto_check_any(const struct vhk_proto_state *st, const struct vhk_msg *m,
			bool back_channel, const char **why);
/* The ring that a well-formed message is about. */
#define VHK_PROTO_NO_RING UINT64_MAX
uint64_t vhk_proto_ring(const struct vhk_proto *row, const struct vhk_msg *m);
/*
 * Judges a reply to @request: number, reply bit, size, fds. 0; -EPROTO; -EOPNOTSUPP: well formed,
 * and says no: it is empty or a non-zero u64 where a longer payload was due. What an ack or a u64
 * of its own says is left to the caller.
 */
int vhk_proto_check_reply(uint32_t request, bool back_channel, const struct vhk_msg *m,
			  const char **why);
int vhk_proto_check_reply_row(const struct vhk_proto *row, uint32_t request,
			      const struct vhk_msg *m, const char **why);
/* A feature of @protocol that means nothing without others, which it lacks; 0: there is none. */
uint64_t vhk_proto_misfit(uint64_t protocol, const char **why);
/* What a set of protocol features needs to be whole (bit 10 needs 5, 14 needs 3 and 5, 23 needs 12
 * and 20, ...). */
int vhk_proto_check_features(uint64_t protocol, const char **why); /* 0 or -EINVAL */

#endif
