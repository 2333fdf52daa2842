// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What both ends settle on (features, protocol features, owner, number of queues), and what takes
 * it back: reset and status.
 */
#include "backend_impl.h"

#define PROTOCOL_OFFERED                                                                           \
	(VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK) | VHK_USER_PF(BACKEND_REQ) |                     \
	 VHK_USER_PF(LOG_SHMFD) |                                                                  \
	 VHK_USER_PF(INFLIGHT_SHMFD) | VHK_USER_PF(RESET_DEVICE) |                                 \
	 VHK_USER_PF(INBAND_NOTIFICATIONS) | VHK_USER_PF(GPA_ADDRESSES) |                          \
	 VHK_USER_PF(CONFIGURE_MEM_SLOTS) | VHK_USER_PF(STATUS) |                                  \
	 VHK_USER_PF(GET_VRING_BASE_INFLIGHT) | VHK_USER_PF(GET_VRING_BASE_SKIP_DRAIN))

/*
 * QEMU before 8.1 tells of each region once for every pair of a network card's queues, and means
 * one region by it.
 */
#define ID_NET 1
#define NET_QUEUES_OF_ONE_PAIR 3

static bool repeats_regions(const struct vhk_device_info *info)
{
	return info->device_id == ID_NET && info->n_queues > NET_QUEUES_OF_ONE_PAIR;
}

void vhk_backend_offer(const struct vhk_backend *b, struct vhk_proto_state *st)
{
	const struct vhk_device_info *info = vhk_device_info(b->dev);

	*st = (struct vhk_proto_state){
		.features_offered = info->features | VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL |
				    VHK_F_ACCESS_PLATFORM,
		.protocol_offered =
			PROTOCOL_OFFERED | (info->config_size ? VHK_USER_PF(CONFIG) : 0) |
			(vhk_device_has_state(b->dev) ? VHK_USER_PF(DEVICE_STATE) : 0) |
			vhk_session_type_features(b->dev),
		.n_queues = vhk_min((uint32_t)info->n_queues, (uint32_t)VHK_BACKEND_QUEUES_MAX),
	};
	if (repeats_regions(info))
		st->protocol_offered &= ~VHK_USER_PF(CONFIGURE_MEM_SLOTS);
	if (b->o.flags & VHK_BACKEND_F_XEN)
		st->protocol_offered |= VHK_USER_PF(XEN_MMAP);
	if (b->o.flags & VHK_BACKEND_F_POSTCOPY) {
		st->protocol_offered |= VHK_USER_PF(PAGEFAULT);
		st->protocol_offered &= ~VHK_USER_PF(CONFIGURE_MEM_SLOTS);
	}
}

static int reply_u64(struct vhk_session *s, uint64_t v)
{
	vhk_session_reply(s, &v, sizeof(v));
	return 0;
}

int vhk_backend_get_features(struct vhk_session *s)
{
	return reply_u64(s, s->st.features_offered);
}

/* Without bit 30 there is no SET_VRING_ENABLE, and rings are enabled from the start (vhost-user,
 * "Ring states"). */
static void enable_rings(struct vhk_session *s, bool on)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++)
		s->ring[i].enabled = on;
}

/* Who sets it while rings run wants every page that they write from here on (vhost-user,
 * "Migration"). */
static int set_logging(struct vhk_session *s, uint64_t f)
{
	uint64_t former = s->st.features;

	if (f == former)
		return 0;
	s->st.features = f;
	if ((f & VHK_F_LOG_ALL) && (!s->log || !vhk_session_log_covers(s, s->mem))) {
		s->st.features = former;
		return vhk_session_refuse(s, -EINVAL, "there is no log for all of the memory");
	}
	return vhk_session_spread_log(s);
}

int vhk_backend_set_features(struct vhk_session *s)
{
	uint64_t f = s->req.u64;
	int ret;

	/* Sent again on running rings where only the logging of writes changes, which must not stop
	 * them. */
	if (vhk_session_runs_any(s)) {
		if ((f ^ s->st.features) & ~VHK_F_LOG_ALL)
			return vhk_session_refuse(s, -EBUSY, "rings are running");
		return set_logging(s, f);
	}
	ret = vhk_device_set_features(s->backend->dev,
				      f & ~(VHK_F_PROTOCOL_FEATURES | VHK_F_LOG_ALL));
	if (ret < 0)
		return vhk_session_refuse(s, ret, "the device cannot work with these features");
	if (!(f & VHK_F_PROTOCOL_FEATURES))
		enable_rings(s, true);
	s->st.features = f;
	s->st.features_set = true;
	return vhk_session_reset_iotlb(s);
}

