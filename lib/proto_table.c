// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The message table (vhost-user, "Front-end message types" and "Back-end message types"): one row
 * for each message, whether it is served or not.
 */
#include "base.h"
#include "proto_contents.h"

#define MEM_REG_MAX (sizeof(struct vhk_user_mem_reg) + sizeof(struct vhk_user_xen))
#define TABLE_MIN offsetof(struct vhk_user_mem_table, region[1])
#define CONFIG_MIN (offsetof(struct vhk_user_config, data) + 1)
#define INFLIGHT_MIN offsetof(struct vhk_user_inflight, padding)
#define SHMEM_MIN offsetof(struct vhk_user_shmem_config, size)

/* Answered only where NEED_REPLY asks for it, by a u64 that is 0 for success. */
#define REPLY_ACK                                                                                  \
	.reply = VHK_REPLY_NONE, .reply_min = sizeof(uint64_t), .reply_max = sizeof(uint64_t)
#define REPLY_VALUE                                                                                \
	.reply = VHK_REPLY_PAYLOAD, .reply_min = sizeof(uint64_t), .reply_max = sizeof(uint64_t)
#define REPLY_U64                                                                                  \
	.reply = VHK_REPLY_U64, .reply_min = sizeof(uint64_t), .reply_max = sizeof(uint64_t)

