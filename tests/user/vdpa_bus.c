// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The vDPA bus as sysfs shows it, here a folder of the test's: where a device went, what binding
 * writes and in which order it gives up, and who has a node open.
 */
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "t.h"
#include "vdpa_bus.h"

static char root_path[3][128];
static struct vhk_bus_root root;
static unsigned int n_roots;

static const char *at(const char *fmt, ...)
{
	static char path[4][512];
	static unsigned int turn;
	char *to = path[turn++ % 4];
	int n = snprintf(to, 512, "%s/r%u/", t_dir(), n_roots);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to + n, 512 - (size_t)n, fmt, ap);
	va_end(ap);
	return to;
}

static void folder(const char *path)
{
	char part[512];
	size_t i;

	for (i = 1; path[i - 1]; i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		T_MUST(!mkdir(part, 0755) || errno == EEXIST);
	}
}

static void file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	T_MUST(f && fputs(text, f) >= 0 && !fclose(f));
}

static const char *text_of(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = 0;
	if (f)
		fclose(f);
	return f ? text : NULL;
}

static void driver(const char *name)
{
	folder(at("sys/bus/vdpa/drivers/%s", name));
	file(at("sys/bus/vdpa/drivers/%s/bind", name), "");
	file(at("sys/bus/vdpa/drivers/%s/unbind", name), "");
}

/* A bus with both drivers and a device that none has. */
static void begin(void)
{
	n_roots++;
	folder(at("sys/bus/vdpa/devices/d0"));
	folder(at("dev"));
	folder(at("proc/self"));
	file(at("sys/bus/vdpa/devices/d0/driver_override"), "(null)\n");
	file(at("sys/bus/vdpa/drivers_autoprobe"), "1\n");
	driver("vhost_vdpa");
	driver("virtio_vdpa");
	snprintf(root_path[0], 128, "%s", at("sys"));
	snprintf(root_path[1], 128, "%s", at("proc"));
	snprintf(root_path[2], 128, "%s", at("dev"));
	root = (struct vhk_bus_root){ root_path[0], root_path[1], root_path[2] };
}

static void bound_to(const char *driver_name)
{
	char target[128];

	snprintf(target, sizeof(target), "../../../../bus/vdpa/drivers/%s", driver_name);
	T_MUST(!symlink(target, at("sys/bus/vdpa/devices/d0/driver")));
}

/* The node stands in for by /dev/null, which anybody may open at any time. */
static void with_node(void)
{
	bound_to("vhost_vdpa");
	folder(at("sys/bus/vdpa/devices/d0/vhost-vdpa-3"));
	file(at("sys/bus/vdpa/devices/d0/vhost-vdpa-3/dev"), "1:3\n");
	T_MUST(!symlink("/dev/null", at("dev/vhost-vdpa-3")));
}

static void process(int pid, int fd, const char *target)
{
	char fd_path[512];

	folder(at("proc/%d/fd", pid));
	file(at("proc/%d/comm", pid), "qemu-system-x86\n");
	snprintf(fd_path, sizeof(fd_path), "%s/%d", at("proc/%d/fd", pid), fd);
	T_MUST(!symlink(target, fd_path));
}

static void a_device_that_nobody_has(void)
{
	struct vhk_vdpa_place p;

	begin();
	T_EQ(vhk_bus_place_at(&root, "d0", &p), 0);
	T_STR(p.driver, "");
	T_STR(p.override, "");
	T_STR(p.node, "");
	T_STR(p.virtio, "");
	T_EQ(vhk_bus_place_at(&root, "d1", &p), -ENODEV);
	T_EQ(vhk_bus_place_at(&root, "", &p), -EINVAL);
	T_EQ(vhk_bus_place_at(&root, "..", &p), -EINVAL);
	T_EQ(vhk_bus_place_at(&root, "a/b", &p), -EINVAL);
	T_EQ(vhk_bus_is_open_at(&root, "d0"), 0);
	T_EQ(vhk_bus_is_open_at(&root, "d1"), -ENODEV);
}

static void a_node(void)
{
	struct vhk_vdpa_place p;

	begin();
	with_node();
	file(at("sys/bus/vdpa/devices/d0/driver_override"), "vhost_vdpa\n");
	T_EQ(vhk_bus_place_at(&root, "d0", &p), 0);
	T_STR(p.driver, "vhost_vdpa");
	T_STR(p.override, "vhost_vdpa");
	T_STR(p.node, "/dev/vhost-vdpa-3");
	T_EQ(p.node_dev, 0x103);
}

