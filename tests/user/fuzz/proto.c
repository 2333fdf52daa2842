// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * A peer that sends anything in pieces of any size with any number of fds. The input is a byte that
 * picks what was offered, then pieces: a byte of fds, a byte of length, the bytes. What must hold:
 * a message that is accepted has the form of its row and a ring that exists, every refusal has a
 * reason, and no fd stays open.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"
#include "proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FDS_MAX 40

struct fuzz {
	struct vhk_sock sock;
	int peer;
	int fd; /* what is sent as every fd */
	struct vhk_proto_state st;
	bool back_channel;
};

#define must(ok)                                                                                   \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fprintf(stderr, "line %d: not so: %s (%m)\n", __LINE__, #ok);              \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The lowest free fd: the same before and after, or one was lost. */
static int probe_fd(int of)
{
	int fd = dup(of);

	must(fd >= 0);
	close(fd);
	return fd;
}

static void put(struct fuzz *f, const uint8_t *bytes, size_t len, unsigned int n_fds)
{
	char control[CMSG_SPACE(FDS_MAX * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int i;
	ssize_t sent;

	if (n_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &f->fd, sizeof(int));
	}
	sent = sendmsg(f->peer, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	/* nobody reads a stream that is lost, and some day it is full */
	must(sent == (ssize_t)len || errno == EAGAIN);
}

static void check_accepted(const struct fuzz *f, const struct vhk_msg *m)
{
	const struct vhk_proto *row = f->back_channel ? vhk_proto_back_request(m->hdr.request) :
							vhk_proto_request(m->hdr.request);
	uint64_t features = f->st.features;
	uint32_t idx;

	/* as good as negotiated, until SET_FEATURES says otherwise */
	if (f->st.protocol_set && !f->st.features_set)
		features |= VHK_F_PROTOCOL_FEATURES;

	must(row && row->served && row->name);
	must(m->hdr.size >= row->size_min && m->hdr.size <= row->size_max);
	must(m->n_fds >= row->fds_min && m->n_fds <= row->fds_max);
	must(!(row->need_protocol & ~f->st.protocol) && !(row->need_features & ~features));
	memcpy(&idx, m->bytes, sizeof(idx));
	if (row->index == VHK_INDEX_U32)
		must(idx < f->st.n_queues);
	if (row->index == VHK_INDEX_FD)
		must((m->u64 & 0xff) < f->st.n_queues && m->u64 < 0x200);
}

/* What a handler would make of it. */
static void follow(struct vhk_proto_state *st, const struct vhk_msg *m)
{
	switch (m->hdr.request) {
	case VHK_USER_SET_FEATURES:
		must(!(m->u64 & ~st->features_offered));
		st->features = m->u64;
		st->features_set = true;
		break;
	case VHK_USER_SET_PROTOCOL_FEATURES:
		must(!(m->u64 & ~st->protocol_offered));
		st->protocol = m->u64;
		st->protocol_set = true;
		break;
	case VHK_USER_SET_OWNER:
		st->owned = true;
		break;
	case VHK_USER_RESET_OWNER:
		st->owned = false;
		break;
	}
}

static void check_tail(const struct vhk_msg *m)
{
	size_t i;

	for (i = m->hdr.size; i < VHK_MSG_PAYLOAD_MAX; i++)
		must(!m->bytes[i]);
}

static void judge(struct fuzz *f, const struct vhk_msg *m)
{
	const char *why = NULL;
	int ret;

	must(m->hdr.size <= VHK_MSG_PAYLOAD_MAX && m->n_fds <= VHK_MSG_FDS_MAX);
	check_tail(m);
	ret = vhk_proto_check(&f->st, m, f->back_channel, &why);
	must(why && !ret == !*why);
	must(!ret || ret == -EPROTO || ret == -EOPNOTSUPP || ret == -EINVAL);
	if (!ret) {
		check_accepted(f, m);
		if (!f->back_channel)
			follow(&f->st, m);
	}
	ret = vhk_proto_check_reply(m->hdr.request, f->back_channel, m, &why);
	must(!ret == !*why);
}

static void receive(struct fuzz *f)
{
	struct vhk_msg m;
	int ret;

	do {
		ret = vhk_sock_recv(&f->sock, &m);
		must(ret != -EBADF || !m.n_fds);
		if (!ret)
			judge(f, &m);
		if (!ret || ret == -EBADF)
			vhk_msg_fini(&m);
	} while (!ret || ret == -EBADF);
	must(ret == -EAGAIN || ret == -EPROTO || ret == -ENOTCONN);
}

static void start(struct fuzz *f, uint8_t how)
{
	int fd[2];

	memset(f, 0, sizeof(*f));
	must(!vhk_sock_pair(fd));
	vhk_sock_init_take_fd(&f->sock, fd[0]);
	f->peer = fd[1];
	f->fd = fd[1];
	f->back_channel = how & 1;
	f->st.n_queues = how & 2 ? 1 : 300;
	f->st.features_offered = how & 4 ? UINT64_MAX : VHK_F_RING_ALL | VHK_F_PROTOCOL_FEATURES;
	f->st.protocol_offered = how & 8 ? UINT64_MAX : VHK_USER_PF(MQ) | VHK_USER_PF(REPLY_ACK);
	if (how & 16) {
		f->st.features = f->st.features_offered;
		f->st.features_set = true;
		f->st.protocol = f->st.protocol_offered;
		f->st.protocol_set = true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = probe_fd(STDERR_FILENO);
	size_t at = 1, len;
	struct fuzz f;

	if (!size)
		return 0;
	start(&f, data[0]);
	while (size - at >= 3) {
		len = vhk_min((size_t)data[at + 1], size - at - 2);
		if (len)
			put(&f, data + at + 2, len, data[at] % (FDS_MAX + 1));
		if (!(data[at] & 0x80))
			receive(&f);
		at += 2 + len;
	}
	receive(&f);
	close(f.peer);
	receive(&f);
	vhk_sock_fini(&f.sock);
	must(probe_fd(STDERR_FILENO) == before);
	return 0;
}