static const struct vhk_proto requests[VHK_USER_REQ_MAX + 1] = {
	[VHK_USER_GET_FEATURES] = {
		.name = "GET_FEATURES", REPLY_VALUE, .served = true,
	},
	[VHK_USER_SET_FEATURES] = {
		.name = "SET_FEATURES", .size_min = sizeof(uint64_t),
		.size_max = sizeof(uint64_t), REPLY_ACK, .served = true,
		.check = vhk_check_features,
	},
	[VHK_USER_SET_OWNER] = {
		.name = "SET_OWNER", REPLY_ACK, .served = true, .check = vhk_check_owner,
	},
	[VHK_USER_RESET_OWNER] = {
		.name = "RESET_OWNER", REPLY_ACK, .served = true,
	},
	[VHK_USER_SET_MEM_TABLE] = {
		.name = "SET_MEM_TABLE", .size_min = TABLE_MIN,
		.size_max = VHK_USER_TABLE_SIZE, .fds_min = 1,
		.fds_max = VHK_USER_TABLE_MAX, REPLY_ACK, .served = true,
		.check = vhk_check_mem_table,
	},
	[VHK_USER_SET_LOG_BASE] = {
		.name = "SET_LOG_BASE", .size_min = sizeof(uint64_t),
		.size_max = sizeof(struct vhk_user_log), .fds_max = 1, .reply = VHK_REPLY_U64,
		.reply_needs = VHK_USER_PF(LOG_SHMFD), .reply_min = 0,
		.reply_max = sizeof(struct vhk_user_log), .served = true, .check = vhk_check_log,
	},
	[VHK_USER_SET_LOG_FD] = {
		.name = "SET_LOG_FD", .fds_min = 1, .fds_max = 1, REPLY_ACK, .served = true,
	},
	[VHK_USER_SET_VRING_NUM] = {
		.name = "SET_VRING_NUM", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32, .served = true, .check = vhk_check_vring_num,
	},
	[VHK_USER_SET_VRING_ADDR] = {
		.name = "SET_VRING_ADDR", .size_min = sizeof(struct vhk_user_vring_addr),
		.size_max = sizeof(struct vhk_user_vring_addr), REPLY_ACK, .index = VHK_INDEX_U32,
		.served = true, .check = vhk_check_vring_addr,
	},
	[VHK_USER_SET_VRING_BASE] = {
		.name = "SET_VRING_BASE", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32, .served = true, .check = vhk_check_vring_base,
	},
	[VHK_USER_GET_VRING_BASE] = {
		.name = "GET_VRING_BASE", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), .reply = VHK_REPLY_PAYLOAD,
		.reply_min = sizeof(struct vhk_user_vring_state),
		.reply_max = sizeof(struct vhk_user_vring_state), .index = VHK_INDEX_U32,
		.served = true,
	},
	[VHK_USER_SET_VRING_KICK] = {
		.name = "SET_VRING_KICK", .size_min = sizeof(uint64_t),
		.size_max = sizeof(uint64_t), .fds_max = 1, REPLY_ACK, .index = VHK_INDEX_FD,
		.served = true, .check = vhk_check_vring_kick,
	},
	[VHK_USER_SET_VRING_CALL] = {
		.name = "SET_VRING_CALL", .size_min = sizeof(uint64_t),
		.size_max = sizeof(uint64_t), .fds_max = 1, REPLY_ACK, .index = VHK_INDEX_FD,
		.served = true,
	},
	[VHK_USER_SET_VRING_ERR] = {
		.name = "SET_VRING_ERR", .size_min = sizeof(uint64_t),
		.size_max = sizeof(uint64_t), .fds_max = 1, REPLY_ACK, .index = VHK_INDEX_FD,
		.served = true,
	},
	[VHK_USER_GET_PROTOCOL_FEATURES] = {
		.name = "GET_PROTOCOL_FEATURES", REPLY_VALUE, .served = true,
		.check = vhk_check_get_protocol,
	},
	[VHK_USER_SET_PROTOCOL_FEATURES] = {
		.name = "SET_PROTOCOL_FEATURES", .size_min = sizeof(uint64_t),
		.size_max = sizeof(uint64_t), REPLY_ACK, .served = true,
		.check = vhk_check_set_protocol,
	},
	[VHK_USER_GET_QUEUE_NUM] = {
		.name = "GET_QUEUE_NUM", REPLY_VALUE, .need_protocol = VHK_USER_PF(MQ),
		.served = true,
	},
	[VHK_USER_SET_VRING_ENABLE] = {
		.name = "SET_VRING_ENABLE", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32, .need_features = VHK_F_PROTOCOL_FEATURES, .served = true,
		.check = vhk_check_num_flag,
	},
	[VHK_USER_SEND_RARP] = {
		.name = "SEND_RARP", .size_min = sizeof(uint64_t), .size_max = sizeof(uint64_t),
		REPLY_ACK, .need_protocol = VHK_USER_PF(RARP),
		.served = true,
	},
	[VHK_USER_NET_SET_MTU] = {
		.name = "NET_SET_MTU", .size_min = sizeof(uint64_t), .size_max = sizeof(uint64_t),
		REPLY_ACK, .need_protocol = VHK_USER_PF(MTU),
		.served = true, .check = vhk_check_mtu,
	},
	[VHK_USER_SET_BACKEND_REQ_FD] = {
		.name = "SET_BACKEND_REQ_FD", .fds_min = 1, .fds_max = 1, REPLY_ACK,
		.need_protocol = VHK_USER_PF(BACKEND_REQ), .served = true,
	},
	[VHK_USER_IOTLB_MSG] = {
		.name = "IOTLB_MSG", .size_min = sizeof(struct vhk_user_iotlb),
		.size_max = sizeof(struct vhk_user_iotlb), REPLY_U64, .ask_always = true,
		.need_features = VHK_F_ACCESS_PLATFORM, .served = true, .check = vhk_check_iotlb,
	},
	[VHK_USER_SET_VRING_ENDIAN] = {
		.name = "SET_VRING_ENDIAN", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32, .need_protocol = VHK_USER_PF(CROSS_ENDIAN),
		.served = true, .check = vhk_check_num_flag,
	},
	[VHK_USER_GET_CONFIG] = {
		.name = "GET_CONFIG", .size_min = CONFIG_MIN,
		.size_max = sizeof(struct vhk_user_config), .reply = VHK_REPLY_PAYLOAD,
		.reply_min = CONFIG_MIN, .reply_max = sizeof(struct vhk_user_config),
		.need_protocol = VHK_USER_PF(CONFIG), .served = true,
		.check = vhk_check_get_config,
	},
	[VHK_USER_SET_CONFIG] = {
		.name = "SET_CONFIG", .size_min = CONFIG_MIN,
		.size_max = sizeof(struct vhk_user_config), REPLY_ACK,
		.need_protocol = VHK_USER_PF(CONFIG), .served = true,
		.check = vhk_check_set_config,
	},
	[VHK_USER_CREATE_CRYPTO_SESSION] = {
		.name = "CREATE_CRYPTO_SESSION", .size_min = 1, .size_max = VHK_MSG_PAYLOAD_MAX,
		.reply = VHK_REPLY_PAYLOAD, .reply_min = 1, .reply_max = VHK_MSG_PAYLOAD_MAX,
		.need_protocol = VHK_USER_PF(CRYPTO_SESSION),
		.served = true,
	},
	[VHK_USER_CLOSE_CRYPTO_SESSION] = {
		.name = "CLOSE_CRYPTO_SESSION", .size_min = sizeof(uint64_t),
		.size_max = sizeof(uint64_t), REPLY_ACK,
		.need_protocol = VHK_USER_PF(CRYPTO_SESSION),
		.served = true,
	},
	[VHK_USER_POSTCOPY_ADVISE] = {
		.name = "POSTCOPY_ADVISE", .reply = VHK_REPLY_PAYLOAD, .reply_min = 0,
		.reply_max = 0, .reply_fds_max = 1, .need_protocol = VHK_USER_PF(PAGEFAULT),
		.served = true, .check = vhk_check_postcopy,
	},
	[VHK_USER_POSTCOPY_LISTEN] = {
		.name = "POSTCOPY_LISTEN", REPLY_ACK, .need_protocol = VHK_USER_PF(PAGEFAULT),
		.served = true, .check = vhk_check_postcopy,
	},
	[VHK_USER_POSTCOPY_END] = {
		.name = "POSTCOPY_END", REPLY_U64, .need_protocol = VHK_USER_PF(PAGEFAULT),
		.served = true, .check = vhk_check_postcopy,
	},
	[VHK_USER_GET_INFLIGHT_FD] = {
		.name = "GET_INFLIGHT_FD", .size_min = INFLIGHT_MIN,
		.size_max = sizeof(struct vhk_user_inflight), .reply = VHK_REPLY_PAYLOAD,
		.reply_min = INFLIGHT_MIN, .reply_max = sizeof(struct vhk_user_inflight),
		.reply_fds_max = 1, .need_protocol = VHK_USER_PF(INFLIGHT_SHMFD), .served = true,
		.check = vhk_check_get_inflight,
	},
	[VHK_USER_SET_INFLIGHT_FD] = {
		.name = "SET_INFLIGHT_FD", .size_min = INFLIGHT_MIN,
		.size_max = sizeof(struct vhk_user_inflight), .fds_min = 1, .fds_max = 1,
		REPLY_ACK, .need_protocol = VHK_USER_PF(INFLIGHT_SHMFD), .served = true,
		.check = vhk_check_set_inflight,
	},
	[VHK_USER_GPU_SET_SOCKET] = {
		.name = "GPU_SET_SOCKET", .fds_min = 1, .fds_max = 1, REPLY_ACK,
		.served = true,
	},
	[VHK_USER_RESET_DEVICE] = {
		.name = "RESET_DEVICE", REPLY_ACK, .need_protocol = VHK_USER_PF(RESET_DEVICE),
		.served = true,
	},
	[VHK_USER_VRING_KICK] = {
		.name = "VRING_KICK", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32, .need_protocol = VHK_USER_PF(INBAND_NOTIFICATIONS),
		.served = true, .check = vhk_check_inband_kick,
	},
	[VHK_USER_GET_MAX_MEM_SLOTS] = {
		.name = "GET_MAX_MEM_SLOTS", REPLY_VALUE,
		.need_protocol = VHK_USER_PF(CONFIGURE_MEM_SLOTS), .served = true,
	},
	[VHK_USER_ADD_MEM_REG] = {
		.name = "ADD_MEM_REG", .size_min = sizeof(struct vhk_user_mem_reg),
		.size_max = MEM_REG_MAX, .fds_min = 1, .fds_max = 1,
		REPLY_ACK, .need_protocol = VHK_USER_PF(CONFIGURE_MEM_SLOTS), .served = true,
		.check = vhk_check_mem_reg,
	},
	[VHK_USER_REM_MEM_REG] = {
		.name = "REM_MEM_REG", .size_min = sizeof(struct vhk_user_mem_reg),
		.size_max = MEM_REG_MAX, .fds_max = 1, REPLY_ACK,
		.need_protocol = VHK_USER_PF(CONFIGURE_MEM_SLOTS), .served = true,
		.check = vhk_check_rem_reg,
	},
	[VHK_USER_SET_STATUS] = {
		.name = "SET_STATUS", .size_min = sizeof(uint64_t), .size_max = sizeof(uint64_t),
		REPLY_ACK, .need_protocol = VHK_USER_PF(STATUS), .served = true,
		.check = vhk_check_status,
	},
	[VHK_USER_GET_STATUS] = {
		.name = "GET_STATUS", REPLY_VALUE, .need_protocol = VHK_USER_PF(STATUS),
		.served = true,
	},
	[VHK_USER_GET_SHARED_OBJECT] = {
		.name = "GET_SHARED_OBJECT", .size_min = sizeof(struct vhk_user_uuid),
		.size_max = sizeof(struct vhk_user_uuid), .reply = VHK_REPLY_PAYLOAD,
		.reply_min = 0, .reply_max = sizeof(struct vhk_user_uuid), .reply_fds_max = 1,
		.need_protocol = VHK_USER_PF(SHARED_OBJECT), .served = true,
		.check = vhk_check_uuid,
	},
	[VHK_USER_SET_DEVICE_STATE_FD] = {
		.name = "SET_DEVICE_STATE_FD", .size_min = sizeof(struct vhk_user_state_transfer),
		.size_max = sizeof(struct vhk_user_state_transfer), .fds_min = 1, .fds_max = 1,
		REPLY_U64, .reply_fds_max = 1, .need_protocol = VHK_USER_PF(DEVICE_STATE),
		.served = true, .check = vhk_check_state_transfer,
	},
	[VHK_USER_CHECK_DEVICE_STATE] = {
		.name = "CHECK_DEVICE_STATE", REPLY_U64,
		.need_protocol = VHK_USER_PF(DEVICE_STATE), .served = true,
	},
	[VHK_USER_GET_SHMEM_CONFIG] = {
		.name = "GET_SHMEM_CONFIG", .reply = VHK_REPLY_PAYLOAD, .reply_min = SHMEM_MIN,
		.reply_max = sizeof(struct vhk_user_shmem_config),
		.need_protocol = VHK_USER_PF(SHMEM),
		.served = true,
	},
	[VHK_USER_GET_VRING_BASE_SKIP_DRAIN] = {
		.name = "GET_VRING_BASE_SKIP_DRAIN",
		.size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), .reply = VHK_REPLY_PAYLOAD,
		.reply_min = sizeof(struct vhk_user_vring_state),
		.reply_max = sizeof(struct vhk_user_vring_state), .index = VHK_INDEX_U32,
		.need_protocol = VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN), .served = true,
	},
};

