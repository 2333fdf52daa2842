/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What the files of vhk-net share.
 */
#ifndef VHK_NET_TOOL_H
#define VHK_NET_TOOL_H

#include <vhostkit/backend.h>
#include <vhostkit/net.h>

#include "../daemon/daemon.h"

#define CARDS_MAX 63

/**
 * struct options - the command line
 * @door:    of each card's front end
 * @n:       cards
 * @client:  all of them are connected to
 * @tap:     interface of the other end, or NULL; @macvtap, @packet: likewise
 * @port:    what is at the other end
 * @threads: data threads; 0: everything in one
 * @loop:    how loops that carry data run
 * @net:     a card
 * @sw:      the switch, where there is one
 */
struct options {
	struct door door[CARDS_MAX];
	unsigned int n;
	bool client;
	const char *tap, *macvtap, *packet;
	enum vhk_net_port port;
	unsigned int threads;
	struct vhk_loop_opts loop;
	struct vhk_net_opts net;
	struct vhk_switch_opts sw;
};

enum cli_result options_read(struct options *o, int argc, char **argv);
/* With all doors known: what was given fits together; it is said what does not. */
bool options_fit(struct options *o);

/* Each queue's counters, on stderr. */
void stats_print(const char *name, const struct vhk_device *d);
void stats_print_tap(const char *name, const struct vhk_switch *sw);

/* What is at the other end of cards without a switch, into @o->net; -errno: said so. */
int port_open(struct options *o, int *fds);

#endif
