// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What is at the cards' other end, opened by its name.
 */
#include <errno.h>
#include <string.h>

#include "vhk-net.h"

static const char *why_not(int err, const char *what)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "not permitted (CAP_NET_ADMIN and CAP_NET_RAW are needed)";
	case -EBUSY:
		return "another process has it open";
	case -ENODEV:
		return "there is no such interface";
	case -EINVAL:
		return what;
	default:
		return strerror(-err);
	}
}

int port_open(struct options *o, int *fds)
{
	const unsigned int n = o->port == VHK_NET_SWITCH ? 1 : o->net.num_pairs;
	const char *name = o->tap ? o->tap : o->macvtap ? o->macvtap : o->packet;
	int ret;

	if (!name)
		return 0;
	if (o->tap)
		ret = vhk_net_open_tap(name, fds, n);
	else if (o->macvtap)
		ret = vhk_net_open_macvtap(name, fds, n);
	else
		ret = vhk_net_open_packet(name, fds);
	if (ret) {
		say("%s: %s", name,
		    why_not(ret, "not a tap, or not one of as many queues (IFF_MULTI_QUEUE)"));
		return ret;
	}
	if (o->port != VHK_NET_SWITCH) {
		o->net.fds = fds;
		o->net.n_fds = n;
	}
	return 0;
}
