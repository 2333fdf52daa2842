// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Which URI leads to which device: by path, by the name of a vDPA device, as an fd; what is told
 * apart when there is none. The kernel's files are a folder of the test's own.
 */
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kern.h"
#include "t.h"

static char sys[128], line[512];
static struct vhk_bus_root root;

static void keep_line(void *arg, enum vhk_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	snprintf(line, sizeof(line), "%s", text);
}

static const struct vhk_log logs = { .fn = keep_line };

static void make(const char *cmd)
{
	char all[1024];

	snprintf(all, sizeof(all), "cd '%s' && %s", sys, cmd);
	T_MUST(!system(all));
}

/* /dev/null (1:3), zero (1:5), full (1:7) and random (1:8) stand in for devices. */
static void init(void)
{
	snprintf(sys, sizeof(sys), "%s", t_dir());
	root = (struct vhk_bus_root){ .sys = sys, .proc = "/proc", .dev = "/dev" };
	make("mkdir -p dev/char bus/vdpa/devices bus/vdpa/drivers/vhost_vdpa "
	     "bus/vdpa/drivers/virtio_vdpa; echo 1 >bus/vdpa/drivers_autoprobe");
	make("ln -s ../../devices/virtual/misc/vhost-net dev/char/1:3; "
	     "ln -s ../../devices/virtual/misc/vhost-vsock dev/char/1:5; "
	     "ln -s ../../devices/virtual/misc/vhost-scsi dev/char/1:7; "
	     "ln -s ../../devices/vdpa7/vhost-vdpa-7 dev/char/1:8; "
	     "ln -s ../../devices/virtual/mem/urandom dev/char/1:9");
	make("cd bus/vdpa/devices; mkdir -p blk0/vhost-vdpa-7 blk1/vhost-vdpa-12 net0/virtio3 "
	     "idle; echo 1:8 >blk0/vhost-vdpa-7/dev; echo 1:11 >blk1/vhost-vdpa-12/dev; "
	     "ln -s ../../drivers/vhost_vdpa blk0/driver; ln -s ../../drivers/vhost_vdpa "
	     "blk1/driver; ln -s ../../drivers/virtio_vdpa net0/driver");
}

static void resolution(void)
{
	static const struct {
		const char *uri;
		int want;
		const char *path, *say;
	} cases[] = {
		{ "/dev/vhost-net", 0, "/dev/vhost-net", "" },
		{ "vdpa:blk0", 0, "/dev/vhost-vdpa-7", "" },
		{ "vdpa:blk1", 0, "/dev/vhost-vdpa-12", "" },
		{ "vdpa:net0", -ENXIO, NULL, "bound to virtio_vdpa, not to vhost_vdpa" },
		{ "vdpa:idle", -ENXIO, NULL, "bound to no driver" },
		{ "vdpa:none", -ENOENT, NULL, "no vDPA device none" },
		{ "vdpa:", -EINVAL, NULL, "\"\" cannot be the name" },
		{ "vdpa:.", -EINVAL, NULL, "\".\" cannot be the name" },
		{ "vdpa:..", -EINVAL, NULL, "\"..\" cannot be the name" },
		{ "vdpa:../devices/blk0", -EINVAL, NULL, "cannot be the name" },
		{ "vdpa:blk0\nblk1", -EINVAL, NULL, "\"blk0?blk1\" cannot be the name" },
		{ "vdpa:blk0\x7f", -EINVAL, NULL, "\"blk0?\" cannot be the name" },
		{ "vhost-net", -EINVAL, NULL, "" },
	};
	char path[128];
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		line[0] = 0;
		T_EQ(vhk_kern_resolve(&root, cases[i].uri, path, sizeof(path), &logs),
		     cases[i].want);
		if (cases[i].path)
			T_STR(path, cases[i].path);
		T_OK(strstr(line, cases[i].say));
	}
	T_EQ(vhk_kern_resolve(&root, "/dev/vhost-net", path, 5, &logs), -EINVAL);
}

/* What is missing is named: the one module that brings it. */
static void missing_modules(void)
{
	const struct vhk_bus_root none = { .sys = "/no/such", .proc = "/proc", .dev = "/dev" };
	enum vhk_ctl_kind kind;

	T_EQ(vhk_kern_open(&none, "vdpa:blk0", &kind, &logs), -ENOENT);
	T_OK(strstr(line, "load its module vdpa"));
	T_EQ(vhk_kern_open(&none, "/no/such/vhost-net", &kind, &logs), -ENOENT);
	T_OK(strstr(line, "is its module loaded (vhost_net)?"));
	T_EQ(vhk_kern_open(&none, "/no/such/vhost-vdpa-0", &kind, &logs), -ENOENT);
	T_OK(strstr(line, "is its module loaded (vhost_vdpa)?"));
	T_EQ(vhk_kern_open(&none, "/no\nsuch", &kind, &logs), -ENOENT);
	T_OK(strstr(line, "/no?such: ") && !strchr(line, '\n'));
}

