// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * What is at the cards' other end, opened by its name.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "vhk-net.h"

/* The node that an interface would be opened by is not there. */
static const char *why_no_node(const struct options *o)
{
	static char text[80];

	if (o->tap)
		return "there is no /dev/net/tun: is the module tun loaded?";
	snprintf(text, sizeof(text), "is no macvtap that can be opened: there is no /dev/tap%u",
		 if_nametoindex(o->macvtap));
	return text;
}

static const char *why_not(const struct options *o, int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "not permitted (CAP_NET_ADMIN and CAP_NET_RAW are needed)";
	case -EBUSY:
		return "another process has it open";
	case -ENODEV:
		return "there is no such interface";
	case -ENOENT:
		return o->packet ? strerror(ENOENT) : why_no_node(o);
	case -EINVAL:
		return "not a tap, or not one of as many queues (IFF_MULTI_QUEUE)";
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
		say("%s: %s", name, why_not(o, ret));
		return ret;
	}
	if (o->port != VHK_NET_SWITCH) {
		o->net.fds = fds;
		o->net.n_fds = n;
	}
	return 0;
}