static const struct vhk_proto back_requests[VHK_USER_BACK_REQ_MAX + 1] = {
	[VHK_USER_BACK_IOTLB_MSG] = {
		.name = "BACKEND_IOTLB_MSG", .size_min = sizeof(struct vhk_user_iotlb),
		.size_max = sizeof(struct vhk_user_iotlb), REPLY_ACK,
		.need_features = VHK_F_ACCESS_PLATFORM, .need_protocol = VHK_USER_PF(BACKEND_REQ),
		.served = true, .check = vhk_check_iotlb,
	},
	[VHK_USER_BACK_CONFIG_CHANGE_MSG] = {
		.name = "BACKEND_CONFIG_CHANGE_MSG", REPLY_ACK,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(CONFIG), .served = true,
	},
	[VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG] = {
		.name = "BACKEND_VRING_HOST_NOTIFIER_MSG",
		.size_min = sizeof(struct vhk_user_vring_area),
		.size_max = sizeof(struct vhk_user_vring_area), .fds_max = 1, REPLY_ACK,
		.index = VHK_INDEX_FD,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(HOST_NOTIFIER),
		.served = true,
	},
	[VHK_USER_BACK_VRING_CALL] = {
		.name = "BACKEND_VRING_CALL", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(INBAND_NOTIFICATIONS),
		.served = true, .check = vhk_check_num_zero,
	},
	[VHK_USER_BACK_VRING_ERR] = {
		.name = "BACKEND_VRING_ERR", .size_min = sizeof(struct vhk_user_vring_state),
		.size_max = sizeof(struct vhk_user_vring_state), REPLY_ACK,
		.index = VHK_INDEX_U32,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(INBAND_NOTIFICATIONS),
		.served = true, .check = vhk_check_num_zero,
	},
	[VHK_USER_BACK_SHARED_OBJECT_ADD] = {
		.name = "BACKEND_SHARED_OBJECT_ADD", .size_min = sizeof(struct vhk_user_uuid),
		.size_max = sizeof(struct vhk_user_uuid), REPLY_ACK,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(SHARED_OBJECT),
		.served = true, .check = vhk_check_uuid,
	},
	[VHK_USER_BACK_SHARED_OBJECT_REMOVE] = {
		.name = "BACKEND_SHARED_OBJECT_REMOVE", .size_min = sizeof(struct vhk_user_uuid),
		.size_max = sizeof(struct vhk_user_uuid), REPLY_ACK,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(SHARED_OBJECT),
		.served = true, .check = vhk_check_uuid,
	},
	[VHK_USER_BACK_SHARED_OBJECT_LOOKUP] = {
		.name = "BACKEND_SHARED_OBJECT_LOOKUP", .size_min = sizeof(struct vhk_user_uuid),
		.size_max = sizeof(struct vhk_user_uuid), REPLY_U64, .reply_fds_max = 1,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(SHARED_OBJECT),
		.served = true, .check = vhk_check_uuid,
	},
	[VHK_USER_BACK_SHMEM_MAP] = {
		.name = "BACKEND_SHMEM_MAP", .size_min = sizeof(struct vhk_user_mmap),
		.size_max = sizeof(struct vhk_user_mmap), .fds_min = 1, .fds_max = 1, REPLY_ACK,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(SHMEM),
		.served = true, .check = vhk_check_mmap,
	},
	[VHK_USER_BACK_SHMEM_UNMAP] = {
		.name = "BACKEND_SHMEM_UNMAP", .size_min = sizeof(struct vhk_user_mmap),
		.size_max = sizeof(struct vhk_user_mmap), REPLY_ACK,
		.need_protocol = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(SHMEM),
		.served = true, .check = vhk_check_mmap,
	},
};

