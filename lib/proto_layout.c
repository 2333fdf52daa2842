// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The layouts of all payloads (vhost-user, "Message payloads"), and which message has which.
 */
#include "base.h"
#include "proto.h"
#include "proto_fields.h"

#define AT(type, member, called, how)                                                              \
	{ .name = called, .at = offsetof(struct type, member),                                     \
	  .size = sizeof(((struct type *)NULL)->member), .kind = VHK_TRACE_##how }
#define U64(called, how) { .name = called, .size = 8, .kind = VHK_TRACE_##how }
#define BITS(called, bits) { .name = called, .size = 8, .mask = bits }
#define PICK(type, member, called, names)                                                          \
	{ .name = called, .at = offsetof(struct type, member),                                     \
	  .size = sizeof(((struct type *)NULL)->member), .kind = VHK_TRACE_CHOICE,                 \
	  .choice = names, .n_choices = vhk_array_size(names) }
#define PLAIN(name) static const struct vhk_layout name##_layout = { .fields = name##_fields }
#define END { .name = NULL }

static const char *const off_on[] = { "off", "on" };
static const char *const byte_order[] = { "little", "big" };
static const char *const write_kind[] = { "writable", "migration" };
static const char *const access_right[] = { "none", "read", "write", "read-write" };
static const char *const map_right[] = { "read", "read-write" };
static const char *const iotlb_type[] = { NULL, "miss", "update", "invalidate", "access-fail" };
static const char *const direction_name[] = { "save", "load" };
static const char *const phase_name[] = { "stopped" };
static const char *const no_fd[] = { NULL, "none" };

#define NO_FD                                                                                      \
	{ .name = "fd", .size = 8, .kind = VHK_TRACE_CHOICE, .mask = VHK_USER_VRING_FD_NONE,       \
	  .if_set = true, .choice = no_fd, .n_choices = vhk_array_size(no_fd) }

static const struct vhk_field features_fields[] = { U64("features", FEATURES), END };
static const struct vhk_field protocol_fields[] = { U64("features", PROTOCOL), END };
static const struct vhk_field status_fields[] = { U64("status", STATUS), END };
static const struct vhk_field queues_fields[] = { U64("queues", NUMBER), END };
static const struct vhk_field slots_fields[] = { U64("slots", NUMBER), END };
static const struct vhk_field mtu_fields[] = { U64("mtu", NUMBER), END };
static const struct vhk_field session_fields[] = { U64("session", NUMBER), END };
static const struct vhk_field result_fields[] = { U64("result", NUMBER), END };
static const struct vhk_field vring_fd_fields[] = {
	BITS("index", VHK_USER_VRING_FD_INDEX), NO_FD, END
};
/* Bits 0-7: an error; bit 8: no fd (vhost-user, "Device state transfer"). */
static const struct vhk_field state_reply_fields[] = { BITS("result", 0xff), NO_FD, END };
static const struct vhk_field mac_fields[] = {
	{ .name = "mac", .size = 6, .kind = VHK_TRACE_BYTES },
	{ .name = "padding", .at = 6, .size = 2, .if_set = true },
	END
};
static const struct vhk_field num_fields[] = {
	AT(vhk_user_vring_state, index, "index", NUMBER),
	AT(vhk_user_vring_state, num, "num", NUMBER), END
};
static const struct vhk_field base_fields[] = {
	AT(vhk_user_vring_state, index, "index", NUMBER),
	AT(vhk_user_vring_state, num, "base", NUMBER), END
};
static const struct vhk_field enable_fields[] = {
	AT(vhk_user_vring_state, index, "index", NUMBER),
	PICK(vhk_user_vring_state, num, "enable", off_on), END
};
static const struct vhk_field endian_fields[] = {
	AT(vhk_user_vring_state, index, "index", NUMBER),
	PICK(vhk_user_vring_state, num, "order", byte_order), END
};
static const struct vhk_field index_fields[] = {
	AT(vhk_user_vring_state, index, "index", NUMBER),
	{ .name = "num", .at = 4, .size = 4, .if_set = true }, END
};
static const struct vhk_field addr_fields[] = {
	AT(vhk_user_vring_addr, index, "index", NUMBER),
	AT(vhk_user_vring_addr, flags, "flags", ADDRESS),
	AT(vhk_user_vring_addr, desc, "desc", ADDRESS),
	AT(vhk_user_vring_addr, used, "used", ADDRESS),
	AT(vhk_user_vring_addr, avail, "avail", ADDRESS),
	AT(vhk_user_vring_addr, log, "log", ADDRESS), END
};
static const struct vhk_field table_fields[] = {
	{ .name = "regions", .size = 4 },
	{ .name = "padding", .at = 4, .size = 4, .if_set = true }, END
};
/* The last two are Xen's: there where the regions are long enough for them. */
static const struct vhk_field region_fields[] = {
	AT(vhk_user_region, gpa, "gpa", ADDRESS), AT(vhk_user_region, size, "size", SIZE),
	AT(vhk_user_region, uva, "uva", ADDRESS), AT(vhk_user_region, offset, "offset", ADDRESS),
	{ .name = "xen_flags", .at = 32, .size = 4, .kind = VHK_TRACE_ADDRESS },
	{ .name = "domain", .at = 36, .size = 4 }, END
};
static const struct vhk_field reg_fields[] = {
	{ .name = "padding", .size = 8, .if_set = true },
	AT(vhk_user_mem_reg, region.gpa, "gpa", ADDRESS),
	AT(vhk_user_mem_reg, region.size, "size", SIZE),
	AT(vhk_user_mem_reg, region.uva, "uva", ADDRESS),
	AT(vhk_user_mem_reg, region.offset, "offset", ADDRESS), END
};
static const struct vhk_field log_fields[] = {
	AT(vhk_user_log, size, "size", SIZE), AT(vhk_user_log, offset, "offset", ADDRESS), END
};
static const struct vhk_field iotlb_fields[] = {
	AT(vhk_user_iotlb, iova, "iova", ADDRESS), AT(vhk_user_iotlb, size, "size", SIZE),
	AT(vhk_user_iotlb, uaddr, "uaddr", ADDRESS),
	PICK(vhk_user_iotlb, perm, "access", access_right),
	PICK(vhk_user_iotlb, type, "type", iotlb_type),
	{ .name = "padding", .at = offsetof(struct vhk_user_iotlb, padding), .size = 4,
	  .if_set = true },
	{ .name = "padding2", .at = offsetof(struct vhk_user_iotlb, padding) + 4, .size = 2,
	  .if_set = true },
	END
};
static const struct vhk_field config_fields[] = {
	AT(vhk_user_config, offset, "offset", NUMBER), AT(vhk_user_config, size, "size", NUMBER),
	PICK(vhk_user_config, flags, "flags", write_kind), END
};
static const struct vhk_field inflight_fields[] = {
	AT(vhk_user_inflight, mmap_size, "mmap_size", SIZE),
	AT(vhk_user_inflight, mmap_offset, "mmap_offset", ADDRESS),
	AT(vhk_user_inflight, num_queues, "queues", NUMBER),
	AT(vhk_user_inflight, queue_size, "queue_size", NUMBER),
	{ .name = "padding", .at = offsetof(struct vhk_user_inflight, padding), .size = 4,
	  .if_set = true },
	END
};
static const struct vhk_field uuid_fields[] = {
	{ .name = "uuid", .size = 16, .kind = VHK_TRACE_UUID }, END
};
static const struct vhk_field transfer_fields[] = {
	PICK(vhk_user_state_transfer, direction, "direction", direction_name),
	PICK(vhk_user_state_transfer, phase, "phase", phase_name), END
};
static const struct vhk_field area_fields[] = {
	BITS("index", VHK_USER_VRING_FD_INDEX), NO_FD,
	AT(vhk_user_vring_area, size, "size", SIZE),
	AT(vhk_user_vring_area, offset, "offset", ADDRESS), END
};
static const struct vhk_field mmap_fields[] = {
	AT(vhk_user_mmap, shmid, "shmid", NUMBER),
	AT(vhk_user_mmap, fd_offset, "fd_offset", ADDRESS),
	AT(vhk_user_mmap, shm_offset, "shm_offset", ADDRESS), AT(vhk_user_mmap, len, "len", SIZE),
	PICK(vhk_user_mmap, flags, "access", map_right), END
};
static const struct vhk_field shmem_item_fields[] = { U64("size", SIZE), END };
static const struct vhk_field no_fields[] = { END };

PLAIN(features);
PLAIN(protocol);
PLAIN(status);
PLAIN(queues);
PLAIN(slots);
PLAIN(mtu);
PLAIN(mac);
PLAIN(session);
PLAIN(result);
PLAIN(vring_fd);
PLAIN(state_reply);
PLAIN(num);
PLAIN(base);
PLAIN(enable);
PLAIN(endian);
PLAIN(index);
PLAIN(addr);
PLAIN(reg);
PLAIN(log);
PLAIN(iotlb);
PLAIN(inflight);
PLAIN(uuid);
PLAIN(transfer);
PLAIN(area);
PLAIN(mmap);
static const struct vhk_layout config_layout = { .fields = config_fields, .rest = "data" };
static const struct vhk_layout crypto_layout = { .fields = no_fields, .rest = "parameters" };
static const struct vhk_layout table_layout = {
	.fields = table_fields, .list = "region", .list_at = 8, .item_size = 32,
	.item = region_fields
};
static const struct vhk_layout shmem_layout = {
	.fields = table_fields, .list = "region", .list_at = 8, .item_size = 8,
	.item = shmem_item_fields
};

struct pair {
	const struct vhk_layout *request, *reply; /* a NULL reply: the result */
};

static const struct pair front[VHK_USER_REQ_MAX + 1] = {
	[VHK_USER_GET_FEATURES] = { NULL, &features_layout },
	[VHK_USER_SET_FEATURES] = { &features_layout, NULL },
	[VHK_USER_SET_MEM_TABLE] = { &table_layout, NULL },
	[VHK_USER_SET_LOG_BASE] = { &log_layout, &log_layout },
	[VHK_USER_SET_VRING_NUM] = { &num_layout, NULL },
	[VHK_USER_SET_VRING_ADDR] = { &addr_layout, NULL },
	[VHK_USER_SET_VRING_BASE] = { &base_layout, NULL },
	[VHK_USER_GET_VRING_BASE] = { &index_layout, &base_layout },
	[VHK_USER_SET_VRING_KICK] = { &vring_fd_layout, NULL },
	[VHK_USER_SET_VRING_CALL] = { &vring_fd_layout, NULL },
	[VHK_USER_SET_VRING_ERR] = { &vring_fd_layout, NULL },
	[VHK_USER_GET_PROTOCOL_FEATURES] = { NULL, &protocol_layout },
	[VHK_USER_SET_PROTOCOL_FEATURES] = { &protocol_layout, NULL },
	[VHK_USER_GET_QUEUE_NUM] = { NULL, &queues_layout },
	[VHK_USER_SET_VRING_ENABLE] = { &enable_layout, NULL },
	[VHK_USER_SEND_RARP] = { &mac_layout, NULL },
	[VHK_USER_NET_SET_MTU] = { &mtu_layout, NULL },
	[VHK_USER_IOTLB_MSG] = { &iotlb_layout, NULL },
	[VHK_USER_SET_VRING_ENDIAN] = { &endian_layout, NULL },
	[VHK_USER_GET_CONFIG] = { &config_layout, &config_layout },
	[VHK_USER_SET_CONFIG] = { &config_layout, NULL },
	[VHK_USER_CREATE_CRYPTO_SESSION] = { &crypto_layout, &crypto_layout },
	[VHK_USER_CLOSE_CRYPTO_SESSION] = { &session_layout, NULL },
	[VHK_USER_GET_INFLIGHT_FD] = { &inflight_layout, &inflight_layout },
	[VHK_USER_SET_INFLIGHT_FD] = { &inflight_layout, NULL },
	[VHK_USER_VRING_KICK] = { &index_layout, NULL },
	[VHK_USER_GET_MAX_MEM_SLOTS] = { NULL, &slots_layout },
	[VHK_USER_ADD_MEM_REG] = { &reg_layout, NULL },
	[VHK_USER_REM_MEM_REG] = { &reg_layout, NULL },
	[VHK_USER_SET_STATUS] = { &status_layout, NULL },
	[VHK_USER_GET_STATUS] = { NULL, &status_layout },
	[VHK_USER_GET_SHARED_OBJECT] = { &uuid_layout, &uuid_layout },
	[VHK_USER_SET_DEVICE_STATE_FD] = { &transfer_layout, &state_reply_layout },
	[VHK_USER_GET_SHMEM_CONFIG] = { NULL, &shmem_layout },
	[VHK_USER_GET_VRING_BASE_SKIP_DRAIN] = { &index_layout, &base_layout },
};

static const struct pair back[VHK_USER_BACK_REQ_MAX + 1] = {
	[VHK_USER_BACK_IOTLB_MSG] = { &iotlb_layout, NULL },
	[VHK_USER_BACK_VRING_HOST_NOTIFIER_MSG] = { &area_layout, NULL },
	[VHK_USER_BACK_VRING_CALL] = { &index_layout, NULL },
	[VHK_USER_BACK_VRING_ERR] = { &index_layout, NULL },
	[VHK_USER_BACK_SHARED_OBJECT_ADD] = { &uuid_layout, NULL },
	[VHK_USER_BACK_SHARED_OBJECT_REMOVE] = { &uuid_layout, NULL },
	[VHK_USER_BACK_SHARED_OBJECT_LOOKUP] = { &uuid_layout, NULL },
	[VHK_USER_BACK_SHMEM_MAP] = { &mmap_layout, NULL },
	[VHK_USER_BACK_SHMEM_UNMAP] = { &mmap_layout, NULL },
};

/* While postcopy listens: a number under the name of the table whose answer it accepts. */
static bool accepts_bases(uint32_t request, bool back_channel, uint32_t len)
{
	return !back_channel && request == VHK_USER_SET_MEM_TABLE && len == sizeof(uint64_t);
}

static const struct vhk_layout *longer(uint32_t request, bool back_channel, uint32_t len)
{
	/* While postcopy listens, a table of where the regions came to lie. */
	if (!back_channel && request == VHK_USER_SET_MEM_TABLE && len != sizeof(uint64_t))
		return &table_layout;
	return NULL;
}

const struct vhk_layout *vhk_proto_layout(uint32_t request, bool back_channel, bool reply,
					  uint32_t len)
{
	const struct pair *p;
	uint32_t max = back_channel ? VHK_USER_BACK_REQ_MAX : VHK_USER_REQ_MAX;

	if (!request || request > max)
		return NULL;
	p = back_channel ? &back[request] : &front[request];
	if (!reply)
		return accepts_bases(request, back_channel, len) ? &result_layout : p->request;
	if (longer(request, back_channel, len))
		return longer(request, back_channel, len);
	/* A longer payload that is refused comes as a number. */
	if (p->reply && p->reply != &state_reply_layout && len == sizeof(uint64_t) &&
	    vhk_layout_size(p->reply) > len)
		return &result_layout;
	return p->reply ? p->reply : &result_layout;
}

uint32_t vhk_layout_size(const struct vhk_layout *l)
{
	const struct vhk_field *f;
	uint32_t size = 0;

	for (f = l->fields; f->name; f++)
		size = vhk_max(size, (uint32_t)f->at + f->size);
	return size;
}
