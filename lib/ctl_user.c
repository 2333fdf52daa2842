// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The vhost-user door of the front end: its connection, made by connecting, by accepting or given
 * as an fd, lost and made again. What travels over it is in ctl_user_send.c.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl_user.h"
#include "fd.h"

#define RETRY_FIRST_NS 1000000u
#define RETRY_MOST_NS 50000000u

static void user_unlisten(struct vhk_ctl_user *u)
{
	if (u->listen_fd < 0)
		return;
	vhk_ctl_unwatch(&u->c, u->listen_fd);
	close(u->listen_fd);
	u->listen_fd = -1;
	if (u->kind == VHK_CTL_USER_LISTEN)
		vhk_sock_remove_file(&u->bound, u->path);
}

static void user_free(struct vhk_ctl *c)
{
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);

	user_unlisten(u);
	if (u->fd >= 0)
		close(u->fd);
	free(u->path);
	free(u);
}

static int user_up_take_fd(struct vhk_ctl_user *u, int fd)
{
	int ret = vhk_ctl_watch(&u->c, fd, EPOLLIN, VHK_CTL_TAG_PEER);

	if (ret) {
		close(fd);
		return ret;
	}
	vhk_sock_init_take_fd(&u->sock, fd);
	memset(&u->st, 0, sizeof(u->st));
	memset(&u->offer, 0, sizeof(u->offer));
	u->c.loss = 0;
	u->acks = u->deaf = false;
	u->link = VHK_CTL_USER_UP;
	u->events = EPOLLIN;
	if (u->listen_fd >= 0)
		vhk_ctl_rewatch(&u->c, u->listen_fd, 0, VHK_CTL_TAG_LISTEN);
	return 0;
}

static void user_disconnect(struct vhk_ctl *c, int why)
{
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);

	vhk_ctl_user_back_close(u);
	u->lent.sizes_known = false;
	if (u->link == VHK_CTL_USER_UP) {
		vhk_ctl_unwatch(c, u->sock.fd);
		vhk_sock_fini(&u->sock);
	}
	u->link = VHK_CTL_USER_DOWN;
	vhk_ctl_user_fail_all(u, why);
}

int vhk_ctl_user_lost(struct vhk_ctl_user *u, int why, const char *text)
{
	if (u->link == VHK_CTL_USER_UP) {
		u->c.loss = why;
		vhk_log(&u->c.log, VHK_LOG_WARN, "back end lost: %s", text);
	}
	user_disconnect(&u->c, why);
	return why;
}

static int user_listen(struct vhk_ctl_user *u)
{
	int fd;

	if (u->listen_fd < 0) {
		fd = u->kind == VHK_CTL_USER_LISTEN ? vhk_sock_listen(u->path) : u->fd;
		if (fd < 0)
			return fd;
		u->listen_fd = fd;
		if (u->kind == VHK_CTL_USER_LISTEN)
			vhk_sock_note_file(&u->bound, u->path);
		u->fd = -1;
		u->link = VHK_CTL_USER_ON_ITS_WAY;
		return vhk_ctl_watch(&u->c, fd, EPOLLIN, VHK_CTL_TAG_LISTEN);
	}
	u->link = VHK_CTL_USER_ON_ITS_WAY;
	return vhk_ctl_rewatch(&u->c, u->listen_fd, EPOLLIN, VHK_CTL_TAG_LISTEN);
}

static int user_accept(struct vhk_ctl_user *u)
{
	int fd;

	if (u->link != VHK_CTL_USER_ON_ITS_WAY)
		return 0;
	fd = vhk_sock_accept(u->listen_fd);
	if (fd < 0)
		return 0;
	if (user_up_take_fd(u, fd))
		return vhk_ctl_user_lost(u, -ENOTCONN, "cannot watch the socket");
	vhk_ctl_user_pump(u);
	return 0;
}

/* 0, or why there is no server behind the path (yet). */
static int user_try(struct vhk_ctl_user *u)
{
	int fd = vhk_sock_connect(u->path);

	return fd < 0 ? fd : user_up_take_fd(u, fd);
}

static int user_dial(struct vhk_ctl_user *u, bool again)
{
	int ret = user_try(u);

	if (ret != -ENOENT && ret != -ECONNREFUSED && ret != -EAGAIN)
		return ret;
	/* Who has a full queue is there, and may take us yet. */
	if (!again && ret != -EAGAIN && !(u->c.opts.flags & VHK_CTL_F_WAIT))
		return ret;
	u->link = VHK_CTL_USER_ON_ITS_WAY;
	u->retry_pause = RETRY_FIRST_NS;
	u->retry_at = vhk_now_ns() + u->retry_pause;
	return 0;
}

static void user_redial(struct vhk_ctl_user *u, uint64_t now)
{
	int ret = user_try(u);

	if (!ret) {
		vhk_ctl_user_pump(u);
		return;
	}
	u->retry_pause = vhk_min(u->retry_pause * 2, RETRY_MOST_NS);
	u->retry_at = now + u->retry_pause;
}

static int user_connect(struct vhk_ctl *c, bool again)
{
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);
	int fd;

	if (u->kind == VHK_CTL_USER_UNIX)
		return user_dial(u, again);
	if (u->kind == VHK_CTL_USER_LISTEN || u->listen_fd >= 0 ||
	    (u->fd >= 0 && vhk_sock_is_listening(u->fd)))
		return user_listen(u);
	if (u->fd < 0)
		return -EOPNOTSUPP;
	fd = u->fd;
	u->fd = -1;
	return user_up_take_fd(u, fd);
}

