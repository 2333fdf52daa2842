// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk disk list and stat.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "backing.h"
#include "record.h"

/* The path that the disk was made with, where that is still the same file. */
static void path_of(const struct vhostkit_disk_query *q, char *to, size_t size)
{
	const bool block = q->state & VHOSTKIT_DISK_S_BLOCK_DEVICE;
	struct record r;
	const char *file;
	struct stat st;
	dev_t dev;

	snprintf(to, size, "%s %u:%u inode %llu", block ? "device" : "file on", q->backing_major,
		 q->backing_minor, (unsigned long long)q->backing_inode);
	file = record_find(&r, q->name) ? NULL : record_get(&r, "file");
	if (!file || stat(file, &st))
		return;
	dev = block ? st.st_rdev : st.st_dev;
	if (q->backing_major == major(dev) && q->backing_minor == minor(dev) &&
	    q->backing_inode == st.st_ino)
		snprintf(to, size, "%s", file);
}

static void begin(struct vdpa_out *out, const struct backing_opts *o)
{
	const struct vdpa_cli c = { .json = o->json, .pretty = o->json };

	vdpa_out_begin(out, &c, "disk");
}

static void show_disk(struct vdpa_out *out, const struct vhostkit_disk_query *q)
{
	char path[4096], serial[VHOSTKIT_SERIAL_SIZE + 1] = "";

	path_of(q, path, sizeof(path));
	memcpy(serial, q->serial, VHOSTKIT_SERIAL_SIZE);
	vdpa_out_open(out, q->name, false);
	vdpa_out_text(out, "file", path);
	vdpa_out_u64(out, "bytes", q->bytes);
	vdpa_out_u64(out, "block_size", q->block_size);
	vdpa_out_u64(out, "queues", q->n_queues);
	vdpa_out_u64(out, "queue_size", q->queue_size);
	vdpa_out_text(out, "serial", serial);
	vdpa_out_bool(out, "read_only", q->disk_flags & VHOSTKIT_DISK_F_READ_ONLY);
	vdpa_out_bool(out, "direct", q->state & VHOSTKIT_DISK_S_DIRECT);
	if (q->state & VHOSTKIT_DISK_S_CLAIMED)
		vdpa_out_place(out, q->name);
}

int backing_list(const struct backing_opts *o)
{
	struct vhostkit_disk_query q;
	struct vdpa_out out;
	int ret = backing_need();

	if (ret)
		return ret;
	begin(&out, o);
	for (ret = backing_call_query("", true, &q); !ret;
	     ret = backing_call_query(q.name, true, &q)) {
		show_disk(&out, &q);
		vdpa_out_close(&out);
	}
	vdpa_out_end(&out);
	if (ret == -ENOENT)
		return 0;
	say("disk: %s", strerror(-ret));
	return EXIT_FAILED;
}

static void show_stats(struct vdpa_out *out, const struct vhostkit_disk_stats *s)
{
	const struct {
		const char *key;
		uint64_t v;
	} items[] = {
		{ "in_flight", s->in_flight },	{ "reads", s->reads },
		{ "read_bytes", s->read_bytes }, { "writes", s->writes },
		{ "write_bytes", s->write_bytes }, { "flushes", s->flushes },
		{ "discards", s->discards },	{ "zeroes", s->zeroes },
		{ "errors", s->errors },	{ "unsupported", s->unsupported },
		{ "kicks", s->kicks },		{ "calls", s->calls },
	};
	size_t i;

	for (i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		vdpa_out_u64(out, items[i].key, items[i].v);
}

static int say_stats(int ret, const char *name, const char *queue)
{
	if (ret == -EINVAL)
		say("%s: it has no queue %s", name, queue);
	else
		say("%s: %s", name, strerror(-ret));
	return EXIT_FAILED;
}

int backing_stat(const struct backing_opts *o)
{
	struct vhostkit_disk_stats s;
	struct vhostkit_disk_query q;
	struct vdpa_out out;
	uint64_t n = VHOSTKIT_ALL_QUEUES;
	int ret;

	if (o->queue && !parse_size(o->queue, 0, VHOSTKIT_MAX_QUEUES - 1, &n))
		return say_usage("disk stat: --queue %s", o->queue);
	ret = backing_need();
	if (ret)
		return ret;
	ret = backing_call_query(o->name, false, &q);
	if (ret) {
		say("%s: no such disk (vhk disk list)", o->name);
		return EXIT_FAILED;
	}
	ret = backing_call_stats(o->name, (uint32_t)n, &s);
	if (ret && ret != -ENODEV)
		return say_stats(ret, o->name, o->queue);
	begin(&out, o);
	show_disk(&out, &q);
	if (!ret && !o->json)
		printf("\n ");
	if (!ret)
		show_stats(&out, &s);
	vdpa_out_close(&out);
	vdpa_out_end(&out);
	return 0;
}
