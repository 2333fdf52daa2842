// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The disk behind VDUSE. Attaching it to the vDPA bus, and taking it off, waits for the driver,
 * which waits for our answers: both are done by a thread while the loop runs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vhostkit/vdpa.h>

#include "vhk-blk.h"

#define MGMTDEV "vduse"
#define TIMEOUT_MS 120000

struct bus_work {
	struct vhk_work done;
	int ret;
	char text[200];
};

struct vduse {
	const struct options *o;
	struct vhk_loop *ctl;
	struct vhk_vduse *v;
	pthread_t thread;
	bool busy; /* the thread works, and its news is not here yet */
	bool attached;
	bool broken;
	bool ending;
	struct bus_work work;
};

static bool on_bus(struct vhk_vdpa *bus, const char *name)
{
	struct vhk_vdpa_dev dev = { .sz = sizeof(dev) };

	return !vhk_vdpa_dev_get(bus, name, &dev);
}

static int do_attach(struct vhk_vdpa *bus, const char *name)
{
	return on_bus(bus, name) ? 0 : vhk_vdpa_dev_new(bus, name, MGMTDEV, NULL);
}

/* The kernel would block all of generic netlink for as long as somebody has the node open. */
static int do_detach(struct vhk_vdpa *bus, const char *name)
{
	if (!on_bus(bus, name))
		return 0;
	return vhk_vdpa_is_open(name) == 1 ? -EBUSY : vhk_vdpa_dev_del(bus, name);
}

static void *bus_thread(void *arg)
{
	const struct vhk_vdpa_opts opts = { .sz = sizeof(opts), .timeout_ms = TIMEOUT_MS };
	struct vduse *d = arg;
	struct bus_work *w = &d->work;
	struct vhk_vdpa *bus;

	w->text[0] = 0;
	w->ret = vhk_vdpa_open(&bus, &opts);
	if (!w->ret) {
		w->ret = (d->ending ? do_detach : do_attach)(bus, d->o->vduse);
		if (w->ret)
			snprintf(w->text, sizeof(w->text), "%s", vhk_vdpa_error(bus));
		vhk_vdpa_close(bus);
	}
	vhk_loop_post(d->ctl, &w->done);
	return NULL;
}

static int begin(struct vduse *d, void (*done)(struct vhk_work *w))
{
	int ret;

	d->work.done.fn = done;
	ret = pthread_create(&d->thread, NULL, bus_thread, d);
	d->busy = !ret;
	return -ret;
}

static struct vduse *end(struct vhk_work *w)
{
	struct bus_work *b = (struct bus_work *)((char *)w - offsetof(struct bus_work, done));
	struct vduse *d = (struct vduse *)((char *)b - offsetof(struct vduse, work));

	pthread_join(d->thread, NULL);
	d->busy = false;
	return d;
}

static void say_how(const struct vduse *d)
{
	say("%s: waits; attach it by: vdpa dev add name %s mgmtdev " MGMTDEV, d->o->vduse,
	    d->o->vduse);
}

static const char *why(const struct vduse *d)
{
	return d->work.text[0] ? d->work.text : strerror(-d->work.ret);
}

static void attached(struct vhk_work *w)
{
	struct vduse *d = end(w);

	d->attached = !d->work.ret;
	if (d->attached)
		return;
	say("%s: cannot attach it: %s", d->o->vduse, why(d));
	say_how(d);
}

static void detached(struct vhk_work *w)
{
	struct vduse *d = end(w);

	vhk_loop_stop(d->ctl);
}

static void on_state(void *arg, enum vhk_vduse_state state)
{
	struct vduse *d = arg;

	if (state != VHK_VDUSE_BROKEN)
		return;
	d->broken = true;
	vhk_loop_stop(d->ctl);
}

static const char *why_no_device(int err)
{
	switch (err) {
	case -ENOENT:
		return "no VDUSE in this kernel, or not loaded (modprobe vduse)";
	case -EACCES:
	case -EPERM:
		return "no rights on /dev/vduse";
	case -EBUSY:
		return "another process serves it";
	case -EEXIST:
		return "the name is taken by a device of another shape";
	case -ENODATA:
		return "it is in use, and the file of its requests under way is gone";
	case -EINVAL:
		return "not a name, or not a device that the kernel takes";
	default:
		return strerror(-err);
	}
}

int vduse_open(struct vduse **out, const struct options *o, struct vhk_loop *ctl,
	       struct vhk_device *disk)
{
	struct vduse *d = calloc(1, sizeof(*d));
	const struct vhk_vduse_opts opts = {
		.sz = sizeof(opts),
		.log = o->blk.log,
		.inflight = o->inflight,
		.without = o->packed ? 0 : VHK_F_RING_PACKED,
		.on_state = on_state,
		.arg = d,
	};
	int ret;

	if (!d)
		return -ENOMEM;
	d->o = o;
	d->ctl = ctl;
	ret = vhk_vduse_open(&d->v, ctl, disk, o->vduse, &opts);
	if (ret) {
		say("%s: %s", o->vduse, why_no_device(ret));
		free(d);
		return ret;
	}
	*out = d;
	return 0;
}

int vduse_attach(struct vduse *d)
{
	if (d->o->attach)
		return begin(d, attached);
	say_how(d);
	return 0;
}

/* The loop runs once more, until the thread is through or another signal comes. */
static bool take_off(struct vduse *d)
{
	if (d->busy)
		vhk_loop_run(d->ctl);
	d->ending = true;
	if (d->busy || begin(d, detached))
		return false;
	vhk_loop_run(d->ctl);
	if (!d->busy && !d->work.ret)
		return true;
	say("%s: stays attached: %s", d->o->vduse,
	    d->busy			? "the end was asked for again"
	    : d->work.ret == -EBUSY ? "somebody has it open"
					: why(d));
	return false;
}

int vduse_close(struct vduse *d)
{
	int ret = 0;

	if (!d)
		return 0;
	if (d->o->keep || !take_off(d))
		vhk_vduse_close(d->v);
	else
		ret = vhk_vduse_destroy(d->v);
	if (ret)
		say("%s: %s", d->o->vduse, strerror(-ret));
	if (d->broken)
		ret = -EIO;
	if (!d->busy)
		free(d);
	return ret;
}
