// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Judges messages against the table: form, gates, ring index, contents, in that order. Both ends
 * ask here, and nobody checks a size or an fd count after it.
 */
#include "base.h"
#include "proto.h"

#define KNOWN_FLAGS (VHK_MSG_VERSION_MASK | VHK_MSG_REPLY | VHK_MSG_NEED_REPLY)

static int fail(const char **why, int ret, const char *text)
{
	*why = text;
	return ret;
}

static int check_flags(const struct vhk_msg *m, const char **why)
{
	if ((m->hdr.flags & VHK_MSG_VERSION_MASK) != VHK_MSG_VERSION)
		return fail(why, -EPROTO, "unknown version");
	if (m->hdr.flags & ~(uint32_t)KNOWN_FLAGS)
		return fail(why, -EPROTO, "unknown flags");
	return 0;
}

int vhk_proto_check_form(const struct vhk_proto *row, const struct vhk_msg *m, const char **why)
{
	int ret;

	ret = check_flags(m, why);
	if (ret)
		return ret;
	if (m->hdr.flags & VHK_MSG_REPLY)
		return fail(why, -EPROTO, "a reply, not a request");
	if (m->hdr.size < row->size_min)
		return fail(why, -EPROTO, "too short");
	if (m->hdr.size > row->size_max)
		return fail(why, -EPROTO, "too long");
	if (m->n_fds < row->fds_min)
		return fail(why, -EPROTO, "too few fds");
	if (m->n_fds > row->fds_max)
		return fail(why, -EPROTO, "too many fds");
	return 0;
}

static int check_gates(const struct vhk_proto *row, const struct vhk_proto_state *st,
		       const char **why)
{
	uint64_t features = st->features;

	/*
	 * Who has sent SET_PROTOCOL_FEATURES means bit 30 to be negotiated: front ends of network
	 * cards disable rings before SET_FEATURES.
	 */
	if (!st->features_set && st->protocol_set)
		features |= VHK_F_PROTOCOL_FEATURES;
	if (row->need_features & ~features)
		return fail(why, -EOPNOTSUPP, "its feature was not negotiated");
	if (row->need_protocol & ~st->protocol)
		return fail(why, -EOPNOTSUPP, "its protocol feature was not negotiated");
	return 0;
}

uint64_t vhk_proto_ring(const struct vhk_proto *row, const struct vhk_msg *m)
{
	uint32_t first;

	switch (row->index) {
	case VHK_INDEX_NONE:
		break;
	case VHK_INDEX_U32:
		memcpy(&first, m->bytes, sizeof(first));
		return first;
	case VHK_INDEX_FD:
		return m->u64 & VHK_USER_VRING_FD_INDEX;
	}
	return VHK_PROTO_NO_RING;
}

static int check_index(const struct vhk_proto *row, const struct vhk_proto_state *st,
		       const struct vhk_msg *m, const char **why)
{
	if (row->index == VHK_INDEX_NONE)
		return 0;
	if (row->index == VHK_INDEX_FD) {
		if (m->u64 & ~(VHK_USER_VRING_FD_INDEX | VHK_USER_VRING_FD_NONE))
			return fail(why, -EINVAL, "unknown bits beside the ring index");
		if (!(m->u64 & VHK_USER_VRING_FD_NONE) != (m->n_fds == 1))
			return fail(why, -EINVAL, "bit 8 and the fd contradict each other");
	}
	return vhk_proto_ring(row, m) < st->n_queues ? 0 : fail(why, -EINVAL, "no such ring");
}

static int judge(const struct vhk_proto *row, const struct vhk_proto_state *st,
		 const struct vhk_msg *m, bool served_only, const char **why)
{
	int ret;

	*why = "";
	if (!row)
		return fail(why, -EOPNOTSUPP, "unknown");
	ret = vhk_proto_check_form(row, m, why);
	if (!ret)
		ret = check_gates(row, st, why);
	if (!ret && served_only && !row->served)
		return fail(why, -EOPNOTSUPP, "not served");
	if (!ret)
		ret = check_index(row, st, m, why);
	if (!ret && row->check)
		ret = row->check(st, m, why);
	return ret;
}

