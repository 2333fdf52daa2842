// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Two hostile ends with a trace in between. The input is a byte that picks the way, then pieces:
 *   even: a byte of who sends, fds and their kind, a byte of flags, two of length, the message's
 *         number in a byte, the payload: judged and taken apart without any socket;
 *   odd:  a byte of who sends and fds, a byte of length, the bytes: through sockets.
 * What must hold: what is told of a payload lies inside of it, as many bytes leave as came, no fd
 * stays open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base.h"
#include "trace_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

struct told {
	const struct vhk_trace_msg *m;
	unsigned int n;
};

static void take_field(void *arg, const struct vhk_trace_field *f)
{
	struct told *t = arg;

	must(f->name && *f->name && f->kind <= VHK_TRACE_UUID);
	if (f->bytes)
		must(f->bytes >= t->m->payload && f->len &&
		     f->bytes + f->len <= t->m->payload + t->m->payload_len);
	t->n++;
}

static void check_fields(const struct vhk_trace_msg *m)
{
	struct told t = { .m = m };

	vhk_trace_fields(m, take_field, &t);
	must(t.n <= 4 * VHK_USER_TABLE_MAX * 8 + 16);
	must(!m->payload_len || t.n || m->payload_len <= 8);
}

static size_t judge_one(struct vhk_rules *r, const uint8_t *data, size_t size, uint64_t when)
{
	static struct vhk_msg m;
	struct vhk_trace_fd fd[VHK_TRACE_FDS_MAX] = { 0 };
	uint32_t len = vhk_min((uint32_t)data[2] | (uint32_t)data[3] << 8, VHK_MSG_PAYLOAD_MAX);
	struct vhk_seen s = { .msg = &m, .fd = fd, .when = when };
	struct vhk_trace_msg shown;
	struct vhk_verdict v;
	const char *first;
	unsigned int i;

	vhk_msg_init(&m, data[4], data[1]);
	m.hdr.flags = (data[1] & 0xc) | VHK_MSG_VERSION;
	m.hdr.size = len;
	memcpy(m.bytes, data + 5, vhk_min((size_t)len, size - 5));
	m.n_fds = data[0] >> 4;
	for (i = 0; i < m.n_fds; i++)
		fd[i] = (struct vhk_trace_fd){ data[1] >> 5, 0x1000 };
	s.n_fds = m.n_fds;
	s.from = data[0] & 1 ? VHK_TRACE_BACK : VHK_TRACE_FRONT;
	s.back_channel = data[0] & 2;
	s.late_fds = data[0] & 4;
	vhk_rules_judge(r, &s, &v);
	must(v.n_wrong <= VHK_TRACE_WRONG_MAX);
	for (i = 0; i < v.n_wrong; i++)
		must(*v.wrong[i] && memchr(v.wrong[i], 0, sizeof(v.wrong[i])));
	must(vhk_rules_unanswered(r, &first) <= 2 * VHK_RULES_WAITING);
	shown = (struct vhk_trace_msg){
		.request = m.hdr.request,
		.back_channel = s.back_channel,
		.reply = m.hdr.flags & VHK_MSG_REPLY,
		.payload = m.bytes,
		.payload_len = len,
		.name = vhk_trace_name(m.hdr.request, s.back_channel),
	};
	check_fields(&shown);
	return vhk_min(size, 5 + (size_t)len);
}

static void judge_all(const uint8_t *data, size_t size)
{
	static struct vhk_rules rules;
	uint64_t when = 0;
	size_t n;

	vhk_rules_init(&rules);
	for (; size >= 5; data += n, size -= n)
		n = judge_one(&rules, data, size, ++when);
}

static void on_message(void *arg, const struct vhk_trace_msg *m)
{
	unsigned int *n = arg;

	must(m->payload_len <= VHK_TRACE_PAYLOAD_MAX && m->payload_len <= m->size);
	must(m->n_wrong <= VHK_TRACE_WRONG_MAX);
	check_fields(m);
	++*n;
}

struct end {
	int fd;
	size_t sent, got;
};

static void send_piece(struct end *e, const uint8_t *bytes, size_t len, unsigned int n_fds)
{
	char control[CMSG_SPACE(40 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)bytes, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	unsigned int i;

	if (n_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &e->fd, sizeof(int));
	}
	must(sendmsg(e->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
	e->sent += len;
}

/* fds that come are not taken: the kernel closes them. */
static void drain(struct end *e)
{
	char buf[4096];
	ssize_t n;

	while ((n = recv(e->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		e->got += (size_t)n;
}

static void pass_all(struct vhk_loop *l, const uint8_t *data, size_t size)
{
	const struct vhk_trace_ops ops = { .sz = sizeof(ops), .message = on_message };
	struct end end[2] = { 0 };
	struct vhk_trace *t;
	char uri[2][16];
	unsigned int n = 0;
	size_t len;
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		must(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
		end[i].fd = fd[0];
		snprintf(uri[i], sizeof(uri[i]), "fd:%d", fd[1]);
	}
	must(!vhk_trace_open(&t, l, uri[0], uri[1], &ops, &n, NULL));
	for (; size >= 3; data += 2 + len, size -= 2 + len) {
		len = vhk_min((size_t)data[1], size - 2);
		if (len)
			send_piece(&end[data[0] & 1], data + 2, len, (data[0] >> 2) % 41);
		if (data[0] & 2)
			must(vhk_loop_step(l, 0) >= 0);
		drain(&end[0]);
		drain(&end[1]);
	}
	shutdown(end[0].fd, SHUT_WR);
	shutdown(end[1].fd, SHUT_WR);
	while (vhk_loop_step(l, 0) > 0) {
		drain(&end[0]);
		drain(&end[1]);
	}
	drain(&end[0]);
	drain(&end[1]);
	must(end[0].got == end[1].sent && end[1].got == end[0].sent);
	vhk_trace_close(t);
	/* the end of a session has stopped it */
	vhk_loop_step(l, 0);
	close(end[0].fd);
	close(end[1].fd);
}

/* The lowest free fd: the same before and after, or one was lost. */
static int probe_fd(void)
{
	int fd = dup(STDERR_FILENO);

	must(fd >= 0);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vhk_loop_opts o = { .sz = sizeof(o), .engine = VHK_LOOP_EPOLL };
	static struct vhk_loop *l; /* dear to make */
	int before;

	must(l || !vhk_loop_new(&l, &o));
	before = probe_fd();
	if (!size)
		return 0;
	if (data[0] & 1)
		pass_all(l, data + 1, size - 1);
	else
		judge_all(data + 1, size - 1);
	must(probe_fd() == before);
	return 0;
}