static int user_link(const struct vhk_ctl *c)
{
	switch (vhk_ctl_user_of(c)->link) {
	case VHK_CTL_USER_UP:
		return 1;
	case VHK_CTL_USER_ON_ITS_WAY:
		return 0;
	default:
		return -ENOTCONN;
	}
}

static bool user_can(const struct vhk_ctl *c, enum vhk_ctl_op op)
{
	return vhk_ctl_user_code_can(vhk_ctl_user_of(c), op);
}

static int user_peer_event(struct vhk_ctl_user *u, uint32_t events)
{
	int ret;

	if (u->link != VHK_CTL_USER_UP)
		return 0;
	if (events & EPOLLOUT) {
		ret = vhk_sock_flush(&u->sock);
		if (ret && ret != -EAGAIN)
			return vhk_ctl_user_lost(u, -ENOTCONN, "cannot send");
		vhk_ctl_user_pump(u);
	}
	if (u->link == VHK_CTL_USER_UP && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return vhk_ctl_user_receive(u);
	return 0;
}

static int user_event(struct vhk_ctl *c, uint32_t tag, uint32_t events)
{
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);

	switch (tag) {
	case VHK_CTL_TAG_LISTEN:
		return user_accept(u);
	case VHK_CTL_TAG_PEER:
		return user_peer_event(u, events);
	case VHK_CTL_TAG_BACK:
		vhk_ctl_user_back_event(u, events);
		return 0;
	default:
		return 0;
	}
}

static uint64_t user_expire(struct vhk_ctl *c, uint64_t now)
{
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);
	uint64_t next;

	if (u->kind != VHK_CTL_USER_UNIX || u->link != VHK_CTL_USER_ON_ITS_WAY)
		return vhk_ctl_user_expire_slots(u, now);
	if (now >= u->retry_at)
		user_redial(u, now);
	next = vhk_ctl_user_expire_slots(u, now);
	return u->link == VHK_CTL_USER_ON_ITS_WAY ? vhk_min(next, u->retry_at) : next;
}

static int user_peer_pid(const struct vhk_ctl *c)
{
	const struct vhk_ctl_user *u = vhk_ctl_user_of(c);
	socklen_t len = sizeof(struct ucred);
	struct ucred cred;

	if (u->link != VHK_CTL_USER_UP)
		return -ENOTCONN;
	if (getsockopt(u->sock.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid <= 0)
		return -EOPNOTSUPP;
	return cred.pid;
}

static enum vhk_ctl_kind user_kind(const struct vhk_ctl *c)
{
	(void)c;
	return VHK_CTL_KIND_USER;
}

static const struct vhk_ctl_offer *user_offer(const struct vhk_ctl *c)
{
	struct vhk_ctl_user *u = vhk_ctl_user_of(c);

	u->offer.features_offered = u->st.features_offered;
	u->offer.features = u->st.features;
	u->offer.protocol_offered = u->st.protocol_offered;
	u->offer.protocol = u->st.protocol;
	u->offer.n_queues = u->st.n_queues;
	return &u->offer;
}

static const struct vhk_ctl_ops user_ops = {
	.free = user_free,
	.connect = user_connect,
	.disconnect = user_disconnect,
	.link = user_link,
	.can = user_can,
	.submit = vhk_ctl_user_submit,
	.event = user_event,
	.expire = user_expire,
	.peer_pid = user_peer_pid,
	.kind = user_kind,
	.offer = user_offer,
	.always = VHK_F_PROTOCOL_FEATURES,
	.table_max = VHK_USER_TABLE_PROMISED,
};

static int user_parse(struct vhk_ctl_user *u, const char *uri)
{
	const char *rest = strchr(uri, ':');

	if (!rest || !*++rest)
		return -EINVAL;
	if (!strncmp(uri, "unix:", 5))
		u->kind = VHK_CTL_USER_UNIX;
	else if (!strncmp(uri, "listen:", 7))
		u->kind = VHK_CTL_USER_LISTEN;
	else
		return -EINVAL;
	u->path = strdup(rest);
	return u->path ? 0 : -ENOMEM;
}

static struct vhk_ctl_user *user_alloc(int fd)
{
	struct vhk_ctl_user *u = calloc(1, sizeof(*u));

	if (!u) {
		vhk_fd_close(fd);
		return NULL;
	}
	vhk_ctl_init_empty(&u->c, &user_ops);
	u->kind = VHK_CTL_USER_FD;
	u->fd = fd;
	u->listen_fd = -1;
	u->back_peer = -1;
	u->back_next = -1;
	vhk_ctl_user_lists_init(u);
	return u;
}

int vhk_ctl_user_adopt_take_fd(struct vhk_ctl **out, int fd)
{
	struct vhk_ctl_user *u = user_alloc(fd);

	*out = u ? &u->c : NULL;
	return u ? 0 : -ENOMEM;
}

int vhk_ctl_user_new(struct vhk_ctl **out, const char *uri)
{
	struct vhk_ctl_user *u = user_alloc(-1);
	int ret;

	*out = NULL;
	if (!u)
		return -ENOMEM;
	ret = user_parse(u, uri);
	if (ret) {
		user_free(&u->c);
		return ret;
	}
	*out = &u->c;
	return 0;
}
