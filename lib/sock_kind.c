// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What a socket is that somebody else made: whether it can be served at all, and whether it is the
 * other end of one of ours.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base.h"
#include "sock.h"

struct name {
	struct sockaddr_un sun;
	socklen_t len;
};

typedef int get_name_fn(int fd, struct sockaddr *to, socklen_t *len);

static bool name_get(struct name *n, int fd, get_name_fn *get)
{
	n->len = sizeof(n->sun);
	return !get(fd, (struct sockaddr *)&n->sun, &n->len) && n->sun.sun_family == AF_UNIX;
}

static bool name_is_empty(const struct name *n)
{
	return n->len <= sizeof(sa_family_t);
}

static bool name_same(const struct name *a, const struct name *b)
{
	return !name_is_empty(a) && a->len == b->len && !memcmp(&a->sun, &b->sun, a->len);
}

static int option_of(int fd, int option)
{
	socklen_t len = sizeof(int);
	int v;

	return getsockopt(fd, SOL_SOCKET, option, &v, &len) ? -errno : v;
}

int vhk_sock_check(int fd)
{
	struct name peer;
	int domain = option_of(fd, SO_DOMAIN);

	if (domain < 0)
		return -EINVAL;
	if (domain != AF_UNIX)
		return -EAFNOSUPPORT;
	if (option_of(fd, SO_TYPE) != SOCK_STREAM)
		return -EPROTOTYPE;
	return vhk_sock_is_listening(fd) || name_get(&peer, fd, getpeername) ? 0 : -ENOTCONN;
}

/*
 * Both ends are without a name as a rule, so @fd gets one of the kernel's choice, by which its
 * other end knows it as well.
 */
bool vhk_sock_is_peer(int sock, int fd)
{
	const struct sockaddr unnamed = { .sa_family = AF_UNIX };
	struct name own, peer;

	if (option_of(fd, SO_TYPE) != SOCK_STREAM || !name_get(&own, fd, getsockname) ||
	    !name_get(&peer, sock, getpeername))
		return false;
	if (!name_is_empty(&own) || !name_is_empty(&peer))
		return name_same(&own, &peer);
	if (bind(fd, &unnamed, sizeof(sa_family_t)))
		return false;
	return name_get(&own, fd, getsockname) && name_get(&peer, sock, getpeername) &&
	       name_same(&own, &peer);
}

int vhk_sock_peer_is_ours(int sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	return peer.uid == geteuid() || !peer.uid ? peer.pid : -EPERM;
}
