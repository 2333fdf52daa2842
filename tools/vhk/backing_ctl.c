// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The ioctls of /dev/vhostkit.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backing.h"
#include "module.h"

#define NODE "/dev/vhostkit"

static int ctl = -1;

int backing_open(void)
{
	if (ctl >= 0)
		return 0;
	ctl = open(NODE, O_RDWR | O_CLOEXEC);
	if (ctl < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV)) {
		if (module_load("vhostkit"))
			return -ENOENT;
		ctl = open(NODE, O_RDWR | O_CLOEXEC);
	}
	return ctl < 0 ? -errno : 0;
}

int backing_need(void)
{
	const int ret = backing_open();

	if (!ret)
		return 0;
	if (ret == -EACCES || ret == -EPERM)
		say("disk: " NODE " is for root");
	else if (ret == -ENOENT)
		say("disk: the kernel's module vhostkit cannot be loaded; is it installed (make "
		    "dkms-install), and is it signed where Secure Boot wants that?");
	else
		say(NODE ": %s", strerror(-ret));
	return EXIT_FAILED;
}

/* Text that fills its field with NUL to the end, so that what is too long stays without one. */
void backing_set_text(char *to, size_t size, const char *from)
{
	memset(to, 0, size);
	memcpy(to, from, strnlen(from, size));
}

static int call(unsigned long cmd, void *arg)
{
	return ioctl(ctl, cmd, arg) ? -errno : 0;
}

int backing_call_add(struct vhostkit_disk_add *arg)
{
	arg->size = sizeof(*arg);
	return call(VHOSTKIT_DISK_ADD, arg);
}

int backing_call_del(const char *name)
{
	struct vhostkit_disk_del d = { .size = sizeof(d) };

	backing_set_text(d.name, sizeof(d.name), name);
	return call(VHOSTKIT_DISK_DEL, &d);
}

int backing_call_resize(const char *name, uint64_t *bytes)
{
	struct vhostkit_disk_resize r = { .size = sizeof(r) };
	int ret;

	backing_set_text(r.name, sizeof(r.name), name);
	ret = call(VHOSTKIT_DISK_RESIZE, &r);
	*bytes = r.bytes;
	return ret;
}

/* @name may be that of @out. */
int backing_call_query(const char *name, bool next, struct vhostkit_disk_query *out)
{
	struct vhostkit_disk_query q = {
		.size = sizeof(q),
		.flags = next ? VHOSTKIT_DISK_QUERY_F_NEXT : 0,
	};
	int ret;

	backing_set_text(q.name, sizeof(q.name), name);
	ret = call(VHOSTKIT_DISK_QUERY, &q);
	*out = q;
	return ret;
}

int backing_call_stats(const char *name, uint32_t queue, struct vhostkit_disk_stats *out)
{
	*out = (struct vhostkit_disk_stats){ .size = sizeof(*out), .queue = queue };
	backing_set_text(out->name, sizeof(out->name), name);
	return call(VHOSTKIT_DISK_STATS, out);
}