static void an_interface(const char *class, const char *name)
{
	struct vhk_vdpa_place p;

	begin();
	bound_to("virtio_vdpa");
	folder(at("sys/bus/vdpa/devices/d0/virtio12/%s/%s", class, name));
	folder(at("sys/bus/vdpa/devices/d0/virtio-like"));
	T_EQ(vhk_bus_place_at(&root, "d0", &p), 0);
	T_STR(p.virtio, "virtio12");
	T_STR(p.net, *class == 'n' ? name : "");
	T_STR(p.block, *class == 'b' ? name : "");
	T_STR(p.node, "");
}

/* What is not as the kernel writes it is no node. */
static void odd_entries(void)
{
	static const struct {
		const char *entry, *dev;
		bool node;
	} cases[] = {
		{ "vhost-vdpa-3", "1:3\n", true },
		{ "vhost-vdpa-3", "4095:1048575\n", true },
		{ "vhost-vdpa-", "1:3\n", false },
		{ "vhost-vdpa-x", "1:3\n", false },
		{ "vhost-vdpa-3.old", "1:3\n", false },
		{ "vhost-vdpa--3", "1:3\n", false },
		{ "vhost-vdpa-3", "", false },
		{ "vhost-vdpa-3", "1\n", false },
		{ "vhost-vdpa-3", "1:\n", false },
		{ "vhost-vdpa-3", ":3\n", false },
		{ "vhost-vdpa-3", "-1:3\n", false },
		{ "vhost-vdpa-3", " 1: 3\n", false },
		{ "vhost-vdpa-3", "1:3x\n", false },
		{ "vhost-vdpa-3", "4294967297:3\n", false },
		{ "vhost-vdpa-3", "99999999999999999999999999999999999999999:3\n", false },
	};
	char path[128];
	unsigned int i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		struct vhk_vdpa_place p;

		begin();
		snprintf(path, sizeof(path), "sys/bus/vdpa/devices/d0/%s", cases[i].entry);
		folder(at("%s", path));
		snprintf(path, sizeof(path), "sys/bus/vdpa/devices/d0/%s/dev", cases[i].entry);
		file(at("%s", path), cases[i].dev);
		T_EQ(vhk_bus_place_at(&root, "d0", &p), 0);
		if (!!*p.node != cases[i].node)
			printf("# %s, %s", cases[i].entry, cases[i].dev);
		T_EQ(!!*p.node, cases[i].node);
	}
}

static void interfaces(void)
{
	an_interface("net", "eth7");
	an_interface("block", "vdb");
}

static void binding_writes_to_the_driver(void)
{
	begin();
	T_EQ(vhk_bus_bind_at(&root, "d0", "vhost_vdpa", 0), 0);
	T_STR(text_of(at("sys/bus/vdpa/devices/d0/driver_override")), "vhost_vdpa\n");
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/bind")), "d0");
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/unbind")), "");

	begin();
	with_node();
	T_EQ(vhk_bus_bind_at(&root, "d0", "virtio_vdpa", 0), 0);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/unbind")), "d0");
	T_STR(text_of(at("sys/bus/vdpa/drivers/virtio_vdpa/bind")), "d0");
	T_STR(text_of(at("sys/bus/vdpa/devices/d0/driver_override")), "virtio_vdpa\n");

	/* It has the device: only the claim is written. */
	begin();
	with_node();
	T_EQ(vhk_bus_bind_at(&root, "d0", "vhost_vdpa", 0), 0);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/bind")), "");
	T_STR(text_of(at("sys/bus/vdpa/devices/d0/driver_override")), "vhost_vdpa\n");

	begin();
	with_node();
	T_EQ(vhk_bus_unbind_at(&root, "d0", 0), 0);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/unbind")), "d0");
	begin();
	T_EQ(vhk_bus_unbind_at(&root, "d0", 0), 0);
}

static void what_cannot_be_bound_is_left_alone(void)
{
	begin();
	with_node();
	T_EQ(vhk_bus_bind_at(&root, "d1", "virtio_vdpa", 0), -ENODEV);
	T_EQ(vhk_bus_bind_at(&root, "d0", "other_vdpa", 0), -ENOENT);
	T_EQ(vhk_bus_bind_at(&root, "d0", "", 0), -EINVAL);
	T_EQ(vhk_bus_bind_at(&root, "d0", "../vhost_vdpa", 0), -EINVAL);
	T_EQ(vhk_bus_bind_at(&root, "d0", "virtio_vdpa", 2), -EOPNOTSUPP);
	T_EQ(vhk_bus_unbind_at(&root, "d0", 2), -EOPNOTSUPP);
	T_EQ(vhk_bus_unbind_at(&root, "d1", 0), -ENODEV);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/unbind")), "");
	/* A driver that refuses: the device goes back to who had it. */
	T_MUST(!unlink(at("sys/bus/vdpa/drivers/virtio_vdpa/bind")));
	T_EQ(vhk_bus_bind_at(&root, "d0", "virtio_vdpa", 0), -ENOENT);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/bind")), "d0");
	T_STR(text_of(at("sys/bus/vdpa/devices/d0/driver_override")), "\n");
}