static const struct vhk_proto *row_of(uint32_t request, bool back_channel)
{
	return back_channel ? vhk_proto_back_request(request) : vhk_proto_request(request);
}

int vhk_proto_check(const struct vhk_proto_state *st, const struct vhk_msg *m, bool back_channel,
		    const char **why)
{
	return judge(row_of(m->hdr.request, back_channel), st, m, true, why);
}

int vhk_proto_check_row(const struct vhk_proto *row, const struct vhk_proto_state *st,
			const struct vhk_msg *m, const char **why)
{
	return judge(row, st, m, true, why);
}

int vhk_proto_check_any(const struct vhk_proto_state *st, const struct vhk_msg *m,
			bool back_channel, const char **why)
{
	return judge(row_of(m->hdr.request, back_channel), st, m, false, why);
}

static bool says_no(const struct vhk_proto *row, const struct vhk_msg *m)
{
	return row->reply == VHK_REPLY_PAYLOAD && m->hdr.size < row->reply_min && !m->n_fds &&
	       (!m->hdr.size || (m->hdr.size == sizeof(m->u64) && m->u64));
}

int vhk_proto_check_reply(uint32_t request, bool back_channel, const struct vhk_msg *m,
			  const char **why)
{
	return vhk_proto_check_reply_row(row_of(request, back_channel), request, m, why);
}

int vhk_proto_check_reply_row(const struct vhk_proto *row, uint32_t request,
			      const struct vhk_msg *m, const char **why)
{
	int ret;

	*why = "";
	if (!row)
		return fail(why, -EPROTO, "unknown");
	ret = check_flags(m, why);
	if (ret)
		return ret;
	if (m->hdr.request != request || !(m->hdr.flags & VHK_MSG_REPLY))
		return fail(why, -EPROTO, "not the reply that is due");
	if (says_no(row, m))
		return fail(why, -EOPNOTSUPP, "refused");
	if (m->hdr.size < row->reply_min || m->hdr.size > row->reply_max)
		return fail(why, -EPROTO, "a reply of the wrong size");
	if (m->n_fds > row->reply_fds_max)
		return fail(why, -EPROTO, "a reply with too many fds");
	return 0;
}

/* Protocol features that mean nothing without others (vhost-user, "Protocol features"). */
static const struct {
	uint64_t feature, needs;
	const char *why;
} needs[] = {
	{ VHK_USER_PF(BACKEND_SEND_FD), VHK_USER_PF(BACKEND_REQ),
	  "BACKEND_SEND_FD without BACKEND_REQ" },
	{ VHK_USER_PF(HOST_NOTIFIER), VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(BACKEND_SEND_FD),
	  "HOST_NOTIFIER without BACKEND_REQ and BACKEND_SEND_FD" },
	{ VHK_USER_PF(INBAND_NOTIFICATIONS), VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(REPLY_ACK),
	  "INBAND_NOTIFICATIONS without BACKEND_REQ and REPLY_ACK" },
	{ VHK_USER_PF(GET_VRING_BASE_INFLIGHT), VHK_USER_PF(INFLIGHT_SHMFD),
	  "GET_VRING_BASE_INFLIGHT without INFLIGHT_SHMFD" },
	{ VHK_USER_PF(SHMEM), VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(BACKEND_SEND_FD),
	  "SHMEM without BACKEND_REQ and BACKEND_SEND_FD" },
	{ VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN),
	  VHK_USER_PF(INFLIGHT_SHMFD) | VHK_USER_PF(GET_VRING_BASE_INFLIGHT),
	  "GET_VRING_BASE_SKIP_DRAIN without INFLIGHT_SHMFD and GET_VRING_BASE_INFLIGHT" },
};

uint64_t vhk_proto_misfit(uint64_t protocol, const char **why)
{
	size_t i;

	for (i = 0; i < vhk_array_size(needs); i++) {
		if ((protocol & needs[i].feature) && (needs[i].needs & ~protocol)) {
			*why = needs[i].why;
			return needs[i].feature;
		}
	}
	return 0;
}

int vhk_proto_check_features(uint64_t protocol, const char **why)
{
	return vhk_proto_misfit(protocol, why) ? -EINVAL : 0;
}
