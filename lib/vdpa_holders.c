// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Who has the node of a vDPA device open: what /proc shows, and what the kernel says to one more.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fd.h"
#include "vdpa_bus.h"

/*
 * Only files that may be the node are looked at: asking after another one can hang, where its file
 * system does.
 */
static bool may_be_node(int folder, const char *fd)
{
	char target[256];
	ssize_t n = readlinkat(folder, fd, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = 0;
	return !strncmp(target, "/dev/", 5) || strstr(target, "vhost-vdpa");
}

/* The number of a file descriptor of the process that is @dev, or -1. */
static int find_fd(const char *proc, const char *pid, dev_t dev)
{
	const struct dirent *e;
	char path[320];
	struct stat st;
	int found = -1;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s/fd", proc, pid);
	d = opendir(path);
	while (d && found < 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && may_be_node(dirfd(d), e->d_name) &&
		    !fstatat(dirfd(d), e->d_name, &st, 0) && S_ISCHR(st.st_mode) &&
		    st.st_rdev == dev)
			found = atoi(e->d_name);
	if (d)
		closedir(d);
	return found;
}

static void read_comm(const char *proc, struct vhk_vdpa_holder *h)
{
	char path[128];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/%d/comm", proc, (int)h->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, h->comm, sizeof(h->comm) - 1);
	vhk_fd_close(fd);
	h->comm[n > 0 ? n : 0] = 0;
	h->comm[strcspn(h->comm, "\n")] = 0;
}

int vhk_bus_holders_at(const struct vhk_bus_root *r, const struct vhk_vdpa_place *p,
		       int (*fn)(void *arg, const struct vhk_vdpa_holder *h), void *arg)
{
	struct vhk_vdpa_holder h = { .sz = sizeof(h) };
	const struct dirent *e;
	int n = 0, ret = 0;
	DIR *d;

	if (!*p->node)
		return 0;
	d = opendir(r->proc);
	if (!d)
		return -errno;
	while (!ret && (e = readdir(d))) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || strlen(e->d_name) > 10)
			continue;
		h.fd = find_fd(r->proc, e->d_name, p->node_dev);
		if (h.fd < 0)
			continue;
		n++;
		h.pid = atoi(e->d_name);
		read_comm(r->proc, &h);
		ret = fn ? fn(arg, &h) : 0;
	}
	closedir(d);
	return ret ? ret : n;
}

/*
 * The kernel lets one process at a time open the node, and then resets the device: where its server
 * is gone that fails, and nobody else has it.
 */
static int open_failed(int err)
{
	switch (err) {
	case EBUSY:
		return 1;
	case ENXIO:
	case ENOENT:
	case EIO:
		return 0;
	default:
		return -err;
	}
}

static int try_open(const struct vhk_bus_root *r, const struct vhk_vdpa_place *p)
{
	char path[128];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", r->dev, p->node + strlen("/dev/"));
	/* No node here, as in a container: then nothing more can be learnt. */
	if (stat(path, &st) || !S_ISCHR(st.st_mode) || st.st_rdev != p->node_dev)
		return 0;
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return open_failed(errno);
	close(fd);
	return 0;
}

int vhk_bus_is_open_at(const struct vhk_bus_root *r, const char *name)
{
	struct vhk_vdpa_place p;
	int ret = vhk_bus_place_at(r, name, &p);

	if (ret || !*p.node)
		return ret;
	return vhk_bus_holders_at(r, &p, NULL, NULL) > 0 ? 1 : try_open(r, &p);
}

int vhk_vdpa_holders(const char *name, int (*fn)(void *arg, const struct vhk_vdpa_holder *h),
		     void *arg)
{
	struct vhk_vdpa_place p;
	int ret = vhk_bus_place_at(&vhk_bus_root, name, &p);

	return ret ? ret : vhk_bus_holders_at(&vhk_bus_root, &p, fn, arg);
}

int vhk_vdpa_is_open(const char *name)
{
	return vhk_bus_is_open_at(&vhk_bus_root, name);
}