static int keep_holder(void *arg, const struct vhk_vdpa_holder *h)
{
	*(struct vhk_vdpa_holder *)arg = *h;
	return 0;
}

static int stop_there(void *arg, const struct vhk_vdpa_holder *h)
{
	(void)arg;
	return h->pid;
}

static void holders_are_found(void)
{
	struct vhk_vdpa_holder h = { 0 };
	struct vhk_vdpa_place p;

	begin();
	with_node();
	process(71, 5, "/dev/zero");
	process(72, 6, "socket:[1]");
	T_EQ(vhk_bus_place_at(&root, "d0", &p), 0);
	T_EQ(vhk_bus_holders_at(&root, &p, keep_holder, &h), 0);
	T_EQ(vhk_bus_is_open_at(&root, "d0"), 0);
	process(73, 11, "/dev/null");
	process(73, 12, "/dev/null");
	T_EQ(vhk_bus_holders_at(&root, &p, keep_holder, &h), 1);
	T_EQ(h.pid, 73);
	T_OK(h.fd == 11 || h.fd == 12);
	T_STR(h.comm, "qemu-system-x86");
	T_EQ(vhk_bus_holders_at(&root, &p, stop_there, NULL), 73);
	T_EQ(vhk_bus_is_open_at(&root, "d0"), 1);
}

static void an_open_device_stays_where_it_is(void)
{
	begin();
	with_node();
	process(73, 11, "/dev/null");
	T_EQ(vhk_bus_bind_at(&root, "d0", "virtio_vdpa", 0), -EBUSY);
	T_EQ(vhk_bus_unbind_at(&root, "d0", 0), -EBUSY);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/unbind")), "");
	T_STR(text_of(at("sys/bus/vdpa/devices/d0/driver_override")), "(null)\n");
	T_EQ(vhk_bus_bind_at(&root, "d0", "virtio_vdpa", VHK_VDPA_F_FORCE), 0);
	T_STR(text_of(at("sys/bus/vdpa/drivers/vhost_vdpa/unbind")), "d0");
}

/* A node that its device's reset keeps from being opened: a locked pty's other end says EIO, too */
static void a_device_without_a_server_is_not_open(void)
{
	const int pty = posix_openpt(O_RDWR | O_NOCTTY);
	char number[32];
	struct stat st;

	T_MUST(pty >= 0 && !stat(ptsname(pty), &st));
	T_EQ(open(ptsname(pty), O_RDWR | O_NOCTTY | O_NONBLOCK), -1);
	T_EQ(errno, EIO);
	begin();
	with_node();
	snprintf(number, sizeof(number), "%u:%u\n", major(st.st_rdev), minor(st.st_rdev));
	file(at("sys/bus/vdpa/devices/d0/vhost-vdpa-3/dev"), number);
	T_MUST(!unlink(at("dev/vhost-vdpa-3")));
	T_MUST(!symlink(ptsname(pty), at("dev/vhost-vdpa-3")));
	T_EQ(vhk_bus_is_open_at(&root, "d0"), 0);
	close(pty);
}

static void probing_can_be_stopped(void)
{
	begin();
	T_EQ(vhk_bus_autoprobe_at(&root, -1), 1);
	T_EQ(vhk_bus_autoprobe_at(&root, 0), 1);
	T_STR(text_of(at("sys/bus/vdpa/drivers_autoprobe")), "0");
	T_EQ(vhk_bus_autoprobe_at(&root, 1), 0);
	T_EQ(vhk_bus_autoprobe_at(&root, 2), -EINVAL);
	T_EQ(vhk_bus_autoprobe_at(&root, -2), -EINVAL);
	T_MUST(!unlink(at("sys/bus/vdpa/drivers_autoprobe")));
	T_EQ(vhk_bus_autoprobe_at(&root, -1), -ENODEV);
}

int main(void)
{
	T_RUN(a_device_that_nobody_has);
	T_RUN(a_node);
	T_RUN(a_device_without_a_server_is_not_open);
	T_RUN(odd_entries);
	T_RUN(interfaces);
	T_RUN(binding_writes_to_the_driver);
	T_RUN(what_cannot_be_bound_is_left_alone);
	T_RUN(holders_are_found);
	T_RUN(an_open_device_stays_where_it_is);
	T_RUN(probing_can_be_stopped);
	return t_end();
}