int vhk_backend_get_protocol_features(struct vhk_session *s)
{
	return reply_u64(s, s->st.protocol_offered);
}

int vhk_backend_set_protocol_features(struct vhk_session *s)
{
	s->st.protocol = s->req.u64;
	s->st.protocol_set = true;
	if (!(s->st.protocol & VHK_USER_PF(BACKEND_REQ)))
		vhk_session_drop_channel(s);
	return 0;
}

int vhk_backend_set_owner(struct vhk_session *s)
{
	s->st.owned = true;
	return 0;
}

/* Next ring from the cursor on that runs and is enabled: disabled, one by one. */
static int disable_next(struct vhk_session *s, int ret, uint32_t base)
{
	(void)base;
	while (!ret && s->cursor < s->st.n_queues) {
		unsigned int idx = s->cursor++;

		s->ring[idx].enabled = false;
		if (!vhk_session_runs(s, idx))
			continue;
		ret = vhk_device_set_enabled(s->backend->dev, idx, false, vhk_session_changed, s);
		return vhk_session_wait(s, ret, disable_next);
	}
	return ret;
}

/* Disables all rings; connection state stays (vhost-user, "RESET_OWNER"). Without bit 30 nothing
 * could enable them again, and ignoring the message is the other choice that the specification
 * gives. */
int vhk_backend_reset_owner(struct vhk_session *s)
{
	s->cursor = 0;
	return s->st.features & VHK_F_PROTOCOL_FEATURES ? disable_next(s, 0, 0) : 0;
}

int vhk_backend_get_queue_num(struct vhk_session *s)
{
	return reply_u64(s, s->st.n_queues);
}

/* What every reset means: nothing is in flight, and the region must not tell of what was, except
 * for rings that left chains in it. */
static void finish_reset(struct vhk_session *s)
{
	vhk_session_reset_inflight(s);
	s->status = 0;
}

static void finish_device_reset(struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++)
		s->ring[i].left = false;
	finish_reset(s);
	vhk_session_drop_state(s);
	vhk_device_reset(s->backend->dev);
	vhk_session_reset_rings(s);
	enable_rings(s, s->st.features_set && !(s->st.features & VHK_F_PROTOCOL_FEATURES));
}

static int stopped_one(struct vhk_session *s, int ret, uint32_t base);

/* Stops the rings that run from the cursor on, one by one, so that the position of each is kept. */
static int stop_rings(struct vhk_session *s)
{
	unsigned int i;
	int ret;

	while (s->cursor < s->st.n_queues && !vhk_session_runs(s, s->cursor))
		s->cursor++;
	if (s->cursor == s->st.n_queues) {
		for (i = 0; i < s->st.n_queues; i++)
			vhk_session_stop_waiting(s, i);
		s->then(s);
		return 0;
	}
	ret = vhk_device_stop_queue(s->backend->dev, s->cursor, vhk_session_changed, s);
	return vhk_session_wait(s, ret, stopped_one);
}

static int stopped_one(struct vhk_session *s, int ret, uint32_t base)
{
	if (ret)
		return ret;
	vhk_session_note_base(s, s->cursor, base);
	return stop_rings(s);
}

int vhk_backend_reset_device(struct vhk_session *s)
{
	s->cursor = 0;
	s->then = finish_device_reset;
	return stop_rings(s);
}

/*
 * Status 0 stops the rings. It resets neither positions nor the device: front ends send it whenever
 * a virtual machine pauses, ask for the positions after it (GET_VRING_BASE), and go on from there
 * with a driver that has not noticed. A set of features that was refused must not look accepted
 * (virtio 1.3, 3.1.1, step 6).
 */
int vhk_backend_set_status(struct vhk_session *s)
{
	uint64_t status = s->req.u64;

	if (!status) {
		s->cursor = 0;
		s->then = finish_reset;
		return stop_rings(s);
	}
	if (!s->st.features_set)
		status &= ~(uint64_t)VIRTIO_CONFIG_S_FEATURES_OK;
	s->status = (uint8_t)status | (s->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	return 0;
}

int vhk_backend_get_status(struct vhk_session *s)
{
	return reply_u64(s, s->status);
}
