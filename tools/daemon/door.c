// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Where front ends come from: a path that is listened at or connected to, or a socket that is there
 * already.
 */
#include <errno.h>
#include <string.h>

#include "daemon.h"

const char *door_why_not(int err)
{
	switch (err) {
	case -EINVAL:
		return "not a socket";
	case -EAFNOSUPPORT:
		return "not a UNIX socket";
	case -EPROTOTYPE:
		return "not a stream socket";
	case -ENOTCONN:
		return "neither listening nor connected";
	case -EEXIST:
		return "exists, and is not a socket";
	default:
		return strerror(-err);
	}
}

int door_open(struct vhk_backend **out, struct vhk_loop *ctl, struct vhk_device *d,
	      const struct door *door, const struct vhk_backend_opts *o)
{
	int ret;

	if (!door->path) {
		ret = vhk_backend_take_fd(out, ctl, d, door->fd, o);
		if (ret)
			say("file descriptor %d: %s", door->fd, door_why_not(ret));
		return ret;
	}
	ret = (door->client ? vhk_backend_connect : vhk_backend_listen)(out, ctl, d, door->path, o);
	if (ret)
		say("%s: %s", door->path, door_why_not(ret));
	return ret;
}
