// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk restore: what the records say there shall be, after a reboot.
 */
#include <errno.h>
#include <string.h>

#include "backing.h"
#include "commands.h"
#include "module.h"
#include "node.h"
#include "record.h"

/* What both kinds of devices have beside the words of vdpa dev add. */
static bool is_ours(const char *key)
{
	return !strcmp(key, "attach") || !strcmp(key, "owner") || !strcmp(key, "mode");
}

/* As it would be typed. */
static int restore_disk(const struct record *r)
{
	struct backing_opts o = { 0 };
	char keys[RECORD_WORDS][64], *argv[2 * RECORD_WORDS + 3];
	int argc = 0, ret;
	unsigned int i;

	argv[argc++] = (char *)"restore";
	for (i = 0; i < r->n; i++) {
		snprintf(keys[i], sizeof(keys[i]), "--%s", r->key[i]);
		argv[argc++] = keys[i];
		if (*r->value[i])
			argv[argc++] = r->value[i];
	}
	argv[argc++] = (char *)r->name;
	argv[argc] = NULL;
	ret = backing_parse(&o, argc, argv);
	o.kept = true;
	return ret ? ret : backing_add(&o);
}

static int restore_nic(const struct record *r)
{
	const char *attach = record_get(r, "attach");
	const char *owner = record_get(r, "owner"), *mode = record_get(r, "mode");
	char *argv[2 * RECORD_WORDS + 2];
	struct vdpa_cli c = { 0 };
	struct vdpa_words w;
	int argc = 0, ret;
	unsigned int i;

	argv[argc++] = (char *)"name";
	argv[argc++] = (char *)r->name;
	for (i = 0; i < r->n; i++) {
		if (is_ours(r->key[i]))
			continue;
		argv[argc++] = r->key[i];
		argv[argc++] = r->value[i];
	}
	if (attach && !vdpa_driver(attach))
		return say_usage("%s: attach virtio or vhost, not %s", r->name, attach);
	ret = node_check(owner, mode);
	if (!ret)
		ret = vdpa_parse_add(&w, argc, argv);
	if (ret)
		return ret;
	/* Others' management devices come with modules of their own. */
	module_load("vhostkit_vdpa");
	ret = vdpa_make(&c, &w, attach ? vdpa_driver(attach) : NULL);
	if (!ret && (owner || mode))
		ret = node_permit(w.name, owner, mode);
	vhk_vdpa_close(c.v);
	return ret;
}

/* What is there already stays as it is. */
static int restore_one(const char *dir, const char *name)
{
	struct vhk_vdpa_place p = { .sz = sizeof(p) };
	struct record r;
	int ret = record_read(&r, dir, name);

	if (ret) {
		say("%s/%s.conf: %s", dir, name, strerror(-ret));
		return EXIT_FAILED;
	}
	if (!vhk_vdpa_place(name, &p))
		return 0;
	if (record_get(&r, "file"))
		return restore_disk(&r);
	if (record_get(&r, "mgmtdev"))
		return restore_nic(&r);
	say("%s/%s.conf: neither a file for a disk nor a mgmtdev", dir, name);
	return EXIT_FAILED;
}

int restore(int argc, char **argv)
{
	int ret;

	if (argc > 1)
		return say_usage("restore takes no word; what it reads is in " RECORD_KEPT);
	(void)argv;
	ret = record_each(RECORD_KEPT, restore_one);
	if (ret < 0)
		return say_error(ret, RECORD_KEPT);
	return ret ? EXIT_FAILED : 0;
}
