// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * One session of a vhost-user back end: receives a request, has it judged by the message table,
 * hands it to its handler, and replies, all in one place each. What a message does is in the other
 * backend_*.c, how a session begins and ends in backend_life.c.
 */
#include <sys/epoll.h>
#include <unistd.h>

#include "backend_over.h"

/* Requests served in one go, before other sessions and timers have their turn. */
#define BUDGET 16
/* For the rest of a message, and for answers to be taken. */
#define STALL_NS 10000000000u

typedef int session_handler_fn(struct vhk_session *s);

static session_handler_fn *const handlers[VHK_USER_REQ_MAX + 1] = {
	[VHK_USER_GET_FEATURES] = vhk_backend_get_features,
	[VHK_USER_SET_FEATURES] = vhk_backend_set_features,
	[VHK_USER_SET_OWNER] = vhk_backend_set_owner,
	[VHK_USER_RESET_OWNER] = vhk_backend_reset_owner,
	[VHK_USER_SET_MEM_TABLE] = vhk_backend_set_mem_table,
	[VHK_USER_SET_LOG_BASE] = vhk_backend_set_log_base,
	[VHK_USER_SET_LOG_FD] = vhk_backend_set_log_fd,
	[VHK_USER_SET_VRING_NUM] = vhk_backend_set_vring_num,
	[VHK_USER_SET_VRING_ADDR] = vhk_backend_set_vring_addr,
	[VHK_USER_SET_VRING_BASE] = vhk_backend_set_vring_base,
	[VHK_USER_GET_VRING_BASE] = vhk_backend_get_vring_base,
	[VHK_USER_SET_VRING_KICK] = vhk_backend_set_vring_kick,
	[VHK_USER_SET_VRING_CALL] = vhk_backend_set_vring_call,
	[VHK_USER_SET_VRING_ERR] = vhk_backend_set_vring_err,
	[VHK_USER_GET_PROTOCOL_FEATURES] = vhk_backend_get_protocol_features,
	[VHK_USER_SET_PROTOCOL_FEATURES] = vhk_backend_set_protocol_features,
	[VHK_USER_GET_QUEUE_NUM] = vhk_backend_get_queue_num,
	[VHK_USER_SET_VRING_ENABLE] = vhk_backend_set_vring_enable,
	[VHK_USER_IOTLB_MSG] = vhk_backend_iotlb_msg,
	[VHK_USER_SET_BACKEND_REQ_FD] = vhk_backend_set_backend_req_fd,
	[VHK_USER_SEND_RARP] = vhk_backend_send_rarp,
	[VHK_USER_NET_SET_MTU] = vhk_backend_net_set_mtu,
	[VHK_USER_SET_VRING_ENDIAN] = vhk_backend_set_vring_endian,
	[VHK_USER_CREATE_CRYPTO_SESSION] = vhk_backend_create_crypto_session,
	[VHK_USER_CLOSE_CRYPTO_SESSION] = vhk_backend_close_crypto_session,
	[VHK_USER_GPU_SET_SOCKET] = vhk_backend_gpu_set_socket,
	[VHK_USER_GET_SHARED_OBJECT] = vhk_backend_get_shared_object,
	[VHK_USER_GET_SHMEM_CONFIG] = vhk_backend_get_shmem_config,
	[VHK_USER_GET_CONFIG] = vhk_backend_get_config,
	[VHK_USER_SET_CONFIG] = vhk_backend_set_config,
	[VHK_USER_POSTCOPY_ADVISE] = vhk_backend_postcopy_advise,
	[VHK_USER_POSTCOPY_LISTEN] = vhk_backend_postcopy_listen,
	[VHK_USER_POSTCOPY_END] = vhk_backend_postcopy_end,
	[VHK_USER_GET_INFLIGHT_FD] = vhk_backend_get_inflight_fd,
	[VHK_USER_SET_INFLIGHT_FD] = vhk_backend_set_inflight_fd,
	[VHK_USER_RESET_DEVICE] = vhk_backend_reset_device,
	[VHK_USER_VRING_KICK] = vhk_backend_vring_kick,
	[VHK_USER_GET_MAX_MEM_SLOTS] = vhk_backend_get_max_mem_slots,
	[VHK_USER_ADD_MEM_REG] = vhk_backend_add_mem_reg,
	[VHK_USER_REM_MEM_REG] = vhk_backend_rem_mem_reg,
	[VHK_USER_SET_STATUS] = vhk_backend_set_status,
	[VHK_USER_GET_STATUS] = vhk_backend_get_status,
	[VHK_USER_SET_DEVICE_STATE_FD] = vhk_backend_set_device_state_fd,
	[VHK_USER_CHECK_DEVICE_STATE] = vhk_backend_check_device_state,
	[VHK_USER_GET_VRING_BASE_SKIP_DRAIN] = vhk_backend_get_vring_base_skip_drain,
};

