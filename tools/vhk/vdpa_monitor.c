// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * vhk vdpa monitor: a line for each thing that happens on the vDPA bus, until it is interrupted.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "vdpa.h"

static const char *const event_names[] = {
	[VHK_VDPA_ADD] = "add",		  [VHK_VDPA_REMOVE] = "remove",
	[VHK_VDPA_BIND] = "bind",	  [VHK_VDPA_UNBIND] = "unbind",
	[VHK_VDPA_CHANGE] = "change",	  [VHK_VDPA_IF_ADD] = "interface-add",
	[VHK_VDPA_IF_REMOVE] = "interface-remove",
};

/* The kernel has no event for the node; it is there when the driver has taken the device. */
static void find_node(const struct vhk_vdpa_event *e, struct vhk_vdpa_place *p)
{
	*p = (struct vhk_vdpa_place){ .sz = sizeof(*p) };
	if (e->kind != VHK_VDPA_BIND || vhk_vdpa_place(e->name, p))
		p->node[0] = 0;
}

static const char *interface_key(const struct vhk_vdpa_event *e)
{
	return !strcmp(e->subsystem, "net") ? "netdev" : "block";
}

static void print_json(const struct vdpa_cli *c, const struct vhk_vdpa_event *e, const char *node)
{
	struct json j;

	json_begin_style(&j, stdout, c->pretty ? JSON_PRETTY : JSON_COMPACT);
	json_text(&j, "event", event_names[e->kind]);
	json_text(&j, "dev", e->name);
	json_u64(&j, "seqnum", e->seq);
	if (*e->driver)
		json_text(&j, "driver", e->driver);
	if (*node)
		json_text(&j, "node", node);
	if (*e->iface)
		json_text(&j, interface_key(e), e->iface);
	json_end(&j);
}

static void print_text(const struct vhk_vdpa_event *e, const char *node)
{
	printf("%s %s", event_names[e->kind], e->name);
	if (*e->driver)
		printf(" driver %s", e->driver);
	if (*node)
		printf(" node %s", node);
	if (*e->iface)
		printf(" %s %s", interface_key(e), e->iface);
	putchar('\n');
}

static int drain(const struct vdpa_cli *c, struct vhk_vdpa_monitor *m)
{
	struct vhk_vdpa_event e = { .sz = sizeof(e) };
	struct vhk_vdpa_place p;
	int ret;

	for (;;) {
		ret = vhk_vdpa_monitor_next(m, &e);
		if (ret == -EAGAIN)
			return fflush(stdout) ? -errno : 0;
		if (ret == -ENOBUFS) {
			say("vdpa monitor: events were lost");
			continue;
		}
		if (ret)
			return ret;
		find_node(&e, &p);
		if (c->json)
			print_json(c, &e, p.node);
		else
			print_text(&e, p.node);
	}
}

int vdpa_monitor(struct vdpa_cli *c, int argc, char **argv)
{
	struct vhk_vdpa_monitor *m;
	struct pollfd p = { .events = POLLIN };
	int ret;

	if (argc)
		return say_usage("vdpa monitor: unknown option \"%s\"", argv[0]);
	ret = vhk_vdpa_monitor_open(&m);
	if (ret)
		return say_error(ret, "vdpa monitor");
	p.fd = vhk_vdpa_monitor_fd(m);
	while (!ret) {
		/* A socket that has overrun is an error to poll(2), and to be read all the same. */
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			ret = -errno;
		else
			ret = drain(c, m);
	}
	vhk_vdpa_monitor_close(m);
	return say_error(ret, "vdpa monitor");
}
