// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Finding the kernel's vhost devices: by the path of a node, or a vDPA device by its name. What an
 * open device is, sysfs tells by its number, so that a node may have any name.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base.h"
#include "fd.h"
#include "kern.h"

#define VDPA "vdpa:"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where a link points to, without the folders; -errno. */
static int link_name(const char *path, char *out, size_t size)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (n < 0)
		return -errno;
	to[n] = 0;
	if (strlen(base_name(to)) >= size)
		return -ENAMETOOLONG;
	memcpy(out, base_name(to), strlen(base_name(to)) + 1);
	return 0;
}

static int join(char *out, size_t size, const char *a, const char *b, const char *c)
{
	return (size_t)snprintf(out, size, "%s%s%s", a, b, c) < size ? 0 : -EINVAL;
}

static int kind_of_name(const char *name, enum vhk_ctl_kind *kind)
{
	if (!strcmp(name, "vhost-net"))
		*kind = VHK_CTL_KIND_NET;
	else if (!strcmp(name, "vhost-vsock"))
		*kind = VHK_CTL_KIND_VSOCK;
	else if (!strcmp(name, "vhost-scsi"))
		*kind = VHK_CTL_KIND_SCSI;
	else if (!strncmp(name, "vhost-vdpa-", strlen("vhost-vdpa-")))
		*kind = VHK_CTL_KIND_VDPA;
	else
		return -EINVAL;
	return 0;
}

int vhk_kern_kind(const struct vhk_bus_root *root, int fd, const char *path,
		  enum vhk_ctl_kind *kind)
{
	char link[PATH_MAX], number[32], name[NAME_MAX + 1];
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -EINVAL;
	snprintf(number, sizeof(number), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!join(link, sizeof(link), root->sys, "/dev/char/", number) &&
	    !link_name(link, name, sizeof(name)))
		return kind_of_name(name, kind);
	/* A container without /sys. */
	if (path)
		return kind_of_name(base_name(path), kind);
	snprintf(number, sizeof(number), "%d", fd);
	if (join(link, sizeof(link), "/proc/self/fd/", number, "") ||
	    link_name(link, name, sizeof(name)))
		return -EINVAL;
	return kind_of_name(name, kind);
}

static void say_no_device(const struct vhk_bus_root *root, const char *name,
			  const struct vhk_log *log)
{
	if (vhk_bus_autoprobe_at(root, -1) == -ENODEV)
		vhk_log(log, VHK_LOG_ERROR,
			"there is no vDPA device %s: the kernel has no vDPA bus: "
			"load its module vdpa",
			name);
	else
		vhk_log(log, VHK_LOG_ERROR, "there is no vDPA device %s", name);
}

static int resolve_vdpa(const struct vhk_bus_root *root, const char *name, char *path, size_t size,
			const struct vhk_log *log)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	int ret = vhk_bus_place_at(root, name, &p);

	if (ret == -ENODEV)
		say_no_device(root, name, log);
	if (ret == -EINVAL)
		vhk_log(log, VHK_LOG_ERROR, "\"%s\" cannot be the name of a vDPA device", name);
	if (ret)
		return ret == -ENODEV ? -ENOENT : ret;
	if (p.node[0])
		return join(path, size, root->dev, base_name(p.node) - 1, "");
	if (p.driver[0])
		vhk_log(log, VHK_LOG_ERROR, "vDPA device %s is bound to %s, not to vhost_vdpa",
			name, p.driver);
	else
		vhk_log(log, VHK_LOG_ERROR,
			"vDPA device %s is bound to no driver: load vhost_vdpa and bind it", name);
	return -ENXIO;
}

int vhk_kern_resolve(const struct vhk_bus_root *root, const char *uri, char *path, size_t size,
		     const struct vhk_log *log)
{
	if (!strncmp(uri, VDPA, strlen(VDPA)))
		return resolve_vdpa(root, uri + strlen(VDPA), path, size, log);
	return uri[0] == '/' ? join(path, size, uri, "", "") : -EINVAL;
}

static const char *modules_of(const char *path)
{
	static const char *const modules[] = {
		[VHK_CTL_KIND_NET] = "vhost_net", [VHK_CTL_KIND_VSOCK] = "vhost_vsock",
		[VHK_CTL_KIND_SCSI] = "vhost_scsi", [VHK_CTL_KIND_VDPA] = "vhost_vdpa",
	};
	enum vhk_ctl_kind kind;

	if (kind_of_name(base_name(path), &kind))
		return "vhost_net, vhost_vsock, vhost_scsi, vhost_vdpa";
	return modules[kind];
}

static void say_why(const char *path, int ret, const struct vhk_log *log)
{
	const char *why = strerror(-ret);

	if (ret == -ENOENT) {
		vhk_log(log, VHK_LOG_ERROR, "%s: there is no such node: is its module loaded (%s)?",
			path, modules_of(path));
		return;
	}
	if (ret == -EINVAL)
		why = "this is no vhost device";
	else if (ret == -ENODEV)
		why = "no driver is behind the node: its module is not loaded, or not built";
	else if (ret == -EACCES || ret == -EPERM)
		why = "no rights: the node's owner and group have them";
	else if (ret == -EBUSY)
		why = "it is open already, by this process or another one";
	vhk_log(log, VHK_LOG_ERROR, "%s: %s", path, why);
}

/* Looks before it opens: to be opened means something to other devices. */
static int open_node(const char *path)
{
	struct stat st;
	int fd;

	if (stat(path, &st))
		return -errno;
	if (!S_ISCHR(st.st_mode))
		return -EINVAL;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENXIO ? -ENODEV : -errno;
	return fd;
}

/* The node has the name that was asked for: in a container it may be anything. */
static int check_name(const struct vhk_bus_root *root, const char *uri, const struct stat *st,
		      const struct vhk_log *log)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };

	if (strncmp(uri, VDPA, strlen(VDPA)))
		return 0;
	if (!vhk_bus_place_at(root, uri + strlen(VDPA), &p) && p.node[0] &&
	    p.node_dev == st->st_rdev)
		return 0;
	vhk_log(log, VHK_LOG_ERROR, "the node that vDPA device %s has leads to another device",
		uri + strlen(VDPA));
	return -ENXIO;
}

int vhk_kern_open(const struct vhk_bus_root *root, const char *uri, enum vhk_ctl_kind *kind,
		  const struct vhk_log *log)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, ret;

	ret = vhk_kern_resolve(root, uri, path, sizeof(path), log);
	if (ret)
		return ret;
	/* To be opened resets a device: not one of another name. */
	if (!stat(path, &st))
		ret = check_name(root, uri, &st, log);
	if (ret)
		return ret;
	fd = open_node(path);
	/* Another one may have come in between. An open device keeps its number. */
	if (fd >= 0)
		ret = fstat(fd, &st) ? -errno : check_name(root, uri, &st, log);
	if (ret) {
		vhk_fd_close(fd);
		return ret;
	}
	ret = fd < 0 ? fd : vhk_kern_kind(root, fd, path, kind);
	if (!ret)
		return fd;
	say_why(path, ret, log);
	vhk_fd_close(fd);
	return ret;
}