/* A node may have any name: its number tells what it is. */
static void kinds(void)
{
	static const struct {
		const char *path;
		int want;
		enum vhk_ctl_kind kind;
	} cases[] = {
		{ "/dev/null", 0, VHK_CTL_KIND_NET },
		{ "/dev/zero", 0, VHK_CTL_KIND_VSOCK },
		{ "/dev/full", 0, VHK_CTL_KIND_SCSI },
		{ "/dev/random", 0, VHK_CTL_KIND_VDPA },
		{ "/dev/urandom", -EINVAL, 0 },
		{ "/dev/no-such-node", -ENOENT, 0 },
		{ "/tmp", -EINVAL, 0 },
		{ "/proc/self/status", -EINVAL, 0 },
	};
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		enum vhk_ctl_kind kind = VHK_CTL_KIND_USER;
		int fd = vhk_kern_open(&root, cases[i].path, &kind, &logs);

		T_EQ(fd < 0 ? fd : 0, cases[i].want);
		T_EQ(kind, cases[i].kind);
		if (fd < 0)
			continue;
		T_OK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
	vhk_kern_open(&root, "/dev/no-such-node", &(enum vhk_ctl_kind){ 0 }, &logs);
	T_OK(strstr(line, "is its module loaded"));
}

/* Without /sys the name of the node is all there is. */
static void kinds_by_name(void)
{
	const struct vhk_bus_root none = { .sys = "/no/such", .proc = "/proc", .dev = "/dev" };
	static const struct {
		const char *path;
		int want;
		enum vhk_ctl_kind kind;
	} cases[] = {
		{ "/x/vhost-net", 0, VHK_CTL_KIND_NET },
		{ "/x/vhost-vsock", 0, VHK_CTL_KIND_VSOCK },
		{ "/x/vhost-scsi", 0, VHK_CTL_KIND_SCSI },
		{ "/x/vhost-vdpa-3", 0, VHK_CTL_KIND_VDPA },
		{ "/x/vhost-blk", -EINVAL, 0 },
		{ "/vhost-net/null", -EINVAL, 0 },
		{ NULL, -EINVAL, 0 }, /* what the fd itself is called: null */
	};
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), file;
	size_t i;

	for (i = 0; i < vhk_array_size(cases); i++) {
		enum vhk_ctl_kind kind = VHK_CTL_KIND_USER;

		T_EQ(vhk_kern_kind(&none, fd, cases[i].path, &kind), cases[i].want);
		T_EQ(kind, cases[i].kind);
	}
	file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	T_EQ(vhk_kern_kind(&none, file, "/x/vhost-net", &(enum vhk_ctl_kind){ 0 }), -EINVAL);
	close(file);
	T_EQ(vhk_kern_kind(&none, file, "/x/vhost-net", &(enum vhk_ctl_kind){ 0 }), -EBADF);
	close(fd);
}

/* A device that took the node of another one, or a node that is not what the bus says. */
static void another_device_by_that_name(void)
{
	char dev[160];
	struct vhk_bus_root at = { .sys = sys, .proc = "/proc", .dev = dev };
	enum vhk_ctl_kind kind;
	int fd, watch, i, opens = 0;
	char event[512];

	snprintf(dev, sizeof(dev), "%s/nodes", sys);
	make("mkdir nodes; ln -s /dev/random nodes/vhost-vdpa-7; "
	     "ln -s /dev/random nodes/vhost-vdpa-12; ln -s ../../devices/vdpa12/vhost-vdpa-12 "
	     "dev/char/1:11");
	fd = vhk_kern_open(&at, "vdpa:blk0", &kind, &logs);
	T_OK(fd >= 0);
	T_EQ(kind, VHK_CTL_KIND_VDPA);
	close(fd);
	line[0] = 0;
	T_EQ(vhk_kern_open(&at, "vdpa:blk1", &kind, &logs), -ENXIO);
	T_OK(strstr(line, "blk1 has leads to another device"));
	/* It was not even opened, which resets a device. Others may open this one by chance. */
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	T_MUST(watch >= 0 && inotify_add_watch(watch, "/dev/full", IN_OPEN) >= 0);
	make("ln -sf /dev/full nodes/vhost-vdpa-12");
	for (i = 0; i < 5; i++) {
		T_EQ(vhk_kern_open(&at, "vdpa:blk1", &kind, &logs), -ENXIO);
		opens += read(watch, event, sizeof(event)) > 0;
	}
	T_OK(opens < 5);
	close(watch);
	make("ln -sf /dev/random nodes/vhost-vdpa-12");
	/* By its path it is what it is. */
	snprintf(dev, sizeof(dev), "%s/nodes/vhost-vdpa-12", sys);
	fd = vhk_kern_open(&at, dev, &kind, &logs);
	T_OK(fd >= 0);
	close(fd);
}

