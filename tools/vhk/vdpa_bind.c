// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk vdpa bind, unbind and dev del: what would block while a device is open is refused, and who
 * has it open is said.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "module.h"
#include "vdpa.h"

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

/* The kernel would hold up all of generic netlink until it is closed. */
int vdpa_check_closed(const char *name)
{
	int ret = vhk_vdpa_is_open(name);

	if (ret > 0)
		return say_open(name, "deleting it, and every request after that,");
	if (ret < 0 && ret != -ENODEV)
		return say_bus(ret, name, "finding out whether it is open");
	return 0;
}

int vdpa_dev_del(struct vdpa_cli *c, int argc, char **argv)
{
	int ret;

	if (argc != 1)
		return say_usage("vdpa dev del takes the name of one device");
	ret = vdpa_connect(c);
	if (!ret && !c->force)
		ret = vdpa_check_closed(argv[0]);
	if (ret)
		return ret;
	return vhk_vdpa_dev_del(c->v, argv[0]) ? vdpa_failed(c, argv[0]) : 0;
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
	ret = was < 0 ? was : module_load(driver);
	if (was > 0)
		vhk_vdpa_autoprobe(1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int vdpa_give(const char *name, const char *driver, uint32_t flags)
{
	int ret = vhk_vdpa_bind(name, driver, flags);

	if (ret == -ENOENT) {
		ret = load_quietly(driver);
		if (!ret)
			ret = vhk_vdpa_bind(name, driver, flags);
	}
	if (ret == -ENOENT) {
		say("%s: the kernel's module %s cannot be loaded", name, driver);
		return EXIT_FAILED;
	}
	return ret ? say_bus(ret, name, "binding it") : 0;
}

const char *vdpa_driver(const char *word)
{
	if (!strcmp(word, "virtio") || !strcmp(word, "virtio_vdpa"))
		return "virtio_vdpa";
	if (!strcmp(word, "vhost") || !strcmp(word, "vhost_vdpa"))
		return "vhost_vdpa";
	return NULL;
}

/* The kernel hands on a number only of what our modules do not make. */
static const char *why_no_disk(int ret, uint64_t set)
{
	if (ret == -ENOENT)
		return "no disk of that name is registered; see vhk disk add";
	if (ret == -EBUSY)
		return "another device has the disk";
	if (ret == -EINVAL && set & VHK_VDPA_FEATURES)
		return "device_features has some that the disk does not have";
	if (ret == -EOPNOTSUPP && set & VHK_VDPA_FEATURES)
		return "device_features lacks VERSION_1, which all need";
	return NULL;
}

static const char *why_no_card(int ret, uint64_t set)
{
	if (ret == -E2BIG)
		return "max_vqp: a card has 32 pairs of queues at most";
	if (ret == -EADDRNOTAVAIL)
		return "mac: that is no address of one card";
	if (ret == -EINVAL && set & VHK_VDPA_FEATURES)
		return "device_features has some that the card does not have, or that need others";
	if (ret == -EOPNOTSUPP && set & VHK_VDPA_FEATURES)
		return "device_features lacks VERSION_1 or ACCESS_PLATFORM, which all need";
	return NULL;
}

static int say_not_made(const struct vdpa_cli *c, const struct vdpa_words *w, int ret)
{
	const uint64_t set = w->params.set;
	const char *hint = NULL;

	if (ret == -EEXIST)
		hint = "there is a vDPA device of that name";
	else if (!strcmp(w->mgmtdev, "vhostkit_blk"))
		hint = why_no_disk(ret, set);
	else if (!strcmp(w->mgmtdev, "vhostkit_net"))
		hint = why_no_card(ret, set);
	if (!hint)
		return vdpa_failed(c, w->name);
	say("%s: %s: %s", w->name, vhk_vdpa_error(c->v), hint);
	return EXIT_FAILED;
}

/*
 * A driver that is loaded takes a new device at once, and it may be the wrong one; so the bus does
 * not probe meanwhile.
 */
int vdpa_make(struct vdpa_cli *c, const struct vdpa_words *w, const char *driver)
{
	sigset_t all, before;
	int was = 0, ret;

	ret = vdpa_connect(c);
	if (ret)
		return ret;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if (driver)
		was = vhk_vdpa_autoprobe(0);
	ret = vhk_vdpa_dev_new(c->v, w->name, w->mgmtdev, &w->params);
	if (ret)
		ret = say_not_made(c, w, ret);
	if (was > 0)
		vhk_vdpa_autoprobe(1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (ret || !driver)
		return ret;
	ret = vdpa_give(w->name, driver, 0);
	if (ret)
		vhk_vdpa_dev_del(c->v, w->name);
	return ret;
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
	driver = vdpa_driver(argv[1]);
	if (!driver)
		return say_usage("vdpa bind: to virtio or vhost, not to %s", argv[1]);
	ret = vdpa_give(argv[0], driver, c->force ? VHK_VDPA_F_FORCE : 0);
	if (!ret)
		show_place(c, argv[0]);
	return ret;
}

int vdpa_unbind(struct vdpa_cli *c, int argc, char **argv)
{
	int ret;

	if (argc != 1)
		return say_usage("vdpa unbind takes the name of one device");
	ret = vhk_vdpa_unbind(argv[0], c->force ? VHK_VDPA_F_FORCE : 0);
	return ret ? say_bus(ret, argv[0], "unbinding it") : 0;
}
