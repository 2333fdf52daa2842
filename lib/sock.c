// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Messages over a connected stream socket. A header is read alone, so that no read takes bytes or
 * fds of the message behind; fds belong to the first byte of a header (vhost-user,
 * "Communication").
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base.h"
#include "fd.h"
#include "sock.h"

/* What the kernel passes at most in one go (SCM_MAX_FD): with room for all of them none is lost
 * silently. */
#define FDS_AT_ONCE VHK_SOCK_FDS_MAX
#define HDR_SIZE ((uint32_t)sizeof(struct vhk_msg_hdr))

/* A message that waits for the peer to read. Owns its fds. */
struct vhk_tx {
	struct vhk_tx *next;
	size_t len, sent;
	unsigned int n_fds;
	int fd[VHK_MSG_FDS_MAX];
	unsigned char bytes[];
};

union fd_control {
	char bytes[CMSG_SPACE(FDS_AT_ONCE * sizeof(int))];
	struct cmsghdr align;
};

static void close_fds(int *fd, unsigned int n)
{
	while (n--) {
		vhk_fd_close(fd[n]);
		fd[n] = -1;
	}
}

void vhk_msg_init(struct vhk_msg *m, uint32_t request, uint32_t flags)
{
	memset(m, 0, sizeof(*m));
	m->hdr.request = request;
	m->hdr.flags = flags | VHK_MSG_VERSION;
}

int vhk_msg_take_fd(struct vhk_msg *m, unsigned int i)
{
	int fd;

	if (i >= m->n_fds)
		return -1;
	fd = m->fd[i];
	m->fd[i] = -1;
	return fd;
}

void vhk_msg_fini(struct vhk_msg *m)
{
	close_fds(m->fd, m->n_fds);
	m->n_fds = 0;
}

void vhk_sock_init_take_fd(struct vhk_sock *s, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->tx_tail = &s->tx;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static void tx_free(struct vhk_tx *tx)
{
	close_fds(tx->fd, tx->n_fds);
	free(tx);
}

static void tx_drop_first(struct vhk_sock *s)
{
	struct vhk_tx *tx = s->tx;

	s->tx = tx->next;
	if (!s->tx)
		s->tx_tail = &s->tx;
	s->n_tx--;
	tx_free(tx);
}

void vhk_sock_fini(struct vhk_sock *s)
{
	while (s->tx)
		tx_drop_first(s);
	vhk_msg_fini(&s->rx);
	vhk_fd_close(s->fd);
	s->fd = -1;
}

/* Keeps as many fds as a message may have, closes the rest. */
static void rx_take_fds(struct vhk_sock *s, const struct cmsghdr *c)
{
	unsigned int n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;
	int fd;

	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		if (s->rx.n_fds < VHK_MSG_FDS_MAX) {
			s->rx.fd[s->rx.n_fds++] = fd;
		} else {
			close(fd);
			s->rx_bad = true;
		}
	}
}

/* One recvmsg(2): bytes, 0 at the end, -EAGAIN, -ENOTCONN. */
static ssize_t receive(int fd, struct msghdr *msg)
{
	ssize_t n;

	do
		n = recvmsg(fd, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : -ENOTCONN;
}

/* Without @control the kernel itself drops fds that come, and says so with MSG_CTRUNC. */
static ssize_t rx_bytes(struct vhk_sock *s, void *to, size_t len, union fd_control *control)
{
	struct iovec iov = { to, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (control) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(*control);
	}
	n = receive(s->fd, &msg);
	if (n == -ENOTCONN && errno == ECONNRESET)
		s->reset = true;
	if (n < 0)
		return n;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			rx_take_fds(s, c);
	if (msg.msg_flags & MSG_CTRUNC)
		s->rx_bad = true;
	return n ? n : -ENOTCONN;
}

/* Reads on until @want bytes of the message are here. */
static int rx_fill(struct vhk_sock *s, uint32_t want)
{
	union fd_control control;
	unsigned char *to;
	ssize_t n;

	while (s->got < want) {
		to = s->got < HDR_SIZE ? (unsigned char *)&s->rx.hdr + s->got :
					 s->rx.bytes + (s->got - HDR_SIZE);
		n = rx_bytes(s, to, want - s->got, s->got ? NULL : &control);
		if (n < 0)
			return (int)n;
		s->got += (uint32_t)n;
	}
	return 0;
}

static int rx_message(struct vhk_sock *s)
{
	int ret;

	ret = rx_fill(s, HDR_SIZE);
	if (ret)
		return ret;
	if ((s->rx.hdr.flags & VHK_MSG_VERSION_MASK) != VHK_MSG_VERSION ||
	    s->rx.hdr.size > VHK_MSG_PAYLOAD_MAX)
		return -EPROTO;
	return rx_fill(s, HDR_SIZE + s->rx.hdr.size);
}

/* A message was cut off, or cannot be one. */
static int rx_lose(struct vhk_sock *s)
{
	vhk_msg_fini(&s->rx);
	s->lost = true;
	return -EPROTO;
}

int vhk_sock_recv(struct vhk_sock *s, struct vhk_msg *m)
{
	bool bad;
	int ret;

	if (s->lost)
		return -EPROTO;
	ret = rx_message(s);
	s->cut = ret == -ENOTCONN && s->got;
	if (ret == -EPROTO || s->cut)
		return rx_lose(s);
	if (ret)
		return ret;
	bad = s->rx_bad;
	if (bad)
		vhk_msg_fini(&s->rx);
	*m = s->rx;
	memset(&s->rx, 0, sizeof(s->rx));
	s->got = 0;
	s->rx_bad = false;
	return bad ? -EBADF : 0;
}

/* One sendmsg(2): bytes sent, -EAGAIN or what vhk_sock_send() returns. */
static ssize_t tx_bytes(int sock, struct iovec *iov, unsigned int n_iov, const int *fd,
			unsigned int n_fds)
{
	union fd_control control;
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n_iov };
	struct cmsghdr *c;
	ssize_t n;

	if (n_fds) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fd, n_fds * sizeof(int));
	}
	do
		n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	switch (errno) {
	case EAGAIN:
		return -EAGAIN;
	case EBADF:
		return -EINVAL;
	case ETOOMANYREFS: /* fds of ours that nobody has read */
		return -ENOBUFS;
	default:
		return -ENOTCONN;
	}
}