/* In a folder that only its owner may search; root gives its rights away for this. */
static void no_rights(void)
{
	char path[160];
	int status;
	pid_t pid;

	make("mkdir -m 000 locked");
	snprintf(path, sizeof(path), "%s/locked/vhost-net", sys);
	pid = fork();
	T_MUST(pid >= 0);
	if (!pid) {
		enum vhk_ctl_kind kind;

		if (!geteuid() && setresuid(65534, 65534, 65534))
			_exit(1);
		if (vhk_kern_open(&root, path, &kind, &logs) != -EACCES)
			_exit(2);
		_exit(strstr(line, "no rights") ? 0 : 3);
	}
	T_MUST(waitpid(pid, &status, 0) == pid);
	T_EQ(status, 0);
}

/* By vhk_ctl_open(): an fd is closed whatever becomes of it. */
static void by_fd(void)
{
	static const char *const paths[] = { "/dev/null", "/proc/self/status", "/" };
	struct vhk_ctl *c;
	char uri[32];
	size_t i;
	int fd[2];

	for (i = 0; i < vhk_array_size(paths); i++) {
		fd[0] = open(paths[i], O_RDONLY | O_CLOEXEC);
		T_MUST(fd[0] >= 0);
		snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
		T_EQ(vhk_ctl_open(&c, uri, NULL), -EINVAL);
		T_OK(!c);
		T_EQ(fcntl(fd[0], F_GETFD), -1);
	}
	T_EQ(vhk_ctl_open(&c, uri, NULL), -EINVAL);
	T_MUST(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
	T_EQ(vhk_ctl_open(&c, uri, NULL), 0);
	T_EQ(vhk_ctl_kind(c), VHK_CTL_KIND_USER);
	T_OK(!vhk_ctl_can(c, VHK_CTL_NET_SET_BACKEND));
	T_EQ(vhk_ctl_net_set_backend(c, 0, -1), -EOPNOTSUPP);
	T_EQ(vhk_ctl_suspend(c), -EOPNOTSUPP);
	vhk_ctl_close(c);
	close(fd[1]);
	T_EQ(vhk_ctl_open(&c, "/no/such/vhost-net", NULL), -ENOENT);
	T_EQ(vhk_ctl_open(&c, "/tmp", NULL), -EINVAL);
	T_EQ(vhk_ctl_open(&c, "vdpa:no-such-device", NULL), -ENOENT);
	T_OK(!c);
}

/* What cannot speak vhost-user is refused at once, and closed. */
static void by_other_sockets(void)
{
	static const struct {
		int family, type, want;
		bool pair;
	} cases[] = {
		{ AF_UNIX, SOCK_STREAM, 0, true },
		{ AF_UNIX, SOCK_STREAM, -ENOTCONN, false },
		{ AF_UNIX, SOCK_DGRAM, -EPROTOTYPE, true },
		{ AF_UNIX, SOCK_SEQPACKET, -EPROTOTYPE, true },
		{ AF_INET, SOCK_STREAM, -EAFNOSUPPORT, false },
	};
	struct vhk_ctl *c;
	char uri[32];
	size_t i;
	int fd[2];

	for (i = 0; i < vhk_array_size(cases); i++) {
		fd[1] = -1;
		if (cases[i].pair)
			T_MUST(!socketpair(cases[i].family, cases[i].type | SOCK_CLOEXEC, 0, fd));
		else
			fd[0] = socket(cases[i].family, cases[i].type | SOCK_CLOEXEC, 0);
		T_MUST(fd[0] >= 0);
		snprintf(uri, sizeof(uri), "fd:%d", fd[0]);
		T_EQ(vhk_ctl_open(&c, uri, NULL), cases[i].want);
		T_EQ(!c, cases[i].want != 0);
		vhk_ctl_close(c);
		T_EQ(fcntl(fd[0], F_GETFD), -1);
		if (cases[i].pair)
			close(fd[1]);
	}
}

int main(void)
{
	init();
	T_RUN(resolution);
	T_RUN(missing_modules);
	T_RUN(kinds);
	T_RUN(kinds_by_name);
	T_RUN(another_device_by_that_name);
	T_RUN(no_rights);
	T_RUN(by_fd);
	T_RUN(by_other_sockets);
	return t_end();
}
