// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk disk del and resize.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "backing.h"
#include "record.h"

static int no_disk(const char *name, int ret)
{
	if (ret == -ENOENT)
		say("%s: no such disk (vhk disk list)", name);
	else
		say("%s: %s", name, strerror(-ret));
	return EXIT_FAILED;
}

static int check_unused(const struct backing_opts *o)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	int ret = vdpa_check_closed(o->name);

	if (!ret && !vhk_vdpa_place(o->name, &p) && *p.block)
		ret = backing_check_idle(o->name, p.block);
	return ret;
}

static int del_device(const struct backing_opts *o)
{
	struct vdpa_cli c = { 0 };
	int ret = o->force ? 0 : check_unused(o);

	if (!ret)
		ret = vdpa_connect(&c);
	if (ret)
		return ret;
	ret = vhk_vdpa_dev_del(c.v, o->name);
	if (ret && ret != -ENODEV)
		ret = vdpa_failed(&c, o->name);
	else
		ret = 0;
	vhk_vdpa_close(c.v);
	return ret;
}

int backing_del(const struct backing_opts *o)
{
	struct vhostkit_disk_query q;
	int ret = backing_need();

	if (ret)
		return ret;
	ret = backing_call_query(o->name, false, &q);
	if (ret)
		return no_disk(o->name, ret);
	if (q.state & VHOSTKIT_DISK_S_CLAIMED) {
		ret = del_device(o);
		if (ret)
			return ret;
	}
	ret = backing_call_del(o->name);
	if (ret)
		return no_disk(o->name, ret);
	record_del(RECORD_RUN, o->name);
	if (!o->keep)
		ret = record_del(RECORD_KEPT, o->name);
	if (!ret)
		return 0;
	say(RECORD_KEPT "/%s.conf: %s", o->name, strerror(-ret));
	return EXIT_FAILED;
}

int backing_resize(const struct backing_opts *o)
{
	uint64_t bytes;
	struct json j;
	int ret = backing_need();

	if (ret)
		return ret;
	ret = backing_call_resize(o->name, &bytes);
	if (ret == -EINVAL) {
		say("%s: not one block is left of its backing; it keeps the size that it had",
		    o->name);
		return EXIT_FAILED;
	}
	if (ret)
		return no_disk(o->name, ret);
	if (!o->json) {
		printf("%s: %" PRIu64 " bytes\n", o->name, bytes);
		return 0;
	}
	json_begin(&j, stdout);
	json_text(&j, "name", o->name);
	json_u64(&j, "bytes", bytes);
	json_end(&j);
	return 0;
}