static struct vhk_tx *tx_new(const struct vhk_msg *m, size_t sent)
{
	struct vhk_tx *tx = malloc(sizeof(*tx) + HDR_SIZE + m->hdr.size);

	if (!tx)
		return NULL;
	tx->next = NULL;
	tx->len = HDR_SIZE + m->hdr.size;
	tx->sent = sent;
	tx->n_fds = 0;
	memcpy(tx->bytes, &m->hdr, HDR_SIZE);
	memcpy(tx->bytes + HDR_SIZE, m->bytes, m->hdr.size);
	return tx;
}

/* The fds leave with the first byte: where that is sent none are kept. */
static int tx_queue(struct vhk_sock *s, const struct vhk_msg *m, size_t sent)
{
	struct vhk_tx *tx;
	int fd;

	if (s->n_tx >= VHK_SOCK_TX_MAX)
		return -ENOBUFS;
	tx = tx_new(m, sent);
	if (!tx)
		return -ENOMEM;
	while (!sent && tx->n_fds < m->n_fds) {
		fd = fcntl(m->fd[tx->n_fds], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			fd = errno;
			tx_free(tx);
			return fd == EBADF ? -EINVAL : -fd;
		}
		tx->fd[tx->n_fds++] = fd;
	}
	*s->tx_tail = tx;
	s->tx_tail = &tx->next;
	s->n_tx++;
	return 0;
}

int vhk_sock_send(struct vhk_sock *s, const struct vhk_msg *m)
{
	struct iovec iov[2] = { { (void *)&m->hdr, HDR_SIZE }, { (void *)m->bytes, m->hdr.size } };
	ssize_t n = 0;

	if (m->hdr.size > VHK_MSG_PAYLOAD_MAX || m->n_fds > VHK_MSG_FDS_MAX)
		return -EINVAL;
	if (!s->tx) {
		n = tx_bytes(s->fd, iov, 2, m->fd, m->n_fds);
		if (n < 0 && n != -EAGAIN)
			return (int)n;
		if (n == (ssize_t)(HDR_SIZE + m->hdr.size))
			return 0;
	}
	return tx_queue(s, m, n < 0 ? 0 : (size_t)n);
}

int vhk_sock_flush(struct vhk_sock *s)
{
	struct vhk_tx *tx;
	struct iovec iov;
	ssize_t n;

	while ((tx = s->tx)) {
		iov = (struct iovec){ tx->bytes + tx->sent, tx->len - tx->sent };
		n = tx_bytes(s->fd, &iov, 1, tx->fd, tx->sent ? 0 : tx->n_fds);
		if (n < 0)
			return n == -EAGAIN ? -EAGAIN : -ENOTCONN;
		tx->sent += (size_t)n;
		if (tx->sent == tx->len)
			tx_drop_first(s);
	}
	return 0;
}

ssize_t vhk_sock_read(int sock, void *to, size_t len, struct vhk_sock_fds *fds)
{
	union fd_control control;
	struct iovec iov = { to, len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	fds->n = 0;
	fds->lost = false;
	n = receive(sock, &msg);
	if (n < 0)
		return n;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		/* one such header at most, and no more than there is room for */
		fds->n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds->fd, CMSG_DATA(c), fds->n * sizeof(int));
	}
	fds->lost = msg.msg_flags & MSG_CTRUNC;
	return n ? n : -ENOTCONN;
}

ssize_t vhk_sock_write(int sock, const void *bytes, size_t len, const struct vhk_sock_fds *fds)
{
	struct iovec iov = { (void *)bytes, len };

	return tx_bytes(sock, &iov, 1, fds->fd, fds->n);
}

void vhk_sock_fds_close(struct vhk_sock_fds *fds)
{
	close_fds(fds->fd, fds->n);
	fds->n = 0;
}

void vhk_sock_shut(int sock, bool reading)
{
	shutdown(sock, reading ? SHUT_RD : SHUT_WR);
}

bool vhk_sock_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}