bool vhk_session_runs(const struct vhk_session *s, unsigned int idx)
{
	return vhk_device_queue_started(s->backend->dev, idx);
}

bool vhk_session_runs_any(const struct vhk_session *s)
{
	unsigned int i;

	for (i = 0; i < s->st.n_queues; i++)
		if (vhk_session_runs(s, i) || s->ring[i].waits)
			return true;
	return false;
}

void vhk_session_reply(struct vhk_session *s, const void *payload, uint32_t size)
{
	memcpy(s->reply.bytes, payload, size);
	s->reply.hdr.size = size;
}

int vhk_session_refuse(struct vhk_session *s, int err, const char *why)
{
	s->why = why;
	return err;
}

int vhk_session_take_fd(struct vhk_session *s, int *fd)
{
	*fd = vhk_msg_take_fd(&s->req, 0);
	if (*fd < 0 || !vhk_sock_is_peer(s->sock.fd, *fd))
		return 0;
	close(*fd);
	*fd = -1;
	return vhk_session_refuse(s, -EINVAL, "the fd is the front end's end of this connection");
}

/* Which requests the state of the rings forbids; SET_FEATURES and SET_VRING_ADDR depend on what
 * they change. */
static bool session_allows(const struct vhk_session *s)
{
	uint32_t idx;

	switch (s->req.hdr.request) {
	case VHK_USER_SET_VRING_NUM:
	case VHK_USER_SET_VRING_BASE:
	case VHK_USER_SET_VRING_ENDIAN:
		memcpy(&idx, s->req.bytes, sizeof(idx));
		return !vhk_session_runs(s, idx) && !s->ring[idx].waits;
	case VHK_USER_SET_PROTOCOL_FEATURES:
	case VHK_USER_SET_INFLIGHT_FD:
	case VHK_USER_SET_DEVICE_STATE_FD:
		return !vhk_session_runs_any(s);
	default:
		return true;
	}
}

static int session_handle(struct vhk_session *s)
{
	uint32_t request = s->req.hdr.request;

	s->why = NULL;
	if (request > VHK_USER_REQ_MAX)
		return vhk_take_handle(s);
	if (s->row == vhk_proto_bases_accepted())
		return vhk_backend_accept_bases(s);
	if (!handlers[request])
		return -EOPNOTSUPP;
	if (!session_allows(s))
		return vhk_session_refuse(s, -EBUSY, "a ring is running");
	return handlers[request](s);
}

void vhk_session_untime(struct vhk_session *s)
{
	if (s->stall > 0)
		vhk_loop_del_timer(s->backend->ctl, s->stall);
	s->stall = 0;
}

static void session_stalled(void *arg)
{
	struct vhk_session *s = arg;

	s->stall = 0;
	vhk_session_fail(s, s->sock.n_tx ? "it has not read its answers for 10 seconds"
					 : "the rest of a message has not come for 10 seconds");
}

