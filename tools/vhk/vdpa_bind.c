// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk vdpa bind, unbind and dev del: what would block while a device is open is refused, and who
 * has it open is said.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define LOAD_MS 30000

extern char **environ;

static int add_holder(void *arg, const struct vhk_vdpa_holder *h)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 256 - n, "%s%s (process %d)", n ? ", " : "", h->comm, (int)h->pid);
	return 0;
}

static int say_open(const char *name, const char *what)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	char who[256] = "";

	vhk_vdpa_place(name, &p);
	vhk_vdpa_holders(name, add_holder, who);
	say("%s: %s is open in %s; %s would wait for it to be closed (--force: do so)", name,
	    *p.node ? p.node : "its node", *who ? who : "a process that cannot be seen", what);
	return EXIT_FAILED;
}

static int say_bus(int ret, const char *name, const char *what)
{
	switch (-ret) {
	case EBUSY:
		return say_open(name, what);
	case ENODEV:
		if (vhk_vdpa_autoprobe(-1) == -ENODEV)
			say("%s: the kernel has no vDPA bus: load its module vdpa", name);
		else
			say("%s: no such vDPA device", name);
		return EXIT_FAILED;
	case EINVAL:
		say("%s: %s: \"%s\" cannot be the name of a vDPA device", name, what, name);
		return EXIT_FAILED;
	case EACCES:
	case EPERM:
		say("%s: %s needs root", name, what);
		return EXIT_FAILED;
	default:
		say("%s: %s: %s", name, what, strerror(-ret));
		return EXIT_FAILED;
	}
}

int vdpa_dev_del(struct vdpa_cli *c, int argc, char **argv)
{
	int ret;

	if (argc != 1)
		return say_usage("vdpa dev del takes the name of one device");
	ret = vdpa_connect(c);
	if (ret)
		return ret;
	/* The kernel would hold up all of generic netlink until it is closed. */
	if (!c->force) {
		ret = vhk_vdpa_is_open(argv[0]);
		if (ret > 0)
			return say_open(argv[0], "deleting it, and every request after that,");
		if (ret < 0 && ret != -ENODEV)
			return say_bus(ret, argv[0], "finding out whether it is open");
	}
	return vhk_vdpa_dev_del(c->v, argv[0]) ? vdpa_failed(c, argv[0]) : 0;
}

/* Waits for the program's end, and ends it where that takes too long. */
static int end_of(pid_t pid)
{
	int status, fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (fd >= 0 && poll(&p, 1, LOAD_MS) == 0)
		kill(pid, SIGKILL);
	if (fd >= 0)
		close(fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}

static int modprobe(const char *module)
{
	static const char *const programs[] = { "/sbin/modprobe", "/usr/sbin/modprobe",
						"/bin/modprobe", "/usr/bin/modprobe" };
	char *const argv[] = { (char *)"modprobe", (char *)"-q", (char *)module, NULL };
	unsigned int i;
	pid_t pid;

	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!posix_spawn(&pid, programs[i], NULL, NULL, argv, environ))
			return end_of(pid);
	return -ENOENT;
}

/*
 * A bus driver takes every free device when it is loaded; only one is meant here. An interrupt must
 * not leave the bus without probing.
 */
static int load_quietly(const char *driver)
{
	sigset_t all, before;
	int was, ret;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	was = vhk_vdpa_autoprobe(0);
	ret = was < 0 ? was : modprobe(driver);
	if (was > 0)
		vhk_vdpa_autoprobe(1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static int bind_loading(const char *name, const char *driver, uint32_t flags)
{
	int ret = vhk_vdpa_bind(name, driver, flags);

	if (ret != -ENOENT)
		return ret;
	ret = load_quietly(driver);
	return ret ? ret : vhk_vdpa_bind(name, driver, flags);
}

static void show_place(const struct vdpa_cli *c, const char *name)
{
	struct vdpa_out o;

	vdpa_out_begin(&o, c, "dev");
	vdpa_out_open(&o, name, false);
	vdpa_out_place(&o, name);
	vdpa_out_close(&o);
	vdpa_out_end(&o);
}

int vdpa_bind(struct vdpa_cli *c, int argc, char **argv)
{
	const char *driver;
	int ret;

	if (argc != 2)
		return say_usage("vdpa bind takes the name of a device, and virtio or vhost");
	if (!strcmp(argv[1], "virtio") || !strcmp(argv[1], "virtio_vdpa"))
		driver = "virtio_vdpa";
	else if (!strcmp(argv[1], "vhost") || !strcmp(argv[1], "vhost_vdpa"))
		driver = "vhost_vdpa";
	else
		return say_usage("vdpa bind: to virtio or vhost, not to %s", argv[1]);
	ret = bind_loading(argv[0], driver, c->force ? VHK_VDPA_F_FORCE : 0);
	if (ret == -ENOENT) {
		say("%s: the kernel's module %s cannot be loaded", argv[0], driver);
		return EXIT_FAILED;
	}
	if (ret)
		return say_bus(ret, argv[0], "binding it");
	show_place(c, argv[0]);
	return 0;
}

int vdpa_unbind(struct vdpa_cli *c, int argc, char **argv)
{
	int ret;

	if (argc != 1)
		return say_usage("vdpa unbind takes the name of one device");
	ret = vhk_vdpa_unbind(argv[0], c->force ? VHK_VDPA_F_FORCE : 0);
	return ret ? say_bus(ret, argv[0], "unbinding it") : 0;
}
