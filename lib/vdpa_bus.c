// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The vDPA bus in sysfs: what became of a device, and which driver has it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fd.h"
#include "vdpa_bus.h"

#define PATH_SIZE 1024

const struct vhk_bus_root vhk_bus_root = { "/sys", "/proc", "/dev" };

static bool has_control(const char *text)
{
	while (*text && (unsigned char)*text >= ' ' && *text != 0x7f)
		text++;
	return *text;
}

bool vhk_bus_good_name(const char *name)
{
	return name && *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/') &&
	       !has_control(name) && strlen(name) < VHK_VDPA_NAME_SIZE;
}

static int join(char *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int join(char *to, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, PATH_SIZE, fmt, ap);
	va_end(ap);
	return n < 0 || n >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

/* False, and nothing copied, where it does not fit. */
static bool copy(char *to, size_t size, const char *from)
{
	size_t len = strlen(from) + 1;

	if (len > size)
		return false;
	memcpy(to, from, len);
	return true;
}

/* The file's first line, without its end; or -errno. */
static int read_line(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int ret;

	to[0] = 0;
	if (fd < 0)
		return -errno;
	n = read(fd, to, size - 1);
	ret = n < 0 ? -errno : 0;
	close(fd);
	to[n < 0 ? 0 : n] = 0;
	to[strcspn(to, "\n")] = 0;
	return ret;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ssize_t n;
	int ret;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	ret = n < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* The last component of where a link leads; empty where there is none. */
static void read_link(const char *path, char *to, size_t size)
{
	char target[PATH_SIZE];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	to[0] = 0;
	if (n <= 0)
		return;
	target[n] = 0;
	base = strrchr(target, '/');
	copy(to, size, base ? base + 1 : target);
}

/* The first entry of folder @path whose name is @prefix and something, a number where @number. */
static void find_entry(const char *path, const char *prefix, bool number, char *to, size_t size)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	const char *rest;

	to[0] = 0;
	while (d && (e = readdir(d))) {
		rest = e->d_name + strlen(prefix);
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		if (number && (!*rest || rest[strspn(rest, "0123456789")]))
			continue;
		if (copy(to, size, e->d_name))
			break;
	}
	if (d)
		closedir(d);
}

static int device_path(const struct vhk_bus_root *r, const char *name, char *path)
{
	struct stat st;
	int ret;

	if (!vhk_bus_good_name(name))
		return -EINVAL;
	ret = join(path, "%s/bus/vdpa/devices/%s", r->sys, name);
	if (ret)
		return ret;
	if (stat(path, &st))
		return errno == ENOENT ? -ENODEV : -errno;
	return 0;
}

/* "MAJOR:MINOR", as the kernel prints it; false: it is something else. */
static bool parse_dev(const char *text, dev_t *dev)
{
	unsigned int major, minor;
	char again[32];

	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	snprintf(again, sizeof(again), "%u:%u", major, minor);
	*dev = makedev(major, minor);
	return !strcmp(again, text);
}

static void place_node(const char *device, struct vhk_vdpa_place *p)
{
	char name[sizeof(p->node) - sizeof("/dev/")], path[PATH_SIZE], line[32];
	dev_t dev;

	find_entry(device, "vhost-vdpa-", true, name, sizeof(name));
	if (!*name || join(path, "%s/%s/dev", device, name) ||
	    read_line(path, line, sizeof(line)) || !parse_dev(line, &dev))
		return;
	snprintf(p->node, sizeof(p->node), "/dev/%s", name);
	p->node_dev = dev;
}

static void place_virtio(const char *device, struct vhk_vdpa_place *p)
{
	char path[PATH_SIZE];

	find_entry(device, "virtio", true, p->virtio, sizeof(p->virtio));
	if (!*p->virtio)
		return;
	if (!join(path, "%s/%s/net", device, p->virtio))
		find_entry(path, "", false, p->net, sizeof(p->net));
	if (!join(path, "%s/%s/block", device, p->virtio))
		find_entry(path, "", false, p->block, sizeof(p->block));
}

int vhk_bus_place_at(const struct vhk_bus_root *r, const char *name, struct vhk_vdpa_place *p)
{
	char device[PATH_SIZE], path[PATH_SIZE + 32];
	int ret = device_path(r, name, device);

	if (ret)
		return ret;
	memset(p, 0, sizeof(*p));
	p->sz = sizeof(*p);
	snprintf(path, sizeof(path), "%s/driver", device);
	read_link(path, p->driver, sizeof(p->driver));
	snprintf(path, sizeof(path), "%s/driver_override", device);
	read_line(path, p->override, sizeof(p->override));
	/* How the kernel prints that there is none. */
	if (!strcmp(p->override, "(null)"))
		p->override[0] = 0;
	place_node(device, p);
	place_virtio(device, p);
	return 0;
}

/* What one driver is told: its file @what gets the device's name. */
static int tell_driver(const struct vhk_bus_root *r, const char *driver, const char *what,
		       const char *name)
{
	char path[PATH_SIZE];
	int ret = join(path, "%s/bus/vdpa/drivers/%s/%s", r->sys, driver, what);

	return ret ? ret : write_text(path, name);
}

static int set_override(const struct vhk_bus_root *r, const char *name, const char *driver)
{
	char path[PATH_SIZE], line[VHK_VDPA_NAME_SIZE + 1];
	int ret = join(path, "%s/bus/vdpa/devices/%s/driver_override", r->sys, name);

	if (ret)
		return ret;
	snprintf(line, sizeof(line), "%s\n", driver);
	ret = write_text(path, line);
	/* Kernels before 5.17 have none, and then every driver may take every device. */
	return ret == -ENOENT ? 0 : ret;
}

static int driver_is_there(const struct vhk_bus_root *r, const char *driver)
{
	char path[PATH_SIZE];
	struct stat st;
	int ret;

	if (!vhk_bus_good_name(driver) ||
	    strlen(driver) >= sizeof(((struct vhk_vdpa_place *)0)->driver))
		return -EINVAL;
	ret = join(path, "%s/bus/vdpa/drivers/%s", r->sys, driver);
	if (ret)
		return ret;
	return stat(path, &st) ? -errno : 0;
}

/* Taking an open device from its driver would block until it is closed. */
static int may_unbind(const struct vhk_bus_root *r, const char *name, uint32_t flags)
{
	int ret;

	if (flags & ~VHK_VDPA_F_FORCE)
		return -EOPNOTSUPP;
	if (flags & VHK_VDPA_F_FORCE)
		return 0;
	ret = vhk_bus_is_open_at(r, name);
	return ret > 0 ? -EBUSY : ret;
}

static int take_from(const struct vhk_bus_root *r, const char *name,
		     const struct vhk_vdpa_place *p, uint32_t flags)
{
	int ret = may_unbind(r, name, flags);

	return ret || !*p->driver ? ret : tell_driver(r, p->driver, "unbind", name);
}

/* As it was before: best effort, the failure that led here is what is told. */
static void give_back(const struct vhk_bus_root *r, const char *name,
		      const struct vhk_vdpa_place *p)
{
	set_override(r, name, p->override);
	if (*p->driver)
		tell_driver(r, p->driver, "bind", name);
}

int vhk_bus_bind_at(const struct vhk_bus_root *r, const char *name, const char *driver,
		    uint32_t flags)
{
	struct vhk_vdpa_place p;
	int ret = flags & ~VHK_VDPA_F_FORCE ? -EOPNOTSUPP : vhk_bus_place_at(r, name, &p);

	if (!ret)
		ret = driver_is_there(r, driver);
	if (ret)
		return ret;
	if (!strcmp(p.driver, driver))
		return set_override(r, name, driver);
	ret = take_from(r, name, &p, flags);
	if (ret)
		return ret;
	ret = set_override(r, name, driver);
	if (!ret)
		ret = tell_driver(r, driver, "bind", name);
	if (ret)
		give_back(r, name, &p);
	return ret;
}

int vhk_bus_unbind_at(const struct vhk_bus_root *r, const char *name, uint32_t flags)
{
	struct vhk_vdpa_place p;
	int ret = vhk_bus_place_at(r, name, &p);

	return ret ? ret : take_from(r, name, &p, flags);
}

int vhk_bus_autoprobe_at(const struct vhk_bus_root *r, int on)
{
	char path[PATH_SIZE], line[8];
	int ret = join(path, "%s/bus/vdpa/drivers_autoprobe", r->sys), was;

	if (on < -1 || on > 1)
		return -EINVAL;
	if (!ret)
		ret = read_line(path, line, sizeof(line));
	if (ret)
		return ret == -ENOENT ? -ENODEV : ret;
	was = line[0] != '0';
	if (on < 0 || on == was)
		return was;
	ret = write_text(path, on ? "1" : "0");
	return ret ? ret : was;
}

int vhk_vdpa_place(const char *name, struct vhk_vdpa_place *out)
{
	struct vhk_vdpa_place p;
	int ret = vhk_bus_place_at(&vhk_bus_root, name, &p);

	return ret ? ret : vhk_out_write(out, &p, sizeof(p));
}

int vhk_vdpa_bind(const char *name, const char *driver, uint32_t flags)
{
	return vhk_bus_bind_at(&vhk_bus_root, name, driver, flags);
}

int vhk_vdpa_unbind(const char *name, uint32_t flags)
{
	return vhk_bus_unbind_at(&vhk_bus_root, name, flags);
}

int vhk_vdpa_autoprobe(int on)
{
	return vhk_bus_autoprobe_at(&vhk_bus_root, on);
}
