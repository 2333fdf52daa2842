// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The kernel's end of a link: a socket of generic netlink, held by libnl, read with a deadline.
 */
#include <netlink/errno.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>
#include <sys/socket.h>

#include "clock.h"
#include "vdpa_nl.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

/* libnl has numbers of its own, several of which stand for more than one errno. */
static int errno_of(int nlerr)
{
	switch (-nlerr) {
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_INTR:
		return -EINTR;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
		return -EPERM;
	case NLE_NOACCESS:
		return -EACCES;
	case NLE_AF_NOSUPPORT:
		return -EAFNOSUPPORT;
	case NLE_PROTO_MISMATCH:
		return -EPROTONOSUPPORT;
	case NLE_BUSY:
		return -EBUSY;
	default:
		return -EIO;
	}
}

static int link_send(void *arg, const void *bytes, size_t len)
{
	int ret = nl_sendto(arg, (void *)bytes, len);

	return ret < 0 ? errno_of(ret) : 0;
}

static int wait_for(int fd, uint64_t deadline_ns)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t now = vhk_now_ns();
	int ret;

	if (now >= deadline_ns)
		return -ETIMEDOUT;
	ret = poll(&p, 1, (int)((deadline_ns - now) / 1000000u) + 1);
	return ret > 0 || (ret < 0 && errno == EINTR) ? 0 : -ETIMEDOUT;
}

static int link_recv(void *arg, void **bytes, uint64_t deadline_ns)
{
	struct sockaddr_nl from = { 0 };
	unsigned char *buf = NULL;
	int ret, n;

	for (;;) {
		ret = wait_for(nl_socket_get_fd(arg), deadline_ns);
		if (ret)
			return ret;
		n = nl_recv(arg, &from, &buf, NULL);
		/* What libnl makes of ENOBUFS. */
		if (n == -NLE_NOMEM)
			return -ENOBUFS;
		if (n < 0 && n != -NLE_AGAIN && n != -NLE_INTR)
			return errno_of(n);
		/* Any process may send to the socket; only the kernel has number 0. */
		if (n > 0 && !from.nl_pid) {
			*bytes = buf;
			return n;
		}
		if (n > 0)
			free(buf);
	}
}

static void link_close(void *arg)
{
	nl_socket_free(arg);
}

/* Acknowledgements with text, and without the request that they answer. */
static void ask_for_text(int fd)
{
	int on = 1;

	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
}

int vhk_nl_link_open(struct vhk_nl_link *out)
{
	struct nl_sock *s = nl_socket_alloc();
	int ret;

	if (!s)
		return -ENOMEM;
	errno = 0;
	ret = genl_connect(s);
	if (!ret)
		ret = nl_socket_set_nonblocking(s);
	if (ret < 0) {
		/* libnl has no word for most of what socket(2) can say. */
		ret = errno ? -errno : errno_of(ret);
		nl_socket_free(s);
		return ret;
	}
	ask_for_text(nl_socket_get_fd(s));
	*out = (struct vhk_nl_link){ link_send, link_recv, link_close, s };
	return 0;
}
