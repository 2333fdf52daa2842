// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The form of the messages that hand a session over.
 */
#include "backend_over.h"

/* The channel's fd, the connection's and the listening one. */
#define COMMIT_FDS 3

#define REPLY_U64                                                                                  \
	.reply = VHK_REPLY_U64, .reply_min = sizeof(uint64_t), .reply_max = sizeof(uint64_t),      \
	.served = true

static const struct vhk_proto rows[VHK_OVER_END - VHK_OVER_HELLO] = {
	[0] = {
		.name = "OVER_HELLO", .size_min = sizeof(struct vhk_over_hello),
		.size_max = sizeof(struct vhk_over_hello), .served = true,
	},
	[VHK_OVER_OFFER - VHK_OVER_HELLO] = {
		.name = "OVER_OFFER", .size_min = sizeof(struct vhk_over_offer),
		.size_max = sizeof(struct vhk_over_offer), .served = true,
	},
	[VHK_OVER_SESSION - VHK_OVER_HELLO] = {
		.name = "OVER_SESSION", .size_min = sizeof(struct vhk_over_session),
		.size_max = sizeof(struct vhk_over_session), .served = true,
	},
	[VHK_OVER_READY - VHK_OVER_HELLO] = {
		.name = "OVER_READY", REPLY_U64,
	},
	[VHK_OVER_DEVICE - VHK_OVER_HELLO] = {
		.name = "OVER_DEVICE", .size_max = VHK_PARCEL_BYTES, .fds_max = VHK_PARCEL_FDS,
		.served = true,
	},
	[VHK_OVER_STATE - VHK_OVER_HELLO] = {
		.name = "OVER_STATE", .size_max = VHK_MSG_PAYLOAD_MAX, .served = true,
	},
	[VHK_OVER_CONFIG - VHK_OVER_HELLO] = {
		.name = "OVER_CONFIG", .size_max = VHK_USER_CONFIG_MAX, .served = true,
	},
	[VHK_OVER_RING - VHK_OVER_HELLO] = {
		.name = "OVER_RING", .size_min = sizeof(struct vhk_over_ring),
		.size_max = sizeof(struct vhk_over_ring), .fds_max = 1,
		.index = VHK_INDEX_U32, .served = true,
	},
	[VHK_OVER_COMMIT - VHK_OVER_HELLO] = {
		.name = "OVER_COMMIT", .size_min = VHK_OVER_COMMIT_MIN,
		.size_max = sizeof(struct vhk_over_commit), .fds_max = COMMIT_FDS, REPLY_U64,
	},
};

const struct vhk_proto *vhk_over_row(uint32_t request)
{
	uint32_t i = request - VHK_OVER_HELLO;

	return i < vhk_array_size(rows) ? &rows[i] : NULL;
}