/* Each message and each answer has its own deadline, however slowly its bytes drip. */
static void session_time(struct vhk_session *s)
{
	bool stalls = s->state == VHK_SESSION_READY && (s->sock.n_tx || s->sock.got);
	unsigned int of = 2 * s->n_served + (s->sock.n_tx > 0);

	if (stalls && s->stall > 0 && s->stall_of == of)
		return;
	vhk_session_untime(s);
	if (!stalls)
		return;
	s->stall = vhk_loop_add_timer(s->backend->ctl, STALL_NS, session_stalled, s);
	s->stall_of = of;
}

static void session_listen(struct vhk_session *s, uint32_t events)
{
	if (!s->watched || events == s->events)
		return;
	s->events = events;
	vhk_loop_mod_fd(s->backend->ctl, s->sock.fd, events);
}

void vhk_session_watch(struct vhk_session *s)
{
	if (!s->watched)
		return;
	session_time(s);
	/*
	 * A peer that does not take its answers is not asked for more. One whose request is under
	 * way seldom says anything: it is not listened to when it does.
	 */
	if (s->state == VHK_SESSION_READY)
		session_listen(s, s->sock.n_tx ? EPOLLOUT : EPOLLIN);
	else if (s->state != VHK_SESSION_WAITING)
		session_listen(s, 0);
}

void vhk_session_unwatch(struct vhk_session *s)
{
	if (s->watched)
		vhk_loop_del_fd(s->backend->ctl, s->sock.fd);
	s->watched = false;
}

static void session_log_refusal(const struct vhk_session *s, int ret)
{
	const char *why = s->why ? s->why : strerrordesc_np(-ret);

	if (s->row)
		vhk_session_log(s, VHK_LOG_WARN, "%s refused: %s", s->row->name, why);
	else
		vhk_session_log(s, VHK_LOG_WARN, "request %u refused: %s", s->req.hdr.request, why);
}

static void session_clear_reply(struct vhk_session *s)
{
	vhk_msg_fini(&s->reply);
	vhk_msg_init(&s->reply, s->req.hdr.request, VHK_MSG_VERSION | VHK_MSG_REPLY);
}

/* True when a reply to the request is due; makes the ones that the handler does not make. An error
 * in place of a payload is a reply without payload (vhost-user, "GET_CONFIG"). */
static bool session_make_reply(struct vhk_session *s, int ret)
{
	bool ack = (s->req.hdr.flags & VHK_MSG_NEED_REPLY) &&
		   (s->st.protocol & VHK_USER_PF(REPLY_ACK));
	uint64_t result = ret < 0 ? (uint64_t)-ret : 0;

	if (s->row && s->row->reply == VHK_REPLY_PAYLOAD) {
		if (ret < 0)
			session_clear_reply(s);
		return true;
	}
	if (!ack && !(s->row && vhk_proto_answers(&s->st, s->row)))
		return false;
	/* No transfer ever goes through an fd of the device's. */
	if (s->req.hdr.request == VHK_USER_SET_DEVICE_STATE_FD)
		result = (result & VHK_USER_STATE_ERROR) | VHK_USER_STATE_NO_FD;
	session_clear_reply(s);
	vhk_session_reply(s, &result, sizeof(result));
	return true;
}

void vhk_session_answer(struct vhk_session *s, int ret)
{
	int sent = 0;

	if (ret < 0 && s->backend->take)
		vhk_take_note(s, ret, s->row, s->why);
	else if (ret < 0)
		session_log_refusal(s, ret);
	if (session_make_reply(s, ret))
		sent = vhk_sock_send(&s->sock, &s->reply);
	vhk_msg_fini(&s->reply);
	vhk_msg_fini(&s->req);
	s->state = VHK_SESSION_READY;
	if (vhk_take_answered(s))
		return;
	if (sent == -ENOBUFS)
		vhk_session_fail(s, "it does not read its answers");
	else if (sent)
		vhk_session_end(s, "it hung up");
	else if (s->torn)
		vhk_session_fail(s, "a file of its memory was cut short");
	else if (s->deaf)
		vhk_session_fail(s, "it did not ask whether a ring starts, and none does");
}

