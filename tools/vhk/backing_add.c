// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk disk add: from a file to a disk of the registry, a vDPA device, and a disk or node of this
 * machine. What fails takes back what was done before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backing.h"
#include "image.h"
#include "module.h"
#include "node.h"
#include "record.h"

#define MGMTDEV "vhostkit_blk"

static int open_file(const struct backing_opts *o, struct stat *st)
{
	/* A pipe must not wait for its other end. */
	const int mode = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	int fd;

	fd = open(o->file, mode);
	if (fd < 0 && (errno == EROFS || errno == EACCES) && !o->read_only)
		say("%s: it cannot be written (--read-only: it need not be)", o->file);
	else if (fd < 0 || fstat(fd, st))
		say("%s: %s", o->file, strerror(errno));
	else if (!backing_check_file(o, st))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int register_disk(const struct backing_opts *o)
{
	struct vhostkit_disk_add a = {
		.flags = (o->read_only ? VHOSTKIT_DISK_F_READ_ONLY : 0) |
			 (o->buffered ? VHOSTKIT_DISK_F_BUFFERED : 0),
		.n_queues = o->queues,
		.queue_size = o->queue_size,
		.block_size = o->block_size,
	};
	struct vhostkit_disk_query q;
	struct stat st = { 0 };
	int ret = 0;

	if (!backing_call_query(o->name, false, &q))
		return backing_say_add(-EEXIST, o, &st);
	a.fd = open_file(o, &st);
	if (a.fd < 0)
		return EXIT_FAILED;
	backing_set_text(a.name, sizeof(a.name), o->name);
	if (o->serial)
		backing_set_text(a.serial, sizeof(a.serial), o->serial);
	if (!o->no_lock)
		ret = image_lock(a.fd, o->read_only, o->file, " (--no-lock: do not look)");
	if (!ret) {
		ret = backing_call_add(&a);
		if (ret)
			ret = backing_say_add(ret, o, &st);
	}
	close(a.fd);
	return ret;
}

/* The parent is another module, which not every kernel can have. */
static int need_parent(void)
{
	if (!module_load("vhostkit_vdpa"))
		return 0;
	say("disk: the kernel's module vhostkit_vdpa cannot be loaded; it needs a kernel with vDPA "
	    "(Debian's 6.12 has it, 6.1 has not)");
	return EXIT_FAILED;
}

static int attach(const struct backing_opts *o)
{
	const struct vdpa_words w = { .name = o->name, .mgmtdev = MGMTDEV,
				      .params = { .sz = sizeof(w.params) } };
	struct vdpa_cli c = { 0 };
	int ret = need_parent();

	if (ret)
		return ret;
	ret = vdpa_make(&c, &w, vdpa_driver(o->attach));
	if (!ret && (o->owner || o->mode)) {
		ret = node_permit(o->name, o->owner, o->mode);
		if (ret)
			vhk_vdpa_dev_del(c.v, o->name);
	}
	vhk_vdpa_close(c.v);
	return ret;
}

static void put_number(struct record_file *w, const char *key, uint32_t v)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", v);
	if (v)
		record_put(w, key, text);
}

static void put_text(struct record_file *w, const char *key, const char *v)
{
	if (v)
		record_put(w, key, v);
}

static void put_flag(struct record_file *w, const char *key, bool on)
{
	if (on)
		record_put(w, key, "");
}

static int remember(const struct backing_opts *o)
{
	const char *dir = o->keep ? RECORD_KEPT : RECORD_RUN;
	struct record_file w;
	char path[4096];
	int ret;

	/* Folders on the way may have such names, too. */
	if (!realpath(o->file, path) || strchr(path, '\n') ||
	    (o->serial && strchr(o->serial, '\n'))) {
		say("%s: not a path that can be kept", o->file);
		return EXIT_FAILED;
	}
	ret = record_begin(&w, dir, o->name);
	if (!ret) {
		record_put(&w, "file", path);
		put_text(&w, "attach", o->attach);
		put_text(&w, "owner", o->owner);
		put_text(&w, "mode", o->mode);
		put_text(&w, "serial", o->serial);
		put_number(&w, "queues", o->queues);
		put_number(&w, "queue-size", o->queue_size);
		put_number(&w, "block-size", o->block_size);
		put_flag(&w, "read-only", o->read_only);
		put_flag(&w, "buffered", o->buffered);
		put_flag(&w, "no-lock", o->no_lock);
		ret = record_end(&w);
	}
	if (!ret)
		return 0;
	say("%s/%s.conf: %s", dir, o->name, strerror(-ret));
	return EXIT_FAILED;
}

static void show(const struct backing_opts *o)
{
	const struct vdpa_cli c = { .json = o->json };
	struct vdpa_out out;

	if (!o->attach)
		return;
	vdpa_out_begin(&out, &c, "disk");
	vdpa_out_open(&out, o->name, false);
	vdpa_out_place(&out, o->name);
	vdpa_out_close(&out);
	vdpa_out_end(&out);
}

/* The record comes first of all that udev may ask for. */
int backing_add(const struct backing_opts *o)
{
	int ret = backing_need();

	if (!ret)
		ret = register_disk(o);
	if (ret)
		return ret;
	ret = o->kept ? 0 : remember(o);
	if (!ret && o->attach)
		ret = attach(o);
	if (!ret) {
		show(o);
		return 0;
	}
	if (!o->kept)
		record_del(o->keep ? RECORD_KEPT : RECORD_RUN, o->name);
	backing_call_del(o->name);
	return ret;
}
