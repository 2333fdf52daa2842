// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What happens on the vDPA bus, from the kernel's uevents. The devices are remembered: when an
 * interface goes, sysfs does not tell any more whose it was.
 */
#include <dirent.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <poll.h>

#include "vdpa_nl.h"

#define KERNELS_GROUP 1 /* udev repeats what it has dealt with on another */
#define RECEIVE_BYTES (1 << 20)

struct vhk_vdpa_monitor {
	struct nl_sock *sock;
	char **names; /* of the devices that are there */
	size_t n_names;
};

static size_t find_name(const struct vhk_vdpa_monitor *m, const char *name)
{
	size_t i;

	for (i = 0; i < m->n_names && strcmp(m->names[i], name); i++)
		;
	return i;
}

static int add_name(struct vhk_vdpa_monitor *m, const char *name)
{
	char **more, *copy;

	if (find_name(m, name) < m->n_names)
		return 0;
	more = realloc(m->names, (m->n_names + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->names = more;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	m->names[m->n_names++] = copy;
	return 0;
}

static void del_name(struct vhk_vdpa_monitor *m, const char *name)
{
	size_t i = find_name(m, name);

	if (i == m->n_names)
		return;
	free(m->names[i]);
	m->names[i] = m->names[--m->n_names];
}

/* The devices that came before us. */
static int list_names(struct vhk_vdpa_monitor *m)
{
	DIR *d = opendir("/sys/bus/vdpa/devices");
	const struct dirent *e;
	int ret = 0;

	while (d && !ret && (e = readdir(d)))
		if (e->d_name[0] != '.')
			ret = add_name(m, e->d_name);
	if (d)
		closedir(d);
	return ret;
}

/* libnl has no word for most of what socket(2) can say. */
static int listen_to_kernel(struct nl_sock *s)
{
	int ret;

	errno = 0;
	ret = nl_connect(s, NETLINK_KOBJECT_UEVENT);
	if (!ret)
		ret = nl_socket_add_membership(s, KERNELS_GROUP);
	if (!ret)
		ret = nl_socket_set_nonblocking(s);
	/* Bursts of a whole machine go through it; less than asked for is no failure. */
	if (!ret)
		nl_socket_set_buffer_size(s, RECEIVE_BYTES, 0);
	return !ret ? 0 : errno ? -errno : -EIO;
}

int vhk_vdpa_monitor_open(struct vhk_vdpa_monitor **out)
{
	struct vhk_vdpa_monitor *m = calloc(1, sizeof(*m));
	int ret = -ENOMEM;

	*out = NULL;
	if (!m)
		return ret;
	m->sock = nl_socket_alloc();
	if (m->sock)
		ret = listen_to_kernel(m->sock);
	if (!ret)
		ret = list_names(m);
	if (ret) {
		vhk_vdpa_monitor_close(m);
		return ret;
	}
	*out = m;
	return 0;
}

void vhk_vdpa_monitor_close(struct vhk_vdpa_monitor *m)
{
	if (!m)
		return;
	while (m->n_names)
		free(m->names[--m->n_names]);
	free(m->names);
	nl_socket_free(m->sock);
	free(m);
}

int vhk_vdpa_monitor_fd(const struct vhk_vdpa_monitor *m)
{
	return nl_socket_get_fd(m->sock);
}

static bool copy(char *to, size_t size, const char *from)
{
	size_t len = from ? strlen(from) + 1 : 0;

	if (!len || len > size)
		return false;
	memcpy(to, from, len);
	return true;
}

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Of the device itself. 1: told. */
static int device_event(struct vhk_vdpa_monitor *m, const struct vhk_uevent *u,
			struct vhk_vdpa_event *e)
{
	static const char *const actions[] = {
		[VHK_VDPA_ADD] = "add",	      [VHK_VDPA_REMOVE] = "remove",
		[VHK_VDPA_BIND] = "bind",     [VHK_VDPA_UNBIND] = "unbind",
		[VHK_VDPA_CHANGE] = "change",
	};
	size_t i;

	for (i = 0; i < vhk_array_size(actions) && strcmp(actions[i], u->action); i++)
		;
	if (i == vhk_array_size(actions) || !copy(e->name, sizeof(e->name), last_of(u->devpath)))
		return 0;
	e->kind = (enum vhk_vdpa_event_kind)i;
	if (e->kind == VHK_VDPA_BIND)
		copy(e->driver, sizeof(e->driver), u->driver);
	if (e->kind == VHK_VDPA_REMOVE)
		del_name(m, e->name);
	else if (add_name(m, e->name))
		return -ENOMEM;
	return 1;
}

/* Of a network interface or block device; a name that changes comes as another that is added. */
static int iface_event(const struct vhk_vdpa_monitor *m, const struct vhk_uevent *u,
		       struct vhk_vdpa_event *e)
{
	if (!strcmp(u->subsystem, "block") && (!u->devtype || strcmp(u->devtype, "disk")))
		return 0;
	if (!strcmp(u->action, "add") || !strcmp(u->action, "move"))
		e->kind = VHK_VDPA_IF_ADD;
	else if (!strcmp(u->action, "remove"))
		e->kind = VHK_VDPA_IF_REMOVE;
	else
		return 0;
	return vhk_uevent_parent(u->devpath, e->name, sizeof(e->name)) &&
	       find_name(m, e->name) < m->n_names &&
	       copy(e->iface, sizeof(e->iface), last_of(u->devpath));
}

static int event(struct vhk_vdpa_monitor *m, const char *text, size_t len,
		 struct vhk_vdpa_event *e)
{
	struct vhk_uevent u;

	*e = (struct vhk_vdpa_event){ .sz = sizeof(*e) };
	if (vhk_uevent_parse(&u, text, len))
		return 0;
	e->seq = u.seq;
	if (!copy(e->subsystem, sizeof(e->subsystem), u.subsystem))
		return 0;
	if (!strcmp(u.subsystem, "vdpa"))
		return device_event(m, &u, e);
	if (!strcmp(u.subsystem, "net") || !strcmp(u.subsystem, "block"))
		return iface_event(m, &u, e);
	return 0;
}

int vhk_vdpa_monitor_next(struct vhk_vdpa_monitor *m, struct vhk_vdpa_event *out)
{
	struct sockaddr_nl from = { 0 };
	unsigned char *buf = NULL;
	struct vhk_vdpa_event e;
	int ret, n;

	/* Before an event is taken that nobody would be told of. */
	ret = vhk_out_check(out);
	if (ret)
		return ret;
	for (;;) {
		struct pollfd p = { .fd = nl_socket_get_fd(m->sock), .events = POLLIN };

		if (poll(&p, 1, 0) != 1)
			return -EAGAIN;
		n = nl_recv(m->sock, &from, &buf, NULL);
		if (n == -NLE_NOMEM)
			return -ENOBUFS;
		if (n <= 0)
			return n == 0 || n == -NLE_AGAIN || n == -NLE_INTR ? -EAGAIN : -EIO;
		ret = from.nl_pid ? 0 : event(m, (const char *)buf, (size_t)n, &e);
		free(buf);
		if (ret)
			return ret < 0 ? ret : vhk_out_write(out, &e, sizeof(e));
	}
}