/* Nothing else could say that notifications have no way (vhost-user, "In-band notifications"). */
static bool session_is_mute(const struct vhk_session *s)
{
	const uint64_t needs = VHK_USER_PF(BACKEND_REQ) | VHK_USER_PF(REPLY_ACK);

	return s->req.hdr.request == VHK_USER_SET_PROTOCOL_FEATURES &&
	       s->req.hdr.size == sizeof(s->req.u64) && (needs & ~s->req.u64) &&
	       (s->req.u64 & VHK_USER_PF(INBAND_NOTIFICATIONS));
}

/* While memory arrives a table is answered, and the answer accepted by a second message. */
static const struct vhk_proto *session_row(const struct vhk_session *s)
{
	if (s->backend->take && vhk_over_row(s->req.hdr.request))
		return vhk_over_row(s->req.hdr.request);
	if (s->req.hdr.request != VHK_USER_SET_MEM_TABLE || !s->postcopy.listening)
		return vhk_proto_request(s->req.hdr.request);
	return vhk_session_accepts_bases(s) ? vhk_proto_bases_accepted() : vhk_proto_bases();
}

static void session_serve(struct vhk_session *s, int received)
{
	uint32_t request = s->req.hdr.request;
	int ret;

	s->n_served++;
	s->row = session_row(s);
	vhk_msg_init(&s->reply, request, VHK_MSG_VERSION | VHK_MSG_REPLY);
	vhk_session_log(s, VHK_LOG_DEBUG, "%s, %u bytes, %u fds",
			s->row ? s->row->name : "unknown request", s->req.hdr.size, s->req.n_fds);
	if (received)
		ret = vhk_session_refuse(s, -EPROTO,
					 "too many fds, or more than this process may open");
	else
		ret = vhk_proto_check_row(s->row, &s->st, &s->req, &s->why);
	if (!ret)
		ret = session_handle(s);
	if (ret != VHK_SESSION_LATER)
		vhk_session_answer(s, ret);
	if (ret < 0 && session_is_mute(s))
		vhk_session_fail(s, "in-band notifications without what they need");
}

static void session_read(struct vhk_session *s)
{
	unsigned int i;
	int ret;

	for (i = 0; i < BUDGET && s->state == VHK_SESSION_READY && !s->sock.n_tx; i++) {
		ret = vhk_sock_recv(&s->sock, &s->req);
		if (ret == -EAGAIN)
			return;
		if (ret == -EPROTO) {
			vhk_session_fail(s, "its stream of messages is broken");
			return;
		}
		if (ret && ret != -EBADF) {
			vhk_session_end(s, "it hung up");
			return;
		}
		session_serve(s, ret);
	}
}

void vhk_session_event(void *arg, uint32_t events)
{
	struct vhk_session *s = arg;
	int ret;

	if (s->state != VHK_SESSION_READY) {
		/* gone while its request is under way, whose answer nobody waits for */
		if (events & (EPOLLHUP | EPOLLERR))
			vhk_session_end(s, "it hung up");
		else
			session_listen(s, 0);
		return;
	}
	ret = s->sock.n_tx ? vhk_sock_flush(&s->sock) : 0;
	if (ret && ret != -EAGAIN)
		vhk_session_end(s, "it hung up");
	else
		session_read(s);
	vhk_session_watch(s);
}

void vhk_session_rewatch(struct vhk_session *s)
{
	if (!s->watched) {
		s->watched = !vhk_loop_add_fd(s->backend->ctl, s->sock.fd, 0, vhk_session_event, s);
		s->events = 0;
	}
	if (s->watched)
		vhk_session_watch(s);
	else
		vhk_session_fail(s, "it cannot be watched");
}