static const struct vhk_proto bases = {
	.name = "SET_MEM_TABLE", .size_min = TABLE_MIN,
	.size_max = sizeof(struct vhk_user_mem_table), .fds_min = 1,
	.fds_max = VHK_USER_TABLE_MAX, .reply = VHK_REPLY_PAYLOAD, .reply_min = TABLE_MIN,
	.reply_max = sizeof(struct vhk_user_mem_table), .need_protocol = VHK_USER_PF(PAGEFAULT),
	.served = true, .check = vhk_check_mem_table,
};

static const struct vhk_proto bases_accepted = {
	.name = "SET_MEM_TABLE", .size_min = sizeof(uint64_t), .size_max = sizeof(uint64_t),
	REPLY_ACK, .need_protocol = VHK_USER_PF(PAGEFAULT), .served = true,
};

const struct vhk_proto *vhk_proto_bases(void)
{
	return &bases;
}

const struct vhk_proto *vhk_proto_bases_accepted(void)
{
	return &bases_accepted;
}

const struct vhk_proto *vhk_proto_request(uint32_t request)
{
	return request && request <= VHK_USER_REQ_MAX ? &requests[request] : NULL;
}

const struct vhk_proto *vhk_proto_back_request(uint32_t request)
{
	return request && request <= VHK_USER_BACK_REQ_MAX ? &back_requests[request] : NULL;
}

