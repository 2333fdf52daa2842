/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A scripted vhost-user back end for tests of the front end: raw bytes out, raw messages in, no
 * thread. What the back end will answer is written before it is asked; a socket keeps it until
 * then.
 */
#ifndef VHK_TESTS_T_PEER_H
#define VHK_TESTS_T_PEER_H

#include <sys/socket.h>

#include <vhostkit/ctl.h>

#include "t.h"

#define T_PEER_REPLY 0x5
#define T_PEER_ASK 0x1
#define T_PEER_ASK_ACK 0x9

struct t_peer_msg {
	uint32_t request, flags, size;
	union {
		unsigned char bytes[4096];
		uint64_t u64;
		uint32_t u32[16];
		uint64_t w[64];
	};
	int fd[40];
	unsigned int n_fds;
};

static inline void t_peer_send(int sock, uint32_t request, uint32_t flags, const void *payload,
			       uint32_t size, const int *fd, unsigned int n_fds)
{
	unsigned char buf[8192];
	char control[CMSG_SPACE(40 * sizeof(int))] = { 0 };
	uint32_t hdr[3] = { request, flags, size };
	struct iovec iov = { buf, sizeof(hdr) + size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	memcpy(buf, hdr, sizeof(hdr));
	if (size)
		memcpy(buf + sizeof(hdr), payload, size);
	if (n_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fd, n_fds * sizeof(int));
	}
	n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	/* Who hung up because of the answer before needs no other. */
	T_MUST(n == (ssize_t)iov.iov_len || (n < 0 && (errno == EPIPE || errno == ECONNRESET)));
}

static inline void t_peer_reply_u64(int sock, uint32_t request, uint64_t v)
{
	t_peer_send(sock, request, T_PEER_REPLY, &v, sizeof(v), NULL, 0);
}

/* The next message, with its fds (the caller's to close). False: none is waiting. */
static inline bool t_peer_recv(int sock, struct t_peer_msg *m)
{
	char control[CMSG_SPACE(40 * sizeof(int))];
	struct iovec iov = { m, 12 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;

	memset(m, 0, sizeof(*m));
	if (recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 12)
		return false;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		m->n_fds = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(m->fd, CMSG_DATA(c), m->n_fds * sizeof(int));
	}
	T_MUST(m->size <= sizeof(m->bytes));
	if (m->size)
		T_MUST(recv(sock, m->bytes, m->size, MSG_DONTWAIT) == (ssize_t)m->size);
	return true;
}

static inline void t_peer_close_fds(struct t_peer_msg *m)
{
	while (m->n_fds)
		close(m->fd[--m->n_fds]);
}

/* A front end on one end of a pair; the other end is returned. */
static inline int t_peer_open(struct vhk_ctl **c, const struct vhk_ctl_opts *o)
{
	char uri[32];
	int fd[2];

	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	T_MUST(!vhk_ctl_open(c, uri, o));
	return fd[1];
}

/* Leaves nothing in the socket. */
static inline unsigned int t_peer_drain(int sock)
{
	struct t_peer_msg m;
	unsigned int n = 0;

	while (t_peer_recv(sock, &m)) {
		t_peer_close_fds(&m);
		n++;
	}
	return n;
}

/* Negotiates by hand: everything in @features and @protocol. */
static inline void t_peer_negotiate(struct vhk_ctl *c, int sock, uint64_t features,
				    uint64_t protocol)
{
	bool ack = protocol & VHK_PF_REPLY_ACK;
	uint64_t v;

	t_peer_reply_u64(sock, VHK_CTL_GET_FEATURES, features | VHK_F_PROTOCOL_FEATURES);
	T_MUST(!vhk_ctl_get_features(c, &v));
	t_peer_reply_u64(sock, VHK_CTL_GET_PROTOCOL_FEATURES, protocol);
	T_MUST(!vhk_ctl_get_protocol_features(c, &v));
	T_MUST(!vhk_ctl_set_protocol_features(c, protocol));
	if (ack)
		t_peer_reply_u64(sock, VHK_CTL_SET_FEATURES, 0);
	T_MUST(!vhk_ctl_set_features(c, features | VHK_F_PROTOCOL_FEATURES));
	t_peer_drain(sock);
}

/*
 * Answers @m as a back end that offers @features and @protocol and accepts everything. @inflight:
 * fd to hand out.
 */
static inline void t_peer_answer(int sock, const struct t_peer_msg *m, uint64_t features,
				 uint64_t protocol, int inflight)
{
	uint64_t region[3] = { 0x1000, 0, 0 };

	switch (m->request) {
	case VHK_CTL_GET_FEATURES:
		t_peer_reply_u64(sock, m->request, features);
		break;
	case VHK_CTL_GET_PROTOCOL_FEATURES:
		t_peer_reply_u64(sock, m->request, protocol);
		break;
	case VHK_CTL_GET_QUEUE_NUM:
		t_peer_reply_u64(sock, m->request, 64);
		break;
	case VHK_CTL_GET_MAX_MEM_SLOTS:
		t_peer_reply_u64(sock, m->request, 509);
		break;
	case VHK_CTL_GET_STATUS:
		t_peer_reply_u64(sock, m->request, 0xf);
		break;
	case VHK_CTL_GET_VRING_BASE:
		t_peer_send(sock, m->request, T_PEER_REPLY, m->bytes, 8, NULL, 0);
		break;
	case VHK_CTL_GET_INFLIGHT_FD:
		region[2] = m->w[2];
		t_peer_send(sock, m->request, T_PEER_REPLY, region, 24, &inflight, 1);
		break;
	default:
		if (m->flags & 8)
			t_peer_reply_u64(sock, m->request, 0);
	}
}

#endif