static const char *const feature_names[VHK_USER_PF_MAX + 1] = {
	[VHK_USER_PF_MQ] = "MQ",
	[VHK_USER_PF_LOG_SHMFD] = "LOG_SHMFD",
	[VHK_USER_PF_RARP] = "RARP",
	[VHK_USER_PF_REPLY_ACK] = "REPLY_ACK",
	[VHK_USER_PF_MTU] = "MTU",
	[VHK_USER_PF_BACKEND_REQ] = "BACKEND_REQ",
	[VHK_USER_PF_CROSS_ENDIAN] = "CROSS_ENDIAN",
	[VHK_USER_PF_CRYPTO_SESSION] = "CRYPTO_SESSION",
	[VHK_USER_PF_PAGEFAULT] = "PAGEFAULT",
	[VHK_USER_PF_CONFIG] = "CONFIG",
	[VHK_USER_PF_BACKEND_SEND_FD] = "BACKEND_SEND_FD",
	[VHK_USER_PF_HOST_NOTIFIER] = "HOST_NOTIFIER",
	[VHK_USER_PF_INFLIGHT_SHMFD] = "INFLIGHT_SHMFD",
	[VHK_USER_PF_RESET_DEVICE] = "RESET_DEVICE",
	[VHK_USER_PF_INBAND_NOTIFICATIONS] = "INBAND_NOTIFICATIONS",
	[VHK_USER_PF_CONFIGURE_MEM_SLOTS] = "CONFIGURE_MEM_SLOTS",
	[VHK_USER_PF_STATUS] = "STATUS",
	[VHK_USER_PF_XEN_MMAP] = "XEN_MMAP",
	[VHK_USER_PF_SHARED_OBJECT] = "SHARED_OBJECT",
	[VHK_USER_PF_DEVICE_STATE] = "DEVICE_STATE",
	[VHK_USER_PF_GET_VRING_BASE_INFLIGHT] = "GET_VRING_BASE_INFLIGHT",
	[VHK_USER_PF_GPA_ADDRESSES] = "GPA_ADDRESSES",
	[VHK_USER_PF_SHMEM] = "SHMEM",
	[VHK_USER_PF_GET_VRING_BASE_SKIP_DRAIN] = "GET_VRING_BASE_SKIP_DRAIN",
};

const char *vhk_proto_feature_name(unsigned int bit)
{
	return bit <= VHK_USER_PF_MAX ? feature_names[bit] : NULL;
}
